/* kafka_assigned_partition: the partitions that an instance holds, and its progress in each. */
#ifndef UK_KAFKA_ASSIGNED_PARTITION_H
#define UK_KAFKA_ASSIGNED_PARTITION_H

#include <pthread.h>

#include "server/engine/progress.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_assigned_partition {
  struct uk_kafka_name topic;
  int32_t number;
  bool assigned; /* false: revoked by the last rebalance; the next one may give it back */
  bool ended;    /* its broker last reported that nothing follows the position */
  struct uk_progress progress;
};

struct uk_kafka_assigned_partitions {
  struct uk_kafka_assigned_partition *all;
  size_t count;
};

/* NULL: the instance does not hold it. */
struct uk_kafka_assigned_partition *
uk_kafka_assigned_partition_find(const struct uk_kafka_assigned_partitions *partitions,
                                 const char *topic, int32_t number);

/* An auto-commit has something to commit for it. */
bool uk_kafka_assigned_partition_is_dirty(const struct uk_kafka_assigned_partition *partition);
bool uk_kafka_assigned_partitions_are_dirty(const struct uk_kafka_assigned_partitions *partitions);

/* The client has received all that was sent to it. */
void uk_kafka_assigned_partitions_acknowledge(struct uk_kafka_assigned_partitions *partitions);

/* The client has not received the last response: librdkafka reads its records again. */
void uk_kafka_assigned_partitions_take_back(struct uk_kafka_assigned_partitions *partitions,
                                            rd_kafka_t *handle);

/* Keeps the progress: a rebalance may give partitions back. `lost`: others may have read them
 * since. */
void uk_kafka_assigned_partitions_revoke(struct uk_kafka_assigned_partitions *partitions,
                                         bool lost);

/* Replaces what other threads read, under their mutex, with the partitions that are assigned;
 * without memory with none. */
void uk_kafka_assigned_partitions_publish(const struct uk_kafka_assigned_partitions *partitions,
                                          struct uk_kafka_assigned_partitions *published,
                                          pthread_mutex_t *mutex);

#endif
