#include "common/utf8.h"

#include "common/scan.h"

static bool is_continuation(unsigned char byte)
{
  return (byte & 0xc0) == 0x80;
}

static size_t three_bytes(const unsigned char *s)
{
  unsigned code = (s[0] & 0x0fu) << 12 | (s[1] & 0x3fu) << 6 | (s[2] & 0x3fu);
  bool surrogate = code >= 0xd800 && code <= 0xdfff;
  return is_continuation(s[1]) && is_continuation(s[2]) && code >= 0x800 && !surrogate ? 3 : 0;
}

static size_t four_bytes(const unsigned char *s)
{
  unsigned top = (s[0] & 0x07u) << 2 | (s[1] & 0x30u) >> 4; /* the code without its low 16 bits */
  bool whole = is_continuation(s[1]) && is_continuation(s[2]) && is_continuation(s[3]);
  return whole && top >= 0x01 && top <= 0x10 ? 4 : 0;
}

size_t uk_utf8_character(const char *data, size_t length)
{
  const unsigned char *s = (const unsigned char *)data;
  if (length == 0)
    return 0;
  if (s[0] < 0x80)
    return 1;
  if (s[0] >= 0xc2 && s[0] <= 0xdf)
    return length >= 2 && is_continuation(s[1]) ? 2 : 0;
  if ((s[0] & 0xf0) == 0xe0)
    return length >= 3 ? three_bytes(s) : 0;
  if ((s[0] & 0xf8) == 0xf0)
    return length >= 4 ? four_bytes(s) : 0;
  return 0;
}

size_t uk_utf8_valid_prefix(const char *data, size_t length)
{
  if (length == 0)
    return 0;
  const char *end = data + length;
  const char *at = uk_scan_ascii(data, end);
  while (at != end) {
    size_t step = uk_utf8_character(at, (size_t)(end - at));
    if (step == 0)
      break;
    at = step == 1 ? uk_scan_ascii(at, end) : at + step;
  }
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
