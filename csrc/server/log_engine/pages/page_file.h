/* page_file: the layout of an LMDB data file (data version 1), read without LMDB, which trusts it.
 * Pure functions on bytes. Integers have the byte order of the machine.
 *
 *   page    u64 number, u16 unused, u16 kind, then u16 lower, u16 upper or, of an overflow page,
 *           u32 pages; then u16 offsets of the nodes, up to `lower`
 *   node    u16, u16, u16, u16 key length, key. In a branch the first three are the number of the
 *           child page; in a leaf two are the length of the data, and the third its flags. Large
 *           data is the number of the first of its overflow pages.
 *   meta    pages 0 and 1: u32 magic, u32 version, 2 words, two trees, u64 last page, u64
 *           transaction. The one with the higher transaction counts.
 *   tree    u32 (page size, in the first tree of a meta page), u16 flags, u16 depth, u64 branch
 *           pages, u64 leaf pages, u64 overflow pages, u64 entries, u64 root */
#ifndef UK_PAGE_FILE_H
#define UK_PAGE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

enum {
  UK_PAGE_HEADER = 16,
  UK_PAGE_META_BYTES = UK_PAGE_HEADER + 136,
  UK_PAGE_TREE_BYTES = 48,
  UK_PAGE_SIZE_MIN = 512,
  UK_PAGE_SIZE_MAX = 32768,
  UK_PAGE_KEY_MAX = 511,
  UK_PAGE_DEPTH_MAX = 32
};

enum uk_page_kind { UK_PAGE_BRANCH = 1, UK_PAGE_LEAF = 2, UK_PAGE_OVERFLOW = 4, UK_PAGE_META = 8 };

#define UK_PAGE_NONE UINT64_MAX /* the root of an empty tree */

struct uk_page_tree {
  uint32_t page_size; /* of the first tree of a meta page */
  uint16_t flags, depth;
  uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

void uk_page_tree_read(struct uk_page_tree *tree, const uint8_t *bytes);

struct uk_page_meta {
  struct uk_page_tree free, main;
  uint64_t last_page, transaction;
};

/* Reads a meta page of at least UK_PAGE_META_BYTES. Returns NULL, or what is wrong with it. */
const char *uk_page_meta_read(struct uk_page_meta *meta, const uint8_t *page);

/* Returns NULL if the page has this number and kind and, unless it is an overflow page, its nodes
 * lie within it; otherwise what is wrong. */
const char *uk_page_check(const uint8_t *page, size_t size, uint64_t number,
                          enum uk_page_kind kind);

/* For a page that was checked. */
unsigned uk_page_nodes(const uint8_t *page);
uint64_t uk_page_overflow_count(const uint8_t *page);

struct uk_page_node {
  struct uk_slice key;
  uint64_t child;       /* of a branch */
  size_t length;        /* of the data, in a leaf */
  bool is_large;        /* the data is on overflow pages, from `child` on */
  bool is_tree;         /* the data is a tree */
  struct uk_slice data; /* within the page; empty when it is large */
};

/* Reads a node of a page that was checked. False if it does not lie within the page, or has flags
 * that a log has no use for. */
bool uk_page_node_read(struct uk_page_node *node, const uint8_t *page, size_t size, unsigned index);

#endif
