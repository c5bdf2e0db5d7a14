#include "binding/build.h"

struct create_topic_options {
  int64_t partitions, retention_ms, retention_bytes;
};

/* Bits of rows that are present: -1 cannot stand for an absent retention, since it is the unlimited
 * one. */
enum { SEEN_RETENTION_MS = 1, SEEN_RETENTION_BYTES = 2 };
static const struct uk_lua_option create_topic_rows[] = {
  UK_INTEGER_ROW("retention_ms", struct create_topic_options, retention_ms, -1, INT64_MAX),
  UK_INTEGER_ROW("retention_bytes", struct create_topic_options, retention_bytes, -1, INT64_MAX),
  UK_INTEGER_ROW("partitions", struct create_topic_options, partitions, 1, INT32_MAX),
  {.name = NULL}};

void uk_lua_build_topics(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin(arguments, UK_ENDPOINT_TOPICS);
}

void uk_lua_build_create_topic(const struct uk_lua_arguments *arguments)
{
  struct create_topic_options options = {-1, -1, -1};
  uint64_t seen = uk_lua_argument_options(arguments, 2, create_topic_rows, &options);
  uk_lua_begin_topic(arguments, UK_ENDPOINT_CREATE_TOPIC);
  uk_client_request_object(arguments->request);
  uk_lua_add_integer(arguments, "partitions", options.partitions);
  if (seen & SEEN_RETENTION_MS)
    uk_client_request_integer(arguments->request, "retention_ms", options.retention_ms);
  if (seen & SEEN_RETENTION_BYTES)
    uk_client_request_integer(arguments->request, "retention_bytes", options.retention_bytes);
  uk_client_request_object_end(arguments->request);
}

void uk_lua_build_delete_topic(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin_topic(arguments, UK_ENDPOINT_DELETE_TOPIC);
}

void uk_lua_build_health(const struct uk_lua_arguments *arguments)
{
  uk_lua_begin(arguments, UK_ENDPOINT_HEALTH);
}
