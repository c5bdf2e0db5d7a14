#include "server/kafka_engine/produce/kafka_producer_handle.h"

#include <stdio.h>

enum {
  ANSWER_TIMEOUT = 500, /* milliseconds for brokers to answer a handle that has failed for good */
  RETIRE_TIMEOUT = 5000 /* milliseconds for a handle that is replaced to report its records */
};

void uk_kafka_producer_handle_init(struct uk_kafka_producer_handle *producer, bool alone,
                                   uk_kafka_reported *reported, uk_kafka_refused *refused)
{
  *producer =
    (struct uk_kafka_producer_handle){.alone = alone, .reported = reported, .refused = refused};
  uk_name_set_init(&producer->asked);
}

void uk_kafka_producer_handle_free(struct uk_kafka_producer_handle *producer,
                                   struct uk_kafka_reaper *reaper)
{
  if (producer->handle != NULL)
    uk_kafka_reap(reaper, producer->handle, NULL, NULL);
  uk_name_set_free(&producer->asked);
}

rd_kafka_t *uk_kafka_producer_handle_renew(struct uk_kafka_producer_handle *producer,
                                           const struct uk_kafka_settings *settings, char *text,
                                           size_t size)
{
  rd_kafka_t *old = producer->handle;
  rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_PRODUCER);
  producer->handle = NULL;
  uk_name_set_clear(&producer->asked);
  snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
  if (conf == NULL)
    return old;
  rd_kafka_conf_set_dr_msg_cb(conf, producer->reported);
  rd_kafka_conf_set_opaque(conf, producer);
  if (!producer->alone || uk_kafka_conf_set(conf, "batch.num.messages", "1"))
    producer->handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, size);
  if (producer->handle == NULL)
    rd_kafka_conf_destroy(conf);
  return old;
}

void uk_kafka_producer_handle_retire(rd_kafka_t *handle, struct uk_kafka_reaper *reaper)
{
  if (handle == NULL)
    return;
  /* If only the handle has failed, brokers still answer what they were sent. */
  if (rd_kafka_fatal_error(handle, NULL, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE);
    rd_kafka_flush(handle, ANSWER_TIMEOUT);
  }
  rd_kafka_purge(handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(handle, RETIRE_TIMEOUT);
  uk_kafka_reap(reaper, handle, NULL, NULL);
}

bool uk_kafka_producer_handle_failed(const struct uk_kafka_producer_handle *producer,
                                     struct uk_kafka_topics *topics)
{
  char text[UK_MESSAGE_SIZE];
  if (producer->handle == NULL)
    return true;
  if (rd_kafka_fatal_error(producer->handle, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return true;
  return rd_kafka_outq_len(producer->handle) > 0 &&
         uk_kafka_topics_health(topics, text, sizeof text) != UK_OK;
}

static void ask(rd_kafka_t *handle, rd_kafka_topic_t *topic)
{
  const rd_kafka_metadata_t *metadata = NULL;
  if (rd_kafka_metadata(handle, 0, topic, &metadata, 0) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(metadata);
}

void uk_kafka_producer_handle_ask(rd_kafka_t *handle, struct uk_slice name)
{
  struct uk_kafka_name text = uk_kafka_name(name);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, text.text, NULL);
  if (topic == NULL)
    return;
  ask(handle, topic);
  rd_kafka_topic_destroy(topic);
}

void uk_kafka_producer_handle_send(struct uk_kafka_producer_handle *producer,
                                   const struct uk_record *records,
                                   struct uk_kafka_delivery_tag *tags, size_t count)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__FATAL;
  struct uk_kafka_name name = uk_kafka_name(records[0].topic);
  rd_kafka_topic_t *topic = NULL;
  if (producer->handle != NULL) {
    topic = rd_kafka_topic_new(producer->handle, name.text, NULL);
    code = rd_kafka_last_error();
  }
  for (size_t i = 0; topic == NULL && i < count; i++)
    producer->refused(producer->handle, &tags[i], code);
  if (topic == NULL)
    return;
  /* A handle asks about a topic that is new to it within a second, unless it is made to ask now. */
  if (uk_name_set_add(&producer->asked, records[0].topic))
    ask(producer->handle, topic);
  uk_kafka_send(producer->handle, topic, records, tags, count, producer->refused);
  rd_kafka_topic_destroy(topic);
}
