#include "server/access/credentials.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "common/arena.h"
#include "server/access/pattern.h"

/* A string padded with zeros to a fixed size, so that comparing takes the same time for any length.
 */
struct padded {
  unsigned char bytes[UK_LOGIN_PART_MAX + 1]; /* the last one is the length */
};

struct patterns {
  struct uk_pattern *all;
  size_t count;
};

struct uk_credential {
  struct uk_credentials *set;
  struct uk_slice username;
  bool has_password;
  struct padded password;
  const char *hashes[UK_CREDENTIAL_SECRETS];
  unsigned permissions;
  struct patterns topics, groups;
};

struct uk_credentials {
  atomic_uint references;
  struct uk_arena arena; /* names, hashes, patterns */
  struct uk_credential **sorted;
  size_t count, capacity;
  const char *decoy;
  unsigned slow_hashes;
};

static const size_t ARENA_BYTES = (size_t)1 << 30;
enum { FIRST_CREDENTIALS = 4 };

struct uk_credentials *uk_credentials_new(void)
{
  struct uk_credentials *credentials = calloc(1, sizeof *credentials);
  if (credentials == NULL)
    return NULL;
  atomic_init(&credentials->references, 1);
  uk_arena_init(&credentials->arena, ARENA_BYTES);
  return credentials;
}

struct uk_credentials *uk_credentials_retain(struct uk_credentials *credentials)
{
  atomic_fetch_add(&credentials->references, 1);
  return credentials;
}

void uk_credentials_release(struct uk_credentials *credentials)
{
  if (credentials == NULL || atomic_fetch_sub(&credentials->references, 1) > 1)
    return;
  for (size_t i = 0; i < credentials->count; i++) {
    explicit_bzero(credentials->sorted[i], sizeof *credentials->sorted[i]);
    free(credentials->sorted[i]);
  }
  free(credentials->sorted);
  uk_arena_free(&credentials->arena);
  free(credentials);
}

static void pad(struct padded *padded, struct uk_slice text)
{
  *padded = (struct padded){0};
  if (text.length > 0)
    memcpy(padded->bytes, text.data, text.length);
  padded->bytes[UK_LOGIN_PART_MAX] = (unsigned char)text.length;
}

/* Filling. */

static int order_of(struct uk_slice a, struct uk_slice b)
{
  const size_t length = a.length < b.length ? a.length : b.length;
  const int order = length > 0 ? memcmp(a.data, b.data, length) : 0;
  return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* The place of the user, or the one where it belongs. */
static size_t place_of(const struct uk_credentials *credentials, struct uk_slice username)
{
  size_t low = 0, high = credentials->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (order_of(credentials->sorted[middle]->username, username) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool copy_text(struct uk_arena *arena, struct uk_slice text, struct uk_slice *copy)
{
  *copy = uk_slice_of(uk_arena_copy(arena, text.data, text.length), text.length);
  return copy->data != NULL;
}

static enum uk_error copy_patterns(struct uk_arena *arena, struct patterns *patterns,
                                   const struct uk_slice *given, size_t count)
{
  if (count == 0)
    return UK_OK;
  patterns->all = uk_arena_allocate(arena, count, sizeof *patterns->all);
  if (patterns->all == NULL)
    return UK_E_NO_MEMORY;
  for (; patterns->count < count; patterns->count++) {
    struct uk_slice text = given[patterns->count];
    if (text.length > UK_PATTERN_MAX)
      return UK_E_BAD_REQUEST;
    if (!copy_text(arena, text, &text))
      return UK_E_NO_MEMORY;
    if (!uk_pattern_read(&patterns->all[patterns->count], text))
      return UK_E_BAD_REQUEST;
  }
  return UK_OK;
}

static enum uk_error copy_hashes(struct uk_credential *credential,
                                 const struct uk_credential_settings *settings)
{
  for (unsigned i = 0; i < UK_CREDENTIAL_SECRETS && settings->hashes[i] != NULL; i++) {
    struct uk_slice copy;
    if (uk_password_hash_kind(settings->hashes[i]) == UK_PASSWORD_HASH_BAD)
      return UK_E_BAD_REQUEST;
    if (!copy_text(&credential->set->arena, uk_slice_text(settings->hashes[i]), &copy))
      return UK_E_NO_MEMORY;
    credential->hashes[i] = copy.data;
  }
  return UK_OK;
}

static enum uk_error fill(struct uk_credential *credential,
                          const struct uk_credential_settings *settings)
{
  struct uk_arena *arena = &credential->set->arena;
  if (!copy_text(arena, settings->username, &credential->username))
    return UK_E_NO_MEMORY;
  credential->permissions = settings->permissions;
  credential->has_password = settings->password.data != NULL;
  if (credential->has_password)
    pad(&credential->password, settings->password);
  enum uk_error error = copy_hashes(credential, settings);
  if (error == UK_OK)
    error = copy_patterns(arena, &credential->topics, settings->topics, settings->topic_count);
  if (error == UK_OK)
    error = copy_patterns(arena, &credential->groups, settings->groups, settings->group_count);
  return error;
}

static bool has_room(struct uk_credentials *credentials)
{
  if (credentials->count < credentials->capacity)
    return true;
  const size_t larger =
    credentials->capacity > 0 ? 2 * credentials->capacity : (size_t)FIRST_CREDENTIALS;
  struct uk_credential **sorted =
    realloc(credentials->sorted, larger * sizeof(struct uk_credential *));
  if (sorted == NULL)
    return false;
  credentials->sorted = sorted;
  credentials->capacity = larger;
  return true;
}

static void insert(struct uk_credentials *credentials, struct uk_credential *credential,
                   size_t place)
{
  struct uk_credential **at = credentials->sorted + place;
  unsigned slow = 0;
  memmove(at + 1, at, (credentials->count - place) * sizeof(struct uk_credential *));
  *at = credential;
  credentials->count++;
  for (unsigned i = 0; i < UK_CREDENTIAL_SECRETS && credential->hashes[i] != NULL; i++) {
    if (uk_password_hash_kind(credential->hashes[i]) != UK_PASSWORD_HASH_SLOW)
      continue;
    slow++;
    credentials->decoy = credential->hashes[i];
  }
  credentials->slow_hashes = slow > credentials->slow_hashes ? slow : credentials->slow_hashes;
}

static bool is_good(const struct uk_credential_settings *settings)
{
  const struct uk_slice name = settings->username;
  return name.length > 0 && name.length <= UK_LOGIN_PART_MAX &&
         memchr(name.data, ':', name.length) == NULL &&
         settings->password.length <= UK_LOGIN_PART_MAX;
}

enum uk_error uk_credentials_add(struct uk_credentials *credentials,
                                 const struct uk_credential_settings *settings)
{
  if (!is_good(settings))
    return UK_E_BAD_REQUEST;
  const size_t place = place_of(credentials, settings->username);
  if (place < credentials->count &&
      uk_slice_equal(credentials->sorted[place]->username, settings->username))
    return UK_E_CONFLICT;
  struct uk_credential *credential = has_room(credentials) ? calloc(1, sizeof *credential) : NULL;
  if (credential == NULL)
    return UK_E_NO_MEMORY;
  credential->set = credentials;
  const enum uk_error error = fill(credential, settings);
  if (error == UK_OK) {
    insert(credentials, credential, place);
    return UK_OK;
  }
  explicit_bzero(credential, sizeof *credential);
  free(credential);
  return error;
}

/* Asking. */

size_t uk_credentials_count(const struct uk_credentials *credentials)
{
  return credentials->count;
}

const struct uk_credential *uk_credentials_user(const struct uk_credentials *credentials,
                                                struct uk_slice username)
{
  const size_t place = place_of(credentials, username);
  if (place == credentials->count ||
      !uk_slice_equal(credentials->sorted[place]->username, username))
    return NULL;
  return credentials->sorted[place];
}

const char *uk_credentials_decoy(const struct uk_credentials *credentials)
{
  return credentials->decoy;
}

unsigned uk_credentials_slow_hashes(const struct uk_credentials *credentials)
{
  return credentials->slow_hashes;
}

static bool is_password(const struct uk_credential *credential, struct uk_slice password)
{
  struct padded padded;
  pad(&padded, password);
  const bool same = uk_is_same_secret(&padded, &credential->password, sizeof padded);
  explicit_bzero(&padded, sizeof padded);
  return same;
}

enum uk_password_match uk_credential_match_fast(const struct uk_credential *credential,
                                                struct uk_slice password)
{
  enum uk_password_match match = UK_PASSWORD_WRONG;
  if (password.length > UK_LOGIN_PART_MAX)
    return UK_PASSWORD_WRONG;
  if (credential->has_password)
    return is_password(credential, password) ? UK_PASSWORD_RIGHT : UK_PASSWORD_WRONG;
  for (unsigned i = 0; i < UK_CREDENTIAL_SECRETS && credential->hashes[i] != NULL; i++) {
    if (uk_password_hash_kind(credential->hashes[i]) != UK_PASSWORD_HASH_FAST)
      continue;
    const enum uk_password_match one = uk_password_hash_match(credential->hashes[i], password);
    match = one == UK_PASSWORD_WRONG ? match : one;
  }
  return match;
}

const char *uk_credential_hash(const struct uk_credential *credential, unsigned index)
{
  return index < UK_CREDENTIAL_SECRETS ? credential->hashes[index] : NULL;
}

struct uk_credentials *uk_credential_set(const struct uk_credential *credential)
{
  return credential->set;
}

struct uk_slice uk_credential_username(const struct uk_credential *credential)
{
  return credential->username;
}

bool uk_credential_holds(const struct uk_credential *credential, unsigned permissions)
{
  return (credential->permissions & permissions) != 0;
}

static bool match(const struct patterns *patterns, struct uk_slice name)
{
  size_t i = 0;
  while (i < patterns->count && !uk_pattern_matches(&patterns->all[i], name))
    i++;
  return i < patterns->count;
}

bool uk_credential_admits(const struct uk_credential *credential, struct uk_slice topic)
{
  return match(&credential->topics, topic);
}

bool uk_credential_admits_group(const struct uk_credential *credential, struct uk_slice group)
{
  return credential->groups.count == 0 || match(&credential->groups, group);
}

bool uk_credential_admits_all(const struct uk_credential *credential)
{
  size_t i = 0;
  while (i < credential->topics.count &&
         !(credential->topics.all[i].prefix && credential->topics.all[i].text.length == 0))
    i++;
  return i < credential->topics.count;
}
