/* kafka_reaper: ends handles of librdkafka, which may take long or for ever, on threads of its own.
 *
 * At most UK_KAFKA_REAPERS end handles at once; one that hangs past its deadline is given up: its thread is left alone
 * with it and another takes its place. */
#ifndef UK_KAFKA_REAPER_H
#define UK_KAFKA_REAPER_H

#include "server/kafka_engine/rd/kafka_rd.h"

enum { UK_KAFKA_REAPERS = 8, UK_KAFKA_REAP_TIMEOUT = 10000 }; /* milliseconds */

struct uk_kafka_reaper;

/* Gives up after `timeout` milliseconds. NULL when memory or threads are out. */
struct uk_kafka_reaper *uk_kafka_reaper_new(int64_t timeout);

/* Destroys the handle, which must not leave its group any more (no consumer close is done). Queues and topics of it are
 * destroyed already. Then, or when it was given up, calls `then` (may be NULL) from a thread of the reaper, once. Never
 * fails: without memory the handle is destroyed by the caller's thread. */
void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument);

/* Waits until everything is ended, or given up. What was given up frees the reaper when it ends after all. */
void uk_kafka_reaper_free(struct uk_kafka_reaper *reaper);

#endif
