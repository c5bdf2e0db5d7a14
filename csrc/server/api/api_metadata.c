/* topics, offsets: lists topics, finds offsets by time. */
#include "common/json_writer.h"
#include "server/api/api.h"
#include "server/access/credentials.h"

static void write_topic(struct uk_operation *operation, struct uk_slice name, int32_t partitions)
{
  struct uk_request *request = operation->context;
  if (!uk_credential_admits(request->credential, name) || uk_topic_name_internal(name))
    return;
  uk_buffer_append_byte(&request->reply, request->reply.length > 0 ? ',' : '{');
  uk_json_write_string(&request->reply, name);
  uk_buffer_append_byte(&request->reply, ':');
  uk_json_write_integer(&request->reply, partitions);
}

static void finish_topics(struct uk_request *request)
{
  if (!uk_api_failed(request))
    uk_buffer_append_text(&request->reply, request->reply.length > 0 ? "}" : "{}");
}

bool uk_api_topics(struct uk_request *request)
{
  struct uk_topics *topics =
    uk_api_operation(request, sizeof *topics, UK_OFFSETS_TIMEOUT, finish_topics);
  if (topics == NULL)
    return false;
  topics->topic = write_topic;
  struct uk_engine *engine = uk_api_engine(request);
  uk_request_drop_input(request, false);
  engine->methods->topics(engine, topics);
  return true;
}

static void finish_offsets(struct uk_request *request)
{
  const struct uk_offsets *offsets = request->operation;
  if (!uk_api_failed(request))
    uk_api_write_positions(&request->reply, offsets->offsets, offsets->count);
}

static bool read_timestamp(struct uk_request *request, int64_t *timestamp)
{
  struct uk_slice text = request->parameters[0];
  if (uk_slice_is(text, "earliest"))
    *timestamp = UK_TIMESTAMP_EARLIEST;
  else if (uk_slice_is(text, "latest"))
    *timestamp = UK_TIMESTAMP_LATEST;
  else if (!uk_parse_int64(text, timestamp) || *timestamp < 0) {
    uk_request_error(
      request, UK_E_BAD_REQUEST,
      "timestamp: earliest, latest or milliseconds since 1970 expected, got \"%.*s\"",
      (int)(text.length < 64 ? text.length : 64), text.data);
    return false;
  }
  return true;
}

bool uk_api_offsets(struct uk_request *request)
{
  struct uk_json_list list;
  int64_t timestamp, timeout = UK_OFFSETS_TIMEOUT;
  if (!read_timestamp(request, &timestamp) ||
      !uk_api_query_integer(request, "timeout", 0, UK_TIMEOUT_MAX, &timeout) ||
      !uk_api_read_partitions(request, &list))
    return false;
  struct uk_offsets *offsets = uk_api_operation(request, sizeof *offsets, timeout, finish_offsets);
  if (offsets == NULL)
    return false;
  offsets->timestamp = timestamp;
  offsets->offsets = uk_api_positions(request, &list);
  offsets->count = list.count;
  if (offsets->offsets == NULL)
    return false;
  struct uk_engine *engine = uk_api_engine(request);
  uk_request_drop_input(request, false);
  engine->methods->offsets(engine, offsets);
  return true;
}
