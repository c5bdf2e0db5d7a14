/* log_clock: the time that retention by age trusts. Pure: the caller passes both clocks, in
 * milliseconds.
 *
 * The system's clock may jump, and what retention removes is gone for good. So the log also has a
 * steady time: the system's at open, plus what the monotonic clock has counted since. A jump ahead
 * is believed once it has lasted for a day; a jump back at once. */
#ifndef UK_LOG_CLOCK_H
#define UK_LOG_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
  UK_LOG_JUMP_MS = 60 * 1000,             /* clocks that differ by more have jumped */
  UK_LOG_JUMP_TRUST_MS = 24 * 3600 * 1000 /* then it is believed */
};

struct uk_log_clock {
  int64_t epoch, monotonic; /* at open */
  int64_t ahead_since;      /* monotonic; INT64_MAX while the system's clock is not ahead */
};

/* The times of one round of retention. */
struct uk_log_times {
  int64_t trusted; /* not ahead of the system's clock, nor of a jump that is not believed */
  int64_t steady;  /* ages of what arrived since open, whatever the system's clock does */
};

void uk_log_clock_start(struct uk_log_clock *clock, int64_t epoch, int64_t monotonic);

/* The arrival time of what is written now: never too early, because that would remove it early. */
int64_t uk_log_clock_arrival(const struct uk_log_clock *clock, int64_t epoch, int64_t monotonic);

/* Call it at least once in each round of retention: it notices how long a jump has lasted. */
struct uk_log_times uk_log_clock_look(struct uk_log_clock *clock, int64_t epoch, int64_t monotonic);

/* What decides the age of a batch. */
struct uk_log_age {
  int64_t latest;  /* the greatest timestamp */
  int64_t arrival; /* INT64_MAX when it is unknown */
  bool stamped;    /* the greatest timestamp is the server's clock's, so only the arrival counts */
  bool since_open; /* it arrived since the log was opened */
};

/* True when it is older than `retention` milliseconds (-1: never). A timestamp that lies behind the
 * arrival counts as the arrival: it was in the future. */
bool uk_log_clock_is_expired(const struct uk_log_times *times, const struct uk_log_age *age,
                             int64_t retention);

#endif
