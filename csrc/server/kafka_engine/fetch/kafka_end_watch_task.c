#include "server/kafka_engine/fetch/kafka_end_watch_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_event.h"
#include "server/kafka_engine/rd/kafka_handle.h"

enum {
  EVENTS_PER_RUN = 2000,
  BROKER_WAIT = 100,  /* milliseconds; a new end waits this long for the request in flight */
  HANDLE_IDLE = 60000 /* milliseconds without an end to follow */
};

/* The handle. */

static void drop_handle(struct uk_kafka_end_watch *watch)
{
  if (watch->handle == NULL)
    return;
  uk_kafka_queue_unwatch(watch->queue);
  rd_kafka_queue_destroy(watch->queue);
  uk_kafka_reap(watch->reaper, watch->handle, NULL, NULL);
  watch->handle = NULL;
}

static bool have_handle(struct uk_kafka_end_watch *watch)
{
  char text[UK_MESSAGE_SIZE];
  if (watch->handle != NULL)
    return true;
  watch->handle = uk_kafka_handle_new(watch->settings, BROKER_WAIT, text, sizeof text);
  if (watch->handle == NULL)
    return false;
  watch->queue = rd_kafka_queue_new(watch->handle);
  uk_kafka_queue_watch(watch->queue, &watch->task);
  return true;
}

/* One end. The mutex is not held. */

static void unfollow(struct uk_kafka_watched_end *end)
{
  if (end->topic == NULL)
    return;
  rd_kafka_consume_stop(end->topic, end->partition);
  rd_kafka_topic_destroy(end->topic);
  end->topic = NULL;
}

/* Stops following this end; waiters must re-check it. */
static void lose(struct uk_kafka_end_watch *watch, struct uk_kafka_watched_end *end,
                 rd_kafka_resp_err_t code)
{
  unfollow(end);
  pthread_mutex_lock(&watch->mutex);
  uk_kafka_end_watch_take_out(watch, end);
  end->code = code;
  bool alone = end->joined == 0;
  uk_kafka_end_watch_wake_below(end, INT64_MAX);
  pthread_mutex_unlock(&watch->mutex);
  if (alone)
    free(end);
}

static void follow(struct uk_kafka_end_watch *watch, struct uk_kafka_watched_end *end)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
  if (have_handle(watch)) {
    end->topic = rd_kafka_topic_new(watch->handle, end->name, NULL);
    if (end->topic != NULL &&
        rd_kafka_consume_start_queue(end->topic, end->partition, end->tail.end, watch->queue) == 0)
      return;
    code = rd_kafka_last_error();
  }
  if (end->topic != NULL)
    rd_kafka_topic_destroy(end->topic);
  end->topic = NULL;
  lose(watch, end, code);
}

static struct uk_kafka_watched_end *take_fresh(struct uk_kafka_end_watch *watch)
{
  pthread_mutex_lock(&watch->mutex);
  struct uk_kafka_watched_end *end =
    UK_LIST_TAKE(&watch->fresh, struct uk_kafka_watched_end, fresh);
  pthread_mutex_unlock(&watch->mutex);
  return end;
}

static void follow_fresh(struct uk_kafka_end_watch *watch)
{
  struct uk_kafka_watched_end *end;
  while ((end = take_fresh(watch)) != NULL)
    follow(watch, end);
}

/* What arrives. */

static struct uk_kafka_watched_end *find(struct uk_kafka_end_watch *watch, const char *topic,
                                         int32_t partition)
{
  return uk_kafka_end_watch_find(watch, uk_slice_text(topic), partition);
}

static void keep(struct uk_kafka_end_watch *watch, struct uk_kafka_watched_end *end,
                 const struct uk_record *record)
{
  int64_t from = end->tail.from;
  watch->bytes -= end->tail.bytes;
  uk_kafka_tail_cache_add(&end->tail, record, UK_KAFKA_TAIL_BYTES);
  if (watch->bytes + end->tail.bytes > UK_KAFKA_TAILS_BYTES)
    uk_kafka_tail_cache_clear(&end->tail);
  watch->bytes += end->tail.bytes;
  /* If much arrives while nobody waits, stop following soon. */
  if (end->joined == 0 && end->tail.from > from)
    end->left_at = 0;
  if (!uk_link_is_linked(&end->touched))
    uk_list_add(&watch->touched, &end->touched);
}

static void take_message(struct uk_kafka_end_watch *watch, const rd_kafka_message_t *message)
{
  bool filled = uk_kafka_record_fill(&watch->record, message);
  pthread_mutex_lock(&watch->mutex);
  struct uk_kafka_watched_end *end =
    find(watch, rd_kafka_topic_name(message->rkt), message->partition);
  if (end != NULL && message->offset >= end->tail.end) {
    keep(watch, end, &watch->record.record);
    if (!filled) { /* without memory for its headers the copy is not the record */
      watch->bytes -= end->tail.bytes;
      uk_kafka_tail_cache_clear(&end->tail);
    }
  }
  pthread_mutex_unlock(&watch->mutex);
}

static void take_code(struct uk_kafka_end_watch *watch, const struct uk_kafka_event *event)
{
  pthread_mutex_lock(&watch->mutex);
  struct uk_kafka_watched_end *end = find(watch, event->place->topic, event->place->partition);
  bool at_end = event->code == RD_KAFKA_RESP_ERR__PARTITION_EOF;
  if (end != NULL && at_end && event->place->offset > end->tail.end)
    end->tail.end = event->place->offset;
  pthread_mutex_unlock(&watch->mutex);
  /* Only this task removes ends, so this one still exists. */
  if (end != NULL && !at_end && !uk_kafka_code_passes(event->code))
    lose(watch, end, event->code);
}

/* Wakes waiters once everything that arrived together is in memory. The mutex is not held. */
static void wake_touched(struct uk_kafka_end_watch *watch)
{
  pthread_mutex_lock(&watch->mutex);
  struct uk_kafka_watched_end *end;
  while ((end = UK_LIST_TAKE(&watch->touched, struct uk_kafka_watched_end, touched)) != NULL)
    uk_kafka_end_watch_wake_below(end, end->tail.end);
  pthread_mutex_unlock(&watch->mutex);
}

static void take_events(struct uk_kafka_end_watch *watch)
{
  struct uk_kafka_event event;
  int count = 0;
  while (watch->handle != NULL && count < EVENTS_PER_RUN &&
         uk_kafka_event_next(watch->queue, &event)) {
    if (event.message != NULL) {
      take_message(watch, event.message);
    } else if (event.place != NULL) {
      wake_touched(watch); /* before one of these ends may be lost */
      take_code(watch, &event);
    }
    uk_kafka_event_free(&event);
    count++;
  }
  wake_touched(watch);
  if (count == EVENTS_PER_RUN)
    uk_kafka_task_wake(&watch->task);
}

/* Ends that are not needed any more. */

static struct uk_kafka_watched_end *first_of(const struct uk_list *bucket)
{
  return UK_LIST_FIRST(bucket, struct uk_kafka_watched_end, link);
}

static struct uk_kafka_watched_end *next_of(const struct uk_list *bucket,
                                            const struct uk_kafka_watched_end *end)
{
  return UK_LIST_NEXT(bucket, end, struct uk_kafka_watched_end, link);
}

static struct uk_kafka_watched_end *take_forgotten(struct uk_kafka_end_watch *watch)
{
  struct uk_kafka_watched_end *found = NULL;
  pthread_mutex_lock(&watch->mutex);
  for (size_t i = 0; watch->any_forgotten && found == NULL && i < UK_KAFKA_END_BUCKETS; i++) {
    found = first_of(&watch->buckets[i]);
    while (found != NULL && !found->forgotten)
      found = next_of(&watch->buckets[i], found);
  }
  if (found == NULL)
    watch->any_forgotten = false;
  pthread_mutex_unlock(&watch->mutex);
  return found;
}

static void lose_forgotten(struct uk_kafka_end_watch *watch)
{
  struct uk_kafka_watched_end *end;
  while ((end = take_forgotten(watch)) != NULL)
    lose(watch, end, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
}

static bool is_over(const struct uk_kafka_watched_end *end, int64_t now, bool closing)
{
  return end->joined == 0 && (closing || end->left_at + UK_KAFKA_END_LINGER <= now);
}

/* Moves the ends of a bucket that are over to `over`. Returns when the next end will be. */
static int64_t take_over_in(struct uk_kafka_end_watch *watch, const struct uk_list *bucket,
                            int64_t now, bool closing, struct uk_list *over)
{
  int64_t next_time = UK_TIMER_NEVER;
  struct uk_kafka_watched_end *end = first_of(bucket), *next;
  for (; end != NULL; end = next) {
    next = next_of(bucket, end);
    if (is_over(end, now, closing)) {
      uk_kafka_end_watch_take_out(watch, end);
      uk_list_add(over, &end->link);
    } else if (end->joined == 0 && end->left_at + UK_KAFKA_END_LINGER < next_time) {
      next_time = end->left_at + UK_KAFKA_END_LINGER;
    }
  }
  return next_time;
}

static int64_t take_over(struct uk_kafka_end_watch *watch, int64_t now, bool closing,
                         struct uk_list *over)
{
  int64_t next = UK_TIMER_NEVER;
  pthread_mutex_lock(&watch->mutex);
  for (size_t i = 0; i < UK_KAFKA_END_BUCKETS; i++) {
    int64_t time = take_over_in(watch, &watch->buckets[i], now, closing, over);
    next = time < next ? time : next;
  }
  if (watch->count > 0)
    watch->idle_since = now;
  pthread_mutex_unlock(&watch->mutex);
  return next;
}

static int64_t stop_idle(struct uk_kafka_end_watch *watch, int64_t now, bool closing)
{
  struct uk_list over = {0};
  struct uk_kafka_watched_end *end;
  int64_t next = take_over(watch, now, closing, &over);
  while ((end = UK_LIST_TAKE(&over, struct uk_kafka_watched_end, link)) != NULL) {
    unfollow(end);
    free(end);
  }
  if (watch->handle == NULL)
    return next;
  int64_t handle_end = watch->idle_since + HANDLE_IDLE;
  if (closing || handle_end <= now)
    drop_handle(watch);
  else if (handle_end < next)
    next = handle_end;
  return next;
}

void uk_kafka_end_watch_run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_end_watch *watch = (struct uk_kafka_end_watch *)task;
  lose_forgotten(watch);
  follow_fresh(watch);
  take_events(watch);
  uk_kafka_task_at(task, stop_idle(watch, now, uk_kafka_task_is_last(task)));
}
