/* kafka_instance_leave: the way of an instance out of its group. */
#ifndef UK_KAFKA_INSTANCE_LEAVE_H
#define UK_KAFKA_INSTANCE_LEAVE_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* Begins to leave. True, as for a step: there is something to do at once. */
bool uk_kafka_instance_leave(struct uk_kafka_instance *instance, int64_t now);

/* The same, if nothing was asked of the instance for a session and nothing waits; false if not. */
bool uk_kafka_instance_leave_if_silent(struct uk_kafka_instance *instance, int64_t now);

#endif
