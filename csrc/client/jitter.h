/* jitter: random numbers that are good enough for delays, not for secrets. */
#ifndef UK_JITTER_H
#define UK_JITTER_H

#include <stdint.h>

/* 32 random bits, which differ between processes that ask at the same moment. */
uint32_t uk_jitter(void);

#endif
