/* kafka_check: checks that the topics and partitions that an operation names exist, first in
 * memory, then by asking the cluster. */
#ifndef UK_KAFKA_CHECK_H
#define UK_KAFKA_CHECK_H

#include "server/kafka_engine/cluster/kafka_places.h"
#include "server/kafka_engine/cluster/kafka_topics.h"

struct uk_kafka_check {
  /* The caller's. */
  struct uk_operation *operation;
  struct uk_kafka_places places;
  void (*then)(struct uk_kafka_check *check);
  bool index_shown; /* an error begins with "[INDEX]: " */
  bool changes;     /* an operation that changes something: a timeout is UNAVAILABLE */
  /* NULL, or a function that creates a topic that does not exist, and then calls
   * uk_kafka_check_created. */
  void (*create)(void *context, struct uk_kafka_check *check, struct uk_slice topic);
  void *create_context;
  int32_t new_partitions; /* of a topic that `create` creates; 0: not known */
  /* Its own. */
  struct uk_kafka_topics *topics;
  struct uk_kafka_topic_query query;
  size_t index;
  bool creates_nothing; /* it looks first for what would be refused after a creation */
};

/* A request for a partition that a new topic would not have creates no topic.
 *
 * Sets the outcome of the operation, then calls `then` once: before it returns, or later from
 * another thread. UK_OK, NOT_FOUND, BAD_REQUEST (no such partition), FORBIDDEN, UNAVAILABLE or
 * GATEWAY_TIMEOUT. An operation with no time left still gets a second to ask about topics that are
 * not in memory. */
void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check);

/* For `create`: the outcome is in the operation; with UK_OK the topic exists and is in memory. */
void uk_kafka_check_created(struct uk_kafka_check *check);

#endif
