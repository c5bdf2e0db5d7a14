#include "server/groups/group_read.h"

#include "server/groups/group_position.h"
#include "server/groups/group_turn.h"

enum { STEPS_MAX = 128 }; /* partitions in one delivery; others come first in the next */

struct step {
  struct uk_group_share *share; /* stays, like its topic, while a member is READING */
  uint64_t topic_id;
  int32_t partition;
  int64_t offset;
  int64_t next; /* out */
};

struct plan {
  struct step steps[STEPS_MAX];
  size_t count;
  size_t done;
  enum uk_error error; /* of the step after the last done one */
};

static enum uk_error check_topics(struct uk_group_instance *instance)
{
  for (size_t i = 0; i < instance->share_count; i++) {
    const struct uk_group_topic *topic = instance->shares[i]->topic;
    if (topic->partitions > 0)
      continue;
    uk_operation_fail(&instance->first->operation->operation, UK_E_NOT_FOUND,
                      "topic \"%.*s\" was deleted", UK_GROUP_TEXT(topic->node.name));
    return UK_E_NOT_FOUND;
  }
  return UK_OK;
}

/* All partitions that have something, from the cursor on. */
static enum uk_error make_plan(struct uk_groups *groups, struct uk_group_instance *instance,
                               struct plan *plan)
{
  plan->count = plan->done = 0;
  plan->error = UK_OK;
  enum uk_error error = check_topics(instance);
  struct uk_group_slot *slot = instance->cursor;
  for (size_t left = instance->owned; left > 0 && error == UK_OK && plan->count < STEPS_MAX;
       left--, slot = slot->next) {
    if (uk_group_slot_leaving(slot))
      continue;
    int64_t end = 0;
    error = uk_group_slot_locate(groups, slot, &instance->first->operation->operation, &end);
    if (error != UK_OK || slot->position == UK_GROUP_UNKNOWN || slot->position >= end)
      continue;
    plan->steps[plan->count++] = (struct step){.share = slot->share,
                                               .topic_id = slot->share->topic->id,
                                               .partition = uk_group_slot_partition(slot),
                                               .offset = slot->position,
                                               .next = slot->position};
  }
  return error;
}

/* Without the lock. */
static void carry_out(const struct uk_groups_log *log, struct uk_group_turn *turn,
                      struct plan *plan)
{
  struct uk_operation *operation = &turn->operation->operation;
  const struct uk_sink *sink = &turn->operation->sink;
  if (!turn->asked) {
    turn->asked = true;
    if (sink->is_client_alive != NULL && !sink->is_client_alive(operation))
      plan->error = UK_E_CANCELLED;
  }
  bool full = false;
  while (plan->done < plan->count && !full && plan->error == UK_OK) {
    struct step *step = &plan->steps[plan->done];
    plan->error = log->read(log->context, step->share->topic->node.name, step->partition,
                            step->offset, operation, sink, &step->next, &full);
    if (plan->error == UK_OK)
      plan->done++;
    else
      step->next = step->offset;
  }
}

/* A position that moved meanwhile (the delivery before was taken back, the topic deleted) stays where it is. */
static void advance(struct uk_group_instance *instance, const struct step *step)
{
  struct uk_group_share *share = step->share;
  if (share->topic->id != step->topic_id || step->partition >= share->count)
    return;
  struct uk_group_slot *slot = &share->slots[step->partition];
  if (slot->owner != instance || slot->position != step->offset)
    return;
  slot->position = step->next;
  slot->moved = true;
  instance->cursor = slot->next;
}

static bool apply(struct uk_group_instance *instance, const struct plan *plan)
{
  bool any = false;
  for (size_t i = 0; i < plan->done; i++) {
    if (plan->steps[i].next == plan->steps[i].offset)
      continue;
    advance(instance, &plan->steps[i]);
    any = true;
  }
  if (any)
    instance->first->operation->delivery = ++instance->delivery;
  return any;
}

static void say_unread(struct uk_operation *operation, const struct plan *plan)
{
  const struct step *step = &plan->steps[plan->done];
  if (operation->message[0] == '\0' && plan->error != UK_E_CANCELLED)
    uk_operation_fail(operation, plan->error, "cannot read topic \"%.*s\" partition %d: %s",
                      UK_GROUP_TEXT(step->share->topic->node.name), (int)step->partition,
                      uk_error_text(plan->error));
}

void uk_group_read(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_turn *turn = instance->first;
  struct uk_operation *operation = &turn->operation->operation;
  struct plan plan;
  enum uk_error error = instance->deletes != NULL ? UK_OK : make_plan(groups, instance, &plan);
  if (error != UK_OK) {
    uk_group_turn_end(groups, instance, error);
    return;
  }
  if (instance->deletes != NULL || plan.count == 0) {
    uk_group_turn_park(groups, instance);
    return;
  }
  pthread_mutex_unlock(&groups->lock);
  carry_out(&groups->log, turn, &plan);
  pthread_mutex_lock(&groups->lock);
  if (apply(instance, &plan)) {
    operation->message[0] = '\0';
    uk_group_turn_end(groups, instance, UK_OK);
  } else if (plan.error != UK_OK) {
    say_unread(operation, &plan);
    uk_group_turn_end(groups, instance, plan.error);
  } else {
    uk_group_turn_park(groups, instance);
  }
}
