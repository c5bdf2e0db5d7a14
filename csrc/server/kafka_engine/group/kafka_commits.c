#include "server/kafka_engine/group/kafka_commits.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_rebalance.h"
#include "server/kafka_engine/group/kafka_request_queue.h"

static bool is_dirty(const struct uk_kafka_assigned_partition *partition)
{
  return partition->assigned && partition->delivered >= 0 &&
         partition->delivered != partition->committed;
}

bool uk_kafka_instance_dirty(const struct uk_kafka_instance *instance)
{
  for (size_t i = 0; i < instance->partition_count; i++) {
    if (is_dirty(&instance->partitions[i]))
      return true;
  }
  return false;
}

/* One at a time: what librdkafka has to send again, after an outage, would overtake a later one. */
static bool is_quiet(const struct uk_kafka_instance *instance)
{
  return instance->auto_commits == 0 && instance->committing.first == NULL;
}

static rd_kafka_topic_partition_t *add_delivered(struct uk_kafka_assigned_partition *partition,
                                                 rd_kafka_topic_partition_list_t *list)
{
  rd_kafka_topic_partition_t *at =
    rd_kafka_topic_partition_list_add(list, partition->topic.text, partition->number);
  at->offset = partition->delivered;
  partition->committed = partition->delivered;
  partition->overridden = false;
  return at;
}

/* `request` is NULL for a commit that nobody asked for. */
static void send_commit(struct uk_kafka_instance *instance, rd_kafka_topic_partition_list_t *list,
                        struct uk_kafka_request *request)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (list->cnt > 0)
    code = rd_kafka_commit_queue(instance->handle, list, instance->control, NULL, request);
  bool sent = list->cnt > 0 && code == RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_topic_partition_list_destroy(list);
  if (request == NULL) {
    instance->auto_commits += sent;
  } else if (sent) {
    request->sent = true;
    uk_kafka_requests_add(&instance->committing, request);
  } else {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
      uk_kafka_fail(request->operation, code, "commit");
    uk_kafka_request_done(request);
  }
}

/* By itself. */

void uk_kafka_instance_commit_delivered(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < instance->partition_count; i++) {
    if (is_dirty(&instance->partitions[i]))
      (void)add_delivered(&instance->partitions[i], list);
  }
  send_commit(instance, list, NULL);
}

/* Requests that keep coming to this server are no round robin. */
static void count_metadata_commit(struct uk_kafka_instance *instance)
{
  if (++instance->metadata_commits < UK_KAFKA_METADATA_COMMITS)
    return;
  pthread_mutex_lock(&instance->groups->mutex);
  instance->migrates = false;
  pthread_mutex_unlock(&instance->groups->mutex);
}

void uk_kafka_instance_commit_metadata(struct uk_kafka_instance *instance)
{
  if (!instance->metadata_due || !is_quiet(instance))
    return;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  instance->metadata_due = false;
  for (size_t i = 0; i < instance->partition_count; i++) {
    struct uk_kafka_assigned_partition *partition = &instance->partitions[i];
    if (partition->assigned && !partition->overridden && partition->delivered >= 0 &&
        partition->position > partition->delivered)
      uk_kafka_handover_write_metadata(add_delivered(partition, list), partition->position);
  }
  send_commit(instance, list, NULL);
  count_metadata_commit(instance);
}

int64_t uk_kafka_instance_next_commit(const struct uk_kafka_instance *instance)
{
  bool due =
    instance->settings.auto_commit && is_quiet(instance) && uk_kafka_instance_dirty(instance);
  return due ? instance->next_commit : INT64_MAX;
}

void uk_kafka_instance_auto_commit(struct uk_kafka_instance *instance, int64_t now)
{
  if (now < uk_kafka_instance_next_commit(instance))
    return;
  uk_kafka_instance_commit_delivered(instance);
  instance->next_commit = now + instance->settings.auto_commit_interval;
}

/* By request. */

static void add_given(struct uk_kafka_instance *instance,
                      const struct uk_topic_partition_offset *given,
                      rd_kafka_topic_partition_list_t *list)
{
  struct uk_kafka_name name = uk_kafka_name(given->topic);
  rd_kafka_topic_partition_t *at =
    rd_kafka_topic_partition_list_find(list, name.text, given->partition);
  if (at == NULL)
    at = rd_kafka_topic_partition_list_add(list, name.text, given->partition);
  at->offset = given->offset;
  struct uk_kafka_assigned_partition *partition =
    uk_kafka_instance_partition(instance, name.text, given->partition);
  if (partition != NULL) {
    partition->committed = partition->delivered;
    partition->overridden = at->offset != partition->delivered;
  }
}

static void commit(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  const struct uk_commit *asked = (const struct uk_commit *)request->operation;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < asked->count; i++)
    add_given(instance, &asked->offsets[i], list);
  for (size_t i = 0; asked->count == 0 && i < instance->partition_count; i++) {
    struct uk_kafka_assigned_partition *partition = &instance->partitions[i];
    if (partition->assigned && partition->delivered >= 0)
      (void)add_delivered(partition, list);
  }
  send_commit(instance, list, request);
}

void uk_kafka_instance_commit_next(struct uk_kafka_instance *instance)
{
  struct uk_kafka_request *request;
  while (is_quiet(instance) && (request = uk_kafka_requests_take(&instance->commits)) != NULL)
    commit(instance, request);
}

/* Answers. */

/* NULL: none, or what failed is said of all. */
static const rd_kafka_topic_partition_t *first_failed(const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; list != NULL && i < list->cnt; i++) {
    if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
      return &list->elems[i];
  }
  return NULL;
}

/* The next auto-commit tries again. */
static void forget_committed(struct uk_kafka_instance *instance,
                             const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; list != NULL && i < list->cnt; i++) {
    struct uk_kafka_assigned_partition *partition =
      uk_kafka_instance_partition(instance, list->elems[i].topic, list->elems[i].partition);
    if (partition != NULL)
      partition->committed = -1;
  }
}

static void answer(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                   rd_kafka_resp_err_t code, const rd_kafka_topic_partition_t *failed)
{
  char what[UK_KAFKA_PLACE_SIZE + UK_GROUP_NAME_MAX];
  uk_kafka_requests_remove(&instance->committing, request);
  if (request->operation == NULL) {
    free(request);
    return;
  }
  if (instance->lost) {
    uk_kafka_requests_add(&instance->commits, request);
    return;
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && failed != NULL)
    (void)uk_kafka_place(what, sizeof what, uk_slice_text(failed->topic), failed->partition);
  else
    snprintf(what, sizeof what, "group \"%s\"", instance->group.data);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_fail_change(request->operation, code, NULL, what);
  uk_kafka_request_done(request);
}

void uk_kafka_instance_committed(struct uk_kafka_instance *instance, rd_kafka_event_t *event)
{
  struct uk_kafka_request *request = rd_kafka_event_opaque(event);
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
  const rd_kafka_topic_partition_t *failed = first_failed(list);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && failed != NULL)
    code = failed->err;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    forget_committed(instance, list);
  if (instance->leaves_until == 0 &&
      (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID || code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID))
    instance->lost = true;
  if (request != NULL)
    answer(instance, request, code, failed);
  else if (instance->auto_commits > 0)
    instance->auto_commits--;
}

void uk_kafka_instance_abandon_commits(struct uk_kafka_instance *instance)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(&instance->committing)) != NULL) {
    if (request->operation == NULL) {
      free(request);
      continue;
    }
    if (instance->lost) {
      uk_kafka_requests_add(&instance->commits, request);
      continue;
    }
    uk_kafka_request_fail(request, UK_E_UNAVAILABLE,
                          "commit: the instance was closed before its group answered");
  }
}
