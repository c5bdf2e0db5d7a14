/* retry: whether a failed call is retried, and after how long. Pure. */
#ifndef UK_RETRY_H
#define UK_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

enum { UK_RETRY_STOP = -1, UK_RETRY_AFTER_MAX = 60 /* seconds */ };

/* What may be retried. */
enum uk_retry_class {
  UK_RETRY_NEVER,  /* nothing: the caller asks for the state of this moment */
  UK_RETRY_UNSENT, /* not idempotent: only what certainly was not executed */
  UK_RETRY_SAFE    /* idempotent: every failure that may be temporary */
};

struct uk_retry_policy {
  enum uk_retry_class class;
  int64_t retries;   /* 0 = none */
  int64_t delay;     /* milliseconds before the first retry */
  int64_t delay_max; /* milliseconds */
};

/* True when the request may have been executed although it failed: its answer is lost or
 * unreadable. `status` is 0 without an answer. */
bool uk_retry_maybe_executed(enum uk_error error, int status);

/* Milliseconds until the next attempt, or UK_RETRY_STOP. `attempt` counts the attempts made so far,
 * from 1. `status` is 0 without an answer. `retry_after` is the server's Retry-After in seconds, -1
 * = none: the delay is at least that long, and above UK_RETRY_AFTER_MAX there is no retry. `random`
 * is any 32 bits. */
int64_t uk_retry_delay(const struct uk_retry_policy *policy, int64_t attempt, enum uk_error error,
                       int status, int64_t retry_after, uint32_t random);

#endif
