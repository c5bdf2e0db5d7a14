/* kafka_rd: the door through which librdkafka enters: its header, and what it reports as this project's errors. */
#ifndef UK_KAFKA_RD_H
#define UK_KAFKA_RD_H

#include <librdkafka/rdkafka.h>

#include "server/engine/engine.h"

/* What a failure of the cluster or of librdkafka is for a client. UK_OK for no error. */
enum uk_error uk_kafka_error(rd_kafka_resp_err_t code);

/* What to tell people of a code: `text`, which librdkafka said with it, or NULL. Where the user set what the cluster
 * refuses, that is named. */
const char *uk_kafka_reason(rd_kafka_resp_err_t code, const char *text);

/* Sets the outcome: the error of the code, and as message `what` (for example: topic "t" partition 3), ": " and
 * the reason. */
void uk_kafka_fail(struct uk_operation *operation, rd_kafka_resp_err_t code, const char *what);

/* The same for a request that changes something and was sent: where nobody knows whether a broker carried it out, that is
 * GATEWAY_TIMEOUT, and the message says so. */
enum uk_error uk_kafka_error_of_change(rd_kafka_resp_err_t code);
void uk_kafka_fail_change(struct uk_operation *operation, rd_kafka_resp_err_t code,
                          const char *text, const char *what);

/* "topic "NAME" partition N" into `text`; of the topic alone when the partition is negative. Returns `text`. */
const char *uk_kafka_place(char *text, size_t size, struct uk_slice topic, int32_t partition);
enum { UK_KAFKA_PLACE_SIZE = UK_TOPIC_NAME_MAX + 40 };

/* A topic name as librdkafka takes it. `topic` is at most UK_TOPIC_NAME_MAX bytes. */
struct uk_kafka_name {
  char text[UK_TOPIC_NAME_MAX + 1];
};
struct uk_kafka_name uk_kafka_name(struct uk_slice topic);

/* It passes by itself, and librdkafka goes on trying. */
bool uk_kafka_code_passes(rd_kafka_resp_err_t code);

/* Of a topic and partition, for tables of them. */
uint64_t uk_kafka_hash(struct uk_slice topic, int32_t partition);

#endif
