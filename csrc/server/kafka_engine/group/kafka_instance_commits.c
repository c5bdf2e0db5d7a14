#include "server/kafka_engine/group/kafka_instance_commits.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/group/kafka_instance_handover.h"
#include "server/kafka_engine/group/kafka_instance_slots.h"
#include "server/kafka_engine/group/kafka_instance_turns.h"

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

/* One at a time: what librdkafka has to send again, after an outage, would overtake a later one. */
static bool is_quiet(const struct uk_kafka_instance *instance)
{
  return instance->auto_commits == 0 && instance->committing.first == NULL;
}

static rd_kafka_topic_partition_t *add_arrived(struct uk_kafka_slot *slot,
                                               rd_kafka_topic_partition_list_t *list)
{
  rd_kafka_topic_partition_t *at =
    rd_kafka_topic_partition_list_add(list, slot->topic.text, slot->partition);
  at->offset = slot->arrived;
  slot->saved = slot->arrived;
  slot->overridden = false;
  return at;
}

/* `turn` is NULL for a commit that nobody asked for. */
static void send_commit(struct uk_kafka_instance *instance, rd_kafka_topic_partition_list_t *list,
                        struct uk_kafka_turn *turn)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (list->cnt > 0)
    code = rd_kafka_commit_queue(instance->handle, list, instance->control, NULL, turn);
  bool sent = list->cnt > 0 && code == RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_topic_partition_list_destroy(list);
  if (turn == NULL) {
    instance->auto_commits += sent;
  } else if (sent) {
    turn->sent = true;
    uk_kafka_turns_add(&instance->committing, turn);
  } else {
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
      uk_kafka_fail(turn->operation, code, "commit");
    uk_kafka_turn_done(turn);
  }
}

/* By itself. */

void uk_kafka_instance_commit_arrived(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < instance->slot_count; i++) {
    if (is_dirty(&instance->slots[i]))
      (void)add_arrived(&instance->slots[i], list);
  }
  send_commit(instance, list, NULL);
}

/* Requests that keep coming to this server are no round robin. */
static void count_note(struct uk_kafka_instance *instance)
{
  if (++instance->notes < UK_KAFKA_NOTES)
    return;
  pthread_mutex_lock(&instance->groups->mutex);
  instance->roams = false;
  pthread_mutex_unlock(&instance->groups->mutex);
}

void uk_kafka_instance_commit_note(struct uk_kafka_instance *instance)
{
  if (!instance->note_due || !is_quiet(instance))
    return;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  instance->note_due = false;
  for (size_t i = 0; i < instance->slot_count; i++) {
    struct uk_kafka_slot *slot = &instance->slots[i];
    if (slot->assigned && !slot->overridden && slot->arrived >= 0 && slot->position > slot->arrived)
      uk_kafka_handover_note(add_arrived(slot, list), slot->position);
  }
  send_commit(instance, list, NULL);
  count_note(instance);
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
  uk_kafka_instance_commit_arrived(instance);
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
  struct uk_kafka_slot *slot = uk_kafka_instance_slot(instance, name.text, given->partition);
  if (slot != NULL) {
    slot->saved = slot->arrived;
    slot->overridden = at->offset != slot->arrived;
  }
}

static void commit(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn)
{
  const struct uk_commit *asked = (const struct uk_commit *)turn->operation;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < asked->count; i++)
    add_given(instance, &asked->offsets[i], list);
  for (size_t i = 0; asked->count == 0 && i < instance->slot_count; i++) {
    struct uk_kafka_slot *slot = &instance->slots[i];
    if (slot->assigned && slot->arrived >= 0)
      (void)add_arrived(slot, list);
  }
  send_commit(instance, list, turn);
}

void uk_kafka_instance_commit_next(struct uk_kafka_instance *instance)
{
  struct uk_kafka_turn *turn;
  while (is_quiet(instance) && (turn = uk_kafka_turns_take(&instance->commits)) != NULL)
    commit(instance, turn);
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
static void forget_saved(struct uk_kafka_instance *instance,
                         const rd_kafka_topic_partition_list_t *list)
{
  for (int i = 0; list != NULL && i < list->cnt; i++) {
    struct uk_kafka_slot *slot =
      uk_kafka_instance_slot(instance, list->elems[i].topic, list->elems[i].partition);
    if (slot != NULL)
      slot->saved = -1;
  }
}

static void answer(struct uk_kafka_instance *instance, struct uk_kafka_turn *turn,
                   rd_kafka_resp_err_t code, const rd_kafka_topic_partition_t *failed)
{
  char what[UK_KAFKA_PLACE_SIZE + UK_GROUP_NAME_MAX];
  uk_kafka_turns_remove(&instance->committing, turn);
  if (turn->operation == NULL) {
    free(turn);
    return;
  }
  if (instance->lost) {
    uk_kafka_turns_add(&instance->commits, turn);
    return;
  }
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && failed != NULL)
    (void)uk_kafka_place(what, sizeof what, uk_slice_text(failed->topic), failed->partition);
  else
    snprintf(what, sizeof what, "group \"%s\"", instance->group.data);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_fail_change(turn->operation, code, NULL, what);
  uk_kafka_turn_done(turn);
}

void uk_kafka_instance_committed(struct uk_kafka_instance *instance, rd_kafka_event_t *event)
{
  struct uk_kafka_turn *turn = rd_kafka_event_opaque(event);
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  const rd_kafka_topic_partition_list_t *list = rd_kafka_event_topic_partition_list(event);
  const rd_kafka_topic_partition_t *failed = first_failed(list);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && failed != NULL)
    code = failed->err;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    forget_saved(instance, list);
  if (instance->leaves_until == 0 &&
      (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID || code == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID))
    instance->lost = true;
  if (turn != NULL)
    answer(instance, turn, code, failed);
  else if (instance->auto_commits > 0)
    instance->auto_commits--;
}

void uk_kafka_instance_abandon_commits(struct uk_kafka_instance *instance)
{
  struct uk_kafka_turn *turn;
  while ((turn = uk_kafka_turns_take(&instance->committing)) != NULL) {
    if (turn->operation == NULL) {
      free(turn);
      continue;
    }
    if (instance->lost) {
      uk_kafka_turns_add(&instance->commits, turn);
      continue;
    }
    uk_kafka_turn_fail(turn, UK_E_UNAVAILABLE,
                       "commit: the instance was closed before its group answered");
  }
}
