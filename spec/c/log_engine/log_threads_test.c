/* Opening the engine when a thread cannot be started: nothing stays behind. And waits with a
 * deadline: each is on a condition that knows the monotonic clock. For: log.c, log_engine.c,
 * log_notifier.c, log_watch.c. */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "check.h"
#include "common/thread.h"
#include "fault.h"
#include "log_rig.h"
#include "server/log_engine/log_engine.h"

/* These replace the functions of thread.c. */

static int threads_left; /* that can still be started */

bool uk_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
  return threads_left-- > 0 && pthread_create(thread, NULL, run, argument) == 0;
}

bool uk_thread_start_alone(void *(*run)(void *argument), void *argument)
{
  (void)run, (void)argument;
  return false;
}

enum { CONDITIONS = 16 };

static pthread_cond_t *initialized[CONDITIONS];
static atomic_bool waited[CONDITIONS]; /* with a deadline */
static atomic_int count, foreign_waits;

static int timed_waits(void)
{
  int waits = 0;
  for (int i = 0; i < CONDITIONS; i++)
    waits += atomic_load(&waited[i]);
  return waits;
}

void uk_condition_init(pthread_cond_t *condition)
{
  int number = atomic_fetch_add(&count, 1);
  if (number < CONDITIONS)
    initialized[number] = condition;
  pthread_condattr_t attributes;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

void uk_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t until)
{
  const struct timespec at = {until / 1000, until % 1000 * 1000000};
  bool known = false;
  for (int i = 0; i < atomic_load(&count) && i < CONDITIONS; i++) {
    if (initialized[i] != condition)
      continue;
    known = true;
    if (until < INT64_MAX)
      atomic_store(&waited[i], true);
  }
  atomic_fetch_add(&foreign_waits, !known);
  pthread_cond_timedwait(condition, mutex, &at);
}

static int threads_of_process(void)
{
  int threads = 0;
  DIR *folder = opendir("/proc/self/task");
  while (folder != NULL && readdir(folder) != NULL)
    threads++;
  if (folder != NULL)
    closedir(folder);
  return threads;
}

static void an_engine_needs_its_threads(void)
{
  const int before = threads_of_process();
  const struct uk_log_engine_options options = {.directory = rig_directory(),
                                                .map_bytes = RIG_MAP_BYTES,
                                                .partitions = 2,
                                                .auto_create = true,
                                                .no_sync = true};
  long live = fault_live();
  for (int threads = 0; threads <= 3; threads++) {
    char message[UK_MESSAGE_SIZE] = "", want[UK_MESSAGE_SIZE];
    struct uk_engine *engine;
    threads_left = threads;
    atomic_store(&count, 0);
    enum uk_error error = uk_log_engine_open(&engine, &options, message, sizeof message);
    CHECK_EQ_INT(error, threads < 3 ? UK_E_NO_MEMORY : UK_OK);
    CHECK((engine == NULL) == (threads < 3));
    snprintf(want, sizeof want, "out of memory while opening the log in %s", options.directory);
    CHECK_EQ_STR(message, threads < 3 ? want : "");
    if (engine != NULL)
      engine->methods->close(engine);
    CHECK_EQ_INT(fault_live(), live);
    CHECK_EVENTUALLY(threads_of_process() <= before); /* none is left behind */
  }
  rig_remove();
}

/* On the clock of the day such a wait would end at once, again and again, or much too late. */
static void waits_are_on_the_monotonic_clock(void)
{
  struct uk_log_options options = rig_options();
  threads_left = 2;
  atomic_store(&count, 0);
  atomic_store(&foreign_waits, 0);
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_create(log, "t", 1, 100000, -1), UK_OK); /* from now on maintenance is due */
  CHECK_EVENTUALLY(timed_waits() == 2);                     /* the writer's and the watcher's */
  uk_log_close(log);
  CHECK_EQ_INT(atomic_load(&foreign_waits), 0);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(waits_are_on_the_monotonic_clock);
  CHECK_RUN(an_engine_needs_its_threads);
  return check_end();
}
