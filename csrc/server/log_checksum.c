#include "server/log_checksum.h"

#include <string.h>

/* A nibble at a time: 64 bytes of table, no initialisation, fast enough where the instruction is missing. */
static const uint32_t table[16] = {
  0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
  0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t uk_log_checksum_portable(uint32_t checksum, const void *data, size_t length)
{
  const uint8_t *at = data;
  uint32_t crc = ~checksum;
  for (; length > 0; length--, at++) {
    crc = table[(crc ^ *at) & 15] ^ crc >> 4;
    crc = table[(crc ^ (uint32_t)*at >> 4) & 15] ^ crc >> 4;
  }
  return ~crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t checksum_sse42(uint32_t checksum,
                                                                 const void *data, size_t length)
{
  const uint8_t *at = data;
  uint64_t crc = (uint32_t)~checksum;
  for (; length >= 8; length -= 8, at += 8) {
    uint64_t word;
    memcpy(&word, at, sizeof word);
    crc = __builtin_ia32_crc32di(crc, word);
  }
  uint32_t rest = (uint32_t)crc;
  for (; length > 0; length--, at++)
    rest = __builtin_ia32_crc32qi(rest, *at);
  return ~rest;
}

uint32_t uk_log_checksum(uint32_t checksum, const void *data, size_t length)
{
  if (__builtin_cpu_supports("sse4.2"))
    return checksum_sse42(checksum, data, length);
  return uk_log_checksum_portable(checksum, data, length);
}

#else

uint32_t uk_log_checksum(uint32_t checksum, const void *data, size_t length)
{
  return uk_log_checksum_portable(checksum, data, length);
}

#endif
