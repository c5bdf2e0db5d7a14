/* for: page_walk.c
 *
 * Trees, tables, keys and values of a file that is made page by page: each rule at its limit and
 * one past it. */
#include "server/log_engine/pages/page_walk.h"

#include "check.h"
#include "page_made.h"

enum { TABLES_MAX = 64 };

static void every_page_and_row_is_visited_once(void)
{
  static const size_t sizes[] = {512, MADE_USUAL, 2 * MADE_USUAL};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    char rows[100];
    made_file(sizes[i]);
    made_check_whole();
    snprintf(rows, sizeof rows, "one:a=1 one:b=2 one:c=3 two:k=%zuvv ",
             2 * made_size - UK_PAGE_HEADER);
    CHECK_EQ_STR(made_found.rows, rows);
    CHECK_EQ_INT(made_found.calls, 1);
    CHECK_EQ_INT(made_found.visited, MADE_LAST - 1);
    CHECK_EQ_INT(made_found.all, MADE_LAST + 1);
  }
}

static void some_tables_come_first(void)
{
  static const char *const names[] = {"two", "three", "two", NULL};
  made_usual();
  made_walk_all();
  CHECK_EQ_INT(made_walk((MADE_LAST + 1) * made_size, names, true), UK_OK);
  CHECK_EQ_INT(made_found.faults, 0);
  CHECK_EQ_STR(made_found.rows, "two:k=8176vv one:a=1 one:b=2 one:c=3 ");
}

/* Trees. */

static void the_counts_of_a_tree_are_compared(void)
{
  for (size_t field = 8; field <= 24; field += 8) {
    made_usual();
    ++*(field == 24 ? made_two + field : made_one + field);
    made_check_fault(field == 24 ? 6 : 3, field == 24 ? "two" : "one", OTHER_PAGES);
    CHECK_EQ_INT(made_found.faults, 1);
  }
  made_usual();
  made_one[32]++;
  made_check_fault(3, "one", "has 3 entries below it, not 4");
  made_usual();
  made_free.entries++;
  made_check_fault(9, "", "has 1 entries below it, not 2");
}

static void the_kind_and_depth_of_a_tree_are_looked_at(void)
{
  made_usual();
  made_u16(made_one + 4, 8);
  made_check_fault(3, "one", "is the root of another kind of tree");
  made_usual();
  made_free.flags = 0;
  made_check_fault(9, "", "is the root of another kind of tree");
  made_usual();
  made_u16(made_two + 6, 0);
  made_check_fault(6, "two", "is the root of 0 levels");
  made_usual();
  made_u16(made_two + 6, 33);
  made_check_fault(6, "two", "is the root of 33 levels");
  made_usual();
  made_u16(made_two + 6, 32);
  made_check_fault(6, "two", "is not a branch page");
  made_usual();
  made_u16(made_one + 6, 1);
  made_check_fault(3, "one", "is not a leaf page");
}

static void a_tree_without_a_root_has_nothing(void)
{
  made_usual();
  made_tree(made_one, &(struct uk_page_tree){.root = UK_PAGE_NONE});
  made_check_whole();
  CHECK_EQ_STR(made_found.rows, "two:k=8176vv ");
  made_one[32] = 1;
  made_check_fault(UK_PAGE_NONE, "one", "has 0 entries below it, not 1");
  made_tree(made_one, &(struct uk_page_tree){.root = UK_PAGE_NONE, .depth = 1});
  made_check_fault(UK_PAGE_NONE, "one", OUTSIDE);
}

static void a_child_is_one_of_the_pages(void)
{
  static const struct {
    uint64_t child;
    const char *problem;
  } cases[] = {
    {0, OUTSIDE},         {1, OUTSIDE},          {11, OUTSIDE},       {UINT64_C(1) << 47, OUTSIDE},
    {3, "is used twice"}, {10, "is used twice"}, {2, "is used twice"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    made_usual();
    made_page_begin(3, UK_PAGE_BRANCH);
    made_child(3, "", 4);
    made_child(3, "c", cases[i].child);
    made_check_fault(cases[i].child, "one", cases[i].problem);
    CHECK(strstr(made_found.rows, "one:a=1 one:b=2 two:k=") == made_found.rows);
  }
}

/* Keys. */

static void keys_ascend(void)
{
  made_usual();
  made_page_begin(4, UK_PAGE_LEAF);
  made_row(4, "b", "1");
  made_row(4, "b", "2");
  made_check_fault(4, "one", OUT_OF_ORDER);
  made_usual();
  made_page_begin(4, UK_PAGE_LEAF);
  made_row(4, "bb", "1");
  made_row(4, "b", "2");
  made_check_fault(4, "one", OUT_OF_ORDER);
  made_usual();
  made_page_begin(4, UK_PAGE_LEAF);
  made_row(4, "a\x7f", "1");
  made_row(4, "a\x80", "2");
  made_check_whole();
}

/* The key of a branch lies between those of its children. */
static void the_keys_of_branches_separate(void)
{
  static const struct {
    const char *key, *first;
    uint64_t page; /* 0: all is well */
  } cases[] = {{"bb", "c", 0}, {"c", "c", 0},  {"b", "c", 3}, {"a", "c", 3},
               {"d", "c", 5},  {"c", "cc", 0}, {"c", "bb", 5}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    made_usual();
    made_page_begin(3, UK_PAGE_BRANCH);
    made_child(3, "", 4);
    made_child(3, cases[i].key, 5);
    made_page_begin(5, UK_PAGE_LEAF);
    made_row(5, cases[i].first, "3");
    made_walk_all();
    if (!CHECK_EQ_INT(made_found.page, cases[i].page) ||
        !CHECK_EQ_STR(made_found.text, cases[i].page == 0 ? "" : OUT_OF_ORDER))
      fprintf(stderr, "  case %zu\n", i);
  }
}

/* The least key counts for the first key behind it, not for the later ones. */
static void only_the_first_key_is_compared_with_the_branch(void)
{
  made_usual();
  made_page_begin(3, UK_PAGE_BRANCH);
  made_child(3, "", 4);
  made_child(3, "d", 5);
  made_page_begin(5, UK_PAGE_LEAF);
  made_row(5, "c", "3");
  made_row(5, "cc", "3");
  made_one[32] = 4;
  made_check_fault(5, "one", OUT_OF_ORDER);
  CHECK_EQ_INT(made_found.faults, 1);
}

/* Large values. */

static void a_value_takes_as_many_pages_as_it_needs(void)
{
  made_usual();
  made_page_begin(6, UK_PAGE_LEAF);
  made_large(6, "k", 2 * made_size - UK_PAGE_HEADER + 1, 7);
  made_check_fault(9, "two", "is used twice");
  made_usual();
  made_page_begin(6, UK_PAGE_LEAF);
  made_large(6, "k", made_size - UK_PAGE_HEADER, 7);
  made_u32(made_page(7) + 12, 1);
  made_two[24] = 1;
  made_check_whole();
  CHECK(strstr(made_found.rows, "two:k=4080vv ") != NULL);
  CHECK_EQ_INT(made_found.visited, MADE_LAST - 2);
}

static void the_header_of_a_large_value_is_looked_at(void)
{
  for (int rows = 0; rows < 2; rows++) {
    made_usual();
    made_u32(made_page(7) + 12, 3);
    made_walk_all();
    made_walk((MADE_LAST + 1) * made_size, NULL, rows == 1);
    made_check_found(7, "two", "has another length");
    CHECK(strstr(made_found.rows, "two") == NULL);
    made_u16(made_page(7) + 10, UK_PAGE_LEAF);
    made_walk((MADE_LAST + 1) * made_size, NULL, rows == 1);
    made_check_found(7, "two", "is not an overflow page");
    made_walk(8 * made_size + 1, NULL, rows == 1);
    CHECK(made_found.faults > 1);
  }
  made_usual();
  made_walk_all();
  made_u64(made_page(9), 0); /* the tree of free pages is damaged, too */
  made_walk(9 * made_size - 1, NULL, true);
  CHECK_EQ_STR(made_found.rows, "one:a=1 one:b=2 one:c=3 ");
  made_walk(9 * made_size, NULL, true);
  CHECK_EQ_STR(made_found.rows, "one:a=1 one:b=2 one:c=3 two:k=8176vv ");
}

/* The tree of tables. */

static void an_entry_of_the_tree_of_tables_is_a_table(void)
{
  made_usual();
  made_row(2, "zero", "0");
  made_tables.entries = 3;
  made_check_fault(2, "", NO_TABLE);
  CHECK_EQ_INT(made_found.faults, 1);
  made_usual();
  made_add(2, uk_slice_text("zero"), 47 | UINT64_C(2) << 32, 47);
  made_tables.entries = 3;
  made_check_fault(2, "", NO_TABLE);
  made_usual();
  made_u64(made_add(2, uk_slice_text("zero"), 48 | UINT64_C(3) << 32, 8), 7);
  made_tables.entries = 3;
  made_check_fault(2, "", NO_TABLE);
  made_usual();
  made_page_begin(5, UK_PAGE_LEAF);
  made_table(5, "c", (struct uk_page_tree){.root = UK_PAGE_NONE});
  made_check_fault(5, "one", "has a table within a table");
  CHECK_EQ_INT(made_found.faults, 1);
}

static void there_are_at_most_64_tables(void)
{
  for (int count = TABLES_MAX; count <= TABLES_MAX + 1; count++) {
    made_usual();
    made_page_begin(2, UK_PAGE_LEAF);
    for (int i = 0; i < count; i++) {
      char name[4] = {'t', (char)('0' + i / 10), (char)('0' + i % 10), '\0'};
      made_table(2, name, (struct uk_page_tree){.root = UK_PAGE_NONE});
    }
    made_tables.entries = (uint64_t)count;
    if (count == TABLES_MAX)
      made_check_whole();
    else
      made_check_fault(2, "", NO_TABLE);
  }
}

int main(void)
{
  CHECK_RUN(every_page_and_row_is_visited_once);
  CHECK_RUN(some_tables_come_first);
  CHECK_RUN(the_counts_of_a_tree_are_compared);
  CHECK_RUN(the_kind_and_depth_of_a_tree_are_looked_at);
  CHECK_RUN(a_tree_without_a_root_has_nothing);
  CHECK_RUN(a_child_is_one_of_the_pages);
  CHECK_RUN(keys_ascend);
  CHECK_RUN(the_keys_of_branches_separate);
  CHECK_RUN(only_the_first_key_is_compared_with_the_branch);
  CHECK_RUN(a_value_takes_as_many_pages_as_it_needs);
  CHECK_RUN(the_header_of_a_large_value_is_looked_at);
  CHECK_RUN(an_entry_of_the_tree_of_tables_is_a_table);
  CHECK_RUN(there_are_at_most_64_tables);
  return check_end();
}
