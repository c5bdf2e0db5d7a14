/* log_bytes: integers on disk: big-endian, so that the order of keys is the order of their
 * bytes. */
#ifndef UK_LOG_BYTES_H
#define UK_LOG_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

static inline void uk_store_u32(uint8_t *out, uint32_t value)
{
  value = htobe32(value);
  memcpy(out, &value, sizeof value);
}

static inline uint32_t uk_load_u32(const uint8_t *in)
{
  uint32_t value;
  memcpy(&value, in, sizeof value);
  return be32toh(value);
}

static inline void uk_store_u64(uint8_t *out, uint64_t value)
{
  value = htobe64(value);
  memcpy(out, &value, sizeof value);
}

static inline uint64_t uk_load_u64(const uint8_t *in)
{
  uint64_t value;
  memcpy(&value, in, sizeof value);
  return be64toh(value);
}

#endif
