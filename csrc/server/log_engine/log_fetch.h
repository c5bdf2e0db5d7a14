/* log_fetch: one attempt at a fetch: checks its positions and reads what is there. */
#ifndef UK_LOG_FETCH_H
#define UK_LOG_FETCH_H

#include "server/log_engine/log.h"
#include "server/log_engine/log_waiters.h"

enum {
  /* Several positions are read round robin: each gets this quantum in turn, until the sink is full
   * or all are at their ends. */
  UK_LOG_QUANTUM_RECORDS = 100,
  UK_LOG_QUANTUM_BYTES = 256 << 10
};

/* False when the topic or partition does not exist: the operation has failed. */
bool uk_log_fetch_bounds(struct uk_log *log, struct uk_operation *operation, struct uk_slice topic,
                         int32_t partition, int64_t *first, int64_t *end);

/* True when the fetch need not wait: a position has records, or is wrong (the operation has
 * failed). */
bool uk_log_fetch_ready(struct uk_log *log, struct uk_fetch *fetch);

/* Reads, once, for a fetch that is ready and has not failed, from the position `start` on. True
 * when the sink was full: the caller starts at another position next time. */
bool uk_log_fetch_read(struct uk_log *log, struct uk_log_waiter *waiter, size_t start);

#endif
