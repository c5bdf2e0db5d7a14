/* group_topic: the topics that groups read, as the log has them now. */
#ifndef UK_GROUP_TOPIC_H
#define UK_GROUP_TOPIC_H

#include "server/groups/group_state.h"

/* Compares the topic with the log. When it changed, its assignments are listed for a rebalance.
 * NULL when no group reads it. */
struct uk_group_topic *uk_group_topic_refresh(struct uk_groups *groups, struct uk_slice name);

/* The number of partitions of a topic, whether or not a group reads it; 0 when it does not
 * exist. */
int32_t uk_group_topic_partitions(struct uk_groups *groups, struct uk_slice name);

/* Returns the topic, creating it if necessary. NULL when memory is out. The caller frees one that
 * stays without assignments. */
struct uk_group_topic *uk_group_topic_get(struct uk_groups *groups, struct uk_slice name);
void uk_group_topic_free_unused(struct uk_groups *groups, struct uk_group_topic *topic);

#endif
