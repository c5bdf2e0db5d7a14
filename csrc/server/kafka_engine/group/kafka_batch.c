#include "server/kafka_engine/group/kafka_batch.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM_LEAST = 4096, PARTITIONS_LEAST = 4 };

/* Before the bytes of a record: its headers, each with its lengths, its key and its value. Not
 * aligned. */
struct kept {
  int64_t offset, timestamp;
  size_t partition, header_count, key_length, value_length;
  bool has_key, has_value;
};

struct kept_header {
  size_t key_length, value_length;
};

/* Room. */

static size_t payload_of(const struct uk_record *record)
{
  size_t size = record->key.length + record->value.length;
  for (size_t i = 0; i < record->header_count; i++)
    size += record->headers[i].key.length + record->headers[i].value.length;
  return size;
}

static bool make_room(struct uk_kafka_batch *batch, size_t needed)
{
  size_t room = batch->room < ROOM_LEAST ? ROOM_LEAST : batch->room;
  while (room < needed)
    room *= 2;
  if (room == batch->room)
    return true;
  char *bytes = realloc(batch->bytes, room);
  if (bytes == NULL)
    return false;
  batch->bytes = bytes;
  batch->room = room;
  return true;
}

static bool make_header_room(struct uk_kafka_batch *batch, size_t count)
{
  if (count <= batch->header_room)
    return true;
  struct uk_record_header *headers = realloc(batch->headers, count * sizeof *headers);
  if (headers == NULL)
    return false;
  batch->headers = headers;
  batch->header_room = count;
  return true;
}

/* Partitions. */

static bool is_of(const struct uk_kafka_batch_partition *partition, const struct uk_record *record)
{
  return partition->number == record->partition &&
         uk_slice_is(record->topic, partition->topic.text);
}

/* The index of the record's partition: mostly that of the record before. The count: it is new. */
static size_t find_partition(const struct uk_kafka_batch *batch, const struct uk_record *record,
                             size_t likely)
{
  size_t i = 0;
  if (likely < batch->partition_count && is_of(&batch->partitions[likely], record))
    return likely;
  while (i < batch->partition_count && !is_of(&batch->partitions[i], record))
    i++;
  return i;
}

/* False: memory is out. */
static bool add_partition(struct uk_kafka_batch *batch, const struct uk_record *record)
{
  if (batch->partition_count == batch->partition_room) {
    size_t room = batch->partition_room * 2 + PARTITIONS_LEAST;
    struct uk_kafka_batch_partition *partitions =
      realloc(batch->partitions, room * sizeof *partitions);
    if (partitions == NULL)
      return false;
    batch->partitions = partitions;
    batch->partition_room = room;
  }
  batch->partitions[batch->partition_count++] =
    (struct uk_kafka_batch_partition){.topic = uk_kafka_name(record->topic),
                                      .number = record->partition,
                                      .last = UK_KAFKA_BATCH_NO_RECORD};
  return true;
}

static size_t last_partition(const struct uk_kafka_batch *batch)
{
  struct kept kept = {.partition = 0};
  if (batch->length > 0)
    memcpy(&kept, batch->bytes + batch->last, sizeof kept);
  return kept.partition;
}

/* Writing. */

static void append(struct uk_kafka_batch *batch, const void *bytes, size_t length)
{
  if (length > 0)
    memcpy(batch->bytes + batch->length, bytes, length);
  batch->length += length;
}

static void append_record(struct uk_kafka_batch *batch, const struct uk_record *record,
                          size_t partition)
{
  const struct kept kept = {.offset = record->offset,
                            .timestamp = record->timestamp,
                            .partition = partition,
                            .header_count = record->header_count,
                            .key_length = record->key.length,
                            .value_length = record->value.length,
                            .has_key = record->has_key,
                            .has_value = record->has_value};
  append(batch, &kept, sizeof kept);
  for (size_t i = 0; i < record->header_count; i++) {
    const struct uk_record_header *header = &record->headers[i];
    const struct kept_header lengths = {header->key.length, header->value.length};
    append(batch, &lengths, sizeof lengths);
    append(batch, header->key.data, header->key.length);
    append(batch, header->value.data, header->value.length);
  }
  append(batch, record->key.data, record->key.length);
  append(batch, record->value.data, record->value.length);
}

bool uk_kafka_batch_add(struct uk_kafka_batch *batch, const struct uk_record *record,
                        int64_t prefetch_bytes)
{
  size_t payload = payload_of(record);
  size_t size = sizeof(struct kept) + record->header_count * sizeof(struct kept_header) + payload;
  size_t partition = find_partition(batch, record, last_partition(batch));
  if (batch->length > 0 && batch->kept + payload > (size_t)prefetch_bytes)
    return false;
  if (!make_room(batch, batch->length + size) || !make_header_room(batch, record->header_count) ||
      (partition == batch->partition_count && !add_partition(batch, record)))
    return false;
  batch->last = batch->length;
  batch->last_kept = batch->kept;
  batch->last_before = batch->partitions[partition].last;
  batch->partitions[partition].last = batch->length;
  append_record(batch, record, partition);
  batch->kept += payload;
  return true;
}

void uk_kafka_batch_drop_last(struct uk_kafka_batch *batch)
{
  batch->partitions[last_partition(batch)].last = batch->last_before;
  batch->length = batch->last;
  batch->kept = batch->last_kept;
}

/* Reading. */

static struct uk_slice take(const struct uk_kafka_batch *batch, size_t *at, size_t length)
{
  struct uk_slice slice = uk_slice_of(batch->bytes + *at, length);
  *at += length;
  return slice;
}

const struct uk_kafka_batch_partition *uk_kafka_batch_next(const struct uk_kafka_batch *batch,
                                                           size_t *at, struct uk_record *record)
{
  struct kept kept;
  struct kept_header lengths;
  if (*at == batch->length)
    return NULL;
  memcpy(&kept, take(batch, at, sizeof kept).data, sizeof kept);
  const struct uk_kafka_batch_partition *partition = &batch->partitions[kept.partition];
  for (size_t i = 0; i < kept.header_count; i++) {
    memcpy(&lengths, take(batch, at, sizeof lengths).data, sizeof lengths);
    batch->headers[i].key = take(batch, at, lengths.key_length);
    batch->headers[i].value = take(batch, at, lengths.value_length);
  }
  *record = (struct uk_record){.topic = uk_slice_text(partition->topic.text),
                               .partition = partition->number,
                               .offset = kept.offset,
                               .timestamp = kept.timestamp,
                               .has_key = kept.has_key,
                               .has_value = kept.has_value,
                               .headers = batch->headers,
                               .header_count = kept.header_count};
  record->key = take(batch, at, kept.key_length);
  record->value = take(batch, at, kept.value_length);
  return partition;
}

struct uk_record_mark uk_kafka_batch_mark(const struct uk_kafka_batch *batch, const char *topic,
                                          int32_t partition, int64_t offset)
{
  const struct uk_kafka_batch_partition *of;
  struct uk_record record;
  size_t at = 0;
  while ((of = uk_kafka_batch_next(batch, &at, &record)) != NULL) {
    if (record.offset == offset && of->number == partition && strcmp(of->topic.text, topic) == 0)
      return uk_record_mark_of(&record);
  }
  return (struct uk_record_mark){.known = false};
}

bool uk_kafka_batch_last(const struct uk_kafka_batch *batch,
                         const struct uk_kafka_batch_partition *partition, struct uk_record *record)
{
  size_t at = partition->last;
  if (at == UK_KAFKA_BATCH_NO_RECORD)
    return false;
  (void)uk_kafka_batch_next(batch, &at, record);
  return true;
}

void uk_kafka_batch_clear(struct uk_kafka_batch *batch)
{
  batch->partition_count = 0;
  batch->length = batch->kept = batch->last = batch->last_kept = 0;
}

void uk_kafka_batch_free(struct uk_kafka_batch *batch)
{
  free(batch->partitions);
  free(batch->headers);
  free(batch->bytes);
  *batch = (struct uk_kafka_batch){.length = 0};
}
