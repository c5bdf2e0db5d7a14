/* page_made: an LMDB file that is made page by page, and what a walk finds in it.
 *
 * The pages:
 *   2  the tree of tables: "one", "two"
 *   3  the branch of "one", with the leaves 4 (a=1, b=2) and 5 (c=3)
 *   6  the leaf of "two": k, a value on the pages 7 and 8
 *   9  the tree of free pages: that of transaction 1 is page 10 */
#ifndef PAGE_MADE_H
#define PAGE_MADE_H

#include "server/log_engine/pages/page_walk.h"

enum { MADE_USUAL = 4096, MADE_LAST = 10, MADE_PAGES_MAX = 16 };

/* The file, and what its meta pages are to say. */
extern size_t made_size; /* of a page */
extern uint8_t made_bytes[MADE_PAGES_MAX * 2 * MADE_USUAL];
extern struct uk_page_tree made_tables, made_free;
extern uint8_t *made_one, *made_two; /* their trees, in page 2 */
extern uint64_t made_last_page, made_transactions[2];

/* Makes the file anew, without its meta pages: with pages of this size, or of the usual one. */
void made_file(size_t page_size);
void made_usual(void);
void made_meta(uint64_t number);

uint8_t *made_page(uint64_t number);
void made_u16(uint8_t *at, unsigned value);
void made_u32(uint8_t *at, uint32_t value);
void made_u64(uint8_t *at, uint64_t value);
void made_tree(uint8_t *at, const struct uk_page_tree *tree);

/* Empties a page. */
void made_page_begin(uint64_t number, enum uk_page_kind kind);
/* Each adds a node behind the others. The first takes the node's words before the key, and returns
 * where its data begins; so does the one that adds a table. A large value is on pages of its
 * own. */
uint8_t *made_add(uint64_t number, struct uk_slice key, uint64_t words, size_t room);
void made_child(uint64_t number, const char *key, uint64_t child);
void made_row(uint64_t number, const char *key, const char *value);
void made_large(uint64_t number, const char *key, size_t length, uint64_t first);
uint8_t *made_table(uint64_t number, const char *name, struct uk_page_tree tree);
void made_free_list(uint64_t transaction, const uint64_t *list, size_t length);

/* What the last walk found. */
struct made_found {
  int faults, calls;
  uint64_t page; /* of the first fault */
  char table[32], text[200];
  char rows[200];
  uint64_t visited, all, first_call, first_all;
};
extern struct made_found made_found;

/* Walks the first bytes of the file, with or without its rows. */
enum uk_error made_walk(size_t length, const char *const *first, bool rows);
/* Writes both meta pages, and walks the whole file: that comes to its end. */
void made_walk_all(void);

/* Walks the whole file: it has no fault, or this is the first one. */
void made_check_whole(void);
void made_check_fault(uint64_t number, const char *table, const char *text);
/* The last walk had this one. */
void made_check_found(uint64_t number, const char *table, const char *text);

#define OUT_OF_ORDER "has keys that are not in order"
#define OTHER_PAGES "has another number of pages below it"
#define OUTSIDE "lies outside of the pages 2 to 10"
#define NO_TABLE "has an entry that is not a table"
#define CUT_OFF "lies beyond the end of the file, which was cut off"

#endif
