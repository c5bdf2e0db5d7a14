/* for: log_check.c, log_check_rows.c, log_check_batches.c, log_salvage.c
 *
 * A log is written, its rows are damaged, and check tells of it; a salvaged log has the rest. */
#include "server/log_engine/log_check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_private.h"

static const char FIXTURE[] = "spec/fixtures/log-format-1/data.mdb";

/* What the last check told. */
static char told[8000], notes[4000], message[600];
static struct uk_log_check_result result;
static uint64_t progress_pages, progress_all;
static char target[500];

static void add_line(char *text, size_t size, const char *line)
{
  size_t used = strlen(text);
  snprintf(text + used, size - used, "%s\n", line);
}

static void on_damage(void *context, const char *line)
{
  CHECK(context == told);
  add_line(told, sizeof told, line);
}

static void on_note(void *context, const char *line)
{
  (void)context;
  add_line(notes, sizeof notes, line);
}

static void on_progress(void *context, uint64_t pages, uint64_t all)
{
  (void)context;
  progress_pages = pages;
  progress_all = all;
}

static enum uk_error check_into(const char *salvage)
{
  const struct uk_log_check check = {.directory = rig_directory(),
                                     .salvage = salvage,
                                     .context = told,
                                     .damaged = on_damage,
                                     .note = on_note,
                                     .progress = on_progress};
  told[0] = notes[0] = message[0] = '\0';
  return uk_log_check(&check, &result, message, sizeof message);
}

/* A check tells exactly these lines. */
static void check_told(const char *lines)
{
  CHECK_EQ_INT(check_into(NULL), UK_OK);
  CHECK_EQ_STR(told, lines);
}

static void remove_target(void)
{
  static const char *const names[] = {"data.mdb", "lock.mdb", "server.lock", "identity", "reserve"};
  char path[600];
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(path, sizeof path, "%s/%s", target, names[i]);
    unlink(path);
  }
  rmdir(target);
}

static void salvage(void)
{
  snprintf(target, sizeof target, "%s-new", rig_directory());
  if (!CHECK_EQ_INT(check_into(target), UK_OK))
    fprintf(stderr, "  %s\n", message);
}

static struct uk_log *open_target(void)
{
  struct uk_log_options options = rig_options();
  options.directory = target;
  return rig_open(&options);
}

/* Topic "a": in partition 0 three batches of 2, 1 and 3 records; in partition 1 one record. Topic
 * "b": one record. The IDs are 1 and 2. */
static void put(struct uk_log *log, int count, int64_t timestamp)
{
  struct uk_record records[3];
  for (int i = 0; i < count; i++) {
    records[i] = rig_record("a", 0, "value");
    records[i].timestamp = timestamp;
  }
  CHECK_EQ_INT(rig_produce(log, records, (size_t)count, message), UK_OK);
}

static void write_log(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  put(log, 2, 1000);
  put(log, 1, 2000);
  put(log, 3, 3000);
  CHECK_EQ_INT(rig_put(log, "a", 1, "one", 1000), 0);
  CHECK_EQ_INT(rig_put(log, "b", 0, "of b", 1000), 0);
  CHECK_EQ_INT(rig_commit(log, "readers", "a", 0, 6), UK_OK);
  CHECK_EQ_INT(rig_commit(log, "readers", "a", 1, 1), UK_OK);
  uk_log_close(log);
}

static MDB_val time_key(int32_t partition, int64_t timestamp)
{
  return raw_key(1, partition, (int64_t)uk_log_key_time(timestamp));
}

static void delete_row(const char *table, MDB_val key)
{
  struct raw raw = raw_begin();
  raw_delete(&raw, table, key);
  raw_end(&raw);
}

static void put_row(const char *table, MDB_val key, const char *data, size_t length)
{
  struct raw raw = raw_begin();
  raw_put(&raw, table, key, (MDB_val){length, (void *)(uintptr_t)data});
  raw_end(&raw);
}

static void check_log(struct uk_log *log, const char *topic, int32_t partition, int64_t want_first,
                      int64_t want_end, const char *text)
{
  static struct rig_read read;
  int64_t first = -1, end = -1;
  CHECK(uk_log_bounds(log, uk_slice_text(topic), partition, &first, &end));
  CHECK_EQ_INT(first, want_first);
  CHECK_EQ_INT(end, want_end);
  if (!CHECK_EQ_INT(rig_read(log, &read, topic, partition, first), UK_OK))
    fprintf(stderr, "  %s\n", read.operation.message);
  CHECK_EQ_STR(read.text, text);
  CHECK_EQ_INT(read.next, want_end);
}

static int64_t committed(struct uk_log *log, const char *topic, int32_t partition)
{
  int64_t offset = -2;
  CHECK_EQ_INT(
    uk_log_committed(log, uk_slice_text("readers"), uk_slice_text(topic), partition, &offset),
    UK_OK);
  return offset;
}

/* Whole. */

/* The names and times of a folder's files. */
static void list_folder(char *text, size_t size)
{
  DIR *folder = opendir(rig_directory());
  const struct dirent *entry;
  struct stat status;
  uint64_t sum = 0;
  int files = 0;
  while ((entry = readdir(folder)) != NULL) {
    if (entry->d_name[0] == '.')
      continue;
    fstatat(dirfd(folder), entry->d_name, &status, 0);
    sum += (uint64_t)status.st_mtim.tv_nsec + (uint64_t)status.st_size;
    files++;
  }
  closedir(folder);
  snprintf(text, size, "%d files, %" PRIu64, files, sum);
}

static void a_whole_log_has_no_damage_and_is_not_changed(void)
{
  char before[100], after[100];
  write_log();
  unlink(raw_path("server.lock"));
  unlink(raw_path("lock.mdb"));
  list_folder(before, sizeof before);
  check_told("");
  CHECK_EQ_STR(notes, "");
  CHECK_EQ_INT(result.topics, 2);
  CHECK_EQ_INT(result.batches, 5);
  CHECK_EQ_INT(result.records, 8);
  CHECK_EQ_INT(result.committed, 2);
  CHECK_EQ_INT(result.damaged, 0);
  CHECK(result.bytes > 8192);
  CHECK(progress_pages > 5 && progress_pages < progress_all);
  list_folder(after, sizeof after);
  CHECK_EQ_STR(after, before);
  rig_remove();
}

static void a_log_of_format_1_is_whole(void)
{
  raw_copy(FIXTURE, "data.mdb");
  check_told("");
  CHECK(result.topics >= 4 && result.records > 12);
  salvage();
  struct uk_log *log = open_target();
  static struct rig_read read;
  CHECK_EQ_INT(rig_read(log, &read, "orders", 0, 0), UK_OK);
  CHECK_EQ_INT(read.count, 12);
  check_log(log, "emptied", 0, 2, 2, "");
  check_log(log, "aged", 0, 1, 2, "future\n");
  CHECK_EQ_INT(committed(log, "orders", 0), 7);
  uk_log_close(log);
  remove_target();
  rig_remove();
}

static void a_folder_that_a_server_has_open_is_refused(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  char text[700];
  CHECK_EQ_INT(check_into(NULL), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "the directory %s is in use by a server (process %ld); stop it first",
           rig_directory(), (long)getpid());
  CHECK_EQ_STR(message, text);
  uk_log_close(log);
  CHECK_EQ_INT(check_into(NULL), UK_OK);
  rig_remove();
}

static void what_is_no_log_is_refused(void)
{
  rig_directory();
  CHECK_EQ_INT(check_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "data.mdb: No such file") != NULL);
  put_row("strange", raw_text("key"), "value", 5);
  CHECK_EQ_INT(check_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "holds something other than a log") != NULL);
  rig_remove();
  write_log();
  put_row("meta", raw_text("needs magic"), "\0\0\0\1", 4);
  CHECK_EQ_INT(check_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "needs magic, which this version does not know") != NULL);
  delete_row("meta", raw_text("needs magic"));
  put_row("meta", raw_text("format"), "\0\0\0\3", 4);
  CHECK_EQ_INT(check_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "has format 3, which this version does not know (expected 2)") != NULL);
  rig_remove();
}

/* Damage. */

#define WRONG_SUM "the checksum or the header of the batch is wrong\n"
#define NAMES_NONE "a row names a batch that is missing or damaged\n"

static void a_damaged_batch_is_told_with_its_offsets(void)
{
  write_log();
  for (size_t byte = 0; byte < 60; byte++) {
    raw_flip("batches", raw_key(1, 0, 0), byte);
    check_told("batches: topic \"a\" partition 0 offsets 0 to 1: " WRONG_SUM);
    raw_flip("batches", raw_key(1, 0, 0), byte);
  }
  raw_flip("batches", raw_key(1, 0, 2), 10);
  raw_flip("batches", raw_key(1, 0, 3), 10);
  raw_flip("batches", raw_key(1, 1, 0), 10);
  check_told("batches: topic \"a\" partition 0 offsets 2 to 2: " WRONG_SUM
             "batches: topic \"a\" partition 0 from offset 3 on: " WRONG_SUM
             "batches: topic \"a\" partition 1 from offset 0 on: " WRONG_SUM);
  CHECK_EQ_INT(result.batches, 2);
  CHECK_EQ_INT(result.records, 3);
  CHECK_EQ_INT(result.damaged, 3);
  rig_remove();
}

static void a_missing_batch_is_told(void)
{
  write_log();
  delete_row("batches", raw_key(1, 0, 2));
  check_told("batches: topic \"a\" partition 0 offsets 2 to 2: missing\n"
             "times: topic \"a\" partition 0 offset 2: " NAMES_NONE);
  delete_row("batches", raw_key(1, 0, 3));
  check_told("times: topic \"a\" partition 0 offset 2: " NAMES_NONE
             "times: topic \"a\" partition 0 offset 3: " NAMES_NONE);
  rig_remove();
}

static void damaged_rows_are_told(void)
{
  write_log();
  raw_flip("times", time_key(0, 2000), 3);
  check_told("times: topic \"a\" partition 0 a row is damaged\n");
  raw_flip("times", time_key(0, 2000), 3);
  uint8_t key[UK_LOG_PREFIX + 7];
  uk_log_key_prefix(key, 1, 0);
  memcpy(key + UK_LOG_PREFIX, "readers", 7);
  raw_flip("committed", (MDB_val){sizeof key, key}, 7);
  check_told("committed: topic \"a\" partition 0 group \"readers\": the row is damaged\n");
  CHECK_EQ_INT(result.committed, 1);
  raw_flip("committed", (MDB_val){sizeof key, key}, 7);
  raw_flip("topics", raw_text("b"), 11);
  check_told("topics: the row of topic \"b\" is damaged\n");
  raw_flip("topics", raw_text("b"), 11);
  raw_flip("lives", (MDB_val){4, "\0\0\0\1"}, 3);
  check_told("lives: the row of life 1 is damaged\n");
  raw_flip("lives", (MDB_val){4, "\0\0\0\1"}, 3);
  raw_flip("meta", raw_text("next_topic"), 3);
  CHECK_EQ_INT(check_into(NULL), UK_OK);
  CHECK(strstr(told, "meta: the row \"next_topic\" is damaged\n") == told);
  raw_flip("meta", raw_text("next_topic"), 3);
  raw_flip("meta", raw_text("log"), 3);
  CHECK_EQ_INT(check_into(NULL), UK_OK);
  CHECK(strstr(told, "meta: the row \"log\" is damaged\n") == told);
  raw_flip("meta", raw_text("log"), 3);
  put_row("purges", raw_text("x"), "", 0);
  check_told("purges: a row is damaged\n");
  delete_row("purges", raw_text("x"));
  put_row("keys", raw_text("x"), "", 0);
  check_told("keys: a table that is not in use yet has a row\n");
  delete_row("keys", raw_text("x"));
  delete_row("meta", raw_text("format"));
  check_told("meta: the row \"format\" is missing\n");
  rig_remove();
}

static void rows_with_impossible_keys_are_told(void)
{
  write_log();
  put_row("batches", raw_text("short"), "", 0);
  put_row("times", raw_text("short"), "", 0);
  put_row("committed", raw_text("short"), "", 0);
  check_told("batches: a row has an impossible key\ntimes: a row has an impossible key\n"
             "committed: a row has an impossible key\n");
  delete_row("batches", raw_text("short"));
  delete_row("times", raw_text("short"));
  delete_row("committed", raw_text("short"));
  put_row("batches", raw_key(1, 2, 0), "", 0);
  check_told("batches: topic \"a\" partition 2 a row: there is no such partition\n");
  delete_row("batches", raw_key(1, 2, 0));
  put_row("batches", raw_key(3, 0, 0), "", 0);
  check_told("");
  CHECK_EQ_STR(notes, "1 rows are left of topics that do not exist (any more)\n");
  rig_remove();
}

static void A7_a_log_that_was_emptied_is_told(void)
{
  write_log();
  unlink(raw_path("data.mdb"));
  struct raw raw = raw_begin();
  raw_put(&raw, "meta", raw_text("format"), (MDB_val){4, "\0\0\0\1"});
  raw_end(&raw);
  check_told("meta: the log held topics, and data.mdb holds none\n");
  rig_remove();
}

/* Salvage. */

static void a_whole_log_is_copied_in_a_new_life(void)
{
  struct uk_log_identity before, after;
  write_log();
  salvage();
  CHECK_EQ_STR(told, "");
  CHECK_EQ_STR(notes, "");
  struct uk_log *log = open_target();
  check_log(log, "a", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\nvalue\n");
  check_log(log, "a", 1, 0, 1, "one\n");
  check_log(log, "b", 0, 0, 1, "of b\n");
  CHECK_EQ_INT(committed(log, "a", 0), 6);
  CHECK_EQ_INT(rig_put(log, "a", 0, "next", 4000), 6);
  CHECK_EQ_INT(rig_put(log, "c", 0, "a topic with a new ID", 4000), 0);
  uint64_t id = 0;
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("c"), &id), 2);
  CHECK(id > 2);
  int64_t offset = -1;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("a"), 0, 2500, &offset), UK_OK);
  CHECK_EQ_INT(offset, 3);
  uk_log_close(log);
  int old = open(rig_directory(), O_RDONLY | O_DIRECTORY), new = open(target, O_RDONLY);
  CHECK_EQ_INT(uk_log_identity_read(old, &before), UK_LOG_IDENTITY_OK);
  CHECK_EQ_INT(uk_log_identity_read(new, &after), UK_LOG_IDENTITY_OK);
  CHECK(memcmp(before.id, after.id, sizeof before.id) == 0);
  CHECK_EQ_INT(after.life, before.life + 1);
  close(old);
  close(new);
  remove_target();
  rig_remove();
}

static void what_is_lost_leaves_a_gap(void)
{
  write_log();
  raw_flip("batches", raw_key(1, 0, 2), 10);
  salvage();
  CHECK_EQ_STR(told, "batches: topic \"a\" partition 0 offsets 2 to 2: " WRONG_SUM
                     "times: topic \"a\" partition 0 offset 2: " NAMES_NONE);
  struct uk_log *log = open_target();
  check_log(log, "a", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\n");
  uk_log_close(log);
  remove_target();
  rig_remove();
}

/* Whatever says how far the partition had come keeps its offsets from being given again. */
static void no_offset_is_given_twice(void)
{
  write_log();
  raw_flip("batches", raw_key(1, 0, 3), 60); /* a record */
  salvage();
  struct uk_log *log = open_target();
  CHECK(rig_put(log, "a", 0, "next", 4000) >= 6);
  check_log(log, "a", 1, 0, 1, "one\n");
  uk_log_close(log);
  remove_target();
  delete_row("batches", raw_key(1, 0, 3)); /* the time remains */
  salvage();
  log = open_target();
  CHECK_EQ_INT(committed(log, "a", 0), 6); /* it is the end then */
  check_log(log, "a", 0, 0, 6, "value\nvalue\nvalue\n");
  uk_log_close(log);
  remove_target();
  rig_remove();
}

static void committed_offsets_beyond_a_known_end_are_dropped_and_told(void)
{
  struct uk_log_options options = rig_options();
  write_log();
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(rig_commit(log, "readers", "a", 0, 7), UK_OK);
  uk_log_close(log);
  salvage();
  CHECK_EQ_STR(notes, "topic \"a\" partition 0: the committed offset 7 of group \"readers\" lies "
                      "beyond the end, and is not copied\n");
  log = open_target();
  CHECK_EQ_INT(committed(log, "a", 0), -1);
  CHECK_EQ_INT(committed(log, "a", 1), 1);
  check_log(log, "b", 0, 0, 1, "of b\n");
  uk_log_close(log);
  remove_target();
  rig_remove();
}

static void A17_a_topic_without_its_row_is_copied_under_another_name(void)
{
  write_log();
  raw_flip("topics", raw_text("a"), 11);
  salvage();
  CHECK_EQ_STR(told, "topics: the row of topic \"a\" is damaged\n");
  CHECK_EQ_STR(notes, "the name of the topic with the ID 1 is lost: it becomes \"salvaged-1\"\n");
  struct uk_log *log = open_target();
  check_log(log, "salvaged-1", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\nvalue\n");
  check_log(log, "salvaged-1", 1, 0, 1, "one\n");
  check_log(log, "b", 0, 0, 1, "of b\n");
  CHECK_EQ_INT(committed(log, "salvaged-1", 1), 1);
  uk_log_close(log);
  remove_target();
  rig_remove();
}

static void a_salvaged_log_is_whole(void)
{
  write_log();
  raw_flip("batches", raw_key(1, 0, 2), 10);
  raw_flip("batches", raw_key(1, 1, 0), 10);
  salvage();
  char old[500];
  snprintf(old, sizeof old, "%s", rig_directory());
  const struct uk_log_check check = {
    .directory = target, .context = told, .damaged = on_damage, .note = on_note};
  told[0] = '\0';
  CHECK_EQ_INT(uk_log_check(&check, &result, message, sizeof message), UK_OK);
  CHECK_EQ_STR(told, "");
  CHECK_EQ_INT(result.records, 6);
  remove_target();
  rig_remove();
}

static void the_new_folder_may_not_exist(void)
{
  write_log();
  snprintf(target, sizeof target, "%s-new", rig_directory());
  CHECK_EQ_INT(mkdir(target, 0700), 0);
  CHECK_EQ_INT(check_into(target), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "-new: File exists") != NULL);
  CHECK_EQ_INT(rmdir(target), 0);
  rig_remove();
}

static bool exists(const char *end)
{
  char path[600];
  snprintf(path, sizeof path, "%s%s", target, end);
  return access(path, F_OK) == 0;
}

static void nothing_is_left_of_a_salvage_that_failed(void)
{
  struct uk_log_options options = rig_options();
  write_log();
  raw_flip("topics", raw_text("a"), 11);
  struct uk_log *log = rig_open(&options);
  uk_log_close(log);
  snprintf(target, sizeof target, "%s-new", rig_directory());
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    enum uk_error error = check_into(target);
    hit = fault_hit();
    fault_off();
    if (error == UK_OK)
      remove_target();
    else
      CHECK(!exists("") && !exists(".unfinished"));
    CHECK(hit ? error == UK_E_NO_MEMORY || error == UK_OK : error == UK_OK);
    CHECK_EQ_INT(fault_live(), live);
  }
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_whole_log_has_no_damage_and_is_not_changed);
  CHECK_RUN(a_log_of_format_1_is_whole);
  CHECK_RUN(a_folder_that_a_server_has_open_is_refused);
  CHECK_RUN(what_is_no_log_is_refused);
  CHECK_RUN(a_damaged_batch_is_told_with_its_offsets);
  CHECK_RUN(a_missing_batch_is_told);
  CHECK_RUN(damaged_rows_are_told);
  CHECK_RUN(rows_with_impossible_keys_are_told);
  CHECK_RUN(A7_a_log_that_was_emptied_is_told);
  CHECK_RUN(a_whole_log_is_copied_in_a_new_life);
  CHECK_RUN(what_is_lost_leaves_a_gap);
  CHECK_RUN(no_offset_is_given_twice);
  CHECK_RUN(committed_offsets_beyond_a_known_end_are_dropped_and_told);
  CHECK_RUN(A17_a_topic_without_its_row_is_copied_under_another_name);
  CHECK_RUN(a_salvaged_log_is_whole);
  CHECK_RUN(the_new_folder_may_not_exist);
  CHECK_RUN(nothing_is_left_of_a_salvage_that_failed);
  return check_end();
}
