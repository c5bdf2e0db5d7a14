#include "server/kafka_engine/group/kafka_group_listing.h"

#include <stdlib.h>

static int by_name(const void *a, const void *b)
{
  const struct uk_kafka_group_member *one = *(struct uk_kafka_group_member *const *)a;
  const struct uk_kafka_group_member *other = *(struct uk_kafka_group_member *const *)b;
  int order = uk_name_order(one->group, other->group);
  return order != 0 ? order : uk_name_order(one->name, other->name);
}

static void list_one(const struct uk_kafka_group_member *member, struct uk_consumers *operation,
                     int32_t *numbers)
{
  const struct uk_kafka_assigned_partitions *held = &member->published;
  size_t i = 0;
  while (i < held->count) {
    const struct uk_kafka_assigned_partition *first = &held->all[i];
    size_t count = 0;
    for (; i < held->count && strcmp(held->all[i].topic.text, first->topic.text) == 0; i++)
      numbers[count++] = held->all[i].number;
    operation->owned(&operation->operation, member->group, member->name,
                     uk_slice_text(first->topic.text), numbers, count);
  }
  if (held->count == 0)
    operation->owned(&operation->operation, member->group, member->name, (struct uk_slice){0}, NULL,
                     0);
}

enum uk_error uk_kafka_group_listing_write(struct uk_kafka_groups *groups,
                                           struct uk_consumers *operation)
{
  size_t count = 0, most = 0;
  struct uk_kafka_group_member **sorted = calloc(groups->table.count + 1, sizeof *sorted);
  struct uk_name_node *node = uk_name_table_next(&groups->table, NULL);
  for (; sorted != NULL && node != NULL; node = uk_name_table_next(&groups->table, node)) {
    struct uk_kafka_group_member *member = (struct uk_kafka_group_member *)node;
    if (member->is_takeover)
      continue;
    most = member->published.count > most ? member->published.count : most;
    sorted[count++] = member;
  }
  int32_t *numbers = calloc(most + 1, sizeof *numbers);
  if (count > 0)
    qsort(sorted, count, sizeof(struct uk_kafka_group_member *), by_name);
  for (size_t i = 0; numbers != NULL && i < count; i++)
    list_one(sorted[i], operation, numbers);
  enum uk_error error = sorted != NULL && numbers != NULL ? UK_OK : UK_E_NO_MEMORY;
  free(numbers);
  free(sorted);
  return error;
}
