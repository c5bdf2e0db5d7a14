/* kafka_reset: the answer to consumes of an instance that has no offset to start from, where its
 * reset is `none`: that nothing was committed, or which offset is out of which range. */
#ifndef UK_KAFKA_RESET_H
#define UK_KAFKA_RESET_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Fails the consumes that wait with BAD_REQUEST, at once or when the cluster has named the range.
 * `place` has the partition and the offset that cannot be used, which is negative when nothing was
 * committed; NULL: they are not known. */
void uk_kafka_reset_fail(struct uk_kafka_group_member *member,
                         const rd_kafka_topic_partition_t *place, int64_t now);

#endif
