/* kafka_keyed_produce: a produce with an idempotency key. The producer gets it only if no earlier
 * one has its key; of an earlier one that was stored in part, it gets the records that are
 * missing. */
#ifndef UK_KAFKA_KEYED_PRODUCE_H
#define UK_KAFKA_KEYED_PRODUCE_H

#include "server/engine/produce_keys.h"
#include "server/kafka_engine/produce/kafka_producer.h"

struct uk_kafka_keyed_parts {
  struct uk_produce_keys *keys;
  struct uk_kafka_producer *producer;
  /* Called with the outcome of each produce, before it is answered, if it is kept. May be NULL. */
  void (*kept)(void *context, const struct uk_produce *operation);
  void *context;
};

/* Precondition: the operation has a key. `parts` outlives the operation. */
void uk_kafka_keyed_produce(const struct uk_kafka_keyed_parts *parts, struct uk_produce *operation);

#endif
