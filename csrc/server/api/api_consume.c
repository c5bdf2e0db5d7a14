/* consume: the next records for one instance of a group. */
#include <stdio.h>

#include "server/api/api_batch.h"
#include "server/api/api_group.h"
#include "server/api/api_read.h"
#include "server/access/credentials.h"

static const struct uk_json_field consume_fields[] = {
  UK_READ_BATCH_FIELDS,
  UK_READ_FIELD("topics", topics, UK_FIELD_TEXTS, 0, UK_TOPICS_PER_CONSUME_MAX, NULL),
  UK_READ_FIELD("commit", commits, UK_FIELD_SOME_OBJECTS, 0, UK_POSITIONS_MAX,
                &uk_api_position_shape),
};
static const struct uk_json_shape consume_shape = {
  consume_fields, sizeof consume_fields / sizeof *consume_fields, sizeof(struct uk_read_body)};

/* Copies the name: it outlives the body. */
static bool add_topic(struct uk_request *request, struct uk_consume *consume,
                      struct uk_slice *topics, struct uk_slice topic)
{
  for (size_t i = 0; i < consume->topic_count; i++) {
    if (uk_slice_equal(topics[i], topic))
      return true;
  }
  topics[consume->topic_count++] = topic;
  return uk_api_copy(request, &topics[consume->topic_count - 1]);
}

/* Takes one topic of the body, named by `place`; it must equal the path's topic, if there is one.
 */
static bool take_topic(struct uk_request *request, struct uk_consume *consume,
                       struct uk_slice *topics, struct uk_slice topic, const char *place)
{
  struct uk_slice in_path = request->parameters[2];
  return uk_api_check_topic(request, topic, place) &&
         (in_path.length == 0 || uk_api_check_same_topic_at(request, in_path, topic, place)) &&
         add_topic(request, consume, topics, topic);
}

static bool read_topics(struct uk_request *request, struct uk_consume *consume,
                        const struct uk_read_body *body)
{
  const struct uk_json_text *given = body->topics.items;
  struct uk_slice *topics =
    uk_arena_allocate(&request->arena, body->topics.count + 2, sizeof *topics);
  char place[UK_PLACE_SIZE] = "topics";
  if (topics == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  consume->topics = topics;
  if (request->parameters[2].length > 0 &&
      !take_topic(request, consume, topics, request->parameters[2], "topic"))
    return false;
  if (body->topic.given && !take_topic(request, consume, topics, body->topic.bytes, "topic"))
    return false;
  for (size_t i = 0; i < body->topics.count; i++) {
    if (body->topics.array)
      snprintf(place, sizeof place, "topics[%zu]", i);
    if (!take_topic(request, consume, topics, given[i].bytes, place))
      return false;
  }
  if (consume->topic_count == 0)
    uk_request_error(request, UK_E_BAD_REQUEST, "topic, topics: at least one topic expected");
  return consume->topic_count > 0;
}

/* Reserves memory for what the reply says about them: they are committed, whatever follows. */
static bool read_commits(struct uk_request *request, struct uk_read_call *call,
                         const struct uk_read_body *body)
{
  struct uk_consume *consume = &call->consume;
  const size_t count = body->commits.count;
  if (count == 0)
    return true;
  consume->commits = uk_api_positions(request, &body->commits);
  if (consume->commits == NULL)
    return false;
  consume->commit_count = count;
  consume->skipped = uk_arena_allocate(&request->arena, count, sizeof *consume->skipped);
  if (consume->skipped == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  call->skipped = uk_api_reserve_skipped(request);
  return call->skipped != NULL && uk_api_reserve_reply(request, 0);
}

static void finish(struct uk_request *request)
{
  const struct uk_read_call *call = request->operation;
  uk_api_read_finish(request);
  uk_api_explain_conflict(request, &call->consume.acknowledgement);
  if (call->operation.error != UK_OK)
    return;
  if (call->consume.batch[0] != '\0')
    uk_request_add_header(request, UK_HEADER_BATCH, call->consume.batch);
  uk_api_add_skipped(request, &call->consume, call->skipped);
}

static void submit(struct uk_request *request)
{
  struct uk_engine *engine = uk_api_engine(request);
  engine->methods->consume(engine, request->operation);
}

/* GET /consume/{group}/{instance}/{topic} and /consume/{group}/{instance} */
bool uk_api_consume(struct uk_request *request)
{
  struct uk_read_body body;
  struct uk_read_call *call =
    uk_api_read_start(request, &consume_shape, &body, UK_CONSUME_TIMEOUT, finish);
  if (call == NULL || !uk_api_check_group(request))
    return false;
  call->consume.group = request->parameters[0];
  call->consume.instance = request->parameters[1];
  call->consume.create = uk_credential_holds(request->credential, UK_PERMIT_PRODUCE);
  call->consume.sink = uk_api_read_sink;
  if (!read_topics(request, &call->consume, &body) ||
      !uk_api_read_settings(request, &call->consume.settings) ||
      !uk_api_read_acknowledgement(request, &call->consume.acknowledgement) ||
      !read_commits(request, call, &body) || !uk_api_ask(request, &call->consume.acknowledgement))
    return false;
  if (!uk_api_follow(request, &call->consume))
    return false;
  request->client_gone = uk_api_read_client_gone;
  uk_request_drop_input(request, false);
  return uk_api_with_group(request, submit);
}
