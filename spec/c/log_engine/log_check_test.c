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
#include "common/clock.h"
#include "fault.h"
#include "log_check_rig.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_private.h"

static const char FIXTURE[] = "spec/fixtures/log-format-1/data.mdb";

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
  checked_write_log();
  unlink(raw_path("server.lock"));
  unlink(raw_path("lock.mdb"));
  list_folder(before, sizeof before);
  checked_tells("");
  CHECK_EQ_STR(checked.notes, "");
  CHECK_EQ_INT(checked.result.topics, 2);
  CHECK_EQ_INT(checked.result.batches, 5);
  CHECK_EQ_INT(checked.result.records, 8);
  CHECK_EQ_INT(checked.result.committed, 2);
  CHECK_EQ_INT(checked.result.damaged, 0);
  CHECK(checked.result.bytes > 8192);
  CHECK(checked.pages > 5 && checked.pages < checked.all);
  list_folder(after, sizeof after);
  CHECK_EQ_STR(after, before);
  rig_remove();
}

static void a_log_of_format_1_is_whole(void)
{
  raw_copy(FIXTURE, "data.mdb");
  checked_tells("");
  CHECK(checked.result.topics >= 4 && checked.result.records > 12);
  checked_salvage();
  struct uk_log *log = checked_open_target();
  static struct rig_read read;
  CHECK_EQ_INT(rig_read(log, &read, "orders", 0, 0), UK_OK);
  CHECK_EQ_INT(read.count, 12);
  checked_log(log, "emptied", 0, 2, 2, "");
  checked_log(log, "aged", 0, 1, 2, "future\n");
  CHECK_EQ_INT(checked_committed(log, "orders", 0), 7);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* Whatever its format was, its rows are read. */
static void a_log_without_its_format_is_read(void)
{
  raw_copy(FIXTURE, "data.mdb");
  checked_tells("");
  const struct uk_log_check_result whole = checked.result;
  raw_delete_row("meta", raw_text("format"));
  checked_tells("meta: the row \"format\" is missing\n");
  CHECK_EQ_INT(checked.result.topics, whole.topics);
  CHECK_EQ_INT(checked.result.records, whole.records);
  CHECK_EQ_INT(checked.result.committed, whole.committed);
  rig_remove();
}

static void a_log_without_topics_is_whole(void)
{
  struct uk_log_options options = rig_options();
  uk_log_close(rig_open(&options));
  checked_tells("");
  CHECK_EQ_STR(checked.notes, "");
  CHECK_EQ_INT(checked.result.topics, 0);
  rig_remove();
}

static void a_folder_that_a_server_has_open_is_refused(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  char text[700];
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "the directory %s is in use by a server (process %ld); stop it first",
           rig_directory(), (long)getpid());
  CHECK_EQ_STR(checked.message, text);
  uk_log_close(log);
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  rig_remove();
}

static void what_is_no_log_is_refused(void)
{
  rig_directory();
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, "data.mdb: No such file") != NULL);
  raw_put_row("strange", raw_text("key"), "value", 5);
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, "holds something other than a log") != NULL);
  rig_remove();
  checked_write_log();
  raw_put_row("meta", raw_text("needs magic"), "\0\0\0\1", 4);
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, "needs magic, which this version does not know") != NULL);
  raw_delete_row("meta", raw_text("needs magic"));
  raw_put_row("meta", raw_text("format"), "\0\0\0\3", 4);
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, "has format 3, which this version does not know (expected 2)") !=
        NULL);
  rig_remove();
}

/* Damage. */

#define WRONG_SUM "the checksum or the header of the batch is wrong\n"
#define NAMES_NONE "a row names a batch that is missing or damaged\n"

static void a_damaged_batch_is_told_with_its_offsets(void)
{
  checked_write_log();
  for (size_t byte = 0; byte < 60; byte++) {
    raw_flip("batches", raw_key(1, 0, 0), byte);
    checked_tells("batches: topic \"a\" partition 0 offsets 0 to 1: " WRONG_SUM);
    raw_flip("batches", raw_key(1, 0, 0), byte);
  }
  raw_flip("batches", raw_key(1, 0, 2), 10);
  raw_flip("batches", raw_key(1, 0, 3), 10);
  raw_flip("batches", raw_key(1, 1, 0), 10);
  checked_tells("batches: topic \"a\" partition 0 offsets 2 to 2: " WRONG_SUM
                "batches: topic \"a\" partition 0 from offset 3 on: " WRONG_SUM
                "batches: topic \"a\" partition 1 from offset 0 on: " WRONG_SUM);
  CHECK_EQ_INT(checked.result.batches, 2);
  CHECK_EQ_INT(checked.result.records, 3);
  CHECK_EQ_INT(checked.result.damaged, 3);
  rig_remove();
}

static void a_missing_batch_is_told(void)
{
  checked_write_log();
  raw_delete_row("batches", raw_key(1, 0, 2));
  checked_tells("batches: topic \"a\" partition 0 offsets 2 to 2: missing\n"
                "times: topic \"a\" partition 0 offset 2: " NAMES_NONE);
  raw_delete_row("batches", raw_key(1, 0, 3));
  checked_tells("times: topic \"a\" partition 0 offset 2: " NAMES_NONE
                "times: topic \"a\" partition 0 offset 3: " NAMES_NONE);
  rig_remove();
}

static void damaged_rows_are_told(void)
{
  checked_write_log();
  raw_flip("times", raw_time_key(0, 2000), 3);
  checked_tells("times: topic \"a\" partition 0 a row is damaged\n");
  raw_flip("times", raw_time_key(0, 2000), 3);
  uint8_t key[UK_LOG_PREFIX + 7];
  uk_log_key_prefix(key, 1, 0);
  memcpy(key + UK_LOG_PREFIX, "readers", 7);
  raw_flip("committed", (MDB_val){sizeof key, key}, 7);
  checked_tells("committed: topic \"a\" partition 0 group \"readers\": the row is damaged\n");
  CHECK_EQ_INT(checked.result.committed, 1);
  raw_flip("committed", (MDB_val){sizeof key, key}, 7);
  raw_flip("topics", raw_text("b"), 11);
  checked_tells("topics: the row of topic \"b\" is damaged\n");
  raw_flip("topics", raw_text("b"), 11);
  raw_flip("lives", (MDB_val){4, "\0\0\0\1"}, 3);
  checked_tells("lives: the row of life 1 is damaged\n");
  raw_flip("lives", (MDB_val){4, "\0\0\0\1"}, 3);
  raw_flip("meta", raw_text("next_topic"), 3);
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  CHECK(strstr(checked.told, "meta: the row \"next_topic\" is damaged\n") == checked.told);
  raw_flip("meta", raw_text("next_topic"), 3);
  raw_flip("meta", raw_text("log"), 3);
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  CHECK(strstr(checked.told, "meta: the row \"log\" is damaged\n") == checked.told);
  raw_flip("meta", raw_text("log"), 3);
  raw_put_row("purges", raw_text("x"), "", 0);
  checked_tells("purges: a row is damaged\n");
  raw_put_row("purges", raw_text("x2345678"), "y", 1);
  checked_tells("purges: a row is damaged\npurges: a row is damaged\n");
  raw_delete_row("purges", raw_text("x2345678"));
  raw_delete_row("purges", raw_text("x"));
  raw_put_row("keys", raw_text("\001ux"), "", 0);
  checked_tells("keys: has rows, but the row \"needs keys\" is missing\n"
                "keys: a row of user \"u\" is damaged: a repeat of that request is not "
                "recognized\n");
  raw_delete_row("keys", raw_text("\001ux"));
  raw_delete_row("meta", raw_text("format"));
  checked_tells("meta: the row \"format\" is missing\n");
  rig_remove();
}

static void rows_with_impossible_keys_are_told(void)
{
  checked_write_log();
  raw_put_row("batches", raw_text("short"), "", 0);
  raw_put_row("times", raw_text("short"), "", 0);
  raw_put_row("committed", raw_text("short"), "", 0);
  checked_tells("batches: a row has an impossible key\ntimes: a row has an impossible key\n"
                "committed: a row has an impossible key\n");
  raw_delete_row("batches", raw_text("short"));
  raw_delete_row("times", raw_text("short"));
  raw_delete_row("committed", raw_text("short"));
  raw_put_row("batches", raw_key(1, 2, 0), "", 0);
  checked_tells("batches: topic \"a\" partition 2 a row: there is no such partition\n");
  raw_delete_row("batches", raw_key(1, 2, 0));
  raw_put_row("batches", raw_key(3, 0, 0), "", 0);
  checked_tells("");
  CHECK_EQ_STR(checked.notes, "1 rows are left of topics that do not exist (any more)\n");
  rig_remove();
}

static void A7_a_log_that_was_emptied_is_told(void)
{
  checked_write_log();
  unlink(raw_path("data.mdb"));
  struct raw raw = raw_begin();
  raw_put(&raw, "meta", raw_text("format"), (MDB_val){4, "\0\0\0\1"});
  raw_end(&raw);
  checked_tells("meta: the log held topics, and data.mdb holds none\n");
  rig_remove();
}

/* Salvage. */

static void a_whole_log_is_copied_in_a_new_life(void)
{
  struct uk_log_identity before, after;
  checked_write_log();
  checked_salvage();
  CHECK_EQ_STR(checked.told, "");
  CHECK_EQ_STR(checked.notes, "");
  struct uk_log *log = checked_open_target();
  checked_log(log, "a", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\nvalue\n");
  checked_log(log, "a", 1, 0, 1, "one\n");
  checked_log(log, "b", 0, 0, 1, "of b\n");
  CHECK_EQ_INT(checked_committed(log, "a", 0), 6);
  CHECK_EQ_INT(rig_put(log, "a", 0, "next", 4000), 6);
  CHECK_EQ_INT(rig_put(log, "c", 0, "a topic with a new ID", 4000), 0);
  uint64_t id = 0;
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("c"), &id), 2);
  CHECK(id > 2);
  int64_t offset = -1;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("a"), 0, 2500, &offset), UK_OK);
  CHECK_EQ_INT(offset, 3);
  uk_log_close(log);
  int old = open(rig_directory(), O_RDONLY | O_DIRECTORY), new = open(checked.target, O_RDONLY);
  CHECK_EQ_INT(uk_log_identity_read(old, &before), UK_LOG_IDENTITY_OK);
  CHECK_EQ_INT(uk_log_identity_read(new, &after), UK_LOG_IDENTITY_OK);
  CHECK(memcmp(before.id, after.id, sizeof before.id) == 0);
  CHECK_EQ_INT(after.life, before.life + 1);
  close(old);
  close(new);
  checked_remove_target();
  rig_remove();
}

static void what_is_lost_leaves_a_gap(void)
{
  checked_write_log();
  raw_flip("batches", raw_key(1, 0, 2), 10);
  checked_salvage();
  CHECK_EQ_STR(checked.told, "batches: topic \"a\" partition 0 offsets 2 to 2: " WRONG_SUM
                             "times: topic \"a\" partition 0 offset 2: " NAMES_NONE);
  struct uk_log *log = checked_open_target();
  checked_log(log, "a", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\n");
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* Whatever says how far the partition had come keeps its offsets from being given again. */
static void no_offset_is_given_twice(void)
{
  checked_write_log();
  raw_flip("batches", raw_key(1, 0, 3), 60); /* a record */
  checked_salvage();
  struct uk_log *log = checked_open_target();
  CHECK(rig_put(log, "a", 0, "next", 4000) >= 6);
  checked_log(log, "a", 1, 0, 1, "one\n");
  uk_log_close(log);
  checked_remove_target();
  raw_delete_row("batches", raw_key(1, 0, 3)); /* the time remains */
  checked_salvage();
  log = checked_open_target();
  CHECK_EQ_INT(checked_committed(log, "a", 0), 6); /* it is the end then */
  checked_log(log, "a", 0, 0, 6, "value\nvalue\nvalue\n");
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

static void committed_offsets_beyond_a_known_end_are_dropped_and_told(void)
{
  struct uk_log_options options = rig_options();
  checked_write_log();
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(rig_commit(log, "readers", "a", 0, 7), UK_OK);
  uk_log_close(log);
  checked_salvage();
  CHECK_EQ_STR(checked.notes,
               "topic \"a\" partition 0: the committed offset 7 of group \"readers\" lies "
               "beyond the end, and is not copied\n");
  log = checked_open_target();
  CHECK_EQ_INT(checked_committed(log, "a", 0), -1);
  CHECK_EQ_INT(checked_committed(log, "a", 1), 1);
  checked_log(log, "b", 0, 0, 1, "of b\n");
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* A committed offset may be as far off as a batch can reach, and no farther. */
static void a_trace_of_an_end_has_a_limit(void)
{
  int64_t first = -1, end = -1;
  uint8_t key[UK_LOG_PREFIX + 3];
  checked_write_log();
  raw_flip("batches", raw_key(1, 0, 3), 60);
  checked_salvage();
  struct uk_log *log = checked_open_target();
  CHECK(uk_log_bounds(log, uk_slice_text("a"), 0, &first, &end));
  uk_log_close(log);
  checked_remove_target();
  uk_log_key_prefix(key, 1, 0);
  memcpy(key + UK_LOG_PREFIX, "far", 3);
  for (int64_t more = 0; more < 2; more++) {
    const int64_t far = end + UINT32_MAX + more;
    raw_put_number("committed", (MDB_val){sizeof key, key}, (uint64_t)far);
    checked_salvage();
    CHECK_EQ_INT(strstr(checked.notes, "lies beyond the end") != NULL, more == 1);
    CHECK_EQ_INT(checked_folder(checked.target, NULL), UK_OK);
    CHECK_EQ_STR(checked.told, "");
    log = checked_open_target();
    int64_t last = -1;
    CHECK(uk_log_bounds(log, uk_slice_text("a"), 0, &first, &last));
    CHECK_EQ_INT(last, more == 0 ? far : end);
    uk_log_close(log);
    checked_remove_target();
  }
  rig_remove();
}

static void A17_a_topic_without_its_row_is_copied_under_another_name(void)
{
  checked_write_log();
  raw_flip("topics", raw_text("a"), 11);
  checked_salvage();
  CHECK_EQ_STR(checked.told, "topics: the row of topic \"a\" is damaged\n");
  CHECK_EQ_STR(checked.notes,
               "the name of the topic with the ID 1 is lost: it becomes \"salvaged-1\"\n");
  struct uk_log *log = checked_open_target();
  checked_log(log, "salvaged-1", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\nvalue\n");
  checked_log(log, "salvaged-1", 1, 0, 1, "one\n");
  checked_log(log, "b", 0, 0, 1, "of b\n");
  CHECK_EQ_INT(checked_committed(log, "salvaged-1", 1), 1);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* However many partitions its rows show. A deleted topic is not copied, although its row is lost as
 * well. */
static void A17_each_partition_of_a_topic_without_its_row_is_copied(void)
{
  static const uint8_t deleted[8] = {0, 0, 0, 0, 0, 0, 0, 2};
  struct uk_log_options options = rig_options();
  uint8_t row[UK_LOG_TOPIC_ROW] = {0};
  const int64_t earliest = uk_clock_epoch();
  options.partitions = 4;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int32_t i = 0; i < 4; i++) {
    CHECK_EQ_INT(rig_put(log, "a", i, "of a", 1000), 0);
    CHECK_EQ_INT(rig_commit(log, "readers", "a", i, 1), UK_OK);
  }
  CHECK_EQ_INT(rig_put(log, "b", 0, "of b", 1000), 0);
  uk_log_close(log);
  raw_flip("topics", raw_text("a"), 11);
  raw_delete_row("topics", raw_text("b"));
  raw_put_row("purges", (MDB_val){8, (void *)(uintptr_t)deleted}, "", 0);
  checked_salvage();
  CHECK_EQ_STR(checked.notes,
               "the name of the topic with the ID 1 is lost: it becomes \"salvaged-1\"\n"
               "2 rows are left of topics that do not exist (any more)\n");
  CHECK_EQ_INT(raw_row(checked.target, "topics", raw_text("salvaged-1"), row, sizeof row),
               UK_LOG_TOPIC_ROW);
  const int64_t created = (int64_t)uk_load_u64(row + 28);
  CHECK(created >= earliest && created <= uk_clock_epoch());
  log = checked_open_target();
  for (int32_t i = 0; i < 4; i++) {
    checked_log(log, "salvaged-1", i, 0, 1, "of a\n");
    CHECK_EQ_INT(checked_committed(log, "salvaged-1", i), 1);
  }
  uint64_t id;
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("salvaged-1"), &id), 4);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("salvaged-2"), &id), 0);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

static void a_salvaged_log_is_whole(void)
{
  checked_write_log();
  raw_flip("batches", raw_key(1, 0, 2), 10);
  raw_flip("batches", raw_key(1, 1, 0), 10);
  checked_salvage();
  CHECK_EQ_INT(checked_folder(checked.target, NULL), UK_OK);
  CHECK_EQ_STR(checked.told, "");
  CHECK_EQ_INT(checked.result.records, 6);
  CHECK_EQ_INT(checked.result.batches, 4); /* a gap is one, a marker is none */
  checked_remove_target();
  rig_remove();
}

/* It is refused before the first page is read. */
static void the_new_folder_may_not_exist(void)
{
  static const char *const ends[] = {"", ".unfinished"};
  char folder[600], text[700];
  checked_write_log();
  for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
    snprintf(folder, sizeof folder, "%s%s", checked_target(), ends[i]);
    snprintf(text, sizeof text, "cannot make the folder %s: File exists", folder);
    CHECK_EQ_INT(mkdir(folder, 0700), 0);
    CHECK_EQ_INT(checked_into(checked.target), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(checked.message, text);
    CHECK_EQ_INT(checked.result.bytes, 0);
    CHECK_EQ_INT(rmdir(folder), 0);
  }
  rig_remove();
}

static bool exists(const char *end)
{
  char path[600];
  snprintf(path, sizeof path, "%s%s", checked.target, end);
  return access(path, F_OK) == 0;
}

static void nothing_is_left_of_a_salvage_that_failed(void)
{
  struct uk_log_options options = rig_options();
  checked_write_log();
  raw_flip("topics", raw_text("a"), 11);
  struct uk_log *log = rig_open(&options);
  uk_log_close(log);
  checked_target();
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    enum uk_error error = checked_into(checked.target);
    hit = fault_hit();
    fault_off();
    if (error == UK_OK) {
      CHECK_EQ_INT(checked_folder(checked.target, NULL), UK_OK);
      CHECK_EQ_INT(checked.result.records, 8); /* it could do without */
      checked_remove_target();
    } else {
      CHECK(!exists("") && !exists(".unfinished"));
    }
    CHECK(hit ? error == UK_E_NO_MEMORY || error == UK_OK : error == UK_OK);
    CHECK_EQ_INT(fault_live(), live);
  }
  rig_remove();
}

/* What could not be looked at is never called whole. */
static void a_check_without_memory_says_so(void)
{
  static const uint8_t deleted[8] = {7};
  char text[600];
  checked_write_log();
  raw_put_row("purges", (MDB_val){sizeof deleted, (void *)(uintptr_t)deleted}, "", 0);
  snprintf(text, sizeof text, "out of memory while checking the log in %s", rig_directory());
  long live = fault_live(), n = 1;
  for (bool hit = true; hit; n++) {
    fault_at(n);
    enum uk_error error = checked_into(NULL);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK_EQ_STR(checked.message, hit ? text : "");
    CHECK_EQ_INT(fault_live(), live);
  }
  CHECK(n > 10);
  rig_remove();
}

/* To open it would wait for its other end. */
static void a_named_pipe_is_refused(void)
{
  static const char *const names[] = {"server.lock", "identity", "data.mdb"};
  char text[600];
  checked_write_log();
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    unlink(raw_path(names[i]));
    REQUIRE(mkfifo(raw_path(names[i]), 0600) == 0);
    snprintf(text, sizeof text, "%s/%s is not a regular file", rig_directory(), names[i]);
    CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
    CHECK_EQ_STR(checked.message, text);
    CHECK_EQ_INT(unlink(raw_path(names[i])), 0);
  }
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_check_without_memory_says_so);
  CHECK_RUN(a_whole_log_has_no_damage_and_is_not_changed);
  CHECK_RUN(a_log_of_format_1_is_whole);
  CHECK_RUN(a_log_without_its_format_is_read);
  CHECK_RUN(a_log_without_topics_is_whole);
  CHECK_RUN(A17_each_partition_of_a_topic_without_its_row_is_copied);
  CHECK_RUN(a_trace_of_an_end_has_a_limit);
  CHECK_RUN(a_folder_that_a_server_has_open_is_refused);
  CHECK_RUN(what_is_no_log_is_refused);
  CHECK_RUN(a_named_pipe_is_refused);
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
