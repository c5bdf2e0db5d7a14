/* How large data.mdb may become, and which failures are a lack of room. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "server/log_engine/log_reserve.h"
#include "server/log_engine/log_store_private.h"

enum { DISK_FULL_BLOCKS = 16 }; /* less is no room: the metadata of files needs some, too */

/* The reserve lies between the map and the limit; it is half of a limit that is very low. */
void uk_log_store_set_room(struct uk_log_store *store)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), limit = uk_log_largest_file() / page * page;
  store->map_bytes = store->given_bytes;
  store->reserve_bytes = UK_LOG_RESERVE_BYTES;
  store->is_limited = limit < store->given_bytes + UK_LOG_RESERVE_BYTES;
  if (!store->is_limited)
    return;
  if (limit / 2 < UK_LOG_RESERVE_BYTES)
    store->reserve_bytes = limit / 2 / page * page;
  store->map_bytes = limit - store->reserve_bytes;
}

bool uk_log_store_is_limited(const struct uk_log_store *store)
{
  return store->is_limited;
}

size_t uk_log_store_map_bytes(const struct uk_log_store *store)
{
  return store->map_bytes;
}

static bool is_disk_full(const struct uk_log_store *store)
{
  struct statvfs disk;
  return statvfs(store->directory, &disk) == 0 && disk.f_bavail < DISK_FULL_BLOCKS;
}

/* The limit may have become lower since the open. */
static bool is_at_limit(const struct uk_log_store *store)
{
  struct stat data;
  int fd;
  return store->env != NULL && mdb_env_get_fd(store->env, &fd) == 0 && fstat(fd, &data) == 0 &&
         (size_t)data.st_size + (size_t)sysconf(_SC_PAGESIZE) > uk_log_largest_file();
}

/* A write that stops short has taken the last room, and LMDB reports it as EIO. It may have been a
 * sync, though. */
static enum uk_log_status lack_of(const struct uk_log_store *store, int rc)
{
  if (rc != EIO)
    return UK_LOG_OK;
  return is_at_limit(store) ? UK_LOG_FULL : is_disk_full(store) ? UK_LOG_DISK_FULL : UK_LOG_OK;
}

void uk_log_store_note_failure(struct uk_log_store *store, int rc)
{
  store->lack = lack_of(store, rc);
  snprintf(store->failure, sizeof store->failure, "%s",
           store->lack == UK_LOG_FULL        ? UK_LOG_AT_LIMIT
           : store->lack == UK_LOG_DISK_FULL ? "the disk is full"
                                             : mdb_strerror(rc));
}

enum uk_log_status uk_log_store_lack(const struct uk_log_store *store)
{
  return store->lack;
}
