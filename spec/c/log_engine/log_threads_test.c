/* Opening the engine when a thread cannot be started: nothing stays behind. For: log.c,
 * log_engine.c, log_notifier.c. */
#include <pthread.h>
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
  pthread_cond_timedwait(condition, mutex, &at);
}

static void an_engine_needs_its_threads(void)
{
  const struct uk_log_engine_options options = {.directory = rig_directory(),
                                                .map_bytes = RIG_MAP_BYTES,
                                                .partitions = 2,
                                                .auto_create = true,
                                                .no_sync = true};
  long live = fault_live();
  for (int threads = 0; threads <= 2; threads++) {
    char message[UK_MESSAGE_SIZE] = "", want[UK_MESSAGE_SIZE];
    struct uk_engine *engine;
    threads_left = threads;
    enum uk_error error = uk_log_engine_open(&engine, &options, message, sizeof message);
    CHECK_EQ_INT(error, threads < 2 ? UK_E_NO_MEMORY : UK_OK);
    CHECK((engine == NULL) == (threads < 2));
    snprintf(want, sizeof want, "out of memory while opening the log in %s", options.directory);
    CHECK_EQ_STR(message, threads < 2 ? want : "");
    if (engine != NULL)
      engine->methods->close(engine);
    CHECK_EQ_INT(fault_live(), live);
  }
  rig_remove();
}

int main(void)
{
  CHECK_RUN(an_engine_needs_its_threads);
  return check_end();
}
