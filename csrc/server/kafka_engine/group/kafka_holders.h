/* kafka_holders: asks the coordinator which partitions the members of a group hold. */
#ifndef UK_KAFKA_HOLDERS_H
#define UK_KAFKA_HOLDERS_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* The lists are the caller's to destroy. */
struct uk_kafka_holdings {
  rd_kafka_topic_partition_list_t *own; /* of this member; NULL: nothing */
  rd_kafka_topic_partition_list_t *all; /* of the whole group; NULL: the group rebalances, or its
                                           brokers cannot tell */
  rd_kafka_resp_err_t code;             /* UNSUPPORTED_FEATURE: they cannot */
};

/* `holders` is where the member keeps the query. */

/* False: memory is out. */
bool uk_kafka_holders_ask(struct uk_kafka_group_member *member,
                          struct uk_kafka_late_answer **holders, int64_t now);

/* False: there is no answer yet. */
bool uk_kafka_holders_take(struct uk_kafka_late_answer **holders,
                           struct uk_kafka_holdings *holdings);

/* Stops waiting for the answer. */
void uk_kafka_holders_drop(struct uk_kafka_late_answer **holders);

#endif
