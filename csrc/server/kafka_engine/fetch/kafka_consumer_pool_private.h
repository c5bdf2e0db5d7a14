/* kafka_consumer_pool_private: shared by kafka_consumer_pool.c, which acquires sessions, and
 * kafka_consumer_pool_task.c, which closes what is idle. */
#ifndef UK_KAFKA_CONSUMER_POOL_PRIVATE_H
#define UK_KAFKA_CONSUMER_POOL_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/fetch/kafka_consumer_pool.h"

enum { UK_KAFKA_PART_BUCKETS = 4096 };

struct uk_kafka_pooled_consumer {
  rd_kafka_t *handle; /* NULL: the slot is free */
  size_t sessions;    /* including parked ones */
  int64_t idle_since; /* when it last lost its last session */
  bool retired;       /* no new session uses it */
};

struct uk_kafka_consumer_pool {
  struct uk_kafka_task task;
  const struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;

  pthread_mutex_t mutex; /* of all below, and of the pool's fields in parts and sessions */
  struct uk_kafka_pooled_consumer consumers[UK_KAFKA_POOL_SIZE];
  bool making;             /* a thread opens a handle, without the mutex */
  struct uk_list *buckets; /* the parts in use, by hash */
  struct uk_list parked;   /* oldest first */
  size_t parked_count;
  struct uk_list waiters;
};

/* The mutex is held. */

static inline struct uk_kafka_session *
uk_kafka_consumer_pool_first_parked(const struct uk_kafka_consumer_pool *pool)
{
  return UK_LIST_FIRST(&pool->parked, struct uk_kafka_session, link);
}

static inline struct uk_kafka_session *
uk_kafka_consumer_pool_next_parked(const struct uk_kafka_consumer_pool *pool,
                                   const struct uk_kafka_session *session)
{
  return UK_LIST_NEXT(&pool->parked, session, struct uk_kafka_session, link);
}

void uk_kafka_consumer_pool_take_parked(struct uk_kafka_consumer_pool *pool,
                                        struct uk_kafka_session *session);

/* The run of the task. */
void uk_kafka_consumer_pool_run(struct uk_kafka_task *task, int64_t now);

#endif
