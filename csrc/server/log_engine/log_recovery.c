/* The log after a failure, and the commits that show that it can be written to. */
#include <stdio.h>

#include "server/log_engine/log_private.h"

void uk_log_set_broken(struct uk_log *log)
{
  char text[sizeof log->problem];
  log->broken = true;
  snprintf(text, sizeof text, "the log failed: %s", uk_log_store_failure(log->store));
  uk_log_set_problem(log, INT64_MAX, text);
}

enum uk_log_status uk_log_reopen(struct uk_log *log)
{
  enum uk_log_status status = uk_log_store_reopen(log->store);
  pthread_mutex_lock(&log->mutex);
  log->shut = status != UK_LOG_OK;
  pthread_mutex_unlock(&log->mutex);
  return status;
}

enum uk_log_status uk_log_resolve_full(struct uk_log *log, enum uk_log_status status)
{
  const enum uk_log_status lack = uk_log_store_lack(log->store);
  if (status != UK_LOG_FAILED || lack == UK_LOG_OK)
    return status;
  return uk_log_reopen(log) == UK_LOG_OK ? lack : UK_LOG_FAILED;
}

bool uk_log_open_reserve(struct uk_log *log, enum uk_log_status *status)
{
  *status = uk_log_resolve_full(log, *status);
  if (*status != UK_LOG_FULL && *status != UK_LOG_DISK_FULL)
    return false;
  enum uk_log_status opened = uk_log_store_open_reserve(log->store, *status);
  if (opened != UK_LOG_OK)
    *status = opened;
  return opened == UK_LOG_OK;
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

enum uk_log_status uk_log_probe(struct uk_log *log)
{
  return uk_log_store_run(log->store, write_probe, log);
}

static enum uk_log_status probe_in_reserve(struct uk_log *log)
{
  enum uk_log_status status = uk_log_probe(log);
  if (!uk_log_open_reserve(log, &status))
    return status;
  status = uk_log_probe(log);
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
  if (uk_log_open_reserve(log, &status)) {
    status = settle_once(log, &dropped);
    if (uk_log_store_close_reserve(log->store) != UK_LOG_OK)
      status = UK_LOG_FAILED;
  }
  if (status == UK_LOG_OK && why != NULL)
    tell_of_life(log, why, dropped);
  return status;
}

void uk_log_settle(struct uk_log *log)
{
  if (!log->broken && uk_log_store_is_unsettled(log->store) && uk_log_breaks(settle_now(log)))
    uk_log_set_broken(log);
}

/* Recovery. */

/* Commits: what the log owes, or nothing. */
static enum uk_log_status prove(struct uk_log *log)
{
  return uk_log_store_is_unsettled(log->store) ? settle_now(log) : probe_in_reserve(log);
}

static void end_recovery(struct uk_log *log)
{
  log->broken = false;
  uk_log_trust_keys(log);
  uk_log_set_problem(log, 0, "");
}

/* After a failed sync it is unknown what is on the disk, and a repeated sync may succeed without
 * having written. So the environment is opened again, the log is loaded from it (the failed commit
 * may have come through), and a commit must pass before the log counts as healthy. */
static bool recover(struct uk_log *log)
{
  if (uk_log_reopen(log) != UK_LOG_OK || uk_log_load(log) != UK_LOG_OK || prove(log) != UK_LOG_OK) {
    uk_log_set_broken(log);
    return false;
  }
  end_recovery(log);
  return true;
}

bool uk_log_is_ready(struct uk_log *log)
{
  if (log->broken && !recover(log))
    return false;
  uk_log_settle(log);
  return !log->broken;
}

/* What is read after a failed write may be memory that the kernel calls clean, and not what the
 * disk has. The commit that follows makes it true: it builds on the doubtful transaction, whose
 * pages were synced before the page that failed, or it takes that transaction's number and its
 * place. So an answer is given only after that commit. */
enum uk_log_status uk_log_resolve(struct uk_log *log)
{
  if (!uk_log_store_is_doubtful(log->store))
    return UK_LOG_UNCERTAIN;
  if (uk_log_reopen(log) != UK_LOG_OK)
    return UK_LOG_UNCERTAIN;
  bool came_through = uk_log_store_came_through(log->store);
  if (prove(log) != UK_LOG_OK)
    return UK_LOG_UNCERTAIN;
  end_recovery(log);
  return came_through ? UK_LOG_OK : UK_LOG_FAILED;
}
