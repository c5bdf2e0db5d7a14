/* kafka_check: whether the topics and partitions that an operation names are there: first from memory, then by asking
 * the cluster. */
#ifndef UK_KAFKA_CHECK_H
#define UK_KAFKA_CHECK_H

#include "server/kafka_engine/cluster/kafka_places.h"
#include "server/kafka_engine/cluster/kafka_topics.h"

struct uk_kafka_check {
  /* The caller's. */
  struct uk_operation *operation;
  struct uk_kafka_places places;
  void (*then)(struct uk_kafka_check *check);
  bool index_shown; /* an error says "[INDEX]: " in front */
  bool changes; /* the operation changes something, which it has not done when the check fails: what
                   was not known in time is UNAVAILABLE */
  /* NULL, or how a topic that is not there is created: uk_kafka_check_created is called when that is done. */
  void (*create)(void *context, struct uk_kafka_check *check, struct uk_slice topic);
  void *create_context;
  /* Its own. */
  struct uk_kafka_topics *topics;
  struct uk_kafka_topic_query query;
  size_t index;
};

/* Sets the outcome of the operation, then calls `then` once: before it returns, or later from another thread. UK_OK, or
 * NOT_FOUND, BAD_REQUEST (no such partition), FORBIDDEN, UNAVAILABLE, GATEWAY_TIMEOUT. An operation with no time left is
 * given a second to hear of topics that are not in memory. */
void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check);

/* For `create`: the outcome is in the operation; with UK_OK the topic is there, and in memory. */
void uk_kafka_check_created(struct uk_kafka_check *check);

#endif
