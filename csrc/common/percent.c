#include "common/percent.h"

#include "common/hex.h"

static const char digits[] = "0123456789ABCDEF";

static bool is_unreserved(char c)
{
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

static void append_escaped(struct uk_buffer *buffer, char byte)
{
  unsigned char value = (unsigned char)byte;
  char escape[3] = {'%', digits[value >> 4], digits[value & 15]};
  uk_buffer_append(buffer, escape, sizeof escape);
}

void uk_percent_encode(struct uk_buffer *buffer, struct uk_slice bytes)
{
  bool dots = uk_slice_is(bytes, ".") || uk_slice_is(bytes, "..");
  size_t i = 0;
  while (i < bytes.length && buffer->error == UK_OK) {
    size_t run = i;
    while (!dots && run < bytes.length && is_unreserved(bytes.data[run]))
      run++;
    if (run > i)
      uk_buffer_append(buffer, bytes.data + i, run - i);
    if (run < bytes.length)
      append_escaped(buffer, bytes.data[run++]);
    i = run;
  }
}

bool uk_percent_decode(char *data, size_t *length)
{
  size_t out = 0;
  for (size_t in = 0; in < *length; in++, out++) {
    data[out] = data[in];
    if (data[in] != '%')
      continue;
    int high = *length - in > 2 ? uk_hex_value(data[in + 1]) : -1;
    int low = high >= 0 ? uk_hex_value(data[in + 2]) : -1;
    if (low < 0)
      return false;
    data[out] = (char)(high << 4 | low);
    in += 2;
  }
  *length = out;
  return true;
}

bool uk_percent_decode_query(char *data, size_t *length)
{
  for (size_t i = 0; i < *length; i++)
    data[i] = (char)(data[i] == '+' ? ' ' : data[i]);
  return uk_percent_decode(data, length);
}
