/* group_position: where the owner of a partition starts, and where it continues when the log has
 * removed the next records. */
#ifndef UK_GROUP_POSITION_H
#define UK_GROUP_POSITION_H

#include "server/groups/group_state.h"

/* Forgets the position. The committed offset is looked up once the commits that are under way now
 * are done. */
void uk_group_position_forget(struct uk_group_partition *partition);

/* The partition has a new owner: records where `latest` is, and looks the position up if that is
 * possible now. */
void uk_group_position_start(struct uk_groups *groups, struct uk_group_partition *partition);

/* Makes sure that the position can be read from; `*end` is the end that it was compared with. While
 * commits are under way the position stays unknown, with UK_OK. On an error `operation` (may be
 * NULL) has the message. */
enum uk_error uk_group_position_locate(struct uk_groups *groups,
                                       struct uk_group_partition *partition,
                                       struct uk_operation *operation, int64_t *end);

#endif
