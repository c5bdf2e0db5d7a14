#include "server/groups/group_partition.h"

#include <stdlib.h>

struct uk_group_assignment *uk_group_assignment_find(struct uk_groups *groups,
                                                     struct uk_group *group, struct uk_slice topic)
{
  struct uk_name_node *node = uk_name_table_find(&groups->topics, topic);
  struct uk_group_assignment *assignment = node != NULL ? uk_group_next(group, NULL) : NULL;
  while (assignment != NULL && &assignment->topic->node != node)
    assignment = uk_group_next(group, assignment);
  return assignment;
}

struct uk_group_partition *uk_group_partition_find(struct uk_groups *groups, struct uk_group *group,
                                                   struct uk_slice topic, int32_t number)
{
  struct uk_group_assignment *assignment = uk_group_assignment_find(groups, group, topic);
  bool exists = assignment != NULL && number >= 0 && number < assignment->count;
  return exists ? &assignment->partitions[number] : NULL;
}

void uk_group_partition_own(struct uk_group_partition *partition, struct uk_group_instance *owner)
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

void uk_group_partition_disown(struct uk_group_partition *partition)
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

void uk_group_partitions_free(struct uk_group_assignment *assignment)
{
  for (int32_t i = 0; i < assignment->count; i++) {
    assignment->renewed |= assignment->partitions[i].progress.committable;
    if (assignment->partitions[i].owner != NULL)
      uk_group_partition_disown(&assignment->partitions[i]);
  }
  free(assignment->partitions);
  assignment->partitions = NULL;
  assignment->count = 0;
}
