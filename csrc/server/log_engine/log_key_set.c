#include "server/log_engine/log_key_set.h"

#include <string.h>

#include "server/log_engine/log_checksum.h"

enum { STEPS = 32 }; /* slots to try */

static uint32_t hash_of(const struct uk_produce_key *key)
{
  uint32_t hash = uk_log_checksum((uint32_t)key->user.length, key->user.data, key->user.length);
  return uk_log_checksum(hash, key->key.data, key->key.length);
}

void uk_log_key_set_clear(struct uk_log_key_set *set)
{
  set->count = 0;
  if (++set->round == 0)
    memset(set, 0, sizeof *set);
}

/* The slot that has the hash, or the free one for it. UK_LOG_KEY_SET_SLOTS: there is neither. */
static uint32_t find(const struct uk_log_key_set *set, uint32_t hash, bool *found)
{
  for (uint32_t i = 0; i < STEPS; i++) {
    uint32_t slot = (hash + i) % UK_LOG_KEY_SET_SLOTS;
    bool used = set->slots[slot].round == set->round;
    *found = used && set->slots[slot].hash == hash;
    if (*found || !used)
      return slot;
  }
  return UK_LOG_KEY_SET_SLOTS;
}

bool uk_log_key_set_has(const struct uk_log_key_set *set, const struct uk_produce_key *key)
{
  bool found;
  if (set->count == 0)
    return false;
  find(set, hash_of(key), &found);
  return found;
}

bool uk_log_key_set_add(struct uk_log_key_set *set, const struct uk_produce_key *key)
{
  bool found;
  if (set->round == 0)
    uk_log_key_set_clear(set);
  uint32_t hash = hash_of(key), slot = find(set, hash, &found);
  if (found || slot == UK_LOG_KEY_SET_SLOTS)
    return false;
  set->slots[slot].round = set->round;
  set->slots[slot].hash = hash;
  set->count++;
  return true;
}
