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

/* False when the hand has a command with the same idempotency key: this one needs its outcome. */
static bool add_key(struct uk_log *log, const struct uk_operation *command)
{
  const struct uk_produce_key *key = uk_log_key_of(log, command);
  return key == NULL || uk_log_key_set_add(log->held, key);
}

/* Moves as many commands as may share a transaction from the queue, which is not empty, into the
 * hand. A deletion has a transaction of its own, and so has a command that failed with others. */
static void fill_hand(struct uk_log *log)
{
  struct uk_list *queue = &log->queue;
  struct uk_operation *command = UK_LIST_TAKE(queue, struct uk_operation, link);
  bool shares = !is_deletion(command) && log->apart == 0;
  size_t bytes = command_bytes(command), count = 1;
  log->apart -= log->apart > 0;
  uk_log_key_set_clear(log->held);
  (void)add_key(log, command);
  uk_list_add(&log->hand, &command->link);
  while (shares && count < UK_LOG_TRANSACTION_COMMANDS &&
         (command = uk_log_next(queue, NULL)) != NULL && !is_deletion(command) &&
         (bytes += command_bytes(command)) <= UK_LOG_TRANSACTION_BYTES && add_key(log, command)) {
    uk_list_remove(&command->link);
    uk_list_add(&log->hand, &command->link);
    count++;
  }
}

/* Takes the commands of the next transaction, and begins its step. False when there are none. */
static bool take_commands(struct uk_log *log)
{
  uk_log_lock_hand(log);
  bool any = !uk_list_is_empty(&log->queue);
  if (any) {
    fill_hand(log);
    uk_log_begin_step(log);
  }
  pthread_mutex_unlock(&log->mutex);
  return any;
}

/* Puts the hand back at the head of the queue, to be carried out one by one. */
static void put_back(struct uk_log *log)
{
  uk_log_lock_hand(log);
  log->apart = uk_list_count(&log->hand);
  uk_list_move(&log->hand, &log->queue);
  uk_list_move(&log->queue, &log->hand);
  pthread_mutex_unlock(&log->mutex);
}

/* Waits for commands, or until maintenance or a look at the files is due. False when the log is
 * closing and no command is left. */
static bool wait_for_work(struct uk_log *log)
{
  int64_t until = log->next_maintenance < log->next_look ? log->next_maintenance : log->next_look;
  pthread_mutex_lock(&log->mutex);
  while (uk_list_is_empty(&log->queue) && !log->closing && uk_clock_monotonic() < until)
    uk_condition_wait(&log->arrived, &log->mutex, until);
  bool open = !uk_list_is_empty(&log->queue) || !log->closing;
  pthread_mutex_unlock(&log->mutex);
  return open;
}

/* Transactions. */

/* Deletes and commits may use the reserve when the log is full, and so may a replay: it writes
 * nothing but what shows that its original is on the disk. */
static bool may_use_reserve(const struct uk_operation *command)
{
  return uk_log_kind(command) == UK_LOG_COMMIT || is_deletion(command) ||
         (uk_log_kind(command) == UK_LOG_PRODUCE && ((const struct uk_produce *)command)->replayed);
}

static enum uk_log_status transact_in_reserve(struct uk_log *log, const struct uk_list *commands)
{
  enum uk_log_status status = uk_log_transact(log, commands);
  if (!may_use_reserve(uk_log_next(commands, NULL)) || !uk_log_open_reserve(log, &status))
    return status;
  status = uk_log_transact(log, commands);
  if (uk_log_store_close_reserve(log->store) != UK_LOG_OK)
    uk_log_set_broken(log);
  return status;
}

/* Ends the commands in the hand. */
static void answer(struct uk_log *log, enum uk_log_status status)
{
  struct uk_list commands = {0};
  struct uk_operation *command;
  uk_log_lock_hand(log);
  uk_list_move(&commands, &log->hand);
  pthread_mutex_unlock(&log->mutex);
  while ((command = UK_LIST_TAKE(&commands, struct uk_operation, link)) != NULL) {
    if (status != UK_LOG_OK)
      uk_log_fail(log, command, status);
    command->done(command);
  }
}

/* Carries out the commands in the hand. Of several that failed, some may pass alone. */
static void run(struct uk_log *log)
{
  const struct uk_list *hand = &log->hand;
  bool alone = uk_list_first(hand) == uk_list_last(hand);
  enum uk_log_status status = UK_LOG_FAILED;
  if (uk_log_is_ready(log))
    status = alone ? transact_in_reserve(log, hand) : uk_log_transact(log, hand);
  if (alone || status == UK_LOG_OK || uk_log_breaks(status))
    answer(log, status);
  else
    put_back(log);
}

/* Maintenance. */

static enum uk_log_status maintain_once(struct uk_log *log, bool *more)
{
  enum uk_log_status status = uk_log_maintain(log, more);
  if (status != UK_LOG_OK || *more || !log->freed)
    return status;
  status = uk_log_probe(log);
  log->freed = status != UK_LOG_OK;
  if (!log->freed)
    uk_log_set_problem(log, 0, "");
  return status;
}

static enum uk_log_status maintain_step(struct uk_log *log, bool *more)
{
  enum uk_log_status status = maintain_once(log, more);
  if (!uk_log_open_reserve(log, &status))
    return status;
  status = maintain_once(log, more);
  return uk_log_store_close_reserve(log->store) == UK_LOG_OK ? status : UK_LOG_FAILED;
}

/* Are the files still there? A log without them is closed at once: its readers are told, too.
 * Health says it last: who has learnt it there finds the log shut. */
static void look(struct uk_log *log, int64_t now)
{
  if (now < log->next_look)
    return;
  log->next_look = now + UK_LOG_LOOK_MS;
  if (!log->broken && uk_log_store_fault(log->store) != NULL)
    uk_log_set_broken(log);
  if (!log->broken && !uk_log_store_in_place(log->store)) {
    (void)uk_log_reopen(log);
    uk_log_set_broken(log);
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
    if (uk_log_is_ready(log) && uk_log_breaks(maintain_step(log, &more)))
      uk_log_set_broken(log);
    log->next_maintenance = more ? now : now + UK_LOG_MAINTENANCE_MS;
  }
  if (!log->broken && !log->freed && !uk_log_needs_maintenance(log))
    log->next_maintenance = INT64_MAX;
  else if (log->next_maintenance == INT64_MAX)
    log->next_maintenance = now + (log->purge_count > 0 ? 0 : UK_LOG_MAINTENANCE_MS);
}

void uk_log_writer_run(struct uk_log *log)
{
  uk_log_mark_busy(log, true);
  uk_log_settle(log);
  maintain(log);
  uk_log_mark_busy(log, false);
  while (wait_for_work(log)) {
    while (take_commands(log)) {
      run(log);
      uk_log_mark_busy(log, true);
      maintain(log);
    }
    uk_log_mark_busy(log, true);
    maintain(log);
    uk_log_mark_busy(log, false);
  }
}
