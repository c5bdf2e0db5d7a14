/* murmur2: the hash that Kafka's default partitioner applies to keys. */
#ifndef UK_MURMUR2_H
#define UK_MURMUR2_H

#include <stdint.h>

#include "common/slice.h"

int32_t uk_murmur2(struct uk_slice key);

/* The key's partition out of `partitions` (>= 1); every Kafka client computes the same. */
int32_t uk_murmur2_partition(struct uk_slice key, int32_t partitions);

#endif
