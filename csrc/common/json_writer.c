#include "common/json_writer.h"

#include "common/base64.h"
#include "common/scan.h"
#include "common/utf8.h"

/* The letter after the backslash; 0 = none, which is written as \u00XX below 0x20. */
static const char short_escapes[128] = {
  ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't',
};

static size_t put_escape(char *out, unsigned char byte)
{
  static const char digits[] = "0123456789abcdef";
  char letter = short_escapes[byte];
  char escape[6] = {'\\', letter, '0', '0', digits[byte >> 4], digits[byte & 15]};
  if (letter == '\0')
    escape[1] = 'u';
  memcpy(out, escape, sizeof escape);
  return letter == '\0' ? 6 : 2;
}

static void append_escape(struct uk_buffer *buffer, unsigned char byte)
{
  char escape[6];
  uk_buffer_append(buffer, escape, put_escape(escape, byte));
}

/* The end of the run of plain bytes and well-formed characters, which can be copied. */
static const char *end_of_run(const char *at, const char *end)
{
  size_t step;
  do {
    at = uk_scan_plain(at, end);
    step = uk_utf8_multibyte_prefix(at, (size_t)(end - at));
    at += step;
  } while (step > 0);
  return at;
}

static void append_content(struct uk_buffer *buffer, const char *at, const char *end)
{
  while (at != end && buffer->error == UK_OK) {
    const char *run = at;
    at = end_of_run(at, end);
    if (at != run)
      uk_buffer_append(buffer, run, (size_t)(at - run));
    if (at == end)
      return;
    if ((signed char)*at < 0)
      uk_buffer_append(buffer, "\xef\xbf\xbd", 3);
    else
      append_escape(buffer, (unsigned char)*at);
    at++;
  }
}

void uk_json_write_string(struct uk_buffer *buffer, struct uk_slice text)
{
  size_t start = buffer->length;
  uk_buffer_append_byte(buffer, '"');
  if (text.length > 0)
    append_content(buffer, text.data, text.data + text.length);
  uk_buffer_append_byte(buffer, '"');
  if (buffer->error != UK_OK)
    buffer->length = start;
}

/* The same for any bytes. Escapes tend to be close together. */
static void append_bytes(struct uk_buffer *buffer, const char *at, const char *end)
{
  enum { STEP = 64 };
  char out[6 * STEP];
  while (at != end && buffer->error == UK_OK) {
    const char *stop = end - at > STEP ? at + STEP : end;
    size_t length = 0;
    for (; at != stop; at++) {
      if (uk_scan_is_plain(*at) || (signed char)*at < 0)
        out[length++] = *at;
      else
        length += put_escape(out + length, (unsigned char)*at);
    }
    uk_buffer_append(buffer, out, length);
  }
}

void uk_json_write_bytes(struct uk_buffer *buffer, struct uk_slice bytes)
{
  const size_t start = buffer->length;
  const char *end = bytes.length > 0 ? bytes.data + bytes.length : bytes.data;
  const size_t plain = (size_t)(uk_scan_plain(bytes.data, end) - bytes.data);
  char *room = uk_buffer_reserve(buffer, plain + 2);
  if (room == NULL)
    return;
  room[0] = '"';
  if (plain > 0)
    memcpy(room + 1, bytes.data, plain);
  room[plain + 1] = '"';
  uk_buffer_commit(buffer, plain + 2);
  if (plain == bytes.length)
    return;
  buffer->length--;
  append_bytes(buffer, bytes.data + plain, end);
  uk_buffer_append_byte(buffer, '"');
  if (buffer->error != UK_OK)
    buffer->length = start;
}

void uk_json_write_name(struct uk_buffer *buffer, char before, struct uk_slice name)
{
  const size_t start = buffer->length;
  const char *end = name.length > 0 ? name.data + name.length : name.data;
  const bool plain = uk_scan_plain(name.data, end) == end;
  char *room = plain ? uk_buffer_reserve(buffer, name.length + 4) : NULL;
  if (room != NULL) {
    room[0] = before;
    room[1] = '"';
    if (name.length > 0)
      memcpy(room + 2, name.data, name.length);
    memcpy(room + 2 + name.length, "\":", 2);
    uk_buffer_commit(buffer, name.length + 4);
    return;
  }
  uk_buffer_append_byte(buffer, before);
  uk_json_write_bytes(buffer, name);
  uk_buffer_append_byte(buffer, ':');
  if (buffer->error != UK_OK)
    buffer->length = start;
}

void uk_json_write_base64(struct uk_buffer *buffer, struct uk_slice bytes)
{
  size_t size = uk_base64_encoded_size(bytes.length);
  char *room = uk_buffer_reserve(buffer, size + 2);
  if (room == NULL)
    return;
  room[0] = '"';
  uk_base64_encode(room + 1, bytes.data, bytes.length);
  room[size + 1] = '"';
  uk_buffer_commit(buffer, size + 2);
}

void uk_json_write_integer(struct uk_buffer *buffer, int64_t value)
{
  static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                              "25262728293031323334353637383940414243444546474849"
                              "50515253545556575859606162636465666768697071727374"
                              "75767778798081828384858687888990919293949596979899";
  char text[20]; /* of INT64_MIN */
  char *at = text + sizeof text;
  uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
  for (; magnitude >= 10; magnitude /= 100) {
    at -= 2;
    memcpy(at, pairs + magnitude % 100 * 2, 2);
  }
  if (magnitude > 0 || at == text + sizeof text)
    *--at = (char)('0' + magnitude);
  if (value < 0)
    *--at = '-';
  uk_buffer_append(buffer, at, (size_t)(text + sizeof text - at));
}
