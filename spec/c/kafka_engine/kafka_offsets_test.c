/* for: kafka_offsets.c, kafka_watermarks.c, kafka_starts.c
 *
 * Offsets by time. The test plays the cluster: it answers each request for offsets, and owns the
 * clock. */
#include "server/kafka_engine/cluster/kafka_offsets.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "server/kafka_engine/cluster/kafka_starts.h"
#include "server/kafka_engine/cluster/kafka_watermarks.h"

enum { NOW = 1000000, TIMEOUT = 5000, PAUSE = 50, BATCH = 500, MANY = 1201 };

static struct {
  int64_t now;
  char log[400]; /* the requests: timestamp, number of partitions, timeout */
  /* The next answers, for whole requests, in order; then `bad` decides. */
  rd_kafka_resp_err_t codes[8];
  size_t code_count, asked;
  int64_t costs; /* milliseconds for each request */
  /* An error of one partition; -1: of none. */
  int32_t bad;
  rd_kafka_resp_err_t bad_code;
  int64_t late; /* partitions up to this one have no record at a time; they end at 100 + number */
  enum uk_error check_error;
  bool gone;          /* once it is forgotten, the topic turns out not to exist */
  int32_t leaderless; /* a partition without a leader */
  int checks;
  char forgotten[100];
  int dones;
} fake;

int64_t uk_clock_monotonic(void)
{
  return fake.now;
}

int64_t uk_clock_epoch(void)
{
  return fake.now;
}

int nanosleep(const struct timespec *pause, struct timespec *rest)
{
  (void)rest;
  CHECK_EQ_INT(pause->tv_sec, 0);
  fake.now += pause->tv_nsec / 1000000;
  return 0;
}

/* Lists of partitions that were not destroyed; librdkafka keeps them. */
static int lists;

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size)
{
  rd_kafka_topic_partition_list_t *(*real)(int) = NULL;
  lists++;
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_new");
  return real(size);
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *list)
{
  void (*real)(rd_kafka_topic_partition_list_t *) = NULL;
  lists--;
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_destroy");
  real(list);
}

static int64_t offset_of(int64_t timestamp, int32_t partition)
{
  if (timestamp == UK_TIMESTAMP_EARLIEST)
    return partition;
  if (timestamp == UK_TIMESTAMP_LATEST)
    return 100 + partition;
  return partition <= fake.late ? -1 : 10 + partition;
}

rd_kafka_resp_err_t rd_kafka_offsets_for_times(rd_kafka_t *control,
                                               rd_kafka_topic_partition_list_t *list, int timeout)
{
  size_t length = strlen(fake.log);
  CHECK(control == (rd_kafka_t *)&fake);
  if (length + 40 < sizeof fake.log)
    snprintf(fake.log + length, sizeof fake.log - length, "%lld x%d %d; ",
             (long long)list->elems[0].offset, list->cnt, timeout);
  fake.now += fake.costs;
  if (fake.asked < fake.code_count && fake.codes[fake.asked++] != RD_KAFKA_RESP_ERR_NO_ERROR)
    return fake.codes[fake.asked - 1];
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t *at = &list->elems[i];
    CHECK_EQ_STR(at->topic, "t");
    at->err = at->partition == fake.bad ? fake.bad_code : RD_KAFKA_RESP_ERR_NO_ERROR;
    at->offset = offset_of(at->offset, at->partition);
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void uk_kafka_blocking_submit(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work)
{
  CHECK(blocking == (struct uk_kafka_blocking *)&fake);
  work->run(work);
  work->query.then(&work->query);
}

void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  CHECK(!check->changes && !check->index_shown && check->create == NULL);
  CHECK(check->places.count > 0);
  fake.checks++;
  if (fake.check_error != UK_OK)
    uk_operation_fail(check->operation, fake.check_error, "checked");
  check->then(check);
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  snprintf(fake.forgotten, sizeof fake.forgotten, "%.*s", (int)topic.length, topic.data);
  fake.check_error = fake.gone ? UK_E_NOT_FOUND : fake.check_error;
}

bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice topic,
                                int32_t partition)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  CHECK(uk_slice_is(topic, "t"));
  return partition == fake.leaderless;
}

static void done(struct uk_operation *operation)
{
  (void)operation;
  fake.dones++;
}

static struct uk_topic_partition_offset at[MANY];
static struct uk_offsets operation;

static void begin(void)
{
  memset(&fake, 0, sizeof fake);
  fake.now = NOW;
  fake.bad = -1;
  fake.late = -1;
  fake.leaderless = -1;
}

static void name_partitions(size_t count)
{
  for (size_t i = 0; i < count; i++)
    at[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), (int32_t)i, 77};
}

static void ask(int64_t timestamp, size_t count)
{
  long live = fault_live();
  name_partitions(count);
  operation = (struct uk_offsets){.operation = {.done = done, .deadline = NOW + TIMEOUT},
                                  .timestamp = timestamp,
                                  .offsets = at,
                                  .count = count};
  uk_kafka_offsets_run(&operation, (rd_kafka_t *)&fake, (struct uk_kafka_topics *)&fake,
                       (struct uk_kafka_blocking *)&fake);
  CHECK_EQ_INT(fake.dones, 1);
  CHECK_EQ_INT(lists, 0);
  CHECK_EQ_INT(fault_live(), live);
}

static void check_ended(enum uk_error error, const char *message)
{
  CHECK_EQ_INT(operation.operation.error, error);
  CHECK_EQ_STR(operation.operation.message, message);
}

static void each_kind_of_timestamp_has_its_offset(void)
{
  static const struct {
    int64_t timestamp, first;
    const char *log;
  } rows[] = {
    {UK_TIMESTAMP_EARLIEST, 0, "-2 x3 5000; "},
    {UK_TIMESTAMP_LATEST, 100, "-1 x3 5000; "},
    {0, 10, "0 x3 5000; "},
    {INT64_C(1764000000000), 10, "1764000000000 x3 5000; "},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    begin();
    ask(rows[i].timestamp, 3);
    check_ended(UK_OK, "");
    CHECK_EQ_STR(fake.log, rows[i].log);
    for (int32_t p = 0; p < 3; p++)
      CHECK_EQ_INT(at[p].offset, rows[i].first + p);
  }
}

/* Partitions without a record that late get their ends; the others keep what they got. */
static void without_a_record_that_late_the_offset_is_the_end(void)
{
  begin();
  fake.late = 1;
  ask(5, 4);
  check_ended(UK_OK, "");
  CHECK_EQ_STR(fake.log, "5 x4 5000; -1 x2 5000; ");
  CHECK_EQ_INT(at[0].offset, 100);
  CHECK_EQ_INT(at[1].offset, 101);
  CHECK_EQ_INT(at[2].offset, 12);
  CHECK_EQ_INT(at[3].offset, 13);
  begin();
  fake.late = 9;
  ask(5, 2);
  CHECK_EQ_STR(fake.log, "5 x2 5000; -1 x2 5000; ");
  CHECK_EQ_INT(at[1].offset, 101);
}

static void many_partitions_are_asked_for_in_parts(void)
{
  begin();
  ask(UK_TIMESTAMP_LATEST, MANY);
  check_ended(UK_OK, "");
  CHECK_EQ_STR(fake.log, "-1 x500 5000; -1 x500 5000; -1 x201 5000; ");
  for (int32_t p = 0; p < MANY; p++)
    CHECK_EQ_INT(at[p].offset, 100 + p);
  begin();
  ask(UK_TIMESTAMP_LATEST, BATCH);
  CHECK_EQ_STR(fake.log, "-1 x500 5000; ");
  begin();
  ask(UK_TIMESTAMP_LATEST, BATCH + 1);
  CHECK_EQ_STR(fake.log, "-1 x500 5000; -1 x1 5000; ");
}

/* A leader that moves is waited for. */
static void an_error_that_passes_is_waited_out(void)
{
  begin();
  fake.codes[0] = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
  fake.codes[1] = RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION; /* librdkafka's: it has no leader now */
  fake.code_count = 2;
  ask(UK_TIMESTAMP_LATEST, 2);
  check_ended(UK_OK, "");
  CHECK_EQ_STR(fake.log, "-1 x2 5000; -1 x2 4950; -1 x2 4900; ");
  CHECK_EQ_INT(at[1].offset, 101);
}

static void it_is_waited_for_until_the_deadline(void)
{
  begin();
  fake.bad = 0;
  fake.bad_code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
  fake.costs = 1000;
  ask(UK_TIMESTAMP_LATEST, 3);
  check_ended(UK_E_UNAVAILABLE, "topic \"t\" partition 0: Broker: Leader not available");
  CHECK_EQ_STR(fake.log, "-1 x3 5000; -1 x3 3950; -1 x3 2900; -1 x3 1850; -1 x3 800; ");
  CHECK_EQ_STR(fake.forgotten, "t"); /* its leader is asked for again */
  /* No time for another pause is left. */
  begin();
  fake.bad = 0;
  fake.bad_code = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
  fake.costs = TIMEOUT - PAUSE;
  ask(UK_TIMESTAMP_LATEST, 1);
  check_ended(UK_E_UNAVAILABLE, "topic \"t\" partition 0: Broker: Not leader for partition");
  CHECK_EQ_STR(fake.log, "-1 x1 5000; ");
  CHECK_EQ_STR(fake.forgotten, "");
  begin();
  fake.bad = 0;
  fake.bad_code = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
  fake.costs = TIMEOUT - PAUSE - 1;
  ask(UK_TIMESTAMP_LATEST, 1);
  CHECK_EQ_STR(fake.log, "-1 x1 5000; -1 x1 1; ");
}

/* A timeout says less than an error that was seen before it. */
static void a_timeout_ends_the_wait(void)
{
  begin();
  fake.codes[0] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.code_count = 1;
  ask(UK_TIMESTAMP_EARLIEST, 2);
  CHECK_EQ_INT(operation.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_STR(fake.log, "-2 x2 5000; ");
  begin();
  fake.codes[0] = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
  fake.codes[1] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.code_count = 2;
  ask(UK_TIMESTAMP_EARLIEST, 2);
  check_ended(UK_E_UNAVAILABLE, "topic \"t\" partition 0: Broker: Not leader for partition");
}

/* librdkafka does not say which of several partitions the error is about. */
static void the_partition_at_fault_is_named(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error;
    const char *reason, *forgotten;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, UK_E_FORBIDDEN,
     "Broker: Topic authorization failed", ""},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, UK_E_BAD_REQUEST,
     "Broker: Message format on broker does not support request", ""},
    {RD_KAFKA_RESP_ERR_UNKNOWN, UK_E_INTERNAL, "Unknown broker error", ""},
  };
  static const int32_t partitions[] = {0, 2, 499, 500, 510};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t j = 0; j < sizeof partitions / sizeof *partitions; j++) {
      char message[200];
      begin();
      fake.bad = partitions[j];
      fake.bad_code = rows[i].code;
      ask(UK_TIMESTAMP_LATEST, 511);
      snprintf(message, sizeof message, "topic \"t\" partition %d: %s", (int)partitions[j],
               rows[i].reason);
      check_ended(rows[i].error, message);
      CHECK_EQ_STR(fake.forgotten, rows[i].forgotten);
    }
  }
}

/* A request about one partition says which. */
static void one_partition_is_asked_for_once(void)
{
  begin();
  fake.bad = 0;
  fake.bad_code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  ask(UK_TIMESTAMP_LATEST, 1);
  check_ended(UK_E_FORBIDDEN, "topic \"t\" partition 0: Broker: Topic authorization failed");
  CHECK_EQ_STR(fake.log, "-1 x1 5000; ");
  begin();
  fake.bad = BATCH; /* alone in its part */
  fake.bad_code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  ask(UK_TIMESTAMP_LATEST, BATCH + 1);
  check_ended(UK_E_FORBIDDEN, "topic \"t\" partition 500: Broker: Topic authorization failed");
}

static void an_error_of_the_ends_names_its_partition(void)
{
  begin();
  fake.late = 3;
  fake.codes[1] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; /* of the second request */
  fake.code_count = 2;
  fake.bad = 2;
  fake.bad_code = RD_KAFKA_RESP_ERR_NO_ERROR;
  ask(5, 4);
  CHECK_EQ_INT(operation.operation.error, UK_E_FORBIDDEN);
  /* Only the last partitions lack a record. */
  begin();
  fake.late = 3;
  name_partitions(4);
  ask(5, 1);
  CHECK_EQ_STR(fake.log, "5 x1 5000; -1 x1 5000; ");
  CHECK_EQ_INT(at[0].offset, 100);
}

/* Partitions in an order of the caller's: those without a record are not the first. */
static void ends_are_filled_in_where_they_are_missing(void)
{
  static const int32_t numbers[] = {7, 1, 0, 6, 2, 8};
  begin();
  fake.late = 2;
  for (size_t i = 0; i < 6; i++)
    at[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), numbers[i], 0};
  operation = (struct uk_offsets){.operation = {.done = done, .deadline = NOW + TIMEOUT},
                                  .timestamp = 5,
                                  .offsets = at,
                                  .count = 6};
  uk_kafka_offsets_run(&operation, (rd_kafka_t *)&fake, (struct uk_kafka_topics *)&fake,
                       (struct uk_kafka_blocking *)&fake);
  check_ended(UK_OK, "");
  CHECK_EQ_STR(fake.log, "5 x6 5000; -1 x2 5000; -1 x1 5000; ");
  for (size_t i = 0; i < 6; i++)
    CHECK_EQ_INT(at[i].offset, numbers[i] <= 2 ? 100 + numbers[i] : 10 + numbers[i]);
  /* The error of an end names the partition by its place in the request. */
  begin();
  fake.late = 2;
  fake.code_count = 2;
  fake.codes[1] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  fake.bad = -1;
  for (size_t i = 0; i < 6; i++)
    at[i] =
      (struct uk_topic_partition_offset){uk_slice_text("t"), numbers[i] == 1 ? 9 : numbers[i], 0};
  operation.operation = (struct uk_operation){.done = done, .deadline = NOW + TIMEOUT};
  operation.offsets = at;
  at[2].partition = 2;
  at[4].partition = 9;
  uk_kafka_offsets_run(&operation, (rd_kafka_t *)&fake, (struct uk_kafka_topics *)&fake,
                       (struct uk_kafka_blocking *)&fake);
  check_ended(UK_E_FORBIDDEN, "topic \"t\" partition 2: Broker: Topic authorization failed");
}

/* A broker does not know the topic yet, or librdkafka remembers that it was missing. */
static void a_topic_that_exists_is_not_missing(void)
{
  begin();
  fake.codes[0] = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  fake.codes[1] = RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  fake.code_count = 2;
  ask(UK_TIMESTAMP_LATEST, 1);
  check_ended(UK_OK, "");
  CHECK_EQ_STR(fake.log, "-1 x1 5000; -1 x1 4950; -1 x1 4900; ");
  CHECK_EQ_STR(fake.forgotten, "t");
  CHECK_EQ_INT(fake.checks, 3);
  CHECK_EQ_INT(at[0].offset, 100);
  /* It does not say so even after the deadline. */
  begin();
  fake.bad = 0;
  fake.bad_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  fake.costs = 2000;
  ask(UK_TIMESTAMP_LATEST, 1);
  check_ended(UK_E_UNAVAILABLE, "topic \"t\" partition 0: Broker: Leader not available");
  CHECK_EQ_STR(fake.log, "-1 x1 5000; -1 x1 2950; -1 x1 900; ");
}

static void a_topic_that_is_gone_is_missing(void)
{
  begin();
  fake.gone = true;
  fake.bad = 1;
  fake.bad_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  ask(UK_TIMESTAMP_LATEST, 2);
  check_ended(UK_E_NOT_FOUND, "checked");
  CHECK_EQ_STR(fake.log, "-1 x2 5000; -1 x1 5000; -1 x1 5000; ");
  /* No time is left to ask. */
  begin();
  fake.bad = 0;
  fake.bad_code = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  fake.costs = TIMEOUT - PAUSE;
  ask(UK_TIMESTAMP_LATEST, 1);
  check_ended(UK_E_NOT_FOUND, "topic \"t\" partition 0: Broker: Unknown topic or partition");
  CHECK_EQ_STR(fake.forgotten, "t");
  CHECK_EQ_INT(fake.checks, 1);
}

static void nothing_is_asked_where_the_check_fails(void)
{
  begin();
  fake.check_error = UK_E_NOT_FOUND;
  ask(5, 1);
  check_ended(UK_E_NOT_FOUND, "checked");
  CHECK_EQ_STR(fake.log, "");
}

static void nothing_is_asked_without_memory(void)
{
  begin();
  fault_at(1);
  ask(5, 1);
  fault_off();
  check_ended(UK_E_NO_MEMORY, "");
  CHECK_EQ_STR(fake.log, "");
}

/* Starts. */

static struct uk_kafka_starts starts;

static void started(struct uk_kafka_query *query)
{
  CHECK(query == &starts.work.query);
  CHECK_EQ_INT(query->code, RD_KAFKA_RESP_ERR_NO_ERROR);
  fake.dones++;
}

/* Of partitions from 0 on; the even ones start at their first record. */
static void ask_starts(int count)
{
  starts = (struct uk_kafka_starts){
    .work.query = {.deadline = NOW + TIMEOUT, .then = started, .code = RD_KAFKA_RESP_ERR_UNKNOWN},
    .control = (rd_kafka_t *)&fake,
    .topics = (struct uk_kafka_topics *)&fake,
    .list = rd_kafka_topic_partition_list_new(count)};
  for (int i = 0; i < count; i++)
    rd_kafka_topic_partition_list_add(starts.list, "t", i)->offset =
      i % 2 == 0 ? UK_TIMESTAMP_EARLIEST : UK_TIMESTAMP_LATEST;
  uk_kafka_starts_ask(&starts, (struct uk_kafka_blocking *)&fake);
  CHECK_EQ_INT(fake.dones, 1);
}

static void end_starts(void)
{
  rd_kafka_topic_partition_list_destroy(starts.list);
  CHECK_EQ_INT(lists, 0);
}

static void partitions_start_as_the_reset_says(void)
{
  begin();
  ask_starts(4);
  CHECK_EQ_STR(fake.log, "-2 x4 5000; ");
  for (int i = 0; i < 4; i++)
    CHECK_EQ_INT(starts.list->elems[i].offset, i % 2 == 0 ? i : 100 + i);
  end_starts();
  begin();
  ask_starts(BATCH + 2);
  CHECK_EQ_STR(fake.log, "-2 x500 5000; -2 x2 5000; ");
  CHECK_EQ_INT(starts.list->elems[BATCH + 1].offset, 100 + BATCH + 1);
  end_starts();
}

/* librdkafka would wait for the leader, and every partition with it. */
static void a_partition_without_a_leader_holds_up_no_other(void)
{
  begin();
  fake.leaderless = 1;
  fake.bad = 2;
  fake.bad_code = RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
  ask_starts(4);
  CHECK_EQ_STR(fake.log, "-2 x3 5000; ");
  CHECK_EQ_INT(starts.list->elems[0].offset, 0);
  CHECK_EQ_INT(starts.list->elems[1].offset, UK_TIMESTAMP_LATEST);
  CHECK_EQ_INT(starts.list->elems[2].offset, UK_TIMESTAMP_EARLIEST);
  CHECK_EQ_INT(starts.list->elems[3].offset, 103);
  end_starts();
  begin();
  fake.leaderless = 0;
  ask_starts(1);
  CHECK_EQ_STR(fake.log, "");
  end_starts();
}

static void where_partitions_start_may_not_be_learned(void)
{
  begin();
  fake.codes[0] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.code_count = 1;
  fake.costs = TIMEOUT;
  ask_starts(BATCH + 1);
  CHECK_EQ_STR(fake.log, "-2 x500 5000; "); /* no time is left for another request */
  CHECK_EQ_INT(starts.list->elems[0].offset, UK_TIMESTAMP_EARLIEST);
  CHECK_EQ_INT(starts.list->elems[BATCH].offset, UK_TIMESTAMP_EARLIEST);
  end_starts();
}

/* Watermarks. */

static struct uk_topic_partition_offset first[3], end[3];
static struct uk_kafka_watermarks watermarks;

static void then(struct uk_kafka_query *query)
{
  (void)query;
  fake.dones++;
}

static rd_kafka_resp_err_t ask_watermarks(void)
{
  for (int32_t i = 0; i < 3; i++)
    first[i] = end[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), i, 77};
  watermarks = (struct uk_kafka_watermarks){.work.query = {.deadline = NOW + TIMEOUT, .then = then},
                                            .control = (rd_kafka_t *)&fake,
                                            .first = first,
                                            .end = end,
                                            .count = 3,
                                            .failed = 9};
  uk_kafka_watermarks_ask(&watermarks, (struct uk_kafka_blocking *)&fake);
  CHECK_EQ_INT(fake.dones, 1);
  return watermarks.work.query.code;
}

static void watermarks_are_the_first_offset_and_the_end(void)
{
  begin();
  CHECK_EQ_INT(ask_watermarks(), RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_EQ_STR(fake.log, "-2 x3 5000; -1 x3 5000; ");
  for (int32_t i = 0; i < 3; i++) {
    CHECK_EQ_INT(first[i].offset, i);
    CHECK_EQ_INT(end[i].offset, 100 + i);
  }
}

static void a_failure_names_its_partition(void)
{
  begin();
  fake.bad = 2;
  fake.bad_code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  CHECK_EQ_INT(ask_watermarks(), RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  CHECK_EQ_INT(watermarks.failed, 2);
  CHECK_EQ_INT(end[0].offset, 77); /* not asked for */
  begin();
  fake.codes[1] = RD_KAFKA_RESP_ERR_UNKNOWN; /* of the ends */
  fake.code_count = 2;
  CHECK_EQ_INT(ask_watermarks(), RD_KAFKA_RESP_ERR_UNKNOWN);
}

int main(void)
{
  CHECK_RUN(each_kind_of_timestamp_has_its_offset);
  CHECK_RUN(without_a_record_that_late_the_offset_is_the_end);
  CHECK_RUN(many_partitions_are_asked_for_in_parts);
  CHECK_RUN(an_error_that_passes_is_waited_out);
  CHECK_RUN(it_is_waited_for_until_the_deadline);
  CHECK_RUN(a_timeout_ends_the_wait);
  CHECK_RUN(the_partition_at_fault_is_named);
  CHECK_RUN(one_partition_is_asked_for_once);
  CHECK_RUN(an_error_of_the_ends_names_its_partition);
  CHECK_RUN(ends_are_filled_in_where_they_are_missing);
  CHECK_RUN(a_topic_that_exists_is_not_missing);
  CHECK_RUN(a_topic_that_is_gone_is_missing);
  CHECK_RUN(nothing_is_asked_where_the_check_fails);
  CHECK_RUN(nothing_is_asked_without_memory);
  CHECK_RUN(partitions_start_as_the_reset_says);
  CHECK_RUN(a_partition_without_a_leader_holds_up_no_other);
  CHECK_RUN(where_partitions_start_may_not_be_learned);
  CHECK_RUN(watermarks_are_the_first_offset_and_the_end);
  CHECK_RUN(a_failure_names_its_partition);
  return check_end();
}
