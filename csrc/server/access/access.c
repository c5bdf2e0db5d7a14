#include "server/access/access.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/access/attempts.h"
#include "server/access/credential_file.h"
#include "server/access/login_cache.h"
#include "server/watch/error_log.h"

enum { LOOK_INTERVAL = 1000, REASON_SIZE = 512 }; /* milliseconds between two looks at the file */

struct uk_access {
  pthread_mutex_t mutex; /* of `current` and `closing` */
  pthread_cond_t wake;
  struct uk_credentials *current;
  bool closing;
  pthread_mutex_t reading;        /* of what follows: one thread reads the file at a time */
  struct uk_file_version version; /* of the file when it was read last */
  struct uk_alarm broken;
  char *file;                /* NULL: none */
  char *username, *password; /* NULL: none */
  struct uk_login_cache *cache;
  struct uk_attempts attempts;
  pthread_mutex_t hashing; /* a thread computes slow hashes */
  pthread_t thread;
  bool has_thread, has_attempts;
};

/* The set. */

static enum uk_error add_given(const struct uk_access *access, struct uk_credentials *credentials)
{
  const struct uk_slice every = uk_slice_of("*", 1);
  if (access->username == NULL)
    return UK_OK;
  return uk_credentials_add(
    credentials, &(struct uk_credential_settings){.username = uk_slice_text(access->username),
                                                  .password = uk_slice_text(access->password),
                                                  .permissions = UK_PERMIT_FULL,
                                                  .topics = &every,
                                                  .topic_count = 1});
}

static enum uk_error read_file(const struct uk_access *access, struct uk_credentials *credentials,
                               char *message, size_t size)
{
  char reason[REASON_SIZE] = "";
  if (access->file == NULL)
    return UK_OK;
  enum uk_error error = uk_credential_file_read(credentials, access->file, reason, sizeof reason);
  if (error == UK_OK && uk_credentials_count(credentials) == 0) {
    snprintf(reason, sizeof reason, "holds no credential");
    error = UK_E_BAD_REQUEST;
  }
  if (error != UK_OK)
    snprintf(message, size, "credentials: %s: %s", access->file, reason);
  return error;
}

/* Makes the set anew. NULL: `error` and `message` say why. */
static struct uk_credentials *make_set(const struct uk_access *access, enum uk_error *error,
                                       char *message, size_t size)
{
  struct uk_credentials *made = uk_credentials_new();
  *error = made != NULL ? add_given(access, made) : UK_E_NO_MEMORY;
  if (*error == UK_E_BAD_REQUEST)
    snprintf(message, size,
             "username, password: at most %d bytes each expected, and no ':' in the user name",
             UK_LOGIN_PART_MAX);
  if (*error == UK_OK)
    *error = read_file(access, made, message, size);
  if (*error == UK_OK)
    return made;
  if (*error == UK_E_NO_MEMORY)
    snprintf(message, size, "%s", uk_error_text(*error));
  uk_credentials_release(made);
  return NULL;
}

static void publish(struct uk_access *access, struct uk_credentials *made)
{
  pthread_mutex_lock(&access->mutex);
  struct uk_credentials *before = access->current;
  access->current = made;
  pthread_mutex_unlock(&access->mutex);
  uk_credentials_release(before);
}

static struct uk_credentials *current(struct uk_access *access)
{
  pthread_mutex_lock(&access->mutex);
  struct uk_credentials *credentials = uk_credentials_retain(access->current);
  pthread_mutex_unlock(&access->mutex);
  return credentials;
}

/* The version comes first: what changes meanwhile is read again. So is all after a lack of memory.
 */
static enum uk_error read_again(struct uk_access *access, char *message, size_t size)
{
  enum uk_error error;
  uk_file_version_read(&access->version, access->file);
  struct uk_credentials *made = make_set(access, &error, message, size);
  if (made != NULL) {
    publish(access, made);
    uk_alarm_clear(&access->broken, "credentials: %s: read; it is in use", access->file);
    return UK_OK;
  }
  uk_alarm_raise(&access->broken, "%s; the credentials that were read before stay in use", message);
  if (error == UK_E_NO_MEMORY)
    access->version = (struct uk_file_version){0};
  return error;
}

enum uk_error uk_access_reload(struct uk_access *access, char *message, size_t size)
{
  if (access->file == NULL)
    return UK_OK;
  pthread_mutex_lock(&access->reading);
  const enum uk_error error = read_again(access, message, size);
  pthread_mutex_unlock(&access->reading);
  return error;
}

enum uk_error uk_access_add(struct uk_access *access, const struct uk_credential_settings *settings)
{
  return uk_credentials_add(access->current, settings);
}

/* The thread that looks at the file. */

static void look(struct uk_access *access)
{
  struct uk_file_version version;
  char message[REASON_SIZE];
  pthread_mutex_lock(&access->reading);
  uk_file_version_read(&version, access->file);
  if (!uk_file_version_equal(&version, &access->version))
    (void)read_again(access, message, sizeof message);
  pthread_mutex_unlock(&access->reading);
}

static void *run(void *argument)
{
  struct uk_access *access = argument;
  int64_t next = uk_clock_monotonic() + LOOK_INTERVAL;
  pthread_mutex_lock(&access->mutex);
  while (!access->closing) {
    uk_condition_wait(&access->wake, &access->mutex, next);
    if (access->closing || uk_clock_monotonic() < next)
      continue;
    pthread_mutex_unlock(&access->mutex);
    look(access);
    pthread_mutex_lock(&access->mutex);
    next = uk_clock_monotonic() + LOOK_INTERVAL;
  }
  pthread_mutex_unlock(&access->mutex);
  return NULL;
}

/* Life. */

static bool copy(char **to, const char *text)
{
  *to = text != NULL ? strdup(text) : NULL;
  return text == NULL || *to != NULL;
}

static struct uk_access *new_access(const struct uk_access_options *options)
{
  struct uk_access *access = calloc(1, sizeof *access);
  if (access == NULL)
    return NULL;
  pthread_mutex_init(&access->mutex, NULL);
  pthread_mutex_init(&access->reading, NULL);
  uk_condition_init(&access->wake);
  pthread_mutex_init(&access->hashing, NULL);
  access->cache = uk_login_cache_new();
  access->has_attempts = uk_attempts_init(&access->attempts);
  if (access->cache != NULL && access->has_attempts && copy(&access->file, options->file) &&
      copy(&access->username, options->username) && copy(&access->password, options->password))
    return access;
  uk_access_close(access);
  return NULL;
}

enum uk_error uk_access_open(struct uk_access **out, const struct uk_access_options *options,
                             char *message, size_t size)
{
  enum uk_error error = UK_E_NO_MEMORY;
  struct uk_access *access = new_access(options);
  *out = NULL;
  if (access == NULL) {
    snprintf(message, size, "%s", uk_error_text(error));
    return error;
  }
  if (access->file != NULL)
    uk_file_version_read(&access->version, access->file);
  access->current = make_set(access, &error, message, size);
  if (error == UK_OK && access->file != NULL) {
    access->has_thread = uk_thread_start(&access->thread, run, access);
    error = access->has_thread ? UK_OK : UK_E_NO_MEMORY;
  }
  if (error != UK_OK)
    uk_access_close(access);
  else
    *out = access;
  return error;
}

static void free_secret(char *text)
{
  if (text != NULL)
    explicit_bzero(text, strlen(text));
  free(text);
}

void uk_access_close(struct uk_access *access)
{
  if (access == NULL)
    return;
  pthread_mutex_lock(&access->mutex);
  access->closing = true;
  pthread_cond_signal(&access->wake);
  pthread_mutex_unlock(&access->mutex);
  if (access->has_thread)
    pthread_join(access->thread, NULL);
  uk_credentials_release(access->current);
  uk_login_cache_free(access->cache);
  free_secret(access->password);
  free(access->username);
  free(access->file);
  if (access->has_attempts)
    uk_attempts_destroy(&access->attempts);
  pthread_cond_destroy(&access->wake);
  pthread_mutex_destroy(&access->hashing);
  pthread_mutex_destroy(&access->reading);
  pthread_mutex_destroy(&access->mutex);
  free(access);
}

bool uk_access_has_file(const struct uk_access *access)
{
  return access->file != NULL;
}

/* Finding. */

static const struct uk_slice anywhere = {0};

/* A login from an address: its user name, and bytes that name the address. */
struct place {
  char bytes[UK_LOGIN_PLACE_MAX];
  size_t length;
};

static struct uk_slice write_place(struct place *place, const struct uk_client_address *client,
                                   struct uk_slice username)
{
  place->bytes[0] = (char)client->internet;
  memcpy(place->bytes + 1, client->bytes, sizeof client->bytes);
  memcpy(place->bytes + 1 + sizeof client->bytes, username.data, username.length);
  return uk_slice_of(place->bytes, 1 + sizeof client->bytes + username.length);
}

/* What stands for the secret in the cache: the hash, or "" for a password that is given. */
static const char *secret_of(const struct uk_credential *credential, unsigned index)
{
  const char *hash = uk_credential_hash(credential, index);
  return index == 0 && hash == NULL ? "" : hash;
}

/* Whether the login was right before, from the same address. */
static bool was_right(struct uk_access *access, const struct uk_credential *credential,
                      const struct uk_client_address *client, struct uk_slice password)
{
  struct place place;
  const char *secret;
  const struct uk_slice here = write_place(&place, client, uk_credential_username(credential));
  for (unsigned i = 0; (secret = secret_of(credential, i)) != NULL; i++) {
    if (uk_login_cache_has(access->cache, here, secret, password))
      return true;
  }
  return false;
}

/* The login is right: notes that for its address. Which of two secrets it was does not matter. */
static void note_right(struct uk_access *access, const struct uk_credential *credential,
                       const struct uk_client_address *client, struct uk_slice password)
{
  struct place place;
  const struct uk_slice here = write_place(&place, client, uk_credential_username(credential));
  const char *secret;
  for (unsigned i = 0; (secret = secret_of(credential, i)) != NULL; i++) {
    const bool slow = uk_password_hash_kind(secret) == UK_PASSWORD_HASH_SLOW;
    if (slow ? uk_login_cache_has(access->cache, anywhere, secret, password)
             : uk_credential_match_fast(credential, password) == UK_PASSWORD_RIGHT)
      uk_login_cache_note(access->cache, here, secret, password);
  }
}

/* Whether it is known without a slow hash that the password is right. */
static enum uk_password_match match_known(struct uk_access *access,
                                          const struct uk_credential *credential,
                                          struct uk_slice password)
{
  const enum uk_password_match match = uk_credential_match_fast(credential, password);
  const char *hash;
  for (unsigned i = 0; match == UK_PASSWORD_WRONG; i++) {
    hash = uk_credential_hash(credential, i);
    if (hash == NULL)
      break;
    if (uk_password_hash_kind(hash) == UK_PASSWORD_HASH_SLOW &&
        uk_login_cache_has(access->cache, anywhere, hash, password))
      return UK_PASSWORD_RIGHT;
  }
  return match;
}

/* Computes as many slow hashes as any user has, of decoys where this one has fewer: a login takes
 * the same time whether its user exists or not. */
static enum uk_password_match match_slow(struct uk_access *access,
                                         const struct uk_credentials *credentials,
                                         const struct uk_credential *credential,
                                         struct uk_slice password)
{
  enum uk_password_match match = UK_PASSWORD_WRONG;
  for (unsigned i = 0; i < uk_credentials_slow_hashes(credentials); i++) {
    const char *hash = credential != NULL ? uk_credential_hash(credential, i) : NULL;
    const bool own = hash != NULL && uk_password_hash_kind(hash) == UK_PASSWORD_HASH_SLOW;
    const enum uk_password_match one =
      uk_password_hash_match(own ? hash : uk_credentials_decoy(credentials), password);
    if (own && one == UK_PASSWORD_RIGHT)
      uk_login_cache_note(access->cache, anywhere, hash, password);
    if (match != UK_PASSWORD_RIGHT && (own || one == UK_PASSWORD_UNKNOWN))
      match = one;
  }
  return match;
}

/* A request, as it is looked up. */
struct search {
  struct uk_access *access;
  const struct uk_credentials *credentials;
  const struct uk_logins *logins;
  const struct uk_client_address *client;
  const struct uk_credential *found;
};

static enum uk_password_match search_remembered(struct search *search, struct uk_slice password,
                                                const struct uk_credential *user)
{
  return user != NULL && was_right(search->access, user, search->client, password)
           ? UK_PASSWORD_RIGHT
           : UK_PASSWORD_WRONG;
}

static enum uk_password_match search_known(struct search *search, struct uk_slice password,
                                           const struct uk_credential *user)
{
  return user != NULL ? match_known(search->access, user, password) : UK_PASSWORD_WRONG;
}

static enum uk_password_match search_slow(struct search *search, struct uk_slice password,
                                          const struct uk_credential *user)
{
  return match_slow(search->access, search->credentials, user, password);
}

/* Tries each login in one way, until one is right or nothing can be known. */
static enum uk_password_match
try_each(struct search *search,
         enum uk_password_match (*way)(struct search *search, struct uk_slice password,
                                       const struct uk_credential *user))
{
  enum uk_password_match match = UK_PASSWORD_WRONG;
  for (unsigned i = 0; i < search->logins->count && match == UK_PASSWORD_WRONG; i++) {
    const struct uk_login *login = &search->logins->all[i];
    const struct uk_credential *user = uk_credentials_user(search->credentials, login->username);
    match = way(search, login->password, user);
    if (match != UK_PASSWORD_RIGHT)
      continue;
    search->found = user;
    if (way != search_remembered)
      note_right(search->access, user, search->client, login->password);
  }
  return match;
}

/* The address has taken an attempt. */
static struct uk_access_result try_attempt(struct search *search)
{
  struct uk_access *access = search->access;
  enum uk_password_match match = try_each(search, search_known);
  const bool slow =
    match == UK_PASSWORD_WRONG && uk_credentials_slow_hashes(search->credentials) > 0;
  if (slow && pthread_mutex_trylock(&access->hashing) != 0)
    return (struct uk_access_result){UK_ACCESS_LATER, NULL};
  if (slow) {
    match = try_each(search, search_slow);
    pthread_mutex_unlock(&access->hashing);
  }
  return (struct uk_access_result){match == UK_PASSWORD_RIGHT   ? UK_ACCESS_GRANTED
                                   : match == UK_PASSWORD_WRONG ? UK_ACCESS_REFUSED
                                                                : UK_ACCESS_NO_MEMORY,
                                   search->found};
}

static struct uk_access_result find(struct search *search)
{
  struct uk_attempts *attempts = &search->access->attempts;
  if (search->logins->count == 0)
    return (struct uk_access_result){UK_ACCESS_REFUSED, NULL};
  if (try_each(search, search_remembered) == UK_PASSWORD_RIGHT)
    return (struct uk_access_result){UK_ACCESS_GRANTED, search->found};
  if (uk_attempts_take(attempts, search->client, uk_clock_monotonic()) > 0)
    return (struct uk_access_result){UK_ACCESS_LATER, NULL};
  const struct uk_access_result result = try_attempt(search);
  if (result.outcome != UK_ACCESS_REFUSED)
    uk_attempts_give_back(attempts, search->client);
  return result;
}

/* A credential that is granted keeps the reference to the set. */
struct uk_access_result uk_access_find(struct uk_access *access, const struct uk_logins *logins,
                                       const struct uk_client_address *client)
{
  struct uk_credentials *credentials = current(access);
  const struct uk_client_address network = uk_client_address_network(client);
  struct search search = {access, credentials, logins, &network, NULL};
  const struct uk_access_result result = find(&search);
  if (result.outcome != UK_ACCESS_GRANTED)
    uk_credentials_release(credentials);
  return result;
}

void uk_access_release(const struct uk_credential *credential)
{
  if (credential != NULL)
    uk_credentials_release(uk_credential_set(credential));
}
