#include "server/kafka_engine/rd/kafka_blocking.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum { MANY = 40, HELD = -1, PATIENCE = 60000 /* milliseconds */ };

struct probe {
  struct uk_kafka_work work;
  int blocks; /* milliseconds; HELD: until the gate is open */
  atomic_int runs, misses;
  atomic_llong ended;
};

static struct probe probes[MANY];
static atomic_int running, most_running, missing;
static atomic_bool gate;

/* Whether the counter gets there. */
static bool reaches(const atomic_int *counter, int wanted)
{
  for (int i = 0; i < PATIENCE && atomic_load(counter) < wanted; i++)
    usleep(1000);
  return atomic_load(counter) == wanted;
}

static void begin(void)
{
  atomic_store(&gate, false);
  atomic_store(&most_running, 0);
  atomic_store(&missing, 0);
}

static void run(struct uk_kafka_work *work)
{
  struct probe *probe = (struct probe *)work;
  int now_running = atomic_fetch_add(&running, 1) + 1, most = atomic_load(&most_running);
  while (now_running > most && !atomic_compare_exchange_weak(&most_running, &most, now_running))
    continue;
  if (probe->blocks != HELD)
    usleep((unsigned)probe->blocks * 1000);
  while (probe->blocks == HELD && !atomic_load(&gate))
    usleep(1000);
  atomic_store(&probe->ended, uk_clock_monotonic());
  atomic_fetch_sub(&running, 1);
  atomic_fetch_add(&probe->runs, 1);
}

static void timed_out(struct uk_kafka_work *work)
{
  struct probe *probe = (struct probe *)work;
  atomic_store(&probe->ended, uk_clock_monotonic());
  atomic_fetch_add(&probe->misses, 1);
  atomic_fetch_add(&missing, 1);
}

static void submit(struct uk_kafka_blocking *blocking, struct probe *probe, int blocks,
                   int64_t deadline)
{
  *probe = (struct probe){.work = {.run = run, .timed_out = timed_out, .deadline = deadline},
                          .blocks = blocks};
  uk_kafka_blocking_submit(blocking, &probe->work);
}

static int count_runs(void)
{
  int count = 0;
  for (int i = 0; i < MANY; i++)
    count += atomic_load(&probes[i].runs);
  return count;
}

static void runs_each_call_once(void)
{
  struct uk_kafka_blocking *blocking = uk_kafka_blocking_new();
  REQUIRE(blocking != NULL);
  for (int i = 0; i < MANY; i++)
    submit(blocking, &probes[i], i % 3, INT64_MAX);
  CHECK_EVENTUALLY(count_runs() == MANY);
  uk_kafka_blocking_free(blocking);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(probes[i].runs, 1);
    CHECK_EQ_INT(probes[i].misses, 0);
  }
}

static void runs_as_many_at_once_as_there_are_threads(void)
{
  struct uk_kafka_blocking *blocking = uk_kafka_blocking_new();
  REQUIRE(blocking != NULL);
  begin();
  for (int i = 0; i < MANY; i++)
    submit(blocking, &probes[i], HELD, INT64_MAX);
  CHECK(reaches(&running, UK_KAFKA_BLOCKING_THREADS));
  usleep(50000);
  atomic_store(&gate, true);
  for (int i = 0; i < PATIENCE && count_runs() < MANY; i++)
    usleep(1000);
  uk_kafka_blocking_free(blocking);
  CHECK_EQ_INT(most_running, UK_KAFKA_BLOCKING_THREADS);
  CHECK_EQ_INT(count_runs(), MANY);
}

static void a_deadline_that_passed_is_no_matter_where_nobody_is_before(void)
{
  struct uk_kafka_blocking *blocking = uk_kafka_blocking_new();
  REQUIRE(blocking != NULL);
  for (int i = 0; i < MANY; i++) {
    submit(blocking, &probes[0], 0, uk_clock_monotonic() - 1);
    CHECK_EVENTUALLY(probes[0].runs + probes[0].misses > 0);
    CHECK_EQ_INT(probes[0].runs, 1);
  }
  uk_kafka_blocking_free(blocking);
}

static void one_that_waits_too_long_hears_of_it_in_time(void)
{
  struct uk_kafka_blocking *blocking = uk_kafka_blocking_new();
  REQUIRE(blocking != NULL);
  begin();
  for (int i = 0; i < UK_KAFKA_BLOCKING_THREADS; i++)
    submit(blocking, &probes[i], HELD, INT64_MAX);
  CHECK(reaches(&running, UK_KAFKA_BLOCKING_THREADS));
  int64_t now = uk_clock_monotonic();
  struct probe *late = &probes[UK_KAFKA_BLOCKING_THREADS], *later = late + 1, *patient = late + 2;
  submit(blocking, patient, 0, now + 600000);
  submit(blocking, late, 0, now + 100);
  CHECK(reaches(&late->misses, 1));
  CHECK(late->ended >= now + 100);
  submit(blocking, later, 0, now + 1000);
  CHECK(reaches(&later->misses, 1));
  CHECK(later->ended >= now + 1000);
  CHECK_EQ_INT(patient->runs + patient->misses, 0);
  atomic_store(&gate, true);
  CHECK(reaches(&patient->runs, 1));
  CHECK_EQ_INT(late->runs + later->runs, 0);
  uk_kafka_blocking_free(blocking);
}

/* Once all others are timed_out, those under way go on. */
static void *open_gate(void *unused)
{
  (void)unused;
  reaches(&missing, MANY - UK_KAFKA_BLOCKING_THREADS);
  atomic_store(&gate, true);
  return NULL;
}

static void the_end_waits_for_those_under_way_and_misses_the_others(void)
{
  struct uk_kafka_blocking *blocking = uk_kafka_blocking_new();
  pthread_t opener;
  REQUIRE(blocking != NULL);
  begin();
  for (int i = 0; i < MANY; i++)
    submit(blocking, &probes[i], HELD, INT64_MAX);
  CHECK(reaches(&running, UK_KAFKA_BLOCKING_THREADS));
  REQUIRE(pthread_create(&opener, NULL, open_gate, NULL) == 0);
  uk_kafka_blocking_free(blocking);
  pthread_join(opener, NULL);
  CHECK_EQ_INT(count_runs(), UK_KAFKA_BLOCKING_THREADS);
  for (int i = 0; i < MANY; i++)
    CHECK_EQ_INT(probes[i].runs + probes[i].misses, 1);
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
    struct uk_kafka_blocking *blocking = uk_kafka_blocking_new();
    hit = fault_hit();
    fault_off();
    CHECK((blocking == NULL) == hit);
    if (blocking != NULL)
      uk_kafka_blocking_free(blocking);
  }
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(runs_each_call_once);
  CHECK_RUN(runs_as_many_at_once_as_there_are_threads);
  CHECK_RUN(a_deadline_that_passed_is_no_matter_where_nobody_is_before);
  CHECK_RUN(one_that_waits_too_long_hears_of_it_in_time);
  CHECK_RUN(the_end_waits_for_those_under_way_and_misses_the_others);
  CHECK_RUN(the_time_left_is_never_nothing);
  CHECK_RUN(starts_with_or_without_memory);
  return check_end();
}
