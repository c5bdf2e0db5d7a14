/* kafka_delivery: an instance's records, on their way into answers. */
#ifndef UK_KAFKA_DELIVERY_H
#define UK_KAFKA_DELIVERY_H

#include "server/kafka_engine/group/kafka_instance.h"

/* Fills the first consume that waits with what is there. False when there was nothing. */
bool uk_kafka_instance_deliver(struct uk_kafka_instance *instance);

/* Fails the consumes that wait; an instance that never served one is ended by it. False: it was. `place` is NULL where
 * it is about the group, `text` where the code says it all. */
bool uk_kafka_instance_trouble(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code,
                               const char *text, const rd_kafka_topic_partition_t *place);

#endif
