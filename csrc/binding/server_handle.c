#include "binding/server_handle.h"

#include <unistd.h>

#include "binding/options.h"
#include "binding/failure.h"
#include "binding/server_properties.h"
#include "binding/server_texts.h"

#define HANDLE_TYPE "upstash.kafka.server"

struct handle {
  struct uk_server *server; /* NULL = stopped */
  bool stopping;            /* a stop has left something */
  pid_t process;            /* the one that has the server's threads */
};

#define ROW(name, type, required)                                                                  \
  {                                                                                                \
#name, type, required, offsetof(struct uk_server_options, name), 0, 0, NULL                    \
  }

/* Stack indices of the argument and of options that stay on the stack. */
enum {
  ARGUMENT = 1,
  SLOTS,
  PROPERTIES = SLOTS,
  PROPERTY_FILES,
  CORS_ORIGIN,
  BEHIND_PROXY,
  LAST_SLOT = BEHIND_PROXY
};

#define SLOT(name, slot)                                                                           \
  {                                                                                                \
#name, UK_OPTION_VALUE, false, (slot)-SLOTS, 0, 0, NULL                                        \
  }

/* The server checks ranges: a value out of range is a failure, not misuse. */
static const struct uk_lua_option rows[] = {
  ROW(listen, UK_OPTION_TEXT, false),
  ROW(username, UK_OPTION_TEXT, false),
  ROW(password, UK_OPTION_TEXT, false),
  ROW(credentials, UK_OPTION_TEXT, false),
  ROW(data, UK_OPTION_TEXT, false),
  ROW(brokers, UK_OPTION_TEXT, false),
  SLOT(properties, PROPERTIES),
  SLOT(property_files, PROPERTY_FILES),
  ROW(prefetch_bytes, UK_OPTION_INTEGER, false),
  ROW(prefetch_budget, UK_OPTION_INTEGER, false),
  ROW(map_bytes, UK_OPTION_INTEGER, false),
  ROW(partitions, UK_OPTION_INTEGER, false),
  ROW(auto_create_topics, UK_OPTION_BOOLEAN, false),
  ROW(no_sync, UK_OPTION_BOOLEAN, false),
  ROW(idempotency_window, UK_OPTION_INTEGER, false),
  ROW(threads, UK_OPTION_INTEGER, false),
  ROW(max_connections, UK_OPTION_INTEGER, false),
  ROW(max_connections_per_address, UK_OPTION_INTEGER, false),
  ROW(tls_timeout, UK_OPTION_INTEGER, false),
  ROW(head_timeout, UK_OPTION_INTEGER, false),
  ROW(idle_timeout, UK_OPTION_INTEGER, false),
  ROW(min_rate, UK_OPTION_INTEGER, false),
  ROW(rate_period, UK_OPTION_INTEGER, false),
  ROW(max_header_bytes, UK_OPTION_INTEGER, false),
  ROW(max_body_bytes, UK_OPTION_INTEGER, false),
  ROW(max_message_bytes, UK_OPTION_INTEGER, false),
  ROW(max_request_memory, UK_OPTION_INTEGER, false),
  SLOT(cors_origin, CORS_ORIGIN),
  SLOT(behind_proxy, BEHIND_PROXY),
  ROW(insecure, UK_OPTION_BOOLEAN, false),
  ROW(tls_cert, UK_OPTION_TEXT, false),
  ROW(tls_key, UK_OPTION_TEXT, false),
  ROW(tls_priorities, UK_OPTION_TEXT, false),
  {.name = NULL}};

static void read_lists(lua_State *L, struct uk_server_options *options,
                       const struct uk_lua_blame *blame)
{
  const struct uk_lua_texts origins =
    uk_lua_server_read_texts(L, CORS_ORIGIN, "cors_origin", "an origin", blame);
  const struct uk_lua_texts proxies =
    uk_lua_server_read_texts(L, BEHIND_PROXY, "behind_proxy", "an address", blame);
  options->cors_origins = origins.texts;
  options->cors_origin_count = origins.count;
  options->proxies = proxies.texts;
  options->proxy_count = proxies.count;
}

/* Without a file of credentials, or if one of the two is given, both are needed. */
static void check_login(lua_State *L, const struct uk_server_options *options,
                        const struct uk_lua_blame *blame)
{
  const bool needed =
    options->credentials == NULL || options->username != NULL || options->password != NULL;
  if (needed && options->username == NULL)
    uk_lua_misuse(L, blame, "username", "required, but absent");
  if (needed && options->password == NULL)
    uk_lua_misuse(L, blame, "password", "required, but absent");
}

int uk_lua_server_start(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "start", .argument = 1};
  char message[512] = "";
  struct uk_server_options options;
  uk_server_options_default(&options);
  lua_settop(L, ARGUMENT); /* drop further arguments, then fill each stack slot with nil */
  lua_settop(L, LAST_SLOT);
  uk_lua_read_options(L, ARGUMENT, false, rows, &options, SLOTS, &blame);
  check_login(L, &options, &blame);
  uk_lua_server_read_properties(L, (struct uk_lua_property_slots){PROPERTIES, PROPERTY_FILES},
                                &options, &blame);
  read_lists(L, &options, &blame);
  struct handle *handle = lua_newuserdata(L, sizeof *handle);
  *handle = (struct handle){.process = getpid()};
  luaL_getmetatable(L, HANDLE_TYPE);
  lua_setmetatable(L, -2);
  enum uk_error error = uk_server_start(&handle->server, &options, message, sizeof message);
  if (error == UK_OK)
    return 1;
  handle->server = NULL;
  return uk_lua_push_error(L, error, message[0] != '\0' ? message : NULL);
}

void uk_lua_server_push_defaults(lua_State *L)
{
  struct uk_server_options options;
  uk_server_options_default(&options);
  lua_newtable(L);
  for (const struct uk_lua_option *row = rows; row->name != NULL; row++) {
    if (row->type == UK_OPTION_VALUE)
      continue; /* has no default */
    const void *field = (const char *)&options + row->offset;
    if (row->type == UK_OPTION_TEXT)
      lua_pushstring(L, *(const char *const *)field); /* nil for NULL */
    else if (row->type == UK_OPTION_BOOLEAN)
      lua_pushboolean(L, *(const bool *)field);
    else if (!uk_lua_push_integer(L, *(const int64_t *)field))
      lua_pushnil(L);
    lua_setfield(L, -2, row->name);
  }
  lua_pushliteral(L, "*");
  lua_setfield(L, -2, "cors_origin");
}

static struct handle *check_handle(lua_State *L)
{
  return luaL_checkudata(L, 1, HANDLE_TYPE);
}

/* After a fork the threads exist in the parent only: the child just forgets the server. */
static struct uk_server *take_server(struct handle *handle)
{
  struct uk_server *server = handle->process == getpid() ? handle->server : NULL;
  handle->server = NULL;
  return server;
}

/* stop() -> true | nil, message, details. What was left can be stopped later. */
static int stop(lua_State *L)
{
  char message[UK_SERVER_LEFT_SIZE] = "";
  struct handle *handle = check_handle(L);
  struct uk_server *server = take_server(handle);
  enum uk_error error =
    server != NULL ? uk_server_try_stop(server, message, sizeof message) : UK_OK;
  if (error != UK_OK) {
    handle->server = server;
    handle->stopping = true;
    return uk_lua_push_error(L, error, message);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* __gc and __close. */
static int stop_for_good(lua_State *L)
{
  uk_server_stop(take_server(check_handle(L)));
  return 0;
}

static bool is_stopped(const struct handle *handle)
{
  return handle->server == NULL || handle->stopping;
}

struct uk_server *uk_lua_server_of(lua_State *L, int index)
{
  const struct handle *handle = luaL_checkudata(L, index, HANDLE_TYPE);
  if (is_stopped(handle))
    luaL_error(L, "server is stopped");
  return handle->server;
}

static int url(lua_State *L)
{
  lua_pushstring(L, uk_server_url(uk_lua_server_of(L, 1)));
  return 1;
}

/* reload() -> true | nil, message, details. */
static int reload(lua_State *L)
{
  char message[UK_SERVER_RELOAD_SIZE] = "";
  const enum uk_error error = uk_server_reload(uk_lua_server_of(L, 1), message, sizeof message);
  if (error != UK_OK)
    return uk_lua_push_error(L, error, message);
  lua_pushboolean(L, 1);
  return 1;
}

static int text(lua_State *L)
{
  const struct handle *handle = check_handle(L);
  if (is_stopped(handle))
    lua_pushliteral(L, HANDLE_TYPE " (stopped)");
  else
    lua_pushfstring(L, HANDLE_TYPE " (%s)", uk_server_url(handle->server));
  return 1;
}

void uk_lua_server_register_handle(lua_State *L)
{
  static const luaL_Reg methods[] = {
    {"url", url}, {"reload", reload}, {"stop", stop}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
    {"__gc", stop_for_good}, {"__close", stop_for_good}, {"__tostring", text}, {NULL, NULL}};
  lua_newtable(L);
  uk_lua_setfuncs(L, methods);
  uk_lua_newtype(L, HANDLE_TYPE, metamethods);
  lua_pop(L, 1);
}
