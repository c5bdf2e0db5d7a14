/* group_request: the consumes of one instance, one after another. */
#ifndef UK_GROUP_REQUEST_H
#define UK_GROUP_REQUEST_H

#include "server/groups/group_state.h"

/* Queues the operation. False when memory is out, and the operation is not ended. Its request comes with uk_group_requests_start. */
bool uk_group_request_add(struct uk_groups *groups, struct uk_group_instance *instance,
                          struct uk_consume *operation);

/* Begins the first request, if there is one and it has not begun. A new instance whose only request cannot begin is closed. */
void uk_group_requests_start(struct uk_groups *groups, struct uk_group_instance *instance);

/* Nothing to read: the first request, READING until now, waits, or ends when its time is over. */
void uk_group_request_park(struct uk_groups *groups, struct uk_group_instance *instance);

/* The first request, begun, ends; its message is set. The next one begins, a delete that came meanwhile is carried out, an
 * instance that was only just made closes again when this is an error: `instance` may be gone afterwards. */
void uk_group_request_end(struct uk_groups *groups, struct uk_group_instance *instance,
                          enum uk_error error);

/* Ends all requests that wait, as if their time were over; one that is READING stays. */
void uk_group_requests_end(struct uk_groups *groups, struct uk_group_instance *instance);

/* Closes the instance for the operation, once no thread reads for it. */
void uk_group_instance_delete(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_operation *operation);

#endif
