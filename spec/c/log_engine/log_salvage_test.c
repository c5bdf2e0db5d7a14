/* for: log_salvage.c, log_check_rows.c
 *
 * What a salvaged log keeps of the old one, and where its folder comes from. */
#include "server/log_engine/log_salvage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "log_check_rig.h"
#include "log_raw.h"
#include "log_rig.h"

static const char FIXTURE[] = "spec/fixtures/log-format-1/data.mdb";

/* The directory that was synced last. */
static char synced[PATH_MAX];

__attribute__((visibility("default"))) int fsync(int fd)
{
  char name[64];
  struct stat status;
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode)) {
    ssize_t length = readlink(name, synced, sizeof synced - 1);
    synced[length > 0 ? length : 0] = '\0';
  }
  return (int)syscall(SYS_fsync, fd);
}

static struct uk_log_identity identity_of(const char *directory)
{
  struct uk_log_identity identity = {.life = 0};
  int folder = open(directory, O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(uk_log_identity_read(folder, &identity), UK_LOG_IDENTITY_OK);
  close(folder);
  return identity;
}

static void write_identity(const struct uk_log_identity *identity)
{
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(uk_log_identity_write(folder, identity, false), 0);
  close(folder);
}

/* The identity. */

/* Before any server opens it. */
static void the_new_identity_knows_what_the_old_one_knew(void)
{
  uint8_t life[UK_LOG_LIFE_ROW];
  checked_write_log();
  struct uk_log_identity old = identity_of(rig_directory());
  int64_t earliest = uk_clock_epoch();
  checked_salvage();
  struct uk_log_identity new = identity_of(checked.target);
  CHECK_EQ_INT(raw_row(checked.target, "lives", (MDB_val){4, "\0\0\0\2"}, life, sizeof life),
               UK_LOG_LIFE_ROW);
  int64_t since = (int64_t)uk_load_u64(life + UK_LOG_ID_BYTES);
  CHECK(since >= earliest && since <= uk_clock_epoch());
  CHECK(memcmp(new.id, old.id, sizeof old.id) == 0);
  CHECK_EQ_INT(new.life, 2);
  CHECK(new.transaction > 0);
  CHECK(new.topics >= old.topics &&old.topics > 2);
  struct uk_log *log = checked_open_target();
  uint64_t id = 0;
  CHECK_EQ_INT(rig_put(log, "new", 0, "v", -1), 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("new"), &id), 2);
  CHECK(id >= old.topics); /* none of them is given again */
  uk_log_close(log);
  checked_remove_target();
  old.life = 5;
  write_identity(&old);
  checked_salvage();
  CHECK_EQ_INT(identity_of(checked.target).life, 6);
  checked_remove_target();
  rig_remove();
}

static void the_id_comes_from_the_log_or_its_identity(void)
{
  checked_write_log();
  struct uk_log_identity old = identity_of(rig_directory()), other = old;
  other.id[0] ^= 1;
  write_identity(&other);
  checked_salvage();
  CHECK(memcmp(identity_of(checked.target).id, old.id, sizeof old.id) == 0);
  checked_remove_target();
  unlink(raw_path("identity"));
  checked_salvage();
  CHECK(memcmp(identity_of(checked.target).id, old.id, sizeof old.id) == 0);
  CHECK_EQ_INT(identity_of(checked.target).life, 2);
  checked_remove_target();
  write_identity(&other);
  raw_flip("meta", raw_text("log"), 3);
  checked_salvage();
  CHECK(memcmp(identity_of(checked.target).id, other.id, sizeof other.id) == 0);
  checked_remove_target();
  unlink(raw_path("identity"));
  checked_salvage();
  CHECK(memcmp(identity_of(checked.target).id, other.id, sizeof other.id) != 0);
  checked_remove_target();
  rig_remove();
}

/* Rows. */

static void the_settings_and_the_life_of_a_topic_stay(void)
{
  uint8_t before[100], after[100];
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(rig_create(log, "t", 3, 1234567, 7654321), UK_OK);
  uk_log_close(log);
  size_t length = raw_row(rig_directory(), "topics", raw_text("t"), before, sizeof before);
  CHECK_EQ_INT(length, UK_LOG_TOPIC_ROW);
  CHECK_EQ_INT(uk_load_u32(before + UK_LOG_TOPIC_ROW_1), 0); /* cleanup: by retention */
  checked_salvage();
  CHECK_EQ_INT(raw_row(checked.target, "topics", raw_text("t"), after, sizeof after), length);
  CHECK(memcmp(before, after, length) == 0);
  checked_remove_target();
  rig_remove();
}

/* In format 1, none has one. */
static void a_topic_without_a_life_gets_one(void)
{
  static const uint8_t none[UK_LOG_ID_BYTES];
  uint8_t row[100];
  raw_copy(FIXTURE, "data.mdb");
  checked_salvage();
  CHECK_EQ_INT(raw_row(checked.target, "topics", raw_text("orders"), row, sizeof row),
               UK_LOG_TOPIC_ROW);
  CHECK(memcmp(row + UK_LOG_TOPIC_ROW_1 + 4, none, sizeof none) != 0);
  checked_remove_target();
  rig_remove();
}

static struct uk_log_batch batch_of(const char *directory, uint64_t topic, int64_t offset)
{
  static uint8_t bytes[70000];
  struct uk_log_batch batch = {.version = 0};
  size_t length = raw_row(directory, "batches", raw_key(topic, 0, offset), bytes, sizeof bytes);
  CHECK(uk_log_batch_read(&batch, uk_slice_of((const char *)bytes, length)));
  return batch;
}

static void a_batch_keeps_its_life_and_arrival(void)
{
  checked_write_log();
  struct uk_log_batch before = batch_of(rig_directory(), 1, 2);
  raw_flip("batches", raw_key(1, 0, 0), 10);
  raw_flip("batches", raw_key(1, 0, 3), 10);
  checked_salvage();
  struct uk_log_batch after = batch_of(checked.target, 1, 2);
  CHECK(after.life == 1 && after.arrival == before.arrival && before.arrival > 0);
  CHECK(after.count == 1 && after.span == 1 && after.max_timestamp == 2000);
  CHECK(after.position == before.position && before.position > 0);
  struct uk_log *log = checked_open_target();
  int64_t first = -1, end = -1;
  CHECK(uk_log_bounds(log, uk_slice_text("a"), 0, &first, &end));
  CHECK_EQ_INT(first, 2); /* nothing covers what is missing in front */
  CHECK(end >= 6);
  CHECK_EQ_INT(rig_put(log, "a", 0, "next", -1), end);
  uk_log_close(log);
  CHECK_EQ_INT(batch_of(checked.target, 1, end).life, 2);
  CHECK_EQ_INT(batch_of(checked.target, 1, 3).life, 2); /* the gap */
  checked_remove_target();
  rig_remove();
}

/* A batch of version 1 arrived when its log became one of format 2, at the latest. */
static void a_batch_of_version_1_arrived_before_the_upgrade(void)
{
  uint8_t row[UK_LOG_NUMBER];
  struct uk_log_options options = rig_options();
  raw_copy(FIXTURE, "data.mdb");
  struct uk_log *log = rig_open(&options);
  CHECK(rig_put(log, "new", 0, "v", -1) == 0);
  uint64_t id = 0;
  CHECK(uk_log_partitions(log, uk_slice_text("orders"), &id) > 0);
  uk_log_close(log);
  CHECK_EQ_INT(batch_of(rig_directory(), id, 0).version, 1);
  /* As if that had been long ago. */
  raw_put_number("meta", raw_text("upgraded"), 1764000000000);
  checked_salvage();
  CHECK_EQ_STR(checked.told, "");
  struct uk_log_batch batch = batch_of(checked.target, id, 0);
  CHECK_EQ_INT(batch.version, 2);
  CHECK_EQ_INT(batch.arrival, 1764000000000);
  CHECK_EQ_INT(raw_row(checked.target, "meta", raw_text("upgraded"), row, sizeof row), 0);
  checked_remove_target();
  rig_remove();
}

/* A damaged batch ended behind what it says, and behind what its bytes could hold. */
static void the_end_lies_behind_a_damaged_batch(void)
{
  checked_write_log();
  raw_flip("batches", raw_key(1, 1, 0), 55);
  raw_flip("batches", raw_key(2, 0, 0), 44); /* its span: 2^24 more */
  raw_flip("batches", raw_key(1, 0, 2), 44);
  raw_flip("batches", raw_key(1, 0, 3), 55); /* this one says less */
  checked_salvage();
  struct uk_log *log = checked_open_target();
  int64_t first = -1, end = -1;
  CHECK(uk_log_bounds(log, uk_slice_text("a"), 1, &first, &end));
  CHECK(first == end && end > 1 && end < 100);
  CHECK_EQ_INT(rig_put(log, "a", 1, "next", -1), end);
  CHECK_EQ_INT(rig_put(log, "b", 0, "next", -1), (1 << 24) + 1);
  CHECK_EQ_INT(rig_put(log, "a", 0, "next", -1), (1 << 24) + 3);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* It has no batches, the next one has. */
static void an_empty_partition_ends_at_0(void)
{
  struct uk_log_options options = rig_options();
  checked_write_log();
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(rig_put(log, "c", 1, "of c", 1000), 0);
  CHECK_EQ_INT(rig_commit(log, "readers", "c", 0, 1), UK_OK);
  CHECK_EQ_INT(rig_commit(log, "others", "c", 0, 0), UK_OK);
  CHECK_EQ_INT(rig_commit(log, "readers", "c", 1, 1), UK_OK);
  uk_log_close(log);
  checked_salvage();
  CHECK_EQ_STR(checked.notes,
               "topic \"c\" partition 0: the committed offset 1 of group \"readers\" "
               "lies beyond the end, and is not copied\n");
  log = checked_open_target();
  int64_t offset = -2;
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("others"), uk_slice_text("c"), 0, &offset),
               UK_OK);
  CHECK_EQ_INT(offset, 0);
  CHECK_EQ_INT(checked_committed(log, "c", 1), 1);
  checked_log(log, "c", 0, 0, 0, "");
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* More than one transaction takes. */
static void a_large_log_is_copied(void)
{
  enum { COUNT = 20, BYTES = 1 << 20 };
  static char value[BYTES + 1];
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  memset(value, 'x', BYTES);
  for (int i = 0; i < COUNT; i++)
    CHECK_EQ_INT(rig_put(log, "large", 0, value, i), i);
  uk_log_close(log);
  checked_salvage();
  CHECK_EQ_INT(checked_folder(checked.target, NULL), UK_OK);
  CHECK_EQ_STR(checked.told, "");
  CHECK_EQ_INT(checked.result.records, COUNT);
  checked_remove_target();
  rig_remove();
}

static int open_files(void)
{
  int files = 0;
  DIR *folder = opendir("/proc/self/fd");
  while (folder != NULL && readdir(folder) != NULL)
    files++;
  if (folder != NULL)
    closedir(folder);
  return files;
}

/* The ID of a topic that only its rows show is not given again. */
static void the_next_id_is_greater_than_all(void)
{
  uint64_t id = 0;
  checked_write_log();
  int files = open_files();
  raw_flip("meta", raw_text("next_topic"), 3);
  raw_flip("topics", raw_text("b"), 11);
  unlink(raw_path("identity"));
  checked_salvage();
  CHECK_EQ_INT(open_files(), files);
  uint8_t next[UK_LOG_NUMBER] = {0};
  CHECK_EQ_INT(raw_row(checked.target, "meta", raw_text("next_topic"), next, sizeof next),
               UK_LOG_NUMBER);
  CHECK_EQ_INT(uk_load_u64(next), 3);
  struct uk_log *log = checked_open_target();
  checked_log(log, "salvaged-2", 0, 0, 1, "of b\n");
  CHECK_EQ_INT(rig_put(log, "new", 0, "v", -1), 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("new"), &id), 2);
  CHECK(id > 2);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* A gap has no timestamp. */
static void a_copy_is_copied(void)
{
  char copy[sizeof checked.target];
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 4; i++) /* the last two have the same */
    CHECK_EQ_INT(rig_put(log, "t", 0, "v", i < 3 ? -30 + 10 * i : -10), i);
  uk_log_close(log);
  raw_flip("batches", raw_key(1, 0, 1), 10);
  checked_salvage();
  memcpy(copy, checked.target, sizeof copy);
  snprintf(checked.target, sizeof checked.target, "%s-second", rig_directory());
  CHECK_EQ_INT(checked_folder(copy, checked.target), UK_OK);
  CHECK_EQ_STR(checked.told, "");
  log = checked_open_target();
  checked_log(log, "t", 0, 0, 4, "v\nv\nv\n");
  int64_t offset = -1;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, -15, &offset), UK_OK);
  CHECK_EQ_INT(offset, 2);
  uk_log_close(log);
  checked_remove_target();
  memcpy(checked.target, copy, sizeof copy);
  checked_remove_target();
  rig_remove();
}

/* With this limit on the size of files. */
static enum uk_error salvage_within(size_t bytes)
{
  struct rlimit limit, small;
  CHECK_EQ_INT(getrlimit(RLIMIT_FSIZE, &limit), 0);
  small = limit;
  small.rlim_cur = bytes;
  CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
  enum uk_error error = checked_into(checked_target());
  CHECK_EQ_INT(setrlimit(RLIMIT_FSIZE, &limit), 0);
  return error;
}

/* A log that is not complete gets no name. There is no room for the tables, then for the copy, and
 * at last for both. */
static void a_copy_that_cannot_be_written_is_removed(void)
{
  enum { STEP = 8 << 10, LIMITS = 100 };
  char tables[700], copy[700], unfinished[600];
  int without_tables = 0, without_copy = 0, limit = 1;
  signal(SIGXFSZ, SIG_IGN);
  checked_write_log();
  snprintf(unfinished, sizeof unfinished, "%s.unfinished", checked_target());
  snprintf(tables, sizeof tables,
           "cannot open the log in %s: the limit on the size of files (ulimit -f) is too low",
           unfinished);
  snprintf(copy, sizeof copy,
           "cannot write the log in %s: data.mdb has reached the limit on the size of files "
           "(ulimit -f)",
           checked.target);
  for (; limit < LIMITS && salvage_within((size_t)limit * STEP) != UK_OK; limit++) {
    without_tables += strcmp(checked.message, tables) == 0;
    without_copy += strcmp(checked.message, copy) == 0;
    CHECK_EQ_INT(without_tables + without_copy, limit);
    CHECK(access(checked.target, F_OK) != 0 && access(unfinished, F_OK) != 0);
  }
  CHECK(without_tables > 0 && without_copy > 0 && limit < LIMITS);
  CHECK(access(checked.target, F_OK) == 0);
  checked_remove_target();
  rig_remove();
}

/* The folder. */

static void check_made(const char *named)
{
  struct uk_log *log = NULL;
  if (!CHECK_EQ_INT(checked_into(named), UK_OK))
    fprintf(stderr, "  %s\n", checked.message);
  if ((log = checked_open_target()) != NULL)
    checked_log(log, "b", 0, 0, 1, "of b\n");
  uk_log_close(log);
  checked_remove_target();
}

static void its_name_may_have_slashes_or_none(void)
{
  char name[600], before[PATH_MAX], above[PATH_MAX];
  checked_write_log();
  snprintf(above, sizeof above, "%s", checked_target());
  *strrchr(above, '/') = '\0';
  snprintf(name, sizeof name, "%s//", checked.target);
  synced[0] = '\0';
  check_made(name);
  REQUIRE(getcwd(before, sizeof before) != NULL && chdir(above) == 0);
  check_made(strrchr(checked.target, '/') + 1);
  CHECK_EQ_INT(chdir(before), 0);
  rig_remove();
}

/* A power failure leaves the folder with its name or without, never a part of it. */
static void the_folder_above_is_synced_last(void)
{
  char above[PATH_MAX], before[PATH_MAX];
  checked_write_log();
  snprintf(above, sizeof above, "%s", checked_target());
  *strrchr(above, '/') = '\0';
  synced[0] = '\0';
  CHECK_EQ_INT(checked_into(checked.target), UK_OK);
  CHECK_EQ_STR(synced, above);
  checked_remove_target();
  REQUIRE(getcwd(before, sizeof before) != NULL && chdir(above) == 0);
  synced[0] = '\0';
  CHECK_EQ_INT(checked_into(strrchr(checked.target, '/') + 1), UK_OK);
  CHECK_EQ_STR(synced, above);
  CHECK_EQ_INT(chdir(before), 0);
  checked_remove_target();
  rig_remove();
}

/* What somebody else has made there stays. */
static void a_folder_in_the_way_is_left_alone(void)
{
  static const char *const ends[] = {"", ".unfinished"};
  const struct uk_log_origin origin = {.life = 1, .next_topic = 1, .bytes = 1};
  struct uk_log_salvage *salvage;
  char folder[520], file[600], text[700];
  checked_write_log();
  checked_target();
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    snprintf(folder, sizeof folder, "%s%s", checked.target, ends[i]);
    snprintf(file, sizeof file, "%s/data.mdb", folder);
    CHECK_EQ_INT(mkdir(folder, 0700), 0);
    close(open(file, O_WRONLY | O_CREAT, 0600));
    CHECK_EQ_INT(checked_into(checked.target), UK_E_UNAVAILABLE);
    snprintf(text, sizeof text, "cannot make the folder %s: File exists", folder);
    CHECK_EQ_STR(checked.message, text);
    /* It may also come while the check runs. */
    checked.message[0] = '\0';
    CHECK_EQ_INT(uk_log_salvage_open(&salvage, checked.target, &origin, checked.message,
                                     sizeof checked.message),
                 UK_E_UNAVAILABLE);
    CHECK_EQ_STR(checked.message, text);
    CHECK_EQ_INT(unlink(file), 0);
    CHECK_EQ_INT(rmdir(folder), 0);
  }
  CHECK_EQ_INT(symlink("nowhere", checked.target), 0);
  CHECK_EQ_INT(checked_into(checked.target), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(unlink(checked.target), 0);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(the_new_identity_knows_what_the_old_one_knew);
  CHECK_RUN(the_id_comes_from_the_log_or_its_identity);
  CHECK_RUN(the_settings_and_the_life_of_a_topic_stay);
  CHECK_RUN(a_topic_without_a_life_gets_one);
  CHECK_RUN(a_batch_keeps_its_life_and_arrival);
  CHECK_RUN(a_batch_of_version_1_arrived_before_the_upgrade);
  CHECK_RUN(the_end_lies_behind_a_damaged_batch);
  CHECK_RUN(an_empty_partition_ends_at_0);
  CHECK_RUN(a_large_log_is_copied);
  CHECK_RUN(the_next_id_is_greater_than_all);
  CHECK_RUN(a_copy_is_copied);
  CHECK_RUN(a_copy_that_cannot_be_written_is_removed);
  CHECK_RUN(its_name_may_have_slashes_or_none);
  CHECK_RUN(the_folder_above_is_synced_last);
  CHECK_RUN(a_folder_in_the_way_is_left_alone);
  return check_end();
}
