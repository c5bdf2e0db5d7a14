/* kafka_instance_partitions: the partitions of an instance, as its group gives and revokes them. */
#ifndef UK_KAFKA_INSTANCE_PARTITIONS_H
#define UK_KAFKA_INSTANCE_PARTITIONS_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* Carries out a rebalance. The instance then serves, waits for a handover, leaves or is lost. */
void uk_kafka_instance_partitions_rebalance(struct uk_kafka_instance *instance,
                                            rd_kafka_event_t *event, int64_t now);

/* Takes the partitions once it is known where they start. False while that is not so. */
bool uk_kafka_instance_partitions_handover(struct uk_kafka_instance *instance, int64_t now);

/* Forgets what the group had before this server took the instance over. */
void uk_kafka_instance_partitions_forget_group(struct uk_kafka_instance *instance);

#endif
