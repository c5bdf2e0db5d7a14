#include "server/access/attempts.h"

#include <sys/random.h>

/* Times count from 1, since 0 marks an entry that is free. */
enum { FIRST_TIME = 1 };

bool uk_attempts_init(struct uk_attempts *attempts)
{
  return getrandom(&attempts->seed, sizeof attempts->seed, 0) == (ssize_t)sizeof attempts->seed &&
         pthread_mutex_init(&attempts->mutex, NULL) == 0;
}

void uk_attempts_destroy(struct uk_attempts *attempts)
{
  pthread_mutex_destroy(&attempts->mutex);
}

static struct uk_attempts_entry *set_of(struct uk_attempts *attempts,
                                        const struct uk_client_address *address)
{
  uint64_t hash = attempts->seed ^ address->internet;
  for (size_t i = 0; i < sizeof address->bytes; i++) {
    hash = (hash ^ address->bytes[i]) * UINT64_C(0x9e3779b97f4a7c15);
    hash ^= hash >> 29;
  }
  return attempts->entries[hash % (UK_ATTEMPTS_ADDRESSES / UK_ATTEMPTS_WAYS)];
}

/* The address's entry, or NULL. */
static struct uk_attempts_entry *find(struct uk_attempts_entry *set,
                                      const struct uk_client_address *address)
{
  for (size_t i = 0; i < UK_ATTEMPTS_WAYS; i++) {
    if (set[i].full_at != 0 && uk_client_address_equals(&set[i].address, address))
      return &set[i];
  }
  return NULL;
}

/* The entry that has tried least, for another address. */
static struct uk_attempts_entry *replace(struct uk_attempts_entry *set,
                                         const struct uk_client_address *address)
{
  struct uk_attempts_entry *found = set;
  for (size_t i = 1; i < UK_ATTEMPTS_WAYS; i++)
    found = set[i].full_at < found->full_at ? &set[i] : found;
  *found = (struct uk_attempts_entry){.address = *address};
  return found;
}

int64_t uk_attempts_take(struct uk_attempts *attempts, const struct uk_client_address *address,
                         int64_t now)
{
  const int64_t room = (int64_t)(UK_ATTEMPTS_AT_ONCE - 1) * UK_ATTEMPTS_INTERVAL;
  const int64_t time = now + FIRST_TIME;
  pthread_mutex_lock(&attempts->mutex);
  struct uk_attempts_entry *set = set_of(attempts, address), *entry = find(set, address);
  if (entry == NULL)
    entry = replace(set, address);
  const int64_t begin = entry->full_at > time ? entry->full_at : time;
  const int64_t wait = begin - time > room ? begin - time - room : 0;
  if (wait == 0)
    entry->full_at = begin + UK_ATTEMPTS_INTERVAL;
  pthread_mutex_unlock(&attempts->mutex);
  return wait;
}

void uk_attempts_give_back(struct uk_attempts *attempts, const struct uk_client_address *address)
{
  pthread_mutex_lock(&attempts->mutex);
  struct uk_attempts_entry *entry = find(set_of(attempts, address), address);
  if (entry != NULL)
    entry->full_at -= UK_ATTEMPTS_INTERVAL;
  pthread_mutex_unlock(&attempts->mutex);
}
