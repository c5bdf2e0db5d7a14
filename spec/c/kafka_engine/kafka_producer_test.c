/* for: kafka_producer.c, kafka_producer_handle.c
 *
 * Produces to a mock cluster of librdkafka in this process. */
#include "server/kafka_engine/produce/kafka_producer.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "kafka_parts.h"
#include "server/engine/murmur2.h"

enum { BROKERS = 2, RECORDS_MOST = 500, RECORDS_MANY = 10, PATIENCE = 20000 };

static struct uk_kafka_producer *producer;

static struct uk_kafka_producer *open_producer(void)
{
  char text[UK_MESSAGE_SIZE];
  const struct uk_kafka_producer_parts parts = {
    .settings = kafka_parts.settings, .topics = kafka_parts.topics, .reaper = kafka_parts.reaper};
  return uk_kafka_producer_new(&parts, text, sizeof text);
}

static struct uk_record records[RECORDS_MOST];
static struct uk_produce operation;

static int64_t produce_records(size_t count)
{
  struct kafka_probe probe;
  operation = (struct uk_produce){.records = records, .count = count};
  kafka_probe_begin(&probe, &operation.operation, PATIENCE);
  uk_kafka_producer_produce(producer, &operation);
  kafka_probe_await(&probe);
  return probe.took;
}

/* Produces that many records; each goes to the partition of its number, of `partitions`. */
static int64_t produce(const char *topic, size_t count, int32_t partitions)
{
  static const struct uk_record_header header = {{"h", 1}, {"v", 1}};
  for (size_t i = 0; i < count; i++)
    records[i] = (struct uk_record){.topic = uk_slice_text(topic),
                                    .partition = (int32_t)i % partitions,
                                    .timestamp = i % 4 == 3 ? 5 : -1,
                                    .has_key = true,
                                    .has_value = i != 1,
                                    .key = uk_slice_text("key"),
                                    .value = uk_slice_text(i != 1 ? "value" : ""),
                                    .headers = &header,
                                    .header_count = i == 0};
  return produce_records(count);
}

static void check_ended(enum uk_error error, bool each, const char *part)
{
  CHECK_EQ_INT(operation.operation.error, error);
  CHECK_EQ_INT(operation.each, each);
  CHECK(strstr(operation.operation.message, part) != NULL);
  if (strstr(operation.operation.message, part) == NULL)
    fprintf(stderr, "  \"%s\" is not in \"%s\"\n", part, operation.operation.message);
}

static void fail_produce_requests(size_t count, rd_kafka_resp_err_t code)
{
  for (size_t i = 0; i < count; i++)
    rd_kafka_mock_push_request_errors(kafka_parts.cluster, KAFKA_PRODUCE, 1, code);
}

static void says_where_records_are(void)
{
  const char *topic = kafka_parts_topic(2);
  produce(topic, 5, 2);
  check_ended(UK_OK, false, "");
  for (size_t i = 0; i < 5; i++) {
    CHECK_EQ_INT(records[i].partition, i % 2);
    CHECK_EQ_INT(records[i].offset, i / 2);
    CHECK(records[i].timestamp > 0);
  }
}

/* Records without a timestamp, alternating and consecutive, among some that have one. */
static void keeps_the_order_of_a_large_batch(void)
{
  struct uk_slice topic = uk_slice_text(kafka_parts_topic(3));
  int64_t next[3] = {0};
  for (size_t i = 0; i < RECORDS_MOST; i++)
    records[i] = (struct uk_record){.topic = topic,
                                    .partition = i < 250 ? (int32_t)i % 3 : 1,
                                    .timestamp = i % 100 == 99 ? 5 : -1,
                                    .has_value = true,
                                    .value = uk_slice_text("value")};
  produce_records(RECORDS_MOST);
  check_ended(UK_OK, false, "");
  for (size_t i = 0; i < RECORDS_MOST; i++) {
    int32_t partition = i < 250 ? (int32_t)i % 3 : 1;
    CHECK_EQ_INT(records[i].partition, partition);
    CHECK_EQ_INT(records[i].offset, next[partition]++);
  }
}

/* Kafka's own partitioner chooses the partition of a key, from the first request for a new topic;
 * one record or many, with and without a timestamp or headers. */
static void f8_a_key_chooses_the_partition_from_the_first_request_on(void)
{
  enum { TOPICS = 12, PARTITIONS = 7, KEYS = 20 };
  static const struct uk_record_header header = {{"h", 1}, {"v", 1}};
  static char keys[KEYS][16];
  for (size_t t = 0; t < TOPICS; t++) {
    struct uk_slice topic = uk_slice_text(kafka_parts_topic(PARTITIONS));
    size_t count = t % 2 == 0 ? 1 : KEYS;
    for (size_t i = 0; i < count; i++) {
      snprintf(keys[i], sizeof keys[i], "%zu-%zu", t, i);
      keys[KEYS - 1][0] = '\0'; /* an empty key is a key */
      records[i] = (struct uk_record){.topic = topic,
                                      .partition = -1,
                                      .timestamp = i % 3 == 1 ? 5 : -1,
                                      .has_key = true,
                                      .has_value = true,
                                      .key = uk_slice_text(keys[i]),
                                      .value = uk_slice_text("value"),
                                      .headers = &header,
                                      .header_count = i % 3 == 2};
    }
    produce_records(count);
    check_ended(UK_OK, false, "");
    for (size_t i = 0; i < count; i++)
      CHECK_EQ_INT(records[i].partition, uk_murmur2_partition(records[i].key, PARTITIONS));
  }
}

/* Requests without a key or partition go round the partitions, and each request stays in one. */
static void keyless_records_are_spread(void)
{
  enum { PARTITIONS = 3, ROUNDS = 9, EACH = 4 };
  struct uk_slice topic = uk_slice_text(kafka_parts_topic(PARTITIONS));
  int counts[PARTITIONS] = {0};
  for (int round = 0; round < ROUNDS; round++) {
    for (size_t i = 0; i < EACH; i++)
      records[i] = (struct uk_record){.topic = topic,
                                      .partition = -1,
                                      .timestamp = -1,
                                      .has_value = true,
                                      .value = uk_slice_text("value")};
    produce_records(EACH);
    check_ended(UK_OK, false, "");
    for (size_t i = 0; i < EACH; i++) {
      REQUIRE(records[i].partition >= 0 && records[i].partition < PARTITIONS);
      CHECK_EQ_INT(records[i].partition, records[0].partition);
      CHECK_EQ_INT(records[i].offset, records[0].offset + (int64_t)i);
    }
    counts[records[0].partition]++;
  }
  for (int i = 0; i < PARTITIONS; i++)
    CHECK_EQ_INT(counts[i], ROUNDS / PARTITIONS);
}

/* librdkafka accepts every message within max_message_bytes (key, value and headers). */
static void f8_a_record_of_the_limit_is_sent(void)
{
  enum { LIMIT = 1 << 20, PART = 1000 };
  static char bytes[LIMIT];
  memset(bytes, 'x', sizeof bytes);
  const struct uk_record_header header = {{bytes, PART}, {bytes, PART}};
  struct uk_slice topic = uk_slice_text(kafka_parts_topic(1));
  for (int way = 0; way < 3; way++) {
    records[0] = (struct uk_record){.topic = topic,
                                    .partition = 0,
                                    .timestamp = -1,
                                    .has_value = true,
                                    .has_key = way > 0,
                                    .headers = &header,
                                    .header_count = way > 1};
    if (way > 0)
      records[0].key = uk_slice_of(bytes, PART);
    records[0].value =
      uk_slice_of(bytes, LIMIT - records[0].key.length - 2 * PART * records[0].header_count);
    produce_records(1);
    check_ended(UK_OK, false, "");
    CHECK_EQ_INT(records[0].offset, way);
  }
}

/* librdkafka itself refuses it. */
static void a_record_that_is_too_large_leaves_the_others(void)
{
  static char large[2 << 20];
  struct uk_slice topic = uk_slice_text(kafka_parts_topic(2));
  memset(large, 'x', sizeof large);
  for (size_t i = 0; i < 6; i++)
    records[i] = (struct uk_record){.topic = topic,
                                    .partition = i % 2,
                                    .timestamp = -1,
                                    .has_value = true,
                                    .value = uk_slice_of(large, i == 3 ? sizeof large : 1)};
  produce_records(6);
  check_ended(UK_E_TOO_LARGE, true, "[3]: topic \"");
  check_ended(UK_E_TOO_LARGE, true, "1 of 6 messages failed, the others are stored");
  for (size_t i = 0; i < 6; i++)
    CHECK_EQ_INT(records[i].error, i == 3 ? UK_E_TOO_LARGE : UK_OK);
  CHECK_EQ_INT(records[1].offset, 0);
  CHECK_EQ_INT(records[5].offset, 1);
  CHECK_EQ_INT(records[4].offset, 2);
}

static void refuses_missing_partitions_before_it_sends(void)
{
  const char *topic = kafka_parts_topic(1);
  const char *nowhere = kafka_parts_nowhere();
  produce(nowhere, 1, 1);
  check_ended(UK_E_NOT_FOUND, false, "does not exist");
  produce(topic, 2, 2);
  check_ended(UK_E_BAD_REQUEST, false, "[1]: topic \"");
  produce(topic, 1, 1);
  CHECK_EQ_INT(records[0].offset, 0);
}

/* The cluster accepts one partition and refuses the other, whichever comes first. */
static void reports_which_records_failed(void)
{
  const char *topic = kafka_parts_topic(2);
  produce(topic, 2, 2);
  fail_produce_requests(1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
  produce(topic, 2, 2);
  check_ended(UK_E_BAD_REQUEST, true, "1 of 2 messages failed, the others are stored");
  size_t stored = records[0].error == UK_OK ? 0 : 1;
  CHECK_EQ_INT(records[stored].error, UK_OK);
  CHECK_EQ_INT(records[stored].offset, 1);
  CHECK_EQ_INT(records[1 - stored].error, UK_E_BAD_REQUEST);
}

static void equal_failures_are_one_failure(void)
{
  const char *topic = kafka_parts_topic(1);
  produce(topic, 1, 1);
  fail_produce_requests(3, RD_KAFKA_RESP_ERR_INVALID_RECORD); /* at most that many batches */
  produce(topic, 3, 1);
  rd_kafka_mock_clear_request_errors(kafka_parts.cluster, KAFKA_PRODUCE);
  check_ended(UK_E_BAD_REQUEST, false, "all of 3 messages failed");
}

static void a_batch_that_is_too_large_is_sent_record_by_record(void)
{
  const char *topic = kafka_parts_topic(1);
  produce(topic, 1, 1);
  fail_produce_requests(1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  produce(topic, 3, 1);
  check_ended(UK_OK, false, "");
  for (size_t i = 0; i < 3; i++)
    CHECK(records[i].offset >= 1 && records[i].offset <= 3);
  produce(topic, RECORDS_MANY, 1);
  for (int i = 0; i < RECORDS_MANY; i++)
    CHECK_EQ_INT(records[i].offset, 4 + i);
}

static void a_record_that_is_too_large_alone_is_refused(void)
{
  const char *topic = kafka_parts_topic(1);
  produce(topic, 1, 1);
  fail_produce_requests(2, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  produce(topic, 1, 1);
  check_ended(UK_E_TOO_LARGE, false, "topic \"");
  produce(topic, 1, 1);
  CHECK_EQ_INT(records[0].offset, 1);
}

static void survives_a_leader_that_moves(void)
{
  const char *topic = kafka_parts_topic(1);
  produce(topic, 1, 1);
  fail_produce_requests(2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
  produce(topic, 3, 1);
  check_ended(UK_OK, false, "");
}

static void ends_without_memory(void)
{
  const char *topic = kafka_parts_topic(2);
  produce(topic, 1, 1);
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    produce(topic, 3, 2);
    hit = fault_hit();
    fault_off();
    if (operation.operation.error != UK_OK)
      check_ended(UK_E_NO_MEMORY, false, "");
  }
  produce(topic, 3, 2);
  check_ended(UK_OK, false, "");
}

/* A producer that could be created works, whatever failed on the way. */
static void is_not_created_without_memory(void)
{
  struct uk_kafka_producer *usual = producer;
  const char *topic = kafka_parts_topic(1);
  produce(topic, 1, 1); /* the topic is known from here on */
  long before = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    producer = open_producer();
    hit = fault_hit();
    fault_off();
    CHECK((producer == NULL) == hit);
    if (producer != NULL) {
      produce(topic, 1, 1);
      check_ended(UK_OK, false, "");
      uk_kafka_producer_free(producer);
    }
    CHECK_EVENTUALLY(fault_live() == before); /* the reaper destroys its handle */
  }
  producer = usual;
}

/* The last case: the cluster is down for a while, and comes back. */
static void knows_that_the_cluster_is_away(void)
{
  const char *topic = kafka_parts_topic(1);
  char detail[UK_MESSAGE_SIZE];
  produce(topic, 1, 1);
  for (int32_t broker = 1; broker <= BROKERS; broker++)
    rd_kafka_mock_broker_set_down(kafka_parts.cluster, broker);
  produce(topic, 2, 1);
  enum uk_error error = operation.operation.error;
  CHECK(error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT);
  produce(topic, 1, 1);
  check_ended(UK_E_UNAVAILABLE, false, "the Kafka cluster does not answer"); /* it was not sent */
  for (int32_t broker = 1; broker <= BROKERS; broker++)
    rd_kafka_mock_broker_set_up(kafka_parts.cluster, broker);
  CHECK_EVENTUALLY(uk_kafka_topics_health(kafka_parts.topics, detail, sizeof detail) == UK_OK);
  produce(topic, 1, 1);
  check_ended(UK_OK, false, "");
}

int main(void)
{
  if (!kafka_parts_open(BROKERS) || (producer = open_producer()) == NULL)
    return 1;
  CHECK_RUN(says_where_records_are);
  CHECK_RUN(keeps_the_order_of_a_large_batch);
  CHECK_RUN(f8_a_key_chooses_the_partition_from_the_first_request_on);
  CHECK_RUN(keyless_records_are_spread);
  CHECK_RUN(f8_a_record_of_the_limit_is_sent);
  CHECK_RUN(a_record_that_is_too_large_leaves_the_others);
  CHECK_RUN(refuses_missing_partitions_before_it_sends);
  CHECK_RUN(reports_which_records_failed);
  CHECK_RUN(equal_failures_are_one_failure);
  CHECK_RUN(a_batch_that_is_too_large_is_sent_record_by_record);
  CHECK_RUN(a_record_that_is_too_large_alone_is_refused);
  CHECK_RUN(survives_a_leader_that_moves);
  CHECK_RUN(ends_without_memory);
  CHECK_RUN(is_not_created_without_memory);
  CHECK_RUN(knows_that_the_cluster_is_away);
  uk_kafka_producer_free(producer);
  kafka_parts_close();
  return check_end();
}
