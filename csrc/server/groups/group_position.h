/* group_position: where in a partition an owner starts, and goes on when the log has dropped what came next. */
#ifndef UK_GROUP_POSITION_H
#define UK_GROUP_POSITION_H

#include "server/groups/group_state.h"

/* Nothing is known; what is committed counts once the commits of now are done. */
void uk_group_position_forget(struct uk_group_partition *partition);

/* The partition has a new owner: notes where `latest` is, and looks the position up if that can be done now. */
void uk_group_position_start(struct uk_groups *groups, struct uk_group_partition *partition);

/* Makes the position one that can be read from, with the end that it was compared with. Stays unknown, with UK_OK,
 * while commits are under way. On an error `operation` (may be NULL) has the message. */
enum uk_error uk_group_position_locate(struct uk_groups *groups,
                                       struct uk_group_partition *partition,
                                       struct uk_operation *operation, int64_t *end);

#endif
