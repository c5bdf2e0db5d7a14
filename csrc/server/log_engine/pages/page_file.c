#include "server/log_engine/pages/page_file.h"

enum { NODE_HEADER = 8, NODE_LARGE = 1, NODE_TREE = 2, DATA_VERSION = 1 };
static const uint32_t MAGIC = 0xBEEFC0DE;

static uint16_t load_u16(const uint8_t *at)
{
  uint16_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint32_t load_u32(const uint8_t *at)
{
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint64_t load_u64(const uint8_t *at)
{
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

void uk_page_tree_read(struct uk_page_tree *tree, const uint8_t *bytes)
{
  tree->page_size = load_u32(bytes);
  tree->flags = load_u16(bytes + 4);
  tree->depth = load_u16(bytes + 6);
  tree->branch_pages = load_u64(bytes + 8);
  tree->leaf_pages = load_u64(bytes + 16);
  tree->overflow_pages = load_u64(bytes + 24);
  tree->entries = load_u64(bytes + 32);
  tree->root = load_u64(bytes + 40);
}

static bool is_page_size(uint32_t size)
{
  return size >= UK_PAGE_SIZE_MIN && size <= UK_PAGE_SIZE_MAX && (size & (size - 1)) == 0;
}

const char *uk_page_meta_read(struct uk_page_meta *meta, const uint8_t *page)
{
  const uint8_t *bytes = page + UK_PAGE_HEADER;
  if (load_u16(page + 10) != UK_PAGE_META || load_u32(bytes) != MAGIC)
    return "is not a meta page";
  if (load_u32(bytes + 4) != DATA_VERSION)
    return "is of another version of LMDB";
  uk_page_tree_read(&meta->free, bytes + 24);
  uk_page_tree_read(&meta->main, bytes + 24 + UK_PAGE_TREE_BYTES);
  meta->last_page = load_u64(bytes + 24 + 2 * UK_PAGE_TREE_BYTES);
  meta->transaction = load_u64(bytes + 32 + 2 * UK_PAGE_TREE_BYTES);
  if (!is_page_size(meta->free.page_size))
    return "has an impossible page size";
  return meta->last_page < 1 ? "has an impossible last page" : NULL;
}

unsigned uk_page_nodes(const uint8_t *page)
{
  return (unsigned)(load_u16(page + 12) - UK_PAGE_HEADER) / 2;
}

uint64_t uk_page_overflow_count(const uint8_t *page)
{
  return load_u32(page + 12);
}

const char *uk_page_check(const uint8_t *page, size_t size, uint64_t number, enum uk_page_kind kind)
{
  if (load_u64(page) != number)
    return "has another page's number";
  if (load_u16(page + 10) != kind) /* LMDB keeps other flags in memory only */
    return kind == UK_PAGE_BRANCH ? "is not a branch page"
           : kind == UK_PAGE_LEAF ? "is not a leaf page"
                                  : "is not an overflow page";
  if (kind == UK_PAGE_OVERFLOW)
    return NULL;
  size_t lower = load_u16(page + 12), upper = load_u16(page + 14);
  if (lower <= UK_PAGE_HEADER || lower % 2 != 0 || lower > upper || upper > size)
    return "has impossible bounds";
  struct uk_page_node node;
  for (unsigned i = 0; i < uk_page_nodes(page); i++) {
    if (load_u16(page + UK_PAGE_HEADER + 2 * i) < upper || !uk_page_node_read(&node, page, size, i))
      return "has an impossible entry";
  }
  return NULL;
}

static bool read_data(struct uk_page_node *node, const uint8_t *bytes, const uint8_t *end,
                      unsigned flags)
{
  node->is_large = (flags & NODE_LARGE) != 0;
  node->is_tree = (flags & NODE_TREE) != 0;
  size_t stored = node->is_large ? sizeof node->child : node->length;
  if ((flags & ~(unsigned)(NODE_LARGE | NODE_TREE)) != 0)
    return false;
  if (stored > (size_t)(end - bytes))
    return false;
  if (node->is_large)
    node->child = load_u64(bytes);
  else
    node->data = uk_slice_of((const char *)bytes, stored);
  return true;
}

bool uk_page_node_read(struct uk_page_node *node, const uint8_t *page, size_t size, unsigned index)
{
  size_t at = load_u16(page + UK_PAGE_HEADER + 2 * index);
  const uint8_t *bytes = page + at, *end = page + size;
  *node = (struct uk_page_node){0};
  if (at < UK_PAGE_HEADER || at + NODE_HEADER > size)
    return false;
  size_t key = load_u16(bytes + 6);
  if (key > UK_PAGE_KEY_MAX || key > size - at - NODE_HEADER)
    return false;
  node->key = uk_slice_of((const char *)bytes + NODE_HEADER, key);
  uint32_t low = load_u16(bytes) | (uint32_t)load_u16(bytes + 2) << 16;
  unsigned flags = load_u16(bytes + 4);
  if ((load_u16(page + 10) & UK_PAGE_BRANCH) != 0) {
    node->child = low | (uint64_t)flags << 32;
    return true;
  }
  node->length = low;
  return read_data(node, bytes + NODE_HEADER + key, end, flags);
}
