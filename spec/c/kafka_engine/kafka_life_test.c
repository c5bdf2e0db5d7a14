/* for: kafka_verification.c, kafka_handover.c, kafka_commits.c
 *
 * A1: what is committed for one life of a topic, and read in another, on a mock cluster of
 * librdkafka in this process. The mock keeps its topics: a commit says that it comes from another
 * life. */
#include "server/kafka_engine/group/kafka_groups.h"

#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "kafka_parts.h"
#include "server/kafka_engine/group/kafka_position_metadata.h"

enum { PATIENCE = 60000, RECORDS = 6, COMMITTED = 4 };

/* For LeakSanitizer, whose stacks end in librdkafka: the leaks in .ci/valgrind.supp. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:librdkafka.so";
}

static struct {
  rd_kafka_t *producer;
  struct uk_kafka_committed *committed;
  struct uk_kafka_record_reader *records;
  struct uk_kafka_groups *groups;
  const char *topic;
} rig;

static bool rig_open(void)
{
  if (!kafka_parts_open(1))
    return false;
  const struct uk_kafka_committed_parts committed_parts = {.settings = kafka_parts.settings,
                                                           .topics = kafka_parts.topics,
                                                           .blocking = kafka_parts.blocking,
                                                           .group_blocking = kafka_parts.blocking,
                                                           .reaper = kafka_parts.reaper};
  rig.producer = kafka_parts_control();
  rig.committed = uk_kafka_committed_new(&committed_parts);
  rig.records =
    uk_kafka_record_reader_new(kafka_parts.settings, kafka_parts.executor, kafka_parts.reaper);
  const struct uk_kafka_groups_parts parts = {.settings = kafka_parts.settings,
                                              .control = kafka_parts.control,
                                              .executor = kafka_parts.executor,
                                              .topics = kafka_parts.topics,
                                              .reaper = kafka_parts.reaper,
                                              .blocking = kafka_parts.blocking,
                                              .prefetch_bytes = 1 << 20,
                                              .prefetch_budget = 1 << 30,
                                              .committed = rig.committed,
                                              .records = rig.records};
  rig.groups = uk_kafka_groups_new(&parts);
  return rig.groups != NULL;
}

static void rig_close(void)
{
  uk_kafka_groups_drain(rig.groups);
  uk_kafka_groups_free(rig.groups);
  uk_kafka_record_reader_free(rig.records);
  uk_kafka_committed_free(rig.committed);
  rd_kafka_destroy(rig.producer);
  kafka_parts_close();
}

static struct uk_record record_at(int64_t offset)
{
  static const char digits[] = "0123456789";
  return (struct uk_record){.timestamp = 1000 + offset,
                            .has_value = true,
                            .key = uk_slice_text(""),
                            .value = uk_slice_of(digits + offset, 1)};
}

static void make_topic(void)
{
  rig.topic = kafka_parts_topic(1);
  for (int64_t i = 0; i < RECORDS; i++) {
    const struct uk_record record = record_at(i);
    const rd_kafka_vu_t fields[] = {
      {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = rig.topic},
      {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
      {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
      {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record.timestamp},
      {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)(uintptr_t)record.value.data, 1}},
    };
    CHECK(rd_kafka_produceva(rig.producer, fields, sizeof fields / sizeof *fields) == NULL);
    CHECK_EQ_INT(rd_kafka_flush(rig.producer, PATIENCE), 0);
  }
}

/* Commits, as a server that stopped did. */
static void commit_for(const char *group, int64_t offset,
                       const struct uk_kafka_position_metadata *metadata)
{
  char text[UK_MESSAGE_SIZE];
  rd_kafka_conf_t *conf = uk_kafka_conf(kafka_parts.settings, UK_KAFKA_COMMITTED);
  uk_kafka_conf_set(conf, "group.id", group);
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  REQUIRE(handle != NULL);
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, rig.topic, 0);
  at->offset = offset;
  uk_kafka_position_metadata_write(at, metadata);
  rd_kafka_resp_err_t code;
  int64_t until = uk_clock_monotonic() + PATIENCE;
  do
    code = rd_kafka_commit(handle, list, 0);
  while (code != RD_KAFKA_RESP_ERR_NO_ERROR && uk_clock_monotonic() < until);
  CHECK_EQ_INT(code, RD_KAFKA_RESP_ERR_NO_ERROR);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_destroy(handle);
}

/* What a group has committed. */

struct reading {
  struct uk_kafka_committed_query query;
  struct kafka_probe probe;
};

static void was_read(struct uk_kafka_query *query)
{
  kafka_probe_done(&((struct reading *)query)->probe);
}

static struct uk_kafka_position_metadata read_for(const char *group, int64_t *offset)
{
  struct reading reading = {.query.list = rd_kafka_topic_partition_list_new(1)};
  struct uk_operation operation;
  rd_kafka_topic_partition_list_add(reading.query.list, rig.topic, 0);
  snprintf(reading.query.group, sizeof reading.query.group, "%s", group);
  kafka_probe_begin(&reading.probe, &operation, PATIENCE);
  reading.query.work.query.deadline = operation.deadline;
  reading.query.work.query.then = was_read;
  uk_kafka_committed_read(rig.committed, &reading.query);
  kafka_probe_await(&reading.probe);
  CHECK_EQ_INT(reading.query.work.query.code, RD_KAFKA_RESP_ERR_NO_ERROR);
  *offset = reading.query.list->elems[0].offset;
  struct uk_kafka_position_metadata metadata =
    uk_kafka_position_metadata_read(&reading.query.list->elems[0]);
  rd_kafka_topic_partition_list_destroy(reading.query.list);
  return metadata;
}

/* Requests. */

struct request {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_commit commit;
  } as;
  struct kafka_probe probe;
  struct uk_slice topic;
  int64_t first, last; /* offsets of the records that it got; -1: none */
};

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct request *request = (struct request *)operation;
  if (request->first < 0)
    request->first = record->offset;
  request->last = record->offset;
  return true;
}

static void start_consume(struct request *request, const char *group)
{
  *request = (struct request){.topic = uk_slice_text(rig.topic), .first = -1, .last = -1};
  kafka_probe_begin(&request->probe, &request->as.operation, PATIENCE);
  request->as.consume.group = uk_slice_text(group);
  request->as.consume.instance = uk_slice_text("one");
  request->as.consume.topics = &request->topic;
  request->as.consume.topic_count = 1;
  request->as.consume.settings = (struct uk_consumer_settings){.auto_commit = false,
                                                               .auto_commit_interval = 600000,
                                                               .offset_reset = UK_RESET_LATEST,
                                                               .session_timeout = 120000};
  request->as.consume.sink = (struct uk_sink){.record = take};
  uk_kafka_groups_consume(rig.groups, &request->as.consume);
}

/* Its response has arrived. */
static void finish(const char *group, const struct request *request)
{
  uk_kafka_groups_response_finished(rig.groups, uk_slice_text(group), uk_slice_text("one"),
                                    request->as.consume.delivery, UK_RESPONSE_WRITTEN);
}

static void commit_consumed(const char *group)
{
  struct request request = {.first = -1};
  kafka_probe_begin(&request.probe, &request.as.operation, PATIENCE);
  request.as.commit.group = uk_slice_text(group);
  request.as.commit.instance = uk_slice_text("one");
  uk_kafka_groups_commit(rig.groups, &request.as.commit);
  kafka_probe_await(&request.probe);
  CHECK_EQ_INT(request.as.operation.error, UK_OK);
}

/* Waits for the response, and for another one while there is no record in time: a mock cluster is
 * as slow as the machine. */
static void await_records(const char *group, struct request *request)
{
  enum { ROUNDS = 10 };
  kafka_probe_await(&request->probe);
  for (int i = 0; i < ROUNDS && request->first < 0 && request->as.operation.error == UK_OK; i++) {
    finish(group, request);
    start_consume(request, group);
    kafka_probe_await(&request->probe);
  }
}

/* None is skipped after the first either. */
static void consume_rest(const char *group, struct request *request)
{
  int64_t next;
  while ((next = request->last + 1) < RECORDS) {
    finish(group, request);
    start_consume(request, group);
    await_records(group, request);
    if (!CHECK_EQ_INT(request->first, next))
      return;
  }
}

/* What each group consumes. A mock group waits for three seconds before it has members, so all join
 * together. */

static void A1_a_committed_offset_is_used_in_its_own_life(void)
{
  const struct uk_record before = record_at(COMMITTED - 1), last = record_at(RECORDS - 1);
  const struct uk_record_mark own = uk_record_mark_of(&before), at_end = uk_record_mark_of(&last);
  struct uk_record_mark other = own, late = own;
  other.checksum++;
  late.timestamp++;
  const struct {
    const char *group;
    int64_t offset;
    struct uk_record_mark mark;
    int64_t first; /* record that it gets */
  } rows[] = {
    {"own", COMMITTED, own, COMMITTED}, {"other", COMMITTED, other, 0},
    {"late", COMMITTED, late, 0},       {"bare", COMMITTED, {.known = false}, COMMITTED},
    {"beyond", RECORDS + 3, own, 0},    {"at-end", RECORDS, other, 0},
  };
  enum { COUNT = sizeof rows / sizeof *rows };
  static struct request requests[COUNT];
  make_topic();
  for (size_t i = 0; i < COUNT; i++) {
    commit_for(rows[i].group, rows[i].offset,
               &(struct uk_kafka_position_metadata){rows[i].offset, rows[i].mark, rows[i].mark});
    start_consume(&requests[i], rows[i].group);
  }
  for (size_t i = 0; i < COUNT; i++) {
    await_records(rows[i].group, &requests[i]);
    bool good = CHECK_EQ_INT(requests[i].as.operation.error, UK_OK);
    if (!CHECK_EQ_INT(requests[i].first, rows[i].first) || !good)
      fprintf(stderr, "  %s\n", rows[i].group);
    if (good)
      consume_rest(rows[i].group, &requests[i]);
  }
  int64_t offset = -1;
  finish("own", &requests[0]);
  commit_consumed("own");
  const struct uk_kafka_position_metadata metadata = read_for("own", &offset);
  CHECK_EQ_INT(offset, RECORDS);
  CHECK_EQ_INT(metadata.position, RECORDS);
  CHECK(uk_record_mark_equal(&metadata.committed, &at_end));
}

int main(void)
{
  if (!rig_open()) {
    fputs("the rig could not be made\n", stderr);
    return 1;
  }
  CHECK_RUN(A1_a_committed_offset_is_used_in_its_own_life);
  rig_close();
  return check_end();
}
