/* kafka_reaper: ends handles of librdkafka on threads of its own, since that may take long, or
 * forever.
 *
 * At most UK_KAFKA_REAPERS handles end at a time. One that hangs past its deadline is given up: its
 * thread is left alone with it, and another handle takes its place. */
#ifndef UK_KAFKA_REAPER_H
#define UK_KAFKA_REAPER_H

#include "server/kafka_engine/rd/kafka_executor.h"

enum { UK_KAFKA_REAPERS = 8, UK_KAFKA_REAP_TIMEOUT = 10000 }; /* milliseconds */

struct uk_kafka_reaper;

/* Gives a handle up after `timeout` milliseconds. The executor must outlive the reaper. NULL when
 * memory runs out. */
struct uk_kafka_reaper *uk_kafka_reaper_new(struct uk_kafka_executor *executor, int64_t timeout);

/* Destroys the handle without leaving its group (no consumer close is done). Precondition: its
 * queues and topics are destroyed already. Calls `then`, which may be NULL, once the handle has
 * ended or is given up: once, from any thread. Never fails: without memory the calling thread
 * destroys the handle. */
void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument);

/* Waits until every handle has ended or is given up. A handle that is given up and ends after all
 * frees what is left of the reaper. */
void uk_kafka_reaper_free(struct uk_kafka_reaper *reaper);

#endif
