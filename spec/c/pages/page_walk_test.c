/* for: page_file.c, page_walk.c
 *
 * A log is written, then its file is damaged: each fault is reported, and nothing crashes. */
#include "server/log_engine/pages/page_walk.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "log_rig.h"

enum { FAULTS = 400, RECORDS = 300, LARGE = 20000 };

/* The file, whole and damaged. */
static uint8_t *whole, *bytes;
static size_t length, page_size;
static struct uk_page_meta meta; /* the one that counts */
static char path[500];

/* What the last walk found. */
static struct {
  int faults;
  uint64_t page; /* of the first fault */
  char table[32], text[200];
  long rows, batches;
  uint64_t visited, all;
  size_t value_bytes;
} found;

static void on_damage(void *context, uint64_t page, struct uk_slice table, const char *text)
{
  CHECK(context == &found);
  if (found.faults++ > 0)
    return;
  found.page = page;
  snprintf(found.table, sizeof found.table, "%.*s", (int)table.length, table.data);
  snprintf(found.text, sizeof found.text, "%s", text);
}

static void on_row(void *context, struct uk_slice table, struct uk_slice key, struct uk_slice value)
{
  (void)context;
  found.rows++;
  found.batches += uk_slice_is(table, "batches");
  found.value_bytes += value.length + key.length;
}

static void on_progress(void *context, uint64_t pages, uint64_t all)
{
  (void)context;
  CHECK(pages >= found.visited && pages <= all);
  found.visited = pages;
  found.all = all;
}

static const struct uk_page_visitor with_rows = {
  .context = &found, .damaged = on_damage, .row = on_row, .progress = on_progress};
static const struct uk_page_visitor without_rows = {.context = &found, .damaged = on_damage};

static enum uk_error walk_file(const struct uk_page_visitor *visitor)
{
  int file = open(path, O_RDONLY);
  memset(&found, 0, sizeof found);
  enum uk_error error = uk_page_walk(file, visitor);
  close(file);
  return error;
}

/* Writes the bytes as the file, and walks it. */
static enum uk_error walk(size_t size, const struct uk_page_visitor *visitor)
{
  int file = open(path, O_WRONLY | O_TRUNC);
  CHECK(file >= 0 && write(file, bytes, size) == (ssize_t)size);
  close(file);
  return walk_file(visitor);
}

static void restore(void)
{
  memcpy(bytes, whole, length);
}

/* Topics with small and large batches, many commits, and free pages. */
static void write_log(void)
{
  static char large[LARGE];
  struct uk_log *log;
  struct uk_log_options options = rig_options();
  memset(large, 'x', sizeof large - 1);
  REQUIRE((log = rig_open(&options)) != NULL);
  for (int i = 0; i < RECORDS; i++) {
    CHECK(rig_put(log, "small", i % 2, "value", -1) >= 0);
    if (i % 10 == 0)
      CHECK(rig_put(log, "large", 0, large, -1) >= 0);
    if (i % 10 == 0)
      CHECK(rig_put(log, "gone", 0, large, -1) >= 0);
    char group[200];
    snprintf(group, sizeof group, "group-%0100d", i);
    CHECK_EQ_INT(rig_commit(log, group, "small", 0, i), UK_OK);
  }
  CHECK_EQ_INT(rig_delete(log, "gone"), UK_OK);
  CHECK(rig_put(log, "small", 0, "last", -1) >= 0);
  uk_log_close(log);
}

static bool load(void)
{
  struct stat status;
  snprintf(path, sizeof path, "%s/data.mdb", rig_directory());
  int file = open(path, O_RDONLY);
  if (file < 0 || fstat(file, &status) != 0)
    return false;
  length = (size_t)status.st_size;
  whole = malloc(length);
  bytes = malloc(length);
  bool good = whole != NULL && bytes != NULL && read(file, whole, length) == (ssize_t)length;
  close(file);
  struct uk_page_meta second;
  page_size = (size_t)sysconf(_SC_PAGESIZE);
  good = good && uk_page_meta_read(&meta, whole) == NULL &&
         uk_page_meta_read(&second, whole + page_size) == NULL;
  if (good && second.transaction > meta.transaction)
    meta = second;
  return good;
}

static void a_whole_file_has_no_fault(void)
{
  CHECK_EQ_INT(walk_file(&with_rows), UK_OK);
  CHECK_EQ_INT(found.faults, 0);
  CHECK(found.rows > found.batches + RECORDS);
  CHECK(found.batches >= RECORDS + RECORDS / 10);
  CHECK(found.value_bytes > RECORDS / 10 * LARGE);
  CHECK_EQ_INT(found.all, meta.last_page + 1);
  CHECK_EQ_INT(found.visited, meta.last_page - 1); /* each page is used or free */
  CHECK_EQ_INT(walk_file(&without_rows), UK_OK);
  CHECK_EQ_INT(found.faults, 0);
  CHECK_EQ_INT(found.rows, 0);
}

/* Walks with each byte of these replaced. */
static void check_each_byte(size_t at, size_t count, const char *what)
{
  for (size_t i = 0; i < count; i++) {
    restore();
    bytes[at + i] ^= 0x10;
    walk(length, &with_rows);
    if (!CHECK(found.faults > 0))
      fprintf(stderr, "  byte %zu of %s\n", i, what);
  }
}

static uint8_t *page_at(uint64_t number)
{
  return bytes + number * page_size;
}

/* The first leaf page below the root of the tree of tables, which is a leaf itself. */
static struct uk_page_tree tree_of(const char *name)
{
  struct uk_page_tree tree = {0};
  struct uk_page_node node;
  const uint8_t *root = whole + meta.main.root * page_size;
  for (unsigned i = 0; i < uk_page_nodes(root); i++) {
    if (uk_page_node_read(&node, root, page_size, i) && uk_slice_is(node.key, name))
      uk_page_tree_read(&tree, (const uint8_t *)node.data.data);
  }
  return tree;
}

static void check_fault(uint64_t page, const char *table, const char *text)
{
  CHECK(found.faults > 0);
  CHECK_EQ_INT(found.page, page);
  CHECK_EQ_STR(found.table, table);
  CHECK_EQ_STR(found.text, text);
}

static void a_page_with_another_number_is_damaged(void)
{
  const struct uk_page_tree tree = tree_of("committed");
  restore();
  page_at(tree.root)[0]++;
  CHECK_EQ_INT(walk(length, &with_rows), UK_OK);
  check_fault(tree.root, "committed", "has another page's number");
  CHECK(found.batches > RECORDS); /* the other tables are visited all the same */
}

static void A6_a_page_of_zeros_or_noise_is_damaged(void)
{
  static const char *const names[] = {"batches", "committed", "times", "topics", "meta"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const struct uk_page_tree tree = tree_of(names[i]);
    for (int fill = 0; fill <= 0xa5; fill += 0xa5) {
      restore();
      memset(page_at(tree.root), fill, page_size);
      CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
      check_fault(tree.root, names[i], "has another page's number");
    }
  }
}

/* LMDB keeps some flags in memory only, and others for tables of another kind: it would act on
 * them. */
static void every_other_flag_is_damage(void)
{
  const struct uk_page_tree tree = tree_of("topics");
  for (unsigned bit = 0; bit < 16; bit++) {
    restore();
    page_at(tree.root)[10 + bit / 8] ^= (uint8_t)(1U << bit % 8);
    CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
    check_fault(tree.root, "topics", "is not a leaf page");
    restore();
    uint16_t node;
    memcpy(&node, page_at(tree.root) + UK_PAGE_HEADER, sizeof node);
    page_at(tree.root)[node + 4 + bit / 8] ^= (uint8_t)(1U << bit % 8);
    CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
    CHECK(found.faults > 0);
    if (bit >= 2)
      CHECK_EQ_STR(found.text, "has an impossible entry");
  }
}

static void A5_a_file_that_was_cut_off_is_damaged(void)
{
  restore();
  CHECK_EQ_INT(walk(2 * page_size, &without_rows), UK_OK);
  CHECK(found.faults > 0);
  CHECK_EQ_STR(found.text, "lies beyond the end of the file, which was cut off");
  CHECK_EQ_INT(walk(length / 2, &without_rows), UK_OK);
  CHECK(found.faults > 0);
  CHECK_EQ_INT(walk(UK_PAGE_META_BYTES - 1, &without_rows), UK_E_UNAVAILABLE);
  CHECK(found.faults > 0);
  CHECK_EQ_INT(walk(0, &without_rows), UK_E_UNAVAILABLE);
  check_fault(0, "", "lies beyond the end of the file, which was cut off");
}

static void one_damaged_meta_page_is_reported(void)
{
  for (uint64_t page = 0; page < 2; page++) {
    restore();
    memset(page_at(page), 0, page_size);
    CHECK_EQ_INT(walk(length, &with_rows), UK_OK);
    CHECK(found.faults > 0);
    CHECK_EQ_INT(found.page, page);
    CHECK_EQ_STR(found.text, "is not a meta page");
    CHECK(found.batches > RECORDS);
  }
  memset(bytes, 0, 2 * page_size);
  CHECK_EQ_INT(walk(length, &with_rows), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(found.faults, 2);
}

/* Of the meta page that counts: trees, and the transaction, which follows that of the other
 * page. */
static void every_byte_of_the_meta_page_counts(void)
{
  const size_t at = (meta.transaction % 2) * page_size + UK_PAGE_HEADER;
  check_each_byte(at, 8, "magic and version");
  check_each_byte(at + 24 + 4, UK_PAGE_TREE_BYTES - 4, "the tree of free pages");
  check_each_byte(at + 32 + 2 * UK_PAGE_TREE_BYTES, 8, "the transaction");
  for (uint64_t page = 0; page < 2; page++) {
    restore();
    bytes[page * page_size + UK_PAGE_HEADER + 32 + 2 * UK_PAGE_TREE_BYTES] ^= 1;
    CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
    CHECK_EQ_STR(found.text, "has an impossible transaction");
  }
  check_each_byte(at + 24 + UK_PAGE_TREE_BYTES + 6, UK_PAGE_TREE_BYTES - 6, "the tree of tables");
}

static void a_page_that_is_used_twice_is_damaged(void)
{
  const struct uk_page_tree batches = tree_of("batches"), committed = tree_of("committed");
  uint8_t *root;
  struct uk_page_node node;
  restore();
  root = page_at(meta.main.root);
  for (unsigned i = 0; i < uk_page_nodes(root); i++) {
    if (uk_page_node_read(&node, root, page_size, i) && uk_slice_is(node.key, "committed"))
      memcpy((uint8_t *)(uintptr_t)node.data.data + 40, &batches.root, sizeof batches.root);
  }
  CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
  check_fault(batches.root, "committed", "is used twice");
  CHECK(committed.root != batches.root);
}

static uint64_t first_leaf(struct uk_page_tree tree)
{
  uint64_t page = tree.root;
  struct uk_page_node node;
  for (unsigned level = tree.depth; level > 1; level--) {
    CHECK(uk_page_node_read(&node, whole + page * page_size, page_size, 0));
    page = node.child;
  }
  return page;
}

static void keys_out_of_order_are_damaged(void)
{
  const uint64_t leaf = first_leaf(tree_of("committed"));
  uint16_t first, second;
  restore();
  uint8_t *offsets = page_at(leaf) + UK_PAGE_HEADER;
  memcpy(&first, offsets, sizeof first);
  memcpy(&second, offsets + 2, sizeof second);
  memcpy(offsets, &second, sizeof second);
  memcpy(offsets + 2, &first, sizeof first);
  CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
  check_fault(leaf, "committed", "has keys that are not in order");
}

static void an_entry_outside_of_its_page_is_damaged(void)
{
  const uint64_t leaf = first_leaf(tree_of("committed"));
  static const uint16_t wrong[] = {0, 15, 65535};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    restore();
    memcpy(page_at(leaf) + UK_PAGE_HEADER, &wrong[i], sizeof wrong[i]);
    CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
    check_fault(leaf, "committed", "has an impossible entry");
  }
  restore();
  page_at(leaf)[12]++; /* half an offset more */
  CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
  check_fault(leaf, "committed", "has impossible bounds");
}

static void a_lost_entry_is_noticed(void)
{
  const struct uk_page_tree tree = tree_of("committed");
  const uint64_t leaf = first_leaf(tree);
  char text[100];
  restore();
  page_at(leaf)[12] -= 2;
  CHECK_EQ_INT(walk(length, &without_rows), UK_OK);
  snprintf(text, sizeof text, "has %llu entries below it, not %llu",
           (unsigned long long)tree.entries - 1, (unsigned long long)tree.entries);
  check_fault(tree.root, "committed", text);
}

/* One damaged file of many kinds: bits, bytes, runs, pages that change places, lengths. */
static void damage(unsigned seed)
{
  unsigned random = seed * 2654435761U + 12345;
  const size_t at = (random >> 3) % length, pages = length / page_size;
  restore();
  if (seed % 4 == 0)
    bytes[at] ^= (uint8_t)(1U << seed % 8);
  else if (seed % 4 == 1)
    memset(bytes + at, (int)(random & 0xff), length - at < 64 ? length - at : 64);
  else if (seed % 4 == 2)
    memcpy(page_at(at / page_size), whole + (random >> 7) % pages * page_size, page_size);
  else
    memset(page_at(at / page_size), seed % 8 == 3 ? 0 : 0xff, page_size);
}

/* None crashes, reads outside of its memory (under the sanitizers), or runs without end. What lies
 * in a value, or on a free page, is not noticed here: a batch has a checksum of its own. */
static void no_damage_is_believed(void)
{
  int noticed = 0;
  for (unsigned seed = 0; seed < FAULTS; seed++) {
    damage(seed);
    enum uk_error error = walk(length - (seed % 16 == 7 ? seed * 100 % length : 0), &with_rows);
    CHECK(error == UK_OK || (error == UK_E_UNAVAILABLE && found.faults > 0));
    noticed += found.faults > 0;
  }
  CHECK(noticed > FAULTS / 10);
}

static void ends_without_memory(void)
{
  restore();
  long live = fault_live();
  CHECK_EQ_INT(walk(length, &with_rows), UK_OK);
  CHECK_EQ_INT(fault_live(), live);
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    enum uk_error error = walk_file(&with_rows);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK_EQ_INT(found.faults, 0);
    CHECK_EQ_INT(fault_live(), live);
  }
}

static void says_why_a_file_cannot_be_read(void)
{
  int folder = open("/", O_RDONLY);
  memset(&found, 0, sizeof found);
  CHECK_EQ_INT(uk_page_walk(folder, &without_rows), UK_E_UNAVAILABLE);
  check_fault(0, "", "cannot be read: Is a directory");
  close(folder);
  memset(&found, 0, sizeof found);
  CHECK_EQ_INT(uk_page_walk(-1, &without_rows), UK_E_UNAVAILABLE);
  check_fault(0, "", "cannot be read: Bad file descriptor");
}

int main(void)
{
  write_log();
  if (!load())
    return 1;
  CHECK_RUN(a_whole_file_has_no_fault);
  CHECK_RUN(a_page_with_another_number_is_damaged);
  CHECK_RUN(A6_a_page_of_zeros_or_noise_is_damaged);
  CHECK_RUN(every_other_flag_is_damage);
  CHECK_RUN(A5_a_file_that_was_cut_off_is_damaged);
  CHECK_RUN(one_damaged_meta_page_is_reported);
  CHECK_RUN(every_byte_of_the_meta_page_counts);
  CHECK_RUN(a_page_that_is_used_twice_is_damaged);
  CHECK_RUN(keys_out_of_order_are_damaged);
  CHECK_RUN(an_entry_outside_of_its_page_is_damaged);
  CHECK_RUN(a_lost_entry_is_noticed);
  CHECK_RUN(no_damage_is_believed);
  CHECK_RUN(ends_without_memory);
  CHECK_RUN(says_why_a_file_cannot_be_read);
  free(whole);
  free(bytes);
  rig_remove();
  return check_end();
}
