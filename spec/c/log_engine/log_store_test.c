/* The log's store: files, views, bounded removal, and impossible rows. For: log_store.c,
 * log_store_prepare.c, log_folder.c, log_store_read.c, log_store_write.c, log_reserve.c. */
#include "server/log_engine/log_store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "fault.h"
#include "log_rig.h"

static struct uk_log_store *open_store(void)
{
  char message[UK_MESSAGE_SIZE] = "";
  struct uk_log_store *store;
  if (uk_log_store_open(&store, rig_directory(), RIG_MAP_BYTES, true, message, sizeof message) !=
      UK_OK)
    fprintf(stderr, "open_store: %s\n", message);
  return store;
}

static const char *path_of(const char *name)
{
  static char path[400];
  snprintf(path, sizeof path, "%s/%s", rig_directory(), name);
  return path;
}

/* Counts this process's descriptors of files in the directory. */
static int count_descriptors(bool *close_on_exec)
{
  char link[64], target[500];
  DIR *all = opendir("/proc/self/fd");
  int count = 0;
  *close_on_exec = true;
  for (struct dirent *entry; all != NULL && (entry = readdir(all)) != NULL;) {
    snprintf(link, sizeof link, "/proc/self/fd/%.20s", entry->d_name);
    ssize_t length = readlink(link, target, sizeof target - 1);
    if (length < 0 || strncmp(target, rig_directory(), strlen(rig_directory())) != 0)
      continue;
    count++;
    *close_on_exec &= (fcntl(atoi(entry->d_name), F_GETFD) & FD_CLOEXEC) != 0;
  }
  if (all != NULL)
    closedir(all);
  return count;
}

/* Other users may not read them, child processes do not inherit them, and closing closes all. */
static void files_belong_to_their_owner(void)
{
  static const char *const files[] = {"",         "data.mdb", "lock.mdb", "server.lock",
                                      "identity", "reserve"};
  struct stat status;
  bool close_on_exec;
  mode_t before = umask(0);
  char directory[300];
  snprintf(directory, sizeof directory, "%s", rig_directory());
  REQUIRE(rmdir(directory) == 0);
  struct uk_log_store *store = open_store();
  umask(before);
  REQUIRE(store != NULL);
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    REQUIRE(stat(path_of(files[i]), &status) == 0);
    CHECK_EQ_INT(status.st_mode & 0777, i == 0 ? 0700 : 0600);
  }
  CHECK_EQ_INT(status.st_size, 4 << 20); /* of `reserve`, the last one */
  CHECK(count_descriptors(&close_on_exec) >= 3);
  CHECK(close_on_exec);
  uk_log_store_close(store);
  CHECK_EQ_INT(count_descriptors(&close_on_exec), 0);
  rig_remove();
}

static void the_lock_names_only_its_process(void)
{
  char text[64] = "", expected[64];
  FILE *file = fopen(path_of("server.lock"), "w");
  REQUIRE(file != NULL);
  fputs("123456789012345\nmore\n", file);
  fclose(file);
  struct uk_log_store *store = open_store();
  REQUIRE(store != NULL);
  REQUIRE((file = fopen(path_of("server.lock"), "r")) != NULL);
  CHECK(fread(text, 1, sizeof text - 1, file) > 0);
  fclose(file);
  snprintf(expected, sizeof expected, "%ld\n", (long)getpid());
  CHECK_EQ_STR(text, expected);
  uk_log_store_close(store);
  rig_remove();
}

/* A forked child has the descriptors, too. */
static void closing_unlocks_despite_children(void)
{
  struct uk_log_store *store = open_store();
  REQUIRE(store != NULL);
  pid_t child = fork();
  if (child == 0)
    for (;;)
      pause();
  uk_log_store_close(store);
  store = open_store();
  CHECK(store != NULL);
  uk_log_store_close(store);
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  rig_remove();
}

static void the_map_has_a_minimum_size(void)
{
  static const struct {
    size_t bytes;
    enum uk_error error;
  } cases[] = {{(1 << 20) - 1, UK_E_BAD_REQUEST},
               {1 << 20, UK_OK},
               {(1 << 20) + 1, UK_OK},
               {SIZE_MAX / 4, UK_E_NO_MEMORY}, /* more than there is */
               {SIZE_MAX / 4 + 1, UK_E_BAD_REQUEST}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char message[UK_MESSAGE_SIZE];
    struct uk_log_store *store;
    CHECK_EQ_INT(
      uk_log_store_open(&store, rig_directory(), cases[i].bytes, true, message, sizeof message),
      cases[i].error);
    /* LMDB wants whole pages. */
    if (store != NULL)
      CHECK_EQ_INT(store->map_bytes,
                   cases[i].bytes == 1 << 20 ? 1 << 20 : (1 << 20) + sysconf(_SC_PAGESIZE));
    uk_log_store_close(store);
    rig_remove();
  }
}

static enum uk_error open_as(const char *directory, char *message, size_t size)
{
  struct uk_log_store *store;
  message[0] = '\0';
  enum uk_error error = uk_log_store_open(&store, directory, RIG_MAP_BYTES, true, message, size);
  CHECK((store != NULL) == (error == UK_OK));
  uk_log_store_close(store);
  return error;
}

/* The names of the files in it must fit, too. */
static void the_name_of_the_directory_has_a_limit(void)
{
  static char name[PATH_MAX + 10];
  char message[UK_MESSAGE_SIZE], text[200];
  size_t most = PATH_MAX - 1 - strlen("/server.lock"), length = strlen(rig_directory());
  memset(name, '/', sizeof name - 1);
  memcpy(name, rig_directory(), length);
  name[most] = '\0';
  CHECK_EQ_INT(open_as(name, message, sizeof message), UK_OK);
  name[most] = '/';
  name[most + 1] = '\0';
  CHECK_EQ_INT(open_as(name, message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "the name of the directory %.60s... is too long", name);
  CHECK_EQ_STR(message, text);
  rig_remove();
}

/* Neither a directory nor a named pipe, whose open would wait without end. */
static void files_of_another_kind_are_named(void)
{
  static const char *const names[] = {"server.lock", "identity", "identity.new",
                                      "data.mdb",    "lock.mdb", "reserve"};
  char message[UK_MESSAGE_SIZE], text[500];
  for (size_t i = 0; i < 2 * sizeof names / sizeof *names; i++) {
    const char *path = path_of(names[i / 2]);
    REQUIRE((i % 2 == 0 ? mkdir(path, 0700) : mkfifo(path, 0600)) == 0);
    CHECK_EQ_INT(open_as(rig_directory(), message, sizeof message), UK_E_UNAVAILABLE);
    snprintf(text, sizeof text, "%s/%s is not a regular file", rig_directory(), names[i / 2]);
    CHECK_EQ_STR(message, text);
    CHECK_EQ_INT(remove(path_of(names[i / 2])), 0);
    CHECK_EQ_INT(open_as(rig_directory(), message, sizeof message), UK_OK);
    rig_remove();
  }
}

static void a_link_to_a_file_is_opened(void)
{
  char message[UK_MESSAGE_SIZE], moved[400];
  CHECK_EQ_INT(open_as(rig_directory(), message, sizeof message), UK_OK);
  snprintf(moved, sizeof moved, "%s", path_of("elsewhere"));
  CHECK_EQ_INT(rename(path_of("data.mdb"), moved), 0);
  CHECK_EQ_INT(symlink("elsewhere", path_of("data.mdb")), 0);
  CHECK_EQ_INT(open_as(rig_directory(), message, sizeof message), UK_OK);
  rig_remove();
}

/* A file of an LMDB whose layout another version made. */
static void a_file_of_another_lmdb_is_named(void)
{
  enum { VERSION_AT = 20, PAGE = 4096 }; /* behind the page's header and the magic number */
  const uint32_t version = 999;
  char message[UK_MESSAGE_SIZE], text[500];
  CHECK_EQ_INT(open_as(rig_directory(), message, sizeof message), UK_OK);
  int file = open(path_of("data.mdb"), O_WRONLY);
  REQUIRE(file >= 0);
  for (int i = 0; i < 2; i++)
    CHECK_EQ_INT(pwrite(file, &version, sizeof version, VERSION_AT + i * PAGE), sizeof version);
  close(file);
  CHECK_EQ_INT(open_as(rig_directory(), message, sizeof message), UK_E_UNAVAILABLE);
  snprintf(text, sizeof text, "%s/data.mdb is not a log: %s", rig_directory(),
           mdb_strerror(MDB_VERSION_MISMATCH));
  CHECK_EQ_STR(message, text);
  rig_remove();
}

static void codes_of_lmdb(void)
{
  static const struct {
    int rc;
    enum uk_log_status status;
  } rows[] = {{MDB_SUCCESS, UK_LOG_OK},
              {MDB_NOTFOUND, UK_LOG_NOTHING},
              {MDB_MAP_FULL, UK_LOG_FULL},
              {MDB_TXN_FULL, UK_LOG_FULL},
              {ENOSPC, UK_LOG_DISK_FULL},
              {EDQUOT, UK_LOG_DISK_FULL},
              {ENOMEM, UK_LOG_NO_MEMORY},
              {MDB_READERS_FULL, UK_LOG_NO_MEMORY},
              {EIO, UK_LOG_FAILED},
              {MDB_CORRUPTED, UK_LOG_FAILED},
              {MDB_MAP_RESIZED, UK_LOG_FAILED},
              {MDB_PANIC, UK_LOG_FAILED}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    CHECK_EQ_INT(uk_log_store_status(rows[i].rc), rows[i].status);
}

#ifdef __SANITIZE_THREAD__
static const char NOT_UNDER_TSAN[] = "ThreadSanitizer counts 64 locks of a thread at most";
#else
#define NOT_UNDER_TSAN NULL
#endif

/* The number of readers is limited. A refused one leaves nothing behind: the environment can be
 * replaced afterwards, which needs the gate alone. */
static void views_are_limited(void)
{
  static struct uk_log_view *views[UK_LOG_VIEWS_MAX + 1];
  enum uk_log_status status = UK_LOG_OK;
  int count = 0;
  long live = fault_live();
  struct uk_log_store *store = open_store();
  REQUIRE(store != NULL);
  while (count <= UK_LOG_VIEWS_MAX && (views[count] = uk_log_view_begin(store, &status)) != NULL)
    count++;
  CHECK(count >= 500 && count <= UK_LOG_VIEWS_MAX);
  CHECK_EQ_INT(status, UK_LOG_NO_MEMORY);
  while (count > 0)
    uk_log_view_end(views[--count]);
  CHECK_EQ_INT(uk_log_store_reopen(store), UK_LOG_OK);
  fault_from(1);
  CHECK(uk_log_view_begin(store, &status) == NULL);
  fault_off();
  CHECK_EQ_INT(status, UK_LOG_NO_MEMORY);
  CHECK_EQ_INT(uk_log_store_reopen(store), UK_LOG_OK);
  uk_log_store_close(store);
  CHECK_EQ_INT(fault_live(), live);
  rig_remove();
}

/* Writes batches of one record each with these timestamps, from offset 0 on. */

static struct uk_log_topic *topic;

static enum uk_log_status put_batches(struct uk_log_store *store, const int64_t *timestamps,
                                      int count)
{
  struct uk_log_partition *partition = &topic->partitions[0];
  struct uk_record record = rig_record("t", 0, "v");
  struct uk_log_builder builder;
  enum uk_log_status status = uk_log_store_begin(store);
  uk_log_builder_init(&builder);
  for (int i = 0; status == UK_LOG_OK && i < count; i++) {
    CHECK_EQ_INT(uk_log_builder_add(&builder, &record, timestamps[i]), UK_OK);
    const struct uk_log_seal seal = {.place = {topic->id, 0, i},
                                     .position = partition->position,
                                     .arrival = timestamps[i],
                                     .life = 1};
    struct uk_slice batch = uk_log_builder_seal(&builder, &seal);
    status = uk_log_store_put_batch(store, partition, i, batch);
    if (status == UK_LOG_OK && timestamps[i] > partition->latest) {
      partition->latest = timestamps[i];
      status = uk_log_store_put_time(store, partition, timestamps[i], i);
    }
    partition->position += batch.length;
    partition->end = i + 1;
    uk_log_builder_clear(&builder);
  }
  uk_log_builder_free(&builder);
  return status == UK_LOG_OK ? uk_log_store_commit(store) : status;
}

static void find(struct uk_log_store *store, int64_t offset, int64_t want)
{
  struct uk_log_found found = {.place = {.offset = -1}};
  enum uk_log_status status;
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  REQUIRE(view != NULL);
  status = uk_log_view_find(view, topic->id, 0, offset, &found);
  CHECK_EQ_INT(status, want < 0 ? UK_LOG_NOTHING : UK_LOG_OK);
  CHECK_EQ_INT(found.place.offset, want);
  uk_log_view_end(view);
}

static void find_time(struct uk_log_store *store, int64_t timestamp, int64_t want)
{
  struct uk_log_found found = {.place = {.offset = -1}};
  enum uk_log_status status;
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  REQUIRE(view != NULL);
  status = uk_log_view_find_time(view, topic->id, 0, timestamp, &found);
  CHECK_EQ_INT(status, want < 0 ? UK_LOG_NOTHING : UK_LOG_OK);
  if (status == UK_LOG_OK)
    CHECK_EQ_INT(found.place.offset, want);
  uk_log_view_end(view);
}

/* Removes what is older than `before`. */
static int64_t trim(struct uk_log_store *store, int64_t before, int64_t keep_bytes, unsigned budget,
                    unsigned *left)
{
  const struct uk_log_times times = {.trusted = before, .steady = before};
  int64_t first = -1;
  topic->retention_ms = before == INT64_MIN ? UK_LOG_KEEP_FOR_EVER : 0;
  topic->retention_bytes = keep_bytes;
  *left = budget;
  if (!CHECK(uk_log_store_begin(store) == UK_LOG_OK))
    return -1;
  CHECK_EQ_INT(uk_log_store_trim(store, &topic->partitions[0], &times, left, &first), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_commit(store), UK_LOG_OK);
  topic->partitions[0].first = first;
  return first;
}

static void trims_in_steps(void)
{
  static const int64_t timestamps[] = {10, 90, 20, 30, 40};
  unsigned left;
  long live = fault_live();
  struct uk_log_store *store = open_store();
  topic = uk_log_topic_new(uk_slice_text("t"), 1);
  REQUIRE(store != NULL && topic != NULL);
  topic->id = 7;
  REQUIRE(put_batches(store, timestamps, 5) == UK_LOG_OK);
  find(store, 0, 0);
  find(store, 4, 4);
  find(store, 5, -1); /* no batch holds the end */
  CHECK_EQ_INT(trim(store, 10, -1, 9, &left), 0);
  CHECK_EQ_INT(left, 9); /* no batch is older than the oldest */
  CHECK_EQ_INT(trim(store, 1000, -1, 2, &left), 2);
  CHECK_EQ_INT(left, 0); /* two batches, as the budget says */
  find(store, 0, 2);
  /* For a timestamp that removed batches had reached, the kept ones are scanned. */
  find_time(store, 20, 2);
  find_time(store, 21, 3);
  find_time(store, 40, 4);
  find_time(store, 41, -1);
  CHECK_EQ_INT(trim(store, INT64_MIN, 0, 9, &left), 5);
  CHECK_EQ_INT(left, 6);
  find(store, 0, 5);       /* the marker keeps the end */
  find_time(store, 0, -1); /* and holds no record */
  CHECK_EQ_INT(trim(store, 1000, 0, 9, &left), 5);
  CHECK_EQ_INT(left, 9); /* it stays */
  find(store, 0, 5);
  free(topic);
  uk_log_store_close(store);
  CHECK_EQ_INT(fault_live(), live);
  rig_remove();
}

/* Nothing that a damaged batch says of its age or its place is believed: it stays, and what comes
 * after it does, too. */
static void a17_a_damaged_batch_is_not_removed(void)
{
  static const int64_t timestamps[] = {10, 20};
  static char bytes[200];
  uint8_t place[UK_LOG_KEY];
  unsigned left;
  struct uk_log_store *store = open_store();
  topic = uk_log_topic_new(uk_slice_text("t"), 1);
  REQUIRE(store != NULL && topic != NULL);
  topic->id = 7;
  REQUIRE(put_batches(store, timestamps, 2) == UK_LOG_OK);
  REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
  MDB_val value, key = uk_log_key(place, 7, 0, 0);
  REQUIRE(mdb_get(store->txn, store->tables[UK_LOG_BATCHES], &key, &value) == 0);
  REQUIRE(value.mv_size <= sizeof bytes);
  memcpy(bytes, value.mv_data, value.mv_size);
  bytes[value.mv_size - 1] ^= 1;
  value.mv_data = bytes;
  REQUIRE(mdb_put(store->txn, store->tables[UK_LOG_BATCHES], &key, &value, 0) == 0);
  REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
  CHECK_EQ_INT(trim(store, 1000, 0, 9, &left), 0);
  CHECK_EQ_INT(left, 9);
  find(store, 0, 0);
  free(topic);
  uk_log_store_close(store);
  rig_remove();
}

/* A partition ends where the next one begins, in the tables, too. */
static void a_partition_is_searched_alone(void)
{
  struct uk_log_found found;
  struct uk_log_builder builder;
  enum uk_log_status status;
  struct uk_record record = rig_record("t", 0, "v");
  struct uk_log_store *store = open_store();
  topic = uk_log_topic_new(uk_slice_text("t"), 3);
  REQUIRE(store != NULL && topic != NULL);
  topic->id = 7;
  uk_log_builder_init(&builder);
  REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_builder_add(&builder, &record, 50), UK_OK);
  for (int i = 0; i < 3; i += 2) { /* partition 1 is empty */
    const struct uk_log_seal seal = {.place = {7, i, 0}, .arrival = 50, .life = 1};
    struct uk_slice batch = uk_log_builder_seal(&builder, &seal);
    CHECK_EQ_INT(uk_log_store_put_batch(store, &topic->partitions[i], 0, batch), UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_put_time(store, &topic->partitions[i], 50, 0), UK_LOG_OK);
  }
  REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
  uk_log_builder_free(&builder);
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  REQUIRE(view != NULL);
  CHECK_EQ_INT(uk_log_view_find(view, 7, 0, 0, &found), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_view_next(view, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find(view, 7, 0, 1, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find(view, 7, 1, 0, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find(view, 7, 2, 1, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find(view, 7, 3, 0, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find_time(view, 7, 0, 50, &found), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_view_find_time(view, 7, 0, 51, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find_time(view, 7, 1, 50, &found), UK_LOG_NOTHING);
  CHECK_EQ_INT(uk_log_view_find_time(view, 6, 2, 50, &found), UK_LOG_NOTHING);
  uk_log_view_end(view);
  free(topic);
  uk_log_store_close(store);
  rig_remove();
}

/* Such rows are no numbers: they are not read as some. */
static void rows_of_a_wrong_size_are_damage(void)
{
  static char bytes[9];
  static const size_t sizes[] = {0, 7, 9};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    uint8_t key[UK_LOG_KEY_MAX];
    int64_t offset = -7;
    struct uk_log_found found;
    enum uk_log_status status;
    struct uk_log_store *store = open_store();
    REQUIRE(store != NULL && uk_log_store_begin(store) == UK_LOG_OK);
    MDB_val committed = {UK_LOG_PREFIX + 1, key}, value = {sizes[i], bytes};
    uk_log_key_prefix(key, 7, 0);
    key[UK_LOG_PREFIX] = 'g';
    CHECK_EQ_INT(mdb_put(store->txn, store->tables[UK_LOG_COMMITTED], &committed, &value, 0), 0);
    MDB_val time = uk_log_key(key, 7, 0, uk_log_key_time(50));
    CHECK_EQ_INT(mdb_put(store->txn, store->tables[UK_LOG_TIMES], &time, &value, 0), 0);
    REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
    struct uk_log_view *view = uk_log_view_begin(store, &status);
    REQUIRE(view != NULL);
    CHECK_EQ_INT(uk_log_view_committed(view, 7, 0, uk_slice_text("g"), &offset), UK_LOG_DAMAGED);
    CHECK_EQ_INT(offset, -7);
    CHECK_EQ_INT(uk_log_view_find_time(view, 7, 0, 50, &found), UK_LOG_NOTHING);
    uk_log_view_end(view);
    uk_log_store_close(store);
    rig_remove();
  }
}

static enum uk_log_status next_id(struct uk_log_store *store, uint64_t *id)
{
  enum uk_log_status status;
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  if (!CHECK(view != NULL))
    return status;
  status = uk_log_view_next_id(view, id);
  uk_log_view_end(view);
  return status;
}

/* Whatever is left of a topic, in whichever table, is found and removed. */
static void each_table_is_searched_for_rows(void)
{
  struct uk_log_store *store = open_store();
  struct uk_log_topic *topics[3];
  uint64_t id;
  REQUIRE(store != NULL && uk_log_store_begin(store) == UK_LOG_OK);
  for (uint64_t i = 0; i < 3; i++) {
    REQUIRE((topics[i] = uk_log_topic_new(uk_slice_text("t"), 1)) != NULL);
    topics[i]->id = 3 + i;
  }
  CHECK_EQ_INT(uk_log_store_put_batch(store, topics[0]->partitions, 0, uk_slice_text("b")),
               UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_put_time(store, topics[1]->partitions, 0, 0), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_put_committed(store, topics[2]->partitions, uk_slice_text("g"), 0),
               UK_LOG_OK);
  REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
  for (uint64_t from = 0; from < 3; from++) {
    unsigned budget = 2;
    for (uint64_t want = 3 + from; want < 6; want++) {
      id = want == 3 + from ? 0 : want;
      CHECK_EQ_INT(next_id(store, &id), UK_LOG_OK);
      CHECK_EQ_INT(id, want);
    }
    REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_purge(store, 3 + from, &budget), UK_LOG_OK);
    CHECK_EQ_INT(budget, 1);
    REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
    free(topics[from]);
  }
  id = 0;
  CHECK_EQ_INT(next_id(store, &id), UK_LOG_NOTHING);
  uk_log_store_close(store);
  rig_remove();
}

/* A batch that cannot be where it says it is stays: its position may be any number. */
static void an_impossible_position_removes_nothing(void)
{
  static const struct {
    int64_t beyond; /* the end of the partition, in bytes, minus that of the batch */
    int64_t first;
  } rows[] = {{0, 1}, {-1, 0}, {-1000000, 0}, {INT64_MIN, 0}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_log_builder builder;
    struct uk_record record = rig_record("t", 0, "v");
    unsigned left;
    struct uk_log_store *store = open_store();
    topic = uk_log_topic_new(uk_slice_text("t"), 1);
    REQUIRE(store != NULL && topic != NULL);
    struct uk_log_partition *partition = &topic->partitions[0];
    topic->id = 7;
    uk_log_builder_init(&builder);
    CHECK_EQ_INT(uk_log_builder_add(&builder, &record, 50), UK_OK);
    struct uk_log_seal seal = {.place = {7, 0, 0}, .arrival = 50, .life = 1};
    partition->position = uk_log_builder_seal(&builder, &seal).length;
    partition->end = 1;
    seal.position = (uint64_t)0 - (uint64_t)rows[i].beyond;
    struct uk_slice batch = uk_log_builder_seal(&builder, &seal);
    REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_put_batch(store, partition, 0, batch), UK_LOG_OK);
    REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
    uk_log_builder_free(&builder);
    CHECK_EQ_INT(trim(store, INT64_MIN, 0, 9, &left), rows[i].first);
    free(topic);
    uk_log_store_close(store);
    rig_remove();
  }
}

static enum uk_log_status next_purge(struct uk_log_store *store)
{
  enum uk_log_status status;
  uint64_t id = 0;
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  if (!CHECK(view != NULL))
    return status;
  status = uk_log_view_next_purge(view, &id);
  CHECK_EQ_INT(id, status == UK_LOG_OK ? 7 : 0);
  uk_log_view_end(view);
  return status;
}

/* A topic with nothing but committed offsets is purged, too. The purge is noted until it is over,
 * and also when it was not before, as in a log of format 1. */
static void purges_in_steps(void)
{
  char group[16];
  uint64_t id = 0;
  unsigned budget;
  struct uk_log_store *store = open_store();
  topic = uk_log_topic_new(uk_slice_text("t"), 1);
  REQUIRE(store != NULL && topic != NULL);
  topic->id = 7;
  REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
  for (int i = 0; i < 5; i++) {
    sprintf(group, "g%d", i);
    CHECK_EQ_INT(uk_log_store_put_committed(store, &topic->partitions[0], uk_slice_text(group), i),
                 UK_LOG_OK);
  }
  REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
  CHECK_EQ_INT(next_id(store, &id), UK_LOG_OK);
  CHECK_EQ_INT(id, 7);
  static const unsigned lefts[] = {0, 2}; /* of 3 and 4, for five rows */
  for (unsigned i = 0; i < 2; i++) {
    budget = 3 + i;
    REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_purge(store, 7, &budget), UK_LOG_OK);
    REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
    CHECK_EQ_INT(budget, lefts[i]);
    id = 0;
    CHECK_EQ_INT(next_id(store, &id), i == 0 ? UK_LOG_OK : UK_LOG_NOTHING);
    CHECK_EQ_INT(next_purge(store), i == 0 ? UK_LOG_OK : UK_LOG_NOTHING);
  }
  free(topic);
  uk_log_store_close(store);
  rig_remove();
}

/* Writes one row without the store. */
static void put_raw(const char *table, const char *key, const void *value, size_t size)
{
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  MDB_val k = {strlen(key), (void *)(uintptr_t)key}, v = {size, (void *)(uintptr_t)value};
  REQUIRE(mdb_env_create(&env) == 0);
  REQUIRE(mdb_env_set_maxdbs(env, UK_LOG_TABLES) == 0 &&
          mdb_env_set_mapsize(env, RIG_MAP_BYTES) == 0);
  REQUIRE(mdb_env_open(env, rig_directory(), 0, 0600) == 0);
  REQUIRE(mdb_txn_begin(env, NULL, 0, &txn) == 0);
  REQUIRE(mdb_dbi_open(txn, table, MDB_CREATE, &dbi) == 0);
  REQUIRE(mdb_put(txn, dbi, &k, &v, 0) == 0);
  REQUIRE(mdb_txn_commit(txn) == 0);
  mdb_env_close(env);
}

/* After a failed reopen everything fails, until one succeeds. Here another program has written. */
static void everything_fails_after_a_failed_reopen(void)
{
  static uint8_t formats[][4] = {{0, 0, 0, 99}, {0, 0, 0, UK_LOG_FORMAT}};
  enum uk_log_status status;
  struct uk_log_store *store = open_store();
  REQUIRE(store != NULL);
  REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
  MDB_val key = {6, "format"}, value = {4, formats[0]};
  CHECK_EQ_INT(mdb_put(store->txn, store->tables[UK_LOG_META], &key, &value, 0), 0);
  REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_reopen(store), UK_LOG_FAILED);
  CHECK_EQ_STR(uk_log_store_failure(store),
               "the log has format 99, which this version does not know (expected 2)");
  CHECK_EQ_INT(uk_log_store_begin(store), UK_LOG_FAILED);
  CHECK(uk_log_view_begin(store, &status) == NULL);
  CHECK_EQ_INT(status, UK_LOG_FAILED);
  CHECK_EQ_INT(uk_log_store_open_reserve(store, UK_LOG_FULL), UK_LOG_FAILED);
  CHECK_EQ_INT(uk_log_store_open_reserve(store, UK_LOG_DISK_FULL), UK_LOG_FAILED);
  CHECK_EQ_INT(uk_log_store_close_reserve(store), UK_LOG_FAILED);
  put_raw("meta", "format", formats[1], 4);
  CHECK_EQ_INT(uk_log_store_reopen(store), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_begin(store), UK_LOG_OK);
  uk_log_store_abort(store);
  struct uk_log_view *view = uk_log_view_begin(store, &status);
  if (CHECK(view != NULL))
    uk_log_view_end(view);
  uk_log_store_close(store);
  rig_remove();
}

#define NAME_OF_50 "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
#define NAME_OF_250 NAME_OF_50 NAME_OF_50 NAME_OF_50 NAME_OF_50 NAME_OF_50

/* The log is not opened with such rows. `existing`: the log is created before. */
static const struct {
  bool existing;
  const char *table, *key;
  size_t size;
  const char *text; /* after the directory */
} damages[] = {
  {false, "other", "x", 1, "/data.mdb holds something other than a log"},
  {true, "meta", "format", 3,
   " has format 4294967295, which this version does not know (expected 2)"},
  {true, "meta", "next_topic", 7, " is damaged"},
  {true, "meta", "next_topic", 9, " is damaged"},
};

static void impossible_rows_are_refused(void)
{
  static const char zeros[64];
  for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
    struct uk_log_options options = rig_options();
    char message[UK_MESSAGE_SIZE] = "";
    struct uk_log *log;
    if (damages[i].existing)
      uk_log_close(rig_open(&options));
    put_raw(damages[i].table, damages[i].key, zeros, damages[i].size);
    CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
    if (!CHECK(strstr(message, damages[i].text) != NULL))
      printf("  %s\n", message);
    rig_remove();
  }
}

int main(void)
{
  CHECK_RUN(files_belong_to_their_owner);
  CHECK_RUN(the_lock_names_only_its_process);
  CHECK_RUN(closing_unlocks_despite_children);
  CHECK_RUN(the_map_has_a_minimum_size);
  CHECK_RUN(the_name_of_the_directory_has_a_limit);
  CHECK_RUN(files_of_another_kind_are_named);
  CHECK_RUN(a_link_to_a_file_is_opened);
  CHECK_RUN(a_file_of_another_lmdb_is_named);
  CHECK_RUN(codes_of_lmdb);
  CHECK_RUN_UNLESS(NOT_UNDER_TSAN, views_are_limited);
  CHECK_RUN(trims_in_steps);
  CHECK_RUN(a17_a_damaged_batch_is_not_removed);
  CHECK_RUN(a_partition_is_searched_alone);
  CHECK_RUN(rows_of_a_wrong_size_are_damage);
  CHECK_RUN(each_table_is_searched_for_rows);
  CHECK_RUN(an_impossible_position_removes_nothing);
  CHECK_RUN(purges_in_steps);
  CHECK_RUN(everything_fails_after_a_failed_reopen);
  CHECK_RUN(impossible_rows_are_refused);
  return check_end();
}
