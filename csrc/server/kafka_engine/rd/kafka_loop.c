#include "server/kafka_engine/rd/kafka_loop.h"

#include <pthread.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"

struct uk_kafka_loop {
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

static void line_up(struct uk_kafka_loop *loop, struct uk_kafka_task *task)
{
  task->state = UK_TASK_IN_LINE;
  task->next = NULL;
  if (loop->last != NULL)
    loop->last->next = task;
  else
    loop->first = task;
  loop->last = task;
}

/* Has one more thread look at the line. The one that watches the timers stays at that while others are idle. */
static void call_thread(struct uk_kafka_loop *loop)
{
  if (loop->called < loop->idle) {
    loop->called++;
    pthread_cond_signal(&loop->work);
  } else if (loop->watched) {
    pthread_cond_signal(&loop->watch);
  }
}

static void wake(struct uk_kafka_loop *loop, struct uk_kafka_task *task)
{
  if (task->state == UK_TASK_RUNNING)
    task->state = UK_TASK_RUNNING_WOKEN;
  if (task->state != UK_TASK_IDLE)
    return;
  line_up(loop, task);
  call_thread(loop);
}

static void wake_due(struct uk_kafka_loop *loop, int64_t now)
{
  struct uk_timer *timer;
  while ((timer = loop->timers.first) != NULL && timer->time <= now) {
    uk_timer_set(&loop->timers, timer, UK_TIMER_NEVER);
    timer->due(loop, timer);
  }
}

static void due(void *owner, struct uk_timer *timer)
{
  wake(owner, (struct uk_kafka_task *)((char *)timer - offsetof(struct uk_kafka_task, timer)));
}

/* The threads. One of those that have nothing to do watches the timers, the others only the line. */

static void wait_for_work(struct uk_kafka_loop *loop)
{
  int64_t until = loop->timers.first != NULL ? loop->timers.first->time : UK_TIMER_NEVER;
  if (loop->watched || until == UK_TIMER_NEVER) {
    loop->idle++;
    pthread_cond_wait(&loop->work, &loop->mutex);
    loop->idle--;
    loop->called -= loop->called > 0;
    return;
  }
  loop->watched = true;
  loop->sleeps_until = until;
  uk_condition_wait(&loop->watch, &loop->mutex, until);
  loop->watched = false;
  loop->sleeps_until = UK_TIMER_NEVER;
}

static struct uk_kafka_task *take(struct uk_kafka_loop *loop)
{
  while (loop->first == NULL && !loop->stopping) {
    wait_for_work(loop);
    wake_due(loop, uk_clock_monotonic());
  }
  struct uk_kafka_task *task = loop->first;
  if (task == NULL)
    return NULL;
  loop->first = task->next;
  if (loop->first == NULL)
    loop->last = NULL;
  task->state = UK_TASK_RUNNING;
  /* Whoever goes to work leaves the watch to another. */
  if (!loop->watched && loop->timers.first != NULL)
    call_thread(loop);
  return task;
}

/* The mutex is held before and after, but not while `free` runs. */
static void put_back(struct uk_kafka_loop *loop, struct uk_kafka_task *task)
{
  if (task->state == UK_TASK_ENDED) {
    uk_timer_set(&loop->timers, &task->timer, UK_TIMER_NEVER);
    pthread_mutex_unlock(&loop->mutex);
    if (task->free != NULL)
      task->free(task);
    pthread_mutex_lock(&loop->mutex);
  } else if (task->state == UK_TASK_RUNNING_WOKEN) {
    line_up(loop, task); /* this thread takes the next in the line by itself */
  } else {
    task->state = UK_TASK_IDLE;
  }
}

static void *run(void *argument)
{
  struct uk_kafka_loop *loop = argument;
  struct uk_kafka_task *task;
  pthread_mutex_lock(&loop->mutex);
  while ((task = take(loop)) != NULL) {
    pthread_mutex_unlock(&loop->mutex);
    task->run(task, uk_clock_monotonic());
    pthread_mutex_lock(&loop->mutex);
    put_back(loop, task);
    wake_due(loop, uk_clock_monotonic());
  }
  pthread_mutex_unlock(&loop->mutex);
  return NULL;
}

struct uk_kafka_loop *uk_kafka_loop_new(unsigned threads)
{
  struct uk_kafka_loop *loop = calloc(1, sizeof *loop + threads * sizeof loop->threads[0]);
  if (loop == NULL)
    return NULL;
  uk_condition_init(&loop->work);
  uk_condition_init(&loop->watch);
  pthread_mutex_init(&loop->mutex, NULL);
  loop->sleeps_until = UK_TIMER_NEVER;
  while (loop->thread_count < threads &&
         uk_thread_start(&loop->threads[loop->thread_count], run, loop))
    loop->thread_count++;
  if (loop->thread_count == threads)
    return loop;
  uk_kafka_loop_free(loop);
  return NULL;
}

void uk_kafka_loop_free(struct uk_kafka_loop *loop)
{
  pthread_mutex_lock(&loop->mutex);
  loop->stopping = true;
  pthread_cond_broadcast(&loop->work);
  pthread_cond_broadcast(&loop->watch);
  pthread_mutex_unlock(&loop->mutex);
  for (unsigned i = 0; i < loop->thread_count; i++)
    pthread_join(loop->threads[i], NULL);
  pthread_cond_destroy(&loop->work);
  pthread_cond_destroy(&loop->watch);
  pthread_mutex_destroy(&loop->mutex);
  free(loop);
}

/* Tasks. */

void uk_kafka_task_init(struct uk_kafka_task *task, struct uk_kafka_loop *loop,
                        void (*run_)(struct uk_kafka_task *task, int64_t now),
                        void (*free_)(struct uk_kafka_task *task))
{
  *task = (struct uk_kafka_task){.loop = loop, .run = run_, .free = free_, .state = UK_TASK_IDLE};
  uk_timer_init(&task->timer, due);
}

void uk_kafka_task_wake(struct uk_kafka_task *task)
{
  struct uk_kafka_loop *loop = task->loop;
  pthread_mutex_lock(&loop->mutex);
  wake(loop, task);
  pthread_mutex_unlock(&loop->mutex);
}

void uk_kafka_task_at(struct uk_kafka_task *task, int64_t time)
{
  struct uk_kafka_loop *loop = task->loop;
  pthread_mutex_lock(&loop->mutex);
  uk_timer_set(&loop->timers, &task->timer, time);
  /* Where nobody is at the watch, this thread looks at the timers when it has run the task. */
  if (time < loop->sleeps_until)
    pthread_cond_signal(&loop->watch);
  pthread_mutex_unlock(&loop->mutex);
}

void uk_kafka_task_end(struct uk_kafka_task *task)
{
  struct uk_kafka_loop *loop = task->loop;
  pthread_mutex_lock(&loop->mutex);
  task->state = UK_TASK_ENDED;
  pthread_mutex_unlock(&loop->mutex);
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
