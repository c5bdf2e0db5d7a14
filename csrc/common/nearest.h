/* nearest: the known name that is most similar to an unknown one, for "did you mean". */
#ifndef UK_NEAREST_H
#define UK_NEAREST_H

#include "common/slice.h"

/* The first of the names that differ from `name` by the fewest changed letters, ignoring the case
 * of ASCII letters. `names` ends after `count` names or at a NULL. NULL when it is empty. Compares
 * the first 64 bytes of a name. */
const char *uk_nearest(struct uk_slice name, const char *const *names, size_t count);

#endif
