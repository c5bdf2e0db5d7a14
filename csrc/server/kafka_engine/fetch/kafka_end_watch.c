#include "server/kafka_engine/fetch/kafka_end_watch_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_rd.h"

static struct uk_slice name_of(const struct uk_kafka_watched_end *end)
{
  return uk_slice_of(end->name, end->length);
}

/* The mutex is held. */

static struct uk_list *bucket_of(struct uk_kafka_end_watch *watch, uint64_t hash)
{
  return &watch->buckets[hash % UK_KAFKA_END_BUCKETS];
}

struct uk_kafka_watched_end *uk_kafka_end_watch_find(struct uk_kafka_end_watch *watch,
                                                     struct uk_slice topic, int32_t partition)
{
  uint64_t hash = uk_kafka_hash(topic, partition);
  const struct uk_list *bucket = bucket_of(watch, hash);
  struct uk_kafka_watched_end *end = UK_LIST_FIRST(bucket, struct uk_kafka_watched_end, link);
  while (end != NULL &&
         (end->hash != hash || end->partition != partition || !uk_slice_equal(name_of(end), topic)))
    end = UK_LIST_NEXT(bucket, end, struct uk_kafka_watched_end, link);
  return end;
}

/* NULL when memory runs out. */
static struct uk_kafka_watched_end *add(struct uk_kafka_end_watch *watch, struct uk_slice topic,
                                        int32_t partition, int64_t at)
{
  struct uk_kafka_watched_end *end = calloc(1, sizeof *end + topic.length + 1);
  if (end == NULL)
    return NULL;
  end->hash = uk_kafka_hash(topic, partition);
  end->partition = partition;
  end->length = topic.length;
  if (topic.length > 0)
    memcpy(end->name, topic.data, topic.length);
  uk_kafka_tail_cache_init(&end->tail, at);
  uk_list_add(bucket_of(watch, end->hash), &end->link);
  uk_list_add(&watch->fresh, &end->fresh);
  watch->count++;
  uk_kafka_task_wake(&watch->task);
  return end;
}

static void clear_tail(struct uk_kafka_end_watch *watch, struct uk_kafka_watched_end *end)
{
  watch->bytes -= end->tail.bytes;
  uk_kafka_tail_cache_clear(&end->tail);
}

void uk_kafka_end_watch_take_out(struct uk_kafka_end_watch *watch, struct uk_kafka_watched_end *end)
{
  uk_list_remove(&end->link);
  watch->count--;
  clear_tail(watch, end);
}

void uk_kafka_end_watch_wake_below(struct uk_kafka_watched_end *end, int64_t offset)
{
  struct uk_link *link = uk_list_first(&end->sleepers), *next;
  for (; link != NULL; link = next) {
    const struct uk_kafka_end_waiter *waiter =
      UK_LIST_ENTRY(link, struct uk_kafka_end_waiter, link);
    next = uk_list_next(&end->sleepers, link);
    if (waiter->offset < offset || offset == INT64_MAX) {
      uk_list_remove(link);
      uk_kafka_task_wake(waiter->task);
    }
  }
}

static enum uk_kafka_at where(const struct uk_kafka_watched_end *end, int64_t offset)
{
  if (end->code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return UK_KAFKA_AT_LOST;
  if (offset < end->tail.from)
    return UK_KAFKA_AT_PAST;
  return uk_kafka_tail_cache_has(&end->tail, offset) ? UK_KAFKA_AT_RECORDS : UK_KAFKA_AT_END;
}

static enum uk_kafka_at look(struct uk_kafka_end_waiter *waiter)
{
  enum uk_kafka_at at = where(waiter->end, waiter->offset);
  waiter->code = waiter->end->code;
  if (at == UK_KAFKA_AT_END && !uk_link_is_linked(&waiter->link))
    uk_list_add(&waiter->end->sleepers, &waiter->link);
  return at;
}

/* For waiters. */

enum uk_kafka_at uk_kafka_end_watch_join(struct uk_kafka_end_watch *watch,
                                         struct uk_kafka_end_waiter *waiter, struct uk_slice topic,
                                         int32_t partition, int64_t offset, int64_t at,
                                         struct uk_kafka_task *task)
{
  enum uk_kafka_at found = UK_KAFKA_AT_PAST;
  *waiter = (struct uk_kafka_end_waiter){.task = task, .offset = offset};
  pthread_mutex_lock(&watch->mutex);
  struct uk_kafka_watched_end *end = uk_kafka_end_watch_find(watch, topic, partition);
  if (end == NULL && at >= 0 && (end = add(watch, topic, partition, at)) == NULL)
    found = UK_KAFKA_AT_NOWHERE;
  if (end != NULL && where(end, offset) != UK_KAFKA_AT_PAST) {
    waiter->end = end;
    end->joined++;
    found = look(waiter);
  }
  pthread_mutex_unlock(&watch->mutex);
  return found;
}

enum uk_kafka_at uk_kafka_end_watch_look(struct uk_kafka_end_watch *watch,
                                         struct uk_kafka_end_waiter *waiter)
{
  pthread_mutex_lock(&watch->mutex);
  enum uk_kafka_at at = look(waiter);
  pthread_mutex_unlock(&watch->mutex);
  return at;
}

void uk_kafka_end_watch_each(struct uk_kafka_end_watch *watch,
                             const struct uk_kafka_end_waiter *waiter,
                             bool (*give)(void *argument, const struct uk_record *record),
                             void *argument)
{
  pthread_mutex_lock(&watch->mutex);
  uk_kafka_tail_cache_each(&waiter->end->tail, waiter->offset, give, argument);
  pthread_mutex_unlock(&watch->mutex);
}

void uk_kafka_end_watch_leave(struct uk_kafka_end_watch *watch, struct uk_kafka_end_waiter *waiter)
{
  struct uk_kafka_watched_end *end = waiter->end;
  if (end == NULL)
    return;
  pthread_mutex_lock(&watch->mutex);
  waiter->end = NULL;
  uk_list_remove(&waiter->link);
  bool last = --end->joined == 0;
  bool lost = end->code != RD_KAFKA_RESP_ERR_NO_ERROR;
  if (last && !lost) {
    end->left_at = uk_clock_monotonic();
    uk_kafka_task_wake(&watch->task);
  }
  pthread_mutex_unlock(&watch->mutex);
  if (last && lost)
    free(end);
}

static void forget_in(struct uk_kafka_end_watch *watch, const struct uk_list *bucket,
                      struct uk_slice topic)
{
  struct uk_kafka_watched_end *end = UK_LIST_FIRST(bucket, struct uk_kafka_watched_end, link);
  for (; end != NULL; end = UK_LIST_NEXT(bucket, end, struct uk_kafka_watched_end, link)) {
    if (uk_link_is_linked(&end->fresh) || !uk_slice_equal(name_of(end), topic))
      continue;
    clear_tail(watch, end);
    end->forgotten = watch->any_forgotten = true;
  }
}

void uk_kafka_end_watch_forget(struct uk_kafka_end_watch *watch, struct uk_slice topic)
{
  pthread_mutex_lock(&watch->mutex);
  for (size_t i = 0; i < UK_KAFKA_END_BUCKETS; i++)
    forget_in(watch, &watch->buckets[i], topic);
  uk_kafka_task_wake(&watch->task);
  pthread_mutex_unlock(&watch->mutex);
}

/* Life. */

struct uk_kafka_end_watch *uk_kafka_end_watch_new(const struct uk_kafka_settings *settings,
                                                  struct uk_kafka_executor *executor,
                                                  struct uk_kafka_reaper *reaper)
{
  struct uk_kafka_end_watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL)
    return NULL;
  watch->buckets = calloc(UK_KAFKA_END_BUCKETS, sizeof *watch->buckets);
  if (watch->buckets == NULL) {
    free(watch);
    return NULL;
  }
  watch->settings = settings;
  watch->reaper = reaper;
  pthread_mutex_init(&watch->mutex, NULL);
  uk_kafka_task_init(&watch->task, executor, uk_kafka_end_watch_run, NULL);
  return watch;
}

void uk_kafka_end_watch_free(struct uk_kafka_end_watch *watch)
{
  uk_kafka_task_join(&watch->task);
  uk_kafka_record_free(&watch->record);
  pthread_mutex_destroy(&watch->mutex);
  free(watch->buckets);
  free(watch);
}
