#include "server/api/api.h"

#include <stdio.h>
#include <strings.h>

#include "common/clock.h"
#include "common/integral.h"
#include "common/json_writer.h"
#include "common/utf8.h"
#include "server/api/server_state.h"

enum {
  VALUE_SHOWN = 64,
  REPLY_LEAST = 4 << 10 /* bytes; enough for any error's reply */
};

struct uk_engine *uk_api_engine(const struct uk_request *request)
{
  return request->server->engine;
}

/* The endpoints that change something. */
static const bool changes[UK_ENDPOINT_COUNT] = {
  [UK_ENDPOINT_PRODUCE_ONE] = true,  [UK_ENDPOINT_PRODUCE_TOPIC] = true,
  [UK_ENDPOINT_PRODUCE] = true,      [UK_ENDPOINT_WEBHOOK] = true,
  [UK_ENDPOINT_COMMIT] = true,       [UK_ENDPOINT_DELETE_CONSUMER] = true,
  [UK_ENDPOINT_CREATE_TOPIC] = true, [UK_ENDPOINT_DELETE_TOPIC] = true,
};

static void reply(struct uk_operation *operation)
{
  uk_request_reply(operation->context);
}

/* Only the reply is the request's own now. The memory for it was reserved. */
static void reply_late(struct uk_operation *operation, const char *message)
{
  struct uk_request *request = operation->context;
  request->finish = NULL;
  if (request->receipt != NULL)
    request->receipt->delivered = NULL;
  request->carried_out = changes[request->endpoint];
  __atomic_store_n(&request->is_answered, true, __ATOMIC_RELEASE);
  uk_request_error(request, UK_E_GATEWAY_TIMEOUT, "%s", message);
  uk_request_reply_early(request);
}

bool uk_api_reserve_reply(struct uk_request *request, size_t bytes)
{
  if (uk_buffer_reserve(&request->reply, bytes > REPLY_LEAST ? bytes : REPLY_LEAST) != NULL)
    return true;
  uk_request_error(request, UK_E_NO_MEMORY, NULL);
  return false;
}

void *uk_api_operation(struct uk_request *request, size_t size, int64_t timeout,
                       void (*finish)(struct uk_request *request))
{
  struct uk_operation *operation = uk_arena_allocate(&request->arena, 1, size);
  if (operation == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return NULL;
  }
  if (changes[request->endpoint] && !uk_api_reserve_reply(request, 0))
    return NULL;
  operation->done = reply;
  operation->late = reply_late;
  operation->context = request;
  operation->deadline = uk_clock_monotonic() + timeout;
  request->operation = operation;
  request->finish = finish;
  return operation;
}

bool uk_api_failed(struct uk_request *request)
{
  const struct uk_operation *operation = request->operation;
  request->carried_out = changes[request->endpoint] &&
                         (operation->error == UK_OK || operation->error == UK_E_GATEWAY_TIMEOUT);
  if (operation->error == UK_OK)
    return false;
  uk_request_error(request, operation->error, operation->message[0] != '\0' ? "%s" : NULL,
                   operation->message);
  return true;
}

void uk_api_write_success(struct uk_request *request)
{
  uk_buffer_append_text(&request->reply, "{\"result\":\"Success\",\"status\":200}");
}

void uk_api_finish_success(struct uk_request *request)
{
  if (!uk_api_failed(request))
    uk_api_write_success(request);
}

bool uk_api_refuse(struct uk_request *request, const char *what, const char *expected,
                   struct uk_slice got)
{
  uk_request_error(request, UK_E_BAD_REQUEST, "%s: %s expected, got \"%.*s\"", what, expected,
                   (int)(got.length < VALUE_SHOWN ? got.length : VALUE_SHOWN), got.data);
  return false;
}

bool uk_api_copy(struct uk_request *request, struct uk_slice *text)
{
  text->data = uk_arena_copy(&request->arena, text->data, text->length);
  if (text->data == NULL)
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
  return text->data != NULL;
}

static bool is_admitted(const struct uk_request *request, struct uk_slice topic)
{
  return uk_topic_name_valid(topic) && uk_credential_admits(request->credential, topic) &&
         !uk_topic_name_internal(topic);
}

bool uk_api_check_topic(struct uk_request *request, struct uk_slice topic, const char *what)
{
  if (is_admitted(request, topic))
    return true;
  if (!uk_topic_name_valid(topic))
    return uk_api_refuse(request, what, "a topic name (1 to 249 of A-Z a-z 0-9 . _ -)", topic);
  if (uk_credential_admits(request->credential, topic))
    uk_request_error(request, UK_E_NOT_FOUND, UK_NO_TOPIC, (int)topic.length, topic.data);
  else
    uk_request_error(request, UK_E_FORBIDDEN, "%s: the credentials do not permit topic \"%.*s\"",
                     what, (int)topic.length, topic.data);
  return false;
}

/* Writes the place only for an error, because writing it costs more than the check. */
bool uk_api_check_item_topic(struct uk_request *request, struct uk_slice topic,
                             const struct uk_json_list *list, size_t index)
{
  char place[UK_PLACE_SIZE];
  if (is_admitted(request, topic))
    return true;
  uk_json_field_place(place, sizeof place, list, index, "topic");
  return uk_api_check_topic(request, topic, place);
}

static int topic_shown(struct uk_slice topic)
{
  return (int)(topic.length < UK_TOPIC_NAME_MAX ? topic.length : UK_TOPIC_NAME_MAX);
}

bool uk_api_check_same_topic_at(struct uk_request *request, struct uk_slice in_path,
                                struct uk_slice in_body, const char *place)
{
  if (uk_slice_equal(in_path, in_body))
    return true;
  uk_request_error(request, UK_E_BAD_REQUEST,
                   "%s: \"%.*s\" in the body differs from \"%.*s\" in the path", place,
                   topic_shown(in_body), in_body.data, topic_shown(in_path), in_path.data);
  return false;
}

bool uk_api_check_same_topic(struct uk_request *request, struct uk_slice in_path,
                             struct uk_slice in_body, const struct uk_json_list *list, size_t index)
{
  char place[UK_PLACE_SIZE];
  if (uk_slice_equal(in_path, in_body))
    return true;
  uk_json_field_place(place, sizeof place, list, index, "topic");
  return uk_api_check_same_topic_at(request, in_path, in_body, place);
}

bool uk_api_check_group(struct uk_request *request)
{
  static const char *const names[] = {"group", "instance"};
  for (int i = 0; i < 2; i++) {
    struct uk_slice name = request->parameters[i];
    if (name.length > UK_GROUP_NAME_MAX || !uk_utf8_valid(name.data, name.length))
      return uk_api_refuse(request, names[i], "1 to 255 bytes of UTF-8", name);
  }
  const struct uk_slice group = request->parameters[0];
  if (uk_credential_admits_group(request->credential, group))
    return true;
  uk_request_error(request, UK_E_FORBIDDEN, "group: the credentials do not permit group \"%.*s\"",
                   (int)group.length, group.data);
  return false;
}

static bool parse_integer(struct uk_request *request, const char *name, struct uk_slice text,
                          int64_t least, int64_t most, int64_t *value)
{
  char expected[64];
  int64_t parsed;
  if (uk_parse_integral(text, &parsed) && parsed >= least && parsed <= most) {
    *value = parsed;
    return true;
  }
  snprintf(expected, sizeof expected, "an integer of %lld to %lld", (long long)least,
           (long long)most);
  return uk_api_refuse(request, name, expected, text);
}

bool uk_api_query_integer(struct uk_request *request, const char *name, int64_t least, int64_t most,
                          int64_t *value)
{
  struct uk_slice text;
  int found = uk_request_query(request, name, &text);
  return found == 0 || (found == 1 && parse_integer(request, name, text, least, most, value));
}

bool uk_api_header_integer(struct uk_request *request, const char *name, int64_t least,
                           int64_t most, int64_t *value)
{
  struct uk_slice text = uk_request_header(request, name);
  return text.data == NULL || parse_integer(request, name, text, least, most, value);
}

static bool is_visible(struct uk_slice text)
{
  size_t i = 0;
  while (i < text.length && text.data[i] > ' ' && text.data[i] <= '~')
    i++;
  return i == text.length;
}

bool uk_api_header_token(struct uk_request *request, const char *name, size_t most,
                         struct uk_slice *value)
{
  char expected[64];
  struct uk_slice text = uk_request_header(request, name);
  *value = (struct uk_slice){0};
  if (text.data == NULL)
    return true;
  if (text.length == 0 || text.length > most || !is_visible(text)) {
    snprintf(expected, sizeof expected, "1 to %zu visible ASCII characters", most);
    return uk_api_refuse(request, name, expected, text);
  }
  *value = text;
  return uk_api_copy(request, value);
}

bool uk_api_encoding(struct uk_request *request, bool *base64)
{
  struct uk_slice text = uk_request_header(request, UK_HEADER_ENCODING);
  *base64 = text.length == strlen(UK_ENCODING_BASE64) &&
            strncasecmp(text.data, UK_ENCODING_BASE64, text.length) == 0;
  return text.data == NULL || *base64 ||
         uk_api_refuse(request, UK_HEADER_ENCODING, UK_ENCODING_BASE64, text);
}

#define POSITION_FIELD(member, kind, high)                                                         \
  {                                                                                                \
    .name = #member, .type = kind, .required = true, .most = high,                                 \
    .offset = offsetof(struct uk_api_position, member)                                             \
  }

static const struct uk_json_field position_fields[] = {
  POSITION_FIELD(topic, UK_FIELD_TEXT, 0),
  POSITION_FIELD(partition, UK_FIELD_INTEGER, INT32_MAX),
  POSITION_FIELD(offset, UK_FIELD_INTEGER, UK_COMMITTED_OFFSET_MAX),
};

const struct uk_json_shape uk_api_position_shape = {position_fields, 3,
                                                    sizeof(struct uk_api_position)};
const struct uk_json_shape uk_api_partition_shape = {position_fields, 2,
                                                     sizeof(struct uk_api_position)};

bool uk_api_read_partitions(struct uk_request *request, struct uk_json_list *list)
{
  if (!uk_json_read_objects(request, &uk_api_partition_shape, UK_POSITIONS_MAX, list))
    return false;
  if (list->given && list->count == 0)
    uk_buffer_append_text(&request->reply, "[]");
  else if (list->count == 0)
    uk_request_error(request, UK_E_BAD_REQUEST,
                     "body: {topic, partition} or an array of them expected, got nothing");
  return list->count > 0;
}

/* Checks and copies the name, unless it is that of the position before. */
static bool take_position_topic(struct uk_request *request, const struct uk_json_list *list,
                                struct uk_topic_partition_offset *positions, size_t index)
{
  struct uk_slice *topic = &positions[index].topic;
  if (index > 0 && uk_slice_equal(*topic, positions[index - 1].topic)) {
    *topic = positions[index - 1].topic;
    return true;
  }
  return uk_api_check_item_topic(request, *topic, list, index) && uk_api_copy(request, topic);
}

struct uk_topic_partition_offset *uk_api_positions(struct uk_request *request,
                                                   const struct uk_json_list *list)
{
  const struct uk_api_position *given = list->items;
  struct uk_topic_partition_offset *positions =
    uk_arena_allocate(&request->arena, list->count, sizeof *positions);
  if (positions == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return NULL;
  }
  for (size_t i = 0; i < list->count; i++) {
    positions[i] = (struct uk_topic_partition_offset){
      given[i].topic.bytes, (int32_t)given[i].partition.value, given[i].offset.value};
    if (!take_position_topic(request, list, positions, i))
      return NULL;
  }
  return positions;
}

void uk_api_write_positions(struct uk_buffer *buffer,
                            const struct uk_topic_partition_offset *positions, size_t count)
{
  uk_buffer_append_byte(buffer, '[');
  for (size_t i = 0; i < count; i++) {
    uk_buffer_append_text(buffer, i > 0 ? ",{\"topic\":" : "{\"topic\":");
    uk_json_write_string(buffer, positions[i].topic);
    uk_buffer_append_text(buffer, ",\"partition\":");
    uk_json_write_integer(buffer, positions[i].partition);
    uk_buffer_append_text(buffer, ",\"offset\":");
    uk_json_write_integer(buffer, positions[i].offset);
    uk_buffer_append_byte(buffer, '}');
  }
  uk_buffer_append_byte(buffer, ']');
}
