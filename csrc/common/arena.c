#include "common/arena.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Blocks grow with the arena: a large request takes few blocks, a small one little memory. */
enum { FIRST_BLOCK = 1024, LARGEST_BLOCK = 256 << 10 };

struct uk_arena_block {
  struct uk_arena_block *next;
  size_t used, size; /* of `bytes` */
  max_align_t bytes[];
};

void uk_arena_init(struct uk_arena *arena, size_t limit)
{
  *arena = (struct uk_arena){.limit = limit};
}

void uk_arena_free(struct uk_arena *arena)
{
  struct uk_arena_block *block = arena->blocks;
  const size_t used = arena->used;
  arena->blocks = NULL;
  arena->used = 0;
  while (block != NULL) {
    struct uk_arena_block *next = block->next;
    free(block);
    block = next;
  }
  if (used > 0)
    uk_account_give(arena->account, used);
}

/* The size of the next block for `needed` bytes; 0 when it would exceed the limit. */
static size_t block_bytes(const struct uk_arena *arena, size_t needed)
{
  size_t left = arena->limit - arena->used;
  if (left < sizeof(struct uk_arena_block) || needed > left - sizeof(struct uk_arena_block))
    return 0;
  size_t bytes = arena->used < FIRST_BLOCK ? FIRST_BLOCK : arena->used;
  bytes = bytes > LARGEST_BLOCK ? LARGEST_BLOCK : bytes;
  bytes = bytes > left ? left : bytes;
  size_t least = sizeof(struct uk_arena_block) + needed;
  return bytes > least ? bytes : least;
}

static struct uk_arena_block *new_block(const struct uk_arena *arena, size_t bytes)
{
  if (bytes == 0 || !uk_account_take(arena->account, bytes))
    return NULL;
  struct uk_arena_block *block = calloc(1, bytes);
  if (block == NULL)
    uk_account_give(arena->account, bytes);
  return block;
}

/* Puts the block with more room first: a large allocation leaves the room of the block before it in
 * use. */
static struct uk_arena_block *add_block(struct uk_arena *arena, size_t needed)
{
  size_t bytes = block_bytes(arena, needed);
  struct uk_arena_block *block = new_block(arena, bytes);
  if (block == NULL)
    return NULL;
  block->size = bytes - sizeof *block;
  arena->used += bytes;
  struct uk_arena_block *head = arena->blocks;
  bool behind = head != NULL && head->size - head->used > block->size - needed;
  struct uk_arena_block **link = behind ? &head->next : &arena->blocks;
  block->next = *link;
  *link = block;
  return block;
}

void *uk_arena_allocate(struct uk_arena *arena, size_t count, size_t size)
{
  const size_t unit = alignof(max_align_t);
  if (size > 0 && count > (SIZE_MAX - unit) / size)
    return NULL;
  size_t needed = (count * size + unit - 1) / unit * unit;
  struct uk_arena_block *block = arena->blocks;
  if (block == NULL || needed > block->size - block->used)
    block = add_block(arena, needed);
  if (block == NULL)
    return NULL;
  char *memory = (char *)block->bytes + block->used;
  block->used += needed;
  return memory;
}

char *uk_arena_copy(struct uk_arena *arena, const char *data, size_t length)
{
  char *copy = length < SIZE_MAX ? uk_arena_allocate(arena, length + 1, 1) : NULL;
  if (copy != NULL && length > 0)
    memcpy(copy, data, length);
  return copy;
}
