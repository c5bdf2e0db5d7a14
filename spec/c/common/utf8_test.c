/* for: utf8.c, scan.h */
#include "check.h"
#include "common/slice.h"
#include "common/utf8.h"
#include "guard.h"

/* RFC 3629 by its table of byte ranges, unlike utf8.c. */
struct range {
  unsigned char lead_min, lead_max, second_min, second_max;
  size_t length;
};

static const struct range ranges[] = {
  {0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
  {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
  {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
};

static size_t character_by_table(const unsigned char *s, size_t length)
{
  for (size_t i = 0; length > 0 && i < sizeof ranges / sizeof ranges[0]; i++) {
    const struct range *r = &ranges[i];
    if (s[0] < r->lead_min || s[0] > r->lead_max)
      continue;
    bool ok = r->length <= length;
    for (size_t k = 1; ok && k < r->length; k++)
      ok = s[k] >= (k == 1 ? r->second_min : 0x80) && s[k] <= (k == 1 ? r->second_max : 0xbf);
    return ok ? r->length : 0;
  }
  return 0;
}

static void characters_are_those_of_the_table(void)
{
  static const unsigned char tails[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
  const size_t count = sizeof tails;
  int differ = 0;
  for (unsigned lead = 0; lead < 256; lead++) {
    for (size_t i = 0; i < 256 * count * count; i++) {
      unsigned char s[4] = {(unsigned char)lead, (unsigned char)(i / count / count),
                            tails[i / count % count], tails[i % count]};
      for (size_t length = 0; length <= 4; length++)
        differ += uk_utf8_character((const char *)s, length) != character_by_table(s, length);
    }
  }
  CHECK_EQ_INT(differ, 0);
}

static void every_scalar_value_survives_a_round_trip(void)
{
  int wrong = 0;
  for (uint32_t code = 0; code <= 0x10ffff; code++) {
    if (code >= 0xd800 && code <= 0xdfff)
      continue;
    char out[5] = {0, 0, 0, 0, '!'};
    size_t length = uk_utf8_encode(out, code);
    const unsigned char *s = (const unsigned char *)out;
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t back = s[0] & masks[length];
    for (size_t i = 1; i < length; i++)
      back = back << 6 | (s[i] & 0x3f);
    wrong += back != code || uk_utf8_character(out, length) != length || out[4] != '!';
  }
  CHECK_EQ_INT(wrong, 0);
}

static void codes_have_the_known_bytes(void)
{
  static const struct {
    uint32_t code;
    const char *bytes;
  } rows[] = {{0x41, "A"},
              {0x7f, "\x7f"},
              {0x80, "\xc2\x80"},
              {0x7ff, "\xdf\xbf"},
              {0x800, "\xe0\xa0\x80"},
              {0xfffd, "\xef\xbf\xbd"},
              {0xffff, "\xef\xbf\xbf"},
              {0x10000, "\xf0\x90\x80\x80"},
              {0x10ffff, "\xf4\x8f\xbf\xbf"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char out[4];
    size_t length = uk_utf8_encode(out, rows[i].code);
    CHECK_EQ_MEM(out, length, rows[i].bytes, strlen(rows[i].bytes));
  }
}

static void prefix_ends_at_the_first_bad_byte(void)
{
  static const struct {
    const char *text;
    size_t prefix;
  } rows[] = {
    {"", 0},
    {"abc", 3},
    {"h\xc3\xa9llo", 6},
    {"\xff", 0},
    {"abc\xff", 3},
    {"abc\x80", 3},
    {"\xc3\xa9\xc3", 2},
    {"\xe2\x82\xac\xe2\x82", 3},
    {"\xf0\x9f\x98\x80\xf0\x9f\x98", 4},
    {"\xc0\x80", 0},
    {"\xed\xa0\x80", 0},
    {"0123456789abcdef0123456789abcde\xc3\xa9", 33},
    {"0123456789abcdef0123456789abcde\xc3", 31},
    {"0123456789abcde\xf4\x90\x80\x80", 15},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    size_t length = strlen(rows[i].text);
    CHECK_EQ_INT(uk_utf8_valid_prefix(rows[i].text, length), rows[i].prefix);
    CHECK_EQ_INT(uk_utf8_valid(rows[i].text, length), rows[i].prefix == length);
  }
  CHECK_EQ_INT(uk_utf8_valid_prefix(NULL, 0), 0);
  CHECK(uk_utf8_valid("a\0b", 3));
}

/* An invalid byte at each position of texts of each length, which end at a guard page. */
static void every_position_is_checked_and_none_after_the_end(void)
{
  for (size_t length = 0; length < 70; length++) {
    char text[70];
    memset(text, 'a', sizeof text);
    char *copy = guard_copy(text, length);
    CHECK_EQ_INT(uk_utf8_valid_prefix(copy, length), length);
    for (size_t i = 0; i < length; i++) {
      copy[i] = '\xc3';
      CHECK_EQ_INT(uk_utf8_valid_prefix(copy, length), i);
      copy[i] = 'a';
    }
    guard_free(copy, length);
  }
}

static void multibyte_prefix_stops_at_ascii(void)
{
  CHECK_EQ_INT(uk_utf8_multibyte_prefix("", 0), 0);
  CHECK_EQ_INT(uk_utf8_multibyte_prefix("a\xc3\xa9", 3), 0);
  CHECK_EQ_INT(uk_utf8_multibyte_prefix("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9), 9);
  CHECK_EQ_INT(uk_utf8_multibyte_prefix("\xc3\xa9\xe2\x82\xac"
                                        "a\xc3\xa9",
                                        8),
               5);
  CHECK_EQ_INT(uk_utf8_multibyte_prefix("\xc3\xa9\xff", 3), 2);
  CHECK_EQ_INT(uk_utf8_multibyte_prefix("\xc3\xa9\xe2\x82", 4), 2);
}

static void truncated_text_keeps_complete_characters(void)
{
  static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
  static const size_t prefixes[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
  for (size_t length = 0; length < sizeof text; length++) {
    char *copy = guard_copy(text, length);
    CHECK_EQ_INT(uk_utf8_valid_prefix(copy, length), prefixes[length]);
    guard_free(copy, length);
  }
}

static void controls_and_malformed_bytes_are_replaced(void)
{
  static const struct {
    const char *text, *clean;
  } rows[] = {
    {"", ""},
    {"plain text ~", "plain text ~"},
    {"\x01\t\r\n\x1b[31m\x1f \x7f", "?????[31m? ?"},
    {"\xc2\x80\xc2\x9b\xc2\x9f", "??????"},
    {"\xc2\xa0\xc3\x80\xe2\x82\xac\xf0\x9f\x98\x80",
     "\xc2\xa0\xc3\x80\xe2\x82\xac\xf0\x9f\x98\x80"},
    {"a\x9b\xff\xe2\x82", "a????"},
    {"\xe2\x82\n\xc2", "????"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const size_t length = strlen(rows[i].text);
    char *copy = guard_copy(rows[i].text, length);
    REQUIRE(copy != NULL);
    uk_utf8_replace_controls(copy, length);
    CHECK_EQ_SLICE(uk_slice_of(copy, length), rows[i].clean);
    guard_free(copy, length);
  }
  char whole[] = "a\0b";
  uk_utf8_replace_controls(whole, 3);
  CHECK_EQ_STR(whole, "a?b");
}

int main(void)
{
  CHECK_RUN(characters_are_those_of_the_table);
  CHECK_RUN(every_scalar_value_survives_a_round_trip);
  CHECK_RUN(codes_have_the_known_bytes);
  CHECK_RUN(prefix_ends_at_the_first_bad_byte);
  CHECK_RUN(every_position_is_checked_and_none_after_the_end);
  CHECK_RUN(multibyte_prefix_stops_at_ascii);
  CHECK_RUN(controls_and_malformed_bytes_are_replaced);
  CHECK_RUN(truncated_text_keeps_complete_characters);
  return check_end();
}
