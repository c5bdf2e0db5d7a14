/* group_assignment: a topic as one group reads it: who subscribes, who owns which partition, and how partitions go from
 * one to another.
 *
 * Assignment is by range: the subscribers sorted by name, contiguous ranges, one more for the first ones. An owner
 * lets go of a partition at once, unless its client has records of it in hand or a thread reads for it just now. */
#ifndef UK_GROUP_ASSIGNMENT_H
#define UK_GROUP_ASSIGNMENT_H

#include "server/groups/group_state.h"

/* NULL when the group does not read the topic. */
struct uk_group_assignment *uk_group_assignment_find(struct uk_groups *groups,
                                                     struct uk_group *group, struct uk_slice topic);
/* NULL also for a partition that the topic has not. */
struct uk_group_partition *uk_group_partition_find(struct uk_groups *groups, struct uk_group *group,
                                                   struct uk_slice topic, int32_t number);

/* The assignment, new or not, with room for one more member. NULL when memory is out. One that got no member goes with the
 * next uk_group_rebalance. */
struct uk_group_assignment *uk_group_assignment_get(struct uk_groups *groups,
                                                    struct uk_group *group, struct uk_slice topic);

/* Never fails after uk_group_assignment_get. Both mark the assignment. */
void uk_group_assignment_join(struct uk_groups *groups, struct uk_group_assignment *assignment,
                              struct uk_group_instance *instance);
void uk_group_assignment_leave(struct uk_groups *groups, struct uk_group_assignment *assignment,
                               struct uk_group_instance *instance);

/* To be assigned anew, or freed, by uk_group_rebalance. */
void uk_group_assignment_mark(struct uk_groups *groups, struct uk_group_assignment *assignment);
void uk_group_rebalance(struct uk_groups *groups);

/* The partitions are gone, and all that was known of them. */
void uk_group_assignment_forget(struct uk_group_assignment *assignment);

/* Hands on what the instance no longer is to have and can let go of. */
void uk_group_release_leaving(struct uk_groups *groups, struct uk_group_instance *instance);

/* Takes all partitions from an instance that is gone; what its client has in hand is for the next owner to deliver. */
void uk_group_release_all(struct uk_groups *groups, struct uk_group_instance *instance);

#endif
