#include "server/kafka_engine/cluster/kafka_places.h"

#include <stddef.h>

#define PLACES_OF(items, items_count, type)                                                        \
  (struct uk_kafka_places)                                                                         \
  {                                                                                                \
    .first = (items), .count = (items_count), .stride = sizeof(type),                              \
    .topic = offsetof(type, topic), .partition = offsetof(type, partition)                         \
  }

struct uk_kafka_places uk_kafka_places_of_offsets(const struct uk_topic_partition_offset *offsets,
                                                  size_t count)
{
  return PLACES_OF(offsets, count, struct uk_topic_partition_offset);
}

struct uk_kafka_places uk_kafka_places_of_records(const struct uk_record *records, size_t count)
{
  return PLACES_OF(records, count, struct uk_record);
}

struct uk_kafka_places uk_kafka_places_of_topics(const struct uk_slice *topics, size_t count)
{
  return (struct uk_kafka_places){
    .first = topics, .count = count, .stride = sizeof *topics, .any_partition = true};
}

static const char *item_at(const struct uk_kafka_places *places, size_t index)
{
  return (const char *)places->first + index * places->stride;
}

struct uk_slice uk_kafka_places_topic(const struct uk_kafka_places *places, size_t index)
{
  return *(const struct uk_slice *)(const void *)(item_at(places, index) + places->topic);
}

int32_t uk_kafka_places_partition(const struct uk_kafka_places *places, size_t index)
{
  if (places->any_partition)
    return -1;
  return *(const int32_t *)(const void *)(item_at(places, index) + places->partition);
}
