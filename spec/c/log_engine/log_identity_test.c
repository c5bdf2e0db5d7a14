/* The files of a folder: what they must agree on at open, and that they stay the same while the log
 * is open. For: log_identity.c, log_store_identity.c, log_store_life.c, log_writer.c,
 * log_read.c, log_topics.c, log.c. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_private.h"

static struct rig_read got;
static char notices[2000];

static void notice(const char *line)
{
  size_t length = strlen(notices);
  snprintf(notices + length, sizeof notices - length, "%s\n", line);
}

/* While `moving` is set, the next sync of a file moves the folder away. */
static atomic_bool moving;
static atomic_int sync_failures;
static char away[400], home[400];

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  if (atomic_load(&sync_failures) > 0) {
    atomic_fetch_sub(&sync_failures, 1);
    errno = EIO;
    return -1;
  }
  int status = (int)syscall(SYS_fdatasync, fd);
  if (atomic_exchange(&moving, false))
    CHECK_EQ_INT(rename(home, away), 0);
  return status;
}

/* Whether the writer counts as busy when it writes the identity of a log that is closed. */
static struct uk_log *_Atomic closing;
static atomic_int busy_syncs;

__attribute__((visibility("default"))) int fsync(int fd)
{
  struct uk_log *log = atomic_load(&closing);
  if (log != NULL) {
    pthread_mutex_lock(&log->mutex);
    atomic_fetch_add(&busy_syncs, log->busy_since != 0);
    pthread_mutex_unlock(&log->mutex);
  }
  return (int)syscall(SYS_fsync, fd);
}

/* The writer's next transactions find no memory. */
static atomic_int begin_failures;

__attribute__((visibility("default"))) int mdb_txn_begin(MDB_env *env, MDB_txn *parent,
                                                         unsigned flags, MDB_txn **txn)
{
  int (*real)(MDB_env *, MDB_txn *, unsigned, MDB_txn **) = NULL;
  if ((flags & MDB_RDONLY) == 0 && gettid() != getpid() && atomic_load(&begin_failures) > 0) {
    atomic_fetch_sub(&begin_failures, 1);
    return ENOMEM;
  }
  *(void **)&real = dlsym(RTLD_NEXT, "mdb_txn_begin");
  return real(env, parent, flags, txn);
}

/* While `holding` is set, a thread that looks for data.mdb waits: the writer does so between its
 * commit and what readers learn of it. */
static atomic_bool holding, held;

/* Whether a log without its data.mdb has told health of it and is not shut yet. */
static struct uk_log *_Atomic looked_at;
static atomic_bool told_too_early;

static void look_at(struct uk_log *log)
{
  char detail[400];
  struct uk_operation consume = {.error = UK_OK};
  if (log != NULL && uk_log_health(log, detail, sizeof detail) != UK_OK &&
      !uk_log_is_shut(log, &consume))
    atomic_store(&told_too_early, true);
}

__attribute__((visibility("default"))) int stat(const char *path, struct stat *status)
{
  static const char name[] = "/data.mdb";
  const size_t length = strlen(path), tail = sizeof name - 1;
  if (length > tail && strcmp(path + length - tail, name) == 0) {
    atomic_store(&held, atomic_load(&holding));
    while (atomic_load(&holding))
      rig_sleep(1);
  }
  const int result = fstatat(AT_FDCWD, path, status, 0);
  if (result != 0)
    look_at(atomic_load(&looked_at));
  return result;
}

static void name_places(void)
{
  snprintf(home, sizeof home, "%s", rig_directory());
  snprintf(away, sizeof away, "%s-away", rig_directory());
}

static struct uk_log *open_log(void)
{
  struct uk_log_options options = rig_options();
  options.notice = notice;
  notices[0] = '\0';
  name_places();
  return rig_open(&options);
}

static struct uk_log *log_with_records(int count)
{
  struct uk_log *log = open_log();
  for (int i = 0; log != NULL && i < count; i++)
    CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), i);
  return log;
}

static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  rig_remove();
}

static void check_refused(const char *text)
{
  struct uk_log_options options = rig_options();
  char message[UK_MESSAGE_SIZE] = "";
  struct uk_log *log;
  CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
  if (!CHECK(strstr(message, text) != NULL && strstr(message, rig_directory()) != NULL))
    fprintf(stderr, "  %s\n", message);
  uk_log_close(log);
}

static struct uk_log_identity identity_of(void)
{
  struct uk_log_identity identity = {.life = 0};
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(uk_log_identity_read(folder, &identity), UK_LOG_IDENTITY_OK);
  close(folder);
  return identity;
}

static void write_identity(const struct uk_log_identity *identity)
{
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(uk_log_identity_write(folder, identity, true), 0);
  close(folder);
}

/* The file. */

static void the_file_is_read_as_it_was_written(void)
{
  const struct uk_log_identity written = {
    .id = {0, 1, 0xfe, 0xff, 16}, .life = UINT32_MAX, .transaction = UINT64_MAX, .topics = 1001};
  rig_directory();
  write_identity(&written);
  struct uk_log_identity read = identity_of();
  CHECK(memcmp(read.id, written.id, sizeof read.id) == 0);
  CHECK_EQ_INT(read.life, UINT32_MAX);
  CHECK(read.transaction == UINT64_MAX);
  CHECK_EQ_INT(read.topics, 1001);
  CHECK_EQ_STR(raw_text_of("identity"), "upstash-kafka log 2\nid 0001feff100000000000000000000000\n"
                                        "life 4294967295\ntransaction 18446744073709551615\n"
                                        "topics 1001\nchecksum 2ccdf2ae\n");
  rig_remove();
}

static void put_text(const char *text, size_t length)
{
  FILE *file = fopen(raw_path("identity"), "wb");
  REQUIRE(file != NULL && fwrite(text, 1, length, file) == length);
  fclose(file);
}

/* Every byte counts, and so does every length. */
static void a_damaged_file_is_refused(void)
{
  char text[500];
  uk_log_close(log_with_records(1));
  snprintf(text, sizeof text, "%s", raw_text_of("identity"));
  size_t length = strlen(text);
  for (size_t i = 0; i < length; i++) {
    text[i] = (char)(text[i] ^ 1);
    put_text(text, length);
    check_refused("/identity is damaged; restore it from a copy, or remove it");
    text[i] = (char)(text[i] ^ 1);
    put_text(text, i);
    check_refused("/identity is damaged");
  }
  put_text(text, length + 1);
  check_refused("/identity is damaged");
  put_text(text, length);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  CHECK_EQ_STR(notices, "");
  close_log(log);
}

/* A file that cannot be read says nothing: it is no folder without one. */
static void a_file_that_cannot_be_read_is_refused(void)
{
  uk_log_close(log_with_records(1));
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  CHECK_EQ_INT(symlink("elsewhere", raw_path("identity")), 0);
  check_refused("/identity: Too many levels of symbolic links");
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  CHECK_EQ_INT(mkdir(raw_path("identity"), 0700), 0);
  check_refused("/identity is not a regular file");
  CHECK_EQ_INT(rmdir(raw_path("identity")), 0);
  rig_remove();
}

/* A crash left the beginning of another one, which was longer. */
static void what_a_crash_left_is_replaced(void)
{
  static const char long_text[] = "upstash-kafka log 2\nid 0001feff100000000000000000000000\n"
                                  "life 4294967295\ntransaction 18446744073709551615\n"
                                  "topics 18446744073709551615\nchecksum 00000000\n and more\n";
  const struct uk_log_identity written = {.life = 1, .topics = 1};
  struct stat status;
  rig_directory();
  FILE *file = fopen(raw_path("identity.new"), "wb");
  REQUIRE(file != NULL && fwrite(long_text, 1, sizeof long_text, file) == sizeof long_text);
  fclose(file);
  write_identity(&written);
  CHECK_EQ_INT(identity_of().topics, 1);
  CHECK(access(raw_path("identity.new"), F_OK) != 0);
  unlink(raw_path("identity"));
  write_identity(&written);
  CHECK(stat(raw_path("identity"), &status) == 0 && (status.st_mode & 0777) == 0600);
  rig_remove();
}

/* The old file stays. */
static void an_identity_that_cannot_be_written_says_why(void)
{
  const struct uk_log_identity old = {.life = 1, .topics = 5}, new = {.life = 2, .topics = 6};
  rig_directory();
  write_identity(&old);
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(mkdir(raw_path("identity.new"), 0700), 0);
  CHECK_EQ_INT(uk_log_identity_write(folder, &new, true), EISDIR);
  CHECK_EQ_INT(rmdir(raw_path("identity.new")), 0);
  CHECK_EQ_INT(identity_of().topics, 5);
  CHECK_EQ_INT(symlink("/dev/full", raw_path("identity.new")), 0);
  CHECK_EQ_INT(uk_log_identity_write(folder, &new, false), ENOSPC);
  CHECK_EQ_INT(identity_of().topics, 5);
  close(folder);
  rig_remove();
}

/* The kernel takes a part of it, and says how much. */
static void a_part_of_an_identity_is_none(void)
{
  const struct uk_log_identity old = {.life = 1, .topics = 5}, new = {.life = 2, .topics = 6};
  struct rlimit limit, small;
  rig_directory();
  write_identity(&old);
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  small =
    (struct rlimit){.rlim_cur = strlen(raw_text_of("identity")) - 1, .rlim_max = limit.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const int error = uk_log_identity_write(folder, &new, false);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
  CHECK_EQ_INT(error, ENOSPC);
  CHECK_EQ_INT(identity_of().topics, 5);
  CHECK_EQ_INT(uk_log_identity_write(folder, &new, false), 0);
  CHECK_EQ_INT(identity_of().topics, 6);
  close(folder);
  rig_remove();
}

static void count_topic(void *argument, struct uk_slice topic, int32_t partitions)
{
  (void)topic;
  *(int *)argument += partitions > 0;
}

static int topics_of(struct uk_log *log)
{
  int count = 0;
  uk_log_each_topic(log, count_topic, &count);
  return count;
}

/* Readers know of no topic, and of no offset behind the end, that is not published yet. */
static void what_is_not_published_is_not_known(void)
{
  static char large[60000];
  struct uk_log *log = log_with_records(1);
  struct uk_record records[3];
  struct uk_produce produce = {.records = records, .count = 3};
  uint64_t id;
  struct rig_call call;
  int64_t offset = -1;
  REQUIRE(log != NULL);
  memset(large, 'x', sizeof large - 1);
  for (int i = 0; i < 2; i++) { /* a batch for each */
    records[i] = rig_record("t", 0, large);
    records[i].timestamp = INT64_C(4000000000000) + i;
  }
  records[2] = rig_record("new", 0, "v");
  rig_call_init(&call, &produce.operation);
  atomic_store(&holding, true);
  uk_log_submit(log, UK_LOG_PRODUCE, &produce.operation);
  CHECK_EVENTUALLY(atomic_load(&held));
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, records[1].timestamp, &offset),
               UK_OK);
  CHECK_EQ_INT(offset, 1);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("new"), &id), 0);
  CHECK_EQ_INT(topics_of(log), 1);
  atomic_store(&holding, false);
  rig_call_wait(&call, &produce.operation);
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, records[1].timestamp, &offset),
               UK_OK);
  CHECK_EQ_INT(offset, 2);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("new"), &id), 2);
  CHECK_EQ_INT(topics_of(log), 2);
  close_log(log);
}

/* The disk may hang in that, too: who finishes the log must not wait for it. */
static void a16_the_last_writing_of_the_identity_is_a_step(void)
{
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  atomic_store(&busy_syncs, 0);
  atomic_store(&closing, log);
  CHECK(uk_log_finish(log));
  atomic_store(&closing, NULL);
  CHECK_EQ_INT(atomic_load(&busy_syncs), 2); /* of the file and the folder */
  CHECK_EQ_INT(log->busy_since, 0);
  close_log(log);
}

/* A7. */

static void a7_a_log_that_held_topics_never_starts_empty(void)
{
  uk_log_close(log_with_records(3));
  CHECK_EQ_INT(truncate(raw_path("data.mdb"), 0), 0);
  check_refused(
    "is damaged: it held topics, and data.mdb is empty; restore data.mdb from a copy, or "
    "remove the file identity to start without it");
  CHECK_EQ_INT(unlink(raw_path("data.mdb")), 0);
  check_refused("is damaged: it held topics, and data.mdb is missing");
  CHECK(access(raw_path("data.mdb"), F_OK) != 0); /* no attempt leaves one */
  struct raw raw = raw_begin();                   /* an environment without anything */
  raw_end(&raw);
  check_refused("is damaged: it held topics, and data.mdb holds none");
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  struct uk_log *log = log_with_records(1);
  REQUIRE(log != NULL);
  close_log(log);
}

/* Meta says that no topic ever was. */
static void a7_a_log_without_its_topics_is_refused(void)
{
  uk_log_close(log_with_records(3));
  struct uk_log_identity before = identity_of();
  rig_remove();
  uk_log_close(open_log());
  before.transaction = 1;
  write_identity(&before);
  check_refused("is damaged: it held topics, and data.mdb holds none");
  rig_remove();
}

/* Nothing is lost with a file that held nothing: also after the deletion of all topics, the file is
 * no such file. */
static void a7_an_empty_log_starts_again(void)
{
  uk_log_close(open_log());
  CHECK_EQ_INT(unlink(raw_path("data.mdb")), 0);
  struct uk_log *log = log_with_records(1);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  uk_log_close(log);
  log = log_with_records(1);
  REQUIRE(log != NULL);
  uk_log_close(log);
  CHECK_EQ_INT(unlink(raw_path("data.mdb")), 0);
  check_refused("data.mdb is missing");
  rig_remove();
}

/* A first start that fails, or is killed, may leave a part of the file. A part of a file that held
 * topics is damage, and so is one that came without an identity. */
static void a7_a_file_that_was_never_completed_is_made_anew(void)
{
  static const off_t lengths[] = {1, 4095, 4096, 4097, 8191, 8192};
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
    uk_log_close(open_log());
    CHECK_EQ_INT(truncate(raw_path("data.mdb"), lengths[i]), 0);
    struct uk_log *log = log_with_records(1);
    REQUIRE(log != NULL);
    CHECK_EQ_STR(notices, "");
    uk_log_close(log);
    CHECK_EQ_INT(truncate(raw_path("data.mdb"), lengths[i]), 0);
    check_refused("is damaged: ");
    rig_remove();
    uk_log_close(open_log());
    CHECK_EQ_INT(truncate(raw_path("data.mdb"), lengths[i]), 0);
    CHECK_EQ_INT(unlink(raw_path("identity")), 0);
    if (lengths[i] < 8192)
      check_refused("is damaged: ");
    rig_remove();
  }
  uk_log_close(open_log());
  CHECK_EQ_INT(truncate(raw_path("data.mdb"), 8193), 0);
  check_refused("is damaged: ");
  rig_remove();
}

/* A crash between the first open of a folder and its identity leaves a log that held nothing. */
static void a7_an_empty_log_without_its_identity_is_no_copy(void)
{
  uk_log_close(open_log());
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  uk_log_close(log_with_records(1));
  CHECK_EQ_STR(notices, "");
  CHECK_EQ_INT(identity_of().life, 1);
  rig_remove();
}

/* The identity knows of the first topic before its creation is answered. */
static void a7_the_first_topic_is_remembered_at_once(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  CHECK_EQ_INT(identity_of().topics, 1);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
  CHECK_EQ_INT(identity_of().topics, 2 + UK_LOG_TOPIC_BLOCK);
  ino_t before[2];
  struct stat status;
  CHECK_EQ_INT(stat(raw_path("identity"), &status), 0);
  before[0] = status.st_ino;
  CHECK_EQ_INT(rig_put(log, "u", 0, "v", -1), 0); /* within the block: nothing to write */
  CHECK_EQ_INT(stat(raw_path("identity"), &status), 0);
  before[1] = status.st_ino;
  CHECK(before[0] == before[1]);
  CHECK_EQ_INT(identity_of().topics, 2 + UK_LOG_TOPIC_BLOCK);
  close_log(log);
}

/* A13: while the log is open. */

static void check_stopped(struct uk_log *log, const char *text)
{
  char message[UK_MESSAGE_SIZE], detail[400], want[500];
  struct uk_record record = rig_record("t", 0, "lost");
  int64_t offset;
  snprintf(want, sizeof want, text, home);
  CHECK_EVENTUALLY(uk_log_health(log, detail, sizeof detail) == UK_E_UNAVAILABLE);
  CHECK_EQ_STR(detail, want);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(message, want);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 1), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(rig_create(log, "u", 1, -1, -1), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(got.operation.message, want);
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset),
               UK_E_UNAVAILABLE);
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, 0, &offset), UK_E_UNAVAILABLE);
}

static void check_going_on(struct uk_log *log, int64_t end)
{
  char detail[400];
  CHECK_EVENTUALLY(uk_log_health(log, detail, sizeof detail) == UK_OK);
  CHECK_EQ_INT(rig_put(log, "t", 0, "on", -1), end);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, end + 1);
}

/* Nobody has to ask: health says it within the second. */
static void a13_a_renamed_folder_answers_503(void)
{
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rename(home, away), 0);
  check_stopped(log, "the log failed: the data folder %s was renamed or deleted");
  CHECK(access(home, F_OK) != 0);
  CHECK_EQ_INT(rename(away, home), 0);
  check_going_on(log, 3);
  close_log(log);
}

/* A consume that comes when health has said it does not wait for records. */
static void a13_health_says_it_of_a_shut_log(void)
{
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  atomic_store(&looked_at, log);
  CHECK_EQ_INT(rename(home, away), 0);
  check_stopped(log, "the log failed: the data folder %s was renamed or deleted");
  CHECK(!atomic_load(&told_too_early));
  CHECK_EQ_INT(rename(away, home), 0);
  check_going_on(log, 3);
  atomic_store(&looked_at, NULL);
  close_log(log);
}

/* Another folder is in its place. */
static void a13_a_replaced_folder_answers_503(void)
{
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rename(home, away), 0);
  CHECK_EQ_INT(mkdir(home, 0700), 0);
  check_stopped(log, "the log failed: data.mdb is missing from the data folder %s");
  CHECK(access(raw_path("data.mdb"), F_OK) != 0);
  CHECK(access(raw_path("identity"), F_OK) != 0);
  CHECK_EQ_INT(rmdir(home), 0);
  CHECK_EQ_INT(rename(away, home), 0);
  check_going_on(log, 3);
  close_log(log);
}

/* A file that is gone does not come back by itself, not even after a failed sync. */
static void a13_a_removed_file_answers_503(void)
{
  static const char *const files[] = {"data.mdb", "server.lock"};
  for (size_t i = 0; i < 2; i++) {
    char text[100], kept[400];
    struct uk_log *log = log_with_records(3);
    REQUIRE(log != NULL);
    snprintf(kept, sizeof kept, "%s", raw_path("kept"));
    CHECK_EQ_INT(rename(raw_path(files[i]), kept), 0);
    snprintf(text, sizeof text, "the log failed: %s is missing from the data folder %%s", files[i]);
    check_stopped(log, text);
    CHECK(access(raw_path(files[i]), F_OK) != 0);
    CHECK_EQ_INT(rename(kept, raw_path(files[i])), 0);
    check_going_on(log, 3);
    close_log(log);
  }
}

static void a13_a_replaced_file_answers_503(void)
{
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  char kept[400];
  snprintf(kept, sizeof kept, "%s", raw_path("kept"));
  CHECK_EQ_INT(rename(raw_path("data.mdb"), kept), 0);
  raw_copy(kept, "data.mdb");
  check_stopped(log, "the log failed: data.mdb in %s is another file than the one that was opened");
  CHECK_EQ_INT(rename(kept, raw_path("data.mdb")), 0);
  check_going_on(log, 3);
  close_log(log);
}

/* The folder goes away between the commit and the answer: whether that counts nobody can say. */
static void a13_nothing_is_acknowledged_into_a_moved_folder(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = log_with_records(3);
  struct uk_record record = rig_record("t", 0, "moved");
  REQUIRE(log != NULL);
  atomic_store(&moving, true);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_GATEWAY_TIMEOUT);
  CHECK(strstr(message, "was renamed or deleted; the request may have been carried out") != NULL);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(rename(away, home), 0);
  check_going_on(log, 4);
  close_log(log);
}

/* The same file, over which another log was written. */
static void a13_a_reopen_opens_the_same_log(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log_store *store;
  REQUIRE(uk_log_store_open(&store, rig_directory(), RIG_MAP_BYTES, true, message,
                            sizeof message) == UK_OK);
  CHECK_EQ_INT(uk_log_store_reopen(store), UK_LOG_OK);
  uint8_t other[UK_LOG_ID_BYTES + 4] = {1};
  MDB_val key = raw_text("log"), value = {sizeof other, other};
  uk_store_u32(other + UK_LOG_ID_BYTES, uk_log_row_sum(&key, other, UK_LOG_ID_BYTES));
  REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
  CHECK_EQ_INT(mdb_put(store->txn, store->tables[UK_LOG_META], &key, &value, 0), 0);
  REQUIRE(uk_log_store_commit(store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_reopen(store), UK_LOG_FAILED);
  CHECK_EQ_INT(uk_log_store_begin(store), UK_LOG_FAILED);
  uk_log_store_close(store);
  rig_remove();
}

/* A relative name stays the same folder when the process goes elsewhere. */
static void a13_the_working_directory_may_change(void)
{
  char before[400];
  struct uk_log_options options = rig_options();
  REQUIRE(getcwd(before, sizeof before) != NULL && chdir(rig_directory()) == 0);
  options.directory = "data";
  struct uk_log *log = rig_open(&options);
  CHECK_EQ_INT(chdir(before), 0);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
  uk_log_close(log);
  CHECK(access(raw_path("data/data.mdb"), F_OK) == 0);
  static const char *const files[] = {"data.mdb", "lock.mdb", "server.lock", "identity", "reserve"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char name[40];
    snprintf(name, sizeof name, "data/%s", files[i]);
    CHECK_EQ_INT(unlink(raw_path(name)), 0);
  }
  CHECK_EQ_INT(rmdir(raw_path("data")), 0);
  rig_remove();
}

/* A13: restored copies. */

static int64_t committed(struct uk_log *log, const char *group)
{
  int64_t offset = -2;
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text(group), uk_slice_text("t"), 0, &offset), UK_OK);
  return offset;
}

static uint32_t life_of_batch(int64_t offset)
{
  struct uk_log_batch batch = {.life = 0};
  struct raw raw = raw_begin();
  MDB_val value;
  CHECK(raw_get(&raw, "batches", raw_key(1, 0, offset), &value) &&
        uk_log_batch_read(&batch, uk_slice_of(value.mv_data, value.mv_size)));
  raw_end(&raw);
  return batch.life;
}

/* data.mdb of yesterday, beside the identity of today. */
static void a13_an_older_copy_begins_a_new_life(void)
{
  uint64_t id = 0;
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_commit(log, "at the end", "t", 0, 3), UK_OK);
  CHECK_EQ_INT(rig_commit(log, "beyond", "t", 0, 4), UK_OK);
  uk_log_close(log);
  raw_copy(raw_path("data.mdb"), "copy");
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_put(log, "t", 0, "later", -1), 3);
  CHECK_EQ_INT(rig_put(log, "later", 0, "v", -1), 0);
  uk_log_close(log);
  const struct uk_log_identity before = identity_of();
  raw_copy(raw_path("copy"), "data.mdb");
  REQUIRE((log = open_log()) != NULL);
  CHECK_EVENTUALLY(committed(log, "beyond") == -1);
  CHECK_EQ_INT(committed(log, "at the end"), 3);
  CHECK_EQ_INT(rig_put(log, "t", 0, "instead", -1), 3);
  CHECK_EQ_STR(
    notices, "data.mdb is a restored copy: it is older than the file identity. The log begins life "
             "2: what was written after the copy is gone, 1 committed offsets beyond the end of "
             "their partitions were dropped, and clients' positions there are invalid\n");
  /* Topics never get an ID that one of the lost life had. */
  CHECK_EQ_INT(rig_put(log, "other", 0, "v", -1), 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("other"), &id), 2);
  CHECK(id >= before.topics);
  uk_log_close(log);
  CHECK_EQ_INT(identity_of().life, 2);
  CHECK(memcmp(identity_of().id, before.id, UK_LOG_ID_BYTES) == 0);
  CHECK_EQ_INT(life_of_batch(2), 1);
  CHECK_EQ_INT(life_of_batch(3), 2);
  REQUIRE((log = open_log()) != NULL); /* once */
  CHECK_EQ_INT(rig_put(log, "t", 0, "on", -1), 4);
  CHECK_EQ_STR(notices, "");
  uk_log_close(log);
  CHECK_EQ_INT(identity_of().life, 2);
  rig_remove();
}

/* A new life begins once, even if nothing else is written in it; what the identity knew stays. */
static void a13_a_new_life_is_kept(void)
{
  uint64_t id = 0;
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  uk_log_close(log);
  raw_copy(raw_path("data.mdb"), "copy");
  for (int i = 0; i < 3; i++) {
    REQUIRE((log = open_log()) != NULL);
    CHECK_EQ_INT(rig_put(log, "t", 0, "later", -1), 3 + i);
    uk_log_close(log);
  }
  const struct uk_log_identity before = identity_of();
  raw_copy(raw_path("copy"), "data.mdb");
  uk_log_close(open_log());
  CHECK(strstr(notices, "The log begins life 2:") != NULL);
  CHECK_EQ_INT(identity_of().life, 2);
  CHECK(identity_of().transaction < before.transaction);
  CHECK_EQ_INT(identity_of().topics, before.topics);
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_put(log, "u", 0, "v", -1), 0);
  CHECK_EQ_STR(notices, "");
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("u"), &id), 2);
  CHECK(id >= before.topics);
  close_log(log);
}

/* The transaction that begins the new life fails first: in a way that breaks the log, or not. */
static void begin_a_new_life_at_last(atomic_int *failures)
{
  struct uk_log *log = log_with_records(3);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_commit(log, "beyond", "t", 0, 4), UK_OK);
  uk_log_close(log);
  raw_copy(raw_path("data.mdb"), "copy");
  uk_log_close(log_with_records(0));
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_put(log, "t", 0, "later", -1), 3);
  uk_log_close(log);
  raw_copy(raw_path("copy"), "data.mdb");
  atomic_store(failures, 1);
  REQUIRE((log = open_log()) != NULL);
  CHECK_EVENTUALLY(atomic_load(failures) == 0);
  CHECK_EQ_INT(rig_put(log, "t", 0, "on", -1), 3);
  CHECK_EQ_INT(committed(log, "beyond"), -1);
  uk_log_close(log);
  CHECK(strstr(notices, "The log begins life 2:") != NULL);
  CHECK_EQ_INT(identity_of().life, 2);
  CHECK_EQ_INT(life_of_batch(3), 2);
  rig_remove();
}

static void a13_a_new_life_begins_at_last(void)
{
  begin_a_new_life_at_last(&sync_failures);
  begin_a_new_life_at_last(&begin_failures);
}

/* Beyond which end? It is not known: the committed offset stays. */
static void a13_a_copy_with_a_damaged_end_keeps_offsets(void)
{
  struct uk_log *log = log_with_records(2);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 5), UK_OK);
  uk_log_close(log);
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  raw_flip("batches", raw_key(1, 0, 1), 54);
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_put(log, "u", 0, "v", -1), 0);
  CHECK_EQ_INT(committed(log, "g"), 5);
  CHECK(strstr(notices, " 0 committed offsets ") != NULL);
  close_log(log);
}

/* data.mdb without the identity, or with that of another log. */
static void a13_a_copy_without_its_identity_begins_a_new_life(void)
{
  for (int other = 0; other < 2; other++) {
    uk_log_close(log_with_records(3));
    struct uk_log_identity own = identity_of(), foreign = own;
    foreign.id[0] ^= 1;
    foreign.transaction = 1;
    foreign.life = 7;
    if (other == 0)
      CHECK_EQ_INT(unlink(raw_path("identity")), 0);
    else
      write_identity(&foreign);
    struct uk_log *log = open_log();
    REQUIRE(log != NULL);
    CHECK_EQ_INT(rig_put(log, "t", 0, "on", -1), 3);
    CHECK(strstr(notices, other == 0
                            ? "it came without the file identity. The log begins life 2:"
                            : "it is of another log than the file identity. The log begins "
                              "life 8:") != NULL);
    uk_log_close(log);
    CHECK(memcmp(identity_of().id, own.id, UK_LOG_ID_BYTES) == 0);
    CHECK_EQ_INT(identity_of().life, other == 0 ? 2 : 8);
    rig_remove();
  }
}

/* A folder of format 1 beside the identity of its log in format 2. */
static void a13_a_copy_of_format_1_begins_a_new_life(void)
{
  raw_copy("spec/fixtures/log-format-1/data.mdb", "data.mdb");
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
  CHECK_EQ_STR(notices, "");
  uk_log_close(log);
  const struct uk_log_identity before = identity_of();
  static const uint8_t none[UK_LOG_ID_BYTES];
  CHECK(memcmp(before.id, none, sizeof none) != 0);
  raw_copy("spec/fixtures/log-format-1/data.mdb", "data.mdb");
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
  CHECK(strstr(notices, "it is older than the file identity. The log begins life 2:") != NULL);
  uk_log_close(log);
  CHECK(memcmp(identity_of().id, before.id, UK_LOG_ID_BYTES) == 0);
  CHECK_EQ_INT(identity_of().life, 2);
  rig_remove();
}

/* A crash: the log is ahead of the identity. That is no copy. */
static void a13_an_identity_that_is_behind_catches_up(void)
{
  uk_log_close(log_with_records(3));
  struct uk_log_identity written = identity_of(), behind = written;
  behind.transaction = 1;
  behind.topics = 1;
  write_identity(&behind);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  CHECK_EQ_STR(notices, "");
  CHECK_EQ_INT(identity_of().transaction, written.transaction);
  CHECK_EQ_INT(identity_of().topics, written.topics);
  CHECK_EQ_INT(identity_of().life, 1);
  close_log(log);
}

int main(void)
{
  CHECK_RUN(the_file_is_read_as_it_was_written);
  CHECK_RUN(a_damaged_file_is_refused);
  CHECK_RUN(a_file_that_cannot_be_read_is_refused);
  CHECK_RUN(what_a_crash_left_is_replaced);
  CHECK_RUN(an_identity_that_cannot_be_written_says_why);
  CHECK_RUN(a_part_of_an_identity_is_none);
  CHECK_RUN(what_is_not_published_is_not_known);
  CHECK_RUN(a16_the_last_writing_of_the_identity_is_a_step);
  CHECK_RUN(a7_a_log_that_held_topics_never_starts_empty);
  CHECK_RUN(a7_a_log_without_its_topics_is_refused);
  CHECK_RUN(a7_an_empty_log_starts_again);
  CHECK_RUN(a7_a_file_that_was_never_completed_is_made_anew);
  CHECK_RUN(a7_an_empty_log_without_its_identity_is_no_copy);
  CHECK_RUN(a7_the_first_topic_is_remembered_at_once);
  CHECK_RUN(a13_a_renamed_folder_answers_503);
  CHECK_RUN(a13_health_says_it_of_a_shut_log);
  CHECK_RUN(a13_a_replaced_folder_answers_503);
  CHECK_RUN(a13_a_removed_file_answers_503);
  CHECK_RUN(a13_a_replaced_file_answers_503);
  CHECK_RUN(a13_nothing_is_acknowledged_into_a_moved_folder);
  CHECK_RUN(a13_a_reopen_opens_the_same_log);
  CHECK_RUN(a13_the_working_directory_may_change);
  CHECK_RUN(a13_an_older_copy_begins_a_new_life);
  CHECK_RUN(a13_a_new_life_is_kept);
  CHECK_RUN(a13_a_new_life_begins_at_last);
  CHECK_RUN(a13_a_copy_with_a_damaged_end_keeps_offsets);
  CHECK_RUN(a13_a_copy_without_its_identity_begins_a_new_life);
  CHECK_RUN(a13_a_copy_of_format_1_begins_a_new_life);
  CHECK_RUN(a13_an_identity_that_is_behind_catches_up);
  return check_end();
}
