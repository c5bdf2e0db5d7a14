/* counted_seeds: counts the seeds of hash tables. Clients choose the names in a table, and must not
 * know its order. Include it in one file of a program. */
#ifndef COUNTED_SEEDS_H
#define COUNTED_SEEDS_H

#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

static atomic_int counted_seeds;

ssize_t getrandom(void *bytes, size_t size, unsigned flags)
{
  (void)flags;
  memset(bytes, 7, size);
  atomic_fetch_add(&counted_seeds, 1);
  return (ssize_t)size;
}

#endif
