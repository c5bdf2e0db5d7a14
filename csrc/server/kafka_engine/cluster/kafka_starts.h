/* kafka_starts: asks the cluster where partitions without a committed offset start.
 *
 * librdkafka finds that out too, but over the connection that it reads from: a broker answers the
 * requests of a connection one by one, and one for records waits until there are some. */
#ifndef UK_KAFKA_STARTS_H
#define UK_KAFKA_STARTS_H

#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/rd/kafka_blocking.h"

struct uk_kafka_starts {
  struct uk_kafka_work work; /* the caller sets its deadline and `then`; it always succeeds */
  rd_kafka_t *control;
  struct uk_kafka_topics *topics;
  /* In: UK_TIMESTAMP_EARLIEST or _LATEST as the offset of each partition. Out: the offset, or still
   * the timestamp where it could not be learned by the deadline. */
  rd_kafka_topic_partition_list_t *list;
};

/* Precondition: everything is set. */
void uk_kafka_starts_ask(struct uk_kafka_starts *starts, struct uk_kafka_blocking *blocking);

#endif
