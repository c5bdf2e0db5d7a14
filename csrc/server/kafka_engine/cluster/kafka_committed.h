/* kafka_committed: asks the cluster what a group has committed.
 *
 * It uses consumers that have the group's name and do not join it. librdkafka's own request for the
 * offsets of any group (ListConsumerGroupOffsets, at least in 2.0.2) ends the process when the
 * coordinator moves or does not exist yet. */
#ifndef UK_KAFKA_COMMITTED_H
#define UK_KAFKA_COMMITTED_H

#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/rd/kafka_blocking.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

struct uk_kafka_committed;

struct uk_kafka_committed_parts {
  const struct uk_kafka_settings *settings;
  struct uk_kafka_topics *topics;
  struct uk_kafka_blocking *blocking, *group_blocking; /* for operations, and for instances */
  struct uk_kafka_reaper *reaper;
};

struct uk_kafka_committed *uk_kafka_committed_new(const struct uk_kafka_committed_parts *parts);
void uk_kafka_committed_ask(struct uk_kafka_committed *committed, struct uk_committed *operation);

/* What a group has committed for each partition of a list, with the metadata. */
struct uk_kafka_committed_query {
  struct uk_kafka_work work; /* the caller sets its deadline and `then` */
  char group[UK_GROUP_NAME_MAX + 1];
  rd_kafka_topic_partition_list_t *list; /* each partition once; filled if there is no error */
  struct uk_kafka_committed *committed;  /* its own */
};
void uk_kafka_committed_read(struct uk_kafka_committed *committed,
                             struct uk_kafka_committed_query *query);

/* Precondition: no operation is pending. */
void uk_kafka_committed_free(struct uk_kafka_committed *committed);

#endif
