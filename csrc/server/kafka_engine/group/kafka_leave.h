/* kafka_leave: takes a member out of its group, so that others get its partitions at once. */
#ifndef UK_KAFKA_LEAVE_H
#define UK_KAFKA_LEAVE_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Begins to leave. From here on the group has a few seconds to confirm it. */
void uk_kafka_leave_begin(struct uk_kafka_group_member *member, int64_t now);

/* Takes the next steps that can be taken. True: the group has confirmed that the member has
 * left. */
bool uk_kafka_leave_continue(struct uk_kafka_group_member *member);

#endif
