#include "server/groups/group_assignment.h"

#include <stdlib.h>

#include "server/groups/group_commit.h"
#include "server/groups/group_instance.h"
#include "server/groups/group_position.h"
#include "server/groups/group_topic.h"
#include "server/groups/group_deferred.h"

struct uk_group_assignment *uk_group_assignment_find(struct uk_groups *groups,
                                                     struct uk_group *group, struct uk_slice topic)
{
  struct uk_name_node *node = uk_name_table_find(&groups->topics, topic);
  struct uk_group_assignment *assignment = node != NULL ? group->assignments : NULL;
  while (assignment != NULL && &assignment->topic->node != node)
    assignment = assignment->group_next;
  return assignment;
}

struct uk_group_partition *uk_group_partition_find(struct uk_groups *groups, struct uk_group *group,
                                                   struct uk_slice topic, int32_t number)
{
  struct uk_group_assignment *assignment = uk_group_assignment_find(groups, group, topic);
  bool there = assignment != NULL && number >= 0 && number < assignment->count;
  return there ? &assignment->partitions[number] : NULL;
}

/* The partitions move in memory; rings go along. */
static bool resize(struct uk_group_assignment *assignment)
{
  int32_t count = assignment->topic->partitions;
  if (assignment->count >= count)
    return true;
  struct uk_group_partition *partitions = calloc((size_t)count, sizeof(*partitions));
  if (partitions == NULL)
    return false;
  for (int32_t i = 0; i < assignment->count; i++) {
    struct uk_group_partition *old = &assignment->partitions[i], *partition = &partitions[i];
    *partition = *old;
    if (partition->owner == NULL)
      continue;
    if (partition->next == old)
      partition->next = partition->previous = partition;
    partition->next->previous = partition->previous->next = partition;
    if (partition->owner->cursor == old)
      partition->owner->cursor = partition;
  }
  for (int32_t i = assignment->count; i < count; i++) {
    partitions[i].assignment = assignment;
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
  struct uk_group_instance **members = realloc(assignment->members, room * sizeof(*members));
  if (members == NULL)
    return false;
  assignment->members = members;
  assignment->member_room = room;
  return true;
}

static void unlink_assignment(struct uk_group_assignment *assignment)
{
  if (assignment->topic_previous != NULL)
    assignment->topic_previous->topic_next = assignment->topic_next;
  else
    assignment->topic->assignments = assignment->topic_next;
  if (assignment->topic_next != NULL)
    assignment->topic_next->topic_previous = assignment->topic_previous;
  if (assignment->group_previous != NULL)
    assignment->group_previous->group_next = assignment->group_next;
  else
    assignment->group->assignments = assignment->group_next;
  if (assignment->group_next != NULL)
    assignment->group_next->group_previous = assignment->group_previous;
}

static void link_assignment(struct uk_group_assignment *assignment)
{
  assignment->topic_next = assignment->topic->assignments;
  if (assignment->topic_next != NULL)
    assignment->topic_next->topic_previous = assignment;
  assignment->topic->assignments = assignment;
  assignment->group_next = assignment->group->assignments;
  if (assignment->group_next != NULL)
    assignment->group_next->group_previous = assignment;
  assignment->group->assignments = assignment;
}

static struct uk_group_assignment *make_assignment(struct uk_group *group,
                                                   struct uk_group_topic *topic)
{
  struct uk_group_assignment *assignment = calloc(1, sizeof(*assignment));
  if (assignment == NULL)
    return NULL;
  assignment->group = group;
  assignment->topic = topic;
  if (!resize(assignment)) {
    free(assignment);
    return NULL;
  }
  link_assignment(assignment);
  return assignment;
}

static void free_assignment(struct uk_groups *groups, struct uk_group_assignment *assignment)
{
  struct uk_group *group = assignment->group;
  unlink_assignment(assignment);
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
    uk_group_assignment_mark(groups, assignment);
  }
  return make_room(assignment) ? assignment : NULL;
}

/* Where the instance stands, or would stand, among the members. */
static size_t place_of(const struct uk_group_assignment *assignment,
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
  size_t at = place_of(assignment, instance);
  memmove(&assignment->members[at + 1], &assignment->members[at],
          (assignment->member_count - at) * sizeof(*assignment->members));
  assignment->members[at] = instance;
  assignment->member_count++;
  uk_group_assignment_mark(groups, assignment);
}

void uk_group_assignment_leave(struct uk_groups *groups, struct uk_group_assignment *assignment,
                               struct uk_group_instance *instance)
{
  size_t at = place_of(assignment, instance);
  assignment->member_count--;
  memmove(&assignment->members[at], &assignment->members[at + 1],
          (assignment->member_count - at) * sizeof(*assignment->members));
  uk_group_assignment_mark(groups, assignment);
}

void uk_group_assignment_mark(struct uk_groups *groups, struct uk_group_assignment *assignment)
{
  if (assignment->dirty)
    return;
  assignment->dirty = true;
  assignment->dirty_next = groups->dirty;
  groups->dirty = assignment;
}

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

/* Who is to have what, by range. */
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

static void add_to_ring(struct uk_group_partition *partition, struct uk_group_instance *owner)
{
  if (owner->cursor == NULL) {
    owner->cursor = partition->next = partition->previous = partition;
  } else {
    partition->next = owner->cursor;
    partition->previous = owner->cursor->previous;
    partition->next->previous = partition->previous->next = partition;
  }
  partition->owner = owner;
  owner->owned++;
  partition->assignment->owned++;
}

static void take_from_ring(struct uk_group_partition *partition)
{
  struct uk_group_instance *owner = partition->owner;
  if (uk_group_partition_leaving(partition))
    owner->leaving--;
  if (owner->cursor == partition)
    owner->cursor = partition->next == partition ? NULL : partition->next;
  partition->next->previous = partition->previous;
  partition->previous->next = partition->next;
  partition->owner = NULL;
  owner->owned--;
  partition->assignment->owned--;
}

/* Where the next owner starts: an owner that commits by itself hands its position on, since its commit may still be
 * under way; for one that commits explicitly the group's committed offset counts, as soon as the commits of now are done. */
static void release(struct uk_group_partition *partition)
{
  bool keep = partition->owner->settings.auto_commit && partition->delivered != UK_GROUP_UNKNOWN &&
              (!partition->overridden || uk_group_partition_dirty(partition));
  take_from_ring(partition);
  if (keep)
    partition->position = partition->delivered;
  else
    uk_group_position_forget(partition);
}

static void assign(struct uk_groups *groups, struct uk_group_partition *partition)
{
  struct uk_group_instance *owner = partition->target;
  add_to_ring(partition, owner);
  uk_group_position_start(groups, partition);
  owner->dirty |= uk_group_partition_dirty(partition);
  if (owner->activity == UK_GROUP_PARKED)
    uk_group_queue_read(groups, owner);
  uk_group_instance_arm(groups, owner);
}

static void move(struct uk_groups *groups, struct uk_group_partition *partition)
{
  if (partition->owner == partition->target)
    return;
  if (partition->owner != NULL) {
    if (uk_group_partition_in_flight(partition) || partition->owner->activity == UK_GROUP_READING)
      return;
    if (uk_group_partition_dirty(partition) && partition->owner->settings.auto_commit)
      uk_group_commit_delivered(groups, partition->owner, NULL);
    release(partition);
  }
  if (partition->target != NULL)
    assign(groups, partition);
}

void uk_group_rebalance(struct uk_groups *groups)
{
  while (groups->dirty != NULL) {
    struct uk_group_assignment *assignment = groups->dirty;
    groups->dirty = assignment->dirty_next;
    assignment->dirty = false;
    resize(
      assignment); /* without memory the partitions there were are shared; a later change or request tries again */
    retarget(assignment);
    for (int32_t i = 0; i < assignment->count; i++)
      move(groups, &assignment->partitions[i]);
    if (assignment->member_count == 0 && assignment->owned == 0)
      free_assignment(groups, assignment);
  }
}

void uk_group_assignment_forget(struct uk_group_assignment *assignment)
{
  for (int32_t i = 0; i < assignment->count; i++) {
    if (assignment->partitions[i].owner != NULL)
      take_from_ring(&assignment->partitions[i]);
  }
  free(assignment->partitions);
  assignment->partitions = NULL;
  assignment->count = 0;
}

void uk_group_release_leaving(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_group_rebalance(groups); /* a target may be an instance that is gone */
  if (instance->leaving == 0 || instance->activity == UK_GROUP_READING)
    return;
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--) {
    struct uk_group_partition *next = partition->next;
    if (uk_group_partition_leaving(partition) && !uk_group_partition_in_flight(partition)) {
      if (partition->assignment->member_count == 0)
        uk_group_assignment_mark(groups, partition->assignment);
      move(groups, partition);
    }
    partition = next;
  }
}

void uk_group_release_all(struct uk_groups *groups, struct uk_group_instance *instance)
{
  while (instance->cursor != NULL) {
    uk_group_assignment_mark(groups, instance->cursor->assignment);
    release(instance->cursor);
  }
}
