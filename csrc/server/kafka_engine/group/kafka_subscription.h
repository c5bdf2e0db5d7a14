/* kafka_subscription: the topics that a member of a group asks for. */
#ifndef UK_KAFKA_SUBSCRIPTION_H
#define UK_KAFKA_SUBSCRIPTION_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Remembers the topics, for the time when the handle is open. False: memory is out, and nothing has
 * changed. */
bool uk_kafka_subscription_keep(struct uk_kafka_group_member *member, const struct uk_slice *topics,
                                size_t count);

/* Subscribes the handle to the topics that are remembered. */
rd_kafka_resp_err_t uk_kafka_subscription_start(struct uk_kafka_group_member *member);

/* Subscribes the handle to these topics, unless it is. False: librdkafka refuses, with the code, or
 * with NO_ERROR memory is out. */
bool uk_kafka_subscription_change(struct uk_kafka_group_member *member,
                                  const struct uk_slice *topics, size_t count,
                                  rd_kafka_resp_err_t *code);

/* The cluster is asked again about each topic before the next request for it. */
void uk_kafka_subscription_forget_topics(const struct uk_kafka_group_member *member);

void uk_kafka_subscription_free(struct uk_kafka_subscription *subscription);

#endif
