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

static bool is_deletion(const struct uk_operation *command)
{
  return uk_log_kind(command) == UK_LOG_DELETE_TOPIC;
}

/* Moves as many commands as may share a transaction from the queue, which is not empty. A deletion
 * has a transaction of its own. */
static void take_batch(struct uk_list *queue, struct uk_list *batch)
{
  struct uk_operation *command = UK_LIST_TAKE(queue, struct uk_operation, link);
  bool shares = !is_deletion(command);
  size_t bytes = command_bytes(command), count = 1;
  uk_list_add(batch, &command->link);
  while (shares && count < UK_LOG_TRANSACTION_COMMANDS &&
         (command = uk_log_next(queue, NULL)) != NULL && !is_deletion(command) &&
         (bytes += command_bytes(command)) <= UK_LOG_TRANSACTION_BYTES) {
    uk_list_remove(&command->link);
    uk_list_add(batch, &command->link);
    count++;
  }
}

/* Waits for commands, or until maintenance or a look at the files is due, and takes all commands
 * that are there. False when the log is closing and no command is left. */
static bool take_all(struct uk_log *log, struct uk_list *commands)
{
  int64_t until = log->next_maintenance < log->next_look ? log->next_maintenance : log->next_look;
  pthread_mutex_lock(&log->mutex);
  while (uk_list_is_empty(&log->queue) && !log->closing && uk_clock_monotonic() < until)
    uk_condition_wait(&log->arrived, &log->mutex, until);
  uk_list_move(commands, &log->queue);
  bool open = !uk_list_is_empty(commands) || !log->closing;
  pthread_mutex_unlock(&log->mutex);
  return open;
}

/* Failures. */

/* After these the environment must be opened again. */
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

/* Opens the environment again. */
static enum uk_log_status reopen(struct uk_log *log)
{
  enum uk_log_status status = uk_log_store_reopen(log->store);
  pthread_mutex_lock(&log->mutex);
  log->shut = status != UK_LOG_OK;
  pthread_mutex_unlock(&log->mutex);
  return status;
}

static enum uk_log_status write_probe(void *argument)
{
  struct uk_log *log = argument;
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  status = uk_log_store_probe(log->store);
  if (status == UK_LOG_OK)
    return uk_log_store_commit(log->store);
  uk_log_store_abort(log->store);
  return status;
}

/* Runs a transaction that changes nothing. */
static enum uk_log_status probe(struct uk_log *log)
{
  return uk_log_store_run(log->store, write_probe, log);
}

/* True when `*status` says that there is no room and the reserve is open now: the caller repeats
 * what failed. */
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

/* A new life, or a new format. */

static enum uk_log_status drop_committed(struct uk_log *log, size_t *count)
{
  enum uk_log_status status = UK_LOG_OK;
  *count = 0;
  for (size_t i = 0; i < log->topics.count; i++) {
    const struct uk_log_topic *topic = log->topics.sorted[i];
    for (int32_t j = 0; status == UK_LOG_OK && j < topic->partition_count; j++) {
      if (!topic->partitions[j].damaged)
        status = uk_log_store_drop_committed(log->store, &topic->partitions[j], count);
    }
  }
  return status;
}

struct settling {
  struct uk_log *log;
  size_t *dropped;
};

static enum uk_log_status write_settled(void *argument)
{
  const struct settling *settling = argument;
  struct uk_log *log = settling->log;
  bool new_life = uk_log_store_new_life(log->store) != NULL;
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  if (new_life && (status = drop_committed(log, settling->dropped)) != UK_LOG_OK)
    uk_log_store_abort(log->store);
  else
    status = uk_log_store_commit(log->store);
  return status;
}

/* Runs the transaction that settles the log. */
static enum uk_log_status settle_once(struct uk_log *log, size_t *dropped)
{
  struct settling settling = {log, dropped};
  return uk_log_store_run(log->store, write_settled, &settling);
}

static void tell_of_life(const struct uk_log *log, const char *why, size_t dropped)
{
  char line[400];
  if (log->notice == NULL)
    return;
  snprintf(
    line, sizeof line,
    "data.mdb is a restored copy: %s. The log begins life %u: what was written after the copy "
    "is gone, %zu committed offsets beyond the end of their partitions were dropped, and "
    "clients' positions there are invalid",
    why, (unsigned)uk_log_store_life(log->store), dropped);
  log->notice(line);
}

/* Carries out what the log's next transaction must begin with. */
static enum uk_log_status settle_now(struct uk_log *log)
{
  const char *why = uk_log_store_new_life(log->store);
  size_t dropped = 0;
  enum uk_log_status status = settle_once(log, &dropped);
  if (open_reserve(log, &status)) {
    status = settle_once(log, &dropped);
    if (uk_log_store_close_reserve(log->store) != UK_LOG_OK)
      status = UK_LOG_FAILED;
  }
  if (status == UK_LOG_OK && why != NULL)
    tell_of_life(log, why, dropped);
  return status;
}

/* Commits: what the log owes, or nothing. */
static enum uk_log_status prove(struct uk_log *log)
{
  return uk_log_store_is_unsettled(log->store) ? settle_now(log) : probe_in_reserve(log);
}

/* After a failed sync it is unknown what is on the disk, and a repeated sync may succeed without
 * having written. So the environment is opened again, the log is loaded from it (the failed commit
 * may have come through), and a commit must pass before the log counts as healthy. */
static bool recover(struct uk_log *log)
{
  if (reopen(log) != UK_LOG_OK || uk_log_load(log) != UK_LOG_OK || prove(log) != UK_LOG_OK) {
    set_broken(log);
    return false;
  }
  log->broken = false;
  uk_log_set_problem(log, 0, "");
  return true;
}

/* Before the first command. If it fails, it is tried again before the next one. */
static void settle(struct uk_log *log)
{
  if (!log->broken && uk_log_store_is_unsettled(log->store) && breaks(settle_now(log)))
    set_broken(log);
}

/* True when the log can take a transaction. */
static bool is_ready(struct uk_log *log)
{
  if (log->broken && !recover(log))
    return false;
  settle(log);
  return !log->broken;
}

/* Transactions. */

/* Deletes and commits may use the reserve when the log is full. */
static bool may_use_reserve(const struct uk_operation *command)
{
  return uk_log_kind(command) == UK_LOG_COMMIT || is_deletion(command);
}

static enum uk_log_status transact_in_reserve(struct uk_log *log, const struct uk_list *commands)
{
  enum uk_log_status status = uk_log_transact(log, commands);
  if (!may_use_reserve(uk_log_next(commands, NULL)) || !open_reserve(log, &status))
    return status;
  status = uk_log_transact(log, commands);
  if (uk_log_store_close_reserve(log->store) != UK_LOG_OK)
    set_broken(log);
  return status;
}

static void answer(struct uk_list *commands)
{
  struct uk_operation *command;
  while ((command = UK_LIST_TAKE(commands, struct uk_operation, link)) != NULL)
    command->done(command);
}

static void fail_all(struct uk_log *log, struct uk_list *commands, enum uk_log_status status)
{
  struct uk_operation *command = NULL;
  while ((command = uk_log_next(commands, command)) != NULL)
    uk_log_fail(log, command, status);
  answer(commands);
}

/* Runs a list of one command. */
static void run_one(struct uk_log *log, struct uk_list *commands)
{
  enum uk_log_status status = transact_in_reserve(log, commands);
  if (breaks(status))
    set_broken(log);
  if (status != UK_LOG_OK)
    uk_log_fail(log, uk_log_next(commands, NULL), status);
  answer(commands);
}

/* Runs each command in a transaction of its own, after they failed together: some may pass. */
static void run_apart(struct uk_log *log, struct uk_list *commands)
{
  struct uk_operation *command;
  while ((command = UK_LIST_TAKE(commands, struct uk_operation, link)) != NULL) {
    struct uk_list one = {0};
    uk_list_add(&one, &command->link);
    if (!is_ready(log))
      fail_all(log, &one, UK_LOG_FAILED);
    else
      run_one(log, &one);
  }
}

static void run(struct uk_log *log, struct uk_list *commands)
{
  if (!is_ready(log)) {
    fail_all(log, commands, UK_LOG_FAILED);
    return;
  }
  if (uk_list_first(commands) == uk_list_last(commands)) {
    run_one(log, commands);
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

/* Are the files still there? A log without them is closed at once: its readers are told, too. */
static void look(struct uk_log *log, int64_t now)
{
  if (now < log->next_look)
    return;
  log->next_look = now + UK_LOG_LOOK_MS;
  if (!log->broken && uk_log_store_fault(log->store) != NULL)
    set_broken(log);
  if (!log->broken && !uk_log_store_in_place(log->store)) {
    set_broken(log);
    (void)reopen(log);
  }
  bool all = now >= log->next_save;
  log->next_save = all ? now + UK_LOG_SAVE_MS : log->next_save;
  if (!log->broken)
    uk_log_store_save_identity(log->store, log->stage.next_topic_id, all);
}

/* Maintains the log when that is due. A failure waits for the next time. */
static void maintain(struct uk_log *log)
{
  bool more = false;
  int64_t now = uk_clock_monotonic();
  look(log, now);
  if (now >= log->next_maintenance) {
    if (is_ready(log) && breaks(maintain_step(log, &more)))
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
  struct uk_list commands = {0};
  settle(log);
  maintain(log);
  while (take_all(log, &commands)) {
    while (!uk_list_is_empty(&commands)) {
      struct uk_list batch = {0};
      take_batch(&commands, &batch);
      uk_log_mark_busy(log, true);
      run(log, &batch);
      uk_log_mark_busy(log, true);
      maintain(log);
    }
    uk_log_mark_busy(log, true);
    maintain(log);
    uk_log_mark_busy(log, false);
  }
  return NULL;
}
