#include "server/groups/group_topic.h"

#include <stdlib.h>

#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"

static struct uk_group_topic *find(struct uk_groups *groups, struct uk_slice name)
{
  return (struct uk_group_topic *)uk_name_table_find(&groups->topics, name);
}

/* The topic is gone: waiting requests end with an error. */
static void wake_members(struct uk_groups *groups, struct uk_group_assignment *assignment)
{
  for (size_t i = 0; i < assignment->member_count; i++) {
    if (assignment->members[i]->activity == UK_GROUP_PARKED)
      uk_group_list_read(groups, assignment->members[i]);
  }
}

static void change(struct uk_groups *groups, struct uk_group_topic *topic, int32_t partitions,
                   uint64_t id)
{
  bool replaced = id != topic->id || partitions < topic->partitions;
  struct uk_group_assignment *assignment = NULL;
  topic->partitions = partitions;
  topic->id = id;
  while ((assignment = uk_group_topic_next(topic, assignment)) != NULL) {
    if (replaced)
      uk_group_partitions_free(assignment);
    uk_group_list_rebalance(groups, assignment);
    if (partitions == 0)
      wake_members(groups, assignment);
  }
}

struct uk_group_topic *uk_group_topic_refresh(struct uk_groups *groups, struct uk_slice name)
{
  struct uk_group_topic *topic = find(groups, name);
  if (topic == NULL)
    return NULL;
  uint64_t id = topic->id;
  int32_t partitions = groups->log.partitions(groups->log.context, name, &id);
  if (partitions != topic->partitions || (partitions > 0 && id != topic->id))
    change(groups, topic, partitions, id);
  return topic;
}

int32_t uk_group_topic_partitions(struct uk_groups *groups, struct uk_slice name)
{
  struct uk_group_topic *topic = uk_group_topic_refresh(groups, name);
  if (topic != NULL)
    return topic->partitions;
  uint64_t id;
  return groups->log.partitions(groups->log.context, name, &id);
}

struct uk_group_topic *uk_group_topic_get(struct uk_groups *groups, struct uk_slice name)
{
  struct uk_group_topic *topic = find(groups, name);
  if (topic != NULL)
    return topic;
  topic = calloc(1, sizeof *topic + name.length);
  if (topic == NULL)
    return NULL;
  memcpy(topic->name, name.data, name.length);
  topic->node.name = uk_slice_of(topic->name, name.length);
  topic->partitions = groups->log.partitions(groups->log.context, name, &topic->id);
  if (!uk_name_table_add(&groups->topics, &topic->node)) {
    free(topic);
    return NULL;
  }
  return topic;
}

void uk_group_topic_free_unused(struct uk_groups *groups, struct uk_group_topic *topic)
{
  if (!uk_list_is_empty(&topic->assignments))
    return;
  uk_name_table_remove(&groups->topics, &topic->node);
  free(topic);
}
