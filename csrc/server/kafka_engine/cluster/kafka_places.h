/* kafka_places: the topics and partitions that an operation names, whatever array it names them
 * in. */
#ifndef UK_KAFKA_PLACES_H
#define UK_KAFKA_PLACES_H

#include "server/engine/engine.h"

struct uk_kafka_places {
  const void *first; /* the first item of the operation's array */
  size_t count, stride;
  size_t topic, partition; /* their offsets in an item */
  bool any_partition;      /* items name no partition */
};

struct uk_kafka_places uk_kafka_places_of_offsets(const struct uk_topic_partition_offset *offsets,
                                                  size_t count);
struct uk_kafka_places uk_kafka_places_of_records(const struct uk_record *records, size_t count);
struct uk_kafka_places uk_kafka_places_of_topics(const struct uk_slice *topics, size_t count);

struct uk_slice uk_kafka_places_topic(const struct uk_kafka_places *places, size_t index);
/* Negative: any partition. */
int32_t uk_kafka_places_partition(const struct uk_kafka_places *places, size_t index);

#endif
