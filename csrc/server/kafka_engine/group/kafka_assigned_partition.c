#include "server/kafka_engine/group/kafka_assigned_partition.h"

#include <stdlib.h>
#include <string.h>

/* Milliseconds. A shorter trust has gone when the answer to another look arrives. */
enum { TRUST_OF_USE = 40 };

struct uk_kafka_assigned_partition *
uk_kafka_assigned_partition_find(const struct uk_kafka_assigned_partitions *partitions,
                                 const char *topic, int32_t number)
{
  for (size_t i = 0; i < partitions->count; i++) {
    struct uk_kafka_assigned_partition *partition = &partitions->all[i];
    if (partition->number == number && strcmp(partition->topic.text, topic) == 0)
      return partition;
  }
  return NULL;
}

/* The position. */

void uk_kafka_assigned_partition_advance(struct uk_kafka_assigned_partition *partition,
                                         int64_t offset, int64_t now)
{
  if (!uk_kafka_assigned_partition_has_past(partition))
    partition->verified_at = now;
  partition->cleared = partition->advanced = true;
  uk_progress_advance(&partition->progress, offset, offset + 1);
  partition->ended = false;
}

struct uk_record_mark
uk_kafka_assigned_partition_mark_at(const struct uk_kafka_assigned_partition *partition,
                                    int64_t offset)
{
  if (offset == partition->progress.position)
    return partition->mark;
  if (offset == partition->progress.delivered)
    return partition->delivered_mark;
  return (struct uk_record_mark){.known = false};
}

bool uk_kafka_assigned_partition_is_new(const struct uk_kafka_assigned_partition *partition)
{
  return partition->renewed && !uk_progress_in_flight(&partition->progress);
}

bool uk_kafka_assigned_partition_has_past(const struct uk_kafka_assigned_partition *partition)
{
  return partition->assigned && partition->progress.position > 0;
}

bool uk_kafka_assigned_partition_is_sure(const struct uk_kafka_assigned_partition *partition,
                                         int64_t now)
{
  if (partition->cleared || !uk_kafka_assigned_partition_has_past(partition))
    return true;
  return !partition->doubtful && partition->verified_at != 0 &&
         now - partition->verified_at < uk_record_trust(partition->progress.position);
}

bool uk_kafka_assigned_partition_ages(const struct uk_kafka_assigned_partition *partition,
                                      int64_t now)
{
  int64_t trust = uk_record_trust(partition->progress.position);
  return uk_kafka_assigned_partition_has_past(partition) && partition->advanced &&
         trust >= TRUST_OF_USE && now - partition->verified_at >= trust / 2;
}

void uk_kafka_assigned_partition_restart(struct uk_kafka_assigned_partition *partition,
                                         int64_t first)
{
  uk_progress_pin(&partition->progress, first);
  partition->floor = UK_KAFKA_FLOOR_NOTHING;
  partition->mark = partition->delivered_mark = (struct uk_record_mark){.known = false};
  partition->ended = false;
}

void uk_kafka_assigned_partition_start(struct uk_kafka_assigned_partition *partition,
                                       int64_t offset)
{
  uk_progress_start(&partition->progress, offset);
  partition->mark = partition->delivered_mark = (struct uk_record_mark){.known = false};
  partition->verified_at = 0;
  partition->ended = partition->cleared = false;
}

void uk_kafka_assigned_partition_seek(struct uk_kafka_assigned_partition *partition,
                                      rd_kafka_t *handle)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, partition->topic.text, partition->number)->offset =
    partition->progress.position;
  rd_kafka_error_t *error = rd_kafka_seek_partitions(handle, list, 0);
  if (error != NULL)
    rd_kafka_error_destroy(error);
  rd_kafka_topic_partition_list_destroy(list);
  partition->moved = true;
}

/* All of them. */

bool uk_kafka_assigned_partition_is_dirty(const struct uk_kafka_assigned_partition *partition)
{
  return partition->assigned && uk_progress_is_dirty(&partition->progress);
}

bool uk_kafka_assigned_partitions_are_dirty(const struct uk_kafka_assigned_partitions *partitions)
{
  for (size_t i = 0; i < partitions->count; i++) {
    if (uk_kafka_assigned_partition_is_dirty(&partitions->all[i]))
      return true;
  }
  return false;
}

static void acknowledge(struct uk_kafka_assigned_partition *partition)
{
  partition->renewed = uk_kafka_assigned_partition_is_new(partition);
  uk_progress_acknowledge(&partition->progress);
  partition->delivered_mark = partition->mark;
}

void uk_kafka_assigned_partitions_acknowledge(struct uk_kafka_assigned_partitions *partitions)
{
  for (size_t i = 0; i < partitions->count; i++)
    acknowledge(&partitions->all[i]);
}

void uk_kafka_assigned_partitions_end_run(struct uk_kafka_assigned_partitions *partitions)
{
  for (size_t i = 0; i < partitions->count; i++)
    partitions->all[i].cleared = partitions->all[i].moved = false;
}

void uk_kafka_assigned_partitions_revoke(struct uk_kafka_assigned_partitions *partitions, bool lost)
{
  for (size_t i = 0; i < partitions->count; i++)
    partitions->all[i].assigned = false;
  if (lost)
    partitions->count = 0;
}

void uk_kafka_assigned_partitions_publish(const struct uk_kafka_assigned_partitions *partitions,
                                          struct uk_kafka_assigned_partitions *published,
                                          pthread_mutex_t *mutex)
{
  struct uk_kafka_assigned_partition *all = calloc(partitions->count + 1, sizeof *all);
  size_t count = 0;
  for (size_t i = 0; all != NULL && i < partitions->count; i++) {
    if (partitions->all[i].assigned)
      all[count++] = partitions->all[i];
  }
  pthread_mutex_lock(mutex);
  free(published->all);
  *published = (struct uk_kafka_assigned_partitions){all, count};
  pthread_mutex_unlock(mutex);
}
