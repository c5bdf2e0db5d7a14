/* attempts: bounds how often an address may try credentials that turn out to be wrong:
 * UK_ATTEMPTS_AT_ONCE, then one in UK_ATTEMPTS_INTERVAL. Safe for concurrent use. */
#ifndef UK_ATTEMPTS_H
#define UK_ATTEMPTS_H

#include <pthread.h>
#include <stdint.h>

#include "server/request/client_address.h"

enum {
  UK_ATTEMPTS_AT_ONCE = 10,
  UK_ATTEMPTS_INTERVAL = 1000, /* milliseconds; not more than UK_RETRY_AFTER */
  UK_ATTEMPTS_WAYS = 4,
  UK_ATTEMPTS_ADDRESSES = 1 << 14 /* those that have tried most give way last */
};

struct uk_attempts_entry {
  struct uk_client_address address;
  int64_t full_at; /* by then every attempt is free again; 0: not used */
};

struct uk_attempts {
  pthread_mutex_t mutex;
  uint64_t seed; /* so that nobody can choose addresses that share a place */
  struct uk_attempts_entry entries[UK_ATTEMPTS_ADDRESSES / UK_ATTEMPTS_WAYS][UK_ATTEMPTS_WAYS];
};

/* False if out of resources. The memory is zeroed. */
bool uk_attempts_init(struct uk_attempts *attempts);
void uk_attempts_destroy(struct uk_attempts *attempts);

/* Takes an attempt at the time `now` (uk_clock_monotonic). Returns 0, or in how many milliseconds
 * one will be free; then none was taken. */
int64_t uk_attempts_take(struct uk_attempts *attempts, const struct uk_client_address *address,
                         int64_t now);

/* The attempt was right, or none: it does not count. */
void uk_attempts_give_back(struct uk_attempts *attempts, const struct uk_client_address *address);

#endif
