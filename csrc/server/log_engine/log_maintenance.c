#include "common/clock.h"
#include "server/log_engine/log_private.h"

bool uk_log_needs_maintenance(const struct uk_log *log)
{
  if (log->purge_count > 0 || uk_log_keys_will_be_due(&log->keys))
    return true;
  for (size_t i = 0; i < log->topics.count; i++) {
    const struct uk_log_topic *topic = log->topics.sorted[i];
    if (topic->retention_ms >= 0 || topic->retention_bytes >= 0)
      return true;
  }
  return false;
}

static enum uk_log_status finish(struct uk_log *log, enum uk_log_status status, bool changed)
{
  if (status == UK_LOG_OK && changed) {
    log->freed = true;
    return uk_log_store_commit(log->store);
  }
  uk_log_store_abort(log->store);
  return status;
}

static enum uk_log_status purge(struct uk_log *log, bool *more)
{
  unsigned budget = UK_LOG_MAINTENANCE_ROWS;
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  status = uk_log_store_purge(log->store, log->purges[log->purge_count - 1], &budget);
  status = finish(log, status, budget < UK_LOG_MAINTENANCE_ROWS);
  if (status == UK_LOG_OK && budget > 0)
    log->purge_count--;
  *more = status == UK_LOG_OK;
  return status;
}

struct trim_round {
  struct uk_log *log;
  struct uk_log_times times;
  unsigned budget;
  struct uk_log_partition *trimmed;
};

static enum uk_log_status trim_topic(struct trim_round *round, struct uk_log_topic *topic)
{
  enum uk_log_status status = UK_LOG_OK;
  for (int32_t i = 0; status == UK_LOG_OK && round->budget > 0 && i < topic->partition_count; i++) {
    struct uk_log_partition *partition = &topic->partitions[i];
    if (partition->first == partition->end || partition->damaged)
      continue;
    status = uk_log_store_trim(round->log->store, partition, &round->times, &round->budget,
                               &partition->next_first);
    if (partition->next_first != partition->first) {
      partition->next_touched = round->trimmed;
      round->trimmed = partition;
    }
  }
  return status;
}

static void publish_firsts(struct uk_log *log, struct uk_log_partition *trimmed)
{
  pthread_mutex_lock(&log->topics.mutex);
  for (; trimmed != NULL; trimmed = trimmed->next_touched)
    trimmed->first = trimmed->next_first;
  pthread_mutex_unlock(&log->topics.mutex);
}

/* Before the commit: a reader may look for records right after it. */
static void announce(struct uk_log *log, struct uk_log_partition *trimmed)
{
  pthread_mutex_lock(&log->topics.mutex);
  for (; trimmed != NULL; trimmed = trimmed->next_touched)
    trimmed->gone = trimmed->next_first;
  pthread_mutex_unlock(&log->topics.mutex);
}

static enum uk_log_status trim(struct uk_log *log, bool *more)
{
  struct trim_round round = {
    .log = log,
    .times = uk_log_clock_look(&log->clock, uk_clock_epoch(), uk_clock_monotonic()),
    .budget = UK_LOG_MAINTENANCE_ROWS,
  };
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  for (size_t i = 0; status == UK_LOG_OK && round.budget > 0 && i < log->topics.count; i++) {
    struct uk_log_topic *topic = log->topics.sorted[i];
    if (topic->retention_ms >= 0 || topic->retention_bytes >= 0)
      status = trim_topic(&round, topic);
  }
  announce(log, round.trimmed);
  status = finish(log, status, round.trimmed != NULL);
  if (status == UK_LOG_OK)
    publish_firsts(log, round.trimmed);
  *more = status == UK_LOG_OK && round.budget == 0;
  return status;
}

/* Removes keys that have ended, and those beyond the limits. */
static enum uk_log_status trim_keys(struct uk_log *log, bool *more)
{
  unsigned budget = UK_LOG_MAINTENANCE_ROWS;
  uint64_t time = uk_log_keys_time(&log->keys, uk_clock_monotonic());
  uk_log_keys_look(&log->keys, time);
  if (!uk_log_keys_are_due(&log->keys, time))
    return UK_LOG_OK;
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  status = uk_log_keys_trim(&log->keys, log->store, time, true, &budget);
  status = finish(log, status, budget < UK_LOG_MAINTENANCE_ROWS || log->keys.queue.written);
  if (status == UK_LOG_OK)
    uk_log_keys_keep(&log->keys, time);
  *more = *more || (status == UK_LOG_OK && budget == 0);
  return status;
}

static enum uk_log_status trim_all(struct uk_log *log, bool *more)
{
  enum uk_log_status status = trim(log, more);
  return status == UK_LOG_OK ? trim_keys(log, more) : status;
}

static enum uk_log_status write_queue(void *argument)
{
  struct uk_log *log = argument;
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  return finish(log, uk_log_key_queue_write(&log->keys.queue, log->store), true);
}

void uk_log_write_queued_keys(struct uk_log *log)
{
  if (log->broken || uk_log_key_queue_is_empty(&log->keys.queue))
    return;
  if (uk_log_store_run(log->store, write_queue, log) == UK_LOG_OK)
    uk_log_key_queue_keep(&log->keys.queue);
}

struct step {
  struct uk_log *log;
  bool *more;
};

static enum uk_log_status run_step(void *argument)
{
  const struct step *step = argument;
  return step->log->purge_count > 0 ? purge(step->log, step->more)
                                    : trim_all(step->log, step->more);
}

enum uk_log_status uk_log_maintain(struct uk_log *log, bool *more)
{
  struct step step = {log, more};
  *more = false;
  enum uk_log_status status = uk_log_store_run(log->store, run_step, &step);
  if (status != UK_LOG_OK)
    uk_log_keys_drop(&log->keys);
  *more = *more && status == UK_LOG_OK;
  return status;
}
