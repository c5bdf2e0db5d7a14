#include "server/groups/groups.h"

#include <stdlib.h>

#include "server/groups/group_assignment.h"
#include "server/groups/group_commit.h"
#include "server/groups/group_consumers.h"
#include "server/groups/group_deferred.h"
#include "server/groups/group_held.h"
#include "server/groups/group_instance.h"
#include "server/groups/group_lists.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_request.h"
#include "server/groups/group_topic.h"

struct uk_groups *uk_groups_open(const struct uk_groups_log *log)
{
  struct uk_groups *groups = calloc(1, sizeof *groups);
  if (groups == NULL)
    return NULL;
  if (pthread_mutex_init(&groups->lock, NULL) != 0) {
    free(groups);
    return NULL;
  }
  uint64_t seed = uk_name_table_seed();
  groups->log = *log;
  groups->now = INT64_MIN;
  uk_name_table_init(&groups->groups, seed);
  uk_name_table_init(&groups->topics, seed);
  return groups;
}

void uk_groups_close(struct uk_groups *groups)
{
  struct uk_name_node *group = uk_name_table_next(&groups->groups, NULL);
  while (group != NULL) {
    struct uk_name_table *instances = &((struct uk_group *)group)->instances;
    struct uk_name_node *instance;
    struct uk_name_node *after = uk_name_table_next(&groups->groups, group);
    while ((instance = uk_name_table_next(instances, NULL)) != NULL)
      uk_group_instance_close(groups, (struct uk_group_instance *)instance);
    group = after;
  }
  uk_group_rebalance(groups);
  uk_name_table_free(&groups->groups);
  uk_name_table_free(&groups->topics);
  pthread_mutex_destroy(&groups->lock);
  free(groups);
}

/* What a consume of a live instance does first. */
static void begin_request(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_group_acknowledge(groups, instance);
  uk_group_instance_auto_commit(groups, instance);
  uk_group_release_leaving(groups, instance);
  uk_group_instance_arm(groups, instance);
}

static void consume(struct uk_groups *groups, struct uk_consume *operation)
{
  struct uk_group_instance *instance =
    uk_group_instance_find(groups, operation->group, operation->instance);
  enum uk_error error = UK_OK;
  if (instance != NULL)
    begin_request(groups, instance);
  else
    error = uk_group_instance_open(groups, operation, &instance);
  if (error == UK_OK && !uk_group_request_add(groups, instance, operation)) {
    error = UK_E_NO_MEMORY;
    if (instance->fresh && uk_list_is_empty(&instance->requests))
      uk_group_instance_close(groups, instance);
  }
  if (error == UK_OK)
    uk_group_requests_start(groups, instance);
  else
    uk_group_finish(groups, &operation->operation, error);
}

void uk_groups_consume(struct uk_groups *groups, struct uk_consume *operation, int64_t now)
{
  uk_group_enter(groups, now);
  consume(groups, operation);
  uk_group_leave(groups);
}

void uk_groups_consume_expired(struct uk_groups *groups, const struct uk_consume *operation,
                               int64_t now)
{
  uk_group_enter(groups, now);
  struct uk_group_instance *instance =
    uk_group_instance_find(groups, operation->group, operation->instance);
  if (instance != NULL)
    uk_group_request_expire(groups, instance, operation);
  uk_group_leave(groups);
}

/* NULL when there is none: the operation is then ended. */
static struct uk_group_instance *find_live(struct uk_groups *groups, struct uk_slice group,
                                           struct uk_slice name, struct uk_operation *operation)
{
  struct uk_group_instance *instance = uk_group_instance_find(groups, group, name);
  if (instance == NULL) {
    uk_operation_fail(operation, UK_E_NOT_FOUND, "group \"%.*s\" has no consumer instance \"%.*s\"",
                      UK_GROUP_TEXT(group), UK_GROUP_TEXT(name));
    uk_group_finish(groups, operation, UK_E_NOT_FOUND);
  }
  return instance;
}

static void commit(struct uk_groups *groups, struct uk_operation *operation)
{
  struct uk_commit *call = (struct uk_commit *)operation;
  struct uk_group_instance *instance = find_live(groups, call->group, call->instance, operation);
  if (instance == NULL)
    return;
  uk_group_acknowledge(groups, instance);
  if (uk_deliveries_awaited(&instance->deliveries)) {
    uk_group_hold(groups, instance, operation, commit);
    return;
  }
  uk_group_refresh_topics(groups, instance);
  uk_group_commit_explicit(groups, instance, call);
  /* Only after the commit, which the next owner of a partition is to start from. */
  uk_group_release_leaving(groups, instance);
}

void uk_groups_commit(struct uk_groups *groups, struct uk_commit *operation, int64_t now)
{
  uk_group_enter(groups, now);
  commit(groups, &operation->operation);
  uk_group_leave(groups);
}

static void delete_consumer(struct uk_groups *groups, struct uk_operation *operation)
{
  const struct uk_delete_consumer *call = (const struct uk_delete_consumer *)operation;
  struct uk_group_instance *instance = find_live(groups, call->group, call->instance, operation);
  if (instance == NULL)
    return;
  uk_group_acknowledge(groups, instance);
  if (uk_deliveries_awaited(&instance->deliveries)) {
    uk_group_hold(groups, instance, operation, delete_consumer);
    return;
  }
  uk_group_refresh_topics(groups, instance);
  uk_group_instance_delete(groups, instance, operation);
}

void uk_groups_delete_consumer(struct uk_groups *groups, struct uk_delete_consumer *operation,
                               int64_t now)
{
  uk_group_enter(groups, now);
  delete_consumer(groups, &operation->operation);
  uk_group_leave(groups);
}

void uk_groups_consumers(struct uk_groups *groups, struct uk_consumers *operation, int64_t now)
{
  uk_group_enter(groups, now);
  uk_group_rebalance(groups);
  bool listed = uk_group_list_consumers(groups, operation);
  uk_group_finish(groups, &operation->operation, listed ? UK_OK : UK_E_NO_MEMORY);
  uk_group_leave(groups);
}

void uk_groups_response_finished(struct uk_groups *groups, struct uk_slice group,
                                 struct uk_slice name, uint64_t delivery, bool complete,
                                 int64_t now)
{
  uk_group_enter(groups, now);
  struct uk_group_instance *instance = uk_group_instance_find(groups, group, name);
  if (instance != NULL && uk_group_response_finished(groups, instance, delivery, complete)) {
    uk_group_held_run(groups, instance);
    instance = uk_group_instance_find(groups, group, name); /* unless a deletion was held */
    if (instance != NULL)
      uk_group_requests_start(groups, instance);
  }
  uk_group_leave(groups);
}

static void wake_owners(struct uk_groups *groups, const struct uk_group_topic *topic,
                        int32_t number)
{
  struct uk_group_assignment *assignment = NULL;
  while ((assignment = uk_group_topic_next(topic, assignment)) != NULL) {
    struct uk_group_partition *partition =
      number < assignment->count ? &assignment->partitions[number] : NULL;
    struct uk_group_instance *owner = partition != NULL ? partition->owner : NULL;
    if (owner == NULL || owner->activity != UK_GROUP_PARKED ||
        uk_group_partition_leaving(partition))
      continue;
    owner->cursor = partition;
    uk_group_list_read(groups, owner);
  }
}

void uk_groups_wake(struct uk_groups *groups, struct uk_slice name, int32_t number, int64_t now)
{
  uk_group_enter(groups, now);
  struct uk_group_topic *topic = (struct uk_group_topic *)uk_name_table_find(&groups->topics, name);
  if (topic != NULL && (number < 0 || number >= topic->partitions))
    uk_group_topic_refresh(groups, name);
  else if (topic != NULL)
    wake_owners(groups, topic, number);
  uk_group_leave(groups);
}

int64_t uk_groups_next_tick(struct uk_groups *groups)
{
  pthread_mutex_lock(&groups->lock);
  int64_t next = groups->timers.first != NULL ? groups->timers.first->time : UK_TIMER_NEVER;
  pthread_mutex_unlock(&groups->lock);
  return next;
}

void uk_groups_tick(struct uk_groups *groups, int64_t now)
{
  uk_group_enter(groups, now);
  uk_group_leave(groups);
}

static void drain_instance(struct uk_groups *groups, struct uk_group_instance *instance)
{
  uk_group_requests_end(groups, instance);
  uk_group_held_end(groups, instance);
  /* The server stops. What was delivered is not delivered again after its next start, unless memory
   * is out. */
  uk_group_commit_delivered(groups, instance, NULL);
}

void uk_groups_drain(struct uk_groups *groups, int64_t now)
{
  uk_group_enter(groups, now);
  groups->draining = true;
  for (struct uk_name_node *group = uk_name_table_next(&groups->groups, NULL); group != NULL;
       group = uk_name_table_next(&groups->groups, group)) {
    struct uk_name_table *instances = &((struct uk_group *)group)->instances;
    for (struct uk_name_node *node = uk_name_table_next(instances, NULL); node != NULL;
         node = uk_name_table_next(instances, node))
      drain_instance(groups, (struct uk_group_instance *)node);
  }
  uk_group_leave(groups);
}
