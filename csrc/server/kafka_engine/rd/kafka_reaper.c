#include "server/kafka_engine/rd/kafka_reaper.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"

/* A handle that waits for its end, and then the thread that ends it. */
struct job {
  struct uk_kafka_reaper *reaper;
  rd_kafka_t *handle;
  void (*then)(void *argument);
  void *argument;
  int64_t deadline; /* once a thread has it */
  bool given_up;    /* `then` was called, and the job is in no list */
  struct job *next;
};

struct uk_kafka_reaper {
  int64_t timeout; /* milliseconds */
  pthread_mutex_t mutex;
  pthread_cond_t work; /* for the manager */
  pthread_t manager;
  struct job *waiting, **waiting_end;
  struct job *ending; /* with a thread each */
  size_t ending_count;
  size_t hanging; /* threads that were given up */
  bool closing;   /* the manager goes when all is done */
  bool closed;    /* the last that hangs frees the reaper, should it come back */
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
  pthread_cond_destroy(&reaper->work);
  pthread_mutex_destroy(&reaper->mutex);
  free(reaper);
}

/* The mutex is held. */
static void take_out(struct uk_kafka_reaper *reaper, struct job *job)
{
  struct job **link = &reaper->ending;
  while (*link != job)
    link = &(*link)->next;
  *link = job->next;
  reaper->ending_count--;
}

/* A thread for one handle. */
static void *end_handle(void *argument)
{
  struct job *job = argument;
  struct uk_kafka_reaper *reaper = job->reaper;
  destroy(job->handle);
  pthread_mutex_lock(&reaper->mutex);
  bool given_up = job->given_up, last = false;
  if (given_up) {
    reaper->hanging--;
    last = reaper->closed && reaper->hanging == 0;
  } else {
    take_out(reaper, job);
    reaper->ending_count++; /* until `then` has returned */
    pthread_mutex_unlock(&reaper->mutex);
    call_then(job);
    pthread_mutex_lock(&reaper->mutex);
    reaper->ending_count--;
    pthread_cond_signal(&reaper->work);
  }
  pthread_mutex_unlock(&reaper->mutex);
  free(job);
  if (last)
    free_reaper(reaper);
  return NULL;
}

/* The manager. The mutex is held before and after each of these. */

static void begin(struct uk_kafka_reaper *reaper)
{
  struct job *job = reaper->waiting;
  reaper->waiting = job->next;
  if (reaper->waiting == NULL)
    reaper->waiting_end = &reaper->waiting;
  job->deadline = uk_clock_monotonic() + reaper->timeout;
  job->next = reaper->ending;
  reaper->ending = job;
  reaper->ending_count++;
  pthread_mutex_unlock(&reaper->mutex);
  if (!uk_thread_start_alone(end_handle, job))
    end_handle(job);
  pthread_mutex_lock(&reaper->mutex);
}

/* Gives up what hangs; when the next of the others would. */
static int64_t give_up(struct uk_kafka_reaper *reaper, int64_t now)
{
  int64_t next = INT64_MAX;
  struct job *job = reaper->ending;
  while (job != NULL) {
    if (job->deadline > now) {
      next = job->deadline < next ? job->deadline : next;
      job = job->next;
      continue;
    }
    struct job copy = *job; /* its thread may free it as soon as the mutex is let go */
    take_out(reaper, job);
    job->given_up = true;
    reaper->hanging++;
    pthread_mutex_unlock(&reaper->mutex);
    call_then(&copy);
    pthread_mutex_lock(&reaper->mutex);
    job = reaper->ending; /* the list may have changed */
    next = INT64_MAX;
  }
  return next;
}

static void *manage(void *argument)
{
  struct uk_kafka_reaper *reaper = argument;
  pthread_mutex_lock(&reaper->mutex);
  while (!reaper->closing || reaper->waiting != NULL || reaper->ending_count > 0) {
    int64_t next = give_up(reaper, uk_clock_monotonic());
    if (reaper->waiting != NULL && reaper->ending_count < UK_KAFKA_REAPERS) {
      begin(reaper);
    } else if (reaper->closing && reaper->waiting == NULL && reaper->ending_count == 0) {
      break;
    } else {
      uk_condition_wait(&reaper->work, &reaper->mutex, next);
    }
  }
  pthread_mutex_unlock(&reaper->mutex);
  return NULL;
}

/* From outside. */

struct uk_kafka_reaper *uk_kafka_reaper_new(int64_t timeout)
{
  struct uk_kafka_reaper *reaper = calloc(1, sizeof *reaper);
  if (reaper == NULL)
    return NULL;
  reaper->timeout = timeout;
  reaper->waiting_end = &reaper->waiting;
  uk_condition_init(&reaper->work);
  pthread_mutex_init(&reaper->mutex, NULL);
  if (uk_thread_start(&reaper->manager, manage, reaper))
    return reaper;
  free_reaper(reaper);
  return NULL;
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
  *reaper->waiting_end = job;
  reaper->waiting_end = &job->next;
  pthread_cond_signal(&reaper->work);
  pthread_mutex_unlock(&reaper->mutex);
}

void uk_kafka_reaper_free(struct uk_kafka_reaper *reaper)
{
  pthread_mutex_lock(&reaper->mutex);
  reaper->closing = true;
  pthread_cond_signal(&reaper->work);
  pthread_mutex_unlock(&reaper->mutex);
  pthread_join(reaper->manager, NULL);
  pthread_mutex_lock(&reaper->mutex);
  reaper->closed = true;
  bool last = reaper->hanging == 0;
  pthread_mutex_unlock(&reaper->mutex);
  if (last)
    free_reaper(reaper);
}
