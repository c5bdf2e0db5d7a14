/* The folder's files: are they still those that were opened, and does data.mdb belong to the
 * identity?
 *
 * The file `identity` names the newest transaction that it knows of. It is written when the log is
 * opened and closed, when topics need a new block of ids, and once a minute. A data.mdb that is
 * behind it, is of another log, or came without it, is a restored copy. What cannot be told from
 * the original: a copy of the whole folder, and a copy of data.mdb that is newer than the last
 * writing of the identity. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/log_engine/log_store_private.h"

enum { META_PAGES = 2 }; /* LMDB's own pages, at the start: a file of these alone holds nothing */

static bool file_at(const struct uk_log_store *store, const char *name, struct stat *status)
{
  char path[PATH_MAX];
  return snprintf(path, sizeof path, "%s/%s", store->path, name) < (int)sizeof path &&
         stat(path, status) == 0;
}

static struct uk_log_file file_of(const struct stat *status)
{
  return (struct uk_log_file){status->st_dev, status->st_ino};
}

static bool same(const struct uk_log_file *file, const struct stat *status)
{
  return file->inode == status->st_ino && file->device == status->st_dev;
}

/* Where the file with this name is no longer the one that was opened, says so. */
static bool is_in_place(struct uk_log_store *store, const char *name,
                        const struct uk_log_file *opened)
{
  struct stat status;
  bool exists = file_at(store, name, &status);
  if (exists && same(opened, &status))
    return true;
  if (exists)
    snprintf(store->failure, sizeof store->failure,
             "%s in %.200s is another file than the one "
             "that was opened",
             name, store->directory);
  else if (stat(store->path, &status) != 0)
    snprintf(store->failure, sizeof store->failure, "the data folder %.200s was renamed or deleted",
             store->directory);
  else
    snprintf(store->failure, sizeof store->failure, "%s is missing from the data folder %.200s",
             name, store->directory);
  return false;
}

bool uk_log_store_data_in_place(struct uk_log_store *store)
{
  return is_in_place(store, "data.mdb", &store->data);
}

bool uk_log_store_in_place(struct uk_log_store *store)
{
  return uk_log_store_data_in_place(store) && is_in_place(store, "server.lock", &store->locked);
}

bool uk_log_store_is_own(const struct uk_log_store *store, MDB_env *env)
{
  struct stat status;
  int fd;
  return mdb_env_get_fd(env, &fd) == 0 && fstat(fd, &status) == 0 &&
         (store->data.inode == 0 || same(&store->data, &status));
}

/* Open. */

static enum uk_error emptied(const struct uk_log_store *store, const char *how, char *message,
                             size_t size)
{
  return uk_log_open_failed(message, size, UK_E_UNAVAILABLE,
                            "the log in %s is damaged: it held topics, and data.mdb %s; restore "
                            "data.mdb from a copy, or remove the file identity to start without it",
                            store->directory, how);
}

/* The first open of a folder: its log has an ID before it has data. */
static enum uk_error make_identity(struct uk_log_store *store, char *message, size_t size)
{
  struct uk_log_identity made = {.life = 1, .topics = 1};
  int error = uk_log_random_id(made.id) ? 0 : errno;
  if (error == 0)
    error = uk_log_identity_write(store->folder, &made, !store->no_sync);
  if (error != 0)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot write %s/identity: %s",
                              store->directory, strerror(error));
  store->identity = made;
  store->has_identity = true;
  return UK_OK;
}

/* The first start failed before it had completed data.mdb, which has held nothing yet: LMDB makes
 * an empty file anew. */
static enum uk_error empty_data(struct uk_log_store *store, char *message, size_t size)
{
  int file = openat(store->folder, "data.mdb", O_WRONLY | O_TRUNC | O_CLOEXEC);
  if (file < 0)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot empty %s/data.mdb: %s",
                              store->directory, strerror(errno));
  close(file);
  return UK_OK;
}

static enum uk_error check_data(struct uk_log_store *store, char *message, size_t size)
{
  struct stat status;
  bool exists = fstatat(store->folder, "data.mdb", &status, 0) == 0;
  if (exists && (!S_ISREG(status.st_mode) || status.st_size > META_PAGES * sysconf(_SC_PAGESIZE)))
    return UK_OK;
  bool is_empty = !exists || status.st_size == 0;
  if (!store->has_identity)
    return is_empty ? make_identity(store, message, size) : UK_OK;
  if (store->identity.topics <= 1)
    return is_empty ? UK_OK : empty_data(store, message, size);
  return is_empty ? emptied(store, exists ? "is empty" : "is missing", message, size) : UK_OK;
}

enum uk_error uk_log_store_open_folder(struct uk_log_store *store, char *message, size_t size)
{
  struct stat status;
  store->folder = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (store->folder < 0 || fstat(store->lock, &status) != 0)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot open %s: %s",
                              store->directory, strerror(errno));
  store->locked = file_of(&status);
  switch (uk_log_identity_read(store->folder, &store->identity)) {
  case UK_LOG_IDENTITY_OK: store->has_identity = true; break;
  case UK_LOG_IDENTITY_MISSING: break;
  case UK_LOG_IDENTITY_DAMAGED:
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE,
                              "%s/identity is damaged; restore it from a copy, or remove it, and "
                              "the log counts as restored from a copy",
                              store->directory);
  case UK_LOG_IDENTITY_FAILED:
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot read %s/identity: %s",
                              store->directory, strerror(errno));
  }
  return check_data(store, message, size);
}

static uint64_t last_transaction(struct uk_log_store *store)
{
  struct uk_log_guard guard = {.writes = false};
  if (UK_LOG_GUARD(&guard)) {
    MDB_envinfo info;
    uint64_t found = mdb_env_info(store->env, &info) == 0 ? info.me_last_txnid : 0;
    uk_log_guard_leave(&guard);
    return found;
  }
  uk_log_store_die(store, &guard);
  return 0;
}

static const char *why_new_life(struct uk_log_store *store)
{
  const struct uk_log_identity *identity = &store->identity;
  const struct uk_log_meta *meta = &store->meta;
  if (!store->has_identity)
    return meta->format == UK_LOG_FORMAT && meta->next_topic > 1
             ? "it came without the file identity"
             : NULL;
  if (meta->format == UK_LOG_FORMAT && memcmp(meta->id, identity->id, UK_LOG_ID_BYTES) != 0)
    return "it is of another log than the file identity";
  if (meta->format != UK_LOG_FORMAT || last_transaction(store) < identity->transaction)
    return "it is older than the file identity";
  return NULL;
}

int uk_log_store_identify(struct uk_log_store *store)
{
  struct stat status;
  int fd;
  if (mdb_env_get_fd(store->env, &fd) != 0 || fstat(fd, &status) != 0)
    return EIO;
  store->data = file_of(&status);
  store->new_life = why_new_life(store);
  if (!store->has_identity && store->meta.format == UK_LOG_FORMAT)
    memcpy(store->identity.id, store->meta.id, UK_LOG_ID_BYTES);
  else if (!store->has_identity && !uk_log_random_id(store->identity.id))
    return EIO;
  uk_log_store_save_identity(store, store->meta.next_topic, true);
  return 0;
}

/* Keeping it up to date. */

static bool is_behind(const struct uk_log_store *store, const struct uk_log_identity *wanted,
                      bool all)
{
  const struct uk_log_identity *known = &store->identity;
  return !store->has_identity || wanted->topics > known->topics || wanted->life != known->life ||
         memcmp(wanted->id, known->id, UK_LOG_ID_BYTES) != 0 ||
         (all && wanted->transaction > known->transaction);
}

/* A failure is no reason to stop: the next second tries again. */
void uk_log_store_save_identity(struct uk_log_store *store, uint64_t next_topic, bool all)
{
  if (store->env == NULL || atomic_load(&store->dying) || uk_log_store_is_unsettled(store))
    return;
  struct uk_log_identity wanted = {.life = store->meta.life,
                                   .transaction = last_transaction(store),
                                   .topics = store->has_identity ? store->identity.topics : 1};
  memcpy(wanted.id, store->meta.id, UK_LOG_ID_BYTES);
  if (next_topic > 1 && next_topic > wanted.topics)
    wanted.topics = next_topic + UK_LOG_TOPIC_BLOCK;
  if (!is_behind(store, &wanted, all) ||
      uk_log_identity_write(store->folder, &wanted, !store->no_sync) != 0)
    return;
  store->identity = wanted;
  store->has_identity = true;
}
