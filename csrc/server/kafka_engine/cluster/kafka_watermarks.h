/* kafka_watermarks: the first and the end offset of partitions, asked of the cluster. */
#ifndef UK_KAFKA_WATERMARKS_H
#define UK_KAFKA_WATERMARKS_H

#include "server/kafka_engine/rd/kafka_blocking.h"

struct uk_kafka_watermarks {
  struct uk_kafka_work work; /* the caller sets its deadline and `then` */
  rd_kafka_t *control;
  /* `count` each, which name the same partitions; with no error their offsets are set. */
  struct uk_topic_partition_offset *first, *end;
  size_t count;
  size_t failed; /* of an error: the index of a partition that it is about */
};

/* The caller has filled everything but the answer. */
void uk_kafka_watermarks_ask(struct uk_kafka_watermarks *watermarks,
                             struct uk_kafka_blocking *blocking);

#endif
