/* group_lists: what the holder of the lock leaves to be done after it: operations that ended,
 * instances to read for, commits for the log, assignments to rebalance. group_deferred does it.
 * Also the timer of an instance, and the end of a group. */
#ifndef UK_GROUP_LISTS_H
#define UK_GROUP_LISTS_H

#include "server/groups/group_state.h"

/* Lists the operation as ended. With an error, its message is already set. */
void uk_group_finish(struct uk_groups *groups, struct uk_operation *operation, enum uk_error error);

/* Lists the instance, whose first request this thread then serves. It is READING from now on. */
void uk_group_list_read(struct uk_groups *groups, struct uk_group_instance *instance);

/* Numbers the commit, which belongs to the group until it is done, and lists it for the log. */
void uk_group_list_commit(struct uk_groups *groups, struct uk_group *group,
                          struct uk_group_commit *commit);

/* uk_group_rebalance assigns its partitions again, or frees it. */
void uk_group_list_rebalance(struct uk_groups *groups, struct uk_group_assignment *assignment);

/* Sets the instance's timer. Call it when the last request ends, when one comes, and when an
 * auto-commit may have become due. */
void uk_group_instance_arm(struct uk_groups *groups, struct uk_group_instance *instance);

/* Frees the group when nothing is left in it. */
void uk_group_free_unused(struct uk_groups *groups, struct uk_group *group);

#endif
