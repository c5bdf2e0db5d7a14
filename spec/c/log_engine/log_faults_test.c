/* Each call of LMDB fails in turn: what was to use it fails, too, and changes nothing. For:
 * log_store_read.c, log_store_write.c, log_store.c, log_read.c, log.c, log_engine.c. */
#include <dlfcn.h>
#include <errno.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "log_rig.h"
#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_engine.h"
#include "server/log_engine/log_store.h"

/* The n-th call that the thread makes fails. */
static struct {
  atomic_long left; /* calls until then; 0: none fails */
  atomic_int error, thread;
  atomic_bool hit;
} fault;

enum { ANY_THREAD = 0 };

static void fail_at(long n, int error, int thread)
{
  atomic_store(&fault.hit, false);
  atomic_store(&fault.error, error);
  atomic_store(&fault.thread, thread);
  atomic_store(&fault.left, n);
}

/* Returns whether a call failed. */
static bool fault_ended(void)
{
  atomic_store(&fault.left, 0);
  return atomic_load(&fault.hit);
}

static int this_thread(void)
{
  return (int)syscall(SYS_gettid);
}

static bool fails(void)
{
  int thread = atomic_load(&fault.thread);
  if (atomic_load(&fault.left) == 0 || (thread != ANY_THREAD && thread != this_thread()) ||
      atomic_fetch_sub(&fault.left, 1) != 1)
    return false;
  atomic_store(&fault.hit, true);
  return true;
}

/* What LMDB has handed out and not got back. */
static atomic_int transactions, cursors;

static int counted(int rc, atomic_int *count)
{
  if (rc == 0)
    atomic_fetch_add(count, 1);
  return rc;
}

#define REAL(name, type, parameters)                                                               \
  static union {                                                                                   \
    void *symbol;                                                                                  \
    type(*call) parameters;                                                                        \
  } real_##name;                                                                                   \
  __attribute__((visibility("default"))) type name parameters

#define WRAP(name, parameters, arguments)                                                          \
  REAL(name, int, parameters)                                                                      \
  {                                                                                                \
    return fails() ? atomic_load(&fault.error) : real_##name.call arguments;                       \
  }

#define WRAP_COUNTED(name, parameters, arguments, count)                                           \
  REAL(name, int, parameters)                                                                      \
  {                                                                                                \
    return fails() ? atomic_load(&fault.error) : counted(real_##name.call arguments, &(count));    \
  }

WRAP(mdb_env_set_mapsize, (MDB_env * env, size_t size), (env, size))
WRAP_COUNTED(mdb_txn_begin, (MDB_env * env, MDB_txn *parent, unsigned flags, MDB_txn **txn),
             (env, parent, flags, txn), transactions)
WRAP(mdb_txn_renew, (MDB_txn * txn), (txn))
WRAP(mdb_dbi_open, (MDB_txn * txn, const char *name, unsigned flags, MDB_dbi *table),
     (txn, name, flags, table))
WRAP(mdb_get, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value),
     (txn, table, key, value))
WRAP(mdb_put, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value, unsigned flags),
     (txn, table, key, value, flags))
WRAP(mdb_del, (MDB_txn * txn, MDB_dbi table, MDB_val *key, MDB_val *value),
     (txn, table, key, value))
WRAP_COUNTED(mdb_cursor_open, (MDB_txn * txn, MDB_dbi table, MDB_cursor **cursor),
             (txn, table, cursor), cursors)
WRAP(mdb_cursor_renew, (MDB_txn * txn, MDB_cursor *cursor), (txn, cursor))
WRAP(mdb_cursor_get, (MDB_cursor * cursor, MDB_val *key, MDB_val *value, MDB_cursor_op operation),
     (cursor, key, value, operation))
WRAP(mdb_cursor_del, (MDB_cursor * cursor, unsigned flags), (cursor, flags))

REAL(mdb_txn_commit, int, (MDB_txn * txn))
{
  atomic_fetch_sub(&transactions, 1);
  return real_mdb_txn_commit.call(txn);
}

REAL(mdb_txn_abort, void, (MDB_txn * txn))
{
  if (txn != NULL)
    atomic_fetch_sub(&transactions, 1);
  real_mdb_txn_abort.call(txn);
}

REAL(mdb_cursor_close, void, (MDB_cursor * cursor))
{
  atomic_fetch_sub(&cursors, 1);
  real_mdb_cursor_close.call(cursor);
}

#define FIND(name) real_##name.symbol = dlsym(RTLD_NEXT, #name)

static void find_all(void)
{
  FIND(mdb_env_set_mapsize), FIND(mdb_txn_begin), FIND(mdb_txn_renew), FIND(mdb_dbi_open);
  FIND(mdb_get), FIND(mdb_put), FIND(mdb_del), FIND(mdb_cursor_open), FIND(mdb_cursor_renew);
  FIND(mdb_cursor_get), FIND(mdb_cursor_del), FIND(mdb_txn_commit), FIND(mdb_txn_abort);
  FIND(mdb_cursor_close);
}

static const struct {
  int rc;
  enum uk_error error;
} failures[] = {{EIO, UK_E_UNAVAILABLE},
                {ENOMEM, UK_E_NO_MEMORY},
                {MDB_BAD_DBI, UK_E_UNAVAILABLE},
                {ENOSPC, UK_E_UNAVAILABLE}};

enum { FAILURES = sizeof failures / sizeof *failures };

static struct rig_read got;

static struct uk_log *open_log(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  return rig_open(&options);
}

/* Closes the log, which leaves nothing behind in LMDB. */
static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  CHECK_EQ_INT(atomic_load(&transactions), 0);
  CHECK_EQ_INT(atomic_load(&cursors), 0);
}

/* Two partitions with three batches each, and an offset. The timestamps are not in order. */
static struct uk_log *open_filled(void)
{
  struct uk_log *log = open_log();
  if (log == NULL)
    return NULL;
  for (int i = 0; i < 6; i++)
    CHECK_EQ_INT(rig_put(log, "t", i % 2, "v", i < 2 ? 30 : 10 * i), i / 2);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 2), UK_OK);
  return log;
}

/* Reading. Each call returns its error, and checks what it found without one. */

static enum uk_error read_all(struct uk_log *log)
{
  enum uk_error error = rig_read(log, &got, "t", 1, 0);
  CHECK_EQ_INT(got.operation.error, error);
  if (error == UK_OK)
    CHECK(got.count == 3 || (got.count > 0 && atomic_load(&fault.hit)));
  else
    CHECK_EQ_INT(got.count, 0);
  /* Records that came before the failure are an answer. */
  return error == UK_OK && got.count < 3 ? (enum uk_error) - 1 : error;
}

static enum uk_error read_last(struct uk_log *log)
{
  enum uk_error error = rig_read(log, &got, "t", 1, 2);
  CHECK_EQ_INT(got.count, error == UK_OK ? 1 : 0);
  return error;
}

static enum uk_error find_time(struct uk_log *log)
{
  int64_t offset = -7;
  enum uk_error error = uk_log_offset_for_time(log, uk_slice_text("t"), 1, 31, &offset);
  if (error == UK_OK)
    CHECK_EQ_INT(offset, 2);
  return error;
}

static enum uk_error find_committed(struct uk_log *log)
{
  int64_t offset = -7;
  enum uk_error error = uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset);
  if (error == UK_OK)
    CHECK_EQ_INT(offset, 2);
  return error;
}

static void a_failed_look_up_is_no_answer(void)
{
  static enum uk_error (*const reads[])(struct uk_log *) = {read_all, read_last, find_time,
                                                            find_committed};
  struct uk_log *log = open_filled();
  REQUIRE(log != NULL);
  for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
    for (size_t j = 0; j < FAILURES; j++) {
      bool hit = true;
      for (long n = 1; hit; n++) {
        fail_at(n, failures[j].rc, this_thread());
        enum uk_error error = reads[i](log);
        hit = fault_ended();
        if (error != (enum uk_error) - 1)
          CHECK_EQ_INT(error, hit ? failures[j].error : UK_OK);
      }
      CHECK_EQ_INT(reads[i](log), UK_OK);
    }
  }
  close_log(log);
  rig_remove();
}

/* The engine passes each failure on. */

static struct uk_engine *engine;

static enum uk_error engine_offsets(void)
{
  struct uk_topic_partition_offset at[] = {{uk_slice_text("t"), 0, -7},
                                           {uk_slice_text("t"), 1, -7}};
  struct uk_offsets operation = {.timestamp = 31, .offsets = at, .count = 2};
  struct rig_call call;
  rig_call_init(&call, &operation.operation);
  engine->methods->offsets(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  if (operation.operation.error == UK_OK)
    CHECK(at[0].offset == 2 && at[1].offset == 2);
  return operation.operation.error;
}

static enum uk_error engine_committed(void)
{
  struct uk_topic_partition_offset at[] = {{uk_slice_text("t"), 1, -7},
                                           {uk_slice_text("t"), 0, -7}};
  struct uk_committed operation = {.group = uk_slice_text("g"), .offsets = at, .count = 2};
  struct rig_call call;
  rig_call_init(&call, &operation.operation);
  engine->methods->committed(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  if (operation.operation.error == UK_OK)
    CHECK(at[0].offset == -1 && at[1].offset == 2);
  return operation.operation.error;
}

static void an_engine_passes_failures_on(void)
{
  static enum uk_error (*const calls[])(void) = {engine_offsets, engine_committed};
  const struct uk_log_engine_options options = {.directory = rig_directory(),
                                                .map_bytes = RIG_MAP_BYTES,
                                                .partitions = 2,
                                                .auto_create = true,
                                                .no_sync = true};
  char message[UK_MESSAGE_SIZE];
  close_log(open_filled());
  REQUIRE(uk_log_engine_open(&engine, &options, message, sizeof message) == UK_OK);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    for (size_t j = 0; j < FAILURES; j++) {
      bool hit = true;
      for (long n = 1; hit; n++) {
        fail_at(n, failures[j].rc, this_thread());
        enum uk_error error = calls[i]();
        hit = fault_ended();
        CHECK_EQ_INT(error, hit ? failures[j].error : UK_OK);
      }
    }
  }
  engine->methods->close(engine);
  close_log(NULL);
  rig_remove();
}

/* Opening. A failure that open overlooked would show as a loss later. */

static void a_failed_open_opens_nothing(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  close_log(open_filled());
  for (size_t i = 0; i < FAILURES; i++) {
    bool hit = true;
    for (long n = 1; hit; n++) {
      char message[UK_MESSAGE_SIZE] = "";
      struct uk_log *log;
      fail_at(n, failures[i].rc, this_thread());
      enum uk_error error = uk_log_open(&log, &options, message, sizeof message);
      hit = fault_ended();
      CHECK_EQ_INT(error, hit ? failures[i].error : UK_OK);
      CHECK((log == NULL) == hit);
      CHECK((strstr(message, rig_directory()) != NULL) == hit);
      close_log(log);
    }
  }
  rig_remove();
}

/* The first open makes the tables, all or none. */
static void a_failed_creation_can_be_repeated(void)
{
  struct uk_log_options options = rig_options();
  bool hit = true;
  options.no_sync = true;
  for (long n = 1; hit; n++) {
    char message[UK_MESSAGE_SIZE];
    struct uk_log *log;
    fail_at(n, EIO, this_thread());
    enum uk_error error = uk_log_open(&log, &options, message, sizeof message);
    hit = fault_ended();
    CHECK_EQ_INT(error, hit ? UK_E_UNAVAILABLE : UK_OK);
    close_log(log);
    log = open_log();
    if (CHECK(log != NULL))
      CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
    close_log(log);
    rig_remove();
    rig_directory();
    options.directory = rig_directory();
  }
}

/* Writing. A command that succeeds has its effect, and one that fails has none, before and after
 * the next open. */

static enum uk_error put_two(struct uk_log *log)
{
  struct uk_record records[] = {rig_record("t", 0, "v"), rig_record("new", 0, "v")};
  return rig_produce(log, records, 2, NULL);
}

static enum uk_error commit(struct uk_log *log)
{
  return rig_commit(log, "g", "t", 0, 3);
}

static enum uk_error create(struct uk_log *log)
{
  return rig_create(log, "new", 2, -1, -1);
}

static enum uk_error delete (struct uk_log *log) { return rig_delete(log, "t"); }

struct state {
  int64_t end, committed;
  int32_t partitions, new_partitions;
};

static struct state state_of(struct uk_log *log)
{
  struct state state = {.end = -1, .committed = -1};
  uint64_t id;
  int64_t first;
  uk_log_bounds(log, uk_slice_text("t"), 0, &first, &state.end);
  uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &state.committed);
  state.partitions = uk_log_partitions(log, uk_slice_text("t"), &id);
  state.new_partitions = uk_log_partitions(log, uk_slice_text("new"), &id);
  return state;
}

static void expect_state(struct uk_log *log, struct state want, const char *name)
{
  struct state have = state_of(log);
  if (!CHECK(memcmp(&have, &want, sizeof have) == 0))
    fprintf(stderr, "  after \"%s\"\n", name);
  if (want.end > 0)
    CHECK(rig_read(log, &got, "t", 0, 0) == UK_OK && got.count == (size_t)want.end);
}

static const struct {
  const char *name;
  enum uk_error (*call)(struct uk_log *log);
  struct state after;
} writes[] = {{"produce", put_two, {4, 2, 2, 2}},
              {"commit", commit, {3, 3, 2, 0}},
              {"create", create, {3, 2, 2, 2}},
              {"delete", delete, {-1, -1, 0, 0}}};

static bool write_once(size_t i, long n, int rc, enum uk_error want)
{
  static const struct state before = {3, 2, 2, 0};
  struct uk_log *log = open_filled();
  if (!CHECK(log != NULL))
    return false;
  expect_state(log, before, "nothing");
  fail_at(n, rc, ANY_THREAD);
  enum uk_error error = writes[i].call(log);
  bool hit = fault_ended();
  CHECK(error == UK_OK || (hit && error == want));
  expect_state(log, error == UK_OK ? writes[i].after : before, writes[i].name);
  CHECK_EQ_INT(rig_put(log, "other", 0, "v", -1), 0); /* it works again */
  close_log(log);
  log = open_log();
  if (CHECK(log != NULL))
    expect_state(log, error == UK_OK ? writes[i].after : before, writes[i].name);
  close_log(log);
  rig_remove();
  return hit;
}

static void a_failed_write_changes_nothing(void)
{
  for (size_t i = 0; i < sizeof writes / sizeof *writes; i++) {
    for (size_t j = 0; j < FAILURES; j++) {
      long n = 1;
      while (write_once(i, n, failures[j].rc, failures[j].error))
        n++;
      CHECK(n > 1);
    }
  }
}

/* Removing, with the store alone: rows go, or the transaction fails. */

static struct uk_log_store *store;
static struct uk_log_topic *topic;

static bool open_store(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log_builder builder;
  struct uk_record record = rig_record("t", 0, "v");
  topic = uk_log_topic_new(uk_slice_text("t"), 1);
  if (!CHECK(topic != NULL) ||
      !CHECK_EQ_INT(
        uk_log_store_open(&store, rig_directory(), RIG_MAP_BYTES, true, message, sizeof message),
        UK_OK) ||
      !CHECK_EQ_INT(uk_log_store_begin(store), UK_LOG_OK))
    return false;
  topic->id = 7;
  uk_log_builder_init(&builder);
  CHECK_EQ_INT(uk_log_builder_add(&builder, &record, 50), UK_OK);
  for (int i = 0; i < 3; i++) {
    struct uk_log_partition *partition = &topic->partitions[0];
    const struct uk_log_seal seal = {
      .place = {7, 0, i}, .position = partition->position, .arrival = 50, .life = 1};
    struct uk_slice batch = uk_log_builder_seal(&builder, &seal);
    CHECK_EQ_INT(uk_log_store_put_batch(store, partition, i, batch), UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_put_time(store, partition, 50 + i, i), UK_LOG_OK);
    partition->position += batch.length;
    partition->end++;
  }
  uk_log_builder_free(&builder);
  return CHECK_EQ_INT(uk_log_store_commit(store), UK_LOG_OK);
}

static void close_store(void)
{
  free(topic);
  uk_log_store_close(store);
  close_log(NULL);
  rig_remove();
}

static enum uk_log_status trim_all(void)
{
  unsigned budget = 100;
  int64_t first = -1;
  const struct uk_log_times times = {.trusted = INT64_MAX, .steady = INT64_MAX};
  topic->retention_ms = 0;
  enum uk_log_status status =
    uk_log_store_trim(store, &topic->partitions[0], &times, &budget, &first);
  if (status == UK_LOG_OK)
    CHECK_EQ_INT(first, 3);
  return status;
}

static enum uk_log_status purge_all(void)
{
  unsigned budget = 100;
  enum uk_log_status status = uk_log_store_purge(store, 7, &budget);
  if (status == UK_LOG_OK)
    CHECK_EQ_INT(budget, 94);
  return status;
}

static void a_failed_removal_is_no_success(void)
{
  static enum uk_log_status (*const removals[])(void) = {trim_all, purge_all};
  for (size_t i = 0; i < sizeof removals / sizeof *removals; i++) {
    bool hit = true;
    for (long n = 1; hit; n++) {
      REQUIRE(open_store());
      REQUIRE(uk_log_store_begin(store) == UK_LOG_OK);
      fail_at(n, EIO, this_thread());
      enum uk_log_status status = removals[i]();
      hit = fault_ended();
      CHECK_EQ_INT(status, hit ? UK_LOG_FAILED : UK_LOG_OK);
      uk_log_store_abort(store);
      close_store();
    }
  }
}

/* A full log still commits, in its reserve. When that fails, the log has failed: it is not merely
 * full, and it works again afterwards. */

enum { OFFSETS = 40 };

static const char *group_of(int number)
{
  static char group[201];
  snprintf(group, sizeof group, "%0200d", number);
  return group;
}

/* Commits in a new group, whose rows need new pages. */
static enum uk_error commit_anew(struct uk_log *log, int number, char *message)
{
  struct uk_topic_partition_offset at[OFFSETS];
  struct uk_log_commit commit = {
    .group = uk_slice_text(group_of(number)), .offsets = at, .count = OFFSETS};
  for (int32_t i = 0; i < OFFSETS; i++)
    at[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), i, number};
  return rig_submit(log, UK_LOG_COMMIT, &commit.operation, message);
}

static int64_t last_committed(struct uk_log *log, int number)
{
  int64_t offset = -7;
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text(group_of(number)), uk_slice_text("t"),
                                OFFSETS - 1, &offset),
               UK_OK);
  return offset;
}

/* Until not even a small record fits. */
static void fill(struct uk_log *log)
{
  static char bytes[100000];
  struct uk_record large = rig_record("t", 0, "");
  large.value = uk_slice_of(bytes, sizeof bytes);
  while (rig_produce(log, &large, 1, NULL) == UK_OK)
    continue;
  while (rig_put(log, "t", 0, "v", -1) >= 0)
    continue;
}

static void a_reserve_that_fails_is_no_full_log(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  options.map_bytes = 1 << 20;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL && rig_create(log, "t", OFFSETS, -1, -1) == UK_OK);
  bool hit = true;
  int failed = 0;
  for (int i = 0; i < 10; i++) { /* the first ones find room in the pages that others freed */
    fill(log);
    CHECK_EQ_INT(commit_anew(log, 1000 + i, message), UK_OK);
  }
  for (int n = 1; hit; n++) {
    fill(log);
    fail_at(n, EIO, ANY_THREAD);
    enum uk_error error = commit_anew(log, 2 * n, message);
    hit = fault_ended();
    CHECK(error == UK_OK || (hit && error == UK_E_UNAVAILABLE));
    if (error != UK_OK)
      CHECK_EQ_STR(message, "the log failed: Input/output error");
    failed += error != UK_OK;
    CHECK_EQ_INT(last_committed(log, 2 * n), error == UK_OK ? 2 * n : -1);
    CHECK_EQ_INT(commit_anew(log, 2 * n + 1, message), UK_OK);
    CHECK_EQ_INT(last_committed(log, 2 * n + 1), 2 * n + 1);
  }
  CHECK(failed > OFFSETS + 2); /* and not only without the reserve */
  close_log(log);
  rig_remove();
}

int main(void)
{
  find_all();
  CHECK_RUN(a_failed_look_up_is_no_answer);
  CHECK_RUN(an_engine_passes_failures_on);
  CHECK_RUN(a_failed_open_opens_nothing);
  CHECK_RUN(a_failed_creation_can_be_repeated);
  CHECK_RUN(a_failed_removal_is_no_success);
  CHECK_RUN(a_reserve_that_fails_is_no_full_log);
  CHECK_RUN(a_failed_write_changes_nothing);
  return check_end();
}
