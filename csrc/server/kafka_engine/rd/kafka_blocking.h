/* kafka_blocking: calls of librdkafka that block, on a few threads of their own, so that nobody else waits for them. */
#ifndef UK_KAFKA_BLOCKING_H
#define UK_KAFKA_BLOCKING_H

#include "server/kafka_engine/rd/kafka_rd.h"

enum { UK_KAFKA_BLOCKING_THREADS = 8 }; /* at most; made when they are needed */

struct uk_kafka_blocking;

struct uk_kafka_work {
  void (*run)(struct uk_kafka_work *work); /* blocks no longer than until `deadline` */
  /* Not run: its deadline passed while others were under way, or the calls are stopping. */
  void (*timed_out)(struct uk_kafka_work *work);
  int64_t deadline; /* monotonic milliseconds */
  struct uk_kafka_work *next;
};

struct uk_kafka_blocking *uk_kafka_blocking_new(void); /* NULL when memory or threads are out */

/* The call is the caller's again when `run` or `timed_out` begins. */
void uk_kafka_blocking_submit(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work);

/* Waits for the calls under way; those that wait are timed_out. */
void uk_kafka_blocking_free(struct uk_kafka_blocking *blocking);

/* Milliseconds until the deadline for a call of librdkafka: at least 1. */
int uk_kafka_time_left(int64_t deadline);

#endif
