#include "server/kafka_engine/fetch/kafka_tail_cache.h"

#include <stdlib.h>

struct uk_kafka_cached_record {
  struct uk_link link;
  size_t size;
  struct uk_record record;
  struct uk_record_header headers[]; /* followed by the bytes */
};

void uk_kafka_tail_cache_init(struct uk_kafka_tail_cache *tail, int64_t end)
{
  *tail = (struct uk_kafka_tail_cache){.from = end, .end = end};
}

static struct uk_kafka_cached_record *first_of(const struct uk_kafka_tail_cache *tail)
{
  return UK_LIST_FIRST(&tail->records, struct uk_kafka_cached_record, link);
}

static void drop_first(struct uk_kafka_tail_cache *tail)
{
  struct uk_kafka_cached_record *dropped = first_of(tail);
  uk_list_remove(&dropped->link);
  tail->bytes -= dropped->size;
  tail->from = dropped->record.offset + 1;
  free(dropped);
}

void uk_kafka_tail_cache_clear(struct uk_kafka_tail_cache *tail)
{
  while (!uk_list_is_empty(&tail->records))
    drop_first(tail);
  tail->from = tail->end;
}

static size_t size_of(const struct uk_record *record)
{
  size_t size = sizeof(struct uk_kafka_cached_record) + record->topic.length + record->key.length +
                record->value.length;
  for (size_t i = 0; i < record->header_count; i++)
    size +=
      sizeof record->headers[i] + record->headers[i].key.length + record->headers[i].value.length;
  return size;
}

static struct uk_slice copy(char **at, struct uk_slice bytes)
{
  struct uk_slice copied = uk_slice_of(*at, bytes.length);
  if (bytes.length > 0)
    memcpy(*at, bytes.data, bytes.length);
  *at += bytes.length;
  return copied;
}

static struct uk_kafka_cached_record *copy_record(const struct uk_record *record, size_t size)
{
  struct uk_kafka_cached_record *made = malloc(size);
  if (made == NULL)
    return NULL;
  char *at = (char *)(made->headers + record->header_count);
  *made = (struct uk_kafka_cached_record){.size = size, .record = *record};
  made->record.headers = made->headers;
  made->record.topic = copy(&at, record->topic);
  made->record.key = copy(&at, record->key);
  made->record.value = copy(&at, record->value);
  for (size_t i = 0; i < record->header_count; i++) {
    made->headers[i].key = copy(&at, record->headers[i].key);
    made->headers[i].value = copy(&at, record->headers[i].value);
  }
  return made;
}

void uk_kafka_tail_cache_add(struct uk_kafka_tail_cache *tail, const struct uk_record *record,
                             size_t most)
{
  size_t size = size_of(record);
  struct uk_kafka_cached_record *made = size <= most ? copy_record(record, size) : NULL;
  tail->end = record->offset + 1;
  if (made == NULL) {
    uk_kafka_tail_cache_clear(tail);
    return;
  }
  uk_list_add(&tail->records, &made->link);
  tail->bytes += size;
  while (tail->bytes > most)
    drop_first(tail);
}

bool uk_kafka_tail_cache_has(const struct uk_kafka_tail_cache *tail, int64_t offset)
{
  const struct uk_kafka_cached_record *last =
    UK_LIST_LAST(&tail->records, struct uk_kafka_cached_record, link);
  return last != NULL && last->record.offset >= offset;
}

void uk_kafka_tail_cache_each(const struct uk_kafka_tail_cache *tail, int64_t offset,
                              bool (*give)(void *argument, const struct uk_record *record),
                              void *argument)
{
  const struct uk_kafka_cached_record *each = first_of(tail);
  while (each != NULL && (each->record.offset < offset || give(argument, &each->record)))
    each = UK_LIST_NEXT(&tail->records, each, struct uk_kafka_cached_record, link);
}
