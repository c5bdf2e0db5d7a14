/* for: kafka_send.c, kafka_record.c
 *
 * How records become librdkafka's messages, and the reverse. The test logs what librdkafka gets:
 * one word for each call, "one" or "batch", with partition, key and value. */
#include "server/kafka_engine/produce/kafka_send.h"

#include <stdlib.h>

#include "call_log.h"
#include "check.h"
#include "fault.h"
#include "server/kafka_engine/rd/kafka_record.h"

enum { MANY = 200 };

static struct {
  char log[8192];
  const char *refuses; /* records with this value */
  int refused[MANY];   /* how often, by tag */
  int headers, errors; /* alive */
  int64_t timestamp;   /* of the last one sent alone */
  char header_text[100];
  const struct uk_record *records; /* that are handed over */
} fake;

static struct uk_kafka_delivery_tag tags[MANY];

#define note(...) call_log_add(fake.log, sizeof fake.log, __VA_ARGS__)

/* "-" for none, '' for an empty one. */
static void note_bytes(const void *data, size_t length)
{
  if (data == NULL)
    note(" -");
  else
    note(" '%.*s'", (int)length, (const char *)data);
}

static bool is_refused(const void *data, size_t length)
{
  return fake.refuses != NULL && data != NULL &&
         uk_slice_is(uk_slice_of(data, length), fake.refuses);
}

rd_kafka_headers_t *rd_kafka_headers_new(size_t count)
{
  (void)count;
  fake.headers++;
  fake.header_text[0] = '\0';
  return (rd_kafka_headers_t *)&fake;
}

void rd_kafka_headers_destroy(rd_kafka_headers_t *headers)
{
  (void)headers;
  fake.headers--;
}

rd_kafka_resp_err_t rd_kafka_header_add(rd_kafka_headers_t *headers, const char *name,
                                        ssize_t name_size, const void *value, ssize_t value_size)
{
  (void)headers;
  snprintf(fake.header_text + strlen(fake.header_text),
           sizeof fake.header_text - strlen(fake.header_text), "%.*s=%.*s;", (int)name_size, name,
           value != NULL ? (int)value_size : 4, value != NULL ? (const char *)value : "null");
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* The report of a record brings back its own tag. */
static void check_tag(const void *tag, const void *value, size_t length)
{
  const struct uk_kafka_delivery_tag *own = tag;
  if (length > 0 && CHECK(own >= tags && own < tags + MANY))
    CHECK(fake.records[own - tags].value.data == value);
}

rd_kafka_error_t *rd_kafka_produceva(rd_kafka_t *handle, const rd_kafka_vu_t *fields, size_t count)
{
  const void *value = NULL, *tag = NULL;
  size_t length = 0;
  CHECK(handle == (rd_kafka_t *)&fake);
  note("one");
  for (size_t i = 0; i < count; i++) {
    if (fields[i].vtype == RD_KAFKA_VTYPE_RKT)
      CHECK(fields[i].u.rkt == (rd_kafka_topic_t *)&fake);
    if (fields[i].vtype == RD_KAFKA_VTYPE_OPAQUE)
      tag = fields[i].u.ptr;
    if (fields[i].vtype == RD_KAFKA_VTYPE_PARTITION)
      note(" %d", (int)fields[i].u.i32);
    if (fields[i].vtype == RD_KAFKA_VTYPE_TIMESTAMP)
      fake.timestamp = fields[i].u.i64;
    if (fields[i].vtype == RD_KAFKA_VTYPE_HEADERS)
      note(" with headers");
    if (fields[i].vtype == RD_KAFKA_VTYPE_KEY)
      note_bytes(fields[i].u.mem.ptr, fields[i].u.mem.size);
    if (fields[i].vtype == RD_KAFKA_VTYPE_VALUE) {
      value = fields[i].u.mem.ptr;
      length = fields[i].u.mem.size;
      note_bytes(value, length);
    }
  }
  note("; ");
  check_tag(tag, value, length);
  if (is_refused(value, length)) {
    fake.errors++;
    return (rd_kafka_error_t *)&fake;
  }
  fake.headers = 0; /* librdkafka owns them now */
  return NULL;
}

rd_kafka_resp_err_t rd_kafka_error_code(const rd_kafka_error_t *error)
{
  (void)error;
  return RD_KAFKA_RESP_ERR__QUEUE_FULL;
}

void rd_kafka_error_destroy(rd_kafka_error_t *error)
{
  (void)error;
  fake.errors--;
}

int rd_kafka_produce_batch(rd_kafka_topic_t *topic, int32_t partition, int flags,
                           rd_kafka_message_t *messages, int count)
{
  int taken = 0;
  CHECK(topic == (rd_kafka_topic_t *)&fake);
  CHECK_EQ_INT(flags, 0);
  note("batch %d", (int)partition);
  for (int i = 0; i < count; i++) {
    note_bytes(messages[i].key, messages[i].key_len);
    note_bytes(messages[i].payload, messages[i].len);
    check_tag(messages[i]._private, messages[i].payload, messages[i].len);
    bool refused = is_refused(messages[i].payload, messages[i].len);
    messages[i].err = refused ? RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE : RD_KAFKA_RESP_ERR_NO_ERROR;
    taken += !refused;
  }
  note("; ");
  return taken;
}

static void on_refused(rd_kafka_t *handle, struct uk_kafka_delivery_tag *tag,
                       rd_kafka_resp_err_t code)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  CHECK(code == RD_KAFKA_RESP_ERR__QUEUE_FULL || code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
  fake.refused[tag - tags]++;
}

static void hand_over(const struct uk_record *records, size_t count)
{
  fake.log[0] = '\0';
  memset(fake.refused, 0, sizeof fake.refused);
  fake.records = records;
  uk_kafka_send((rd_kafka_t *)&fake, (rd_kafka_topic_t *)&fake, records, tags, count, on_refused);
}

static struct uk_record plain(const char *value, int32_t partition)
{
  return (struct uk_record){
    .partition = partition, .timestamp = -1, .has_value = true, .value = uk_slice_text(value)};
}

static void records_of_a_partition_go_together(void)
{
  const struct uk_record records[] = {plain("a", 0), plain("b", 1), plain("c", 0), plain("d", 1),
                                      plain("e", 2)};
  hand_over(records, 5);
  CHECK_EQ_STR(fake.log, "batch 0 - 'a' - 'c'; batch 1 - 'b' - 'd'; batch 2 - 'e'; ");
  hand_over(records, 1);
  CHECK_EQ_STR(fake.log, "one 0 'a' -; ");
}

/* Records that no batch can hold: with a timestamp, headers, or no partition. Their order stays. */
static void special_records_are_sent_alone(void)
{
  static const struct uk_record_header headers[] = {
    {{"h", 1}, {"v", 1}}, {{"e", 1}, {"", 0}}, {{"n", 1}, {NULL, 0}}};
  struct uk_record records[] = {plain("a", 0), plain("b", 0), plain("c", 0), plain("d", 0),
                                plain("e", 0)};
  records[2].timestamp = 0;
  hand_over(records, 5);
  CHECK_EQ_STR(fake.log, "batch 0 - 'a' - 'b'; one 0 'c' -; batch 0 - 'd' - 'e'; ");
  CHECK_EQ_INT(fake.timestamp, 0);
  records[2].timestamp = 77;
  hand_over(records, 5);
  CHECK_EQ_INT(fake.timestamp, 77);
  records[2].timestamp = -1;
  records[2].headers = headers;
  records[2].header_count = 3;
  hand_over(records, 4);
  CHECK_EQ_STR(fake.log, "batch 0 - 'a' - 'b'; one 0 'c' - with headers; one 0 'd' -; ");
  CHECK_EQ_INT(fake.timestamp, 0);              /* librdkafka's clock */
  CHECK_EQ_STR(fake.header_text, "h=v;e=;n=;"); /* an empty value is not null */
  records[2].header_count = 0;
  records[2].partition = -1;
  hand_over(records, 4);
  CHECK_EQ_STR(fake.log, "batch 0 - 'a' - 'b'; one -1 'c' -; one 0 'd' -; ");
}

/* librdkafka distinguishes an empty value from a missing one by its pointer, so it gets "". */
static void empty_is_not_null(void)
{
  struct uk_record records[] = {plain("", 0), plain("", 0), plain("x", 0), plain("x", 0)};
  records[0].value = (struct uk_slice){NULL, 0};
  records[1].has_value = false;
  records[2].has_key = true;
  records[2].key = (struct uk_slice){NULL, 0};
  records[3].has_key = true;
  records[3].key = uk_slice_text("k");
  hand_over(records, 4);
  CHECK_EQ_STR(fake.log, "batch 0 - '' - - '' 'x' 'k' 'x'; ");
  for (int i = 0; i < 4; i++) {
    static const char *const alone[] = {"one 0 '' -; ", "one 0 - -; ", "one 0 'x' ''; ",
                                        "one 0 'x' 'k'; "};
    hand_over(&records[i], 1);
    CHECK_EQ_STR(fake.log, alone[i]);
  }
}

static void each_refused_record_is_reported_once(void)
{
  static const struct uk_record_header header = {{"h", 1}, {"v", 1}};
  struct uk_record records[] = {plain("a", 0), plain("no", 1), plain("b", 0), plain("no", 0),
                                plain("c", 1)};
  fake.refuses = "no";
  hand_over(records, 5);
  for (int i = 0; i < 5; i++)
    CHECK_EQ_INT(fake.refused[i], i == 1 || i == 3);
  records[1].headers = &header;
  records[1].header_count = 1;
  fake.headers = 0;
  hand_over(records, 2);
  CHECK_EQ_INT(fake.refused[0], 0);
  CHECK_EQ_INT(fake.refused[1], 1);
  CHECK_EQ_INT(fake.headers, 0);
  CHECK_EQ_INT(fake.errors, 0);
  fake.refuses = NULL;
}

/* More than one call accepts at once. */
static void many_records_keep_their_order(void)
{
  static struct uk_record records[MANY];
  static char values[MANY][8];
  static const size_t counts[] = {63, 64, 65, 128, 129, MANY};
  for (size_t i = 0; i < MANY; i++) {
    snprintf(values[i], sizeof values[i], "%zu", i);
    records[i] = plain(values[i], (int32_t)(i % 2));
  }
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    int next[2] = {0, 1}, seen = 0, partition = -1;
    hand_over(records, counts[i]);
    for (char *word = strtok(fake.log, " ;"); word != NULL; word = strtok(NULL, " ;")) {
      if (strcmp(word, "batch") == 0 || strcmp(word, "one") == 0)
        partition = -1;
      else if (partition < 0)
        partition = atoi(word);
      else if (word[0] == '\'' && CHECK_EQ_INT(atoi(word + 1), next[partition])) {
        next[partition] += 2;
        seen++;
      }
    }
    CHECK_EQ_INT(seen, counts[i]);
  }
}

/* Messages. */

static const char *header_names[] = {"a", "b", "c"};

size_t rd_kafka_header_cnt(const rd_kafka_headers_t *headers)
{
  return *(const size_t *)headers;
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers)
{
  *headers = message->_private;
  return message->_private != NULL ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

/* The second has no value. */
rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *headers, size_t index,
                                            const char **name, const void **value, size_t *length)
{
  if (index >= *(const size_t *)headers)
    return RD_KAFKA_RESP_ERR__NOENT;
  *name = header_names[index];
  *value = index == 1 ? NULL : "value";
  *length = index == 1 ? 0 : 5;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
  return (const char *)topic;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type)
{
  *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
  return message->offset * 10;
}

static rd_kafka_message_t message_of(size_t *headers)
{
  return (rd_kafka_message_t){.rkt = (rd_kafka_topic_t *)(uintptr_t) "t",
                              .partition = 3,
                              .offset = 8,
                              .payload = (void *)(uintptr_t) "value",
                              .len = 5,
                              .key = (void *)(uintptr_t) "key",
                              .key_len = 3,
                              ._private = headers};
}

static void a_message_becomes_a_record(void)
{
  static const size_t counts[] = {1, 3, 2, 0, 3};
  struct uk_kafka_record record = {.room = 0};
  long live = fault_live();
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    size_t count = counts[i];
    rd_kafka_message_t message = message_of(count > 0 ? &count : NULL);
    bool fits = count <= record.room;
    fault_off(); /* counts from here */
    REQUIRE(uk_kafka_record_fill(&record, &message));
    CHECK_EQ_INT(fault_count(), !fits); /* its space is used again */
    CHECK_EQ_SLICE(record.record.topic, "t");
    CHECK_EQ_SLICE(record.record.key, "key");
    CHECK_EQ_SLICE(record.record.value, "value");
    CHECK_EQ_INT(record.record.partition, 3);
    CHECK_EQ_INT(record.record.offset, 8);
    CHECK_EQ_INT(record.record.timestamp, 80);
    CHECK(record.record.has_key && record.record.has_value);
    REQUIRE(record.record.header_count == count);
    for (size_t j = 0; j < count; j++) {
      CHECK_EQ_SLICE(record.record.headers[j].key, header_names[j]);
      CHECK_EQ_SLICE(record.record.headers[j].value, j == 1 ? "" : "value");
    }
  }
  uk_kafka_record_free(&record);
  CHECK_EQ_INT(fault_live(), live);
}

static void null_differs_from_empty(void)
{
  struct uk_kafka_record record = {.room = 0};
  rd_kafka_message_t message = message_of(NULL);
  message.payload = message.key = NULL;
  message.len = message.key_len = 0;
  REQUIRE(uk_kafka_record_fill(&record, &message));
  CHECK(!record.record.has_key && !record.record.has_value);
  CHECK(record.record.value.length == 0 && record.record.key.length == 0);
  message.payload = message.key = (void *)(uintptr_t) "";
  REQUIRE(uk_kafka_record_fill(&record, &message));
  CHECK(record.record.has_key && record.record.has_value);
  uk_kafka_record_free(&record);
}

static void headers_without_memory_make_no_record(void)
{
  struct uk_kafka_record record = {.room = 0};
  size_t count = 2;
  rd_kafka_message_t message = message_of(&count);
  fault_at(1);
  CHECK(!uk_kafka_record_fill(&record, &message));
  fault_off();
  CHECK(uk_kafka_record_fill(&record, &message));
  uk_kafka_record_free(&record);
}

int main(void)
{
  CHECK_RUN(records_of_a_partition_go_together);
  CHECK_RUN(special_records_are_sent_alone);
  CHECK_RUN(empty_is_not_null);
  CHECK_RUN(each_refused_record_is_reported_once);
  CHECK_RUN(many_records_keep_their_order);
  CHECK_RUN(a_message_becomes_a_record);
  CHECK_RUN(null_differs_from_empty);
  CHECK_RUN(headers_without_memory_make_no_record);
  return check_end();
}
