/* log_bytes: integers on disk: big-endian, so that the order of keys is the order of their bytes;
 * and varints, which are little-endian groups of seven bits, 64 bits at most. */
#ifndef UK_LOG_BYTES_H
#define UK_LOG_BYTES_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
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

enum { UK_VARINT_MAX = 10 }; /* bytes */

static inline size_t uk_varint_size(uint64_t value)
{
  return value == 0 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

static inline uint8_t *uk_put_varint(uint8_t *out, uint64_t value)
{
  for (; value >= 0x80; value >>= 7)
    *out++ = (uint8_t)(value | 0x80);
  *out++ = (uint8_t)value;
  return out;
}

/* False when the bytes end too early, or hold more than 64 bits. */
static inline bool uk_get_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
  *value = 0;
  for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
    uint8_t byte = *(*at)++;
    if (shift == 63 && byte > 1)
      return false;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

#endif
