/* group_batch: the outstanding batch of an instance. Its records are what is in flight in the
 * partitions that the instance holds: of each partition those from `delivered` up to `position`, in
 * the order of `place`. What the instance no longer holds is thus no part of it any more. */
#ifndef UK_GROUP_BATCH_H
#define UK_GROUP_BATCH_H

#include "server/groups/group_state.h"

/* Stores the batch's partitions in their order, and returns how many there are. */
size_t uk_group_batch_list(const struct uk_group_instance *instance,
                           struct uk_group_partition *partitions[static UK_GROUP_BATCH_MAX]);

/* The batch with this number is acknowledged: what is in flight is delivered. False if it was not
 * outstanding: nothing changes. */
bool uk_group_batch_acknowledge(struct uk_group_instance *instance, uint64_t batch);

/* Nothing is left of the outstanding batch: it ends. */
void uk_group_batch_end(struct uk_group_instance *instance);

/* Gives a consume that delivers records its delivery number and its batch's ID. The batch is a new
 * one, or with `redelivered` the last one again. */
void uk_group_batch_deliver(struct uk_groups *groups, struct uk_group_instance *instance,
                            struct uk_consume *operation);

#endif
