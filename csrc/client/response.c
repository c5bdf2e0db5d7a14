#include "client/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base64.h"
#include "common/protocol.h"
#include "common/utf8.h"

enum { ERROR_TEXT_MAX = 4096, RETRY_AFTER_MAX = 86400 };

#define QUOTED(name) "\"" name "\":"
#define FIELD(name, type)                                                                          \
  {                                                                                                \
    name, {QUOTED(name), sizeof QUOTED(name) - 1}, type                                            \
  }
#define PLACE_FIELDS                                                                               \
  FIELD("topic", UK_FIELD_TEXT), FIELD("partition", UK_FIELD_INTEGER),                             \
    FIELD("offset", UK_FIELD_INTEGER)

const struct uk_shape uk_shape_metadata = {
  "metadata", 4, {PLACE_FIELDS, FIELD("timestamp", UK_FIELD_INTEGER)}};

const struct uk_shape uk_shape_message = {
  "message",
  7,
  {PLACE_FIELDS, FIELD("timestamp", UK_FIELD_INTEGER), FIELD("key", UK_FIELD_BYTES),
   FIELD("value", UK_FIELD_NULLABLE_BYTES), FIELD("headers", UK_FIELD_HEADERS)}};

const struct uk_shape uk_shape_offset = {"offset", 3, {PLACE_FIELDS}};

const struct uk_shape uk_shape_header = {
  "header", 2, {FIELD("key", UK_FIELD_TEXT), FIELD("value", UK_FIELD_BYTES)}};

const struct uk_shape uk_shape_topic = {
  "topic", 2, {FIELD("topic", UK_FIELD_TEXT), FIELD("partitions", UK_FIELD_INTEGER)}};

const struct uk_shape uk_shape_result = {"result", 1, {FIELD("result", UK_FIELD_TEXT)}};

void uk_response_open(struct uk_response_reader *reader, char *body, size_t length, bool binary)
{
  uk_json_reader_init(&reader->json, body, length, 0);
  reader->length = length;
  reader->element = 0;
  reader->messages = 0;
  reader->binary = binary;
  reader->error = UK_OK;
  reader->message[0] = '\0';
}

void uk_response_fail(struct uk_response_reader *reader, enum uk_error error, const char *format,
                      ...)
{
  if (reader->error != UK_OK)
    return;
  reader->error = error;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reader->message, sizeof reader->message, format, arguments);
  va_end(arguments);
}

void uk_response_fail_json(struct uk_response_reader *reader)
{
  uk_response_fail(reader, UK_E_BAD_RESPONSE, "malformed JSON at byte %zu of the response: %s",
                   reader->json.position, uk_json_error_text(reader->json.error));
}

static const char *event_name(enum uk_json_event event)
{
  static const char *const names[] = {
    [UK_JSON_END] = "nothing",     [UK_JSON_OBJECT] = "an object",   [UK_JSON_ARRAY] = "a list",
    [UK_JSON_STRING] = "a string", [UK_JSON_INTEGER] = "an integer", [UK_JSON_NUMBER] = "a number",
    [UK_JSON_TRUE] = "true",       [UK_JSON_FALSE] = "false",        [UK_JSON_NULL] = "null",
  };
  const char *name = event < sizeof names / sizeof *names ? names[event] : NULL;
  return name != NULL ? name : "something else";
}

/* BAD_RESPONSE, with the place in front of the text. */
static void fail_here(struct uk_response_reader *reader, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

static void fail_here(struct uk_response_reader *reader, const char *format, ...)
{
  char text[UK_RESPONSE_MESSAGE_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (reader->element > 0)
    uk_response_fail(reader, UK_E_BAD_RESPONSE, "element %zu of the response: %s", reader->element,
                     text);
  else
    uk_response_fail(reader, UK_E_BAD_RESPONSE, "the response: %s", text);
}

/* Whether the event is the wanted one; the error says `what` of the current element should be
 * `expected`. */
static bool want(struct uk_response_reader *reader, enum uk_json_event event,
                 enum uk_json_event wanted, const char *what, const char *expected)
{
  if (event == wanted)
    return true;
  if (event == UK_JSON_ERROR)
    uk_response_fail_json(reader);
  else
    fail_here(reader, "%s: %s expected, got %s", what, expected, event_name(event));
  return false;
}

bool uk_response_list(struct uk_response_reader *reader)
{
  return want(reader, uk_json_next(&reader->json), UK_JSON_ARRAY, "the top", "a list");
}

static bool open_object(struct uk_response_object *object, const struct uk_shape *shape)
{
  object->shape = shape;
  object->seen = 0;
  object->next = 0;
  return true;
}

bool uk_response_element(struct uk_response_reader *reader, struct uk_response_object *object,
                         const struct uk_shape *shape)
{
  if (reader->error != UK_OK)
    return false;
  enum uk_json_event event = uk_json_next(&reader->json);
  if (event == UK_JSON_ARRAY_END)
    return false;
  if (shape != &uk_shape_header)
    reader->element++;
  return want(reader, event, UK_JSON_OBJECT, shape->noun, "an object") &&
         open_object(object, shape);
}

bool uk_response_object(struct uk_response_reader *reader, struct uk_response_object *object,
                        const struct uk_shape *shape)
{
  return want(reader, uk_json_next(&reader->json), UK_JSON_OBJECT, "the top", "an object") &&
         open_object(object, shape);
}

/* The position of the field in the shape, -1 when the shape has none of this name. */
static int find_field(const struct uk_shape *shape, struct uk_slice key)
{
  for (unsigned i = 0; i < shape->count; i++)
    if (uk_slice_is(key, shape->fields[i].name))
      return (int)i;
  return -1;
}

static int found_field(struct uk_response_object *object, int position)
{
  object->next = (unsigned)position + 1;
  object->seen |= 1U << position;
  return position;
}

static bool read_text(struct uk_response_reader *reader, enum uk_json_event event, const char *name)
{
  reader->value = reader->json.string;
  return want(reader, event, UK_JSON_STRING, name, "a string");
}

static bool read_bytes(struct uk_response_reader *reader, enum uk_json_event event,
                       const char *name)
{
  if (!read_text(reader, event, name))
    return false;
  if (!reader->binary || reader->value.length == 0)
    return true;
  char *data = reader->json.data + (reader->value.data - reader->json.data);
  if (uk_base64_decode(data, &reader->value.length, data, reader->value.length))
    return true;
  fail_here(reader, "%s: base64 expected", name);
  return false;
}

static bool read_field(struct uk_response_reader *reader, const struct uk_field *field)
{
  enum uk_json_event event = uk_json_next(&reader->json);
  switch (field->type) {
  case UK_FIELD_TEXT: return read_text(reader, event, field->name);
  case UK_FIELD_BYTES: return read_bytes(reader, event, field->name);
  case UK_FIELD_NULLABLE_BYTES:
    reader->value = uk_slice_of(NULL, 0);
    return event == UK_JSON_NULL || read_bytes(reader, event, field->name);
  case UK_FIELD_INTEGER:
    reader->integer = reader->json.integer;
    return want(reader, event, UK_JSON_INTEGER, field->name, "an integer");
  case UK_FIELD_HEADERS: return want(reader, event, UK_JSON_ARRAY, field->name, "a list");
  }
  return false;
}

static int end_object(struct uk_response_reader *reader, const struct uk_response_object *object)
{
  const struct uk_shape *shape = object->shape;
  if (object->seen == (1U << shape->count) - 1)
    return -1;
  for (unsigned i = 0; i < shape->count; i++)
    if ((object->seen >> i & 1) == 0) {
      fail_here(reader, "%s expected in the %s, got none", shape->fields[i].name, shape->noun);
      break;
    }
  return -1;
}

/* Of the next field that the shape knows; -1 at the end of the object. */
static int next_field(struct uk_response_reader *reader, struct uk_response_object *object)
{
  const struct uk_shape *shape = object->shape;
  if (object->next < shape->count &&
      uk_json_take_key(&reader->json, shape->fields[object->next].quoted))
    return found_field(object, (int)object->next);
  for (;;) {
    enum uk_json_event event = uk_json_next(&reader->json);
    if (event == UK_JSON_OBJECT_END)
      return end_object(reader, object);
    if (event != UK_JSON_KEY)
      break;
    int position = find_field(shape, reader->json.string);
    if (position >= 0)
      return found_field(object, position);
    if (uk_json_skip(&reader->json, event) == UK_JSON_ERROR)
      break;
  }
  uk_response_fail_json(reader);
  return -1;
}

int uk_response_field(struct uk_response_reader *reader, struct uk_response_object *object)
{
  if (reader->error != UK_OK)
    return -1;
  int position = next_field(reader, object);
  if (position < 0 || !read_field(reader, &object->shape->fields[position]))
    return -1;
  return position;
}

enum uk_error uk_response_close(struct uk_response_reader *reader)
{
  if (reader->error == UK_OK && uk_json_next(&reader->json) != UK_JSON_END)
    uk_response_fail_json(reader);
  return reader->error;
}

/* ---- failures ---- */

/* The `error` field of the body, data NULL when it has none. Nothing behind the field is looked
 * at. */
static struct uk_slice find_error_text(char *body, size_t length)
{
  struct uk_json_reader json;
  uk_json_reader_init(&json, body, length, 0);
  enum uk_json_event event = uk_json_next(&json);
  if (event != UK_JSON_OBJECT)
    return uk_slice_of(NULL, 0);
  while ((event = uk_json_next(&json)) == UK_JSON_KEY) {
    if (uk_slice_is(json.string, "error")) {
      if (uk_json_next(&json) != UK_JSON_STRING || json.string.length == 0)
        break;
      return json.string;
    }
    if (uk_json_skip(&json, event) == UK_JSON_ERROR)
      break;
  }
  return uk_slice_of(NULL, 0);
}

bool uk_response_failed(struct uk_client_failure *failure, int status, int64_t retry_after,
                        char *body, size_t length)
{
  if (status >= 200 && status <= 299)
    return false;
  failure->error = uk_error_from_status(status);
  failure->status = status;
  failure->retry_after = retry_after;
  failure->message = find_error_text(body, length);
  if (failure->message.length > ERROR_TEXT_MAX)
    failure->message.length = uk_utf8_valid_prefix(failure->message.data, ERROR_TEXT_MAX);
  return true;
}

int64_t uk_parse_retry_after(struct uk_slice text)
{
  int64_t seconds;
  if (!uk_parse_int64(text, &seconds) || seconds < 0)
    return -1;
  return seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX;
}
