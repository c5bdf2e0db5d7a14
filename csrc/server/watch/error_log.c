#include "server/watch/error_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/standard_error.h"

static const char prefix[] = "upstash-kafka: ";

static void replace_controls(char *text)
{
  for (; *text != '\0'; text++) {
    if ((unsigned char)*text < ' ' || *text == 0x7f)
      *text = '?';
  }
}

__attribute__((format(printf, 1, 0))) static void write_line(const char *format, va_list arguments)
{
  char line[UK_ERROR_LOG_LINE];
  const size_t start = sizeof prefix - 1, room = sizeof line - start - 1; /* 1 for the newline */
  memcpy(line, prefix, start);
  if (vsnprintf(line + start, room, format, arguments) < 0)
    return;
  replace_controls(line + start);
  const size_t length = strlen(line);
  line[length] = '\n';
  uk_standard_error_write(line, length + 1);
}

void uk_error_log(const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  write_line(format, arguments);
  va_end(arguments);
}

static void write_counted(const char *text, unsigned long long count)
{
  if (count == 1)
    uk_error_log("%s", text);
  else
    uk_error_log("%s; %llu times since the last such line", text, count);
}

/* Of several threads at once, the one that moves `next` logs. */
static bool is_due(atomic_llong *time, int64_t now)
{
  long long next = atomic_load(time);
  return now >= next && atomic_compare_exchange_strong(time, &next, now + UK_REPEATED_INTERVAL);
}

bool uk_alarm_raise(struct uk_alarm *alarm, const char *format, ...)
{
  char text[UK_ERROR_LOG_LINE];
  va_list arguments;
  if (!atomic_exchange(&alarm->raised, true))
    atomic_fetch_add(&alarm->count, 1);
  if (atomic_load(&alarm->told) || !is_due(&alarm->next, uk_clock_monotonic()))
    return false;
  atomic_store(&alarm->told, true);
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  write_counted(text, atomic_exchange(&alarm->count, 0));
  return true;
}

bool uk_alarm_clear(struct uk_alarm *alarm, const char *format, ...)
{
  va_list arguments;
  if (!atomic_exchange(&alarm->raised, false) || !atomic_exchange(&alarm->told, false))
    return false;
  va_start(arguments, format);
  write_line(format, arguments);
  va_end(arguments);
  return true;
}

bool uk_repeated_log(struct uk_repeated *event, int64_t now, const char *text)
{
  atomic_fetch_add(&event->count, 1);
  if (!is_due(&event->next, now))
    return false;
  write_counted(text, atomic_exchange(&event->count, 0));
  return true;
}
