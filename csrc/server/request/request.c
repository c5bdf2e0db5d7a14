#include "server/request/request.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json_writer.h"
#include "common/nearest.h"
#include "common/percent.h"
#include "server/engine/engine.h"

enum { ERROR_TEXT_SIZE = 1024, NAME_SHOWN = 64 };

struct uk_slice uk_request_header(const struct uk_request *request, const char *name)
{
  return request->methods->header(request, name);
}

void uk_request_each_header(const struct uk_request *request, uk_header_visitor *each,
                            void *argument)
{
  request->methods->each_header(request, each, argument);
}

bool uk_request_is_client_alive(const struct uk_request *request)
{
  return !__atomic_load_n(&request->is_answered, __ATOMIC_ACQUIRE) &&
         request->methods->is_client_alive(request);
}

void uk_request_reply(struct uk_request *request)
{
  request->methods->reply(request);
}

void uk_request_reply_early(struct uk_request *request)
{
  request->methods->reply_early(request);
}

void uk_request_ask(const struct uk_request *request, struct uk_slice recipient)
{
  request->methods->ask(request, recipient);
}

bool uk_request_follow(struct uk_request *request, struct uk_receipt *receipt)
{
  if (request->methods->follow(request, receipt)) {
    request->receipt = receipt;
    return true;
  }
  free(receipt);
  return false;
}

struct uk_arena *uk_request_scratch(struct uk_request *request)
{
  return request->body_length < UK_SCRATCH_LEAST ? &request->arena : &request->scratch;
}

void uk_request_drop_input(struct uk_request *request, bool keep_body)
{
  uk_arena_free(&request->scratch);
  if (keep_body || request->body == NULL)
    return;
  request->methods->drop_body(request);
  request->body = NULL;
  request->body_length = 0;
}

void uk_request_trust(const struct uk_request *request)
{
  request->methods->trust(request);
}

void uk_request_add_header(struct uk_request *request, const char *name, const char *value)
{
  if (request->reply_header_count == UK_REPLY_HEADERS) {
    request->reply.error = UK_E_INTERNAL;
    return;
  }
  request->reply_headers[request->reply_header_count].name = name;
  request->reply_headers[request->reply_header_count].value = value;
  request->reply_header_count++;
}

void uk_request_write_error(struct uk_buffer *buffer, int status, struct uk_slice text)
{
  uk_buffer_append_text(buffer, "{\"error\":");
  uk_json_write_string(buffer, text);
  uk_buffer_append_text(buffer, ",\"status\":");
  uk_json_write_integer(buffer, status);
  uk_buffer_append_byte(buffer, '}');
}

/* The headers that a status calls for. */
static const struct {
  int status;
  const char *name, *value;
} status_headers[] = {
  {401, "WWW-Authenticate", "Basic realm=\"" UK_REALM "\", charset=\"UTF-8\""},
  {429, "Retry-After", "1"},
  {503, "Retry-After", "1"},
};
_Static_assert(UK_RETRY_AFTER == 1, "Retry-After is written above");

static void add_status_headers(struct uk_request *request)
{
  if (request->status == 401 &&
      (request->browser.has_fetch_mode || request->browser.origin.data != NULL))
    return;
  for (size_t i = 0; i < sizeof status_headers / sizeof *status_headers; i++) {
    if (status_headers[i].status == request->status)
      uk_request_add_header(request, status_headers[i].name, status_headers[i].value);
  }
}

/* The error's own text. If the budget has refused memory, replaces the error where that is for
 * ever. */
static void own_text(const struct uk_request *request, enum uk_error *error, char *text,
                     size_t size)
{
  const struct uk_account *account = &request->account;
  if (*error != UK_E_NO_MEMORY || account->denied == 0) {
    snprintf(text, size, "%s", uk_error_text(*error));
  } else if (uk_account_never_fits(account)) {
    *error = UK_E_TOO_LARGE;
    snprintf(text, size,
             "the request takes %zu bytes of memory or more; --max-request-memory "
             "allows %zu for one request",
             account->denied, uk_budget_most(account->budget));
  } else {
    snprintf(text, size, "the memory for requests is in use: --max-request-memory is %zu bytes",
             account->budget->limit);
  }
}

/* An error is short, and must be said although the budget has nothing left. */
static void write_error(struct uk_request *request, struct uk_slice text)
{
  struct uk_buffer *reply = &request->reply;
  uk_buffer_clear(reply);
  uk_request_write_error(reply, request->status, text);
  if (reply->error != UK_E_NO_MEMORY || request->account.denied == 0)
    return;
  uk_buffer_free(reply);
  reply->account = NULL;
  uk_request_write_error(reply, request->status, text);
}

void uk_request_error(struct uk_request *request, enum uk_error error, const char *format, ...)
{
  char text[ERROR_TEXT_SIZE];
  if (format == NULL) {
    own_text(request, &error, text, sizeof text);
  } else {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
  }
  int status = uk_error_status(error);
  if (status == 0) /* only clients have these, except CANCELLED */
    status = uk_error_retriable(error) ? 503 : 500;
  request->status = status;
  request->reply_header_count = 0;
  add_status_headers(request);
  write_error(request, uk_slice_text(text));
}

static void replace_reply(struct uk_request *request)
{
  enum uk_error error = request->reply.error == UK_E_NO_MEMORY ? UK_E_NO_MEMORY : UK_E_INTERNAL;
  if (request->carried_out)
    uk_request_error(request, UK_E_GATEWAY_TIMEOUT,
                     "no memory for the response: the request " UK_MAY_BE_DONE);
  else
    uk_request_error(request, error, NULL);
}

void uk_request_finish(struct uk_request *request)
{
  if (request->finish != NULL)
    request->finish(request);
  if (request->reply.error != UK_OK)
    replace_reply(request);
}

void uk_request_open_error(struct uk_request *request)
{
  request->reply.length -= request->reply.error == UK_OK;
}

static int shown(struct uk_slice text)
{
  return (int)(text.length < NAME_SHOWN ? text.length : NAME_SHOWN);
}

/* Reads the next `name=value` of a raw query and advances `at`. Skips empty parameters. */
static bool next_parameter(const char **at, struct uk_slice *name, struct uk_slice *value)
{
  *at += strspn(*at, "&");
  size_t length = strcspn(*at, "&");
  const char *equals = memchr(*at, '=', length);
  *name = uk_slice_of(*at, equals != NULL ? (size_t)(equals - *at) : length);
  *value =
    equals != NULL ? uk_slice_of(equals + 1, length - name->length - 1) : (struct uk_slice){0};
  *at += length;
  return length > 0;
}

/* Decodes into the arena. BAD_REQUEST if malformed; NO_MEMORY. */
static enum uk_error decode_as(struct uk_request *request, struct uk_slice raw,
                               enum uk_query_form form, struct uk_slice *decoded)
{
  char *copy = uk_arena_copy(&request->arena, raw.data, raw.length);
  if (copy == NULL)
    return UK_E_NO_MEMORY;
  *decoded = uk_slice_of(copy, raw.length);
  bool good = form == UK_QUERY_FORM      ? uk_percent_decode_query(copy, &decoded->length)
              : form == UK_QUERY_PERCENT ? uk_percent_decode(copy, &decoded->length)
                                         : true;
  return good ? UK_OK : UK_E_BAD_REQUEST;
}

static bool refuse_encoding(struct uk_request *request, enum uk_error error, struct uk_slice raw)
{
  if (error == UK_E_NO_MEMORY)
    uk_request_error(request, error, NULL);
  else
    uk_request_error(request, error, "query: malformed percent escape in %.*s", shown(raw),
                     raw.data);
  return false;
}

/* False, with an error reply, if malformed or out of memory. */
static bool decode(struct uk_request *request, struct uk_slice raw, struct uk_slice *decoded)
{
  enum uk_error error = decode_as(request, raw, UK_QUERY_FORM, decoded);
  return error == UK_OK || refuse_encoding(request, error, raw);
}

int uk_request_query(struct uk_request *request, const char *name, struct uk_slice *value)
{
  const char *at = request->query;
  struct uk_slice raw_name, raw_value, decoded;
  while (next_parameter(&at, &raw_name, &raw_value)) {
    if (!decode(request, raw_name, &decoded))
      return -1;
    if (uk_slice_is(decoded, name))
      return decode(request, raw_value, value) ? 1 : -1;
  }
  return 0;
}

static int found_as(enum uk_error error)
{
  return error == UK_OK ? 1 : error == UK_E_NO_MEMORY ? -1 : 0;
}

int uk_request_query_as(struct uk_request *request, const char *name, enum uk_query_form form,
                        struct uk_slice *value)
{
  const char *at = request->query;
  struct uk_slice raw_name, raw_value, decoded;
  while (next_parameter(&at, &raw_name, &raw_value)) {
    const enum uk_error error = decode_as(request, raw_name, UK_QUERY_FORM, &decoded);
    if (error == UK_E_NO_MEMORY)
      return -1;
    if (error == UK_OK && uk_slice_is(decoded, name))
      return found_as(decode_as(request, raw_value, form, value));
  }
  return 0;
}

bool uk_request_each_parameter(struct uk_request *request, uk_header_visitor *each, void *argument)
{
  const char *at = request->query;
  struct uk_slice raw[2], decoded[2];
  while (next_parameter(&at, &raw[0], &raw[1])) {
    for (int i = 0; i < 2; i++) {
      enum uk_error error = decode_as(request, raw[i], UK_QUERY_FORM, &decoded[i]);
      if (error == UK_E_NO_MEMORY)
        return false;
      if (error != UK_OK)
        decoded[i] = raw[i];
    }
    each(argument, decoded[0], decoded[1]);
  }
  return true;
}

/* The index of the name in `names`, or `count`. */
static size_t find_name(struct uk_slice name, const char *const *names, size_t count)
{
  size_t i = 0;
  while (i < count && names[i] != NULL && !uk_slice_is(name, names[i]))
    i++;
  return i < count && names[i] != NULL ? i : count;
}

static bool refuse_parameter(struct uk_request *request, struct uk_slice name, const char *wrong,
                             const char *nearest)
{
  const char *ask = nearest != NULL ? "; did you mean \"" : "";
  uk_request_error(request, UK_E_BAD_REQUEST, "query: %s parameter \"%.*s\"%s%s%s", wrong,
                   shown(name), name.data, ask, nearest != NULL ? nearest : "",
                   nearest != NULL ? "\"?" : "");
  return false;
}

/* Accepts each of the names at most once. With `others`, ignores all other parameters, even
 * malformed ones. */
static bool check_names(struct uk_request *request, const char *const *names, size_t count,
                        bool others)
{
  const char *at = request->query;
  struct uk_slice raw_name, raw_value, name;
  unsigned seen = 0;
  while (next_parameter(&at, &raw_name, &raw_value)) {
    enum uk_error error = decode_as(request, raw_name, UK_QUERY_FORM, &name);
    if (error == UK_E_NO_MEMORY || (error != UK_OK && !others))
      return refuse_encoding(request, error, raw_name);
    size_t found = error == UK_OK ? find_name(name, names, count) : count;
    if (found == count && (others || (name.length > 0 && name.data[0] == '_')))
      continue;
    if (found == count)
      return refuse_parameter(request, name, "unknown", uk_nearest(name, names, count));
    if ((seen >> found & 1) != 0)
      return refuse_parameter(request, name, "repeated", NULL);
    seen |= 1u << found;
  }
  return true;
}

bool uk_request_query_unique(struct uk_request *request, const char *const *names, size_t count)
{
  return check_names(request, names, count, true);
}

bool uk_request_query_known(struct uk_request *request, const char *const *names, size_t count)
{
  return check_names(request, names, count, false);
}
