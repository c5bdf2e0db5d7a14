/* The reaper, with handles whose ends take as long as the test says: this program's rd_kafka_destroy_flags goes before
 * that of librdkafka. */
#include "server/kafka_engine/kafka_reaper.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum { MANY = 30 };

struct handle {
  int takes; /* milliseconds */
  atomic_int destroyed, then;
};

static struct handle handles[MANY];
static atomic_int ending, most_ending;

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
  struct handle *handle = (struct handle *)rk;
  int now = atomic_fetch_add(&ending, 1) + 1, most = atomic_load(&most_ending);
  while (now > most && !atomic_compare_exchange_weak(&most_ending, &most, now))
    continue;
  CHECK_EQ_INT(flags, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  usleep((unsigned)handle->takes * 1000);
  atomic_fetch_sub(&ending, 1);
  atomic_fetch_add(&handle->destroyed, 1);
}

static void then(void *argument)
{
  atomic_fetch_add(&((struct handle *)argument)->then, 1);
}

static void reap(struct uk_kafka_reaper *reaper, struct handle *handle, int takes)
{
  *handle = (struct handle){.takes = takes};
  uk_kafka_reap(reaper, (rd_kafka_t *)handle, then, handle);
}

static void ends_each_handle_and_says_so(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new();
  REQUIRE(reaper != NULL);
  atomic_store(&most_ending, 0);
  for (int i = 0; i < MANY; i++)
    reap(reaper, &handles[i], 20);
  uk_kafka_reaper_free(reaper);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(handles[i].destroyed, 1);
    CHECK_EQ_INT(handles[i].then, 1);
  }
  CHECK(most_ending > 1 && most_ending <= UK_KAFKA_REAPERS);
}

static void nobody_need_be_told(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new();
  REQUIRE(reaper != NULL);
  handles[0] = (struct handle){.takes = 0};
  uk_kafka_reap(reaper, (rd_kafka_t *)&handles[0], NULL, NULL);
  uk_kafka_reaper_free(reaper);
  CHECK_EQ_INT(handles[0].destroyed, 1);
}

static void holds_up_nobody(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new();
  REQUIRE(reaper != NULL);
  int64_t begun = uk_clock_monotonic();
  for (int i = 0; i < MANY; i++)
    reap(reaper, &handles[i], 50);
  CHECK(uk_clock_monotonic() - begun < 50);
  uk_kafka_reaper_free(reaper);
}

/* What hangs is given up, and those behind it get their turn: one case, because it takes the time of the timeout. */
static void gives_up_what_hangs(void)
{
  enum { HANGS = UK_KAFKA_REAP_TIMEOUT + 2000 };
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new();
  REQUIRE(reaper != NULL);
  int64_t begun = uk_clock_monotonic();
  for (int i = 0; i < UK_KAFKA_REAPERS; i++)
    reap(reaper, &handles[i], HANGS);
  for (int i = UK_KAFKA_REAPERS; i < MANY; i++)
    reap(reaper, &handles[i], 1);
  uk_kafka_reaper_free(reaper);
  int64_t took = uk_clock_monotonic() - begun;
  CHECK(took >= UK_KAFKA_REAP_TIMEOUT && took < HANGS);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(handles[i].destroyed, i >= UK_KAFKA_REAPERS);
    CHECK_EQ_INT(handles[i].then, 1);
  }
  usleep(3000000); /* they come back to a reaper that is closed, and free it */
  for (int i = 0; i < UK_KAFKA_REAPERS; i++) {
    CHECK_EQ_INT(handles[i].destroyed, 1);
    CHECK_EQ_INT(handles[i].then, 1);
  }
}

static void works_without_memory(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new();
  REQUIRE(reaper != NULL);
  fault_at(1);
  reap(reaper, &handles[0], 0);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(handles[0].destroyed, 1);
  CHECK_EQ_INT(handles[0].then, 1);
  uk_kafka_reaper_free(reaper);
  fault_at(1);
  CHECK(uk_kafka_reaper_new() == NULL);
  fault_off();
}

int main(void)
{
  long live = fault_live();
  CHECK_RUN(ends_each_handle_and_says_so);
  CHECK_RUN(nobody_need_be_told);
  CHECK_RUN(holds_up_nobody);
  CHECK_RUN(works_without_memory);
  CHECK_RUN(gives_up_what_hangs);
  check_state.name = "all of it";
  CHECK_EQ_INT(fault_live(), live);
  return check_end();
}
