#include "check_groups.h"

#include "check.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_state.h"

static unsigned auto_commits_of(const struct uk_group_instance *instance)
{
  const struct uk_list *commits = &instance->group->commits;
  unsigned count = 0;
  for (struct uk_group_commit *commit = UK_LIST_FIRST(commits, struct uk_group_commit, in_group);
       commit != NULL; commit = UK_LIST_NEXT(commits, commit, struct uk_group_commit, in_group))
    count += commit->instance == instance && commit->automatic;
  return count;
}

static unsigned others_of(const struct uk_group_instance *instance, const struct uk_consume *first)
{
  const struct uk_list *commits = &instance->group->commits;
  unsigned count = 0;
  for (struct uk_group_commit *commit = UK_LIST_FIRST(commits, struct uk_group_commit, in_group);
       commit != NULL; commit = UK_LIST_NEXT(commits, commit, struct uk_group_commit, in_group))
    count += commit->instance == instance && !commit->automatic &&
             (first == NULL || commit->operation == &first->operation);
  return count;
}

/* The ring: its length, and what the instance says about it. */
static void check_ring(const struct uk_group_instance *instance)
{
  const struct uk_group_partition *partition = instance->cursor;
  size_t leaving = 0;
  bool dirty = false, in_batch[UK_GROUP_BATCH_MAX] = {false};
  CHECK((partition == NULL) == (instance->owned == 0));
  for (size_t i = 0; i < instance->owned; i++, partition = partition->next) {
    CHECK(partition->owner == instance);
    CHECK(partition->next->previous == partition && partition->previous->next == partition);
    leaving += uk_group_partition_leaving(partition);
    dirty |= uk_progress_is_dirty(&partition->progress);
    if (!uk_progress_in_flight(&partition->progress))
      continue;
    CHECK(uk_deliveries_outstanding(&instance->deliveries));
    CHECK(partition->progress.redelivery >= partition->progress.delivered &&
          partition->progress.redelivery <= partition->progress.position);
    CHECK(partition->place < UK_GROUP_BATCH_MAX && !in_batch[partition->place]);
    in_batch[partition->place] = true;
  }
  CHECK(partition == instance->cursor);
  CHECK_EQ_INT(instance->leaving, leaving);
  CHECK(!dirty || instance->dirty || !instance->settings.auto_commit);
}

/* The next thing that time alone brings. */
static int64_t time_of(const struct uk_group_instance *instance)
{
  int64_t expiry = uk_group_instance_is_idle(instance)
                     ? instance->last_request + instance->settings.session_timeout
                     : UK_TIMER_NEVER;
  bool commits =
    instance->settings.auto_commit && instance->dirty && auto_commits_of(instance) == 0;
  return commits && instance->next_commit < expiry ? instance->next_commit : expiry;
}

static void check_requests(const struct uk_group_instance *instance)
{
  const struct uk_group_request *request = uk_group_first_request(instance);
  bool awaited = uk_group_instance_awaits(instance);
  enum uk_group_activity waits = awaited ? UK_GROUP_AWAITING : UK_GROUP_PARKED;
  if (request != NULL && others_of(instance, request->operation) > 0)
    waits = UK_GROUP_COMMITTING;
  CHECK_EQ_INT(instance->activity, request != NULL ? waits : UK_GROUP_IDLE);
  CHECK(awaited || uk_list_is_empty(&instance->held));
  if (waits == UK_GROUP_COMMITTING) { /* it ends with the commit */
    CHECK(!request->committed && request->timer.time == UK_TIMER_NEVER);
    request = UK_LIST_NEXT(&instance->requests, request, struct uk_group_request, link);
  } else {
    CHECK(request == NULL || request->committed);
    CHECK(uk_list_is_empty(&instance->deletes));
  }
  for (; request != NULL;
       request = UK_LIST_NEXT(&instance->requests, request, struct uk_group_request, link)) {
    CHECK(request->instance == instance);
    CHECK_EQ_INT(request->timer.time, request->operation->operation.deadline);
  }
}

static bool is_member(const struct uk_group_assignment *assignment,
                      const struct uk_group_instance *instance)
{
  for (size_t i = 0; i < assignment->member_count; i++) {
    if (assignment->members[i] == instance)
      return true;
  }
  return false;
}

static void check_instance(const struct uk_group_instance *instance)
{
  CHECK_EQ_INT(instance->committing, auto_commits_of(instance));
  CHECK_EQ_INT(instance->pending, others_of(instance, NULL));
  CHECK(instance->timer.time <= time_of(instance)); /* an earlier one finds nothing to do */
  check_ring(instance);
  check_requests(instance);
  for (size_t i = 0; i < instance->assignment_count; i++)
    CHECK(is_member(instance->assignments[i], instance));
}

/* Members are sorted, and each free partition has found its owner. */
static void check_assignment(const struct uk_group_assignment *assignment)
{
  size_t owned = 0;
  CHECK(assignment->member_count > 0 || assignment->owned > 0);
  CHECK_EQ_INT(assignment->count, assignment->topic->partitions);
  for (size_t i = 1; i < assignment->member_count; i++)
    CHECK(uk_name_order(assignment->members[i - 1]->node.name, assignment->members[i]->node.name) <
          0);
  for (int32_t i = 0; i < assignment->count; i++) {
    const struct uk_group_partition *partition = &assignment->partitions[i];
    CHECK(partition->assignment == assignment);
    CHECK(partition->owner != NULL || assignment->member_count == 0);
    CHECK(partition->target == NULL || is_member(assignment, partition->target));
    CHECK(partition->owner != NULL || !uk_progress_in_flight(&partition->progress));
    owned += partition->owner != NULL;
  }
  CHECK_EQ_INT(assignment->owned, owned);
  CHECK_EQ_INT(assignment->reads, 0);
}

static size_t check_group(const struct uk_group *group)
{
  const struct uk_group_assignment *assignment = NULL;
  CHECK(group->instances.count > 0 || !uk_list_is_empty(&group->commits) ||
        !uk_list_is_empty(&group->assignments));
  while ((assignment = uk_group_next(group, assignment)) != NULL)
    check_assignment(assignment);
  for (struct uk_name_node *node = uk_name_table_next(&group->instances, NULL); node != NULL;
       node = uk_name_table_next(&group->instances, node)) {
    CHECK(((struct uk_group_instance *)node)->group == group);
    check_instance((struct uk_group_instance *)node);
  }
  return group->instances.count;
}

void check_groups(struct uk_groups *groups)
{
  size_t instances = 0;
  for (struct uk_name_node *node = uk_name_table_next(&groups->groups, NULL); node != NULL;
       node = uk_name_table_next(&groups->groups, node))
    instances += check_group((struct uk_group *)node);
  CHECK_EQ_INT(groups->instance_count, instances);
  for (struct uk_name_node *node = uk_name_table_next(&groups->topics, NULL); node != NULL;
       node = uk_name_table_next(&groups->topics, node))
    CHECK(!uk_list_is_empty(&((struct uk_group_topic *)node)->assignments));
  CHECK(uk_list_is_empty(&groups->to_rebalance) && uk_list_is_empty(&groups->to_read));
  CHECK(uk_list_is_empty(&groups->finished) && uk_list_is_empty(&groups->to_submit));
  CHECK(!groups->submitting);
}
