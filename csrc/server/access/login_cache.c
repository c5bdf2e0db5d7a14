#include "server/access/login_cache.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
  WAYS = 8, /* entries that share a place: the one that was not used for longest gives way */
  SETS = UK_LOGIN_CACHE_ENTRIES / WAYS,
  TEXT_MAX = 64 + UK_LOGIN_PLACE_MAX + UK_PASSWORD_HASH_SIZE + UK_PASSWORD_SIZE
};

struct entry {
  uint8_t digest[UK_DIGEST_SIZE];
  uint64_t used; /* 0: free */
};

struct uk_login_cache {
  uint8_t key[UK_DIGEST_SIZE];
  pthread_mutex_t mutex;
  uint64_t uses;
  struct entry sets[SETS][WAYS];
};

struct uk_login_cache *uk_login_cache_new(void)
{
  struct uk_login_cache *cache = calloc(1, sizeof *cache);
  if (cache == NULL)
    return NULL;
  ssize_t got;
  do {
    got = getrandom(cache->key, sizeof cache->key, 0);
  } while (got < 0 && errno == EINTR);
  if (got != (ssize_t)sizeof cache->key || pthread_mutex_init(&cache->mutex, NULL) != 0) {
    free(cache);
    return NULL;
  }
  return cache;
}

void uk_login_cache_free(struct uk_login_cache *cache)
{
  if (cache == NULL)
    return;
  pthread_mutex_destroy(&cache->mutex);
  explicit_bzero(cache->key, sizeof cache->key);
  free(cache);
}

/* The parts are told apart: the first two have their lengths before them. */
static bool digest_of(const struct uk_login_cache *cache, struct uk_slice place, const char *hash,
                      struct uk_slice password, uint8_t digest[UK_DIGEST_SIZE])
{
  const struct uk_slice parts[] = {place, uk_slice_text(hash), password};
  char text[TEXT_MAX];
  size_t length = 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (parts[i].length > sizeof text - length - 2)
      return false;
    text[length++] = (char)(parts[i].length >> 8);
    text[length++] = (char)(parts[i].length & 255);
    if (parts[i].length > 0)
      memcpy(text + length, parts[i].data, parts[i].length);
    length += parts[i].length;
  }
  const bool good = uk_keyed_digest(digest, cache->key, uk_slice_of(text, length));
  explicit_bzero(text, length);
  return good;
}

static struct entry *set_of(struct uk_login_cache *cache, const uint8_t digest[UK_DIGEST_SIZE])
{
  const size_t number = (size_t)digest[0] | (size_t)digest[1] << 8 | (size_t)digest[2] << 16;
  return cache->sets[number % SETS];
}

/* The entry, or NULL. The mutex is held. */
static struct entry *find(struct uk_login_cache *cache, const uint8_t digest[UK_DIGEST_SIZE])
{
  struct entry *set = set_of(cache, digest);
  for (size_t i = 0; i < WAYS; i++) {
    if (set[i].used != 0 && uk_is_same_secret(set[i].digest, digest, UK_DIGEST_SIZE))
      return &set[i];
  }
  return NULL;
}

static struct entry *oldest(struct entry *set)
{
  struct entry *found = set;
  for (size_t i = 1; i < WAYS; i++)
    found = set[i].used < found->used ? &set[i] : found;
  return found;
}

bool uk_login_cache_has(struct uk_login_cache *cache, struct uk_slice place, const char *hash,
                        struct uk_slice password)
{
  uint8_t digest[UK_DIGEST_SIZE];
  if (!digest_of(cache, place, hash, password, digest))
    return false;
  pthread_mutex_lock(&cache->mutex);
  struct entry *entry = find(cache, digest);
  if (entry != NULL)
    entry->used = ++cache->uses;
  pthread_mutex_unlock(&cache->mutex);
  return entry != NULL;
}

void uk_login_cache_note(struct uk_login_cache *cache, struct uk_slice place, const char *hash,
                         struct uk_slice password)
{
  uint8_t digest[UK_DIGEST_SIZE];
  if (!digest_of(cache, place, hash, password, digest))
    return;
  pthread_mutex_lock(&cache->mutex);
  struct entry *entry = find(cache, digest);
  if (entry == NULL)
    entry = oldest(set_of(cache, digest));
  memcpy(entry->digest, digest, sizeof digest);
  entry->used = ++cache->uses;
  pthread_mutex_unlock(&cache->mutex);
}
