#include "server/groups/group_held.h"

#include <stdlib.h>

#include "server/groups/group_lists.h"

/* Ends the operation with nothing done. */
static void refuse(struct uk_groups *groups, struct uk_operation *operation)
{
  uk_operation_fail(operation, UK_E_UNAVAILABLE, UK_RESPONSE_UNKNOWN);
  uk_group_finish(groups, operation, UK_E_UNAVAILABLE);
}

/* Frees the entry, and returns its operation. */
static struct uk_operation *take_out(struct uk_groups *groups, struct uk_group_held *held)
{
  struct uk_operation *operation = held->operation;
  uk_timer_set(&groups->timers, &held->timer, UK_TIMER_NEVER);
  uk_list_remove(&held->link);
  free(held);
  return operation;
}

static void due(void *owner, struct uk_timer *timer)
{
  struct uk_groups *groups = owner;
  struct uk_group_held *held =
    (struct uk_group_held *)((char *)timer - offsetof(struct uk_group_held, timer));
  struct uk_group_instance *instance = held->instance;
  refuse(groups, take_out(groups, held));
  instance->last_request = groups->now; /* a client that waits is alive */
  uk_group_instance_arm(groups, instance);
}

void uk_group_hold(struct uk_groups *groups, struct uk_group_instance *instance,
                   struct uk_operation *operation,
                   void (*run)(struct uk_groups *groups, struct uk_operation *operation))
{
  if (groups->draining || operation->deadline <= groups->now) {
    refuse(groups, operation);
    return;
  }
  struct uk_group_held *held = calloc(1, sizeof *held);
  if (held == NULL) {
    uk_group_finish(groups, operation, UK_E_NO_MEMORY);
    return;
  }
  held->instance = instance;
  held->operation = operation;
  held->run = run;
  uk_timer_init(&held->timer, due);
  uk_list_add(&instance->held, &held->link);
  uk_timer_set(&groups->timers, &held->timer, operation->deadline);
  uk_group_instance_arm(groups, instance);
}

void uk_group_held_take(struct uk_group_instance *instance, struct uk_list *held)
{
  uk_list_move(held, &instance->held);
}

void uk_group_held_run_list(struct uk_groups *groups, struct uk_list *all)
{
  struct uk_link *first;
  while ((first = uk_list_first(all)) != NULL) {
    struct uk_group_held *held = UK_LIST_ENTRY(first, struct uk_group_held, link);
    void (*run)(struct uk_groups *, struct uk_operation *) = held->run;
    run(groups, take_out(groups, held));
  }
}

void uk_group_held_run(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_list all = {0};
  uk_group_held_take(instance, &all);
  uk_group_held_run_list(groups, &all);
}

void uk_group_held_end(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_link *first;
  while ((first = uk_list_first(&instance->held)) != NULL)
    refuse(groups, take_out(groups, UK_LIST_ENTRY(first, struct uk_group_held, link)));
  uk_group_instance_arm(groups, instance);
}
