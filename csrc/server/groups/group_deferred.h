/* group_deferred: the lock of groups, and the work that is left until it is released.
 *
 * Every call of groups.h is uk_group_enter, bookkeeping, uk_group_leave. The bookkeeping only lists
 * what must not happen under the lock (group_lists.h). uk_group_leave does all of it before it
 * returns, with one exception: while another thread hands commits to the log, it leaves its own to
 * that thread. Commits thus keep the order in which they were listed, and an older position never
 * overwrites a newer one. */
#ifndef UK_GROUP_DEFERRED_H
#define UK_GROUP_DEFERRED_H

#include "server/groups/group_state.h"

/* Takes the lock, and runs the timers that are due. */
void uk_group_enter(struct uk_groups *groups, int64_t now);

/* Rebalances, releases the lock, and does what was listed. The caller may touch nothing that was
 * listed. */
void uk_group_leave(struct uk_groups *groups);

#endif
