/* kafka_instance_serve: what an instance with partitions does: it renews its lease, commits, is
 * deleted, and delivers. */
#ifndef UK_KAFKA_INSTANCE_SERVE_H
#define UK_KAFKA_INSTANCE_SERVE_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* A step of an instance that serves. True when the state that it leads to has something to do at
 * once. */
bool uk_kafka_instance_serve(struct uk_kafka_instance *instance, int64_t now);

/* True while records wait only for the coordinator's confirmation. */
bool uk_kafka_instance_awaits_lease(const struct uk_kafka_instance *instance, int64_t now);

#endif
