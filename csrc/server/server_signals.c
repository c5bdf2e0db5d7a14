#include "server/server_signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/watch/error_log.h"

static const int stop_signals[] = {SIGTERM, SIGINT};
static const int other_signals[] = {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ};

static sigset_t stop_set(void)
{
  sigset_t set;
  sigemptyset(&set);
  for (size_t i = 0; i < sizeof stop_signals / sizeof *stop_signals; i++)
    sigaddset(&set, stop_signals[i]);
  return set;
}

int uk_server_signals_block(void)
{
  sigset_t set = stop_set();
  for (size_t i = 0; i < sizeof other_signals / sizeof *other_signals; i++)
    sigaddset(&set, other_signals[i]);
  return pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int uk_server_signals_wait(int *number, void (*hang_up)(void *argument), void *argument)
{
  sigset_t set = stop_set();
  struct uk_repeated ignored = {0};
  int error;
  sigaddset(&set, SIGHUP);
  while ((error = sigwait(&set, number)) == 0 && *number == SIGHUP) {
    if (hang_up != NULL)
      hang_up(argument);
    else
      uk_repeated_log(&ignored, uk_clock_monotonic(), UK_NOTHING_RELOADED);
  }
  return error;
}

static void *force_end(void *argument)
{
  const int64_t milliseconds = (int64_t)(intptr_t)argument;
  const struct timespec patience = {.tv_sec = (time_t)(milliseconds / 1000),
                                    .tv_nsec = (long)(milliseconds % 1000) * 1000000};
  const sigset_t set = stop_set();
  int number;
  do {
    number = sigtimedwait(&set, NULL, &patience);
  } while (number < 0 && errno == EINTR);
  uk_error_log("%s", number > 0 ? "stopped at once by a second signal"
                                : "stopped, because stopping took too long");
  _exit(1);
}

int uk_server_signals_force_exit(int32_t milliseconds)
{
  return uk_thread_start_alone(force_end, (void *)(intptr_t)milliseconds) ? 0 : EAGAIN;
}
