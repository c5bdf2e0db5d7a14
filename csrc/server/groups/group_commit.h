/* group_commit: offsets on their way into the log. Commits of a group take effect in the order in
 * which they are submitted here. */
#ifndef UK_GROUP_COMMIT_H
#define UK_GROUP_COMMIT_H

#include "server/groups/group_state.h"

/* With auto-commit: commits what was delivered and differs from what was committed. An operation
 * (which deletes the instance) ends with the commit, or now when there is nothing to commit;
 * without one, it counts as the instance's auto-commit. False when memory is out: nothing happened,
 * and the operation is not ended. */
bool uk_group_commit_delivered(struct uk_groups *groups, struct uk_group_instance *instance,
                               struct uk_operation *operation);

/* Commits the offsets of the operation, or without any all that was delivered to the instance.
 * Ends the operation, now or later. */
void uk_group_commit_explicit(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_commit *operation);

/* Offsets that move no commit back. */
struct uk_group_forward {
  uint64_t batch;    /* the outstanding one: its positions too; 0 = none */
  bool acknowledges; /* the client has the outstanding batch */
  const struct uk_topic_partition_offset *offsets;
  size_t count;
  bool *skipped; /* out: of each offset; the partition is another live instance's, or
                    ends before it, or the topic was created again and the client has none of
                    its records */
  struct uk_operation *operation;
  void (*then)(struct uk_groups *groups, const struct uk_group_commit *commit, enum uk_error error,
               const char *message);
};

/* Commits them, and calls `then` with the operation once they are durable and the batch is
 * acknowledged. `*listed` is NULL if there is nothing to commit: `then` is not called. False when
 * memory is out: nothing happened. The offsets stay the caller's, until `then`. */
bool uk_group_commit_forward(struct uk_groups *groups, struct uk_group_instance *instance,
                             const struct uk_group_forward *forward,
                             struct uk_group_commit **listed);

/* The log has carried out the commit or refused it. Ends its operation, and frees it. */
void uk_group_commit_end(struct uk_group_commit *commit, enum uk_error error, const char *message);

/* The instance is about to be freed: its commits forget it. */
void uk_group_commit_orphan(struct uk_group_instance *instance);

#endif
