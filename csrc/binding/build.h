/* build: one function for each call, which turns Lua arguments into a request and raises on
 * misuse. */
#ifndef UK_BUILD_H
#define UK_BUILD_H

#include "binding/arguments.h"

typedef void uk_lua_builder(const struct uk_lua_arguments *arguments);

/* build_produce.c */
uk_lua_builder uk_lua_build_produce, uk_lua_build_produce_many, uk_lua_build_webhook;

/* build_consume.c */
uk_lua_builder uk_lua_build_consume, uk_lua_build_commit, uk_lua_build_committed,
  uk_lua_build_delete_consumer, uk_lua_build_consumers;

/* build_read.c */
uk_lua_builder uk_lua_build_fetch, uk_lua_build_offsets;

/* build_topic.c */
uk_lua_builder uk_lua_build_topics, uk_lua_build_create_topic, uk_lua_build_delete_topic,
  uk_lua_build_health;

/* build.c: what the builders share. Times are milliseconds; -1 means absent. */
struct uk_lua_batch_options {
  int64_t timeout, max_messages, max_bytes;
};

/* Rows for a struct whose first member is a struct uk_lua_batch_options. */
#define UK_INTEGER_ROW(name, type, member, min, max)                                               \
  {                                                                                                \
    name, UK_OPTION_INTEGER, false, offsetof(type, member), min, max, NULL                         \
  }
#define UK_TIMEOUT_ROW                                                                             \
  UK_INTEGER_ROW("timeout", struct uk_lua_batch_options, timeout, 0, UK_TIMEOUT_MAX)
#define UK_BATCH_ROWS                                                                              \
  UK_TIMEOUT_ROW,                                                                                  \
    UK_INTEGER_ROW("max_messages", struct uk_lua_batch_options, max_messages, 1,                   \
                   UK_BATCH_MESSAGES_MAX),                                                         \
    UK_INTEGER_ROW("max_bytes", struct uk_lua_batch_options, max_bytes, 1, UK_BATCH_BYTES_MAX)

/* Each begins the request: without parameters in the path; with group and instance, from the first
 * two arguments; with a topic, from the first. */
void uk_lua_begin(const struct uk_lua_arguments *arguments, enum uk_endpoint endpoint);
void uk_lua_begin_group(const struct uk_lua_arguments *arguments, enum uk_endpoint endpoint);
void uk_lua_begin_topic(const struct uk_lua_arguments *arguments, enum uk_endpoint endpoint);

/* Reads argument `number`, which may be absent, as options. Returns a bit for each row that is
 * present. */
uint64_t uk_lua_argument_options(const struct uk_lua_arguments *arguments, int number,
                                 const struct uk_lua_option *rows, void *options);

/* Reads an integer argument from 0 to `max`. */
int64_t uk_lua_argument_integer(const struct uk_lua_arguments *arguments, int number,
                                const char *name, int64_t max);

/* What consume, commit and delete_consumer say about batches; NULL = absent. */
struct uk_lua_batch_headers {
  const char *ack, *commit_batch;
};

/* Rows for a struct with a member `headers` of that type. */
#define UK_BATCH_HEADER_ROWS(type)                                                                 \
  {"ack", UK_OPTION_TEXT, false, offsetof(type, headers.ack), 0, 0, NULL},                         \
  {                                                                                                \
    "commit_batch", UK_OPTION_TEXT, false, offsetof(type, headers.commit_batch), 0, 0, NULL        \
  }

/* Each adds a field to the body or a header. The integer ones add nothing for a negative value. */
void uk_lua_add_integer(const struct uk_lua_arguments *arguments, const char *name, int64_t value);
void uk_lua_add_header_integer(const struct uk_lua_arguments *arguments, const char *name,
                               int64_t value);
void uk_lua_add_header(const struct uk_lua_arguments *arguments, const char *name,
                       const char *value);
void uk_lua_add_batch(const struct uk_lua_arguments *arguments,
                      const struct uk_lua_batch_options *options);

/* Sets how long the server may take beyond the client's own timeout: `timeout`, or `otherwise` if
 * it is negative. */
void uk_lua_set_wait(const struct uk_lua_arguments *arguments, int64_t timeout, int64_t otherwise);

/* Adds the timeout of committed and offsets to the query and sets the wait. */
void uk_lua_add_query_timeout(const struct uk_lua_arguments *arguments, int64_t timeout);

#endif
