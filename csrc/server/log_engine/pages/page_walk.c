#include "server/log_engine/pages/page_walk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  TABLES_MAX = 64,
  TEXT_SIZE = 160,
  PROGRESS_PAGES = 1024,
  INTEGER_KEYS = 8,
  FILE_ENDS = -1 /* before all bytes were read; no errno */
};

struct table {
  char name[UK_PAGE_KEY_MAX];
  size_t name_length;
  struct uk_page_tree tree;
  bool visited;
};

struct walk {
  int file;
  const struct uk_page_visitor *visitor;
  struct uk_page_meta meta;
  size_t page_size;
  uint64_t file_bytes;
  uint8_t *seen;   /* a bit for each page that something refers to */
  uint8_t *levels; /* a page for each level of the tree that is being walked */
  uint8_t *value;  /* overflow pages */
  size_t value_size;
  uint64_t visited; /* pages */
  bool no_memory;
  struct table *tables;
  size_t table_count;
  char unread[TEXT_SIZE]; /* why a page could not be read */
};

/* The tree that is being walked. */
struct branch {
  struct walk *walk;
  struct uk_slice table; /* "" for the tree of tables and the one of free pages */
  bool is_free, is_main;
  struct uk_page_tree found; /* what was counted */
  uint8_t last[UK_PAGE_KEY_MAX], least[UK_PAGE_KEY_MAX];
  size_t last_length, least_length; /* the last key, and what the next one may not be below */
  bool has_last, has_least;
};

/* Reports. */

__attribute__((format(printf, 4, 5))) static void
damaged(struct walk *walk, uint64_t page, struct uk_slice table, const char *format, ...)
{
  char text[TEXT_SIZE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  walk->visitor->damaged(walk->visitor->context, page, table, text);
}

static void count_page(struct walk *walk, uint64_t pages)
{
  uint64_t before = walk->visited;
  walk->visited += pages;
  if (walk->visitor->progress != NULL && before / PROGRESS_PAGES != walk->visited / PROGRESS_PAGES)
    walk->visitor->progress(walk->visitor->context, walk->visited, walk->meta.last_page + 1);
}

/* Pages. */

#define CUT_OFF "lies beyond the end of the file, which was cut off"

/* Returns 0, an errno, or FILE_ENDS. */
static int read_at(int file, uint8_t *bytes, size_t length, uint64_t at)
{
  while (length > 0) {
    ssize_t got = pread(file, bytes, length, (off_t)at);
    if (got < 0 && errno != EINTR)
      return errno;
    if (got == 0)
      return FILE_ENDS;
    if (got > 0) {
      bytes += got;
      at += (uint64_t)got;
      length -= (size_t)got;
    }
  }
  return 0;
}

/* What read_at met. */
static const char *unread(struct walk *walk, int error)
{
  if (error == FILE_ENDS)
    return CUT_OFF;
  snprintf(walk->unread, sizeof walk->unread, "cannot be read: %s", strerror(error));
  return walk->unread;
}

/* Marks pages as used. False, and reported, when one does not exist or is used already. */
static bool take(struct walk *walk, struct uk_slice table, uint64_t first, uint64_t count)
{
  const uint64_t end = walk->meta.last_page + 1;
  if (first < 2 || first >= end || count > end - first) {
    damaged(walk, first, table, "lies outside of the pages 2 to %" PRIu64, walk->meta.last_page);
    return false;
  }
  for (uint64_t page = first; page < first + count; page++) {
    uint8_t bit = (uint8_t)(1U << page % 8);
    if ((walk->seen[page / 8] & bit) != 0) {
      damaged(walk, page, table, "is used twice");
      return false;
    }
    walk->seen[page / 8] |= bit;
  }
  return true;
}

/* Reports a page that lies beyond the end of the file. */
static bool is_in_file(struct walk *walk, struct uk_slice table, uint64_t first, uint64_t count)
{
  if ((first + count) * walk->page_size <= walk->file_bytes)
    return true;
  damaged(walk, first, table, CUT_OFF);
  return false;
}

static bool read_page(struct branch *at, uint64_t page, enum uk_page_kind kind, uint8_t *bytes)
{
  struct walk *walk = at->walk;
  if (!is_in_file(walk, at->table, page, 1))
    return false;
  int error = read_at(walk->file, bytes, walk->page_size, page * walk->page_size);
  const char *problem =
    error == 0 ? uk_page_check(bytes, walk->page_size, page, kind) : unread(walk, error);
  if (problem != NULL)
    damaged(walk, page, at->table, "%s", problem);
  return problem == NULL;
}

/* Keys. */

static int compare(const struct branch *at, const uint8_t *a, size_t a_length, const uint8_t *b,
                   size_t b_length)
{
  if (at->is_free && a_length == sizeof(uint64_t) && b_length == sizeof(uint64_t)) {
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return left < right ? -1 : left > right;
  }
  size_t common = a_length < b_length ? a_length : b_length;
  int order = common > 0 ? memcmp(a, b, common) : 0;
  return order != 0 ? order : a_length < b_length ? -1 : a_length > b_length;
}

static bool is_after_last(const struct branch *at, struct uk_slice key)
{
  return !at->has_last ||
         compare(at, at->last, at->last_length, (const uint8_t *)key.data, key.length) < 0;
}

static bool is_at_least(const struct branch *at, struct uk_slice key)
{
  return !at->has_least ||
         compare(at, at->least, at->least_length, (const uint8_t *)key.data, key.length) <= 0;
}

static void remember(uint8_t *bytes, size_t *length, bool *has, struct uk_slice key)
{
  memcpy(bytes, key.data, key.length);
  *length = key.length;
  *has = true;
}

/* Rows. */

static bool make_room(struct walk *walk, size_t size)
{
  if (size <= walk->value_size)
    return true;
  uint8_t *value = realloc(walk->value, size);
  if (value == NULL) {
    walk->no_memory = true;
    return false;
  }
  walk->value = value;
  walk->value_size = size;
  return true;
}

/* What is wrong with the overflow pages of a value; NULL when nothing is. LMDB believes the header
 * of the first one when it frees them. The value itself is read if somebody wants it. */
static const char *check_large(struct walk *walk, uint64_t first, uint64_t pages, bool wanted)
{
  uint8_t header[UK_PAGE_HEADER];
  uint8_t *bytes = wanted ? walk->value : header;
  size_t length = wanted ? pages * walk->page_size : sizeof header;
  int error = read_at(walk->file, bytes, length, first * walk->page_size);
  if (error != 0)
    return unread(walk, error);
  const char *problem = uk_page_check(bytes, walk->page_size, first, UK_PAGE_OVERFLOW);
  if (problem != NULL)
    return problem;
  return uk_page_overflow_count(bytes) == pages ? NULL : "has another length";
}

static bool read_large(struct branch *at, struct uk_page_node *node)
{
  struct walk *walk = at->walk;
  const uint64_t pages = (UK_PAGE_HEADER - 1 + (uint64_t)node->length) / walk->page_size + 1;
  const bool wanted = walk->visitor->row != NULL || at->is_free;
  at->found.overflow_pages += pages;
  if (!take(walk, at->table, node->child, pages) ||
      !is_in_file(walk, at->table, node->child, pages))
    return false;
  count_page(walk, pages);
  if (wanted && !make_room(walk, pages * walk->page_size))
    return false;
  const char *problem = check_large(walk, node->child, pages, wanted);
  if (problem != NULL)
    damaged(walk, node->child, at->table, "%s", problem);
  if (wanted)
    node->data = uk_slice_of((const char *)walk->value + UK_PAGE_HEADER, node->length);
  return problem == NULL;
}

/* A row of the tree of free pages: a count, and so many page numbers. */
static void take_free(struct branch *at, uint64_t page, struct uk_slice list)
{
  uint64_t count = 0, number;
  if (list.length >= sizeof count)
    memcpy(&count, list.data, sizeof count);
  if (list.length % sizeof count != 0 || list.length / sizeof count < 1 ||
      count > list.length / sizeof count - 1) {
    damaged(at->walk, page, at->table, "has an impossible list of free pages");
    return;
  }
  for (uint64_t i = 1; i <= count; i++) {
    memcpy(&number, list.data + i * sizeof number, sizeof number);
    if (!take(at->walk, at->table, number, 1))
      return;
    count_page(at->walk, 1);
  }
}

static void add_table(struct branch *at, uint64_t page, const struct uk_page_node *node)
{
  struct walk *walk = at->walk;
  if (!node->is_tree || node->is_large || node->length != UK_PAGE_TREE_BYTES ||
      walk->table_count == TABLES_MAX) {
    damaged(walk, page, at->table, "has an entry that is not a table");
    return;
  }
  struct table *table = &walk->tables[walk->table_count++];
  memcpy(table->name, node->key.data, node->key.length);
  table->name_length = node->key.length;
  uk_page_tree_read(&table->tree, (const uint8_t *)node->data.data);
}

static void visit_row(struct branch *at, uint64_t page, struct uk_page_node *node)
{
  const struct uk_page_visitor *visitor = at->walk->visitor;
  if (!is_after_last(at, node->key) || !is_at_least(at, node->key))
    damaged(at->walk, page, at->table, "has keys that are not in order");
  at->has_least = false;
  remember(at->last, &at->last_length, &at->has_last, node->key);
  at->found.entries++;
  if (at->is_main)
    add_table(at, page, node);
  else if (node->is_tree)
    damaged(at->walk, page, at->table, "has a table within a table");
  else if (node->is_large && !read_large(at, node))
    return;
  else if (at->is_free)
    take_free(at, page, node->data);
  else if (visitor->row != NULL)
    visitor->row(visitor->context, at->table, node->key, node->data);
}

/* Trees. */

static void visit_leaf(struct branch *at, uint64_t page, const uint8_t *bytes)
{
  struct uk_page_node node;
  at->found.leaf_pages++;
  for (unsigned i = 0; i < uk_page_nodes(bytes) && !at->walk->no_memory; i++) {
    if (uk_page_node_read(&node, bytes, at->walk->page_size, i))
      visit_row(at, page, &node);
  }
}

static void visit_page(struct branch *at, uint64_t page, unsigned levels);

/* The first key of a branch means nothing; each other one separates two children. */
static void visit_branch(struct branch *at, uint64_t page, const uint8_t *bytes, unsigned levels)
{
  struct uk_page_node node;
  at->found.branch_pages++;
  for (unsigned i = 0; i < uk_page_nodes(bytes) && !at->walk->no_memory; i++) {
    if (!uk_page_node_read(&node, bytes, at->walk->page_size, i))
      continue;
    if (i > 0 && !is_after_last(at, node.key))
      damaged(at->walk, page, at->table, "has keys that are not in order");
    if (i > 0)
      remember(at->least, &at->least_length, &at->has_least, node.key);
    visit_page(at, node.child, levels - 1);
  }
}

/* `levels` says how many there are from this page down; a leaf is the last. */
static void visit_page(struct branch *at, uint64_t page, unsigned levels)
{
  struct walk *walk = at->walk;
  uint8_t *bytes = walk->levels + (levels - 1) * walk->page_size;
  if (!take(walk, at->table, page, 1) ||
      !read_page(at, page, levels == 1 ? UK_PAGE_LEAF : UK_PAGE_BRANCH, bytes))
    return;
  count_page(walk, 1);
  if (levels == 1)
    visit_leaf(at, page, bytes);
  else
    visit_branch(at, page, bytes, levels);
}

static void check_counts(struct branch *at, const struct uk_page_tree *tree)
{
  const struct uk_page_tree *found = &at->found;
  if (found->entries != tree->entries)
    damaged(at->walk, tree->root, at->table, "has %" PRIu64 " entries below it, not %" PRIu64,
            found->entries, tree->entries);
  if (found->branch_pages != tree->branch_pages || found->leaf_pages != tree->leaf_pages ||
      found->overflow_pages != tree->overflow_pages)
    damaged(at->walk, tree->root, at->table, "has another number of pages below it");
}

static void visit_tree(struct branch *at, const struct uk_page_tree *tree)
{
  if (tree->flags != (at->is_free ? INTEGER_KEYS : 0))
    damaged(at->walk, tree->root, at->table, "is the root of another kind of tree");
  if (tree->root == UK_PAGE_NONE && tree->depth == 0) {
    check_counts(at, tree);
    return;
  }
  if (tree->depth < 1 || tree->depth > UK_PAGE_DEPTH_MAX) {
    damaged(at->walk, tree->root, at->table, "is the root of %u levels", (unsigned)tree->depth);
    return;
  }
  visit_page(at, tree->root, tree->depth);
  if (!at->walk->no_memory)
    check_counts(at, tree);
}

static void visit_table(struct walk *walk, struct table *table)
{
  struct branch at = {.walk = walk, .table = uk_slice_of(table->name, table->name_length)};
  if (!table->visited && !walk->no_memory)
    visit_tree(&at, &table->tree);
  table->visited = true;
}

static void visit_tables(struct walk *walk)
{
  const char *const *name = walk->visitor->first;
  for (; name != NULL && *name != NULL; name++) {
    for (size_t i = 0; i < walk->table_count; i++) {
      const struct table *table = &walk->tables[i];
      if (uk_slice_is(uk_slice_of(table->name, table->name_length), *name))
        visit_table(walk, &walk->tables[i]);
    }
  }
  for (size_t i = 0; i < walk->table_count; i++)
    visit_table(walk, &walk->tables[i]);
}

/* The file. */

/* Reads one meta page. Reports what is wrong with it. */
static bool read_meta(struct walk *walk, uint64_t page, size_t page_size, struct uk_page_meta *meta)
{
  uint8_t bytes[UK_PAGE_META_BYTES];
  int error = read_at(walk->file, bytes, sizeof bytes, page * page_size);
  const char *problem = error == 0 ? uk_page_meta_read(meta, bytes) : unread(walk, error);
  if (problem == NULL)
    return true;
  damaged(walk, page, uk_slice_text(""), "%s", problem);
  return false;
}

/* Each transaction writes the meta page that its number is even or odd for: so the two are one
 * apart, except in a new file. */
static void check_transactions(struct walk *walk, uint64_t first, uint64_t second)
{
  bool new = first == 0 && second == 0;
  bool one_apart = first - second == 1 || second - first == 1;
  if (!new && (!one_apart || first % 2 != 0))
    damaged(walk, first > second ? 0 : 1, uk_slice_text(""), "has an impossible transaction");
}

/* The second meta page is one page behind the first; a page size of its own is in each. */
static bool read_metas(struct walk *walk)
{
  struct uk_page_meta second;
  const size_t usual = (size_t)sysconf(_SC_PAGESIZE);
  bool first = read_meta(walk, 0, usual, &walk->meta);
  walk->page_size = first ? walk->meta.free.page_size : usual;
  bool other = read_meta(walk, 1, walk->page_size, &second);
  if (other && second.free.page_size != walk->page_size) {
    damaged(walk, 1, uk_slice_text(""), "has another page size");
    other = false;
  }
  if (first && other)
    check_transactions(walk, walk->meta.transaction, second.transaction);
  if (other && (!first || second.transaction > walk->meta.transaction))
    walk->meta = second;
  return first || other;
}

static bool allocate(struct walk *walk)
{
  walk->seen = calloc(1, (size_t)(walk->meta.last_page / 8 + 1));
  walk->levels = malloc(UK_PAGE_DEPTH_MAX * walk->page_size);
  walk->tables = calloc(TABLES_MAX, sizeof *walk->tables);
  return walk->seen != NULL && walk->levels != NULL && walk->tables != NULL;
}

static void walk_all(struct walk *walk)
{
  const struct uk_slice none = uk_slice_text("");
  struct branch free_pages = {.walk = walk, .table = none, .is_free = true};
  struct branch main_tree = {.walk = walk, .table = none, .is_main = true};
  visit_tree(&free_pages, &walk->meta.free);
  visit_tree(&main_tree, &walk->meta.main);
  visit_tables(walk);
  if (walk->visitor->progress != NULL && !walk->no_memory)
    walk->visitor->progress(walk->visitor->context, walk->visited, walk->meta.last_page + 1);
}

/* A damaged meta page may claim any number of pages: the file bounds it, by what it could hold if
 * its last pages were never written. */
static bool is_plausible(const struct walk *walk)
{
  return walk->meta.last_page / 64 <= walk->file_bytes / walk->page_size + 65536;
}

enum uk_error uk_page_walk(int file, const struct uk_page_visitor *visitor)
{
  struct walk walk = {.file = file, .visitor = visitor};
  struct stat status;
  const struct uk_slice none = uk_slice_text("");
  if (fstat(file, &status) != 0) {
    damaged(&walk, 0, none, "cannot be read: %s", strerror(errno));
    return UK_E_UNAVAILABLE;
  }
  walk.file_bytes = (uint64_t)status.st_size;
  if (!read_metas(&walk))
    return UK_E_UNAVAILABLE;
  if (!is_plausible(&walk)) {
    damaged(&walk, walk.meta.last_page, none, "is the last page, far beyond the end of the file");
    return UK_E_UNAVAILABLE;
  }
  walk.no_memory = !allocate(&walk);
  if (!walk.no_memory)
    walk_all(&walk);
  free(walk.seen);
  free(walk.levels);
  free(walk.tables);
  free(walk.value);
  return walk.no_memory ? UK_E_NO_MEMORY : UK_OK;
}
