#include "client/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/http_date.h"
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
  "metadata", 4, 0, {PLACE_FIELDS, FIELD("timestamp", UK_FIELD_INTEGER)}};

const struct uk_shape uk_shape_message = {
  "message",
  7,
  0,
  {PLACE_FIELDS, FIELD("timestamp", UK_FIELD_INTEGER), FIELD("key", UK_FIELD_BYTES),
   FIELD("value", UK_FIELD_NULLABLE_BYTES), FIELD("headers", UK_FIELD_HEADERS)}};

const struct uk_shape uk_shape_offset = {"offset", 3, 0, {PLACE_FIELDS}};

const struct uk_shape uk_shape_header = {
  "header", 2, 0, {FIELD("key", UK_FIELD_TEXT), FIELD("value", UK_FIELD_BYTES)}};

const struct uk_shape uk_shape_topic = {
  "topic", 2, 0, {FIELD("topic", UK_FIELD_TEXT), FIELD("partitions", UK_FIELD_INTEGER)}};

const struct uk_shape uk_shape_result = {"result", 1, 0, {FIELD("result", UK_FIELD_TEXT)}};

static const struct uk_shape shape_outcome = {"result",
                                              6,
                                              UK_FIELD_ERROR,
                                              {PLACE_FIELDS, FIELD("timestamp", UK_FIELD_INTEGER),
                                               FIELD("error", UK_FIELD_TEXT),
                                               FIELD("status", UK_FIELD_INTEGER)}};

void uk_response_open(struct uk_response_reader *reader, char *body, size_t length, bool binary)
{
  uk_json_reader_init(&reader->json, body, length, 0);
  reader->length = length;
  reader->element = 0;
  reader->messages = 0;
  reader->binary = binary;
  reader->error = UK_OK;
  reader->message[0] = '\0';
  reader->fault.known = false;
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

/* Fails with BAD_RESPONSE; the text names the element. */
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

/* True when the event is the wanted one. Otherwise fails: "WHAT: EXPECTED expected, got …". `what`
 * is NULL for the body itself. */
static bool want(struct uk_response_reader *reader, enum uk_json_event event,
                 enum uk_json_event wanted, const char *what, const char *expected)
{
  if (event == wanted)
    return true;
  if (event == UK_JSON_ERROR)
    uk_response_fail_json(reader);
  else
    fail_here(reader, "%s%s%s expected, got %s", what != NULL ? what : "", what != NULL ? ": " : "",
              expected, event_name(event));
  return false;
}

bool uk_response_list(struct uk_response_reader *reader)
{
  return want(reader, uk_json_next(&reader->json), UK_JSON_ARRAY, NULL, "a list");
}

static bool open_object(struct uk_response_object *object, const struct uk_shape *shape)
{
  object->shape = shape;
  object->seen = 0;
  object->next = 0;
  return true;
}

/* True when a list of such elements has one for each message of a request. */
static bool counts_messages(const struct uk_shape *shape)
{
  return shape == &uk_shape_metadata || shape == &shape_outcome;
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
  if (counts_messages(shape) && reader->messages > 0 && reader->element > reader->messages) {
    uk_response_counted(reader); /* says so */
    return false;
  }
  return want(reader, event, UK_JSON_OBJECT, shape->noun, "an object") &&
         open_object(object, shape);
}

bool uk_response_object(struct uk_response_reader *reader, struct uk_response_object *object,
                        const struct uk_shape *shape)
{
  return want(reader, uk_json_next(&reader->json), UK_JSON_OBJECT, NULL, "an object") &&
         open_object(object, shape);
}

/* The position of the field of that name in the shape, or -1. */
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
  unsigned all = (1U << shape->count) - 1, before = (1U << shape->cut) - 1, behind = all ^ before;
  if ((object->seen & behind) == behind || (shape->cut > 0 && (object->seen & before) == before))
    return -1;
  for (unsigned i = 0; i < shape->count; i++)
    if ((object->seen >> i & 1) == 0) {
      fail_here(reader, "%s expected in the %s, got none", shape->fields[i].name, shape->noun);
      break;
    }
  return -1;
}

/* The position of the next known field; -1 at the end of the object. */
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

bool uk_response_counted(struct uk_response_reader *reader)
{
  if (reader->messages > 0 && reader->element != reader->messages)
    uk_response_fail(reader, UK_E_BAD_RESPONSE,
                     "the response: metadata of %zu messages expected, got %zu", reader->messages,
                     reader->element);
  return reader->error == UK_OK;
}

enum uk_error uk_response_close(struct uk_response_reader *reader)
{
  if (reader->error == UK_OK && uk_json_next(&reader->json) != UK_JSON_END)
    uk_response_fail_json(reader);
  return reader->error;
}

/* Positions. */

void uk_response_set_topic(struct uk_response_position *position, struct uk_slice topic)
{
  const size_t length = topic.length < UK_TOPIC_NAME_MAX ? topic.length : UK_TOPIC_NAME_MAX;
  if (length > 0)
    memcpy(position->topic, topic.data, length);
  uk_utf8_replace_controls(position->topic, length);
  position->topic[length] = '\0';
}

void uk_response_first(char *body, size_t length, struct uk_response_position *position)
{
  const unsigned all = 1U << UK_FIELD_TOPIC | 1U << UK_FIELD_PARTITION | 1U << UK_FIELD_OFFSET;
  struct uk_response_reader reader;
  struct uk_response_object object = {.seen = 0};
  int field = -1;
  uk_response_open(&reader, body, length, false);
  position->known = false;
  if (!uk_response_list(&reader) || !uk_response_element(&reader, &object, &uk_shape_message))
    return;
  while (!position->known && (field = uk_response_field(&reader, &object)) >= 0) {
    if (field == UK_FIELD_TOPIC)
      uk_response_set_topic(position, reader.value);
    else if (field == UK_FIELD_PARTITION)
      position->partition = reader.integer;
    else if (field == UK_FIELD_OFFSET)
      position->offset = reader.integer;
    /* A number at the end of a truncated body may lack digits. */
    position->known = (object.seen & all) == all && reader.json.at != reader.json.end;
  }
}

/* Failures. */

/* The text of an error in the body, without control characters: it ends up in logs and on
 * terminals. */
static struct uk_slice take_error_text(struct uk_json_reader *json)
{
  struct uk_slice text = json->string;
  if (text.length > ERROR_TEXT_MAX)
    text.length = uk_utf8_valid_prefix(text.data, ERROR_TEXT_MAX);
  if (text.length > 0)
    uk_utf8_replace_controls(json->data + (text.data - json->data), text.length);
  return text;
}

/* Reads the field whose key was just read. False when the rest of the body is not read. */
static bool take_failure_field(struct uk_client_failure *failure, struct uk_json_reader *json)
{
  bool text = uk_slice_is(json->string, "error"), list = uk_slice_is(json->string, "results");
  enum uk_json_event event = UK_JSON_KEY;
  failure->results = *json;
  if (text || list)
    event = uk_json_next(json);
  if (text && event != UK_JSON_STRING)
    return false;
  if (text && json->string.length > 0)
    failure->message = take_error_text(json);
  failure->has_results = list && event == UK_JSON_ARRAY;
  if (failure->has_results)
    return false; /* the list is read later, and reading changes the body */
  return uk_json_skip(json, event) != UK_JSON_ERROR;
}

/* Reads the fields `error` and `results` of the body, which may lack them or be malformed. */
static void read_failure(struct uk_client_failure *failure, char *body, size_t length)
{
  struct uk_json_reader json;
  failure->message = uk_slice_of(NULL, 0);
  failure->has_results = false;
  uk_json_reader_init(&json, body, length, 0);
  if (uk_json_next(&json) != UK_JSON_OBJECT)
    return;
  while (uk_json_next(&json) == UK_JSON_KEY && take_failure_field(failure, &json))
    continue;
}

bool uk_response_failed(struct uk_client_failure *failure, int status, int64_t retry_after,
                        char *body, size_t length)
{
  if (status >= 200 && status <= 299)
    return false;
  failure->error = uk_error_from_status(status);
  failure->status = status;
  failure->retry_after = retry_after;
  read_failure(failure, body, length);
  return true;
}

/* Results. */

bool uk_response_results(struct uk_response_reader *reader, const struct uk_client_failure *failure,
                         size_t messages)
{
  uk_response_open(reader, NULL, 0, false);
  reader->json = failure->results;
  reader->messages = messages;
  return uk_response_list(reader);
}

static void take_result_field(struct uk_response_reader *reader, struct uk_produce_result *result,
                              int field)
{
  switch (field) {
  case UK_FIELD_TOPIC: result->topic = reader->value; break;
  case UK_FIELD_PARTITION: result->partition = reader->integer; break;
  case UK_FIELD_OFFSET: result->offset = reader->integer; break;
  case UK_FIELD_TIMESTAMP: result->timestamp = reader->integer; break;
  case UK_FIELD_ERROR: result->message = take_error_text(&reader->json); break;
  default:
    result->status = reader->integer >= 100 && reader->integer <= 999 ? (int)reader->integer : 0;
    result->error = uk_error_from_status(result->status);
  }
}

bool uk_response_result(struct uk_response_reader *reader, struct uk_produce_result *result)
{
  struct uk_response_object object;
  *result = (struct uk_produce_result){.error = UK_OK};
  if (!uk_response_element(reader, &object, &shape_outcome)) {
    uk_response_counted(reader);
    return false;
  }
  for (int field; (field = uk_response_field(reader, &object)) >= 0;)
    take_result_field(reader, result, field);
  return reader->error == UK_OK;
}

int64_t uk_parse_retry_after(struct uk_slice text, int64_t now)
{
  int64_t seconds;
  if (uk_http_date(text, now, &seconds))
    seconds = seconds > now ? seconds - now : 0;
  else if (!uk_parse_int64(text, &seconds) || seconds < 0)
    return -1;
  return seconds < RETRY_AFTER_MAX ? seconds : RETRY_AFTER_MAX;
}
