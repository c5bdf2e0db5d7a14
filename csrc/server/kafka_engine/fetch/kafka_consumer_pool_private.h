/* kafka_consumer_pool_private: what kafka_consumer_pool.c, which acquires, and kafka_consumer_pool_task.c, which tidies up, share. */
#ifndef UK_KAFKA_CONSUMER_POOL_PRIVATE_H
#define UK_KAFKA_CONSUMER_POOL_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/fetch/kafka_consumer_pool.h"

enum { UK_KAFKA_PART_BUCKETS = 4096 };

struct uk_kafka_pooled_consumer {
  rd_kafka_t *handle; /* NULL: the place is free */
  size_t sessions;    /* parked ones too */
  int64_t idle_since; /* without sessions */
  bool retired;       /* not shared any more */
};

struct uk_kafka_consumer_pool {
  struct uk_kafka_task task;
  const struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;

  pthread_mutex_t mutex; /* of all below, and of what the pool has in parts and sessions */
  struct uk_kafka_pooled_consumer consumers[UK_KAFKA_POOL_SIZE];
  bool making;             /* somebody makes a handle, outside of the mutex */
  struct uk_list *buckets; /* of the parts in use, by their hashes */
  struct uk_list parked;   /* the oldest first */
  size_t parked_count;
  struct uk_list waiters;
};

/* With the mutex held. */

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

/* What the task runs. */
void uk_kafka_consumer_pool_run(struct uk_kafka_task *task, int64_t now);

#endif
