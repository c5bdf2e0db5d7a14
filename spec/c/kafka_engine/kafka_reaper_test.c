/* The reaper, with handles whose ends take as long as the test says: this program's rd_kafka_destroy_flags goes before
 * that of librdkafka. */
#include "server/kafka_engine/rd/kafka_reaper.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum { MANY = 30, TIMEOUT = 300, NEVER = 600000 /* milliseconds */ };

struct handle {
  bool hangs; /* until the gate is open */
  atomic_int destroyed, then;
};

static struct handle handles[MANY];
static atomic_int ending, most_ending;
static atomic_bool gate;

void rd_kafka_destroy_flags(rd_kafka_t *rk, int flags)
{
  struct handle *handle = (struct handle *)rk;
  int now = atomic_fetch_add(&ending, 1) + 1, most = atomic_load(&most_ending);
  while (now > most && !atomic_compare_exchange_weak(&most_ending, &most, now))
    continue;
  CHECK_EQ_INT(flags, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  while (handle->hangs && !atomic_load(&gate))
    usleep(1000);
  atomic_fetch_sub(&ending, 1);
  atomic_fetch_add(&handle->destroyed, 1);
}

static void then(void *argument)
{
  atomic_fetch_add(&((struct handle *)argument)->then, 1);
}

static void reap(struct uk_kafka_reaper *reaper, struct handle *handle, bool hangs)
{
  *handle = (struct handle){.hangs = hangs};
  uk_kafka_reap(reaper, (rd_kafka_t *)handle, then, handle);
}

static void ends_each_handle_and_says_so(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new(NEVER);
  REQUIRE(reaper != NULL);
  atomic_store(&gate, false);
  atomic_store(&most_ending, 0);
  for (int i = 0; i < MANY; i++)
    reap(reaper, &handles[i], true); /* which holds up nobody */
  CHECK_EVENTUALLY(most_ending == UK_KAFKA_REAPERS);
  atomic_store(&gate, true);
  uk_kafka_reaper_free(reaper);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(handles[i].destroyed, 1);
    CHECK_EQ_INT(handles[i].then, 1);
  }
  CHECK_EQ_INT(most_ending, UK_KAFKA_REAPERS);
}

static void nobody_need_be_told(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new(NEVER);
  REQUIRE(reaper != NULL);
  handles[0] = (struct handle){.hangs = false};
  uk_kafka_reap(reaper, (rd_kafka_t *)&handles[0], NULL, NULL);
  uk_kafka_reaper_free(reaper);
  CHECK_EQ_INT(handles[0].destroyed, 1);
}

/* What hangs is given up in its time, and those behind it get their turn. */
static void gives_up_what_hangs(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new(TIMEOUT);
  REQUIRE(reaper != NULL);
  atomic_store(&gate, false);
  int64_t begun = uk_clock_monotonic();
  for (int i = 0; i < UK_KAFKA_REAPERS; i++)
    reap(reaper, &handles[i], true);
  for (int i = UK_KAFKA_REAPERS; i < MANY; i++)
    reap(reaper, &handles[i], false);
  uk_kafka_reaper_free(reaper);
  CHECK(uk_clock_monotonic() - begun >= TIMEOUT);
  for (int i = 0; i < MANY; i++) {
    CHECK_EQ_INT(handles[i].destroyed, i >= UK_KAFKA_REAPERS);
    CHECK_EQ_INT(handles[i].then, 1);
  }
  atomic_store(&gate, true); /* they come back to a reaper that is closed, and free it */
  for (int i = 0; i < UK_KAFKA_REAPERS; i++) {
    CHECK_EVENTUALLY(handles[i].destroyed == 1);
    CHECK_EQ_INT(handles[i].then, 1);
  }
}

static void works_without_memory(void)
{
  struct uk_kafka_reaper *reaper = uk_kafka_reaper_new(NEVER);
  REQUIRE(reaper != NULL);
  fault_at(1);
  reap(reaper, &handles[0], false);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(handles[0].destroyed, 1);
  CHECK_EQ_INT(handles[0].then, 1);
  uk_kafka_reaper_free(reaper);
  fault_at(1);
  CHECK(uk_kafka_reaper_new(NEVER) == NULL);
  fault_off();
}

int main(void)
{
  long live = fault_live();
  CHECK_RUN(ends_each_handle_and_says_so);
  CHECK_RUN(nobody_need_be_told);
  CHECK_RUN(works_without_memory);
  CHECK_RUN(gives_up_what_hangs);
  check_state.name = "all of it";
  CHECK_EVENTUALLY(fault_live() == live);
  return check_end();
}
