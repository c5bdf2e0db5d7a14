/* log_waiters: fetches that wait for records, found by partition or by deadline. No lock: the
 * owner's lock guards it. */
#ifndef UK_LOG_WAITERS_H
#define UK_LOG_WAITERS_H

#include "server/engine/engine.h"

enum { UK_LOG_WAITER_BUCKETS = 4096 };

struct uk_log_waiter;

/* One position of a fetch, in the bucket of its partition. */
struct uk_log_wait {
  struct uk_log_waiter *waiter;
  uint64_t hash;
  const struct uk_topic_partition_offset *position;
  int64_t next_offset; /* the next offset to read */
  bool ended;          /* there is nothing more to read */
  struct uk_log_wait *next, **link;
};

struct uk_log_waiter {
  struct uk_fetch *fetch;
  size_t heap_index;          /* while it is in the heap */
  struct uk_log_waiter *next; /* in a list of waiters that were taken out */
  size_t count;
  struct uk_log_wait waits[]; /* one for each position */
};

struct uk_log_waiters {
  struct uk_log_wait **buckets;
  struct uk_log_waiter **heap; /* the earliest deadline is first */
  size_t count, capacity;
};

bool uk_log_waiters_init(struct uk_log_waiters *waiters); /* false: out of memory */
void uk_log_waiters_free(struct uk_log_waiters *waiters);

/* NULL when memory is out; free() frees it. */
struct uk_log_waiter *uk_log_waiter_new(struct uk_fetch *fetch);

/* False, with nothing changed, when memory is out. */
bool uk_log_waiters_add(struct uk_log_waiters *waiters, struct uk_log_waiter *waiter);

/* Take out and return the fetches that wait for an offset of the partition below `end`; those that
 * name the topic; those that are past their deadline; all. */
struct uk_log_waiter *uk_log_waiters_take_partition(struct uk_log_waiters *waiters,
                                                    struct uk_slice topic, int32_t partition,
                                                    int64_t end);
struct uk_log_waiter *uk_log_waiters_take_topic(struct uk_log_waiters *waiters,
                                                struct uk_slice topic);
struct uk_log_waiter *uk_log_waiters_take_expired(struct uk_log_waiters *waiters, int64_t now);
struct uk_log_waiter *uk_log_waiters_take_all(struct uk_log_waiters *waiters);
/* The waiter of the fetch; NULL if it does not wait. */
struct uk_log_waiter *uk_log_waiters_take(struct uk_log_waiters *waiters,
                                          const struct uk_fetch *fetch);

/* The earliest deadline; INT64_MAX when no fetch waits. */
int64_t uk_log_waiters_deadline(const struct uk_log_waiters *waiters);

#endif
