/* for: timer.c, operation.c */
#include "server/engine/timer.h"

#include <stdlib.h>

#include "check.h"
#include "server/engine/engine.h"

enum { TIMERS = 60, ROUNDS = 20000 };

static struct uk_timers heap;
static struct uk_timer timers[TIMERS];

static void nothing(void *owner, struct uk_timer *timer)
{
  (void)owner;
  (void)timer;
}

static void init(void)
{
  heap = (struct uk_timers){0};
  for (int i = 0; i < TIMERS; i++)
    uk_timer_init(&timers[i], nothing);
}

static int64_t earliest(void)
{
  int64_t time = UK_TIMER_NEVER;
  for (int i = 0; i < TIMERS; i++)
    time = timers[i].time < time ? timers[i].time : time;
  return time;
}

/* Counts the timers below `parent` and checks that the heap is valid. */
static int count_below(const struct uk_timer *parent)
{
  int count = 0;
  const struct uk_timer *elder = parent;
  for (const struct uk_timer *child = parent->child; child != NULL; child = child->next) {
    CHECK(child->time >= parent->time && child->previous == elder);
    elder = child;
    count += 1 + count_below(child);
  }
  return count;
}

static void starts_disarmed(void)
{
  init();
  CHECK_EQ_INT(timers[0].time, UK_TIMER_NEVER);
  CHECK(timers[0].due == nothing);
  uk_timer_set(&heap, &timers[0], UK_TIMER_NEVER);
  CHECK(heap.first == NULL);
  uk_timer_set(&heap, &timers[0], 5);
  CHECK(heap.first == &timers[0]);
  uk_timer_set(&heap, &timers[0], 5);
  CHECK(heap.first == &timers[0] && timers[0].child == NULL);
  uk_timer_set(&heap, &timers[0], UK_TIMER_NEVER);
  CHECK(heap.first == NULL && timers[0].time == UK_TIMER_NEVER);
}

static void fires_in_order_of_time(void)
{
  int64_t before = INT64_MIN;
  init();
  for (int i = 0; i < TIMERS; i++)
    uk_timer_set(&heap, &timers[i], i * 37 % TIMERS / 2); /* each time occurs twice */
  for (int i = 0; i < TIMERS; i++) {
    struct uk_timer *first = heap.first;
    REQUIRE(first != NULL);
    CHECK(first->time >= before);
    CHECK_EQ_INT(count_below(first), TIMERS - 1 - i);
    before = first->time;
    uk_timer_set(&heap, first, UK_TIMER_NEVER);
  }
  CHECK(heap.first == NULL);
}

/* After any sequence of changes the first timer is the earliest, and none is lost. */
static void keeps_the_earliest_first(void)
{
  unsigned seed = 1;
  init();
  for (int round = 0; round < ROUNDS; round++) {
    int armed = 0;
    seed = seed * 1103515245u + 12345u;
    struct uk_timer *timer = &timers[seed / 65536u % TIMERS];
    seed = seed * 1103515245u + 12345u;
    unsigned time = seed / 65536u % 50;
    uk_timer_set(&heap, timer, time < 10 ? UK_TIMER_NEVER : (int64_t)time);
    for (int i = 0; i < TIMERS; i++)
      armed += timers[i].time != UK_TIMER_NEVER;
    CHECK_EQ_INT(heap.first != NULL ? heap.first->time : UK_TIMER_NEVER, earliest());
    CHECK_EQ_INT(heap.first != NULL ? 1 + count_below(heap.first) : 0, armed);
    CHECK(heap.first == NULL || (heap.first->previous == NULL && heap.first->next == NULL));
  }
}

static void a_long_failure_text_is_truncated(void)
{
  struct uk_operation operation = {0};
  char longest[UK_MESSAGE_SIZE + 100];
  uk_operation_fail(&operation, UK_E_NOT_FOUND, "no %s", "topic");
  CHECK_EQ_INT(operation.error, UK_E_NOT_FOUND);
  CHECK_EQ_STR(operation.message, "no topic");
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  uk_operation_fail(&operation, UK_E_CONFLICT, "%s", longest);
  CHECK_EQ_INT(strlen(operation.message), UK_MESSAGE_SIZE - 1);
}

/* Only requested settings are compared, and the error names the one that differs. */
static void a_topic_matches_the_requested_settings(void)
{
  static const struct {
    struct uk_create_topic asked;
    const char *message; /* NULL: it fits */
  } cases[] = {
    {{.partitions = -1}, NULL},
    {{.partitions = 3}, NULL},
    {{.partitions = 3, .has_retention_ms = true, .retention_ms = 1000}, NULL},
    {{.partitions = 3, .has_retention_bytes = true, .retention_bytes = -1}, NULL},
    {{.partitions = 2}, "topic \"t\" exists with partitions 3, not 2"},
    {{.partitions = 1}, "topic \"t\" exists with partitions 3, not 1"},
    {{.partitions = -1, .has_retention_ms = true, .retention_ms = -1},
     "topic \"t\" exists with retention_ms 1000, not -1"},
    {{.partitions = -1, .has_retention_bytes = true, .retention_bytes = 0},
     "topic \"t\" exists with retention_bytes -1, not 0"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_create_topic create = cases[i].asked;
    create.topic = uk_slice_text("t");
    CHECK_EQ_INT(uk_create_topic_fits(&create, 3, 1000, -1), cases[i].message == NULL);
    CHECK_EQ_INT(create.operation.error, cases[i].message == NULL ? UK_OK : UK_E_CONFLICT);
    CHECK_EQ_STR(create.operation.message, cases[i].message != NULL ? cases[i].message : "");
  }
}

int main(void)
{
  CHECK_RUN(starts_disarmed);
  CHECK_RUN(fires_in_order_of_time);
  CHECK_RUN(keeps_the_earliest_first);
  CHECK_RUN(a_long_failure_text_is_truncated);
  CHECK_RUN(a_topic_matches_the_requested_settings);
  return check_end();
}
