#include "binding/perform.h"

#include "binding/calls.h"
#include "binding/client.h"
#include "binding/call_memory.h"
#include "binding/failure.h"
#include "binding/partial_produce.h"
#include "binding/place_text.h"
#include "client/call.h"
#include "client/framing.h"
#include "common/clock.h"
#include "common/utf8.h"

/* One call. */
struct call {
  lua_State *L;
  struct uk_lua_client *client;
  const struct uk_lua_call_row *row;
  int companion, place; /* stack indices; `place` is that of `memory` */
  struct uk_lua_call_memory *memory;
};

static struct call take_memory(lua_State *L, struct uk_lua_client *client,
                               const struct uk_lua_call_row *row)
{
  struct call call = {.L = L, .client = client, .row = row};
  uk_lua_get_companion(L, 1);
  call.companion = lua_gettop(L);
  call.memory =
    uk_lua_call_memory_take(L, call.companion, (size_t)client->settings.options.max_response_bytes);
  call.place = lua_gettop(L);
  return call;
}

/* Builds the request from the arguments, which start at `first`. Raises if an encode function
 * closed the client. */
static enum uk_error build(struct call *call, int first)
{
  struct uk_client_request *request = &call->memory->request;
  const struct uk_lua_arguments arguments = {.L = call->L,
                                             .function = call->row->name,
                                             .first = first,
                                             .companion = call->companion,
                                             .request = request,
                                             .keys = &call->client->keys,
                                             .binary = call->client->settings.options.binary};
  call->row->build(&arguments);
  uk_lua_check_client(call->L);
  return uk_client_request_end(request);
}

/* Returns whether the call sends several messages, so that it may be partly stored. */
static bool produces_many(const struct uk_lua_call_row *row)
{
  return row->decode == uk_lua_decode_metadata_list;
}

/* Gives the call memory back. The results are on top of the stack; returns their number. */
static int finish_call(const struct call *call, int results)
{
  uk_lua_call_memory_give(call->L, call->companion, call->place);
  return results;
}

/* Explains that credentials in the environment were not used: the caller may rely on them. */
static int push_anonymous_failure(const struct call *call, struct uk_lua_failure *failure)
{
  lua_State *L = call->L;
  luaL_checkstack(L, 3, NULL);
  lua_pushlstring(L, failure->message.data, failure->message.length);
  lua_pushliteral(L, " (no credentials were sent: username and password are missing; those in the "
                     "environment are used only with UPSTASH_KAFKA_REST_URL)");
  lua_concat(L, 2);
  failure->message.data = lua_tolstring(L, -1, &failure->message.length);
  return finish_call(call, uk_lua_push_failure(L, failure));
}

static const char again[] =
  "the instance's next consume, commit or delete_consumer acknowledges the messages of this "
  "response. To get them again with auto_commit = false: commit what you have handled, call "
  "delete_consumer, "
  "then consume with a smaller max_messages. With auto-commit: send no request of this instance "
  "for "
  "session_timeout, then consume";

static const char *again_of(const struct uk_lua_call_row *row, enum uk_error error, int status)
{
  const bool consumes = strcmp(row->name, "consume") == 0;
  return consumes && uk_retry_maybe_executed(error, status) ? again : NULL;
}

static bool returns_messages(const struct uk_lua_call_row *row)
{
  return row->decode == uk_lua_decode_messages;
}

/* Pushes the failure of a response that did not arrive or cannot be read. The beginning of one that
 * is too large gives its position. */
static int push_lost(const struct call *call, struct uk_lua_failure failure, struct uk_buffer *body)
{
  struct uk_response_position first = {.known = false};
  failure.again = again_of(call->row, failure.error, failure.status);
  if (failure.error == UK_E_RESPONSE_TOO_LARGE && returns_messages(call->row)) {
    uk_response_first(body->data, body->length, &first);
    failure.position = &first;
  }
  return finish_call(call, uk_lua_push_failure(call->L, &failure));
}

/* `messages` is that of uk_response_results. */
static int push_call_failure(const struct call *call, struct uk_client_failure *failure,
                             size_t messages)
{
  char text[UK_PLACE_TEXT_SIZE];
  failure->message = uk_lua_place_text(text, failure->message, call->row->list);
  if (failure->has_results && produces_many(call->row))
    return finish_call(call, uk_lua_push_partial_produce(call->L, failure, messages));
  struct uk_lua_failure result = {.error = failure->error,
                                  .status = failure->status,
                                  .retry_after = failure->retry_after,
                                  .message = failure->message};
  if (failure->error == UK_E_UNAUTHORIZED && call->client->settings.authorization == NULL) {
    if (result.message.data == NULL)
      result.message = uk_slice_text(uk_error_text(result.error));
    return push_anonymous_failure(call, &result);
  }
  return push_lost(call, result, &call->memory->response);
}

static int push_request_failure(const struct call *call)
{
  const char *text = uk_client_request_message(&call->memory->request);
  return finish_call(call, uk_lua_push_error(call->L, call->memory->request.error, text));
}

static void set_text(lua_State *L, const char *name, const char *text)
{
  if (text[0] == '\0')
    return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

/* Pushes what the headers of a 2xx response said, if anything, behind the result: nil and details.
 * Returns the number of values, with the result. */
static int push_notes(lua_State *L, const struct uk_response_notes *notes)
{
  if (!notes->replayed && notes->batch[0] == '\0' && notes->skipped[0] == '\0')
    return 1;
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  lua_createtable(L, 0, 2);
  set_text(L, "batch", notes->batch);
  set_text(L, "commit_skipped", notes->skipped);
  if (notes->replayed) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "replayed");
  }
  return 3;
}

/* Pushes the result in the body of a 2xx response. `messages` is the reader's. */
static int push_result(const struct call *call, size_t messages,
                       const struct uk_response_notes *notes)
{
  struct uk_buffer *body = &call->memory->response;
  struct uk_response_reader reader;
  uk_response_open(&reader, body->data, body->length, call->client->settings.options.binary);
  reader.messages = messages;
  if (call->row->decode(call->L, &reader) && uk_response_close(&reader) == UK_OK)
    return finish_call(call, push_notes(call->L, notes));
  struct uk_lua_failure failure = {.error = reader.error,
                                   .retry_after = -1,
                                   .message = uk_slice_text(reader.message),
                                   .position = &reader.fault,
                                   .again = again_of(call->row, reader.error, 0)};
  return finish_call(call, uk_lua_push_failure(call->L, &failure));
}

/* A produce may be repeated if the server honours its key. */
static enum uk_retry_class retry_class(const struct uk_lua_call_row *row,
                                       const struct uk_settings *settings)
{
  return row->keyed && settings->options.idempotent ? UK_RETRY_SAFE : row->retry;
}

/* A client's method: upvalue 1 is the call's row, as light userdata. Blocks. */
static int perform(lua_State *L)
{
  const struct uk_lua_call_row *row = lua_touserdata(L, lua_upvalueindex(1));
  struct uk_lua_client *client = uk_lua_check_client(L);
  lua_settop(L, 1 + row->arguments);
  struct call call = take_memory(L, client, row);
  if (build(&call, 2) != UK_OK)
    return push_request_failure(&call);
  struct uk_client_failure failure;
  if (!uk_call_perform(client->transport, &client->settings, &call.memory->request,
                       retry_class(row, &client->settings), client->signals, &call.memory->response,
                       &failure))
    return push_call_failure(&call, &failure, call.memory->request.messages);
  /* Copied: a finaliser that runs while the result is pushed may close the client. */
  const struct uk_response_notes notes = *uk_transport_notes(client->transport);
  return push_result(&call, call.memory->request.messages, &notes);
}

/* Prepare and finish. */

static void set_string(lua_State *L, const char *name, const char *data, size_t length)
{
  lua_pushlstring(L, data, length);
  lua_setfield(L, -2, name);
}

static void push_headers(lua_State *L, const struct uk_buffer *headers)
{
  lua_newtable(L);
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

/* Copies what the request takes from the client's settings: a finaliser that runs while its table
 * is pushed may close the client. */
static enum uk_error copy_settings(const struct call *call)
{
  const struct uk_settings *settings = &call->client->settings;
  struct uk_client_request *request = &call->memory->request;
  struct uk_buffer *url = &call->memory->url;
  uk_buffer_clear(url);
  uk_buffer_append(url, settings->url.data, settings->url.length);
  uk_buffer_append(url, request->path.data, request->path.length);
  if (settings->authorization != NULL)
    uk_client_request_header(request, uk_slice_text("Authorization"),
                             uk_slice_text(settings->authorization));
  return url->error != UK_OK ? url->error : request->headers.error;
}

static void push_request(const struct call *call, size_t path_at, int64_t timeout)
{
  lua_State *L = call->L;
  const struct uk_client_request *request = &call->memory->request;
  const struct uk_buffer *url = &call->memory->url;
  lua_createtable(L, 0, 8);
  lua_pushstring(L, call->row->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, method_text(request->method));
  lua_setfield(L, -2, "method");
  set_string(L, "url", url->data, url->length);
  set_string(L, "path", url->data + path_at, url->length - path_at);
  push_headers(L, &request->headers);
  lua_setfield(L, -2, "headers");
  if (request->body.length > 0)
    set_string(L, "body", request->body.data, request->body.length);
  uk_lua_push_integer(L, timeout);
  lua_setfield(L, -2, "timeout");
  if (!produces_many(call->row))
    return;
  uk_lua_push_integer(L, (int64_t)request->messages);
  lua_setfield(L, -2, "messages");
}

/* Returns the row that the string at `index` names. Raises if there is none. */
static const struct uk_lua_call_row *check_row(lua_State *L, int index,
                                               const struct uk_lua_blame *blame, const char *field)
{
  if (lua_type(L, index) != LUA_TSTRING)
    uk_lua_misuse_type(L, blame, field, "string", index);
  const struct uk_lua_call_row *row = uk_lua_find_call(lua_tostring(L, index));
  if (row == NULL)
    uk_lua_misuse(L, blame, field, "no such method: '%.64s'", lua_tostring(L, index));
  return row;
}

/* client:prepare(method, ...) -> the request as a table; no I/O. */
static int prepare(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "prepare", .argument = 1};
  struct uk_lua_client *client = uk_lua_check_client(L);
  const struct uk_lua_call_row *row = check_row(L, 2, &blame, "method");
  lua_settop(L, 2 + row->arguments);
  struct call call = take_memory(L, client, row);
  if (build(&call, 3) != UK_OK)
    return push_request_failure(&call);
  const struct uk_settings *settings = &client->settings;
  size_t path_at = settings->url.length - settings->prefix.length;
  int64_t timeout = settings->options.timeout + call.memory->request.wait;
  enum uk_error error = copy_settings(&call);
  if (error != UK_OK)
    return finish_call(&call, uk_lua_push_error(L, error, NULL));
  push_request(&call, path_at, timeout);
  return finish_call(&call, 1);
}

static const struct uk_lua_option messages_row = {
  "request.messages", UK_OPTION_INTEGER, false, 0, 0, INT32_MAX, NULL};

/* Reads argument 1 of finish and fail, a table from prepare. Sets `messages` to 0 if it has
 * none. */
static const struct uk_lua_call_row *check_request(lua_State *L, const char *function,
                                                   size_t *messages)
{
  const struct uk_lua_blame blame = {.function = function, .argument = 1};
  int64_t count = 0;
  if (lua_type(L, 2) != LUA_TTABLE)
    uk_lua_misuse_type(L, &blame, "request", "table", 2);
  lua_pushliteral(L, "name");
  lua_rawget(L, 2);
  const struct uk_lua_call_row *row = check_row(L, -1, &blame, "request.name");
  lua_pushliteral(L, "messages");
  lua_rawget(L, 2);
  if (!lua_isnil(L, -1))
    uk_lua_read_option(L, -1, &messages_row, &count, 0, &blame);
  *messages = (size_t)count;
  lua_pop(L, 2);
  return row;
}

/* Checks argument 3 of finish: nil or a table whose keys are lower case. */
static void check_headers(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "finish", .argument = 3};
  if (!lua_isnil(L, 4) && lua_type(L, 4) != LUA_TTABLE)
    uk_lua_misuse_type(L, &blame, "headers", "table", 4);
}

static bool has_header(lua_State *L, const char *name)
{
  lua_pushstring(L, name);
  lua_rawget(L, 4);
  const bool has = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return has;
}

/* Returns whether the body was cut short. Only possible if the headers name neither length nor
 * chunks. */
static bool is_lost(lua_State *L, int status, const struct uk_buffer *body)
{
  if (lua_isnil(L, 4))
    return false;
  const struct uk_framing framing = {.headed = true,
                                     .bounded = has_header(L, "content-length") ||
                                                has_header(L, "transfer-encoding")};
  return !uk_framing_whole(&framing, status, uk_buffer_slice(body));
}

/* Returns the seconds of Retry-After, -1 without that header. */
static int64_t read_retry_after(lua_State *L)
{
  if (lua_isnil(L, 4))
    return -1;
  lua_pushliteral(L, "retry-after");
  lua_rawget(L, 4);
  struct uk_slice text = {NULL, 0};
  if (lua_isstring(L, -1))
    text.data = lua_tolstring(L, -1, &text.length);
  int64_t seconds = uk_parse_retry_after(text, uk_clock_epoch() / 1000);
  lua_pop(L, 1);
  return seconds;
}

/* Takes what the headers say, which are argument 3 of finish. */
static void read_notes(lua_State *L, struct uk_response_notes *notes)
{
  static const char *const names[] = {"kafka-batch", "kafka-commit-skipped", "idempotent-replayed"};
  *notes = (struct uk_response_notes){.replayed = false};
  for (size_t i = 0; i < sizeof names / sizeof *names && !lua_isnil(L, 4); i++) {
    struct uk_slice value = {NULL, 0};
    lua_pushstring(L, names[i]);
    lua_rawget(L, 4);
    if (lua_type(L, -1) == LUA_TSTRING) {
      value.data = lua_tolstring(L, -1, &value.length);
      uk_response_notes_take(notes, uk_slice_text(names[i]), value);
    }
    lua_pop(L, 1);
  }
}

/* Copies argument 4 of finish and fail, nil or a string, into the call memory, where the reader
 * changes it. */
static enum uk_error take_body(lua_State *L, const char *function, struct uk_buffer *response)
{
  const struct uk_lua_blame blame = {.function = function, .argument = 4};
  struct uk_slice body = {"", 0};
  uk_buffer_clear(response);
  if (!lua_isnil(L, 5)) {
    if (lua_type(L, 5) != LUA_TSTRING)
      uk_lua_misuse_type(L, &blame, "body", "string", 5);
    body.data = lua_tolstring(L, 5, &body.length);
  }
  const size_t fits = body.length < response->limit ? body.length : response->limit;
  uk_buffer_append(response, body.data, fits);
  enum uk_error error = uk_buffer_append(response, body.data + fits, body.length - fits);
  return error == UK_E_TOO_LARGE ? UK_E_RESPONSE_TOO_LARGE : error;
}

/* client:finish(request, status, headers, body) -> what the method returns for that response. No
 * I/O. */
static int finish(lua_State *L)
{
  struct uk_lua_client *client = uk_lua_check_client(L);
  const struct uk_lua_option status_row = {"status", UK_OPTION_INTEGER, true, 0, 0, 999, NULL};
  const struct uk_lua_blame blame = {.function = "finish", .argument = 2};
  int64_t status = 0;
  lua_settop(L, 5);
  size_t messages;
  const struct uk_lua_call_row *row = check_request(L, "finish", &messages);
  uk_lua_read_option(L, 3, &status_row, &status, 0, &blame);
  check_headers(L);
  int64_t retry_after = read_retry_after(L);
  struct uk_response_notes notes;
  read_notes(L, &notes);
  struct call call = take_memory(L, client, row);
  uk_lua_check_client(L);
  struct uk_buffer *body = &call.memory->response;
  struct uk_lua_failure lost = {.error = take_body(L, "finish", body), .retry_after = -1};
  if (lost.error != UK_OK)
    return push_lost(&call, lost, body);
  struct uk_client_failure failure;
  if (uk_response_failed(&failure, (int)status, retry_after, body->data, body->length))
    return push_call_failure(&call, &failure, messages);
  if (is_lost(L, (int)status, body)) {
    lost.error = UK_E_CONNECTION_LOST;
    return push_lost(&call, lost, body);
  }
  return push_result(&call, messages, &notes);
}

/* Reads argument 2 of fail. */
static enum uk_error check_code(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "fail", .argument = 2};
  if (lua_type(L, 3) != LUA_TSTRING)
    uk_lua_misuse_type(L, &blame, "code", "string", 3);
  const enum uk_error error = uk_error_from_word(lua_tostring(L, 3));
  if (error == UK_OK)
    uk_lua_misuse(L, &blame, "code", "no such code: '%.64s'", lua_tostring(L, 3));
  return error;
}

/* Replaces the control characters of the string at `index`, which may quote a server. */
static void replace_controls(lua_State *L, int index)
{
  size_t length;
  const char *text = lua_tolstring(L, index, &length);
  char *copy = lua_newuserdata(L, length + 1);
  memcpy(copy, text, length);
  uk_utf8_replace_controls(copy, length);
  lua_pushlstring(L, copy, length);
  lua_replace(L, index);
  lua_pop(L, 1);
}

/* Reads argument 3 of fail: nil or a string. */
static struct uk_slice check_text(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "fail", .argument = 3};
  struct uk_slice text = {NULL, 0};
  if (lua_isnil(L, 4))
    return text;
  if (lua_type(L, 4) != LUA_TSTRING)
    uk_lua_misuse_type(L, &blame, "text", "string", 4);
  replace_controls(L, 4);
  text.data = lua_tolstring(L, 4, &text.length);
  return text;
}

/* client:fail(request, code [, text [, body]]) -> what the method returns when the transfer fails
 * with that code. `body` is the part that arrived of a response that is too large. */
static int fail(lua_State *L)
{
  struct uk_lua_client *client = uk_lua_check_client(L);
  size_t messages;
  lua_settop(L, 5);
  const struct uk_lua_call_row *row = check_request(L, "fail", &messages);
  struct uk_lua_failure failure = {.error = check_code(L), .retry_after = -1};
  failure.message = check_text(L);
  struct call call = take_memory(L, client, row);
  uk_lua_check_client(L);
  take_body(L, "fail", &call.memory->response);
  return push_lost(&call, failure, &call.memory->response);
}

void uk_lua_add_calls(lua_State *L)
{
  static const luaL_Reg halves[] = {
    {"prepare", prepare}, {"finish", finish}, {"fail", fail}, {NULL, NULL}};
  uk_lua_setfuncs(L, halves);
  for (const struct uk_lua_call_row *row = uk_lua_calls; row->name != NULL; row++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)row);
    lua_pushcclosure(L, perform, 1);
    lua_setfield(L, -2, row->name);
  }
}
