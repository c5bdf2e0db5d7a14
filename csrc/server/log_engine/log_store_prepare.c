/* What an open needs before it reads the folder: address space, the directory, its
 * files and its lock. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/directory.h"
#include "server/log_engine/log_folder.h"
#include "server/log_engine/log_store_private.h"

/* LMDB maps the file at its largest size, after it has created it. */
static enum uk_error check_address_space(size_t bytes, char *message, size_t size)
{
  void *place = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place == MAP_FAILED)
    return uk_log_open_failed(
      message, size, UK_E_NO_MEMORY,
      "map_bytes is %zu, more address space than this process may have (see "
      "ulimit -v)",
      bytes);
  munmap(place, bytes);
  return UK_OK;
}

static enum uk_error make_directory(const struct uk_log_store *store, char *message, size_t size)
{
  int failure = uk_directory_make(store->path);
  if (failure == 0)
    return UK_OK;
  return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot create the directory %s: %s",
                            store->directory, strerror(failure));
}

/* For the message of a server that finds the directory in use. Failures do no harm. */
static void write_process_id(int fd)
{
  char text[24];
  int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
  bool written = ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)length, 0) == length;
  (void)written;
}

/* flock belongs to the open file, not to the process: it also refuses a second open here. */
static enum uk_error lock_directory(struct uk_log_store *store, char *message, size_t size)
{
  char path[PATH_MAX], holder[24] = "";
  if (snprintf(path, sizeof path, "%s/server.lock", store->path) >= (int)sizeof path)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE,
                              "the name of the directory %.60s... is too long", store->directory);
  store->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (store->lock < 0)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot open %s: %s", path,
                              strerror(errno));
  if (flock(store->lock, LOCK_EX | LOCK_NB) == 0) {
    write_process_id(store->lock);
    return UK_OK;
  }
  if (errno != EWOULDBLOCK)
    return uk_log_open_failed(message, size, UK_E_UNAVAILABLE, "cannot lock %s: %s", path,
                              strerror(errno));
  ssize_t length = pread(store->lock, holder, sizeof holder - 1, 0);
  return uk_log_open_failed(message, size, UK_E_UNAVAILABLE,
                            "the directory %s is in use by another server (process %ld)",
                            store->directory, length > 0 ? strtol(holder, NULL, 10) : 0L);
}

enum uk_error uk_log_store_prepare(struct uk_log_store *store, char *message, size_t size)
{
  enum uk_error error = check_address_space(store->map_bytes, message, size);
  if (error == UK_OK)
    error = make_directory(store, message, size);
  if (error == UK_OK)
    error = uk_log_folder_check(store->path, store->directory, message, size);
  return error == UK_OK ? lock_directory(store, message, size) : error;
}
