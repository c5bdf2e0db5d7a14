/* kafka_position: the positions that a fetch reads from: each partition once, sorted by hash. */
#ifndef UK_KAFKA_POSITION_H
#define UK_KAFKA_POSITION_H

#include "server/kafka_engine/fetch/kafka_end_watch.h"

struct uk_kafka_position {
  uint64_t hash;
  struct uk_slice topic; /* the operation's */
  int32_t partition;
  int64_t offset;
  int64_t end; /* the partition's end as last seen; at or after `offset`, unless it is past */
  bool unsure; /* `offset` may be outside the partition's watermarks: they must be asked for */
  bool past;   /* `offset` is past the end: there is nothing to read */
  struct uk_kafka_end_waiter waiter;
};

/* True for an offset that is not to be read: negative ones have other meanings in librdkafka, and
 * the greatest is past every end. */
bool uk_kafka_position_is_odd(int64_t offset);

/* Fills `positions`, which has space for every position of the fetch, and returns how many there
 * are. If a partition is named twice, the lower offset counts. */
size_t uk_kafka_positions_fill(struct uk_kafka_position *positions, const struct uk_fetch *fetch);

#endif
