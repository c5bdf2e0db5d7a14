/* for: log_check.c, log_check_rows.c, log_check_batches.c
 *
 * Pages that are damaged, and the folder: what a check tells, and what a salvage keeps when whole
 * tables are lost. */
#include "server/log_engine/log_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "key_rig.h"
#include "log_check_rig.h"
#include "log_raw.h"
#include "log_rig.h"

enum { PAGE = 4096 };

static void fill(uint64_t page)
{
  static const char zeros[PAGE];
  int file = open(raw_path("data.mdb"), O_WRONLY);
  CHECK_EQ_INT(pwrite(file, zeros, PAGE, (off_t)page * PAGE), PAGE);
  close(file);
}

/* The page of the table's root; that of the tree of tables for NULL. */
static uint64_t root_of(const char *table)
{
  MDB_val key = raw_text(table != NULL ? table : ""), value;
  uint64_t root = 0;
  if (table == NULL) {
    static uint8_t metas[2 * PAGE];
    uint64_t transactions[2];
    int file = open(raw_path("data.mdb"), O_RDONLY);
    CHECK_EQ_INT(read(file, metas, sizeof metas), sizeof metas);
    close(file);
    memcpy(&transactions[0], metas + 16 + 32 + 96, 8);
    memcpy(&transactions[1], metas + PAGE + 16 + 32 + 96, 8);
    memcpy(&root, metas + (transactions[1] > transactions[0]) * PAGE + 16 + 24 + 48 + 40, 8);
    return root;
  }
  struct raw raw = raw_begin();
  MDB_dbi tables;
  MDB_cursor *cursor;
  CHECK_EQ_INT(mdb_dbi_open(raw.txn, NULL, 0, &tables), 0);
  CHECK_EQ_INT(mdb_cursor_open(raw.txn, tables, &cursor), 0);
  if (CHECK_EQ_INT(mdb_cursor_get(cursor, &key, &value, MDB_SET), 0))
    memcpy(&root, (const char *)value.mv_data + 40, sizeof root);
  mdb_cursor_close(cursor);
  raw_end(&raw);
  return root;
}

/* The lines of a table whose root, a leaf with so many entries, is damaged. */
static const char *lines_of(const char *table, uint64_t root, int entries)
{
  static char lines[500];
  snprintf(lines, sizeof lines,
           "%s: page %" PRIu64 " has another page's number\n"
           "%s: page %" PRIu64 " has 0 entries below it, not %d\n"
           "%s: page %" PRIu64 " has another number of pages below it\n",
           table, root, table, root, entries, table, root);
  return lines;
}

static void lose(const char *table, int entries)
{
  uint64_t root = root_of(table);
  fill(root);
  checked_tells(lines_of(table, root, entries));
  CHECK_EQ_INT(checked.result.damaged, 3);
}

static void a_damaged_page_is_told_once(void)
{
  static const struct {
    const char *table;
    int entries;
  } tables[] = {{"meta", 3}, {"lives", 1}, {"times", 5}, {"committed", 2}, {"batches", 5}};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    checked_write_log();
    lose(tables[i].table, tables[i].entries);
    CHECK_EQ_INT(checked.result.topics, 2);
    CHECK_EQ_INT(checked.result.records, strcmp(tables[i].table, "batches") == 0 ? 0 : 8);
    CHECK_EQ_INT(checked.result.committed, strcmp(tables[i].table, "committed") == 0 ? 0 : 2);
    rig_remove();
  }
  checked_write_log();
  uint64_t root = root_of(NULL);
  fill(root);
  checked_tells(lines_of("data.mdb", root, 9));
  rig_remove();
}

/* Lost pages explain why the rows of keys do not agree. */
static void a_damaged_page_of_keys_is_told_once(void)
{
  static const struct {
    const char *table;
    int entries;
  } tables[] = {{"meta", 4}, {"keys", 1}, {"expiries", 1}};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    checked_write_log();
    struct uk_log *log = keyed_open();
    REQUIRE(log != NULL);
    is_new(log, "a", 0);
    uk_log_close(log);
    checked_tells("");
    lose(tables[i].table, tables[i].entries);
    rig_remove();
  }
}

/* Also where more keys lack their rows than after a crash. */
static void a_lost_table_of_expiries_is_told_once(void)
{
  enum { KEYS = UK_LOG_KEYS_QUEUED + 1 };
  char key[20];
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  for (int i = 0; i < KEYS; i++) {
    snprintf(key, sizeof key, "%d", i);
    is_new(log, key, i);
  }
  uk_log_close(log);
  checked_tells("");
  lose("expiries", KEYS);
  rig_remove();
}

static void meta_pages_are_told(void)
{
  checked_write_log();
  fill(0);
  checked_tells("data.mdb: page 0 is not a meta page\n");
  CHECK_EQ_INT(checked.result.records, 8);
  fill(1);
  checked_tells("data.mdb: page 0 is not a meta page\ndata.mdb: page 1 is not a meta page\n");
  CHECK_EQ_INT(checked.result.damaged, 2);
  char text[700];
  snprintf(text, sizeof text, "nothing can be copied out of %s: data.mdb has no whole meta page",
           rig_directory());
  CHECK_EQ_INT(checked_into(checked_target()), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(checked.message, text);
  CHECK(access(checked.target, F_OK) != 0);
  rig_remove();
}

/* Without the batches, times and committed offsets say how far the partitions had come. */
static void ends_outlive_the_batches(void)
{
  checked_write_log();
  lose("batches", 5);
  checked_salvage();
  struct uk_log *log = checked_open_target();
  checked_log(log, "a", 0, 4, 6, ""); /* the time says 4 */
  checked_log(log, "a", 1, 1, 1, "");
  checked_log(log, "b", 0, 1, 1, "");
  CHECK_EQ_INT(checked_committed(log, "a", 0), 6);
  CHECK_EQ_INT(checked_committed(log, "a", 1), 1);
  CHECK_EQ_INT(rig_put(log, "a", 0, "next", -1), 6);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* No batch and no time is left: a committed offset is the only trace, if it is near. */
static void committed_offsets_outlive_the_batches(void)
{
  struct uk_log_options options = rig_options();
  checked_write_log();
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(rig_commit(log, "readers", "b", 1, (int64_t)UINT32_MAX + 1), UK_OK);
  CHECK_EQ_INT(rig_commit(log, "others", "a", 0, 7), UK_OK);
  uk_log_close(log);
  raw_delete_row("times", raw_time_key(0, 1000));
  raw_delete_row("times", raw_time_key(0, 2000));
  raw_delete_row("times", raw_time_key(0, 3000));
  fill(root_of("batches"));
  checked_salvage();
  CHECK_EQ_STR(checked.notes,
               "topic \"b\" partition 1: the committed offset 4294967296 of group \"readers\" lies "
               "beyond the end, and is not copied\n");
  log = checked_open_target();
  checked_log(log, "a", 0, 7, 7, "");
  CHECK_EQ_INT(checked_committed(log, "a", 0), 6);
  CHECK_EQ_INT(rig_put(log, "b", 1, "first", -1), 0);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

static void put_purge(uint64_t id)
{
  uint8_t key[8];
  uk_store_u64(key, id);
  raw_put_row("purges", (MDB_val){sizeof key, key}, "", 0);
}

/* Rows say which topics there were, except those that were deleted. */
static void A17_topics_are_made_for_the_rows_of_lost_ones(void)
{
  checked_write_log();
  put_purge(2);
  raw_put_row("batches", raw_key(1, UK_PARTITIONS_MAX, 0), "", 0);
  raw_put_row("batches", raw_key(1, -1, 0), "", 0);
  fill(root_of("topics"));
  checked_salvage();
  CHECK(strstr(checked.told,
               "batches: topic \"salvaged-1\" partition 1000 a row: there is no such "
               "partition\nbatches: topic \"salvaged-1\" partition -1 a row: there is "
               "no such partition\n") != NULL);
  CHECK_EQ_STR(checked.notes,
               "the name of the topic with the ID 1 is lost: it becomes \"salvaged-1\"\n"
               "2 rows are left of topics that do not exist (any more)\n");
  struct uk_log *log = checked_open_target();
  checked_log(log, "salvaged-1", 0, 0, 6, "value\nvalue\nvalue\nvalue\nvalue\nvalue\n");
  checked_log(log, "salvaged-1", 1, 0, 1, "one\n");
  CHECK_EQ_INT(checked_committed(log, "salvaged-1", 0), 6);
  uint64_t id;
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("salvaged-2"), &id), 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("salvaged-1"), &id), 2);
  CHECK_EQ_INT(id, 1);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* They lie before and behind one that is whole. */
static void A17_lost_topics_around_a_whole_one(void)
{
  struct uk_log_options options = rig_options();
  checked_write_log();
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(rig_create(log, "c", 4, -1, -1), UK_OK);
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(rig_put(log, "c", i, "of c", 1000), 0);
  uk_log_close(log);
  raw_flip("topics", raw_text("a"), 11);
  raw_flip("topics", raw_text("c"), 11);
  checked_salvage();
  log = checked_open_target();
  checked_log(log, "salvaged-1", 1, 0, 1, "one\n");
  checked_log(log, "b", 0, 0, 1, "of b\n");
  for (int i = 0; i < 3; i++)
    checked_log(log, "salvaged-3", i, 0, 1, "of c\n");
  CHECK_EQ_INT(rig_put(log, "d", 0, "new", 1000), 0);
  uk_log_close(log);
  CHECK_EQ_INT(checked_folder(checked.target, NULL), UK_OK);
  CHECK_EQ_STR(checked.told, "");
  CHECK_EQ_INT(checked.result.topics, 4);
  CHECK_EQ_INT(checked.result.committed, 2);
  checked_remove_target();
  rig_remove();
}

/* The folder. */

static void reports_what_it_cannot_open(void)
{
  char text[700];
  checked_target();
  CHECK_EQ_INT(checked_folder(checked.target, NULL), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "cannot open %s: No such file or directory", checked.target);
  CHECK_EQ_STR(checked.message, text);
  checked_write_log();
  unlink(raw_path("server.lock"));
  CHECK_EQ_INT(symlink("server.lock", raw_path("server.lock")), 0);
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "cannot open %s/server.lock: Too many levels of symbolic links",
           rig_directory());
  CHECK_EQ_STR(checked.message, text);
  CHECK_EQ_STR(checked.told, "");
  rig_remove();
}

static bool can_lock(int operation)
{
  int lock = open(raw_path("server.lock"), O_RDWR | O_CREAT, 0600);
  bool locked = flock(lock, operation | LOCK_NB) == 0;
  close(lock);
  return locked;
}

static int looks;

static void look_at_lock(void)
{
  looks++;
  CHECK(!can_lock(LOCK_EX)); /* no server starts */
  CHECK(can_lock(LOCK_SH));  /* another check may run */
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

static void no_server_starts_meanwhile(void)
{
  checked_write_log();
  int files = open_files();
  checked.meanwhile = look_at_lock;
  checked_tells("");
  checked.meanwhile = NULL;
  CHECK(looks > 0);
  CHECK(can_lock(LOCK_EX));
  CHECK_EQ_INT(open_files(), files);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_damaged_page_is_told_once);
  CHECK_RUN(a_damaged_page_of_keys_is_told_once);
  CHECK_RUN(a_lost_table_of_expiries_is_told_once);
  CHECK_RUN(meta_pages_are_told);
  CHECK_RUN(ends_outlive_the_batches);
  CHECK_RUN(committed_offsets_outlive_the_batches);
  CHECK_RUN(A17_topics_are_made_for_the_rows_of_lost_ones);
  CHECK_RUN(A17_lost_topics_around_a_whole_one);
  CHECK_RUN(reports_what_it_cannot_open);
  CHECK_RUN(no_server_starts_meanwhile);
  return check_end();
}
