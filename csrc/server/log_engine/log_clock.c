#include "server/log_engine/log_clock.h"

void uk_log_clock_start(struct uk_log_clock *clock, int64_t epoch, int64_t monotonic)
{
  *clock = (struct uk_log_clock){epoch, monotonic, INT64_MAX};
}

static int64_t steady_time(const struct uk_log_clock *clock, int64_t monotonic)
{
  return clock->epoch + (monotonic - clock->monotonic);
}

static int64_t smaller(int64_t a, int64_t b)
{
  return a < b ? a : b;
}

int64_t uk_log_clock_arrival(const struct uk_log_clock *clock, int64_t epoch, int64_t monotonic)
{
  int64_t steady = steady_time(clock, monotonic);
  return epoch > steady ? epoch : steady;
}

struct uk_log_times uk_log_clock_look(struct uk_log_clock *clock, int64_t epoch, int64_t monotonic)
{
  int64_t steady = steady_time(clock, monotonic);
  if (epoch - steady <= UK_LOG_JUMP_MS)
    clock->ahead_since = INT64_MAX;
  else if (clock->ahead_since == INT64_MAX)
    clock->ahead_since = monotonic;
  bool believed =
    clock->ahead_since != INT64_MAX && monotonic - clock->ahead_since >= UK_LOG_JUMP_TRUST_MS;
  return (struct uk_log_times){believed ? epoch : smaller(epoch, steady), steady};
}

/* A batch that arrived since open, by the steady time, has an exact age: that of the monotonic
 * clock. One whose arrival lies beyond the steady time was written during a jump ahead. */
bool uk_log_clock_is_expired(const struct uk_log_times *times, const struct uk_log_age *age,
                             int64_t retention)
{
  if (retention < 0)
    return false;
  bool exact = age->stamped && age->since_open && age->arrival <= times->steady;
  int64_t from = age->stamped ? age->arrival : smaller(age->latest, age->arrival);
  int64_t now = exact ? times->steady : times->trusted;
  return from < now && (uint64_t)now - (uint64_t)from > (uint64_t)retention;
}
