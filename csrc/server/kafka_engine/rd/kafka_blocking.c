#include "server/kafka_engine/rd/kafka_blocking.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"

struct uk_kafka_blocking {
  pthread_mutex_t mutex;
  pthread_cond_t added; /* for threads without a call */
  pthread_cond_t watch; /* for the one that watches deadlines */
  struct uk_kafka_work *first, *last;
  size_t waiting;      /* calls in the line */
  size_t free_threads; /* without a call */
  size_t
    coming; /* of those, on their way to the line: as many calls at its head are as good as taken */
  int64_t watch_until; /* what the watcher sleeps until */
  bool stopping;
  bool watched;
  pthread_t watcher;
  unsigned thread_count;
  pthread_t threads[UK_KAFKA_BLOCKING_THREADS];
};

int uk_kafka_time_left(int64_t deadline)
{
  int64_t left = deadline - uk_clock_monotonic();
  return left < 1 ? 1 : left > INT_MAX ? INT_MAX : (int)left;
}

/* The line. The mutex is held. */

static struct uk_kafka_work *take_first(struct uk_kafka_blocking *blocking)
{
  struct uk_kafka_work *work = blocking->first;
  blocking->first = work->next;
  if (blocking->first == NULL)
    blocking->last = NULL;
  blocking->waiting--;
  return work;
}

static void line_up(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work)
{
  work->next = NULL;
  if (blocking->last != NULL)
    blocking->last->next = work;
  else
    blocking->first = work;
  blocking->last = work;
  blocking->waiting++;
}

/* Takes out those whose deadline passed and to whom no thread is on its way. */
static struct uk_kafka_work *take_timed_out(struct uk_kafka_blocking *blocking, int64_t now)
{
  struct uk_kafka_work *timed_out = NULL, **end = &timed_out, **link = &blocking->first;
  size_t safe = blocking->coming;
  blocking->last = NULL;
  blocking->watch_until = INT64_MAX;
  while (*link != NULL) {
    struct uk_kafka_work *work = *link;
    if (safe == 0 && work->deadline <= now) {
      *link = work->next;
      work->next = NULL;
      *end = work;
      end = &work->next;
      blocking->waiting--;
      continue;
    }
    if (safe > 0)
      safe--;
    else if (work->deadline < blocking->watch_until)
      blocking->watch_until = work->deadline;
    blocking->last = work;
    link = &work->next;
  }
  return timed_out;
}

static void time_out_all(struct uk_kafka_work *timed_out)
{
  while (timed_out != NULL) {
    struct uk_kafka_work *next = timed_out->next;
    timed_out->timed_out(timed_out);
    timed_out = next;
  }
}

/* The threads. */

/* A thread that has just finished a call goes straight to one that no other is on its way to. */
static struct uk_kafka_work *next_work(struct uk_kafka_blocking *blocking, bool finished)
{
  if (!finished || blocking->waiting <= blocking->coming) {
    blocking->free_threads += finished;
    while (blocking->coming == 0 && !blocking->stopping)
      pthread_cond_wait(&blocking->added, &blocking->mutex);
    if (blocking->stopping)
      return NULL;
    blocking->free_threads--;
    blocking->coming--;
  }
  return blocking->stopping ? NULL : take_first(blocking);
}

static void *run(void *argument)
{
  struct uk_kafka_blocking *blocking = argument;
  struct uk_kafka_work *work;
  bool finished = false;
  pthread_mutex_lock(&blocking->mutex);
  while ((work = next_work(blocking, finished)) != NULL) {
    pthread_mutex_unlock(&blocking->mutex);
    work->run(work);
    pthread_mutex_lock(&blocking->mutex);
    finished = true;
  }
  pthread_mutex_unlock(&blocking->mutex);
  return NULL;
}

/* Sees to it that a call whose time comes while all threads are busy hears of it then, and not when one is free. */
static void *watch(void *argument)
{
  struct uk_kafka_blocking *blocking = argument;
  pthread_mutex_lock(&blocking->mutex);
  while (!blocking->stopping) {
    struct uk_kafka_work *timed_out = take_timed_out(blocking, uk_clock_monotonic());
    int64_t next = blocking->watch_until;
    if (timed_out != NULL) {
      pthread_mutex_unlock(&blocking->mutex);
      time_out_all(timed_out);
      pthread_mutex_lock(&blocking->mutex);
    } else {
      uk_condition_wait(&blocking->watch, &blocking->mutex, next);
    }
  }
  pthread_mutex_unlock(&blocking->mutex);
  return NULL;
}

/* Sends a thread to the line, a new one where none is free. False when all are busy. The mutex is held. */
static bool send_thread(struct uk_kafka_blocking *blocking)
{
  if (blocking->free_threads == blocking->coming) {
    if (blocking->thread_count == UK_KAFKA_BLOCKING_THREADS ||
        !uk_thread_start(&blocking->threads[blocking->thread_count], run, blocking))
      return false;
    blocking->thread_count++;
    blocking->free_threads++;
  }
  blocking->coming++;
  pthread_cond_signal(&blocking->added);
  return true;
}

void uk_kafka_blocking_submit(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work)
{
  pthread_mutex_lock(&blocking->mutex);
  bool taken = !blocking->stopping;
  if (taken) {
    line_up(blocking, work);
    if (!send_thread(blocking) && work->deadline < blocking->watch_until)
      pthread_cond_signal(&blocking->watch);
  }
  pthread_mutex_unlock(&blocking->mutex);
  if (!taken)
    work->timed_out(work);
}

/* Life. */

struct uk_kafka_blocking *uk_kafka_blocking_new(void)
{
  struct uk_kafka_blocking *blocking = calloc(1, sizeof *blocking);
  if (blocking == NULL)
    return NULL;
  uk_condition_init(&blocking->watch);
  pthread_cond_init(&blocking->added, NULL);
  pthread_mutex_init(&blocking->mutex, NULL);
  blocking->watched = uk_thread_start(&blocking->watcher, watch, blocking);
  if (blocking->watched)
    return blocking;
  uk_kafka_blocking_free(blocking);
  return NULL;
}

void uk_kafka_blocking_free(struct uk_kafka_blocking *blocking)
{
  pthread_mutex_lock(&blocking->mutex);
  blocking->stopping = true;
  struct uk_kafka_work *timed_out = blocking->first;
  blocking->first = blocking->last = NULL;
  pthread_cond_broadcast(&blocking->added);
  pthread_cond_signal(&blocking->watch);
  pthread_mutex_unlock(&blocking->mutex);
  time_out_all(timed_out);
  if (blocking->watched)
    pthread_join(blocking->watcher, NULL);
  for (unsigned i = 0; i < blocking->thread_count; i++)
    pthread_join(blocking->threads[i], NULL);
  pthread_cond_destroy(&blocking->added);
  pthread_cond_destroy(&blocking->watch);
  pthread_mutex_destroy(&blocking->mutex);
  free(blocking);
}
