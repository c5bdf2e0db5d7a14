#include "binding/client.h"

#include <stdio.h>

#include "binding/call_memory.h"
#include "binding/options.h"
#include "binding/retry_lua.h"
#include "client/proxy.h"

#define CLIENT_TYPE "upstash.kafka.client"

enum { URL_SHOWN_SIZE = 256 };

struct uk_lua_client *uk_lua_to_client(lua_State *L, int index)
{
  return luaL_checkudata(L, index, CLIENT_TYPE);
}

struct uk_lua_client *uk_lua_check_client(lua_State *L)
{
  struct uk_lua_client *client = uk_lua_to_client(L, 1);
  if (client->transport == NULL)
    luaL_error(L, "client is closed");
  return client;
}

#define SETTING(name, type, member, min, max)                                                      \
  {                                                                                                \
    name, type, false, offsetof(struct uk_settings_options, member), min, max, NULL                \
  }
#define MILLISECONDS(name, member, min)                                                            \
  SETTING(name, UK_OPTION_INTEGER, member, min, UK_MILLISECONDS_MAX)

static const struct uk_lua_option new_rows[] = {
  {"url", UK_OPTION_STRING, true, offsetof(struct uk_settings_options, url), 0, 0, NULL},
  SETTING("username", UK_OPTION_STRING, username, 0, 0),
  SETTING("password", UK_OPTION_STRING, password, 0, 0),
  SETTING("ca_file", UK_OPTION_TEXT, ca_file, 0, 0),
  SETTING("proxy", UK_OPTION_TEXT, proxy, 0, 0),
  MILLISECONDS("timeout", timeout, 1),
  MILLISECONDS("connect_timeout", connect_timeout, 1),
  SETTING("retries", UK_OPTION_INTEGER, retries, 0, UK_RETRIES_MAX),
  MILLISECONDS("retry_delay", retry_delay, 0),
  MILLISECONDS("retry_delay_max", retry_delay_max, 0),
  SETTING("max_response_bytes", UK_OPTION_INTEGER, max_response_bytes, 1, INT64_C(1) << 40),
  SETTING("binary", UK_OPTION_BOOLEAN, binary, 0, 0),
  SETTING("verify", UK_OPTION_BOOLEAN, verify, 0, 0),
  SETTING("compress", UK_OPTION_BOOLEAN, compress, 0, 0),
  SETTING("idempotent", UK_OPTION_BOOLEAN, idempotent, 0, 0),
  {"encode", UK_OPTION_FUNCTION, false, 0, 0, 0, NULL},
  {.name = NULL}};

int uk_lua_client_new(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "new", .argument = 1};
  char message[128];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  lua_settop(L, 1);
  lua_pushnil(L); /* place of the encode function */
  struct uk_lua_client *client = lua_newuserdata(L, sizeof *client);
  *client = (struct uk_lua_client){.transport = NULL};
  luaL_getmetatable(L, CLIENT_TYPE);
  lua_setmetatable(L, -2);
  lua_createtable(L, UK_COMPANION_ENCODE, 0);
  /* Until the settings are copied nothing allocates in Lua: a finaliser could change the table. */
  uk_lua_read_options(L, 1, false, new_rows, &options, 2, &blame);
  if (!uk_settings_init(&client->settings, &options, message, sizeof message))
    return uk_lua_misuse(L, &blame, NULL, "%s", message);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, UK_COMPANION_ENCODE);
  uk_lua_set_companion(L, -2);
  client->transport = uk_transport_open(&client->settings);
  if (client->transport == NULL)
    return luaL_error(L, "%s", uk_error_text(UK_E_NO_MEMORY));
  return 1;
}

/* close, __gc and __close. */
static int close_client(lua_State *L)
{
  struct uk_lua_client *client = uk_lua_to_client(L, 1), closed = *client;
  *client = (struct uk_lua_client){.transport = NULL};
  uk_transport_close(closed.transport);
  uk_settings_free(&closed.settings);
  return 0;
}

static const struct {
  const char *name;
  size_t offset; /* in struct uk_settings_options */
} integers[] = {{"timeout", offsetof(struct uk_settings_options, timeout)},
                {"connect_timeout", offsetof(struct uk_settings_options, connect_timeout)},
                {"retries", offsetof(struct uk_settings_options, retries)},
                {"retry_delay", offsetof(struct uk_settings_options, retry_delay)},
                {"retry_delay_max", offsetof(struct uk_settings_options, retry_delay_max)},
                {"max_response_bytes", offsetof(struct uk_settings_options, max_response_bytes)}},
  booleans[] = {{"binary", offsetof(struct uk_settings_options, binary)},
                {"verify", offsetof(struct uk_settings_options, verify)},
                {"compress", offsetof(struct uk_settings_options, compress)},
                {"idempotent", offsetof(struct uk_settings_options, idempotent)}};

static void set_text(lua_State *L, const char *name, const char *text)
{
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

/* client:settings() -> the options of core.new, with defaults. Copies them first, like
 * client_text. */
static int client_settings(lua_State *L)
{
  const struct uk_settings *settings = &uk_lua_check_client(L)->settings;
  const struct uk_settings_options options = settings->options;
  char url[UK_SETTINGS_URL_MAX + 1], socket[UK_SETTINGS_SOCKET_MAX + 1] = "", ca_file[4096] = "";
  char proxy[UK_PROXY_NAME_SIZE] = "";
  snprintf(url, sizeof url, "%s", settings->url.data);
  if (settings->socket != NULL)
    snprintf(socket, sizeof socket, "%s", settings->socket);
  if (options.ca_file != NULL)
    snprintf(ca_file, sizeof ca_file, "%s", options.ca_file);
  if (settings->proxy != NULL)
    snprintf(proxy, sizeof proxy, "%s", settings->proxy_name);
  lua_createtable(L, 0, 13);
  set_text(L, "url", url);
  if (socket[0] != '\0')
    set_text(L, "socket", socket);
  if (ca_file[0] != '\0')
    set_text(L, "ca_file", ca_file);
  if (proxy[0] != '\0')
    set_text(L, "proxy", proxy);
  for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
    uk_lua_push_integer(L, *(const int64_t *)((const char *)&options + integers[i].offset));
    lua_setfield(L, -2, integers[i].name);
  }
  for (size_t i = 0; i < sizeof booleans / sizeof *booleans; i++) {
    lua_pushboolean(L, *(const bool *)((const char *)&options + booleans[i].offset));
    lua_setfield(L, -2, booleans[i].name);
  }
  return 1;
}

/* Copies the URL first: pushing the string may run a finaliser that closes the client. */
static int client_text(lua_State *L)
{
  const struct uk_lua_client *client = uk_lua_to_client(L, 1);
  const struct uk_settings *settings = &client->settings;
  char url[URL_SHOWN_SIZE];
  if (client->transport == NULL) {
    lua_pushliteral(L, CLIENT_TYPE " (closed)");
    return 1;
  }
  if (settings->socket == NULL)
    snprintf(url, sizeof url, "%s", settings->url.data);
  else
    snprintf(url, sizeof url, "http://unix:%s%s%s", settings->socket,
             settings->prefix.length > 0 ? ":" : "", settings->prefix.data);
  lua_pushfstring(L, CLIENT_TYPE " (%s)", url);
  return 1;
}

static const luaL_Reg methods[] = {
  {"settings", client_settings}, {"close", close_client}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
  {"__gc", close_client}, {"__close", close_client}, {"__tostring", client_text}, {NULL, NULL}};

void uk_lua_client_register(lua_State *L)
{
  lua_newtable(L);
  uk_lua_setfuncs(L, methods);
  lua_pushvalue(L, -1);
  uk_lua_newtype(L, CLIENT_TYPE, metamethods);
  lua_pop(L, 1);
}
