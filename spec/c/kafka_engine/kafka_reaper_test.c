/* for: kafka_reaper.c
 *
 * Handles whose closing takes as long as the test decides, on a clock that the test owns. This
 * program's rd_kafka_destroy_flags replaces librdkafka's. */
#include "server/kafka_engine/rd/kafka_reaper.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum { MANY = 30, NOW = 1000000, TIMEOUT = 300, PATIENCE = 60000 /* milliseconds */ };

struct handle {
  bool hangs; /* until the gate is open */
  atomic_int destroyed, then;
};

static struct {
  struct uk_kafka_executor *executor; /* without threads */
  struct uk_kafka_reaper *reaper;
  struct handle handles[MANY];
  atomic_int ending, most_ending, ended;
  atomic_bool gate;
} rig;

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
  struct handle *handle = (struct handle *)rk;
  int now = atomic_fetch_add(&rig.ending, 1) + 1, most = atomic_load(&rig.most_ending);
  while (now > most && !atomic_compare_exchange_weak(&rig.most_ending, &most, now))
    continue;
  CHECK_EQ_INT(flags, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  while (handle->hangs && !atomic_load(&rig.gate))
    sched_yield();
  atomic_fetch_sub(&rig.ending, 1);
  atomic_fetch_add(&handle->destroyed, 1);
}

/* A thread of its own starts only with attributes. */
static atomic_bool has_no_threads;

int pthread_attr_init(pthread_attr_t *attributes)
{
  int (*real)(pthread_attr_t *) = NULL;
  if (atomic_load(&has_no_threads))
    return EAGAIN;
  *(void **)&real = dlsym(RTLD_NEXT, "pthread_attr_init");
  return real(attributes);
}

static void then(void *argument)
{
  atomic_fetch_add(&((struct handle *)argument)->then, 1);
  atomic_fetch_add(&rig.ended, 1);
}

static long live_before; /* allocations that are none of a rig's */

/* A thread frees its job after it has reported the end of its handle. */
static bool open_rig(void)
{
  CHECK_EVENTUALLY(fault_live() == live_before);
  memset(&rig, 0, sizeof rig);
  rig.executor = uk_kafka_executor_new(0);
  if (rig.executor != NULL)
    rig.reaper = uk_kafka_reaper_new(rig.executor, TIMEOUT);
  return rig.reaper != NULL;
}

/* The task, which comes first, has ended by then: no timer of the executor points to it. */
static void look(const void *memory)
{
  if (memory == rig.reaper)
    CHECK_EQ_INT(((const struct uk_kafka_task *)memory)->state, UK_TASK_ENDED);
}

static void close_rig(void)
{
  fault_watch_free(look);
  uk_kafka_reaper_free(rig.reaper);
  fault_watch_free(NULL);
  uk_kafka_executor_free(rig.executor);
}

static void reap(int index, bool hangs)
{
  rig.handles[index] = (struct handle){.hangs = hangs};
  uk_kafka_reap(rig.reaper, (rd_kafka_t *)&rig.handles[index], then, &rig.handles[index]);
}

/* Runs the executor at that time until this many handles have ended or were given up. */
static void run_until_ended(int64_t now, int count)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  do {
    uk_kafka_executor_run(rig.executor, now);
    sched_yield();
  } while (atomic_load(&rig.ended) < count && uk_clock_monotonic() < deadline);
  CHECK_EQ_INT(rig.ended, count);
}

static void wait_until_ending(int count)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  while (atomic_load(&rig.ending) < count && uk_clock_monotonic() < deadline)
    sched_yield();
  CHECK_EQ_INT(rig.ending, count);
}

static void ends_each_handle_and_reports_it(void)
{
  for (int i = 0; i < MANY; i++)
    reap(i, true); /* which delays no other handle */
  uk_kafka_executor_run(rig.executor, NOW);
  wait_until_ending(UK_KAFKA_REAPERS);
  atomic_store(&rig.gate, true);
  run_until_ended(NOW, MANY);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(rig.handles[i].destroyed, 1);
    CHECK_EQ_INT(rig.handles[i].then, 1);
  }
  CHECK_EQ_INT(rig.most_ending, UK_KAFKA_REAPERS);
}

/* The callback is optional. */
static void ends_a_handle_silently(void)
{
  struct handle *handle = &rig.handles[0];
  uk_kafka_reap(rig.reaper, (rd_kafka_t *)handle, NULL, NULL);
  uk_kafka_executor_run(rig.executor, NOW);
  CHECK_EVENTUALLY(handle->destroyed == 1);
  CHECK_EQ_INT(handle->then, 0);
}

/* The timeout counts from when closing starts, not from the request: queued handles get it all. */
static void gives_up_what_hangs(void)
{
  for (int i = 0; i < UK_KAFKA_REAPERS; i++)
    reap(i, true);
  uk_kafka_executor_run(rig.executor, NOW);
  for (int i = UK_KAFKA_REAPERS; i < MANY; i++)
    reap(i, false);
  uk_kafka_executor_run(rig.executor, NOW + TIMEOUT - 1);
  CHECK_EQ_INT(rig.ended, 0);
  run_until_ended(NOW + TIMEOUT, MANY);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(rig.handles[i].destroyed, i >= UK_KAFKA_REAPERS);
    CHECK_EQ_INT(rig.handles[i].then, 1);
  }
  uk_kafka_executor_run(rig.executor, NOW + TIMEOUT);
  uk_kafka_reaper_free(rig.reaper);
  atomic_store(&rig.gate, true); /* they return to a closed reaper, and free it */
  for (int i = 0; i < UK_KAFKA_REAPERS; i++) {
    CHECK_EVENTUALLY(rig.handles[i].destroyed == 1);
    CHECK_EQ_INT(rig.handles[i].then, 1);
  }
  rig.reaper = uk_kafka_reaper_new(rig.executor, TIMEOUT);
}

/* One that was given up may end at last. The reaper continues. */
static void what_was_given_up_may_end_before_the_reaper(void)
{
  reap(0, true);
  uk_kafka_executor_run(rig.executor, NOW);
  wait_until_ending(1);
  uk_kafka_executor_run(rig.executor, NOW + TIMEOUT);
  CHECK_EQ_INT(rig.ended, 1);
  long live = fault_live();
  atomic_store(&rig.gate, true);
  CHECK_EVENTUALLY(fault_live() == live - 1); /* its job */
  CHECK_EQ_INT(rig.handles[0].then, 1);
  reap(1, false);
  run_until_ended(NOW + TIMEOUT, 2);
  CHECK_EQ_INT(rig.handles[1].destroyed, 1);
}

static void *open_gate_later(void *argument)
{
  (void)argument;
  usleep(20000); /* main is by then waiting for the end, or not: either must do */
  atomic_store(&rig.gate, true);
  return NULL;
}

/* The executor's threads may have run the task for the last time before the last handle ends. */
static void is_freed_when_the_last_handle_ends(void)
{
  pthread_t thread;
  reap(0, true);
  uk_kafka_executor_run(rig.executor, NOW);
  wait_until_ending(1);
  REQUIRE(pthread_create(&thread, NULL, open_gate_later, NULL) == 0);
  uk_kafka_reaper_free(rig.reaper);
  CHECK_EQ_INT(rig.handles[0].then, 1);
  pthread_join(thread, NULL);
  rig.reaper = uk_kafka_reaper_new(rig.executor, TIMEOUT);
}

static void *give_up_later(void *argument)
{
  (void)argument;
  usleep(20000); /* main is by then waiting for the end, or not: either must do */
  uk_kafka_executor_run(rig.executor, NOW + TIMEOUT);
  return NULL;
}

/* And when it is given up. */
static void is_freed_when_the_last_handle_hangs(void)
{
  pthread_t thread;
  reap(0, true);
  uk_kafka_executor_run(rig.executor, NOW);
  wait_until_ending(1);
  REQUIRE(pthread_create(&thread, NULL, give_up_later, NULL) == 0);
  uk_kafka_reaper_free(rig.reaper);
  CHECK_EQ_INT(rig.handles[0].then, 1);
  CHECK_EQ_INT(rig.handles[0].destroyed, 0);
  pthread_join(thread, NULL);
  atomic_store(&rig.gate, true);
  CHECK_EVENTUALLY(rig.handles[0].destroyed == 1);
  CHECK_EQ_INT(rig.handles[0].then, 1);
  rig.reaper = uk_kafka_reaper_new(rig.executor, TIMEOUT);
}

static void *end_what_waits_later(void *argument)
{
  (void)argument;
  usleep(20000); /* main is by then waiting for the end, or not: either must do */
  uk_kafka_executor_run(rig.executor, NOW);
  atomic_store(&rig.gate, true);
  return NULL;
}

/* And one that has not begun to end. */
static void is_freed_when_what_waits_has_ended(void)
{
  pthread_t thread;
  reap(0, true);
  REQUIRE(pthread_create(&thread, NULL, end_what_waits_later, NULL) == 0);
  uk_kafka_reaper_free(rig.reaper);
  CHECK_EQ_INT(rig.handles[0].then, 1);
  CHECK_EQ_INT(rig.handles[0].destroyed, 1);
  pthread_join(thread, NULL);
  rig.reaper = uk_kafka_reaper_new(rig.executor, TIMEOUT);
}

static void works_without_memory(void)
{
  fault_at(1);
  reap(0, false);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(rig.handles[0].destroyed, 1);
  CHECK_EQ_INT(rig.handles[0].then, 1);
  fault_at(1);
  CHECK(uk_kafka_reaper_new(rig.executor, TIMEOUT) == NULL);
  fault_off();
}

static void works_without_threads(void)
{
  atomic_store(&has_no_threads, true);
  reap(0, false);
  reap(1, false);
  uk_kafka_executor_run(rig.executor, NOW);
  atomic_store(&has_no_threads, false);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(rig.handles[i].destroyed, 1);
    CHECK_EQ_INT(rig.handles[i].then, 1);
  }
}

#define RUN(name)                                                                                  \
  do {                                                                                             \
    if (!CHECK(open_rig()))                                                                        \
      return check_end();                                                                          \
    CHECK_RUN(name);                                                                               \
    close_rig();                                                                                   \
  } while (0)

int main(void)
{
  live_before = fault_live();
  RUN(ends_each_handle_and_reports_it);
  RUN(ends_a_handle_silently);
  RUN(is_freed_when_the_last_handle_ends);
  RUN(is_freed_when_the_last_handle_hangs);
  RUN(is_freed_when_what_waits_has_ended);
  RUN(works_without_memory);
  RUN(works_without_threads);
  RUN(what_was_given_up_may_end_before_the_reaper);
  RUN(gives_up_what_hangs);
  check_state.name = "all of it";
  CHECK_EVENTUALLY(fault_live() == live_before);
  return check_end();
}
