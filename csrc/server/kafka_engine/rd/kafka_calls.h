/* kafka_calls: calls of librdkafka that block, on a few threads of their own, so that nobody else waits for them. */
#ifndef UK_KAFKA_CALLS_H
#define UK_KAFKA_CALLS_H

#include "server/kafka_engine/rd/kafka_rd.h"

enum { UK_KAFKA_CALL_THREADS = 8 }; /* at most; made when they are needed */

struct uk_kafka_calls;

struct uk_kafka_call {
  void (*run)(struct uk_kafka_call *call); /* blocks no longer than until `deadline` */
  /* Not run: its deadline passed while others were under way, or the calls are stopping. */
  void (*missed)(struct uk_kafka_call *call);
  int64_t deadline; /* monotonic milliseconds */
  struct uk_kafka_call *next;
};

struct uk_kafka_calls *uk_kafka_calls_new(void); /* NULL when memory or threads are out */

/* The call is the caller's again when `run` or `missed` begins. */
void uk_kafka_calls_submit(struct uk_kafka_calls *calls, struct uk_kafka_call *call);

/* Waits for the calls under way; those that wait are missed. */
void uk_kafka_calls_free(struct uk_kafka_calls *calls);

/* Milliseconds until the deadline for a call of librdkafka: at least 1. */
int uk_kafka_time_left(int64_t deadline);

#endif
