/* for: json_reader.c, json_string.c, json_number.c */
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "common/json_reader.h"
#include "guard.h"
#include "json_events.h"

struct row {
  const char *text, *events;
};

static void check_rows(const struct row *rows, size_t count, unsigned flags)
{
  for (size_t i = 0; i < count; i++) {
    if (!CHECK_EQ_STR(json_events(rows[i].text, strlen(rows[i].text), flags), rows[i].events))
      fprintf(stderr, "  of %s\n", rows[i].text);
  }
}

#define CHECK_ROWS(rows, flags) check_rows((rows), sizeof(rows) / sizeof(rows)[0], (flags))

static void events_come_in_order(void)
{
  static const struct row rows[] = {
    {"null", "z ."},
    {" true ", "t ."},
    {"false", "f ."},
    {"12", "12 ."},
    {"\"a\"", "\"a\" ."},
    {"[]", "[ ] ."},
    {"{}", "{ } ."},
    {"[1,[2,[]],{}]", "[ 1 [ 2 [ ] ] { } ] ."},
    {"{\"a\":1,\"b\":{\"c\":[true,null]},\"\":\"x\"}", "{ a: 1 b: { c: [ t z ] } : \"x\" } ."},
    {"\t[\r\n1 ,\n2 ] \n", "[ 1 2 ] ."},
    {"{ \"a\" : 1 , \"a\" : 2 }", "{ a: 1 a: 2 } ."},
    {"[{\"topic\":\"t\",\"partition\":0,\"offset\":5,\"key\":\"\",\"headers\":[]}]",
     "[ { topic: \"t\" partition: 0 offset: 5 key: \"\" headers: [ ] } ] ."},
  };
  CHECK_ROWS(rows, 0);
}

static void errors_say_what_and_where(void)
{
  static const struct row rows[] = {
    {"", "!EMPTY@0"},
    {"  \n", "!EMPTY@3"},
    {"[", "[ !CUT_OFF@1"},
    {"[ ", "[ !CUT_OFF@2"},
    {"[1", "[ 1 !CUT_OFF@2"},
    {"[1,", "[ 1 !CUT_OFF@3"},
    {"{\"a\"", "{ a: !CUT_OFF@4"},
    {"{\"a\":", "{ a: !CUT_OFF@5"},
    {"{\"a\":1, ", "{ a: 1 !CUT_OFF@8"},
    {"\"abc", "!CUT_OFF@4"},
    {"tru", "!CUT_OFF@3"},
    {"-", "!CUT_OFF@1"},
    {"1.", "!CUT_OFF@2"},
    {"1e", "!CUT_OFF@2"},
    {"1e-", "!CUT_OFF@3"},
    {"]", "!EXPECTED_VALUE@0"},
    {"[,1]", "[ !EXPECTED_VALUE@1"},
    {"[1,,2]", "[ 1 !EXPECTED_VALUE@3"},
    {"[}", "[ !EXPECTED_VALUE@1"},
    {"{\"a\":}", "{ a: !EXPECTED_VALUE@5"},
    {"[+1]", "[ !EXPECTED_VALUE@1"},
    {"[.5]", "[ !EXPECTED_VALUE@1"},
    {"[NaN]", "[ !EXPECTED_VALUE@1"},
    {"['a']", "[ !EXPECTED_VALUE@1"},
    {"\xef\xbb\xbf[]", "!EXPECTED_VALUE@0"},
    {"{1:2}", "{ !EXPECTED_KEY@1"},
    {"{,}", "{ !EXPECTED_KEY@1"},
    {"{\"a\":1,b:2}", "{ a: 1 !EXPECTED_KEY@7"},
    {"{\"a\" 1}", "{ a: !EXPECTED_COLON@5"},
    {"{\"a\"}", "{ a: !EXPECTED_COLON@4"},
    {"[1 2]", "[ 1 !EXPECTED_COMMA@3"},
    {"[1}", "[ 1 !EXPECTED_COMMA@2"},
    {"{\"a\":1]", "{ a: 1 !EXPECTED_COMMA@6"},
    {"[truex]", "[ t !EXPECTED_COMMA@5"},
    {"[1,]", "[ 1 !TRAILING_COMMA@2"},
    {"[1 , ]", "[ 1 !TRAILING_COMMA@3"},
    {"{\"a\":1,}", "{ a: 1 !TRAILING_COMMA@6"},
    {"[1,}", "[ 1 !EXPECTED_VALUE@3"},
    {"{\"a\":1,]", "{ a: 1 !EXPECTED_KEY@7"},
    {"[nul]", "[ !BAD_LITERAL@1"},
    {"[tRue]", "[ !BAD_LITERAL@1"},
    {"01", "!BAD_NUMBER@1"},
    {"[-01]", "[ !BAD_NUMBER@3"},
    {"[1.x]", "[ !BAD_NUMBER@3"},
    {"[1e+]", "[ !BAD_NUMBER@4"},
    {"[-]", "[ !BAD_NUMBER@2"},
    {"[\"ab\\x\"]", "[ !BAD_ESCAPE@4"},
    {"\"\\x", "!BAD_ESCAPE@1"},
    {"[\"ab\\u12g4\"]", "[ !BAD_UNICODE@4"},
    {"[\"ab\\ud800\\u12\"]", "[ !BAD_UNICODE@10"},
    {"[\"ab\xff\"]", "[ !BAD_UTF8@4"},
    {"[\"\xc3\xa9\xc3\"]", "[ !BAD_UTF8@4"},
    {"[\"\\n\xed\xa0\x80\"]", "[ !BAD_UTF8@4"},
    {"[\"\xe2\x82", "[ !CUT_OFF@4"},
    {"[\"\xe2\"", "[ !BAD_UTF8@2"},
    {"[\"\xf0\x80", "[ !BAD_UTF8@2"},
    {"[\"a\nb\"]", "[ !CONTROL@3"},
    {"{\"a\tb\":1}", "{ !CONTROL@3"},
    {"1 2", "1 !TRAILING@2"},
    {"[] x", "[ ] !TRAILING@3"},
    {"truex", "t !TRAILING@4"},
    {"\"a\"\"", "\"a\" !TRAILING@3"},
  };
  CHECK_ROWS(rows, 0);
}

static void a_comma_may_precede_the_closing_bracket(void)
{
  static const struct row rows[] = {
    {"[1,]", "[ 1 ] ."},
    {"{\"a\":1 , }", "{ a: 1 } ."},
    {"[[1,],{\"a\":[],},]", "[ [ 1 ] { a: [ ] } ] ."},
    {"[,]", "[ !EXPECTED_VALUE@1"},
    {"{,}", "{ !EXPECTED_KEY@1"},
    {"[1,,]", "[ 1 !EXPECTED_VALUE@3"},
    {"[1,}", "[ 1 !EXPECTED_VALUE@3"},
    {"{\"a\":1,]", "{ a: 1 !EXPECTED_KEY@7"},
    {"{\"a\":,}", "{ a: !EXPECTED_VALUE@5"},
    {"[],", "[ ] !TRAILING@2"},
    {"1,", "1 !TRAILING@1"},
    {"[1,", "[ 1 !CUT_OFF@3"},
  };
  CHECK_ROWS(rows, UK_JSON_TRAILING_COMMA);
}

static void escapes_are_decoded(void)
{
  static const struct row rows[] = {
    {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\"\\/\b\f\n\r\t\" ."},
    {"\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"", "\"A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\" ."},
    {"\"a\\nb\\nc\"", "\"a\nb\nc\" ."},
    {"\"0123456789abcdef\\n0123456789abcdef0123456789\\n\"",
     "\"0123456789abcdef\n0123456789abcdef0123456789\n\" ."},
    {"{\"\\u0061\\n\":1}", "{ a\n: 1 } ."},
    {"\"\\\\u0041\"", "\"\\u0041\" ."},
    {"\"\\uffff\"", "\"\xef\xbf\xbf\" ."},
    {"\"\\ud800\\udc00\\udbff\\udfff\"", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\" ."},
  };
  CHECK_ROWS(rows, 0);
  struct uk_json_reader reader;
  char text[] = "\"\\n\xc3\xa9\\u0000z\"";
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_STRING);
  CHECK_EQ_MEM(reader.string.data, reader.string.length, "\n\xc3\xa9\0z", 5);
  CHECK(reader.string.data == text + 1);
}

/* The slice of an event stays unchanged while later events are read. */
static void strings_are_read_in_place(void)
{
  struct uk_json_reader reader;
  char text[] = "[\"a\\nb\",\"c\\u00e9\"]";
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  uk_json_next(&reader);
  uk_json_next(&reader);
  struct uk_slice first = reader.string;
  uk_json_next(&reader);
  struct uk_slice second = reader.string;
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ARRAY_END);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
  CHECK_EQ_SLICE(first, "a\nb");
  CHECK_EQ_SLICE(second, "c\xc3\xa9");
}

static void lone_surrogates_become_u_fffd(void)
{
  static const struct row rows[] = {
    {"\"\\ud800\"", "\"\xef\xbf\xbd\" ."},
    {"\"\\udc00\"", "\"\xef\xbf\xbd\" ."},
    {"\"\\ud800a\"", "\"\xef\xbf\xbd"
                     "a\" ."},
    {"\"\\ud800\\n\"", "\"\xef\xbf\xbd\n\" ."},
    {"\"\\ud800\\u0041\"", "\"\xef\xbf\xbd"
                           "A\" ."},
    {"\"\\ud800\\ud800\"", "\"\xef\xbf\xbd\xef\xbf\xbd\" ."},
    {"\"\\ud800\\ud83d\\ude00\"", "\"\xef\xbf\xbd\xf0\x9f\x98\x80\" ."},
    {"\"\\ude00\\ud83d\"", "\"\xef\xbf\xbd\xef\xbf\xbd\" ."},
    {"{\"\\udfff\":1}", "{ \xef\xbf\xbd: 1 } ."},
  };
  CHECK_ROWS(rows, 0);
}

static void lone_surrogates_are_an_error_when_strict(void)
{
  static const struct row rows[] = {
    {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\" ."},
    {"\"\\ud800\"", "!BAD_SURROGATE@1"},
    {"\"\\udc00\"", "!BAD_SURROGATE@1"},
    {"\"a\\ud800\\n\"", "!BAD_SURROGATE@2"},
    {"\"\\ud800\\u0041\"", "!BAD_SURROGATE@1"},
    {"\"\\ud800\\u00g1\"", "!BAD_SURROGATE@1"},
    {"\"\\ud83d\\ude00\\ude00\"", "!BAD_SURROGATE@13"},
    {"\"\\ud800", "!CUT_OFF@7"},
    {"\"\\ud800\\", "!CUT_OFF@8"},
    {"\"\\ud800\\udc0", "!CUT_OFF@12"},
  };
  CHECK_ROWS(rows, UK_JSON_STRICT_SURROGATE);
}

static void integers_are_exact(void)
{
  static const struct row rows[] = {
    {"0", "0 ."},
    {"-1", "-1 ."},
    {"9007199254740993", "9007199254740993 ."},
    {"9223372036854775807", "9223372036854775807 ."},
    {"-9223372036854775808", "-9223372036854775808 ."},
    {"-0", "~-0 ."},
    {"9223372036854775808", "~9.2233720368547758e+18 ."},
    {"-9223372036854775809", "~-9.2233720368547758e+18 ."},
    {"18446744073709551615", "~1.8446744073709552e+19 ."},
    {"18446744073709551616", "~1.8446744073709552e+19 ."},
    {"18446744073709551617", "~1.8446744073709552e+19 ."},
    {"123456789012345678901234567890", "~1.2345678901234568e+29 ."},
    {"1.0", "~1 ."},
    {"1e3", "~1000 ."},
  };
  CHECK_ROWS(rows, 0);
}

static double number_of(const char *text, size_t length)
{
  struct uk_json_reader reader;
  char *copy = malloc(length);
  if (!CHECK(copy != NULL))
    return 0;
  memcpy(copy, text, length);
  uk_json_reader_init(&reader, copy, length, 0);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_NUMBER);
  CHECK_EQ_MEM(reader.string.data, reader.string.length, text, length);
  double number = reader.number;
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
  free(copy);
  return number;
}

static bool same_double(double a, double b)
{
  return memcmp(&a, &b, sizeof a) == 0;
}

static const char *const hard_numbers[] = {
  "0.0",
  "-0.0",
  "-0",
  "0.1",
  "0.3",
  "1.5",
  "-2.5e-3",
  "3.141592653589793238462643383279",
  "1e22",
  "1e23",
  "8.5e22",
  "9007199254740993.0",
  "9007199254740992.9999999999999999999999999",
  "1.7976931348623157e308",
  "1.7976931348623158e308",
  "1.7976931348623159e308",
  "1e309",
  "-1e309",
  "4.9e-324",
  "2.4703282292062327e-324",
  "2.4703282292062328e-324",
  "2.2250738585072011e-308",
  "2.2250738585072014e-308",
  "1e-400",
  "-1e-400",
  "0e999999999999999999999",
  "1e999999999999999999999",
  "1e-999999999999999999999",
  "100000000000000000000000000000000e-32",
  "0.000000000000000000000001e24",
  "1.00000000000000011102230246251565404236316680908203125",
  "1.00000000000000011102230246251565404236316680908203124",
  "1.00000000000000011102230246251565404236316680908203126",
  "5e-324",
  "6.631236846766476e-316",
  "123456789012345678901234567890.123456789e-5",
  "7.2057594037927933e16",
  "1E5",
  "1e+5",
  "1e05",
};

/* Compares with strtod in the C locale. */
static void numbers_are_the_nearest_doubles(void)
{
  for (size_t i = 0; i < sizeof hard_numbers / sizeof hard_numbers[0]; i++) {
    const char *text = hard_numbers[i];
    if (!CHECK(same_double(number_of(text, strlen(text)), strtod(text, NULL))))
      fprintf(stderr, "  %s\n", text);
  }
}

static void numbers_may_be_of_any_length(void)
{
  enum { LENGTH = 5000 };
  static char text[LENGTH + 16];
  memset(text, '0', LENGTH);
  text[0] = '1';
  CHECK(number_of(text, LENGTH) == HUGE_VAL);
  memcpy(text + LENGTH, "e-4999", 7);
  CHECK(number_of(text, LENGTH + 6) == 1);
  text[0] = '0';
  text[1] = '.';
  text[LENGTH - 1] = '1';
  memcpy(text + LENGTH, "e4998", 6);
  CHECK(number_of(text, LENGTH + 5) == 1);
  CHECK(number_of(text, LENGTH) == 0);
}

/* The middle between 1 and the next double, plus a distant digit: without that digit it is 1. */
static void a_digit_after_thousands_still_counts(void)
{
  static char text[3001];
  memset(text, '0', sizeof text - 1);
  memcpy(text, "1.00000000000000011102230246251565404236316680908203125", 55);
  CHECK(number_of(text, 3000) == 1);
  text[2999] = '1';
  CHECK(number_of(text, 3000) == 1.0000000000000002220446049250313);
  text[2999] = '0';
  static const size_t places[] = {799, 800, 801, 802, 900}; /* zeros follow each */
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    text[places[i]] = '1';
    CHECK(number_of(text, 3000) == 1.0000000000000002220446049250313);
    text[places[i]] = '0';
  }
}

/* Needs a locale with a decimal comma. */
static void the_locale_changes_no_number(void)
{
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE",
                                      "pl_PL.utf8"};
  double numbers[sizeof hard_numbers / sizeof hard_numbers[0]];
  size_t count = sizeof hard_numbers / sizeof hard_numbers[0], i = 0;
  for (size_t n = 0; n < count; n++)
    numbers[n] = strtod(hard_numbers[n], NULL);
  while (i < sizeof names / sizeof names[0] && setlocale(LC_ALL, names[i]) == NULL)
    i++;
  for (size_t n = 0; n < count; n++)
    CHECK(same_double(number_of(hard_numbers[n], strlen(hard_numbers[n])), numbers[n]));
  setlocale(LC_ALL, "C");
}

static void positions_are_those_of_the_first_byte(void)
{
  struct uk_json_reader reader;
  char text[] = " { \"a\" : [ 1 , -2.5 ] , \"b\":true } ";
  static const struct {
    enum uk_json_event event;
    size_t position;
  } want[] = {{UK_JSON_OBJECT, 1},   {UK_JSON_KEY, 3},     {UK_JSON_ARRAY, 9},
              {UK_JSON_INTEGER, 11}, {UK_JSON_NUMBER, 15}, {UK_JSON_ARRAY_END, 20},
              {UK_JSON_KEY, 24},     {UK_JSON_TRUE, 28},   {UK_JSON_OBJECT_END, 33},
              {UK_JSON_END, 35}};
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
    CHECK_EQ_INT(uk_json_next(&reader), want[i].event);
    CHECK_EQ_INT(reader.position, want[i].position);
  }
}

static void an_error_is_repeated(void)
{
  struct uk_json_reader reader;
  char text[] = "[1,x,2]";
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  uk_json_next(&reader);
  uk_json_next(&reader);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ERROR);
    CHECK_EQ_INT(reader.error, UK_JSON_E_EXPECTED_VALUE);
    CHECK_EQ_INT(reader.position, 3);
  }
}

static void no_text_is_empty(void)
{
  struct uk_json_reader reader;
  uk_json_reader_init(&reader, NULL, 0, 0);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ERROR);
  CHECK_EQ_INT(reader.error, UK_JSON_E_EMPTY);
  CHECK_EQ_INT(reader.position, 0);
}

static void nesting_has_a_limit(void)
{
  char text[2 * UK_JSON_DEPTH_MAX + 2];
  memset(text, '[', UK_JSON_DEPTH_MAX + 1);
  memset(text + UK_JSON_DEPTH_MAX, ']', UK_JSON_DEPTH_MAX);
  int error;
  size_t position;
  CHECK(json_accepts(text, 2 * UK_JSON_DEPTH_MAX, 0, &error, &position));
  memset(text, '[', UK_JSON_DEPTH_MAX + 1);
  memset(text + UK_JSON_DEPTH_MAX + 1, ']', UK_JSON_DEPTH_MAX + 1);
  CHECK(!json_accepts(text, sizeof text, 0, &error, &position));
  CHECK_EQ_INT(error, UK_JSON_E_DEPTH);
  CHECK_EQ_INT(position, UK_JSON_DEPTH_MAX);
}

/* Reads `levels` nested arrays and objects, alternating; the innermost is empty. */
static bool reads_levels(size_t levels, unsigned flags)
{
  static char text[8 * UK_JSON_DEEP_MAX];
  struct uk_json_reader reader;
  char *at = text;
  for (size_t i = 0; i < levels; i++)
    at = stpcpy(at, i % 3 != 0 ? "[" : i + 1 < levels ? "{\"a\":" : "{");
  for (size_t i = levels; i-- > 0; at++)
    *at = i % 3 != 0 ? ']' : '}';
  uk_json_reader_init(&reader, text, (size_t)(at - text), flags);
  enum uk_json_event event;
  while ((event = uk_json_next(&reader)) != UK_JSON_END)
    if (event == UK_JSON_ERROR) {
      CHECK_EQ_INT(reader.error, UK_JSON_E_DEPTH);
      return false;
    }
  return true;
}

static void deep_nesting_is_read_on_request(void)
{
  CHECK(reads_levels(UK_JSON_DEPTH_MAX, 0));
  CHECK(!reads_levels(UK_JSON_DEPTH_MAX + 1, 0));
  for (size_t levels = 60; levels < 200; levels++)
    CHECK(reads_levels(levels, UK_JSON_DEEP));
  CHECK(reads_levels(UK_JSON_DEEP_MAX, UK_JSON_DEEP));
  CHECK(!reads_levels(UK_JSON_DEEP_MAX + 1, UK_JSON_DEEP));
}

static void any_bytes_are_kept_on_request(void)
{
  static const struct row rows[] = {
    {"\"\xff\"", "\"\xff\" ."},
    {"\"a\xc3\\n\x80\"", "\"a\xc3\n\x80\" ."},
    {"\"\xc3\xa9\xed\xa0\x80\"", "\"\xc3\xa9\xed\xa0\x80\" ."},
  };
  CHECK_ROWS(rows, UK_JSON_ANY_BYTES);
}

/* A closed level does not affect the levels that follow. */
static void kinds_of_levels_are_kept_apart(void)
{
  static const struct row rows[] = {
    {"[{\"a\":[]},[{}],[[]]]", "[ { a: [ ] } [ { } ] [ [ ] ] ] ."},
    {"[{},1]", "[ { } 1 ] ."},
    {"{\"a\":[[]],\"b\":{}}", "{ a: [ [ ] ] b: { } } ."},
    {"[{\"a\":{}},[]}", "[ { a: { } } [ ] !EXPECTED_COMMA@12"},
  };
  CHECK_ROWS(rows, 0);
}

static void skip_skips_a_value(void)
{
  struct uk_json_reader reader;
  char text[] = "{\"a\":[1,{\"b\":[]},\"]\"],\"c\":5,\"d\":{\"e\":{}},\"f\":null}";
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  uk_json_next(&reader);
  CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_ARRAY_END);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_KEY);
  CHECK_EQ_SLICE(reader.string, "c");
  CHECK_EQ_INT(uk_json_skip(&reader, UK_JSON_KEY), UK_JSON_INTEGER);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_KEY);
  CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_OBJECT_END);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_KEY);
  CHECK_EQ_SLICE(reader.string, "f");
  CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_NULL);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_OBJECT_END);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
}

static void skip_skips_the_whole_and_an_empty_value(void)
{
  struct uk_json_reader reader;
  char whole[] = "[[],[[]]] ", empty[] = "[[],7]";
  uk_json_reader_init(&reader, whole, sizeof whole - 1, 0);
  CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_ARRAY_END);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
  uk_json_reader_init(&reader, empty, sizeof empty - 1, 0);
  uk_json_next(&reader);
  CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_ARRAY_END);
  CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_INTEGER);
  CHECK_EQ_INT(reader.integer, 7);
}

static void skip_finds_malformed_json(void)
{
  static const char *const texts[] = {"[1,[2,x]]", "[[1", "{\"a\":[}", "[[\"\xff\"]]"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct uk_json_reader reader;
    char text[20];
    size_t length = strlen(texts[i]);
    memcpy(text, texts[i], length);
    uk_json_reader_init(&reader, text, length, 0);
    CHECK_EQ_INT(uk_json_skip(&reader, uk_json_next(&reader)), UK_JSON_ERROR);
    CHECK(reader.error != UK_JSON_E_NONE);
    CHECK_EQ_INT(uk_json_skip(&reader, UK_JSON_ERROR), UK_JSON_ERROR);
  }
}

/* The text between `{"v":` and `}`, which ends at a guard page. */
static enum uk_json_event take_raw(const char *value, unsigned flags, char **body,
                                   struct uk_json_reader *reader, struct uk_slice *raw)
{
  char text[400];
  snprintf(text, sizeof text, "{\"v\":%s", value);
  *body = guard_copy(text, strlen(text));
  uk_json_reader_init(reader, *body, strlen(text), flags);
  uk_json_next(reader);
  uk_json_next(reader);
  return uk_json_raw(reader, uk_json_next(reader), raw);
}

static void a_raw_value_is_its_bytes_as_sent(void)
{
  static const char *const values[] = {
    "{}",
    "[ ]",
    "{ \"a\" : \"\\u0041\\n\\\\ \\\"\xe2\x82\xac\\u20ac\" ,\t\"a\":[1e3,-0 ,4.20]}",
    "[\"\\ud83d\\ude00\",\"\\ud83d\",\"\\udc00x\"]",
    "[123456789012345678901234567890, 1e999]",
    "4.20",
    "-0",
    "1E+3",
    "true",
    "null",
  };
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    struct uk_json_reader reader;
    struct uk_slice raw;
    char *body;
    enum uk_json_event event =
      take_raw(values[i], UK_JSON_TRAILING_COMMA | UK_JSON_STRICT_SURROGATE, &body, &reader, &raw);
    CHECK(event != UK_JSON_ERROR);
    CHECK_EQ_SLICE(raw, values[i]);
    CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ERROR);
    CHECK_EQ_INT(reader.error, UK_JSON_E_CUT_OFF);
    guard_free(body, strlen(values[i]) + 5);
  }
}

static void a_raw_value_is_plain_json(void)
{
  static const struct {
    const char *value;
    enum uk_json_error error;
    size_t position;
  } cases[] = {
    {"[1,]", UK_JSON_E_TRAILING_COMMA, 7},  {"{\"a\":[{\"b\":1,}]}", UK_JSON_E_TRAILING_COMMA, 17},
    {"[\"\\x\"]", UK_JSON_E_BAD_ESCAPE, 7}, {"[\"\\u12\"]", UK_JSON_E_BAD_UNICODE, 7},
    {"[\"\xff\"]", UK_JSON_E_BAD_UTF8, 7},  {"[\"a\nb\"]", UK_JSON_E_CONTROL, 8},
    {"[01]", UK_JSON_E_BAD_NUMBER, 7},      {"[\"\\u004", UK_JSON_E_CUT_OFF, 12},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct uk_json_reader reader;
    struct uk_slice raw;
    char *body;
    CHECK_EQ_INT(take_raw(cases[i].value, UK_JSON_TRAILING_COMMA, &body, &reader, &raw),
                 UK_JSON_ERROR);
    CHECK_EQ_INT(reader.error, cases[i].error);
    CHECK_EQ_INT(reader.position, cases[i].position);
    guard_free(body, strlen(cases[i].value) + 5);
  }
}

static void after_a_raw_value_escapes_and_commas_are_as_before(void)
{
  char text[] = "[[\"\\n\"],\"\\n\",]";
  struct uk_json_reader reader;
  struct uk_slice raw;
  uk_json_reader_init(&reader, text, sizeof text - 1, UK_JSON_TRAILING_COMMA);
  uk_json_next(&reader);
  CHECK_EQ_INT(uk_json_raw(&reader, uk_json_next(&reader), &raw), UK_JSON_ARRAY_END);
  CHECK_EQ_SLICE(raw, "[\"\\n\"]");
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_STRING);
  CHECK_EQ_SLICE(reader.string, "\n");
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ARRAY_END);
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_END);
}

/* Reads a raw value of that many levels, alternating arrays and objects, at a guard page and inside
 * `outside` arrays. Returns the error. */
static enum uk_json_error take_levels(size_t outside, size_t levels, unsigned flags)
{
  static char text[10 * UK_JSON_DEEP_MAX];
  struct uk_json_reader reader;
  struct uk_slice raw;
  memset(text, '[', outside);
  char *at = text + outside, *start = at;
  for (size_t i = 0; i < levels; i++)
    at = stpcpy(at, i % 3 != 0 ? "[" : i + 1 < levels ? "{\"a\":" : "{");
  for (size_t i = levels; i-- > 0; at++)
    *at = i % 3 != 0 ? ']' : '}';
  const size_t value = (size_t)(at - start), length = outside + value;
  char *body = guard_copy(text, length);
  uk_json_reader_init(&reader, body, length, flags);
  for (size_t i = 0; i < outside; i++)
    CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ARRAY);
  enum uk_json_event event = uk_json_raw(&reader, uk_json_next(&reader), &raw);
  CHECK_EQ_INT(event == UK_JSON_ERROR, reader.error != UK_JSON_E_NONE);
  if (event != UK_JSON_ERROR) {
    CHECK(raw.data == body + outside && raw.length == value);
    CHECK_EQ_INT(reader.depth, outside);
    CHECK_EQ_INT(uk_json_next(&reader), outside > 0 ? UK_JSON_ERROR : UK_JSON_END);
    CHECK_EQ_INT(reader.error, outside > 0 ? UK_JSON_E_CUT_OFF : UK_JSON_E_NONE);
  }
  enum uk_json_error error = event == UK_JSON_ERROR ? reader.error : UK_JSON_E_NONE;
  guard_free(body, length);
  return error;
}

/* The levels around a raw value do not count. */
static void a_raw_value_may_be_nested_to_the_limit(void)
{
  static const size_t outsides[] = {0, 1, 2, UK_JSON_DEPTH_MAX - 1};
  for (size_t i = 0; i < sizeof outsides / sizeof *outsides; i++) {
    for (size_t levels = 60; levels < 70; levels++)
      CHECK_EQ_INT(take_levels(outsides[i], levels, 0), UK_JSON_E_NONE);
    CHECK_EQ_INT(take_levels(outsides[i], UK_JSON_DEEP_MAX, 0), UK_JSON_E_NONE);
    CHECK_EQ_INT(take_levels(outsides[i], UK_JSON_DEEP_MAX + 1, 0), UK_JSON_E_DEPTH);
  }
  const size_t deep = UK_JSON_DEEP_MAX - 1;
  CHECK_EQ_INT(take_levels(deep, UK_JSON_DEEP_MAX, UK_JSON_DEEP), UK_JSON_E_NONE);
  CHECK_EQ_INT(take_levels(deep, UK_JSON_DEEP_MAX + 1, UK_JSON_DEEP), UK_JSON_E_DEPTH);
}

/* Reads the deepest text, truncated at every byte, to its last byte and no further. */
static void a_deep_raw_value_may_end_anywhere(void)
{
  static char text[2 * UK_JSON_DEEP_MAX];
  memset(text, '[', UK_JSON_DEEP_MAX);
  memset(text + UK_JSON_DEEP_MAX, ']', UK_JSON_DEEP_MAX);
  for (size_t length = 1; length < sizeof text; length += 1 + length % 7) {
    struct uk_json_reader reader;
    struct uk_slice raw;
    char *body = guard_copy(text, length);
    uk_json_reader_init(&reader, body, length, 0);
    CHECK_EQ_INT(uk_json_raw(&reader, uk_json_next(&reader), &raw), UK_JSON_ERROR);
    CHECK_EQ_INT(reader.error, UK_JSON_E_CUT_OFF);
    CHECK_EQ_INT(reader.position, length);
    guard_free(body, length);
  }
}

/* After a raw value the limit is that of the text again. */
static void after_a_raw_value_the_depth_is_as_before(void)
{
  char text[2 * UK_JSON_DEPTH_MAX] = "[[],";
  struct uk_json_reader reader;
  struct uk_slice raw;
  enum uk_json_event event;
  memset(text + 4, '[', UK_JSON_DEPTH_MAX);
  uk_json_reader_init(&reader, text, 4 + UK_JSON_DEPTH_MAX, 0);
  uk_json_next(&reader);
  CHECK_EQ_INT(uk_json_raw(&reader, uk_json_next(&reader), &raw), UK_JSON_ARRAY_END);
  while ((event = uk_json_next(&reader)) == UK_JSON_ARRAY)
    continue;
  CHECK_EQ_INT(event, UK_JSON_ERROR);
  CHECK_EQ_INT(reader.error, UK_JSON_E_DEPTH);
  CHECK_EQ_INT(reader.depth, UK_JSON_DEPTH_MAX);
}

/* One guess before each event. `events` has a 'k' for each guess that is right, which replaces the
 * event of the key, and a '-' for each other one. */
static void check_guesses(const char *text, const char *const *guesses, const char *events)
{
  struct uk_json_reader reader;
  char taken[100] = "";
  size_t length = strlen(text);
  char *copy = guard_copy(text, length);
  uk_json_reader_init(&reader, copy, length, 0);
  for (; *guesses != NULL; guesses++) {
    bool right = uk_json_take_key(&reader, uk_slice_text(*guesses));
    strcat(taken, right ? "k" : "-");
    strcat(taken, uk_json_next(&reader) == UK_JSON_ERROR ? "!" : "");
  }
  if (!CHECK_EQ_STR(taken, events))
    fprintf(stderr, "  of %s\n", text);
  guard_free(copy, length);
}

static void a_key_may_be_guessed(void)
{
  static const char *const a_and_b[] = {"", "\"a\":", "\"b\":", "\"c\":", NULL};
  static const char *const no_comma[] = {"", "", "\"b\":", NULL};
  static const char *const second[] = {"", "\"a\":", "\"a\":", NULL};
  check_guesses("{\"a\":1,\"b\":[]}", a_and_b, "-kk-");
  check_guesses("{\"b\":1,\"b\":[]}", a_and_b, "----");
  check_guesses("{ \"a\":1}", a_and_b, "----");
  check_guesses("{\"a\" :1}", a_and_b, "----");
  check_guesses("{\"a\":1 ,\"b\":2}", a_and_b, "-k--");
  check_guesses("{\"a\":1,}", second, "-k-!");
  check_guesses("{\"a\":1\"b\":2}", a_and_b, "-k-!-!");
  check_guesses("[1,\"a\":2]", no_comma, "---");
  check_guesses("[\"a\":2]", second, "---!");
  check_guesses("[\"a\",\"a\":2]", (const char *const[]){"", "\"a\":", "\"a\":", NULL}, "---");
  check_guesses("[{},\"a\":2]", (const char *const[]){"", "", "\"z\":", "\"a\":", NULL}, "----");
  check_guesses("{\"a\":", second, "-k!-!");
  check_guesses("{\"a\"", second, "---!");
  check_guesses("{\"a\":1", second, "-k-!");
  check_guesses("{\"a\":}", second, "-k!-!");
}

static void a_text_that_ends_after_a_guess_is_truncated(void)
{
  struct uk_json_reader reader;
  char text[] = "{\"a\":";
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  uk_json_next(&reader);
  CHECK(uk_json_take_key(&reader, uk_slice_text("\"a\":")));
  CHECK_EQ_INT(uk_json_next(&reader), UK_JSON_ERROR);
  CHECK_EQ_INT(reader.error, UK_JSON_E_CUT_OFF);
  CHECK_EQ_INT(reader.position, 5);
}

static void a_wrong_guess_changes_nothing(void)
{
  struct uk_json_reader reader, before;
  char text[] = "{\"abc\":1,\"d\":2}";
  uk_json_reader_init(&reader, text, sizeof text - 1, 0);
  static const char *const guesses[] = {
    "\"ab\":", "\"abcd\":", "\"abc\" :", "\"d\":", "\"abc\":1,\"d\":2}}"};
  for (int i = 0; i < 4; i++) {
    uk_json_next(&reader);
    before = reader;
    for (size_t g = 0; g < sizeof guesses / sizeof guesses[0]; g++) {
      if (i != 2 || g != 3)
        CHECK(!uk_json_take_key(&reader, uk_slice_text(guesses[g])));
    }
    CHECK(reader.at == before.at && reader.expect == before.expect);
    CHECK(reader.depth == before.depth && reader.position == before.position);
  }
}

static void errors_have_texts(void)
{
  CHECK_EQ_STR(uk_json_error_text(UK_JSON_E_NONE), "nothing");
  CHECK_EQ_STR(uk_json_error_text(UK_JSON_E_CUT_OFF), "the text ends too early");
  CHECK_EQ_STR(uk_json_error_text(UK_JSON_E_TRAILING), "something follows the value");
  CHECK_EQ_STR(uk_json_error_text((enum uk_json_error)(UK_JSON_E_TRAILING + 1)), "nothing");
  CHECK_EQ_STR(uk_json_error_text((enum uk_json_error)1000), "nothing");
  CHECK_EQ_STR(uk_json_error_text((enum uk_json_error) - 1), "nothing");
}

int main(void)
{
  CHECK_RUN(events_come_in_order);
  CHECK_RUN(errors_say_what_and_where);
  CHECK_RUN(a_comma_may_precede_the_closing_bracket);
  CHECK_RUN(escapes_are_decoded);
  CHECK_RUN(strings_are_read_in_place);
  CHECK_RUN(lone_surrogates_become_u_fffd);
  CHECK_RUN(lone_surrogates_are_an_error_when_strict);
  CHECK_RUN(integers_are_exact);
  CHECK_RUN(numbers_are_the_nearest_doubles);
  CHECK_RUN(numbers_may_be_of_any_length);
  CHECK_RUN(a_digit_after_thousands_still_counts);
  CHECK_RUN(the_locale_changes_no_number);
  CHECK_RUN(positions_are_those_of_the_first_byte);
  CHECK_RUN(an_error_is_repeated);
  CHECK_RUN(no_text_is_empty);
  CHECK_RUN(nesting_has_a_limit);
  CHECK_RUN(deep_nesting_is_read_on_request);
  CHECK_RUN(any_bytes_are_kept_on_request);
  CHECK_RUN(kinds_of_levels_are_kept_apart);
  CHECK_RUN(skip_skips_a_value);
  CHECK_RUN(skip_skips_the_whole_and_an_empty_value);
  CHECK_RUN(skip_finds_malformed_json);
  CHECK_RUN(a_raw_value_is_its_bytes_as_sent);
  CHECK_RUN(a_raw_value_is_plain_json);
  CHECK_RUN(after_a_raw_value_escapes_and_commas_are_as_before);
  CHECK_RUN(a_raw_value_may_be_nested_to_the_limit);
  CHECK_RUN(a_deep_raw_value_may_end_anywhere);
  CHECK_RUN(after_a_raw_value_the_depth_is_as_before);
  CHECK_RUN(a_key_may_be_guessed);
  CHECK_RUN(a_text_that_ends_after_a_guess_is_truncated);
  CHECK_RUN(a_wrong_guess_changes_nothing);
  CHECK_RUN(errors_have_texts);
  return check_end();
}
