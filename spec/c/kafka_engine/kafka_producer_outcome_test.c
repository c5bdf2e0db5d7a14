/* for: kafka_producer.c
 *
 * What becomes of each record that is produced: which handle gets it, what its report means, and
 * when a handle is replaced. The test fakes the handles and the topics, and gives the reports. */
#include "server/kafka_engine/produce/kafka_producer.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "common/clock.h"
#include "counted_seeds.h"
#include "fault.h"
#include "server/engine/murmur2.h"
#include "server/kafka_engine/produce/kafka_producer_handle.h"

enum { PARTITIONS = 3, SENT = 64 };
static const int64_t BYTES_MAX = INT64_C(256) << 20; /* in flight */

struct report {
  struct uk_kafka_delivery_tag *tag;
  rd_kafka_resp_err_t code;
  rd_kafka_msg_status_t status;
  int64_t offset;
};

struct handle {
  struct uk_kafka_producer_handle *of;
  int number;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what the producer's thread uses */

static struct {
  char log[600]; /* under the mutex */
  struct handle handles[16];
  int opened;
  struct report reports[SENT]; /* not taken yet; under the mutex */
  size_t report_count;
  struct report alone; /* the next one of the handle that sends records alone */
  struct {
    struct uk_kafka_delivery_tag *tag;
    const struct uk_record *record;
  } sent[SENT]; /* in order */
  size_t sent_count;
  atomic_int polled, polled_two;         /* how often with each timeout */
  atomic_bool shared_fails, alone_fails; /* once each */
  atomic_bool refuses_handles;
  atomic_bool forgets_u; /* topic "u" is not known any more */
  atomic_int queued;
  rd_kafka_resp_err_t fatal;
  rd_kafka_resp_err_t refuses; /* each record, at once */
  enum uk_error check_error;
  struct uk_kafka_check seen;
  atomic_int taken;  /* reports */
  atomic_int pauses; /* of the thread, without a handle */
  int created;       /* context of `create` */
} fake;

static struct uk_kafka_producer *producer;

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
  pthread_mutex_lock(&mutex);
  size_t length = strlen(fake.log);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(fake.log + length, sizeof fake.log - length, format, arguments);
  va_end(arguments);
  pthread_mutex_unlock(&mutex);
}

static bool is_logged(const char *text)
{
  pthread_mutex_lock(&mutex);
  bool found = strstr(fake.log, text) != NULL;
  pthread_mutex_unlock(&mutex);
  return found;
}

static void clear_log(void)
{
  pthread_mutex_lock(&mutex);
  fake.log[0] = '\0';
  pthread_mutex_unlock(&mutex);
}

#define CHECK_LOG(wanted)                                                                          \
  do {                                                                                             \
    pthread_mutex_lock(&mutex);                                                                    \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
    pthread_mutex_unlock(&mutex);                                                                  \
  } while (0)

/* Fakes: handles. */

static int number_of(const rd_kafka_t *handle)
{
  return ((const struct handle *)handle)->number;
}

void uk_kafka_producer_handle_init(struct uk_kafka_producer_handle *handle, bool alone,
                                   uk_kafka_reported *reported, uk_kafka_refused *refused)
{
  *handle =
    (struct uk_kafka_producer_handle){.alone = alone, .reported = reported, .refused = refused};
}

void uk_kafka_producer_handle_free(struct uk_kafka_producer_handle *handle,
                                   struct uk_kafka_reaper *reaper)
{
  CHECK(reaper == (struct uk_kafka_reaper *)&fake);
  note("free(%s) ", handle->alone ? "alone" : "shared");
}

rd_kafka_t *uk_kafka_producer_handle_renew(struct uk_kafka_producer_handle *handle,
                                           const struct uk_kafka_settings *settings, char *text,
                                           size_t size)
{
  rd_kafka_t *old = handle->handle;
  CHECK(settings == (const struct uk_kafka_settings *)&fake);
  if (atomic_load(&fake.refuses_handles)) {
    snprintf(text, size, "refused");
    handle->handle = NULL;
    return old;
  }
  struct handle *made = &fake.handles[fake.opened++];
  *made = (struct handle){handle, fake.opened};
  handle->handle = (rd_kafka_t *)made;
  note("renew(%s%d) ", handle->alone ? "alone" : "shared", made->number);
  return old;
}

void uk_kafka_producer_handle_retire(rd_kafka_t *handle, struct uk_kafka_reaper *reaper)
{
  CHECK(reaper == (struct uk_kafka_reaper *)&fake);
  if (handle != NULL)
    note("retire(%d) ", number_of(handle));
}

bool uk_kafka_producer_handle_failed(const struct uk_kafka_producer_handle *handle,
                                     struct uk_kafka_topics *topics)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  return handle->handle == NULL ||
         atomic_exchange(handle->alone ? &fake.alone_fails : &fake.shared_fails, false);
}

void uk_kafka_producer_handle_ask(rd_kafka_t *handle, struct uk_slice topic)
{
  note("ask%d(%.*s) ", number_of(handle), (int)topic.length, topic.data);
}

void uk_kafka_producer_handle_send(struct uk_kafka_producer_handle *handle,
                                   const struct uk_record *records,
                                   struct uk_kafka_delivery_tag *tags, size_t count)
{
  struct uk_slice topic = records[0].topic; /* refused records are gone */
  int number = handle->handle != NULL ? number_of(handle->handle) : 0;
  for (size_t i = 0; i < count; i++) {
    fake.sent[fake.sent_count].tag = &tags[i];
    fake.sent[fake.sent_count++].record = &records[i];
  }
  note("send%d(%.*s x%zu) ", number, (int)topic.length, topic.data, count);
  for (size_t i = 0; i < count && fake.refuses != RD_KAFKA_RESP_ERR_NO_ERROR; i++)
    handle->refused(handle->handle, &tags[i], fake.refuses);
}

/* Fakes: librdkafka, and its thread's sleep without it. */

int nanosleep(const struct timespec *pause, struct timespec *rest)
{
  atomic_fetch_add(&fake.pauses, pause->tv_sec == 0 && pause->tv_nsec == 100000000);
  return clock_nanosleep(CLOCK_MONOTONIC, 0, pause, rest);
}

int rd_kafka_poll(rd_kafka_t *polled, int timeout)
{
  struct handle *handle = (struct handle *)polled;
  struct report report = {.tag = NULL};
  atomic_fetch_add(timeout == 100 ? &fake.polled : &fake.polled_two,
                   timeout == 100 || timeout == 5);
  CHECK(timeout == 100 || timeout == 5 || (timeout == 0 && handle->of->alone));
  pthread_mutex_lock(&mutex);
  if (!handle->of->alone && fake.report_count > 0)
    report = fake.reports[--fake.report_count];
  if (handle->of->alone) {
    report = fake.alone;
    fake.alone.tag = NULL;
  }
  pthread_mutex_unlock(&mutex);
  const struct timespec pause = {0, 200000};
  if (report.tag == NULL && timeout > 0)
    nanosleep(&pause, NULL);
  if (report.tag == NULL)
    return 0;
  rd_kafka_message_t message = {
    .err = report.code, .offset = report.offset, .payload = &report, ._private = report.tag};
  handle->of->reported(polled, &message, handle->of);
  atomic_fetch_add(&fake.taken, 1);
  return 1;
}

rd_kafka_msg_status_t rd_kafka_message_status(const rd_kafka_message_t *message)
{
  return ((const struct report *)message->payload)->status;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type)
{
  *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
  return 1000 + message->offset;
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *handle, char *text, size_t size)
{
  CHECK(handle != NULL);
  (void)text;
  (void)size;
  return fake.fatal;
}

int rd_kafka_outq_len(rd_kafka_t *handle)
{
  CHECK(((struct handle *)handle)->of->alone);
  return atomic_load(&fake.queued);
}

/* Fakes: topics. */

void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  fake.seen = *check;
  if (fake.check_error != UK_OK)
    uk_operation_fail(check->operation, fake.check_error, "checked");
  check->then(check);
}

int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  bool forgotten = uk_slice_is(topic, "u") && atomic_load(&fake.forgets_u);
  return uk_slice_is(topic, "gone") || forgotten ? 0 : PARTITIONS;
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  note("forget(%.*s) ", (int)topic.length, topic.data);
  if (uk_slice_is(topic, "u"))
    atomic_store(&fake.forgets_u, true);
}

/* Steps of a test. */

static void create(void *context, struct uk_kafka_check *check, struct uk_slice topic)
{
  (void)context;
  (void)check;
  (void)topic;
}

static struct uk_record records[4];
static struct uk_produce operation;
static atomic_int dones;

static void done(struct uk_operation *ended)
{
  (void)ended;
  atomic_fetch_add(&dones, 1);
}

static struct uk_record plain(const char *topic)
{
  return (struct uk_record){.topic = uk_slice_text(topic),
                            .partition = -1,
                            .timestamp = -1,
                            .error = UK_E_INTERNAL,
                            .has_value = true,
                            .value = uk_slice_text("value")};
}

static void produce(size_t count)
{
  operation = (struct uk_produce){.operation.done = done, .records = records, .count = count};
  atomic_store(&dones, 0);
  fake.sent_count = 0;
  uk_kafka_producer_produce(producer, &operation);
}

/* The cluster reports what became of the record that was sent at that place. */
static void report(size_t place, rd_kafka_resp_err_t code, bool maybe_stored, int64_t offset)
{
  REQUIRE(place < fake.sent_count);
  pthread_mutex_lock(&mutex);
  fake.reports[fake.report_count++] = (struct report){
    fake.sent[place].tag, code,
    maybe_stored ? RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED : RD_KAFKA_MSG_STATUS_NOT_PERSISTED,
    offset};
  pthread_mutex_unlock(&mutex);
}

static void await_done(void)
{
  CHECK_EVENTUALLY(atomic_load(&dones) > 0);
  CHECK_EQ_INT(atomic_load(&dones), 1);
}

static void succeed(size_t place, int64_t offset)
{
  report(place, RD_KAFKA_RESP_ERR_NO_ERROR, false, offset);
}

static void check_ended(enum uk_error error, const char *message)
{
  CHECK_EQ_INT(operation.operation.error, error);
  CHECK_EQ_STR(operation.operation.message, message);
}

/* Sending. */

static void a_request_is_done_when_each_record_is_reported(void)
{
  records[0] = records[1] = plain("t");
  produce(2);
  CHECK_LOG("send1(t x2) ");
  CHECK(fake.seen.changes && fake.seen.index_shown);
  CHECK(fake.seen.create == create && fake.seen.create_context == &fake.created);
  CHECK_EQ_INT(fake.seen.new_partitions, 3);
  CHECK_EQ_INT(fake.seen.places.count, 2);
  succeed(1, 8);
  CHECK_EVENTUALLY(atomic_load(&fake.taken) == 1);
  CHECK_EQ_INT(records[1].offset, 8);
  CHECK_EQ_INT(atomic_load(&dones), 0);
  succeed(0, 7);
  await_done();
  check_ended(UK_OK, "");
  CHECK_EQ_INT(records[0].offset, 7);
  CHECK_EQ_INT(records[0].timestamp, 1007);
  CHECK_EQ_INT(records[0].error, UK_OK);
  CHECK_EQ_INT(records[1].timestamp, 1008);
  records[0] = plain("t");
  produce(1);
  CHECK(!fake.seen.index_shown);
  succeed(0, 1);
  await_done();
}

static void records_of_a_topic_are_sent_together(void)
{
  for (size_t i = 0; i < 4; i++)
    records[i] = plain(i == 2 ? "u" : "t");
  produce(4);
  CHECK_LOG("send1(t x2) send1(u x1) send1(t x1) ");
  for (size_t i = 0; i < 4; i++)
    succeed(i, 0);
  await_done();
}

static void a_partition_is_chosen_where_none_is_named(void)
{
  static const char *const keys[] = {"a", "b", "c", "d"};
  int32_t first[3];
  for (size_t round = 0; round < 3; round++) {
    for (size_t i = 0; i < 4; i++)
      records[i] = plain(i < 3 ? "t" : "u");
    records[1].partition = (int32_t)round;
    produce(4);
    CHECK_EQ_INT(records[1].partition, round);
    CHECK_EQ_INT(records[2].partition, records[0].partition);
    CHECK_EQ_INT(records[3].partition, records[0].partition); /* of the whole request */
    first[round] = records[0].partition;
    for (size_t i = 0; i < 4; i++)
      succeed(i, 0);
    await_done();
  }
  for (size_t round = 1; round < 3; round++)
    CHECK_EQ_INT(first[round], (first[round - 1] + 1) % PARTITIONS);
  for (size_t i = 0; i < 4; i++) {
    records[i] = plain("t");
    records[i].has_key = true;
    records[i].key = uk_slice_text(keys[i]);
  }
  produce(4);
  for (size_t i = 0; i < 4; i++) {
    CHECK_EQ_INT(records[i].partition, uk_murmur2_partition(records[i].key, PARTITIONS));
    succeed(i, 0);
  }
  await_done();
  /* A topic that memory has just lost is left to librdkafka. */
  records[0] = plain("gone");
  produce(1);
  CHECK_EQ_INT(records[0].partition, -1);
  succeed(0, 0);
  await_done();
}

/* Reports. */

/* A client that gets UNAVAILABLE sends the record again, so it must not be stored. */
static void each_failure_says_whether_the_record_may_be_stored(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    bool maybe_stored;
    enum uk_error error;
  } rows[] = {
    {RD_KAFKA_RESP_ERR__TRANSPORT, false, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__TRANSPORT, true, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, false, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, true, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, false, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, true, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, false, UK_E_UNAVAILABLE},
    /* The broker itself does not know. */
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, false, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, false, UK_E_GATEWAY_TIMEOUT},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, false, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, true, UK_E_GATEWAY_TIMEOUT},
    /* The broker refused this batch, whatever librdkafka fears. */
    {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, true, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, true, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, true, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, true, UK_E_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, false, UK_E_BAD_REQUEST},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char message[200];
    records[0] = plain("t");
    records[0].partition = 1;
    produce(1);
    report(0, rows[i].code, rows[i].maybe_stored, -1);
    await_done();
    snprintf(message, sizeof message, "topic \"t\" partition 1: %s%s",
             rd_kafka_err2str(rows[i].code),
             rows[i].error == UK_E_GATEWAY_TIMEOUT ? "; it may have been stored" : "");
    check_ended(rows[i].error, message);
    CHECK_EQ_INT(records[0].error, rows[i].error);
  }
}

/* Records left in a handle that has failed get the reason for which it failed. */
static void the_cause_of_a_failed_handle_is_the_reason(void)
{
  static const struct {
    rd_kafka_resp_err_t fatal, code, reason;
    enum uk_error error;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR__PURGE_QUEUE,
     RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR__FATAL,
     RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR__TRANSPORT,
     RD_KAFKA_RESP_ERR__TRANSPORT, UK_E_UNAVAILABLE},
    {RD_KAFKA_RESP_ERR_NO_ERROR, RD_KAFKA_RESP_ERR__PURGE_QUEUE, RD_KAFKA_RESP_ERR__PURGE_QUEUE,
     UK_E_UNAVAILABLE},
  };
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
    fake.fatal = rows[i / 2].fatal;
    fake.refuses = i % 2 == 0 ? rows[i / 2].code : RD_KAFKA_RESP_ERR_NO_ERROR;
    records[0] = plain("t");
    produce(1);
    if (i % 2 == 1)
      report(0, rows[i / 2].code, false, -1);
    await_done();
    CHECK_EQ_INT(operation.operation.error, rows[i / 2].error);
    CHECK_EQ_STR(records[0].reason, rd_kafka_err2str(rows[i / 2].reason));
  }
  fake.fatal = RD_KAFKA_RESP_ERR_NO_ERROR;
  fake.refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* It was just added, or created again; its handle does not know it. */
static void what_the_handle_does_not_know_is_asked_about(void)
{
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
                                              RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC,
                                              RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
  for (size_t way = 0; way < 2 * sizeof codes / sizeof *codes; way++) {
    fake.refuses = way % 2 == 0 ? codes[way / 2] : RD_KAFKA_RESP_ERR_NO_ERROR;
    records[0] = plain("t");
    clear_log();
    produce(1);
    if (way % 2 == 1)
      report(0, codes[way / 2], false, -1);
    await_done();
    CHECK_EQ_INT(operation.operation.error, UK_E_UNAVAILABLE);
    CHECK_LOG("send1(t x1) forget(t) ask1(t) ");
  }
}

/* Once, however many of its records there are. The next request finds out that it is gone. */
static void a_topic_that_is_gone_is_forgotten(void)
{
  records[0] = plain("t");
  records[1] = records[2] = plain("u");
  produce(3);
  clear_log();
  succeed(0, 3);
  report(1, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false, -1);
  report(2, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false, -1);
  await_done();
  atomic_store(&fake.forgets_u, false);
  CHECK_LOG("forget(u) ask1(u) ");
  CHECK_EQ_INT(operation.operation.error, UK_E_GATEWAY_TIMEOUT); /* one is stored */
  CHECK_EQ_INT(records[1].error, UK_E_UNAVAILABLE);
  CHECK_EQ_INT(records[2].error, UK_E_UNAVAILABLE);
  CHECK(operation.each);
}

/* Another request's records may have made the batch too large. */
static void records_of_a_batch_that_is_too_large_are_sent_alone(void)
{
  records[0] = records[1] = plain("t");
  produce(2);
  clear_log();
  report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send2(t x1) "));
  CHECK_LOG("renew(alone2) send2(t x1) ");
  report(1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send2(t x1) "));
  CHECK_LOG("send2(t x1) "); /* by the handle that is there */
  CHECK_EQ_INT(atomic_load(&dones), 0);
  REQUIRE(fake.sent_count == 4);
  CHECK(fake.sent[2].record == &records[0] && fake.sent[2].tag == fake.sent[0].tag);
  CHECK(fake.sent[3].record == &records[1] && fake.sent[3].tag == fake.sent[1].tag);
  succeed(0, 5);
  succeed(1, 6);
  await_done();
  check_ended(UK_OK, "");
  /* From then on the topic's records go alone, so that they keep their order; others do not. */
  records[0] = plain("t");
  records[1] = plain("u");
  produce(2);
  CHECK_LOG("send2(t x1) send1(u x1) ");
  succeed(0, 7);
  succeed(1, 0);
  await_done();
}

/* Its report comes from the handle that sends records alone. */
static void a_record_that_is_too_large_alone_has_failed(void)
{
  records[0] = plain("t");
  produce(1);
  report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send2(t x1) "));
  pthread_mutex_lock(&mutex);
  fake.alone = (struct report){fake.sent[0].tag, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 0, -1};
  pthread_mutex_unlock(&mutex);
  await_done();
  CHECK_EQ_INT(operation.operation.error, UK_E_TOO_LARGE);
}

/* Bounds. */

static void what_is_in_flight_is_bounded(void)
{
  static const char text[] =
    "268435456 bytes of messages are waiting for the Kafka cluster, which is the limit";
  static const struct uk_record_header headers[] = {{{"abc", 3}, {"de", 2}}, {{"f", 1}, {"", 0}}};
  struct uk_record all = plain("t");
  all.has_key = true;
  all.key = uk_slice_text("key");
  all.headers = headers;
  all.header_count = 2;
  size_t most = (size_t)BYTES_MAX - sizeof all - 3 - 6;
  all.value.length = most; /* nothing reads it here */
  for (int over = 0; over < 2; over++) {
    records[0] = all;
    records[0].value.length = most + (size_t)over;
    produce(1);
    if (over == 1) {
      CHECK_EQ_INT(atomic_load(&dones), 1);
      check_ended(UK_E_UNAVAILABLE, text);
      CHECK_LOG("");
      continue;
    }
    CHECK_LOG("send1(t x1) ");
    /* Another request meanwhile is refused. */
    struct uk_record small = plain("t");
    struct uk_produce other = {.operation.done = done, .records = &small, .count = 1};
    uk_kafka_producer_produce(producer, &other);
    CHECK_EQ_INT(atomic_load(&dones), 1);
    CHECK_EQ_INT(other.operation.error, UK_E_UNAVAILABLE);
    CHECK_EQ_STR(other.operation.message, text);
    fake.check_error = UK_E_NOT_FOUND; /* which waiting would not cure */
    uk_kafka_producer_produce(producer, &other);
    CHECK_EQ_INT(other.operation.error, UK_E_NOT_FOUND);
    fake.check_error = UK_OK;
    atomic_store(&dones, 0);
    succeed(0, 0);
    await_done();
    check_ended(UK_OK, "");
  }
  records[0] = plain("t");
  records[1] = all; /* each record counts */
  produce(2);
  check_ended(UK_E_UNAVAILABLE, text);
  produce(1);
  succeed(0, 1);
  await_done();
  check_ended(UK_OK, ""); /* nothing is in flight any more */
}

static void nothing_is_sent_where_the_check_fails(void)
{
  fake.check_error = UK_E_NOT_FOUND;
  records[0] = plain("t");
  produce(1);
  CHECK_EQ_INT(atomic_load(&dones), 1);
  check_ended(UK_E_NOT_FOUND, "checked");
  CHECK_LOG("");
  fault_at(1);
  produce(1);
  fault_off();
  CHECK_EQ_INT(atomic_load(&dones), 1);
  check_ended(UK_E_NO_MEMORY, "");
  CHECK_LOG("");
}

/* Handles. */

static void a_handle_that_has_failed_is_replaced(void)
{
  atomic_store(&fake.shared_fails, true);
  CHECK_EVENTUALLY(is_logged("retire(1) "));
  CHECK_LOG("renew(shared2) retire(1) ");
  records[0] = plain("t");
  produce(1);
  CHECK_LOG("send2(t x1) ");
  report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send3(t x1) "));
  clear_log();
  atomic_store(&fake.alone_fails, true);
  CHECK_EVENTUALLY(is_logged("retire(3) "));
  CHECK_LOG("renew(alone4) retire(3) ");
  succeed(0, 1);
  await_done();
}

static void another_try_follows_where_none_could_be_opened(void)
{
  atomic_store(&fake.refuses_handles, true);
  atomic_store(&fake.shared_fails, true);
  CHECK_EVENTUALLY(is_logged("retire(1) "));
  fake.refuses = RD_KAFKA_RESP_ERR__FATAL;
  records[0] = plain("t");
  produce(1); /* there is no handle */
  await_done();
  CHECK_EQ_INT(operation.operation.error, UK_E_UNAVAILABLE);
  fake.refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
  CHECK_EVENTUALLY(atomic_load(&fake.pauses) > 0); /* between two tries */
  clear_log();
  atomic_store(&fake.refuses_handles, false);
  CHECK_EVENTUALLY(is_logged("renew(shared2) "));
}

/* Until a batch is too large again. */
static void without_a_handle_for_single_records_the_shared_one_is_used(void)
{
  records[0] = plain("t");
  produce(1);
  report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send2(t x1) "));
  succeed(0, 1);
  await_done();
  atomic_store(&fake.refuses_handles, true);
  atomic_store(&fake.alone_fails, true);
  CHECK_EVENTUALLY(is_logged("retire(2) "));
  atomic_store(&fake.refuses_handles, false);
  clear_log();
  produce(1);
  CHECK_LOG("send1(t x1) ");
  report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send3(t x1) "));
  CHECK_LOG("renew(alone3) send3(t x1) ");
  succeed(0, 2);
  await_done();
}

/* Neither waits for the other while both have records. */
static void two_handles_take_turns(void)
{
  CHECK_EVENTUALLY(atomic_load(&fake.polled) > 2);
  CHECK_EQ_INT(atomic_load(&fake.polled_two), 0);
  records[0] = plain("t");
  produce(1);
  report(0, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, false, -1);
  CHECK_EVENTUALLY(is_logged("send2(t x1) "));
  CHECK_EQ_INT(atomic_load(&fake.polled_two), 0); /* nothing is queued */
  atomic_store(&fake.queued, 1);
  CHECK_EVENTUALLY(atomic_load(&fake.polled_two) > 2);
  atomic_store(&fake.queued, 0);
  succeed(0, 1);
  await_done();
}

static void is_not_opened_without_a_handle(void)
{
  char text[UK_MESSAGE_SIZE] = "";
  const struct uk_kafka_producer_parts parts = {(const struct uk_kafka_settings *)&fake,
                                                (struct uk_kafka_topics *)&fake,
                                                (struct uk_kafka_reaper *)&fake,
                                                NULL,
                                                NULL,
                                                0};
  atomic_store(&fake.refuses_handles, true);
  CHECK(uk_kafka_producer_new(&parts, text, sizeof text) == NULL);
  CHECK_EQ_STR(text, "refused");
  CHECK_LOG("free(shared) free(alone) ");
  fault_at(1);
  CHECK(uk_kafka_producer_new(&parts, text, sizeof text) == NULL);
  fault_off();
  CHECK_EQ_STR(text, uk_error_text(UK_E_NO_MEMORY));
  CHECK_LOG("");
  atomic_store(&fake.refuses_handles, false);
}

/* Each case has its own producer, and leaves nothing behind. */
static void (*current)(void);

static void run_current(void)
{
  char text[UK_MESSAGE_SIZE];
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  const struct uk_kafka_producer_parts parts = {(const struct uk_kafka_settings *)&fake,
                                                (struct uk_kafka_topics *)&fake,
                                                (struct uk_kafka_reaper *)&fake,
                                                create,
                                                &fake.created,
                                                3};
  atomic_store(&counted_seeds, 0);
  producer = uk_kafka_producer_new(&parts, text, sizeof text);
  REQUIRE(producer != NULL);
  CHECK_EQ_INT(counted_seeds, 1);
  CHECK_LOG("renew(shared1) ");
  current();
  clear_log();
  uk_kafka_producer_free(producer);
  CHECK_LOG("free(shared) free(alone) ");
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
  RUN(a_request_is_done_when_each_record_is_reported);
  RUN(records_of_a_topic_are_sent_together);
  RUN(a_partition_is_chosen_where_none_is_named);
  RUN(each_failure_says_whether_the_record_may_be_stored);
  RUN(the_cause_of_a_failed_handle_is_the_reason);
  RUN(what_the_handle_does_not_know_is_asked_about);
  RUN(a_topic_that_is_gone_is_forgotten);
  RUN(records_of_a_batch_that_is_too_large_are_sent_alone);
  RUN(a_record_that_is_too_large_alone_has_failed);
  RUN(what_is_in_flight_is_bounded);
  RUN(nothing_is_sent_where_the_check_fails);
  RUN(a_handle_that_has_failed_is_replaced);
  RUN(another_try_follows_where_none_could_be_opened);
  RUN(without_a_handle_for_single_records_the_shared_one_is_used);
  RUN(two_handles_take_turns);
  CHECK_RUN(is_not_opened_without_a_handle);
  return check_end();
}
