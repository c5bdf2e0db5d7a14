/* for: buffer.c, slice.h */
#include <stdint.h>
#include <stdlib.h>

#include "check.h"
#include "common/buffer.h"
#include "fault.h"

static void a_new_buffer_is_empty(void)
{
  struct uk_buffer buffer;
  long live = fault_live();
  fault_off();
  uk_buffer_init(&buffer, 100);
  CHECK(buffer.data == NULL);
  CHECK_EQ_INT(buffer.length, 0);
  CHECK_EQ_INT(buffer.limit, 100);
  CHECK_EQ_INT(uk_buffer_slice(&buffer).length, 0);
  CHECK_EQ_INT(uk_buffer_append(&buffer, NULL, 0), UK_OK);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, ""), UK_OK);
  CHECK_EQ_INT(fault_count(), 0);
  uk_buffer_free(&buffer);
  CHECK_EQ_INT(fault_live(), live);
}

static void appends_follow_each_other(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 1000);
  CHECK_EQ_INT(uk_buffer_append(&buffer, "a\0b", 3), UK_OK);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "cd"), UK_OK);
  CHECK_EQ_INT(uk_buffer_append_byte(&buffer, '\xff'), UK_OK);
  CHECK_EQ_MEM(buffer.data, buffer.length, "a\0bcd\xff", 6);
  struct uk_slice slice = uk_buffer_slice(&buffer);
  CHECK(slice.data == buffer.data);
  CHECK_EQ_INT(slice.length, 6);
  uk_buffer_free(&buffer);
}

static void growing_keeps_the_content_and_the_invariants(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 100000);
  fault_off();
  for (size_t i = 0; i < 100000; i++) {
    REQUIRE(uk_buffer_append_byte(&buffer, (char)(i * 7)) == UK_OK);
    REQUIRE(buffer.length == i + 1 && buffer.length <= buffer.capacity);
    REQUIRE(buffer.capacity <= buffer.limit);
  }
  CHECK(fault_count() < 20);
  bool same = true;
  for (size_t i = 0; i < buffer.length; i++)
    same = same && buffer.data[i] == (char)(i * 7);
  CHECK(same);
  uk_buffer_free(&buffer);
}

static void the_limit_is_accepted_and_one_more_byte_is_not(void)
{
  const size_t limits[] = {0, 1, 2, 63, 64, 65, 127, 128, 129, 1000};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct uk_buffer buffer;
    uk_buffer_init(&buffer, limits[i]);
    for (size_t n = 0; n < limits[i]; n++)
      CHECK_EQ_INT(uk_buffer_append_byte(&buffer, 'x'), UK_OK);
    CHECK_EQ_INT(buffer.length, limits[i]);
    CHECK_EQ_INT(uk_buffer_append_byte(&buffer, 'y'), UK_E_TOO_LARGE);
    CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
    CHECK_EQ_INT(buffer.length, limits[i]);
    CHECK(limits[i] == 0 || buffer.data[limits[i] - 1] == 'x');
    uk_buffer_free(&buffer);
  }
}

static void one_append_of_the_limit_is_accepted_and_one_more_byte_is_not(void)
{
  struct uk_buffer buffer;
  char bytes[301] = {0};
  uk_buffer_init(&buffer, 300);
  CHECK_EQ_INT(uk_buffer_append(&buffer, bytes, 301), UK_E_TOO_LARGE);
  CHECK(buffer.data == NULL);
  uk_buffer_clear(&buffer);
  CHECK_EQ_INT(uk_buffer_append(&buffer, bytes, 300), UK_OK);
  uk_buffer_free(&buffer);
}

static void sizes_near_the_largest_do_not_overflow(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, SIZE_MAX);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "abc"), UK_OK);
  CHECK(uk_buffer_reserve(&buffer, SIZE_MAX - 2) == NULL);
  CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
  uk_buffer_clear(&buffer);
  fault_at(1);
  CHECK(uk_buffer_reserve(&buffer, SIZE_MAX - 3) == NULL);
  CHECK_EQ_INT(buffer.error, UK_E_NO_MEMORY);
  fault_off();
  uk_buffer_free(&buffer);
}

static void the_first_error_stays(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 4);
  uk_buffer_append_text(&buffer, "abc");
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "de"), UK_E_TOO_LARGE);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "d"), UK_E_TOO_LARGE);
  CHECK_EQ_INT(uk_buffer_append(&buffer, NULL, 0), UK_E_TOO_LARGE);
  CHECK(uk_buffer_reserve(&buffer, 0) == NULL);
  CHECK(uk_buffer_text(&buffer) == NULL);
  fault_at(1);
  CHECK(uk_buffer_reserve(&buffer, 1) == NULL);
  fault_off();
  CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
  CHECK_EQ_MEM(buffer.data, buffer.length, "abc", 3);
  uk_buffer_free(&buffer);
}

static void clear_drops_content_and_error_and_keeps_memory(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 100);
  uk_buffer_append_text(&buffer, "abc");
  uk_buffer_reserve(&buffer, 1000);
  char *data = buffer.data;
  uk_buffer_clear(&buffer);
  CHECK_EQ_INT(buffer.error, UK_OK);
  CHECK_EQ_INT(buffer.length, 0);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "x"), UK_OK);
  CHECK(buffer.data == data);
  uk_buffer_free(&buffer);
}

static void free_leaves_a_usable_buffer(void)
{
  struct uk_buffer buffer;
  long live = fault_live();
  uk_buffer_init(&buffer, 10);
  uk_buffer_append_text(&buffer, "abc");
  uk_buffer_append_text(&buffer, "more than ten bytes");
  uk_buffer_free(&buffer);
  CHECK(buffer.data == NULL);
  CHECK_EQ_INT(buffer.error, UK_OK);
  CHECK_EQ_INT(buffer.limit, 10);
  CHECK_EQ_INT(fault_live(), live);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "abc"), UK_OK);
  uk_buffer_free(&buffer);
  uk_buffer_free(&buffer);
  CHECK_EQ_INT(fault_live(), live);
}

static void reserved_bytes_count_after_commit(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 100);
  uk_buffer_append_text(&buffer, "ab");
  char *room = uk_buffer_reserve(&buffer, 98);
  REQUIRE(room != NULL);
  memcpy(room, "cdef", 4);
  CHECK_EQ_INT(buffer.length, 2);
  uk_buffer_commit(&buffer, 3);
  CHECK_EQ_MEM(buffer.data, buffer.length, "abcde", 5);
  uk_buffer_free(&buffer);
}

/* NULL means failure, so reserving no bytes returns a pointer too. */
static void reserving_nothing_returns_a_pointer(void)
{
  const size_t limits[] = {0, 1, 100};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
    struct uk_buffer buffer;
    uk_buffer_init(&buffer, limits[i]);
    CHECK(uk_buffer_reserve(&buffer, 0) != NULL);
    CHECK(uk_buffer_reserve(&buffer, 0) != NULL);
    CHECK_EQ_INT(buffer.error, UK_OK);
    CHECK(buffer.capacity <= buffer.limit);
    uk_buffer_free(&buffer);
  }
}

static void text_ends_with_a_nul_that_does_not_count(void)
{
  struct uk_buffer buffer;
  uk_buffer_init(&buffer, 4);
  CHECK_EQ_STR(uk_buffer_text(&buffer), "");
  uk_buffer_append_text(&buffer, "abc");
  CHECK_EQ_STR(uk_buffer_text(&buffer), "abc");
  CHECK_EQ_INT(buffer.length, 3);
  uk_buffer_append_text(&buffer, "d");
  CHECK_EQ_INT(buffer.error, UK_OK);
  CHECK(uk_buffer_text(&buffer) == NULL);
  CHECK_EQ_INT(buffer.error, UK_E_TOO_LARGE);
  uk_buffer_free(&buffer);
}

static void take_hands_over_the_memory(void)
{
  struct uk_buffer buffer;
  size_t length = 77;
  long live = fault_live();
  uk_buffer_init(&buffer, 10);
  CHECK(uk_buffer_take(&buffer, &length) == NULL);
  CHECK_EQ_INT(length, 0);
  uk_buffer_append_text(&buffer, "abc");
  char *data = uk_buffer_take(&buffer, &length);
  CHECK_EQ_MEM(data, length, "abc", 3);
  CHECK(buffer.data == NULL && buffer.length == 0 && buffer.capacity == 0);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "defghijklm"), UK_OK);
  CHECK_EQ_INT(uk_buffer_append_text(&buffer, "n"), UK_E_TOO_LARGE);
  free(data);
  uk_buffer_free(&buffer);
  CHECK_EQ_INT(fault_live(), live);
}

/* Whichever allocation fails, the content stays, and the error stays until the buffer is
 * cleared. */
static void every_allocation_may_fail(void)
{
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_buffer buffer;
    char text[500];
    size_t written = 0;
    uk_buffer_init(&buffer, sizeof text);
    fault_at(n);
    for (size_t i = 0; i < sizeof text; i++) {
      text[i] = (char)('a' + i % 26);
      written += uk_buffer_append_byte(&buffer, text[i]) == UK_OK;
    }
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(buffer.error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK_EQ_MEM(buffer.data, buffer.length, text, written);
    CHECK_EQ_INT(uk_buffer_append_byte(&buffer, 'x'), hit ? UK_E_NO_MEMORY : UK_E_TOO_LARGE);
    uk_buffer_clear(&buffer);
    CHECK_EQ_INT(uk_buffer_append_text(&buffer, "again"), UK_OK);
    uk_buffer_free(&buffer);
    CHECK_EQ_INT(fault_live(), live);
  }
}

int main(void)
{
  CHECK_RUN(a_new_buffer_is_empty);
  CHECK_RUN(appends_follow_each_other);
  CHECK_RUN(growing_keeps_the_content_and_the_invariants);
  CHECK_RUN(the_limit_is_accepted_and_one_more_byte_is_not);
  CHECK_RUN(one_append_of_the_limit_is_accepted_and_one_more_byte_is_not);
  CHECK_RUN(sizes_near_the_largest_do_not_overflow);
  CHECK_RUN(the_first_error_stays);
  CHECK_RUN(clear_drops_content_and_error_and_keeps_memory);
  CHECK_RUN(free_leaves_a_usable_buffer);
  CHECK_RUN(reserved_bytes_count_after_commit);
  CHECK_RUN(reserving_nothing_returns_a_pointer);
  CHECK_RUN(text_ends_with_a_nul_that_does_not_count);
  CHECK_RUN(take_hands_over_the_memory);
  CHECK_RUN(every_allocation_may_fail);
  return check_end();
}
