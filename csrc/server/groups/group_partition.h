/* group_partition: the partitions of an assignment, and the ring of those that one instance
 * owns. */
#ifndef UK_GROUP_PARTITION_H
#define UK_GROUP_PARTITION_H

#include "server/groups/group_state.h"

/* NULL when the group does not read the topic. */
struct uk_group_assignment *uk_group_assignment_find(struct uk_groups *groups,
                                                     struct uk_group *group, struct uk_slice topic);
/* Also NULL when the topic has no partition of that number. */
struct uk_group_partition *uk_group_partition_find(struct uk_groups *groups, struct uk_group *group,
                                                   struct uk_slice topic, int32_t number);

/* Adds it at the end of the owner's ring. */
void uk_group_partition_own(struct uk_group_partition *partition, struct uk_group_instance *owner);
/* Removes it from its owner's ring. */
void uk_group_partition_disown(struct uk_group_partition *partition);

/* Frees all partitions of the assignment, and with them everything that was known about them. */
void uk_group_partitions_free(struct uk_group_assignment *assignment);

static inline int32_t uk_group_partition_number(const struct uk_group_partition *partition)
{
  return (int32_t)(partition - partition->assignment->partitions);
}

/* True if its owner must release it. */
static inline bool uk_group_partition_leaving(const struct uk_group_partition *partition)
{
  return partition->owner != NULL && partition->owner != partition->target;
}

#endif
