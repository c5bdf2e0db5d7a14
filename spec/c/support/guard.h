/* guard: bytes that end where memory ends. */
#ifndef GUARD_H
#define GUARD_H

#include <stddef.h>

/* A copy whose last byte is the last of its page, with a page behind it that may not be touched.
 * Aborts the test program when there is no memory. Never NULL, also for length 0. */
char *guard_copy(const void *data, size_t length);

/* `length` as given to guard_copy. */
void guard_free(char *copy, size_t length);

#endif
