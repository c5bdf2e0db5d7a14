#include "server/log_engine/log_store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "common/directory.h"
#include "server/log_engine/log_reserve.h"
#include "server/log_engine/log_store_private.h"
#include "server/log_engine/log_structure.h"

static const struct {
  int rc;
  enum uk_log_status status;
} statuses[] = {
  {MDB_SUCCESS, UK_LOG_OK},    {MDB_NOTFOUND, UK_LOG_NOTHING}, {MDB_MAP_FULL, UK_LOG_FULL},
  {MDB_TXN_FULL, UK_LOG_FULL}, {ENOSPC, UK_LOG_DISK_FULL},     {EDQUOT, UK_LOG_DISK_FULL},
  {EFBIG, UK_LOG_FULL},        {ENOMEM, UK_LOG_NO_MEMORY},     {MDB_READERS_FULL, UK_LOG_NO_MEMORY},
};

enum uk_log_status uk_log_store_status(int rc)
{
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    if (statuses[i].rc == rc)
      return statuses[i].status;
  }
  return UK_LOG_FAILED;
}

enum uk_log_status uk_log_store_result(struct uk_log_store *store, int rc)
{
  enum uk_log_status status = uk_log_store_status(rc);
  if (status == UK_LOG_FAILED)
    uk_log_store_note_failure(store, rc);
  else if (rc == EFBIG)
    store->is_limited = true; /* the limit became lower since the open */
  return status;
}

const char *uk_log_store_failure(const struct uk_log_store *store)
{
  const char *fault = uk_log_store_fault(store);
  return fault != NULL ? fault : store->failure;
}

const char *uk_log_store_fault(const struct uk_log_store *store)
{
  return atomic_load(&store->dead) ? store->fault : NULL;
}

enum uk_log_status uk_log_store_die(struct uk_log_store *store, const struct uk_log_guard *guard)
{
  if (!atomic_exchange(&store->dying, true)) {
    snprintf(store->fault, sizeof store->fault,
             "data.mdb is damaged: %s; stop the server and run upstash-kafka check", guard->text);
    atomic_store(&store->dead, true);
  }
  return guard->writes && store->commits ? UK_LOG_UNCERTAIN : UK_LOG_FAILED;
}

/* Dead stores stay, and keep the lock: LMDB must not have a file open twice in a process. */
static pthread_mutex_t graveyard_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct uk_log_store *graveyard;

static void bury(struct uk_log_store *store)
{
  pthread_mutex_lock(&graveyard_mutex);
  store->next_dead = graveyard;
  graveyard = store;
  pthread_mutex_unlock(&graveyard_mutex);
}

static void on_assertion(MDB_env *env, const char *text)
{
  (void)env;
  uk_log_guard_assert(text);
}

enum uk_error uk_log_open_failed(char *message, size_t size, enum uk_error error,
                                 const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, size, format, arguments);
  va_end(arguments);
  return error;
}

/* A new environment holds only the meta table. */
static int is_new(MDB_txn *txn, bool *new)
{
  MDB_stat main_table;
  MDB_dbi unnamed;
  int rc = mdb_dbi_open(txn, NULL, 0, &unnamed);
  if (rc == 0)
    rc = mdb_stat(txn, unnamed, &main_table);
  *new = rc == 0 && main_table.ms_entries == 1;
  return rc;
}

static int create_log(struct uk_log_store *store, MDB_txn *txn)
{
  bool new;
  int rc = is_new(txn, &new);
  if (rc == 0 && !new)
    rc = UK_LOG_RC_OTHER;
  if (rc == 0 && !store->has_identity && !uk_log_random_id(store->identity.id))
    rc = EIO;
  if (rc == 0)
    rc = uk_log_meta_open_tables(txn, store->tables, UK_LOG_META + 1, UK_LOG_TABLES, MDB_CREATE);
  if (rc != 0)
    return rc;
  store->meta.format = UK_LOG_FORMAT;
  store->meta.life = store->has_identity ? store->identity.life : 1;
  memcpy(store->meta.id, store->identity.id, UK_LOG_ID_BYTES);
  return uk_log_meta_write(txn, store->tables, &store->meta);
}

static int read_log(struct uk_log_store *store, MDB_txn *txn)
{
  int rc = uk_log_meta_read(txn, store->tables, &store->meta, store->unknown);
  if (rc != 0)
    return rc;
  if (store->unknown[0] != '\0')
    return UK_LOG_RC_NEEDS;
  if (store->meta.format > UK_LOG_FORMAT)
    return UK_LOG_RC_FORMAT;
  store->has_keys = store->meta.has_keys;
  if (store->has_identity && store->identity.topics > 1 && store->meta.next_topic == 1)
    return UK_LOG_RC_EMPTIED;
  return store->meta.format == 0 ? create_log(store, txn) : 0;
}

static int open_tables(struct uk_log_store *store, MDB_env *env)
{
  MDB_txn *txn;
  int rc = mdb_txn_begin(env, NULL, 0, &txn);
  if (rc != 0)
    return rc;
  store->opened = mdb_txn_id(txn) - 1;
  rc = mdb_dbi_open(txn, "meta", MDB_CREATE, &store->tables[UK_LOG_META]);
  if (rc == 0)
    rc = read_log(store, txn);
  if (rc == 0)
    return mdb_txn_commit(txn);
  mdb_txn_abort(txn);
  return rc;
}

/* LMDB clears pages before use (no MDB_NOMEMINIT): memory of this process, such as credentials,
 * must not reach the file. Read-ahead stays on: logs are read from front to back. */
static int open_environment(struct uk_log_store *store)
{
  MDB_env *env;
  int dead, fd;
  int rc = mdb_env_create(&env);
  if (rc != 0)
    return rc;
  uk_log_store_set_room(store);
  (void)((rc = mdb_env_set_assert(env, on_assertion)) ||
         (rc = mdb_env_set_maxdbs(env, UK_LOG_TABLES)) ||
         (rc = mdb_env_set_maxreaders(env, UK_LOG_VIEWS_MAX)) ||
         (rc = mdb_env_set_mapsize(env, store->map_bytes)) ||
         (rc =
            mdb_env_open(env, store->path, MDB_NOTLS | (store->no_sync ? MDB_NOSYNC : 0U), 0600)) ||
         (rc = uk_log_store_is_own(store, env) ? 0 : UK_LOG_RC_MOVED) ||
         (rc = mdb_reader_check(env, &dead)) || (rc = open_tables(store, env)));
  if (rc != 0) {
    mdb_env_close(env);
    return rc;
  }
  /* LMDB does not set this flag. */
  if (mdb_env_get_fd(env, &fd) == 0)
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  store->env = env;
  return 0;
}

/* The text for a code of ours; NULL for another one. */
static const char *own_text(const struct uk_log_store *store, int rc, char *text, size_t size)
{
  switch (rc) {
  case UK_LOG_RC_DAMAGED: return "is damaged: its meta table cannot be read";
  case UK_LOG_RC_EMPTIED:
    return "is damaged: it held topics, and data.mdb holds none; restore data.mdb from a copy, or "
           "remove the file identity to start without it";
  case UK_LOG_RC_NEEDS:
    snprintf(text, size, "needs %s, which this version does not know", store->unknown);
    return text;
  case UK_LOG_RC_FORMAT:
    snprintf(text, size, "has format %u, which this version does not know (expected %d)",
             (unsigned)store->meta.format, (int)UK_LOG_FORMAT);
    return text;
  default: return NULL;
  }
}

static enum uk_error open_data(struct uk_log_store *store, char *message, size_t size)
{
  char text[160];
  int rc = open_environment(store);
  if (rc == 0)
    rc = uk_log_store_identify(store);
  const char *own = own_text(store, rc, text, sizeof text);
  if (own != NULL)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "the log in %s %s", store->directory,
                              own);
  if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "%s/data.mdb is not a log: %s",
                              store->directory, mdb_strerror(rc));
  if (rc == UK_LOG_RC_OTHER)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE,
                              "%s/data.mdb holds something other than a log", store->directory);
  if (store->is_limited && uk_log_store_status(rc) == UK_LOG_FULL)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE,
                              "cannot open the log in %s: the limit on the size of files (ulimit "
                              "-f) is too low",
                              store->directory);
  if (rc != 0)
    return uk_log_open_failed(message, size, rc == ENOMEM ? UK_E_NO_MEMORY : UK_E_UNAVAILABLE,
                              "cannot open the log in %s: %s", store->directory, mdb_strerror(rc));
  rc = uk_directory_sync(store->path);
  if (rc != 0)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot sync the directory %s: %s",
                              store->directory, strerror(rc));
  return UK_OK;
}

static bool init_locks(struct uk_log_store *store)
{
  if (!uk_log_gate_init(&store->gate))
    return false;
  if (pthread_mutex_init(&store->pool_mutex, NULL) == 0)
    return true;
  uk_log_gate_free(&store->gate);
  return false;
}

/* The directory's name as it is now, even when the process changes its working directory. NULL when
 * memory is out or the name is too long: the system would not take it either. */
static char *absolute(const char *directory)
{
  char path[PATH_MAX], here[PATH_MAX];
  if (directory[0] == '/')
    return strdup(directory);
  if (getcwd(here, sizeof here) == NULL ||
      snprintf(path, sizeof path, "%s/%s", here, directory) >= (int)sizeof path)
    return strdup(directory);
  return strdup(path);
}

static struct uk_log_store *new_store(const char *directory, size_t map_bytes, bool no_sync)
{
  size_t page = (size_t)sysconf(_SC_PAGESIZE);
  struct uk_log_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return NULL;
  store->directory = strdup(directory);
  store->path = absolute(directory);
  store->given_bytes = (map_bytes + page - 1) / page * page;
  uk_log_store_set_room(store);
  store->no_sync = no_sync;
  store->folder = store->lock = store->reserve = -1;
  if (store->directory != NULL && store->path != NULL && init_locks(store))
    return store;
  free(store->path);
  free(store->directory);
  free(store);
  return NULL;
}

enum uk_error uk_log_store_open(struct uk_log_store **store, const char *directory,
                                size_t map_bytes, bool no_sync, char *message, size_t size)
{
  *store = NULL;
  uk_log_guard_install();
  if (map_bytes < UK_LOG_MAP_BYTES_MIN || map_bytes > SIZE_MAX / 4)
    return uk_log_open_failed(message, size, UK_E_BAD_REQUEST,
                              "map_bytes is %zu; expected %d to %zu", map_bytes,
                              (int)UK_LOG_MAP_BYTES_MIN, SIZE_MAX / 4);
  struct uk_log_store *made = new_store(directory, map_bytes, no_sync);
  if (made == NULL)
    return uk_log_open_failed(message, size, UK_E_NO_MEMORY,
                              "out of memory while opening the log in %s", directory);
  enum uk_error error = uk_log_store_prepare(made, message, size);
  if (error == UK_OK)
    error = uk_log_store_open_folder(made, message, size);
  if (error == UK_OK)
    error = uk_log_structure_check(made->folder, directory, message, size);
  if (error == UK_OK)
    error = open_data(made, message, size);
  if (error == UK_OK)
    made->reserve = uk_log_reserve_open(made->path, UK_LOG_RESERVE_BYTES);
  if (error == UK_OK)
    *store = made;
  else
    uk_log_store_close(made);
  return error;
}

static void close_environment(struct uk_log_store *store)
{
  uk_log_store_drop_views(store);
  if (store->env != NULL)
    mdb_env_close(store->env);
  store->env = NULL;
}

void uk_log_store_close(struct uk_log_store *store)
{
  if (store == NULL)
    return;
  if (atomic_load(&store->dying)) {
    bury(store);
    return;
  }
  close_environment(store);
  if (store->reserve >= 0)
    close(store->reserve);
  if (store->lock >= 0) {
    /* A child process between fork and exec may hold the descriptor, too. */
    (void)flock(store->lock, LOCK_UN);
    close(store->lock);
  }
  if (store->folder >= 0)
    close(store->folder);
  uk_log_gate_free(&store->gate);
  pthread_mutex_destroy(&store->pool_mutex);
  free(store->path);
  free(store->directory);
  free(store);
}

/* A commit that settled the log may have failed and come through all the same. */
static void compare_settled(struct uk_log_store *store)
{
  if (store->new_life != NULL && store->next.life > 0 && store->meta.life == store->next.life)
    store->new_life = NULL;
  store->settles = false;
}

/* LMDB would create a file that is missing: so the names are looked at first. */
static int reopen(struct uk_log_store *store)
{
  uint8_t id[UK_LOG_ID_BYTES];
  uint32_t format = store->meta.format;
  memcpy(id, store->meta.id, sizeof id);
  if (atomic_load(&store->dying))
    return UK_LOG_RC_MOVED;
  close_environment(store);
  if (!uk_log_store_in_place(store))
    return UK_LOG_RC_MOVED;
  int rc = open_environment(store);
  if (rc == 0 && format == UK_LOG_FORMAT && memcmp(id, store->meta.id, sizeof id) != 0)
    rc = UK_LOG_RC_DAMAGED;
  if (rc != 0)
    close_environment(store);
  return rc;
}

/* Opening reads meta pages and the tables' roots. */
static int guarded(struct uk_log_store *store, int (*step)(struct uk_log_store *store))
{
  struct uk_log_guard guard = {.writes = false};
  if (UK_LOG_GUARD(&guard)) {
    int rc = step(store);
    uk_log_guard_leave(&guard);
    return rc;
  }
  uk_log_store_die(store, &guard);
  return UK_LOG_RC_MOVED;
}

enum uk_log_status uk_log_store_reopen(struct uk_log_store *store)
{
  char text[160];
  uk_log_gate_enter_alone(&store->gate);
  int rc = guarded(store, reopen);
  if (rc == 0)
    compare_settled(store);
  uk_log_gate_leave(&store->gate);
  const char *own = own_text(store, rc, text, sizeof text);
  if (rc == UK_LOG_RC_MOVED)
    return UK_LOG_FAILED;
  if (own == NULL)
    return uk_log_store_result(store, rc);
  snprintf(store->failure, sizeof store->failure, "the log %s", own);
  return UK_LOG_FAILED;
}

bool uk_log_store_is_doubtful(const struct uk_log_store *store)
{
  return store->doubtful != 0;
}

bool uk_log_store_came_through(const struct uk_log_store *store)
{
  return store->opened >= store->doubtful;
}

const char *uk_log_store_new_life(const struct uk_log_store *store)
{
  return store->new_life;
}

uint32_t uk_log_store_life(const struct uk_log_store *store)
{
  return store->settles ? store->next.life : store->meta.life;
}

int64_t uk_log_store_upgraded(const struct uk_log_store *store)
{
  return store->settles ? store->next.upgraded : store->meta.upgraded;
}

static enum uk_log_status set_map(struct uk_log_store *store, size_t bytes)
{
  struct uk_log_guard guard = {.writes = false};
  enum uk_log_status status;
  uk_log_gate_enter_alone(&store->gate);
  if (atomic_load(&store->dying)) {
    status = UK_LOG_FAILED;
  } else if (UK_LOG_GUARD(&guard)) {
    status = uk_log_store_result(store, mdb_env_set_mapsize(store->env, bytes));
    uk_log_guard_leave(&guard);
  } else {
    status = uk_log_store_die(store, &guard);
  }
  uk_log_gate_leave(&store->gate);
  return status;
}

enum uk_log_status uk_log_store_open_reserve(struct uk_log_store *store, enum uk_log_status status)
{
  if (store->env == NULL)
    return UK_LOG_FAILED;
  if (status == UK_LOG_FULL)
    return set_map(store, store->map_bytes + store->reserve_bytes);
  uk_log_reserve_release(store->reserve);
  return UK_LOG_OK;
}

enum uk_log_status uk_log_store_close_reserve(struct uk_log_store *store)
{
  if (store->env == NULL)
    return UK_LOG_FAILED;
  uk_log_reserve_fill(store->reserve, UK_LOG_RESERVE_BYTES);
  return set_map(store, store->map_bytes);
}
