/* fault: an allocator that fails on request, and a count of what is allocated.
 *
 * Link with fault.c and
 *   -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=free,--wrap=strdup,--wrap=strndup
 * Only calls from the objects and static libraries of the test program are seen, not those
 * inside shared libraries. Everything here may be called from any thread. */
#ifndef FAULT_H
#define FAULT_H

#include <stdbool.h>

#include "guard.h"

/* The n-th allocation from now (1 is the next) fails, once. */
void fault_at(long n);

/* The n-th allocation from now and every later one fail. */
void fault_from(long n);

/* No more failures. */
void fault_off(void);

/* Allocations (failed ones included) since the last call of one of the three above. */
long fault_count(void);

/* Whether an allocation failed since then. The loop over every n:
 *   for (long n = 1, hit = 1; hit; n++) { fault_at(n); ...; hit = fault_hit(); fault_off(); } */
bool fault_hit(void);

/* Allocations that were not freed yet; compare before and after. -1 without --wrap=free. */
long fault_live(void);

/* Calls `look` with every block, before it is freed: what does it still hold? NULL: no more. */
void fault_watch_free(void (*look)(const void *memory));

#endif
