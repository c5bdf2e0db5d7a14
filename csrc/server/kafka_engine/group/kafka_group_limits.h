/* kafka_group_limits: whether one more instance fits into its group and into this server. */
#ifndef UK_KAFKA_GROUP_LIMITS_H
#define UK_KAFKA_GROUP_LIMITS_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* UK_OK, or the consume is failed: a group has at most as many instances as its topics have
 * partitions, and all of them together read ahead at most prefetch_budget. The mutex is held. */
enum uk_error uk_kafka_group_limits_check(struct uk_kafka_groups *groups,
                                          struct uk_consume *consume);

#endif
