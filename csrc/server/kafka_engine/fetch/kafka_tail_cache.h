/* kafka_tail_cache: copies of the last records of a partition, all from one offset on, for those who wait at its end. Not
 * locked. */
#ifndef UK_KAFKA_TAIL_CACHE_H
#define UK_KAFKA_TAIL_CACHE_H

#include "common/list.h"
#include "server/engine/engine.h"

struct uk_kafka_tail_cache {
  struct uk_list records;
  size_t bytes; /* that the copies take */
  int64_t from; /* every record from here to `end` is in it; from <= end */
  int64_t end;
};

void uk_kafka_tail_cache_init(struct uk_kafka_tail_cache *tail, int64_t end);
void uk_kafka_tail_cache_clear(struct uk_kafka_tail_cache *tail);

/* A record at `end` or later. One that is larger than `most`, or for which memory is out, is not parked, nor is what was
 * before it. Drops the oldest until at most `most` bytes are left. */
void uk_kafka_tail_cache_add(struct uk_kafka_tail_cache *tail, const struct uk_record *record,
                             size_t most);

/* Whether a record at the offset or later is in it. */
bool uk_kafka_tail_cache_has(const struct uk_kafka_tail_cache *tail, int64_t offset);

/* Gives the records from an offset on, until `give` returns false. */
void uk_kafka_tail_cache_each(const struct uk_kafka_tail_cache *tail, int64_t offset,
                              bool (*give)(void *argument, const struct uk_record *record),
                              void *argument);

#endif
