#include "server/groups/group_instance.h"

#include <stdlib.h>

#include "server/groups/group_assignment.h"
#include "server/groups/group_commit.h"
#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_topic.h"

static struct uk_group *find_group(struct uk_groups *groups, struct uk_slice name)
{
  return (struct uk_group *)uk_name_table_find(&groups->groups, name);
}

struct uk_group_instance *uk_group_instance_find(struct uk_groups *groups,
                                                 struct uk_slice group_name, struct uk_slice name)
{
  struct uk_group *group = find_group(groups, group_name);
  if (group == NULL)
    return NULL;
  return (struct uk_group_instance *)uk_name_table_find(&group->instances, name);
}

static struct uk_group *get_group(struct uk_groups *groups, struct uk_slice name)
{
  struct uk_group *group = find_group(groups, name);
  if (group != NULL)
    return group;
  group = calloc(1, sizeof *group + name.length);
  if (group == NULL)
    return NULL;
  if (name.length > 0)
    memcpy(group->name, name.data, name.length);
  group->node.name = uk_slice_of(group->name, name.length);
  uk_name_table_init(&group->instances, groups->groups.seed);
  if (!uk_name_table_add(&groups->groups, &group->node)) {
    free(group);
    return NULL;
  }
  return group;
}

enum uk_error uk_group_check_topics(struct uk_groups *groups, struct uk_consume *operation)
{
  for (size_t i = 0; i < operation->topic_count; i++) {
    if (uk_group_topic_partitions(groups, operation->topics[i]) > 0)
      continue;
    uk_operation_fail(&operation->operation, UK_E_NOT_FOUND, UK_NO_TOPIC,
                      UK_GROUP_TEXT(operation->topics[i]));
    return UK_E_NOT_FOUND;
  }
  return UK_OK;
}

/* The partitions of all topics that the group would read with the operation. */
static int64_t count_partitions(struct uk_groups *groups, struct uk_group *group,
                                const struct uk_consume *operation)
{
  struct uk_group_assignment *assignment = NULL;
  int64_t partitions = 0;
  while ((assignment = uk_group_next(group, assignment)) != NULL)
    partitions += assignment->member_count > 0 ? assignment->topic->partitions : 0;
  for (size_t i = 0; i < operation->topic_count; i++) {
    assignment = uk_group_assignment_find(groups, group, operation->topics[i]);
    if (assignment == NULL || assignment->member_count == 0)
      partitions += uk_group_topic_partitions(groups, operation->topics[i]);
  }
  return partitions;
}

/* Each instance must have a partition to read, or it would wait forever. */
static enum uk_error check_limits(struct uk_groups *groups, struct uk_consume *operation)
{
  struct uk_group *group = find_group(groups, operation->group);
  int64_t partitions = group != NULL ? count_partitions(groups, group, operation) : 0;
  if (group != NULL && (int64_t)group->instances.count >= partitions) {
    uk_operation_fail(&operation->operation, UK_E_TOO_MANY,
                      "group \"%.*s\" has %zu consumer instance%s already: the limit is %lld, the "
                      "partitions of its topics",
                      UK_GROUP_TEXT(operation->group), group->instances.count,
                      group->instances.count == 1 ? "" : "s", (long long)partitions);
    return UK_E_TOO_MANY;
  }
  if (groups->instance_count >= UK_GROUP_INSTANCES_MAX) {
    uk_operation_fail(&operation->operation, UK_E_TOO_MANY,
                      "no room for an instance of group \"%.*s\": the limit is %d in all groups",
                      UK_GROUP_TEXT(operation->group), (int)UK_GROUP_INSTANCES_MAX);
    return UK_E_TOO_MANY;
  }
  return UK_OK;
}

static enum uk_error check_name(struct uk_consume *operation, const char *what,
                                struct uk_slice name)
{
  if (name.length >= 1 && name.length <= UK_GROUP_NAME_MAX)
    return UK_OK;
  uk_operation_fail(&operation->operation, UK_E_BAD_REQUEST, "%s: 1 to %d bytes expected, got %zu",
                    what, (int)UK_GROUP_NAME_MAX, name.length);
  return UK_E_BAD_REQUEST;
}

static void due(void *owner, struct uk_timer *timer);

static struct uk_group_instance *make(struct uk_groups *groups, const struct uk_consume *operation)
{
  struct uk_group *group = get_group(groups, operation->group);
  if (group == NULL)
    return NULL;
  struct uk_slice name = operation->instance;
  struct uk_group_instance *instance = calloc(1, sizeof *instance + name.length);
  if (instance != NULL) {
    memcpy(instance->name, name.data, name.length);
    instance->node.name = uk_slice_of(instance->name, name.length);
    instance->group = group;
    instance->settings = operation->settings;
    instance->fresh = true;
    instance->next_commit = groups->now + operation->settings.auto_commit_interval;
    uk_timer_init(&instance->timer, due);
    if (uk_name_table_add(&group->instances, &instance->node)) {
      groups->instance_count++;
      return instance;
    }
  }
  free(instance);
  uk_group_free_unused(groups, group);
  return NULL;
}

enum uk_error uk_group_instance_open(struct uk_groups *groups, struct uk_consume *operation,
                                     struct uk_group_instance **instance)
{
  enum uk_error error = check_name(operation, "group", operation->group);
  if (error == UK_OK)
    error = check_name(operation, "instance", operation->instance);
  if (error == UK_OK)
    error = uk_group_check_topics(groups, operation);
  if (error == UK_OK)
    error = check_limits(groups, operation);
  if (error != UK_OK)
    return error;
  *instance = make(groups, operation);
  return *instance != NULL ? UK_OK : UK_E_NO_MEMORY;
}

static bool has_assignment(struct uk_group_assignment *const *assignments, size_t count,
                           const struct uk_group_assignment *assignment)
{
  for (size_t i = 0; i < count; i++) {
    if (assignments[i] == assignment)
      return true;
  }
  return false;
}

/* The usual case: the request names the same topics in the same order. */
static bool same_topics(const struct uk_group_instance *instance,
                        const struct uk_consume *operation)
{
  if (instance->assignment_count != operation->topic_count)
    return false;
  for (size_t i = 0; i < operation->topic_count; i++) {
    if (!uk_slice_equal(instance->assignments[i]->topic->node.name, operation->topics[i]))
      return false;
  }
  return true;
}

static void replace_assignments(struct uk_groups *groups, struct uk_group_instance *instance,
                                struct uk_group_assignment **assignments, size_t count)
{
  for (size_t i = 0; i < count; i++) {
    if (!has_assignment(instance->assignments, instance->assignment_count, assignments[i]))
      uk_group_assignment_join(groups, assignments[i], instance);
  }
  for (size_t i = 0; i < instance->assignment_count; i++) {
    if (!has_assignment(assignments, count, instance->assignments[i]))
      uk_group_assignment_leave(groups, instance->assignments[i], instance);
  }
  free(instance->assignments);
  instance->assignments = assignments;
  instance->assignment_count = count;
}

enum uk_error uk_group_subscribe(struct uk_groups *groups, struct uk_group_instance *instance,
                                 struct uk_consume *operation)
{
  if (same_topics(instance, operation))
    return UK_OK;
  struct uk_group_assignment **assignments =
    calloc(operation->topic_count, sizeof(struct uk_group_assignment *));
  if (assignments == NULL)
    return UK_E_NO_MEMORY;
  for (size_t i = 0; i < operation->topic_count; i++) {
    assignments[i] = uk_group_assignment_get(groups, instance->group, operation->topics[i]);
    if (assignments[i] == NULL) {
      free(assignments);
      return UK_E_NO_MEMORY;
    }
  }
  replace_assignments(groups, instance, assignments, operation->topic_count);
  return UK_OK;
}

void uk_group_refresh_topics(struct uk_groups *groups, struct uk_group_instance *instance)
{
  for (size_t i = 0; i < instance->assignment_count; i++)
    uk_group_topic_refresh(groups, instance->assignments[i]->topic->node.name);
}

void uk_group_instance_auto_commit(struct uk_groups *groups, struct uk_group_instance *instance)
{
  if (!instance->settings.auto_commit || !instance->dirty || instance->committing > 0 ||
      groups->now < instance->next_commit)
    return;
  if (!uk_group_commit_delivered(groups, instance, NULL))
    instance->next_commit = groups->now + UK_GROUP_RETRY;
}

static void due(void *owner, struct uk_timer *timer)
{
  struct uk_groups *groups = owner;
  struct uk_group_instance *instance =
    (struct uk_group_instance *)((char *)timer - offsetof(struct uk_group_instance, timer));
  int64_t expiry = instance->last_request + instance->settings.session_timeout;
  if (uk_group_instance_is_idle(instance) && groups->now >= expiry) {
    uk_group_refresh_topics(groups, instance);
    if (uk_group_commit_delivered(groups, instance, NULL)) {
      uk_group_instance_close(groups, instance);
      return;
    }
    /* Closing without the commit would lose a position: keep the instance until memory is
     * free. */
    instance->last_request += UK_GROUP_RETRY;
  }
  uk_group_instance_auto_commit(groups, instance);
  uk_group_instance_arm(groups, instance);
}

void uk_group_instance_close(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group *group = instance->group;
  uk_group_commit_orphan(instance);
  for (size_t i = 0; i < instance->assignment_count; i++)
    uk_group_assignment_leave(groups, instance->assignments[i], instance);
  uk_group_release_all(groups, instance);
  uk_timer_set(&groups->timers, &instance->timer, UK_TIMER_NEVER);
  uk_name_table_remove(&group->instances, &instance->node);
  groups->instance_count--;
  free(instance->assignments);
  free(instance);
  uk_group_free_unused(groups, group);
}
