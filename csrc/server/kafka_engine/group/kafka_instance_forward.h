/* kafka_instance_forward: commits that move none back: those that a consume carries, and those of a
 * batch that a request acknowledges with Kafka-Commit. A request with one is `due` until the group
 * has it, and goes on only then.
 *
 * What the group has committed is known for the partitions of this instance: no other member
 * commits for them unless a client asks it to. Otherwise it is read first. The coordinator says
 * which partitions other members hold. If the group rebalances in the meantime, it refuses the
 * commit, because it is of an earlier generation, and everything is asked again. */
#ifndef UK_KAFKA_INSTANCE_FORWARD_H
#define UK_KAFKA_INSTANCE_FORWARD_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* Sends the commits of requests that wait, one after another. */
void uk_kafka_instance_forward_send(struct uk_kafka_instance *instance, int64_t now);

/* Takes the group's answer to a commit. False: another server has the instance. */
bool uk_kafka_instance_forward_answered(struct uk_kafka_instance *instance, rd_kafka_event_t *event,
                                        int64_t now);

/* Forgets what was asked: the group rebalances, or the instance ends. */
void uk_kafka_instance_forward_forget(struct uk_kafka_instance *instance);

#endif
