/* group_deferred: the lock of groups, and what its holder leaves to be done after it.
 *
 * Every entrance goes uk_group_enter, bookkeeping, uk_group_leave. The bookkeeping only lists what must not happen under
 * the lock: instances whose request to read has come, operations that ended, commits for the log. uk_group_leave does it
 * all before it returns, but for commits while another thread is already handing some over: those keep the order in
 * which they were listed, so that an older position never overwrites a newer one. */
#ifndef UK_GROUP_DEFERRED_H
#define UK_GROUP_DEFERRED_H

#include "server/groups/group_state.h"

/* Takes the lock and does what the time asks for. */
void uk_group_enter(struct uk_groups *groups, int64_t now);

/* Settles assignments, releases the lock, does what was listed. Nothing that was listed may be touched after. */
void uk_group_leave(struct uk_groups *groups);

/* Lists the operation as ended. What goes with an error is in its message already. */
void uk_group_finish(struct uk_groups *groups, struct uk_operation *operation, enum uk_error error);

/* Lists the first request of an instance to be read for, by this thread; the instance is READING from now on. */
void uk_group_queue_read(struct uk_groups *groups, struct uk_group_instance *instance);

void uk_group_queue_commit(struct uk_groups *groups, struct uk_group_commit *commit);

#endif
