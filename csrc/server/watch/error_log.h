/* error_log: tells the operator, on standard error, what must not happen in silence. Callable from
 * any thread; never blocks and never fails.
 *
 * A line is "upstash-kafka: " and the text; control characters in it become '?', because a text may
 * hold what a client sent. Never pass a credential. */
#ifndef UK_ERROR_LOG_H
#define UK_ERROR_LOG_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { UK_ERROR_LOG_LINE = 1024 }; /* longer lines are cut */

/* Logs one line. */
void uk_error_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { UK_REPEATED_INTERVAL = 60000 }; /* milliseconds between two lines about the same */

/* A condition that lasts, such as a full disk. It is logged when it begins and when it ends,
 * however often it is met in between. One that comes and goes is logged at most once in
 * UK_REPEATED_INTERVAL, with how often it began since. Zeroed, it is not raised. */
struct uk_alarm {
  atomic_bool raised;
  atomic_bool told;    /* that it is raised */
  atomic_ullong count; /* how often it was raised since the last line about that */
  atomic_llong next;   /* by uk_clock_monotonic; no such line before */
};

/* The condition holds: logs the text, unless that was logged since it began, or too lately. Call
 * this again while it holds. True when it logged. */
bool uk_alarm_raise(struct uk_alarm *alarm, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* The condition has ended: logs the text if its beginning was logged. True when it logged. */
bool uk_alarm_clear(struct uk_alarm *alarm, const char *format, ...)
  __attribute__((format(printf, 2, 3)));

/* An event that may repeat without end, such as a refused login. Zeroed, it has never happened. */
struct uk_repeated {
  atomic_ullong count; /* since the last line */
  atomic_llong next;   /* no line before this time */
};

/* Logs the text at once the first time, and then at most once in UK_REPEATED_INTERVAL, with how
 * often the event happened since. `now` is uk_clock_monotonic. True when it logged. */
bool uk_repeated_log(struct uk_repeated *event, int64_t now, const char *text);

#endif
