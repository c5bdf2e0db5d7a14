/* kafka_group_listing: which instance holds which partitions. */
#ifndef UK_KAFKA_GROUP_LISTING_H
#define UK_KAFKA_GROUP_LISTING_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Calls `owned` of the operation for each instance and topic, in order. UK_OK or NO_MEMORY. The
 * mutex is held. */
enum uk_error uk_kafka_group_listing_write(struct uk_kafka_groups *groups,
                                           struct uk_consumers *operation);

#endif
