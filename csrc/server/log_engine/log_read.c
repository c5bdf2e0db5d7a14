#include <inttypes.h>

#include "server/log_engine/log_private.h"

int32_t uk_log_partitions(struct uk_log *log, struct uk_slice topic, uint64_t *topic_id)
{
  struct uk_log_bounds bounds;
  if (!uk_log_topics_look_up(&log->topics, topic, 0, &bounds))
    return 0;
  *topic_id = bounds.topic_id;
  return bounds.partitions;
}

void uk_log_each_topic(struct uk_log *log,
                       void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                       void *argument)
{
  uk_log_topics_each(&log->topics, each, argument);
}

int32_t uk_log_find_partition(struct uk_log *log, struct uk_slice topic, int32_t partition,
                              int64_t *first, int64_t *end)
{
  struct uk_log_bounds bounds;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds))
    return 0;
  *first = bounds.first;
  *end = bounds.end;
  return bounds.partitions;
}

bool uk_log_bounds(struct uk_log *log, struct uk_slice topic, int32_t partition, int64_t *first,
                   int64_t *end)
{
  int32_t partitions = uk_log_find_partition(log, topic, partition, first, end);
  return partition >= 0 && partition < partitions;
}

bool uk_log_is_damaged(struct uk_log *log, struct uk_slice topic, int32_t partition,
                       struct uk_operation *operation)
{
  struct uk_log_bounds bounds;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds) || !bounds.damaged)
    return false;
  if (bounds.partitions == 0)
    uk_operation_fail(operation, UK_E_INTERNAL, UK_LOG_DAMAGED_TOPIC, (int)topic.length,
                      topic.data);
  else
    uk_operation_fail(operation, UK_E_INTERNAL, UK_LOG_DAMAGED_END, (int)topic.length, topic.data,
                      (int)partition);
  return true;
}

static enum uk_error error_of(enum uk_log_status status)
{
  static const enum uk_error errors[] = {
    [UK_LOG_OK] = UK_OK,
    [UK_LOG_NOTHING] = UK_OK,
    [UK_LOG_FULL] = UK_E_UNAVAILABLE,
    [UK_LOG_DISK_FULL] = UK_E_UNAVAILABLE,
    [UK_LOG_NO_MEMORY] = UK_E_NO_MEMORY,
    [UK_LOG_DAMAGED] = UK_E_INTERNAL,
    [UK_LOG_FAILED] = UK_E_UNAVAILABLE,
    [UK_LOG_UNCERTAIN] = UK_E_UNAVAILABLE, /* only of a commit */
  };
  return errors[status];
}

/* Finds the first offset of the batch at or after the timestamp. */
static enum uk_error find_in_batch(struct uk_log_cursor *cursor, const struct uk_log_found *found,
                                   int64_t timestamp, int64_t *offset)
{
  struct uk_record record;
  if (!uk_log_cursor_open(cursor, &found->place, found->batch))
    return UK_E_INTERNAL;
  while (uk_log_cursor_next(cursor, &record) == UK_LOG_CURSOR_RECORD) {
    if (record.timestamp >= timestamp) {
      *offset = record.offset;
      return UK_OK;
    }
  }
  return UK_E_INTERNAL;
}

/* A look-up in a partition, and what it found. */
struct look_up {
  uint64_t topic_id;
  int32_t partition;
  int64_t timestamp;
  struct uk_slice group;
  int64_t offset;
  enum uk_error error;
};

static void look_up_time(struct uk_log_view *view, void *argument)
{
  struct look_up *look = argument;
  struct uk_log_found found;
  enum uk_log_status status =
    uk_log_view_find_time(view, look->topic_id, look->partition, look->timestamp, &found);
  look->error = error_of(status);
  if (status == UK_LOG_OK)
    look->error = find_in_batch(uk_log_view_cursor(view), &found, look->timestamp, &look->offset);
}

static void look_up_committed(struct uk_log_view *view, void *argument)
{
  struct look_up *look = argument;
  look->error = error_of(
    uk_log_view_committed(view, look->topic_id, look->partition, look->group, &look->offset));
}

static enum uk_error run_look_up(struct uk_log *log, struct look_up *look,
                                 void (*step)(struct uk_log_view *view, void *argument))
{
  enum uk_log_status status;
  struct uk_log_view *view = uk_log_view_begin(log->store, &status);
  if (view == NULL)
    return error_of(status);
  status = uk_log_view_run(view, step, look);
  uk_log_view_end(view);
  return status == UK_LOG_OK ? look->error : error_of(status);
}

enum uk_error uk_log_offset_for_time(struct uk_log *log, struct uk_slice topic, int32_t partition,
                                     int64_t timestamp, int64_t *offset)
{
  struct uk_log_bounds bounds;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds) || !bounds.exists)
    return UK_E_NOT_FOUND;
  struct look_up look = {.topic_id = bounds.topic_id,
                         .partition = partition,
                         .timestamp = timestamp,
                         .offset = bounds.end};
  enum uk_error error = run_look_up(log, &look, look_up_time);
  *offset = look.offset > bounds.end ? bounds.end : look.offset;
  return error;
}

enum uk_error uk_log_committed(struct uk_log *log, struct uk_slice group, struct uk_slice topic,
                               int32_t partition, int64_t *offset)
{
  struct uk_log_bounds bounds;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds) || !bounds.exists)
    return UK_E_NOT_FOUND;
  struct look_up look = {
    .topic_id = bounds.topic_id, .partition = partition, .group = group, .offset = -1};
  enum uk_error error = run_look_up(log, &look, look_up_committed);
  *offset = look.offset;
  return error;
}

/* Reading records. */

struct reading {
  struct uk_log *log;
  struct uk_slice topic;
  int32_t partition;
  uint64_t topic_id;
  int64_t end; /* what was published when the reading began */
  struct uk_operation *operation;
  const struct uk_sink *sink;
  int64_t *next;
  bool *full;
  bool *handed; /* the sink took a record */
};

/* Says which offsets are lost, and where reading can continue. `found` is then the next batch. */
static bool damaged(const struct reading *reading, struct uk_log_view *view,
                    struct uk_log_found *found)
{
  int64_t first = found->place.offset;
  if (uk_log_view_next(view, found) == UK_LOG_OK)
    uk_operation_fail(reading->operation, UK_E_INTERNAL,
                      "the batch of offsets %" PRId64 " to %" PRId64
                      " of topic \"%.*s\" partition %d is damaged; reading can continue at offset "
                      "%" PRId64,
                      first, found->place.offset - 1, (int)reading->topic.length,
                      reading->topic.data, (int)reading->partition, found->place.offset);
  else
    uk_operation_fail(reading->operation, UK_E_INTERNAL,
                      "the last batch of topic \"%.*s\" partition %d is damaged, from offset "
                      "%" PRId64 " on",
                      (int)reading->topic.length, reading->topic.data, (int)reading->partition,
                      first);
  return false;
}

/* Offsets follow each other from batch to batch: those up to `upto` are missing, unless retention
 * or a deletion has removed them since the reading began. False when they are damage. */
static bool may_be_missing(const struct reading *reading, int64_t upto)
{
  struct uk_log_bounds bounds;
  if (!uk_log_topics_look_up(&reading->log->topics, reading->topic, reading->partition, &bounds) ||
      bounds.topic_id != reading->topic_id || bounds.first > *reading->next ||
      bounds.gone > *reading->next)
    return true;
  uk_operation_fail(reading->operation, UK_E_INTERNAL,
                    "the log is damaged: offsets %" PRId64 " to %" PRId64
                    " of topic \"%.*s\" partition %d are missing; reading can continue at offset "
                    "%" PRId64,
                    *reading->next, upto - 1, (int)reading->topic.length, reading->topic.data,
                    (int)reading->partition, upto);
  return false;
}

/* False when the batch is damaged. */
static bool read_batch(const struct reading *reading, struct uk_log_view *view,
                       struct uk_log_found *found)
{
  struct uk_log_cursor *cursor = uk_log_view_cursor(view);
  struct uk_record record = {.topic = reading->topic, .partition = reading->partition};
  enum uk_log_cursor_result result;
  if (*reading->next < found->place.offset)
    *reading->next = found->place.offset;
  if (!uk_log_cursor_open(cursor, &found->place, found->batch) ||
      !uk_log_cursor_seek(cursor, *reading->next))
    return damaged(reading, view, found);
  while ((result = uk_log_cursor_next(cursor, &record)) == UK_LOG_CURSOR_RECORD &&
         record.offset < reading->end) {
    *reading->next = record.offset;
    if (!reading->sink->record(reading->operation, &record)) {
      *reading->full = true;
      return true;
    }
    ++*reading->next;
    *reading->handed = true;
  }
  if (result == UK_LOG_CURSOR_DAMAGED)
    return damaged(reading, view, found);
  *reading->next = cursor->limit < reading->end ? cursor->limit : reading->end;
  return true;
}

static enum uk_error read_batches(const struct reading *reading, struct uk_log_view *view)
{
  struct uk_log_found found;
  enum uk_log_status status =
    uk_log_view_find(view, reading->topic_id, reading->partition, *reading->next, &found);
  while (status == UK_LOG_OK && found.place.offset < reading->end) {
    if ((found.place.offset > *reading->next && !may_be_missing(reading, found.place.offset)) ||
        !read_batch(reading, view, &found))
      return reading->operation->error;
    if (*reading->full || *reading->next >= reading->end)
      return UK_OK;
    status = uk_log_view_next(view, &found);
  }
  if (error_of(status) != UK_OK)
    return uk_log_fail_read(reading->log, reading->operation, error_of(status));
  return may_be_missing(reading, reading->end) ? UK_OK : reading->operation->error;
}

struct read_step {
  const struct reading *reading;
  enum uk_error error;
};

static void read_step(struct uk_log_view *view, void *argument)
{
  struct read_step *step = argument;
  step->error = read_batches(step->reading, view);
}

enum uk_error uk_log_read(struct uk_log *log, struct uk_slice topic, int32_t partition,
                          int64_t offset, struct uk_operation *operation,
                          const struct uk_sink *sink, int64_t *next, bool *full)
{
  struct uk_log_bounds bounds;
  enum uk_log_status status;
  bool handed = false;
  *next = offset;
  *full = false;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds) || !bounds.exists) {
    uk_operation_fail(operation, UK_E_NOT_FOUND, "topic \"%.*s\" has no partition %d",
                      (int)topic.length, topic.data, (int)partition);
    return UK_E_NOT_FOUND;
  }
  if (*next < bounds.first)
    *next = bounds.first;
  if (*next >= bounds.end)
    return UK_OK;
  struct uk_log_view *view = uk_log_view_begin(log->store, &status);
  if (view == NULL)
    return uk_log_fail_read(log, operation, error_of(status));
  const struct reading reading = {
    .log = log,
    .topic = topic,
    .partition = partition,
    .topic_id = bounds.topic_id,
    .end = bounds.end,
    .operation = operation,
    .sink = sink,
    .next = next,
    .full = full,
    .handed = &handed,
  };
  struct read_step step = {&reading, UK_OK};
  status = uk_log_view_run(view, read_step, &step);
  uk_log_view_end(view);
  enum uk_error error =
    status == UK_LOG_OK ? step.error : uk_log_fail_read(log, operation, error_of(status));
  if (error == UK_OK || !handed)
    return error;
  operation->error = UK_OK;
  operation->message[0] = '\0';
  return UK_OK;
}
