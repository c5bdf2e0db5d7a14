/* kafka_instance: one consumer instance of a group that this server has.
 *
 * The instance asks the coordinator whether another server has it, joins its group under its name,
 * delivers records, and ends: by a deletion, by silence, because another server takes it over, or
 * with this server. */
#ifndef UK_KAFKA_INSTANCE_H
#define UK_KAFKA_INSTANCE_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* NULL: memory is out. `ended` as in uk_kafka_group_member_init. */
struct uk_kafka_group_member *uk_kafka_instance_new(struct uk_kafka_groups *groups,
                                                    struct uk_slice group, struct uk_slice name,
                                                    const struct uk_consumer_settings *settings,
                                                    void (*ended)(struct uk_kafka_task *task));
void uk_kafka_instance_free(struct uk_kafka_group_member *member);

/* The response with this delivery was written, in full or not. Under the mutex of the groups. */
void uk_kafka_instance_response_finished(struct uk_kafka_group_member *member, uint64_t delivery,
                                         enum uk_response_outcome outcome);

#endif
