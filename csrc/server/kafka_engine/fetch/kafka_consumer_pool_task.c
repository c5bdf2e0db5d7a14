#include "server/kafka_engine/fetch/kafka_consumer_pool_private.h"

#include <stdint.h>

static bool is_over(const struct uk_kafka_consumer_pool *pool,
                    const struct uk_kafka_session *session, int64_t now)
{
  return session->expires <= now || uk_kafka_task_is_last(&pool->task) ||
         session->consumer->retired || pool->parked_count > UK_KAFKA_PARKED;
}

/* A parked session that is to end, or NULL. The mutex is held. */
static struct uk_kafka_session *take_over(struct uk_kafka_consumer_pool *pool, int64_t now)
{
  struct uk_kafka_session *session = uk_kafka_consumer_pool_first_parked(pool);
  while (session != NULL && !is_over(pool, session, now))
    session = uk_kafka_consumer_pool_next_parked(pool, session);
  if (session != NULL)
    uk_kafka_consumer_pool_take_parked(pool, session);
  return session;
}

/* The handle of an idle consumer, or NULL; lowers `next` to when the next one may become idle. The
 * mutex is held. */
static rd_kafka_t *take_idle(struct uk_kafka_consumer_pool *pool, int64_t now, int64_t *next)
{
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++) {
    struct uk_kafka_pooled_consumer *consumer = &pool->consumers[i];
    int64_t end = consumer->idle_since + UK_KAFKA_CONSUMER_IDLE;
    if (consumer->handle == NULL || consumer->sessions > 0)
      continue;
    if (end <= now || consumer->retired || uk_kafka_task_is_last(&pool->task)) {
      rd_kafka_t *handle = consumer->handle;
      *consumer = (struct uk_kafka_pooled_consumer){.handle = NULL};
      return handle;
    }
    *next = end < *next ? end : *next;
  }
  return NULL;
}

void uk_kafka_consumer_pool_run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_consumer_pool *pool = (struct uk_kafka_consumer_pool *)task;
  struct uk_kafka_session *session;
  rd_kafka_t *handle;
  int64_t next = UK_TIMER_NEVER;
  pthread_mutex_lock(&pool->mutex);
  while ((session = take_over(pool, now)) != NULL) {
    pthread_mutex_unlock(&pool->mutex);
    uk_kafka_session_stop(session, SIZE_MAX);
    uk_kafka_consumer_pool_release(pool, session);
    pthread_mutex_lock(&pool->mutex);
  }
  while ((handle = take_idle(pool, now, &next)) != NULL) {
    pthread_mutex_unlock(&pool->mutex);
    uk_kafka_reap(pool->reaper, handle, NULL, NULL);
    pthread_mutex_lock(&pool->mutex);
  }
  session = uk_kafka_consumer_pool_first_parked(pool);
  for (; session != NULL; session = uk_kafka_consumer_pool_next_parked(pool, session))
    next = session->expires < next ? session->expires : next;
  pthread_mutex_unlock(&pool->mutex);
  uk_kafka_task_at(task, next);
}
