/* group_topic: the topics that groups read, as the log has them now. */
#ifndef UK_GROUP_TOPIC_H
#define UK_GROUP_TOPIC_H

#include "server/groups/group_state.h"

/* The topic with what the log says of it now (assignments are told of a change), or NULL when no group reads it. */
struct uk_group_topic *uk_group_topic_refresh(struct uk_groups *groups, struct uk_slice name);

/* Partitions of a topic, whether a group reads it or not; 0 when there is none of that name. */
int32_t uk_group_topic_partitions(struct uk_groups *groups, struct uk_slice name);

/* The topic, new or not. NULL when memory is out. One without assignments is the caller's to free. */
struct uk_group_topic *uk_group_topic_get(struct uk_groups *groups, struct uk_slice name);
void uk_group_topic_free_unused(struct uk_groups *groups, struct uk_group_topic *topic);

#endif
