#include <inttypes.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/log_engine/log_private.h"

/* The queue. */

static size_t command_bytes(const struct uk_operation *command)
{
  const struct uk_produce *produce = (const struct uk_produce *)command;
  size_t bytes = 0;
  for (size_t i = 0; uk_log_kind(command) == UK_LOG_PRODUCE && i < produce->count; i++)
    bytes += uk_log_record_bytes(&produce->records[i]);
  return bytes;
}

/* Cuts off as many of the list as may share a transaction, and returns the rest. The removal of a topic is alone. */
static struct uk_operation *cut(struct uk_operation *commands)
{
  size_t bytes = command_bytes(commands), count = 1;
  struct uk_operation *last = commands;
  while (last->next != NULL && uk_log_kind(commands) != UK_LOG_DELETE_TOPIC &&
         uk_log_kind(last->next) != UK_LOG_DELETE_TOPIC && count < UK_LOG_TRANSACTION_COMMANDS &&
         (bytes += command_bytes(last->next)) <= UK_LOG_TRANSACTION_BYTES) {
    last = last->next;
    count++;
  }
  struct uk_operation *rest = last->next;
  last->next = NULL;
  return rest;
}

/* Waits for commands, or for the time of maintenance. `*open` is false when there are none and none will come. */
static struct uk_operation *take(struct uk_log *log, bool *open)
{
  pthread_mutex_lock(&log->mutex);
  while (log->first == NULL && !log->closing &&
         (log->next_maintenance == INT64_MAX || uk_clock_monotonic() < log->next_maintenance)) {
    if (log->next_maintenance == INT64_MAX)
      pthread_cond_wait(&log->arrived, &log->mutex);
    else
      uk_condition_wait(&log->arrived, &log->mutex, log->next_maintenance);
  }
  struct uk_operation *commands = log->first;
  log->first = log->last = NULL;
  *open = commands != NULL || !log->closing;
  pthread_mutex_unlock(&log->mutex);
  return commands;
}

/* Trouble. */

/* After these the environment must be opened anew. */
static bool breaks(enum uk_log_status status)
{
  return status == UK_LOG_FAILED || status == UK_LOG_UNCERTAIN;
}

static void set_broken(struct uk_log *log)
{
  char text[sizeof log->problem];
  log->broken = true;
  snprintf(text, sizeof text, "the log failed: %s", uk_log_store_failure(log->store));
  uk_log_set_problem(log, INT64_MAX, text);
}

/* A transaction that changes nothing. */
static enum uk_log_status probe(struct uk_log *log)
{
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  status = uk_log_store_probe(log->store);
  if (status == UK_LOG_OK)
    return uk_log_store_commit(log->store);
  uk_log_store_abort(log->store);
  return status;
}

/* Whether it is open: `*status` says that there is no room. What is done then has to be done again. */
static bool open_reserve(struct uk_log *log, enum uk_log_status *status)
{
  if (*status != UK_LOG_FULL && *status != UK_LOG_DISK_FULL)
    return false;
  enum uk_log_status opened = uk_log_store_open_reserve(log->store, *status);
  if (opened != UK_LOG_OK)
    *status = opened;
  return opened == UK_LOG_OK;
}

static enum uk_log_status probe_in_reserve(struct uk_log *log)
{
  enum uk_log_status status = probe(log);
  if (!open_reserve(log, &status))
    return status;
  status = probe(log);
  return uk_log_store_close_reserve(log->store) == UK_LOG_OK ? status : UK_LOG_FAILED;
}

/* A failed sync says nothing about what is on disk, and repeated it may succeed without having written: so the
 * environment is opened anew, what it holds is read again, and a commit must pass before the log is well. The failed
 * commit may have come through after all. */
static bool recover(struct uk_log *log)
{
  if (uk_log_store_reopen(log->store) != UK_LOG_OK || uk_log_load(log) != UK_LOG_OK ||
      probe_in_reserve(log) != UK_LOG_OK) {
    set_broken(log);
    return false;
  }
  log->broken = false;
  uk_log_set_problem(log, 0, "");
  return true;
}

/* Transactions. */

/* What frees room or lets readers go on must pass when there is none. */
static bool may_use_reserve(const struct uk_operation *command)
{
  return uk_log_kind(command) == UK_LOG_COMMIT || uk_log_kind(command) == UK_LOG_DELETE_TOPIC;
}

static enum uk_log_status transact_in_reserve(struct uk_log *log, struct uk_operation *command)
{
  enum uk_log_status status = uk_log_transact(log, command);
  if (!may_use_reserve(command) || !open_reserve(log, &status))
    return status;
  status = uk_log_transact(log, command);
  if (uk_log_store_close_reserve(log->store) != UK_LOG_OK)
    set_broken(log);
  return status;
}

static void answer(struct uk_operation *commands)
{
  while (commands != NULL) {
    struct uk_operation *next = commands->next;
    commands->done(commands);
    commands = next;
  }
}

static void fail_all(struct uk_log *log, struct uk_operation *commands, enum uk_log_status status)
{
  for (struct uk_operation *command = commands; command != NULL; command = command->next)
    uk_log_fail(log, command, status);
  answer(commands);
}

static void run_alone(struct uk_log *log, struct uk_operation *command)
{
  enum uk_log_status status = transact_in_reserve(log, command);
  if (breaks(status))
    set_broken(log);
  if (status != UK_LOG_OK)
    uk_log_fail(log, command, status);
  answer(command);
}

/* Each for itself, after they failed together: some may pass. */
static void run_apart(struct uk_log *log, struct uk_operation *commands)
{
  while (commands != NULL) {
    struct uk_operation *next = commands->next;
    commands->next = NULL;
    if (log->broken && !recover(log))
      fail_all(log, commands, UK_LOG_FAILED);
    else
      run_alone(log, commands);
    commands = next;
  }
}

static void run(struct uk_log *log, struct uk_operation *commands)
{
  if (log->broken && !recover(log)) {
    fail_all(log, commands, UK_LOG_FAILED);
    return;
  }
  if (commands->next == NULL) {
    run_alone(log, commands);
    return;
  }
  enum uk_log_status status = uk_log_transact(log, commands);
  if (status == UK_LOG_OK) {
    answer(commands);
  } else if (breaks(status)) {
    set_broken(log);
    fail_all(log, commands, status);
  } else {
    run_apart(log, commands);
  }
}

/* Maintenance. */

static enum uk_log_status maintain_once(struct uk_log *log, bool *more)
{
  enum uk_log_status status = uk_log_maintain(log, more);
  if (status != UK_LOG_OK || *more || !log->freed)
    return status;
  status = probe(log);
  log->freed = status != UK_LOG_OK;
  if (!log->freed)
    uk_log_set_problem(log, 0, "");
  return status;
}

static enum uk_log_status maintain_step(struct uk_log *log, bool *more)
{
  enum uk_log_status status = maintain_once(log, more);
  if (!open_reserve(log, &status))
    return status;
  status = maintain_once(log, more);
  return uk_log_store_close_reserve(log->store) == UK_LOG_OK ? status : UK_LOG_FAILED;
}

/* When it is due. A failure waits for the next turn. */
static void maintain(struct uk_log *log)
{
  bool more = false;
  int64_t now = uk_clock_monotonic();
  if (now >= log->next_maintenance) {
    if ((!log->broken || recover(log)) && breaks(maintain_step(log, &more)))
      set_broken(log);
    log->next_maintenance = more ? now : now + UK_LOG_MAINTENANCE_MS;
  }
  if (!log->broken && !log->freed && !uk_log_needs_maintenance(log))
    log->next_maintenance = INT64_MAX;
  else if (log->next_maintenance == INT64_MAX)
    log->next_maintenance = now + (log->purge_count > 0 ? 0 : UK_LOG_MAINTENANCE_MS);
}

void *uk_log_writer_run(void *argument)
{
  struct uk_log *log = argument;
  bool open = true;
  maintain(log);
  while (open) {
    struct uk_operation *commands = take(log, &open);
    while (commands != NULL) {
      struct uk_operation *rest = cut(commands);
      run(log, commands);
      commands = rest;
      maintain(log);
    }
    if (open)
      maintain(log);
  }
  return NULL;
}
