/* fetch: records from given offsets, without a group. */
#include "server/api/api_read.h"

/* Any offset is accepted here, negative ones too: the engine refuses those outside the partition's
 * range, because it knows the range. */
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
  UK_READ_BATCH_FIELDS,
  UK_READ_INTEGER(partition, 0, INT32_MAX),
  UK_READ_INTEGER(offset, INT64_MIN, INT64_MAX),
  UK_READ_FIELD("topicPartitionOffsets", positions, UK_FIELD_OBJECTS, 0, UK_POSITIONS_MAX,
                &position_shape),
};
static const struct uk_json_shape fetch_shape = {
  fetch_fields, sizeof fetch_fields / sizeof *fetch_fields, sizeof(struct uk_read_body)};

/* Puts the single triple, which must be complete, before the set. */
static bool add_triple(struct uk_request *request, struct uk_read_body *body)
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
  all = uk_arena_allocate(uk_request_scratch(request), count + 1, sizeof *all);
  if (all == NULL) {
    uk_request_error(request, UK_E_NO_MEMORY, NULL);
    return false;
  }
  all[0] = (struct uk_api_position){body->topic, body->partition, body->offset};
  if (count > 0)
    memcpy(all + 1, body->positions.items, count * sizeof *all);
  body->positions.items = all;
  body->positions.own = 1;
  body->positions.count = count + 1;
  return true;
}

bool uk_api_fetch(struct uk_request *request)
{
  struct uk_read_body body;
  struct uk_read_call *call =
    uk_api_read_start(request, &fetch_shape, &body, UK_FETCH_TIMEOUT, uk_api_read_finish);
  if (call == NULL || !add_triple(request, &body))
    return false;
  if (body.positions.count == 0) {
    uk_request_error(request, UK_E_BAD_REQUEST,
                     "topic, partition, offset or topicPartitionOffsets expected, got nothing");
    return false;
  }
  call->fetch.positions = uk_api_positions(request, &body.positions);
  call->fetch.count = body.positions.count;
  /* No is_client_alive: it would reject a client that has shut down only its sending side, and a
   * fetch loses nothing if the client is gone. */
  call->fetch.sink = (struct uk_sink){.record = uk_api_read_sink.record};
  if (call->fetch.positions == NULL)
    return false;
  struct uk_engine *engine = uk_api_engine(request);
  request->client_gone = uk_api_read_client_gone;
  uk_request_drop_input(request, false);
  engine->methods->fetch(engine, &call->fetch);
  return true;
}
