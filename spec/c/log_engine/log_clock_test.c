/* for: log_clock.c */
#include "server/log_engine/log_clock.h"

#include "check.h"

enum { SECOND = 1000, HOUR = 3600 * SECOND, DAY = 24 * HOUR };

static const int64_t NOW = 1764000000000; /* at open */
static const int64_t BOOT = 5000;         /* the monotonic clock then */

static struct uk_log_clock started(void)
{
  struct uk_log_clock clock;
  uk_log_clock_start(&clock, NOW, BOOT);
  return clock;
}

static void a8_future_timestamps_count_from_the_arrival(void)
{
  static const struct {
    int64_t latest, arrival, age; /* the age at which it expires */
  } cases[] = {
    {NOW, NOW, 0},                    /* both the same */
    {NOW - HOUR, NOW, -HOUR},         /* an old timestamp counts */
    {NOW + 1, NOW, 0},                /* one in the future does not */
    {INT64_C(4102444800000), NOW, 0}, /* the year 2100 */
    {INT64_MAX, NOW, 0},
    {INT64_MIN, NOW, INT64_MIN},
    {NOW - HOUR, INT64_MAX, -HOUR}, /* the arrival is not known */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct uk_log_age age = {.latest = cases[i].latest, .arrival = cases[i].arrival};
    int64_t edge = cases[i].age == INT64_MIN ? NOW : NOW + cases[i].age + HOUR;
    struct uk_log_times times = {.trusted = edge, .steady = INT64_MIN};
    if (!CHECK_EQ_INT(uk_log_clock_is_expired(&times, &age, HOUR), cases[i].age == INT64_MIN))
      fprintf(stderr, "  case %zu\n", i);
    times.trusted = edge + 1;
    CHECK(uk_log_clock_is_expired(&times, &age, HOUR));
    CHECK(!uk_log_clock_is_expired(&times, &age, -1)); /* for ever */
    CHECK(!uk_log_clock_is_expired(&times, &age, INT64_MAX) || cases[i].latest == INT64_MIN);
  }
}

static void a19_a_retention_of_zero(void)
{
  const struct uk_log_age age = {.latest = NOW, .arrival = NOW};
  struct uk_log_times times = {.trusted = NOW, .steady = NOW};
  CHECK(!uk_log_clock_is_expired(&times, &age, 0));
  times.trusted++;
  CHECK(uk_log_clock_is_expired(&times, &age, 0));
}

/* Both clocks agree. */
static void a19_without_a_jump(void)
{
  struct uk_log_clock clock = started();
  struct uk_log_times times = uk_log_clock_look(&clock, NOW + HOUR, BOOT + HOUR);
  CHECK_EQ_INT(times.trusted, NOW + HOUR);
  CHECK_EQ_INT(times.steady, NOW + HOUR);
  CHECK_EQ_INT(uk_log_clock_arrival(&clock, NOW + HOUR, BOOT + HOUR), NOW + HOUR);
}

/* A jump ahead is not believed; when the clock jumps back, nothing has happened. */
static void a19_a_day_ahead_and_back(void)
{
  struct uk_log_clock clock = started();
  struct uk_log_times times = uk_log_clock_look(&clock, NOW + DAY + SECOND, BOOT + SECOND);
  CHECK_EQ_INT(times.trusted, NOW + SECOND);
  CHECK_EQ_INT(times.steady, NOW + SECOND);
  times = uk_log_clock_look(&clock, NOW + 2 * SECOND, BOOT + 2 * SECOND);
  CHECK_EQ_INT(times.trusted, NOW + 2 * SECOND);
  CHECK_EQ_INT(clock.ahead_since, INT64_MAX);
}

/* A jump back is believed: less is removed. */
static void a19_a_day_back(void)
{
  struct uk_log_clock clock = started();
  struct uk_log_times times = uk_log_clock_look(&clock, NOW - DAY, BOOT + SECOND);
  CHECK_EQ_INT(times.trusted, NOW - DAY);
  CHECK_EQ_INT(times.steady, NOW + SECOND);
}

/* A clock that stays ahead for a day was behind before. */
static void a19_a_jump_that_lasts_is_believed(void)
{
  struct uk_log_clock clock = started();
  struct uk_log_times times = {0};
  uk_log_clock_look(&clock, NOW + DAY, BOOT);
  times = uk_log_clock_look(&clock, NOW + 2 * DAY - 1, BOOT + DAY - 1);
  CHECK_EQ_INT(times.trusted, NOW + DAY - 1);
  times = uk_log_clock_look(&clock, NOW + 2 * DAY, BOOT + DAY);
  CHECK_EQ_INT(times.trusted, NOW + 2 * DAY);
  CHECK_EQ_INT(times.steady, NOW + DAY);
  /* Two that last for half a day each are not. */
  clock = started();
  uk_log_clock_look(&clock, NOW + DAY, BOOT);
  uk_log_clock_look(&clock, NOW + HOUR, BOOT + HOUR);
  uk_log_clock_look(&clock, NOW + 2 * DAY, BOOT + 2 * HOUR);
  times = uk_log_clock_look(&clock, NOW + 2 * DAY, BOOT + DAY + HOUR);
  CHECK_EQ_INT(times.trusted, NOW + DAY + HOUR);
}

/* A minute is the drift of clocks, not a jump; but it is not believed either. */
static void a19_the_smallest_jump(void)
{
  struct uk_log_clock clock = started();
  CHECK_EQ_INT(uk_log_clock_look(&clock, NOW + UK_LOG_JUMP_MS, BOOT).trusted, NOW);
  CHECK_EQ_INT(clock.ahead_since, INT64_MAX);
  uk_log_clock_look(&clock, NOW + UK_LOG_JUMP_MS + 1, BOOT);
  CHECK_EQ_INT(clock.ahead_since, BOOT);
}

static bool expired(const struct uk_log_times *times, int64_t arrival, bool since_open)
{
  const struct uk_log_age age = {
    .latest = INT64_MIN, .arrival = arrival, .stamped = true, .since_open = since_open};
  return uk_log_clock_is_expired(times, &age, HOUR);
}

/* The server's own timestamps are worth no more than its clock: their batches age by the monotonic
 * clock while the log is open. */
static void a19_what_is_younger_than_the_uptime_stays(void)
{
  struct uk_log_clock clock = started();
  int64_t arrival = uk_log_clock_arrival(&clock, NOW - 400 * (int64_t)DAY, BOOT + SECOND);
  CHECK_EQ_INT(arrival, NOW + SECOND); /* the clock had jumped back */
  struct uk_log_times times = uk_log_clock_look(&clock, NOW + 2 * DAY, BOOT + HOUR + SECOND);
  CHECK(!expired(&times, arrival, true)); /* an hour old */
  times = uk_log_clock_look(&clock, NOW - DAY, BOOT + HOUR + SECOND + 1);
  CHECK(expired(&times, arrival, true));
  CHECK(!expired(&times, arrival, false)); /* from before the open: by the system's clock */
  /* It arrived during a jump ahead: it stays longer, never shorter. */
  arrival = uk_log_clock_arrival(&clock, NOW + DAY, BOOT + SECOND);
  CHECK_EQ_INT(arrival, NOW + DAY);
  times = uk_log_clock_look(&clock, NOW + 2 * HOUR, BOOT + 2 * HOUR);
  CHECK(!expired(&times, arrival, true));
  times = uk_log_clock_look(&clock, NOW + DAY + HOUR + 1, BOOT + DAY + HOUR + 1);
  CHECK(expired(&times, arrival, true));
}

/* A jump is believed at last; what arrived before it is no older for that. */
static void a19_a_believed_jump_ages_nothing(void)
{
  struct uk_log_clock clock = started();
  struct uk_log_times times;
  uk_log_clock_look(&clock, NOW + 400 * (int64_t)DAY, BOOT);
  int64_t arrival = NOW + DAY - SECOND;
  times = uk_log_clock_look(&clock, NOW + 401 * (int64_t)DAY, BOOT + DAY);
  CHECK_EQ_INT(times.trusted, NOW + 401 * (int64_t)DAY);
  CHECK(!expired(&times, arrival, true));
  CHECK(!expired(&times, times.steady, true)); /* it arrives now */
  CHECK(expired(&times, arrival - HOUR, true));
}

int main(void)
{
  CHECK_RUN(a8_future_timestamps_count_from_the_arrival);
  CHECK_RUN(a19_a_retention_of_zero);
  CHECK_RUN(a19_without_a_jump);
  CHECK_RUN(a19_a_day_ahead_and_back);
  CHECK_RUN(a19_a_day_back);
  CHECK_RUN(a19_a_jump_that_lasts_is_believed);
  CHECK_RUN(a19_the_smallest_jump);
  CHECK_RUN(a19_what_is_younger_than_the_uptime_stays);
  CHECK_RUN(a19_a_believed_jump_ages_nothing);
  return check_end();
}
