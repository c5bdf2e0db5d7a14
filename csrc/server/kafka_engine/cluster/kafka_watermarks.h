/* kafka_watermarks: asks the cluster for the first and the end offset of partitions. */
#ifndef UK_KAFKA_WATERMARKS_H
#define UK_KAFKA_WATERMARKS_H

#include "server/kafka_engine/rd/kafka_blocking.h"

struct uk_kafka_watermarks {
  struct uk_kafka_work work; /* the caller sets its deadline and `then` */
  rd_kafka_t *control;
  /* `count` each, for the same partitions; their offsets are set if there is no error. */
  struct uk_topic_partition_offset *first, *end;
  size_t count;
  size_t failed; /* the index of a partition that an error is about */
};

/* Precondition: everything except the answer is set. */
void uk_kafka_watermarks_ask(struct uk_kafka_watermarks *watermarks,
                             struct uk_kafka_blocking *blocking);

#endif
