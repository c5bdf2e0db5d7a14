#include "server/api/api_produce.h"

#include "common/base64.h"
#include "common/utf8.h"
#include "server/api/api_idempotency.h"
#include "server/api/message_json.h"
#include "server/api/server_state.h"
#include "server/engine/produce_outcome.h"

enum {
  PRODUCE_TIMEOUT = 30000,
  METADATA_BYTES = 128 /* most bytes of a message's metadata, besides its topic */
};

struct produce_call {
  struct uk_produce produce;
  bool single;
};

static void write_result(struct uk_buffer *reply, const struct uk_record *record)
{
  char text[UK_MESSAGE_SIZE];
  if (record->error == UK_OK) {
    uk_json_write_metadata(reply, record);
    return;
  }
  uk_produce_reason(record, text, sizeof text);
  uk_request_write_error(reply, uk_error_status(record->error), uk_slice_text(text));
}

/* Appends the outcome of each message to the error: ,"results":[…]}. */
static void add_results(struct uk_request *request, const struct uk_produce *produce)
{
  request->carried_out = true; /* some may be stored, whatever the overall error */
  uk_request_open_error(request);
  uk_buffer_append_text(&request->reply, ",\"results\":");
  for (size_t i = 0; i < produce->count; i++) {
    uk_buffer_append_byte(&request->reply, i > 0 ? ',' : '[');
    write_result(&request->reply, &produce->records[i]);
  }
  uk_buffer_append_text(&request->reply, "]}");
}

static void finish(struct uk_request *request)
{
  const struct produce_call *call = request->operation;
  if (uk_api_failed(request)) {
    if (call->produce.each)
      add_results(request, &call->produce);
    return;
  }
  if (call->produce.replayed)
    uk_request_add_header(request, UK_HEADER_REPLAYED, "true");
  if (call->single) {
    uk_json_write_metadata(&request->reply, &call->produce.records[0]);
    return;
  }
  for (size_t i = 0; i < call->produce.count; i++) {
    uk_buffer_append_byte(&request->reply, i > 0 ? ',' : '[');
    uk_json_write_metadata(&request->reply, &call->produce.records[i]);
  }
  uk_buffer_append_byte(&request->reply, ']');
}

struct uk_produce *uk_api_produce_operation(struct uk_request *request,
                                            const struct uk_produce_key *key, size_t count,
                                            bool single)
{
  struct produce_call *call = uk_api_operation(request, sizeof *call, PRODUCE_TIMEOUT, finish);
  if (call == NULL)
    return NULL;
  call->single = single;
  call->produce.key = *key;
  call->produce.count = count;
  call->produce.records = uk_arena_allocate(&request->arena, count, sizeof *call->produce.records);
  if (call->produce.records == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    call->produce.records[i].partition = -1;
    call->produce.records[i].timestamp = -1;
  }
  return &call->produce;
}

bool uk_api_check_size(struct uk_request *request, const struct uk_record *record, int64_t index)
{
  size_t size = record->key.length + record->value.length;
  for (size_t i = 0; i < record->header_count; i++)
    size += record->headers[i].key.length + record->headers[i].value.length;
  if (size <= request->server->max_message_bytes)
    return true;
  if (index >= 0)
    uk_request_error(request, UK_E_TOO_LARGE,
                     "[%lld]: a message of at most %zu bytes expected, got %zu", (long long)index,
                     request->server->max_message_bytes, size);
  else
    uk_request_error(request, UK_E_TOO_LARGE, "a message of at most %zu bytes expected, got %zu",
                     request->server->max_message_bytes, size);
  return false;
}

static bool reserve_results(struct uk_request *request)
{
  const struct uk_produce *produce = request->operation;
  size_t bytes = 0;
  for (size_t i = 0; i < produce->count; i++)
    bytes += produce->records[i].topic.length + METADATA_BYTES;
  return uk_api_reserve_reply(request, bytes);
}

bool uk_api_submit_produce(struct uk_request *request, bool keep_body)
{
  struct uk_engine *engine = uk_api_engine(request);
  if (!reserve_results(request))
    return false;
  uk_request_drop_input(request, keep_body);
  engine->methods->produce(engine, request->operation);
  return true;
}

/* A message as the body gives it. */
struct message {
  struct uk_json_text topic, key, value;
  struct uk_json_integer partition, timestamp;
  struct uk_json_list headers;
};

struct header {
  struct uk_json_text key, value;
};

#define FIELD(type_, member, kind, ...)                                                            \
  {                                                                                                \
    .name = #member, .type = kind, .offset = offsetof(struct type_, member), __VA_ARGS__           \
  }

static const struct uk_json_field header_fields[] = {
  FIELD(header, key, UK_FIELD_TEXT, .required = true),
  FIELD(header, value, UK_FIELD_TEXT_OR_NULL, .required = true),
};
static const struct uk_json_shape header_shape = {header_fields, 2, sizeof(struct header)};

static const struct uk_json_field message_fields[] = {
  FIELD(message, topic, UK_FIELD_TEXT, .required = true),
  FIELD(message, value, UK_FIELD_VALUE, .required = true),
  FIELD(message, key, UK_FIELD_TEXT, .required = false),
  FIELD(message, partition, UK_FIELD_INTEGER, .most = INT32_MAX),
  FIELD(message, timestamp, UK_FIELD_INTEGER, .least = 1, .most = UK_PRODUCED_TIMESTAMP_MAX),
  FIELD(message, headers, UK_FIELD_PAIRS, .most = UK_HEADERS_PER_MESSAGE_MAX,
        .most_in_all = UK_HEADERS_PER_REQUEST_MAX, .shape = &header_shape),
  FIELD(message, topic, UK_FIELD_TEXT, .required = false),
};
static const struct uk_json_shape message_shape = {message_fields, 6, sizeof(struct message)};
/* When the path names the topic, it is optional in the body. */
static const struct uk_json_shape topicless_shape = {message_fields + 1, 6, sizeof(struct message)};

/* State while converting the list into records. */
struct conversion {
  struct uk_request *request;
  const struct uk_json_list *list;
  bool base64;
  struct uk_slice topic; /* from the path; empty if the messages name theirs */
};

/* Takes a text, decoding base64 if the request uses it; then it must be a string. `name` is the
 * field's name for an error. */
static bool take(const struct conversion *conversion, size_t index, const char *name,
                 const struct uk_json_text *text, struct uk_slice *out)
{
  char place[UK_PLACE_SIZE];
  *out = text->bytes;
  if (!conversion->base64 || text->bytes.length == 0 ||
      (!text->unquoted && uk_base64_decode((char *)(uintptr_t)text->bytes.data, &out->length,
                                           text->bytes.data, text->bytes.length)))
    return true;
  uk_json_field_place(place, sizeof place, conversion->list, index, name);
  uk_request_error(conversion->request, UK_E_BAD_REQUEST, "%s: %s expected", place,
                   text->unquoted ? "a base64 string" : "base64");
  return false;
}

static bool take_headers(const struct conversion *conversion, size_t index,
                         const struct message *message, struct uk_record *record)
{
  const struct header *given = message->headers.items;
  size_t count = message->headers.count;
  struct uk_record_header *headers =
    uk_arena_allocate(&conversion->request->arena, count, sizeof *headers);
  if (headers == NULL) {
    uk_request_error(conversion->request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    headers[i].key = given[i].key.bytes;
    if (!take(conversion, index, "headers", &given[i].value, &headers[i].value))
      return false;
  }
  record->headers = headers;
  record->header_count = count;
  return true;
}

static bool check_topic(const struct conversion *conversion, size_t index,
                        const struct message *message)
{
  struct uk_request *request = conversion->request;
  if (conversion->topic.length == 0)
    return uk_api_check_item_topic(request, message->topic.bytes, conversion->list, index);
  return uk_api_check_topic(request, conversion->topic, "topic") &&
         (!message->topic.given ||
          uk_api_check_same_topic(request, conversion->topic, message->topic.bytes,
                                  conversion->list, index));
}

static bool take_message(const struct conversion *conversion, size_t index,
                         struct uk_record *record)
{
  const struct message *message = (const struct message *)conversion->list->items + index;
  record->topic = conversion->topic.length > 0 ? conversion->topic : message->topic.bytes;
  record->partition = message->partition.given ? (int32_t)message->partition.value : -1;
  record->timestamp = message->timestamp.given ? message->timestamp.value : -1;
  record->has_key = message->key.given;
  record->has_value = !message->value.null;
  return take(conversion, index, "key", &message->key, &record->key) &&
         take(conversion, index, "value", &message->value, &record->value) &&
         (message->headers.count == 0 || take_headers(conversion, index, message, record)) &&
         check_topic(conversion, index, message) &&
         uk_api_check_size(conversion->request, record,
                           conversion->list->array ? (int64_t)index : -1);
}

/* A body without messages: an empty array is fine and stores nothing; an empty body is an error. */
static void reply_to_none(const struct conversion *conversion)
{
  struct uk_request *request = conversion->request;
  if (!conversion->list->given)
    uk_request_error(request, UK_E_BAD_REQUEST,
                     "body: a message or an array of messages expected, got nothing");
  else if (conversion->topic.length == 0 || uk_api_check_topic(request, conversion->topic, "topic"))
    uk_buffer_append_text(&request->reply, "[]");
}

/* POST /produce and /produce/{topic} */
bool uk_api_produce(struct uk_request *request)
{
  struct uk_json_list list;
  struct uk_produce_key key;
  struct conversion conversion = {
    .request = request, .list = &list, .topic = request->parameters[0]};
  const struct uk_json_shape *shape =
    request->endpoint == UK_ENDPOINT_PRODUCE ? &message_shape : &topicless_shape;
  if (!uk_api_read_produce_key(request, &key) || !uk_api_encoding(request, &conversion.base64) ||
      !uk_json_read_objects(request, shape, UK_PRODUCE_MESSAGES_MAX, &list))
    return false;
  if (list.count == 0) {
    reply_to_none(&conversion);
    return false;
  }
  struct uk_produce *produce = uk_api_produce_operation(request, &key, list.count, false);
  for (size_t i = 0; produce != NULL && i < list.count; i++) {
    if (!take_message(&conversion, i, &produce->records[i]))
      return false;
  }
  return produce != NULL && uk_api_submit_produce(request, true);
}

/* Checks text from the path or query: base64, decoded in place, or UTF-8. */
static bool take_text(struct uk_request *request, const char *name, struct uk_slice *text,
                      bool base64)
{
  bool good = base64 ? uk_base64_decode((char *)(uintptr_t)text->data, &text->length, text->data,
                                        text->length)
                     : uk_utf8_valid(text->data, text->length);
  if (!good)
    uk_request_error(request, UK_E_BAD_REQUEST, "%s: %s expected", name,
                     base64 ? "base64" : "UTF-8");
  return good;
}

/* Reads the key from the query; returns 1, 0 or -1 as uk_request_query does. An unescaped '+' has
 * been decoded as a space, which base64 never contains, so it is restored. */
static int read_key(struct uk_request *request, bool base64, struct uk_slice *key)
{
  int found = uk_request_query(request, "key", key);
  char *bytes = (char *)(uintptr_t)key->data;
  for (size_t i = 0; found == 1 && base64 && i < key->length; i++)
    bytes[i] = (char)(bytes[i] == ' ' ? '+' : bytes[i]);
  return found == 1 && !take_text(request, "key", key, base64) ? -1 : found;
}

/* GET /produce/{topic}/{message}?key= */
bool uk_api_produce_one(struct uk_request *request)
{
  bool base64;
  struct uk_produce_key key;
  if (!uk_api_read_produce_key(request, &key) || !uk_api_encoding(request, &base64))
    return false;
  struct uk_produce *produce = uk_api_produce_operation(request, &key, 1, true);
  if (produce == NULL)
    return false;
  struct uk_record *record = &produce->records[0];
  record->topic = request->parameters[0];
  record->has_value = true;
  record->value = request->parameters[1];
  int keyed = read_key(request, base64, &record->key);
  record->has_key = keyed == 1;
  return keyed >= 0 && take_text(request, "message", &record->value, base64) &&
         uk_api_check_topic(request, record->topic, "topic") &&
         uk_api_check_size(request, record, -1) && uk_api_submit_produce(request, false);
}
