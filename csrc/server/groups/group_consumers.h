/* group_consumers: the answer to "who consumes what". */
#ifndef UK_GROUP_CONSUMERS_H
#define UK_GROUP_CONSUMERS_H

#include "server/groups/group_state.h"

/* Calls `owned` as engine.h says. False, with nothing called, when memory is out. */
bool uk_group_list_consumers(struct uk_groups *groups, struct uk_consumers *operation);

#endif
