/* kafka_offsets: asks the cluster for the offset that a partition has at a time, including its
 * first and its end offset. */
#ifndef UK_KAFKA_OFFSETS_H
#define UK_KAFKA_OFFSETS_H

#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/rd/kafka_blocking.h"

enum { UK_KAFKA_NO_OFFSET = -1 }; /* no record is that late */

/* Sets each offset to the first one at or after the timestamp, which may be UK_TIMESTAMP_EARLIEST
 * or _LATEST. Blocks until the deadline at most, so call it from uk_kafka_work only. `failed` is
 * the index of a partition that an error is about. */
rd_kafka_resp_err_t uk_kafka_offsets_ask(rd_kafka_t *control, int64_t timestamp,
                                         struct uk_topic_partition_offset *at, size_t count,
                                         int64_t deadline, size_t *failed);

/* Runs the whole operation, up to its `done`. */
void uk_kafka_offsets_run(struct uk_offsets *operation, rd_kafka_t *control,
                          struct uk_kafka_topics *topics, struct uk_kafka_blocking *blocking);

#endif
