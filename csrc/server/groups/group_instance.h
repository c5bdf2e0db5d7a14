/* group_instance: the life of a consumer instance and of its group. */
#ifndef UK_GROUP_INSTANCE_H
#define UK_GROUP_INSTANCE_H

#include "server/groups/group_state.h"

/* NULL when there is none. */
struct uk_group_instance *uk_group_instance_find(struct uk_groups *groups, struct uk_slice group,
                                                 struct uk_slice instance);

/* Creates an instance for the operation, without a subscription. On an error (TOO_MANY, BAD_REQUEST
 * for a name that is too long, NOT_FOUND for a topic, NO_MEMORY) the operation has the message. */
enum uk_error uk_group_instance_open(struct uk_groups *groups, struct uk_consume *operation,
                                     struct uk_group_instance **instance);

/* NOT_FOUND, with the message, unless all topics of the operation exist. */
enum uk_error uk_group_check_topics(struct uk_groups *groups, struct uk_consume *operation);

/* Subscribes to the operation's topics, which exist; all, or none when memory is out. */
enum uk_error uk_group_subscribe(struct uk_groups *groups, struct uk_group_instance *instance,
                                 struct uk_consume *operation);

/* Forgets the partitions of topics that are gone, or the log would refuse a commit that names
 * one. */
void uk_group_refresh_topics(struct uk_groups *groups, struct uk_group_instance *instance);

/* Commits what was delivered, if an auto-commit is due. */
void uk_group_instance_auto_commit(struct uk_groups *groups, struct uk_group_instance *instance);

/* Frees the instance. Precondition: no request is pending, and its last commit is listed. */
void uk_group_instance_close(struct uk_groups *groups, struct uk_group_instance *instance);

#endif
