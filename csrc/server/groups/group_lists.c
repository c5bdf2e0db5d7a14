#include "server/groups/group_lists.h"

#include <stdlib.h>

void uk_group_finish(struct uk_groups *groups, struct uk_operation *operation, enum uk_error error)
{
  operation->error = error;
  uk_list_add(&groups->finished, &operation->link);
}

void uk_group_list_read(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_timer_set(&groups->timers, &uk_group_first_request(instance)->timer, UK_TIMER_NEVER);
  instance->activity = UK_GROUP_READING;
  uk_list_add(&groups->to_read, &instance->to_read);
}

void uk_group_list_commit(struct uk_groups *groups, struct uk_group *group,
                          struct uk_group_commit *commit)
{
  commit->groups = groups;
  commit->group = group;
  commit->sequence = ++group->sequence;
  uk_list_add(&group->commits, &commit->in_group);
  uk_list_add(&groups->to_submit, &commit->to_submit);
}

void uk_group_list_rebalance(struct uk_groups *groups, struct uk_group_assignment *assignment)
{
  if (!uk_link_is_linked(&assignment->to_rebalance))
    uk_list_add_first(&groups->to_rebalance, &assignment->to_rebalance);
}

void uk_group_instance_arm(struct uk_groups *groups, struct uk_group_instance *instance)
{
  int64_t time = UK_TIMER_NEVER;
  if (uk_group_instance_is_idle(instance))
    time = instance->last_request + instance->settings.session_timeout;
  if (instance->settings.auto_commit && instance->dirty && instance->committing == 0 &&
      instance->next_commit < time)
    time = instance->next_commit;
  uk_timer_set(&groups->timers, &instance->timer, time);
}

void uk_group_free_unused(struct uk_groups *groups, struct uk_group *group)
{
  if (group->instances.count > 0 || !uk_list_is_empty(&group->assignments) ||
      !uk_list_is_empty(&group->commits))
    return;
  uk_name_table_remove(&groups->groups, &group->node);
  uk_name_table_free(&group->instances);
  free(group);
}
