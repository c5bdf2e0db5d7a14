/* arena: many small allocations with one life, that of a request, and a size they may not pass. */
#ifndef UK_ARENA_H
#define UK_ARENA_H

#include <stddef.h>

struct uk_arena_block;

struct uk_arena {
  struct uk_arena_block *blocks; /* the one with room first */
  size_t used;                   /* bytes allocated from the system so far */
  size_t limit;
};

void uk_arena_init(struct uk_arena *arena, size_t limit);
void uk_arena_free(struct uk_arena *arena);

/* Zeroed, aligned for any type, living until uk_arena_free. NULL when memory or the limit is
 * out, or when count * size overflows. */
void *uk_arena_allocate(struct uk_arena *arena, size_t count, size_t size);

/* Copies `length` bytes and puts a NUL behind them. */
char *uk_arena_copy(struct uk_arena *arena, const char *data, size_t length);

#endif
