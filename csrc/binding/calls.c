#include "binding/calls.h"

/* A consume whose response is lost may have moved the positions; a second delete is answered
 * 404. */
const struct uk_lua_call_row uk_lua_calls[] = {
  {"produce", 3, uk_lua_build_produce, uk_lua_decode_metadata_one, UK_RETRY_UNSENT, NULL, true},
  {"produce_many", 2, uk_lua_build_produce_many, uk_lua_decode_metadata_list, UK_RETRY_UNSENT,
   "messages", true},
  {"webhook", 3, uk_lua_build_webhook, uk_lua_decode_metadata, UK_RETRY_UNSENT, NULL, true},
  {"consume", 4, uk_lua_build_consume, uk_lua_decode_messages, UK_RETRY_UNSENT, NULL, false},
  {"commit", 4, uk_lua_build_commit, uk_lua_decode_success, UK_RETRY_SAFE, "offsets", false},
  {"committed", 4, uk_lua_build_committed, uk_lua_decode_offsets, UK_RETRY_SAFE, "partitions",
   false},
  {"delete_consumer", 3, uk_lua_build_delete_consumer, uk_lua_decode_success, UK_RETRY_UNSENT, NULL,
   false},
  {"consumers", 0, uk_lua_build_consumers, uk_lua_decode_list, UK_RETRY_SAFE, NULL, false},
  {"fetch", 4, uk_lua_build_fetch, uk_lua_decode_messages, UK_RETRY_SAFE, "offsets", false},
  {"offsets", 3, uk_lua_build_offsets, uk_lua_decode_offsets, UK_RETRY_SAFE, "partitions", false},
  {"topics", 0, uk_lua_build_topics, uk_lua_decode_topics, UK_RETRY_SAFE, NULL, false},
  {"create_topic", 2, uk_lua_build_create_topic, uk_lua_decode_topic, UK_RETRY_SAFE, NULL, false},
  {"delete_topic", 1, uk_lua_build_delete_topic, uk_lua_decode_success, UK_RETRY_UNSENT, NULL,
   false},
  {"health", 0, uk_lua_build_health, uk_lua_decode_object, UK_RETRY_NEVER, NULL, false},
  {NULL, 0, NULL, NULL, UK_RETRY_NEVER, NULL, false}};

const struct uk_lua_call_row *uk_lua_find_call(const char *name)
{
  for (const struct uk_lua_call_row *row = uk_lua_calls; row->name != NULL; row++)
    if (strcmp(row->name, name) == 0)
      return row;
  return NULL;
}
