/* for: page_file.c
 *
 * Each limit of a page, at the limit and one past it. */
#include "server/log_engine/pages/page_file.h"

#include "check.h"
#include "guard.h"

enum { SIZE = 512, NUMBER = 7 };

static uint8_t page[SIZE];

static void put_u16(size_t at, unsigned value)
{
  const uint16_t small = (uint16_t)value;
  memcpy(page + at, &small, sizeof small);
}

static void put_u32(size_t at, uint32_t value)
{
  memcpy(page + at, &value, sizeof value);
}

static void put_u64(size_t at, uint64_t value)
{
  memcpy(page + at, &value, sizeof value);
}

/* A page with one node, which begins at `at`. */
static void make_page(enum uk_page_kind kind, size_t at)
{
  memset(page, 0, sizeof page);
  put_u64(0, NUMBER);
  put_u16(10, kind);
  put_u16(12, UK_PAGE_HEADER + 2);
  put_u16(14, (unsigned)at);
  put_u16(UK_PAGE_HEADER, (unsigned)at);
}

/* Its node, with the first three words, the length of the key, and letters behind it. */
static void put_node(size_t at, uint32_t length, unsigned flags, unsigned key)
{
  memset(page + at, 'x', SIZE - at);
  put_u32(at, length);
  put_u16(at + 4, flags);
  put_u16(at + 6, key);
}

static const char *check(enum uk_page_kind kind)
{
  char *copy = guard_copy(page, SIZE);
  const char *problem = uk_page_check((const uint8_t *)copy, SIZE, NUMBER, kind);
  guard_free(copy, SIZE);
  return problem;
}

static void a_page_has_its_number_and_kind(void)
{
  make_page(UK_PAGE_LEAF, SIZE - 8);
  put_node(SIZE - 8, 0, 0, 0);
  CHECK_EQ_STR(check(UK_PAGE_LEAF), NULL);
  CHECK_EQ_STR(check(UK_PAGE_BRANCH), "is not a branch page");
  CHECK_EQ_STR(check(UK_PAGE_OVERFLOW), "is not an overflow page");
  put_u16(10, UK_PAGE_BRANCH);
  CHECK_EQ_STR(check(UK_PAGE_LEAF), "is not a leaf page");
  put_u64(0, NUMBER + (UINT64_C(1) << 32));
  CHECK_EQ_STR(check(UK_PAGE_BRANCH), "has another page's number");
  put_u64(0, NUMBER);
  put_u16(10, UK_PAGE_OVERFLOW);
  put_u32(12, UINT32_MAX);
  CHECK_EQ_STR(check(UK_PAGE_OVERFLOW), NULL);
  CHECK(uk_page_overflow_count(page) == UINT32_MAX);
}

static void the_bounds_of_the_nodes_have_limits(void)
{
  static const struct {
    unsigned lower, upper;
    const char *problem;
  } cases[] = {
    {16, SIZE - 8, "has impossible bounds"}, /* no node */
    {17, SIZE - 8, "has impossible bounds"}, /* a half */
    {18, 18, "has an impossible entry"},     /* no room between: the node lies elsewhere */
    {18, 17, "has impossible bounds"},       /* they overlap */
    {18, SIZE, "has an impossible entry"},   /* the node lies before the upper one */
    {18, SIZE + 1, "has impossible bounds"}, /* outside of the page */
    {18, SIZE - 7, "has an impossible entry"}, {18, SIZE - 8, NULL}, {18, SIZE - 9, NULL},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    make_page(UK_PAGE_LEAF, SIZE - 8);
    put_node(SIZE - 8, 0, 0, 0);
    put_u16(12, cases[i].lower);
    put_u16(14, cases[i].upper);
    if (cases[i].upper == 18)
      put_u16(UK_PAGE_HEADER, 17);
    if (!CHECK_EQ_STR(check(UK_PAGE_LEAF), cases[i].problem))
      fprintf(stderr, "  case %zu\n", i);
  }
  make_page(UK_PAGE_LEAF, SIZE - 8);
  put_u16(12, UK_PAGE_HEADER + 6);
  CHECK_EQ_INT(uk_page_nodes(page), 3);
}

static void every_node_is_looked_at(void)
{
  make_page(UK_PAGE_LEAF, SIZE - 16);
  put_node(SIZE - 16, 0, 0, 0);
  put_node(SIZE - 8, 0, 0, 0);
  put_u16(12, UK_PAGE_HEADER + 4);
  put_u16(UK_PAGE_HEADER + 2, SIZE - 8);
  CHECK_EQ_STR(check(UK_PAGE_LEAF), NULL);
  put_u16(SIZE - 8 + 4, 4); /* a flag of the second one */
  CHECK_EQ_STR(check(UK_PAGE_LEAF), "has an impossible entry");
}

static bool read(struct uk_page_node *node)
{
  char *copy = guard_copy(page, SIZE);
  bool good = uk_page_node_read(node, (const uint8_t *)copy, SIZE, 0);
  if (good) /* the caller's page */
    node->key.data = (const char *)page + (node->key.data - copy);
  guard_free(copy, SIZE);
  return good;
}

static void a_node_lies_within_its_page(void)
{
  static const struct {
    size_t at;
    uint32_t length;
    unsigned flags, key;
    bool good;
  } cases[] = {
    {SIZE - 8, 0, 0, 0, true},
    {SIZE - 7, 0, 0, 0, false}, /* half a header */
    {SIZE - 12, 0, 0, 4, true},
    {SIZE - 12, 0, 0, 5, false},
    {SIZE - 12, 2, 0, 2, true},
    {SIZE - 12, 3, 0, 2, false},
    {SIZE - 12, UINT32_MAX, 0, 2, false},
    {SIZE - 20, UINT32_MAX, 1, 4, true}, /* large: the number of a page */
    {SIZE - 20, 1, 1, 5, false},
    {SIZE - 12, 2, 2, 2, true},
    {SIZE - 12, 2, 4, 2, false}, /* a flag for duplicates */
    {SIZE - 12, 2, 0x8000, 2, false},
    {16, 0, 0, 1, true},
    {15, 0, 0, 1, false}, /* in the header of the page */
  };
  struct uk_page_node node;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    make_page(UK_PAGE_LEAF, cases[i].at);
    if (cases[i].at > 18 && cases[i].at <= SIZE - 8)
      put_node(cases[i].at, cases[i].length, cases[i].flags, cases[i].key);
    if (!CHECK_EQ_INT(read(&node), cases[i].good))
      fprintf(stderr, "  case %zu\n", i);
  }
}

static void a_key_has_at_most_511_bytes(void)
{
  enum { LARGE = 1024 };
  uint8_t *large = (uint8_t *)guard_copy((const char[LARGE]){0}, LARGE);
  struct uk_page_node node;
  const uint16_t at = LARGE - 8 - 512;
  uint16_t key = 511;
  memcpy(large + UK_PAGE_HEADER, &at, sizeof at);
  memcpy(large + at + 6, &key, sizeof key);
  CHECK(uk_page_node_read(&node, large, LARGE, 0));
  CHECK_EQ_INT(node.key.length, 511);
  key = 512;
  memcpy(large + at + 6, &key, sizeof key);
  CHECK(!uk_page_node_read(&node, large, LARGE, 0));
  guard_free((char *)large, LARGE);
}

static void the_fields_of_a_node_are_read(void)
{
  struct uk_page_node node;
  make_page(UK_PAGE_LEAF, SIZE - 16);
  put_node(SIZE - 16, 5, 2, 3);
  memcpy(page + SIZE - 8, "keyvalue", 8);
  CHECK(read(&node) && node.is_tree && !node.is_large && node.child == 0);
  CHECK_EQ_SLICE(node.key, "key");
  CHECK_EQ_INT(node.length, 5);
  CHECK(uk_page_node_read(&node, page, SIZE, 0));
  CHECK_EQ_SLICE(node.data, "value");
  make_page(UK_PAGE_LEAF, SIZE - 18);
  put_node(SIZE - 18, UINT32_MAX, 1, 2);
  put_u64(SIZE - 8, UINT64_C(0x0102030405060708));
  CHECK(read(&node) && node.is_large && !node.is_tree);
  CHECK(node.child == UINT64_C(0x0102030405060708) && node.data.length == 0);
  CHECK_EQ_INT(node.length, UINT32_MAX);
  make_page(UK_PAGE_BRANCH, SIZE - 10);
  put_node(SIZE - 10, 0x55667788, 0x3344, 2);
  CHECK(read(&node) && node.child == UINT64_C(0x334455667788));
  CHECK_EQ_SLICE(node.key, "xx");
  CHECK(!node.is_large && !node.is_tree && node.length == 0 && node.data.length == 0);
}

/* Meta pages. */

enum { META = UK_PAGE_HEADER, FREE = META + 24, MAIN = FREE + UK_PAGE_TREE_BYTES };

static void make_meta(uint32_t page_size)
{
  memset(page, 0, sizeof page);
  put_u16(10, UK_PAGE_META);
  put_u32(META, 0xBEEFC0DE);
  put_u32(META + 4, 1);
  put_u32(FREE, page_size);
  put_u64(MAIN + UK_PAGE_TREE_BYTES, 1);
}

static const char *read_meta(void)
{
  struct uk_page_meta meta;
  char *copy = guard_copy(page, UK_PAGE_META_BYTES);
  const char *problem = uk_page_meta_read(&meta, (const uint8_t *)copy);
  guard_free(copy, UK_PAGE_META_BYTES);
  return problem;
}

static void a_meta_page_is_of_this_version(void)
{
  make_meta(4096);
  CHECK_EQ_STR(read_meta(), NULL);
  put_u32(META + 4, 2);
  CHECK_EQ_STR(read_meta(), "is of another version of LMDB");
  put_u32(META, 0xBEEFC0DD);
  CHECK_EQ_STR(read_meta(), "is not a meta page");
  make_meta(4096);
  put_u16(10, UK_PAGE_META | UK_PAGE_LEAF);
  CHECK_EQ_STR(read_meta(), "is not a meta page");
  make_meta(4096);
  put_u64(MAIN + UK_PAGE_TREE_BYTES, 0);
  CHECK_EQ_STR(read_meta(), "has an impossible last page");
}

static void a_page_size_is_a_power_of_two_within_limits(void)
{
  static const uint32_t good[] = {512, 1024, 4096, 16384, 32768};
  static const uint32_t bad[] = {0, 1, 256, 511, 513, 4097, 6144, 65536, 1U << 31};
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    make_meta(good[i]);
    CHECK_EQ_STR(read_meta(), NULL);
  }
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    make_meta(bad[i]);
    CHECK_EQ_STR(read_meta(), "has an impossible page size");
  }
}

static void check_tree(const struct uk_page_tree *tree, unsigned from)
{
  CHECK_EQ_INT(tree->flags, from);
  CHECK_EQ_INT(tree->depth, from + 1);
  CHECK(tree->branch_pages == from + 2 && tree->leaf_pages == from + 3);
  CHECK(tree->overflow_pages == from + 4 && tree->entries == from + 5);
  CHECK(tree->root == from + 6);
}

static void put_tree(size_t at, unsigned from)
{
  put_u16(at + 4, from);
  put_u16(at + 6, from + 1);
  for (unsigned i = 0; i < 5; i++)
    put_u64(at + 8 + 8 * i, from + 2 + i);
}

static void every_field_of_a_meta_page_is_read(void)
{
  struct uk_page_meta meta;
  make_meta(512);
  put_tree(FREE, 10);
  put_tree(MAIN, 20);
  put_u64(MAIN + UK_PAGE_TREE_BYTES, 30);
  put_u64(MAIN + UK_PAGE_TREE_BYTES + 8, 31);
  CHECK_EQ_STR(uk_page_meta_read(&meta, page), NULL);
  CHECK_EQ_INT(meta.free.page_size, 512);
  check_tree(&meta.free, 10);
  check_tree(&meta.main, 20);
  CHECK(meta.last_page == 30 && meta.transaction == 31);
}

int main(void)
{
  CHECK_RUN(a_page_has_its_number_and_kind);
  CHECK_RUN(the_bounds_of_the_nodes_have_limits);
  CHECK_RUN(every_node_is_looked_at);
  CHECK_RUN(a_node_lies_within_its_page);
  CHECK_RUN(a_key_has_at_most_511_bytes);
  CHECK_RUN(the_fields_of_a_node_are_read);
  CHECK_RUN(a_meta_page_is_of_this_version);
  CHECK_RUN(a_page_size_is_a_power_of_two_within_limits);
  CHECK_RUN(every_field_of_a_meta_page_is_read);
  return check_end();
}
