#include "server/groups/group_commit.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/groups/group_instance.h"
#include "server/groups/group_position.h"
#include "server/groups/group_assignment.h"
#include "server/groups/group_deferred.h"

/* Which partitions of an instance go into a commit. */
typedef bool (*choice)(const struct uk_group_partition *partition);

static bool was_read(const struct uk_group_partition *partition)
{
  return partition->committable && partition->delivered != UK_GROUP_UNKNOWN;
}

/* The names are copied behind the offsets: a topic may be forgotten before the log gets to it. */
struct measure {
  size_t offsets;
  size_t bytes;
};

static struct measure measure(const struct uk_group_instance *instance, choice chosen)
{
  struct measure all = {0, 0};
  const struct uk_group_assignment *last = NULL;
  const struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (!chosen(partition))
      continue;
    all.offsets++;
    if (partition->assignment != last)
      all.bytes += partition->assignment->topic->node.name.length;
    last = partition->assignment;
  }
  return all;
}

static void fill(struct uk_group_commit *commit, const struct uk_group_instance *instance,
                 choice chosen)
{
  char *names = (char *)&commit->own[commit->count];
  const struct uk_group_assignment *last = NULL;
  struct uk_slice name = {NULL, 0};
  struct uk_topic_partition_offset *offset = commit->own;
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (!chosen(partition))
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
                                         .offset = partition->delivered};
    partition->committed = partition->delivered;
    partition->overridden = false;
  }
}

/* From here on it is the group's, until the log says that it is done. */
static void enqueue(struct uk_groups *groups, struct uk_group *group,
                    struct uk_group_commit *commit)
{
  commit->groups = groups;
  commit->group = group;
  commit->sequence = ++group->sequence;
  commit->previous = group->last_commit;
  if (group->last_commit != NULL)
    group->last_commit->next = commit;
  else
    group->commits = commit;
  group->last_commit = commit;
  uk_group_queue_commit(groups, commit);
}

static struct uk_group_commit *make(size_t offsets, size_t bytes)
{
  struct uk_group_commit *commit;
  commit = calloc(1, sizeof(*commit) + offsets * sizeof(commit->own[0]) + bytes);
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
    all = measure(instance, uk_group_partition_dirty);
  if (all.offsets == 0) {
    instance->dirty = false;
    if (operation != NULL)
      uk_group_finish(groups, operation, UK_OK);
    return true;
  }
  struct uk_group_commit *commit = make(all.offsets, all.bytes);
  if (commit == NULL)
    return false;
  fill(commit, instance, uk_group_partition_dirty);
  commit->operation = operation;
  commit->closes = operation != NULL;
  if (operation == NULL) {
    commit->instance = instance;
    instance->committing++;
  }
  instance->dirty = false;
  instance->next_commit = groups->now + instance->settings.auto_commit_interval;
  enqueue(groups, instance->group, commit);
  return true;
}

/* The offset that was given counts from now on, until the owner has read further. */
static void override(struct uk_groups *groups, struct uk_group *group,
                     const struct uk_topic_partition_offset *offset)
{
  struct uk_group_partition *partition =
    uk_group_partition_find(groups, group, offset->topic, offset->partition);
  if (partition == NULL)
    return;
  if (partition->position == UK_GROUP_UNKNOWN || partition->owner == NULL) {
    partition->position = partition->delivered = UK_GROUP_UNKNOWN;
    partition->barrier = group->sequence;
  }
  partition->committed = partition->delivered;
  partition->overridden = offset->offset != partition->delivered;
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
  enqueue(groups, group, commit);
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
  struct measure all = measure(instance, was_read);
  if (all.offsets == 0) {
    uk_group_finish(groups, &operation->operation, UK_OK);
    return;
  }
  struct uk_group_commit *commit = make(all.offsets, all.bytes);
  if (commit == NULL) {
    uk_group_finish(groups, &operation->operation, UK_E_NO_MEMORY);
    return;
  }
  fill(commit, instance, was_read);
  commit->operation = &operation->operation;
  enqueue(groups, instance->group, commit);
}

/* What was refused is not committed: the next auto-commit tries again. */
static void uncommit(struct uk_groups *groups, const struct uk_group_commit *commit)
{
  for (size_t i = 0; i < commit->count; i++) {
    struct uk_group_partition *partition = uk_group_partition_find(
      groups, commit->group, commit->offsets[i].topic, commit->offsets[i].partition);
    if (partition == NULL)
      continue;
    partition->committed = UK_GROUP_UNKNOWN;
    partition->overridden = false;
    if (partition->owner != NULL)
      partition->owner->dirty = true;
  }
}

/* Partitions that waited for commits may be looked up now; owners that wait for records do so at once. */
static void unblock(struct uk_groups *groups, struct uk_group *group)
{
  group->blocked = false;
  for (struct uk_group_assignment *assignment = group->assignments; assignment != NULL;
       assignment = assignment->group_next) {
    for (int32_t i = 0; i < assignment->count; i++) {
      struct uk_group_partition *partition = &assignment->partitions[i];
      if (partition->owner == NULL || partition->position != UK_GROUP_UNKNOWN)
        continue;
      int64_t end;
      uk_group_position_locate(groups, partition, NULL, &end);
      uk_group_instance_arm(groups, partition->owner);
      if (partition->owner->activity == UK_GROUP_PARKED)
        uk_group_queue_read(groups, partition->owner);
    }
  }
}

static void unlink_commit(struct uk_group_commit *commit)
{
  struct uk_group *group = commit->group;
  if (commit->previous != NULL)
    commit->previous->next = commit->next;
  else
    group->commits = commit->next;
  if (commit->next != NULL)
    commit->next->previous = commit->previous;
  else
    group->last_commit = commit->previous;
}

static void tell_instance(struct uk_groups *groups, struct uk_group_instance *instance,
                          bool refused)
{
  if (instance == NULL)
    return;
  instance->committing--;
  if (refused && instance->next_commit < groups->now + UK_GROUP_RETRY)
    instance->next_commit = groups->now + UK_GROUP_RETRY;
  uk_group_instance_arm(groups, instance);
}

/* A deletion has closed its instance, whatever became of the last commit. */
static void finish(struct uk_groups *groups, const struct uk_group_commit *commit,
                   enum uk_error error, const char *message)
{
  struct uk_operation *operation = commit->operation;
  bool closed = commit->closes && uk_error_retriable(error);
  if (closed)
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT,
                      "the consumer instance is closed, but what it was to commit last failed: %s",
                      message[0] != '\0' ? message : uk_error_text(error));
  else
    snprintf(operation->message, sizeof(operation->message), "%s", error != UK_OK ? message : "");
  uk_group_finish(groups, operation, closed ? UK_E_GATEWAY_TIMEOUT : error);
}

static void done(void *argument, enum uk_error error, const char *message)
{
  struct uk_group_commit *commit = argument;
  struct uk_groups *groups = commit->groups;
  struct uk_group *group = commit->group;
  uk_group_enter(groups, INT64_MIN);
  unlink_commit(commit);
  if (error != UK_OK)
    uncommit(groups, commit);
  tell_instance(groups, commit->instance, error != UK_OK);
  if (commit->operation != NULL)
    finish(groups, commit, error, message != NULL ? message : "");
  if (group->blocked)
    unblock(groups, group);
  uk_group_free_unused(groups, group);
  free(commit);
  uk_group_leave(groups);
}

void uk_group_commit_submit(struct uk_group_commit *commit)
{
  const struct uk_groups_log *log = &commit->groups->log;
  log->commit(log->context, commit->group->node.name, commit->offsets, commit->count, done, commit);
}

void uk_group_commit_orphan(struct uk_group_instance *instance)
{
  if (instance->committing == 0)
    return;
  for (struct uk_group_commit *commit = instance->group->commits; commit != NULL;
       commit = commit->next) {
    if (commit->instance == instance)
      commit->instance = NULL;
  }
}
