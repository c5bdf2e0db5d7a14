/* fake_kafka_key_topic: what the topic of idempotency keys depends on, faked, except what
 * fake_kafka_reader fakes: topics that are created, offsets, the producer, the table of keys and
 * the error log. Include it in one file of a program. */
#ifndef FAKE_KAFKA_KEY_TOPIC_H
#define FAKE_KAFKA_KEY_TOPIC_H

#include <stdarg.h>

#include "call_log.h"
#include "fake_kafka_reader.h"
#include "server/kafka_engine/cluster/kafka_offsets.h"
#include "server/kafka_engine/produce/kafka_key_topic.h"
#include "server/watch/error_log.h"

enum { WINDOW = 600000, STEP_TIMEOUT = 5000 };

static struct {
  struct uk_kafka_key_topic *topic;
  struct reader_handle control;
  rd_kafka_queue_t *admin;
  struct uk_kafka_work *work; /* that the blocking threads have */
  int64_t first, end;         /* offsets: where the window begins, and the end */
  rd_kafka_resp_err_t first_code, end_code;
  bool metadata_answers, refuses_topic, learns;
  int live; /* of librdkafka's, except those of fake_kafka_reader */
  char log[600], alarm[200], line[200];
  struct uk_produce *ready[4], *row; /* the row is under way */
  int ready_count, clears, lines, rows;
  struct uk_slice learned; /* the key */
  int learned_count;
  int64_t since;
} fake;

#define note(...) call_log_add(fake.log, sizeof fake.log, __VA_ARGS__)

#define DID(wanted)                                                                                \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

/* Fakes. */

rd_kafka_NewTopic_t *rd_kafka_NewTopic_new(const char *name, int partitions, int replicas,
                                           char *text, size_t size)
{
  (void)text;
  (void)size;
  CHECK_EQ_STR(name, UK_KAFKA_KEY_TOPIC);
  CHECK_EQ_INT(partitions, 1);
  CHECK_EQ_INT(replicas, -1);
  fake.live += !fake.refuses_topic;
  return fake.refuses_topic ? NULL : (rd_kafka_NewTopic_t *)&fake;
}

rd_kafka_resp_err_t rd_kafka_NewTopic_set_config(rd_kafka_NewTopic_t *topic, const char *name,
                                                 const char *value)
{
  CHECK(topic == (rd_kafka_NewTopic_t *)&fake);
  note("%s=%s ", name, value);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_NewTopic_destroy(rd_kafka_NewTopic_t *topic)
{
  CHECK(topic == (rd_kafka_NewTopic_t *)&fake);
  fake.live--;
}

rd_kafka_AdminOptions_t *rd_kafka_AdminOptions_new(rd_kafka_t *handle, rd_kafka_admin_op_t kind)
{
  CHECK(handle == (rd_kafka_t *)&fake.control);
  CHECK_EQ_INT(kind, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  fake.live++;
  return (rd_kafka_AdminOptions_t *)&fake;
}

rd_kafka_resp_err_t rd_kafka_AdminOptions_set_request_timeout(rd_kafka_AdminOptions_t *options,
                                                              int timeout, char *text, size_t size)
{
  (void)options;
  (void)text;
  (void)size;
  note("within %d ", timeout);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_AdminOptions_destroy(rd_kafka_AdminOptions_t *options)
{
  (void)options;
  fake.live--;
}

void rd_kafka_CreateTopics(rd_kafka_t *handle, rd_kafka_NewTopic_t **topics, size_t count,
                           const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
  CHECK(handle == (rd_kafka_t *)&fake.control && options != NULL);
  CHECK(count == 1 && topics[0] == (rd_kafka_NewTopic_t *)&fake);
  fake.admin = queue;
  note("create ");
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *handle, int all, rd_kafka_topic_t *topic,
                                      const struct rd_kafka_metadata **metadata, int timeout)
{
  CHECK(((struct reader_handle *)handle)->open && all == 0 && timeout == 1);
  CHECK_EQ_STR(rd_kafka_topic_name(topic), UK_KAFKA_KEY_TOPIC);
  note("kick ");
  fake.live += fake.metadata_answers;
  *metadata = fake.metadata_answers ? (const struct rd_kafka_metadata *)&fake : NULL;
  return fake.metadata_answers ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__TIMED_OUT;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
  (void)metadata;
  fake.live--;
}

void uk_kafka_blocking_submit(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work)
{
  CHECK(blocking == (struct uk_kafka_blocking *)&fake && fake.work == NULL);
  CHECK_EQ_INT(work->query.deadline, reader.now + STEP_TIMEOUT);
  fake.work = work;
  note("seek ");
}

rd_kafka_resp_err_t uk_kafka_offsets_ask(rd_kafka_t *control, int64_t timestamp,
                                         struct uk_topic_partition_offset *at, size_t count,
                                         int64_t deadline, size_t *failed)
{
  bool latest = timestamp == UK_TIMESTAMP_LATEST;
  CHECK(control == (rd_kafka_t *)&fake.control && count == 1 && at->partition == 0);
  CHECK(uk_slice_is(at->topic, UK_KAFKA_KEY_TOPIC));
  CHECK_EQ_INT(deadline, fake.work->query.deadline);
  note("offset(%lld) ", (long long)timestamp);
  at->offset = latest ? fake.end : fake.first;
  *failed = 0;
  return latest ? fake.end_code : fake.first_code;
}

void uk_kafka_producer_append(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  CHECK(producer == (struct uk_kafka_producer *)&fake);
  fake.row = operation;
  fake.rows++;
}

bool uk_produce_keys_learn(struct uk_produce_keys *keys, const struct uk_produce_key *key,
                           struct uk_slice answer, int64_t since, int64_t now)
{
  CHECK(keys == (struct uk_produce_keys *)&fake);
  CHECK_EQ_INT(now, reader.now);
  CHECK(uk_slice_is(key->user, "user"));
  CHECK(answer.length > 0);
  fake.learned = key->key;
  fake.since = since;
  fake.learned_count++;
  return fake.learns;
}

bool uk_alarm_raise(struct uk_alarm *alarm, const char *format, ...)
{
  va_list arguments;
  (void)alarm;
  va_start(arguments, format);
  vsnprintf(fake.alarm, sizeof fake.alarm, format, arguments);
  va_end(arguments);
  return true;
}

bool uk_alarm_clear(struct uk_alarm *alarm, const char *format, ...)
{
  (void)alarm;
  (void)format;
  fake.alarm[0] = '\0';
  fake.clears++;
  return true;
}

bool uk_repeated_log(struct uk_repeated *event, int64_t now, const char *text)
{
  CHECK(event != NULL);
  CHECK_EQ_INT(now, reader.now);
  snprintf(fake.line, sizeof fake.line, "%s", text);
  fake.lines++;
  return true;
}

static void on_ready(void *context, struct uk_produce *operation)
{
  CHECK(context == &fake);
  fake.ready[fake.ready_count++] = operation;
}

#endif
