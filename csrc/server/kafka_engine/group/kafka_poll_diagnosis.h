/* kafka_poll_diagnosis: what a consume that got nothing is told: where something is out of order, "no messages" would hide
 * it. */
#ifndef UK_KAFKA_POLL_DIAGNOSIS_H
#define UK_KAFKA_POLL_DIAGNOSIS_H

#include "server/kafka_engine/group/kafka_instance.h"

/* Ends a consume whose time is over without a record: with none, or saying what is out of order, if anything is. */
void uk_kafka_instance_end_empty(const struct uk_kafka_instance *instance,
                                 struct uk_kafka_request *request, int64_t now);

/* While requests wait, keeps what is known of the topics fresh. */
void uk_kafka_instance_refresh(struct uk_kafka_instance *instance, int64_t now);

#endif
