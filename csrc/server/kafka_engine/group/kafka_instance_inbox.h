/* kafka_instance_inbox: what arrives for an instance: requests, and what became of its
 * responses. */
#ifndef UK_KAFKA_INSTANCE_INBOX_H
#define UK_KAFKA_INSTANCE_INBOX_H

#include "server/kafka_engine/group/kafka_instance_state.h"

/* Takes what has arrived. A request confirms the response before it; a consume changes the
 * subscription; a commit is sent if the instance serves. */
void uk_kafka_instance_inbox_take(struct uk_kafka_instance *instance, int64_t now);

/* Ends a consume that waits: librdkafka has refused its topics with this code, or with NO_ERROR
 * memory is out. */
void uk_kafka_instance_inbox_refuse(struct uk_kafka_request *request, rd_kafka_resp_err_t code);

#endif
