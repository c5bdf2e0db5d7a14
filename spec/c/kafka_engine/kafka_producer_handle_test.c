/* for: kafka_producer_handle.c
 *
 * One producer of librdkafka: how it is configured, when it has failed, and how it is replaced. The
 * test fakes librdkafka's producer, and logs each call. */
#include "server/kafka_engine/produce/kafka_producer_handle.h"

#include <stdlib.h>

#include "call_log.h"
#include "check.h"
#include "counted_conf.h"
#include "counted_seeds.h"
#include "fault.h"

static struct {
  char log[400];
  bool refuses_handles, refuses_topics, answers_metadata;
  rd_kafka_resp_err_t fatal;
  int queued; /* messages in the handle */
  bool down;
  char batch[24], acks[24];
  bool has_report, has_opaque;
  int topics, metadata; /* that were not destroyed */
} fake;

static struct uk_kafka_settings *settings;
static struct uk_kafka_producer_handle producer;
static struct uk_kafka_delivery_tag tags[3];
/* Names do not end in NUL. */
static const struct uk_record records[3] = {
  {.topic = {"tail", 1}}, {.topic = {"tail", 1}}, {.topic = {"tail", 1}}};

#define note(...) call_log_add(fake.log, sizeof fake.log, __VA_ARGS__)

#define CHECK_LOG(wanted)                                                                          \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

/* Fakes. A handle is the address of its number. */

static int numbers[8], opened;

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
  char callback[64] = "", none[64] = "";
  size_t length = sizeof fake.batch;
  CHECK_EQ_INT(type, RD_KAFKA_PRODUCER);
  if (fake.refuses_handles) {
    snprintf(text, size, "refused");
    return NULL;
  }
  CHECK_EQ_INT(rd_kafka_conf_get(conf, "batch.num.messages", fake.batch, &length), 0);
  length = sizeof fake.acks;
  CHECK_EQ_INT(rd_kafka_conf_get(conf, "acks", fake.acks, &length), 0);
  length = sizeof callback;
  (void)rd_kafka_conf_get(conf, "dr_msg_cb", callback, &length);
  char opaque[64] = "";
  length = sizeof opaque;
  (void)rd_kafka_conf_get(conf, "opaque", opaque, &length);
  char own[64];
  snprintf(own, sizeof own, "%p", (void *)&producer);
  fake.has_opaque = strcmp(opaque, own) == 0;
  rd_kafka_conf_destroy(conf);
  conf = rd_kafka_conf_new();
  length = sizeof none;
  (void)rd_kafka_conf_get(conf, "dr_msg_cb", none, &length);
  rd_kafka_conf_destroy(conf);
  fake.has_report = strcmp(callback, none) != 0;
  numbers[opened] = opened + 1;
  note("open%d ", opened + 1);
  return (rd_kafka_t *)&numbers[opened++];
}

static int number_of(rd_kafka_t *handle)
{
  return *(int *)handle;
}

rd_kafka_resp_err_t rd_kafka_fatal_error(rd_kafka_t *handle, char *text, size_t size)
{
  (void)handle;
  if (text != NULL)
    snprintf(text, size, "fatal");
  return fake.fatal;
}

rd_kafka_resp_err_t rd_kafka_purge(rd_kafka_t *handle, int flags)
{
  note("purge%d(%s%s) ", number_of(handle), (flags & RD_KAFKA_PURGE_F_QUEUE) != 0 ? "q" : "",
       (flags & RD_KAFKA_PURGE_F_INFLIGHT) != 0 ? "f" : "");
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_flush(rd_kafka_t *handle, int timeout)
{
  note("flush%d(%d) ", number_of(handle), timeout);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

int rd_kafka_outq_len(rd_kafka_t *handle)
{
  (void)handle;
  return fake.queued;
}

void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument)
{
  CHECK(reaper == (struct uk_kafka_reaper *)&fake && then == NULL && argument == NULL);
  note("reap%d ", number_of(handle));
}

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *handle, const char *name,
                                     rd_kafka_topic_conf_t *conf)
{
  CHECK(conf == NULL);
  if (fake.refuses_topics)
    return NULL;
  note("topic%d(%s) ", number_of(handle), name);
  fake.topics++;
  return (rd_kafka_topic_t *)&fake;
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *topic)
{
  (void)topic;
  fake.topics--;
}

rd_kafka_resp_err_t rd_kafka_last_error(void)
{
  return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *handle, int all, rd_kafka_topic_t *topic,
                                      const struct rd_kafka_metadata **metadata, int timeout)
{
  CHECK_EQ_INT(all, 0);
  CHECK_EQ_INT(timeout, 0); /* nobody waits for the answer */
  CHECK(topic == (rd_kafka_topic_t *)&fake);
  note("ask%d ", number_of(handle));
  if (!fake.answers_metadata)
    return RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.metadata++;
  *metadata = (const struct rd_kafka_metadata *)&fake;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
  CHECK(metadata == (const struct rd_kafka_metadata *)&fake);
  fake.metadata--;
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  snprintf(detail, size, "away");
  return fake.down ? UK_E_UNAVAILABLE : UK_OK;
}

void uk_kafka_send(rd_kafka_t *handle, rd_kafka_topic_t *topic, const struct uk_record *sent,
                   struct uk_kafka_delivery_tag *sent_tags, size_t count, uk_kafka_refused *refused)
{
  CHECK(topic == (rd_kafka_topic_t *)&fake && sent == records && sent_tags == tags);
  CHECK(refused == producer.refused);
  note("send%d(%zu) ", number_of(handle), count);
}

/* Steps of a test. */

static void reported(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  (void)handle;
  (void)message;
  (void)opaque;
}

static void refused(rd_kafka_t *handle, struct uk_kafka_delivery_tag *tag, rd_kafka_resp_err_t code)
{
  CHECK(handle == producer.handle);
  note("refused(%d, %s) ", (int)(tag - tags), rd_kafka_err2name(code));
}

static void begin(bool alone)
{
  memset(&fake, 0, sizeof fake);
  opened = 0;
  atomic_store(&counted_seeds, 0);
  uk_kafka_producer_handle_init(&producer, alone, reported, refused);
  CHECK_EQ_INT(counted_seeds, 1);
  CHECK(producer.handle == NULL);
}

static rd_kafka_t *renew(void)
{
  char text[UK_MESSAGE_SIZE] = "";
  return uk_kafka_producer_handle_renew(&producer, settings, text, sizeof text);
}

static void end(void)
{
  uk_kafka_producer_handle_free(&producer, (struct uk_kafka_reaper *)&fake);
  CHECK_EQ_INT(fake.topics, 0);
  CHECK_EQ_INT(fake.metadata, 0);
}

static bool failed(void)
{
  return uk_kafka_producer_handle_failed(&producer, (struct uk_kafka_topics *)&fake);
}

static void hand_over(size_t count)
{
  uk_kafka_producer_handle_send(&producer, records, tags, count);
}

/* Cases. */

static void another_handle_takes_the_place_of_the_old_one(void)
{
  begin(false);
  CHECK(renew() == NULL);
  CHECK(producer.handle == (rd_kafka_t *)&numbers[0]);
  CHECK_EQ_STR(fake.acks, "-1");
  CHECK_EQ_STR(fake.batch, "10000"); /* librdkafka's own */
  CHECK(fake.has_report && fake.has_opaque);
  CHECK(renew() == (rd_kafka_t *)&numbers[0]);
  CHECK(producer.handle == (rd_kafka_t *)&numbers[1]);
  CHECK_LOG("open1 open2 ");
  end();
  CHECK_LOG("reap2 ");
}

static void a_handle_for_single_records_has_batches_of_one(void)
{
  begin(true);
  (void)renew();
  CHECK_EQ_STR(fake.batch, "1");
  end();
}

static void a_handle_that_is_refused_leaves_none(void)
{
  char text[UK_MESSAGE_SIZE] = "";
  begin(false);
  (void)renew();
  fake.refuses_handles = true;
  CHECK(uk_kafka_producer_handle_renew(&producer, settings, text, sizeof text) ==
        (rd_kafka_t *)&numbers[0]);
  CHECK(producer.handle == NULL);
  CHECK_EQ_STR(text, "refused");
  fake.log[0] = '\0';
  end();
  CHECK_LOG("");
}

/* The server's own limit on messages is one that librdkafka does not accept. */
static void without_a_configuration_there_is_no_handle(void)
{
  const struct uk_kafka_options options = {
    .brokers = "127.0.0.1:1", .prefetch_bytes = 1 << 20, .max_message_bytes = 2000000000};
  struct uk_kafka_settings *strange = NULL;
  char text[UK_MESSAGE_SIZE] = "";
  CHECK_EQ_INT(uk_kafka_settings_new(&strange, &options, text, sizeof text), UK_OK);
  begin(false);
  (void)renew();
  CHECK(uk_kafka_producer_handle_renew(&producer, strange, text, sizeof text) ==
        (rd_kafka_t *)&numbers[0]);
  CHECK(producer.handle == NULL);
  CHECK_EQ_STR(text, uk_error_text(UK_E_NO_MEMORY));
  CHECK_LOG("open1 ");
  end();
  uk_kafka_settings_free(strange);
}

static void when_a_handle_has_failed(void)
{
  begin(false);
  CHECK(failed()); /* there is none */
  (void)renew();
  CHECK(!failed());
  fake.queued = 1;
  CHECK(!failed());
  fake.down = true; /* nobody takes what is queued */
  CHECK(failed());
  fake.queued = 0;
  CHECK(!failed());
  fake.down = false;
  fake.fatal = RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
  CHECK(failed());
  end();
}

/* What was sent is still answered where only the handle has failed. */
static void a_retired_handle_reports_its_records_first(void)
{
  begin(false);
  (void)renew();
  fake.log[0] = '\0';
  uk_kafka_producer_handle_retire(producer.handle, (struct uk_kafka_reaper *)&fake);
  CHECK_LOG("purge1(qf) flush1(5000) reap1 ");
  fake.fatal = RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
  uk_kafka_producer_handle_retire(producer.handle, (struct uk_kafka_reaper *)&fake);
  CHECK_LOG("purge1(q) flush1(500) purge1(qf) flush1(5000) reap1 ");
  uk_kafka_producer_handle_retire(NULL, (struct uk_kafka_reaper *)&fake);
  CHECK_LOG("");
  producer.handle = NULL;
  end();
}

/* A handle that meets a topic for the first time asks about it at once. */
static void each_handle_asks_about_a_topic_once(void)
{
  begin(false);
  (void)renew();
  fake.log[0] = '\0';
  hand_over(3);
  CHECK_LOG("topic1(t) ask1 send1(3) ");
  hand_over(1);
  CHECK_LOG("topic1(t) send1(1) ");
  (void)renew();
  fake.log[0] = '\0';
  fake.answers_metadata = true;
  hand_over(2);
  CHECK_LOG("topic2(t) ask2 send2(2) ");
  uk_kafka_producer_handle_ask(producer.handle, uk_slice_of("us", 1));
  CHECK_LOG("topic2(u) ask2 ");
  fake.refuses_topics = true;
  uk_kafka_producer_handle_ask(producer.handle, uk_slice_of("us", 1));
  CHECK_LOG("");
  end();
}

static void every_record_is_refused_without_a_handle_or_topic(void)
{
  begin(false);
  hand_over(2);
  CHECK_LOG("refused(0, _FATAL) refused(1, _FATAL) ");
  (void)renew();
  fake.log[0] = '\0';
  fake.refuses_topics = true;
  hand_over(3);
  CHECK_LOG("refused(0, _INVALID_ARG) refused(1, _INVALID_ARG) refused(2, _INVALID_ARG) ");
  end();
}

int main(void)
{
  char message[UK_MESSAGE_SIZE];
  const struct uk_kafka_options options = {
    .brokers = "127.0.0.1:1", .prefetch_bytes = 1 << 20, .max_message_bytes = 1 << 20};
  if (uk_kafka_settings_new(&settings, &options, message, sizeof message) != UK_OK)
    return 1;
  long live = fault_live();
  CHECK_RUN(another_handle_takes_the_place_of_the_old_one);
  CHECK_RUN(a_handle_for_single_records_has_batches_of_one);
  CHECK_RUN(a_handle_that_is_refused_leaves_none);
  CHECK_RUN(without_a_configuration_there_is_no_handle);
  CHECK_RUN(when_a_handle_has_failed);
  CHECK_RUN(a_retired_handle_reports_its_records_first);
  CHECK_RUN(each_handle_asks_about_a_topic_once);
  CHECK_RUN(every_record_is_refused_without_a_handle_or_topic);
  bool balanced = fault_live() == live && atomic_load(&counted_confs) == 0;
  uk_kafka_settings_free(settings);
  return balanced ? check_end() : 1;
}
