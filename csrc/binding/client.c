#include "binding/client.h"

#include <stdlib.h>

#include "binding/calls.h"
#include "binding/exchange.h"
#include "binding/result.h"
#include "client/call.h"
#include "client/jitter.h"

#define CLIENT_TYPE "upstash.kafka.client"

enum { MILLISECONDS_MAX = 86400000, RETRIES_MAX = 1000 };

struct client {
  struct uk_transport *transport; /* NULL = closed, and the settings are empty */
  struct uk_settings settings;
};

static struct client *test_client(lua_State *L)
{
  return luaL_checkudata(L, 1, CLIENT_TYPE);
}

static struct client *check_client(lua_State *L)
{
  struct client *client = test_client(L);
  if (client->transport == NULL)
    luaL_error(L, "client is closed");
  return client;
}

/* ---- life ---- */

struct new_options {
  struct uk_settings_options settings;
};

#define SETTING(name, type, member, min, max)                                                     \
  {name, type, false, offsetof(struct uk_settings_options, member), min, max, NULL}
#define MILLISECONDS(name, member, min)                                                           \
  SETTING(name, UK_OPTION_INTEGER, member, min, MILLISECONDS_MAX)
#define RETRY_ROWS                                                                                \
  SETTING("retries", UK_OPTION_INTEGER, retries, 0, RETRIES_MAX),                                 \
    MILLISECONDS("retry_delay", retry_delay, 0), MILLISECONDS("retry_delay_max", retry_delay_max, 0)

static const struct uk_option new_rows[] = {
  {"url", UK_OPTION_STRING, true, offsetof(struct uk_settings_options, url), 0, 0, NULL},
  SETTING("username", UK_OPTION_STRING, username, 0, 0),
  SETTING("password", UK_OPTION_STRING, password, 0, 0),
  SETTING("ca_file", UK_OPTION_TEXT, ca_file, 0, 0),
  MILLISECONDS("timeout", timeout, 1),
  MILLISECONDS("connect_timeout", connect_timeout, 1),
  RETRY_ROWS,
  SETTING("max_response_bytes", UK_OPTION_INTEGER, max_response_bytes, 1, INT64_C(1) << 40),
  SETTING("binary", UK_OPTION_BOOLEAN, binary, 0, 0),
  SETTING("verify", UK_OPTION_BOOLEAN, verify, 0, 0),
  SETTING("compress", UK_OPTION_BOOLEAN, compress, 0, 0),
  {"encode", UK_OPTION_FUNCTION, false, 0, 0, 0, NULL},
  {"decode", UK_OPTION_FUNCTION, false, 1, 0, 0, NULL},
  {.name = NULL}};

int uk_client_new(lua_State *L)
{
  const struct uk_blame blame = {.function = "new", .argument = 1};
  char message[128];
  struct uk_settings_options options;
  uk_settings_options_default(&options);
  lua_settop(L, 3); /* options, encode, decode */
  lua_pushnil(L), lua_replace(L, 2);
  lua_pushnil(L), lua_replace(L, 3);
  uk_options_read(L, 1, false, new_rows, &options, 2, &blame);
  struct client *client = lua_newuserdata(L, sizeof *client);
  *client = (struct client){.transport = NULL};
  luaL_getmetatable(L, CLIENT_TYPE);
  lua_setmetatable(L, -2);
  lua_createtable(L, 3, 0);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, UK_COMPANION_ENCODE);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, UK_COMPANION_DECODE);
  uk_lua_set_companion(L, -2);
  if (!uk_settings_init(&client->settings, &options, message, sizeof message))
    return uk_misuse(L, &blame, NULL, "%s", message);
  client->transport = uk_transport_open(&client->settings);
  if (client->transport == NULL)
    return luaL_error(L, "%s", uk_error_text(UK_E_NO_MEMORY));
  return 1;
}

/* close, __gc and __close in one. */
static int close_client(lua_State *L)
{
  struct client *client = test_client(L), closed = *client;
  *client = (struct client){.transport = NULL};
  uk_transport_close(closed.transport);
  uk_settings_free(&closed.settings);
  return 0;
}

static int client_text(lua_State *L)
{
  const struct client *client = test_client(L);
  if (client->transport == NULL)
    lua_pushliteral(L, CLIENT_TYPE " (closed)");
  else
    lua_pushfstring(L, CLIENT_TYPE " (%s)", client->settings.url.data);
  return 1;
}

/* ---- calls ---- */

/* What one call stands on: its exchange and its request, built. */
struct call {
  lua_State *L;
  struct client *client;
  const struct uk_call_row *row;
  int companion, place; /* stack indices, the second of the exchange */
  struct uk_exchange *exchange;
};

static struct call take_exchange(lua_State *L, struct client *client, const struct uk_call_row *row)
{
  struct call call = {.L = L, .client = client, .row = row};
  uk_lua_get_companion(L, 1);
  call.companion = lua_gettop(L);
  call.exchange = uk_exchange_take(L, call.companion,
                                   (size_t)client->settings.options.max_response_bytes);
  call.place = lua_gettop(L);
  return call;
}

/* Arguments start at `first`. An encode function may have run, so the client may have been closed. */
static enum uk_error build(struct call *call, int first)
{
  struct uk_client_request *request = &call->exchange->request;
  const struct uk_arguments arguments = {.L = call->L,
                                         .function = call->row->name,
                                         .first = first,
                                         .companion = call->companion,
                                         .request = request,
                                         .binary = call->client->settings.options.binary};
  call->row->build(&arguments);
  check_client(call->L);
  return uk_client_request_end(request);
}

/* Gives the exchange back; `results` values lie on top of the stack. */
static int finish_call(const struct call *call, int results)
{
  uk_exchange_give(call->L, call->companion, call->place);
  return results;
}

static int push_call_failure(const struct call *call, const struct uk_client_failure *failure)
{
  const struct uk_failure result = {failure->error, failure->status, failure->retry_after,
                                    failure->message};
  return finish_call(call, uk_push_failure(call->L, &result));
}

static int push_request_failure(const struct call *call)
{
  const char *text = uk_client_request_message(&call->exchange->request);
  return finish_call(call, uk_push_error(call->L, call->exchange->request.error, text));
}

/* The body of a 2xx, in the exchange. */
static int push_result(const struct call *call)
{
  struct uk_buffer *body = &call->exchange->response;
  struct uk_response_reader reader;
  uk_response_open(&reader, body->data, body->length, call->client->settings.options.binary);
  if (call->row->decode(call->L, &reader) && uk_response_close(&reader) == UK_OK)
    return finish_call(call, 1);
  return finish_call(call, uk_push_error(call->L, reader.error, reader.message));
}

static int perform(lua_State *L)
{
  const struct uk_call_row *row = lua_touserdata(L, lua_upvalueindex(1));
  struct client *client = check_client(L);
  lua_settop(L, 1 + row->arguments);
  struct call call = take_exchange(L, client, row);
  if (build(&call, 2) != UK_OK)
    return push_request_failure(&call);
  struct uk_client_failure failure;
  if (!uk_call_perform(client->transport, &client->settings, &call.exchange->request, row->retry,
                       &call.exchange->response, &failure))
    return push_call_failure(&call, &failure);
  return push_result(&call);
}

/* ---- prepare and finish ---- */

static void set_string(lua_State *L, const char *name, const char *data, size_t length)
{
  lua_pushlstring(L, data, length);
  lua_setfield(L, -2, name);
}

static void push_headers(const struct call *call)
{
  lua_State *L = call->L;
  const struct uk_buffer *headers = &call->exchange->request.headers;
  const char *authorization = call->client->settings.authorization;
  lua_newtable(L);
  if (authorization != NULL && call->exchange->request.endpoint != UK_ENDPOINT_HEALTH)
    set_string(L, "Authorization", authorization, strlen(authorization));
  for (size_t at = 0; at < headers->length; at += strlen(headers->data + at) + 1) {
    const char *line = headers->data + at, *colon = strchr(line, ':');
    lua_pushlstring(L, line, (size_t)(colon - line));
    lua_pushstring(L, colon + 2);
    lua_rawset(L, -3);
  }
}

static const char *method_text(enum uk_method method)
{
  return method == UK_POST ? "POST" : method == UK_DELETE ? "DELETE" : "GET";
}

static void push_request(const struct call *call)
{
  lua_State *L = call->L;
  const struct uk_client_request *request = &call->exchange->request;
  const struct uk_settings *settings = &call->client->settings;
  lua_createtable(L, 0, 7);
  lua_pushstring(L, call->row->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, method_text(request->method));
  lua_setfield(L, -2, "method");
  lua_pushlstring(L, settings->prefix.data, settings->prefix.length);
  lua_pushlstring(L, request->path.data, request->path.length);
  lua_concat(L, 2);
  lua_setfield(L, -2, "path");
  lua_pushlstring(L, settings->url.data, settings->url.length);
  lua_pushlstring(L, request->path.data, request->path.length);
  lua_concat(L, 2);
  lua_setfield(L, -2, "url");
  push_headers(call);
  lua_setfield(L, -2, "headers");
  if (request->body.length > 0)
    set_string(L, "body", request->body.data, request->body.length);
  lua_pushnumber(L, (lua_Number)(settings->options.timeout + request->wait));
  lua_setfield(L, -2, "timeout");
}

/* The row that the string at `index` names; raises when it names none. */
static const struct uk_call_row *check_row(lua_State *L, int index, const struct uk_blame *blame,
                                           const char *field)
{
  if (lua_type(L, index) != LUA_TSTRING)
    uk_misuse_type(L, blame, field, "string", index);
  const struct uk_call_row *row = uk_find_call(lua_tostring(L, index));
  if (row == NULL)
    uk_misuse(L, blame, field, "no such method: '%.64s'", lua_tostring(L, index));
  return row;
}

static int prepare(lua_State *L)
{
  const struct uk_blame blame = {.function = "prepare", .argument = 1};
  struct client *client = check_client(L);
  const struct uk_call_row *row = check_row(L, 2, &blame, "method");
  lua_settop(L, 2 + row->arguments);
  struct call call = take_exchange(L, client, row);
  if (build(&call, 3) != UK_OK)
    return push_request_failure(&call);
  push_request(&call);
  return finish_call(&call, 1);
}

/* Argument 1 of finish: a table that prepare made. */
static const struct uk_call_row *check_request(lua_State *L)
{
  const struct uk_blame blame = {.function = "finish", .argument = 1};
  if (lua_type(L, 2) != LUA_TTABLE)
    uk_misuse_type(L, &blame, "request", "table", 2);
  lua_pushliteral(L, "name");
  lua_rawget(L, 2);
  const struct uk_call_row *row = check_row(L, -1, &blame, "request.name");
  lua_pop(L, 1);
  return row;
}

/* Argument 3 of finish: nil or a table with lower-case names. -1 when it says nothing. */
static int64_t check_retry_after(lua_State *L)
{
  const struct uk_blame blame = {.function = "finish", .argument = 3};
  if (lua_isnil(L, 4))
    return -1;
  if (lua_type(L, 4) != LUA_TTABLE)
    uk_misuse_type(L, &blame, "headers", "table", 4);
  lua_pushliteral(L, "retry-after");
  lua_rawget(L, 4);
  struct uk_slice text = {NULL, 0};
  if (lua_isstring(L, -1))
    text.data = lua_tolstring(L, -1, &text.length);
  int64_t seconds = uk_parse_retry_after(text);
  lua_pop(L, 1);
  return seconds;
}

/* Argument 4 of finish: nil or a string. Copies it into the exchange, to be read in place. */
static enum uk_error take_body(lua_State *L, struct uk_buffer *response)
{
  const struct uk_blame blame = {.function = "finish", .argument = 4};
  struct uk_slice body = {NULL, 0};
  uk_buffer_clear(response);
  if (!lua_isnil(L, 5)) {
    if (lua_type(L, 5) != LUA_TSTRING)
      uk_misuse_type(L, &blame, "body", "string", 5);
    body.data = lua_tolstring(L, 5, &body.length);
  }
  enum uk_error error = uk_buffer_append(response, body.data, body.length);
  return error == UK_E_TOO_LARGE ? UK_E_RESPONSE_TOO_LARGE : error;
}

static int finish(lua_State *L)
{
  struct client *client = check_client(L);
  const struct uk_option status_row = {"status", UK_OPTION_INTEGER, true, 0, 0, 999, NULL};
  const struct uk_blame blame = {.function = "finish", .argument = 2};
  int64_t status = 0;
  lua_settop(L, 5);
  const struct uk_call_row *row = check_request(L);
  uk_option_read_value(L, 3, &status_row, &status, 0, &blame);
  int64_t retry_after = check_retry_after(L);
  struct call call = take_exchange(L, client, row);
  struct uk_buffer *body = &call.exchange->response;
  enum uk_error error = take_body(L, body);
  if (error != UK_OK)
    return finish_call(&call, uk_push_error(L, error, NULL));
  struct uk_client_failure failure;
  if (uk_response_failed(&failure, (int)status, retry_after, body->data, body->length))
    return push_call_failure(&call, &failure);
  return push_result(&call);
}

/* ---- the retry policy ---- */

struct retry_details {
  struct uk_slice code;
  int64_t status, retry_after;
};

static const struct uk_option retry_rows[] = {
  {"method", UK_OPTION_TEXT, false, offsetof(struct uk_settings_options, ca_file), 0, 0, NULL},
  RETRY_ROWS,
  {.name = NULL}};

static enum uk_error find_error(struct uk_slice code)
{
  for (int error = UK_OK + 1; error < UK_ERROR_COUNT; error++)
    if (uk_slice_is(code, uk_error_word((enum uk_error)error)))
      return (enum uk_error)error;
  return UK_OK;
}

/* An integer field of the table at `index`, `otherwise` when it holds none. */
static int64_t get_integer(lua_State *L, int index, const char *name, int64_t otherwise)
{
  int64_t value;
  lua_pushstring(L, name);
  lua_rawget(L, index);
  if (uk_lua_read_integer(L, -1, &value) != UK_INTEGER_OK)
    value = otherwise;
  lua_pop(L, 1);
  return value;
}

int uk_client_retry_delay(lua_State *L)
{
  const struct uk_option attempt_row = {"attempt", UK_OPTION_INTEGER, true, 0, 1, RETRIES_MAX + 1, NULL};
  struct uk_blame blame = {.function = "retry_delay", .argument = 1};
  struct uk_settings settings = {.memory = NULL};
  int64_t attempt = 1;
  lua_settop(L, 3);
  uk_settings_options_default(&settings.options);
  uk_option_read_value(L, 1, &attempt_row, &attempt, 0, &blame);
  blame.argument = 2;
  luaL_checktype(L, 2, LUA_TTABLE);
  blame.argument = 3;
  uk_options_read(L, 3, true, retry_rows, &settings.options, 0, &blame);
  enum uk_retry_class class = UK_RETRY_SAFE;
  if (settings.options.ca_file != NULL) {
    lua_pushstring(L, settings.options.ca_file);
    class = check_row(L, -1, &blame, "method")->retry;
  }
  lua_pushliteral(L, "code");
  lua_rawget(L, 2);
  struct uk_slice code = {NULL, 0};
  if (lua_type(L, -1) == LUA_TSTRING)
    code.data = lua_tolstring(L, -1, &code.length);
  const struct uk_retry_policy policy = uk_call_policy(&settings, class);
  int64_t delay =
    uk_retry_delay(&policy, attempt, find_error(code), (int)get_integer(L, 2, "status", 0),
                   get_integer(L, 2, "retry_after", -1), uk_jitter());
  if (delay == UK_RETRY_STOP)
    lua_pushnil(L);
  else
    uk_lua_push_integer(L, delay);
  return 1;
}

/* ---- the type ---- */

static const luaL_Reg methods[] = {
  {"prepare", prepare}, {"finish", finish}, {"close", close_client}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
  {"__gc", close_client}, {"__close", close_client}, {"__tostring", client_text}, {NULL, NULL}};

void uk_client_register(lua_State *L)
{
  uk_exchange_register(L);
  lua_newtable(L);
  uk_lua_setfuncs(L, methods, 0);
  for (const struct uk_call_row *row = uk_calls; row->name != NULL; row++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)row);
    lua_pushcclosure(L, perform, 1);
    lua_setfield(L, -2, row->name);
  }
  lua_pushvalue(L, -1);
  uk_lua_newtype(L, CLIENT_TYPE, metamethods);
  lua_pop(L, 1);
}
