/* api_read: what consume and fetch share: writing the engine's records straight into the reply. */
#ifndef UK_API_READ_H
#define UK_API_READ_H

#include "server/api/api.h"

/* Either operation, and the batch it fills. */
struct uk_read_call {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_fetch fetch;
  };
  int64_t max_messages, max_bytes;
  int64_t count; /* messages in the reply */
  bool base64;
  char *skipped; /* a consume with commits: room for the names of those that are skipped */
};

/* The fields of both endpoints' bodies. */
struct uk_read_body {
  struct uk_json_text topic;
  struct uk_json_integer partition, offset, timeout, max_messages, max_bytes;
  struct uk_json_list topics, positions, commits;
};

#define UK_READ_FIELD(name_, member, kind, low, high, shape_)                                      \
  {                                                                                                \
    .name = name_, .type = kind, .offset = offsetof(struct uk_read_body, member), .least = low,    \
    .most = high, .shape = shape_                                                                  \
  }
#define UK_READ_INTEGER(member, low, high)                                                         \
  UK_READ_FIELD(#member, member, UK_FIELD_INTEGER, low, high, NULL)
#define UK_READ_BATCH_FIELDS                                                                       \
  UK_READ_FIELD("topic", topic, UK_FIELD_TEXT, 0, 0, NULL),                                        \
    UK_READ_INTEGER(timeout, 0, UK_TIMEOUT_MAX),                                                   \
    UK_READ_INTEGER(max_messages, 1, UK_BATCH_MESSAGES_MAX),                                       \
    UK_READ_INTEGER(max_bytes, 1, UK_BATCH_BYTES_MAX)

/* Allocates the operation, with the timeout and batch limits from the query and the body; the body
 * takes precedence. NULL: the reply is an error. */
struct uk_read_call *uk_api_read_start(struct uk_request *request,
                                       const struct uk_json_shape *shape, struct uk_read_body *body,
                                       int64_t timeout, void (*finish)(struct uk_request *request));

/* Appends each record to the reply until the batch is full. */
extern const struct uk_sink uk_api_read_sink;

/* For uk_request.client_gone: ends the wait. Nothing is lost by it: records that arrive are left
 * for the next request. */
void uk_api_read_client_gone(struct uk_request *request);

/* For uk_request.finish: ends the array, or replaces it with the operation's error. */
void uk_api_read_finish(struct uk_request *request);

/* Reads the settings for a new instance from the headers. False: the reply is an error. */
bool uk_api_read_settings(struct uk_request *request, struct uk_consumer_settings *settings);

#endif
