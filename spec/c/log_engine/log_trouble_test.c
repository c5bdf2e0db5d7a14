/* The log when the map, the disk or the file is full, or a sync fails. For: log_writer.c,
 * log_store.c, log_store_room.c, log_reserve.c. */
#include "server/log_engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_private.h"

/* These replace libc's functions, for LMDB too. */
static atomic_int sync_failures, write_error;
static atomic_int syncs;
static atomic_bool writes_short; /* a write of pages stops in the middle */
static atomic_long free_blocks = 1000;
static atomic_long
  disk_bytes; /* size of a disk that holds only data.mdb and reserve; 0 = unlimited */

static long size_of(const char *name)
{
  struct stat status;
  char path[500];
  snprintf(path, sizeof path, "%s/%s", rig_directory(), name);
  return stat(path, &status) == 0 ? (long)status.st_size : 0;
}

static atomic_bool fills_up; /* that disk takes the part of a write that it has room for */

/* Of a write to data.mdb, as much as the disk takes. */
static size_t part_of(size_t length, off_t at)
{
  long room = atomic_load(&disk_bytes) - size_of("reserve") - at;
  if (!atomic_load(&fills_up) || room <= 0)
    return 0;
  return (size_t)room < length ? (size_t)room : length;
}

/* True when the file may have that length beside the other one. */
static bool has_room(const char *other, off_t length)
{
  long disk = atomic_load(&disk_bytes);
  return disk == 0 || length <= disk - size_of(other);
}

__attribute__((visibility("default"))) int posix_fallocate(int fd, off_t at, off_t length)
{
  struct stat status;
  if (fstat(fd, &status) != 0)
    return errno;
  if (at + length <= status.st_size)
    return 0;
  if (!has_room("data.mdb", at + length))
    return ENOSPC;
  return ftruncate(fd, at + length) == 0 ? 0 : errno;
}

static atomic_bool moves_away; /* data.mdb does, when the log looks how full the disk is */

static void move(const char *from, const char *to)
{
  char old[400];
  snprintf(old, sizeof old, "%s", raw_path(from));
  CHECK_EQ_INT(rename(old, raw_path(to)), 0);
}

__attribute__((visibility("default"))) int statvfs(const char *path, struct statvfs *disk)
{
  (void)path;
  if (atomic_exchange(&moves_away, false))
    move("data.mdb", "kept");
  *disk = (struct statvfs){.f_bavail = (fsblkcnt_t)atomic_load(&free_blocks)};
  return 0;
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  atomic_fetch_add(&syncs, 1);
  if (atomic_load(&sync_failures) > 0) {
    atomic_fetch_sub(&sync_failures, 1);
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fdatasync, fd);
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *data, size_t length,
                                                      off_t at)
{
  int error = atomic_load(&write_error);
  if (error == 0 && length >= 4096 && !has_room("reserve", at + (off_t)length)) {
    length = part_of(length, at);
    error = length == 0 ? ENOSPC : 0;
  }
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (atomic_load(&writes_short) && length >= 4096)
    length -= 1000;
  return (ssize_t)syscall(SYS_pwrite64, fd, data, length, at);
}

__attribute__((visibility("default"))) ssize_t writev(int fd, const struct iovec *parts, int count)
{
  int error = atomic_load(&write_error);
  off_t end = lseek(fd, 0, SEEK_CUR);
  for (int i = 0; i < count; i++)
    end += (off_t)parts[i].iov_len;
  if (error == 0 && !has_room("reserve", end)) {
    size_t part = part_of(parts[0].iov_len, lseek(fd, 0, SEEK_CUR));
    if (part > 0)
      return (ssize_t)syscall(SYS_write, fd, parts[0].iov_base, part);
    error = ENOSPC;
  }
  if (error != 0) {
    errno = error;
    return -1;
  }
  if (atomic_load(&writes_short))
    count--;
  return (ssize_t)syscall(SYS_writev, fd, parts, count);
}

enum { SMALL_MAP = 2 << 20, LARGE = 300000 };

static char large[LARGE];
static struct rig_read got;

static struct uk_log *open_log(size_t map_bytes)
{
  struct uk_log_options options = rig_options();
  options.map_bytes = map_bytes;
  memset(large, 'x', sizeof large);
  return rig_open(&options);
}

static enum uk_error put_large(struct uk_log *log, const char *topic, char *message)
{
  struct uk_record record = rig_record(topic, 0, "");
  record.value = uk_slice_of(large, sizeof large);
  return rig_produce(log, &record, 1, message);
}

static int fill(struct uk_log *log, const char *topic)
{
  int count = 0;
  while (count < 100 && put_large(log, topic, NULL) == UK_OK)
    count++;
  struct uk_record record = rig_record(topic, 0, "");
  record.value = uk_slice_of(large, 3000);
  for (int i = 0; i < 1000 && rig_produce(log, &record, 1, NULL) == UK_OK; i++)
    count++;
  return count;
}

static void check_health(struct uk_log *log, enum uk_error want, const char *text)
{
  char detail[200] = "?";
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), want);
  CHECK_EQ_STR(detail, text);
}

static void a_full_map_refuses_writes_only(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = open_log(SMALL_MAP);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "kept", 0, "v", -1) == 0);
  int count = fill(log, "t");
  CHECK(count >= 5 && count < 600);
  CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "the log is full (map_bytes 2097152)");
  check_health(log, UK_E_UNAVAILABLE, message);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, count);
  CHECK_EQ_INT(rig_read(log, &got, "kept", 0, 0), UK_OK);
  /* Readers continue, and a deletion makes room. */
  for (int i = 0; i < 50; i++)
    CHECK_EQ_INT(rig_commit(log, "g", "t", 0, i), UK_OK);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  CHECK_EVENTUALLY(put_large(log, "u", NULL) == UK_OK);
  uk_log_close(log);
  log = open_log(SMALL_MAP);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_read(log, &got, "kept", 0, 0), UK_OK);
  CHECK_EQ_STR(got.text, "v\n");
  uint64_t id;
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id), 0);
  uk_log_close(log);
  rig_remove();
}

/* Repeatedly: freed room can be used again. */
static void filling_and_deleting(void)
{
  struct uk_log *log = open_log(SMALL_MAP);
  REQUIRE(log != NULL);
  for (int round = 0; round < 8; round++) {
    for (int count = 0; count < 4; count++)
      CHECK_EVENTUALLY(put_large(log, "t", NULL) == UK_OK);
    fill(log, "t");
    CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  }
  uk_log_close(log);
  rig_remove();
}

/* Of commands that come together, those that fit succeed. */
static void a_small_command_succeeds_after_a_large_one_failed(void)
{
  enum { COUNT = 30 };
  static struct uk_record records[COUNT];
  static struct uk_produce produces[COUNT];
  static struct rig_call calls[COUNT];
  struct uk_log *log = open_log(SMALL_MAP);
  int small = 0, failed = 0;
  REQUIRE(log != NULL);
  for (int i = 0; i < COUNT; i++) {
    records[i] = rig_record("t", i % 2, "v");
    if (i % 2 == 0)
      records[i].value = uk_slice_of(large, sizeof large);
    produces[i] = (struct uk_produce){.records = &records[i], .count = 1};
    rig_call_init(&calls[i], &produces[i].operation);
  }
  for (int i = 0; i < COUNT; i++)
    uk_log_submit(log, UK_LOG_PRODUCE, &produces[i].operation);
  for (int i = 0; i < COUNT; i++) {
    rig_call_wait(&calls[i], &produces[i].operation);
    enum uk_error error = produces[i].operation.error;
    small += i % 2 == 1 && error == UK_OK;
    failed += i % 2 == 0 && error == UK_E_UNAVAILABLE;
  }
  CHECK(small == COUNT / 2);
  CHECK(failed >= 8);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, COUNT / 2 - failed);
  CHECK_EQ_INT(rig_read(log, &got, "t", 1, 0), UK_OK);
  CHECK_EQ_INT(got.count, COUNT / 2);
  uk_log_close(log);
  rig_remove();
}

static void a_failed_sync_is_not_repeated(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_record record = rig_record("t", 0, "lost");
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  for (int i = 0; i < 3; i++)
    REQUIRE(rig_put(log, "t", 0, "v", -1) == i);
  for (int round = 0; round < 3; round++) {
    atomic_store(&sync_failures, 1);
    atomic_store(&syncs, 0);
    CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(message, "the log failed: Input/output error");
    CHECK_EQ_INT(atomic_load(&syncs), 1);
    check_health(log, UK_E_UNAVAILABLE, message);
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
    CHECK_EQ_INT(got.count, 3 + round);
    CHECK_EQ_INT(rig_put(log, "t", 0, "next", -1), 3 + round);
    check_health(log, UK_OK, "");
  }
  uk_log_close(log);
  log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_STR(got.text, "v\nv\nv\nnext\nnext\nnext\n");
  uk_log_close(log);
  rig_remove();
}

/* A commit that several commands share: each gets the same error, and the log is opened again
 * before the next. */
static void a_failed_commit_of_several(void)
{
  struct uk_record records[3];
  struct uk_produce produces[3];
  struct rig_call calls[3];
  char detail[200];
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "t", 0, "v", -1) == 0);
  rig_hold_writer(log);
  for (int i = 0; i < 3; i++) {
    records[i] = rig_record("t", 0, "shared");
    produces[i] = (struct uk_produce){.records = &records[i], .count = 1};
    rig_call_init(&calls[i], &produces[i].operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &produces[i].operation);
  }
  atomic_store(&sync_failures, 1);
  rig_release_writer();
  for (int i = 0; i < 3; i++) {
    rig_call_wait(&calls[i], &produces[i].operation);
    CHECK_EQ_INT(produces[i].operation.error, UK_E_UNAVAILABLE);
    CHECK_EQ_STR(produces[i].operation.message, "the log failed: Input/output error");
  }
  CHECK_EQ_INT(atomic_load(&sync_failures), 0);
  CHECK_EQ_INT(rig_put(log, "t", 0, "behind", -1), 1);
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_OK);
  uk_log_close(log);
  rig_remove();
}

/* No command comes: the log itself finds out that the disk is healthy again. */
static void it_recovers_without_commands(void)
{
  struct uk_record record = rig_record("t", 0, "lost");
  char detail[200];
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "t", 0, "v", -1) == 0);
  atomic_store(&sync_failures, 3);
  CHECK_EQ_INT(rig_produce(log, &record, 1, NULL), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(rig_produce(log, &record, 1, NULL), UK_E_UNAVAILABLE);
  CHECK_EVENTUALLY(uk_log_health(log, detail, sizeof detail) == UK_OK);
  check_health(log, UK_OK, "");
  CHECK_EQ_INT(atomic_load(&sync_failures), 0);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 1);
  uk_log_close(log);
  rig_remove();
}

/* Readers come and go while the environment is replaced. */
static atomic_bool reading;

static void *read_on(void *argument)
{
  static const struct uk_sink sink = {rig_sink_record, NULL};
  while (atomic_load(&reading)) {
    struct rig_read read = {.dense = true};
    uk_log_read(argument, uk_slice_text("t"), 0, 0, &read.operation, &sink, &read.next, &read.full);
    CHECK(read.dense && read.count >= 1);
  }
  return NULL;
}

static void readers_during_recovery(void)
{
  pthread_t threads[3];
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  struct uk_record record = rig_record("t", 0, "lost");
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "t", 0, "v", -1) == 0);
  atomic_store(&reading, true);
  for (int i = 0; i < 3; i++)
    REQUIRE(pthread_create(&threads[i], NULL, read_on, log) == 0);
  for (int i = 0; i < 30; i++) {
    atomic_store(&sync_failures, 1);
    CHECK_EQ_INT(rig_produce(log, &record, 1, NULL), UK_E_UNAVAILABLE);
    CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 1 + i);
  }
  atomic_store(&reading, false);
  for (int i = 0; i < 3; i++)
    pthread_join(threads[i], NULL);
  uk_log_close(log);
  rig_remove();
}

static void a_full_disk_refuses_writes_only(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_record record = rig_record("t", 0, "lost");
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "t", 0, "v", -1) == 0);
  atomic_store(&write_error, ENOSPC);
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "the disk that holds the log is full");
  check_health(log, UK_E_UNAVAILABLE, message);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 1);
  atomic_store(&write_error, 0);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 1);
  uk_log_close(log);
  rig_remove();
}

/* The kernel writes what fits, and LMDB reports an input/output error. */
static void C3_a_short_write_is_a_full_disk(void)
{
  static const struct {
    long blocks;
    const char *message;
  } cases[] = {{0, "the disk that holds the log is full"},
               {15, "the disk that holds the log is full"},
               {16, "the log failed: Input/output error"}};
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), i);
    CHECK_EQ_INT(mdb_env_set_userctx(log->store->env, message), 0);
    atomic_store(&free_blocks, cases[i].blocks);
    atomic_store(&writes_short, true);
    CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(message, cases[i].message);
    check_health(log, UK_E_UNAVAILABLE, message);
    atomic_store(&writes_short, false);
    CHECK_EQ_INT(rig_commit(log, "g", "t", 0, i), UK_OK);
    /* It may have been a sync: another environment went on. */
    CHECK(mdb_env_get_userctx(log->store->env) == NULL);
  }
  atomic_store(&free_blocks, 1000);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 3);
  uk_log_close(log);
  rig_remove();
}

/* LMDB needs new pages to free old ones: the reserve provides them. */
static void delete_on_a_full_disk(long bytes)
{
  char message[UK_MESSAGE_SIZE];
  atomic_store(&disk_bytes, bytes);
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "kept", 0, "v", -1) == 0);
  for (int round = 0; round < 8; round++) {
    int count = fill(log, "t");
    CHECK(count >= 5 && count < 1100);
    while (rig_put(log, "t", 0, "v", -1) >= 0)
      continue;
    CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(message, "the disk that holds the log is full");
    CHECK_EQ_INT(rig_commit(log, "g", "t", 0, round), UK_OK);
    CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
    CHECK_EVENTUALLY(put_large(log, "t", NULL) == UK_OK);
    CHECK(size_of("reserve") > 0);
  }
  CHECK_EQ_INT(rig_read(log, &got, "kept", 0, 0), UK_OK);
  uk_log_close(log);
  atomic_store(&disk_bytes, 0);
  rig_remove();
}

/* The log is opened again after it, and cannot be. */
static void C3_a_full_disk_may_break_the_log(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
  atomic_store(&free_blocks, 0);
  atomic_store(&moves_away, true);
  atomic_store(&writes_short, true);
  CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "the log failed: data.mdb is missing from the data folder ") == message);
  CHECK(!atomic_load(&moves_away));
  check_health(log, UK_E_UNAVAILABLE, message);
  atomic_store(&writes_short, false);
  atomic_store(&free_blocks, 1000);
  move("kept", "data.mdb");
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 1);
  check_health(log, UK_OK, "");
  uk_log_close(log);
  rig_remove();
}

static void deleting_makes_room_on_a_full_disk(void)
{
  delete_on_a_full_disk(10 << 20);
}

/* Also where the last write gets the part that fits. */
static void A14_deleting_makes_room_after_a_short_write(void)
{
  atomic_store(&fills_up, true);
  atomic_store(&free_blocks, 0);
  delete_on_a_full_disk((10 << 20) + 1000);
  atomic_store(&free_blocks, 1000);
  atomic_store(&fills_up, false);
}

/* The limit on the size of files. */

#define AT_LIMIT "the log is full: data.mdb has reached the limit on the size of files (ulimit -f)"

/* RLIM_INFINITY: none. In this process no write comes near it, unless the log makes one. */
static atomic_ulong file_limit = RLIM_INFINITY;

/* ThreadSanitizer calls it before it can follow memory. */
__attribute__((visibility("default"), no_sanitize("thread"))) int
getrlimit(__rlimit_resource_t resource, struct rlimit *limit)
{
  const int result = (int)syscall(SYS_prlimit64, 0, resource, NULL, limit);
  if (resource == RLIMIT_FSIZE)
    limit->rlim_cur = atomic_load(&file_limit);
  return result;
}

static char noticed[300];

static void notice(const char *line)
{
  snprintf(noticed, sizeof noticed, "%s", line);
}

static struct uk_log *open_limited(size_t limit)
{
  struct uk_log_options options = rig_options();
  options.map_bytes = RIG_MAP_BYTES;
  options.notice = notice;
  noticed[0] = '\0';
  memset(large, 'x', sizeof large);
  atomic_store(&file_limit, limit);
  return rig_open(&options);
}

static void check_reserve(size_t end)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log_store *store;
  MDB_envinfo info;
  CHECK_EQ_INT(
    uk_log_store_open(&store, rig_directory(), RIG_MAP_BYTES, true, message, sizeof message),
    UK_OK);
  REQUIRE(store != NULL);
  CHECK_EQ_INT(uk_log_store_open_reserve(store, UK_LOG_FULL), UK_LOG_OK);
  CHECK_EQ_INT(mdb_env_info(store->env, &info), 0);
  CHECK_EQ_INT(info.me_mapsize, end);
  uk_log_store_close(store);
}

/* The map ends below the limit, and the reserve ends at it. */
static void the_limit_on_files_limits_the_map(void)
{
  const size_t page = (size_t)sysconf(_SC_PAGESIZE), reserve = UK_LOG_RESERVE_BYTES;
  const struct {
    size_t limit, map, reserve;
    bool limited;
  } cases[] = {
    {RLIM_INFINITY, RIG_MAP_BYTES, reserve, false},
    {RIG_MAP_BYTES + reserve, RIG_MAP_BYTES, reserve, false},
    {RIG_MAP_BYTES + reserve - 1, RIG_MAP_BYTES - page, reserve, true},
    {RIG_MAP_BYTES, RIG_MAP_BYTES - reserve, reserve, true},
    {2 * reserve, reserve, reserve, true},
    {2 * reserve - 1, reserve, reserve - page, true},
    {64 * page, 32 * page, 32 * page, true},
    {65 * page + 1, 33 * page, 32 * page, true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char line[300] = "";
    struct uk_log *log = open_limited(cases[i].limit);
    REQUIRE(log != NULL);
    if (!CHECK_EQ_INT(uk_log_store_map_bytes(log->store), cases[i].map) ||
        !CHECK_EQ_INT(log->store->reserve_bytes, cases[i].reserve))
      fprintf(stderr, "  in case %zu\n", i);
    CHECK_EQ_INT(uk_log_store_is_limited(log->store), cases[i].limited);
    if (cases[i].limited)
      snprintf(line, sizeof line,
               "the limit on the size of files (ulimit -f) allows data.mdb %zu bytes, less than "
               "map_bytes (%d)",
               cases[i].map, RIG_MAP_BYTES);
    CHECK_EQ_STR(noticed, line);
    CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
    uk_log_close(log);
    check_reserve(cases[i].map + cases[i].reserve);
    rig_remove();
  }
  atomic_store(&file_limit, RLIM_INFINITY);
}

/* So no write goes beyond it: the process would get SIGXFSZ, or EFBIG. */
static void A14_a_file_at_its_limit_makes_room_as_a_full_map_does(void)
{
  enum { LIMIT = 6 << 20 };
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = open_limited(LIMIT);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "kept", 0, "v", -1) == 0);
  for (int round = 0; round < 4; round++) {
    CHECK(fill(log, "t") >= 5);
    CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(message, AT_LIMIT);
    check_health(log, UK_E_UNAVAILABLE, AT_LIMIT);
    CHECK_EQ_INT(rig_commit(log, "g", "kept", 0, round), UK_OK);
    CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
    CHECK_EVENTUALLY(put_large(log, "t", NULL) == UK_OK);
    CHECK(size_of("data.mdb") <= LIMIT && size_of("reserve") <= LIMIT);
  }
  uk_log_close(log);
  atomic_store(&file_limit, RLIM_INFINITY);
  rig_remove();
}

static void a_limit_that_is_too_low_is_named(void)
{
  struct uk_log *log = NULL;
  char message[UK_MESSAGE_SIZE], text[700];
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t limits[] = {2 * page, 4 * page, 6 * page};
  for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
    const struct uk_log_options options = rig_options();
    atomic_store(&file_limit, limits[i]);
    CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
    snprintf(text, sizeof text,
             "cannot open the log in %s: the limit on the size of files (ulimit -f) is too low",
             options.directory);
    CHECK_EQ_STR(message, text);
    rig_remove();
  }
  atomic_store(&file_limit, RLIM_INFINITY);
}

/* A limit that became lower while the log is open: a write fails, or stops short at it. */
static void A14_a_new_limit_on_files_is_a_lack_of_room(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = open_log(RIG_MAP_BYTES);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "t", 0, "v", -1) == 0);
  atomic_store(&write_error, EFBIG);
  CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, AT_LIMIT);
  atomic_store(&write_error, 0);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 1);
  atomic_store(&file_limit, (unsigned long)size_of("data.mdb"));
  atomic_store(&writes_short, true);
  CHECK_EQ_INT(put_large(log, "t", message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, AT_LIMIT);
  check_health(log, UK_E_UNAVAILABLE, AT_LIMIT);
  atomic_store(&writes_short, false);
  atomic_store(&file_limit, RLIM_INFINITY);
  uk_log_close(log);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_full_map_refuses_writes_only);
  CHECK_RUN(filling_and_deleting);
  CHECK_RUN(a_small_command_succeeds_after_a_large_one_failed);
  CHECK_RUN(a_failed_sync_is_not_repeated);
  CHECK_RUN(a_failed_commit_of_several);
  CHECK_RUN(it_recovers_without_commands);
  CHECK_RUN(readers_during_recovery);
  CHECK_RUN(a_full_disk_refuses_writes_only);
  CHECK_RUN(C3_a_short_write_is_a_full_disk);
  CHECK_RUN(C3_a_full_disk_may_break_the_log);
  CHECK_RUN(deleting_makes_room_on_a_full_disk);
  CHECK_RUN(A14_deleting_makes_room_after_a_short_write);
  CHECK_RUN(the_limit_on_files_limits_the_map);
  CHECK_RUN(A14_a_file_at_its_limit_makes_room_as_a_full_map_does);
  CHECK_RUN(a_limit_that_is_too_low_is_named);
  CHECK_RUN(A14_a_new_limit_on_files_is_a_lack_of_room);
  return check_end();
}
