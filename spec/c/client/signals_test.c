/* for: signals.c. D1: signals that ask a loop to end, in processes of their own. */
#undef _FORTIFY_SOURCE /* its poll is inline */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "client/signals.h"

enum { TERM = 1u << UK_SIGNAL_TERM, USR1 = 1u << UK_SIGNAL_USR1, FOREVER = 60000 };

static volatile sig_atomic_t handled;

static void handle(int number)
{
  handled = number;
}

/* Runs the function in a child. Returns its status as waitpid gives it. */
static int status_of(int (*run)(void))
{
  int status = -1;
  const pid_t child = fork();
  if (child == 0) {
    alarm(600);
    _exit(run());
  }
  waitpid(child, &status, 0);
  return status;
}

/* What poll was asked last. */
static struct {
  nfds_t count;
  int milliseconds;
} poll_asked;

/* In front of that of libc. */
__attribute__((visibility("default"))) int poll(struct pollfd *files, nfds_t count,
                                                int milliseconds)
{
  poll_asked.count = count;
  poll_asked.milliseconds = milliseconds;
  return (int)syscall(SYS_poll, files, count, milliseconds);
}

/* What builds with _FORTIFY_SOURCE call instead. */
int __poll_chk(struct pollfd *files, nfds_t count, int milliseconds, size_t size);
__attribute__((visibility("default"))) int __poll_chk(struct pollfd *files, nfds_t count,
                                                      int milliseconds, size_t size)
{
  CHECK(count * sizeof *files <= size);
  return poll(files, count, milliseconds);
}

static bool is_readable(unsigned set)
{
  int descriptors[UK_SIGNAL_COUNT];
  const unsigned count = uk_signals_descriptors(set, descriptors);
  struct pollfd polled = {.fd = descriptors[0], .events = POLLIN};
  return count == 1 && poll(&polled, 1, 0) == 1;
}

static void every_signal_has_its_name(void)
{
  static const struct {
    const char *name;
    int number;
  } rows[UK_SIGNAL_COUNT] = {{"INT", SIGINT},   {"TERM", SIGTERM}, {"HUP", SIGHUP},
                             {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}};
  for (unsigned i = 0; i < UK_SIGNAL_COUNT; i++) {
    CHECK_EQ_STR(uk_signal_names[i], rows[i].name);
    REQUIRE(uk_signals_watch(1u << i));
    raise(rows[i].number);
    CHECK_EQ_INT(uk_signals_arrived(~0u), 1u << i);
    CHECK(is_readable(1u << i));
    uk_signals_unwatch(1u << i);
    CHECK_EQ_INT(uk_signals_arrived(~0u), 0);
  }
  CHECK(uk_signal_names[UK_SIGNAL_COUNT] == NULL);
}

static void a_signal_wakes_only_those_who_wait_for_it(void)
{
  REQUIRE(uk_signals_watch(TERM | USR1));
  CHECK(!is_readable(TERM) && !is_readable(USR1));
  raise(SIGUSR1);
  CHECK(!is_readable(TERM) && is_readable(USR1));
  CHECK(is_readable(USR1)); /* stays so */
  CHECK_EQ_INT(uk_signals_arrived(TERM), 0);
  CHECK_EQ_INT(uk_signals_arrived(TERM | USR1), USR1);
  CHECK(!uk_signals_sleep(USR1, FOREVER));
  CHECK(uk_signals_sleep(TERM, 1));
  uk_signals_unwatch(TERM | USR1);
  CHECK(uk_signals_sleep(0, 1));
}

static void the_last_watch_restores_the_handler(void)
{
  struct sigaction action = {.sa_flags = 0}, now;
  action.sa_handler = handle;
  sigaction(SIGTERM, &action, NULL);
  handled = 0;
  REQUIRE(uk_signals_watch(TERM) && uk_signals_watch(TERM));
  uk_signals_unwatch(TERM);
  raise(SIGTERM);
  CHECK_EQ_INT(handled, 0);
  CHECK_EQ_INT(uk_signals_arrived(TERM), TERM);
  uk_signals_unwatch(TERM);
  CHECK_EQ_INT(uk_signals_arrived(TERM), 0);
  raise(SIGTERM);
  CHECK_EQ_INT(handled, SIGTERM);
  REQUIRE(uk_signals_watch(TERM));
  CHECK(!is_readable(TERM)); /* the old signal is forgotten */
  action.sa_handler = SIG_IGN;
  sigaction(SIGTERM, &action, NULL);
  uk_signals_unwatch(TERM);
  sigaction(SIGTERM, NULL, &now);
  CHECK(now.sa_handler == SIG_IGN); /* the program's newer one stays */
  action.sa_handler = SIG_DFL;
  sigaction(SIGTERM, &action, NULL);
}

static void the_end_of_a_watch_forgets_only_its_signals(void)
{
  REQUIRE(uk_signals_watch(TERM) && uk_signals_watch(USR1));
  raise(SIGTERM);
  uk_signals_unwatch(USR1);
  CHECK_EQ_INT(uk_signals_arrived(TERM | USR1), TERM);
  uk_signals_unwatch(TERM);
  CHECK_EQ_INT(uk_signals_arrived(TERM | USR1), 0);
}

static void a_hang_up_that_is_ignored_stays_ignored(void)
{
  enum { HUP = 1u << UK_SIGNAL_HUP };
  struct sigaction action = {.sa_flags = 0}, before, now;
  action.sa_handler = SIG_IGN;
  sigaction(SIGHUP, &action, &before);
  REQUIRE(uk_signals_watch(HUP | TERM));
  raise(SIGHUP);
  CHECK_EQ_INT(uk_signals_arrived(HUP | TERM), 0);
  raise(SIGTERM);
  CHECK_EQ_INT(uk_signals_arrived(HUP | TERM), TERM);
  uk_signals_unwatch(HUP | TERM);
  sigaction(SIGHUP, NULL, &now);
  CHECK(now.sa_handler == SIG_IGN);
  sigaction(SIGTERM, &action, NULL); /* any other signal is taken though it was ignored */
  REQUIRE(uk_signals_watch(TERM));
  raise(SIGTERM);
  CHECK_EQ_INT(uk_signals_arrived(TERM), TERM);
  uk_signals_unwatch(TERM);
  action.sa_handler = SIG_DFL;
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &before, NULL);
}

static int raise_two(void)
{
  if (!uk_signals_watch(TERM | USR1))
    return 1;
  raise(SIGUSR1);
  if (uk_signals_arrived(USR1) == 0)
    return 2;
  raise(SIGTERM);
  return 3;
}

static void a_second_signal_ends_the_process(void)
{
  const int status = status_of(raise_two);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* True when no child of this process inherits the descriptors, and none of them blocks. */
static bool are_private(unsigned set)
{
  int descriptors[UK_SIGNAL_COUNT];
  const unsigned count = uk_signals_descriptors(set, descriptors);
  bool all = count > 0;
  for (unsigned i = 0; i < count; i++)
    all = all && (fcntl(descriptors[i], F_GETFD) & FD_CLOEXEC) != 0 &&
          (fcntl(descriptors[i], F_GETFL) & O_NONBLOCK) != 0;
  return all;
}

static int lowest_free(void)
{
  const int descriptor = dup(STDIN_FILENO);
  close(descriptor);
  return descriptor;
}

static int free_in_parent;

static int raise_one(void)
{
  if (is_readable(TERM) || lowest_free() != free_in_parent)
    return 1;
  raise(SIGTERM);
  if (!is_readable(TERM) || uk_signals_arrived(TERM) != TERM)
    return 2;
  return are_private(TERM) ? 0 : 3;
}

static int raise_one_and_watch_again(void)
{
  if (raise_one() != 0)
    return 1;
  uk_signals_unwatch(TERM);
  if (uk_signals_arrived(TERM) != 0 || !uk_signals_watch(TERM | USR1))
    return 2;
  return !is_readable(TERM) && are_private(TERM | USR1) ? 0 : 3;
}

static void a_child_has_its_own(void)
{
  REQUIRE(uk_signals_watch(TERM));
  CHECK(are_private(TERM));
  free_in_parent = lowest_free();
  CHECK_EQ_INT(status_of(raise_one_and_watch_again), 0);
  CHECK_EQ_INT(status_of(raise_one), 0);
  CHECK_EQ_INT(uk_signals_arrived(TERM), 0);
  CHECK(!is_readable(TERM));
  uk_signals_unwatch(TERM);
}

static int watch_without_descriptors(void)
{
  struct sigaction action = {.sa_flags = 0}, now;
  struct rlimit limit;
  action.sa_handler = handle;
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  const int lowest = lowest_free();
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 1;
  limit.rlim_cur = (rlim_t)lowest + 2; /* room for one pipe */
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    return 2;
  if (uk_signals_watch(1u << UK_SIGNAL_INT | TERM) || uk_signals_watch(TERM))
    return 3;
  for (int i = 0; i < 2; i++)
    if (sigaction(i == 0 ? SIGINT : SIGTERM, NULL, &now) != 0 || now.sa_handler != handle)
      return 4;                               /* a handler was changed */
  if (!uk_signals_watch(1u << UK_SIGNAL_INT)) /* has a pipe already */
    return 5;
  raise(SIGTERM);
  if (handled != SIGTERM || uk_signals_arrived(~0u) != 0)
    return 6;
  raise(SIGINT);
  return uk_signals_arrived(~0u) == 1u << UK_SIGNAL_INT ? 0 : 7;
}

static void nothing_is_watched_without_descriptors(void)
{
  CHECK_EQ_INT(status_of(watch_without_descriptors), 0);
}

/* The program's system calls go on after a signal. */
static void a_handler_restarts_system_calls(void)
{
  struct sigaction now;
  REQUIRE(uk_signals_watch(TERM));
  sigaction(SIGTERM, NULL, &now);
  CHECK((now.sa_flags & SA_RESTART) != 0);
  uk_signals_unwatch(TERM);
}

/* A sleep leaves the processor to others. */
static void a_sleep_waits_for_its_signals(void)
{
  REQUIRE(uk_signals_watch(TERM | USR1));
  static const unsigned sets[] = {0, USR1, TERM | USR1};
  for (unsigned i = 0; i < 3; i++) {
    poll_asked.count = 9;
    CHECK(uk_signals_sleep(sets[i], 3));
    CHECK_EQ_INT(poll_asked.count, i);
    CHECK(poll_asked.milliseconds >= 1 && poll_asked.milliseconds <= 3);
  }
  uk_signals_unwatch(TERM | USR1);
}

static void signal_parent(void)
{
  kill(getppid(), SIGTERM);
  _exit(0);
}

/* The signal of another process comes in the middle of the sleep, or before it. */
static void a_signal_ends_a_sleep(void)
{
  REQUIRE(uk_signals_watch(TERM));
  const pid_t child = fork();
  if (child == 0)
    signal_parent();
  CHECK(!uk_signals_sleep(TERM, FOREVER));
  waitpid(child, NULL, 0);
  uk_signals_unwatch(TERM);
}

int main(void)
{
  signal(SIGHUP, SIG_DFL);                           /* nohup may have started this */
  CHECK_RUN(nothing_is_watched_without_descriptors); /* first: pipes stay once they are made */
  CHECK_RUN(every_signal_has_its_name);
  CHECK_RUN(a_signal_wakes_only_those_who_wait_for_it);
  CHECK_RUN(the_last_watch_restores_the_handler);
  CHECK_RUN(the_end_of_a_watch_forgets_only_its_signals);
  CHECK_RUN(a_hang_up_that_is_ignored_stays_ignored);
  CHECK_RUN(a_second_signal_ends_the_process);
  CHECK_RUN(a_child_has_its_own);
  CHECK_RUN(a_handler_restarts_system_calls);
  CHECK_RUN(a_sleep_waits_for_its_signals);
  CHECK_RUN(a_signal_ends_a_sleep);
  return check_end();
}
