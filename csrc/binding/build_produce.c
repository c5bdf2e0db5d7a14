#include "binding/build.h"

#include <strings.h>

#include "binding/message.h"

/* One key for the call: every attempt sends it. */
static void add_key(const struct uk_lua_arguments *arguments)
{
  char key[UK_KEY_SIZE];
  uk_key_next(arguments->keys, key);
  uk_client_request_key(arguments->request, key);
}

void uk_lua_build_produce(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin_topic(arguments, UK_ENDPOINT_PRODUCE_TOPIC);
  add_key(arguments);
  uk_lua_add_message(arguments);
}

void uk_lua_build_produce_many(const struct uk_lua_arguments *arguments)
{
  lua_State *L = arguments->L;
  if (lua_type(L, uk_lua_argument_index(arguments, 1)) == LUA_TTABLE &&
      uk_lua_argument_absent(arguments, 2)) {
    uk_lua_begin(arguments, UK_ENDPOINT_PRODUCE);
    add_key(arguments);
    uk_lua_add_messages(arguments, 1, true);
    return;
  }
  uk_lua_begin_topic(arguments, UK_ENDPOINT_PRODUCE_TOPIC);
  add_key(arguments);
  uk_lua_add_messages(arguments, 2, false);
}

static const struct uk_lua_option webhook_rows[] = {
  {"headers", UK_OPTION_VALUE, false, 0, 0, 0, NULL}, {.name = NULL}};

/* The transport and the credentials set these. */
static const char *const reserved_headers[] = {"Authorization",
                                               "Connection",
                                               "Content-Encoding",
                                               "Content-Length",
                                               "Expect",
                                               "Host",
                                               "Keep-Alive",
                                               "Proxy-Authorization",
                                               "TE",
                                               "Trailer",
                                               "Transfer-Encoding",
                                               "Upgrade",
                                               NULL};

static void check_header(const struct uk_lua_arguments *arguments, struct uk_slice name,
                         struct uk_slice value, const struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  if (!uk_header_name_valid(name))
    uk_lua_misuse(L, blame, "headers", "'%.64s' is not a valid header name", name.data);
  if (!uk_header_value_valid(value))
    uk_lua_misuse(L, blame, "headers", "%s: a control character in the value", name.data);
  for (const char *const *reserved = reserved_headers; *reserved != NULL; reserved++)
    if (strcasecmp(name.data, *reserved) == 0)
      uk_lua_misuse(L, blame, "headers", "%s: reserved for the transport", name.data);
}

/* The headers of a webhook that the client adds unless its caller does. */
struct given {
  bool type, key;
};

/* Adds the map of headers at `index`. */
static struct given add_webhook_headers(const struct uk_lua_arguments *arguments, int index,
                                        const struct uk_lua_blame *blame)
{
  lua_State *L = arguments->L;
  struct given given = {false, false};
  if (lua_type(L, index) != LUA_TTABLE)
    uk_lua_misuse_type(L, blame, "headers", "table", index);
  for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      uk_lua_misuse(L, blame, "headers", "names are strings, got a %s", luaL_typename(L, -2));
    struct uk_slice name, value = uk_lua_stack_header(L, lua_gettop(L), blame, "headers");
    name.data = lua_tolstring(L, -2, &name.length);
    check_header(arguments, name, value, blame);
    given.type = given.type || strcasecmp(name.data, "Content-Type") == 0;
    given.key = given.key || strcasecmp(name.data, UK_HEADER_IDEMPOTENCY_KEY) == 0;
    uk_client_request_header(arguments->request, name, value);
  }
  return given;
}

void uk_lua_build_webhook(const struct uk_lua_arguments *arguments)
{
  lua_State *L = arguments->L;
  struct uk_slice topic = uk_lua_argument_name(arguments, 1, "topic");
  struct uk_lua_blame blame = uk_lua_argument_blame(arguments, 2);
  struct uk_slice body = uk_lua_stack_text(L, uk_lua_argument_index(arguments, 2), &blame, "body");
  uk_lua_begin(arguments, UK_ENDPOINT_WEBHOOK);
  uk_client_request_query(arguments->request, "topic", topic);
  uk_client_request_raw(arguments->request, body);
  blame.argument = 3;
  lua_pushnil(L);
  int headers = lua_gettop(L);
  uk_lua_read_options(L, uk_lua_argument_index(arguments, 3), true, webhook_rows, NULL, headers,
                      &blame);
  struct given given = {false, false};
  if (!lua_isnil(L, headers))
    given = add_webhook_headers(arguments, headers, &blame);
  if (!given.key)
    add_key(arguments);
  if (!given.type && body.length > 0)
    uk_lua_add_header(arguments, "Content-Type", "application/octet-stream");
}
