/* kafka_tail_cache: copies of the last records of a partition, without a gap from one offset on,
 * for fetches that wait at its end. Not thread-safe. */
#ifndef UK_KAFKA_TAIL_CACHE_H
#define UK_KAFKA_TAIL_CACHE_H

#include "common/list.h"
#include "server/engine/engine.h"

struct uk_kafka_tail_cache {
  struct uk_list records;
  size_t bytes; /* that the copies take */
  int64_t from; /* the copies are complete from here to `end`; from <= end */
  int64_t end;
};

void uk_kafka_tail_cache_init(struct uk_kafka_tail_cache *tail, int64_t end);
void uk_kafka_tail_cache_clear(struct uk_kafka_tail_cache *tail);

/* Adds a record at `end` or later. Without memory, or if the record exceeds `most`, it is not kept,
 * nor is anything before it. Drops the oldest records until at most `most` bytes are left. */
void uk_kafka_tail_cache_add(struct uk_kafka_tail_cache *tail, const struct uk_record *record,
                             size_t most);

/* True if it holds a record at the offset or later. */
bool uk_kafka_tail_cache_has(const struct uk_kafka_tail_cache *tail, int64_t offset);

/* Gives the records from an offset on, until `give` returns false. */
void uk_kafka_tail_cache_each(const struct uk_kafka_tail_cache *tail, int64_t offset,
                              bool (*give)(void *argument, const struct uk_record *record),
                              void *argument);

#endif
