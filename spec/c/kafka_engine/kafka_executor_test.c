/* for: kafka_executor.c
 *
 * No wake-up is lost, no timer is missed, and a task runs on one thread at a time. */
#include "server/kafka_engine/rd/kafka_executor.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum { TASKS = 9, WAKERS = 4, WAKES = 20000, TIMES = 200, PATIENCE = 60000, FAR = 600000 };

struct job {
  struct uk_kafka_task task; /* first */
  atomic_int wanted, seen;   /* wakes so far; those before the last run */
  atomic_int running;
  atomic_int times; /* still to be requested */
  int64_t next;
  atomic_int freed;
  atomic_bool ends;
};

/* The n-th thread from now does not start. */
static atomic_int fails_at;

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *argument)
{
  int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) = NULL;
  if (atomic_fetch_sub(&fails_at, 1) == 1)
    return EAGAIN;
  *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
  return real(thread, attributes, start, argument);
}

static struct job jobs[TASKS];
static unsigned threads; /* of the executor */
static bool far;         /* idle tasks have a timer that never fires */

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct job *job = (struct job *)task;
  CHECK_EQ_INT(atomic_fetch_add(&job->running, 1), 0);
  atomic_store(&job->seen, atomic_load(&job->wanted));
  if (atomic_load(&job->times) > 0 && now >= job->next) {
    atomic_fetch_sub(&job->times, 1);
    job->next = now + 1;
  }
  sched_yield(); /* so that a wake may arrive now */
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

/* One wake at a time: the first finds every thread asleep, the second a running task. */
static void a_single_wake_is_not_lost(void)
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

/* With one thread, and far: the thread has run a task and sleeps until its timer, so no other can
 * run the task again. Each round has an executor of its own, in which nothing was woken before. */
static void a_wake_reaches_a_thread_that_sleeps_until_a_timer(void)
{
  const struct timespec pause = {0, 1000000}; /* for the thread to fall asleep; it need not */
  for (int i = 0; i < 50; i++) {
    struct uk_kafka_executor *executor = start(0);
    REQUIRE(executor != NULL);
    for (int wakes = 0; wakes < 2; wakes++) {
      atomic_fetch_add(&jobs[0].wanted, 1);
      uk_kafka_task_wake(&jobs[0].task);
      wait_until_done();
      nanosleep(&pause, NULL);
    }
    stop(executor);
  }
}

/* Also by a thread that sleeps until a later one. */
static void each_timer_fires(void)
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

static void timers_fire_while_other_tasks_are_woken(void)
{
  struct uk_kafka_executor *executor = start(TIMES);
  pthread_t waker;
  REQUIRE(executor != NULL);
  CHECK_EQ_INT(pthread_create(&waker, NULL, wake_them, (void *)(uintptr_t)7), 0);
  pthread_join(waker, NULL);
  wait_until_done();
  stop(executor);
}

/* Each task waits until all of them run. */
struct meeting {
  struct uk_kafka_task task; /* first */
  atomic_int *present;
  int wanted;
  atomic_bool met;
};

static void run_meeting(struct uk_kafka_task *task, int64_t now)
{
  struct meeting *meeting = (struct meeting *)task;
  (void)now;
  atomic_fetch_add(meeting->present, 1);
  while (atomic_load(meeting->present) < meeting->wanted)
    sched_yield();
  atomic_store(&meeting->met, true);
}

/* Whether they sleep until a timer or not. Each round has an executor of its own. */
static void as_many_tasks_run_at_once_as_there_are_threads(void)
{
  for (int round = 0; round < 20; round++) {
    struct uk_kafka_executor *executor = start(0);
    struct meeting meetings[3];
    atomic_int present = 0;
    REQUIRE(executor != NULL);
    atomic_fetch_add(&jobs[0].wanted, 1);
    uk_kafka_task_wake(&jobs[0].task);
    wait_until_done();
    for (unsigned i = 0; i < threads; i++) {
      meetings[i] = (struct meeting){.present = &present, .wanted = (int)threads};
      uk_kafka_task_init(&meetings[i].task, executor, run_meeting, NULL);
    }
    for (unsigned i = 0; i < threads; i++)
      uk_kafka_task_wake(&meetings[i].task);
    for (unsigned i = 0; i < threads; i++)
      CHECK_EVENTUALLY(atomic_load(&meetings[i].met));
    stop(executor);
  }
}

/* A task that is ready again whenever it has run, until the other's timer has fired. */
struct busy {
  struct uk_kafka_task task; /* first */
  const struct job *other;
  int64_t deadline;
  atomic_bool seen;
};

static void run_busy(struct uk_kafka_task *task, int64_t now)
{
  struct busy *busy = (struct busy *)task;
  bool fired = atomic_load(&busy->other->times) == 0;
  atomic_store(&busy->seen, fired);
  if (!fired && now < busy->deadline)
    uk_kafka_task_wake(task);
}

static void timers_fire_while_a_task_is_always_ready(void)
{
  struct uk_kafka_executor *executor = start(0);
  struct busy busy = {.other = &jobs[0], .deadline = uk_clock_monotonic() + PATIENCE};
  REQUIRE(executor != NULL);
  uk_kafka_task_init(&busy.task, executor, run_busy, NULL);
  atomic_store(&jobs[0].times, 3);
  atomic_fetch_add(&jobs[0].wanted, 1);
  uk_kafka_task_wake(&jobs[0].task);
  uk_kafka_task_wake(&busy.task);
  CHECK_EVENTUALLY(atomic_load(&busy.seen));
  stop(executor);
}

/* Its second run waits for a timer that its first one has set. The task wakes itself in between, so
 * it is ready again without a thread that was called for it. */
struct patient {
  struct uk_kafka_task task; /* first */
  struct uk_kafka_task *other;
  const atomic_bool *fired;
  int runs;
  atomic_bool gives_up, over;
};

static void run_patient(struct uk_kafka_task *task, int64_t now)
{
  struct patient *patient = (struct patient *)task;
  if (++patient->runs == 1) {
    uk_kafka_task_at(patient->other, now + 20); /* later than the second run begins, or earlier */
    uk_kafka_task_wake(task);
    return;
  }
  while (!atomic_load(patient->fired) && !atomic_load(&patient->gives_up))
    sched_yield();
  atomic_store(&patient->over, true);
}

struct alarm {
  struct uk_kafka_task task; /* first */
  atomic_bool fired;
};

static void run_alarm(struct uk_kafka_task *task, int64_t now)
{
  (void)now;
  atomic_store(&((struct alarm *)task)->fired, true);
}

/* No thread watches the timers while this one works, but another one has nothing to do. */
static void a_thread_that_goes_to_work_leaves_the_timers_to_another(void)
{
  bool fired = true;
  for (int round = 0; fired && round < 5; round++) {
    struct uk_kafka_executor *executor = start(0);
    struct alarm alarm = {.fired = false};
    struct patient patient = {.other = &alarm.task, .fired = &alarm.fired};
    REQUIRE(executor != NULL);
    for (int i = 0; i < TASKS; i++) {
      atomic_fetch_add(&jobs[i].wanted, 1);
      uk_kafka_task_wake(&jobs[i].task);
    }
    wait_until_done();
    uk_kafka_task_init(&alarm.task, executor, run_alarm, NULL);
    uk_kafka_task_init(&patient.task, executor, run_patient, NULL);
    uk_kafka_task_wake(&patient.task);
    CHECK_EVENTUALLY(fired = atomic_load(&alarm.fired));
    atomic_store(&patient.gives_up, true);
    CHECK_EVENTUALLY(atomic_load(&patient.over));
    stop(executor);
  }
}

/* On a clock that the test owns. */

struct step {
  struct uk_kafka_task task; /* first */
  int64_t next;              /* the timer that each run sets */
  int64_t ran_at;
  int order; /* of its last run among all runs */
  int runs, frees;
  bool last, ends;
};

static void run_step(struct uk_kafka_task *task, int64_t now)
{
  struct step *step = (struct step *)task;
  static int order;
  step->order = ++order;
  step->runs++;
  step->ran_at = now;
  step->last = uk_kafka_task_is_last(task);
  uk_kafka_task_at(task, step->next);
  if (step->ends)
    uk_kafka_task_end(task);
}

/* Without the order of all runs, which several threads would share. */
static void run_step_alone(struct uk_kafka_task *task, int64_t now)
{
  struct step *step = (struct step *)task;
  step->runs++;
  step->ran_at = now;
}

/* Its timer is for one run more. */
static void run_step_once(struct uk_kafka_task *task, int64_t now)
{
  run_step(task, now);
  ((struct step *)task)->next = UK_TIMER_NEVER;
}

static void free_step(struct uk_kafka_task *task)
{
  ((struct step *)task)->frees++;
  memset(&task->timer, 0, sizeof task->timer); /* nobody looks at it any more */
}

static void a_task_runs_at_its_time_and_no_earlier(void)
{
  enum { NOW = 1000000 };
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct step step = {.next = NOW + 100};
  REQUIRE(executor != NULL);
  uk_kafka_task_init(&step.task, executor, run_step, free_step);
  uk_kafka_executor_run(executor, NOW);
  CHECK_EQ_INT(step.runs, 0); /* it was not woken */
  uk_kafka_task_wake(&step.task);
  uk_kafka_task_wake(&step.task);
  uk_kafka_executor_run(executor, NOW);
  CHECK_EQ_INT(step.runs, 1);
  uk_kafka_executor_run(executor, NOW + 99);
  CHECK_EQ_INT(step.runs, 1);
  step.next = NOW + 500;
  uk_kafka_executor_run(executor, NOW + 100);
  CHECK_EQ_INT(step.runs, 2);
  CHECK_EQ_INT(step.ran_at, NOW + 100);
  step.next = NOW + 200; /* the last call counts, even with an earlier time */
  uk_kafka_task_wake(&step.task);
  uk_kafka_executor_run(executor, NOW + 150);
  step.next = UK_TIMER_NEVER;
  uk_kafka_executor_run(executor, NOW + 200);
  CHECK_EQ_INT(step.runs, 4);
  uk_kafka_executor_run(executor, INT64_MAX - 1);
  CHECK_EQ_INT(step.runs, 4);
  step.ends = true;
  step.next = INT64_MAX - 1; /* the task ends before that */
  uk_kafka_task_wake(&step.task);
  uk_kafka_executor_run(executor, NOW);
  uk_kafka_executor_run(executor, INT64_MAX - 1);
  CHECK_EQ_INT(step.runs, 5);
  CHECK_EQ_INT(step.frees, 1);
  CHECK(!step.last);
  uk_kafka_executor_free(executor);
}

/* A timer that a run sets to the time that it is now. */
static void what_becomes_due_meanwhile_runs_too(void)
{
  enum { NOW = 1000000 };
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct step first = {.next = NOW}, last = {.next = UK_TIMER_NEVER};
  REQUIRE(executor != NULL);
  uk_kafka_task_init(&first.task, executor, run_step_once, NULL);
  uk_kafka_task_init(&last.task, executor, run_step, NULL);
  uk_kafka_task_wake(&first.task);
  uk_kafka_executor_run(executor, NOW);
  CHECK_EQ_INT(first.runs, 2);
  uk_kafka_task_wake(&last.task);
  uk_kafka_executor_run(executor, NOW);
  CHECK_EQ_INT(last.runs, 1);
  CHECK_EQ_INT(first.runs, 2);
  uk_kafka_executor_free(executor);
}

static void due_tasks_run_in_the_order_of_their_times(void)
{
  enum { NOW = 1000 };
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct step early = {.next = NOW + 1}, late = {.next = NOW + 2}, last = {.next = NOW + 3};
  REQUIRE(executor != NULL);
  uk_kafka_task_init(&early.task, executor, run_step, NULL);
  uk_kafka_task_init(&late.task, executor, run_step, NULL);
  uk_kafka_task_init(&last.task, executor, run_step, NULL);
  uk_kafka_task_wake(&last.task);
  uk_kafka_task_wake(&late.task);
  uk_kafka_task_wake(&early.task);
  uk_kafka_executor_run(executor, NOW);
  early.next = late.next = last.next = UK_TIMER_NEVER;
  uk_kafka_executor_run(executor, NOW + 1);
  CHECK_EQ_INT(early.runs, 2);
  CHECK_EQ_INT(late.runs + last.runs, 2);
  uk_kafka_executor_run(executor, NOW + 3);
  CHECK_EQ_INT(late.runs, 2);
  CHECK_EQ_INT(last.runs, 2);
  CHECK(early.order < late.order && late.order < last.order);
  uk_kafka_executor_free(executor);
}

/* With the executor's own threads, and without. */
static void a_join_waits_for_one_last_run(void)
{
  for (unsigned count = 0; count <= 3; count++) {
    struct uk_kafka_executor *executor = uk_kafka_executor_new(count);
    REQUIRE(executor != NULL);
    for (int i = 0; i < 200; i++) {
      struct step step = {.next = i % 2 == 0 ? INT64_MAX - 1 : UK_TIMER_NEVER};
      uk_kafka_task_init(&step.task, executor, run_step, NULL);
      if (i % 3 == 0)
        uk_kafka_task_wake(&step.task);
      uk_kafka_task_join(&step.task);
      CHECK(step.last);
      CHECK(step.runs == 1 || step.runs == 2);
    }
    uk_kafka_executor_free(executor);
  }
}

static void *join_task(void *argument)
{
  uk_kafka_task_join(argument);
  return NULL;
}

/* Each learns of the end of its own. */
static void several_joins_at_once_all_end(void)
{
  enum { JOINS = 4 };
  struct uk_kafka_executor *executor = uk_kafka_executor_new(2);
  REQUIRE(executor != NULL);
  for (int round = 0; round < 100; round++) {
    struct step steps[JOINS];
    pthread_t joiners[JOINS];
    for (int i = 0; i < JOINS; i++) {
      steps[i] = (struct step){.next = UK_TIMER_NEVER};
      uk_kafka_task_init(&steps[i].task, executor, run_step_alone, NULL);
      CHECK_EQ_INT(pthread_create(&joiners[i], NULL, join_task, &steps[i].task), 0);
    }
    for (int i = 0; i < JOINS; i++) {
      pthread_join(joiners[i], NULL);
      CHECK_EQ_INT(steps[i].runs, 1);
    }
  }
  uk_kafka_executor_free(executor);
}

/* The last run has the time of the run before it: the test owns the clock to the end. */
static void a_join_without_threads_keeps_the_time(void)
{
  enum { NOW = 1000000 };
  long live = fault_live();
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct step step = {.next = NOW + 100};
  REQUIRE(executor != NULL);
  uk_kafka_task_init(&step.task, executor, run_step, NULL);
  uk_kafka_executor_run(executor, NOW);
  uk_kafka_task_join(&step.task);
  CHECK_EQ_INT(step.ran_at, NOW);
  CHECK_EQ_INT(step.runs, 1);
  uk_kafka_executor_free(executor);
  CHECK_EQ_INT(fault_live(), live);
}

static void is_not_made_without_memory_or_threads(void)
{
  long live = fault_live();
  fault_at(1);
  CHECK(uk_kafka_executor_new(3) == NULL);
  fault_off();
  for (int n = 1; n <= 3; n++) {
    atomic_store(&fails_at, n);
    CHECK(uk_kafka_executor_new(3) == NULL);
    CHECK_EQ_INT(fault_live(), live);
  }
}

/* Queues. The test is librdkafka. */

static struct {
  void (*wake)(rd_kafka_t *handle, void *opaque);
  void *opaque;
} watched;

void rd_kafka_queue_cb_event_enable(rd_kafka_queue_t *queue,
                                    void (*wake)(rd_kafka_t *handle, void *opaque), void *opaque)
{
  CHECK(queue == (rd_kafka_queue_t *)&watched);
  watched.wake = wake;
  watched.opaque = opaque;
}

static void what_is_added_to_a_queue_wakes_its_watcher(void)
{
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct step step = {.next = UK_TIMER_NEVER};
  REQUIRE(executor != NULL);
  uk_kafka_task_init(&step.task, executor, run_step, NULL);
  uk_kafka_queue_watch((rd_kafka_queue_t *)&watched, &step.task);
  uk_kafka_executor_run(executor, 1000);
  CHECK_EQ_INT(step.runs, 0);
  REQUIRE(watched.wake != NULL);
  watched.wake(NULL, watched.opaque);
  uk_kafka_executor_run(executor, 1000);
  CHECK_EQ_INT(step.runs, 1);
  uk_kafka_queue_unwatch((rd_kafka_queue_t *)&watched);
  CHECK(watched.wake == NULL);
  uk_kafka_executor_free(executor);
}

int main(void)
{
  CHECK_RUN(is_not_made_without_memory_or_threads);
  CHECK_RUN(what_is_added_to_a_queue_wakes_its_watcher);
  CHECK_RUN(a_task_runs_at_its_time_and_no_earlier);
  CHECK_RUN(what_becomes_due_meanwhile_runs_too);
  CHECK_RUN(due_tasks_run_in_the_order_of_their_times);
  CHECK_RUN(a_join_waits_for_one_last_run);
  CHECK_RUN(several_joins_at_once_all_end);
  CHECK_RUN(a_join_without_threads_keeps_the_time);
  for (threads = 2; threads <= 3; threads++)
    CHECK_RUN(a_thread_that_goes_to_work_leaves_the_timers_to_another);
  for (threads = 1; threads <= 3; threads++) {
    for (int i = 0; i < 2; i++, far = !far) {
      CHECK_RUN(each_task_runs_after_the_last_wake);
      CHECK_RUN(a_single_wake_is_not_lost);
      CHECK_RUN(a_wake_reaches_a_thread_that_sleeps_until_a_timer);
      CHECK_RUN(as_many_tasks_run_at_once_as_there_are_threads);
      CHECK_RUN(each_timer_fires);
      CHECK_RUN(timers_fire_while_a_task_is_always_ready);
      CHECK_RUN(timers_fire_while_other_tasks_are_woken);
    }
  }
  return check_end();
}
