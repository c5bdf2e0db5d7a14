#include "server/kafka_engine/fetch/kafka_ends_private.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_handle.h"

static struct uk_slice name_of(const struct uk_kafka_end *end)
{
  return uk_slice_of(end->name, end->length);
}

/* With the mutex held. */

struct uk_kafka_end **uk_kafka_ends_find(struct uk_kafka_ends *ends, struct uk_slice topic,
                                         int32_t partition)
{
  uint64_t hash = uk_kafka_hash(topic, partition);
  struct uk_kafka_end **link = &ends->buckets[hash % UK_KAFKA_END_BUCKETS];
  while (*link != NULL && ((*link)->hash != hash || (*link)->partition != partition ||
                           !uk_slice_equal(name_of(*link), topic)))
    link = &(*link)->next;
  return link;
}

/* NULL when memory is out. */
static struct uk_kafka_end *add(struct uk_kafka_ends *ends, struct uk_kafka_end **link,
                                struct uk_slice topic, int32_t partition, int64_t at)
{
  struct uk_kafka_end *end = calloc(1, sizeof *end + topic.length + 1);
  if (end == NULL)
    return NULL;
  end->hash = uk_kafka_hash(topic, partition);
  end->partition = partition;
  end->length = topic.length;
  if (topic.length > 0)
    memcpy(end->name, topic.data, topic.length);
  uk_kafka_tail_init(&end->tail, at);
  *link = end;
  ends->count++;
  end->fresh = true;
  end->next_fresh = ends->fresh;
  ends->fresh = end;
  uk_kafka_task_wake(&ends->task);
  return end;
}

static void clear_tail(struct uk_kafka_ends *ends, struct uk_kafka_end *end)
{
  ends->bytes -= end->tail.bytes;
  uk_kafka_tail_clear(&end->tail);
}

void uk_kafka_ends_take_out(struct uk_kafka_ends *ends, struct uk_kafka_end **link)
{
  struct uk_kafka_end *end = *link;
  *link = end->next;
  end->next = NULL;
  ends->count--;
  clear_tail(ends, end);
}

static void sleep_at(struct uk_kafka_end *end, struct uk_kafka_wait *wait)
{
  wait->next = end->sleepers;
  wait->link = &end->sleepers;
  if (wait->next != NULL)
    wait->next->link = &wait->next;
  end->sleepers = wait;
}

static void rouse(struct uk_kafka_wait *wait)
{
  *wait->link = wait->next;
  if (wait->next != NULL)
    wait->next->link = wait->link;
  wait->link = NULL;
}

void uk_kafka_ends_wake_below(struct uk_kafka_end *end, int64_t offset)
{
  struct uk_kafka_wait *wait = end->sleepers;
  while (wait != NULL) {
    struct uk_kafka_wait *next = wait->next;
    if (wait->offset < offset || offset == INT64_MAX) {
      rouse(wait);
      uk_kafka_task_wake(wait->task);
    }
    wait = next;
  }
}

static enum uk_kafka_at where(const struct uk_kafka_end *end, int64_t offset)
{
  if (end->code != RD_KAFKA_RESP_ERR_NO_ERROR)
    return UK_KAFKA_AT_LOST;
  if (offset < end->tail.from)
    return UK_KAFKA_AT_PAST;
  return uk_kafka_tail_has(&end->tail, offset) ? UK_KAFKA_AT_RECORDS : UK_KAFKA_AT_END;
}

static enum uk_kafka_at look(struct uk_kafka_wait *wait)
{
  enum uk_kafka_at at = where(wait->end, wait->offset);
  wait->code = wait->end->code;
  if (at == UK_KAFKA_AT_END && wait->link == NULL)
    sleep_at(wait->end, wait);
  return at;
}

/* For those who wait. */

enum uk_kafka_at uk_kafka_ends_join(struct uk_kafka_ends *ends, struct uk_kafka_wait *wait,
                                    struct uk_slice topic, int32_t partition, int64_t offset,
                                    int64_t at, struct uk_kafka_task *task)
{
  enum uk_kafka_at found = UK_KAFKA_AT_PAST;
  *wait = (struct uk_kafka_wait){.task = task, .offset = offset};
  pthread_mutex_lock(&ends->mutex);
  struct uk_kafka_end **link = uk_kafka_ends_find(ends, topic, partition), *end = *link;
  if (end == NULL && at >= 0 && (end = add(ends, link, topic, partition, at)) == NULL)
    found = UK_KAFKA_AT_NOWHERE;
  if (end != NULL && where(end, offset) != UK_KAFKA_AT_PAST) {
    wait->end = end;
    end->joined++;
    found = look(wait);
  }
  pthread_mutex_unlock(&ends->mutex);
  return found;
}

enum uk_kafka_at uk_kafka_ends_look(struct uk_kafka_ends *ends, struct uk_kafka_wait *wait)
{
  pthread_mutex_lock(&ends->mutex);
  enum uk_kafka_at at = look(wait);
  pthread_mutex_unlock(&ends->mutex);
  return at;
}

void uk_kafka_ends_each(struct uk_kafka_ends *ends, const struct uk_kafka_wait *wait,
                        bool (*give)(void *argument, const struct uk_record *record),
                        void *argument)
{
  pthread_mutex_lock(&ends->mutex);
  uk_kafka_tail_each(&wait->end->tail, wait->offset, give, argument);
  pthread_mutex_unlock(&ends->mutex);
}

void uk_kafka_ends_leave(struct uk_kafka_ends *ends, struct uk_kafka_wait *wait)
{
  struct uk_kafka_end *end = wait->end;
  if (end == NULL)
    return;
  pthread_mutex_lock(&ends->mutex);
  wait->end = NULL;
  if (wait->link != NULL)
    rouse(wait);
  bool last = --end->joined == 0;
  bool lost = end->code != RD_KAFKA_RESP_ERR_NO_ERROR;
  if (last && !lost) {
    end->left_at = uk_clock_monotonic();
    uk_kafka_task_wake(&ends->task);
  }
  pthread_mutex_unlock(&ends->mutex);
  if (last && lost)
    free(end);
}

void uk_kafka_ends_forget(struct uk_kafka_ends *ends, struct uk_slice topic)
{
  pthread_mutex_lock(&ends->mutex);
  for (size_t i = 0; i < UK_KAFKA_END_BUCKETS; i++) {
    for (struct uk_kafka_end *end = ends->buckets[i]; end != NULL; end = end->next) {
      if (!end->fresh && uk_slice_equal(name_of(end), topic)) {
        clear_tail(ends, end);
        end->forgotten = ends->any_forgotten = true;
      }
    }
  }
  uk_kafka_task_wake(&ends->task);
  pthread_mutex_unlock(&ends->mutex);
}

/* Life. */

/* From the executor, after the task's last run: nothing may be touched once the mutex is let go. */
static void gone(struct uk_kafka_task *task)
{
  struct uk_kafka_ends *ends = (struct uk_kafka_ends *)task;
  pthread_mutex_lock(&ends->mutex);
  ends->ended = true;
  pthread_cond_signal(&ends->gone);
  pthread_mutex_unlock(&ends->mutex);
}

struct uk_kafka_ends *uk_kafka_ends_new(const struct uk_kafka_settings *settings,
                                        struct uk_kafka_executor *executor,
                                        struct uk_kafka_reaper *reaper)
{
  struct uk_kafka_ends *ends = calloc(1, sizeof *ends);
  if (ends == NULL)
    return NULL;
  ends->buckets = calloc(UK_KAFKA_END_BUCKETS, sizeof(struct uk_kafka_end *));
  if (ends->buckets == NULL) {
    free(ends);
    return NULL;
  }
  ends->settings = settings;
  ends->reaper = reaper;
  pthread_mutex_init(&ends->mutex, NULL);
  pthread_cond_init(&ends->gone, NULL);
  uk_kafka_task_init(&ends->task, executor, uk_kafka_ends_run, gone);
  return ends;
}

void uk_kafka_ends_free(struct uk_kafka_ends *ends)
{
  pthread_mutex_lock(&ends->mutex);
  ends->closing = true;
  uk_kafka_task_wake(&ends->task);
  while (!ends->ended)
    pthread_cond_wait(&ends->gone, &ends->mutex);
  pthread_mutex_unlock(&ends->mutex);
  uk_kafka_record_free(&ends->record);
  pthread_cond_destroy(&ends->gone);
  pthread_mutex_destroy(&ends->mutex);
  free(ends->buckets);
  free(ends);
}
