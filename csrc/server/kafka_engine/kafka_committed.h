/* kafka_committed: asks the cluster what a group has committed.
 *
 * Through consumers that have the group's name and join nothing. librdkafka's own request for any group's offsets
 * (ListConsumerGroupOffsets, at least in 2.0.2) ends the process when the coordinator moves or is not there yet. */
#ifndef UK_KAFKA_COMMITTED_H
#define UK_KAFKA_COMMITTED_H

#include "server/kafka_engine/kafka_calls.h"
#include "server/kafka_engine/kafka_reaper.h"
#include "server/kafka_engine/kafka_settings.h"
#include "server/kafka_engine/kafka_topics.h"

struct uk_kafka_committed;

struct uk_kafka_committed_parts {
  const struct uk_kafka_settings *settings;
  struct uk_kafka_topics *topics;
  struct uk_kafka_calls *calls;
  struct uk_kafka_reaper *reaper;
};

struct uk_kafka_committed *uk_kafka_committed_new(const struct uk_kafka_committed_parts *parts);
void uk_kafka_committed_ask(struct uk_kafka_committed *committed, struct uk_committed *operation);
/* With no operation in its hands. */
void uk_kafka_committed_free(struct uk_kafka_committed *committed);

#endif
