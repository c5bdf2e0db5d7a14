/* What the log acknowledges is on the disk: data.mdb is synced after each write and before the
 * answer, and the page that makes a transaction valid is written after the pages that it names.
 * For: log_store.c, log_identity.c, log_writer.c. */
#include "server/log_engine/log.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"
#include "log_rig.h"

enum { META_BYTES = 2 * 4096 }; /* LMDB's two meta pages are at the front of the file */

/* Counts writes to data.mdb that were not synced. These functions replace libc's, for LMDB too. */
static struct {
  pthread_mutex_t mutex;
  bool data, meta;       /* written and not synced */
  int metas;             /* writes of a meta page */
  int metas_before_data; /* those that named pages without a sync */
  int directory_syncs;   /* syncs of the log's directory while it has data.mdb */
  int identity_syncs;    /* of the new file, before it takes its place */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static bool same_file(int fd, const char *name)
{
  char path[PATH_MAX];
  struct stat wanted, given;
  snprintf(path, sizeof path, "%s/%s", rig_directory(), name);
  return stat(path, &wanted) == 0 && fstat(fd, &given) == 0 && wanted.st_ino == given.st_ino &&
         wanted.st_dev == given.st_dev;
}

static void wrote(int fd, off_t at, off_t length)
{
  if (length <= 0 || !same_file(fd, "data.mdb"))
    return;
  bool synced = (fcntl(fd, F_GETFL) & (O_DSYNC | O_SYNC)) != 0;
  pthread_mutex_lock(&disk.mutex);
  if (at < META_BYTES) {
    disk.metas++;
    disk.metas_before_data += disk.data;
    disk.meta = disk.meta || !synced;
  }
  if (at + length > META_BYTES)
    disk.data = disk.data || !synced;
  pthread_mutex_unlock(&disk.mutex);
}

static void synced(int fd)
{
  char path[PATH_MAX];
  bool data = same_file(fd, "data.mdb"), directory = same_file(fd, ".");
  bool identity = same_file(fd, "identity.new");
  snprintf(path, sizeof path, "%s/data.mdb", rig_directory());
  pthread_mutex_lock(&disk.mutex);
  if (data)
    disk.data = disk.meta = false;
  disk.identity_syncs += identity;
  disk.directory_syncs += directory && access(path, F_OK) == 0;
  pthread_mutex_unlock(&disk.mutex);
}

#define IN_FRONT __attribute__((visibility("default")))

IN_FRONT ssize_t pwrite(int fd, const void *data, size_t length, off_t at)
{
  ssize_t done = (ssize_t)syscall(SYS_pwrite64, fd, data, length, at);
  wrote(fd, at, done);
  return done;
}

IN_FRONT ssize_t write(int fd, const void *data, size_t length)
{
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t done = (ssize_t)syscall(SYS_write, fd, data, length);
  wrote(fd, at, done);
  return done;
}

IN_FRONT ssize_t writev(int fd, const struct iovec *parts, int count)
{
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t done = (ssize_t)syscall(SYS_writev, fd, parts, count);
  wrote(fd, at, done);
  return done;
}

IN_FRONT int fdatasync(int fd)
{
  int status = (int)syscall(SYS_fdatasync, fd);
  if (status == 0)
    synced(fd);
  return status;
}

IN_FRONT int fsync(int fd)
{
  int status = (int)syscall(SYS_fsync, fd);
  if (status == 0)
    synced(fd);
  return status;
}

/* Between operations the writer may run maintenance, so each test has one thread and no
 * retention. */
static void check_disk(int metas_before)
{
  pthread_mutex_lock(&disk.mutex);
  CHECK(disk.metas > metas_before);
  CHECK(!disk.data && !disk.meta);
  CHECK_EQ_INT(disk.metas_before_data, 0);
  pthread_mutex_unlock(&disk.mutex);
}

static int metas(void)
{
  pthread_mutex_lock(&disk.mutex);
  int count = disk.metas;
  pthread_mutex_unlock(&disk.mutex);
  return count;
}

static enum uk_error put(struct uk_log *log)
{
  return rig_put(log, "t", 0, "v", -1) >= 0 ? UK_OK : UK_E_UNAVAILABLE;
}

static enum uk_error put_large(struct uk_log *log)
{
  static char large[300000];
  struct uk_record record = rig_record("t", 0, "");
  record.value = uk_slice_of(large, sizeof large);
  return rig_produce(log, &record, 1, NULL);
}

static enum uk_error commit(struct uk_log *log)
{
  return rig_commit(log, "g", "t", 0, 1);
}

static enum uk_error create(struct uk_log *log)
{
  return rig_create(log, "u", 3, -1, -1);
}

static enum uk_error delete (struct uk_log *log) { return rig_delete(log, "u"); }

static void f8_what_is_acknowledged_is_on_the_disk(void)
{
  static enum uk_error (*const operations[])(struct uk_log *) = {put,    put_large, put,   commit,
                                                                 create, delete,    commit};
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  check_disk(0); /* the new log itself */
  for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
    int before = metas();
    CHECK_EQ_INT(operations[i](log), UK_OK);
    check_disk(before);
  }
  uk_log_close(log);
  rig_remove();
}

/* A power failure loses a file whose name is not on the disk, even if its data was synced. */
static void a18_the_names_of_the_files_are_on_the_disk(void)
{
  struct uk_log_options options = rig_options();
  rig_directory();
  disk.directory_syncs = 0;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  CHECK(disk.directory_syncs > 0);
  uk_log_close(log);
  rig_remove();
}

/* The first topic is remembered outside of data.mdb before its creation is answered. */
static void a7_the_identity_is_on_the_disk(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  disk.identity_syncs = disk.directory_syncs = 0;
  REQUIRE(put(log) == UK_OK);
  CHECK_EQ_INT(disk.identity_syncs, 1);
  CHECK_EQ_INT(disk.directory_syncs, 1);
  uk_log_close(log);
  rig_remove();
}

/* The counterpart: without sync the log does not sync, so the tests above can fail. */
static void f8_no_sync_is_seen(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL && put(log) == UK_OK);
  CHECK(disk.data && disk.meta);
  uk_log_close(log);
  rig_remove();
  disk.data = disk.meta = false;
  disk.metas_before_data = 0;
}

int main(void)
{
  CHECK_RUN(f8_no_sync_is_seen);
  CHECK_RUN(f8_what_is_acknowledged_is_on_the_disk);
  CHECK_RUN(a7_the_identity_is_on_the_disk);
  CHECK_RUN(a18_the_names_of_the_files_are_on_the_disk);
  return check_end();
}
