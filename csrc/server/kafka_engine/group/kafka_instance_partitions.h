/* kafka_instance_partitions: the partitions of an instance, as its group gives and revokes them.
 *
 * If they are revoked while the client has a batch in hand, the instance keeps them until the batch
 * is acknowledged and what its requests commit is answered, so that the next owner starts after it.
 * The group waits that long, and takes commits meanwhile. Nothing new is delivered. A client that
 * takes longer than a second, or that did not get its response, is not waited for; neither is one
 * of an instance that has lost its partitions, that leaves, or whose server stops. */
#ifndef UK_KAFKA_INSTANCE_PARTITIONS_H
#define UK_KAFKA_INSTANCE_PARTITIONS_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* Carries out a rebalance. The instance then serves, waits for a handover, leaves or is lost. */
void uk_kafka_instance_partitions_rebalance(struct uk_kafka_instance *instance,
                                            rd_kafka_event_t *event, int64_t now);

/* Answers a revocation that waits, if it need not wait any longer. If the group has forgotten the
 * member meanwhile, the instance is lost instead. False: none waits, or it still has to. */
bool uk_kafka_instance_partitions_yield(struct uk_kafka_instance *instance, int64_t now);

/* Takes the partitions once it is known where they start. False while that is not so. */
bool uk_kafka_instance_partitions_handover(struct uk_kafka_instance *instance, int64_t now);

/* Forgets what the group had before this server took the instance over. */
void uk_kafka_instance_partitions_forget_group(struct uk_kafka_instance *instance);

#endif
