/* group_read: the records for one request: which partitions to read, reading, and what counts as
 * read then. */
#ifndef UK_GROUP_READ_H
#define UK_GROUP_READ_H

#include "server/groups/group_state.h"

/* Serves the first request of an instance that is READING: delivers the records that are there, or
 * lets the request wait. Releases the lock while it reads, and holds it again when it returns; the
 * instance may be freed then. */
void uk_group_read(struct uk_groups *groups, struct uk_group_instance *instance);

#endif
