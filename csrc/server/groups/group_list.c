#include "server/groups/group_list.h"

#include <stdlib.h>

/* Room for the largest of each, so that nothing can fail once the first was called. */
struct list {
  struct uk_group_instance **instances;
  struct uk_group_slot **slots;
  int32_t *partitions;
  size_t count, most_slots;
};

static void measure(struct uk_groups *groups, struct list *list)
{
  for (struct uk_name_node *group = uk_name_table_next(&groups->groups, NULL); group != NULL;
       group = uk_name_table_next(&groups->groups, group)) {
    struct uk_name_table *instances = &((struct uk_group *)group)->instances;
    for (struct uk_name_node *node = uk_name_table_next(instances, NULL); node != NULL;
         node = uk_name_table_next(instances, node)) {
      struct uk_group_instance *instance = (struct uk_group_instance *)node;
      if (list->instances != NULL)
        list->instances[list->count] = instance;
      list->count++;
      if (instance->owned > list->most_slots)
        list->most_slots = instance->owned;
    }
  }
}

static int compare_instances(const void *left, const void *right)
{
  const struct uk_group_instance *a = *(struct uk_group_instance *const *)left;
  const struct uk_group_instance *b = *(struct uk_group_instance *const *)right;
  int order = a->group == b->group ? 0 : uk_name_order(a->group->node.name, b->group->node.name);
  return order != 0 ? order : uk_name_order(a->node.name, b->node.name);
}

static int compare_slots(const void *left, const void *right)
{
  const struct uk_group_slot *a = *(struct uk_group_slot *const *)left;
  const struct uk_group_slot *b = *(struct uk_group_slot *const *)right;
  if (a->share != b->share)
    return uk_name_order(a->share->topic->node.name, b->share->topic->node.name);
  return (a > b) - (a < b);
}

static void tell(struct uk_consumers *operation, const struct uk_group_instance *instance,
                 const struct list *list)
{
  struct uk_slice group = instance->group->node.name, name = instance->node.name;
  size_t count = 0;
  struct uk_group_slot *slot = instance->cursor;
  for (; count < instance->owned; slot = slot->next)
    list->slots[count++] = slot;
  if (count == 0) {
    operation->owned(&operation->operation, group, name, uk_slice_of(NULL, 0), NULL, 0);
    return;
  }
  qsort(list->slots, count, sizeof(*list->slots), compare_slots);
  for (size_t i = 0; i < count;) {
    struct uk_group_share *share = list->slots[i]->share;
    size_t partitions = 0;
    for (; i < count && list->slots[i]->share == share; i++)
      list->partitions[partitions++] = uk_group_slot_partition(list->slots[i]);
    operation->owned(&operation->operation, group, name, share->topic->node.name, list->partitions,
                     partitions);
  }
}

bool uk_group_list(struct uk_groups *groups, struct uk_consumers *operation)
{
  struct list list = {0};
  measure(groups, &list);
  list.instances = calloc(list.count + 1, sizeof(*list.instances));
  list.slots = calloc(list.most_slots + 1, sizeof(*list.slots));
  list.partitions = calloc(list.most_slots + 1, sizeof(*list.partitions));
  bool room = list.instances != NULL && list.slots != NULL && list.partitions != NULL;
  if (room) {
    list.count = 0;
    measure(groups, &list);
    qsort(list.instances, list.count, sizeof(*list.instances), compare_instances);
    for (size_t i = 0; i < list.count; i++)
      tell(operation, list.instances[i], &list);
  }
  free(list.instances);
  free(list.slots);
  free(list.partitions);
  return room;
}
