#include "server/groups/group_turn.h"

#include <stdlib.h>

#include "server/groups/group_commit.h"
#include "server/groups/group_instance.h"
#include "server/groups/group_share.h"
#include "server/groups/group_work.h"

static void take_out(struct uk_groups *groups, struct uk_group_turn *turn)
{
  struct uk_group_instance *instance = turn->instance;
  if (turn->previous != NULL)
    turn->previous->next = turn->next;
  else
    instance->first = turn->next;
  if (turn->next != NULL)
    turn->next->previous = turn->previous;
  else
    instance->last = turn->previous;
  uk_timer_set(&groups->timers, &turn->timer, UK_TIMER_NEVER);
  free(turn);
}

static void due(void *owner, struct uk_timer *timer)
{
  struct uk_groups *groups = owner;
  struct uk_group_turn *turn =
    (struct uk_group_turn *)((char *)timer - offsetof(struct uk_group_turn, timer));
  if (turn == turn->instance->first) {
    uk_group_turn_end(groups, turn->instance, UK_OK);
    return;
  }
  uk_group_finish(groups, &turn->operation->operation, UK_OK);
  take_out(groups, turn);
}

bool uk_group_turn_add(struct uk_groups *groups, struct uk_group_instance *instance,
                       struct uk_consume *operation)
{
  struct uk_group_turn *turn = calloc(1, sizeof(*turn));
  if (turn == NULL)
    return false;
  turn->instance = instance;
  turn->operation = operation;
  uk_timer_init(&turn->timer, due);
  turn->previous = instance->last;
  if (instance->last != NULL)
    instance->last->next = turn;
  else
    instance->first = turn;
  instance->last = turn;
  if (instance->first != turn)
    uk_timer_set(&groups->timers, &turn->timer,
                 groups->draining ? groups->now : operation->operation.deadline);
  return true;
}

void uk_group_turns_go(struct uk_groups *groups, struct uk_group_instance *instance)
{
  while (instance->first != NULL && instance->activity == UK_GROUP_IDLE) {
    struct uk_group_turn *turn = instance->first;
    enum uk_error error = uk_group_subscribe(groups, instance, turn->operation);
    if (error == UK_OK) {
      uk_group_list_reading(groups, instance);
    } else {
      uk_group_finish(groups, &turn->operation->operation, error);
      take_out(groups, turn);
      if (instance->fresh && instance->first == NULL) {
        uk_group_instance_close(groups, instance);
        return;
      }
    }
  }
  uk_group_instance_arm(groups, instance);
}

void uk_group_turn_park(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_turn *turn = instance->first;
  int64_t deadline = turn->operation->operation.deadline;
  if (groups->draining || deadline <= groups->now || instance->deletes != NULL) {
    uk_group_turn_end(groups, instance, UK_OK);
    return;
  }
  instance->activity = UK_GROUP_PARKED;
  instance->fresh = false;
  uk_timer_set(&groups->timers, &turn->timer, deadline);
  uk_group_release_leaving(groups, instance);
  uk_group_instance_arm(groups, instance);
}

/* Carries out the deletes. False when memory is out for the commit: the instance lives on. */
static bool close_for(struct uk_groups *groups, struct uk_group_instance *instance,
                      struct uk_operation *deletes)
{
  struct uk_operation *others = deletes->next;
  bool closed = uk_group_commit_arrived(groups, instance, deletes);
  if (!closed)
    uk_group_finish(groups, deletes, UK_E_NO_MEMORY);
  while (others != NULL) {
    struct uk_operation *next = others->next;
    uk_group_finish(groups, others, closed ? UK_OK : UK_E_NO_MEMORY);
    others = next;
  }
  if (closed)
    uk_group_instance_close(groups, instance);
  return closed;
}

void uk_group_turn_end(struct uk_groups *groups, struct uk_group_instance *instance,
                       enum uk_error error)
{
  struct uk_group_turn *turn = instance->first;
  struct uk_operation *deletes = instance->deletes;
  uk_group_finish(groups, &turn->operation->operation, error);
  take_out(groups, turn);
  instance->activity = UK_GROUP_IDLE;
  instance->deletes = NULL;
  instance->last_request = groups->now; /* waiting counts as asking */
  if (deletes != NULL) {
    uk_group_turns_end(groups, instance);
    if (close_for(groups, instance, deletes))
      return;
  }
  if (instance->fresh && error != UK_OK && error != UK_E_CANCELLED && instance->first == NULL) {
    uk_group_instance_close(groups, instance);
    return;
  }
  instance->fresh = false;
  uk_group_release_leaving(groups, instance);
  uk_group_turns_go(groups, instance);
}

void uk_group_turns_end(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_turn *turn = instance->first;
  bool reading = instance->activity == UK_GROUP_READING;
  if (turn == NULL)
    return;
  if (reading)
    turn = turn->next;
  while (turn != NULL) {
    struct uk_group_turn *next = turn->next;
    uk_group_finish(groups, &turn->operation->operation, UK_OK);
    take_out(groups, turn);
    turn = next;
  }
  if (!reading) {
    instance->activity = UK_GROUP_IDLE;
    instance->last_request = groups->now;
    uk_group_instance_arm(groups, instance);
  }
}

void uk_group_turns_delete(struct uk_groups *groups, struct uk_group_instance *instance,
                           struct uk_operation *operation)
{
  uk_group_turns_end(groups, instance);
  if (instance->activity == UK_GROUP_READING) {
    operation->next = instance->deletes;
    instance->deletes = operation;
    return;
  }
  operation->next = NULL;
  close_for(groups, instance, operation);
}
