#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/log_engine/log_private.h"

_Atomic int64_t uk_log_hang_ms = UK_LOG_HANG_MS;

int64_t uk_log_hangs_for(const struct uk_log *log)
{
  int64_t busy = log->busy_since != 0 ? uk_clock_monotonic() - log->busy_since : 0;
  return busy >= atomic_load(&uk_log_hang_ms) ? busy : 0;
}

void uk_log_describe_hang(char *text, size_t size, int64_t milliseconds)
{
  snprintf(text, size, "the disk has not answered for %" PRId64 " s", milliseconds / 1000);
}

/* The writer. */

void uk_log_begin_step(struct uk_log *log)
{
  log->busy_since = uk_clock_monotonic();
  if (log->watcher_sleeps)
    pthread_cond_signal(&log->watch);
}

void uk_log_mark_busy(struct uk_log *log, bool busy)
{
  pthread_mutex_lock(&log->mutex);
  if (busy)
    uk_log_begin_step(log);
  else
    log->busy_since = 0;
  pthread_mutex_unlock(&log->mutex);
  uk_alarm_clear(&log->hangs, "the disk answers again");
}

void uk_log_lock_hand(struct uk_log *log)
{
  pthread_mutex_lock(&log->mutex);
  while (log->pinned)
    pthread_cond_wait(&log->progress, &log->mutex);
}

/* The watcher. */

static void call_late(const struct uk_list *hand, int64_t hangs)
{
  char hang[80], text[UK_MESSAGE_SIZE];
  uk_log_describe_hang(hang, sizeof hang, hangs);
  snprintf(text, sizeof text, "%s; the request " UK_MAY_BE_DONE, hang);
  struct uk_operation *command = NULL;
  while ((command = uk_log_next(hand, command)) != NULL) {
    if (command->late != NULL)
      command->late(command, text);
  }
}

void uk_log_fail_hung(struct uk_operation *operation, bool doubtful, int64_t hangs)
{
  char text[80];
  uk_log_describe_hang(text, sizeof text, hangs);
  if (doubtful)
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT, "%s; the request " UK_MAY_BE_DONE, text);
  else
    uk_operation_fail(operation, UK_E_UNAVAILABLE, "%s", text);
}

static void end_all(struct uk_list *commands)
{
  struct uk_operation *command;
  while ((command = UK_LIST_TAKE(commands, struct uk_operation, link)) != NULL)
    command->done(command);
}

/* Returns for how long the step hangs, if that is to be reported: then the hand is pinned, and what
 * was in the queue has failed, and is in `refused`. */
static int64_t begin_report(struct uk_log *log, struct uk_list *refused)
{
  char text[80];
  int64_t hangs = uk_log_hangs_for(log);
  if (hangs == 0 || log->told == log->busy_since)
    return 0;
  log->told = log->busy_since;
  log->pinned = true;
  log->apart = 0;
  uk_list_move(refused, &log->queue);
  struct uk_operation *command = NULL;
  while ((command = uk_log_next(refused, command)) != NULL)
    uk_log_fail_hung(command, uk_log_is_doubtful(log, command), hangs);
  uk_log_describe_hang(text, sizeof text, hangs);
  uk_alarm_raise(&log->hangs, "%s; nothing is stored until it does", text);
  return hangs;
}

/* The callbacks take locks of other rooms, so they run without the mutex. */
void uk_log_watch_look(struct uk_log *log)
{
  struct uk_list refused = {0};
  pthread_mutex_lock(&log->mutex);
  int64_t hangs = begin_report(log, &refused);
  pthread_mutex_unlock(&log->mutex);
  if (hangs == 0)
    return;
  call_late(&log->hand, hangs);
  pthread_mutex_lock(&log->mutex);
  log->pinned = false;
  pthread_cond_broadcast(&log->progress);
  pthread_mutex_unlock(&log->mutex);
  end_all(&refused);
}

/* Sleeps without a limit while the writer waits, or hangs in a step that was reported; else until
 * the step is too long, but not for more than UK_LOG_WATCH_MS: a test may lower that limit. */
static void sleep_on(struct uk_log *log)
{
  int64_t until = INT64_MAX;
  if (log->busy_since != 0 && log->told != log->busy_since) {
    int64_t hung = log->busy_since + atomic_load(&uk_log_hang_ms);
    until = uk_clock_monotonic() + UK_LOG_WATCH_MS;
    until = hung < until ? hung : until;
  }
  log->watcher_sleeps = until == INT64_MAX;
  uk_condition_wait(&log->watch, &log->mutex, until);
  log->watcher_sleeps = false;
}

void *uk_log_watch_run(void *argument)
{
  struct uk_log *log = argument;
  pthread_mutex_lock(&log->mutex);
  while (!log->watcher_stops) {
    sleep_on(log);
    pthread_mutex_unlock(&log->mutex);
    uk_log_watch_look(log);
    pthread_mutex_lock(&log->mutex);
  }
  pthread_mutex_unlock(&log->mutex);
  return NULL;
}

void uk_log_watch_stop(struct uk_log *log)
{
  pthread_mutex_lock(&log->mutex);
  log->watcher_stops = true;
  pthread_cond_signal(&log->watch);
  pthread_mutex_unlock(&log->mutex);
  pthread_join(log->watcher, NULL);
}
