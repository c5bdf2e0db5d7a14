/* api_group: whether credentials that do not admit every topic may act for a group. */
#ifndef UK_API_GROUP_H
#define UK_API_GROUP_H

#include "server/api/api.h"

/* Calls `submit`, which submits request->operation, once it is known that the credentials admit
 * every topic in which the group has committed or of which its live instances hold partitions. For
 * credentials that admit all, that is at once. Otherwise it asks the engine first, and replies with
 * 403 if there is another topic, without naming it. Returns as a handler does. Precondition:
 * everything for the operation is ready. */
bool uk_api_with_group(struct uk_request *request, void (*submit)(struct uk_request *request));

#endif
