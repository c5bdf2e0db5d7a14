/* murmur2: the hash by which Kafka's default partitioner finds the partition of a key. */
#ifndef UK_MURMUR2_H
#define UK_MURMUR2_H

#include <stdint.h>

#include "common/slice.h"

int32_t uk_murmur2(struct uk_slice key);

/* The partition of a key among `partitions` (>= 1), as every Kafka client computes it. */
int32_t uk_murmur2_partition(struct uk_slice key, int32_t partitions);

#endif
