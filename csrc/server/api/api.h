/* api: the handler of each endpoint, and what handlers share. */
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

/* The engine that serves the request. */
struct uk_engine *uk_api_engine(const struct uk_request *request);

/* Allocates request->operation: a zeroed struct of `size` bytes that begins with an engine
 * operation, whose `done` and `late` reply to the request and whose `deadline` is in `timeout`
 * milliseconds.
 * `finish` will build the reply. If the endpoint changes something, reserves memory for a short
 * reply (uk_api_reserve_reply). NULL: out of memory; the reply is an error. */
void *uk_api_operation(struct uk_request *request, size_t size, int64_t timeout,
                       void (*finish)(struct uk_request *request));

/* Reserves memory for a reply of at most so many bytes, or for an error's reply, before an
 * operation that changes something is submitted: once it has been carried out, memory that is short
 * must not turn the reply into another one. False: out of memory; the reply is an error. */
bool uk_api_reserve_reply(struct uk_request *request, size_t bytes);

/* For `finish`, which calls it first: true if the operation failed. The reply is then its error. */
bool uk_api_failed(struct uk_request *request);

/* Appends {"result":"Success","status":200}. */
void uk_api_write_success(struct uk_request *request);

/* A `finish` that does so unless the operation failed. */
void uk_api_finish_success(struct uk_request *request);

/* The checks below return false with an error reply. `what` names the value in the error's text. */

/* Always refuses the value (400). The text says what is expected, and shows the first 64 bytes of
 * the value. */
bool uk_api_refuse(struct uk_request *request, const char *what, const char *expected,
                   struct uk_slice got);

/* Copies a text of the body into the arena. False: out of memory; the reply is an error. */
bool uk_api_copy(struct uk_request *request, struct uk_slice *text);

/* The name must be valid (400), allowed by the credentials (403), and not internal (404). */
bool uk_api_check_topic(struct uk_request *request, struct uk_slice topic, const char *what);

/* The same for the topic of item `index` of the body, named as in "[2].topic". */
bool uk_api_check_item_topic(struct uk_request *request, struct uk_slice topic,
                             const struct uk_json_list *list, size_t index);

/* A topic in item `index` of the body must equal the one in the path (400). */
bool uk_api_check_same_topic(struct uk_request *request, struct uk_slice in_path,
                             struct uk_slice in_body, const struct uk_json_list *list,
                             size_t index);

/* The same for the field at `place`. */
bool uk_api_check_same_topic_at(struct uk_request *request, struct uk_slice in_path,
                                struct uk_slice in_body, const char *place);

/* The path's {group} and {instance} must be 1 to UK_GROUP_NAME_MAX bytes of UTF-8 (400), and the
 * group allowed by the credentials (403). */
bool uk_api_check_group(struct uk_request *request);

/* Reads a query parameter as an integer. Leaves `*value` alone if the parameter is absent. */
bool uk_api_query_integer(struct uk_request *request, const char *name, int64_t least, int64_t most,
                          int64_t *value);

/* The same for a request header. */
bool uk_api_header_integer(struct uk_request *request, const char *name, int64_t least,
                           int64_t most, int64_t *value);

/* Copies a request header of 1 to `most` visible ASCII characters into the arena. `value->data` is
 * NULL if the header is absent. */
bool uk_api_header_token(struct uk_request *request, const char *name, size_t most,
                         struct uk_slice *value);

/* Reads Kafka-Encoding: base64, in any letter case, or absent. */
bool uk_api_encoding(struct uk_request *request, bool *base64);

/* {topic, partition, offset}, or {topic, partition}, in a body. */
struct uk_api_position {
  struct uk_json_text topic;
  struct uk_json_integer partition, offset;
};
extern const struct uk_json_shape uk_api_position_shape, uk_api_partition_shape;
enum { UK_POSITIONS_MAX = 100000 }; /* per request */

/* Checks the topics and copies the positions into the arena, with their names, so that they outlive
 * the body. NULL: the reply is an error. An empty list is accepted. */
struct uk_topic_partition_offset *uk_api_positions(struct uk_request *request,
                                                   const struct uk_json_list *list);

/* Reads a body of one or more {topic, partition}. False: the reply is complete, an error or, for an
 * empty array, an empty array. */
bool uk_api_read_partitions(struct uk_request *request, struct uk_json_list *list);

/* Appends [{topic, partition, offset}, …]. */
void uk_api_write_positions(struct uk_buffer *buffer,
                            const struct uk_topic_partition_offset *positions, size_t count);

#endif
