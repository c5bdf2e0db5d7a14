#include "server/kafka_engine/fetch/kafka_ends_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_handle.h"

enum {
  EVENTS_PER_RUN = 2000,
  BROKER_WAIT = 100,  /* milliseconds: a new end waits as long for the request under way */
  HANDLE_IDLE = 60000 /* milliseconds without an end to follow */
};

/* The handle. */

static void drop_handle(struct uk_kafka_ends *ends)
{
  if (ends->handle == NULL)
    return;
  uk_kafka_queue_unwatch(ends->queue);
  rd_kafka_queue_destroy(ends->queue);
  uk_kafka_reap(ends->reaper, ends->handle, NULL, NULL);
  ends->handle = NULL;
}

static bool have_handle(struct uk_kafka_ends *ends)
{
  char text[UK_MESSAGE_SIZE];
  if (ends->handle != NULL)
    return true;
  ends->handle = uk_kafka_handle_new(ends->settings, BROKER_WAIT, text, sizeof text);
  if (ends->handle == NULL)
    return false;
  ends->queue = rd_kafka_queue_new(ends->handle);
  uk_kafka_queue_watch(ends->queue, &ends->task);
  return true;
}

/* One end. The mutex is not held. */

static void unfollow(struct uk_kafka_end *end)
{
  if (end->topic == NULL)
    return;
  rd_kafka_consume_stop(end->topic, end->partition);
  rd_kafka_topic_destroy(end->topic);
  end->topic = NULL;
}

/* It is no longer followed: who waits there must look for himself. */
static void lose(struct uk_kafka_ends *ends, struct uk_kafka_end *end, rd_kafka_resp_err_t code)
{
  unfollow(end);
  pthread_mutex_lock(&ends->mutex);
  uk_kafka_ends_take_out(
    ends, uk_kafka_ends_find(ends, uk_slice_of(end->name, end->length), end->partition));
  end->code = code;
  bool alone = end->joined == 0;
  uk_kafka_ends_wake_below(end, INT64_MAX);
  pthread_mutex_unlock(&ends->mutex);
  if (alone)
    free(end);
}

static void follow(struct uk_kafka_ends *ends, struct uk_kafka_end *end)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;
  if (have_handle(ends)) {
    end->topic = rd_kafka_topic_new(ends->handle, end->name, NULL);
    if (end->topic != NULL &&
        rd_kafka_consume_start_queue(end->topic, end->partition, end->tail.end, ends->queue) == 0)
      return;
    code = rd_kafka_last_error();
  }
  if (end->topic != NULL)
    rd_kafka_topic_destroy(end->topic);
  end->topic = NULL;
  lose(ends, end, code);
}

static void follow_fresh(struct uk_kafka_ends *ends)
{
  pthread_mutex_lock(&ends->mutex);
  struct uk_kafka_end *fresh = ends->fresh;
  ends->fresh = NULL;
  for (struct uk_kafka_end *each = fresh; each != NULL; each = each->next_fresh)
    each->fresh = false;
  pthread_mutex_unlock(&ends->mutex);
  while (fresh != NULL) {
    struct uk_kafka_end *next = fresh->next_fresh;
    follow(ends, fresh);
    fresh = next;
  }
}

/* What comes. */

static struct uk_kafka_end *find(struct uk_kafka_ends *ends, const char *topic, int32_t partition)
{
  return *uk_kafka_ends_find(ends, uk_slice_text(topic), partition);
}

static void keep(struct uk_kafka_ends *ends, struct uk_kafka_end *end,
                 const struct uk_record *record)
{
  int64_t from = end->tail.from;
  ends->bytes -= end->tail.bytes;
  uk_kafka_tail_add(&end->tail, record, UK_KAFKA_TAIL_BYTES);
  if (ends->bytes + end->tail.bytes > UK_KAFKA_TAILS_BYTES)
    uk_kafka_tail_clear(&end->tail);
  ends->bytes += end->tail.bytes;
  /* Where much comes that nobody waits for, it is time to stop. */
  if (end->joined == 0 && end->tail.from > from)
    end->left_at = 0;
  if (end->touched)
    return;
  end->touched = true;
  end->next_touched = ends->touched;
  ends->touched = end;
}

static void take_message(struct uk_kafka_ends *ends, const rd_kafka_message_t *message)
{
  bool filled = uk_kafka_record_fill(&ends->record, message);
  pthread_mutex_lock(&ends->mutex);
  struct uk_kafka_end *end = find(ends, rd_kafka_topic_name(message->rkt), message->partition);
  if (end != NULL && message->offset >= end->tail.end) {
    keep(ends, end, &ends->record.record);
    if (!filled) { /* without memory for its headers it is not the record */
      ends->bytes -= end->tail.bytes;
      uk_kafka_tail_clear(&end->tail);
    }
  }
  pthread_mutex_unlock(&ends->mutex);
}

static void take_code(struct uk_kafka_ends *ends, const struct uk_kafka_event *event)
{
  pthread_mutex_lock(&ends->mutex);
  struct uk_kafka_end *end = find(ends, event->place->topic, event->place->partition);
  bool at_end = event->code == RD_KAFKA_RESP_ERR__PARTITION_EOF;
  if (end != NULL && at_end && event->place->offset > end->tail.end)
    end->tail.end = event->place->offset;
  pthread_mutex_unlock(&ends->mutex);
  /* Only this task takes ends out, so that it is there still. */
  if (end != NULL && !at_end && !uk_kafka_code_passes(event->code))
    lose(ends, end, event->code);
}

/* Those who wait are woken when all that came together is there. The mutex is not held. */
static void wake_touched(struct uk_kafka_ends *ends)
{
  pthread_mutex_lock(&ends->mutex);
  while (ends->touched != NULL) {
    struct uk_kafka_end *end = ends->touched;
    ends->touched = end->next_touched;
    end->touched = false;
    uk_kafka_ends_wake_below(end, end->tail.end);
  }
  pthread_mutex_unlock(&ends->mutex);
}

static void take_events(struct uk_kafka_ends *ends)
{
  struct uk_kafka_event event;
  int count = 0;
  while (ends->handle != NULL && count < EVENTS_PER_RUN &&
         uk_kafka_event_next(ends->queue, &event)) {
    if (event.message != NULL) {
      take_message(ends, event.message);
    } else if (event.place != NULL) {
      wake_touched(ends); /* before one of them may be lost */
      take_code(ends, &event);
    }
    uk_kafka_event_free(&event);
    count++;
  }
  wake_touched(ends);
  if (count == EVENTS_PER_RUN)
    uk_kafka_task_wake(&ends->task);
}

/* What is not needed any more. */

static struct uk_kafka_end *take_forgotten(struct uk_kafka_ends *ends)
{
  struct uk_kafka_end *found = NULL;
  pthread_mutex_lock(&ends->mutex);
  for (size_t i = 0; ends->any_forgotten && found == NULL && i < UK_KAFKA_END_BUCKETS; i++) {
    found = ends->buckets[i];
    while (found != NULL && !found->forgotten)
      found = found->next;
  }
  if (found == NULL)
    ends->any_forgotten = false;
  pthread_mutex_unlock(&ends->mutex);
  return found;
}

static void lose_forgotten(struct uk_kafka_ends *ends)
{
  struct uk_kafka_end *end;
  while ((end = take_forgotten(ends)) != NULL)
    lose(ends, end, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC);
}

static bool is_over(const struct uk_kafka_end *end, int64_t now, bool closing)
{
  return end->joined == 0 && (closing || end->left_at + UK_KAFKA_END_LINGER <= now);
}

/* Takes out those where nobody waits any more; when the next one would be one of them. */
static struct uk_kafka_end *take_over(struct uk_kafka_ends *ends, int64_t now, bool closing,
                                      int64_t *next)
{
  struct uk_kafka_end *over = NULL;
  *next = UK_TIMER_NEVER;
  pthread_mutex_lock(&ends->mutex);
  for (size_t i = 0; i < UK_KAFKA_END_BUCKETS; i++) {
    struct uk_kafka_end **link = &ends->buckets[i];
    while (*link != NULL) {
      struct uk_kafka_end *end = *link;
      if (is_over(end, now, closing)) {
        uk_kafka_ends_take_out(ends, link);
        end->next = over;
        over = end;
        continue;
      }
      if (end->joined == 0 && end->left_at + UK_KAFKA_END_LINGER < *next)
        *next = end->left_at + UK_KAFKA_END_LINGER;
      link = &end->next;
    }
  }
  if (ends->count > 0)
    ends->idle_since = now;
  pthread_mutex_unlock(&ends->mutex);
  return over;
}

static int64_t stop_idle(struct uk_kafka_ends *ends, int64_t now, bool closing)
{
  int64_t next;
  struct uk_kafka_end *over = take_over(ends, now, closing, &next);
  while (over != NULL) {
    struct uk_kafka_end *end = over;
    over = end->next;
    unfollow(end);
    free(end);
  }
  if (ends->handle == NULL)
    return next;
  int64_t handle_end = ends->idle_since + HANDLE_IDLE;
  if (closing || handle_end <= now)
    drop_handle(ends);
  else if (handle_end < next)
    next = handle_end;
  return next;
}

void uk_kafka_ends_run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_ends *ends = (struct uk_kafka_ends *)task;
  pthread_mutex_lock(&ends->mutex);
  bool closing = ends->closing;
  pthread_mutex_unlock(&ends->mutex);
  lose_forgotten(ends);
  follow_fresh(ends);
  take_events(ends);
  uk_kafka_task_at(task, stop_idle(ends, now, closing));
  if (closing)
    uk_kafka_task_end(task);
}
