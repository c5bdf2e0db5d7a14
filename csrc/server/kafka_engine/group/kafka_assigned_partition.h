/* kafka_assigned_partition: the partitions that an instance holds, and its progress in each. */
#ifndef UK_KAFKA_ASSIGNED_PARTITION_H
#define UK_KAFKA_ASSIGNED_PARTITION_H

#include <pthread.h>

#include "server/engine/progress.h"
#include "server/engine/record_mark.h"
#include "server/kafka_engine/rd/kafka_rd.h"

/* What a group has committed for a partition, as a bound for commits that move none back. */
#define UK_KAFKA_FLOOR_UNKNOWN INT64_MIN
#define UK_KAFKA_FLOOR_NOTHING INT64_C(-1) /* nothing, or what counts for another life of it */

struct uk_kafka_assigned_partition {
  struct uk_kafka_name topic;
  int32_t number;
  bool assigned; /* false: revoked by the last rebalance; the next one may give it back */
  bool ended;    /* its broker last reported that nothing follows the position */
  struct uk_progress progress;
  int64_t floor; /* the offset that the group has committed, or UK_KAFKA_FLOOR_* */
  /* The records before the position and before `delivered`: kafka_verification looks whether they
   * are still there. Not known where the position was not reached by reading. */
  struct uk_record_mark mark, delivered_mark;
  int64_t verified_at; /* when the last look that found the position valid began; 0: never */
  bool advanced;       /* since that look, or any other, began */
  bool doubtful;       /* librdkafka has read below the position */
  bool wanted;         /* a record waits until the position is verified */
  int32_t broker;      /* that this record, or else the last one, came from; -1: not known */
  bool cleared;        /* found valid in this run of the task: its records may be delivered */
  bool moved;          /* librdkafka was sent to another offset in this run */
  bool renewed;        /* the topic was created again, and the client has acknowledged nothing of
                          the new one: what it commits was of the topic before */
};

struct uk_kafka_assigned_partitions {
  struct uk_kafka_assigned_partition *all;
  size_t count;
};

/* NULL: the instance does not hold it. */
struct uk_kafka_assigned_partition *
uk_kafka_assigned_partition_find(const struct uk_kafka_assigned_partitions *partitions,
                                 const char *topic, int32_t number);

/* A record was read; it is on its way to the client, and others may follow in this run. After the
 * last one the caller sets the mark. Precondition: the partition is sure. */
void uk_kafka_assigned_partition_advance(struct uk_kafka_assigned_partition *partition,
                                         int64_t offset, int64_t now);

/* True if a commit that the group has just answered was of the topic before. */
bool uk_kafka_assigned_partition_is_new(const struct uk_kafka_assigned_partition *partition);

/* The mark of the record before an offset; not known if that is neither the position nor what was
 * delivered. */
struct uk_record_mark
uk_kafka_assigned_partition_mark_at(const struct uk_kafka_assigned_partition *partition,
                                    int64_t offset);

/* True if something lies before the position, so that it can be verified. */
bool uk_kafka_assigned_partition_has_past(const struct uk_kafka_assigned_partition *partition);

/* True if records may be delivered: the position was verified recently enough, or needs not be. */
bool uk_kafka_assigned_partition_is_sure(const struct uk_kafka_assigned_partition *partition,
                                         int64_t now);

/* True if records were delivered since the position was verified, and it will soon not be sure. */
bool uk_kafka_assigned_partition_ages(const struct uk_kafka_assigned_partition *partition,
                                      int64_t now);

/* The position belonged to another life of the topic: starts again at its first offset, which is to
 * be committed. */
void uk_kafka_assigned_partition_restart(struct uk_kafka_assigned_partition *partition,
                                         int64_t first);

/* Nothing was read yet: starts at an offset that was committed since. */
void uk_kafka_assigned_partition_start(struct uk_kafka_assigned_partition *partition,
                                       int64_t offset);

/* librdkafka reads on from the position, and drops what it has read ahead. */
void uk_kafka_assigned_partition_seek(struct uk_kafka_assigned_partition *partition,
                                      rd_kafka_t *handle);

/* An auto-commit has something to commit for it. */
bool uk_kafka_assigned_partition_is_dirty(const struct uk_kafka_assigned_partition *partition);
bool uk_kafka_assigned_partitions_are_dirty(const struct uk_kafka_assigned_partitions *partitions);

/* The client has received all that was sent to it. */
void uk_kafka_assigned_partitions_acknowledge(struct uk_kafka_assigned_partitions *partitions);

/* The run in which partitions were cleared or moved is over. */
void uk_kafka_assigned_partitions_end_run(struct uk_kafka_assigned_partitions *partitions);

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
