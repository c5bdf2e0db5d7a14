/* nearest: the known name that an unknown one resembles most, for "did you mean". */
#ifndef UK_NEAREST_H
#define UK_NEAREST_H

#include "common/slice.h"

/* The name among `names` that the fewest changes of a letter make of `name`; the first of several,
 * the case of ASCII letters aside. `names` ends at `count` or at a NULL. NULL when there are none.
 * Only the first 64 bytes of a name count. */
const char *uk_nearest(struct uk_slice name, const char *const *names, size_t count);

#endif
