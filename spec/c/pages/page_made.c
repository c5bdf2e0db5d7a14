#include "page_made.h"

#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

size_t made_size;
uint8_t made_bytes[MADE_PAGES_MAX * 2 * MADE_USUAL];
struct uk_page_tree made_tables, made_free;
uint8_t *made_one, *made_two;
uint64_t made_last_page, made_transactions[2];

/* Making a file. */

uint8_t *made_page(uint64_t number)
{
  return made_bytes + number * made_size;
}

void made_u16(uint8_t *at, unsigned value)
{
  const uint16_t small = (uint16_t)value;
  memcpy(at, &small, sizeof small);
}

static unsigned get_u16(const uint8_t *at)
{
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

void made_u32(uint8_t *at, uint32_t value)
{
  memcpy(at, &value, sizeof value);
}

void made_u64(uint8_t *at, uint64_t value)
{
  memcpy(at, &value, sizeof value);
}

void made_page_begin(uint64_t number, enum uk_page_kind kind)
{
  memset(made_page(number), 0, made_size);
  made_u64(made_page(number), number);
  made_u16(made_page(number) + 10, kind);
  made_u16(made_page(number) + 12, UK_PAGE_HEADER);
  made_u16(made_page(number) + 14, (unsigned)made_size);
}

/* Adds a node behind the others. Returns where its data begins. */
uint8_t *made_add(uint64_t number, struct uk_slice key, uint64_t words, size_t room)
{
  uint8_t *start = made_page(number);
  unsigned lower = get_u16(start + 12), at = get_u16(start + 14);
  at -= (unsigned)((8 + key.length + room + 1) / 2 * 2);
  made_u16(start + 12, lower + 2);
  made_u16(start + 14, at);
  made_u16(start + lower, at);
  made_u64(start + at, words);
  made_u16(start + at + 6, (unsigned)key.length);
  memcpy(start + at + 8, key.data, key.length);
  return start + at + 8 + key.length;
}

void made_child(uint64_t number, const char *key, uint64_t child)
{
  made_add(number, uk_slice_text(key), child, 0);
}

void made_row(uint64_t number, const char *key, const char *value)
{
  uint8_t *data = made_add(number, uk_slice_text(key), strlen(value), strlen(value));
  memcpy(data, value, strlen(value));
}

/* A value on pages of its own. */
void made_large(uint64_t number, const char *key, size_t length, uint64_t first)
{
  made_u64(made_add(number, uk_slice_text(key), length | UINT64_C(1) << 32, 8), first);
}

void made_tree(uint8_t *at, const struct uk_page_tree *tree)
{
  made_u32(at, tree->page_size);
  made_u16(at + 4, tree->flags);
  made_u16(at + 6, tree->depth);
  made_u64(at + 8, tree->branch_pages);
  made_u64(at + 16, tree->leaf_pages);
  made_u64(at + 24, tree->overflow_pages);
  made_u64(at + 32, tree->entries);
  made_u64(at + 40, tree->root);
}

uint8_t *made_table(uint64_t number, const char *name, struct uk_page_tree tree)
{
  uint8_t *data = made_add(number, uk_slice_text(name), UK_PAGE_TREE_BYTES | UINT64_C(2) << 32,
                           UK_PAGE_TREE_BYTES);
  made_tree(data, &tree);
  return data;
}

void made_free_list(uint64_t transaction, const uint64_t *list, size_t length)
{
  uint8_t *data = made_add(9, uk_slice_of((const char *)&transaction, 8), length, length);
  memcpy(data, list, length);
}

void made_file(size_t page_size)
{
  static const uint64_t list[] = {1, 10};
  made_size = page_size;
  memset(made_bytes, 0, sizeof made_bytes);
  made_page_begin(2, UK_PAGE_LEAF);
  made_one = made_table(
    2, "one",
    (struct uk_page_tree){.depth = 2, .branch_pages = 1, .leaf_pages = 2, .entries = 3, .root = 3});
  made_two =
    made_table(2, "two",
               (struct uk_page_tree){
                 .depth = 1, .leaf_pages = 1, .overflow_pages = 2, .entries = 1, .root = 6});
  made_page_begin(3, UK_PAGE_BRANCH);
  made_child(3, "zzz, which means nothing", 4);
  made_child(3, "c", 5);
  made_page_begin(4, UK_PAGE_LEAF);
  made_row(4, "a", "1");
  made_row(4, "b", "2");
  made_page_begin(5, UK_PAGE_LEAF);
  made_row(5, "c", "3");
  made_page_begin(6, UK_PAGE_LEAF);
  made_large(6, "k", 2 * made_size - UK_PAGE_HEADER, 7);
  made_page_begin(7, UK_PAGE_OVERFLOW);
  made_u32(made_page(7) + 12, 2);
  memset(made_page(7) + UK_PAGE_HEADER, 'v', 2 * made_size - UK_PAGE_HEADER);
  made_page_begin(9, UK_PAGE_LEAF);
  made_free_list(1, list, sizeof list);
  made_tables = (struct uk_page_tree){.depth = 1, .leaf_pages = 1, .entries = 2, .root = 2};
  made_free = (struct uk_page_tree){.page_size = (uint32_t)made_size,
                                    .flags = 8,
                                    .depth = 1,
                                    .leaf_pages = 1,
                                    .entries = 1,
                                    .root = 9};
  made_last_page = MADE_LAST;
  made_transactions[0] = 2;
  made_transactions[1] = 1;
}

void made_usual(void)
{
  made_file(MADE_USUAL);
}

void made_meta(uint64_t number)
{
  uint8_t *at = made_page(number) + UK_PAGE_HEADER;
  made_u64(made_page(number), number);
  made_u16(made_page(number) + 10, UK_PAGE_META);
  made_u32(at, 0xBEEFC0DE);
  made_u32(at + 4, 1);
  made_tree(at + 24, &made_free);
  made_tree(at + 24 + UK_PAGE_TREE_BYTES, &made_tables);
  made_u64(at + 24 + 2 * UK_PAGE_TREE_BYTES, made_last_page);
  made_u64(at + 32 + 2 * UK_PAGE_TREE_BYTES, made_transactions[number]);
}

/* Walking. */

struct made_found made_found;

static void on_damage(void *context, uint64_t number, struct uk_slice table, const char *text)
{
  CHECK(context == &made_found);
  if (made_found.faults++ > 0)
    return;
  made_found.page = number;
  snprintf(made_found.table, sizeof made_found.table, "%.*s", (int)table.length, table.data);
  snprintf(made_found.text, sizeof made_found.text, "%s", text);
}

/* "TABLE:KEY=VALUE "; of a long value its length. */
static void on_row(void *context, struct uk_slice table, struct uk_slice key, struct uk_slice value)
{
  size_t used = strlen(made_found.rows);
  char *rows = made_found.rows + used;
  size_t room = sizeof made_found.rows - used;
  CHECK(context == &made_found);
  if (value.length < 10)
    snprintf(rows, room, "%.*s:%.*s=%.*s ", (int)table.length, table.data, (int)key.length,
             key.data, (int)value.length, value.data);
  else
    snprintf(rows, room, "%.*s:%.*s=%zu%c%c ", (int)table.length, table.data, (int)key.length,
             key.data, value.length, value.data[0], value.data[value.length - 1]);
}

static void on_progress(void *context, uint64_t pages, uint64_t all)
{
  CHECK(context == &made_found);
  if (made_found.calls++ == 0) {
    made_found.first_call = pages;
    made_found.first_all = all;
  }
  made_found.visited = pages;
  made_found.all = all;
}

enum uk_error made_walk(size_t length, const char *const *first, bool rows)
{
  const struct uk_page_visitor visitor = {.context = &made_found,
                                          .damaged = on_damage,
                                          .row = rows ? on_row : NULL,
                                          .progress = on_progress,
                                          .first = first};
  int file = memfd_create("page-made", MFD_CLOEXEC);
  memset(&made_found, 0, sizeof made_found);
  CHECK(file >= 0 && write(file, made_bytes, length) == (ssize_t)length);
  enum uk_error error = uk_page_walk(file, &visitor);
  close(file);
  return error;
}

void made_walk_all(void)
{
  made_meta(0);
  made_meta(1);
  CHECK_EQ_INT(made_walk((MADE_LAST + 1) * made_size, NULL, true), UK_OK);
}

void made_check_whole(void)
{
  made_walk_all();
  if (!CHECK_EQ_INT(made_found.faults, 0))
    fprintf(stderr, "  page %llu of \"%s\" %s\n", (unsigned long long)made_found.page,
            made_found.table, made_found.text);
}

void made_check_found(uint64_t number, const char *table, const char *text)
{
  CHECK(made_found.faults > 0);
  CHECK_EQ_INT(made_found.page, number);
  CHECK_EQ_STR(made_found.table, table);
  CHECK_EQ_STR(made_found.text, text);
}

void made_check_fault(uint64_t number, const char *table, const char *text)
{
  made_walk_all();
  made_check_found(number, table, text);
}
