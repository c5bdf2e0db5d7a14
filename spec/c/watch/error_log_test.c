/* for: error_log.c, standard_error.c */
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "server/watch/error_log.h"

static int64_t now; /* of the test's clock */
int64_t uk_clock_monotonic(void)
{
  return now;
}

static char written[2 * UK_ERROR_LOG_LINE];

/* Standard error is a pipe while `log` runs; what it wrote is in `written`. */
static size_t capture(void (*log)(void))
{
  int ends[2], before = dup(STDERR_FILENO);
  if (before < 0 || pipe(ends) != 0)
    return 0;
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  dup2(ends[1], STDERR_FILENO);
  log();
  dup2(before, STDERR_FILENO);
  close(before);
  close(ends[1]);
  ssize_t length = read(ends[0], written, sizeof written - 1);
  close(ends[0]);
  written[length > 0 ? length : 0] = '\0';
  return length > 0 ? (size_t)length : 0;
}

static void log_one(void)
{
  uk_error_log("topic \"%s\" has %d partitions", "t", 3);
}

static void a_line_has_a_prefix_and_a_newline(void)
{
  capture(log_one);
  CHECK_EQ_STR(written, "upstash-kafka: topic \"t\" has 3 partitions\n");
}

static void log_controls(void)
{
  uk_error_log("a\nb\rc\033[2Jd\x7f e\xc3\xa9~");
}

static void control_characters_are_replaced(void)
{
  capture(log_controls);
  CHECK_EQ_STR(written, "upstash-kafka: a?b?c?[2Jd? e\xc3\xa9~\n");
}

static char text[2 * UK_ERROR_LOG_LINE];
static void log_text(void)
{
  uk_error_log("%s", text);
}

/* The prefix has 15 bytes; the newline and the terminator take two more. */
static void a_long_line_is_cut(void)
{
  const size_t fits = UK_ERROR_LOG_LINE - 15 - 2;
  for (size_t length = fits; length <= fits + 1; length++) {
    memset(text, 'x', length);
    text[length] = '\0';
    CHECK_EQ_INT(capture(log_text), UK_ERROR_LOG_LINE - 1);
    CHECK_EQ_INT(written[UK_ERROR_LOG_LINE - 3], 'x');
    CHECK_EQ_INT(written[UK_ERROR_LOG_LINE - 2], '\n');
  }
}

static struct uk_alarm alarm_of_test;
static void raise_and_clear(void)
{
  CHECK(!uk_alarm_clear(&alarm_of_test, "never raised"));
  CHECK(uk_alarm_raise(&alarm_of_test, "disk %s", "full"));
  now += UK_REPEATED_INTERVAL;
  CHECK(!uk_alarm_raise(&alarm_of_test, "disk full, again"));
  CHECK(uk_alarm_clear(&alarm_of_test, "disk %d", 1));
  CHECK(!uk_alarm_clear(&alarm_of_test, "again"));
  CHECK(uk_alarm_raise(&alarm_of_test, "disk full"));
}

static void an_alarm_is_logged_when_it_begins_and_ends(void)
{
  capture(raise_and_clear);
  CHECK_EQ_STR(written,
               "upstash-kafka: disk full\nupstash-kafka: disk 1\nupstash-kafka: disk full\n");
}

/* It comes and goes every second for two minutes, and then it stays. */
static void come_and_go(void)
{
  static struct uk_alarm alarm;
  for (int i = 0; i < 121; i++, now += 1000) {
    CHECK_EQ_INT(uk_alarm_raise(&alarm, "sync %s", "failed"), i % 60 == 0);
    CHECK_EQ_INT(uk_alarm_clear(&alarm, "works"), i % 60 == 0);
  }
  CHECK(!uk_alarm_raise(&alarm, "sync failed"));
  now += UK_REPEATED_INTERVAL - 1001;
  CHECK(!uk_alarm_raise(&alarm, "sync failed"));
  now++;
  CHECK(uk_alarm_raise(&alarm, "sync failed")); /* once for all that held since */
  CHECK(!uk_alarm_raise(&alarm, "sync failed"));
  CHECK(uk_alarm_clear(&alarm, "works"));
}

static void an_alarm_that_comes_and_goes_is_counted(void)
{
  capture(come_and_go);
  CHECK_EQ_STR(written, "upstash-kafka: sync failed\nupstash-kafka: works\n"
                        "upstash-kafka: sync failed; 60 times since the last such line\n"
                        "upstash-kafka: works\n"
                        "upstash-kafka: sync failed; 60 times since the last such line\n"
                        "upstash-kafka: works\nupstash-kafka: sync failed\nupstash-kafka: works\n");
}

static struct uk_repeated event;
static void repeat(void)
{
  CHECK(uk_repeated_log(&event, 1000, "100%s refused"));
  CHECK(!uk_repeated_log(&event, 1000, "100%s refused"));
  CHECK(!uk_repeated_log(&event, 1000 + UK_REPEATED_INTERVAL - 1, "100%s refused"));
  CHECK(uk_repeated_log(&event, 1000 + UK_REPEATED_INTERVAL, "100%s refused"));
  CHECK(uk_repeated_log(&event, 1000 + 2 * UK_REPEATED_INTERVAL, "100%s refused"));
  CHECK(!uk_repeated_log(&event, 1001 + 2 * UK_REPEATED_INTERVAL, "100%s refused"));
  CHECK(uk_repeated_log(&event, 1000 + 9 * UK_REPEATED_INTERVAL, "100%s refused"));
}

static void a_repeated_event_is_counted_between_two_lines(void)
{
  capture(repeat);
  CHECK_EQ_STR(written, "upstash-kafka: 100%s refused\n"
                        "upstash-kafka: 100%s refused; 3 times since the last such line\n"
                        "upstash-kafka: 100%s refused\n"
                        "upstash-kafka: 100%s refused; 2 times since the last such line\n");
}

/* A full pipe would block a write for ever; a line is dropped instead. */
static void a_full_pipe_drops_the_line(void)
{
  int ends[2], before = dup(STDERR_FILENO);
  REQUIRE(before >= 0 && pipe(ends) == 0);
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (write(ends[1], text, sizeof text) > 0)
    continue;
  while (write(ends[1], text, 1) > 0)
    continue;
  fcntl(ends[1], F_SETFL, 0);
  dup2(ends[1], STDERR_FILENO);
  log_one();
  dup2(before, STDERR_FILENO);
  close(before);
  close(ends[0]);
  close(ends[1]);
}

static void nothing_is_written_to_a_closed_file(void)
{
  int before = dup(STDERR_FILENO);
  REQUIRE(before >= 0);
  close(STDERR_FILENO);
  log_one();
  dup2(before, STDERR_FILENO);
  close(before);
}

int main(void)
{
  signal(SIGPIPE, SIG_IGN);
  CHECK_RUN(a_line_has_a_prefix_and_a_newline);
  CHECK_RUN(control_characters_are_replaced);
  CHECK_RUN(a_long_line_is_cut);
  CHECK_RUN(an_alarm_is_logged_when_it_begins_and_ends);
  CHECK_RUN(an_alarm_that_comes_and_goes_is_counted);
  CHECK_RUN(a_repeated_event_is_counted_between_two_lines);
  CHECK_RUN(a_full_pipe_drops_the_line);
  CHECK_RUN(nothing_is_written_to_a_closed_file);
  return check_end();
}
