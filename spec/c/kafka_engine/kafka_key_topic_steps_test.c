/* for: kafka_key_topic.c
 *
 * How a server comes to follow the topic of idempotency keys, what it takes from it, what it does
 * without it, and what it appends. librdkafka, the producer and the clock are the test's. */
#include "server/kafka_engine/produce/kafka_key_topic.h"

#include <pthread.h>
#include <unistd.h>

#include "fake_kafka_key_topic.h"
#include "fault.h"
#include "server/kafka_engine/produce/kafka_key_row.h"

enum {
  RETRY_SOON = 200,
  RETRY = 5000,
  ROW_TIMEOUT = 30000,
  ALARM_PATIENCE = 30000,
  EVENTS_PER_RUN = 2000
};

/* Steps of a test. */

static void await(struct uk_produce *operation, bool begins)
{
  memset(operation, 0, sizeof *operation);
  CHECK_EQ_INT(uk_kafka_key_topic_await(fake.topic, operation), begins);
  reader_run(reader.now);
}

static void answer_creation(rd_kafka_event_type_t type)
{
  struct reader_event *event = reader_event_of("", 0);
  event->type = type;
  reader_add((struct reader_queue *)fake.admin, event);
  reader_run(reader.now);
}

static void run_seek(void)
{
  struct uk_kafka_work *work = fake.work;
  REQUIRE(work != NULL);
  work->run(work);
  fake.work = NULL;
  work->query.then(&work->query);
  reader_run(reader.now);
}

/* It follows the topic, and has not reached the end. */
static void follow(struct uk_produce *operation)
{
  await(operation, false);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  run_seek();
  CHECK_EQ_INT(reader_offset(UK_KAFKA_KEY_TOPIC, 0), fake.first);
  fake.log[0] = '\0';
}

static void reach_end(void)
{
  reader_end(UK_KAFKA_KEY_TOPIC, 0, fake.end);
  reader_run(reader.now);
}

static void fail(rd_kafka_resp_err_t code)
{
  reader_code(UK_KAFKA_KEY_TOPIC, 0, code, 0);
  reader_run(reader.now);
}

static void check_told(bool shared, const char *reason, bool told)
{
  char text[300], wanted[300];
  snprintf(wanted, sizeof wanted,
           "idempotency keys are not shared with other servers: topic \"%s\": %s",
           UK_KAFKA_KEY_TOPIC, reason);
  CHECK_EQ_INT(uk_kafka_key_topic_is_shared(fake.topic, text, sizeof text), shared);
  if (!shared)
    CHECK_EQ_STR(text, wanted);
  CHECK_EQ_STR(fake.alarm, told ? wanted : "");
}

static void check_shared(bool shared, const char *reason)
{
  check_told(shared, reason, !shared);
}

/* An operation with the key "key" of "user", which stored one record. */
static const struct uk_produce *outcome(void)
{
  static struct uk_record record = {.partition = 2, .offset = 7};
  static struct uk_produce operation;
  record.topic = uk_slice_text("t");
  operation = (struct uk_produce){.records = &record, .count = 1};
  operation.key.user = uk_slice_text("user");
  operation.key.key = uk_slice_text("key");
  return &operation;
}

/* A row arrives, or something that is none. */
static void put_row(int64_t offset, bool is_row)
{
  static struct uk_buffer key, value;
  uk_buffer_init(&key, SIZE_MAX);
  uk_buffer_init(&value, SIZE_MAX);
  uk_kafka_key_row_write(&key, &value, outcome());
  struct reader_event *event = reader_event_of(UK_KAFKA_KEY_TOPIC, 0);
  event->is_message = true;
  event->message = (rd_kafka_message_t){.rkt = (rd_kafka_topic_t *)&event->topic,
                                        .offset = offset,
                                        .payload = value.data,
                                        .len = is_row ? value.length : 1,
                                        .key = key.data,
                                        .key_len = key.length};
  reader_add(reader_find(UK_KAFKA_KEY_TOPIC, 0, NULL)->queue, event);
  reader_run(reader.now);
  uk_buffer_free(&key);
  uk_buffer_free(&value);
}

/* Cases. */

static void it_is_followed_from_the_first_produce_with_a_key_on(void)
{
  static struct uk_produce first, second, third;
  reader_run(READER_NOW + 1000000);
  fake.admin = (rd_kafka_queue_t *)reader.queues;
  answer_creation(RD_KAFKA_EVENT_ERROR); /* of nothing that was asked for */
  DID("");
  CHECK_EQ_STR(fake.alarm, "");
  await(&first, false);
  DID("cleanup.policy=compact,delete retention.ms=600000 segment.ms=600000 within 5000 create ");
  await(&second, false);
  answer_creation(RD_KAFKA_EVENT_ERROR); /* of something else */
  DID("");
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  DID("seek ");
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT); /* once is enough */
  DID("");
  run_seek();
  DID("offset(-1) offset(1400000) kick "); /* first the end */
  CHECK_EQ_INT(reader_offset(UK_KAFKA_KEY_TOPIC, 0), fake.first);
  CHECK_EQ_INT(reader.handles[0].wait, 500);
  check_shared(true, ""); /* nobody went on without it */
  CHECK_EQ_INT(fake.ready_count, 0);
  reach_end();
  CHECK(fake.ready_count == 2 && fake.ready[0] == &first && fake.ready[1] == &second);
  check_shared(true, "");
  CHECK_EQ_INT(fake.clears, 1);
  await(&third, true);
  reader_run(reader.now + 1000000);
  CHECK_EQ_INT(fake.ready_count, 2);
  DID("");
}

static void without_leave_to_create_it_is_only_looked_for(void)
{
  static struct uk_produce operation;
  await(&operation, false);
  DID("seek ");
  run_seek();
  reach_end();
  CHECK_EQ_INT(fake.ready_count, 1);
}

static void it_is_read_from_where_the_window_begins(void)
{
  static const struct {
    int64_t first, end, from;
  } rows[] = {{5, 9, 5}, {0, 9, 0}, {UK_KAFKA_NO_OFFSET, 9, 9}};
  static struct uk_produce operation;
  await(&operation, false);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake.first = rows[i].first;
    fake.end = rows[i].end;
    answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
    run_seek();
    CHECK_EQ_INT(reader_offset(UK_KAFKA_KEY_TOPIC, 0), rows[i].from);
    fail(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    CHECK_EQ_INT(reader.read_count, 0);
    CHECK_EQ_INT(reader.reaped, i + 1);
    reader_run(reader.now + RETRY_SOON);
  }
}

/* Timestamps are 10 times the offsets; it is READER_NOW. */
static void rows_are_learned_while_they_are_young(void)
{
  static const struct {
    int64_t offset;
    int learned;
    int64_t since;
  } rows[] = {{(READER_NOW - WINDOW) / 10, 0, 0},
              {(READER_NOW - WINDOW) / 10 + 1, 1, READER_NOW - WINDOW + 10},
              {READER_NOW / 10, 2, READER_NOW},
              {READER_NOW / 10 + 1, 3, READER_NOW}};
  static struct uk_produce operation;
  follow(&operation);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    put_row(rows[i].offset, true);
    CHECK_EQ_INT(fake.learned_count, rows[i].learned);
    CHECK_EQ_INT(fake.since, rows[i].since);
  }
  put_row(READER_NOW / 10, false);
  CHECK_EQ_INT(fake.learned_count, 3);
  CHECK_EQ_INT(fake.lines, 0);
  fake.learns = false;
  put_row(READER_NOW / 10, true);
  CHECK_EQ_STR(fake.line, "no memory for the idempotency key of another server");
  CHECK_EQ_INT(fake.ready_count, 0);
}

/* More arrives at once than one run takes. */
static void every_row_is_taken(void)
{
  static struct uk_produce operation;
  follow(&operation);
  for (int i = 0; i < EVENTS_PER_RUN; i++)
    reader_record(UK_KAFKA_KEY_TOPIC, 0, i, 1);
  reach_end();
  CHECK_EQ_INT(fake.ready_count, 1);
}

static void what_passes_does_not_end_it(void)
{
  static struct uk_produce operation;
  follow(&operation);
  struct reader_event *event = reader_event_of(UK_KAFKA_KEY_TOPIC, 0);
  event->has_place = false;
  event->code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; /* of no partition */
  reader_add(reader_find(UK_KAFKA_KEY_TOPIC, 0, NULL)->queue, event);
  fail(RD_KAFKA_RESP_ERR__TRANSPORT);
  CHECK_EQ_INT(reader.read_count, 1);
  fail(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  CHECK_EQ_INT(reader.read_count, 0);
}

/* What comes after that is of a queue that is gone. */
static void nothing_is_taken_after_a_failure(void)
{
  static struct uk_produce operation;
  follow(&operation);
  reader_code(UK_KAFKA_KEY_TOPIC, 0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0);
  reader_end(UK_KAFKA_KEY_TOPIC, 0, 9);
  reader_run(reader.now);
  CHECK_EQ_INT(fake.ready_count, 0);
  CHECK_EQ_INT(reader.read_count, 0);
}

/* Produces wait five seconds in all; meanwhile it is tried again soon, and later at leisure. */
static void produces_go_on_without_it_after_five_seconds(void)
{
  static struct uk_produce operation;
  const int64_t begun = reader.now;
  await(&operation, false);
  for (int64_t passed = 0; passed + RETRY_SOON < UK_KAFKA_KEY_PATIENCE; passed += RETRY_SOON) {
    answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
    fake.end_code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    run_seek();
    fake.log[0] = '\0';
    reader_run(reader.now + RETRY_SOON - 1);
    DID("");
    check_shared(true, "");
    reader_run(reader.now + 1);
    CHECK(strstr(fake.log, "create ") != NULL);
  }
  reader_run(begun + UK_KAFKA_KEY_PATIENCE - 50);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  run_seek(); /* the next try would be later than that */
  reader_run(begun + UK_KAFKA_KEY_PATIENCE - 1);
  CHECK_EQ_INT(fake.ready_count, 0);
  CHECK_EQ_STR(fake.alarm, "");
  reader_run(begun + UK_KAFKA_KEY_PATIENCE);
  CHECK_EQ_INT(fake.ready_count, 1);
  check_shared(false, "Broker: Topic authorization failed");
}

static void what_went_wrong_is_said_until_it_is_followed_again(void)
{
  static struct uk_produce operation;
  await(&operation, false);
  reader_run(reader.now + UK_KAFKA_KEY_PATIENCE);
  CHECK_EQ_INT(fake.ready_count, 1);
  check_told(false, "the cluster has not answered yet", false);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  fake.first_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  run_seek();
  check_shared(false, "Broker: Unknown topic or partition");
  fake.log[0] = '\0';
  reader_run(reader.now + RETRY - 1);
  answer_creation(RD_KAFKA_EVENT_ERROR);
  DID("");
  fake.first_code = RD_KAFKA_RESP_ERR_NO_ERROR;
  reader.refuses_handles = true;
  reader_run(reader.now + 1);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  run_seek();
  check_shared(false, "no handle");
  reader.refuses_handles = false;
  reader.refuses = UK_KAFKA_KEY_TOPIC;
  reader_run(reader.now + RETRY);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  run_seek();
  check_shared(false, rd_kafka_err2str(rd_kafka_last_error()));
  reader.refuses = NULL;
  reader_run(reader.now + RETRY);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  run_seek();
  reach_end();
  check_shared(true, "");
  fail(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  check_shared(false, "Broker: Topic authorization failed");
}

/* Only slow is no failure: health says so at once, the error log after half a minute. */
static void a_cluster_that_is_slow_at_the_start_is_told_late(void)
{
  static struct uk_produce operation;
  const int64_t begun = reader.now;
  await(&operation, false);
  reader_run(begun + UK_KAFKA_KEY_PATIENCE);
  reader_run(begun + ALARM_PATIENCE - 1);
  check_told(false, "the cluster has not answered yet", false);
  reader_run(begun + ALARM_PATIENCE);
  check_shared(false, "the cluster has not answered yet");
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  run_seek();
  reach_end();
  check_shared(true, "");
  CHECK_EQ_INT(fake.clears, 1);
}

/* What is appended. */

static void answer_row(enum uk_error error)
{
  struct uk_produce *row = fake.row;
  REQUIRE(row != NULL);
  fake.row = NULL;
  row->operation.error = error;
  row->operation.done(&row->operation);
}

static void what_is_kept_is_appended_while_it_is_shared(void)
{
  static struct uk_produce operation;
  struct uk_produce_key key;
  struct uk_slice answer;
  uk_kafka_key_topic_share(fake.topic, outcome());
  follow(&operation);
  uk_kafka_key_topic_share(fake.topic, outcome());
  CHECK_EQ_INT(fake.rows, 0);
  reach_end();
  uk_kafka_key_topic_share(fake.topic, outcome());
  REQUIRE(fake.row != NULL && fake.row->count == 1);
  const struct uk_record *record = fake.row->records;
  CHECK(uk_slice_is(record->topic, UK_KAFKA_KEY_TOPIC));
  CHECK(record->partition == 0 && record->timestamp == -1);
  CHECK(record->has_key && record->has_value && record->header_count == 0);
  CHECK(uk_kafka_key_row_read(record->key, record->value, &key, &answer));
  CHECK(uk_slice_is(key.user, "user") && uk_slice_is(key.key, "key"));
  CHECK_EQ_INT(fake.row->operation.deadline, reader.now + ROW_TIMEOUT);
  answer_row(UK_OK);
  CHECK_EQ_INT(fake.lines, 0);
  uk_kafka_key_topic_share(fake.topic, outcome());
  answer_row(UK_E_UNAVAILABLE);
  CHECK_EQ_STR(fake.line, "an idempotency key could not be shared with other servers");
}

static void what_is_kept_is_appended_where_there_is_memory(void)
{
  static struct uk_produce operation;
  follow(&operation);
  reach_end();
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fake.line[0] = '\0';
    fault_at(n);
    uk_kafka_key_topic_share(fake.topic, outcome());
    hit = fault_hit();
    fault_off();
    CHECK_EQ_STR(fake.line, hit ? "no memory to share an idempotency key with other servers" : "");
    CHECK_EQ_INT(fake.rows, !hit);
  }
  answer_row(UK_OK);
  CHECK_EQ_INT(fault_live(), live);
}

/* What is under way has the topic until it has ended. */

static void *end_later(void *argument)
{
  (void)argument;
  usleep(20000); /* main is by then waiting for the end, or not: either must do */
  if (fake.row != NULL)
    answer_row(UK_OK);
  if (fake.work != NULL)
    fake.work->query.then(&fake.work->query);
  return NULL;
}

static void free_while_something_is_under_way(void)
{
  pthread_t thread;
  REQUIRE(pthread_create(&thread, NULL, end_later, NULL) == 0);
  uk_kafka_key_topic_free(fake.topic);
  fake.topic = NULL;
  pthread_join(thread, NULL);
}

static void it_ends_after_a_row_under_way(void)
{
  static struct uk_produce operation;
  follow(&operation);
  reach_end();
  uk_kafka_key_topic_share(fake.topic, outcome());
  free_while_something_is_under_way();
  CHECK(fake.row == NULL);
}

static void it_ends_after_the_search_for_its_offsets(void)
{
  static struct uk_produce operation;
  await(&operation, false);
  answer_creation(RD_KAFKA_EVENT_CREATETOPICS_RESULT);
  free_while_something_is_under_way();
  CHECK_EQ_INT(reader.opened, 0);
}

static struct uk_kafka_key_topic *make(bool creates)
{
  const struct uk_kafka_key_topic_parts parts = {
    .settings = (struct uk_kafka_settings *)&reader,
    .control = (rd_kafka_t *)&fake.control,
    .executor = reader.executor,
    .blocking = (struct uk_kafka_blocking *)&fake,
    .reaper = (struct uk_kafka_reaper *)&reader,
    .producer = (struct uk_kafka_producer *)&fake,
    .keys = (struct uk_produce_keys *)&fake,
    .window = WINDOW,
    .create = creates,
    .ready = on_ready,
    .context = &fake,
  };
  return uk_kafka_key_topic_new(&parts);
}

static void without_memory_there_is_none(void)
{
  fault_at(1);
  CHECK(make(true) == NULL);
  fault_off();
}

/* Each case has its own topic, and leaves nothing open. */
static bool creates = true;
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  fake.control.open = fake.metadata_answers = fake.learns = true;
  fake.first = 5;
  fake.end = 9;
  REQUIRE(reader_open());
  fake.topic = make(creates);
  REQUIRE(fake.topic != NULL);
  current();
  if (fake.topic != NULL)
    uk_kafka_key_topic_free(fake.topic);
  reader_close();
  CHECK_EQ_INT(fake.live, 0);
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

#define RUN(test) run(#test, test)

int main(void)
{
  RUN(it_is_followed_from_the_first_produce_with_a_key_on);
  RUN(it_is_read_from_where_the_window_begins);
  RUN(rows_are_learned_while_they_are_young);
  RUN(every_row_is_taken);
  RUN(what_passes_does_not_end_it);
  RUN(nothing_is_taken_after_a_failure);
  RUN(produces_go_on_without_it_after_five_seconds);
  RUN(a_cluster_that_is_slow_at_the_start_is_told_late);
  RUN(what_went_wrong_is_said_until_it_is_followed_again);
  RUN(what_is_kept_is_appended_while_it_is_shared);
  RUN(what_is_kept_is_appended_where_there_is_memory);
  RUN(it_ends_after_a_row_under_way);
  RUN(it_ends_after_the_search_for_its_offsets);
  RUN(without_memory_there_is_none);
  creates = false;
  RUN(without_leave_to_create_it_is_only_looked_for);
  return check_end();
}
