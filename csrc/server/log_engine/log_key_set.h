/* log_key_set: which idempotency keys the commands of a transaction have. Of each it holds a hash
 * alone: a key may seem to be in the set that is not. */
#ifndef UK_LOG_KEY_SET_H
#define UK_LOG_KEY_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "server/engine/engine.h"

enum { UK_LOG_KEY_SET_SLOTS = 1 << 15 };

/* Zeroed, it is empty. */
struct uk_log_key_set {
  uint32_t round; /* slots of earlier rounds are free */
  uint32_t count;
  struct {
    uint32_t round, hash;
  } slots[UK_LOG_KEY_SET_SLOTS];
};

void uk_log_key_set_clear(struct uk_log_key_set *set);
bool uk_log_key_set_has(const struct uk_log_key_set *set, const struct uk_produce_key *key);
/* False when the set has the key already, or no room near its slot. */
bool uk_log_key_set_add(struct uk_log_key_set *set, const struct uk_produce_key *key);

#endif
