/* The writer of the log, run step by step on the thread of the test, which owns the clock: when
 * maintenance comes, how much it does at a time, and how long a problem is reported. For: log.c,
 * log_maintenance.c, log_writer.c, log_watch.c, log_keys.c, log_replay.c, log_transaction.c. */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_private.h"
#include "server/log_engine/log_store_private.h"

/* The promises, in numbers. */
enum {
  PERIOD = 1000,   /* milliseconds from one maintenance to the next */
  PROBLEM = 10000, /* milliseconds that a refusal for lack of room is reported */
  ROWS = 1000,     /* removed in one transaction */
  COMMANDS = 10000,
  BYTES = 8 << 20
};

static int64_t now = 5000, epoch = 1000000000; /* milliseconds */

int64_t uk_clock_monotonic(void)
{
  return now;
}

int64_t uk_clock_epoch(void)
{
  return epoch;
}

static int good_syncs, sync_failures; /* good ones come first */
static int syncs;                     /* all of them */
static void (*during_sync)(void);     /* called once, in the next one */

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  void (*call)(void) = during_sync;
  during_sync = NULL;
  if (call != NULL)
    call();
  syncs++;
  if (good_syncs > 0) {
    good_syncs--;
  } else if (sync_failures > 0) {
    sync_failures--;
    errno = EIO;
    return -1;
  }
  return (int)syscall(SYS_fdatasync, fd);
}

static int joins; /* no thread is started here */

__attribute__((visibility("default"))) int pthread_join(pthread_t thread, void **result)
{
  (void)thread, (void)result;
  joins++;
  return 0;
}

/* A log without a writer thread. It is closing, so the writer ends once it has nothing to do. */

static struct uk_log log_;

/* Idempotency keys: none, unless a case sets a window. */
static int64_t key_window;
static struct uk_log_key_limits key_limits;

static bool open_log(void)
{
  char message[UK_MESSAGE_SIZE];
  log_ = (struct uk_log){.map_bytes = RIG_MAP_BYTES, .closing = true};
  uk_log_stage_init(&log_.stage, &log_.topics);
  log_.stage.default_partitions = 2;
  log_.stage.auto_create = true;
  uk_log_builder_init(&log_.builder);
  uk_log_init_keys(&log_, key_window, &key_limits);
  uk_log_clock_start(&log_.clock, epoch, now);
  pthread_mutex_init(&log_.mutex, NULL);
  pthread_cond_init(&log_.arrived, NULL);
  pthread_cond_init(&log_.progress, NULL);
  pthread_cond_init(&log_.watch, NULL);
  return CHECK(uk_log_topics_init(&log_.topics)) &&
         CHECK_EQ_INT(uk_log_store_open(&log_.store, rig_directory(), log_.map_bytes, false,
                                        message, sizeof message),
                      UK_OK) &&
         CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
}

static void close_log(void)
{
  uk_log_store_close(log_.store);
  uk_log_topics_free(&log_.topics);
  uk_log_stage_free(&log_.stage);
  uk_log_builder_free(&log_.builder);
  uk_log_free_keys(&log_);
  free(log_.purges);
  pthread_cond_destroy(&log_.arrived);
  pthread_cond_destroy(&log_.progress);
  pthread_cond_destroy(&log_.watch);
  pthread_mutex_destroy(&log_.mutex);
}

static void end(void)
{
  close_log();
  rig_remove();
}

static void step(void)
{
  uk_log_writer_run(&log_);
}

static int ended;

static void note_end(struct uk_operation *operation)
{
  (void)operation;
  ended++;
}

static void enqueue(enum uk_log_command_kind kind, struct uk_operation *operation)
{
  operation->done = note_end;
  operation->engine_data = (void *)(uintptr_t)kind;
  uk_list_add(&log_.queue, &operation->link);
}

static enum uk_error run(enum uk_log_command_kind kind, struct uk_operation *operation)
{
  ended = 0;
  enqueue(kind, operation);
  step();
  CHECK_EQ_INT(ended, 1);
  return operation->error;
}

static enum uk_error create(const char *topic, int32_t partitions, int64_t retention_ms,
                            int64_t retention_bytes)
{
  struct uk_create_topic command = {.topic = uk_slice_text(topic),
                                    .partitions = partitions,
                                    .has_retention_ms = true,
                                    .retention_ms = retention_ms,
                                    .has_retention_bytes = true,
                                    .retention_bytes = retention_bytes};
  return run(UK_LOG_CREATE_TOPIC, &command.operation);
}

static enum uk_error produce(const char *topic, int32_t partition, int64_t timestamp)
{
  struct uk_record record = rig_record(topic, partition, "v");
  struct uk_produce command = {.records = &record, .count = 1};
  record.timestamp = timestamp;
  return run(UK_LOG_PRODUCE, &command.operation);
}

static enum uk_error delete_topic(const char *topic)
{
  struct uk_delete_topic command = {.topic = uk_slice_text(topic)};
  return run(UK_LOG_DELETE_TOPIC, &command.operation);
}

/* Produces batches of one record each without a sync of each: the writer is not at work here. */
static void put_batches(const char *name, int32_t partition, int count, int64_t timestamp)
{
  for (int i = 0; i < count; i++) {
    struct uk_record record = rig_record(name, partition, "v");
    struct uk_produce command = {.records = &record, .count = 1};
    struct uk_list one = {0};
    record.timestamp = timestamp;
    command.operation.engine_data = (void *)(uintptr_t)UK_LOG_PRODUCE;
    uk_list_add(&one, &command.operation.link);
    REQUIRE(uk_log_transact(&log_, &one) == UK_LOG_OK);
  }
}

static int64_t first_of(const char *topic, int32_t partition)
{
  int64_t first = -1, end_;
  uk_log_bounds(&log_, uk_slice_text(topic), partition, &first, &end_);
  return first;
}

static void check_health(enum uk_error want, const char *text)
{
  char detail[200] = "?";
  CHECK_EQ_INT(uk_log_health(&log_, detail, sizeof detail), want);
  CHECK_EQ_STR(detail, text);
}

/* Standard error goes to a file, until its text is asked for. */

static FILE *printed;
static int saved_stderr = -1;

static void print_aside(void)
{
  printed = tmpfile();
  saved_stderr = dup(STDERR_FILENO);
  if (CHECK(printed != NULL && saved_stderr >= 0))
    dup2(fileno(printed), STDERR_FILENO);
}

static const char *text_printed(void)
{
  static char text[400];
  text[0] = '\0';
  if (printed == NULL || saved_stderr < 0)
    return text;
  dup2(saved_stderr, STDERR_FILENO);
  close(saved_stderr);
  rewind(printed);
  text[fread(text, 1, sizeof text - 1, printed)] = '\0';
  fclose(printed);
  return text;
}

/* Sets a problem, and returns what that prints on standard error. */
static const char *printed_by(int64_t until, const char *text)
{
  print_aside();
  uk_log_set_problem(&log_, until, text);
  return text_printed();
}

/* Failures. */

/* A lasting problem is logged when it begins and ends, and one that repeats once a minute. */
static void problems_are_logged(void)
{
  REQUIRE(open_log());
  CHECK_EQ_STR(printed_by(0, ""), "");
  CHECK_EQ_STR(printed_by(INT64_MAX, "broken"),
               "upstash-kafka: broken; nothing is stored until it works again\n");
  CHECK_EQ_STR(printed_by(INT64_MAX, "broken"), "");
  CHECK_EQ_STR(printed_by(0, ""), "upstash-kafka: the log works again\n");
  CHECK_EQ_STR(printed_by(0, ""), "");
  CHECK_EQ_STR(printed_by(now + 1, "full"), "upstash-kafka: full\n");
  CHECK_EQ_STR(printed_by(now + 1, "full"), "");
  CHECK_EQ_STR(printed_by(0, ""), "");
  now += 60000;
  CHECK(strstr(printed_by(now + 1, "full"), "upstash-kafka: full") != NULL);
  end();
}

static void each_status_has_its_error(void)
{
  static const struct {
    enum uk_log_status status;
    enum uk_error error;
    const char *message;
    bool problem; /* health reports it, for some seconds */
  } rows[] = {
    {UK_LOG_NO_MEMORY, UK_E_NO_MEMORY, "", false},
    {UK_LOG_FULL, UK_E_UNAVAILABLE, "the log is full (map_bytes 67108864)", true},
    {UK_LOG_DISK_FULL, UK_E_UNAVAILABLE, "the disk that holds the log is full", true},
    {UK_LOG_FAILED, UK_E_UNAVAILABLE, "the log failed: ", false},
    {UK_LOG_UNCERTAIN, UK_E_GATEWAY_TIMEOUT,
     "the log failed: ; the request may have been carried out", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_operation operation = {.error = UK_OK};
    REQUIRE(open_log());
    uk_log_fail(&log_, &operation, rows[i].status);
    CHECK_EQ_INT(operation.error, rows[i].error);
    CHECK_EQ_STR(operation.message, rows[i].message);
    check_health(rows[i].problem ? UK_E_UNAVAILABLE : UK_OK,
                 rows[i].problem ? rows[i].message : "");
    now += PROBLEM - 1;
    check_health(rows[i].problem ? UK_E_UNAVAILABLE : UK_OK,
                 rows[i].problem ? rows[i].message : "");
    now++;
    check_health(UK_OK, "");
    end();
  }
}

/* A failed commit is a problem until the log has recovered, however long that takes. */
static void a_broken_log_is_unhealthy_until_it_recovers(void)
{
  static const char text[] = "the log failed: Input/output error";
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  sync_failures = 4; /* the commit, and one for each attempt */
  CHECK_EQ_INT(produce("t", 0, -1), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(log_.problem_until, INT64_MAX);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(sync_failures, 3 - i);
    check_health(UK_E_UNAVAILABLE, text);
    now += PERIOD - 1;
    step(); /* too early */
    CHECK_EQ_INT(sync_failures, 3 - i);
    check_health(UK_E_UNAVAILABLE, text);
    now++;
    step();
  }
  CHECK_EQ_INT(sync_failures, 0);
  check_health(UK_E_UNAVAILABLE, text);
  now += PERIOD;
  step();
  check_health(UK_OK, "");
  CHECK_EQ_INT(log_.next_maintenance, INT64_MAX); /* there is nothing more to do */
  CHECK_EQ_INT(produce("t", 0, -1), UK_OK);
  end();
}

static void commands_of_a_broken_log_are_refused_until_it_recovers(void)
{
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  sync_failures = 3;
  CHECK_EQ_INT(produce("t", 0, -1), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(produce("t", 0, -1), UK_E_UNAVAILABLE); /* it did not recover */
  CHECK_EQ_INT(sync_failures, 1);
  struct uk_record records[2] = {rig_record("t", 0, "v"), rig_record("t", 0, "v")};
  struct uk_produce commands[2] = {{.records = &records[0], .count = 1},
                                   {.records = &records[1], .count = 1}};
  ended = 0;
  for (int i = 0; i < 2; i++)
    enqueue(UK_LOG_PRODUCE, &commands[i].operation);
  step();
  CHECK_EQ_INT(ended, 2);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(commands[i].operation.error, UK_E_UNAVAILABLE);
    CHECK_EQ_STR(commands[i].operation.message, "the log failed: Input/output error");
  }
  CHECK_EQ_INT(sync_failures, 0);
  CHECK_EQ_INT(produce("t", 0, -1), UK_OK);
  int64_t first = -1, end_ = -1;
  CHECK(uk_log_bounds(&log_, uk_slice_text("t"), 0, &first, &end_));
  CHECK_EQ_INT(end_, 2);
  end();
}

/* Transactions. */

/* How many transactions the writer makes of commands that have come, of `count` records each. */
static int transactions_of(struct uk_produce *commands, struct uk_record *records, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    commands[i] = (struct uk_produce){.records = &records[i], .count = 1};
    enqueue(UK_LOG_PRODUCE, &commands[i].operation);
  }
  syncs = ended = 0;
  step();
  CHECK_EQ_INT(ended, count);
  for (size_t i = 0; i < count; i++)
    CHECK_EQ_INT(commands[i].operation.error, UK_OK);
  return syncs;
}

static void a_transaction_has_commands_up_to_a_limit(void)
{
  static struct uk_produce commands[COMMANDS + 1];
  static struct uk_record records[COMMANDS + 1];
  REQUIRE(open_log());
  REQUIRE(create("t", 1, -1, -1) == UK_OK);
  for (int i = 0; i < 2; i++) {
    for (size_t j = 0; j < COMMANDS + 1; j++)
      records[j] = rig_record("t", 0, "v");
    CHECK_EQ_INT(transactions_of(commands, records, (size_t)COMMANDS + (size_t)i), 1 + i);
  }
  end();
}

static void a_transaction_has_bytes_up_to_a_limit(void)
{
  enum { HALF = BYTES / 2 };
  static char bytes[HALF + 1];
  REQUIRE(open_log());
  REQUIRE(create("t", 1, -1, -1) == UK_OK);
  for (size_t i = 0; i < 3; i++) { /* the second or the first record has a byte more */
    struct uk_produce commands[2];
    struct uk_record records[2] = {rig_record("t", 0, ""), rig_record("t", 0, "")};
    records[0].value = uk_slice_of(bytes, HALF + (i == 2));
    records[1].value = uk_slice_of(bytes, HALF + (i == 1));
    CHECK_EQ_INT(transactions_of(commands, records, 2), i == 0 ? 1 : 2);
  }
  end();
}

/* A refused command takes back the topics that it made, and no others of its transaction. */
static void a_refused_command_takes_back_only_its_topics(void)
{
  for (int i = 0; i < 2; i++) {
    struct uk_record before = rig_record("before", 0, "v"), after = rig_record("after", 0, "v");
    struct uk_record bad[2] = {rig_record("made", 0, "v"), rig_record("bad name", 0, "v")};
    const struct uk_slice topics[2] = {uk_slice_text("made"), uk_slice_text("bad name")};
    struct uk_produce first = {.records = &before, .count = 1},
                      refused = {.records = bad, .count = 2},
                      last = {.records = &after, .count = 1};
    struct uk_log_create_missing missing = {.topics = topics, .count = 2};
    struct uk_operation *command = i == 0 ? &refused.operation : &missing.operation;
    uint64_t id;
    REQUIRE(open_log());
    enqueue(UK_LOG_PRODUCE, &first.operation);
    enqueue(i == 0 ? UK_LOG_PRODUCE : UK_LOG_CREATE_MISSING, command);
    enqueue(UK_LOG_PRODUCE, &last.operation);
    syncs = ended = 0;
    step();
    CHECK_EQ_INT(syncs, 1);
    CHECK_EQ_INT(ended, 3);
    CHECK_EQ_INT(first.operation.error, UK_OK);
    CHECK_EQ_INT(command->error, UK_E_BAD_REQUEST);
    CHECK_EQ_STR(command->message, "bad topic name");
    CHECK_EQ_INT(last.operation.error, UK_OK);
    for (int round = 0; round < 2; round++) {
      CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("before"), &id), 2);
      CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("made"), &id), 0);
      CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("after"), &id), 2);
      close_log();
      REQUIRE(open_log());
    }
    end();
  }
}

static int seen;

static void see_topic(void *argument, struct uk_slice topic, int32_t partitions)
{
  (void)argument, (void)topic, (void)partitions;
  seen++;
}

/* Until a commit is on the disk, readers see neither its topics nor its records. */
static void look_before_the_commit(void)
{
  uint64_t id;
  int64_t first, end_ = -1;
  uk_log_each_topic(&log_, see_topic, NULL);
  CHECK_EQ_INT(seen, 1);
  CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("new"), &id), 0);
  CHECK(!uk_log_bounds(&log_, uk_slice_text("new"), 0, &first, &end_));
  CHECK(uk_log_bounds(&log_, uk_slice_text("t"), 0, &first, &end_));
  CHECK_EQ_INT(end_, 1);
}

static void readers_see_what_is_committed(void)
{
  struct uk_record records[] = {rig_record("t", 0, "v"), rig_record("new", 0, "v")};
  struct uk_produce command = {.records = records, .count = 2};
  uint64_t id;
  int64_t first, end_ = -1;
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  seen = 0;
  during_sync = look_before_the_commit;
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &command.operation), UK_OK);
  CHECK(during_sync == NULL);
  CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("new"), &id), 2);
  CHECK(uk_log_bounds(&log_, uk_slice_text("t"), 0, &first, &end_));
  CHECK_EQ_INT(end_, 2);
  end();
}

/* A16: a disk that hangs. */

static struct uk_create_topic queued = {.topic = {"queued", 6}, .partitions = 1};
static struct uk_create_topic refused = {.topic = {"refused", 7}, .partitions = 1};

static void submit(struct uk_create_topic *command)
{
  command->operation.done = note_end;
  log_.closing = false;
  uk_log_submit(&log_, UK_LOG_CREATE_TOPIC, &command->operation);
  log_.closing = true;
}

static int lates;
static char late_text[UK_MESSAGE_SIZE];

static void note_late(struct uk_operation *operation, const char *message)
{
  (void)operation;
  lates++;
  snprintf(late_text, sizeof late_text, "%s", message);
}

static void hang(void)
{
  char detail[UK_MESSAGE_SIZE];
  now += 9999;
  CHECK_EQ_INT(uk_log_health(&log_, detail, sizeof detail), UK_OK);
  CHECK_EQ_STR(detail, "");
  submit(&queued);
  uk_log_watch_look(&log_);
  CHECK_EQ_INT(ended, 0);
  CHECK_EQ_INT(lates, 0);
  CHECK(!atomic_load(&log_.hangs.raised));
  now += 1;
  CHECK_EQ_INT(uk_log_health(&log_, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(detail, "the disk has not answered for 10 s");
  uk_log_watch_look(&log_);
  CHECK(atomic_load(&log_.hangs.raised));
  CHECK_EQ_INT(lates, 1);
  CHECK_EQ_STR(late_text,
               "the disk has not answered for 10 s; the request may have been carried out");
  CHECK_EQ_INT(ended, 1);
  CHECK_EQ_INT(queued.operation.error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(queued.operation.message, "the disk has not answered for 10 s");
  now += 30000;
  submit(&refused);
  uk_log_watch_look(&log_);
  CHECK_EQ_INT(lates, 1); /* once */
  CHECK_EQ_INT(ended, 2);
  CHECK_EQ_INT(refused.operation.error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(refused.operation.message, "the disk has not answered for 40 s");
  ended = 0;
}

/* What waits or comes while it hangs is refused, and surely not carried out; what the writer works
 * on is late, and carried out once the disk answers. Health says why. */
static void a16_a_disk_that_hangs_is_reported(void)
{
  struct uk_record record = rig_record("t", 0, "v");
  struct uk_produce command = {.operation = {.late = note_late}, .records = &record, .count = 1};
  char detail[UK_MESSAGE_SIZE];
  uint64_t id;
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  now += 20000; /* the writer waits, and does not hang */
  uk_log_watch_look(&log_);
  CHECK_EQ_INT(uk_log_health(&log_, detail, sizeof detail), UK_OK);
  for (int i = 0; i < 2; i++) { /* a second hang is reported, too */
    queued.operation = refused.operation = (struct uk_operation){.error = UK_OK};
    ended = lates = 0;
    during_sync = hang;
    enqueue(UK_LOG_PRODUCE, &command.operation);
    step();
    CHECK_EQ_INT(ended, 1);
    CHECK_EQ_INT(command.operation.error, UK_OK);
    CHECK_EQ_INT(record.offset, 1 + i);
    CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("queued"), &id), 0);
    CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("refused"), &id), 0);
    CHECK(!atomic_load(&log_.hangs.raised));
    CHECK_EQ_INT(log_.busy_since, 0);
    CHECK_EQ_INT(uk_log_health(&log_, detail, sizeof detail), UK_OK);
  }
  end();
}

static void check_busy(void)
{
  CHECK_EQ_INT(log_.busy_since, now);
}

/* The first transaction, which makes format 2 of format 1, is a step of its own. */
static void a16_the_first_transaction_may_hang(void)
{
  raw_copy("spec/fixtures/log-format-1/data.mdb", "data.mdb");
  REQUIRE(open_log());
  during_sync = check_busy;
  step();
  CHECK(during_sync == NULL);
  CHECK_EQ_INT(log_.busy_since, 0);
  end();
}

static void look_after_ten_seconds(void)
{
  now += 10000;
  uk_log_watch_look(&log_);
}

/* Of commands that failed together, the one that hangs alone is late. The others wait, and are
 * refused; those that come later are together again. */
static void a16_commands_that_wait_for_their_turn_are_refused(void)
{
  enum { COUNT = 3 };
  struct uk_record records[COUNT];
  struct uk_produce commands[COUNT];
  REQUIRE(open_log());
  REQUIRE(create("t", 1, -1, -1) == UK_OK);
  ended = lates = 0;
  for (int i = 0; i < COUNT; i++) {
    records[i] = rig_record("t", 0, "v");
    commands[i] =
      (struct uk_produce){.operation = {.late = note_late}, .records = &records[i], .count = 1};
    enqueue(UK_LOG_PRODUCE, &commands[i].operation);
  }
  during_sync = look_after_ten_seconds;
  fault_at(1); /* of the records of all three */
  step();
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(ended, COUNT);
  CHECK_EQ_INT(lates, 1);
  for (int i = 0; i < COUNT; i++)
    CHECK_EQ_INT(commands[i].operation.error, i == 0 ? UK_OK : UK_E_UNAVAILABLE);
  CHECK_EQ_INT(transactions_of(commands, records, COUNT), 1);
  CHECK_EQ_INT(records[COUNT - 1].offset, COUNT);
  end();
}

static void queue_another(void)
{
  queued.operation = (struct uk_operation){.error = UK_OK};
  submit(&queued);
}

/* Those that failed together are carried out one by one, in their order, and before those that come
 * meanwhile. */
static void commands_that_fail_together_are_tried_alone(void)
{
  enum { COUNT = 3 };
  struct uk_record records[COUNT + 1];
  struct uk_produce commands[COUNT + 1];
  REQUIRE(open_log());
  REQUIRE(create("t", 1, -1, -1) == UK_OK);
  for (int i = 0; i < COUNT + 1; i++)
    records[i] = rig_record("t", 0, "v");
  for (int i = 0; i < COUNT; i++) {
    commands[i] = (struct uk_produce){.records = &records[i], .count = 1};
    enqueue(UK_LOG_PRODUCE, &commands[i].operation);
  }
  syncs = ended = 0;
  during_sync = queue_another;
  fault_at(1);
  step();
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(ended, COUNT + 1);
  CHECK_EQ_INT(syncs, COUNT + 1);
  CHECK_EQ_INT(queued.operation.error, UK_OK);
  for (int i = 0; i < COUNT; i++)
    CHECK_EQ_INT(records[i].offset, i);
  CHECK_EQ_INT(transactions_of(commands, records, COUNT + 1), 1);
  end();
}

static void commands_that_fail_together_stay_before_those_behind(void)
{
  struct uk_record records[2] = {rig_record("t", 0, "v"), rig_record("t", 0, "v")};
  struct uk_produce commands[2] = {{.records = &records[0], .count = 1},
                                   {.records = &records[1], .count = 1}};
  struct uk_delete_topic deletion = {.topic = uk_slice_text("t")};
  uint64_t id;
  REQUIRE(open_log());
  REQUIRE(create("t", 1, -1, -1) == UK_OK);
  ended = 0;
  enqueue(UK_LOG_PRODUCE, &commands[0].operation);
  enqueue(UK_LOG_PRODUCE, &commands[1].operation);
  enqueue(UK_LOG_DELETE_TOPIC, &deletion.operation);
  fault_at(1);
  step();
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(ended, 3);
  CHECK_EQ_INT(records[0].offset, 0);
  CHECK_EQ_INT(records[1].offset, 1);
  CHECK_EQ_INT(deletion.operation.error, UK_OK);
  CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("t"), &id), 0);
  end();
}

/* A refused command leaves its out fields alone, and a carried out one fills in each record. */
static void records_learn_where_they_are(void)
{
  struct uk_record records[3] = {rig_record("t", -1, "v"), rig_record("t", 1, "v"),
                                 rig_record("t", 0, "v")};
  struct uk_produce command = {.records = records, .count = 3};
  REQUIRE(open_log());
  records[1].timestamp = -7;
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &command.operation), UK_OK);
  CHECK_EQ_INT(records[0].partition, 0);
  CHECK_EQ_INT(records[0].offset, 0);
  CHECK_EQ_INT(records[0].timestamp, epoch);
  CHECK_EQ_INT(records[1].offset, 0);
  CHECK_EQ_INT(records[1].timestamp, -7);
  CHECK_EQ_INT(records[2].offset, 1);
  epoch += 5;
  records[0].timestamp = records[0].partition = -1;
  sync_failures = 1;
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &command.operation), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(records[0].partition, -1);
  CHECK_EQ_INT(records[0].timestamp, -1);
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &command.operation), UK_OK);
  CHECK_EQ_STR(command.operation.message, "");
  CHECK_EQ_INT(records[0].timestamp, epoch); /* the time of this transaction */
  end();
}

/* A reader may find more on the disk than is published yet: it does not pass that on. */
static void readers_stop_at_the_published_end(void)
{
  static struct rig_read got;
  int64_t offset = -1;
  REQUIRE(open_log());
  for (int64_t i = 0; i < 3; i++)
    REQUIRE(produce("t", 0, 10 * i) == UK_OK);
  struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  topic->partitions[0].end = 1;
  CHECK_EQ_INT(rig_read(&log_, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 1);
  CHECK_EQ_INT(got.next, 1);
  CHECK(!got.full);
  CHECK_EQ_INT(rig_read(&log_, &got, "t", 0, 1), UK_OK);
  CHECK_EQ_INT(got.count, 0);
  CHECK_EQ_INT(uk_log_offset_for_time(&log_, uk_slice_text("t"), 0, 20, &offset), UK_OK);
  CHECK_EQ_INT(offset, 1);
  struct uk_record records[2] = {rig_record("u", 0, "v"), rig_record("u", 0, "v")};
  struct uk_produce command = {.records = records, .count = 2}; /* one batch */
  REQUIRE(run(UK_LOG_PRODUCE, &command.operation) == UK_OK);
  topic = uk_log_topics_find(&log_.topics, uk_slice_text("u"));
  topic->partitions[0].end = 1;
  CHECK_EQ_INT(rig_read(&log_, &got, "u", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 1);
  end();
}

/* Nor does it look for records that maintenance removed after it learnt the bounds. */
static void readers_skip_what_was_removed_meanwhile(void)
{
  static struct rig_read got;
  int64_t first = -1;
  unsigned budget = 2;
  REQUIRE(open_log());
  for (int i = 0; i < 4; i++)
    REQUIRE(produce("t", 0, 1) == UK_OK);
  struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
  const struct uk_log_times times = {.trusted = INT64_MAX, .steady = INT64_MAX};
  topic->retention_ms = 0;
  CHECK_EQ_INT(uk_log_store_trim(log_.store, &topic->partitions[0], &times, &budget, &first),
               UK_LOG_OK);
  CHECK_EQ_INT(first, 2);
  topic->partitions[0].gone = first;
  REQUIRE(uk_log_store_commit(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(first_of("t", 0), 0); /* not published yet */
  CHECK_EQ_INT(rig_read(&log_, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.first_offset, 2);
  CHECK_EQ_INT(got.count, 2);
  CHECK_EQ_INT(got.next, 4);
  end();
}

/* No row of any partition comes behind it. */
static void the_last_batch_is_read_from_its_middle(void)
{
  static struct rig_read got;
  REQUIRE(open_log());
  struct uk_record records[3] = {rig_record("t", 0, "0"), rig_record("t", 0, "1"),
                                 rig_record("t", 0, "2")};
  struct uk_produce command = {.records = records, .count = 3};
  REQUIRE(run(UK_LOG_PRODUCE, &command.operation) == UK_OK);
  CHECK_EQ_INT(rig_read(&log_, &got, "t", 0, 1), UK_OK);
  CHECK_EQ_STR(got.text, "1\n2\n");
  CHECK_EQ_INT(got.first_offset, 1);
  end();
}

/* Its offsets would be given twice. */
static void no_batch_takes_the_place_of_another(void)
{
  struct uk_record record = rig_record("t", 0, "other");
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, 1) == UK_OK);
  const struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  const struct uk_log_seal seal = {.place = {topic->id, 0, 0}, .life = 1};
  REQUIRE(uk_log_builder_add(&log_.builder, &record, 1) == UK_OK);
  REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_put_batch(log_.store, &topic->partitions[0], 0,
                                      uk_log_builder_seal(&log_.builder, &seal)),
               UK_LOG_DAMAGED);
  uk_log_store_abort(log_.store);
  uk_log_builder_clear(&log_.builder);
  end();
}

/* What was there when the log was opened ages by the system's clock. */
static void a_partition_knows_what_it_was_opened_with(void)
{
  REQUIRE(open_log());
  for (int i = 0; i < 2; i++)
    REQUIRE(produce("t", 0, -1) == UK_OK);
  CHECK_EQ_INT(uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0].opened_end, 0);
  close_log();
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  CHECK_EQ_INT(uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0].opened_end, 2);
  CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK); /* as a reopen does */
  CHECK_EQ_INT(uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0].opened_end, 2);
  uk_log_topics_find(&log_.topics, uk_slice_text("t"))->id = 99; /* another topic of that name */
  CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0].opened_end, 3);
  struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  topic->partition_count = 1; /* nothing is known of another one */
  topic->partitions[1].opened_end = 77;
  CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
  CHECK_EQ_INT(uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[1].opened_end, 0);
  end();
}

/* Removes the batch at offset 1, without a word. */
static void lose_second_batch(void)
{
  MDB_cursor *cursor;
  uint8_t bytes[UK_LOG_KEY];
  uint64_t id = uk_log_topics_find(&log_.topics, uk_slice_text("t"))->id;
  MDB_val value, key = uk_log_key(bytes, id, 0, 1);
  REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(mdb_cursor_open(log_.store->txn, log_.store->tables[UK_LOG_BATCHES], &cursor), 0);
  CHECK_EQ_INT(mdb_cursor_get(cursor, &key, &value, MDB_SET), 0);
  CHECK_EQ_INT(mdb_cursor_del(cursor, 0), 0);
  mdb_cursor_close(cursor);
  REQUIRE(uk_log_store_commit(log_.store) == UK_LOG_OK);
}

static const struct removal {
  int64_t first, gone; /* what maintenance tells while the reader is at offset 0 */
  int64_t next;        /* where the reading ends */
} removals[] = {{2, 0, 3}, {0, 2, 3}, {1, 0, 1}, {0, 1, 1}};
static const struct removal *removal;

static bool tell_of_removal(struct uk_operation *operation, const struct uk_record *record)
{
  struct uk_log_partition *partition =
    &uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0];
  partition->first = removal->first;
  partition->gone = removal->gone;
  return rig_sink_record(operation, record);
}

/* What is missing below the first offset, or below what may be gone, was removed; the rest is
 * damage. */
static void readers_know_removals_from_damage(void)
{
  static const struct uk_sink sink = {tell_of_removal, NULL};
  static struct rig_read read;
  for (removal = removals; removal < removals + 4; removal++) {
    REQUIRE(open_log());
    for (int i = 0; i < 3; i++)
      REQUIRE(produce("t", 0, 1) == UK_OK);
    lose_second_batch();
    read = (struct rig_read){.dense = true};
    CHECK_EQ_INT(
      uk_log_read(&log_, uk_slice_text("t"), 0, 0, &read.operation, &sink, &read.next, &read.full),
      UK_OK);
    CHECK_EQ_INT(read.next, removal->next);
    CHECK_EQ_INT(read.count, removal->next == 3 ? 2 : 1);
    CHECK_EQ_STR(read.operation.message, "");
    end();
  }
}

static bool replace_topic(struct uk_operation *operation, const struct uk_record *record)
{
  uk_log_topics_find(&log_.topics, uk_slice_text("t"))->id = 99;
  return rig_sink_record(operation, record);
}

/* Nor for those of a topic that was deleted, and made again, while it reads: the purge removes
 * them. */
static void readers_skip_what_went_with_its_topic(void)
{
  static const struct uk_sink sink = {replace_topic, NULL};
  static struct rig_read read;
  REQUIRE(open_log());
  for (int i = 0; i < 3; i++)
    REQUIRE(produce("t", 0, 1) == UK_OK);
  lose_second_batch();
  read = (struct rig_read){.dense = true};
  CHECK_EQ_INT(
    uk_log_read(&log_, uk_slice_text("t"), 0, 0, &read.operation, &sink, &read.next, &read.full),
    UK_OK);
  CHECK_EQ_INT(read.count, 2);
  CHECK_EQ_INT(read.next, 3);
  end();
}

/* An entry of the table of times that its batch does not bear out is damage. */
static void a_time_that_no_record_has_is_damage(void)
{
  int64_t offset = -1;
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, 100) == UK_OK);
  struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_put_time(log_.store, &topic->partitions[0], 200, 0), UK_LOG_OK);
  REQUIRE(uk_log_store_commit(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_offset_for_time(&log_, uk_slice_text("t"), 0, 150, &offset), UK_E_INTERNAL);
  CHECK_EQ_INT(uk_log_offset_for_time(&log_, uk_slice_text("t"), 0, 100, &offset), UK_OK);
  CHECK_EQ_INT(offset, 0);
  end();
}

/* Loading. */

/* Room for what is added next, always. */
static void purges_have_room(void)
{
  log_ = (struct uk_log){.purges = NULL};
  for (uint64_t i = 0; i < 100; i++) {
    REQUIRE(uk_log_make_purge_room(&log_));
    REQUIRE(log_.purge_count < log_.purge_capacity);
    log_.purges[log_.purge_count++] = i;
  }
  for (uint64_t i = 0; i < 100; i++)
    CHECK_EQ_INT(log_.purges[i], i);
  log_.purge_count = log_.purge_capacity;
  fault_at(1);
  CHECK(!uk_log_make_purge_room(&log_));
  fault_off();
  CHECK_EQ_INT(log_.purges[99], 99);
  free(log_.purges);
}

/* Writes an offset under the ids of topics that were deleted. */
static void put_orphans(uint64_t first, uint64_t last)
{
  REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
  for (uint64_t id = first; id <= last; id++) {
    struct uk_log_topic *topic = uk_log_topic_new(uk_slice_text("gone"), 1);
    REQUIRE(topic != NULL);
    topic->id = id;
    CHECK_EQ_INT(
      uk_log_store_put_committed(log_.store, &topic->partitions[0], uk_slice_text("g"), 1),
      UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_put_purge(log_.store, id), UK_LOG_OK);
    free(topic);
  }
  REQUIRE(uk_log_store_commit(log_.store) == UK_LOG_OK);
}

static bool has_rows(uint64_t id)
{
  enum uk_log_status status;
  uint64_t found = id;
  struct uk_log_view *view = uk_log_view_begin(log_.store, &status);
  if (!CHECK(view != NULL))
    return false;
  status = uk_log_view_next_id(view, &found);
  uk_log_view_end(view);
  return status == UK_LOG_OK && found == id;
}

/* Topics that were deleted, and not purged, before the log was opened. Loading again, as recovery
 * does, finds the same. */
static void rows_without_a_topic_are_purged(void)
{
  REQUIRE(open_log());
  for (int i = 0; i < 20; i++) {
    char name[20];
    snprintf(name, sizeof name, "t%d", i);
    REQUIRE(create(name, 1, -1, -1) == UK_OK); /* has the id i + 1 */
    REQUIRE(produce(name, 0, -1) == UK_OK);
  }
  put_orphans(100, 119);
  close_log();
  REQUIRE(open_log());
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
    CHECK_EQ_INT(log_.purge_count, 20);
    CHECK_EQ_INT(log_.purges[0], 100);
    CHECK_EQ_INT(log_.purges[19], 119);
    CHECK_EQ_INT(log_.topics.count, 20);
    CHECK(log_.topics.capacity >= 20);
    CHECK_EQ_INT(log_.stage.next_topic_id, 21);
  }
  for (int i = 0; i < 100 && log_.purge_count > 0; i++)
    step();
  for (uint64_t id = 100; id < 120; id++)
    CHECK(!has_rows(id));
  for (uint64_t id = 1; id <= 20; id++)
    CHECK(has_rows(id));
  end();
}

static void a_load_without_memory_changes_nothing(void)
{
  bool hit = true;
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  put_orphans(100, 109);
  for (long n = 1; hit; n++) {
    int64_t first = -1, end_ = -1;
    free(log_.purges);
    log_.purges = NULL;
    log_.purge_count = log_.purge_capacity = 0;
    fault_at(n);
    enum uk_log_status status = uk_log_load(&log_);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(status, hit ? UK_LOG_NO_MEMORY : UK_LOG_OK);
    CHECK(uk_log_bounds(&log_, uk_slice_text("t"), 0, &first, &end_));
    CHECK_EQ_INT(end_, 1);
  }
  CHECK_EQ_INT(log_.purge_count, 10);
  end();
}

/* What a topic is made with, and when, is there after the next open. */
static void a_topic_is_loaded_as_it_was_made(void)
{
  REQUIRE(open_log());
  epoch = 1234567890123;
  REQUIRE(create("t", 3, 70000, 80000) == UK_OK);
  for (int i = 0; i < 2; i++) {
    const struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
    REQUIRE(topic != NULL);
    CHECK_EQ_INT(topic->id, 1);
    CHECK_EQ_INT(topic->partition_count, 3);
    CHECK_EQ_INT(topic->retention_ms, 70000);
    CHECK_EQ_INT(topic->retention_bytes, 80000);
    CHECK_EQ_INT(topic->created, 1234567890123);
    CHECK(topic->visible);
    close_log();
    REQUIRE(open_log());
  }
  end();
}

/* Nothing is lost at a load: a partition whose rows make no sense is not an empty one. */
static void a_damaged_end_is_damage(void)
{
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_store_put_batch(log_.store, &topic->partitions[0], 1, uk_slice_text("x")),
               UK_LOG_OK);
  REQUIRE(uk_log_store_commit(log_.store) == UK_LOG_OK);
  CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
  topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  CHECK(topic->partitions[0].damaged);
  CHECK(!topic->partitions[1].damaged);
  CHECK_EQ_INT(topic->partitions[0].end, 2); /* readers are told at offset 1 */
  end();
}

static void a_loaded_topic_has_partitions_up_to_a_limit(void)
{
  for (int32_t i = 0; i < 2; i++) {
    struct uk_log_topic *topic = uk_log_topic_new(uk_slice_text("t"), 1000 + i);
    REQUIRE(topic != NULL && open_log());
    topic->id = 7;
    REQUIRE(uk_log_store_begin(log_.store) == UK_LOG_OK);
    CHECK_EQ_INT(uk_log_store_put_topic(log_.store, topic), UK_LOG_OK);
    REQUIRE(uk_log_store_commit(log_.store) == UK_LOG_OK);
    CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
    CHECK_EQ_INT(uk_log_topics_find(&log_.topics, uk_slice_text("t"))->damaged, i == 1);
    free(topic);
    end();
  }
}

/* The earliest timestamp that there is raises no greatest timestamp. */
static void a_partition_without_times_is_loaded(void)
{
  REQUIRE(open_log());
  REQUIRE(produce("a", 0, INT64_MIN) == UK_OK);
  REQUIRE(produce("b", 0, 5) == UK_OK);
  close_log();
  REQUIRE(open_log());
  int64_t first = -1, end_ = -1;
  CHECK(uk_log_bounds(&log_, uk_slice_text("a"), 0, &first, &end_));
  CHECK_EQ_INT(end_, 1);
  CHECK(uk_log_bounds(&log_, uk_slice_text("b"), 0, &first, &end_));
  CHECK_EQ_INT(end_, 1);
  end();
}

/* Retention by size counts bytes from the beginning of the partition: a load finds the same count,
 * with records and without. */
static void positions_are_loaded(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 1000, -1) == UK_OK);
  put_batches("t", 0, 3, epoch);
  uint64_t before = uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0].position;
  CHECK(before > 0);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
    struct uk_log_partition *partition =
      &uk_log_topics_find(&log_.topics, uk_slice_text("t"))->partitions[0];
    CHECK_EQ_INT(partition->position, before);
    CHECK_EQ_INT(partition->latest, epoch - 2000 * i);
    CHECK_EQ_INT(partition->first, 3 * i);
    CHECK_EQ_INT(partition->end, 3);
    epoch += 2000;
    now += 2000;
    step();
  }
  end();
}

/* The writer and the watcher are joined once. */
static void finishing_twice(void)
{
  REQUIRE(open_log());
  struct uk_operation operation = {.done = note_end};
  joins = 0;
  CHECK(uk_log_finish(&log_));
  CHECK_EQ_INT(joins, 0);
  log_.has_threads = log_.ended = true;
  for (int i = 0; i < 2; i++) {
    CHECK(uk_log_finish(&log_));
    CHECK_EQ_INT(joins, 2);
    CHECK(log_.watcher_stops);
  }
  ended = 0;
  uk_log_submit(&log_, UK_LOG_PRODUCE, &operation);
  CHECK_EQ_INT(ended, 1);
  CHECK_EQ_INT(operation.error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(operation.message, "the log is closing");
  end();
}

/* When maintenance comes. */

static void maintenance_comes_only_when_there_is_something_to_do(void)
{
  static const struct {
    int64_t retention_ms, retention_bytes;
    bool maintained;
  } rows[] = {
    {-1, -1, false}, {100000, -1, true}, {-1, 100000, true}, {0, -1, true}, {-1, 0, true}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    REQUIRE(open_log());
    step();
    CHECK_EQ_INT(log_.next_maintenance, INT64_MAX);
    REQUIRE(create("t", 1, rows[i].retention_ms, rows[i].retention_bytes) == UK_OK);
    CHECK_EQ_INT(log_.next_maintenance, rows[i].maintained ? now + PERIOD : INT64_MAX);
    end();
  }
}

static void maintenance_comes_each_second(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 1000, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch - 1001) == UK_OK);
  now += PERIOD - 1;
  step();
  CHECK_EQ_INT(first_of("t", 0), 0);
  now++;
  step();
  CHECK_EQ_INT(first_of("t", 0), 1);
  CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
  REQUIRE(produce("t", 0, epoch - 1001) == UK_OK);
  now += PERIOD - 1;
  step();
  CHECK_EQ_INT(first_of("t", 0), 1);
  now++;
  step();
  CHECK_EQ_INT(first_of("t", 0), 2);
  end();
}

/* A record expires when it is older than the retention, not when it is as old. */
static void a_record_expires_after_its_retention(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 7000, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch) == UK_OK);
  epoch += 7000;
  now += 7000;
  step();
  CHECK_EQ_INT(first_of("t", 0), 0);
  epoch += PERIOD;
  now += PERIOD;
  step();
  CHECK_EQ_INT(first_of("t", 0), 1);
  end();
}

/* Lets both clocks go on, and maintains. */
static void pass(int64_t milliseconds)
{
  epoch += milliseconds;
  now += milliseconds;
  step();
}

/* Its timestamp was in the future when it arrived. */
static void a8_a_message_of_2100_expires_by_its_arrival(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 1500, -1) == UK_OK);
  REQUIRE(produce("t", 0, 4102444800000) == UK_OK);
  REQUIRE(produce("t", 0, epoch) == UK_OK);
  pass(1500);
  CHECK_EQ_INT(first_of("t", 0), 0);
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 2);
  end();
}

/* A batch of format 1 says nothing of its arrival: that was before the log became format 2. */
static void a8_future_messages_of_format_1_expire(void)
{
  raw_copy("spec/fixtures/log-format-1/data.mdb", "data.mdb");
  REQUIRE(open_log());
  step();
  CHECK_EQ_INT(first_of("aged", 0), 1);
  pass(3600000);
  CHECK_EQ_INT(first_of("aged", 0), 1);
  pass(PERIOD);
  CHECK_EQ_INT(first_of("aged", 0), 2);
  CHECK_EQ_INT(first_of("orders", 0), 0);
  end();
}

/* Of the records of a batch the greatest timestamp decides whether the server's clock set it. */
static void a8_an_old_timestamp_beside_one_of_the_server(void)
{
  struct uk_record records[2] = {rig_record("t", 0, "v"), rig_record("t", 0, "v")};
  struct uk_produce command = {.records = records, .count = 2}; /* one batch */
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 7000, -1) == UK_OK);
  records[0].timestamp = 5;
  REQUIRE(run(UK_LOG_PRODUCE, &command.operation) == UK_OK);
  REQUIRE(produce("t", 0, epoch - 7001) == UK_OK); /* behind the other */
  pass(7000);
  CHECK_EQ_INT(first_of("t", 0), 0);
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 3);
  end();
}

enum { DAY = 24 * 3600 * 1000 };

static void a19_a_jump_of_the_clock_removes_nothing(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 7000, -1) == UK_OK);
  REQUIRE(produce("t", 0, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch) == UK_OK);
  epoch += DAY;
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 0);
  REQUIRE(produce("t", 0, -1) == UK_OK); /* stays as long as the jump was, at least */
  epoch -= DAY;
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 0);
  pass(7000);
  CHECK_EQ_INT(first_of("t", 0), 2);
  end();
}

/* The clock was a day behind: what came then is no day old for that. */
static void a19_what_is_younger_than_the_uptime_stays(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 7000, -1) == UK_OK);
  epoch -= DAY;
  REQUIRE(produce("t", 0, -1) == UK_OK);
  epoch += DAY;
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 0);
  CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK); /* as after a failure: it arrived since the open */
  epoch -= DAY;
  pass(6000);
  CHECK_EQ_INT(first_of("t", 0), 0);
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 1);
  end();
}

static int64_t gone_at_commit;

static void note_gone(void)
{
  struct uk_log_bounds bounds;
  CHECK(uk_log_topics_look_up(&log_.topics, uk_slice_text("t"), 0, &bounds));
  CHECK_EQ_INT(bounds.first, 0);
  gone_at_commit = bounds.gone;
}

/* A reader that looks right after the commit finds no gap that it would take for damage. */
static void a17_removals_are_announced_before_they_happen(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 7000, -1) == UK_OK);
  REQUIRE(produce("t", 0, -1) == UK_OK);
  REQUIRE(produce("t", 0, -1) == UK_OK);
  gone_at_commit = -1;
  during_sync = note_gone;
  pass(8000);
  CHECK_EQ_INT(gone_at_commit, 2);
  CHECK_EQ_INT(first_of("t", 0), 2);
  end();
}

/* Where the end is not known, nothing is removed. */
static void a17_retention_leaves_a_damaged_partition_alone(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 7000, -1) == UK_OK);
  struct uk_log_topic *topic = uk_log_topics_find(&log_.topics, uk_slice_text("t"));
  REQUIRE(produce("t", 0, -1) == UK_OK);
  topic->partitions[0].damaged = true;
  pass(8000);
  CHECK_EQ_INT(first_of("t", 0), 0);
  topic->partitions[0].damaged = false;
  pass(PERIOD);
  CHECK_EQ_INT(first_of("t", 0), 1);
  end();
}

static uint64_t saved_transaction(void)
{
  return log_.store->identity.transaction;
}

/* The identity is written with the first topic, and then once a minute. */
static void a13_the_identity_is_written_each_minute(void)
{
  enum { MINUTE = 60000 };
  REQUIRE(open_log());
  step();
  REQUIRE(produce("t", 0, -1) == UK_OK);
  uint64_t saved = saved_transaction();
  CHECK(saved > 1);
  REQUIRE(produce("t", 0, -1) == UK_OK);
  pass(MINUTE - 1);
  CHECK(saved_transaction() == saved);
  pass(1);
  CHECK(saved_transaction() == saved); /* looks come once a second */
  pass(PERIOD);
  CHECK(saved_transaction() > saved);
  end();
}

/* A look that finds nothing to remove writes nothing. */
static void a_look_at_a_quiet_log_writes_nothing(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 2, 7000, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch) == UK_OK);
  syncs = 0;
  for (int i = 0; i < 5; i++) {
    now += PERIOD;
    step();
    CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
  }
  CHECK_EQ_INT(syncs, 0);
  end();
}

static void size_alone_does_not_remove_by_age(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, -1, 1 << 20) == UK_OK);
  REQUIRE(produce("t", 0, 1) == UK_OK);
  now += PERIOD;
  step();
  CHECK_EQ_INT(first_of("t", 0), 0);
  end();
}

/* One step removes a bounded number of rows, over all partitions and topics; the next one comes at
 * once, and goes on. */
static void expired_rows_go_in_bounded_steps(void)
{
  enum { HALF = ROWS / 2 };
  REQUIRE(open_log());
  REQUIRE(create("a", 2, 1000, -1) == UK_OK);
  REQUIRE(create("b", 1, 1000, -1) == UK_OK);
  put_batches("a", 0, HALF, epoch - 2000);
  put_batches("a", 1, HALF + 1, epoch - 2000);
  put_batches("b", 0, 1, epoch - 2000);
  now += PERIOD;
  step();
  CHECK_EQ_INT(first_of("a", 0), HALF);
  CHECK_EQ_INT(first_of("a", 1), HALF);
  CHECK_EQ_INT(first_of("b", 0), 0);
  CHECK_EQ_INT(log_.next_maintenance, now);
  step();
  CHECK_EQ_INT(first_of("a", 1), HALF + 1);
  CHECK_EQ_INT(first_of("b", 0), 1);
  CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
  end();
}

static void a_deletion_is_carried_out_in_bounded_steps(void)
{
  REQUIRE(open_log());
  REQUIRE(create("kept", 1, -1, -1) == UK_OK);
  REQUIRE(produce("kept", 0, -1) == UK_OK);
  REQUIRE(create("t", 1, -1, -1) == UK_OK);
  put_batches("t", 0, ROWS + 2, 1); /* and a row for their timestamp */
  uint64_t id = 0, kept = 0;
  CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("t"), &id), 1);
  CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("kept"), &kept), 1);
  REQUIRE(delete_topic("t") == UK_OK);
  CHECK_EQ_INT(log_.purge_count, 1);
  CHECK_EQ_INT(log_.next_maintenance, now); /* at once */
  for (int i = 0; i < 50 && log_.purge_count > 0; i++) {
    CHECK(has_rows(id));
    step();
    CHECK(log_.next_maintenance == now);
  }
  CHECK_EQ_INT(log_.purge_count, 0);
  CHECK(!has_rows(id));
  CHECK(has_rows(kept));
  CHECK(log_.freed); /* LMDB reuses the pages after one more commit */
  step();
  CHECK(!log_.freed);
  CHECK_EQ_INT(log_.next_maintenance, INT64_MAX);
  end();
}

/* Freed pages make room: the problem is over at once, not when its time is. */
static void removed_rows_end_the_problem(void)
{
  struct uk_operation operation = {.error = UK_OK};
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 1000, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch - 2000) == UK_OK);
  uk_log_fail(&log_, &operation, UK_LOG_FULL);
  now += PERIOD;
  step();
  CHECK_EQ_INT(first_of("t", 0), 1);
  check_health(UK_OK, "");
  uk_log_fail(&log_, &operation, UK_LOG_FULL);
  now += PERIOD;
  step(); /* which removed nothing, and so made no room */
  check_health(UK_E_UNAVAILABLE, "the log is full (map_bytes 67108864)");
  end();
}

/* The last batch is removed only together with the marker that keeps the end. */
static void no_memory_for_a_marker(void)
{
  int64_t first = -1, end_ = -1;
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 1000, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch - 2000) == UK_OK);
  now += PERIOD;
  fault_at(1);
  step();
  CHECK(fault_hit());
  fault_off();
  check_health(UK_OK, "");
  for (int64_t i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_log_load(&log_), UK_LOG_OK);
    CHECK(uk_log_bounds(&log_, uk_slice_text("t"), 0, &first, &end_));
    CHECK_EQ_INT(first, i);
    CHECK_EQ_INT(end_, 1);
    now += PERIOD;
    step();
  }
  end();
}

static void a_failed_removal_removes_nothing(void)
{
  REQUIRE(open_log());
  REQUIRE(create("t", 1, 1000, -1) == UK_OK);
  REQUIRE(produce("t", 0, epoch - 2000) == UK_OK);
  sync_failures = 1;
  now += PERIOD;
  step();
  CHECK_EQ_INT(sync_failures, 0);
  CHECK_EQ_INT(first_of("t", 0), 0);
  check_health(UK_E_UNAVAILABLE, "the log failed: Input/output error");
  CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
  now += PERIOD;
  step();
  CHECK_EQ_INT(first_of("t", 0), 1);
  check_health(UK_OK, "");
  end();
}

/* A deletion whose rows cannot be removed now is not forgotten. */
static void a_failed_purge_comes_again(void)
{
  uint64_t id = 0;
  REQUIRE(open_log());
  REQUIRE(produce("t", 0, -1) == UK_OK);
  CHECK_EQ_INT(uk_log_partitions(&log_, uk_slice_text("t"), &id), 2);
  good_syncs = sync_failures = 1;
  REQUIRE(delete_topic("t") == UK_OK);
  CHECK_EQ_INT(sync_failures, 0);
  CHECK(has_rows(id));
  check_health(UK_E_UNAVAILABLE, "the log failed: Input/output error");
  CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
  for (int i = 0; i < 50 && log_.next_maintenance != INT64_MAX; i++) {
    now += PERIOD;
    step();
  }
  CHECK(!has_rows(id));
  check_health(UK_OK, "");
  end();
}

/* Idempotency keys. */

struct keyed {
  struct uk_record record;
  struct uk_produce command;
  char key[12];
};

static void keyed_init(struct keyed *keyed, int number)
{
  snprintf(keyed->key, sizeof keyed->key, "key-%d", number);
  keyed->record = rig_record("t", 0, "v");
  keyed->command = (struct uk_produce){.records = &keyed->record, .count = 1};
  keyed->command.key =
    (struct uk_produce_key){uk_slice_text("user"), uk_slice_text(keyed->key), {1}};
}

/* Whether the produce was carried out before. */
static bool repeats(int number)
{
  struct keyed keyed;
  keyed_init(&keyed, number);
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &keyed.command.operation), UK_OK);
  return keyed.command.replayed;
}

static bool count_key(void *argument, struct uk_slice row, size_t length, uint64_t end)
{
  (void)row, (void)length;
  *(int *)argument += end > 0;
  return true;
}

static void count_keys(struct uk_log_view *view, void *argument)
{
  CHECK_EQ_INT(uk_log_view_each_key(view, count_key, argument), UK_LOG_OK);
}

static int key_rows(void)
{
  int count = 0;
  enum uk_log_status status;
  struct uk_log_view *view = uk_log_view_begin(log_.store, &status);
  if (!CHECK(view != NULL))
    return -1;
  CHECK_EQ_INT(uk_log_view_run(view, count_keys, &count), UK_LOG_OK);
  uk_log_view_end(view);
  return count;
}

static bool open_keyed(int64_t window, uint64_t limit)
{
  key_window = window;
  if (limit > 0)
    key_limits = (struct uk_log_key_limits){limit, 1 << 20, limit, 1 << 20};
  return open_log();
}

static void end_keyed(void)
{
  key_window = 0;
  key_limits = (struct uk_log_key_limits){0};
  end();
}

/* At the end of its time, and not before. */
static void a_key_is_known_for_its_window(void)
{
  REQUIRE(open_keyed(5000, 0));
  CHECK(!repeats(1));
  now += 4999;
  CHECK(repeats(1));
  now++;
  CHECK(!repeats(1));
  CHECK(repeats(1));
  end_keyed();
}

/* No request has to come. */
static void ended_keys_are_removed_by_maintenance(void)
{
  REQUIRE(open_keyed(5 * PERIOD, 0));
  CHECK(!repeats(1));
  for (int i = 0; i < 5; i++) {
    CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
    CHECK_EQ_INT(key_rows(), 1);
    pass(PERIOD);
  }
  CHECK_EQ_INT(key_rows(), 0);
  CHECK_EQ_INT(log_.next_maintenance, INT64_MAX);
  end_keyed();
}

/* Puts keys with these numbers in one transaction: the writer is not at work here. */
static void put_keys(int first, int count)
{
  static struct keyed keyed[ROWS + 2];
  struct uk_list all = {0};
  for (int i = 0; i < count; i++) {
    keyed_init(&keyed[i], first + i);
    keyed[i].command.operation.engine_data = (void *)(uintptr_t)UK_LOG_PRODUCE;
    uk_list_add(&all, &keyed[i].command.operation.link);
  }
  REQUIRE(uk_log_transact(&log_, &all) == UK_LOG_OK);
}

/* Each new key makes room for two, and each transaction for sixteen more. */
static void new_keys_remove_ended_ones(void)
{
  REQUIRE(open_keyed(5 * PERIOD, 0));
  put_keys(0, 200);
  now += 6 * PERIOD;
  put_keys(1000, 20);
  CHECK_EQ_INT(key_rows(), 200 - (2 * 20 + 16) + 20);
  put_keys(2000, 1);
  CHECK_EQ_INT(key_rows(), 164 - (2 + 16) + 1);
  end_keyed();
}

static void ended_keys_go_in_bounded_steps(void)
{
  enum { COUNT = ROWS + 2 };
  REQUIRE(open_keyed(5 * PERIOD, 0));
  put_keys(0, COUNT);
  pass(6 * PERIOD);
  CHECK_EQ_INT(key_rows(), COUNT - ROWS);
  CHECK_EQ_INT(log_.next_maintenance, now);
  step();
  CHECK_EQ_INT(key_rows(), 0);
  end_keyed();
}

/* Smaller limits of the next start: for all, and for each user. */
static void keys_beyond_the_limits_go_in_bounded_steps(void)
{
  static const struct uk_log_key_limits limits[] = {{5, 1 << 20, 5000, 1 << 20},
                                                    {5000, 1 << 20, 5, 1 << 20}};
  for (int i = 0; i < 2; i++) {
    REQUIRE(open_keyed(600000, 0));
    put_keys(0, 600);
    put_keys(600, ROWS + 7 - 600);
    close_log();
    key_limits = limits[i];
    REQUIRE(open_log());
    step();
    CHECK_EQ_INT(key_rows(), 7);
    CHECK_EQ_INT(log_.next_maintenance, now);
    step();
    CHECK_EQ_INT(key_rows(), 5);
    CHECK(repeats(ROWS + 6) && repeats(ROWS + 2));
    end_keyed();
  }
}

/* The last step of the keys does not end those of the records. */
static void ended_keys_and_expired_rows_go_together(void)
{
  REQUIRE(open_keyed(PERIOD, 0));
  REQUIRE(create("t", 1, 1000, -1) == UK_OK);
  CHECK(!repeats(1));
  put_batches("t", 0, ROWS + 1, epoch);
  pass(2 * PERIOD);
  CHECK_EQ_INT(first_of("t", 0), ROWS);
  CHECK_EQ_INT(key_rows(), 0);
  CHECK_EQ_INT(log_.next_maintenance, now);
  step();
  CHECK_EQ_INT(first_of("t", 0), ROWS + 2);
  /* A failure waits for the next time, although there is more to do. */
  CHECK(!repeats(2));
  put_batches("t", 0, ROWS + 1, epoch);
  now += 2 * PERIOD;
  epoch += 2 * PERIOD;
  good_syncs = sync_failures = 1;
  step();
  CHECK_EQ_INT(sync_failures, 0);
  CHECK_EQ_INT(log_.next_maintenance, now + PERIOD);
  end_keyed();
}

/* Also where the server's clock has jumped back. */
static void a_repeat_has_the_timestamp_of_its_original(void)
{
  struct keyed first, again;
  REQUIRE(open_keyed(5000, 0));
  epoch -= 100000;
  keyed_init(&first, 1);
  keyed_init(&again, 1);
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &first.command.operation), UK_OK);
  CHECK_EQ_INT(first.record.timestamp, epoch);
  epoch += 7;
  again.command.operation.error = UK_E_INTERNAL; /* of an earlier attempt */
  memcpy(again.command.operation.message, "failed", 7);
  CHECK_EQ_INT(run(UK_LOG_PRODUCE, &again.command.operation), UK_OK);
  CHECK_EQ_STR(again.command.operation.message, "");
  CHECK(again.command.replayed);
  CHECK_EQ_INT(again.record.timestamp, epoch - 7);
  end_keyed();
}

/* What shows that the original is on the disk is a commit, also beside a command that writes
 * nothing. */
static void a_repeat_beside_a_refused_command_syncs(void)
{
  struct keyed again;
  struct uk_record bad = rig_record("t", 77, "v");
  struct uk_produce unwanted = {.records = &bad, .count = 1};
  REQUIRE(open_keyed(5000, 0));
  CHECK(!repeats(1));
  close_log();
  REQUIRE(open_log());
  keyed_init(&again, 1);
  enqueue(UK_LOG_PRODUCE, &again.command.operation);
  enqueue(UK_LOG_PRODUCE, &unwanted.operation);
  syncs = ended = 0;
  step();
  CHECK_EQ_INT(ended, 2);
  CHECK(again.command.replayed);
  CHECK_EQ_INT(unwanted.operation.error, UK_E_BAD_REQUEST);
  CHECK_EQ_INT(syncs, 1);
  CHECK(repeats(1));
  CHECK_EQ_INT(syncs, 1);
  end_keyed();
}

static void memory_of_large_repeats_is_freed(void)
{
  enum { EACH = 800, COUNT = 3 * EACH };
  static const char *const names[] = {"a", "b", "c"};
  static struct uk_record records[COUNT];
  REQUIRE(open_keyed(5000, 0));
  for (int i = 0; i < 3; i++)
    REQUIRE(create(names[i], EACH, -1, -1) == UK_OK);
  for (int i = 0; i < 3; i++) {
    struct uk_produce command = {.records = records, .count = i < 2 ? COUNT : 1};
    command.key = (struct uk_produce_key){uk_slice_text("user"), uk_slice_text("key"), {1}};
    for (int j = 0; j < COUNT; j++)
      records[j] = rig_record(names[j / EACH], j % EACH, "v");
    CHECK_EQ_INT(run(UK_LOG_PRODUCE, &command.operation), i < 2 ? UK_OK : UK_E_INTERNAL);
    CHECK_EQ_INT(command.replayed, i == 1);
    if (i == 1)
      CHECK_EQ_INT(records[COUNT - 1].partition, EACH - 1);
    CHECK(log_.places.capacity <= UK_LOG_ANSWER_KEEP);
  }
  end_keyed();
}

/* Keys go early when there are more than fit: the operator reads when that begins and ends. */
static void a_window_that_is_short_is_logged(void)
{
  static const char text[] = "repeated requests are recognized for 100 s, not for 600 s: there are "
                             "more idempotency keys than fit";
  char line[200];
  REQUIRE(open_keyed(600000, 2));
  CHECK(!repeats(1) && !repeats(2));
  pass(100000);
  check_health(UK_OK, "");
  print_aside();
  CHECK(!repeats(3));
  snprintf(line, sizeof line, "upstash-kafka: %s\n", text);
  CHECK_EQ_STR(text_printed(), line);
  check_health(UK_OK, text);
  struct uk_operation operation = {.error = UK_OK};
  uk_log_fail(&log_, &operation, UK_LOG_DISK_FULL); /* what matters more is told instead */
  check_health(UK_E_UNAVAILABLE, "the disk that holds the log is full");
  uk_log_set_problem(&log_, 0, "");
  print_aside();
  pass(499999);
  CHECK_EQ_STR(text_printed(), "");
  CHECK(repeats(3));
  now++;
  check_health(UK_OK, "");
  print_aside();
  pass(PERIOD);
  CHECK_EQ_STR(text_printed(), "upstash-kafka: repeated requests are recognized for 600 s again\n");
  check_health(UK_OK, "");
  end_keyed();
}

int main(void)
{
  CHECK_RUN(problems_are_logged);
  CHECK_RUN(each_status_has_its_error);
  CHECK_RUN(a_broken_log_is_unhealthy_until_it_recovers);
  CHECK_RUN(commands_of_a_broken_log_are_refused_until_it_recovers);
  CHECK_RUN(a_transaction_has_commands_up_to_a_limit);
  CHECK_RUN(a_transaction_has_bytes_up_to_a_limit);
  CHECK_RUN(a_refused_command_takes_back_only_its_topics);
  CHECK_RUN(readers_see_what_is_committed);
  CHECK_RUN(readers_stop_at_the_published_end);
  CHECK_RUN(readers_skip_what_was_removed_meanwhile);
  CHECK_RUN(readers_know_removals_from_damage);
  CHECK_RUN(readers_skip_what_went_with_its_topic);
  CHECK_RUN(the_last_batch_is_read_from_its_middle);
  CHECK_RUN(no_batch_takes_the_place_of_another);
  CHECK_RUN(a_partition_knows_what_it_was_opened_with);
  CHECK_RUN(a_time_that_no_record_has_is_damage);
  CHECK_RUN(a16_a_disk_that_hangs_is_reported);
  CHECK_RUN(a16_the_first_transaction_may_hang);
  CHECK_RUN(a16_commands_that_wait_for_their_turn_are_refused);
  CHECK_RUN(commands_that_fail_together_are_tried_alone);
  CHECK_RUN(commands_that_fail_together_stay_before_those_behind);
  CHECK_RUN(records_learn_where_they_are);
  CHECK_RUN(purges_have_room);
  CHECK_RUN(rows_without_a_topic_are_purged);
  CHECK_RUN(a_load_without_memory_changes_nothing);
  CHECK_RUN(a_topic_is_loaded_as_it_was_made);
  CHECK_RUN(a_damaged_end_is_damage);
  CHECK_RUN(a_loaded_topic_has_partitions_up_to_a_limit);
  CHECK_RUN(a_partition_without_times_is_loaded);
  CHECK_RUN(positions_are_loaded);
  CHECK_RUN(finishing_twice);
  CHECK_RUN(maintenance_comes_only_when_there_is_something_to_do);
  CHECK_RUN(maintenance_comes_each_second);
  CHECK_RUN(a_record_expires_after_its_retention);
  CHECK_RUN(a8_a_message_of_2100_expires_by_its_arrival);
  CHECK_RUN(a8_future_messages_of_format_1_expire);
  CHECK_RUN(a8_an_old_timestamp_beside_one_of_the_server);
  CHECK_RUN(a19_a_jump_of_the_clock_removes_nothing);
  CHECK_RUN(a19_what_is_younger_than_the_uptime_stays);
  CHECK_RUN(a17_removals_are_announced_before_they_happen);
  CHECK_RUN(a17_retention_leaves_a_damaged_partition_alone);
  CHECK_RUN(a13_the_identity_is_written_each_minute);
  CHECK_RUN(a_look_at_a_quiet_log_writes_nothing);
  CHECK_RUN(size_alone_does_not_remove_by_age);
  CHECK_RUN(expired_rows_go_in_bounded_steps);
  CHECK_RUN(a_deletion_is_carried_out_in_bounded_steps);
  CHECK_RUN(removed_rows_end_the_problem);
  CHECK_RUN(no_memory_for_a_marker);
  CHECK_RUN(a_failed_removal_removes_nothing);
  CHECK_RUN(a_failed_purge_comes_again);
  CHECK_RUN(a_key_is_known_for_its_window);
  CHECK_RUN(ended_keys_are_removed_by_maintenance);
  CHECK_RUN(ended_keys_go_in_bounded_steps);
  CHECK_RUN(new_keys_remove_ended_ones);
  CHECK_RUN(keys_beyond_the_limits_go_in_bounded_steps);
  CHECK_RUN(ended_keys_and_expired_rows_go_together);
  CHECK_RUN(a_repeat_has_the_timestamp_of_its_original);
  CHECK_RUN(a_repeat_beside_a_refused_command_syncs);
  CHECK_RUN(memory_of_large_repeats_is_freed);
  CHECK_RUN(a_window_that_is_short_is_logged);
  return check_end();
}
