/* kafka_catalog: the topics and brokers of the cluster, as it last said. For kafka_topics, which holds its mutex around
 * every call. */
#ifndef UK_KAFKA_CATALOG_H
#define UK_KAFKA_CATALOG_H

#include "server/engine/name_table.h"
#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_catalog {
  struct uk_name_table table;
  uint64_t looks; /* at all topics */
  bool groupless; /* there was no topic for the offsets of groups */
  int32_t brokers[UK_KAFKA_BROKERS_MAX];
  size_t broker_count;
};

/* A topic that is known. */
struct uk_kafka_topic {
  struct uk_name_node node;
  int32_t partitions;
  uint64_t seen;       /* the look at all topics that it was last part of */
  int64_t said_at;     /* monotonic milliseconds; 0 = the cluster itself has not spoken of it */
  int32_t *leaderless; /* partitions; NULL = none */
  int leaderless_count;
  char name[];
};

void uk_kafka_catalog_init(struct uk_kafka_catalog *catalog);
void uk_kafka_catalog_free(struct uk_kafka_catalog *catalog);

/* NULL: not known. */
struct uk_kafka_topic *uk_kafka_catalog_find(const struct uk_kafka_catalog *catalog,
                                             struct uk_slice name);

/* Without memory the topic is not kept, and asked for again: NULL. */
struct uk_kafka_topic *uk_kafka_catalog_keep(struct uk_kafka_catalog *catalog, struct uk_slice name,
                                             int32_t partitions);

void uk_kafka_catalog_forget(struct uk_kafka_catalog *catalog, struct uk_slice name);

/* Takes what the cluster said of one topic. NO_ERROR with its partitions, UNKNOWN_TOPIC_OR_PART for one that is not there or
 * is Kafka's own, or what is wrong. */
rd_kafka_resp_err_t uk_kafka_catalog_learn(struct uk_kafka_catalog *catalog,
                                           const rd_kafka_metadata_topic_t *said,
                                           int32_t *partitions);

/* Takes what it said of all topics; those that it left out are forgotten. */
void uk_kafka_catalog_learn_all(struct uk_kafka_catalog *catalog, const rd_kafka_metadata_t *said);

void uk_kafka_catalog_learn_brokers(struct uk_kafka_catalog *catalog,
                                    const rd_kafka_metadata_t *said);

bool uk_kafka_topic_leaderless(const struct uk_kafka_topic *topic, int32_t partition);

/* As uk_kafka_topics_each. */
bool uk_kafka_catalog_each(struct uk_kafka_catalog *catalog,
                           void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                           void *argument);

#endif
