/* arena: many small allocations that are freed together, within a limit. */
#ifndef UK_ARENA_H
#define UK_ARENA_H

#include <stddef.h>

#include "common/budget.h"

struct uk_arena_block;

struct uk_arena {
  struct uk_arena_block *blocks; /* the one with the most room first */
  size_t used;                   /* bytes allocated from the system */
  size_t limit;
  struct uk_account *account; /* pays for the blocks; NULL: nobody does */
};

void uk_arena_init(struct uk_arena *arena, size_t limit);

/* Frees everything. The arena can be used again, with the same limit and account. */
void uk_arena_free(struct uk_arena *arena);

/* Memory for `count` items of `size` bytes: zeroed, aligned for any type, valid until
 * uk_arena_free. NULL when memory is out, the limit is reached, the account
 * is refused or the product overflows. */
void *uk_arena_allocate(struct uk_arena *arena, size_t count, size_t size);

/* A NUL-terminated copy of `length` bytes. NULL like uk_arena_allocate. */
char *uk_arena_copy(struct uk_arena *arena, const char *data, size_t length);

#endif
