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

static enum uk_error error_of(enum uk_log_status status)
{
  static const enum uk_error errors[] = {
    [UK_LOG_OK] = UK_OK,
    [UK_LOG_NOTHING] = UK_OK,
    [UK_LOG_FULL] = UK_E_UNAVAILABLE,
    [UK_LOG_DISK_FULL] = UK_E_UNAVAILABLE,
    [UK_LOG_NO_MEMORY] = UK_E_NO_MEMORY,
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
  if (!uk_log_cursor_open(cursor, found->batch))
    return UK_E_INTERNAL;
  for (int64_t at = found->offset; uk_log_cursor_next(cursor, &record) == UK_LOG_CURSOR_RECORD;
       at++) {
    if (record.timestamp >= timestamp) {
      *offset = at;
      return UK_OK;
    }
  }
  return UK_E_INTERNAL;
}

enum uk_error uk_log_offset_for_time(struct uk_log *log, struct uk_slice topic, int32_t partition,
                                     int64_t timestamp, int64_t *offset)
{
  struct uk_log_bounds bounds;
  struct uk_log_found found;
  enum uk_log_status status;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds) || !bounds.exists)
    return UK_E_NOT_FOUND;
  struct uk_log_view *view = uk_log_view_begin(log->store, &status);
  if (view == NULL)
    return error_of(status);
  *offset = bounds.end;
  status = uk_log_view_find_time(view, bounds.topic_id, partition, timestamp, &found);
  enum uk_error error = error_of(status);
  if (status == UK_LOG_OK)
    error = find_in_batch(uk_log_view_cursor(view), &found, timestamp, offset);
  uk_log_view_end(view);
  if (*offset > bounds.end)
    *offset = bounds.end;
  return error;
}

enum uk_error uk_log_committed(struct uk_log *log, struct uk_slice group, struct uk_slice topic,
                               int32_t partition, int64_t *offset)
{
  struct uk_log_bounds bounds;
  enum uk_log_status status;
  if (!uk_log_topics_look_up(&log->topics, topic, partition, &bounds) || !bounds.exists)
    return UK_E_NOT_FOUND;
  struct uk_log_view *view = uk_log_view_begin(log->store, &status);
  if (view == NULL)
    return error_of(status);
  *offset = -1;
  status = uk_log_view_committed(view, bounds.topic_id, partition, group, offset);
  uk_log_view_end(view);
  return error_of(status);
}

/* Reading records. */

struct reading {
  struct uk_slice topic;
  int32_t partition;
  int64_t end; /* what was published when the reading began */
  struct uk_operation *operation;
  const struct uk_sink *sink;
  int64_t *next;
  bool *full;
  bool *handed; /* the sink took a record */
};

static bool damaged(const struct reading *reading, const struct uk_log_found *found)
{
  uk_operation_fail(reading->operation, UK_E_INTERNAL,
                    "the batch at offset %" PRId64 " of topic \"%.*s\" partition %d is damaged",
                    found->offset, (int)reading->topic.length, reading->topic.data,
                    (int)reading->partition);
  return false;
}

/* False when the batch is damaged. */
static bool read_batch(const struct reading *reading, struct uk_log_cursor *cursor,
                       const struct uk_log_found *found)
{
  struct uk_record record = {.topic = reading->topic, .partition = reading->partition};
  enum uk_log_cursor_result result;
  if (*reading->next < found->offset)
    *reading->next = found->offset;
  if (!uk_log_cursor_open(cursor, found->batch) ||
      !uk_log_cursor_skip(cursor, (uint64_t)(*reading->next - found->offset)))
    return damaged(reading, found);
  while (*reading->next < reading->end &&
         (result = uk_log_cursor_next(cursor, &record)) != UK_LOG_CURSOR_END) {
    if (result == UK_LOG_CURSOR_DAMAGED)
      return damaged(reading, found);
    record.offset = *reading->next;
    if (!reading->sink->record(reading->operation, &record)) {
      *reading->full = true;
      return true;
    }
    ++*reading->next;
    *reading->handed = true;
  }
  return true;
}

static enum uk_error read_batches(const struct reading *reading, struct uk_log_view *view,
                                  uint64_t topic_id)
{
  struct uk_log_found found;
  enum uk_log_status status =
    uk_log_view_find(view, topic_id, reading->partition, *reading->next, &found);
  while (status == UK_LOG_OK) {
    if (!read_batch(reading, uk_log_view_cursor(view), &found))
      return reading->operation->error;
    if (*reading->full || *reading->next >= reading->end)
      return UK_OK;
    status = uk_log_view_next(view, &found);
  }
  if (error_of(status) != UK_OK)
    uk_operation_fail(reading->operation, error_of(status), "%s", "");
  return error_of(status);
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
  if (view == NULL) {
    uk_operation_fail(operation, error_of(status), "%s", "");
    return error_of(status);
  }
  const struct reading reading = {topic, partition, bounds.end, operation,
                                  sink,  next,      full,       &handed};
  enum uk_error error = read_batches(&reading, view, bounds.topic_id);
  uk_log_view_end(view);
  if (error == UK_OK || !handed)
    return error;
  operation->error = UK_OK;
  operation->message[0] = '\0';
  return UK_OK;
}
