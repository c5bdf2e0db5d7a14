/* consume and fetch: records from the engine straight into the reply. */
#include <stdio.h>
#include <strings.h>

#include "server/api.h"
#include "server/message_json.h"

/* Either operation, and the batch that it fills. */
struct read_call {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_fetch fetch;
  };
  int64_t timeout, max_messages, max_bytes;
  int64_t count; /* of messages in the reply */
  bool base64;
};

/* Takes the record unless the batch is full; always the first. A record that fails for want of
 * memory ends the batch before it. */
static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct uk_request *request = operation->context;
  struct read_call *call = request->operation;
  struct uk_buffer *reply = &request->reply;
  size_t before = reply->length;
  if (call->count >= call->max_messages)
    return false;
  uk_buffer_append_byte(reply, call->count > 0 ? ',' : '[');
  uk_json_write_message(reply, record, call->base64);
  bool full = reply->error != UK_OK || reply->length >= (size_t)call->max_bytes;
  if (full && call->count > 0) {
    reply->length = before;
    reply->error = UK_OK;
    return false;
  }
  call->count++;
  return reply->error == UK_OK;
}

static bool wanted(struct uk_operation *operation)
{
  return uk_request_alive(operation->context);
}

/* The batch that a client did not get is its instance's to get again. */
static void sent(struct uk_request *request, bool whole)
{
  const struct read_call *call = request->operation;
  struct uk_engine *engine = uk_api_engine(request);
  if (!whole || request->status != 200)
    engine->methods->undelivered(engine, call->consume.group, call->consume.instance,
                                 call->consume.delivery);
}

static void finish(struct uk_request *request)
{
  const struct read_call *call = request->operation;
  if (uk_api_failed(request))
    return;
  uk_buffer_append_text(&request->reply, call->count > 0 ? "]" : "[]");
}

static void finish_consume(struct uk_request *request)
{
  const struct read_call *call = request->operation;
  finish(request);
  if (call->operation.error == UK_OK && call->consume.delivery > 0)
    request->sent = sent;
}

/* What a body may hold, of both endpoints. */
struct body {
  struct uk_json_text topic;
  struct uk_json_integer partition, offset, timeout, max_messages, max_bytes;
  struct uk_json_list topics, positions;
};

#define FIELD(name_, member, kind, low, high, shape_)                                              \
  {                                                                                                \
    .name = name_, .type = kind, .offset = offsetof(struct body, member), .least = low,            \
    .most = high, .shape = shape_                                                                  \
  }
#define INTEGER(member, low, high) FIELD(#member, member, UK_FIELD_INTEGER, low, high, NULL)
#define BATCH_FIELDS                                                                               \
  FIELD("topic", topic, UK_FIELD_TEXT, 0, 0, NULL), INTEGER(timeout, 0, UK_TIMEOUT_MAX),           \
    INTEGER(max_messages, 1, UK_BATCH_MESSAGES_MAX), INTEGER(max_bytes, 1, UK_BATCH_BYTES_MAX)

static const struct uk_json_field consume_fields[] = {
  BATCH_FIELDS,
  FIELD("topics", topics, UK_FIELD_TEXTS, 0, UK_TOPICS_PER_CONSUME_MAX, NULL),
};
static const struct uk_json_shape consume_shape = {
  consume_fields, sizeof consume_fields / sizeof *consume_fields, sizeof(struct body)};

/* An offset below the first kept one is the engine's to refuse, who knows the range; a negative one
 * is no other. */
static const struct uk_json_field position_fields[] = {
  {.name = "topic",
   .type = UK_FIELD_TEXT,
   .required = true,
   .offset = offsetof(struct uk_api_position, topic)},
  {.name = "partition",
   .type = UK_FIELD_INTEGER,
   .required = true,
   .most = INT32_MAX,
   .offset = offsetof(struct uk_api_position, partition)},
  {.name = "offset",
   .type = UK_FIELD_INTEGER,
   .required = true,
   .least = INT64_MIN,
   .most = INT64_MAX,
   .offset = offsetof(struct uk_api_position, offset)},
};
static const struct uk_json_shape position_shape = {position_fields, 3,
                                                    sizeof(struct uk_api_position)};

static const struct uk_json_field fetch_fields[] = {
  BATCH_FIELDS,
  INTEGER(partition, 0, INT32_MAX),
  INTEGER(offset, INT64_MIN, INT64_MAX),
  FIELD("topicPartitionOffsets", positions, UK_FIELD_OBJECTS, 0, UK_POSITIONS_MAX, &position_shape),
};
static const struct uk_json_shape fetch_shape = {
  fetch_fields, sizeof fetch_fields / sizeof *fetch_fields, sizeof(struct body)};

static void override(int64_t *value, const struct uk_json_integer *given)
{
  *value = given->given ? given->value : *value;
}

/* An operation with the timeout and the size of the batch, out of the query and the body, which has
 * the last word. */
static struct read_call *start(struct uk_request *request, const struct uk_json_shape *shape,
                               struct body *body, int64_t timeout,
                               void (*finished)(struct uk_request *))
{
  int64_t max_messages = UK_BATCH_MESSAGES, max_bytes = UK_BATCH_BYTES;
  bool base64;
  if (!uk_api_query_integer(request, "timeout", 0, UK_TIMEOUT_MAX, &timeout) ||
      !uk_api_query_integer(request, "max_messages", 1, UK_BATCH_MESSAGES_MAX, &max_messages) ||
      !uk_api_query_integer(request, "max_bytes", 1, UK_BATCH_BYTES_MAX, &max_bytes) ||
      !uk_api_encoding(request, &base64) || !uk_json_read_object(request, shape, body))
    return NULL;
  override(&timeout, &body->timeout);
  override(&max_messages, &body->max_messages);
  override(&max_bytes, &body->max_bytes);
  struct read_call *call = uk_api_operation(request, sizeof *call, timeout, finished);
  if (call == NULL)
    return NULL;
  call->max_messages = max_messages;
  call->max_bytes = max_bytes;
  call->base64 = base64;
  return call;
}

/* The subscription. */

static void add_topic(struct uk_consume *consume, struct uk_slice *topics, struct uk_slice topic)
{
  for (size_t i = 0; i < consume->topic_count; i++) {
    if (uk_slice_equal(topics[i], topic))
      return;
  }
  topics[consume->topic_count++] = topic;
}

static bool read_topics(struct uk_request *request, struct uk_consume *consume,
                        const struct body *body)
{
  const struct uk_json_text *given = body->topics.items;
  struct uk_slice *topics =
    uk_arena_allocate(&request->arena, body->topics.count + 1, sizeof *topics);
  char place[UK_PLACE_SIZE];
  if (topics == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  consume->topics = topics;
  if (body->topic.given) {
    add_topic(consume, topics, body->topic.bytes);
    if (!uk_api_check_topic(request, body->topic.bytes, "topic"))
      return false;
  }
  for (size_t i = 0; i < body->topics.count; i++) {
    snprintf(place, sizeof place, "topics[%zu]", i);
    if (!uk_api_check_topic(request, given[i].bytes, place))
      return false;
    add_topic(consume, topics, given[i].bytes);
  }
  if (consume->topic_count == 0)
    uk_request_error(request, UK_E_BAD_REQUEST, "topic, topics: at least one topic expected");
  return consume->topic_count > 0;
}

/* The settings of a new instance, out of the headers. */

struct word {
  const char *word;
  int value;
};

/* One of the words, any case; leaves `*value` when the header is absent. */
static bool read_word(struct uk_request *request, const char *name, const struct word *words,
                      size_t count, const char *expected, int *value)
{
  struct uk_slice text = uk_request_header(request, name);
  for (size_t i = 0; i < count && text.data != NULL; i++) {
    if (text.length == strlen(words[i].word) &&
        strncasecmp(text.data, words[i].word, text.length) == 0) {
      *value = words[i].value;
      return true;
    }
  }
  if (text.data == NULL)
    return true;
  uk_request_error(request, UK_E_BAD_REQUEST, "%s: %s expected, got \"%.*s\"", name, expected,
                   (int)(text.length < 64 ? text.length : 64), text.data);
  return false;
}

static bool read_settings(struct uk_request *request, struct uk_consumer_settings *settings)
{
  static const struct word booleans[] = {{"true", true}, {"false", false}};
  static const struct word resets[] = {
    {"latest", UK_RESET_LATEST}, {"earliest", UK_RESET_EARLIEST}, {"none", UK_RESET_NONE}};
  int auto_commit = true, reset = UK_RESET_LATEST;
  int64_t interval = UK_AUTO_COMMIT_INTERVAL, session = UK_SESSION_TIMEOUT;
  if (!read_word(request, UK_HEADER_AUTO_COMMIT, booleans, 2, "true or false", &auto_commit) ||
      !read_word(request, UK_HEADER_OFFSET_RESET, resets, 3, "latest, earliest or none", &reset) ||
      !uk_api_header_integer(request, UK_HEADER_AUTO_COMMIT_INTERVAL, 0,
                             UK_AUTO_COMMIT_INTERVAL_MAX, &interval) ||
      !uk_api_header_integer(request, UK_HEADER_SESSION_TIMEOUT, UK_SESSION_TIMEOUT_MIN,
                             UK_SESSION_TIMEOUT_MAX, &session))
    return false;
  *settings = (struct uk_consumer_settings){.auto_commit = auto_commit != 0,
                                            .auto_commit_interval = (int32_t)interval,
                                            .offset_reset = (enum uk_offset_reset)reset,
                                            .session_timeout = (int32_t)session};
  return true;
}

/* GET /consume/{group}/{instance}/{topic}, which takes no body, and /consume/{group}/{instance} */
bool uk_api_consume(struct uk_request *request)
{
  struct body body;
  bool in_path = request->endpoint == UK_ENDPOINT_CONSUME_TOPIC;
  if (in_path)
    request->body_length = 0;
  struct read_call *call =
    start(request, &consume_shape, &body, UK_CONSUME_TIMEOUT, finish_consume);
  if (call == NULL || !uk_api_check_group(request))
    return false;
  if (in_path)
    body.topic = (struct uk_json_text){.bytes = request->parameters[2], .given = true};
  call->consume.group = request->parameters[0];
  call->consume.instance = request->parameters[1];
  call->consume.sink.record = take;
  call->consume.sink.wanted = wanted;
  if (!read_topics(request, &call->consume, &body) ||
      !read_settings(request, &call->consume.settings))
    return false;
  struct uk_engine *engine = uk_api_engine(request);
  engine->methods->consume(engine, &call->consume);
  return true;
}

/* The triple, which must be whole, goes in front of the set. */
static bool add_triple(struct uk_request *request, struct body *body)
{
  struct uk_api_position *all;
  size_t count = body->positions.count;
  if (!body->topic.given && !body->partition.given && !body->offset.given)
    return true;
  const char *missing = !body->topic.given       ? "topic"
                        : !body->partition.given ? "partition"
                        : !body->offset.given    ? "offset"
                                                 : NULL;
  if (missing != NULL) {
    uk_request_error(request, UK_E_BAD_REQUEST, "%s: missing", missing);
    return false;
  }
  all = uk_arena_allocate(&request->arena, count + 1, sizeof *all);
  if (all == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  all[0] = (struct uk_api_position){body->topic, body->partition, body->offset};
  if (count > 0)
    memcpy(all + 1, body->positions.items, count * sizeof *all);
  body->positions.items = all;
  body->positions.count = count + 1;
  return true;
}

bool uk_api_fetch(struct uk_request *request)
{
  struct body body;
  struct read_call *call = start(request, &fetch_shape, &body, UK_FETCH_TIMEOUT, finish);
  if (call == NULL || !add_triple(request, &body))
    return false;
  if (body.positions.count == 0) {
    uk_request_error(request, UK_E_BAD_REQUEST,
                     "topic, partition, offset or topicPartitionOffsets expected, got nothing");
    return false;
  }
  call->fetch.positions = uk_api_positions(request, &body.positions);
  call->fetch.count = body.positions.count;
  call->fetch.sink.record = take;
  call->fetch.sink.wanted = wanted;
  if (call->fetch.positions == NULL)
    return false;
  struct uk_engine *engine = uk_api_engine(request);
  engine->methods->fetch(engine, &call->fetch);
  return true;
}
