/* kafka_subscription: the topics that a member of a group asks for. */
#ifndef UK_KAFKA_SUBSCRIPTION_H
#define UK_KAFKA_SUBSCRIPTION_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Remembers the topics until the handle is open. False: memory is out, and nothing has changed. */
bool uk_kafka_subscription_keep(struct uk_kafka_group_member *member, const struct uk_slice *topics,
                                size_t count);

/* Subscribes the handle to the topics that are remembered. */
rd_kafka_resp_err_t uk_kafka_subscription_start(struct uk_kafka_group_member *member);

/* Subscribes the handle to these topics, unless it is already. False: librdkafka refuses with
 * `code`, or memory is out and `code` is NO_ERROR. */
bool uk_kafka_subscription_change(struct uk_kafka_group_member *member,
                                  const struct uk_slice *topics, size_t count,
                                  rd_kafka_resp_err_t *code);

bool uk_kafka_subscription_has(const struct uk_kafka_subscription *subscription,
                               struct uk_slice topic);

/* Forgets the known topics: the next request for one asks the cluster again. */
void uk_kafka_subscription_forget_topics(const struct uk_kafka_group_member *member);

void uk_kafka_subscription_free(struct uk_kafka_subscription *subscription);

#endif
