/* kafka_reset: what consumes are answered where an instance has no place to start from and its reset is
 * `none`: that nothing was committed, or what was, and the range of offsets that it is out of. */
#ifndef UK_KAFKA_RESET_H
#define UK_KAFKA_RESET_H

#include "server/kafka_engine/group/kafka_instance.h"

/* Fails the consumes that wait with BAD_REQUEST: at once, or once the cluster has said what the range is. `place` has
 * the partition and the offset that cannot be used, negative when nothing was committed; NULL: not known. */
void uk_kafka_instance_fail_reset(struct uk_kafka_instance *instance,
                                  const rd_kafka_topic_partition_t *place);

#endif
