/* kafka_catalog: the topics and brokers that the cluster last reported. For kafka_topics, which
 * holds its mutex around every call. */
#ifndef UK_KAFKA_CATALOG_H
#define UK_KAFKA_CATALOG_H

#include "server/engine/name_set.h"
#include "server/engine/name_table.h"
#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_catalog {
  struct uk_name_table table;
  struct uk_name_set forgotten; /* topics that the cluster has not reported since */
  struct uk_name_set gone;      /* topics that were known, and that the cluster then had not */
  uint64_t looks;               /* how often all topics were learned */
  bool groupless;               /* the cluster has no topic for the offsets of groups */
  int32_t brokers[UK_KAFKA_BROKERS_MAX];
  size_t broker_count;
};

/* A topic that is known. */
struct uk_kafka_topic {
  struct uk_name_node node;
  int32_t partitions;
  uint64_t seen;       /* the value of `looks` when the topic was last among all topics */
  int64_t reported_at; /* monotonic milliseconds; 0: the cluster itself has not reported it */
  int32_t *leaderless; /* partitions; NULL: none */
  int leaderless_count;
  char name[];
};

void uk_kafka_catalog_init(struct uk_kafka_catalog *catalog);
void uk_kafka_catalog_free(struct uk_kafka_catalog *catalog);

/* NULL when the topic is not known. */
struct uk_kafka_topic *uk_kafka_catalog_find(const struct uk_kafka_catalog *catalog,
                                             struct uk_slice name);

/* NULL when memory runs out: the topic is then not known, and the cluster is asked again. */
struct uk_kafka_topic *uk_kafka_catalog_keep(struct uk_kafka_catalog *catalog, struct uk_slice name,
                                             int32_t partitions);

void uk_kafka_catalog_forget(struct uk_kafka_catalog *catalog, struct uk_slice name);

/* True if the topic that is there now is not the first one of its name: see gone. */
bool uk_kafka_catalog_is_renewed(struct uk_kafka_catalog *catalog, struct uk_slice name);

/* Learns what the cluster reports of one topic. NO_ERROR with its partitions; UNKNOWN_TOPIC_OR_PART
 * if it does not exist or is internal to Kafka; otherwise what is wrong with it. */
rd_kafka_resp_err_t uk_kafka_catalog_learn(struct uk_kafka_catalog *catalog,
                                           const rd_kafka_metadata_topic_t *reported,
                                           int32_t *partitions);

/* Learns what the cluster reports of all topics; forgets those that are not among them. */
void uk_kafka_catalog_learn_all(struct uk_kafka_catalog *catalog,
                                const rd_kafka_metadata_t *reported);

void uk_kafka_catalog_learn_brokers(struct uk_kafka_catalog *catalog,
                                    const rd_kafka_metadata_t *reported);

bool uk_kafka_topic_leaderless(const struct uk_kafka_topic *topic, int32_t partition);

/* See uk_kafka_topics_each. */
bool uk_kafka_catalog_each(struct uk_kafka_catalog *catalog,
                           void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                           void *argument);

#endif
