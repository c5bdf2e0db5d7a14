#include "server/groups/group_batch.h"

size_t uk_group_batch_list(const struct uk_group_instance *instance,
                           struct uk_group_partition *partitions[static UK_GROUP_BATCH_MAX])
{
  struct uk_group_partition *at[UK_GROUP_BATCH_MAX] = {NULL};
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (uk_progress_in_flight(&partition->progress))
      at[partition->place] = partition;
  }
  size_t count = 0;
  for (size_t i = 0; i < UK_GROUP_BATCH_MAX; i++) {
    if (at[i] != NULL)
      partitions[count++] = at[i];
  }
  return count;
}

static void deliver_all(struct uk_group_instance *instance)
{
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    partition->renewed &= !uk_progress_in_flight(&partition->progress);
    uk_progress_acknowledge(&partition->progress);
  }
  instance->dirty = true;
}

bool uk_group_batch_acknowledge(struct uk_group_instance *instance, uint64_t batch)
{
  if (!uk_deliveries_acknowledge(&instance->deliveries, batch))
    return false;
  deliver_all(instance);
  return true;
}

void uk_group_batch_end(struct uk_group_instance *instance)
{
  uk_deliveries_end(&instance->deliveries);
  deliver_all(instance);
}

void uk_group_batch_deliver(struct uk_groups *groups, struct uk_group_instance *instance,
                            struct uk_consume *operation)
{
  operation->delivery = ++groups->deliveries;
  if (operation->redelivered)
    uk_deliveries_redeliver(&instance->deliveries, operation->delivery);
  else
    uk_deliveries_deliver(&instance->deliveries, operation->delivery);
  uk_batch_id_write(operation->batch, groups->nonce, instance->deliveries.batch);
}
