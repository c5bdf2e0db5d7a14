/* kafka_position: the places from which a fetch reads, each partition once, in the order of their hashes. */
#ifndef UK_KAFKA_POSITION_H
#define UK_KAFKA_POSITION_H

#include "server/kafka_engine/fetch/kafka_end_watch.h"

struct uk_kafka_position {
  uint64_t hash;
  struct uk_slice topic; /* the operation's */
  int32_t partition;
  int64_t offset;
  int64_t end; /* where the partition was seen to end, at or after `offset` unless it is past */
  bool unsure; /* its watermarks must be asked for: the offset may be outside of them */
  bool past;   /* the offset is past the end, where there is nothing to read */
  struct uk_kafka_end_waiter waiter;
};

/* Nothing is read there: negative offsets mean other things to librdkafka, the last of all is past every end. */
bool uk_kafka_position_is_odd(int64_t offset);

/* Fills `positions`, which has room for as many as the fetch names; how many there are. Of a partition that is named
 * twice the lower offset counts. */
size_t uk_kafka_positions_fill(struct uk_kafka_position *positions, const struct uk_fetch *fetch);

#endif
