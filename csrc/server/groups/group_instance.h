/* group_instance: the life of a consumer instance and of its group. */
#ifndef UK_GROUP_INSTANCE_H
#define UK_GROUP_INSTANCE_H

#include "server/groups/group_state.h"

/* NULL when there is none. */
struct uk_group_instance *uk_group_instance_find(struct uk_groups *groups, struct uk_slice group,
                                                 struct uk_slice instance);

/* A new instance for the operation, without a subscription yet. On an error (TOO_MANY, BAD_REQUEST for a name that is
 * too long, NOT_FOUND for a topic, NO_MEMORY) the operation has the message. */
enum uk_error uk_group_instance_open(struct uk_groups *groups, struct uk_consume *operation,
                                     struct uk_group_instance **instance);

/* Makes the operation's topics the subscription, all or none. On an error the operation has the message. */
enum uk_error uk_group_subscribe(struct uk_groups *groups, struct uk_group_instance *instance,
                                 struct uk_consume *operation);

/* A request of the instance has come: what was delivered before has delivered. */
void uk_group_acknowledge(struct uk_groups *groups, struct uk_group_instance *instance);

/* Drops what belonged to topics that are gone, so that a commit of the rest is not refused for their sake. */
void uk_group_refresh_topics(struct uk_groups *groups, struct uk_group_instance *instance);

/* Commits by itself if it is time. */
void uk_group_instance_auto_commit(struct uk_groups *groups, struct uk_group_instance *instance);

/* Sets the timer. To be called when the last request ends, a request comes, or an auto-commit may have become due. */
void uk_group_instance_arm(struct uk_groups *groups, struct uk_group_instance *instance);

/* Frees it. No request is left; commits are on their way already. */
void uk_group_instance_close(struct uk_groups *groups, struct uk_group_instance *instance);

/* Frees the group when nothing is left in it. */
void uk_group_free_unused(struct uk_groups *groups, struct uk_group *group);

#endif
