/* group_consumers: lists the live instances and their partitions. */
#ifndef UK_GROUP_CONSUMERS_H
#define UK_GROUP_CONSUMERS_H

#include "server/groups/group_state.h"

/* Calls `owned` as engine.h describes. False, without a call, when memory is out. */
bool uk_group_list_consumers(struct uk_groups *groups, struct uk_consumers *operation);

#endif
