/* kafka_instance_trouble: what errors mean for an instance and for the consumes that wait. */
#ifndef UK_KAFKA_INSTANCE_TROUBLE_H
#define UK_KAFKA_INSTANCE_TROUBLE_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* Fails the pending consumes. If a topic is missing, they are checked again instead: it may be
 * there by now. An instance that has not answered a consume yet leaves: a new one may succeed.
 * `place` is NULL for the whole group; `text` is NULL if the code has its own text. */
void uk_kafka_instance_trouble(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code,
                               const char *text, const rd_kafka_topic_partition_t *place,
                               int64_t now);

/* The same for an event with an error. A fatal one means that another server has the instance. */
void uk_kafka_instance_trouble_error(struct uk_kafka_instance *instance, rd_kafka_event_t *event,
                                     int64_t now);

#endif
