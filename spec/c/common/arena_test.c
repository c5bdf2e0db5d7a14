/* for: arena.c */
#include <stdalign.h>
#include <stdint.h>

#include "check.h"
#include "common/arena.h"
#include "fault.h"

static bool is_zero(const char *data, size_t length)
{
  for (size_t i = 0; i < length; i++) {
    if (data[i] != 0)
      return false;
  }
  return true;
}

static void memory_is_zeroed_aligned_and_apart(void)
{
  struct uk_arena arena;
  char *pieces[300];
  long live = fault_live();
  uk_arena_init(&arena, 1 << 20);
  for (size_t i = 0; i < 300; i++) {
    pieces[i] = uk_arena_allocate(&arena, i, 1);
    REQUIRE(pieces[i] != NULL);
    CHECK((uintptr_t)pieces[i] % alignof(max_align_t) == 0);
    CHECK(is_zero(pieces[i], i));
    memset(pieces[i], (int)i, i);
  }
  for (size_t i = 1; i < 300; i++)
    CHECK(pieces[i][0] == (char)i && pieces[i][i - 1] == (char)i);
  uk_arena_free(&arena);
  CHECK_EQ_INT(fault_live(), live);
}

static void a_copy_ends_with_a_nul(void)
{
  struct uk_arena arena;
  uk_arena_init(&arena, 10000);
  CHECK_EQ_MEM(uk_arena_copy(&arena, "a\0bX", 3), 4, "a\0b", 4);
  CHECK_EQ_STR(uk_arena_copy(&arena, NULL, 0), "");
  CHECK(uk_arena_copy(&arena, "", SIZE_MAX) == NULL);
  uk_arena_free(&arena);
}

/* A copy keeps its NUL, also when its bytes fill a unit of the arena. */
static void the_nul_of_a_copy_is_its_own(void)
{
  struct uk_arena arena;
  uk_arena_init(&arena, 10000);
  for (size_t length = 0; length < 70; length++) {
    char text[70];
    memset(text, 'a', sizeof text);
    const char *copy = uk_arena_copy(&arena, text, length);
    char *behind = uk_arena_allocate(&arena, 1, 8);
    REQUIRE(copy != NULL && behind != NULL);
    memset(behind, 'b', 8);
    CHECK_EQ_MEM(copy, strlen(copy), text, length);
  }
  uk_arena_free(&arena);
}

static void overflowing_sizes_fail(void)
{
  struct uk_arena arena;
  uk_arena_init(&arena, SIZE_MAX);
  CHECK(uk_arena_allocate(&arena, SIZE_MAX, 2) == NULL);
  CHECK(uk_arena_allocate(&arena, 2, SIZE_MAX) == NULL);
  CHECK(uk_arena_allocate(&arena, SIZE_MAX, 1) == NULL);
  CHECK(uk_arena_allocate(&arena, 1, SIZE_MAX - 16) == NULL);
  CHECK(uk_arena_allocate(&arena, SIZE_MAX / 16 + 1, 16) == NULL);
  CHECK_EQ_INT(arena.used, 0);
  CHECK(uk_arena_allocate(&arena, 0, SIZE_MAX) != NULL);
  CHECK(uk_arena_allocate(&arena, SIZE_MAX, 0) != NULL);
  uk_arena_free(&arena);
}

static void the_limit_holds(void)
{
  for (size_t limit = 0; limit < 20000; limit += 501) {
    struct uk_arena arena;
    size_t got = 0;
    uk_arena_init(&arena, limit);
    while (uk_arena_allocate(&arena, 1, 16) != NULL)
      got += 16;
    CHECK(arena.used <= limit);
    CHECK(got <= arena.used);
    CHECK(limit < 501 || got >= limit / 2);
    uk_arena_free(&arena);
    CHECK_EQ_INT(arena.used, 0);
  }
}

/* The bytes taken from the system for one allocation are a limit that just fits it. */
static void the_limit_suffices_and_one_byte_less_does_not(void)
{
  struct uk_arena arena;
  uk_arena_init(&arena, 1 << 20);
  REQUIRE(uk_arena_allocate(&arena, 1, 500000) != NULL);
  size_t used = arena.used;
  uk_arena_free(&arena);
  uk_arena_init(&arena, used);
  CHECK(uk_arena_allocate(&arena, 1, 500000) != NULL);
  CHECK(uk_arena_allocate(&arena, 1, 1) == NULL);
  uk_arena_free(&arena);
  uk_arena_init(&arena, used - 1);
  CHECK(uk_arena_allocate(&arena, 1, 500000) == NULL);
  CHECK(uk_arena_allocate(&arena, 1, 1) != NULL);
  uk_arena_free(&arena);
}

static void large_allocations_do_not_waste_the_block_of_small_ones(void)
{
  struct uk_arena arena;
  uk_arena_init(&arena, 64 << 20);
  for (int i = 0; i < 100; i++) {
    REQUIRE(uk_arena_allocate(&arena, 1, 300000) != NULL);
    REQUIRE(uk_arena_allocate(&arena, 1, 100) != NULL);
  }
  CHECK(arena.used < 100 * 300000 + 300000);
  uk_arena_free(&arena);
}

static void many_small_ones_cost_few_blocks(void)
{
  struct uk_arena arena;
  uk_arena_init(&arena, 64 << 20);
  fault_off();
  for (int i = 0; i < 100000; i++)
    REQUIRE(uk_arena_allocate(&arena, 1, 64) != NULL);
  CHECK(fault_count() < 50);
  CHECK(arena.used < 8 << 20);
  uk_arena_free(&arena);
}

static void every_allocation_may_fail(void)
{
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_arena arena;
    int failed = 0;
    uk_arena_init(&arena, 1 << 20);
    fault_at(n);
    for (size_t i = 0; i < 100; i++)
      failed += uk_arena_copy(&arena, "0123456789", i % 11) == NULL;
    for (size_t i = 0; i < 20; i++)
      failed += uk_arena_allocate(&arena, i, 1000) == NULL;
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(failed, hit ? 1 : 0);
    CHECK_EQ_STR(uk_arena_copy(&arena, "still works", 11), "still works");
    uk_arena_free(&arena);
    CHECK_EQ_INT(fault_live(), live);
  }
}

static void a_freed_arena_can_be_used_again(void)
{
  struct uk_arena arena;
  long live = fault_live();
  uk_arena_init(&arena, 5000);
  uk_arena_free(&arena);
  CHECK(uk_arena_allocate(&arena, 1, 4000) != NULL);
  uk_arena_free(&arena);
  uk_arena_free(&arena);
  CHECK_EQ_INT(arena.limit, 5000);
  CHECK(uk_arena_allocate(&arena, 1, 4000) != NULL);
  uk_arena_free(&arena);
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(memory_is_zeroed_aligned_and_apart);
  CHECK_RUN(a_copy_ends_with_a_nul);
  CHECK_RUN(the_nul_of_a_copy_is_its_own);
  CHECK_RUN(overflowing_sizes_fail);
  CHECK_RUN(the_limit_holds);
  CHECK_RUN(the_limit_suffices_and_one_byte_less_does_not);
  CHECK_RUN(large_allocations_do_not_waste_the_block_of_small_ones);
  CHECK_RUN(many_small_ones_cost_few_blocks);
  CHECK_RUN(every_allocation_may_fail);
  CHECK_RUN(a_freed_arena_can_be_used_again);
  return check_end();
}
