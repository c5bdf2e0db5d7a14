/* Creates and deletes topics. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/cluster/kafka_admin_private.h"

enum { MISSING_TIMEOUT = 10000 }; /* milliseconds; a consume may have no time left at all */

#define RETENTION_MS "retention.ms"
#define RETENTION_BYTES "retention.bytes"

static void done(struct uk_kafka_admin_call *call)
{
  struct uk_operation *operation = call->operation;
  free(call);
  operation->done(operation);
}

static rd_kafka_resp_err_t topic_code(rd_kafka_event_t *event, const char **text)
{
  size_t count = 0;
  const rd_kafka_topic_result_t **results = NULL;
  *text = rd_kafka_event_error_string(event);
  if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return rd_kafka_event_error(event);
  if (rd_kafka_event_CreateTopics_result(event) != NULL)
    results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  else
    results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  if (count != 1)
    return RD_KAFKA_RESP_ERR_UNKNOWN;
  *text = rd_kafka_topic_result_error_string(results[0]);
  return rd_kafka_topic_result_error(results[0]);
}

static void create_answered(struct uk_kafka_admin_call *call, rd_kafka_event_t *event)
{
  const char *text;
  rd_kafka_resp_err_t code = topic_code(event, &text);
  call->created = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (call->created || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    call->admin->parts.forget(call->admin->parts.context, uk_slice_text(call->topic.text));
    uk_kafka_admin_await(call);
    return;
  }
  uk_kafka_admin_fail(call, code, text);
  call->finish(call);
}

static void set_retention(rd_kafka_NewTopic_t *topic, const struct uk_create_topic *create)
{
  char number[24];
  snprintf(number, sizeof number, "%" PRId64, create->retention_ms);
  if (create->has_retention_ms)
    rd_kafka_NewTopic_set_config(topic, RETENTION_MS, number);
  snprintf(number, sizeof number, "%" PRId64, create->retention_bytes);
  if (create->has_retention_bytes)
    rd_kafka_NewTopic_set_config(topic, RETENTION_BYTES, number);
}

/* `create` NULL: the cluster's default retention applies. */
static void submit_create(struct uk_kafka_admin_call *call, const struct uk_create_topic *create)
{
  char text[UK_MESSAGE_SIZE];
  rd_kafka_NewTopic_t *topic =
    rd_kafka_NewTopic_new(call->topic.text, call->partitions, -1, text, sizeof text);
  if (topic == NULL) {
    uk_kafka_admin_fail(call, RD_KAFKA_RESP_ERR_INVALID_REQUEST, text);
    call->finish(call);
    return;
  }
  if (create != NULL)
    set_retention(topic, create);
  rd_kafka_AdminOptions_t *options = uk_kafka_admin_options(call, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  call->answered = create_answered;
  rd_kafka_CreateTopics(call->admin->parts.control, &topic, 1, options, call->admin->queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy(topic);
}

/* How long an existing topic keeps its records. */

static bool take_settings(struct uk_kafka_admin_call *call,
                          const rd_kafka_ConfigResource_t *resource)
{
  size_t count = 0, found = 0;
  const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resource, &count);
  for (size_t i = 0; i < count; i++) {
    const char *name = rd_kafka_ConfigEntry_name(entries[i]);
    const char *value = rd_kafka_ConfigEntry_value(entries[i]);
    int64_t *setting = strcmp(name, RETENTION_MS) == 0      ? &call->retention_ms
                       : strcmp(name, RETENTION_BYTES) == 0 ? &call->retention_bytes
                                                            : NULL;
    if (setting != NULL && value != NULL && uk_parse_int64(uk_slice_text(value), setting))
      found++;
  }
  return found == 2;
}

static void described(struct uk_kafka_admin_call *call, rd_kafka_event_t *event)
{
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  const char *text = rd_kafka_event_error_string(event);
  size_t count = 0;
  const rd_kafka_ConfigResource_t **resources = NULL;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    resources = rd_kafka_DescribeConfigs_result_resources(
      rd_kafka_event_DescribeConfigs_result(event), &count);
  if (count == 1) {
    code = rd_kafka_ConfigResource_error(resources[0]);
    text = rd_kafka_ConfigResource_error_string(resources[0]);
  }
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && (count != 1 || !take_settings(call, resources[0]))) {
    code = RD_KAFKA_RESP_ERR__BAD_MSG;
    text = "the cluster does not report how long it keeps records";
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_operation_fail(call->operation, uk_kafka_error(code), "topic \"%s\": %s", call->topic.text,
                      text != NULL ? text : rd_kafka_err2str(code));
  call->described = true;
  call->finish(call);
}

static void describe(struct uk_kafka_admin_call *call)
{
  rd_kafka_ConfigResource_t *resource =
    rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, call->topic.text);
  rd_kafka_AdminOptions_t *options =
    uk_kafka_admin_options(call, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  call->answered = described;
  rd_kafka_DescribeConfigs(call->admin->parts.control, &resource, 1, options, call->admin->queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_ConfigResource_destroy(resource);
}

static void create_finish(struct uk_kafka_admin_call *call)
{
  struct uk_create_topic *create = (struct uk_create_topic *)call->operation;
  bool compared = create->operation.error == UK_OK && !call->created;
  if (compared && !call->described && (create->has_retention_ms || create->has_retention_bytes)) {
    describe(call);
    return;
  }
  if (compared)
    uk_create_topic_fits(create, call->partitions, call->retention_ms, call->retention_bytes);
  create->partitions = call->partitions;
  create->created = call->created;
  done(call);
}

void uk_kafka_admin_create_topic(struct uk_kafka_admin *admin, struct uk_create_topic *create)
{
  struct uk_kafka_admin_call *call =
    uk_kafka_admin_call_new(admin, &create->operation, create->topic);
  if (call == NULL) {
    create->operation.done(&create->operation);
    return;
  }
  call->partitions = create->partitions >= 0 ? create->partitions : admin->parts.partitions;
  call->finish = create_finish;
  submit_create(call, create);
}

/* The operation that needs the topic has not begun, whether the topic was created or not. */
static void missing_finish(struct uk_kafka_admin_call *call)
{
  struct uk_kafka_check *check = call->check;
  char place[UK_KAFKA_PLACE_SIZE];
  if (call->operation->error == UK_E_GATEWAY_TIMEOUT)
    uk_operation_fail(call->operation, UK_E_UNAVAILABLE, "%s could not be created in time",
                      uk_kafka_place(place, sizeof place, uk_slice_text(call->topic.text), -1));
  free(call);
  uk_kafka_check_created(check);
}

void uk_kafka_admin_create_missing(void *context, struct uk_kafka_check *check,
                                   struct uk_slice topic)
{
  struct uk_kafka_admin *admin = context;
  struct uk_kafka_admin_call *call = uk_kafka_admin_call_new(admin, check->operation, topic);
  if (call == NULL) {
    uk_kafka_check_created(check);
    return;
  }
  int64_t soonest = uk_clock_monotonic() + MISSING_TIMEOUT;
  call->deadline = call->deadline > soonest ? call->deadline : soonest;
  call->partitions = admin->parts.partitions;
  call->check = check;
  call->finish = missing_finish;
  submit_create(call, NULL);
}

/* Deleting. */

static void delete_answered(struct uk_kafka_admin_call *call, rd_kafka_event_t *event)
{
  const char *text;
  rd_kafka_resp_err_t code = topic_code(event, &text);
  call->admin->parts.forget(call->admin->parts.context, uk_slice_text(call->topic.text));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    uk_kafka_admin_await(call);
    return;
  }
  struct uk_slice topic = uk_slice_text(call->topic.text);
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    uk_operation_fail(call->operation, UK_E_NOT_FOUND, UK_NO_TOPIC, (int)topic.length, topic.data);
  else
    uk_kafka_admin_fail(call, code, text);
  call->finish(call);
}

static void delete_finish(struct uk_kafka_admin_call *call)
{
  call->admin->parts.forget(call->admin->parts.context, uk_slice_text(call->topic.text));
  done(call);
}

void uk_kafka_admin_delete_topic(struct uk_kafka_admin *admin, struct uk_delete_topic *operation)
{
  struct uk_kafka_admin_call *call =
    uk_kafka_admin_call_new(admin, &operation->operation, operation->topic);
  if (call == NULL) {
    operation->operation.done(&operation->operation);
    return;
  }
  call->gone = true;
  call->finish = delete_finish;
  call->answered = delete_answered;
  rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(call->topic.text);
  rd_kafka_AdminOptions_t *options = uk_kafka_admin_options(call, RD_KAFKA_ADMIN_OP_DELETETOPICS);
  rd_kafka_DeleteTopics(admin->parts.control, &topic, 1, options, admin->queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_DeleteTopic_destroy(topic);
}
