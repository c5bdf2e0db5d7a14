/* for: kafka_blocking.c, kafka_query.c
 *
 * Work that blocks: on up to the maximum number of threads, and timed out on a clock that the test
 * owns. */
#include "server/kafka_engine/rd/kafka_blocking.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "common/thread.h"
#include "fault.h"

enum { MANY = 40, NOW = 1000000, PATIENCE = 60000 /* milliseconds */ };

struct probe {
  struct uk_kafka_work work; /* first */
  bool held;                 /* until the gate is open */
  atomic_int runs, answers, timeouts;
};

static struct {
  struct uk_kafka_executor *executor; /* without threads */
  struct uk_kafka_blocking *blocking;
  struct probe probes[MANY];
  atomic_int running, most_running, timeouts;
  atomic_bool gate;
} rig;

/* Fakes: threads, where there are any. */

static atomic_bool has_no_threads, starts_slowly;
static void *(*_Atomic start_of)(void *argument); /* all threads do the same */

static void *run_thread(void *argument)
{
  while (atomic_load(&starts_slowly))
    sched_yield();
  return atomic_load(&start_of)(argument);
}

bool uk_thread_start(pthread_t *thread, void *(*start)(void *argument), void *argument)
{
  atomic_store(&start_of, start);
  return !atomic_load(&has_no_threads) && pthread_create(thread, NULL, run_thread, argument) == 0;
}

bool uk_thread_start_alone(void *(*start)(void *argument), void *argument)
{
  (void)start;
  (void)argument;
  return false;
}

void uk_condition_init(pthread_cond_t *condition)
{
  pthread_cond_init(condition, NULL);
}

void uk_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until)
{
  (void)until; /* the executor has no threads */
  pthread_cond_wait(condition, mutex);
}

/* Whether the counter reaches the number. */
static bool reaches(const atomic_int *counter, int wanted)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  while (atomic_load(counter) < wanted && uk_clock_monotonic() < deadline)
    sched_yield();
  return atomic_load(counter) == wanted;
}

static bool open_rig(void)
{
  memset(&rig, 0, sizeof rig);
  rig.executor = uk_kafka_executor_new(0);
  if (rig.executor != NULL)
    rig.blocking = uk_kafka_blocking_new(rig.executor);
  uk_kafka_executor_run(rig.executor, NOW);
  return rig.blocking != NULL;
}

/* The task, which comes first, has ended by then: no timer of the executor points to it. */
static void look(const void *memory)
{
  if (memory == rig.blocking)
    CHECK_EQ_INT(((const struct uk_kafka_task *)memory)->state, UK_TASK_ENDED);
}

static void close_rig(void)
{
  atomic_store(&rig.gate, true);
  fault_watch_free(look);
  uk_kafka_blocking_free(rig.blocking);
  fault_watch_free(NULL);
  uk_kafka_executor_free(rig.executor);
}

static void run(struct uk_kafka_work *work)
{
  struct probe *probe = (struct probe *)work;
  int now_running = atomic_fetch_add(&rig.running, 1) + 1, most = atomic_load(&rig.most_running);
  while (now_running > most && !atomic_compare_exchange_weak(&rig.most_running, &most, now_running))
    continue;
  while (probe->held && !atomic_load(&rig.gate))
    sched_yield();
  atomic_fetch_sub(&rig.running, 1);
  work->query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
  atomic_fetch_add(&probe->runs, 1);
}

static void answered(struct uk_kafka_query *query)
{
  struct probe *probe = (struct probe *)query;
  if (query->code == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    atomic_fetch_add(&probe->timeouts, 1);
    atomic_fetch_add(&rig.timeouts, 1);
  }
  atomic_fetch_add(&probe->answers, 1);
}

static struct probe *submit(int index, bool held, int64_t deadline)
{
  struct probe *probe = &rig.probes[index];
  *probe = (struct probe){.work = {.query = {.deadline = deadline, .then = answered}, .run = run},
                          .held = held};
  uk_kafka_blocking_submit(rig.blocking, &probe->work);
  return probe;
}

/* All threads are busy. */
static void hold_threads(void)
{
  for (int i = 0; i < UK_KAFKA_BLOCKING_THREADS; i++)
    submit(i, true, INT64_MAX);
  CHECK(reaches(&rig.running, UK_KAFKA_BLOCKING_THREADS));
  uk_kafka_executor_run(rig.executor, NOW); /* nothing that woke the task before helps later */
}

static int count_answers(void)
{
  int count = 0;
  for (int i = 0; i < MANY; i++)
    count += atomic_load(&rig.probes[i].answers);
  return count;
}

static void runs_each_work_once(void)
{
  for (int i = 0; i < MANY; i++)
    submit(i, false, INT64_MAX);
  CHECK_EVENTUALLY(count_answers() == MANY);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(rig.probes[i].runs, 1);
    CHECK_EQ_INT(rig.probes[i].answers, 1);
    CHECK_EQ_INT(rig.probes[i].timeouts, 0);
  }
}

/* A thread that has nothing left to do takes what comes later. */
static void runs_more_than_there_are_threads_one_after_another(void)
{
  for (int i = 0; i < MANY; i++) {
    struct probe *probe = submit(i, false, INT64_MAX);
    CHECK(reaches(&probe->answers, 1));
    CHECK_EQ_INT(probe->runs, 1);
  }
}

static void runs_as_much_at_once_as_there_are_threads(void)
{
  for (int i = 0; i < MANY; i++)
    submit(i, true, INT64_MAX);
  CHECK(reaches(&rig.running, UK_KAFKA_BLOCKING_THREADS));
  atomic_store(&rig.gate, true);
  CHECK_EVENTUALLY(count_answers() == MANY);
  CHECK_EQ_INT(rig.most_running, UK_KAFKA_BLOCKING_THREADS);
}

/* A deadline counts while work waits for a thread that is about to take it. */
static void work_that_has_a_thread_is_run_whatever_its_deadline(void)
{
  for (int i = 0; i < UK_KAFKA_BLOCKING_THREADS; i++) {
    struct probe *probe = submit(i, false, NOW - 1);
    uk_kafka_executor_run(rig.executor, NOW);
    CHECK(reaches(&probe->answers, 1));
    CHECK_EQ_INT(probe->runs, 1);
    CHECK_EQ_INT(probe->timeouts, 0);
  }
}

static void work_that_waits_for_a_thread_times_out_at_its_deadline(void)
{
  hold_threads();
  struct probe *patient = submit(UK_KAFKA_BLOCKING_THREADS, false, NOW + 600000);
  struct probe *late = submit(UK_KAFKA_BLOCKING_THREADS + 1, false, NOW + 100);
  struct probe *later = submit(UK_KAFKA_BLOCKING_THREADS + 2, false, NOW + 1000);
  const struct {
    int64_t now;
    int late, later, patient; /* how often each has timed out */
  } rows[] = {
    {NOW, 0, 0, 0},        {NOW + 99, 0, 0, 0},     {NOW + 100, 1, 0, 0},    {NOW + 999, 1, 0, 0},
    {NOW + 1000, 1, 1, 0}, {NOW + 599999, 1, 1, 0}, {NOW + 600000, 1, 1, 1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uk_kafka_executor_run(rig.executor, rows[i].now);
    CHECK_EQ_INT(late->timeouts, rows[i].late);
    CHECK_EQ_INT(later->timeouts, rows[i].later);
    CHECK_EQ_INT(patient->timeouts, rows[i].patient);
  }
  CHECK_EQ_INT(late->runs + later->runs + patient->runs, 0);
}

static void work_whose_deadline_has_passed_times_out_at_once_where_all_threads_are_busy(void)
{
  hold_threads();
  struct probe *late = submit(UK_KAFKA_BLOCKING_THREADS, false, NOW);
  CHECK_EQ_INT(late->answers, 0);
  uk_kafka_executor_run(rig.executor, NOW);
  CHECK_EQ_INT(late->timeouts, 1);
  CHECK_EQ_INT(late->runs, 0);
}

static void what_waits_is_run_when_a_thread_is_free(void)
{
  hold_threads();
  struct probe *waits = submit(UK_KAFKA_BLOCKING_THREADS, false, NOW + 100);
  uk_kafka_executor_run(rig.executor, NOW + 99);
  atomic_store(&rig.gate, true);
  CHECK(reaches(&waits->answers, 1));
  CHECK_EQ_INT(waits->runs, 1);
  uk_kafka_executor_run(rig.executor, NOW + 100);
  CHECK_EQ_INT(waits->answers, 1);
}

/* Each has taken something since, and waits for more. */
static void all_threads_work_after_some_work_has_timed_out(void)
{
  enum { THREADS = UK_KAFKA_BLOCKING_THREADS };
  hold_threads();
  for (int i = 0; i < THREADS; i++)
    submit(THREADS + i, false, NOW + 100);
  uk_kafka_executor_run(rig.executor, NOW + 100);
  CHECK_EQ_INT(rig.timeouts, THREADS);
  atomic_store(&rig.gate, true);
  CHECK_EVENTUALLY(count_answers() == 2 * THREADS);
  CHECK(reaches(&rig.running, 0));
  atomic_store(&rig.gate, false);
  for (int i = 0; i < THREADS; i++)
    submit(2 * THREADS + i, true, INT64_MAX);
  CHECK(reaches(&rig.running, THREADS));
  atomic_store(&rig.gate, true);
  CHECK_EVENTUALLY(count_answers() == 3 * THREADS);
}

/* A thread that is on its way to the first work leaves it alone, however late it is. */
static void only_work_that_no_thread_will_take_times_out(void)
{
  atomic_store(&starts_slowly, true);
  struct probe *first = submit(0, false, NOW - 1);
  atomic_store(&has_no_threads, true);
  struct probe *late = submit(1, false, NOW - 1);
  uk_kafka_executor_run(rig.executor, NOW);
  CHECK_EQ_INT(first->answers, 0);
  CHECK_EQ_INT(late->timeouts, 1);
  atomic_store(&has_no_threads, false);
  atomic_store(&starts_slowly, false);
  CHECK(reaches(&first->answers, 1));
  CHECK_EQ_INT(first->runs, 1);
  CHECK_EQ_INT(late->runs, 0);
}

/* Where the system has no thread, the work waits for one, and times out like any other. */
static void work_without_a_thread_waits(void)
{
  atomic_store(&has_no_threads, true);
  struct probe *late = submit(0, false, NOW + 100);
  struct probe *waits = submit(1, false, NOW + 200);
  uk_kafka_executor_run(rig.executor, NOW + 99);
  CHECK_EQ_INT(late->answers + waits->answers, 0);
  uk_kafka_executor_run(rig.executor, NOW + 100);
  CHECK_EQ_INT(late->timeouts, 1);
  atomic_store(&has_no_threads, false);
  struct probe *next = submit(2, false, NOW + 300);
  CHECK(reaches(&waits->answers, 1));
  CHECK(reaches(&next->answers, 1));
  CHECK_EQ_INT(waits->runs, 1);
  CHECK_EQ_INT(next->runs, 1);
}

/* Running work continues after everything else has timed out. */
static void *open_gate(void *unused)
{
  (void)unused;
  reaches(&rig.timeouts, MANY - UK_KAFKA_BLOCKING_THREADS);
  atomic_store(&rig.gate, true);
  return NULL;
}

static void the_end_waits_for_what_runs_and_times_out_the_rest(void)
{
  pthread_t opener;
  for (int i = 0; i < MANY; i++)
    submit(i, true, INT64_MAX);
  CHECK(reaches(&rig.running, UK_KAFKA_BLOCKING_THREADS));
  REQUIRE(pthread_create(&opener, NULL, open_gate, NULL) == 0);
  uk_kafka_blocking_free(rig.blocking);
  pthread_join(opener, NULL);
  int runs = 0;
  for (int i = 0; i < MANY; i++) {
    runs += rig.probes[i].runs;
    CHECK_EQ_INT(rig.probes[i].answers, 1);
    CHECK_EQ_INT(rig.probes[i].runs + rig.probes[i].timeouts, 1);
  }
  CHECK_EQ_INT(runs, UK_KAFKA_BLOCKING_THREADS);
  rig.blocking = uk_kafka_blocking_new(rig.executor);
}

/* A caller may submit more work when it learns that its work timed out. */
static struct probe again;

static void submit_again(struct uk_kafka_query *query)
{
  answered(query);
  if (((struct probe *)query)->timeouts == 0)
    return;
  again = (struct probe){.work = {.query = {.deadline = INT64_MAX, .then = answered}, .run = run}};
  uk_kafka_blocking_submit(rig.blocking, &again.work);
}

static void work_that_is_submitted_at_the_end_times_out(void)
{
  struct probe *last = &rig.probes[MANY - 1];
  pthread_t opener;
  for (int i = 0; i < MANY - 1; i++)
    submit(i, true, INT64_MAX);
  CHECK(reaches(&rig.running, UK_KAFKA_BLOCKING_THREADS));
  *last =
    (struct probe){.work = {.query = {.deadline = INT64_MAX, .then = submit_again}, .run = run}};
  uk_kafka_blocking_submit(rig.blocking, &last->work);
  REQUIRE(pthread_create(&opener, NULL, open_gate, NULL) == 0);
  uk_kafka_blocking_free(rig.blocking);
  pthread_join(opener, NULL);
  CHECK_EQ_INT(again.answers, 1);
  CHECK_EQ_INT(again.timeouts, 1);
  CHECK_EQ_INT(again.runs, 0);
  rig.blocking = uk_kafka_blocking_new(rig.executor);
}

static void the_time_left_is_never_nothing(void)
{
  CHECK_EQ_INT(uk_kafka_time_left(0), 1);
  CHECK_EQ_INT(uk_kafka_time_left(INT64_MIN / 2), 1);
  CHECK_EQ_INT(uk_kafka_time_left(INT64_MAX), INT32_MAX);
  int left = uk_kafka_time_left(uk_clock_monotonic() + 1000000);
  CHECK(left > 900000 && left <= 1000000);
}

static void starts_with_or_without_memory(void)
{
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_kafka_blocking *blocking = uk_kafka_blocking_new(rig.executor);
    hit = fault_hit();
    fault_off();
    CHECK((blocking == NULL) == hit);
    if (blocking != NULL)
      uk_kafka_blocking_free(blocking);
  }
  CHECK_EQ_INT(fault_live(), live);
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
  RUN(runs_each_work_once);
  RUN(runs_more_than_there_are_threads_one_after_another);
  RUN(runs_as_much_at_once_as_there_are_threads);
  RUN(work_that_has_a_thread_is_run_whatever_its_deadline);
  RUN(work_that_waits_for_a_thread_times_out_at_its_deadline);
  RUN(work_whose_deadline_has_passed_times_out_at_once_where_all_threads_are_busy);
  RUN(what_waits_is_run_when_a_thread_is_free);
  RUN(all_threads_work_after_some_work_has_timed_out);
  RUN(only_work_that_no_thread_will_take_times_out);
  RUN(work_without_a_thread_waits);
  RUN(the_end_waits_for_what_runs_and_times_out_the_rest);
  RUN(work_that_is_submitted_at_the_end_times_out);
  RUN(the_time_left_is_never_nothing);
  RUN(starts_with_or_without_memory);
  return check_end();
}
