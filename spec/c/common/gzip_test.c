/* for: gzip.c */
#include "common/gzip.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <zlib.h>

#include "check.h"
#include "fault.h"

enum { TEXT = 200000 };

/* A compressible text of several different bytes. */
static char *make_text(void)
{
  char *text = malloc(TEXT);
  for (size_t i = 0; i < TEXT; i++)
    text[i] = (char)('a' + i * i / 7 % 11);
  return text;
}

static void survives_a_round_trip(void)
{
  char *text = make_text();
  for (size_t length = 0; length <= TEXT; length = length * 3 + 1) {
    struct uk_buffer packed, plain;
    uk_buffer_init(&packed, TEXT * 2);
    uk_buffer_init(&plain, length > 0 ? length : 1);
    CHECK_EQ_INT(uk_gzip(&packed, uk_slice_of(text, length)), UK_OK);
    CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_OK);
    CHECK_EQ_MEM(plain.data, plain.length, text, length);
    uk_buffer_free(&packed);
    uk_buffer_free(&plain);
  }
  free(text);
}

static void stops_one_past_the_limit(void)
{
  char *text = make_text();
  struct uk_buffer packed, plain;
  uk_buffer_init(&packed, TEXT * 2);
  CHECK_EQ_INT(uk_gzip(&packed, uk_slice_of(text, TEXT)), UK_OK);
  uk_buffer_init(&plain, TEXT);
  CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_OK);
  uk_buffer_free(&plain);
  uk_buffer_init(&plain, TEXT - 1);
  CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_E_TOO_LARGE);
  uk_buffer_free(&plain);
  uk_buffer_free(&packed);
  free(text);
}

static void refuses_every_prefix(void)
{
  char *text = make_text();
  struct uk_buffer packed;
  uk_buffer_init(&packed, TEXT);
  CHECK_EQ_INT(uk_gzip(&packed, uk_slice_of(text, 3000)), UK_OK);
  for (size_t length = 1; length < packed.length; length++) {
    struct uk_buffer plain;
    char *copy = guard_copy(packed.data, length);
    uk_buffer_init(&plain, TEXT);
    CHECK_EQ_INT(uk_gunzip(&plain, uk_slice_of(copy, length)), UK_E_BAD_REQUEST);
    uk_buffer_free(&plain);
    guard_free(copy, length);
  }
  uk_buffer_free(&packed);
  free(text);
}

static void refuses_damaged_data(void)
{
  char *text = make_text();
  struct uk_buffer packed, plain;
  uk_buffer_init(&packed, TEXT);
  uk_gzip(&packed, uk_slice_of(text, 3000));
  uk_buffer_init(&plain, TEXT);
  packed.data[packed.length - 6] ^= 1; /* in the checksum */
  CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_gunzip(&plain, uk_slice_text("{\"value\":\"plain\"}")), UK_E_BAD_REQUEST);
  uk_buffer_free(&plain);
  uk_buffer_free(&packed);
  free(text);
}

static void accepts_nothing_after_the_last_member(void)
{
  static const char bytes[] = {'x', '\0', '\x1f'};
  for (size_t i = 0; i < sizeof bytes; i++) {
    struct uk_buffer packed, plain;
    uk_buffer_init(&packed, TEXT);
    uk_buffer_init(&plain, TEXT);
    uk_gzip(&packed, uk_slice_text("text"));
    uk_buffer_append_byte(&packed, bytes[i]);
    CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_E_BAD_REQUEST);
    uk_buffer_free(&packed);
    uk_buffer_free(&plain);
  }
}

/* Compressed by zlib, with copies of bytes as far back as gzip allows. */
static void unpacks_the_largest_window(void)
{
  enum { BACK = 32768 - 262, LENGTH = 3 * BACK }; /* the farthest that deflate looks back */
  static unsigned char text[LENGTH], packed[2 * LENGTH];
  struct uk_buffer plain;
  z_stream stream = {0};
  uint32_t number = 1;
  for (size_t i = 0; i < LENGTH; i++, number = number * 1664525 + 1013904223)
    text[i] = i < BACK ? (unsigned char)(number >> 24) : text[i - BACK];
  CHECK_EQ_INT(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = text;
  stream.avail_in = LENGTH;
  stream.next_out = packed;
  stream.avail_out = sizeof packed;
  CHECK_EQ_INT(deflate(&stream, Z_FINISH), Z_STREAM_END);
  CHECK(stream.total_out < 2 * BACK); /* the copies were found */
  uk_buffer_init(&plain, LENGTH);
  CHECK_EQ_INT(uk_gunzip(&plain, uk_slice_of((const char *)packed, stream.total_out)), UK_OK);
  CHECK_EQ_MEM(plain.data, plain.length, (const char *)text, LENGTH);
  deflateEnd(&stream);
  uk_buffer_free(&plain);
}

static size_t allocated(void)
{
  const struct mallinfo2 all = mallinfo2();
  return all.uordblks + all.hblkhd;
}

/* The memory of zlib, which the failing allocator does not count: on every way out. */
static void frees_all_memory(void)
{
  char *text = make_text();
  struct uk_buffer packed, plain, narrow, good;
  size_t before = 0;
  uk_buffer_init(&packed, TEXT * 2);
  uk_buffer_init(&plain, TEXT);
  uk_buffer_init(&narrow, 10);
  uk_buffer_init(&good, TEXT * 2);
  uk_gzip(&good, uk_slice_of(text, TEXT));
  for (int i = 0; i < 20; i++) {
    if (i == 1)
      before = allocated();
    CHECK_EQ_INT(uk_gzip(&packed, uk_slice_of(text, TEXT)), UK_OK);
    CHECK(uk_gzip(&narrow, uk_slice_of(text, TEXT)) != UK_OK);
    CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&good)), UK_OK);
    CHECK_EQ_INT(uk_gunzip(&plain, uk_slice_of(good.data, 20)), UK_E_BAD_REQUEST);
    uk_buffer_clear(&packed);
    uk_buffer_clear(&plain);
    uk_buffer_clear(&narrow);
  }
  CHECK(allocated() < before + 4096);
  uk_buffer_free(&packed);
  uk_buffer_free(&plain);
  uk_buffer_free(&narrow);
  uk_buffer_free(&good);
  free(text);
}

static void accepts_several_members(void)
{
  struct uk_buffer packed, plain;
  uk_buffer_init(&packed, TEXT);
  uk_gzip(&packed, uk_slice_text("one, "));
  uk_gzip(&packed, uk_slice_text("two"));
  uk_buffer_init(&plain, TEXT);
  CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_OK);
  CHECK_EQ_SLICE(uk_buffer_slice(&plain), "one, two");
  uk_buffer_clear(&plain);
  uk_buffer_append_text(&packed, "and junk");
  CHECK_EQ_INT(uk_gunzip(&plain, uk_buffer_slice(&packed)), UK_E_BAD_REQUEST);
  uk_buffer_free(&packed);
  uk_buffer_free(&plain);
}

/* zlib counts in 32 bits. No byte of them is looked at. */
static void more_bytes_than_zlib_counts_are_refused(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, TEXT);
  CHECK_EQ_INT(uk_gzip(&buffer, uk_slice_of("", (size_t)UINT32_MAX + 1)), UK_E_TOO_LARGE);
  CHECK_EQ_INT(uk_gunzip(&buffer, uk_slice_of("", (size_t)UINT32_MAX + 1)), UK_E_TOO_LARGE);
  CHECK_EQ_INT(buffer.length, 0);
  uk_buffer_free(&buffer);
}

static bool is_accepted(const char *text)
{
  const size_t length = strlen(text);
  char *copy = guard_copy(text, length);
  const bool accepted = uk_gzip_accepted(uk_slice_of(copy, length));
  guard_free(copy, length);
  return accepted;
}

static void reads_accept_encoding(void)
{
  static const char *const yes[] = {
    "gzip",         "GZIP",           "deflate, gzip", "gzip;q=0.5", "*", "br;q=1.0, gzip;q=0.001",
    " gzip ; q=1 ", "identity;q=0,*",

    "\tgzip",       "*;q=0.1",        "a,gzip"};
  static const char *const no[] = {"",       "deflate", "gzip;q=0",  "gzip; q=0.000", "gzipped",
                                   "x-gzip", "gzix",    "gzip;q=0.", "gzi",           " ",
                                   "q",      ",,;",     "*;q=0",     "gzip;Q=0"};
  for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
    CHECK(is_accepted(yes[i]));
  for (size_t i = 0; i < sizeof no / sizeof *no; i++)
    CHECK(!is_accepted(no[i]));
  CHECK(!uk_gzip_accepted((struct uk_slice){0}));
}

static void survives_every_failing_allocation(void)
{
  long hit = 1;
  long before = fault_live();
  for (long n = 1; hit != 0; n++) {
    struct uk_buffer packed, plain;
    uk_buffer_init(&packed, TEXT);
    uk_buffer_init(&plain, TEXT);
    fault_at(n);
    enum uk_error error = uk_gzip(&packed, uk_slice_text("some text"));
    if (error == UK_OK)
      error = uk_gunzip(&plain, uk_buffer_slice(&packed));
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    uk_buffer_free(&packed);
    uk_buffer_free(&plain);
  }
  CHECK_EQ_INT(fault_live(), before);
}

int main(void)
{
  CHECK_RUN(survives_a_round_trip);
  CHECK_RUN(stops_one_past_the_limit);
  CHECK_RUN(refuses_every_prefix);
  CHECK_RUN(refuses_damaged_data);
  CHECK_RUN(accepts_nothing_after_the_last_member);
  CHECK_RUN(unpacks_the_largest_window);
  CHECK_RUN(frees_all_memory);
  CHECK_RUN(accepts_several_members);
  CHECK_RUN(more_bytes_than_zlib_counts_are_refused);
  CHECK_RUN(reads_accept_encoding);
  CHECK_RUN(survives_every_failing_allocation);
  return check_end();
}
