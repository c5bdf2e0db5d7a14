/* kafka_instance_serve: what an instance with partitions does: it renews its lease, commits, is
 * deleted, and delivers. */
#ifndef UK_KAFKA_INSTANCE_SERVE_H
#define UK_KAFKA_INSTANCE_SERVE_H

#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_instance_state.h"

/* A step of an instance that serves. True when the state that it leads to has something to do at
 * once. */
bool uk_kafka_instance_serve(struct uk_kafka_instance *instance, int64_t now);

/* For consumes whose time has come. An instance that another server had has a grace until each
 * partition has been read from: behind a proxy that sends every request to another server, polls
 * that are shorter than a takeover would otherwise find nothing for ever. */
enum uk_kafka_grace uk_kafka_instance_grace(const struct uk_kafka_instance *instance, int64_t now);

#endif
