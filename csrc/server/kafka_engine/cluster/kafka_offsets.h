/* kafka_offsets: which offset a partition has at a time, its first and its end included: asked of the cluster. */
#ifndef UK_KAFKA_OFFSETS_H
#define UK_KAFKA_OFFSETS_H

#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/rd/kafka_blocking.h"

enum { UK_KAFKA_NO_OFFSET = -1 }; /* the partition has no record that late */

/* Sets the offset of each to the earliest at or after the timestamp, which may be UK_TIMESTAMP_EARLIEST or _LATEST.
 * Blocks until the deadline at most: for a uk_kafka_call. `failed` is the index of one that an error is about. */
rd_kafka_resp_err_t uk_kafka_offsets_ask(rd_kafka_t *control, int64_t timestamp,
                                         struct uk_topic_partition_offset *at, size_t count,
                                         int64_t deadline, size_t *failed);

/* The operation from its start to `done`. */
void uk_kafka_offsets_run(struct uk_offsets *operation, rd_kafka_t *control,
                          struct uk_kafka_topics *topics, struct uk_kafka_blocking *blocking);

#endif
