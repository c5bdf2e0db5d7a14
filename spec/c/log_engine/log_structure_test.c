/* for: log_structure.c
 *
 * A log whose pages are damaged is refused before LMDB opens it. */
#include "server/log_engine/log_structure.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "log_raw.h"
#include "log_rig.h"

enum { PAGE = 4096, RECORDS = 200 };

static char message[UK_MESSAGE_SIZE];

static void write_log(void)
{
  static char large[3 * PAGE];
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  memset(large, 'x', sizeof large - 1);
  for (int i = 0; i < RECORDS; i++)
    CHECK(rig_put(log, "small", i % 2, "value", -1) >= 0);
  CHECK_EQ_INT(rig_put(log, "large", 0, large, -1), 0);
  uk_log_close(log);
}

static enum uk_error open_log(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log;
  message[0] = '\0';
  enum uk_error error = uk_log_open(&log, &options, message, sizeof message);
  uk_log_close(log);
  return error;
}

static off_t length_of(void)
{
  struct stat status;
  return stat(raw_path("data.mdb"), &status) == 0 ? status.st_size : -1;
}

static void fill(off_t page, int byte)
{
  char bytes[PAGE];
  memset(bytes, byte, sizeof bytes);
  int file = open(raw_path("data.mdb"), O_WRONLY);
  CHECK_EQ_INT(pwrite(file, bytes, sizeof bytes, page * PAGE), PAGE);
  close(file);
}

/* The page of the table's root. */
static uint64_t root_of(const char *table)
{
  MDB_txn *txn;
  MDB_env *env;
  MDB_dbi dbi;
  MDB_cursor *cursor;
  MDB_val key = {strlen(table), (void *)(uintptr_t)table}, value;
  uint64_t root = 0;
  CHECK(mdb_env_create(&env) == 0 && mdb_env_open(env, rig_directory(), MDB_RDONLY, 0600) == 0);
  CHECK(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0);
  CHECK_EQ_INT(mdb_dbi_open(txn, NULL, 0, &dbi), 0);
  CHECK_EQ_INT(mdb_cursor_open(txn, dbi, &cursor), 0);
  if (CHECK(mdb_cursor_get(cursor, &key, &value, MDB_SET) == 0))
    memcpy(&root, (const char *)value.mv_data + 40, sizeof root);
  mdb_cursor_close(cursor);
  mdb_txn_abort(txn);
  mdb_env_close(env);
  return root;
}

static void check_refused(const char *what)
{
  char text[700];
  CHECK_EQ_INT(open_log(), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "; run upstash-kafka check %s", rig_directory());
  if (!CHECK(strstr(message, " is damaged: page ") != NULL && strstr(message, what) != NULL &&
             strstr(message, text) != NULL))
    fprintf(stderr, "  %s\n", message);
}

static void A5_a_file_that_was_cut_is_refused(void)
{
  write_log();
  const off_t length = length_of();
  const off_t lengths[] = {length - PAGE, length / 2, 2 * PAGE, PAGE, 100};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    CHECK_EQ_INT(truncate(raw_path("data.mdb"), lengths[i]), 0);
    check_refused("lies beyond the end of the file, which was cut off");
  }
  rig_remove();
}

static void A6_a_page_of_zeros_or_noise_is_refused(void)
{
  static const char *const tables[] = {"batches", "times", "topics", "meta", "lives"};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    char what[100];
    write_log();
    const off_t page = (off_t)root_of(tables[i]);
    snprintf(what, sizeof what, "page %ld of the table %s has another page's number", (long)page,
             tables[i]);
    fill(page, 0);
    check_refused(what);
    fill(page, 0xa5);
    check_refused(what);
    rig_remove();
  }
  write_log();
  fill(0, 0);
  check_refused("page 0 is not a meta page");
  fill(1, 0);
  check_refused("page 0 is not a meta page");
  rig_remove();
}

static void A7_a_file_without_its_topics_is_refused(void)
{
  write_log();
  CHECK_EQ_INT(truncate(raw_path("data.mdb"), 0), 0);
  CHECK_EQ_INT(open_log(), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "is damaged: it held topics, and data.mdb is empty") != NULL);
  CHECK_EQ_INT(unlink(raw_path("data.mdb")), 0);
  CHECK_EQ_INT(open_log(), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "is damaged: it held topics, and data.mdb is missing") != NULL);
  rig_remove();
}

/* LMDB frees as many pages as the first header of a value says. */
static void the_header_of_a_large_value_counts(void)
{
  const char value[] = "xxxxxxxx";
  char bytes[PAGE];
  write_log();
  int file = open(raw_path("data.mdb"), O_RDWR);
  off_t page = 2;
  while (pread(file, bytes, PAGE, page * PAGE) == PAGE && memcmp(bytes + 100, value, 8) != 0)
    page++;
  bytes[12] = 1;
  CHECK_EQ_INT(pwrite(file, bytes, PAGE, page * PAGE), PAGE);
  check_refused("of the table batches has another length");
  bytes[12] = 4;
  CHECK_EQ_INT(pwrite(file, bytes, PAGE, page * PAGE), PAGE);
  close(file);
  CHECK_EQ_INT(open_log(), UK_OK);
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

static void no_file_stays_open(void)
{
  write_log();
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY), files = open_files();
  CHECK_EQ_INT(uk_log_structure_check(folder, "DIR", message, sizeof message), UK_OK);
  fill(0, 0);
  CHECK_EQ_INT(uk_log_structure_check(folder, "DIR", message, sizeof message), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(unlink(raw_path("data.mdb")), 0);
  CHECK_EQ_INT(uk_log_structure_check(folder, "DIR", message, sizeof message), UK_OK);
  CHECK_EQ_INT(symlink("data.mdb", raw_path("data.mdb")), 0);
  CHECK_EQ_INT(uk_log_structure_check(folder, "DIR", message, sizeof message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, "cannot read DIR/data.mdb: Too many levels of symbolic links");
  CHECK_EQ_INT(open_files(), files);
  close(folder);
  rig_remove();
}

static void a_whole_log_is_opened_and_memory_may_be_short(void)
{
  write_log();
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    enum uk_error error = uk_log_structure_check(folder, "DIR", message, sizeof message);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    if (hit)
      CHECK_EQ_STR(message, "out of memory while opening the log in DIR");
    CHECK_EQ_INT(fault_live(), live);
  }
  close(folder);
  CHECK_EQ_INT(open_log(), UK_OK);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(A5_a_file_that_was_cut_is_refused);
  CHECK_RUN(A6_a_page_of_zeros_or_noise_is_refused);
  CHECK_RUN(A7_a_file_without_its_topics_is_refused);
  CHECK_RUN(the_header_of_a_large_value_counts);
  CHECK_RUN(no_file_stays_open);
  CHECK_RUN(a_whole_log_is_opened_and_memory_may_be_short);
  return check_end();
}
