#include "server/engine/produce_keys.h"

#include <pthread.h>
#include <stdlib.h>

#include "server/engine/name_table.h"
#include "server/engine/produce_answer.h"
#include "server/engine/produce_outcome.h"

enum { EXPIRED_AT_ONCE = 16 }; /* keys that one call removes: more than it adds */

#define UNKNOWN "what became of the first request with this idempotency key is not known"
#define OTHER_REQUEST "the idempotency key belongs to another request"

struct user {
  struct uk_name_node node;
  struct uk_name_table entries;
  struct uk_list kept; /* entry.of_user, the oldest first */
  size_t count, bytes; /* of the entries that are kept */
  char name[];
};

/* A key: under way, or kept. */
struct entry {
  struct uk_name_node node;
  struct user *user;
  uint8_t fingerprint[sizeof((struct uk_produce_key *)NULL)->fingerprint];
  bool pending;
  struct uk_list waiting;         /* operations; while it is pending */
  struct uk_link of_all, of_user; /* while it is kept */
  int64_t since;
  char *answer; /* NULL: the outcome is unknown */
  size_t length;
  char name[];
};

struct uk_produce_keys {
  pthread_mutex_t mutex;
  struct uk_produce_keys_limits limits;
  struct uk_name_table users;
  struct uk_list kept; /* entry.of_all, the oldest first */
  size_t count, bytes; /* of these */
  bool shrunk;         /* a key had to go before its time */
  int64_t shrunk_at;   /* when one last had to */
  int64_t shrunk_to;   /* how long it had been kept */
};

/* Users and entries. */

static struct uk_slice copy_name(char *to, struct uk_slice name)
{
  if (name.length > 0)
    memcpy(to, name.data, name.length);
  return uk_slice_of(to, name.length);
}

static struct user *get_user(struct uk_produce_keys *keys, struct uk_slice name)
{
  struct user *user = (struct user *)uk_name_table_find(&keys->users, name);
  if (user != NULL)
    return user;
  user = calloc(1, sizeof *user + name.length);
  if (user == NULL)
    return NULL;
  user->node.name = copy_name(user->name, name);
  uk_name_table_init(&user->entries, keys->users.seed);
  if (uk_name_table_add(&keys->users, &user->node))
    return user;
  free(user);
  return NULL;
}

static void free_unused(struct uk_produce_keys *keys, struct user *user)
{
  if (user->entries.count > 0)
    return;
  uk_name_table_remove(&keys->users, &user->node);
  uk_name_table_free(&user->entries);
  free(user);
}

static struct entry *find(struct uk_produce_keys *keys, const struct uk_produce_key *key)
{
  struct user *user = (struct user *)uk_name_table_find(&keys->users, key->user);
  return user != NULL ? (struct entry *)uk_name_table_find(&user->entries, key->key) : NULL;
}

static struct entry *add(struct uk_produce_keys *keys, const struct uk_produce_key *key)
{
  struct user *user = get_user(keys, key->user);
  struct entry *entry = user != NULL ? calloc(1, sizeof *entry + key->key.length) : NULL;
  if (entry != NULL) {
    entry->user = user;
    entry->node.name = copy_name(entry->name, key->key);
    memcpy(entry->fingerprint, key->fingerprint, sizeof entry->fingerprint);
    if (uk_name_table_add(&user->entries, &entry->node))
      return entry;
  }
  free(entry);
  if (user != NULL)
    free_unused(keys, user);
  return NULL;
}

/* What is kept. */

static size_t size_of(const struct entry *entry)
{
  return sizeof *entry + entry->node.name.length + entry->length;
}

static void keep(struct uk_produce_keys *keys, struct entry *entry, int64_t since)
{
  entry->since = since;
  uk_list_add(&keys->kept, &entry->of_all);
  uk_list_add(&entry->user->kept, &entry->of_user);
  keys->count++;
  keys->bytes += size_of(entry);
  entry->user->count++;
  entry->user->bytes += size_of(entry);
}

static void unkeep(struct uk_produce_keys *keys, struct entry *entry)
{
  uk_list_remove(&entry->of_all);
  uk_list_remove(&entry->of_user);
  keys->count--;
  keys->bytes -= size_of(entry);
  entry->user->count--;
  entry->user->bytes -= size_of(entry);
}

static void remove_entry(struct uk_produce_keys *keys, struct entry *entry)
{
  struct user *user = entry->user;
  uk_name_table_remove(&user->entries, &entry->node);
  free(entry->answer);
  free(entry);
  free_unused(keys, user);
}

static void drop(struct uk_produce_keys *keys, struct entry *entry)
{
  unkeep(keys, entry);
  remove_entry(keys, entry);
}

static bool is_expired(const struct uk_produce_keys *keys, const struct entry *entry, int64_t now)
{
  return now - entry->since >= keys->limits.window;
}

static struct entry *oldest(const struct uk_produce_keys *keys)
{
  return UK_LIST_FIRST(&keys->kept, struct entry, of_all);
}

static void drop_expired(struct uk_produce_keys *keys, int64_t now)
{
  for (int i = 0; i < EXPIRED_AT_ONCE; i++) {
    struct entry *entry = oldest(keys);
    if (entry == NULL || !is_expired(keys, entry, now))
      return;
    drop(keys, entry);
  }
}

static void drop_early(struct uk_produce_keys *keys, struct entry *entry, int64_t now)
{
  if (!is_expired(keys, entry, now)) {
    keys->shrunk = true;
    keys->shrunk_at = now;
    keys->shrunk_to = now - entry->since;
  }
  drop(keys, entry);
}

static void hold_limits(struct uk_produce_keys *keys, struct user *user, int64_t now)
{
  const struct uk_produce_keys_limits *limits = &keys->limits;
  while (user->count > limits->user_keys || user->bytes > limits->user_bytes) {
    bool last = user->count == 1; /* then the user may be gone */
    drop_early(keys, UK_LIST_FIRST(&user->kept, struct entry, of_user), now);
    if (last)
      break;
  }
  while (keys->count > limits->keys || keys->bytes > limits->bytes)
    drop_early(keys, oldest(keys), now);
}

/* Beginning. */

static bool misses_any(const struct uk_produce *operation)
{
  for (size_t i = 0; i < operation->count; i++) {
    if (uk_produce_is_missing(&operation->records[i]))
      return true;
  }
  return false;
}

static enum uk_produce_keys_begun answer(struct uk_produce_keys *keys, struct entry *entry,
                                         struct uk_produce *operation)
{
  struct uk_slice kept = uk_slice_of(entry->answer, entry->length);
  if (entry->answer == NULL || !uk_produce_answer_read(kept, operation)) {
    uk_operation_fail(&operation->operation, UK_E_GATEWAY_TIMEOUT, UNKNOWN);
    return UK_PRODUCE_KEY_ANSWERED;
  }
  if (misses_any(operation)) {
    unkeep(keys, entry);
    entry->pending = true;
    return UK_PRODUCE_KEY_PARTIAL;
  }
  uk_produce_conclude(operation);
  operation->replayed = true;
  return UK_PRODUCE_KEY_ANSWERED;
}

static enum uk_produce_keys_begun begin_new(struct uk_produce_keys *keys,
                                            struct uk_produce *operation)
{
  struct entry *entry = add(keys, &operation->key);
  if (entry != NULL) {
    entry->pending = true;
    return UK_PRODUCE_KEY_NEW;
  }
  uk_operation_fail(&operation->operation, UK_E_NO_MEMORY, "%s", "");
  return UK_PRODUCE_KEY_ANSWERED;
}

static enum uk_produce_keys_begun begin(struct uk_produce_keys *keys, struct uk_produce *operation,
                                        int64_t now)
{
  struct entry *entry = find(keys, &operation->key);
  if (entry != NULL && !entry->pending && is_expired(keys, entry, now)) {
    drop(keys, entry);
    entry = NULL;
  }
  drop_expired(keys, now);
  if (entry == NULL)
    return begin_new(keys, operation);
  if (memcmp(entry->fingerprint, operation->key.fingerprint, sizeof entry->fingerprint) != 0) {
    uk_operation_fail(&operation->operation, UK_E_UNPROCESSABLE, OTHER_REQUEST);
    return UK_PRODUCE_KEY_ANSWERED;
  }
  if (!entry->pending)
    return answer(keys, entry, operation);
  uk_list_add(&entry->waiting, &operation->operation.link);
  return UK_PRODUCE_KEY_WAITS;
}

enum uk_produce_keys_begun uk_produce_keys_begin(struct uk_produce_keys *keys,
                                                 struct uk_produce *operation, int64_t now)
{
  pthread_mutex_lock(&keys->mutex);
  enum uk_produce_keys_begun begun = begin(keys, operation, now);
  pthread_mutex_unlock(&keys->mutex);
  return begun;
}

/* Ending. */

/* Something was stored, or may have been. */
static bool is_to_keep(const struct uk_produce *operation)
{
  if (operation->operation.error == UK_OK)
    return true;
  if (!operation->each)
    return operation->operation.error == UK_E_GATEWAY_TIMEOUT;
  for (size_t i = 0; i < operation->count; i++) {
    if (!uk_produce_is_missing(&operation->records[i]))
      return true;
  }
  return false;
}

static void set_answer(struct entry *entry, const struct uk_produce *operation)
{
  struct uk_buffer answer;
  free(entry->answer);
  entry->answer = NULL;
  entry->length = 0;
  if (operation->operation.error != UK_OK && !operation->each)
    return;
  uk_buffer_init(&answer, operation->count * UK_PRODUCE_RUN_BYTES);
  uk_produce_answer_write(&answer, operation);
  if (answer.error != UK_OK) {
    uk_buffer_free(&answer);
    return;
  }
  char *fitted = realloc(answer.data, answer.length);
  entry->answer = fitted != NULL ? fitted : answer.data;
  entry->length = answer.length;
  /* cppcheck-suppress memleak ; the entry owns it */
}

bool uk_produce_keys_end(struct uk_produce_keys *keys, const struct uk_produce *operation,
                         int64_t now, struct uk_list *waiting)
{
  pthread_mutex_lock(&keys->mutex);
  struct entry *entry = find(keys, &operation->key);
  bool kept = is_to_keep(operation);
  entry->pending = false;
  uk_list_move(waiting, &entry->waiting);
  if (kept) {
    set_answer(entry, operation);
    keep(keys, entry, now);
    hold_limits(keys, entry->user, now);
  } else {
    remove_entry(keys, entry);
  }
  pthread_mutex_unlock(&keys->mutex);
  return kept;
}

bool uk_produce_keys_learn(struct uk_produce_keys *keys, const struct uk_produce_key *key,
                           struct uk_slice answer, int64_t since, int64_t now)
{
  pthread_mutex_lock(&keys->mutex);
  bool known = find(keys, key) != NULL;
  char *copy = !known ? malloc(answer.length + 1) : NULL;
  struct entry *entry = copy != NULL ? add(keys, key) : NULL;
  if (entry != NULL) {
    entry->answer = memcpy(copy, answer.data, answer.length);
    entry->length = answer.length;
    keep(keys, entry, since);
    hold_limits(keys, entry->user, now);
  } else {
    free(copy);
  }
  drop_expired(keys, now);
  pthread_mutex_unlock(&keys->mutex);
  return known || entry != NULL;
}

int64_t uk_produce_keys_window(struct uk_produce_keys *keys, int64_t now)
{
  pthread_mutex_lock(&keys->mutex);
  int64_t window = keys->limits.window;
  if (keys->shrunk && now - keys->shrunk_at < window)
    window = keys->shrunk_to;
  pthread_mutex_unlock(&keys->mutex);
  return window;
}

/* Life. */

struct uk_produce_keys *uk_produce_keys_new(const struct uk_produce_keys_limits *limits)
{
  struct uk_produce_keys *keys = calloc(1, sizeof *keys);
  if (keys == NULL)
    return NULL;
  keys->limits = *limits;
  pthread_mutex_init(&keys->mutex, NULL);
  uk_name_table_init(&keys->users, uk_name_table_seed());
  return keys;
}

void uk_produce_keys_free(struct uk_produce_keys *keys)
{
  while (oldest(keys) != NULL)
    drop(keys, oldest(keys));
  uk_name_table_free(&keys->users);
  pthread_mutex_destroy(&keys->mutex);
  free(keys);
}
