#include "server/kafka_engine/rd/kafka_blocking.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/thread.h"

struct uk_kafka_blocking {
  struct uk_kafka_task task; /* times out work that waits too long */
  pthread_mutex_t mutex;
  pthread_cond_t added; /* for threads without work */
  struct uk_list waiting;
  size_t waiting_count;
  size_t free_threads; /* without work */
  size_t coming; /* of these, how many were signalled; that many items at the head are spoken for */
  int64_t next_timeout; /* the earliest deadline of waiting work; the task's timer */
  bool stopping;
  unsigned thread_count;
  pthread_t threads[UK_KAFKA_BLOCKING_THREADS];
};

/* Timing out. */

static struct uk_kafka_work *work_of(struct uk_link *link)
{
  return (struct uk_kafka_work *)UK_LIST_ENTRY(link, struct uk_kafka_query, link);
}

/* Moves the work whose deadline has passed, unless a thread is on its way to it, to `late`. The
 * mutex is held. */
static void take_late(struct uk_kafka_blocking *blocking, int64_t now, struct uk_list *late)
{
  struct uk_link *link = uk_list_first(&blocking->waiting), *next;
  size_t spoken_for = blocking->coming;
  blocking->next_timeout = UK_TIMER_NEVER;
  for (; link != NULL; link = next) {
    int64_t deadline = work_of(link)->query.deadline;
    next = uk_list_next(&blocking->waiting, link);
    if (spoken_for > 0) {
      spoken_for--;
    } else if (deadline <= now) {
      uk_list_remove(link);
      uk_list_add(late, link);
      blocking->waiting_count--;
    } else if (deadline < blocking->next_timeout) {
      blocking->next_timeout = deadline;
    }
  }
}

static void time_out(struct uk_list *late)
{
  struct uk_link *link;
  while ((link = uk_list_take(late)) != NULL) {
    struct uk_kafka_query *query = &work_of(link)->query;
    query->code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    query->then(query);
  }
}

/* Without the task, work whose deadline passes while every thread is busy would time out only when
 * a thread is free. */
static void run_task(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_blocking *blocking = (struct uk_kafka_blocking *)task;
  struct uk_list late = {0};
  pthread_mutex_lock(&blocking->mutex);
  take_late(blocking, now, &late);
  uk_kafka_task_at(task, blocking->next_timeout);
  pthread_mutex_unlock(&blocking->mutex);
  time_out(&late);
}

/* The threads. */

/* A thread that has just finished work goes straight to work that no other thread is on its way
 * to. */
static struct uk_kafka_work *next_work(struct uk_kafka_blocking *blocking, bool finished)
{
  if (!finished || blocking->waiting_count <= blocking->coming) {
    blocking->free_threads += finished;
    while (blocking->coming == 0 && !blocking->stopping)
      pthread_cond_wait(&blocking->added, &blocking->mutex);
    if (blocking->stopping)
      return NULL;
    blocking->free_threads--;
    blocking->coming--;
  }
  if (blocking->stopping)
    return NULL;
  blocking->waiting_count--;
  return work_of(uk_list_take(&blocking->waiting));
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
    work->query.then(&work->query);
    pthread_mutex_lock(&blocking->mutex);
    finished = true;
  }
  pthread_mutex_unlock(&blocking->mutex);
  return NULL;
}

/* Signals a thread, a new one where none is free. False when all are busy. The mutex is held. */
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
  struct uk_list refused = {0};
  pthread_mutex_lock(&blocking->mutex);
  if (blocking->stopping) {
    uk_list_add(&refused, &work->query.link);
  } else {
    uk_list_add(&blocking->waiting, &work->query.link);
    blocking->waiting_count++;
    if (!send_thread(blocking) && work->query.deadline < blocking->next_timeout)
      uk_kafka_task_wake(&blocking->task);
  }
  pthread_mutex_unlock(&blocking->mutex);
  time_out(&refused);
}

/* Life. */

struct uk_kafka_blocking *uk_kafka_blocking_new(struct uk_kafka_executor *executor)
{
  struct uk_kafka_blocking *blocking = calloc(1, sizeof *blocking);
  if (blocking == NULL)
    return NULL;
  pthread_cond_init(&blocking->added, NULL);
  pthread_mutex_init(&blocking->mutex, NULL);
  blocking->next_timeout = UK_TIMER_NEVER;
  uk_kafka_task_init(&blocking->task, executor, run_task, NULL);
  return blocking;
}

void uk_kafka_blocking_free(struct uk_kafka_blocking *blocking)
{
  struct uk_list left = {0};
  pthread_mutex_lock(&blocking->mutex);
  blocking->stopping = true;
  uk_list_move(&left, &blocking->waiting);
  pthread_cond_broadcast(&blocking->added);
  pthread_mutex_unlock(&blocking->mutex);
  time_out(&left);
  uk_kafka_task_join(&blocking->task);
  for (unsigned i = 0; i < blocking->thread_count; i++)
    pthread_join(blocking->threads[i], NULL);
  pthread_cond_destroy(&blocking->added);
  pthread_mutex_destroy(&blocking->mutex);
  free(blocking);
}
