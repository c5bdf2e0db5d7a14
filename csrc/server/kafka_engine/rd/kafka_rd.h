/* kafka_rd: the door through which librdkafka enters: its header, and its codes as this project's
 * errors. */
#ifndef UK_KAFKA_RD_H
#define UK_KAFKA_RD_H

#include <librdkafka/rdkafka.h>

#include "server/engine/engine.h"

/* The error that a client gets for a code. UK_OK for no error. */
enum uk_error uk_kafka_error(rd_kafka_resp_err_t code);

/* The text that a client gets for a code. `text` is librdkafka's own, or NULL. Names the user's
 * setting if the cluster refuses it. */
const char *uk_kafka_reason(rd_kafka_resp_err_t code, const char *text);

/* Sets the outcome: the code's error, and the message "WHAT: REASON". `what` is, for example, topic
 * "t" partition 3. */
void uk_kafka_fail(struct uk_operation *operation, rd_kafka_resp_err_t code, const char *what);

/* The same for a request that changes something and was sent. If it is unknown whether a broker
 * carried it out, the error is GATEWAY_TIMEOUT, and the message says so. */
enum uk_error uk_kafka_error_of_change(rd_kafka_resp_err_t code);
void uk_kafka_fail_change(struct uk_operation *operation, rd_kafka_resp_err_t code,
                          const char *text, const char *what);

/* Writes "topic "NAME" partition N" into `text`, or only the topic if the partition is negative.
 * Returns `text`. */
const char *uk_kafka_place(char *text, size_t size, struct uk_slice topic, int32_t partition);
enum { UK_KAFKA_PLACE_SIZE = UK_TOPIC_NAME_MAX + 40 };

/* A topic name as librdkafka takes it. Precondition: `topic` has at most UK_TOPIC_NAME_MAX
 * bytes. */
struct uk_kafka_name {
  char text[UK_TOPIC_NAME_MAX + 1];
};
struct uk_kafka_name uk_kafka_name(struct uk_slice topic);

/* True for a condition that passes: librdkafka keeps trying. */
bool uk_kafka_code_passes(rd_kafka_resp_err_t code);

/* A hash of a topic and partition, for hash tables. */
uint64_t uk_kafka_hash(struct uk_slice topic, int32_t partition);

#endif
