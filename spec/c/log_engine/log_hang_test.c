/* A16: a disk that hangs, with the log's own threads. Everybody who waits is answered, and what the
 * writer worked on is carried out once the disk answers. For: log_watch.c, log.c, log_create.c,
 * log_engine.c. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "log_rig.h"
#include "server/log_engine/log_engine.h"
#include "server/log_engine/log_private.h"

/* The disk. */

static struct {
  pthread_mutex_t mutex;
  pthread_cond_t moved;
  bool hangs, hung; /* the next sync waits; waits */
  int failures;     /* the next syncs fail */
} disk = {.mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  pthread_mutex_lock(&disk.mutex);
  disk.hung = disk.hangs;
  pthread_cond_broadcast(&disk.moved);
  while (disk.hangs)
    pthread_cond_wait(&disk.moved, &disk.mutex);
  bool fails = disk.failures > 0;
  disk.failures -= fails;
  pthread_mutex_unlock(&disk.mutex);
  if (!fails)
    return (int)syscall(SYS_fdatasync, fd);
  errno = EIO;
  return -1;
}

static void hang_next(void)
{
  pthread_mutex_lock(&disk.mutex);
  disk.hangs = true;
  disk.hung = false;
  pthread_mutex_unlock(&disk.mutex);
}

static void wait_until_hung(void)
{
  pthread_mutex_lock(&disk.mutex);
  while (!disk.hung)
    pthread_cond_wait(&disk.moved, &disk.mutex);
  pthread_mutex_unlock(&disk.mutex);
}

/* From now on the log says so. */
static void hang_for_long(void)
{
  atomic_store(&uk_log_hang_ms, 1);
}

static void answer_again(void)
{
  atomic_store(&uk_log_hang_ms, UK_LOG_HANG_MS);
  pthread_mutex_lock(&disk.mutex);
  disk.hangs = false;
  pthread_cond_broadcast(&disk.moved);
  pthread_mutex_unlock(&disk.mutex);
}

static void fail_next(void)
{
  pthread_mutex_lock(&disk.mutex);
  disk.failures = 1;
  pthread_mutex_unlock(&disk.mutex);
}

static bool is_failing(void)
{
  pthread_mutex_lock(&disk.mutex);
  bool fails = disk.failures > 0;
  pthread_mutex_unlock(&disk.mutex);
  return fails;
}

/* Operations that end on other threads. */

struct asked {
  union {
    struct uk_operation operation;
    struct uk_produce produce;
    struct uk_log_commit log_commit;
    struct uk_create_topic create;
    struct uk_delete_topic delete;
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer delete_consumer;
  };
  struct uk_record record;
  struct uk_topic_partition_offset at;
  struct uk_slice topic;
  atomic_int lates, ends;
  char late_text[UK_MESSAGE_SIZE];
};

static void note_late(struct uk_operation *operation, const char *message)
{
  struct asked *asked = (struct asked *)operation;
  snprintf(asked->late_text, sizeof asked->late_text, "%s", message);
  atomic_fetch_add(&asked->lates, 1);
}

static void note_end(struct uk_operation *operation)
{
  atomic_fetch_add(&((struct asked *)operation)->ends, 1);
}

static struct asked *new_asked(void)
{
  struct asked *asked = calloc(1, sizeof *asked);
  if (asked == NULL)
    abort();
  asked->operation.done = note_end;
  asked->operation.late = note_late;
  asked->at = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, 1};
  return asked;
}

/* The text with 0 for the number of seconds, which is the machine's. */
static const char *without_seconds(const char *text)
{
  static char copy[UK_MESSAGE_SIZE];
  static const char before[] = "the disk has not answered for ";
  const char *number = strstr(text, before);
  if (number == NULL)
    return text;
  number += strlen(before);
  snprintf(copy, sizeof copy, "%.*s0%s", (int)(number - text), text,
           number + strspn(number, "0123456789"));
  return copy;
}

/* Waits for the end, checks it and frees the operation: nothing may use it any more. */
static void check_end_of(struct asked *asked, enum uk_error error, const char *message)
{
  CHECK_EVENTUALLY(atomic_load(&asked->ends) > 0);
  CHECK_EQ_INT(atomic_load(&asked->ends), 1);
  CHECK_EQ_INT(asked->operation.error, error);
  CHECK_EQ_STR(without_seconds(asked->operation.message), message);
  memset(asked, 0x5a, sizeof *asked);
  free(asked);
}

#define HUNG "the disk has not answered for 0 s"
#define MAY_BE_DONE HUNG "; the request may have been carried out"

/* The log. */

static struct uk_log *log_;

static bool open_log(void)
{
  struct uk_log_options options = rig_options();
  log_ = rig_open(&options);
  return CHECK(log_ != NULL) && CHECK_EQ_INT(rig_put(log_, "t", 0, "before", -1), 0);
}

static void close_log(void)
{
  uk_log_close(log_);
  rig_remove();
}

static struct asked *produce(const char *topic)
{
  struct asked *asked = new_asked();
  asked->record = rig_record(topic, 0, "it");
  asked->produce.records = &asked->record;
  asked->produce.count = 1;
  uk_log_submit(log_, UK_LOG_PRODUCE, &asked->operation);
  return asked;
}

static struct asked *produce_t(void)
{
  return produce("t");
}

static struct asked *create(void)
{
  struct asked *asked = new_asked();
  asked->create.topic = uk_slice_text("new");
  asked->create.partitions = -1;
  uk_log_submit(log_, UK_LOG_CREATE_TOPIC, &asked->operation);
  return asked;
}

static struct asked *delete_t(void)
{
  struct asked *asked = new_asked();
  asked->delete.topic = uk_slice_text("t");
  uk_log_submit(log_, UK_LOG_DELETE_TOPIC, &asked->operation);
  return asked;
}

static struct asked *commit_t(void)
{
  struct asked *asked = new_asked();
  asked->log_commit.group = uk_slice_text("g");
  asked->log_commit.offsets = &asked->at;
  asked->log_commit.count = 1;
  uk_log_submit(log_, UK_LOG_COMMIT, &asked->operation);
  return asked;
}

static int64_t end_of_t(void)
{
  int64_t first, end = -1;
  uk_log_bounds(log_, uk_slice_text("t"), 0, &first, &end);
  return end;
}

static bool t_has_two(void)
{
  return end_of_t() == 2;
}

static bool has_new(void)
{
  uint64_t id;
  return uk_log_partitions(log_, uk_slice_text("new"), &id) > 0;
}

static bool has_no_t(void)
{
  return end_of_t() == -1;
}

static bool is_committed(void)
{
  int64_t offset = -1;
  uk_log_committed(log_, uk_slice_text("g"), uk_slice_text("t"), 0, &offset);
  return offset == 1;
}

static const struct {
  struct asked *(*ask)(void);
  bool (*is_done)(void);
} commands[] = {
  {produce_t, t_has_two}, {create, has_new}, {delete_t, has_no_t}, {commit_t, is_committed}};

static void check_hung(void)
{
  char detail[UK_MESSAGE_SIZE];
  CHECK_EQ_INT(uk_log_health(log_, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK(strstr(detail, "the disk has not answered for ") == detail);
}

static void A16_what_the_writer_works_on_is_late(void)
{
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
    char detail[UK_MESSAGE_SIZE];
    REQUIRE(open_log());
    hang_next();
    struct asked *worked_on = commands[i].ask();
    wait_until_hung();
    struct asked *waits = produce("other");
    CHECK_EQ_INT(uk_log_health(log_, detail, sizeof detail), UK_OK);
    CHECK_EQ_INT(atomic_load(&worked_on->lates), 0);
    CHECK_EQ_INT(atomic_load(&waits->ends), 0);
    hang_for_long();
    CHECK_EVENTUALLY(atomic_load(&worked_on->lates) == 1);
    CHECK_EQ_STR(without_seconds(worked_on->late_text), MAY_BE_DONE);
    check_end_of(waits, UK_E_UNAVAILABLE, HUNG);
    check_hung();
    check_end_of(produce("another"), UK_E_UNAVAILABLE, HUNG);
    CHECK(!commands[i].is_done());
    CHECK_EQ_INT(atomic_load(&worked_on->ends), 0);
    answer_again();
    CHECK_EVENTUALLY(atomic_load(&worked_on->ends) == 1);
    CHECK_EQ_INT(atomic_load(&worked_on->lates), 1);
    check_end_of(worked_on, UK_OK, "");
    CHECK(commands[i].is_done());
    CHECK_EQ_INT(rig_put(log_, "other", 0, "v", -1), 0);
    CHECK_EQ_INT(uk_log_health(log_, detail, sizeof detail), UK_OK);
    close_log();
  }
}

/* All of a transaction are late; each hang is told of. */
static void A16_a_second_hang_is_told_of_too(void)
{
  REQUIRE(open_log());
  for (int i = 0; i < 2; i++) {
    rig_hold_writer(log_);
    struct asked *first = produce_t(), *second = produce_t();
    hang_next();
    rig_release_writer();
    wait_until_hung();
    hang_for_long();
    CHECK_EVENTUALLY(atomic_load(&first->lates) == 1);
    CHECK_EVENTUALLY(atomic_load(&second->lates) == 1);
    answer_again();
    check_end_of(first, UK_OK, "");
    check_end_of(second, UK_OK, "");
    CHECK_EQ_INT(end_of_t(), 3 + 2 * i);
  }
  close_log();
}

/* The disk answers while the command is told that it is late: it does not end before that is over.
 * The writer has a moment for the mistake. */
static void answer_while_late(struct uk_operation *operation, const char *message)
{
  answer_again();
  CHECK_EVENTUALLY(end_of_t() == 2);
  rig_sleep(100);
  CHECK_EQ_INT(atomic_load(&((struct asked *)operation)->ends), 0);
  note_late(operation, message);
}

static void A16_a_command_does_not_end_while_it_is_told(void)
{
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = new_asked();
  asked->operation.late = answer_while_late;
  asked->record = rig_record("t", 0, "it");
  asked->produce.records = &asked->record;
  asked->produce.count = 1;
  uk_log_submit(log_, UK_LOG_PRODUCE, &asked->operation);
  wait_until_hung();
  hang_for_long();
  CHECK_EVENTUALLY(atomic_load(&asked->ends) == 1);
  CHECK_EQ_INT(atomic_load(&asked->lates), 1);
  check_end_of(asked, UK_OK, "");
  close_log();
}

/* Without `late` a command waits as long as the disk does. */
static void A16_a_command_need_not_know_of_it(void)
{
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = new_asked();
  asked->operation.late = NULL;
  asked->create.topic = uk_slice_text("new");
  asked->create.partitions = 1;
  uk_log_submit(log_, UK_LOG_CREATE_TOPIC, &asked->operation);
  wait_until_hung();
  struct asked *waits = produce_t();
  hang_for_long();
  CHECK_EVENTUALLY(atomic_load(&waits->ends) == 1);
  CHECK_EQ_INT(atomic_load(&asked->ends), 0);
  answer_again();
  check_end_of(waits, UK_E_UNAVAILABLE, HUNG);
  check_end_of(asked, UK_OK, "");
  close_log();
}

/* Finishing does not wait for a disk that hangs, and can be repeated. */
static void A16_a_log_that_hangs_is_not_finished(void)
{
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = produce_t();
  wait_until_hung();
  hang_for_long();
  for (int i = 0; i < 2; i++)
    CHECK(!uk_log_finish(log_));
  uk_log_close(log_); /* which leaves it as it is */
  check_hung();
  CHECK_EVENTUALLY(atomic_load(&asked->lates) == 1);
  answer_again();
  check_end_of(asked, UK_OK, "");
  CHECK(uk_log_finish(log_));
  CHECK(uk_log_finish(log_));
  CHECK_EQ_INT(end_of_t(), 2);
  check_end_of(produce_t(), UK_E_UNAVAILABLE, "the log is closing");
  close_log();
}

/* A second server is refused meanwhile. */
static void A16_a_log_that_hangs_keeps_its_lock(void)
{
  struct uk_log *second;
  const struct uk_log_options options = rig_options();
  char message[UK_MESSAGE_SIZE];
  REQUIRE(open_log());
  hang_next();
  struct asked *asked = produce_t();
  wait_until_hung();
  hang_for_long();
  uk_log_close(log_);
  CHECK_EQ_INT(uk_log_open(&second, &options, message, sizeof message), UK_E_UNAVAILABLE);
  CHECK(strstr(message, "is in use by another server") != NULL);
  answer_again();
  check_end_of(asked, UK_OK, "");
  close_log();
}

/* The engine. */

static struct uk_engine *engine;

static bool open_engine(void)
{
  const struct uk_log_engine_options options = {
    .directory = rig_directory(), .map_bytes = RIG_MAP_BYTES, .partitions = 2, .auto_create = true};
  char message[UK_MESSAGE_SIZE] = "";
  return CHECK_EQ_INT(uk_log_engine_open(&engine, &options, message, sizeof message), UK_OK);
}

static void close_engine(void)
{
  engine->methods->drain(engine);
  CHECK(engine->methods->finish(engine));
  engine->methods->close(engine);
  rig_remove();
}

static void put_one(void)
{
  struct asked *asked = new_asked();
  asked->record = rig_record("t", 0, "it");
  asked->produce.records = &asked->record;
  asked->produce.count = 1;
  engine->methods->produce(engine, &asked->produce);
  check_end_of(asked, UK_OK, "");
}

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct asked *asked = (struct asked *)operation;
  asked->record.offset = record->offset;
  asked->record.has_value = true;
  return true;
}

enum { HOUR = 3600000 };

static struct asked *consume(const char *topic, int timeout)
{
  struct asked *asked = new_asked();
  asked->topic = uk_slice_text(topic);
  asked->consume.group = uk_slice_text("g");
  asked->consume.instance = uk_slice_text("i");
  asked->consume.create = true;
  asked->consume.topics = &asked->topic;
  asked->consume.topic_count = 1;
  asked->consume.settings = (struct uk_consumer_settings){
    .auto_commit = true, .offset_reset = UK_RESET_EARLIEST, .session_timeout = HOUR};
  asked->consume.sink.record = take;
  asked->operation.deadline = uk_clock_monotonic() + timeout;
  engine->methods->consume(engine, &asked->consume);
  return asked;
}

/* Consumes the next record, and reports that its response was written. */
static void consume_one(int64_t offset)
{
  struct asked *asked = consume("t", HOUR);
  CHECK_EVENTUALLY(atomic_load(&asked->ends) == 1);
  CHECK(asked->record.has_value);
  CHECK_EQ_INT(asked->record.offset, offset);
  uint64_t delivery = asked->consume.delivery;
  check_end_of(asked, UK_OK, "");
  engine->methods->response_finished(engine, uk_slice_text("g"), uk_slice_text("i"), delivery,
                                     true);
}

static int64_t committed(void)
{
  struct uk_topic_partition_offset at = {uk_slice_text("t"), 0, -7};
  struct uk_committed operation = {.group = uk_slice_text("g"), .offsets = &at, .count = 1};
  struct rig_call call;
  rig_call_init(&call, &operation.operation);
  engine->methods->committed(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  return at.offset;
}

/* The topic that a consume creates is created late. The consume has ended by then. */
static void A16_a_consume_does_not_wait_for_its_topic(void)
{
  char *name = strdup("new");
  REQUIRE(name != NULL && open_engine());
  hang_next();
  struct asked *asked = consume(name, HOUR);
  wait_until_hung();
  struct asked *waits = consume("newer", HOUR);
  hang_for_long();
  check_end_of(asked, UK_E_GATEWAY_TIMEOUT, MAY_BE_DONE);
  memset(name, 'x', 3);
  free(name);
  check_end_of(waits, UK_E_UNAVAILABLE, HUNG);
  answer_again();
  put_one(); /* after what hung */
  struct asked *again = consume("new", 0);
  check_end_of(again, UK_OK, "");
  close_engine();
}

/* A commit is answered, and counts once the disk answers. */
static void A16_a_commit_is_late(void)
{
  REQUIRE(open_engine());
  put_one();
  consume_one(0);
  hang_next();
  struct asked *asked = new_asked();
  asked->commit.group = uk_slice_text("g");
  asked->commit.instance = uk_slice_text("i");
  asked->commit.offsets = &asked->at;
  asked->commit.count = 1;
  engine->methods->commit(engine, &asked->commit);
  wait_until_hung();
  hang_for_long();
  check_end_of(asked, UK_E_GATEWAY_TIMEOUT, MAY_BE_DONE);
  CHECK_EQ_INT(committed(), -1);
  answer_again();
  CHECK_EVENTUALLY(committed() == 1);
  put_one();
  consume_one(1); /* its position is where it was */
  close_engine();
}

static void A16_a_deletion_is_late(void)
{
  REQUIRE(open_engine());
  put_one();
  consume_one(0);
  hang_next();
  struct asked *asked = new_asked();
  asked->delete_consumer.group = uk_slice_text("g");
  asked->delete_consumer.instance = uk_slice_text("i");
  engine->methods->delete_consumer(engine, &asked->delete_consumer);
  wait_until_hung();
  hang_for_long();
  check_end_of(asked, UK_E_GATEWAY_TIMEOUT,
               "the consumer instance is closed, but its last commit failed: " MAY_BE_DONE);
  answer_again();
  CHECK_EVENTUALLY(committed() == 1);
  put_one();
  consume_one(1);
  close_engine();
}

/* A consume is answered within its timeout while its auto-commit hangs. */
static void A16_a_consume_does_not_wait_for_a_commit(void)
{
  REQUIRE(open_engine());
  put_one();
  consume_one(0);
  hang_next();
  struct asked *asked = consume("t", 1);
  wait_until_hung();
  check_end_of(asked, UK_OK, "");
  CHECK_EQ_INT(committed(), -1);
  hang_for_long();
  check_end_of(consume("t", 1), UK_OK, "");
  answer_again();
  CHECK_EVENTUALLY(committed() == 1);
  put_one();
  consume_one(1);
  close_engine();
}

/* An auto-commit that failed is tried again although no request comes. */
static void a_failed_auto_commit_is_repeated(void)
{
  REQUIRE(open_engine());
  put_one();
  consume_one(0);
  fail_next();
  check_end_of(consume("t", 0), UK_OK, "");
  CHECK_EVENTUALLY(!is_failing());
  CHECK_EVENTUALLY(committed() == 1);
  close_engine();
}

static void A16_an_engine_that_hangs_is_not_finished(void)
{
  REQUIRE(open_engine());
  put_one();
  hang_next();
  struct asked *asked = new_asked();
  asked->create.topic = uk_slice_text("new");
  asked->create.partitions = -1;
  engine->methods->create_topic(engine, &asked->create);
  wait_until_hung();
  hang_for_long();
  engine->methods->drain(engine);
  CHECK(!engine->methods->finish(engine));
  CHECK_EVENTUALLY(atomic_load(&asked->lates) == 1);
  answer_again();
  check_end_of(asked, UK_OK, "");
  close_engine();
}

int main(void)
{
  CHECK_RUN(A16_what_the_writer_works_on_is_late);
  CHECK_RUN(A16_a_second_hang_is_told_of_too);
  CHECK_RUN(A16_a_command_does_not_end_while_it_is_told);
  CHECK_RUN(A16_a_command_need_not_know_of_it);
  CHECK_RUN(A16_a_log_that_hangs_is_not_finished);
  CHECK_RUN(A16_a_log_that_hangs_keeps_its_lock);
  CHECK_RUN(A16_a_consume_does_not_wait_for_its_topic);
  CHECK_RUN(A16_a_commit_is_late);
  CHECK_RUN(A16_a_deletion_is_late);
  CHECK_RUN(A16_a_consume_does_not_wait_for_a_commit);
  CHECK_RUN(a_failed_auto_commit_is_repeated);
  CHECK_RUN(A16_an_engine_that_hangs_is_not_finished);
  return check_end();
}
