/* The rows of batches and times. */
#include <inttypes.h>
#include <stdlib.h>

#include "server/log_engine/log_check_private.h"

/* Partitions. */

static size_t place_of(const struct uk_check *check, uint64_t topic_id, int32_t index)
{
  size_t low = 0, high = check->partition_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const struct uk_check_partition *partition = &check->partitions[middle];
    if (partition->topic_id < topic_id ||
        (partition->topic_id == topic_id && partition->index < index))
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

struct uk_check_partition *uk_check_find_partition(const struct uk_check *check, uint64_t topic_id,
                                                   int32_t index)
{
  size_t at = place_of(check, topic_id, index);
  if (at == check->partition_count || check->partitions[at].topic_id != topic_id ||
      check->partitions[at].index != index)
    return NULL;
  return &check->partitions[at];
}

struct uk_check_partition *uk_check_use_partition(struct uk_check *check, uint64_t topic_id,
                                                  int32_t index)
{
  struct uk_check_partition *found = uk_check_find_partition(check, topic_id, index);
  void *array = check->partitions;
  if (found != NULL)
    return found;
  if (!uk_check_make_room(check, &array, check->partition_count, &check->partition_capacity,
                          sizeof *check->partitions))
    return NULL;
  check->partitions = array;
  size_t at = place_of(check, topic_id, index);
  found = &check->partitions[at];
  memmove(found + 1, found, (check->partition_count - at) * sizeof *found);
  check->partition_count++;
  *found = (struct uk_check_partition){
    .topic_id = topic_id, .index = index, .base = -1, .uncertain = check->lost[UK_LOG_BATCHES]};
  uk_buffer_init(&found->bases, SIZE_MAX / 2);
  return found;
}

/* Base offsets. */

static bool remember_base(struct uk_check *check, struct uk_check_partition *partition,
                          int64_t offset)
{
  uint64_t distance = (uint64_t)(offset - partition->base);
  partition->base = offset;
  for (; distance >= 0x80; distance >>= 7)
    uk_buffer_append_byte(&partition->bases, (char)(distance | 0x80));
  if (uk_buffer_append_byte(&partition->bases, (char)distance) == UK_OK)
    return true;
  uk_check_fail(check, UK_E_NO_MEMORY, "out of memory while checking the log in %s",
                check->options->directory);
  return false;
}

/* Goes to the first base offset at or after `offset`. False when that is another one. */
static bool pass_bases(struct uk_check_partition *partition, int64_t offset)
{
  const char *bytes = partition->bases.data;
  while (partition->base < offset && partition->read < partition->bases.length) {
    uint64_t distance = 0;
    unsigned shift = 0;
    for (; (bytes[partition->read] & 0x80) != 0; shift += 7)
      distance |= (uint64_t)(bytes[partition->read++] & 0x7f) << shift;
    distance |= (uint64_t)bytes[partition->read++] << shift;
    partition->base += (int64_t)distance;
  }
  return partition->base == offset;
}

/* Batches. */

/* Tells of the damaged batch that waits; it reached up to `upto`, -1 when that is not known. */
static void tell(struct uk_check *check, struct uk_check_partition *partition, int64_t upto)
{
  if (!partition->waits)
    return;
  partition->waits = false;
  if (upto < 0)
    uk_check_damaged_in(check, UK_LOG_BATCHES, partition->topic_id, partition->index,
                        "from offset %" PRId64 " on: %s", partition->damaged_at, partition->what);
  else
    uk_check_damaged_in(check, UK_LOG_BATCHES, partition->topic_id, partition->index,
                        "offsets %" PRId64 " to %" PRId64 ": %s", partition->damaged_at, upto - 1,
                        partition->what);
}

/* NULL when every record can be read, and lies within the batch. */
static const char *read_records(struct uk_check *check, const struct uk_log_place *place,
                                struct uk_slice bytes)
{
  enum uk_log_cursor_result result;
  struct uk_record record;
  if (!uk_log_cursor_open(&check->cursor, place, bytes))
    return "the checksum or the header of the batch is wrong";
  while ((result = uk_log_cursor_next(&check->cursor, &record)) == UK_LOG_CURSOR_RECORD)
    continue;
  return result == UK_LOG_CURSOR_END ? NULL : "a record of the batch cannot be read";
}

/* A damaged batch ends somewhere behind its first offset: not behind what it says, if it can still
 * be read, and what its bytes could hold. */
static int64_t end_of_damaged(const struct uk_log_place *place, struct uk_slice bytes)
{
  enum { RECORD_BYTES = 3 }; /* at least */
  struct uk_log_batch batch;
  int64_t span = (int64_t)(bytes.length / RECORD_BYTES) + 1;
  if (uk_log_batch_read(&batch, bytes) && batch.span > span)
    span = batch.span;
  return place->offset > INT64_MAX - span ? place->offset : place->offset + span;
}

static void damaged_batch(struct uk_check_partition *partition, const struct uk_log_place *place,
                          struct uk_slice bytes, const char *what)
{
  partition->waits = partition->uncertain = true;
  partition->damaged_at = place->offset;
  partition->what = what;
  int64_t end = end_of_damaged(place, bytes);
  if (end > partition->least_end)
    partition->least_end = end;
}

/* What a whole batch should follow, and does not. */
static void compare_with_last(struct uk_check *check, const struct uk_check_partition *partition,
                              const struct uk_log_place *place, bool told)
{
  const struct uk_log_batch *batch = &check->cursor.batch;
  if (!partition->has_batch)
    return;
  bool missing = place->offset > partition->end;
  if (missing && !told)
    uk_check_damaged_in(check, UK_LOG_BATCHES, place->topic_id, place->partition,
                        "offsets %" PRId64 " to %" PRId64 ": missing", partition->end,
                        place->offset - 1);
  if (missing ? batch->position < partition->position : batch->position != partition->position)
    uk_check_damaged_in(check, UK_LOG_BATCHES, place->topic_id, place->partition,
                        "offset %" PRId64 ": the batch's position is %" PRIu64 ", not %" PRIu64,
                        place->offset, batch->position, partition->position);
}

static void whole_batch(struct uk_check *check, struct uk_check_partition *partition,
                        const struct uk_log_place *place, struct uk_slice bytes)
{
  const struct uk_log_batch *batch = &check->cursor.batch;
  bool told = partition->waits;
  tell(check, partition, place->offset);
  compare_with_last(check, partition, place, told);
  if (batch->life > check->meta.life && !check->lost[UK_LOG_LIVES])
    uk_check_damaged_in(check, UK_LOG_BATCHES, place->topic_id, place->partition,
                        "offset %" PRId64 ": is of life %u, which the log did not have",
                        place->offset, (unsigned)batch->life);
  if (!remember_base(check, partition, place->offset))
    return;
  if (!partition->has_batch)
    partition->first = place->offset;
  partition->has_batch = true;
  partition->uncertain = check->lost[UK_LOG_BATCHES];
  partition->end = partition->least_end = place->offset + batch->span;
  partition->position = batch->position + bytes.length; /* nothing follows a marker */
  check->result->batches += batch->span > 0;
  check->result->records += batch->count;
}

/* Copies the batch that was found whole. */
static void copy_batch(struct uk_check *check, const struct uk_log_place *place,
                       struct uk_slice bytes)
{
  struct uk_log_topic *topic;
  if (check->salvage == NULL || check->error != UK_OK)
    return;
  uk_check_owner(check, place->topic_id, &topic);
  if (topic != NULL)
    uk_log_salvage_batch(check->salvage, &topic->partitions[place->partition], place,
                         &check->cursor.batch, bytes);
}

/* False when the row does not belong to a partition, which is then told. */
static bool has_owner(struct uk_check *check, enum uk_log_table table, uint64_t topic_id,
                      int32_t partition)
{
  struct uk_log_topic *topic;
  enum uk_check_owner owner = uk_check_owner(check, topic_id, &topic);
  if (owner == UK_CHECK_DELETED) {
    check->orphans++;
    return false;
  }
  bool possible = partition >= 0 && partition < UK_PARTITIONS_MAX;
  if (possible && (owner == UK_CHECK_LOST || (topic != NULL && topic->damaged)) &&
      check->salvage != NULL)
    return uk_check_revive(check, topic_id, partition) != NULL;
  if (possible && (topic == NULL || partition < topic->partition_count))
    return true;
  uk_check_damaged_in(check, table, topic_id, partition, "a row: there is no such partition");
  return false;
}

void uk_check_batch(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  const struct uk_slice bytes = uk_slice_of(value->mv_data, value->mv_size);
  if (key->mv_size != UK_LOG_KEY) {
    uk_check_damaged(check, UK_LOG_BATCHES, "a row has an impossible key");
    return;
  }
  const struct uk_log_place place = uk_log_key_place(key);
  if (!has_owner(check, UK_LOG_BATCHES, place.topic_id, place.partition))
    return;
  struct uk_check_partition *partition =
    uk_check_use_partition(check, place.topic_id, place.partition);
  if (partition == NULL)
    return;
  const char *what = read_records(check, &place, bytes);
  if (what == NULL && partition->has_batch && place.offset < partition->end)
    what = "the batch has offsets of the one before it";
  if (what == NULL) {
    whole_batch(check, partition, &place, bytes);
    copy_batch(check, &place, bytes);
    return;
  }
  tell(check, partition, place.offset);
  if (place.offset >= 0)
    damaged_batch(partition, &place, bytes, what);
  else
    uk_check_damaged_in(check, UK_LOG_BATCHES, place.topic_id, place.partition, "%s", what);
}

void uk_check_batches_end(struct uk_check *check)
{
  for (size_t i = 0; i < check->partition_count; i++) {
    tell(check, &check->partitions[i], -1);
    check->partitions[i].base = -1;
  }
}

/* Times. */

/* The first entry may name a batch that retention has removed, and the last ones a damaged batch at
 * the end, which is told already. */
static void compare_time(struct uk_check *check, struct uk_check_partition *partition,
                         int64_t offset)
{
  bool removed = offset < partition->first;
  bool known = offset >= partition->end && offset < partition->least_end;
  if (!removed && !pass_bases(partition, offset) && !known && !check->lost[UK_LOG_BATCHES])
    uk_check_damaged_in(check, UK_LOG_TIMES, partition->topic_id, partition->index,
                        "offset %" PRId64 ": a row names a batch that is missing or damaged",
                        offset);
  if (offset >= partition->least_end) {
    partition->uncertain = true;
    partition->least_end = offset + 1;
  }
}

void uk_check_time(struct uk_check *check, const MDB_val *key, const MDB_val *value)
{
  uint64_t offset;
  if (key->mv_size != UK_LOG_KEY) {
    uk_check_damaged(check, UK_LOG_TIMES, "a row has an impossible key");
    return;
  }
  const struct uk_log_place place = uk_log_key_place(key);
  if (!has_owner(check, UK_LOG_TIMES, place.topic_id, place.partition))
    return;
  if (!uk_log_row_number(&check->meta, key, value, &offset) || offset >= INT64_MAX) {
    uk_check_damaged_in(check, UK_LOG_TIMES, place.topic_id, place.partition, "a row is damaged");
    return;
  }
  struct uk_check_partition *partition =
    uk_check_use_partition(check, place.topic_id, place.partition);
  if (partition != NULL)
    compare_time(check, partition, (int64_t)offset);
}

/* Now the ends are known, as far as batches and times tell. */
void uk_check_times_end(struct uk_check *check)
{
  struct uk_log_topic *topic;
  for (size_t i = 0; check->salvage != NULL && i < check->partition_count; i++) {
    const struct uk_check_partition *partition = &check->partitions[i];
    uk_check_owner(check, partition->topic_id, &topic);
    if (topic != NULL)
      uk_log_salvage_end(check->salvage, &topic->partitions[partition->index],
                         partition->least_end);
  }
}
