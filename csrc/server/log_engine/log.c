#include "server/log_engine/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/log_engine/log_private.h"

/* Failures. */

void uk_log_set_problem(struct uk_log *log, int64_t until, const char *text)
{
  pthread_mutex_lock(&log->mutex);
  snprintf(log->problem, sizeof log->problem, "%s", text);
  log->problem_until = until;
  pthread_mutex_unlock(&log->mutex);
  if (text[0] == '\0')
    uk_alarm_clear(&log->failed, "the log works again");
  else if (until == INT64_MAX)
    uk_alarm_raise(&log->failed, "%s; nothing is stored until it works again", text);
  else
    uk_repeated_log(&log->no_room, uk_clock_monotonic(), text);
}

/* Another command with this key may have been carried out. */
static bool has_doubtful_key(struct uk_log *log, const struct uk_operation *operation)
{
  pthread_mutex_lock(&log->mutex);
  bool doubtful = uk_log_is_doubtful(log, operation);
  pthread_mutex_unlock(&log->mutex);
  return doubtful;
}

void uk_log_fail(struct uk_log *log, struct uk_operation *operation, enum uk_log_status status)
{
  char text[sizeof log->problem];
  if (status == UK_LOG_NO_MEMORY) {
    uk_operation_fail(operation, UK_E_NO_MEMORY, "%s", "");
    return;
  }
  if (status == UK_LOG_DAMAGED) {
    uk_operation_fail(operation, UK_E_INTERNAL,
                      "the log is damaged: a batch lies where the next one belongs");
    return;
  }
  if (status == UK_LOG_FULL && uk_log_store_is_limited(log->store))
    snprintf(text, sizeof text, "the log is full: " UK_LOG_AT_LIMIT);
  else if (status == UK_LOG_FULL)
    snprintf(text, sizeof text, "the log is full (map_bytes %zu)", log->map_bytes);
  else if (status == UK_LOG_DISK_FULL)
    snprintf(text, sizeof text, "the disk that holds the log is full");
  else
    snprintf(text, sizeof text, "the log failed: %s", uk_log_store_failure(log->store));
  if (status == UK_LOG_FAILED && has_doubtful_key(log, operation))
    status = UK_LOG_UNCERTAIN;
  if (status != UK_LOG_FAILED && status != UK_LOG_UNCERTAIN)
    uk_log_set_problem(log, uk_clock_monotonic() + UK_LOG_PROBLEM_MS, text);
  if (status == UK_LOG_UNCERTAIN)
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT, "%s; the request " UK_MAY_BE_DONE, text);
  else
    uk_operation_fail(operation, UK_E_UNAVAILABLE, "%s", text);
}

enum uk_error uk_log_fail_read(struct uk_log *log, struct uk_operation *operation,
                               enum uk_error error)
{
  char text[sizeof log->problem] = "";
  if (error == UK_E_UNAVAILABLE)
    uk_log_health(log, text, sizeof text);
  uk_operation_fail(operation, error, "%s", text);
  return error;
}

bool uk_log_is_shut(struct uk_log *log, struct uk_operation *operation)
{
  pthread_mutex_lock(&log->mutex);
  bool shut = log->shut;
  pthread_mutex_unlock(&log->mutex);
  if (shut)
    uk_log_fail_read(log, operation, UK_E_UNAVAILABLE);
  return shut;
}

/* A reader may be the first to meet damage. */
static void tell_of_fault(struct uk_log *log)
{
  char text[sizeof log->problem];
  const char *fault = uk_log_store_fault(log->store);
  if (fault == NULL || atomic_exchange(&log->told_fault, true))
    return;
  snprintf(text, sizeof text, "the log failed: %s", fault);
  uk_log_set_problem(log, INT64_MAX, text);
}

enum uk_error uk_log_health(struct uk_log *log, char *detail, size_t size)
{
  tell_of_fault(log);
  pthread_mutex_lock(&log->mutex);
  const int64_t now = uk_clock_monotonic();
  bool well = log->problem[0] == '\0' || now >= log->problem_until;
  int64_t hangs = uk_log_hangs_for(log);
  snprintf(detail, size, "%s", well ? "" : log->problem);
  pthread_mutex_unlock(&log->mutex);
  if (hangs > 0)
    uk_log_describe_hang(detail, size, hangs);
  else if (well)
    uk_log_keys_describe(&log->keys, uk_log_keys_time(&log->keys, now), detail, size);
  return well && hangs == 0 ? UK_OK : UK_E_UNAVAILABLE;
}

/* Open and close. */

bool uk_log_make_purge_room(struct uk_log *log)
{
  if (log->purge_count < log->purge_capacity)
    return true;
  size_t capacity = log->purge_capacity == 0 ? 8 : log->purge_capacity * 2;
  uint64_t *purges = realloc(log->purges, capacity * sizeof *purges);
  if (purges == NULL)
    return false;
  log->purges = purges;
  log->purge_capacity = capacity;
  return true;
}

static bool has_id(const struct uk_log_topics *topics, uint64_t id)
{
  for (size_t i = 0; i < topics->count; i++) {
    if (topics->sorted[i]->id == id)
      return true;
  }
  return false;
}

static bool has_damaged(const struct uk_log_topics *topics)
{
  for (size_t i = 0; i < topics->count; i++) {
    if (topics->sorted[i]->damaged)
      return true;
  }
  return false;
}

/* Where the deleted topics are not named, an id that no topic has may be that of a damaged one. */
static enum uk_log_status load_purges(struct uk_log *log, struct uk_log_view *view,
                                      const struct uk_log_topics *topics)
{
  bool named = uk_log_view_names_purges(view);
  enum uk_log_status (*next)(struct uk_log_view *, uint64_t *) =
    named ? uk_log_view_next_purge : uk_log_view_next_id;
  enum uk_log_status status;
  log->purge_count = 0;
  if (!named && has_damaged(topics))
    return UK_LOG_OK;
  for (uint64_t id = 0; (status = next(view, &id)) == UK_LOG_OK; id++) {
    if (has_id(topics, id))
      continue;
    if (!uk_log_make_purge_room(log))
      return UK_LOG_NO_MEMORY;
    log->purges[log->purge_count++] = id;
  }
  return status == UK_LOG_NOTHING ? UK_LOG_OK : status;
}

/* Keeps what is known since the log was opened when it is only opened again. */
static void keep_opened_ends(struct uk_log_topics *fresh, struct uk_log_topics *old)
{
  for (size_t i = 0; i < fresh->count; i++) {
    struct uk_log_topic *topic = fresh->sorted[i];
    const struct uk_log_topic *before = uk_log_topics_find(old, uk_log_topic_name(topic));
    if (before == NULL || before->id != topic->id)
      continue;
    for (int32_t j = 0; j < topic->partition_count && j < before->partition_count; j++)
      topic->partitions[j].opened_end = before->partitions[j].opened_end;
  }
}

static void swap_tables(struct uk_log_topics *table, struct uk_log_topics *with)
{
  pthread_mutex_lock(&table->mutex);
  struct uk_log_topics old = *table;
  table->sorted = with->sorted;
  table->count = with->count;
  table->capacity = with->capacity;
  with->sorted = old.sorted;
  with->count = old.count;
  with->capacity = old.capacity;
  pthread_mutex_unlock(&table->mutex);
}

struct loading {
  struct uk_log *log;
  struct uk_log_topics *fresh;
  uint64_t next_topic_id;
  enum uk_log_status status;
};

static void load(struct uk_log_view *view, void *argument)
{
  struct loading *loading = argument;
  loading->status = uk_log_view_load(view, loading->fresh, &loading->next_topic_id);
  if (loading->status == UK_LOG_OK)
    loading->status = load_purges(loading->log, view, loading->fresh);
  if (loading->status == UK_LOG_OK)
    loading->status =
      uk_log_keys_load(&loading->log->keys, view, uk_clock_epoch(), uk_clock_monotonic());
}

enum uk_log_status uk_log_load(struct uk_log *log)
{
  struct uk_log_topics fresh;
  struct loading loading = {.log = log, .fresh = &fresh};
  enum uk_log_status status = UK_LOG_NO_MEMORY;
  if (!uk_log_topics_init(&fresh))
    return status;
  struct uk_log_view *view = uk_log_view_begin(log->store, &status);
  if (view != NULL) {
    status = uk_log_view_run(view, load, &loading);
    if (status == UK_LOG_OK)
      status = loading.status;
    uk_log_view_end(view);
  }
  if (status == UK_LOG_OK) {
    keep_opened_ends(&fresh, &log->topics);
    swap_tables(&log->topics, &fresh);
    log->stage.next_topic_id = loading.next_topic_id;
  }
  uk_log_topics_free(&fresh);
  return status;
}

static bool init_locks(struct uk_log *log)
{
  if (pthread_mutex_init(&log->mutex, NULL) != 0)
    return false;
  uk_condition_init(&log->arrived);
  uk_condition_init(&log->progress);
  uk_condition_init(&log->watch);
  return true;
}

static struct uk_log *new_log(const struct uk_log_options *options)
{
  struct uk_log *log = calloc(1, sizeof *log);
  if (log == NULL)
    return NULL;
  log->map_bytes = options->map_bytes;
  log->changed = options->changed;
  log->context = options->context;
  log->notice = options->notice;
  uk_log_stage_init(&log->stage, &log->topics);
  log->stage.auto_create = options->auto_create;
  log->stage.default_partitions = options->partitions;
  uk_log_builder_init(&log->builder);
  uk_log_init_keys(log, options->key_window, &options->key_limits);
  uk_log_clock_start(&log->clock, uk_clock_epoch(), uk_clock_monotonic());
  if (!uk_log_topics_init(&log->topics)) {
    free(log);
    return NULL;
  }
  if (init_locks(log))
    return log;
  uk_log_topics_free(&log->topics);
  free(log);
  return NULL;
}

static void free_log(struct uk_log *log)
{
  uk_log_store_close(log->store);
  uk_log_topics_free(&log->topics);
  uk_log_stage_free(&log->stage);
  uk_log_builder_free(&log->builder);
  uk_log_free_keys(log);
  free(log->purges);
  pthread_cond_destroy(&log->arrived);
  pthread_cond_destroy(&log->progress);
  pthread_cond_destroy(&log->watch);
  pthread_mutex_destroy(&log->mutex);
  free(log);
}

/* The identity is written here too: the disk may hang in that. */
static void *write_until_closed(void *argument)
{
  struct uk_log *log = argument;
  uk_log_writer_run(log);
  uk_log_mark_busy(log, true);
  uk_log_write_queued_keys(log);
  uk_log_store_save_identity(log->store, log->stage.next_topic_id, true);
  uk_log_mark_busy(log, false);
  pthread_mutex_lock(&log->mutex);
  log->ended = true;
  pthread_cond_broadcast(&log->progress);
  pthread_mutex_unlock(&log->mutex);
  return NULL;
}

static void tell_of_damaged_keys(const struct uk_log *log)
{
  char line[200];
  if (log->keys.damaged == 0 || log->notice == NULL)
    return;
  snprintf(line, sizeof line,
           "%" PRIu64
           " idempotency keys in data.mdb are damaged: whether their requests were carried "
           "out is not known any more",
           log->keys.damaged);
  log->notice(line);
}

static void tell_of_limit(const struct uk_log *log)
{
  char line[200];
  if (!uk_log_store_is_limited(log->store) || log->notice == NULL)
    return;
  snprintf(line, sizeof line,
           "the limit on the size of files (ulimit -f) allows data.mdb %zu bytes, less than "
           "map_bytes (%zu)",
           uk_log_store_map_bytes(log->store), log->map_bytes);
  log->notice(line);
}

static bool start_threads(struct uk_log *log)
{
  if (!uk_thread_start(&log->watcher, uk_log_watch_run, log))
    return false;
  log->has_threads = uk_thread_start(&log->writer, write_until_closed, log);
  if (!log->has_threads)
    uk_log_watch_stop(log);
  return log->has_threads;
}

static enum uk_error start(struct uk_log *log, const struct uk_log_options *options, char *message,
                           size_t size)
{
  enum uk_error error = uk_log_store_open(&log->store, options->directory, options->map_bytes,
                                          options->no_sync, message, size);
  if (error != UK_OK)
    return error;
  enum uk_log_status status = uk_log_load(log);
  if (status == UK_LOG_OK) {
    tell_of_limit(log);
    tell_of_damaged_keys(log);
  }
  if (status == UK_LOG_NO_MEMORY || (status == UK_LOG_OK && !start_threads(log))) {
    snprintf(message, size, "out of memory while opening the log in %s", options->directory);
    return UK_E_NO_MEMORY;
  }
  if (status != UK_LOG_OK) {
    snprintf(message, size, "the log in %s is damaged", options->directory);
    return UK_E_UNAVAILABLE;
  }
  return UK_OK;
}

enum uk_error uk_log_open(struct uk_log **log, const struct uk_log_options *options, char *message,
                          size_t size)
{
  *log = NULL;
  if (options->partitions < 1 || options->partitions > UK_PARTITIONS_MAX) {
    snprintf(message, size, "partitions is %d; expected 1 to %d", (int)options->partitions,
             (int)UK_PARTITIONS_MAX);
    return UK_E_BAD_REQUEST;
  }
  struct uk_log *made = new_log(options);
  if (made == NULL) {
    snprintf(message, size, "out of memory while opening the log in %s", options->directory);
    return UK_E_NO_MEMORY;
  }
  enum uk_error error = start(made, options, message, size);
  if (error == UK_OK)
    *log = made;
  else
    free_log(made);
  return error;
}

bool uk_log_finish(struct uk_log *log)
{
  pthread_mutex_lock(&log->mutex);
  log->closing = true;
  pthread_cond_signal(&log->arrived);
  while (log->has_threads && !log->ended && uk_log_hangs_for(log) == 0)
    uk_condition_wait(&log->progress, &log->mutex, uk_clock_monotonic() + UK_LOG_WATCH_MS);
  bool finished = !log->has_threads || log->ended;
  pthread_mutex_unlock(&log->mutex);
  if (!finished || !log->has_threads)
    return finished;
  pthread_join(log->writer, NULL);
  uk_log_watch_stop(log);
  log->has_threads = false;
  return true;
}

void uk_log_close(struct uk_log *log)
{
  if (log != NULL && uk_log_finish(log))
    free_log(log);
}

bool uk_log_creates_topics(const struct uk_log *log)
{
  return log->stage.auto_create;
}

/* False when the operation has failed: the log is closing, or the disk does not answer. */
static bool enqueue(struct uk_log *log, struct uk_operation *operation)
{
  pthread_mutex_lock(&log->mutex);
  int64_t hangs = uk_log_hangs_for(log);
  bool open = !log->closing && hangs == 0, idle = uk_list_is_empty(&log->queue);
  if (open)
    uk_list_add(&log->queue, &operation->link);
  if (open && idle)
    pthread_cond_signal(&log->arrived);
  if (hangs > 0)
    uk_log_fail_hung(operation, uk_log_is_doubtful(log, operation), hangs);
  else if (!open)
    uk_operation_fail(operation, UK_E_UNAVAILABLE, "the log is closing");
  pthread_mutex_unlock(&log->mutex);
  return open;
}

void uk_log_submit(struct uk_log *log, enum uk_log_command_kind kind,
                   struct uk_operation *operation)
{
  operation->engine_data = (void *)(uintptr_t)kind;
  if (!enqueue(log, operation))
    operation->done(operation);
}
