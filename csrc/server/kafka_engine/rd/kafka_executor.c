#include "server/kafka_engine/rd/kafka_executor.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"

struct uk_kafka_executor {
  pthread_mutex_t mutex;
  pthread_cond_t work;                /* of the threads that wait for the line alone */
  pthread_cond_t watch;               /* of the one that watches the timers as well */
  unsigned idle;                      /* threads that wait for the line alone */
  unsigned called;                    /* as many of them were called to it */
  struct uk_kafka_task *first, *last; /* the line */
  struct uk_timers timers;
  int64_t sleeps_until; /* what the one thread that watches the timers sleeps until */
  bool watched;         /* a thread watches the timers */
  bool stopping;
  unsigned thread_count;
  pthread_t threads[];
};

/* The line. The mutex is held. */

static void line_up(struct uk_kafka_executor *executor, struct uk_kafka_task *task)
{
  task->state = UK_TASK_IN_LINE;
  task->next = NULL;
  if (executor->last != NULL)
    executor->last->next = task;
  else
    executor->first = task;
  executor->last = task;
}

/* Has one more thread look at the line. The one that watches the timers stays at that while others are idle. */
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
  line_up(executor, task);
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

/* The threads. One of those that have nothing to do watches the timers, the others only the line. */

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
  executor->sleeps_until = UK_TIMER_NEVER;
}

static struct uk_kafka_task *take(struct uk_kafka_executor *executor)
{
  while (executor->first == NULL && !executor->stopping) {
    wait_for_work(executor);
    wake_due(executor, uk_clock_monotonic());
  }
  struct uk_kafka_task *task = executor->first;
  if (task == NULL)
    return NULL;
  executor->first = task->next;
  if (executor->first == NULL)
    executor->last = NULL;
  task->state = UK_TASK_RUNNING;
  /* Whoever goes to work leaves the watch to another. */
  if (!executor->watched && executor->timers.first != NULL)
    call_thread(executor);
  return task;
}

/* The mutex is held before and after, but not while `free` runs. */
static void put_back(struct uk_kafka_executor *executor, struct uk_kafka_task *task)
{
  if (task->state == UK_TASK_ENDED) {
    uk_timer_set(&executor->timers, &task->timer, UK_TIMER_NEVER);
    pthread_mutex_unlock(&executor->mutex);
    if (task->free != NULL)
      task->free(task);
    pthread_mutex_lock(&executor->mutex);
  } else if (task->state == UK_TASK_RUNNING_WOKEN) {
    line_up(executor, task); /* this thread takes the next in the line by itself */
  } else {
    task->state = UK_TASK_IDLE;
  }
}

static void *run(void *argument)
{
  struct uk_kafka_executor *executor = argument;
  struct uk_kafka_task *task;
  pthread_mutex_lock(&executor->mutex);
  while ((task = take(executor)) != NULL) {
    pthread_mutex_unlock(&executor->mutex);
    task->run(task, uk_clock_monotonic());
    pthread_mutex_lock(&executor->mutex);
    put_back(executor, task);
    wake_due(executor, uk_clock_monotonic());
  }
  pthread_mutex_unlock(&executor->mutex);
  return NULL;
}

struct uk_kafka_executor *uk_kafka_executor_new(unsigned threads)
{
  struct uk_kafka_executor *executor =
    calloc(1, sizeof *executor + threads * sizeof executor->threads[0]);
  if (executor == NULL)
    return NULL;
  uk_condition_init(&executor->work);
  uk_condition_init(&executor->watch);
  pthread_mutex_init(&executor->mutex, NULL);
  executor->sleeps_until = UK_TIMER_NEVER;
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
  /* Where nobody is at the watch, this thread looks at the timers when it has run the task. */
  if (time < executor->sleeps_until)
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
