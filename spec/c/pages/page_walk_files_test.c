/* for: page_walk.c
 *
 * Meta pages, free pages and the reading of a file that is made page by page. */
#undef _FORTIFY_SOURCE /* its pread is inline */
#include "server/log_engine/pages/page_walk.h"

#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "page_made.h"

/* Reads of the file stop short, are interrupted, or fail at a page. */
static struct {
  bool interrupted;
  size_t most;
  uint64_t failing;
} reads;

__attribute__((visibility("default"))) ssize_t pread(int fd, void *buffer, size_t length, off_t at)
{
  if (reads.most > 0) {
    reads.interrupted = !reads.interrupted;
    errno = EINTR;
    if (reads.interrupted)
      return -1;
    length = length < reads.most ? length : reads.most;
  }
  if (reads.failing > 0 && (uint64_t)at / made_size == reads.failing) {
    errno = EIO;
    return -1;
  }
  return (ssize_t)syscall(SYS_pread64, fd, buffer, length, at);
}

/* What a build with _FORTIFY_SOURCE calls instead. */
ssize_t __pread_chk(int fd, void *buffer, size_t length, off_t at, size_t size);
__attribute__((visibility("default"))) ssize_t __pread_chk(int fd, void *buffer, size_t length,
                                                           off_t at, size_t size)
{
  (void)size;
  return pread(fd, buffer, length, at);
}

static void progress_is_told_from_time_to_time(void)
{
  enum { MANY = 1100 };
  static uint64_t list[1 + MANY];
  made_usual();
  list[0] = MANY;
  for (uint64_t i = 0; i < MANY; i++)
    list[1 + i] = 20 + i;
  made_page_begin(9, UK_PAGE_LEAF);
  uint64_t transaction = 1;
  uint8_t *data =
    made_add(9, uk_slice_of((const char *)&transaction, 8), sizeof list | UINT64_C(1) << 32, 8);
  made_u64(data, 10);
  made_page_begin(10, UK_PAGE_OVERFLOW);
  made_u32(made_page(10) + 12, 3);
  memcpy(made_page(10) + UK_PAGE_HEADER, list, sizeof list);
  made_free.overflow_pages = 3;
  made_last_page = 1200;
  made_meta(0);
  made_meta(1);
  CHECK_EQ_INT(made_walk(13 * made_size, NULL, false), UK_OK);
  CHECK_EQ_INT(made_found.faults, 0);
  CHECK_EQ_INT(made_found.calls, 2);
  CHECK_EQ_INT(made_found.first_call, 1024);
  CHECK_EQ_INT(made_found.first_all, 1201);
  CHECK_EQ_INT(made_found.visited, 8 + 3 + MANY);
  CHECK_EQ_INT(made_found.all, 1201);
}

/* Free pages. */

static void a_list_of_free_pages_is_as_long_as_it_says(void)
{
  static const struct {
    uint64_t list[3];
    size_t length;
    uint64_t page;
    const char *problem;
  } cases[] = {{{1, 10, 0}, 16, 0, ""},
               {{1, 10, 0}, 24, 0, ""}, /* room that is not used */
               {{0, 0, 0}, 8, 0, ""},
               {{2, 10, 10}, 16, 9, "has an impossible list of free pages"},
               {{1, 10, 0}, 8, 9, "has an impossible list of free pages"},
               {{1, 10, 0}, 20, 9, "has an impossible list of free pages"},
               {{0, 0, 0}, 0, 9, "has an impossible list of free pages"},
               {{UINT64_MAX, 10, 0}, 24, 9, "has an impossible list of free pages"},
               {{2, 10, 10}, 24, 10, "is used twice"},
               {{2, 10, 11}, 24, 11, OUTSIDE},
               {{1, 1, 0}, 24, 1, OUTSIDE}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    made_usual();
    made_page_begin(9, UK_PAGE_LEAF);
    made_free_list(1, cases[i].list, cases[i].length);
    made_walk_all();
    if (!CHECK_EQ_INT(made_found.page, cases[i].page) ||
        !CHECK_EQ_STR(made_found.text, cases[i].problem) || !CHECK_EQ_STR(made_found.table, ""))
      fprintf(stderr, "  case %zu\n", i);
  }
}

/* Their keys are numbers in the order of the machine. */
static void transactions_of_free_pages_ascend(void)
{
  static const uint64_t none = 0, list[] = {1, 10};
  for (int swapped = 0; swapped < 2; swapped++) {
    made_usual();
    made_page_begin(9, UK_PAGE_LEAF);
    made_free.entries = 2;
    made_free_list(swapped ? 256 : 1, &none, sizeof none);
    made_free_list(swapped ? 1 : 256, list, sizeof list);
    if (swapped)
      made_check_fault(9, "", OUT_OF_ORDER);
    else
      made_check_whole();
  }
}

/* Meta pages. */

static void the_later_transaction_counts(void)
{
  static const struct {
    uint64_t first, second;
    int counts;
    const char *problem;
  } cases[] = {{0, 0, 0, ""},
               {2, 1, 0, ""},
               {2, 3, 1, ""},
               {0, 1, 1, ""},
               {1, 2, 1, "has an impossible transaction"},
               {3, 2, 0, "has an impossible transaction"},
               {2, 2, 0, "has an impossible transaction"},
               {4, 1, 0, "has an impossible transaction"},
               {2, 5, 1, "has an impossible transaction"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    made_usual();
    made_transactions[0] = cases[i].first;
    made_transactions[1] = cases[i].second;
    for (int number = 0; number < 2; number++) {
      made_tables.root = number == cases[i].counts ? 2 : UK_PAGE_NONE;
      made_tables.depth = number == cases[i].counts;
      made_meta((uint64_t)number);
    }
    CHECK_EQ_INT(made_walk((MADE_LAST + 1) * made_size, NULL, true), UK_OK);
    if (!CHECK_EQ_STR(made_found.text, cases[i].problem) ||
        !CHECK(strstr(made_found.rows, "a=1") != NULL))
      fprintf(stderr, "  case %zu\n", i);
    if (cases[i].problem[0] != '\0')
      CHECK_EQ_INT(made_found.page, cases[i].first > cases[i].second ? 0 : 1);
  }
}

static void a_second_meta_page_of_another_size_does_not_count(void)
{
  made_usual();
  made_transactions[1] = 3;
  made_meta(0);
  made_free.page_size = 512;
  made_meta(1);
  CHECK_EQ_INT(made_walk((MADE_LAST + 1) * made_size, NULL, true), UK_OK);
  made_check_found(1, "", "has another page size");
  CHECK_EQ_INT(made_found.faults, 1);
  CHECK(strstr(made_found.rows, "one:a=1 ") == made_found.rows);
}

/* The bound of what is believed: 64 pages for each one that the file has, and some. */
static void the_last_page_lies_not_far_beyond_the_file(void)
{
  const uint64_t most = (MADE_LAST + 1 + 65536 + 1) * UINT64_C(64) - 1;
  made_usual();
  made_last_page = most;
  made_check_whole();
  CHECK_EQ_INT(made_found.all, most + 1);
  made_last_page = most + 1;
  made_meta(0);
  made_meta(1);
  CHECK_EQ_INT(made_walk((MADE_LAST + 1) * made_size, NULL, true), UK_E_UNAVAILABLE);
  made_check_found(most + 1, "", "is the last page, far beyond the end of the file");
  CHECK_EQ_INT(made_found.calls, 0);
}

/* The file. */

static void a_page_ends_within_the_file(void)
{
  made_usual();
  made_walk_all();
  CHECK_EQ_INT(made_walk(MADE_LAST * made_size, NULL, true), UK_OK); /* a free page is not read */
  CHECK_EQ_INT(made_found.faults, 0);
  CHECK_EQ_INT(made_walk(MADE_LAST * made_size - 1, NULL, true), UK_OK);
  made_check_found(9, "", CUT_OFF);
}

static void reads_may_be_short_or_interrupted_or_fail(void)
{
  made_usual();
  reads.most = 100;
  made_check_whole();
  CHECK_EQ_STR(made_found.rows, "one:a=1 one:b=2 one:c=3 two:k=8176vv ");
  reads.most = 0;
  reads.failing = 4;
  made_check_fault(4, "one", "cannot be read: Input/output error");
  CHECK_EQ_STR(made_found.rows, "one:c=3 two:k=8176vv ");
  reads.failing = 7;
  made_check_fault(7, "two", "cannot be read: Input/output error");
  reads.failing = 0;
}

int main(void)
{
  CHECK_RUN(progress_is_told_from_time_to_time);
  CHECK_RUN(a_list_of_free_pages_is_as_long_as_it_says);
  CHECK_RUN(transactions_of_free_pages_ascend);
  CHECK_RUN(the_later_transaction_counts);
  CHECK_RUN(a_second_meta_page_of_another_size_does_not_count);
  CHECK_RUN(the_last_page_lies_not_far_beyond_the_file);
  CHECK_RUN(a_page_ends_within_the_file);
  CHECK_RUN(reads_may_be_short_or_interrupted_or_fail);
  return check_end();
}
