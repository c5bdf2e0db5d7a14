/* kafka_reset: answers consumes of an instance whose reset is `none` and that has no offset to
 * start from: nothing was committed, or the committed offset is out of range. */
#ifndef UK_KAFKA_RESET_H
#define UK_KAFKA_RESET_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Fails the pending consumes with BAD_REQUEST, at once or when the cluster has reported the range.
 * `place` has the partition and the unusable offset, which is negative when nothing was committed;
 * NULL: they are not known. */
void uk_kafka_reset_fail(struct uk_kafka_group_member *member,
                         const rd_kafka_topic_partition_t *place, int64_t now);

#endif
