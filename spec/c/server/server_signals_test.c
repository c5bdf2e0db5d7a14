/* for: server_signals.c. C1: the signals of a server, in processes of their own. What ends a
 * process at once is in server_spec. */
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "server/server_signals.h"
#include "server/watch/error_log.h"

#define LINE "upstash-kafka: SIGHUP: nothing was reloaded; the options are those of the start\n"
#define AGAIN                                                                                      \
  "upstash-kafka: SIGHUP: nothing was reloaded; the options are those of the start; 2 times "      \
  "since the last such line\n"

static bool says_time; /* whether the clock of a child that starts says that it is looked at */

/* A child that blocks the signals, and whose standard error is a pipe. */
static struct {
  pid_t process;
  int errors;
  char text[4096];
  size_t length;
} child;

static void start(int (*run)(void))
{
  int ends[2];
  child.length = 0;
  REQUIRE(pipe(ends) == 0);
  child.process = fork();
  if (child.process == 0) {
    alarm(600);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    _exit(uk_server_signals_block() == 0 ? run() : 100);
  }
  close(ends[1]);
  child.errors = ends[0];
}

static bool read_more(void)
{
  const ssize_t length =
    read(child.errors, child.text + child.length, sizeof child.text - 1 - child.length);
  child.length += length > 0 ? (size_t)length : 0;
  child.text[child.length] = '\0';
  return length > 0;
}

/* Reads what the child says until it ends. Returns its exit status, -1 when a signal ended it. */
static int status_of_end(void)
{
  int status = 0;
  while (read_more())
    continue;
  close(child.errors);
  waitpid(child.process, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int wait_for_end(void)
{
  int number = 0;
  return uk_server_signals_wait(&number, NULL, NULL) == 0 ? number : 101;
}

static void say(void *text)
{
  uk_error_log("%s", (const char *)text);
}

static int take_hang_up(void)
{
  char text[] = "reload";
  int number = 0;
  raise(SIGHUP);
  raise(SIGTERM);
  return uk_server_signals_wait(&number, say, text) == 0 ? number : 101;
}

static void a_hang_up_reloads(void)
{
  start(take_hang_up);
  CHECK_EQ_INT(status_of_end(), SIGTERM);
  CHECK_EQ_STR(child.text, "upstash-kafka: reload\n");
}

static int interrupt_itself(void)
{
  raise(SIGINT);
  return wait_for_end();
}

/* Each signal is pending once: the lowest number, which is that of SIGHUP, comes first. */
static int take_all(void)
{
  static const int numbers[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGPIPE, SIGHUP};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    raise(numbers[i]);
  return wait_for_end();
}

static void only_term_and_int_end_the_wait(void)
{
  start(take_all);
  CHECK_EQ_INT(status_of_end(), SIGTERM);
  CHECK_EQ_STR(child.text, LINE);
  start(interrupt_itself);
  CHECK_EQ_INT(status_of_end(), SIGINT);
  CHECK_EQ_STR(child.text, "");
}

static int say_that_it_waits(void)
{
  return write(STDERR_FILENO, "waits\n", 6) == 6 ? wait_for_end() : 102;
}

/* Of the child, which says that it looks: two hang-ups at once, and one a minute later. */
int64_t uk_clock_monotonic(void)
{
  static int looks;
  if (says_time && write(STDERR_FILENO, "time\n", 5) != 5)
    _exit(103);
  return ++looks < 3 ? 0 : UK_REPEATED_INTERVAL;
}

static void expect(const char *text)
{
  while (strcmp(child.text, text) != 0 && read_more())
    continue;
  CHECK_EQ_STR(child.text, text);
}

static void hang_ups_are_logged_once_a_minute(void)
{
  says_time = true;
  start(say_that_it_waits);
  says_time = false;
  expect("waits\n");
  kill(child.process, SIGHUP);
  expect("waits\ntime\n" LINE);
  kill(child.process, SIGUSR1);
  kill(child.process, SIGUSR2);
  kill(child.process, SIGHUP);
  expect("waits\ntime\n" LINE "time\n");
  kill(child.process, SIGHUP);
  expect("waits\ntime\n" LINE "time\ntime\n" AGAIN);
  kill(child.process, SIGTERM);
  CHECK_EQ_INT(status_of_end(), SIGTERM);
  CHECK_EQ_STR(child.text, "waits\ntime\n" LINE "time\ntime\n" AGAIN);
}

static void every_signal_is_blocked(void)
{
  static const int numbers[] = {SIGTERM, SIGINT, SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ};
  sigset_t before, now;
  pthread_sigmask(SIG_BLOCK, NULL, &before);
  CHECK_EQ_INT(uk_server_signals_block(), 0);
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
    CHECK_EQ_INT(sigismember(&now, numbers[i]), 1);
  CHECK_EQ_INT(sigismember(&now, SIGSEGV), 0);
  CHECK_EQ_INT(sigismember(&now, SIGCHLD), 0);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int main(void)
{
  check_run("C1: only TERM and INT end the wait", only_term_and_int_end_the_wait);
  check_run("C1: hang-ups are logged once a minute, and end nothing",
            hang_ups_are_logged_once_a_minute);
  check_run("C1: a hang-up reloads", a_hang_up_reloads);
  CHECK_RUN(every_signal_is_blocked);
  return check_end();
}
