#include "server/kafka_engine/group/kafka_assigned_partition.h"

#include <stdlib.h>
#include <string.h>

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

void uk_kafka_assigned_partitions_acknowledge(struct uk_kafka_assigned_partitions *partitions)
{
  for (size_t i = 0; i < partitions->count; i++)
    uk_progress_acknowledge(&partitions->all[i].progress);
}

void uk_kafka_assigned_partitions_take_back(struct uk_kafka_assigned_partitions *partitions,
                                            rd_kafka_t *handle)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  for (size_t i = 0; i < partitions->count; i++) {
    struct uk_kafka_assigned_partition *partition = &partitions->all[i];
    if (!partition->assigned || !uk_progress_is_known(&partition->progress))
      continue;
    uk_progress_take_back(&partition->progress);
    partition->ended = false;
    rd_kafka_topic_partition_list_add(list, partition->topic.text, partition->number)->offset =
      partition->progress.position;
  }
  if (list->cnt > 0) {
    rd_kafka_error_t *error = rd_kafka_seek_partitions(handle, list, 0);
    if (error != NULL)
      rd_kafka_error_destroy(error);
  }
  rd_kafka_topic_partition_list_destroy(list);
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
