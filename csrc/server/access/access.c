#include "server/access/access.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
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
  pthread_t thread;
  bool has_thread;
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
  access->cache = uk_login_cache_new();
  if (access->cache != NULL && copy(&access->file, options->file) &&
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
  pthread_cond_destroy(&access->wake);
  pthread_mutex_destroy(&access->reading);
  pthread_mutex_destroy(&access->mutex);
  free(access);
}

bool uk_access_has_file(const struct uk_access *access)
{
  return access->file != NULL;
}

/* Finding. */

static const struct uk_slice nowhere = {0};

/* Whether it is known without a slow hash that the password is right. */
static enum uk_password_match match_known(struct uk_access *access,
                                          const struct uk_credential *credential,
                                          struct uk_slice password)
{
  const enum uk_password_match match = uk_credential_match_fast(credential, password);
  const char *hash;
  for (unsigned i = 0; match == UK_PASSWORD_WRONG && (hash = uk_credential_hash(credential, i));
       i++) {
    if (uk_password_hash_kind(hash) == UK_PASSWORD_HASH_SLOW &&
        uk_login_cache_has(access->cache, nowhere, hash, password))
      return UK_PASSWORD_RIGHT;
  }
  return match;
}

/* The user's slow hashes, then as many decoys as there are other users' hashes: a login takes the
 * same time whether the user exists or not. */
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
      uk_login_cache_note(access->cache, nowhere, hash, password);
    match = one == UK_PASSWORD_UNKNOWN || (own && one == UK_PASSWORD_RIGHT) ? one : match;
  }
  return match;
}

enum uk_access_outcome uk_access_find(struct uk_access *access, const struct uk_logins *logins,
                                      const struct uk_credential **credential)
{
  struct uk_credentials *credentials = current(access);
  enum uk_password_match match = UK_PASSWORD_WRONG;
  *credential = NULL;
  for (int slow = 0; slow < 2 && match == UK_PASSWORD_WRONG; slow++) {
    for (unsigned i = 0; i < logins->count && match == UK_PASSWORD_WRONG; i++) {
      const struct uk_login *login = &logins->all[i];
      const struct uk_credential *user = uk_credentials_user(credentials, login->username);
      if (slow)
        match = match_slow(access, credentials, user, login->password);
      else if (user != NULL)
        match = match_known(access, user, login->password);
      *credential = match == UK_PASSWORD_RIGHT ? user : NULL;
    }
  }
  if (match == UK_PASSWORD_RIGHT)
    return UK_ACCESS_GRANTED; /* with the reference to the set */
  uk_credentials_release(credentials);
  return match == UK_PASSWORD_WRONG ? UK_ACCESS_REFUSED : UK_ACCESS_NO_MEMORY;
}

void uk_access_release(const struct uk_credential *credential)
{
  if (credential != NULL)
    uk_credentials_release(uk_credential_set(credential));
}
