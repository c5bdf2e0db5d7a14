/* kafka_instance_batches: what requests say about the batches of an instance, and what becomes of
 * its responses. */
#ifndef UK_KAFKA_INSTANCE_BATCHES_H
#define UK_KAFKA_INSTANCE_BATCHES_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* False: the request names a batch that is neither the last one nor the last one acknowledged. */
bool uk_kafka_instance_batches_accept(const struct uk_kafka_instance *instance,
                                      const struct uk_kafka_request *request);

/* What the request leads to now. Precondition: it was accepted. */
enum uk_deliveries_decision
uk_kafka_instance_batches_decide(const struct uk_kafka_instance *instance,
                                 const struct uk_kafka_request *request);

/* Carries out what an accepted request says about the outstanding batch, or lets it wait (`held`),
 * or notes that it has to be committed first (`due`). */
void uk_kafka_instance_batches_settle(struct uk_kafka_instance *instance,
                                      struct uk_kafka_request *request);

/* Settles the requests that waited: they may not have to any more. */
void uk_kafka_instance_batches_settle_held(struct uk_kafka_instance *instance);

/* Takes what became of the last response, if it is known now. */
void uk_kafka_instance_batches_take_response(struct uk_kafka_instance *instance);

/* True while a request waits for what becomes of the last response. */
bool uk_kafka_instance_batches_are_awaited(const struct uk_kafka_instance *instance);

/* The first consume that need not wait for that; NULL: there is none. */
struct uk_kafka_request *uk_kafka_instance_batches_next(const struct uk_kafka_instance *instance);

#endif
