/* page_walk: visits every page of an LMDB data file and reports what is damaged, believing nothing
 * that it reads. Rows of whole pages are reported even if others are damaged. Nobody may write to
 * the file meanwhile. */
#ifndef UK_PAGE_WALK_H
#define UK_PAGE_WALK_H

#include "common/error.h"
#include "server/log_engine/pages/page_file.h"

struct uk_page_visitor {
  void *context;
  /* A fault: the page, the table that it belongs to ("" outside of tables), and a text. */
  void (*damaged)(void *context, uint64_t page, struct uk_slice table, const char *text);
  /* A row of a table, in the order of the keys. NULL: large values are not read, only the first
   * header of their pages. */
  void (*row)(void *context, struct uk_slice table, struct uk_slice key, struct uk_slice value);
  /* NULL, or called from time to time and at the end, with the number of pages visited and the
   * number of all pages. The two meta pages, and pages that LMDB has lost, are never visited. */
  void (*progress)(void *context, uint64_t pages, uint64_t all);
  /* NULL, or the tables to visit before the others, ended by a NULL. */
  const char *const *first;
};

/* UK_OK: the walk came to its end, whatever it found. NO_MEMORY: it did not. UNAVAILABLE: there is
 * nothing to walk, because no meta page is whole or the file cannot be read; that is reported as
 * damage, too. */
enum uk_error uk_page_walk(int file, const struct uk_page_visitor *visitor);

#endif
