/* for: kafka_record_reader.c
 *
 * A1: what is read of a record, on a mock cluster of librdkafka in this process. */
#include "server/kafka_engine/cluster/kafka_record_reader.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "counted_seeds.h"
#include "fault.h"
#include "kafka_parts.h"

enum { PATIENCE = 60000, RECORDS = 10 };

static struct {
  rd_kafka_t *producer;
  struct uk_kafka_record_reader *reader;
} rig;

/* How often the handle was nudged (uk_kafka_nudge), and asked for metadata. */
static atomic_int nudges, kicks;

rd_kafka_error_t *rd_kafka_sasl_set_credentials(rd_kafka_t *handle, const char *username,
                                                const char *password)
{
  rd_kafka_error_t *(*real)(rd_kafka_t *, const char *, const char *);
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_sasl_set_credentials");
  atomic_fetch_add(&nudges, 1);
  return real(handle, username, password);
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *handle, int all_topics, rd_kafka_topic_t *topic,
                                      const struct rd_kafka_metadata **metadata, int timeout)
{
  rd_kafka_resp_err_t (*real)(rd_kafka_t *, int, rd_kafka_topic_t *,
                              const struct rd_kafka_metadata **, int);
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_metadata");
  atomic_fetch_add(&kicks, 1);
  return real(handle, all_topics, topic, metadata, timeout);
}

/* For LeakSanitizer, whose stacks end in librdkafka: the leaks in .ci/valgrind.supp. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:librdkafka.so";
}

static bool rig_open(void)
{
  if (!kafka_parts_open(1))
    return false;
  rig.producer = kafka_parts_control();
  rig.reader =
    uk_kafka_record_reader_new(kafka_parts.settings, kafka_parts.executor, kafka_parts.reaper);
  return rig.producer != NULL && rig.reader != NULL;
}

static void rig_close(void)
{
  uk_kafka_record_reader_free(rig.reader);
  rd_kafka_destroy(rig.producer);
  kafka_parts_close();
}

static struct uk_record record_at(int64_t offset)
{
  static char values[RECORDS][16];
  snprintf(values[offset], sizeof values[offset], "value %d", (int)offset);
  return (struct uk_record){.timestamp = 1000 + offset,
                            .has_value = true,
                            .key = uk_slice_text(""),
                            .value = uk_slice_text(values[offset])};
}

/* Each record is a batch: the mock finds no record in the middle of one. */
static void fill_topic(const char *topic, int partitions)
{
  for (int64_t i = 0; i < (int64_t)RECORDS * partitions; i++) {
    const struct uk_record record = record_at(i / partitions);
    const rd_kafka_vu_t fields[] = {
      {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
      {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = (int32_t)(i % partitions)},
      {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
      {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record.timestamp},
      {.vtype = RD_KAFKA_VTYPE_VALUE,
       .u.mem = {(void *)(uintptr_t)record.value.data, record.value.length}},
    };
    CHECK(rd_kafka_produceva(rig.producer, fields, sizeof fields / sizeof *fields) == NULL);
    CHECK_EQ_INT(rd_kafka_flush(rig.producer, PATIENCE), 0);
  }
}

static const char *make_topic(int partitions)
{
  const char *topic = kafka_parts_topic(partitions);
  fill_topic(topic, partitions);
  return topic;
}

/* One with a single partition, for all cases. */
static const char *plain_topic(void)
{
  static const char *topic;
  if (topic == NULL)
    topic = make_topic(1);
  return topic;
}

/* Queries. */

enum { PLACES = 100 };

struct asked {
  struct uk_kafka_record_query query;
  struct kafka_probe probe;
  struct uk_operation operation; /* only for the probe */
  struct uk_kafka_record_place places[PLACES];
};

static void answered(struct uk_kafka_query *query)
{
  kafka_probe_done(&((struct asked *)query)->probe);
}

static void add(struct asked *asked, const char *topic, int32_t partition, int64_t offset)
{
  asked->places[asked->query.count++] = (struct uk_kafka_record_place){
    .topic = uk_kafka_name(uk_slice_text(topic)), .partition = partition, .offset = offset};
}

static void ask(struct asked *asked, int64_t timeout)
{
  kafka_probe_begin(&asked->probe, &asked->operation, timeout);
  asked->query.places = asked->places;
  asked->query.query.deadline = asked->operation.deadline;
  asked->query.query.then = answered;
  uk_kafka_record_reader_ask(rig.reader, &asked->query);
}

static void await(struct asked *asked)
{
  kafka_probe_await(&asked->probe);
  CHECK_EQ_INT(asked->query.query.code, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void check_seen(const struct uk_kafka_record_place *place, int64_t offset, int64_t ended_at)
{
  CHECK_EQ_INT(place->code, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_EQ_INT(place->seen.offset, offset);
  CHECK_EQ_INT(place->seen.ended_at, ended_at);
  CHECK_EQ_INT(place->seen.first, UK_RECORD_UNSEEN);
  CHECK_EQ_INT(place->seen.end, UK_RECORD_UNSEEN);
  if (offset < 0)
    return;
  const struct uk_record record = record_at(offset);
  const struct uk_record_mark mark = uk_record_mark_of(&record);
  CHECK(uk_record_mark_equal(&place->seen.mark, &mark));
}

static void A1_a_record_is_read_with_its_mark(void)
{
  static struct asked asked;
  const char *topic = plain_topic();
  for (int64_t offset = 0; offset < RECORDS; offset++) {
    asked = (struct asked){.query.count = 0};
    add(&asked, topic, 0, offset);
    ask(&asked, PATIENCE);
    await(&asked);
    check_seen(&asked.places[0], offset, -1);
  }
}

static void A1_the_end_is_reported_as_such(void)
{
  static struct asked asked;
  asked = (struct asked){.query.count = 0};
  add(&asked, plain_topic(), 0, RECORDS);
  ask(&asked, PATIENCE);
  await(&asked);
  check_seen(&asked.places[0], -1, RECORDS);
}

static void A1_an_offset_out_of_range_is_nowhere(void)
{
  static struct asked asked;
  asked = (struct asked){.query.count = 0};
  add(&asked, plain_topic(), 0, RECORDS + 1);
  ask(&asked, PATIENCE);
  await(&asked);
  check_seen(&asked.places[0], -1, -1);
}

/* More than are read at a time, and each partition of the topic several times. */
static void A1_many_places_are_read_in_turn(void)
{
  static struct asked asked;
  const char *topic = make_topic(8);
  asked = (struct asked){.query.count = 0};
  for (int i = 0; i < PLACES; i++)
    add(&asked, topic, i % 8, i % RECORDS);
  ask(&asked, PATIENCE);
  await(&asked);
  for (int i = 0; i < PLACES; i++)
    check_seen(&asked.places[i], i % RECORDS, -1);
}

static void A1_queries_for_one_partition_wait_for_each_other(void)
{
  static struct asked asked[4];
  const char *topic = plain_topic();
  for (int i = 0; i < 4; i++) {
    asked[i] = (struct asked){.query.count = 0};
    add(&asked[i], topic, 0, 9 - i);
    ask(&asked[i], PATIENCE);
  }
  for (int i = 0; i < 4; i++) {
    await(&asked[i]);
    check_seen(&asked[i].places[0], 9 - i, -1);
  }
}

/* When the topic exists again, the handle does not insist that it is gone. */
static void A1_a_topic_that_is_gone_fails_alone(void)
{
  static struct asked asked;
  const char *topic = plain_topic(), *gone = kafka_parts_nowhere();
  asked = (struct asked){.query.count = 0};
  add(&asked, gone, 0, 3);
  add(&asked, topic, 0, 4);
  ask(&asked, PATIENCE);
  await(&asked);
  CHECK_EQ_INT(uk_kafka_error(asked.places[0].code), UK_E_NOT_FOUND);
  check_seen(&asked.places[1], 4, -1);
  asked = (struct asked){.query.count = 0};
  add(&asked, topic, 0, 5);
  ask(&asked, PATIENCE);
  await(&asked);
  check_seen(&asked.places[0], 5, -1);
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, gone, RD_KAFKA_RESP_ERR_NO_ERROR);
  fill_topic(gone, 1);
  asked = (struct asked){.query.count = 0};
  add(&asked, gone, 0, 3);
  ask(&asked, PATIENCE);
  await(&asked);
  check_seen(&asked.places[0], 3, -1);
  CHECK(asked.probe.took < PATIENCE);
}

static void A1_what_is_not_read_by_the_deadline_times_out(void)
{
  static struct asked late, next;
  const char *topic = plain_topic();
  CHECK_EQ_INT(rd_kafka_mock_broker_set_down(kafka_parts.cluster, 1), 0);
  late = next = (struct asked){.query.count = 0};
  add(&late, topic, 0, 3);
  add(&next, topic, 0, 4); /* waits for the first */
  ask(&late, 200);
  ask(&next, PATIENCE);
  await(&late);
  CHECK_EQ_INT(late.places[0].code, RD_KAFKA_RESP_ERR__TIMED_OUT);
  CHECK(late.probe.took >= 200);
  CHECK_EQ_INT(rd_kafka_mock_broker_set_up(kafka_parts.cluster, 1), 0);
  await(&next);
  check_seen(&next.places[0], 4, -1);
}

/* A thread of librdkafka that sleeps would read it much later. */
static void the_handle_is_nudged_while_something_is_read(void)
{
  static struct asked asked;
  const char *topic = plain_topic();
  CHECK_EQ_INT(rd_kafka_mock_broker_set_down(kafka_parts.cluster, 1), 0);
  asked = (struct asked){.query.count = 0};
  add(&asked, topic, 0, 3);
  atomic_store(&nudges, 0);
  atomic_store(&kicks, 0);
  ask(&asked, 1000);
  await(&asked);
  CHECK(nudges > 2 * kicks);
  CHECK_EQ_INT(rd_kafka_mock_broker_set_up(kafka_parts.cluster, 1), 0);
}

static void A1_a_query_for_nothing_is_answered(void)
{
  static struct asked asked;
  asked = (struct asked){.query.count = 0};
  atomic_store(&nudges, 0);
  ask(&asked, PATIENCE);
  await(&asked);
  CHECK_EQ_INT(nudges, 0);
}

static void A1_what_is_pending_at_the_end_is_answered(void)
{
  static struct asked asked;
  const char *topic = plain_topic();
  CHECK_EQ_INT(rd_kafka_mock_broker_set_down(kafka_parts.cluster, 1), 0);
  asked = (struct asked){.query.count = 0};
  add(&asked, topic, 0, 3);
  ask(&asked, PATIENCE);
  uk_kafka_record_reader_free(rig.reader);
  await(&asked);
  CHECK_EQ_INT(asked.places[0].code, RD_KAFKA_RESP_ERR__DESTROY);
  CHECK_EQ_INT(rd_kafka_mock_broker_set_up(kafka_parts.cluster, 1), 0);
  rig.reader =
    uk_kafka_record_reader_new(kafka_parts.settings, kafka_parts.executor, kafka_parts.reaper);
  CHECK(rig.reader != NULL);
}

/* The server's own limit on messages is one that librdkafka does not accept. */
static void A1_without_a_configuration_nothing_is_read(void)
{
  static struct asked asked;
  const struct uk_kafka_options options = {
    .brokers = "127.0.0.1:1", .prefetch_bytes = 1 << 20, .max_message_bytes = 2000000000};
  struct uk_kafka_record_reader *usual = rig.reader;
  struct uk_kafka_settings *strange = NULL;
  char text[UK_MESSAGE_SIZE];
  REQUIRE(uk_kafka_settings_new(&strange, &options, text, sizeof text) == UK_OK);
  rig.reader = uk_kafka_record_reader_new(strange, kafka_parts.executor, kafka_parts.reaper);
  asked = (struct asked){.query.count = 0};
  add(&asked, plain_topic(), 0, 3);
  ask(&asked, PATIENCE);
  await(&asked);
  CHECK_EQ_INT(asked.places[0].code, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE);
  uk_kafka_record_reader_free(rig.reader);
  uk_kafka_settings_free(strange);
  rig.reader = usual;
}

static void A1_a_reader_is_created_or_not(void)
{
  for (long n = 1, hit = 1; hit; n++) {
    atomic_store(&counted_seeds, 0);
    fault_at(n);
    struct uk_kafka_record_reader *reader =
      uk_kafka_record_reader_new(kafka_parts.settings, kafka_parts.executor, kafka_parts.reaper);
    hit = fault_hit();
    fault_off();
    CHECK(hit == (reader == NULL));
    CHECK_EQ_INT(counted_seeds, reader != NULL);
    if (reader != NULL)
      uk_kafka_record_reader_free(reader);
  }
}

int main(void)
{
  if (!rig_open()) {
    fputs("the rig could not be made\n", stderr);
    return 1;
  }
  CHECK_RUN(A1_a_record_is_read_with_its_mark);
  CHECK_RUN(A1_the_end_is_reported_as_such);
  CHECK_RUN(A1_an_offset_out_of_range_is_nowhere);
  CHECK_RUN(A1_many_places_are_read_in_turn);
  CHECK_RUN(A1_queries_for_one_partition_wait_for_each_other);
  CHECK_RUN(A1_a_topic_that_is_gone_fails_alone);
  CHECK_RUN(A1_what_is_not_read_by_the_deadline_times_out);
  CHECK_RUN(the_handle_is_nudged_while_something_is_read);
  CHECK_RUN(A1_a_query_for_nothing_is_answered);
  CHECK_RUN(A1_what_is_pending_at_the_end_is_answered);
  CHECK_RUN(A1_without_a_configuration_nothing_is_read);
  CHECK_RUN(A1_a_reader_is_created_or_not);
  rig_close();
  return check_end();
}
