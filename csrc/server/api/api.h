/* api: the handlers, by endpoint, and what they share. */
#ifndef UK_API_H
#define UK_API_H

#include "server/api/dispatch.h"
#include "server/api/json_request.h"
#include "server/engine/engine.h"

uk_handler uk_api_produce_one, uk_api_produce, uk_api_webhook;
uk_handler uk_api_consume, uk_api_fetch;
uk_handler uk_api_commit, uk_api_committed, uk_api_delete_consumer, uk_api_consumers;
uk_handler uk_api_topics, uk_api_offsets, uk_api_create_topic, uk_api_delete_topic;
uk_handler uk_api_health, uk_api_root;

/* The engine behind the request. */
struct uk_engine *uk_api_engine(const struct uk_request *request);

/* An operation of `size` bytes, a struct that begins with an engine's, with `done` replying to the
 * request and `deadline` in `timeout` milliseconds; kept as request->operation. `finish` makes the
 * reply. NULL: the reply is an error already. */
void *uk_api_operation(struct uk_request *request, size_t size, int64_t timeout,
                       void (*finish)(struct uk_request *request));

/* For `finish`: whether the operation failed; then the reply is its error. */
bool uk_api_failed(struct uk_request *request);

/* {"result":"Success","status":200} */
void uk_api_write_success(struct uk_request *request);

/* The same unless the operation failed. */
void uk_api_finish_success(struct uk_request *request);

/* The checks below return false with the reply made. `what` names the thing in the text. */

/* A valid name of a topic that the credentials admit and that is not internal (400, 403, 404). */
bool uk_api_check_topic(struct uk_request *request, struct uk_slice topic, const char *what);

/* Likewise of the item `index` of the body, which is told as "[2].topic". */
bool uk_api_check_item_topic(struct uk_request *request, struct uk_slice topic,
                             const struct uk_json_list *list, size_t index);

/* A topic of the item `index` of the body where the path names one too: the same (400). */
bool uk_api_check_same_topic(struct uk_request *request, struct uk_slice in_path,
                             struct uk_slice in_body, const struct uk_json_list *list,
                             size_t index);

/* Likewise of the field at `place`. */
bool uk_api_check_same_topic_at(struct uk_request *request, struct uk_slice in_path,
                                struct uk_slice in_body, const char *place);

/* The parameters {group} and {instance}: 1 to UK_GROUP_NAME_MAX bytes of UTF-8. */
bool uk_api_check_group(struct uk_request *request);

/* A query parameter as an integer; leaves `*value` when it is absent. */
bool uk_api_query_integer(struct uk_request *request, const char *name, int64_t least, int64_t most,
                          int64_t *value);

/* Likewise a request header. */
bool uk_api_header_integer(struct uk_request *request, const char *name, int64_t least,
                           int64_t most, int64_t *value);

/* Whether Kafka-Encoding asks for base64, in any case. */
bool uk_api_encoding(struct uk_request *request, bool *base64);

/* {topic, partition, offset} and {topic, partition} of a body. */
struct uk_api_position {
  struct uk_json_text topic;
  struct uk_json_integer partition, offset;
};
extern const struct uk_json_shape uk_api_position_shape, uk_api_partition_shape;
enum { UK_POSITIONS_MAX = 100000 }; /* of one request */

/* Copies checked positions into the arena; NULL: the reply is an error. `count` 0 is refused by
 * none. */
struct uk_topic_partition_offset *uk_api_positions(struct uk_request *request,
                                                   const struct uk_json_list *list);

/* A body of one or more {topic, partition}. The reply to an empty array is one, and it is made:
 * false. */
bool uk_api_read_partitions(struct uk_request *request, struct uk_json_list *list);

/* [{topic, partition, offset}, …] */
void uk_api_write_positions(struct uk_buffer *buffer,
                            const struct uk_topic_partition_offset *positions, size_t count);

#endif
