#include "server/groups/group_commit.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_position.h"

/* Which partitions of an instance a commit names. */
typedef bool choice(const struct uk_progress *progress);

static bool is_committable(const struct uk_progress *progress)
{
  return progress->committable;
}

/* The names are copied after the offsets: a topic may be freed before the log reads them. */
struct measure {
  size_t offsets;
  size_t bytes;
};

static struct measure measure(const struct uk_group_instance *instance, choice *chosen)
{
  struct measure all = {0, 0};
  const struct uk_group_assignment *last = NULL;
  const struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (!chosen(&partition->progress))
      continue;
    all.offsets++;
    if (partition->assignment != last)
      all.bytes += partition->assignment->topic->node.name.length;
    last = partition->assignment;
  }
  return all;
}

static void fill(struct uk_group_commit *commit, const struct uk_group_instance *instance,
                 choice *chosen)
{
  char *names = (char *)&commit->own[commit->count];
  const struct uk_group_assignment *last = NULL;
  struct uk_slice name = {NULL, 0};
  struct uk_topic_partition_offset *offset = commit->own;
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (!chosen(&partition->progress))
      continue;
    if (partition->assignment != last) {
      name = partition->assignment->topic->node.name;
      memcpy(names, name.data, name.length);
      name.data = names;
      names += name.length;
      last = partition->assignment;
    }
    *offset++ =
      (struct uk_topic_partition_offset){.topic = name,
                                         .partition = uk_group_partition_number(partition),
                                         .offset = uk_progress_commit(&partition->progress)};
  }
}

static struct uk_group_commit *make(size_t offsets, size_t bytes)
{
  struct uk_group_commit *commit;
  commit = calloc(1, sizeof *commit + offsets * sizeof commit->own[0] + bytes);
  if (commit != NULL) {
    commit->offsets = commit->own;
    commit->count = offsets;
  }
  return commit;
}

bool uk_group_commit_delivered(struct uk_groups *groups, struct uk_group_instance *instance,
                               struct uk_operation *operation)
{
  struct measure all = {0, 0};
  if (instance->settings.auto_commit)
    all = measure(instance, uk_progress_is_dirty);
  if (all.offsets == 0) {
    instance->dirty = false;
    if (operation != NULL)
      uk_group_finish(groups, operation, UK_OK);
    return true;
  }
  struct uk_group_commit *commit = make(all.offsets, all.bytes);
  if (commit == NULL)
    return false;
  fill(commit, instance, uk_progress_is_dirty);
  commit->operation = operation;
  commit->closes = operation != NULL;
  if (operation == NULL) {
    commit->instance = instance;
    instance->committing++;
  }
  instance->dirty = false;
  instance->next_commit = groups->now + instance->settings.auto_commit_interval;
  uk_group_list_commit(groups, instance->group, commit);
  return true;
}

/* The given offset counts from now on, until the owner's client has received more. Without an owner
 * or a position, the next look-up finds the offset. */
static void override(struct uk_groups *groups, struct uk_group *group,
                     const struct uk_topic_partition_offset *offset)
{
  struct uk_group_partition *partition =
    uk_group_partition_find(groups, group, offset->topic, offset->partition);
  if (partition == NULL)
    return;
  if (partition->owner != NULL && uk_progress_is_known(&partition->progress)) {
    uk_progress_override(&partition->progress, offset->offset);
    return;
  }
  uk_progress_forget(&partition->progress);
  partition->barrier = group->sequence;
}

static void commit_given(struct uk_groups *groups, struct uk_group *group,
                         struct uk_commit *operation)
{
  struct uk_group_commit *commit = make(0, 0);
  if (commit == NULL) {
    uk_group_finish(groups, &operation->operation, UK_E_NO_MEMORY);
    return;
  }
  commit->operation = &operation->operation;
  commit->offsets = operation->offsets;
  commit->count = operation->count;
  uk_group_list_commit(groups, group, commit);
  for (size_t i = 0; i < operation->count; i++)
    override(groups, group, &operation->offsets[i]);
}

void uk_group_commit_explicit(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_commit *operation)
{
  if (operation->count > 0) {
    commit_given(groups, instance->group, operation);
    return;
  }
  struct measure all = measure(instance, is_committable);
  if (all.offsets == 0) {
    uk_group_finish(groups, &operation->operation, UK_OK);
    return;
  }
  struct uk_group_commit *commit = make(all.offsets, all.bytes);
  if (commit == NULL) {
    uk_group_finish(groups, &operation->operation, UK_E_NO_MEMORY);
    return;
  }
  fill(commit, instance, is_committable);
  commit->operation = &operation->operation;
  uk_group_list_commit(groups, instance->group, commit);
}

/* The next auto-commit tries again. */
static void refuse(struct uk_groups *groups, const struct uk_group_commit *commit)
{
  for (size_t i = 0; i < commit->count; i++) {
    struct uk_group_partition *partition = uk_group_partition_find(
      groups, commit->group, commit->offsets[i].topic, commit->offsets[i].partition);
    if (partition == NULL)
      continue;
    uk_progress_refused(&partition->progress);
    if (partition->owner == NULL)
      continue;
    partition->owner->dirty = true;
    uk_group_instance_arm(groups, partition->owner);
  }
}

static void unblock_partition(struct uk_groups *groups, struct uk_group_partition *partition)
{
  struct uk_group_instance *owner = partition->owner;
  int64_t end;
  if (owner == NULL || uk_progress_is_known(&partition->progress))
    return;
  uk_group_position_locate(groups, partition, NULL, &end);
  uk_group_instance_arm(groups, owner);
  if (owner->activity == UK_GROUP_PARKED)
    uk_group_list_read(groups, owner);
}

/* Looks up the positions that waited for commits. Requests that wait for records continue now. */
static void unblock(struct uk_groups *groups, struct uk_group *group)
{
  struct uk_group_assignment *assignment = NULL;
  group->blocked = false;
  while ((assignment = uk_group_next(group, assignment)) != NULL) {
    for (int32_t i = 0; i < assignment->count; i++)
      unblock_partition(groups, &assignment->partitions[i]);
  }
}

static void end_auto_commit(struct uk_groups *groups, struct uk_group_instance *instance,
                            bool refused)
{
  if (instance == NULL)
    return;
  instance->committing--;
  if (refused && instance->next_commit < groups->now + UK_GROUP_RETRY)
    instance->next_commit = groups->now + UK_GROUP_RETRY;
  uk_group_instance_arm(groups, instance);
}

/* A deletion has closed its instance, even when the last commit failed. */
static void end_operation(struct uk_groups *groups, const struct uk_group_commit *commit,
                          enum uk_error error, const char *message)
{
  struct uk_operation *operation = commit->operation;
  bool closed = commit->closes && uk_error_retriable(error);
  if (closed)
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT,
                      "the consumer instance is closed, but its last commit failed: %s",
                      message[0] != '\0' ? message : uk_error_text(error));
  else
    snprintf(operation->message, sizeof operation->message, "%s", error != UK_OK ? message : "");
  uk_group_finish(groups, operation, closed ? UK_E_GATEWAY_TIMEOUT : error);
}

void uk_group_commit_end(struct uk_group_commit *commit, enum uk_error error, const char *message)
{
  struct uk_groups *groups = commit->groups;
  struct uk_group *group = commit->group;
  uk_list_remove(&commit->in_group);
  if (error != UK_OK)
    refuse(groups, commit);
  end_auto_commit(groups, commit->instance, error != UK_OK);
  if (commit->operation != NULL)
    end_operation(groups, commit, error, message);
  if (group->blocked)
    unblock(groups, group);
  uk_group_free_unused(groups, group);
  free(commit);
}

void uk_group_commit_orphan(struct uk_group_instance *instance)
{
  const struct uk_list *commits = &instance->group->commits;
  if (instance->committing == 0)
    return;
  for (struct uk_group_commit *commit = UK_LIST_FIRST(commits, struct uk_group_commit, in_group);
       commit != NULL; commit = UK_LIST_NEXT(commits, commit, struct uk_group_commit, in_group)) {
    if (commit->instance == instance)
      commit->instance = NULL;
  }
}
