/* kafka_consumer_pool: the consumer handles that fetches read through: opened on demand, shared,
 * and kept for a while.
 *
 * A handle reads a partition for one session at a time; sessions that read different partitions
 * share it. A session whose fetch left records behind is parked as it is, with what was read ahead,
 * for the next fetch that continues there. */
#ifndef UK_KAFKA_CONSUMER_POOL_H
#define UK_KAFKA_CONSUMER_POOL_H

#include "server/kafka_engine/fetch/kafka_session.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"

enum {
  UK_KAFKA_POOL_SIZE = 8,         /* handles at most */
  UK_KAFKA_SESSIONS_EACH = 64,    /* at a time */
  UK_KAFKA_PARKED = 8,            /* parked sessions, each with what one handle may read ahead */
  UK_KAFKA_PARK_TIME = 3000,      /* milliseconds that a session stays parked */
  UK_KAFKA_CONSUMER_IDLE = 60000, /* milliseconds that a handle without sessions stays open */
  UK_KAFKA_STOP_SLICE = 64        /* parts to stop in one run, so that other tasks get the thread */
};

struct uk_kafka_consumer_pool;

/* NULL when memory runs out. */
struct uk_kafka_consumer_pool *uk_kafka_consumer_pool_new(const struct uk_kafka_settings *settings,
                                                          struct uk_kafka_executor *executor,
                                                          struct uk_kafka_reaper *reaper);
/* Precondition: no session is in use, and the executor runs. The handles go to the reaper. */
void uk_kafka_consumer_pool_free(struct uk_kafka_consumer_pool *pool);

/* A task that waits for a session. */
struct uk_kafka_pool_waiter {
  struct uk_kafka_task *task;
  struct uk_link link; /* among the waiters */
};

enum uk_kafka_acquired {
  UK_KAFKA_ACQUIRED,
  UK_KAFKA_ACQUIRE_BUSY,        /* it waits: the task is woken when another try may succeed */
  UK_KAFKA_ACQUIRE_UNCONNECTED, /* no handle can be opened; see the text */
  UK_KAFKA_ACQUIRE_NO_MEMORY    /* memory ran out */
};

/* Acquires a session that reads these positions. It has started none of them, unless it was parked.
 * Its queue wakes the task, except for what is in the queue already. */
enum uk_kafka_acquired uk_kafka_consumer_pool_acquire(
  struct uk_kafka_consumer_pool *pool, const struct uk_kafka_position *positions, size_t count,
  struct uk_kafka_pool_waiter *waiter, struct uk_kafka_session **session, char *text, size_t size);

/* Stops waiting, if it waits. */
void uk_kafka_consumer_pool_leave(struct uk_kafka_consumer_pool *pool,
                                  struct uk_kafka_pool_waiter *waiter);

/* Gives a stopped session back. */
void uk_kafka_consumer_pool_release(struct uk_kafka_consumer_pool *pool,
                                    struct uk_kafka_session *session);

/* Gives a session back that keeps reading. */
void uk_kafka_consumer_pool_park(struct uk_kafka_consumer_pool *pool,
                                 struct uk_kafka_session *session);

/* The session's handle has outdated knowledge of topics: no new session uses it. */
void uk_kafka_consumer_pool_retire(struct uk_kafka_consumer_pool *pool,
                                   struct uk_kafka_session *session);

/* The topic is gone: what was read ahead does not belong to a new one of the same name. */
void uk_kafka_consumer_pool_forget(struct uk_kafka_consumer_pool *pool, struct uk_slice topic);

#endif
