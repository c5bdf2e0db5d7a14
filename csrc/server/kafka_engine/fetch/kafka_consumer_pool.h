/* kafka_consumer_pool: the consumer handles that fetches read through: made when they are needed, lent, kept for a while.
 *
 * A handle reads a partition for one at a time; several fetches that read different partitions share it. A session whose
 * fetch left something is kept as it stands, with what was read ahead, for the next fetch that goes on from there. */
#ifndef UK_KAFKA_CONSUMER_POOL_H
#define UK_KAFKA_CONSUMER_POOL_H

#include "server/kafka_engine/fetch/kafka_session.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"

enum {
  UK_KAFKA_POOL_SIZE = 8,      /* handles at most */
  UK_KAFKA_SESSIONS_EACH = 64, /* at once */
  UK_KAFKA_PARKED = 8, /* sessions that are parked, each with what one handle may read ahead */
  UK_KAFKA_PARK_TIME = 3000,      /* milliseconds that a session is parked */
  UK_KAFKA_CONSUMER_IDLE = 60000, /* milliseconds that a handle without sessions stays */
  UK_KAFKA_STOP_SLICE =
    64 /* parts that are stopped without a pause, for a thread that others need */
};

struct uk_kafka_consumer_pool;

/* NULL when memory is out. */
struct uk_kafka_consumer_pool *uk_kafka_consumer_pool_new(const struct uk_kafka_settings *settings,
                                                          struct uk_kafka_executor *executor,
                                                          struct uk_kafka_reaper *reaper);
/* No session is in use, and the executor still runs. The handles go to the reaper. */
void uk_kafka_consumer_pool_free(struct uk_kafka_consumer_pool *pool);

/* A task that waits for a session. */
struct uk_kafka_pool_waiter {
  struct uk_kafka_task *task;
  struct uk_link link; /* among those that wait */
};

enum uk_kafka_acquired {
  UK_KAFKA_ACQUIRED,
  UK_KAFKA_ACQUIRE_BUSY, /* the waiter is in the line: the task is woken when it may be worth to ask again */
  UK_KAFKA_ACQUIRE_UNCONNECTED, /* no handle can be made: see the text */
  UK_KAFKA_ACQUIRE_NO_MEMORY    /* memory is out */
};

/* Acquires what reads these positions, none of them started yet unless the session was parked. Its queue wakes the task, but not
 * for what is in it already. */
enum uk_kafka_acquired uk_kafka_consumer_pool_acquire(
  struct uk_kafka_consumer_pool *pool, const struct uk_kafka_position *positions, size_t count,
  struct uk_kafka_pool_waiter *waiter, struct uk_kafka_session **session, char *text, size_t size);

/* Out of the line, if the waiter is in it. */
void uk_kafka_consumer_pool_leave(struct uk_kafka_consumer_pool *pool,
                                  struct uk_kafka_pool_waiter *waiter);

/* Takes back a session that was stopped. */
void uk_kafka_consumer_pool_release(struct uk_kafka_consumer_pool *pool,
                                    struct uk_kafka_session *session);

/* Takes back a session that goes on. */
void uk_kafka_consumer_pool_park(struct uk_kafka_consumer_pool *pool,
                                 struct uk_kafka_session *session);

/* What the handle of the session knows of topics is out of date: it is not shared again. */
void uk_kafka_consumer_pool_retire(struct uk_kafka_consumer_pool *pool,
                                   struct uk_kafka_session *session);

/* The topic is gone: what was read ahead of it is not the records of another of its name. */
void uk_kafka_consumer_pool_forget(struct uk_kafka_consumer_pool *pool, struct uk_slice topic);

#endif
