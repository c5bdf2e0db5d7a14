/* json_string: reads strings that are not plain. Decodes escapes in place and checks UTF-8. */
#include "common/hex.h"
#include "common/json_parts.h"
#include "common/scan.h"
#include "common/utf8.h"

/* The state of a string that is being read: out <= at. */
struct cursor {
  char *out; /* the next byte of the content */
  char *at;  /* the next byte of the text */
  char *end;
};

/* The byte for each letter after a backslash; 0 = none. */
static const char unescaped[256] = {
  ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
  ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
};

/* Reads the code of a "\uXXXX" at `at`. */
static enum uk_json_error read_code(const char *at, const char *end, uint32_t *code)
{
  static const char start[2] = {'\\', 'u'};
  *code = 0;
  for (size_t i = 0; i < 6; i++, at++) {
    if (at == end)
      return UK_JSON_E_CUT_OFF;
    int digit = i < sizeof start ? -(*at != start[i]) : uk_hex_value(*at);
    if (digit < 0)
      return UK_JSON_E_BAD_UNICODE;
    *code = *code << 4 | (uint32_t)digit;
  }
  return UK_JSON_E_NONE;
}

/* Combines a high surrogate, whose escape was just read, with the low one that follows. Anything
 * else that follows is left unread. */
static enum uk_json_error join_surrogates(struct cursor *cursor, uint32_t *code)
{
  uint32_t low;
  enum uk_json_error error = read_code(cursor->at, cursor->end, &low);
  if (error == UK_JSON_E_NONE && low >= 0xdc00 && low <= 0xdfff) {
    cursor->at += 6;
    *code = 0x10000 + ((*code - 0xd800) << 10) + (low - 0xdc00);
  }
  return error == UK_JSON_E_CUT_OFF ? error : UK_JSON_E_NONE;
}

static enum uk_json_error read_unicode(struct cursor *cursor, unsigned flags)
{
  uint32_t code;
  enum uk_json_error error = read_code(cursor->at, cursor->end, &code);
  char *escape = cursor->at;
  if (error == UK_JSON_E_NONE) {
    cursor->at += 6;
    if (code >= 0xd800 && code <= 0xdbff)
      error = join_surrogates(cursor, &code);
  }
  if (error != UK_JSON_E_NONE)
    return error;
  if (code >= 0xd800 && code <= 0xdfff) {
    if ((flags & UK_JSON_STRICT_SURROGATE) != 0) {
      cursor->at = escape;
      return UK_JSON_E_BAD_SURROGATE;
    }
    code = 0xfffd;
  }
  cursor->out += uk_utf8_encode(cursor->out, code);
  return UK_JSON_E_NONE;
}

static enum uk_json_error read_escape(struct cursor *cursor, unsigned flags)
{
  if (cursor->end - cursor->at < 2)
    return UK_JSON_E_CUT_OFF;
  if (cursor->at[1] == 'u')
    return read_unicode(cursor, flags);
  char byte = unescaped[(unsigned char)cursor->at[1]];
  if (byte == '\0')
    return UK_JSON_E_BAD_ESCAPE;
  *cursor->out++ = byte;
  cursor->at += 2;
  return UK_JSON_E_NONE;
}

/* True when the bytes up to the end of the text are the beginning of a character. The second bytes
 * that a lead byte allows include the lowest or the highest continuation byte, so it suffices to
 * try both. */
static bool is_cut_off(const struct cursor *cursor)
{
  char low[4], high[4];
  memset(low, 0x80, sizeof low);
  memset(high, 0xbf, sizeof high);
  size_t left = (size_t)(cursor->end - cursor->at);
  if (left >= sizeof low)
    return false;
  memcpy(low, cursor->at, left);
  memcpy(high, cursor->at, left);
  return uk_utf8_character(low, sizeof low) > left || uk_utf8_character(high, sizeof high) > left;
}

static inline void copy(struct cursor *cursor, size_t length)
{
  if (cursor->out != cursor->at)
    memmove(cursor->out, cursor->at, length);
  cursor->at += length;
  cursor->out += length;
}

/* Copies plain bytes and, unless escapes are kept, the bytes of one-letter escapes. Escapes tend to
 * be close together; a long plain run is copied in larger steps. */
static inline void copy_simple(struct cursor *cursor, unsigned flags)
{
  enum { LONG = 16 };
  char *at = cursor->at, *out = cursor->out, *const end = cursor->end;
  int run = 0;
  while (at != end && run < LONG) {
    char byte = *at;
    if (uk_scan_is_plain(byte)) {
      run++;
    } else {
      byte = byte == '\\' && end - at > 1 ? unescaped[(unsigned char)at[1]] : '\0';
      if (byte == '\0' || (flags & UK_JSON_AS_SENT) != 0)
        break;
      at++;
      run = 0;
    }
    *out++ = byte;
    at++;
  }
  cursor->at = at;
  cursor->out = out;
  if (run == LONG)
    copy(cursor, (size_t)(uk_scan_plain(at, end) - at));
}

static enum uk_json_error read_multibyte(struct cursor *cursor, unsigned flags)
{
  size_t length = uk_utf8_multibyte_prefix(cursor->at, (size_t)(cursor->end - cursor->at));
  if (length == 0 && (flags & UK_JSON_ANY_BYTES) != 0)
    length = 1;
  if (length == 0)
    return is_cut_off(cursor) ? UK_JSON_E_CUT_OFF : UK_JSON_E_BAD_UTF8;
  copy(cursor, length);
  return UK_JSON_E_NONE;
}

/* Checks an escape and keeps its text. */
static enum uk_json_error pass_escape(struct cursor *cursor, unsigned flags)
{
  char unused[4];
  cursor->out = unused;
  enum uk_json_error error = read_escape(cursor, flags);
  cursor->out = cursor->at;
  return error;
}

/* Reads one escape or character that is not plain. */
static enum uk_json_error read_special(struct cursor *cursor, unsigned flags)
{
  if (*cursor->at == '\\')
    return (flags & UK_JSON_AS_SENT) != 0 ? pass_escape(cursor, flags) : read_escape(cursor, flags);
  return (signed char)*cursor->at < 0 ? read_multibyte(cursor, flags) : UK_JSON_E_CONTROL;
}

char *uk_json_read_string(struct uk_json_reader *reader, char *start, char *at)
{
  struct cursor cursor = {.out = at, .at = at, .end = reader->end};
  enum uk_json_error error = UK_JSON_E_NONE;
  while (cursor.at != cursor.end && *cursor.at != '"' && error == UK_JSON_E_NONE) {
    error = read_special(&cursor, reader->flags);
    if (error == UK_JSON_E_NONE)
      copy_simple(&cursor, reader->flags);
  }
  if (cursor.at == cursor.end || error == UK_JSON_E_CUT_OFF)
    return uk_json_fail(reader, cursor.end, UK_JSON_E_CUT_OFF);
  if (error != UK_JSON_E_NONE)
    return uk_json_fail(reader, cursor.at, error);
  reader->string = uk_slice_of(start, (size_t)(cursor.out - start));
  return cursor.at + 1;
}
