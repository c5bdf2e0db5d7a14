#include "common/thread.h"

#include <signal.h>
#include <time.h>

void uk_thread_signals(sigset_t *set)
{
  static const int faults[] = {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP};
  sigfillset(set);
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
    sigdelset(set, faults[i]);
}

/* A thread inherits the signal mask of its creator. */
static bool start(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *argument),
                  void *argument)
{
  sigset_t all, old;
  uk_thread_signals(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  bool started = pthread_create(thread, attributes, run, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
  return started;
}

bool uk_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
  return start(thread, NULL, run, argument);
}

bool uk_thread_start_alone(void *(*run)(void *argument), void *argument)
{
  pthread_attr_t attributes;
  pthread_t thread;
  if (pthread_attr_init(&attributes) != 0)
    return false;
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  bool started = start(&thread, &attributes, run, argument);
  pthread_attr_destroy(&attributes);
  return started;
}

void uk_condition_init(pthread_cond_t *condition)
{
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

void uk_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until)
{
  const struct timespec at = {until / 1000, until % 1000 * 1000000};
  if (until == INT64_MAX)
    pthread_cond_wait(condition, mutex);
  else
    pthread_cond_timedwait(condition, mutex, &at);
}
