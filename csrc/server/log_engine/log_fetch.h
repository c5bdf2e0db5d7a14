/* log_fetch: one attempt at a fetch: check its positions, read what is there. */
#ifndef UK_LOG_FETCH_H
#define UK_LOG_FETCH_H

#include "server/log_engine/log.h"
#include "server/log_engine/log_waiters.h"

enum {
  /* With several positions each gives so much before the next one's turn, round and round, until the sink is full
   * or all are at their ends. */
  UK_LOG_QUANTUM_RECORDS = 100,
  UK_LOG_QUANTUM_BYTES = 256 << 10
};

/* False, and the operation failed, when the topic or partition is not there. */
bool uk_log_fetch_bounds(struct uk_log *log, struct uk_operation *operation, struct uk_slice topic,
                         int32_t partition, int64_t *first, int64_t *end);

/* True when the fetch need not wait: a position is wrong (the operation has failed) or has records. */
bool uk_log_fetch_ready(struct uk_log *log, struct uk_fetch *fetch);

/* Reads for a fetch that is ready and has not failed, first from the position `start`. Says whether the sink was full, so that
 * the caller begins elsewhere next time. */
bool uk_log_fetch_read(struct uk_log *log, struct uk_log_waiter *waiter, size_t start);

#endif
