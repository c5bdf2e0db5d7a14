#include "server/kafka_engine/rd/kafka_executor.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"

struct uk_kafka_executor {
  pthread_mutex_t mutex;
  pthread_cond_t work;  /* for threads that wait for a ready task */
  pthread_cond_t watch; /* for the thread that watches the timers too */
  pthread_cond_t ended; /* a task that is being joined has ended */
  unsigned idle;        /* threads that wait for `work` */
  unsigned called;      /* of these, how many were signalled */
  struct uk_list ready;
  struct uk_timers timers;
  int64_t sleeps_until; /* while a thread watches the timers: what it sleeps until */
  bool watched;         /* a thread watches the timers */
  bool stopping;
  int64_t now; /* of the last uk_kafka_executor_run */
  unsigned thread_count;
  pthread_t threads[];
};

/* The queue of ready tasks. The mutex is held. */

static void make_ready(struct uk_kafka_executor *executor, struct uk_kafka_task *task)
{
  task->state = UK_TASK_READY;
  uk_list_add(&executor->ready, &task->link);
}

/* Wakes one more thread. The one that watches the timers keeps doing so while others are idle. */
static void call_thread(struct uk_kafka_executor *executor)
{
  if (executor->called < executor->idle) {
    executor->called++;
    pthread_cond_signal(&executor->work);
  } else if (executor->watched) {
    pthread_cond_signal(&executor->watch);
  }
}

static void wake(struct uk_kafka_executor *executor, struct uk_kafka_task *task)
{
  if (task->state == UK_TASK_RUNNING)
    task->state = UK_TASK_RUNNING_WOKEN;
  if (task->state != UK_TASK_IDLE)
    return;
  make_ready(executor, task);
  call_thread(executor);
}

static void wake_due(struct uk_kafka_executor *executor, int64_t now)
{
  struct uk_timer *timer;
  while ((timer = executor->timers.first) != NULL && timer->time <= now) {
    uk_timer_set(&executor->timers, timer, UK_TIMER_NEVER);
    timer->due(executor, timer);
  }
}

static void due(void *owner, struct uk_timer *timer)
{
  wake(owner, (struct uk_kafka_task *)((char *)timer - offsetof(struct uk_kafka_task, timer)));
}

/* The threads. Of those that have nothing to do, one watches the timers. */

static void wait_for_work(struct uk_kafka_executor *executor)
{
  int64_t until = executor->timers.first != NULL ? executor->timers.first->time : UK_TIMER_NEVER;
  if (executor->watched || until == UK_TIMER_NEVER) {
    executor->idle++;
    pthread_cond_wait(&executor->work, &executor->mutex);
    executor->idle--;
    executor->called -= executor->called > 0;
    return;
  }
  executor->watched = true;
  executor->sleeps_until = until;
  uk_condition_wait(&executor->watch, &executor->mutex, until);
  executor->watched = false;
}

/* The next ready task, now running; NULL when there is none. */
static struct uk_kafka_task *take(struct uk_kafka_executor *executor)
{
  struct uk_kafka_task *task = UK_LIST_TAKE(&executor->ready, struct uk_kafka_task, link);
  if (task == NULL)
    return NULL;
  task->state = UK_TASK_RUNNING;
  task->last = task->joining;
  return task;
}

static struct uk_kafka_task *wait_for_task(struct uk_kafka_executor *executor)
{
  while (uk_list_is_empty(&executor->ready) && !executor->stopping) {
    wait_for_work(executor);
    wake_due(executor, uk_clock_monotonic());
  }
  struct uk_kafka_task *task = take(executor);
  /* A thread that goes to work leaves the timers to another. */
  if (task != NULL && !executor->watched && executor->timers.first != NULL)
    call_thread(executor);
  return task;
}

/* The mutex is held before and after, but not while `free` runs. */
static void put_back(struct uk_kafka_executor *executor, struct uk_kafka_task *task)
{
  if (task->last || task->state == UK_TASK_ENDED) {
    task->state = UK_TASK_ENDED;
    uk_timer_set(&executor->timers, &task->timer, UK_TIMER_NEVER);
    pthread_cond_broadcast(&executor->ended);
    if (task->free == NULL)
      return;
    pthread_mutex_unlock(&executor->mutex);
    task->free(task);
    pthread_mutex_lock(&executor->mutex);
  } else if (task->state == UK_TASK_RUNNING_WOKEN) {
    make_ready(executor, task); /* this thread takes the next ready task anyway */
  } else {
    task->state = UK_TASK_IDLE;
  }
}

/* The mutex is held before and after. */
static void run_task(struct uk_kafka_executor *executor, struct uk_kafka_task *task, int64_t now)
{
  pthread_mutex_unlock(&executor->mutex);
  task->run(task, now);
  pthread_mutex_lock(&executor->mutex);
  put_back(executor, task);
}

static void *run(void *argument)
{
  struct uk_kafka_executor *executor = argument;
  struct uk_kafka_task *task;
  pthread_mutex_lock(&executor->mutex);
  while ((task = wait_for_task(executor)) != NULL) {
    run_task(executor, task, uk_clock_monotonic());
    wake_due(executor, uk_clock_monotonic());
  }
  pthread_mutex_unlock(&executor->mutex);
  return NULL;
}

void uk_kafka_executor_run(struct uk_kafka_executor *executor, int64_t now)
{
  struct uk_kafka_task *task;
  pthread_mutex_lock(&executor->mutex);
  executor->now = now;
  wake_due(executor, now);
  while ((task = take(executor)) != NULL) {
    run_task(executor, task, now);
    wake_due(executor, now);
  }
  pthread_mutex_unlock(&executor->mutex);
}

/* Life. */

struct uk_kafka_executor *uk_kafka_executor_new(unsigned threads)
{
  struct uk_kafka_executor *executor =
    calloc(1, sizeof *executor + threads * sizeof executor->threads[0]);
  if (executor == NULL)
    return NULL;
  uk_condition_init(&executor->work);
  uk_condition_init(&executor->watch);
  pthread_cond_init(&executor->ended, NULL);
  pthread_mutex_init(&executor->mutex, NULL);
  while (executor->thread_count < threads &&
         uk_thread_start(&executor->threads[executor->thread_count], run, executor))
    executor->thread_count++;
  if (executor->thread_count == threads)
    return executor;
  uk_kafka_executor_free(executor);
  return NULL;
}

void uk_kafka_executor_free(struct uk_kafka_executor *executor)
{
  pthread_mutex_lock(&executor->mutex);
  executor->stopping = true;
  pthread_cond_broadcast(&executor->work);
  pthread_cond_broadcast(&executor->watch);
  pthread_mutex_unlock(&executor->mutex);
  for (unsigned i = 0; i < executor->thread_count; i++)
    pthread_join(executor->threads[i], NULL);
  pthread_cond_destroy(&executor->work);
  pthread_cond_destroy(&executor->watch);
  pthread_cond_destroy(&executor->ended);
  pthread_mutex_destroy(&executor->mutex);
  free(executor);
}

/* Tasks. */

void uk_kafka_task_init(struct uk_kafka_task *task, struct uk_kafka_executor *executor,
                        void (*run_)(struct uk_kafka_task *task, int64_t now),
                        void (*free_)(struct uk_kafka_task *task))
{
  *task =
    (struct uk_kafka_task){.executor = executor, .run = run_, .free = free_, .state = UK_TASK_IDLE};
  uk_timer_init(&task->timer, due);
}

void uk_kafka_task_wake(struct uk_kafka_task *task)
{
  struct uk_kafka_executor *executor = task->executor;
  pthread_mutex_lock(&executor->mutex);
  wake(executor, task);
  pthread_mutex_unlock(&executor->mutex);
}

void uk_kafka_task_at(struct uk_kafka_task *task, int64_t time)
{
  struct uk_kafka_executor *executor = task->executor;
  pthread_mutex_lock(&executor->mutex);
  uk_timer_set(&executor->timers, &task->timer, time);
  /* Where no thread watches the timers, this one looks at them after it has run the task. */
  if (executor->watched && time < executor->sleeps_until)
    pthread_cond_signal(&executor->watch);
  pthread_mutex_unlock(&executor->mutex);
}

void uk_kafka_task_end(struct uk_kafka_task *task)
{
  struct uk_kafka_executor *executor = task->executor;
  pthread_mutex_lock(&executor->mutex);
  task->state = UK_TASK_ENDED;
  pthread_mutex_unlock(&executor->mutex);
}

void uk_kafka_task_join(struct uk_kafka_task *task)
{
  struct uk_kafka_executor *executor = task->executor;
  pthread_mutex_lock(&executor->mutex);
  task->joining = true;
  wake(executor, task);
  int64_t now = executor->now;
  pthread_mutex_unlock(&executor->mutex);
  if (executor->thread_count == 0)
    uk_kafka_executor_run(executor, now);
  pthread_mutex_lock(&executor->mutex);
  while (task->state != UK_TASK_ENDED)
    pthread_cond_wait(&executor->ended, &executor->mutex);
  pthread_mutex_unlock(&executor->mutex);
}

bool uk_kafka_task_is_last(const struct uk_kafka_task *task)
{
  return task->last;
}

static void wake_watcher(rd_kafka_t *handle, void *opaque)
{
  (void)handle;
  uk_kafka_task_wake(opaque);
}

void uk_kafka_queue_watch(rd_kafka_queue_t *queue, struct uk_kafka_task *task)
{
  rd_kafka_queue_cb_event_enable(queue, wake_watcher, task);
}

void uk_kafka_queue_unwatch(rd_kafka_queue_t *queue)
{
  rd_kafka_queue_cb_event_enable(queue, NULL, NULL);
}
