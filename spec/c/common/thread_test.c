/* for: thread.c, clock.c. Threads with blocked signals, and waits with a deadline. */
#include "common/thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "check.h"
#include "common/clock.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed;
static atomic_int blocked; /* signals in the thread that counted last */
static bool ready;

static int count_blocked(void)
{
  sigset_t mask;
  int count = 0;
  pthread_sigmask(SIG_BLOCK, NULL, &mask);
  for (int number = 1; number < 32; number++)
    count += sigismember(&mask, number) == 1;
  return count;
}

static void *count(void *argument)
{
  atomic_store(&blocked, count_blocked());
  return argument;
}

/* Every signal except SIGKILL, SIGSTOP, and the five of faults. The mask of the caller is
 * unchanged. */
static void its_signals_are_blocked(void)
{
  pthread_t thread;
  void *returned = NULL;
  const int before = count_blocked();
  REQUIRE(uk_thread_start(&thread, count, &thread));
  CHECK(pthread_join(thread, &returned) == 0);
  CHECK(returned == &thread);
  CHECK_EQ_INT(atomic_load(&blocked), 24);
  CHECK_EQ_INT(count_blocked(), before);
  atomic_store(&blocked, 0);
  REQUIRE(uk_thread_start_alone(count, NULL));
  CHECK_EVENTUALLY(atomic_load(&blocked) == 24);
  CHECK_EQ_INT(count_blocked(), before);
}

static atomic_int detach_state; /* of the thread that said it last */

static void *say_detach_state(void *argument)
{
  pthread_attr_t attributes;
  int state = -1;
  if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
    pthread_attr_getdetachstate(&attributes, &state);
    pthread_attr_destroy(&attributes);
  }
  atomic_store(&detach_state, state);
  return argument;
}

/* Nobody joins a thread that was started alone: what it occupies is freed when it ends. */
static void only_a_thread_started_alone_is_detached(void)
{
  pthread_t thread;
  atomic_store(&detach_state, -1);
  REQUIRE(uk_thread_start_alone(say_detach_state, NULL));
  CHECK_EVENTUALLY(atomic_load(&detach_state) != -1);
  CHECK_EQ_INT(atomic_load(&detach_state), PTHREAD_CREATE_DETACHED);
  REQUIRE(uk_thread_start(&thread, say_detach_state, NULL));
  CHECK(pthread_join(thread, NULL) == 0);
  CHECK_EQ_INT(atomic_load(&detach_state), PTHREAD_CREATE_JOINABLE);
}

static void *get_ready(void *argument)
{
  pthread_mutex_lock(&lock);
  ready = true;
  pthread_cond_signal(&changed);
  pthread_mutex_unlock(&lock);
  return argument;
}

static void a_wait_ends_at_its_deadline(void)
{
  for (int64_t wait = 0; wait <= 40; wait += 20) {
    pthread_mutex_lock(&lock);
    const int64_t until = uk_clock_monotonic() + wait;
    int wakes = 0;
    for (; uk_clock_monotonic() < until; wakes++)
      uk_condition_wait(&changed, &lock, until);
    pthread_mutex_unlock(&lock);
    CHECK(wakes < 10); /* it slept rather than polled */
  }
}

static void a_wait_without_a_deadline_ends_with_its_signal(void)
{
  static const int64_t untils[] = {INT64_MAX, INT64_MAX - 1};
  for (int i = 0; i < 2; i++) {
    pthread_t thread;
    pthread_mutex_lock(&lock);
    ready = false;
    REQUIRE(uk_thread_start(&thread, get_ready, NULL));
    while (!ready)
      uk_condition_wait(&changed, &lock, untils[i]);
    pthread_mutex_unlock(&lock);
    pthread_join(thread, NULL);
  }
}

static int64_t milliseconds(clockid_t clock)
{
  struct timespec now;
  clock_gettime(clock, &now);
  return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void clocks_count_milliseconds(void)
{
  int64_t before = milliseconds(CLOCK_MONOTONIC), now = uk_clock_monotonic();
  CHECK(before <= now && now <= milliseconds(CLOCK_MONOTONIC));
  before = milliseconds(CLOCK_REALTIME);
  now = uk_clock_epoch();
  CHECK(before <= now && now <= milliseconds(CLOCK_REALTIME));
}

int main(void)
{
  uk_condition_init(&changed);
  CHECK_RUN(its_signals_are_blocked);
  CHECK_RUN(only_a_thread_started_alone_is_detached);
  CHECK_RUN(a_wait_ends_at_its_deadline);
  CHECK_RUN(a_wait_without_a_deadline_ends_with_its_signal);
  CHECK_RUN(clocks_count_milliseconds);
  return check_end();
}
