#include "binding/message.h"

#include <stdlib.h>

#include "binding/call_memory.h"

enum { HEADERS_ON_STACK = 16 };

#define OPTION_ROWS                                                                                \
  {"key", UK_OPTION_VALUE, false, UK_SLOT_KEY, 0, 0, NULL},                                        \
    {"headers", UK_OPTION_VALUE, false, UK_SLOT_HEADERS, 0, 0, NULL},                              \
    {"partition", UK_OPTION_INTEGER, false, offsetof(struct uk_message, partition),                \
     0,           INT32_MAX,         NULL},                                                        \
  {                                                                                                \
    "timestamp", UK_OPTION_INTEGER, false, offsetof(struct uk_message, timestamp), 0, INT64_MAX,   \
      NULL                                                                                         \
  }

static const struct uk_lua_option option_rows[] = {OPTION_ROWS, {.name = NULL}};

static const struct uk_lua_option message_rows[] = {
  {"value", UK_OPTION_NULLABLE, false, UK_SLOT_VALUE, 0, 0, NULL}, OPTION_ROWS, {.name = NULL}};

static const struct uk_lua_option topic_message_rows[] = {
  {"topic", UK_OPTION_VALUE, true, UK_SLOT_TOPIC, 0, 0, NULL},
  {"value", UK_OPTION_NULLABLE, false, UK_SLOT_VALUE, 0, 0, NULL},
  OPTION_ROWS,
  {.name = NULL}};

static const struct uk_lua_option header_rows[] = {{"key", UK_OPTION_VALUE, true, 0, 0, 0, NULL},
                                                   {"value", UK_OPTION_VALUE, true, 1, 0, 0, NULL},
                                                   {.name = NULL}};

/* Raises because the encoder returned no text. Precondition: reason and path are on top. */
static void refuse_value(lua_State *L, const struct uk_lua_blame *blame)
{
  const char *reason = lua_tostring(L, -2), *path = lua_tostring(L, -1);
  lua_pushfstring(L, "value%s", path != NULL ? path : "");
  uk_lua_misuse(L, blame, lua_tostring(L, -1), "%s", reason);
}

/* Replaces the table in the value's stack slot by its JSON. Runs the user's encode function. */
static void encode_value(const struct uk_lua_arguments *arguments, int slot,
                         const struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  lua_rawgeti(L, arguments->companion, UK_COMPANION_ENCODE);
  if (lua_type(L, -1) != LUA_TFUNCTION)
    uk_lua_misuse(L, blame, NULL, "value is a table and no JSON encoder is set");
  lua_pushvalue(L, slot);
  lua_call(L, 1, 3);
  if (lua_isnil(L, -3) && lua_type(L, -2) == LUA_TSTRING)
    refuse_value(L, blame);
  if (lua_type(L, -3) != LUA_TSTRING)
    uk_lua_misuse(L, blame, "value", "the JSON encoder returned a %s instead of a string",
                  luaL_typename(L, -3));
  lua_pop(L, 2);
  lua_replace(L, slot);
}

/* Returns the value's bytes; data NULL for a tombstone. */
static struct uk_slice read_value(const struct uk_lua_arguments *arguments, int slot,
                                  const struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  switch (lua_type(L, slot)) {
  case LUA_TSTRING:
  case LUA_TNUMBER: break;
  case LUA_TTABLE: encode_value(arguments, slot, blame); break;
  case LUA_TLIGHTUSERDATA:
    if (uk_lua_isnull(L, slot))
      return uk_slice_of(NULL, 0);
    /* fall through */
  default: uk_lua_misuse_type(L, blame, "value", "string, number, table or null", slot);
  }
  return uk_lua_stack_text(L, slot, blame, "value");
}

/* Headers. */

static void add_header_list(const struct uk_lua_arguments *arguments, int slots,
                            uk_lua_header_taker *take, struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  const int headers = slots + UK_SLOT_HEADERS;
  const size_t count = uk_lua_rawlen(L, headers);
  blame->sublist = "headers";
  for (blame->subindex = 1; blame->subindex <= count; blame->subindex++) {
    lua_rawgeti(L, headers, (int)blame->subindex);
    uk_lua_read_options(L, -1, false, header_rows, NULL, slots + UK_SLOT_HEADER_KEY, blame);
    lua_pop(L, 1);
    struct uk_slice key = uk_lua_stack_text(L, slots + UK_SLOT_HEADER_KEY, blame, "key");
    struct uk_slice value = uk_lua_stack_header(L, slots + UK_SLOT_HEADER_VALUE, blame, "value");
    take(arguments->request, key, value);
  }
  blame->sublist = NULL;
}

static int compare_names(const void *left, const void *right)
{
  const struct uk_slice *a = left, *b = right;
  size_t shorter = a->length < b->length ? a->length : b->length;
  int order = shorter > 0 ? memcmp(a->data, b->data, shorter) : 0;
  return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

/* Pushes the names in the map at `index` and returns their number. The stack keeps them alive: a
 * finaliser may change the map at any time. */
static size_t push_names(lua_State *L, int index, const struct uk_lua_blame *blame)
{
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, index) != 0; count++) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      uk_lua_misuse(L, blame, "headers", "names are strings, got a %s", luaL_typename(L, -1));
    luaL_checkstack(L, 4, "too many headers");
    lua_pushvalue(L, -1);
  }
  return count;
}

/* Adds headers sorted by name, so that the same call makes the same request. */
static void add_header_map(const struct uk_lua_arguments *arguments, int slots,
                           uk_lua_header_taker *take, const struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  const int headers = slots + UK_SLOT_HEADERS;
  const int top = lua_gettop(L);
  struct uk_slice few[HEADERS_ON_STACK], *names = few;
  const size_t count = push_names(L, headers, blame);
  if (count > HEADERS_ON_STACK) {
    names = lua_newuserdata(L, count * sizeof *names);
    lua_replace(L, slots + UK_SLOT_HEADER_KEY);
  }
  for (size_t i = 0; i < count; i++)
    names[i].data = lua_tolstring(L, top + 1 + (int)i, &names[i].length);
  qsort(names, count, sizeof *names, compare_names);
  for (size_t i = 0; i < count; i++) {
    lua_pushlstring(L, names[i].data, names[i].length);
    lua_rawget(L, headers);
    lua_replace(L, slots + UK_SLOT_HEADER_VALUE);
    const int slot = slots + UK_SLOT_HEADER_VALUE;
    if (!lua_isstring(L, slot) && !uk_lua_isnull(L, slot))
      uk_lua_misuse(L, blame, "headers", "%s: string expected, got %s", names[i].data,
                    luaL_typename(L, slot));
    struct uk_slice value = uk_lua_stack_header(L, slot, blame, "headers");
    take(arguments->request, names[i], value);
  }
  lua_settop(L, top);
}

static void add_headers(const struct uk_lua_arguments *arguments, int slots,
                        uk_lua_header_taker *take, struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  const int headers = slots + UK_SLOT_HEADERS;
  if (lua_isnil(L, headers))
    return;
  if (lua_type(L, headers) != LUA_TTABLE)
    uk_lua_misuse_type(L, blame, "headers", "table", headers);
  if (uk_lua_rawlen(L, headers) > 0)
    add_header_list(arguments, slots, take, blame);
  else
    add_header_map(arguments, slots, take, blame);
}

/* Messages. */

static int push_slots(lua_State *L)
{
  luaL_checkstack(L, UK_SLOT_COUNT + 8, NULL);
  int slots = lua_gettop(L) + 1;
  lua_settop(L, slots + UK_SLOT_COUNT - 1);
  return slots;
}

static void clear_slots(lua_State *L, int slots)
{
  for (int slot = slots; slot < slots + UK_SLOT_COUNT; slot++) {
    lua_pushnil(L);
    lua_replace(L, slot);
  }
}

/* Reads key and topic from the stack slots. */
static void read_texts(lua_State *L, int slots, struct uk_message *message,
                       const struct uk_lua_blame *blame)
{
  if (!lua_isnil(L, slots + UK_SLOT_KEY))
    message->key = uk_lua_stack_text(L, slots + UK_SLOT_KEY, blame, "key");
  if (lua_isnil(L, slots + UK_SLOT_TOPIC))
    return;
  if (lua_type(L, slots + UK_SLOT_TOPIC) != LUA_TSTRING)
    uk_lua_misuse_type(L, blame, "topic", "string", slots + UK_SLOT_TOPIC);
  message->topic = uk_lua_stack_text(L, slots + UK_SLOT_TOPIC, blame, "topic");
}

/* Adds a message; reads its headers from the stack slots. */
static void add_message(const struct uk_lua_arguments *arguments, int slots,
                        const struct uk_message *message, struct uk_lua_blame *blame)
{
  uk_client_request_message_begin(arguments->request, message);
  add_headers(arguments, slots, uk_client_request_message_header, blame);
  uk_client_request_message_end(arguments->request);
}

int uk_lua_read_message(const struct uk_lua_arguments *arguments, struct uk_message *message)
{
  lua_State *L = arguments->L;
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 2);
  int slots = push_slots(L);
  lua_pushvalue(L, uk_lua_argument_index(arguments, 2));
  lua_replace(L, slots + UK_SLOT_VALUE);
  *message = (struct uk_message){.partition = -1, .timestamp = -1};
  message->value = read_value(arguments, slots + UK_SLOT_VALUE, &blame);
  blame.argument = 3;
  uk_lua_read_options(L, uk_lua_argument_index(arguments, 3), true, option_rows, message, slots,
                      &blame);
  read_texts(L, slots, message, &blame);
  return slots;
}

void uk_lua_read_headers(const struct uk_lua_arguments *arguments, int slots,
                         uk_lua_header_taker *take)
{
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 3);
  add_headers(arguments, slots, take, &blame);
}

void uk_lua_add_message(const struct uk_lua_arguments *arguments)
{
  struct uk_message message;
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 3);
  int slots = uk_lua_read_message(arguments, &message);
  add_message(arguments, slots, &message, &blame);
  lua_settop(arguments->L, slots - 1);
}

void uk_lua_add_messages(const struct uk_lua_arguments *arguments, int number, bool topics)
{
  lua_State *L = arguments->L;
  const struct uk_lua_option *rows = topics ? topic_message_rows : message_rows;
  const int list = uk_lua_argument_index(arguments, number);
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, number);
  if (lua_type(L, list) != LUA_TTABLE)
    uk_lua_misuse_type(L, &blame, "messages", "list", list);
  const size_t count = uk_lua_rawlen(L, list);
  if (count == 0)
    uk_lua_misuse(L, &blame, "messages", "at least one message expected");
  const int slots = push_slots(L);
  blame.list = "messages";
  uk_client_request_list(arguments->request);
  for (blame.index = 1; blame.index <= count; blame.index++) {
    struct uk_message message = {.partition = -1, .timestamp = -1};
    clear_slots(L, slots);
    lua_rawgeti(L, list, (int)blame.index);
    uk_lua_read_options(L, -1, false, rows, &message, slots, &blame);
    lua_pop(L, 1);
    message.value = read_value(arguments, slots + UK_SLOT_VALUE, &blame);
    read_texts(L, slots, &message, &blame);
    add_message(arguments, slots, &message, &blame);
  }
  uk_client_request_list_end(arguments->request);
  lua_settop(L, slots - 1);
}
