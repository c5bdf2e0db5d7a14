/* kafka_producer: appends records through one idempotent producer, which is replaced when it has
 * failed for good.
 *
 * A request is checked as a whole before anything is sent; after that the cluster takes or refuses
 * each record on its own (produce_outcome.h). librdkafka puts records of several requests into one
 * batch; when a batch is too large for its topic, its records are sent again one by one. */
#ifndef UK_KAFKA_PRODUCER_H
#define UK_KAFKA_PRODUCER_H

#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

struct uk_kafka_producer;

struct uk_kafka_producer_parts {
  const struct uk_kafka_settings *settings;
  struct uk_kafka_topics *topics;
  struct uk_kafka_reaper *reaper;
  /* Creates a topic that does not exist, as in uk_kafka_check; NULL: topics are not created. */
  void (*create)(void *context, struct uk_kafka_check *check, struct uk_slice topic);
  void *create_context;
  int32_t new_partitions; /* of a topic that `create` creates */
};

/* NULL, with a text, on failure. */
struct uk_kafka_producer *uk_kafka_producer_new(const struct uk_kafka_producer_parts *parts,
                                                char *text, size_t size);
void uk_kafka_producer_produce(struct uk_kafka_producer *producer, struct uk_produce *operation);
/* The same without a check. Precondition: the topics exist, and each record names its partition.
 * For topics of this server, which no client may name. */
void uk_kafka_producer_append(struct uk_kafka_producer *producer, struct uk_produce *operation);
/* Precondition: no operation is pending. */
void uk_kafka_producer_free(struct uk_kafka_producer *producer);

#endif
