#include "binding/arguments.h"

#include "binding/decode.h"
#include "binding/number_lua.h"

struct place {
  struct uk_slice topic;
  int64_t partition, offset;
};

#define PLACE_ROWS                                                                                 \
  {"topic", UK_OPTION_STRING, true, offsetof(struct place, topic), 0, 0, NULL},                    \
  {                                                                                                \
    "partition", UK_OPTION_INTEGER, true, offsetof(struct place, partition), 0, INT32_MAX, NULL    \
  }

static const struct uk_lua_option partition_rows[] = {PLACE_ROWS, {.name = NULL}};

static const struct uk_lua_option offset_rows[] = {
  PLACE_ROWS,
  {"offset", UK_OPTION_INTEGER, true, offsetof(struct place, offset), 0, INT64_MAX, NULL},
  {.name = NULL}};

struct uk_lua_blame uk_lua_argument_blame(const struct uk_lua_arguments *arguments, int number)
{
  return (struct uk_lua_blame){.function = arguments->function, .argument = number};
}

struct uk_slice uk_lua_argument_name(const struct uk_lua_arguments *arguments, int number,
                                     const char *name)
{
  lua_State *L = arguments->L;
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, number);
  int index = uk_lua_argument_index(arguments, number);
  if (lua_type(L, index) != LUA_TSTRING)
    uk_lua_misuse_type(L, &blame, name, "string", index);
  struct uk_slice text;
  text.data = lua_tolstring(L, index, &text.length);
  if (text.length == 0)
    uk_lua_misuse(L, &blame, name, "non-empty string expected");
  return text;
}

bool uk_lua_argument_absent(const struct uk_lua_arguments *arguments, int number)
{
  return lua_isnoneornil(arguments->L, uk_lua_argument_index(arguments, number));
}

struct uk_slice uk_lua_stack_text(lua_State *L, int index, const struct uk_lua_blame *blame,
                                  const char *field)
{
  char number[UK_DECIMAL_SIZE];
  int type = lua_type(L, index);
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    uk_lua_misuse_type(L, blame, field, "string", index);
  if (type == LUA_TNUMBER) {
    const size_t length = uk_lua_number_text(L, index, number);
    if (length == 0)
      uk_lua_misuse(L, blame, field, "%s is not JSON", number);
    index = uk_lua_absindex(L, index);
    lua_pushlstring(L, number, length);
    lua_replace(L, index);
  }
  struct uk_slice text;
  text.data = lua_tolstring(L, index, &text.length);
  return text;
}

struct uk_slice uk_lua_stack_header(lua_State *L, int index, const struct uk_lua_blame *blame,
                                    const char *field)
{
  return uk_lua_isnull(L, index) ? uk_slice_of("", 0) : uk_lua_stack_text(L, index, blame, field);
}

/* Returns whether the value at `index` is a consumed message. */
static bool is_message(lua_State *L, int index)
{
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
    return false;
  luaL_getmetatable(L, UK_MESSAGE_TYPE);
  const bool is = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is;
}

/* Reads the fields of a message that the rows name; those that are left out are no mistake. */
static void read_message_place(lua_State *L, int index, const struct uk_lua_option *rows,
                               struct place *place, const struct uk_lua_blame *blame)
{
  index = uk_lua_absindex(L, index);
  for (const struct uk_lua_option *row = rows; row->name != NULL; row++) {
    lua_pushstring(L, row->name);
    lua_rawget(L, index);
    uk_lua_read_option(L, -1, row, place, 0, blame);
    lua_pop(L, 1);
  }
  if (place->offset >= 0 && place->offset < INT64_MAX)
    place->offset++;
}

/* A message stands for its partition, or for the offset after it. */
static void add_partition(const struct uk_lua_arguments *arguments, int index,
                          const struct uk_lua_option *rows, const struct uk_lua_blame *blame)
{
  struct place place = {.offset = -1};
  if (is_message(arguments->L, index))
    read_message_place(arguments->L, index, rows, &place, blame);
  else
    uk_lua_read_options(arguments->L, index, false, rows, &place, 0, blame);
  uk_client_request_partition(arguments->request, place.topic, place.partition, place.offset);
}

/* Returns whether the table at `index` has named fields, so that it is one element and not a list.
 * Leaves values on the stack. */
static bool is_single(lua_State *L, int index)
{
  lua_pushliteral(L, "topic");
  lua_rawget(L, index);
  if (!lua_isnil(L, -1) || uk_lua_rawlen(L, index) > 0)
    return !lua_isnil(L, -1);
  lua_pushnil(L);
  return lua_next(L, index) != 0;
}

void uk_lua_add_partitions(const struct uk_lua_arguments *arguments, int number, const char *list,
                           enum uk_lua_places places)
{
  uk_lua_add_places(arguments, uk_lua_argument_index(arguments, number),
                    uk_lua_argument_blame(arguments, number), list, places);
}

void uk_lua_add_places(const struct uk_lua_arguments *arguments, int index,
                       struct uk_lua_blame blame, const char *list, enum uk_lua_places places)
{
  lua_State *L = arguments->L;
  const struct uk_lua_option *rows = places == UK_PLACES_PARTITIONS ? partition_rows : offset_rows;
  if (lua_type(L, index) != LUA_TTABLE)
    uk_lua_misuse_type(L, &blame, list, "table", index);
  int top = lua_gettop(L);
  if (is_single(L, index)) {
    if (places == UK_PLACES_FETCH)
      uk_client_request_list(arguments->request);
    add_partition(arguments, index, rows, &blame);
    if (places == UK_PLACES_FETCH)
      uk_client_request_list_end(arguments->request);
  } else {
    uk_client_request_list(arguments->request);
    size_t count = uk_lua_rawlen(L, index);
    if (count == 0)
      uk_lua_misuse(L, &blame, list, "at least one expected");
    blame.list = list;
    for (blame.index = 1; blame.index <= count; blame.index++) {
      lua_rawgeti(L, index, (int)blame.index);
      add_partition(arguments, -1, rows, &blame);
      lua_pop(L, 1);
    }
    uk_client_request_list_end(arguments->request);
  }
  lua_settop(L, top);
}
