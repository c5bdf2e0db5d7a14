/* The log and its engine when each allocation in turn fails. For: log.c, log_engine.c,
 * log_create.c, log_transaction.c, log_replay.c, log_keys.c. */
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "log_rig.h"
#include "server/log_engine/log_engine.h"

static struct rig_read got;

static bool fine(enum uk_error error)
{
  CHECK(error == UK_OK || error == UK_E_NO_MEMORY);
  return error == UK_OK;
}

/* Three batches in one transaction: memory may run out when a part of them is in the store. */
static int64_t put_batches(struct uk_log *log)
{
  static char large[300000];
  struct uk_record records[3] = {rig_record("m", 0, "a"), rig_record("m", 0, ""),
                                 rig_record("m", 0, "c")};
  records[1].value = uk_slice_of(large, sizeof large);
  return fine(rig_produce(log, records, 3, NULL)) ? 3 : 0;
}

static void check_batches(struct uk_log *log, int64_t count)
{
  int64_t first = 0, end = 0;
  uk_log_bounds(log, uk_slice_text("m"), 0, &first, &end);
  CHECK_EQ_INT(end, count);
  if (count > 0 && fine(rig_read(log, &got, "m", 0, 0)))
    CHECK_EQ_INT(got.count, count);
}

/* Nothing of a failed transaction reaches a later one. */
static void check_next(struct uk_log *log)
{
  struct uk_record record = rig_record("next", 0, "alone");
  if (!fine(rig_produce(log, &record, 1, NULL)) || !fine(rig_read(log, &got, "next", 0, 0)))
    return;
  CHECK_EQ_INT(record.offset, 0);
  CHECK_EQ_STR(got.text, "alone\n");
}

/* Uses a log once. Returns how many records it acknowledged. */
static int64_t live(struct uk_log *log, int64_t *committed, int64_t *batched)
{
  struct uk_record records[2] = {rig_record("t", 0, "a"), rig_record("t", 0, "b")};
  int64_t count = 0, offset = -1;
  count += fine(rig_produce(log, records, 2, NULL)) ? 2 : 0;
  count += fine(rig_produce(log, records, 1, NULL)) ? 1 : 0;
  if (count > 0 && fine(rig_commit(log, "g", "t", 0, count)))
    *committed = count;
  *batched = put_batches(log);
  check_batches(log, *batched);
  check_next(log);
  fine(rig_create(log, "u", 3, -1, -1));
  rig_delete(log, "u");
  if (count > 0 && fine(rig_read(log, &got, "t", 0, 0)))
    CHECK_EQ_INT(got.count, count);
  if (count > 0)
    fine(uk_log_offset_for_time(log, uk_slice_text("t"), 0, 0, &offset));
  return count;
}

static void check_log(int64_t count, int64_t committed, int64_t batched)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  int64_t offset = -1;
  REQUIRE(log != NULL);
  if (count > 0) {
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
    CHECK_EQ_INT(got.count, count);
    CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset), UK_OK);
    CHECK_EQ_INT(offset, committed);
  }
  check_batches(log, batched);
  uk_log_close(log);
}

static void f8_a_log_stores_a_batch_completely_or_not_at_all(void)
{
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_log_options options = rig_options();
    struct uk_log *log;
    char message[UK_MESSAGE_SIZE] = "";
    int64_t count = 0, committed = -1, batched = 0;
    options.no_sync = true;
    fault_at(n);
    if (fine(uk_log_open(&log, &options, message, sizeof message)))
      count = live(log, &committed, &batched);
    else
      CHECK(strstr(message, "out of memory while opening the log in ") == message);
    uk_log_close(log);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(fault_live(), before);
    check_log(count, committed, batched);
    rig_remove();
  }
}

/* Opens a log that has rows of a deleted topic. */
static void reopening(void)
{
  long before = fault_live();
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  char message[UK_MESSAGE_SIZE];
  REQUIRE(log != NULL);
  for (int i = 0; i < 40; i++) {
    char name[20];
    snprintf(name, sizeof name, "topic-%d", i);
    REQUIRE(rig_put(log, name, 0, "v", -1) == 0);
  }
  uk_log_close(log);
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    if (fine(uk_log_open(&log, &options, message, sizeof message)) &&
        fine(rig_read(log, &got, "topic-7", 0, 0)))
      CHECK_EQ_INT(got.count, 1);
    uk_log_close(log);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(fault_live(), before);
  }
  rig_remove();
}

/* A produce with an idempotency key, and its repeat, which needs room for many places. */
static enum uk_error put_keyed(struct uk_log *log, bool *replayed)
{
  enum { COUNT = 40 };
  struct uk_record records[COUNT];
  struct uk_produce produce = {.records = records, .count = COUNT};
  produce.key = (struct uk_produce_key){uk_slice_text("user"), uk_slice_text("key"), {1}};
  for (int i = 0; i < COUNT; i++)
    records[i] = rig_record("k", i % 2, "v");
  enum uk_error error = rig_submit(log, UK_LOG_PRODUCE, &produce.operation, NULL);
  *replayed = produce.replayed;
  if (error == UK_OK)
    CHECK_EQ_INT(records[COUNT - 1].offset, COUNT / 2 - 1);
  return error;
}

static void a_key_has_the_fate_of_its_records(void)
{
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_log_options options = rig_options();
    struct uk_log *log;
    options.no_sync = true;
    options.key_window = 600000;
    char message[UK_MESSAGE_SIZE];
    bool replayed = false, stored = false;
    fault_at(n);
    bool opened = fine(uk_log_open(&log, &options, message, sizeof message));
    for (int i = 0; opened && i < 3; i++) {
      bool ok = fine(put_keyed(log, &replayed));
      if (ok)
        CHECK_EQ_INT(replayed, stored);
      stored = stored || ok;
    }
    uk_log_close(log);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(fault_live(), before);
    log = rig_open(&options);
    REQUIRE(log != NULL);
    CHECK_EQ_INT(put_keyed(log, &replayed), UK_OK);
    CHECK_EQ_INT(replayed, stored);
    uk_log_close(log);
    rig_remove();
  }
}

/* The engine: waiting fetches, and a group. */

static size_t taken;

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  (void)operation;
  (void)record;
  taken++;
  return true;
}

static void fetch(struct uk_engine *engine, size_t count, int timeout)
{
  struct uk_topic_partition_offset at[2] = {{uk_slice_text("t"), 0, 0}, {uk_slice_text("t"), 1, 0}};
  struct uk_fetch operation = {.positions = at, .count = count, .sink = {take, NULL}};
  struct rig_call call;
  operation.operation.deadline = uk_clock_monotonic() + timeout;
  rig_call_init(&call, &operation.operation);
  engine->methods->fetch(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  CHECK(operation.operation.error == UK_OK || operation.operation.error == UK_E_NO_MEMORY ||
        operation.operation.error == UK_E_NOT_FOUND);
}

static void produce(struct uk_engine *engine)
{
  struct uk_record record = rig_record("t", 0, "v");
  struct uk_produce operation = {.records = &record, .count = 1};
  struct rig_call call;
  rig_call_init(&call, &operation.operation);
  engine->methods->produce(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  fine(operation.operation.error);
}

/* Creates the topic when it does not exist. */
static void consume(struct uk_engine *engine, const char *name)
{
  struct uk_slice topic = uk_slice_text(name);
  struct uk_consume operation = {
    .create = true,
    .group = uk_slice_text("g"),
    .instance = uk_slice_text("i"),
    .topics = &topic,
    .topic_count = 1,
    .settings = {.offset_reset = UK_RESET_EARLIEST, .session_timeout = 60000},
    .sink = {take, NULL}};
  struct rig_call call;
  operation.operation.deadline = uk_clock_monotonic() + 1;
  rig_call_init(&call, &operation.operation);
  engine->methods->consume(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  if (operation.delivery > 0)
    engine->methods->response_finished(engine, operation.group, operation.instance,
                                       operation.delivery, UK_RESPONSE_WRITTEN);
  CHECK(operation.operation.error == UK_OK || operation.operation.error == UK_E_NO_MEMORY ||
        operation.operation.error == UK_E_NOT_FOUND);
}

static bool commit(struct uk_engine *engine)
{
  struct uk_commit operation = {.group = uk_slice_text("g"), .instance = uk_slice_text("i")};
  struct rig_call call;
  rig_call_init(&call, &operation.operation);
  engine->methods->commit(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  CHECK(operation.operation.error == UK_OK || operation.operation.error == UK_E_NO_MEMORY ||
        operation.operation.error == UK_E_NOT_FOUND);
  return operation.operation.error == UK_OK;
}

static void check_committed(struct uk_engine *engine, int64_t offset)
{
  struct uk_topic_partition_offset at = {uk_slice_text("t"), 0, -2};
  struct uk_committed operation = {.group = uk_slice_text("g"), .offsets = &at, .count = 1};
  struct rig_call call;
  rig_call_init(&call, &operation.operation);
  engine->methods->committed(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  if (fine(operation.operation.error))
    CHECK_EQ_INT(at.offset, offset);
}

/* An acknowledged commit is there. */
static void consume_and_commit(struct uk_engine *engine)
{
  taken = 0;
  consume(engine, "t");
  size_t consumed = taken;
  if (commit(engine) && consumed > 0)
    check_committed(engine, (int64_t)consumed);
  consume(engine, "made");
}

static void an_engine(void)
{
  struct uk_log_engine_options options = {
    .map_bytes = RIG_MAP_BYTES, .partitions = 2, .auto_create = true, .no_sync = true};
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_engine *engine;
    char message[UK_MESSAGE_SIZE];
    options.directory = rig_directory();
    fault_at(n);
    if (fine(uk_log_engine_open(&engine, &options, message, sizeof message))) {
      produce(engine);
      fetch(engine, 2, 1);
      consume_and_commit(engine);
      engine->methods->drain(engine);
      engine->methods->close(engine);
    }
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(fault_live(), before);
    rig_remove();
  }
}

/* A fetch that may not wait for lack of memory says so: an empty answer would mean that there are
 * no records. */
static void a_fetch_without_memory_fails(void)
{
  struct uk_log_engine_options options = {.directory = rig_directory(),
                                          .map_bytes = RIG_MAP_BYTES,
                                          .partitions = 2,
                                          .auto_create = true,
                                          .no_sync = true};
  char message[UK_MESSAGE_SIZE];
  struct uk_engine *engine;
  REQUIRE(uk_log_engine_open(&engine, &options, message, sizeof message) == UK_OK);
  produce(engine);
  for (long n = 1; n <= 2; n++) { /* for the waiter, and for its place among the others */
    struct uk_topic_partition_offset at = {uk_slice_text("t"), 0, 1};
    struct uk_fetch operation = {.positions = &at, .count = 1, .sink = {take, NULL}};
    struct rig_call call;
    operation.operation.deadline = uk_clock_monotonic() + 60000;
    rig_call_init(&call, &operation.operation);
    fault_at(n);
    engine->methods->fetch(engine, &operation);
    CHECK(fault_hit());
    fault_off();
    rig_call_wait(&call, &operation.operation);
    CHECK_EQ_INT(operation.operation.error, UK_E_NO_MEMORY);
  }
  engine->methods->drain(engine);
  engine->methods->close(engine);
  rig_remove();
}

/* A topic that could not be created for lack of memory is not one that does not exist. */
static void a_consume_without_memory_for_its_topic_fails(void)
{
  struct uk_log_engine_options options = {.directory = rig_directory(),
                                          .map_bytes = RIG_MAP_BYTES,
                                          .partitions = 2,
                                          .auto_create = true,
                                          .no_sync = true};
  struct uk_slice topic = uk_slice_text("made");
  struct uk_consume operation = {.create = true,
                                 .group = uk_slice_text("g"),
                                 .instance = uk_slice_text("i"),
                                 .topics = &topic,
                                 .topic_count = 1,
                                 .sink = {take, NULL}};
  char message[UK_MESSAGE_SIZE];
  struct rig_call call;
  struct uk_engine *engine;
  REQUIRE(uk_log_engine_open(&engine, &options, message, sizeof message) == UK_OK);
  rig_call_init(&call, &operation.operation);
  fault_at(1);
  engine->methods->consume(engine, &operation);
  CHECK(fault_hit());
  fault_off();
  rig_call_wait(&call, &operation.operation);
  CHECK_EQ_INT(operation.operation.error, UK_E_NO_MEMORY);
  engine->methods->close(engine);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_consume_without_memory_for_its_topic_fails);
  CHECK_RUN(a_fetch_without_memory_fails);
  CHECK_RUN(f8_a_log_stores_a_batch_completely_or_not_at_all);
  CHECK_RUN(reopening);
  CHECK_RUN(a_key_has_the_fate_of_its_records);
  CHECK_RUN(an_engine);
  return check_end();
}
