#include "server/groups/group_commit.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/groups/group_batch.h"
#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_position.h"

/* Which partitions of an instance a commit names, and with which offset. */
struct choice {
  bool (*chosen)(const struct uk_progress *progress);
  int64_t (*offset)(struct uk_progress *progress);
};

static bool is_committable(const struct uk_progress *progress)
{
  return progress->committable;
}

static int64_t position(struct uk_progress *progress)
{
  return progress->position;
}

static const struct choice all_delivered = {is_committable, uk_progress_commit};
static const struct choice news = {uk_progress_is_dirty, uk_progress_commit};
static const struct choice in_batch = {uk_progress_in_flight, position};

/* The names are copied after the offsets: a topic may be freed before the log reads them. */
struct measure {
  size_t offsets;
  size_t bytes;
};

static struct measure measure(const struct uk_group_instance *instance, const struct choice *choice)
{
  struct measure all = {0, 0};
  const struct uk_group_assignment *last = NULL;
  const struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (!choice->chosen(&partition->progress))
      continue;
    all.offsets++;
    if (partition->assignment != last)
      all.bytes += partition->assignment->topic->node.name.length;
    last = partition->assignment;
  }
  return all;
}

/* Fills in the first offsets, and puts their names behind the last one. */
static void fill(struct uk_group_commit *commit, const struct uk_group_instance *instance,
                 const struct choice *choice)
{
  char *names = (char *)&commit->own[commit->count];
  const struct uk_group_assignment *last = NULL;
  struct uk_slice name = {NULL, 0};
  struct uk_topic_partition_offset *offset = commit->own;
  struct uk_group_partition *partition = instance->cursor;
  for (size_t left = instance->owned; left > 0; left--, partition = partition->next) {
    if (!choice->chosen(&partition->progress))
      continue;
    if (partition->assignment != last) {
      name = partition->assignment->topic->node.name;
      memcpy(names, name.data, name.length);
      name.data = names;
      names += name.length;
      last = partition->assignment;
    }
    *offset = (struct uk_topic_partition_offset){.topic = name,
                                                 .partition = uk_group_partition_number(partition),
                                                 .offset = choice->offset(&partition->progress)};
    offset++;
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
    all = measure(instance, &news);
  if (all.offsets == 0) {
    instance->dirty = false;
    if (operation != NULL)
      uk_group_finish(groups, operation, UK_OK);
    return true;
  }
  struct uk_group_commit *commit = make(all.offsets, all.bytes);
  if (commit == NULL)
    return false;
  fill(commit, instance, &news);
  commit->operation = operation;
  commit->closes = operation != NULL;
  if (operation == NULL) {
    commit->instance = instance;
    commit->automatic = true;
    instance->committing++;
  }
  instance->dirty = false;
  instance->next_commit = groups->now + instance->settings.auto_commit_interval;
  uk_group_list_commit(groups, instance->group, commit);
  return true;
}

/* A commit of given offsets is on its way. Without an owner or a position, the next look-up finds
 * the offset. Otherwise it counts from now on, until the owner's client has received more; one that
 * moves forward only does so once it is known to be durable. */
static void take_given(struct uk_groups *groups, const struct uk_group_commit *commit)
{
  for (size_t i = 0; i < commit->count; i++) {
    const struct uk_topic_partition_offset *at = &commit->offsets[i];
    struct uk_group_partition *partition =
      uk_group_partition_find(groups, commit->group, at->topic, at->partition);
    if (partition == NULL)
      continue;
    if (partition->owner == NULL || !uk_progress_is_known(&partition->progress)) {
      uk_progress_forget(&partition->progress);
      partition->barrier = commit->group->sequence;
    } else if (!commit->forward) {
      uk_progress_override(&partition->progress, at->offset);
    }
  }
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
  commit->given = true;
  uk_group_list_commit(groups, group, commit);
  take_given(groups, commit);
}

void uk_group_commit_explicit(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_commit *operation)
{
  if (operation->count > 0) {
    commit_given(groups, instance->group, operation);
    return;
  }
  struct measure all = {0, 0};
  if (!operation->nothing)
    all = measure(instance, &all_delivered);
  if (all.offsets == 0) {
    uk_group_finish(groups, &operation->operation, UK_OK);
    return;
  }
  struct uk_group_commit *commit = make(all.offsets, all.bytes);
  if (commit == NULL) {
    uk_group_finish(groups, &operation->operation, UK_E_NO_MEMORY);
    return;
  }
  fill(commit, instance, &all_delivered);
  commit->operation = &operation->operation;
  uk_group_list_commit(groups, instance->group, commit);
}

/* The topic is another one, of which the client has nothing: the offset is from the one before. */
static bool is_outdated(const struct uk_group_partition *partition, bool acknowledges)
{
  return partition->renewed && !(acknowledges && uk_progress_in_flight(&partition->progress));
}

/* Another live instance holds the partition, or the offset is from the topic before. */
static bool is_foreign(struct uk_groups *groups, const struct uk_group_instance *instance,
                       const struct uk_topic_partition_offset *at, bool acknowledges)
{
  const struct uk_group_assignment *assignment =
    uk_group_assignment_find(groups, instance->group, at->topic);
  if (assignment == NULL)
    return false;
  if (at->partition < 0 || at->partition >= assignment->count) /* until the next rebalance */
    return assignment->renewed;
  const struct uk_group_partition *partition = &assignment->partitions[at->partition];
  return is_outdated(partition, acknowledges) ||
         (partition->owner != NULL && partition->owner != instance);
}

/* The offset is of no record, and of none to come as far as the client can know: a commit there
 * would hold back each later one that moves forward, and no instance could start at it. */
static bool is_beyond(struct uk_groups *groups, const struct uk_topic_partition_offset *at)
{
  int64_t first, end;
  return groups->log.bounds(groups->log.context, at->topic, at->partition, &first, &end) &&
         at->offset > end;
}

/* Adds the offsets that the instance may commit behind the first `count`. */
static size_t add_given(struct uk_groups *groups, const struct uk_group_instance *instance,
                        const struct uk_group_forward *forward, struct uk_group_commit *commit,
                        size_t count)
{
  for (size_t i = 0; i < forward->count; i++) {
    const struct uk_topic_partition_offset *at = &forward->offsets[i];
    forward->skipped[i] =
      is_beyond(groups, at) || is_foreign(groups, instance, at, forward->acknowledges);
    if (!forward->skipped[i])
      commit->own[count++] = *at;
  }
  return count;
}

bool uk_group_commit_forward(struct uk_groups *groups, struct uk_group_instance *instance,
                             const struct uk_group_forward *forward,
                             struct uk_group_commit **listed)
{
  struct measure batch = {0, 0};
  *listed = NULL;
  if (forward->batch != 0)
    batch = measure(instance, &in_batch);
  struct uk_group_commit *commit = make(batch.offsets + forward->count, batch.bytes);
  if (commit == NULL)
    return false;
  if (batch.offsets > 0)
    fill(commit, instance, &in_batch);
  commit->count = add_given(groups, instance, forward, commit, batch.offsets);
  if (commit->count == 0) {
    free(commit);
    return true;
  }
  commit->given = commit->forward = true;
  commit->instance = instance;
  commit->batch = forward->batch;
  commit->operation = forward->operation;
  commit->then = forward->then;
  instance->pending++;
  uk_group_list_commit(groups, instance->group, commit);
  take_given(groups, commit);
  *listed = commit;
  return true;
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

/* The records in flight that a given offset covers are not delivered again. */
static void settle_given(struct uk_groups *groups, const struct uk_group_commit *commit)
{
  for (size_t i = 0; i < commit->count; i++) {
    const struct uk_topic_partition_offset *at = &commit->offsets[i];
    struct uk_group_partition *partition =
      uk_group_partition_find(groups, commit->group, at->topic, at->partition);
    if (partition == NULL || !uk_progress_is_known(&partition->progress))
      continue;
    uk_progress_cover(&partition->progress, at->offset, commit->forward);
    if (commit->forward)
      uk_progress_forward(&partition->progress, at->offset);
  }
}

static void settle(struct uk_groups *groups, const struct uk_group_commit *commit,
                   enum uk_error error)
{
  if (error == UK_OK && commit->instance != NULL && commit->batch != 0)
    uk_group_batch_acknowledge(commit->instance, commit->batch);
  if (error == UK_OK && commit->given)
    settle_given(groups, commit);
  if (error != UK_OK && !commit->forward)
    refuse(groups, commit);
}

/* The instance, if it is alive, has a commit less under way. */
static void leave_instance(struct uk_groups *groups, const struct uk_group_commit *commit,
                           bool refused)
{
  struct uk_group_instance *instance = commit->instance;
  if (instance == NULL)
    return;
  if (!commit->automatic) {
    instance->pending--;
    instance->last_request = groups->now;
    uk_group_instance_arm(groups, instance);
    return;
  }
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
  bool is_orphan = commit->instance == NULL;
  uk_list_remove(&commit->in_group);
  settle(groups, commit, error);
  leave_instance(groups, commit, error != UK_OK);
  if (commit->operation != NULL && commit->then == NULL)
    end_operation(groups, commit, error, message);
  if (group->blocked)
    unblock(groups, group);
  /* The instance, if there is one, keeps the group until `then` closes it. */
  if (commit->then != NULL)
    commit->then(groups, commit, error, message);
  if (commit->then == NULL || is_orphan)
    uk_group_free_unused(groups, group);
  free(commit);
}

void uk_group_commit_orphan(struct uk_group_instance *instance)
{
  const struct uk_list *commits = &instance->group->commits;
  if (instance->committing == 0 && instance->pending == 0)
    return;
  for (struct uk_group_commit *commit = UK_LIST_FIRST(commits, struct uk_group_commit, in_group);
       commit != NULL; commit = UK_LIST_NEXT(commits, commit, struct uk_group_commit, in_group)) {
    if (commit->instance == instance)
      commit->instance = NULL;
  }
}
