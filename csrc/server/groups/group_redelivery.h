/* group_redelivery: reads the records of the outstanding batch again. Under the lock a plan is made
 * of what is left of the batch; without the lock it is carried out. */
#ifndef UK_GROUP_REDELIVERY_H
#define UK_GROUP_REDELIVERY_H

#include "server/groups/group_state.h"

struct uk_group_redelivery {
  struct {
    struct uk_group_assignment *assignment; /* stays until uk_group_redelivery_end */
    int32_t number;
    int64_t from, to;
  } steps[UK_GROUP_BATCH_MAX];
  size_t count;
  bool any;            /* out: the sink took a record */
  enum uk_error error; /* out: the operation has its message */
};

/* What is left of the batch: records that are kept, that no commit covers since, and of partitions
 * that the instance holds, of topics that are the same as then. */
void uk_group_redelivery_plan(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_group_redelivery *redelivery);

/* Passes the records on to the operation's sink, which does not limit them. Called without the
 * lock. */
void uk_group_redelivery_run(const struct uk_groups_log *log, struct uk_consume *operation,
                             struct uk_group_redelivery *redelivery);

void uk_group_redelivery_end(struct uk_groups *groups, struct uk_group_redelivery *redelivery);

#endif
