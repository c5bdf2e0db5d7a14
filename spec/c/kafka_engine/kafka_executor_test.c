/* The executor: no wake is lost, no time passes unheard, and a task is on one thread at a time. */
#include "server/kafka_engine/rd/kafka_executor.h"

#include <pthread.h>
#include <sched.h>

#include "check.h"
#include "common/clock.h"

enum { TASKS = 9, WAKERS = 4, WAKES = 20000, TIMES = 200, PATIENCE = 60000, FAR = 600000 };

struct job {
  struct uk_kafka_task task; /* first */
  atomic_int wanted, seen;   /* wakes asked for; those that a run began after */
  atomic_int running;
  atomic_int times; /* left to be asked for */
  int64_t next;
  atomic_int freed;
  atomic_bool ends;
};

static struct job jobs[TASKS];
static unsigned threads; /* of the executor */
static bool far;         /* who has nothing to do has a time that never comes */

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct job *job = (struct job *)task;
  CHECK_EQ_INT(atomic_fetch_add(&job->running, 1), 0);
  atomic_store(&job->seen, atomic_load(&job->wanted));
  if (atomic_load(&job->times) > 0 && now >= job->next) {
    atomic_fetch_sub(&job->times, 1);
    job->next = now + 1;
  }
  sched_yield(); /* for a wake to come meanwhile */
  int64_t rest = far ? now + FAR : UK_TIMER_NEVER;
  uk_kafka_task_at(task, atomic_load(&job->times) > 0 ? job->next : rest);
  if (atomic_load(&job->ends))
    uk_kafka_task_end(task);
  atomic_fetch_sub(&job->running, 1);
}

static void freed(struct uk_kafka_task *task)
{
  atomic_store(&((struct job *)task)->freed, 1);
}

static void *wake_them(void *argument)
{
  unsigned at = (unsigned)(uintptr_t)argument;
  for (int i = 0; i < WAKES; i++) {
    struct job *job = &jobs[(at = at * 1103515245u + 12345u) / 65536 % TASKS];
    atomic_fetch_add(&job->wanted, 1);
    uk_kafka_task_wake(&job->task);
    if (i % 64 == 0)
      sched_yield();
  }
  return NULL;
}

static struct uk_kafka_executor *start(int times)
{
  struct uk_kafka_executor *executor = uk_kafka_executor_new(threads);
  for (int i = 0; i < TASKS && executor != NULL; i++) {
    jobs[i] = (struct job){.times = times};
    uk_kafka_task_init(&jobs[i].task, executor, run, freed);
  }
  return executor;
}

static bool is_done(const struct job *job)
{
  return job->seen == job->wanted && job->times == 0;
}

static void wait_until_done(void)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  for (int i = 0; i < TASKS; i++) {
    while (!is_done(&jobs[i]) && uk_clock_monotonic() < deadline)
      sched_yield();
    CHECK_EQ_INT(jobs[i].seen, jobs[i].wanted);
    CHECK_EQ_INT(jobs[i].times, 0);
  }
}

static void stop(struct uk_kafka_executor *executor)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  for (int i = 0; i < TASKS; i++) {
    atomic_store(&jobs[i].ends, true);
    uk_kafka_task_wake(&jobs[i].task);
  }
  for (int i = 0; i < TASKS; i++) {
    while (!jobs[i].freed && uk_clock_monotonic() < deadline)
      sched_yield();
    CHECK_EQ_INT(jobs[i].freed, 1);
  }
  uk_kafka_executor_free(executor);
}

static void each_task_runs_after_the_last_wake(void)
{
  struct uk_kafka_executor *executor = start(0);
  pthread_t wakers[WAKERS];
  REQUIRE(executor != NULL);
  for (uintptr_t i = 0; i < WAKERS; i++)
    CHECK_EQ_INT(pthread_create(&wakers[i], NULL, wake_them, (void *)(i + 1)), 0);
  for (int i = 0; i < WAKERS; i++)
    pthread_join(wakers[i], NULL);
  wait_until_done();
  stop(executor);
}

/* One wake at a time: the first finds all asleep, the second a task that still runs. */
static void a_single_wake_is_heard(void)
{
  struct uk_kafka_executor *executor = start(0);
  REQUIRE(executor != NULL);
  for (int i = 0; i < 2000; i++) {
    struct job *job = &jobs[i / 2 % TASKS];
    atomic_fetch_add(&job->wanted, 1);
    uk_kafka_task_wake(&job->task);
    wait_until_done();
  }
  stop(executor);
}

/* Also by a thread that sleeps until a later one. */
static void each_time_is_heard(void)
{
  struct uk_kafka_executor *executor = start(0);
  REQUIRE(executor != NULL);
  for (int times = 0; times <= TIMES; times += TIMES) {
    for (int i = 0; i < TASKS; i++) {
      atomic_store(&jobs[i].times, times);
      atomic_fetch_add(&jobs[i].wanted, 1);
      uk_kafka_task_wake(&jobs[i].task);
    }
    wait_until_done();
  }
  stop(executor);
}

static void times_are_heard_while_others_are_woken(void)
{
  struct uk_kafka_executor *executor = start(TIMES);
  pthread_t waker;
  REQUIRE(executor != NULL);
  CHECK_EQ_INT(pthread_create(&waker, NULL, wake_them, (void *)(uintptr_t)7), 0);
  pthread_join(waker, NULL);
  wait_until_done();
  stop(executor);
}

int main(void)
{
  for (threads = 1; threads <= 3; threads++) {
    for (int i = 0; i < 2; i++, far = !far) {
      CHECK_RUN(each_task_runs_after_the_last_wake);
      CHECK_RUN(a_single_wake_is_heard);
      CHECK_RUN(each_time_is_heard);
      CHECK_RUN(times_are_heard_while_others_are_woken);
    }
  }
  return check_end();
}
