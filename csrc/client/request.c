#include "client/request.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/json_writer.h"
#include "common/percent.h"
#include "common/utf8.h"

enum { INTEGER_TEXT_SIZE = 24 };

void uk_client_request_init(struct uk_client_request *request)
{
  *request = (struct uk_client_request){.error = UK_OK};
  uk_buffer_init(&request->path, UK_REQUEST_PATH_MAX);
  uk_buffer_init(&request->headers, UK_REQUEST_HEADERS_MAX);
  uk_buffer_init(&request->body, UK_REQUEST_BODY_MAX);
}

void uk_client_request_free(struct uk_client_request *request)
{
  uk_buffer_free(&request->path);
  uk_buffer_free(&request->headers);
  uk_buffer_free(&request->body);
}

/* Keeps the first failure; UK_OK is no failure. */
static void fail(struct uk_client_request *request, enum uk_error error, const char *text)
{
  if (error == UK_OK || request->error != UK_OK)
    return;
  request->error = error;
  snprintf(request->message, sizeof request->message, "%s", text);
}

/* Request line. */

/* Appends the template of a path with each {parameter} replaced. */
static void fill_path(struct uk_buffer *path, const char *template,
                      const struct uk_slice *parameters)
{
  for (const char *open; (open = strchr(template, '{')) != NULL; parameters++) {
    uk_buffer_append(path, template, (size_t)(open - template));
    uk_percent_encode(path, *parameters);
    template = strchr(open, '}') + 1;
  }
  uk_buffer_append_text(path, template);
}

static enum uk_method choose_method(unsigned methods)
{
  return methods & UK_POST ? UK_POST : methods & UK_GET ? UK_GET : UK_DELETE;
}

void uk_client_request_begin(struct uk_client_request *request, enum uk_endpoint endpoint,
                             bool binary, const struct uk_slice *parameters)
{
  uk_buffer_clear(&request->path);
  uk_buffer_clear(&request->headers);
  uk_buffer_clear(&request->body);
  request->endpoint = endpoint;
  request->method = choose_method(uk_endpoints[endpoint].methods);
  request->wait = 0;
  request->messages = 0;
  request->binary = binary;
  request->queried = request->filled = request->headed = false;
  request->error = UK_OK;
  request->message[0] = '\0';
  fill_path(&request->path, uk_endpoints[endpoint].path, parameters);
}

static bool carries_bytes(enum uk_endpoint endpoint)
{
  return endpoint == UK_ENDPOINT_PRODUCE || endpoint == UK_ENDPOINT_PRODUCE_TOPIC ||
         endpoint == UK_ENDPOINT_CONSUME || endpoint == UK_ENDPOINT_FETCH;
}

/* The headers that describe the body. Those of a webhook come from its caller. */
static void add_body_headers(struct uk_client_request *request)
{
  if (request->body.length > 0 && request->endpoint != UK_ENDPOINT_WEBHOOK)
    uk_client_request_header(request, uk_slice_text("Content-Type"),
                             uk_slice_text("application/json"));
  if (request->binary && carries_bytes(request->endpoint))
    uk_client_request_header(request, uk_slice_text(UK_HEADER_ENCODING),
                             uk_slice_text(UK_ENCODING_BASE64));
}

static void fail_buffer(struct uk_client_request *request, const struct uk_buffer *buffer,
                        const char *too_large)
{
  fail(request, buffer->error, buffer->error == UK_E_TOO_LARGE ? too_large : "");
}

enum uk_error uk_client_request_end(struct uk_client_request *request)
{
  add_body_headers(request);
  fail_buffer(request, &request->path, "the request's path is too long");
  fail_buffer(request, &request->headers, "the request's headers are too long");
  fail_buffer(request, &request->body, "the request's body is too large");
  return request->error;
}

const char *uk_client_request_message(const struct uk_client_request *request)
{
  return request->message[0] != '\0' ? request->message : uk_error_text(request->error);
}

void uk_client_request_query(struct uk_client_request *request, const char *name,
                             struct uk_slice value)
{
  uk_buffer_append_byte(&request->path, request->queried ? '&' : '?');
  request->queried = true;
  uk_buffer_append_text(&request->path, name);
  uk_buffer_append_byte(&request->path, '=');
  uk_percent_encode(&request->path, value);
}

static struct uk_slice integer_text(char *text, int64_t value)
{
  int length = snprintf(text, INTEGER_TEXT_SIZE, "%" PRId64, value);
  return uk_slice_of(text, (size_t)length);
}

void uk_client_request_query_integer(struct uk_client_request *request, const char *name,
                                     int64_t value)
{
  char text[INTEGER_TEXT_SIZE];
  uk_client_request_query(request, name, integer_text(text, value));
}

/* Headers. */

bool uk_header_name_valid(struct uk_slice name)
{
  static const char token[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  for (size_t i = 0; i < name.length; i++)
    if (name.data[i] == '\0' || strchr(token, name.data[i]) == NULL)
      return false;
  return name.length > 0;
}

bool uk_header_value_valid(struct uk_slice value)
{
  for (size_t i = 0; i < value.length; i++) {
    unsigned char byte = (unsigned char)value.data[i];
    if ((byte < ' ' && byte != '\t') || byte == 0x7f)
      return false;
  }
  return true;
}

void uk_client_request_header(struct uk_client_request *request, struct uk_slice name,
                              struct uk_slice value)
{
  uk_buffer_append(&request->headers, name.data, name.length);
  uk_buffer_append(&request->headers, ": ", 2);
  uk_buffer_append(&request->headers, value.data, value.length);
  uk_buffer_append_byte(&request->headers, '\0');
}

void uk_client_request_header_integer(struct uk_client_request *request, const char *name,
                                      int64_t value)
{
  char text[INTEGER_TEXT_SIZE];
  uk_client_request_header(request, uk_slice_text(name), integer_text(text, value));
}

void uk_client_request_key(struct uk_client_request *request, const char *key)
{
  if (key[0] != '\0')
    uk_client_request_header(request, uk_slice_text(UK_HEADER_IDEMPOTENCY_KEY), uk_slice_text(key));
}

/* Body. */

static void separate(struct uk_client_request *request)
{
  if (request->filled)
    uk_buffer_append_byte(&request->body, ',');
  request->filled = true;
}

static void open_bracket(struct uk_client_request *request, char bracket)
{
  separate(request);
  uk_buffer_append_byte(&request->body, bracket);
  request->filled = false;
}

static void close_bracket(struct uk_client_request *request, char bracket)
{
  uk_buffer_append_byte(&request->body, bracket);
  request->filled = true;
}

/* Appends `"name":`, with a comma before it if needed. `name` needs no escaping. */
static void write_name(struct uk_client_request *request, const char *name)
{
  uk_buffer_append(&request->body, request->filled ? ",\"" : "\"", request->filled ? 2 : 1);
  uk_buffer_append_text(&request->body, name);
  uk_buffer_append(&request->body, "\":", 2);
  request->filled = true;
}

static void write_text(struct uk_client_request *request, const char *name, struct uk_slice text)
{
  char problem[sizeof request->message];
  if (!uk_utf8_valid(text.data, text.length)) {
    snprintf(problem, sizeof problem, "%s is not valid UTF-8", name);
    fail(request, UK_E_BAD_REQUEST, problem);
  }
  uk_json_write_string(&request->body, text);
}

/* The payload of a message: any bytes as base64, or text. Text that is not UTF-8 is refused, since
 * the JSON writer would replace the invalid bytes. */
static void write_bytes(struct uk_client_request *request, const char *name, struct uk_slice bytes)
{
  char problem[sizeof request->message];
  if (request->binary) {
    uk_json_write_base64(&request->body, bytes);
    return;
  }
  if (!uk_utf8_valid(bytes.data, bytes.length)) {
    snprintf(problem, sizeof problem,
             "message %zu: %s is not valid UTF-8 (binary = true sends any bytes)",
             request->messages, name);
    fail(request, UK_E_BAD_REQUEST, problem);
  }
  uk_json_write_string(&request->body, bytes);
}

void uk_client_request_list(struct uk_client_request *request)
{
  open_bracket(request, '[');
}

void uk_client_request_list_end(struct uk_client_request *request)
{
  close_bracket(request, ']');
}

void uk_client_request_object(struct uk_client_request *request)
{
  open_bracket(request, '{');
}

void uk_client_request_object_end(struct uk_client_request *request)
{
  close_bracket(request, '}');
}

void uk_client_request_name(struct uk_client_request *request, const char *name)
{
  write_name(request, name);
  request->filled = false;
}

void uk_client_request_text(struct uk_client_request *request, const char *name,
                            struct uk_slice value)
{
  write_name(request, name);
  write_text(request, name, value);
}

void uk_client_request_integer(struct uk_client_request *request, const char *name, int64_t value)
{
  write_name(request, name);
  uk_json_write_integer(&request->body, value);
}

void uk_client_request_field_list(struct uk_client_request *request, const char *name)
{
  uk_client_request_name(request, name);
  open_bracket(request, '[');
}

void uk_client_request_element(struct uk_client_request *request, const char *name,
                               struct uk_slice text)
{
  separate(request);
  write_text(request, name, text);
}

void uk_client_request_message_begin(struct uk_client_request *request,
                                     const struct uk_message *message)
{
  request->messages++;
  request->headed = false;
  open_bracket(request, '{');
  if (message->topic.data != NULL)
    uk_client_request_text(request, "topic", message->topic);
  if (message->partition >= 0)
    uk_client_request_integer(request, "partition", message->partition);
  if (message->timestamp >= 0)
    uk_client_request_integer(request, "timestamp", message->timestamp);
  if (message->key.data != NULL) {
    write_name(request, "key");
    write_bytes(request, "key", message->key);
  }
  write_name(request, "value");
  if (message->value.data != NULL)
    write_bytes(request, "value", message->value);
  else
    uk_buffer_append_text(&request->body, "null");
}

void uk_client_request_message_header(struct uk_client_request *request, struct uk_slice key,
                                      struct uk_slice value)
{
  if (!request->headed)
    uk_client_request_field_list(request, "headers");
  request->headed = true;
  open_bracket(request, '{');
  write_name(request, "key");
  write_text(request, "header key", key);
  write_name(request, "value");
  write_bytes(request, "header value", value);
  close_bracket(request, '}');
}

void uk_client_request_message_end(struct uk_client_request *request)
{
  if (request->headed)
    close_bracket(request, ']');
  close_bracket(request, '}');
}

void uk_client_request_partition(struct uk_client_request *request, struct uk_slice topic,
                                 int64_t partition, int64_t offset)
{
  request->messages++;
  open_bracket(request, '{');
  uk_client_request_text(request, "topic", topic);
  uk_client_request_integer(request, "partition", partition);
  if (offset >= 0)
    uk_client_request_integer(request, "offset", offset);
  close_bracket(request, '}');
}

void uk_client_request_raw(struct uk_client_request *request, struct uk_slice bytes)
{
  uk_buffer_append(&request->body, bytes.data, bytes.length);
}
