/* group_request: the pending requests of one instance, served one after another. */
#ifndef UK_GROUP_REQUEST_H
#define UK_GROUP_REQUEST_H

#include "server/groups/group_state.h"

/* Queues the operation; uk_group_requests_start starts it. False when memory is out: the operation
 * is not ended. */
bool uk_group_request_add(struct uk_groups *groups, struct uk_group_instance *instance,
                          struct uk_consume *operation);

/* Starts the first request, unless it is being served already: applies what it says about the
 * outstanding batch, commits what it commits, and lists the instance for reading; or it waits until
 * it is known what became of the last response. A request that cannot start ends with an error; a
 * new instance that has no other one is closed. */
void uk_group_requests_start(struct uk_groups *groups, struct uk_group_instance *instance);

/* The instance's last response may be awaited no longer: carries out what is held, and starts the
 * first request. May free the instance. */
void uk_group_resume(struct uk_groups *groups, struct uk_slice group, struct uk_slice name);

/* There is nothing to read: the first request, READING until now, waits, or ends at its
 * deadline. */
void uk_group_request_park(struct uk_groups *groups, struct uk_group_instance *instance);

/* Completes the request being served; its message is already set. Starts the next one, and carries
 * out the deletions that arrived since. May free the instance: after a deletion, and when the
 * first request of a new instance ends with an error. */
void uk_group_request_end(struct uk_groups *groups, struct uk_group_instance *instance,
                          enum uk_error error);

/* Ends the request of the operation as if its deadline had come, if there is one that waits. May
 * free the instance. */
void uk_group_request_expire(struct uk_groups *groups, struct uk_group_instance *instance,
                             const struct uk_consume *operation);

/* Ends all waiting requests as if their deadlines had come; one that is READING stays. */
void uk_group_requests_end(struct uk_groups *groups, struct uk_group_instance *instance);

/* Closes the instance for the operation, once its first request is not being served. */
void uk_group_instance_delete(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_operation *operation);

#endif
