/* group_read: the records of one request, from plan to delivery. */
#ifndef UK_GROUP_READ_H
#define UK_GROUP_READ_H

#include "server/groups/group_state.h"

/* For an instance that is READING: delivers what is there, or lets the request wait. Called with the lock, which it gives
 * up while it reads and holds again when it returns; `instance` may be gone then. */
void uk_group_read(struct uk_groups *groups, struct uk_group_instance *instance);

#endif
