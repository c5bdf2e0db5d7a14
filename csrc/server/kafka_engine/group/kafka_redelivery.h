/* kafka_redelivery: delivers the outstanding batch of an instance again. */
#ifndef UK_KAFKA_REDELIVERY_H
#define UK_KAFKA_REDELIVERY_H

#include "server/kafka_engine/group/kafka_delivery.h"

enum uk_kafka_redelivered {
  UK_KAFKA_REDELIVERED,       /* the consume is answered */
  UK_KAFKA_REDELIVERY_WAITS,  /* until a position is verified, or a rebalance is over */
  UK_KAFKA_REDELIVERY_IS_OVER /* nothing is left of the batch: it ended, and the consume goes on */
};

/* Answers the consume with the batch. Left out are the records of partitions that the instance does
 * not hold any more, or that verification has found to have another life, and records below a
 * commit. Precondition: a batch is outstanding. */
enum uk_kafka_redelivered uk_kafka_redelivery_run(struct uk_kafka_group_member *member,
                                                  struct uk_kafka_delivery *delivery,
                                                  struct uk_kafka_request *request);

#endif
