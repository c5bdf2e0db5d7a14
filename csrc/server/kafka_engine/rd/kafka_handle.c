#include "server/kafka_engine/rd/kafka_handle.h"

#include <stdio.h>

rd_kafka_t *uk_kafka_handle_new(const struct uk_kafka_settings *settings, int wait, char *text,
                                size_t size)
{
  rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_FETCH);
  char wait_text[24];
  snprintf(wait_text, sizeof wait_text, "%d", wait);
  snprintf(text, size, "out of memory while connecting to the Kafka cluster");
  if (conf == NULL)
    return NULL;
  rd_kafka_t *handle = NULL;
  if (uk_kafka_conf_set(conf, "fetch.wait.max.ms", wait_text) &&
      uk_kafka_conf_set(conf, "fetch.min.bytes", "1"))
    handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, size);
  if (handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return NULL;
  }
  /* Nobody polls the handle itself: where it logs in by OAuth, its tokens come this way. */
  rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(handle));
  return handle;
}

void uk_kafka_nudge(rd_kafka_t *handle, const struct uk_kafka_settings *settings)
{
  const char *username = uk_kafka_settings_value(settings, "sasl.username");
  const char *password = uk_kafka_settings_value(settings, "sasl.password");
  /* What is not set, no mechanism uses. */
  rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(handle, username != NULL ? username : "",
                                                       password != NULL ? password : ""));
}

const char *uk_kafka_member_id(rd_kafka_t *handle, char *id, size_t size)
{
  char *given = rd_kafka_memberid(handle);
  snprintf(id, size, "%s", given != NULL ? given : "");
  if (given != NULL)
    rd_kafka_mem_free(handle, given);
  return id;
}

bool uk_kafka_event_next(rd_kafka_queue_t *queue, struct uk_kafka_event *event)
{
  *event = (struct uk_kafka_event){.event = rd_kafka_queue_poll(queue, 0)};
  if (event->event == NULL)
    return false;
  if (rd_kafka_event_type(event->event) == RD_KAFKA_EVENT_FETCH)
    event->message = rd_kafka_event_message_next(event->event);
  if (event->message == NULL) {
    event->code = rd_kafka_event_error(event->event);
    event->place = rd_kafka_event_topic_partition(event->event);
  }
  return true;
}

void uk_kafka_event_free(struct uk_kafka_event *event)
{
  if (event->place != NULL)
    rd_kafka_topic_partition_destroy(event->place);
  rd_kafka_event_destroy(event->event);
  *event = (struct uk_kafka_event){.event = NULL};
}

bool uk_kafka_code_passes(rd_kafka_resp_err_t code)
{
  enum uk_error error = uk_kafka_error(code);
  return error == UK_OK || error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT;
}

/* FNV-1a. */
uint64_t uk_kafka_hash(struct uk_slice topic, int32_t partition)
{
  uint64_t hash = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < topic.length; i++)
    hash = (hash ^ (unsigned char)topic.data[i]) * UINT64_C(0x100000001b3);
  hash = (hash ^ (uint32_t)partition) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 32;
}
