/* A16: a disk that hangs under the engine: what becomes of consumes, commits and deletions. For:
 * log_engine.c, log_create.c. */
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "hang_rig.h"
#include "log_rig.h"
#include "server/log_engine/log_engine.h"

__attribute__((visibility("default"))) int fdatasync(int fd)
{
  return hang_rig_sync(fd);
}

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

static struct asked *prepare_consume(const char *topic, int timeout)
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
  return asked;
}

static struct asked *consume(const char *topic, int timeout)
{
  struct asked *asked = prepare_consume(topic, timeout);
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
                                     UK_RESPONSE_WRITTEN);
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

static void note_list(struct uk_operation *operation)
{
  (void)operation;
}

static void count_topic(struct uk_operation *operation, struct uk_slice name, int32_t partitions)
{
  (void)partitions;
  struct asked *asked = operation->context;
  asked->at.offset += uk_slice_is(name, "one") ? 10 : 1;
}

static void a_consume_creates_each_of_its_topics(void)
{
  const struct uk_slice topics[] = {uk_slice_text("one"), uk_slice_text("two")};
  REQUIRE(open_engine());
  struct asked *asked = new_asked();
  asked->consume.group = uk_slice_text("h");
  asked->consume.instance = uk_slice_text("i");
  asked->consume.create = true;
  asked->consume.topics = topics;
  asked->consume.topic_count = 2;
  asked->consume.settings.session_timeout = HOUR;
  asked->consume.sink.record = take;
  engine->methods->consume(engine, &asked->consume);
  check_end_of(asked, UK_OK, "");
  asked = new_asked();
  struct uk_topics list = {.operation = {.done = note_list, .context = asked},
                           .topic = count_topic};
  asked->at.offset = 0;
  engine->methods->topics(engine, &list);
  CHECK_EQ_INT(asked->at.offset, 11);
  free(asked);
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

/* So are the commits of a consume. Nothing is acknowledged then: the batch comes again. */
static void A16_the_commits_of_a_consume_are_late(void)
{
  bool skipped = false;
  REQUIRE(open_engine());
  put_one();
  consume_one(0);
  hang_next();
  struct asked *asked = prepare_consume("t", 0);
  asked->at = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, 1};
  asked->consume.commits = &asked->at;
  asked->consume.commit_count = 1;
  asked->consume.skipped = &skipped;
  engine->methods->consume(engine, &asked->consume);
  wait_until_hung();
  hang_for_long();
  check_end_of(asked, UK_E_GATEWAY_TIMEOUT, MAY_BE_DONE);
  answer_again();
  CHECK_EVENTUALLY(committed() == 1);
  asked = prepare_consume("t", HOUR);
  asked->consume.acknowledgement.kind = UK_ACKNOWLEDGE_NONE;
  engine->methods->consume(engine, &asked->consume);
  CHECK_EVENTUALLY(atomic_load(&asked->ends) == 1);
  CHECK(asked->record.has_value && asked->consume.redelivered);
  check_end_of(asked, UK_OK, "");
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
  CHECK_RUN(A16_a_consume_does_not_wait_for_its_topic);
  CHECK_RUN(a_consume_creates_each_of_its_topics);
  CHECK_RUN(A16_a_commit_is_late);
  CHECK_RUN(A16_the_commits_of_a_consume_are_late);
  CHECK_RUN(A16_a_deletion_is_late);
  CHECK_RUN(A16_a_consume_does_not_wait_for_a_commit);
  CHECK_RUN(a_failed_auto_commit_is_repeated);
  CHECK_RUN(A16_an_engine_that_hangs_is_not_finished);
  return check_end();
}
