/* clock: the time in milliseconds. */
#ifndef UK_CLOCK_H
#define UK_CLOCK_H

#include <stdint.h>

int64_t uk_clock_monotonic(void); /* for deadlines */
int64_t uk_clock_epoch(void);     /* since 1970, for timestamps */

#endif
