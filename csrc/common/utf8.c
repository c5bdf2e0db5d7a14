#include "common/utf8.h"

#include <string.h>

#include "common/scan.h"

static inline bool is_continuation(unsigned char byte)
{
  return (byte & 0xc0) == 0x80;
}

static inline size_t three_bytes(const unsigned char *s)
{
  unsigned top = (s[0] & 0x0fu) << 1 | (s[1] & 0x20u) >> 5; /* the code without its low 11 bits */
  bool whole = is_continuation(s[1]) && is_continuation(s[2]);
  return whole && top != 0 && top != 0xd800 >> 11 ? 3 : 0;
}

static inline size_t four_bytes(const unsigned char *s)
{
  unsigned top = (s[0] & 0x07u) << 2 | (s[1] & 0x30u) >> 4; /* the code without its low 16 bits */
  bool whole = is_continuation(s[1]) && is_continuation(s[2]) && is_continuation(s[3]);
  return whole && top >= 0x01 && top <= 0x10 ? 4 : 0;
}

/* The length of the character whose first byte is not ASCII, or 0. */
static inline size_t multibyte(const char *at, size_t left)
{
  const unsigned char *s = (const unsigned char *)at;
  if ((s[0] & 0xf0) == 0xe0)
    return left >= 3 ? three_bytes(s) : 0;
  if (s[0] >= 0xc2 && s[0] <= 0xdf)
    return left >= 2 && is_continuation(s[1]) ? 2 : 0;
  return (s[0] & 0xf8) == 0xf0 && left >= 4 ? four_bytes(s) : 0;
}

size_t uk_utf8_character(const char *data, size_t length)
{
  if (length == 0 || (signed char)*data >= 0)
    return length > 0;
  return multibyte(data, length);
}

size_t uk_utf8_multibyte_prefix(const char *data, size_t length)
{
  size_t at = 0;
  while (at < length && (signed char)data[at] < 0) {
    size_t step = multibyte(data + at, length - at);
    if (step == 0)
      break;
    at += step;
  }
  return at;
}

size_t uk_utf8_valid_prefix(const char *data, size_t length)
{
  if (length == 0)
    return 0;
  const char *at = data, *end = data + length;
  size_t step;
  do {
    at = uk_scan_ascii(at, end);
    step = uk_utf8_multibyte_prefix(at, (size_t)(end - at));
    at += step;
  } while (step > 0);
  return (size_t)(at - data);
}

size_t uk_utf8_encode(char *out, uint32_t code)
{
  size_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  static const unsigned char lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
  for (size_t i = length - 1; i > 0; i--) {
    out[i] = (char)(0x80 | (code & 0x3f));
    code >>= 6;
  }
  out[0] = (char)(lead[length] | code);
  return length;
}

/* True when the character of that length is a control character. */
static bool is_control(const char *at, size_t length)
{
  const unsigned char *s = (const unsigned char *)at;
  return length == 1 ? s[0] < 0x20 || s[0] == 0x7f : length == 2 && s[0] == 0xc2 && s[1] < 0xa0;
}

void uk_utf8_replace_controls(char *data, size_t length)
{
  for (size_t at = 0, step; at < length; at += step) {
    const size_t whole = uk_utf8_character(data + at, length - at);
    step = whole > 0 ? whole : 1;
    if (whole == 0 || is_control(data + at, whole))
      memset(data + at, '?', step);
  }
}
