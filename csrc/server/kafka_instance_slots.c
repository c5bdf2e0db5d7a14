/* What an instance knows of its partitions: rebalances and commits. */
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_instance.h"

struct uk_kafka_slot *uk_kafka_instance_slot(struct uk_kafka_instance *instance, const char *topic,
                                             int32_t partition)
{
  for (size_t i = 0; i < instance->slot_count; i++) {
    struct uk_kafka_slot *slot = &instance->slots[i];
    if (slot->partition == partition && strcmp(slot->topic.text, topic) == 0)
      return slot;
  }
  return NULL;
}

/* Without memory /consumers shows the instance without partitions. */
static void publish(struct uk_kafka_instance *instance)
{
  struct uk_kafka_slot *listed = calloc(instance->slot_count + 1, sizeof *listed);
  size_t count = 0;
  for (size_t i = 0; listed != NULL && i < instance->slot_count; i++) {
    if (instance->slots[i].assigned)
      listed[count++] = instance->slots[i];
  }
  pthread_mutex_lock(&instance->groups->mutex);
  free(instance->listed);
  instance->listed = listed;
  instance->listed_count = count;
  pthread_mutex_unlock(&instance->groups->mutex);
}

static void forward(struct uk_kafka_instance *instance, const rd_kafka_topic_partition_t *at)
{
  rd_kafka_queue_t *queue =
    rd_kafka_queue_get_partition(instance->handle, at->topic, at->partition);
  if (queue == NULL)
    return;
  rd_kafka_queue_forward(queue, instance->records);
  rd_kafka_queue_destroy(queue);
}

/* A partition that comes back goes on where it was: nobody else had it in between, or has committed more. */
static void assign(struct uk_kafka_instance *instance, rd_kafka_topic_partition_list_t *list)
{
  struct uk_kafka_slot *slots = calloc((size_t)list->cnt + 1, sizeof *slots);
  if (slots == NULL) {
    rd_kafka_assign(instance->handle, NULL);
    return;
  }
  for (int i = 0; i < list->cnt; i++) {
    rd_kafka_topic_partition_t *at = &list->elems[i];
    const struct uk_kafka_slot *old = uk_kafka_instance_slot(instance, at->topic, at->partition);
    struct uk_kafka_slot *slot = &slots[i];
    *slot = (struct uk_kafka_slot){.position = -1, .arrived = -1, .saved = -1};
    if (old != NULL && old->position >= 0 && !old->overridden) {
      *slot = *old;
      at->offset = slot->position;
    }
    slot->topic = uk_kafka_name(uk_slice_text(at->topic));
    slot->partition = at->partition;
    slot->assigned = true;
    slot->ended = false;
    forward(instance, at);
  }
  free(instance->slots);
  instance->slots = slots;
  instance->slot_count = (size_t)list->cnt;
  instance->asked_since = uk_clock_monotonic();
  rd_kafka_assign(instance->handle, list);
}

static void revoke(struct uk_kafka_instance *instance)
{
  bool lost = rd_kafka_assignment_lost(instance->handle);
  if (instance->settings.auto_commit && !lost)
    uk_kafka_instance_commit_arrived(instance);
  uk_kafka_event_free(&instance->held);
  instance->held = (struct uk_kafka_event){0};
  for (size_t i = 0; i < instance->slot_count; i++)
    instance->slots[i].assigned = false;
  if (lost)
    instance->slot_count = 0;
  rd_kafka_assign(instance->handle, NULL);
}

void uk_kafka_instance_rebalance(struct uk_kafka_instance *instance, rd_kafka_event_t *event)
{
  if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
    assign(instance, rd_kafka_event_topic_partition_list(event));
  else
    revoke(instance);
  publish(instance);
}

/* Commits. */

static bool is_dirty(const struct uk_kafka_slot *slot)
{
  return slot->assigned && slot->arrived >= 0 && slot->arrived != slot->saved;
}

bool uk_kafka_instance_dirty(const struct uk_kafka_instance *instance)
{
  for (size_t i = 0; i < instance->slot_count; i++) {
    if (is_dirty(&instance->slots[i]))
      return true;
  }
  return false;
}

static void send_commit(struct uk_kafka_instance *instance, rd_kafka_topic_partition_list_t *list,
                        struct uk_kafka_turn *turn)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (list->cnt > 0)
    code = rd_kafka_commit_queue(instance->handle, list, instance->control, NULL, turn);
  if (turn != NULL && code == RD_KAFKA_RESP_ERR_NO_ERROR && list->cnt > 0) {
    turn->next = instance->committing;
    instance->committing = turn;
  } else if (turn != NULL) {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
      uk_kafka_fail(turn->operation, code, "commit");
    uk_kafka_turn_done(turn);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

void uk_kafka_instance_commit_arrived(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < instance->slot_count; i++) {
    struct uk_kafka_slot *slot = &instance->slots[i];
    if (!is_dirty(slot))
      continue;
    rd_kafka_topic_partition_list_add(list, slot->topic.text, slot->partition)->offset =
      slot->arrived;
    slot->saved = slot->arrived;
    slot->overridden = false;
  }
  instance->next_commit = INT64_MIN; /* set by the caller's clock */
  send_commit(instance, list, NULL);
}

void uk_kafka_instance_commit(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn)
{
  const struct uk_commit *commit = (const struct uk_commit *)turn->operation;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < commit->count; i++) {
    struct uk_kafka_name name = uk_kafka_name(commit->offsets[i].topic);
    int32_t partition = commit->offsets[i].partition;
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_find(list, name.text, partition);
    if (at == NULL)
      at = rd_kafka_topic_partition_list_add(list, name.text, partition);
    at->offset = commit->offsets[i].offset;
    struct uk_kafka_slot *slot = uk_kafka_instance_slot(instance, name.text, partition);
    if (slot != NULL) {
      slot->saved = slot->arrived;
      slot->overridden = at->offset != slot->arrived;
    }
  }
  for (size_t i = 0; commit->count == 0 && i < instance->slot_count; i++) {
    struct uk_kafka_slot *slot = &instance->slots[i];
    if (!slot->assigned || slot->arrived < 0)
      continue;
    rd_kafka_topic_partition_list_add(list, slot->topic.text, slot->partition)->offset =
      slot->arrived;
    slot->saved = slot->arrived;
    slot->overridden = false;
  }
  send_commit(instance, list, turn);
}
