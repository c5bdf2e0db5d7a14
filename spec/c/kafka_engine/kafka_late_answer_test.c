/* for: kafka_late_answer.c
 *
 * An answer that may come after its asker has ended: woken once, freed once, in every order of
 * events. */
#include "server/kafka_engine/rd/kafka_late_answer.h"

#include <sched.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"

enum { RACES = 2000, PATIENCE = 60000, ANY = -1 };

struct query {
  struct uk_kafka_late_answer late; /* first */
  int value;
};

static struct {
  struct uk_kafka_executor *executor;
  struct uk_kafka_task task;
  struct uk_kafka_late_answer *slot; /* the task's */
  atomic_int runs, freed;
} rig;

static void run(struct uk_kafka_task *task, int64_t now)
{
  (void)now;
  if (!uk_kafka_task_is_last(task))
    atomic_fetch_add(&rig.runs, 1);
}

static void free_query(struct uk_kafka_late_answer *answer)
{
  free(answer);
  atomic_fetch_add(&rig.freed, 1);
}

static struct query *ask(void)
{
  struct query *query = calloc(1, sizeof *query);
  uk_kafka_late_answer_init(&query->late, &rig.task, free_query);
  rig.slot = &query->late;
  return query;
}

static void wait_for_runs(int runs)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  while (atomic_load(&rig.runs) < runs && uk_clock_monotonic() < deadline)
    sched_yield();
  CHECK_EQ_INT(atomic_load(&rig.runs), runs);
}

static bool open_rig(void)
{
  rig.slot = NULL;
  atomic_store(&rig.runs, 0);
  atomic_store(&rig.freed, 0);
  rig.executor = uk_kafka_executor_new(1);
  uk_kafka_task_init(&rig.task, rig.executor, run, NULL);
  return rig.executor != NULL;
}

/* `runs`: how often the task must have run by then, or ANY. The task ends, so that a wake after
 * this would be one of a task that is gone. */
static void close_rig(int runs)
{
  if (runs != ANY)
    wait_for_runs(runs);
  uk_kafka_task_join(&rig.task);
  CHECK(runs == ANY || atomic_load(&rig.runs) == runs);
  uk_kafka_executor_free(rig.executor);
}

static void the_asker_takes_what_has_arrived(void)
{
  struct query *query = ask();
  CHECK(uk_kafka_late_answer_take(&rig.slot) == NULL);
  CHECK(rig.slot == &query->late);
  query->value = 7;
  uk_kafka_late_answer_arrive(&query->late);
  wait_for_runs(1);
  CHECK_EQ_INT(atomic_load(&rig.freed), 0);
  struct query *taken = (struct query *)uk_kafka_late_answer_take(&rig.slot);
  CHECK(taken == query && rig.slot == NULL);
  CHECK_EQ_INT(taken->value, 7);
  CHECK_EQ_INT(atomic_load(&rig.freed), 0);
  uk_kafka_late_answer_release(&taken->late);
  CHECK_EQ_INT(atomic_load(&rig.freed), 1);
}

/* On an executor without threads, which runs what was woken when it is told to. */
static void an_answer_that_nobody_waits_for_wakes_nobody(void)
{
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct uk_kafka_task task;
  struct query *query = malloc(sizeof *query);
  REQUIRE(executor != NULL && query != NULL);
  uk_kafka_task_init(&task, executor, run, NULL);
  memset(query, 1, sizeof *query); /* memory is not always zeroed */
  uk_kafka_late_answer_init(&query->late, &task, free_query);
  rig.slot = &query->late;
  CHECK(uk_kafka_late_answer_take(&rig.slot) == NULL);
  uk_kafka_late_answer_drop(&rig.slot);
  CHECK(rig.slot == NULL);
  CHECK_EQ_INT(atomic_load(&rig.freed), 0);
  uk_kafka_late_answer_arrive(&query->late);
  CHECK_EQ_INT(atomic_load(&rig.freed), 1);
  uk_kafka_executor_run(executor, 1000);
  CHECK_EQ_INT(atomic_load(&rig.runs), 0);
  uk_kafka_executor_free(executor);
}

static void an_answer_that_has_arrived_may_be_dropped(void)
{
  struct query *query = ask();
  uk_kafka_late_answer_arrive(&query->late);
  CHECK_EQ_INT(atomic_load(&rig.freed), 0);
  uk_kafka_late_answer_drop(&rig.slot);
  CHECK(rig.slot == NULL);
  CHECK_EQ_INT(atomic_load(&rig.freed), 1);
}

static void one_that_waits_for_nothing_takes_and_drops_nothing(void)
{
  CHECK(uk_kafka_late_answer_take(&rig.slot) == NULL);
  uk_kafka_late_answer_drop(&rig.slot);
  CHECK_EQ_INT(atomic_load(&rig.freed), 0);
}

static void *arrive(void *argument)
{
  uk_kafka_late_answer_arrive(argument);
  return NULL;
}

/* Half of them are taken when they are there, the others dropped at once. */
static void an_arrival_may_meet_a_drop_or_a_take(void)
{
  for (int i = 0; i < RACES; i++) {
    pthread_t thread;
    struct query *query = ask();
    struct uk_kafka_late_answer *taken = NULL;
    REQUIRE(pthread_create(&thread, NULL, arrive, &query->late) == 0);
    while (i % 2 == 0 && (taken = uk_kafka_late_answer_take(&rig.slot)) == NULL)
      sched_yield();
    if (taken != NULL)
      uk_kafka_late_answer_release(taken);
    else
      uk_kafka_late_answer_drop(&rig.slot);
    pthread_join(thread, NULL);
    CHECK_EQ_INT(atomic_load(&rig.freed), i + 1);
  }
}

#define RUN(name, runs)                                                                            \
  do {                                                                                             \
    if (!CHECK(open_rig()))                                                                        \
      return check_end();                                                                          \
    CHECK_RUN(name);                                                                               \
    close_rig(runs);                                                                               \
  } while (0)

int main(void)
{
  RUN(the_asker_takes_what_has_arrived, 1);
  RUN(an_answer_that_nobody_waits_for_wakes_nobody, 0);
  RUN(an_answer_that_has_arrived_may_be_dropped, 1);
  RUN(one_that_waits_for_nothing_takes_and_drops_nothing, 0);
  RUN(an_arrival_may_meet_a_drop_or_a_take, ANY);
  return check_end();
}
