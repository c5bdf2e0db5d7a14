#include "server/engine/murmur2.h"

static uint32_t load_little(const uint8_t *in)
{
  return (uint32_t)in[0] | (uint32_t)in[1] << 8 | (uint32_t)in[2] << 16 | (uint32_t)in[3] << 24;
}

int32_t uk_murmur2(struct uk_slice key)
{
  enum { ROTATE = 24 };
  const uint32_t seed = 0x9747b28cU, factor = 0x5bd1e995U;
  const uint8_t *at = (const uint8_t *)key.data;
  size_t left = key.length;
  uint32_t hash = seed ^ (uint32_t)left;

  for (; left >= 4; at += 4, left -= 4) {
    uint32_t word = load_little(at) * factor;
    word ^= word >> ROTATE;
    hash = hash * factor ^ word * factor;
  }
  for (size_t i = left; i-- > 0;)
    hash ^= (uint32_t)at[i] << (8 * i);
  if (left > 0)
    hash *= factor;
  hash ^= hash >> 13;
  hash *= factor;
  hash ^= hash >> 15;
  return (int32_t)hash;
}

int32_t uk_murmur2_partition(struct uk_slice key, int32_t partitions)
{
  return (uk_murmur2(key) & INT32_MAX) % partitions;
}
