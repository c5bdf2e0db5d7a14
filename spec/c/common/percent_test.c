/* for: percent.c, hex.h */
#include "check.h"
#include "common/percent.h"
#include "fault.h"

static void check_encode(struct uk_slice bytes, const char *want)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 1000);
  uk_percent_encode(&buffer, bytes);
  CHECK_EQ_INT(buffer.error, UK_OK);
  CHECK_EQ_MEM(buffer.data, buffer.length, want, strlen(want));
  uk_buffer_free(&buffer);
}

static void unreserved_characters_are_unchanged(void)
{
  static const char text[] = "ABCXYZabcxyz0189-._~";
  check_encode(uk_slice_text(text), text);
  check_encode(uk_slice_text(""), "");
  check_encode(uk_slice_of(NULL, 0), "");
}

static void everything_else_is_escaped(void)
{
  check_encode(uk_slice_text("a b/c?d=e&f+g%h"), "a%20b%2Fc%3Fd%3De%26f%2Bg%25h");
  check_encode(uk_slice_text("h\xc3\xa9"), "h%C3%A9");
  check_encode(uk_slice_of("\0\xff", 2), "%00%FF");
  check_encode(uk_slice_text("%2F"), "%252F");
  for (int byte = 0; byte < 256; byte++) {
    char text = (char)byte, want[4];
    bool stays = byte != 0 && strchr("-._~", byte) != NULL;
    stays = stays || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') ||
            (byte >= 'a' && byte <= 'z');
    if (byte == '.')
      continue;
    snprintf(want, sizeof want, stays ? "%c" : "%%%02X", (unsigned)byte);
    check_encode(uk_slice_of(&text, 1), want);
  }
}

/* HTTP software removes these two segments from a path. */
static void dot_segments_are_escaped(void)
{
  check_encode(uk_slice_text("."), "%2E");
  check_encode(uk_slice_text(".."), "%2E%2E");
  check_encode(uk_slice_text("..."), "...");
  check_encode(uk_slice_text(".a"), ".a");
  check_encode(uk_slice_text("a."), "a.");
  check_encode(uk_slice_text("a..b"), "a..b");
}

static void encoding_appends_and_keeps_the_limit(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 8);
  uk_buffer_append_text(&buffer, "/a/");
  uk_percent_encode(&buffer, uk_slice_text("b/c"));
  CHECK_EQ_INT(buffer.error, UK_OK);
  CHECK_EQ_MEM(buffer.data, buffer.length, "/a/b%2Fc", 8);
  uk_buffer_clear(&buffer);
  uk_percent_encode(&buffer, uk_slice_text("abc//"));
  CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
  CHECK(buffer.length <= 8);
  uk_buffer_free(&buffer);
}

static void every_allocation_may_fail(void)
{
  long live = fault_live();
  char text[300];
  memset(text, ' ', sizeof text);
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_buffer buffer;
    uk_buffer_init(&buffer, 1000);
    fault_at(n);
    uk_percent_encode(&buffer, uk_slice_of(text, sizeof text));
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(buffer.error, hit ? UK_E_NO_MEMORY : UK_OK);
    uk_buffer_free(&buffer);
    CHECK_EQ_INT(fault_live(), live);
  }
}

/* `want` is NULL for a text that must be refused. */
static void check_decode(const char *text, const char *want, size_t want_length)
{
  size_t length = strlen(text);
  char *copy = guard_copy(text, length);
  size_t decoded = length;
  bool ok = uk_percent_decode(copy, &decoded);
  if (!CHECK(ok == (want != NULL)))
    fprintf(stderr, "  %s\n", text);
  if (want != NULL && ok)
    CHECK_EQ_MEM(copy, decoded, want, want_length);
  guard_free(copy, length);
}

static void escapes_are_decoded_once(void)
{
  check_decode("", "", 0);
  check_decode("abc", "abc", 3);
  check_decode("a%20b", "a b", 3);
  check_decode("%2f%2F", "//", 2);
  check_decode("%252F", "%2F", 3);
  check_decode("%00%ff%Ff", "\0\xff\xff", 3);
  check_decode("a+b", "a+b", 3);
  check_decode("%2Babc%2B", "+abc+", 5);
  check_decode("%2E%2e", "..", 2);
}

static void a_plus_in_a_query_is_a_space(void)
{
  char text[] = "+a+%2B%20+";
  size_t length = sizeof text - 1;
  CHECK(uk_percent_decode_query(text, &length));
  CHECK_EQ_MEM(text, length, " a +  ", 6);
  char bad[] = "a+%2";
  length = sizeof bad - 1;
  CHECK(!uk_percent_decode_query(bad, &length));
}

static void bad_escapes_are_refused(void)
{
  static const char *const texts[] = {"%",   "a%",   "%a",   "%2",  "a%2", "%zz",   "%g0",
                                      "%0g", "%%20", "%2%0", "%-1", "% 1", "%+1",   "%0x1",
                                      "%:0", "%@0",  "%/0",  "%`0", "%0G", "%u0041"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    check_decode(texts[i], NULL, 0);
}

static void every_byte_survives_a_round_trip(void)
{
  for (size_t length = 0; length <= 256; length++) {
    char bytes[256];
    for (size_t i = 0; i < length; i++)
      bytes[i] = (char)(i + length);
    struct uk_buffer buffer;
    uk_buffer_init(&buffer, 1000);
    uk_percent_encode(&buffer, uk_slice_of(bytes, length));
    size_t decoded = buffer.length;
    CHECK(uk_percent_decode(buffer.data, &decoded));
    CHECK_EQ_MEM(buffer.data, decoded, bytes, length);
    uk_buffer_free(&buffer);
  }
}

int main(void)
{
  CHECK_RUN(unreserved_characters_are_unchanged);
  CHECK_RUN(everything_else_is_escaped);
  CHECK_RUN(dot_segments_are_escaped);
  CHECK_RUN(encoding_appends_and_keeps_the_limit);
  CHECK_RUN(every_allocation_may_fail);
  CHECK_RUN(escapes_are_decoded_once);
  CHECK_RUN(a_plus_in_a_query_is_a_space);
  CHECK_RUN(bad_escapes_are_refused);
  CHECK_RUN(every_byte_survives_a_round_trip);
  return check_end();
}
