/* group_commit: offsets on their way into the log. Commits of a group take effect in the order in which they are made here. */
#ifndef UK_GROUP_COMMIT_H
#define UK_GROUP_COMMIT_H

#include "server/groups/group_state.h"

struct uk_group_commit {
  struct uk_groups *groups;
  struct uk_group *group;
  struct uk_group_instance
    *instance; /* of an auto-commit; NULL when it is gone, or for another commit */
  struct uk_operation *operation;          /* that ends with the commit, or NULL */
  bool closes;                             /* the operation is the instance's deletion */
  struct uk_group_commit *next, *previous; /* the group's, until it is done */
  struct uk_group_commit *outbox_next;     /* until it is handed to the log */
  uint64_t sequence;
  const struct uk_topic_partition_offset *offsets; /* `own`, or the operation's */
  size_t count;
  struct uk_topic_partition_offset own[];
};

/* Commits what is known to have delivered at the client and differs from what was committed. With an operation (that
 * closes the instance) the operation ends with the commit, or now if there is nothing to commit; without one it counts
 * as the instance's auto-commit. False when memory is out: nothing happened, and an operation is not ended. */
bool uk_group_commit_delivered(struct uk_groups *groups, struct uk_group_instance *instance,
                               struct uk_operation *operation);

/* Commits for the operation: its offsets, or with none all that the instance's client got. Ends it, now or later. */
void uk_group_commit_explicit(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_commit *operation);

/* Hands it to the log. Called without the lock. */
void uk_group_commit_submit(struct uk_group_commit *commit);

/* The instance is about to be freed. */
void uk_group_commit_orphan(struct uk_group_instance *instance);

#endif
