/* for: json_reader.c, json_writer.c. Generated texts: compares the reader with a second, simple one
 * that follows the grammar of RFC 8259 rule by rule. The seed is fixed. `json_fuzz_test COUNT`
 * reads that many texts of each kind. */
#include <stdlib.h>

#include "check.h"
#include "common/json_reader.h"
#include "common/json_writer.h"
#include "common/utf8.h"
#include "guard.h"

enum { TEXT_MAX = 2048 };

static long text_count = 100000;
static uint64_t seed = 88172645463325252;

static unsigned chance(unsigned below)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return (unsigned)(seed >> 33) % below;
}

/* The second reader. */

struct judge {
  const unsigned char *at, *end;
  unsigned flags;
  int depth;
};

static bool judge_value(struct judge *j);

static bool took(struct judge *j, char c)
{
  bool is = j->at != j->end && *j->at == (unsigned char)c;
  j->at += is;
  return is;
}

static void judge_space(struct judge *j)
{
  while (took(j, ' ') || took(j, '\t') || took(j, '\n') || took(j, '\r'))
    ;
}

static bool judge_word(struct judge *j, const char *word)
{
  while (*word != '\0' && took(j, *word))
    word++;
  return *word == '\0';
}

static bool judge_digits(struct judge *j)
{
  const unsigned char *start = j->at;
  while (j->at != j->end && *j->at >= '0' && *j->at <= '9')
    j->at++;
  return j->at != start;
}

static bool judge_number(struct judge *j)
{
  took(j, '-');
  if (!took(j, '0') && !judge_digits(j))
    return false;
  if (took(j, '.') && !judge_digits(j))
    return false;
  if (!took(j, 'e') && !took(j, 'E'))
    return true;
  if (!took(j, '+'))
    took(j, '-');
  return judge_digits(j);
}

static bool judge_hex(struct judge *j, unsigned *code)
{
  char digits[5] = "";
  if (j->end - j->at < 4)
    return false;
  memcpy(digits, j->at, 4);
  *code = (unsigned)strtoul(digits, NULL, 16);
  j->at += 4;
  return strspn(digits, "0123456789abcdefABCDEF") == 4;
}

static bool judge_unicode(struct judge *j)
{
  unsigned high, low;
  if (!judge_hex(j, &high))
    return false;
  if ((j->flags & UK_JSON_STRICT_SURROGATE) == 0 || (high & 0xf800) != 0xd800)
    return true;
  return (high & 0x0400) == 0 && took(j, '\\') && took(j, 'u') && judge_hex(j, &low) &&
         (low & 0xfc00) == 0xdc00;
}

static bool judge_string(struct judge *j)
{
  if (!took(j, '"'))
    return false;
  while (!took(j, '"')) {
    if (took(j, '\\')) {
      bool unicode = took(j, 'u');
      if (unicode ? !judge_unicode(j)
                  : j->at == j->end || !*j->at || !strchr("\"\\/bfnrt", *j->at++))
        return false;
      continue;
    }
    size_t left = (size_t)(j->end - j->at);
    size_t length = uk_utf8_character((const char *)j->at, left);
    if (length == 0 || *j->at < 0x20)
      return false;
    j->at += length;
  }
  return true;
}

static bool judge_member(struct judge *j)
{
  if (!judge_string(j))
    return false;
  judge_space(j);
  if (!took(j, ':'))
    return false;
  judge_space(j);
  return judge_value(j);
}

static bool judge_list(struct judge *j, char close, bool (*judge_item)(struct judge *))
{
  if (++j->depth > ((j->flags & UK_JSON_DEEP) != 0 ? UK_JSON_DEEP_MAX : UK_JSON_DEPTH_MAX))
    return false;
  judge_space(j);
  bool closed = took(j, close);
  while (!closed) {
    if (!judge_item(j))
      return false;
    judge_space(j);
    closed = took(j, close);
    if (!closed && !took(j, ','))
      return false;
    judge_space(j);
    if (!closed && (j->flags & UK_JSON_TRAILING_COMMA) != 0)
      closed = took(j, close);
  }
  j->depth--;
  return true;
}

static bool judge_value(struct judge *j)
{
  if (took(j, '['))
    return judge_list(j, ']', judge_value);
  if (took(j, '{'))
    return judge_list(j, '}', judge_member);
  if (j->at == j->end)
    return false;
  switch (*j->at) {
  case '"': return judge_string(j);
  case 't': return judge_word(j, "true");
  case 'f': return judge_word(j, "false");
  case 'n': return judge_word(j, "null");
  default: return judge_number(j);
  }
}

static bool judge_accepts(const char *text, size_t length, unsigned flags)
{
  const unsigned char *start = (const unsigned char *)text;
  struct judge j = {.at = start, .end = start + length, .flags = flags};
  judge_space(&j);
  if (!judge_value(&j))
    return false;
  judge_space(&j);
  return j.at == j.end;
}

/* The texts. */

struct text {
  char data[TEXT_MAX];
  size_t length;
};

static void put_bytes(struct text *text, const char *data, size_t length)
{
  if (length <= sizeof text->data - text->length) {
    memcpy(text->data + text->length, data, length);
    text->length += length;
  }
}

static void put(struct text *text, const char *part)
{
  put_bytes(text, part, strlen(part));
}

static const char *const pieces[] = {
  "[",
  "]",
  "{",
  "}",
  ",",
  ":",
  "\"",
  "\"a\"",
  "\"\"",
  "\"key\":",
  "\\",
  "\\n",
  "\\\"",
  "\\u0041",
  "\\ud83d\\ude00",
  "\\ud83d",
  "\\ude00",
  "\\u00",
  "0",
  "1",
  "-",
  "-0",
  "12345",
  "9223372036854775807",
  "-9223372036854775808",
  "92233720368547758080",
  "0.5",
  "1e5",
  "e",
  "E+",
  ".",
  "+",
  "true",
  "false",
  "null",
  "tru",
  " ",
  "\t",
  "\n",
  "\r",
  "abcdefghijklmnopqrstuvwxyz",
  "\xc3\xa9",
  "\xe2\x82\xac",
  "\xf0\x9f\x98\x80",
  "\xc3",
  "\xe2\x82",
  "\xff",
  "\x80",
  "\x01",
  "\x1f",
  "\x7f",
  "/",
  "1.5e-300",
};

static void put_piece(struct text *text)
{
  put(text, pieces[chance(sizeof pieces / sizeof pieces[0])]);
}

static void put_space(struct text *text)
{
  static const char *const spaces[] = {"", "", "", "", " ", "\n", "\t", "\r\n  "};
  put(text, spaces[chance(8)]);
}

static void put_string(struct text *text)
{
  static const char *const parts[] = {
    "a",
    "bc",
    "0123456789",
    "abcdefghijklmnop",
    " ",
    "\xc3\xa9",
    "\xe4\xb8\xad\xe6\x96\x87",
    "{}[]:,",
    "\xf0\x9f\x98\x80",
    "\\n",
    "\\\"",
    "\\\\",
    "\\/",
    "\\u0041",
    "\\u20ac",
    "\\ud83d\\ude00",
    "\\u0000",
  };
  put(text, "\"");
  for (unsigned n = chance(8); n > 0; n--)
    put(text, parts[chance(sizeof parts / sizeof parts[0])]);
  put(text, "\"");
}

static void put_number(struct text *text)
{
  char digits[64];
  unsigned a = chance(1u << 31), b = chance(1000000);
  static const char *const formats[] = {"%u",      "-%u",    "%u%06u",  "%u.%u",
                                        "-0.%u%u", "%ue-%u", "%u.5E+%u"};
  snprintf(digits, sizeof digits, formats[chance(7)], a, b % (chance(2) ? 10 : 1000000));
  put(text, digits);
}

static void put_value(struct text *text, int depth)
{
  static const char *const words[] = {"true", "false", "null", "0", "-1", "[]", "{}", "\"\""};
  unsigned kind = chance(depth > 0 ? 6 : 3);
  put_space(text);
  if (kind == 0)
    put(text, words[chance(8)]);
  else if (kind == 1)
    put_string(text);
  else if (kind == 2)
    put_number(text);
  bool object = kind == 3;
  if (kind >= 3) {
    put(text, object ? "{" : "[");
    for (unsigned n = chance(5); n > 0; n--) {
      if (object) {
        put_string(text);
        put(text, ":");
      }
      put_value(text, depth - 1);
      put(text, n > 1 || chance(20) == 0 ? "," : "");
    }
    put(text, object ? "}" : "]");
  }
  put_space(text);
}

static void make_valid(struct text *text)
{
  put_value(text, 5);
}

static void make_soup(struct text *text)
{
  for (unsigned n = 1 + chance(12); n > 0; n--)
    put_piece(text);
}

static void make_bytes(struct text *text)
{
  for (unsigned n = chance(40); n > 0; n--) {
    char byte = (char)chance(256);
    put_bytes(text, &byte, 1);
  }
}

/* A valid text with changes: bytes replaced, inserted or removed, or the end truncated. */
static void make_changed(struct text *text)
{
  make_valid(text);
  for (unsigned n = 1 + chance(3); n > 0 && text->length > 0; n--) {
    size_t at = chance((unsigned)text->length), left = text->length - at;
    struct text rest = {.length = 0};
    size_t skipped = chance(4) == 0 ? chance((unsigned)left + 1) : 0;
    put_bytes(&rest, text->data + at + skipped, left - skipped);
    unsigned kind = chance(4);
    if (kind == 0)
      text->data[at] = (char)chance(256);
    if (kind >= 1)
      text->length = at;
    if (kind >= 2)
      put_piece(text);
    if (kind >= 1 && chance(8) != 0)
      put_bytes(text, rest.data, rest.length);
  }
}

/* The text that is read, which ends at a guard page. */
static char *guarded_end;

static char *guarded(const struct text *text)
{
  return memcpy(guarded_end - text->length, text->data, text->length);
}

static bool string_is_sound(const struct uk_json_reader *reader, const char *data, size_t length)
{
  struct uk_slice s = reader->string;
  return s.data > data && s.data + s.length < data + length && uk_utf8_valid(s.data, s.length);
}

static void guess_key(struct uk_json_reader *reader)
{
  static const char *const guesses[] = {"\"\":", "\"a\":", "\"bc\":", "\"key\":"};
  uk_json_take_key(reader, uk_slice_text(guesses[chance(4)]));
}

/* Reads to the end. With `skips` it skips some values and guesses some keys. */
static bool read_text(struct uk_json_reader *reader, const struct text *text, unsigned flags,
                      bool skips)
{
  char *data = guarded(text);
  enum uk_json_event event;
  size_t events = 0;
  uk_json_reader_init(reader, data, text->length, flags);
  do {
    if (skips)
      guess_key(reader);
    event = uk_json_next(reader);
    if (event == UK_JSON_KEY || event == UK_JSON_STRING)
      CHECK(string_is_sound(reader, data, text->length));
    if (skips && chance(8) == 0)
      event = uk_json_skip(reader, event);
  } while (event > UK_JSON_END && CHECK(events++ <= text->length));
  CHECK(reader->position <= text->length);
  return event == UK_JSON_END;
}

/* A text with one value, which is not a string: uk_json_raw returns plain RFC 8259 with every byte
 * unchanged, or refuses it. */
static bool check_raw(const struct text *text, unsigned flags)
{
  struct uk_json_reader reader;
  struct uk_slice raw;
  char *data = guarded(text);
  uk_json_reader_init(&reader, data, text->length, flags);
  enum uk_json_event event = uk_json_next(&reader);
  if (event == UK_JSON_ERROR || event == UK_JSON_STRING)
    return true;
  size_t start = reader.position;
  event = uk_json_raw(&reader, event, &raw);
  bool accepts = event != UK_JSON_ERROR && uk_json_next(&reader) == UK_JSON_END;
  return CHECK(reader.flags == flags) &&
         CHECK(accepts == judge_accepts(text->data, text->length, UK_JSON_DEEP)) &&
         CHECK(!accepts || raw.data == data + start) &&
         CHECK(!accepts || judge_accepts(raw.data, raw.length, UK_JSON_DEEP)) &&
         CHECK(memcmp(data, text->data, text->length) == 0);
}

static bool check_text(const struct text *text, unsigned flags)
{
  struct uk_json_reader reader, skipper;
  bool accepts = read_text(&reader, text, flags, false);
  bool same = CHECK(accepts == judge_accepts(text->data, text->length, flags)) &&
              CHECK(read_text(&skipper, text, flags, true) == accepts) &&
              CHECK(skipper.error == reader.error && skipper.position == reader.position) &&
              (chance(4) > 0 || check_raw(text, flags));
  if (!same)
    check_print_bytes("text", text->data, text->length);
  return same;
}

static void check_texts(void (*make)(struct text *))
{
  static struct text text;
  for (long i = 0; i < text_count; i++) {
    text.length = 0;
    make(&text);
    if (!check_text(&text, chance(4)))
      return;
  }
}

static void valid_texts(void)
{
  check_texts(make_valid);
}

static void changed_texts(void)
{
  check_texts(make_changed);
}

static void mixtures_of_tokens(void)
{
  check_texts(make_soup);
}

static void any_bytes(void)
{
  check_texts(make_bytes);
}

/* The expected output of the writer for a string, with a U+FFFD for each invalid byte. */
static void sanitize(struct text *out, const struct text *in)
{
  out->length = 0;
  for (size_t i = 0; i < in->length;) {
    size_t length = uk_utf8_character(in->data + i, in->length - i);
    if (length > 0)
      put_bytes(out, in->data + i, length);
    else
      put(out, "\xef\xbf\xbd");
    i += length > 0 ? length : 1;
  }
}

static bool check_round_trip(const struct text *in)
{
  struct text want;
  struct uk_json_reader reader;
  struct uk_buffer buffer;
  sanitize(&want, in);
  uk_buffer_init(&buffer, 8 * TEXT_MAX);
  uk_json_write_string(&buffer, uk_slice_of(guarded(in), in->length));
  bool same = CHECK_EQ_INT(buffer.error, UK_OK);
  uk_json_reader_init(&reader, buffer.data, buffer.length, UK_JSON_STRICT_SURROGATE);
  same = same && CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_STRING) &&
         CHECK_EQ_MEM(reader.string.data, reader.string.length, want.data, want.length) &&
         CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
  uk_buffer_free(&buffer);
  return same;
}

static void strings_survive_a_round_trip(void)
{
  static struct text text;
  for (long i = 0; i < text_count; i++) {
    text.length = 0;
    (chance(2) ? make_bytes : make_soup)(&text);
    if (!check_round_trip(&text))
      return;
  }
}

static void integers_survive_a_round_trip(void)
{
  for (long i = 0; i < text_count; i++) {
    int64_t value =
      (int64_t)(((uint64_t)chance(1u << 31) << 33 ^ (uint64_t)chance(1u << 31) << 10) >>
                chance(64));
    struct uk_json_reader reader;
    struct uk_buffer buffer;
    value = chance(2) ? value : -value;
    uk_buffer_init(&buffer, 20);
    uk_json_write_integer(&buffer, value);
    uk_json_reader_init(&reader, buffer.data, buffer.length, 0);
    bool same = CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_INTEGER) &&
                CHECK_EQ_INT(reader.integer, value) &&
                CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
    uk_buffer_free(&buffer);
    if (!same)
      return;
  }
}

int main(int argc, char **argv)
{
  static const char zeros[TEXT_MAX];
  char *page = guard_copy(zeros, sizeof zeros);
  guarded_end = page + sizeof zeros;
  if (argc > 1)
    text_count = strtol(argv[1], NULL, 10);
  CHECK_RUN(valid_texts);
  CHECK_RUN(changed_texts);
  CHECK_RUN(mixtures_of_tokens);
  CHECK_RUN(any_bytes);
  CHECK_RUN(strings_survive_a_round_trip);
  CHECK_RUN(integers_survive_a_round_trip);
  guard_free(page, sizeof zeros);
  return check_end();
}
