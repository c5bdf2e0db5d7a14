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
  /* The handle itself is never polled; OAuth tokens arrive by these callbacks. */
  rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(handle));
  return handle;
}

void uk_kafka_nudge(rd_kafka_t *handle, const struct uk_kafka_settings *settings)
{
  const char *username = uk_kafka_settings_value(settings, "sasl.username");
  const char *password = uk_kafka_settings_value(settings, "sasl.password");
  /* A mechanism does not use credentials that are not set. */
  rd_kafka_error_destroy(rd_kafka_sasl_set_credentials(handle, username != NULL ? username : "",
                                                       password != NULL ? password : ""));
}

void uk_kafka_wake(rd_kafka_t *handle)
{
  rd_kafka_topic_partition_list_t *nothing = rd_kafka_topic_partition_list_new(0);
  (void)rd_kafka_commit(handle, nothing, 1);
  rd_kafka_topic_partition_list_destroy(nothing);
}

const char *uk_kafka_member_id(rd_kafka_t *handle, char *id, size_t size)
{
  char *given = rd_kafka_memberid(handle);
  snprintf(id, size, "%s", given != NULL ? given : "");
  if (given != NULL)
    rd_kafka_mem_free(handle, given);
  return id;
}
