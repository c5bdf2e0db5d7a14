#include "common/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

enum { NONE = 64 }; /* a byte outside the alphabet: bit 6 is set in no value */

static const unsigned char values[256] = {
#define ROW8(n) n, n, n, n, n, n, n, n
#define ROW32(n) ROW8(n), ROW8(n), ROW8(n), ROW8(n)
  ROW32(NONE), ROW8(NONE),  NONE,        NONE,        NONE, 62,   NONE, NONE, NONE, 63,
  52,          53,          54,          55,          56,   57,   58,   59,   60,   61,
  NONE,        NONE,        NONE,        NONE,        NONE, NONE, NONE, 0,    1,    2,
  3,           4,           5,           6,           7,    8,    9,    10,   11,   12,
  13,          14,          15,          16,          17,   18,   19,   20,   21,   22,
  23,          24,          25,          NONE,        NONE, NONE, NONE, NONE, NONE, 26,
  27,          28,          29,          30,          31,   32,   33,   34,   35,   36,
  37,          38,          39,          40,          41,   42,   43,   44,   45,   46,
  47,          48,          49,          50,          51,   NONE, NONE, NONE, NONE, NONE,
  ROW32(NONE), ROW32(NONE), ROW32(NONE), ROW32(NONE),
#undef ROW32
#undef ROW8
};

void uk_base64_encode(char *out, const char *data, size_t length)
{
  const unsigned char *in = (const unsigned char *)data;
  for (; length >= 3; length -= 3, in += 3, out += 4) {
    uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = alphabet[bits >> 6 & 63];
    out[3] = alphabet[bits & 63];
  }
  if (length > 0) {
    uint32_t bits = (uint32_t)in[0] << 16 | (length > 1 ? (uint32_t)in[1] << 8 : 0);
    out[0] = alphabet[bits >> 18];
    out[1] = alphabet[bits >> 12 & 63];
    out[2] = length > 1 ? alphabet[bits >> 6 & 63] : '=';
    out[3] = '=';
  }
}

/* Decodes four characters to 24 bits. Sets a bit above them when a character is invalid. */
static uint32_t four_characters(const unsigned char *in)
{
  unsigned char a = values[in[0]], b = values[in[1]], c = values[in[2]], d = values[in[3]];
  uint32_t outside = (uint32_t)(a | b | c | d) & NONE;
  return outside << 18 | (uint32_t)a << 18 | (uint32_t)b << 12 | (uint32_t)c << 6 | d;
}

/* Decodes the last four characters, the only ones that may have padding. Returns the number of
 * bytes, 0 when the characters are not canonical. */
static size_t decode_last(char *out, const unsigned char *in)
{
  size_t bytes = in[3] != '=' ? 3 : in[2] != '=' ? 2 : 1;
  unsigned char padded[4] = {in[0], in[1], bytes > 1 ? in[2] : 'A', bytes > 2 ? in[3] : 'A'};
  uint32_t bits = four_characters(padded);
  uint32_t behind = (UINT32_C(1) << (24 - 8 * bytes)) - 1;
  if (bits >> 24 != 0 || (bits & behind) != 0)
    return 0;
  for (size_t i = 0; i < bytes; i++)
    out[i] = (char)(bits >> (16 - 8 * i) & 0xff);
  return bytes;
}

bool uk_base64_decode(char *out, size_t *out_length, const char *data, size_t length)
{
  const unsigned char *in = (const unsigned char *)data;
  char *start = out;
  *out_length = 0;
  if (length % 4 != 0)
    return false;
  if (length == 0)
    return true;
  for (; length > 4; length -= 4, in += 4, out += 3) {
    uint32_t bits = four_characters(in);
    if (bits >> 24 != 0)
      return false;
    out[0] = (char)(bits >> 16 & 0xff);
    out[1] = (char)(bits >> 8 & 0xff);
    out[2] = (char)(bits & 0xff);
  }
  size_t last = decode_last(out, in);
  *out_length = (size_t)(out - start) + last;
  return last > 0;
}
