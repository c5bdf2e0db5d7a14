/* group_assignment: a topic as one group reads it: which instances subscribe, which one owns which
 * partition, and how partitions move from one owner to the next.
 *
 * Partitions are assigned by range: the subscribers are sorted by name, each gets a contiguous
 * range, and the first ones get one more. An owner releases a partition at once, unless records
 * of it are in flight to its client or a thread is reading for it. */
#ifndef UK_GROUP_ASSIGNMENT_H
#define UK_GROUP_ASSIGNMENT_H

#include "server/groups/group_state.h"

/* Returns the assignment, creating it if necessary, with room for one more member. NULL when memory
 * is out. The next uk_group_rebalance frees one that stays without members. */
struct uk_group_assignment *uk_group_assignment_get(struct uk_groups *groups,
                                                    struct uk_group *group, struct uk_slice topic);

/* Neither fails after uk_group_assignment_get. Both list the assignment for a rebalance. */
void uk_group_assignment_join(struct uk_groups *groups, struct uk_group_assignment *assignment,
                              struct uk_group_instance *instance);
void uk_group_assignment_leave(struct uk_groups *groups, struct uk_group_assignment *assignment,
                               struct uk_group_instance *instance);

/* Assigns the partitions of the listed assignments. */
void uk_group_rebalance(struct uk_groups *groups);

/* Hands over the partitions that the instance must lose and can release now. */
void uk_group_release_leaving(struct uk_groups *groups, struct uk_group_instance *instance);

/* Takes all partitions from an instance that ends. Its next owner delivers again what is in flight
 * to its client. */
void uk_group_release_all(struct uk_groups *groups, struct uk_group_instance *instance);

#endif
