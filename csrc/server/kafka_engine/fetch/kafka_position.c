#include "server/kafka_engine/fetch/kafka_position.h"

#include <stdlib.h>

#include "server/kafka_engine/rd/kafka_rd.h"

static int by_place(const void *left, const void *right)
{
  const struct uk_kafka_position *a = left, *b = right;
  if (a->hash != b->hash)
    return a->hash < b->hash ? -1 : 1;
  if (a->partition != b->partition)
    return a->partition < b->partition ? -1 : 1;
  if (a->topic.length != b->topic.length)
    return a->topic.length < b->topic.length ? -1 : 1;
  int order = a->topic.length > 0 ? memcmp(a->topic.data, b->topic.data, a->topic.length) : 0;
  if (order != 0)
    return order;
  return a->offset < b->offset ? -1 : a->offset > b->offset;
}

static bool same_place(const struct uk_kafka_position *a, const struct uk_kafka_position *b)
{
  return a->hash == b->hash && a->partition == b->partition && uk_slice_equal(a->topic, b->topic);
}

bool uk_kafka_position_is_odd(int64_t offset)
{
  return offset < 0 || offset == INT64_MAX;
}

size_t uk_kafka_positions_fill(struct uk_kafka_position *positions, const struct uk_fetch *fetch)
{
  size_t count = 0;
  for (size_t i = 0; i < fetch->count; i++) {
    const struct uk_topic_partition_offset *at = &fetch->positions[i];
    positions[i] = (struct uk_kafka_position){.hash = uk_kafka_hash(at->topic, at->partition),
                                              .topic = at->topic,
                                              .partition = at->partition,
                                              .offset = at->offset,
                                              .unsure = uk_kafka_position_is_odd(at->offset)};
  }
  qsort(positions, fetch->count, sizeof *positions, by_place);
  for (size_t i = 0; i < fetch->count; i++) {
    if (count == 0 || !same_place(&positions[count - 1], &positions[i]))
      positions[count++] = positions[i];
  }
  return count;
}
