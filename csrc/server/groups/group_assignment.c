#include "server/groups/group_assignment.h"

#include <stdlib.h>

#include "server/groups/group_commit.h"
#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_position.h"
#include "server/groups/group_topic.h"

/* Creating and freeing. */

/* The partition has moved in memory: its ring follows. */
static void relink(struct uk_group_partition *partition, const struct uk_group_partition *old)
{
  if (partition->owner == NULL)
    return;
  if (partition->next == old)
    partition->next = partition->previous = partition;
  partition->next->previous = partition->previous->next = partition;
  if (partition->owner->cursor == old)
    partition->owner->cursor = partition;
}

/* Makes room for all partitions that the topic has now. False when memory is out. */
static bool resize(struct uk_group_assignment *assignment)
{
  int32_t count = assignment->topic->partitions;
  if (assignment->count >= count)
    return true;
  struct uk_group_partition *partitions = calloc((size_t)count, sizeof *partitions);
  if (partitions == NULL)
    return false;
  for (int32_t i = 0; i < assignment->count; i++) {
    partitions[i] = assignment->partitions[i];
    relink(&partitions[i], &assignment->partitions[i]);
  }
  for (int32_t i = assignment->count; i < count; i++) {
    partitions[i].assignment = assignment;
    partitions[i].renewed = assignment->renewed;
    uk_group_position_forget(&partitions[i]);
  }
  free(assignment->partitions);
  assignment->partitions = partitions;
  assignment->count = count;
  return true;
}

static bool make_room(struct uk_group_assignment *assignment)
{
  if (assignment->member_count < assignment->member_room)
    return true;
  size_t room = assignment->member_room == 0 ? 2 : assignment->member_room * 2;
  struct uk_group_instance **members = realloc(assignment->members, room * sizeof *members);
  if (members == NULL)
    return false;
  assignment->members = members;
  assignment->member_room = room;
  return true;
}

static struct uk_group_assignment *make_assignment(struct uk_group *group,
                                                   struct uk_group_topic *topic)
{
  struct uk_group_assignment *assignment = calloc(1, sizeof *assignment);
  if (assignment == NULL)
    return NULL;
  assignment->group = group;
  assignment->topic = topic;
  if (!resize(assignment)) {
    free(assignment);
    return NULL;
  }
  uk_list_add_first(&topic->assignments, &assignment->in_topic);
  uk_list_add_first(&group->assignments, &assignment->in_group);
  return assignment;
}

static void free_assignment(struct uk_groups *groups, struct uk_group_assignment *assignment)
{
  struct uk_group *group = assignment->group;
  uk_list_remove(&assignment->in_topic);
  uk_list_remove(&assignment->in_group);
  uk_group_topic_free_unused(groups, assignment->topic);
  free(assignment->members);
  free(assignment->partitions);
  free(assignment);
  uk_group_free_unused(groups, group);
}

struct uk_group_assignment *uk_group_assignment_get(struct uk_groups *groups,
                                                    struct uk_group *group, struct uk_slice name)
{
  struct uk_group_assignment *assignment = uk_group_assignment_find(groups, group, name);
  if (assignment == NULL) {
    struct uk_group_topic *topic = uk_group_topic_get(groups, name);
    if (topic == NULL)
      return NULL;
    assignment = make_assignment(group, topic);
    if (assignment == NULL) {
      uk_group_topic_free_unused(groups, topic);
      return NULL;
    }
    uk_group_list_rebalance(groups, assignment);
  }
  return make_room(assignment) ? assignment : NULL;
}

/* Members. */

/* The index of the instance among the members, or the one where it belongs. */
static size_t index_of(const struct uk_group_assignment *assignment,
                       const struct uk_group_instance *instance)
{
  size_t low = 0, high = assignment->member_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (uk_name_order(assignment->members[middle]->node.name, instance->node.name) < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

void uk_group_assignment_join(struct uk_groups *groups, struct uk_group_assignment *assignment,
                              struct uk_group_instance *instance)
{
  size_t at = index_of(assignment, instance);
  memmove(&assignment->members[at + 1], &assignment->members[at],
          (assignment->member_count - at) * sizeof *assignment->members);
  assignment->members[at] = instance;
  assignment->member_count++;
  uk_group_list_rebalance(groups, assignment);
}

void uk_group_assignment_leave(struct uk_groups *groups, struct uk_group_assignment *assignment,
                               struct uk_group_instance *instance)
{
  size_t at = index_of(assignment, instance);
  assignment->member_count--;
  memmove(&assignment->members[at], &assignment->members[at + 1],
          (assignment->member_count - at) * sizeof *assignment->members);
  uk_group_list_rebalance(groups, assignment);
}

/* Rebalancing. */

static void set_target(struct uk_group_partition *partition, struct uk_group_instance *target)
{
  if (partition->target == target)
    return;
  if (uk_group_partition_leaving(partition))
    partition->owner->leaving--;
  partition->target = target;
  if (uk_group_partition_leaving(partition))
    partition->owner->leaving++;
}

/* Sets the targets, by range. */
static void retarget(struct uk_group_assignment *assignment)
{
  size_t members = assignment->member_count, count = (size_t)assignment->count, at = 0;
  for (size_t m = 0; m < members && at < count; m++) {
    size_t range = count / members + (m < count % members ? 1 : 0);
    for (; range > 0; range--)
      set_target(&assignment->partitions[at++], assignment->members[m]);
  }
  while (at < count)
    set_target(&assignment->partitions[at++], NULL);
}

/* An owner with auto-commit hands its position to the next one, since its commit may still be under
 * way. Otherwise the group's committed offset counts, once the commits that are under way are
 * done. */
static void release(struct uk_group_partition *partition)
{
  bool continues =
    partition->owner->settings.auto_commit && uk_progress_continues(&partition->progress);
  uk_group_partition_disown(partition);
  if (continues)
    uk_progress_take_back(&partition->progress);
  else
    uk_group_position_forget(partition);
}

static void assign(struct uk_groups *groups, struct uk_group_partition *partition)
{
  struct uk_group_instance *owner = partition->target;
  uk_group_partition_own(partition, owner);
  uk_group_position_start(groups, partition);
  owner->dirty |= uk_progress_is_dirty(&partition->progress);
  if (owner->activity == UK_GROUP_PARKED)
    uk_group_list_read(groups, owner);
  uk_group_instance_arm(groups, owner);
}

static void move(struct uk_groups *groups, struct uk_group_partition *partition)
{
  struct uk_group_instance *owner = partition->owner;
  if (owner == partition->target)
    return;
  if (owner != NULL) {
    if (uk_progress_in_flight(&partition->progress) || uk_group_instance_is_busy(owner))
      return;
    if (uk_progress_is_dirty(&partition->progress) && owner->settings.auto_commit)
      uk_group_commit_delivered(groups, owner, NULL);
    release(partition);
  }
  if (partition->target != NULL)
    assign(groups, partition);
}

void uk_group_rebalance(struct uk_groups *groups)
{
  struct uk_group_assignment *assignment;
  while ((assignment = UK_LIST_TAKE(&groups->to_rebalance, struct uk_group_assignment,
                                    to_rebalance)) != NULL) {
    /* Without memory the partitions that are known are assigned; the next rebalance tries again. */
    resize(assignment);
    retarget(assignment);
    for (int32_t i = 0; i < assignment->count; i++)
      move(groups, &assignment->partitions[i]);
    if (assignment->member_count == 0 && assignment->owned == 0 && assignment->reads == 0)
      free_assignment(groups, assignment);
  }
}

void uk_group_release_leaving(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_group_rebalance(groups); /* a target may be an instance that is gone */
  if (instance->leaving == 0)
    return;
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--) {
    struct uk_group_partition *next = partition->next;
    if (uk_group_partition_leaving(partition) && !uk_progress_in_flight(&partition->progress)) {
      if (partition->assignment->member_count == 0)
        uk_group_list_rebalance(groups, partition->assignment);
      move(groups, partition);
    }
    partition = next;
  }
}

void uk_group_release_all(struct uk_groups *groups, struct uk_group_instance *instance)
{
  while (instance->cursor != NULL) {
    uk_group_list_rebalance(groups, instance->cursor->assignment);
    release(instance->cursor);
  }
}
