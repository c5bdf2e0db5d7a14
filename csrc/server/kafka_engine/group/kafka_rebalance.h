/* kafka_rebalance: the partitions that an instance has, and how far it is in each; kept over rebalances. */
#ifndef UK_KAFKA_REBALANCE_H
#define UK_KAFKA_REBALANCE_H

#include "server/kafka_engine/group/kafka_instance.h"

/* Serves a rebalance. */
void uk_kafka_instance_rebalance(struct uk_kafka_instance *instance, rd_kafka_event_t *event);
/* Begins with the partitions that it was given, once what is noted of them is known. */
void uk_kafka_instance_receive(struct uk_kafka_instance *instance);
/* NULL when it has not that partition. */
struct uk_kafka_assigned_partition *uk_kafka_instance_partition(struct uk_kafka_instance *instance,
                                                                const char *topic, int32_t number);

#endif
