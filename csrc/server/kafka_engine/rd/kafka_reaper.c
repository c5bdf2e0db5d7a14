#include "server/kafka_engine/rd/kafka_reaper.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/thread.h"

/* A handle that waits to be ended, and then the thread that ends it. */
struct job {
  struct uk_link link; /* in `waiting` or `ending` */
  struct uk_kafka_reaper *reaper;
  rd_kafka_t *handle;
  void (*then)(void *argument);
  void *argument;
  int64_t deadline; /* once it has a thread */
  bool given_up;    /* `then` was called, and the job is in no list */
};

struct uk_kafka_reaper {
  struct uk_kafka_task task; /* starts the threads, and gives up what hangs */
  int64_t timeout;           /* milliseconds */
  pthread_mutex_t mutex;     /* of the rest */
  pthread_cond_t idle;       /* nothing is waiting or ending */
  struct uk_list waiting;
  struct uk_list ending; /* one thread each */
  size_t ending_count;   /* includes those whose `then` is running */
  size_t hanging;        /* threads that were given up */
  bool closed;           /* the last hanging thread frees the reaper, if it ever returns */
};

static void destroy(rd_kafka_t *handle)
{
  rd_kafka_destroy_flags(handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void call_then(const struct job *job)
{
  if (job->then != NULL)
    job->then(job->argument);
}

static void free_reaper(struct uk_kafka_reaper *reaper)
{
  pthread_cond_destroy(&reaper->idle);
  pthread_mutex_destroy(&reaper->mutex);
  free(reaper);
}

/* Wakes uk_kafka_reaper_free when nothing is left to end. Precondition: the caller holds the
 * mutex. */
static void report_idle(struct uk_kafka_reaper *reaper)
{
  if (reaper->ending_count == 0 && uk_list_is_empty(&reaper->waiting))
    pthread_cond_broadcast(&reaper->idle);
}

/* The thread of one handle. The mutex is held before and after each of the first two functions. */

static void finish(struct uk_kafka_reaper *reaper, struct job *job)
{
  uk_list_remove(&job->link);
  pthread_mutex_unlock(&reaper->mutex);
  call_then(job);
  pthread_mutex_lock(&reaper->mutex);
  reaper->ending_count--;
  uk_kafka_task_wake(&reaper->task);
  report_idle(reaper);
}

/* True when nothing else holds the reaper. */
static bool come_back(struct uk_kafka_reaper *reaper)
{
  reaper->hanging--;
  return reaper->closed && reaper->hanging == 0;
}

static void *end_handle(void *argument)
{
  struct job *job = argument;
  struct uk_kafka_reaper *reaper = job->reaper;
  bool last = false;
  destroy(job->handle);
  pthread_mutex_lock(&reaper->mutex);
  if (job->given_up)
    last = come_back(reaper);
  else
    finish(reaper, job);
  pthread_mutex_unlock(&reaper->mutex);
  free(job);
  if (last)
    free_reaper(reaper);
  return NULL;
}

/* The task. The mutex is held before and after each of these functions. */

static void begin(struct uk_kafka_reaper *reaper, struct job *job, int64_t now)
{
  job->deadline = now + reaper->timeout;
  uk_list_add(&reaper->ending, &job->link);
  reaper->ending_count++;
  pthread_mutex_unlock(&reaper->mutex);
  if (!uk_thread_start_alone(end_handle, job))
    end_handle(job);
  pthread_mutex_lock(&reaper->mutex);
}

static void give_up(struct uk_kafka_reaper *reaper, struct job *job)
{
  struct job copy = *job; /* its thread may free it as soon as the mutex is released */
  uk_list_remove(&job->link);
  reaper->ending_count--;
  job->given_up = true;
  reaper->hanging++;
  pthread_mutex_unlock(&reaper->mutex);
  call_then(&copy);
  pthread_mutex_lock(&reaper->mutex);
}

/* Handles end in order and have the same time, so the first one is the first to hang. */
static struct job *first_ending(struct uk_kafka_reaper *reaper)
{
  return UK_LIST_FIRST(&reaper->ending, struct job, link);
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_reaper *reaper = (struct uk_kafka_reaper *)task;
  struct job *job;
  pthread_mutex_lock(&reaper->mutex);
  while ((job = first_ending(reaper)) != NULL && job->deadline <= now)
    give_up(reaper, job);
  while (reaper->ending_count < UK_KAFKA_REAPERS &&
         (job = UK_LIST_TAKE(&reaper->waiting, struct job, link)) != NULL)
    begin(reaper, job, now);
  job = first_ending(reaper);
  uk_kafka_task_at(task, job != NULL ? job->deadline : UK_TIMER_NEVER);
  report_idle(reaper);
  pthread_mutex_unlock(&reaper->mutex);
}

/* For callers. */

struct uk_kafka_reaper *uk_kafka_reaper_new(struct uk_kafka_executor *executor, int64_t timeout)
{
  struct uk_kafka_reaper *reaper = calloc(1, sizeof *reaper);
  if (reaper == NULL)
    return NULL;
  reaper->timeout = timeout;
  pthread_cond_init(&reaper->idle, NULL);
  pthread_mutex_init(&reaper->mutex, NULL);
  uk_kafka_task_init(&reaper->task, executor, run, NULL);
  return reaper;
}

void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument)
{
  struct job *job = malloc(sizeof *job);
  if (job == NULL) {
    destroy(handle);
    if (then != NULL)
      then(argument);
    return;
  }
  *job = (struct job){.reaper = reaper, .handle = handle, .then = then, .argument = argument};
  pthread_mutex_lock(&reaper->mutex);
  uk_list_add(&reaper->waiting, &job->link);
  uk_kafka_task_wake(&reaper->task);
  pthread_mutex_unlock(&reaper->mutex);
}

void uk_kafka_reaper_free(struct uk_kafka_reaper *reaper)
{
  pthread_mutex_lock(&reaper->mutex);
  while (reaper->ending_count > 0 || !uk_list_is_empty(&reaper->waiting))
    pthread_cond_wait(&reaper->idle, &reaper->mutex);
  pthread_mutex_unlock(&reaper->mutex);
  uk_kafka_task_join(&reaper->task);
  pthread_mutex_lock(&reaper->mutex);
  reaper->closed = true;
  bool last = reaper->hanging == 0;
  pthread_mutex_unlock(&reaper->mutex);
  if (last)
    free_reaper(reaper);
}
