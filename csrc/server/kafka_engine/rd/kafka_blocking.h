/* kafka_blocking: runs work that blocks in librdkafka on threads of its own, so that nothing else
 * waits for it. */
#ifndef UK_KAFKA_BLOCKING_H
#define UK_KAFKA_BLOCKING_H

#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_query.h"

enum { UK_KAFKA_BLOCKING_THREADS = 8 }; /* at most; started when they are needed */

struct uk_kafka_blocking;

struct uk_kafka_work {
  /* The code is __TIMED_OUT if the work was not run, because its deadline passed while every thread
   * was busy, or because the threads are stopping. */
  struct uk_kafka_query query;
  void (*run)(struct uk_kafka_work *work); /* sets the answer; blocks until the deadline at most */
};

/* Deadlines are timers of the executor, which must outlive this. NULL when memory runs out. */
struct uk_kafka_blocking *uk_kafka_blocking_new(struct uk_kafka_executor *executor);

void uk_kafka_blocking_submit(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work);

/* Waits for the work that is running; work that has not started times out. */
void uk_kafka_blocking_free(struct uk_kafka_blocking *blocking);

#endif
