/* for: json_writer.c, scan.h */
#include "check.h"
#include "common/json_writer.h"
#include "fault.h"

static void check_string(struct uk_slice text, const char *want)
{
  struct uk_buffer buffer;
  char *copy = guard_copy(text.data, text.length);
  uk_buffer_init(&buffer, 10000);
  uk_json_write_string(&buffer, uk_slice_of(copy, text.length));
  CHECK_EQ_INT(buffer.error, UK_OK);
  CHECK_EQ_MEM(buffer.data, buffer.length, want, strlen(want));
  uk_buffer_free(&buffer);
  guard_free(copy, text.length);
}

static void check_text_string(const char *text, const char *want)
{
  check_string(uk_slice_text(text), want);
}

static void plain_text_is_copied(void)
{
  check_text_string("", "\"\"");
  check_text_string("abc", "\"abc\"");
  check_text_string("0123456789abcdef0123456789abcdef!", "\"0123456789abcdef0123456789abcdef!\"");
  check_text_string("/ \x7f", "\"/ \x7f\"");
  check_text_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
                    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
  check_text_string("\xe2\x80\xa8", "\"\xe2\x80\xa8\"");
}

static void no_text_is_an_empty_string(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 10);
  uk_json_write_string(&buffer, uk_slice_of(NULL, 0));
  uk_json_write_base64(&buffer, uk_slice_of(NULL, 0));
  CHECK_EQ_MEM(buffer.data, buffer.length, "\"\"\"\"", 4);
  uk_buffer_free(&buffer);
}

static void quotes_backslashes_and_control_characters_are_escaped(void)
{
  check_text_string("\"\\", "\"\\\"\\\\\"");
  check_text_string("\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
  check_string(uk_slice_of("\0\x01\x1f", 3), "\"\\u0000\\u0001\\u001f\"");
  for (int byte = 0; byte < 0x20; byte++) {
    char text = (char)byte, want[10];
    const char *letter = byte == 0 ? NULL : strchr("\bb\ff\nn\rr\tt", byte);
    if (letter != NULL)
      snprintf(want, sizeof want, "\"\\%c\"", letter[1]);
    else
      snprintf(want, sizeof want, "\"\\u%04x\"", (unsigned)byte);
    check_string(uk_slice_of(&text, 1), want);
  }
}

#define FFFD "\xef\xbf\xbd"

static void each_bad_byte_becomes_u_fffd(void)
{
  check_text_string("\xff", "\"" FFFD "\"");
  check_text_string("a\x80"
                    "b",
                    "\"a" FFFD "b\"");
  check_text_string("\xc3", "\"" FFFD "\"");
  check_text_string("\xc3(", "\"" FFFD "(\"");
  check_text_string("\xe2\x82", "\"" FFFD FFFD "\"");
  check_text_string("\xe2\x82\"", "\"" FFFD FFFD "\\\"\"");
  check_text_string("\xf0\x9f\x98", "\"" FFFD FFFD FFFD "\"");
  check_text_string("\xed\xa0\x80", "\"" FFFD FFFD FFFD "\"");
  check_text_string("\xc0\xaf", "\"" FFFD FFFD "\"");
  check_text_string("\xf4\x90\x80\x80", "\"" FFFD FFFD FFFD FFFD "\"");
  check_text_string("\xc3\xa9\xc3\xc3\xa9", "\"\xc3\xa9" FFFD "\xc3\xa9\"");
}

/* Each special byte at each position around the step widths. */
static void special_bytes_are_found_at_every_position(void)
{
  static const struct {
    char byte;
    const char *escape;
  } rows[] = {{'"', "\\\""}, {'\\', "\\\\"}, {'\n', "\\n"}, {'\x1f', "\\u001f"}, {'\xff', FFFD}};
  for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++) {
    for (size_t length = 1; length < 40; length++) {
      for (size_t at = 0; at < length; at++) {
        char text[40], want[60];
        memset(text, 'x', length);
        text[at] = rows[r].byte;
        snprintf(want, sizeof want, "\"%.*s%s%.*s\"", (int)at, text, rows[r].escape,
                 (int)(length - at - 1), text + at + 1);
        check_string(uk_slice_of(text, length), want);
      }
    }
  }
}

/* A string is refused only when its output exceeds the limit, and then the content is unchanged. */
static void the_limit_suffices_and_one_byte_less_does_not(void)
{
  static const char *const texts[] = {"",
                                      "abc",
                                      "a\nb",
                                      "\x01\x01\x01",
                                      "\xff\xff",
                                      "h\xc3\xa9",
                                      "0123456789abcdef0123456789abcdef\""};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    struct uk_buffer measure, buffer;
    uk_buffer_init(&measure, 1000);
    uk_json_write_string(&measure, uk_slice_text(texts[i]));
    for (size_t less = 0; less <= measure.length; less++) {
      uk_buffer_init(&buffer, measure.length + 1 - less);
      uk_buffer_append_byte(&buffer, '[');
      uk_json_write_string(&buffer, uk_slice_text(texts[i]));
      CHECK_EQ_INT(buffer.error, less == 0 ? UK_OK : UK_E_TOO_LARGE);
      CHECK_EQ_INT(buffer.length, less == 0 ? measure.length + 1 : 1);
      uk_buffer_free(&buffer);
    }
    uk_buffer_free(&measure);
  }
}

static void base64_is_quoted_and_keeps_the_limit(void)
{
  for (size_t limit = 9; limit <= 11; limit++) {
    struct uk_buffer buffer;
    uk_buffer_init(&buffer, limit);
    uk_json_write_base64(&buffer, uk_slice_of("\xff\0fo", 4));
    CHECK_EQ_INT(buffer.error, limit >= 10 ? UK_OK : UK_E_TOO_LARGE);
    if (limit >= 10)
      CHECK_EQ_MEM(buffer.data, buffer.length, "\"/wBmbw==\"", 10);
    uk_buffer_free(&buffer);
  }
}

/* Like a string, without checking UTF-8. */
static void bytes_are_unchanged(void)
{
  static const struct {
    const char *bytes, *want;
  } rows[] = {{"", "\"\""},
              {"abc", "\"abc\""},
              {"\xff", "\"\xff\""},
              {"a\"\xc3\n\x80z\\", "\"a\\\"\xc3\\n\x80z\\\\\""},
              {"\x01/\x7f", "\"\\u0001/\x7f\""},
              {"0123456789abcdef0123456789abcdef\t\xc3\xa9",
               "\"0123456789abcdef0123456789abcdef\\t\xc3\xa9\""}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const size_t length = strlen(rows[i].want);
    for (size_t limit = 0; limit <= length; limit++) {
      struct uk_buffer buffer;
      uk_buffer_init(&buffer, limit);
      uk_json_write_bytes(&buffer, uk_slice_text(rows[i].bytes));
      CHECK_EQ_INT(buffer.error, limit == length ? UK_OK : UK_E_TOO_LARGE);
      CHECK_EQ_MEM(buffer.data, buffer.length, rows[i].want, limit == length ? length : 0);
      uk_buffer_free(&buffer);
    }
  }
}

static void names_are_written_between_quotes(void)
{
  static const struct {
    const char *name, *want;
  } rows[] = {{"", "{\"\":"}, {"abc", "{\"abc\":"}, {"a\n\xff", "{\"a\\n\xff\":"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const size_t length = strlen(rows[i].want);
    for (size_t limit = 0; limit <= length; limit++) {
      struct uk_buffer buffer;
      uk_buffer_init(&buffer, limit);
      uk_json_write_name(&buffer, '{', uk_slice_text(rows[i].name));
      CHECK_EQ_INT(buffer.error, limit == length ? UK_OK : UK_E_TOO_LARGE);
      CHECK_EQ_MEM(buffer.data, buffer.length, rows[i].want, limit == length ? length : 0);
      uk_buffer_free(&buffer);
    }
  }
}

static void check_integer(int64_t value)
{
  struct uk_buffer buffer;
  char want[32];
  uk_buffer_init(&buffer, 20);
  uk_json_write_integer(&buffer, value);
  snprintf(want, sizeof want, "%lld", (long long)value);
  CHECK_EQ_MEM(buffer.data, buffer.length, want, strlen(want));
  uk_buffer_free(&buffer);
}

static void integers_are_written_in_full(void)
{
  for (int64_t value = -1100; value <= 1100; value++)
    check_integer(value);
  for (int64_t value = 1; value <= INT64_MAX / 10; value *= 10) {
    check_integer(value - 1);
    check_integer(value);
    check_integer(value + 1);
    check_integer(-value);
    check_integer(9 * value);
  }
  check_integer(INT64_MAX);
  check_integer(INT64_MIN);
  check_integer(INT64_MIN + 1);
  check_integer(1700000000000);
}

static void integers_keep_the_limit(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 4);
  uk_json_write_integer(&buffer, -123);
  CHECK_EQ_MEM(buffer.data, buffer.length, "-123", 4);
  uk_json_write_integer(&buffer, 0);
  CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
  CHECK_EQ_INT(buffer.length, 4);
  uk_buffer_free(&buffer);
}

/* A failed buffer accepts nothing more: a writer checks once, at the end. */
static void a_failed_buffer_is_unchanged(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 10);
  uk_json_write_string(&buffer, uk_slice_text("abc"));
  uk_json_write_string(&buffer, uk_slice_text("far too long"));
  uk_json_write_string(&buffer, uk_slice_text("d"));
  uk_json_write_integer(&buffer, 1);
  uk_json_write_base64(&buffer, uk_slice_text(""));
  CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
  CHECK_EQ_MEM(buffer.data, buffer.length, "\"abc\"", 5);
  uk_buffer_free(&buffer);
}

static void write_one_of_each(struct uk_buffer *buffer)
{
  char bytes[300];
  memset(bytes, '\n', sizeof bytes);
  uk_json_write_string(buffer, uk_slice_text("plain"));
  uk_json_write_integer(buffer, INT64_MIN);
  uk_json_write_bytes(buffer, uk_slice_text("\xff\n"));
  uk_json_write_string(buffer, uk_slice_of(bytes, sizeof bytes));
  uk_json_write_base64(buffer, uk_slice_of(bytes, sizeof bytes));
}

static void every_allocation_may_fail(void)
{
  long live = fault_live();
  struct uk_buffer whole;
  uk_buffer_init(&whole, 10000);
  write_one_of_each(&whole);
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_buffer buffer;
    uk_buffer_init(&buffer, 10000);
    fault_at(n);
    write_one_of_each(&buffer);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(buffer.error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK(buffer.length <= whole.length && (hit || buffer.length == whole.length));
    CHECK_EQ_MEM(buffer.data, buffer.length, whole.data, buffer.length);
    uk_buffer_free(&buffer);
  }
  uk_buffer_free(&whole);
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(plain_text_is_copied);
  CHECK_RUN(no_text_is_an_empty_string);
  CHECK_RUN(quotes_backslashes_and_control_characters_are_escaped);
  CHECK_RUN(each_bad_byte_becomes_u_fffd);
  CHECK_RUN(special_bytes_are_found_at_every_position);
  CHECK_RUN(the_limit_suffices_and_one_byte_less_does_not);
  CHECK_RUN(base64_is_quoted_and_keeps_the_limit);
  CHECK_RUN(bytes_are_unchanged);
  CHECK_RUN(names_are_written_between_quotes);
  CHECK_RUN(integers_are_written_in_full);
  CHECK_RUN(integers_keep_the_limit);
  CHECK_RUN(a_failed_buffer_is_unchanged);
  CHECK_RUN(every_allocation_may_fail);
  return check_end();
}
