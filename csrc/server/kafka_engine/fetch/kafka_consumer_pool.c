#include "server/kafka_engine/fetch/kafka_consumer_pool_private.h"
#include "server/kafka_engine/rd/kafka_handle.h"

#include <stdint.h>
#include <stdlib.h>

#include "common/clock.h"

enum {
  BROKER_WAIT = 5,     /* milliseconds until a broker reports that it has nothing new */
  SESSIONS_BEFORE = 4, /* on each handle, before another handle is opened */
  WOKEN = 4            /* waiters, each time a session is given back */
};

/* The mutex is held. */

static void wake_waiters(struct uk_kafka_consumer_pool *pool, size_t count)
{
  struct uk_link *link;
  for (; count > 0 && (link = uk_list_take(&pool->waiters)) != NULL; count--)
    uk_kafka_task_wake(UK_LIST_ENTRY(link, struct uk_kafka_pool_waiter, link)->task);
}

void uk_kafka_consumer_pool_take_parked(struct uk_kafka_consumer_pool *pool,
                                        struct uk_kafka_session *session)
{
  uk_list_remove(&session->link);
  pool->parked_count--;
}

static struct uk_kafka_session *take_fitting(struct uk_kafka_consumer_pool *pool,
                                             const struct uk_kafka_position *positions,
                                             size_t count)
{
  struct uk_kafka_session *session = uk_kafka_consumer_pool_first_parked(pool);
  while (session != NULL && (session->consumer->retired || session->expires == 0 ||
                             !uk_kafka_session_fits(session, positions, count)))
    session = uk_kafka_consumer_pool_next_parked(pool, session);
  if (session != NULL)
    uk_kafka_consumer_pool_take_parked(pool, session);
  return session;
}

/* A session of the consumer with one of these partitions, or one with an equal hash, which is
 * treated the same. */
static struct uk_kafka_session *find_conflict(const struct uk_kafka_consumer_pool *pool,
                                              const struct uk_kafka_pooled_consumer *consumer,
                                              const struct uk_kafka_session *session)
{
  for (size_t i = 0; i < session->count; i++) {
    uint64_t hash = session->parts[i].hash;
    const struct uk_list *bucket = &pool->buckets[hash % UK_KAFKA_PART_BUCKETS];
    const struct uk_kafka_part *part = UK_LIST_FIRST(bucket, struct uk_kafka_part, link);
    for (; part != NULL; part = UK_LIST_NEXT(bucket, part, struct uk_kafka_part, link)) {
      if (part->hash == hash && part->session->consumer == consumer)
        return part->session;
    }
  }
  return NULL;
}

static bool may_share(const struct uk_kafka_pooled_consumer *consumer)
{
  return consumer->handle != NULL && !consumer->retired;
}

/* The consumer with the fewest sessions among those that read none of the partitions, or NULL.
 * `in_the_way` is the oldest parked session whose end would free one. */
static struct uk_kafka_pooled_consumer *choose(struct uk_kafka_consumer_pool *pool,
                                               const struct uk_kafka_session *session,
                                               struct uk_kafka_session **in_the_way)
{
  struct uk_kafka_pooled_consumer *best = NULL;
  *in_the_way = NULL;
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++) {
    struct uk_kafka_pooled_consumer *consumer = &pool->consumers[i];
    if (!may_share(consumer) || consumer->sessions >= UK_KAFKA_SESSIONS_EACH)
      continue;
    struct uk_kafka_session *other = find_conflict(pool, consumer, session);
    if (other == NULL && (best == NULL || consumer->sessions < best->sessions))
      best = consumer;
    if (other != NULL && uk_link_is_linked(&other->link) &&
        (*in_the_way == NULL || other->expires < (*in_the_way)->expires))
      *in_the_way = other;
  }
  return best;
}

static struct uk_kafka_pooled_consumer *free_place(struct uk_kafka_consumer_pool *pool)
{
  for (size_t i = 0; i < UK_KAFKA_POOL_SIZE; i++) {
    if (pool->consumers[i].handle == NULL)
      return &pool->consumers[i];
  }
  return NULL;
}

static void attach(struct uk_kafka_consumer_pool *pool, struct uk_kafka_pooled_consumer *consumer,
                   struct uk_kafka_session *session, struct uk_kafka_task *task)
{
  session->consumer = consumer;
  session->handle = consumer->handle;
  session->settings = pool->settings;
  consumer->sessions++;
  for (size_t i = 0; i < session->count; i++) {
    struct uk_kafka_part *part = &session->parts[i];
    uk_list_add_first(&pool->buckets[part->hash % UK_KAFKA_PART_BUCKETS], &part->link);
  }
  session->queue = rd_kafka_queue_new(session->handle);
  uk_kafka_queue_watch(session->queue, task);
}

static void detach(struct uk_kafka_consumer_pool *pool, struct uk_kafka_session *session)
{
  for (size_t i = 0; i < session->count; i++)
    uk_list_remove(&session->parts[i].link);
  session->consumer->sessions--;
  session->consumer->idle_since = uk_clock_monotonic();
  if (session->consumer->sessions == 0)
    uk_kafka_task_wake(&pool->task);
  wake_waiters(pool, WOKEN);
}

/* Opens a handle; the mutex is released while it opens. NULL, with a text, on failure. */
static struct uk_kafka_pooled_consumer *make_consumer(struct uk_kafka_consumer_pool *pool,
                                                      char *text, size_t size)
{
  pool->making = true;
  pthread_mutex_unlock(&pool->mutex);
  rd_kafka_t *handle = uk_kafka_handle_new(pool->settings, BROKER_WAIT, text, size);
  pthread_mutex_lock(&pool->mutex);
  pool->making = false;
  wake_waiters(pool, SIZE_MAX);
  if (handle == NULL)
    return NULL;
  struct uk_kafka_pooled_consumer *consumer = free_place(pool); /* `making` kept it free */
  *consumer = (struct uk_kafka_pooled_consumer){.handle = handle};
  return consumer;
}

/* The mutex is released while the parked session stops. */
static void stop_parked(struct uk_kafka_consumer_pool *pool, struct uk_kafka_session *session)
{
  uk_kafka_consumer_pool_take_parked(pool, session);
  pthread_mutex_unlock(&pool->mutex);
  uk_kafka_session_stop(session, SIZE_MAX);
  uk_kafka_consumer_pool_release(pool, session);
  pthread_mutex_lock(&pool->mutex);
}

static enum uk_kafka_acquired find_consumer(struct uk_kafka_consumer_pool *pool,
                                            struct uk_kafka_session *session,
                                            struct uk_kafka_pool_waiter *waiter, char *text,
                                            size_t size)
{
  for (;;) {
    struct uk_kafka_session *in_the_way;
    struct uk_kafka_pooled_consumer *consumer = choose(pool, session, &in_the_way);
    bool may_make = !pool->making && free_place(pool) != NULL;
    if (may_make && (consumer == NULL || consumer->sessions >= SESSIONS_BEFORE)) {
      consumer = make_consumer(pool, text, size);
      if (consumer == NULL)
        return UK_KAFKA_ACQUIRE_UNCONNECTED;
    }
    if (consumer != NULL) {
      attach(pool, consumer, session, waiter->task);
      return UK_KAFKA_ACQUIRED;
    }
    if (in_the_way == NULL || pool->making) {
      uk_list_add(&pool->waiters, &waiter->link);
      return UK_KAFKA_ACQUIRE_BUSY;
    }
    stop_parked(pool, in_the_way);
  }
}

/* For fetches. */

enum uk_kafka_acquired uk_kafka_consumer_pool_acquire(
  struct uk_kafka_consumer_pool *pool, const struct uk_kafka_position *positions, size_t count,
  struct uk_kafka_pool_waiter *waiter, struct uk_kafka_session **session, char *text, size_t size)
{
  struct uk_kafka_session *made = uk_kafka_session_new(positions, count);
  enum uk_kafka_acquired acquired = UK_KAFKA_ACQUIRE_NO_MEMORY;
  if (made == NULL)
    return acquired;
  pthread_mutex_lock(&pool->mutex);
  uk_list_remove(&waiter->link);
  *session = take_fitting(pool, positions, count);
  if (*session != NULL) {
    uk_kafka_queue_watch((*session)->queue, waiter->task);
    acquired = UK_KAFKA_ACQUIRED;
  } else {
    acquired = find_consumer(pool, made, waiter, text, size);
    if (acquired == UK_KAFKA_ACQUIRED)
      *session = made;
  }
  pthread_mutex_unlock(&pool->mutex);
  if (*session != made)
    free(made);
  return acquired;
}

void uk_kafka_consumer_pool_leave(struct uk_kafka_consumer_pool *pool,
                                  struct uk_kafka_pool_waiter *waiter)
{
  pthread_mutex_lock(&pool->mutex);
  uk_list_remove(&waiter->link);
  pthread_mutex_unlock(&pool->mutex);
}

void uk_kafka_consumer_pool_release(struct uk_kafka_consumer_pool *pool,
                                    struct uk_kafka_session *session)
{
  pthread_mutex_lock(&pool->mutex);
  detach(pool, session);
  pthread_mutex_unlock(&pool->mutex);
  free(session);
}

void uk_kafka_consumer_pool_park(struct uk_kafka_consumer_pool *pool,
                                 struct uk_kafka_session *session)
{
  uk_kafka_queue_unwatch(session->queue);
  pthread_mutex_lock(&pool->mutex);
  session->expires = uk_clock_monotonic() + UK_KAFKA_PARK_TIME;
  uk_list_add(&pool->parked, &session->link);
  pool->parked_count++;
  uk_kafka_task_wake(&pool->task);
  pthread_mutex_unlock(&pool->mutex);
}

void uk_kafka_consumer_pool_retire(struct uk_kafka_consumer_pool *pool,
                                   struct uk_kafka_session *session)
{
  pthread_mutex_lock(&pool->mutex);
  session->consumer->retired = true;
  pthread_mutex_unlock(&pool->mutex);
}

static bool reads(const struct uk_kafka_session *session, struct uk_slice topic)
{
  for (size_t i = 0; i < session->count; i++) {
    const rd_kafka_topic_t *its = session->parts[i].topic;
    if (its != NULL && uk_slice_is(topic, rd_kafka_topic_name(its)))
      return true;
  }
  return false;
}

void uk_kafka_consumer_pool_forget(struct uk_kafka_consumer_pool *pool, struct uk_slice topic)
{
  pthread_mutex_lock(&pool->mutex);
  struct uk_kafka_session *session = uk_kafka_consumer_pool_first_parked(pool);
  for (; session != NULL; session = uk_kafka_consumer_pool_next_parked(pool, session)) {
    if (reads(session, topic))
      session->expires = 0;
  }
  uk_kafka_task_wake(&pool->task);
  pthread_mutex_unlock(&pool->mutex);
}

/* Life. */

struct uk_kafka_consumer_pool *uk_kafka_consumer_pool_new(const struct uk_kafka_settings *settings,
                                                          struct uk_kafka_executor *executor,
                                                          struct uk_kafka_reaper *reaper)
{
  struct uk_kafka_consumer_pool *pool = calloc(1, sizeof *pool);
  if (pool == NULL)
    return NULL;
  pool->buckets = calloc(UK_KAFKA_PART_BUCKETS, sizeof *pool->buckets);
  if (pool->buckets == NULL) {
    free(pool);
    return NULL;
  }
  pool->settings = settings;
  pool->reaper = reaper;
  pthread_mutex_init(&pool->mutex, NULL);
  uk_kafka_task_init(&pool->task, executor, uk_kafka_consumer_pool_run, NULL);
  return pool;
}

void uk_kafka_consumer_pool_free(struct uk_kafka_consumer_pool *pool)
{
  uk_kafka_task_join(&pool->task);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->buckets);
  free(pool);
}
