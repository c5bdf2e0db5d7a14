/* kafka_range: the first and the end offset of the partitions of a fetch of which it is not sure. */
#ifndef UK_KAFKA_RANGE_H
#define UK_KAFKA_RANGE_H

#include "server/kafka_engine/rd/kafka_blocking.h"
#include "server/kafka_engine/fetch/kafka_position.h"

struct uk_kafka_range {
  struct uk_kafka_work work;
  rd_kafka_t *control;
  struct uk_kafka_position *positions; /* the range's until `then` */
  size_t count;
  void (*then)(struct uk_kafka_range *range); /* once, from another thread */
  /* The outcome: with no error `first` and `end` of each that is unsure. */
  rd_kafka_resp_err_t code;
  size_t failed; /* the index of a position */
};

/* All but the outcome is set, `call` but for its deadline excepted. */
void uk_kafka_range_ask(struct uk_kafka_range *range, struct uk_kafka_blocking *blocking);

#endif
