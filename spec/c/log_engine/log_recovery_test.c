/* A commit whose last write failed: the log is opened again, and answers by what is there. For:
 * log_recovery.c, log_transaction.c, log_store_write.c, log_store.c. */
#include "server/log_engine/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"

enum { META_BYTES = 8192 }; /* LMDB's two meta pages */

/* What the disk does with the next writes of a meta page: '-' fails, 'w' has written and fails all
 * the same, and the rest succeed. LMDB writes the old page over one that failed, so each commit
 * that fails takes two of these. */
static const char *_Atomic metas = "";

static atomic_int good_syncs, bad_syncs; /* the good ones come first */

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *data, size_t length,
                                                      off_t at)
{
  const char *fate = at > 0 && at < META_BYTES ? atomic_load(&metas) : "";
  if (fate[0] != '\0')
    atomic_store(&metas, fate + 1);
  if (fate[0] != '-') {
    ssize_t done = (ssize_t)syscall(SYS_pwrite64, fd, data, length, at);
    if (fate[0] != 'w')
      return done;
  }
  errno = EIO;
  return -1;
}

static atomic_bool loses_name; /* the next sync; then data.mdb is missing, once */
static atomic_bool is_missing;

__attribute__((visibility("default"))) int stat(const char *path, struct stat *status)
{
  const char *name = strrchr(path, '/');
  if (name != NULL && strcmp(name, "/data.mdb") == 0 && atomic_exchange(&is_missing, false)) {
    errno = ENOENT;
    return -1;
  }
  return fstatat(AT_FDCWD, path, status, 0);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  if (atomic_load(&good_syncs) > 0) {
    atomic_fetch_sub(&good_syncs, 1);
  } else if (atomic_load(&bad_syncs) > 0) {
    atomic_fetch_sub(&bad_syncs, 1);
    errno = EIO;
    return -1;
  }
  if (atomic_exchange(&loses_name, false))
    atomic_store(&is_missing, true);
  return (int)syscall(SYS_fdatasync, fd);
}

static const struct fate {
  const char *name;
  const char *metas;
  int good_syncs, bad_syncs;
  enum uk_error error;
  bool there; /* after the next open */
} fates[] = {
  {"the pages are not synced", "", 0, 1, UK_E_UNAVAILABLE, false},
  {"nothing is written", "--", 0, 0, UK_E_UNAVAILABLE, false},
  {"nothing but the old page is written", "-.", 0, 0, UK_E_UNAVAILABLE, false},
  {"the old page is written over it", "w.", 0, 0, UK_E_UNAVAILABLE, false},
  {"the old page is written over it with an error", "ww", 0, 0, UK_E_UNAVAILABLE, false},
  {"it is there all the same", "w-", 0, 0, UK_OK, true},
  {"it is there, but the log cannot sync", "w-", 1, 1, UK_E_GATEWAY_TIMEOUT, true},
  {"it is there, but the log cannot commit", "w---", 0, 0, UK_E_GATEWAY_TIMEOUT, true},
  {"it is not there, and the log cannot sync", "--", 1, 1, UK_E_GATEWAY_TIMEOUT, false},
  {"it is not there, and the log cannot commit", "----", 0, 0, UK_E_GATEWAY_TIMEOUT, false},
};

enum { FATES = sizeof fates / sizeof *fates };

static void set_fate(const struct fate *fate)
{
  atomic_store(&good_syncs, fate->good_syncs);
  atomic_store(&bad_syncs, fate->bad_syncs);
  atomic_store(&metas, fate->metas);
}

/* All that was to happen has. */
static void check_fate(const struct fate *fate, enum uk_error error, const char *message)
{
  bool met = CHECK_EQ_INT(error, fate->error);
  met = CHECK_EQ_STR(atomic_load(&metas), "") && met;
  met = CHECK_EQ_INT(atomic_load(&bad_syncs), 0) && met;
  met = CHECK_EQ_STR(message, error == UK_OK ? ""
                              : error == UK_E_UNAVAILABLE
                                ? "the log failed: Input/output error"
                                : "the log failed: Input/output error; the request may have been "
                                  "carried out") &&
        met;
  if (!met)
    fprintf(stderr, "  %s\n", fate->name);
}

static struct uk_log *open_log(void)
{
  struct uk_log_options options = rig_options();
  return rig_open(&options);
}

static struct uk_log *open_again(struct uk_log *log)
{
  uk_log_close(log);
  return open_log();
}

static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  rig_remove();
}

static const char *text_of(struct uk_log *log)
{
  static struct rig_read got;
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK(got.dense);
  return got.text;
}

static bool has_topic(struct uk_log *log, const char *name)
{
  uint64_t id;
  return uk_log_partitions(log, uk_slice_text(name), &id) > 0;
}

/* A record that was refused is sent again, and is there once. */
static void a14_a_produce_is_answered_by_what_is_on_the_disk(void)
{
  for (const struct fate *fate = fates; fate < fates + FATES; fate++) {
    char message[UK_MESSAGE_SIZE];
    struct uk_record record = rig_record("t", 0, "it");
    struct uk_log *log = open_log();
    REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
    set_fate(fate);
    enum uk_error error = rig_produce(log, &record, 1, message);
    check_fate(fate, error, message);
    if (error == UK_OK) {
      CHECK_EQ_INT(record.offset, 1);
      CHECK_EQ_STR(text_of(log), "before\nit\n"); /* at once, without another command */
    }
    if (error == UK_E_UNAVAILABLE) {
      CHECK_EQ_STR(text_of(log), "before\n");
      CHECK_EQ_INT(rig_put(log, "t", 0, "it", -1), 1);
    }
    bool once = fate->there || error == UK_E_UNAVAILABLE;
    CHECK_EQ_INT(rig_put(log, "t", 0, "after", -1), once ? 2 : 1);
    for (int i = 0; i < 2; i++) {
      CHECK_EQ_STR(text_of(log), once ? "before\nit\nafter\n" : "before\nafter\n");
      log = open_again(log);
      REQUIRE(log != NULL);
    }
    close_log(log);
  }
}

/* The log is healthy after the answer, unless that is a 504. */
static void a14_the_log_has_recovered_when_it_answers(void)
{
  for (const struct fate *fate = fates + 1; fate < fates + FATES; fate++) {
    struct uk_record record = rig_record("t", 0, "it");
    char detail[UK_MESSAGE_SIZE] = "?";
    struct uk_log *log = open_log();
    REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
    rig_hold_writer(log);
    rig_release_writer();
    set_fate(fate);
    enum uk_error error = rig_produce(log, &record, 1, NULL);
    if (error != UK_E_GATEWAY_TIMEOUT) {
      CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_OK);
      CHECK_EQ_STR(detail, "");
    }
    CHECK_EVENTUALLY(uk_log_health(log, detail, sizeof detail) == UK_OK);
    close_log(log);
  }
}

/* The other commands. Each returns the error, and whether it is there says `done`. */

static enum uk_error create_u(struct uk_log *log, char *message)
{
  struct uk_create_topic create = {.topic = uk_slice_text("u"), .partitions = 3};
  return rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, message);
}

static enum uk_error create_missing(struct uk_log *log, char *message)
{
  const struct uk_slice topics[] = {uk_slice_text("t"), uk_slice_text("u")};
  struct uk_log_create_missing create = {.topics = topics, .count = 2};
  return rig_submit(log, UK_LOG_CREATE_MISSING, &create.operation, message);
}

static bool u_is_there(struct uk_log *log)
{
  return has_topic(log, "u");
}

static enum uk_error delete_t(struct uk_log *log, char *message)
{
  struct uk_delete_topic delete = {.topic = uk_slice_text("t")};
  return rig_submit(log, UK_LOG_DELETE_TOPIC, &delete.operation, message);
}

static bool t_is_gone(struct uk_log *log)
{
  return !has_topic(log, "t");
}

static enum uk_error commit_one(struct uk_log *log, char *message)
{
  struct uk_topic_partition_offset at = {uk_slice_text("t"), 0, 1};
  struct uk_log_commit commit = {.group = uk_slice_text("g"), .offsets = &at, .count = 1};
  return rig_submit(log, UK_LOG_COMMIT, &commit.operation, message);
}

static bool one_is_committed(struct uk_log *log)
{
  int64_t offset = -7;
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset), UK_OK);
  return offset == 1;
}

static const struct command {
  enum uk_error (*run)(struct uk_log *log, char *message);
  bool (*is_done)(struct uk_log *log);
} commands[] = {{create_u, u_is_there},
                {create_missing, u_is_there},
                {delete_t, t_is_gone},
                {commit_one, one_is_committed}};

static void check_command(const struct command *command, const struct fate *fate)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
  set_fate(fate);
  enum uk_error error = command->run(log, message);
  check_fate(fate, error, message);
  if (error != UK_E_GATEWAY_TIMEOUT)
    CHECK_EQ_INT(command->is_done(log), error == UK_OK);
  CHECK(rig_put(log, "other", 0, "after", -1) == 0);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(command->is_done(log), fate->there);
    log = open_again(log);
    REQUIRE(log != NULL);
  }
  if (!fate->there) {
    CHECK_EQ_INT(command->run(log, message), UK_OK);
    CHECK(command->is_done(log));
  }
  close_log(log);
}

static void a14_each_command_is_answered_by_what_is_on_the_disk(void)
{
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    for (size_t j = 0; j < FATES; j++)
      check_command(&commands[i], &fates[j]);
  }
}

/* Commands that share a transaction share its fate. One that was refused before keeps its error. */
static void a14_commands_together_are_answered_by_what_is_on_the_disk(void)
{
  enum { COUNT = 4, BAD = 2 };
  for (const struct fate *fate = fates; fate < fates + FATES; fate++) {
    struct uk_record records[COUNT];
    struct uk_produce produces[COUNT];
    struct rig_call calls[COUNT];
    struct uk_log *log = open_log();
    REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
    rig_hold_writer(log);
    for (int i = 0; i < COUNT; i++) {
      records[i] = rig_record("t", i == BAD ? 7 : 0, "it");
      produces[i] = (struct uk_produce){.records = &records[i], .count = 1};
      rig_call_init(&calls[i], &produces[i].operation);
      uk_log_submit(log, UK_LOG_PRODUCE, &produces[i].operation);
    }
    set_fate(fate);
    rig_release_writer();
    for (int i = 0; i < COUNT; i++) {
      rig_call_wait(&calls[i], &produces[i].operation);
      if (i != BAD || fate->error != UK_OK)
        check_fate(fate, produces[i].operation.error, produces[i].operation.message);
      else
        CHECK_EQ_INT(produces[i].operation.error, UK_E_BAD_REQUEST);
      if (fate->error == UK_OK && i != BAD)
        CHECK_EQ_INT(records[i].offset, i < BAD ? 1 + i : i);
    }
    CHECK_EQ_INT(rig_put(log, "t", 0, "after", -1), fate->there ? 4 : 1);
    CHECK_EQ_STR(text_of(log), fate->there ? "before\nit\nit\nit\nafter\n" : "before\nafter\n");
    close_log(log);
  }
}

/* Fetches that wait are told of records that came through. */

static atomic_int changes;

static void count_change(void *context, struct uk_slice topic, int32_t partition)
{
  (void)context, (void)topic, (void)partition;
  atomic_fetch_add(&changes, 1);
}

static void a14_what_came_through_is_announced(void)
{
  struct uk_log_options options = rig_options();
  options.changed = count_change;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
  atomic_store(&changes, 0);
  atomic_store(&metas, "w-");
  CHECK_EQ_INT(rig_put(log, "t", 0, "it", -1), 1);
  CHECK_EQ_INT(atomic_load(&changes), 1);
  atomic_store(&metas, "--");
  CHECK_EQ_INT(rig_put(log, "t", 0, "lost", -1), -1);
  CHECK_EQ_INT(atomic_load(&changes), 1);
  close_log(log);
}

/* A file that lost its name for a moment may have lost what was written to it: that it has the
 * transaction proves nothing. */
static void a14_a_file_without_its_name_stays_a_504(void)
{
  char message[UK_MESSAGE_SIZE], detail[UK_MESSAGE_SIZE];
  struct uk_record record = rig_record("t", 0, "it");
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
  atomic_store(&metas, "w-"); /* an earlier doubt is over */
  CHECK_EQ_INT(rig_put(log, "t", 0, "doubtful", -1), 1);
  atomic_store(&loses_name, true);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_GATEWAY_TIMEOUT);
  CHECK(!atomic_load(&is_missing));
  CHECK(strstr(message, "data.mdb is missing from the data folder") != NULL);
  CHECK_EVENTUALLY(uk_log_health(log, detail, sizeof detail) == UK_OK);
  close_log(log);
}

static uint32_t life_of_folder(void)
{
  struct uk_log_identity identity = {.life = 0};
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(uk_log_identity_read(folder, &identity), UK_LOG_IDENTITY_OK);
  close(folder);
  return identity.life;
}

/* A new life that has begun all the same begins no second time. */
static void a13_a_new_life_that_came_through_is_one(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
  uk_log_close(log);
  CHECK_EQ_INT(unlink(raw_path("identity")), 0);
  atomic_store(&metas, "w-");
  log = open_log();
  REQUIRE(log != NULL);
  CHECK_EVENTUALLY(atomic_load(&metas)[0] == '\0');
  CHECK_EQ_INT(rig_put(log, "t", 0, "after", -1), 1);
  CHECK_EQ_STR(text_of(log), "before\nafter\n");
  uk_log_close(log);
  CHECK_EQ_INT(life_of_folder(), 2);
  rig_remove();
}

/* What the operator reads: that it failed, and that it works again. */
static void a14_a_doubt_that_ends_is_logged(void)
{
  char lines[400] = "";
  struct uk_log *log = open_log();
  FILE *file = tmpfile();
  int saved = dup(STDERR_FILENO);
  REQUIRE(log != NULL && file != NULL && saved >= 0);
  REQUIRE(rig_put(log, "t", 0, "before", -1) == 0);
  atomic_store(&metas, "w-");
  dup2(fileno(file), STDERR_FILENO);
  int64_t offset = rig_put(log, "t", 0, "it", -1);
  dup2(saved, STDERR_FILENO);
  close(saved);
  rewind(file);
  lines[fread(lines, 1, sizeof lines - 1, file)] = '\0';
  fclose(file);
  CHECK_EQ_INT(offset, 1);
  CHECK_EQ_STR(lines, "upstash-kafka: the log failed: Input/output error; nothing is stored until "
                      "it works again\nupstash-kafka: the log works again\n");
  close_log(log);
}

int main(void)
{
  CHECK_RUN(a14_a_produce_is_answered_by_what_is_on_the_disk);
  CHECK_RUN(a14_the_log_has_recovered_when_it_answers);
  CHECK_RUN(a14_each_command_is_answered_by_what_is_on_the_disk);
  CHECK_RUN(a14_commands_together_are_answered_by_what_is_on_the_disk);
  CHECK_RUN(a14_what_came_through_is_announced);
  CHECK_RUN(a14_a_file_without_its_name_stays_a_504);
  CHECK_RUN(a13_a_new_life_that_came_through_is_one);
  CHECK_RUN(a14_a_doubt_that_ends_is_logged);
  return check_end();
}
