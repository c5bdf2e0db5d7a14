/* Creates and deletes topics. */
#include "common/json_writer.h"
#include "server/api/api.h"

struct body {
  struct uk_json_text topic;
  struct uk_json_integer partitions, retention_ms, retention_bytes;
};

#define FIELD(member, low, high)                                                                   \
  {                                                                                                \
    .name = #member, .type = UK_FIELD_INTEGER, .offset = offsetof(struct body, member),            \
    .least = low, .most = high                                                                     \
  }

static const struct uk_json_field fields[] = {
  FIELD(partitions, 1, UK_PARTITIONS_MAX),
  FIELD(retention_ms, -1, INT64_MAX),
  FIELD(retention_bytes, -1, INT64_MAX),
  {.name = "topic", .type = UK_FIELD_TEXT, .offset = offsetof(struct body, topic)},
};
static const struct uk_json_shape shape = {fields, 4, sizeof(struct body)};

static void finish_create(struct uk_request *request)
{
  const struct uk_create_topic *create = request->operation;
  if (uk_api_failed(request))
    return;
  request->status = create->created ? 201 : 200;
  uk_buffer_append_text(&request->reply, "{\"topic\":");
  uk_json_write_string(&request->reply, create->topic);
  uk_buffer_append_text(&request->reply, ",\"partitions\":");
  uk_json_write_integer(&request->reply, create->partitions);
  uk_buffer_append_byte(&request->reply, '}');
}

bool uk_api_create_topic(struct uk_request *request)
{
  struct body body;
  if (!uk_api_check_topic(request, request->parameters[0], "topic") ||
      !uk_json_read_object(request, &shape, &body) ||
      (body.topic.given &&
       !uk_api_check_same_topic_at(request, request->parameters[0], body.topic.bytes, "topic")))
    return false;
  struct uk_create_topic *create =
    uk_api_operation(request, sizeof *create, UK_OFFSETS_TIMEOUT, finish_create);
  if (create == NULL)
    return false;
  create->topic = request->parameters[0];
  create->partitions = body.partitions.given ? (int32_t)body.partitions.value : -1;
  create->has_retention_ms = body.retention_ms.given;
  create->retention_ms = body.retention_ms.value;
  create->has_retention_bytes = body.retention_bytes.given;
  create->retention_bytes = body.retention_bytes.value;
  struct uk_engine *engine = uk_api_engine(request);
  uk_request_drop_input(request, false);
  engine->methods->create_topic(engine, create);
  return true;
}

bool uk_api_delete_topic(struct uk_request *request)
{
  if (!uk_api_check_topic(request, request->parameters[0], "topic"))
    return false;
  struct uk_delete_topic *operation =
    uk_api_operation(request, sizeof *operation, UK_OFFSETS_TIMEOUT, uk_api_finish_success);
  if (operation == NULL)
    return false;
  operation->topic = request->parameters[0];
  struct uk_engine *engine = uk_api_engine(request);
  uk_request_drop_input(request, false);
  engine->methods->delete_topic(engine, operation);
  return true;
}
