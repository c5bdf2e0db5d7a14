#include "server/log_engine/log_checksum.h"

#include <string.h>

/* One nibble at a time: a table of 64 bytes, no initialisation, and fast enough for processors
 * without the instruction. */
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

/* From this length on three lanes are faster, although they must be combined. */
enum { LONG_BYTES = 4096 };

/* The product of two polynomials modulo Castagnoli's; the highest bit is x^0. */
static uint32_t multiply(uint32_t a, uint32_t b)
{
  uint32_t product = 0;
  for (; a != 0; a <<= 1) {
    product ^= (a & UINT32_C(0x80000000)) != 0 ? b : 0;
    b = (b & 1) != 0 ? b >> 1 ^ UINT32_C(0x82f63b78) : b >> 1;
  }
  return product;
}

/* x to the power of 8 * bytes: the factor that shifts a checksum over that many bytes. */
static uint32_t power(size_t bytes)
{
  uint32_t result = UINT32_C(0x80000000), square = UINT32_C(0x00800000);
  for (; bytes > 0; bytes >>= 1) {
    result = (bytes & 1) != 0 ? multiply(result, square) : result;
    square = multiply(square, square);
  }
  return result;
}

static uint64_t word_at(const uint8_t *at)
{
  uint64_t word;
  memcpy(&word, at, sizeof word);
  return word;
}

/* The checksum of 3 * lane bytes. The instruction has a latency of three cycles and can start in
 * each of them. */
__attribute__((target("sse4.2"))) static uint32_t lanes_sse42(uint32_t crc, const uint8_t *at,
                                                              size_t lane)
{
  uint64_t first = crc, second = 0, third = 0;
  for (size_t i = 0; i < lane; i += 8) {
    first = __builtin_ia32_crc32di(first, word_at(at + i));
    second = __builtin_ia32_crc32di(second, word_at(at + lane + i));
    third = __builtin_ia32_crc32di(third, word_at(at + 2 * lane + i));
  }
  uint32_t shift = power(lane);
  return multiply(multiply((uint32_t)first, shift) ^ (uint32_t)second, shift) ^ (uint32_t)third;
}

__attribute__((target("sse4.2"))) static uint32_t checksum_sse42(uint32_t checksum,
                                                                 const void *data, size_t length)
{
  const uint8_t *at = data;
  uint64_t crc = (uint32_t)~checksum;
  if (length >= LONG_BYTES) {
    size_t lane = length / 24 * 8;
    crc = lanes_sse42((uint32_t)crc, at, lane);
    at += 3 * lane;
    length -= 3 * lane;
  }
  for (; length >= 8; length -= 8, at += 8)
    crc = __builtin_ia32_crc32di(crc, word_at(at));
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
