#include "client/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "common/clock.h"

const char *const uk_signal_names[UK_SIGNAL_COUNT + 1] = {"INT",  "TERM", "HUP", "QUIT",
                                                          "USR1", "USR2", NULL};

static const int numbers[UK_SIGNAL_COUNT] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2};

/* Each signal has a pipe of its own: waiters for different signals do not wake each other. Once
 * made, a pipe stays: a handler may still run in another thread when the last watch ends. */
static struct {
  unsigned watches;
  struct sigaction before;
  bool has_pipe;
  atomic_int pipe[2];
} watched[UK_SIGNAL_COUNT];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static atomic_uint arrived;

static unsigned bit_of(unsigned signal)
{
  return 1u << signal;
}

/* The handler. */

static void end_process(int number)
{
  struct sigaction action = {.sa_flags = 0};
  action.sa_handler = SIG_DFL;
  sigemptyset(&action.sa_mask);
  sigaction(number, &action, NULL);
  raise(number); /* takes effect when the handler returns */
}

static void take_signal(int number)
{
  const int saved = errno;
  unsigned signal = 0;
  while (signal < UK_SIGNAL_COUNT - 1 && numbers[signal] != number)
    signal++;
  if (atomic_fetch_or(&arrived, bit_of(signal)) != 0)
    end_process(number);
  else if (write(atomic_load(&watched[signal].pipe[1]), "", 1) < 0)
    errno = 0; /* the pipe is full: it wakes the waiters anyway */
  errno = saved;
}

/* Forks. */

static void before_fork(void)
{
  pthread_mutex_lock(&lock);
}

static void after_fork(void)
{
  pthread_mutex_unlock(&lock);
}

/* Gives the child pipes of its own, under the same numbers: a handler may run meanwhile. */
static void begin_child(void)
{
  for (unsigned i = 0; i < UK_SIGNAL_COUNT; i++) {
    int own[2];
    if (!watched[i].has_pipe || pipe2(own, O_CLOEXEC | O_NONBLOCK) != 0)
      continue; /* then a signal of the child wakes the parent too, which finds none of its own */
    for (int end = 0; end < 2; end++) {
      dup3(own[end], atomic_load(&watched[i].pipe[end]), O_CLOEXEC);
      close(own[end]);
    }
  }
  pthread_mutex_init(&lock, NULL);
}

static void begin_process(void)
{
  pthread_atfork(before_fork, after_fork, begin_child);
}

/* Watches. Precondition of these functions: the caller holds the lock. */

static bool make_pipe(unsigned signal)
{
  int ends[2];
  if (watched[signal].has_pipe)
    return true;
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
    return false;
  for (int end = 0; end < 2; end++)
    atomic_store(&watched[signal].pipe[end], ends[end]);
  watched[signal].has_pipe = true;
  return true;
}

/* A hang-up that is ignored stays so: nohup started the program to outlive its terminal. */
static void install(unsigned signal)
{
  struct sigaction action = {.sa_flags = SA_RESTART};
  action.sa_handler = take_signal;
  sigemptyset(&action.sa_mask);
  sigaction(numbers[signal], &action, &watched[signal].before);
  if (signal == UK_SIGNAL_HUP && watched[signal].before.sa_handler == SIG_IGN)
    sigaction(numbers[signal], &watched[signal].before, NULL);
}

static bool watch(unsigned signal)
{
  if (watched[signal].watches == 0) {
    if (!make_pipe(signal))
      return false;
    install(signal);
  }
  watched[signal].watches++;
  return true;
}

/* Restores the handler from before, unless the program has set another one meanwhile, or there is
 * none of ours. */
static void restore(unsigned signal)
{
  struct sigaction now;
  if (sigaction(numbers[signal], NULL, &now) == 0 && now.sa_handler == take_signal)
    sigaction(numbers[signal], &watched[signal].before, NULL);
}

static void forget(unsigned signal)
{
  char byte;
  while (read(atomic_load(&watched[signal].pipe[0]), &byte, 1) == 1)
    continue;
  atomic_fetch_and(&arrived, ~bit_of(signal));
}

static void unwatch(unsigned set)
{
  for (unsigned i = 0; i < UK_SIGNAL_COUNT; i++)
    if ((set & bit_of(i)) != 0 && --watched[i].watches == 0) {
      restore(i);
      forget(i);
    }
}

bool uk_signals_watch(unsigned set)
{
  unsigned taken = 0;
  pthread_once(&once, begin_process);
  pthread_mutex_lock(&lock);
  for (unsigned i = 0; i < UK_SIGNAL_COUNT; i++)
    if ((set & bit_of(i)) != 0 && watch(i))
      taken |= bit_of(i);
  if (taken != set)
    unwatch(taken);
  pthread_mutex_unlock(&lock);
  return taken == set;
}

void uk_signals_unwatch(unsigned set)
{
  pthread_mutex_lock(&lock);
  unwatch(set);
  pthread_mutex_unlock(&lock);
}

/* Waiting. */

unsigned uk_signals_arrived(unsigned set)
{
  return atomic_load(&arrived) & set;
}

unsigned uk_signals_descriptors(unsigned set, int *descriptors)
{
  unsigned count = 0;
  for (unsigned i = 0; i < UK_SIGNAL_COUNT; i++)
    if ((set & bit_of(i)) != 0)
      descriptors[count++] = atomic_load(&watched[i].pipe[0]);
  return count;
}

bool uk_signals_sleep(unsigned set, int64_t milliseconds)
{
  int descriptors[UK_SIGNAL_COUNT];
  struct pollfd polled[UK_SIGNAL_COUNT];
  const unsigned count = uk_signals_descriptors(set, descriptors);
  const int64_t deadline = uk_clock_monotonic() + milliseconds;
  for (unsigned i = 0; i < count; i++)
    polled[i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
  for (int64_t left = milliseconds; left > 0; left = deadline - uk_clock_monotonic()) {
    if (uk_signals_arrived(set) != 0)
      return false;
    poll(polled, count, left < INT_MAX ? (int)left : INT_MAX);
  }
  return uk_signals_arrived(set) == 0;
}
