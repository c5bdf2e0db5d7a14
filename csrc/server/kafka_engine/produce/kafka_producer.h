/* kafka_producer: appends records through one idempotent producer, which is made anew when it has failed for good.
 *
 * A request is checked as a whole before anything is sent; after that each of its records is the cluster's to take or to
 * refuse (produce_outcome.h). librdkafka puts records of several requests into a batch; a batch that is too large for its
 * topic is sent again record by record. */
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
  /* As uk_kafka_check's, for a topic that is not there; NULL: it is not created. */
  void (*create)(void *context, struct uk_kafka_check *check, struct uk_slice topic);
  void *create_context;
};

/* NULL with a text when there is none to be had. */
struct uk_kafka_producer *uk_kafka_producer_new(const struct uk_kafka_producer_parts *parts,
                                                char *text, size_t size);
void uk_kafka_producer_produce(struct uk_kafka_producer *producer, struct uk_produce *operation);
/* With no operation in its hands. */
void uk_kafka_producer_free(struct uk_kafka_producer *producer);

#endif
