#include "server/groups/group_consumers.h"

#include <stdlib.h>

#include "server/groups/group_partition.h"

/* Has room for everything before the first call of `owned`: nothing can fail after it. */
struct list {
  struct uk_group_instance **instances;
  struct uk_group_partition **partitions;
  int32_t *numbers;
  size_t count, most_partitions;
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
      if (instance->owned > list->most_partitions)
        list->most_partitions = instance->owned;
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

static int compare_partitions(const void *left, const void *right)
{
  const struct uk_group_partition *a = *(struct uk_group_partition *const *)left;
  const struct uk_group_partition *b = *(struct uk_group_partition *const *)right;
  if (a->assignment != b->assignment)
    return uk_name_order(a->assignment->topic->node.name, b->assignment->topic->node.name);
  return (a > b) - (a < b);
}

static void list_instance(struct uk_consumers *operation, const struct uk_group_instance *instance,
                          const struct list *list)
{
  struct uk_slice group = instance->group->node.name, name = instance->node.name;
  size_t count = 0;
  struct uk_group_partition *partition = instance->cursor;
  for (; count < instance->owned; partition = partition->next)
    list->partitions[count++] = partition;
  if (count == 0) {
    operation->owned(&operation->operation, group, name, uk_slice_of(NULL, 0), NULL, 0);
    return;
  }
  qsort(list->partitions, count, sizeof *list->partitions, compare_partitions);
  for (size_t i = 0; i < count;) {
    struct uk_group_assignment *assignment = list->partitions[i]->assignment;
    size_t held = 0;
    for (; i < count && list->partitions[i]->assignment == assignment; i++)
      list->numbers[held++] = uk_group_partition_number(list->partitions[i]);
    operation->owned(&operation->operation, group, name, assignment->topic->node.name,
                     list->numbers, held);
  }
}

bool uk_group_list_consumers(struct uk_groups *groups, struct uk_consumers *operation)
{
  struct list list = {0};
  measure(groups, &list);
  list.instances = calloc(list.count + 1, sizeof *list.instances);
  list.partitions = calloc(list.most_partitions + 1, sizeof *list.partitions);
  list.numbers = calloc(list.most_partitions + 1, sizeof *list.numbers);
  bool room = list.instances != NULL && list.partitions != NULL && list.numbers != NULL;
  if (room) {
    list.count = 0;
    measure(groups, &list);
    qsort(list.instances, list.count, sizeof *list.instances, compare_instances);
    for (size_t i = 0; i < list.count; i++)
      list_instance(operation, list.instances[i], &list);
  }
  free(list.instances);
  free(list.partitions);
  free(list.numbers);
  return room;
}
