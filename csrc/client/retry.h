/* retry: whether a call that failed is made again, and after how long. Pure. */
#ifndef UK_RETRY_H
#define UK_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum { UK_RETRY_STOP = -1, UK_RETRY_AFTER_MAX = 60 /* seconds */ };

/* What a second arrival of the same request would do. */
enum uk_retry_class {
  UK_RETRY_NEVER,  /* the caller wants to know how things stand now */
  UK_RETRY_UNSENT, /* harm: only what surely was not carried out is tried again */
  UK_RETRY_SAFE    /* nothing */
};

struct uk_retry_policy {
  enum uk_retry_class class;
  int64_t retries;   /* 0 = none */
  int64_t delay;     /* milliseconds before the first */
  int64_t delay_max; /* milliseconds */
};

/* Whether the request may have been carried out although it failed so: its answer is lost, or cannot
 * be read. `status` is 0 without one. */
bool uk_retry_carried_out(enum uk_error error, int status);

/* Milliseconds to wait before the next attempt, or UK_RETRY_STOP. `attempt` counts those made so
 * far, from 1; `status` is 0 without one; `retry_after` in seconds, -1 when not said: the wait
 * is at least as long, and a server that wants more than UK_RETRY_AFTER_MAX is not asked again.
 * `random` is any 32 bits. */
int64_t uk_retry_delay(const struct uk_retry_policy *policy, int64_t attempt, enum uk_error error,
                       int status, int64_t retry_after, uint32_t random);

#endif
