#include "server/kafka_engine/rd/kafka_calls.h"

#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"

struct uk_kafka_calls {
  pthread_mutex_t mutex;
  pthread_cond_t work;  /* for threads without a call */
  pthread_cond_t watch; /* for the one that watches deadlines */
  struct uk_kafka_call *first, *last;
  size_t waiting;      /* calls in the line */
  size_t free_threads; /* without a call */
  size_t
    coming; /* of those, on their way to the line: as many calls at its head are as good as taken */
  int64_t watch_until; /* what the watcher sleeps until */
  bool stopping;
  bool watched;
  pthread_t watcher;
  unsigned thread_count;
  pthread_t threads[UK_KAFKA_CALL_THREADS];
};

int uk_kafka_time_left(int64_t deadline)
{
  int64_t left = deadline - uk_clock_monotonic();
  return left < 1 ? 1 : left > INT_MAX ? INT_MAX : (int)left;
}

/* The line. The mutex is held. */

static struct uk_kafka_call *take_first(struct uk_kafka_calls *calls)
{
  struct uk_kafka_call *call = calls->first;
  calls->first = call->next;
  if (calls->first == NULL)
    calls->last = NULL;
  calls->waiting--;
  return call;
}

static void line_up(struct uk_kafka_calls *calls, struct uk_kafka_call *call)
{
  call->next = NULL;
  if (calls->last != NULL)
    calls->last->next = call;
  else
    calls->first = call;
  calls->last = call;
  calls->waiting++;
}

/* Takes out those whose deadline passed and to whom no thread is on its way. */
static struct uk_kafka_call *take_missed(struct uk_kafka_calls *calls, int64_t now)
{
  struct uk_kafka_call *missed = NULL, **end = &missed, **link = &calls->first;
  size_t safe = calls->coming;
  calls->last = NULL;
  calls->watch_until = INT64_MAX;
  while (*link != NULL) {
    struct uk_kafka_call *call = *link;
    if (safe == 0 && call->deadline <= now) {
      *link = call->next;
      call->next = NULL;
      *end = call;
      end = &call->next;
      calls->waiting--;
      continue;
    }
    if (safe > 0)
      safe--;
    else if (call->deadline < calls->watch_until)
      calls->watch_until = call->deadline;
    calls->last = call;
    link = &call->next;
  }
  return missed;
}

static void miss_all(struct uk_kafka_call *missed)
{
  while (missed != NULL) {
    struct uk_kafka_call *next = missed->next;
    missed->missed(missed);
    missed = next;
  }
}

/* The threads. */

/* A thread that has just finished a call goes straight to one that no other is on its way to. */
static struct uk_kafka_call *next_call(struct uk_kafka_calls *calls, bool finished)
{
  if (!finished || calls->waiting <= calls->coming) {
    calls->free_threads += finished;
    while (calls->coming == 0 && !calls->stopping)
      pthread_cond_wait(&calls->work, &calls->mutex);
    if (calls->stopping)
      return NULL;
    calls->free_threads--;
    calls->coming--;
  }
  return calls->stopping ? NULL : take_first(calls);
}

static void *run(void *argument)
{
  struct uk_kafka_calls *calls = argument;
  struct uk_kafka_call *call;
  bool finished = false;
  pthread_mutex_lock(&calls->mutex);
  while ((call = next_call(calls, finished)) != NULL) {
    pthread_mutex_unlock(&calls->mutex);
    call->run(call);
    pthread_mutex_lock(&calls->mutex);
    finished = true;
  }
  pthread_mutex_unlock(&calls->mutex);
  return NULL;
}

/* Sees to it that a call whose time comes while all threads are busy hears of it then, and not when one is free. */
static void *watch(void *argument)
{
  struct uk_kafka_calls *calls = argument;
  pthread_mutex_lock(&calls->mutex);
  while (!calls->stopping) {
    struct uk_kafka_call *missed = take_missed(calls, uk_clock_monotonic());
    int64_t next = calls->watch_until;
    if (missed != NULL) {
      pthread_mutex_unlock(&calls->mutex);
      miss_all(missed);
      pthread_mutex_lock(&calls->mutex);
    } else {
      uk_condition_wait(&calls->watch, &calls->mutex, next);
    }
  }
  pthread_mutex_unlock(&calls->mutex);
  return NULL;
}

/* Sends a thread to the line, a new one where none is free. False when all are busy. The mutex is held. */
static bool send_thread(struct uk_kafka_calls *calls)
{
  if (calls->free_threads == calls->coming) {
    if (calls->thread_count == UK_KAFKA_CALL_THREADS ||
        !uk_thread_start(&calls->threads[calls->thread_count], run, calls))
      return false;
    calls->thread_count++;
    calls->free_threads++;
  }
  calls->coming++;
  pthread_cond_signal(&calls->work);
  return true;
}

void uk_kafka_calls_submit(struct uk_kafka_calls *calls, struct uk_kafka_call *call)
{
  pthread_mutex_lock(&calls->mutex);
  bool taken = !calls->stopping;
  if (taken) {
    line_up(calls, call);
    if (!send_thread(calls) && call->deadline < calls->watch_until)
      pthread_cond_signal(&calls->watch);
  }
  pthread_mutex_unlock(&calls->mutex);
  if (!taken)
    call->missed(call);
}

/* Life. */

struct uk_kafka_calls *uk_kafka_calls_new(void)
{
  struct uk_kafka_calls *calls = calloc(1, sizeof *calls);
  if (calls == NULL)
    return NULL;
  uk_condition_init(&calls->watch);
  pthread_cond_init(&calls->work, NULL);
  pthread_mutex_init(&calls->mutex, NULL);
  calls->watched = uk_thread_start(&calls->watcher, watch, calls);
  if (calls->watched)
    return calls;
  uk_kafka_calls_free(calls);
  return NULL;
}

void uk_kafka_calls_free(struct uk_kafka_calls *calls)
{
  pthread_mutex_lock(&calls->mutex);
  calls->stopping = true;
  struct uk_kafka_call *missed = calls->first;
  calls->first = calls->last = NULL;
  pthread_cond_broadcast(&calls->work);
  pthread_cond_signal(&calls->watch);
  pthread_mutex_unlock(&calls->mutex);
  miss_all(missed);
  if (calls->watched)
    pthread_join(calls->watcher, NULL);
  for (unsigned i = 0; i < calls->thread_count; i++)
    pthread_join(calls->threads[i], NULL);
  pthread_cond_destroy(&calls->work);
  pthread_cond_destroy(&calls->watch);
  pthread_mutex_destroy(&calls->mutex);
  free(calls);
}
