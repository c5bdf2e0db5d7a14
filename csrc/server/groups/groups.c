#include "server/groups/groups.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/groups/group_assignment.h"
#include "server/groups/group_batch.h"
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
  if (!uk_batch_nonce_make(groups->nonce) || pthread_mutex_init(&groups->lock, NULL) != 0) {
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

static const struct uk_deliveries none = {0};

/* Fails the operation with CONFLICT unless the instance, which may be NULL, knows the batch. */
static bool accepts(const struct uk_groups *groups, const struct uk_group_instance *instance,
                    const struct uk_acknowledgement *acknowledgement,
                    struct uk_operation *operation)
{
  const struct uk_deliveries *deliveries = instance != NULL ? &instance->deliveries : &none;
  if (uk_deliveries_accepts(deliveries, groups->nonce, acknowledgement))
    return true;
  uk_deliveries_refuse(acknowledgement, operation);
  return false;
}

bool uk_groups_accepts(struct uk_groups *groups, struct uk_consume *operation)
{
  pthread_mutex_lock(&groups->lock);
  const struct uk_group_instance *instance =
    uk_group_instance_find(groups, operation->group, operation->instance);
  bool accepted = accepts(groups, instance, &operation->acknowledgement, &operation->operation);
  pthread_mutex_unlock(&groups->lock);
  return accepted;
}

/* The live instance, or a new one. */
static enum uk_error get_instance(struct uk_groups *groups, struct uk_consume *operation,
                                  struct uk_group_instance **instance)
{
  *instance = uk_group_instance_find(groups, operation->group, operation->instance);
  if (!accepts(groups, *instance, &operation->acknowledgement, &operation->operation))
    return UK_E_CONFLICT;
  if (*instance == NULL)
    return uk_group_instance_open(groups, operation, instance);
  (*instance)->last_request = groups->now;
  return UK_OK;
}

static void consume(struct uk_groups *groups, struct uk_consume *operation)
{
  struct uk_group_instance *instance;
  enum uk_error error = get_instance(groups, operation, &instance);
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

/* A commit or a deletion, in two steps: `run` carries out what it says about the outstanding batch,
 * and may wait for that; `act` does the rest. In between, the position after the batch may have to
 * become durable: then `committed` continues. */
struct kind {
  void (*run)(struct uk_groups *groups, struct uk_operation *operation);
  void (*act)(struct uk_groups *groups, struct uk_group_instance *instance,
              struct uk_operation *operation);
  void (*committed)(struct uk_groups *groups, const struct uk_group_commit *commit,
                    enum uk_error error, const char *message);
};

/* True if the operation continues; otherwise it is ended. */
static bool continues(struct uk_groups *groups, const struct uk_group_commit *commit,
                      enum uk_error error, const char *message)
{
  struct uk_operation *operation = commit->operation;
  if (error == UK_OK && commit->instance != NULL)
    return true;
  if (error == UK_OK) {
    error = UK_E_NOT_FOUND;
    message = "the batch was committed, but the consumer instance was deleted meanwhile";
  }
  snprintf(operation->message, sizeof operation->message, "%s", message);
  uk_group_finish(groups, operation, error);
  return false;
}

static void commit_batch(struct uk_groups *groups, struct uk_group_instance *instance,
                         struct uk_operation *operation, const struct kind *kind)
{
  struct uk_group_commit *listed;
  const struct uk_group_forward forward = {
    .batch = instance->deliveries.batch, .operation = operation, .then = kind->committed};
  uk_group_refresh_topics(groups, instance);
  if (!uk_group_commit_forward(groups, instance, &forward, &listed)) {
    uk_group_finish(groups, operation, UK_E_NO_MEMORY);
  } else if (listed == NULL) {
    uk_group_batch_acknowledge(instance, forward.batch);
    kind->act(groups, instance, operation);
  }
}

static void acknowledge_and_act(struct uk_groups *groups, struct uk_group_instance *instance,
                                const struct uk_acknowledgement *said,
                                struct uk_operation *operation, const struct kind *kind)
{
  instance->last_request = groups->now;
  if (!accepts(groups, instance, said, operation)) {
    uk_group_finish(groups, operation, UK_E_CONFLICT);
    return;
  }
  switch (uk_deliveries_decide(&instance->deliveries, groups->nonce, said)) {
  case UK_DELIVERIES_WAIT: uk_group_hold(groups, instance, operation, kind->run); return;
  case UK_DELIVERIES_ACKNOWLEDGE:
    if (said->commit) {
      commit_batch(groups, instance, operation, kind);
      return;
    }
    uk_group_batch_acknowledge(instance, instance->deliveries.batch);
    break;
  case UK_DELIVERIES_CONTINUE:
  case UK_DELIVERIES_REDELIVER: break;
  }
  kind->act(groups, instance, operation);
}

static void commit_offsets(struct uk_groups *groups, struct uk_group_instance *instance,
                           struct uk_operation *operation)
{
  uk_group_refresh_topics(groups, instance);
  uk_group_commit_explicit(groups, instance, (struct uk_commit *)operation);
  /* Only after the commit, which the next owner of a partition is to start from. */
  uk_group_release_leaving(groups, instance);
}

static void commit_continues(struct uk_groups *groups, const struct uk_group_commit *commit,
                             enum uk_error error, const char *message)
{
  const struct uk_commit *call = (const struct uk_commit *)commit->operation;
  if (!continues(groups, commit, error, message))
    return;
  commit_offsets(groups, commit->instance, commit->operation);
  uk_group_resume(groups, call->group, call->instance);
}

static void commit(struct uk_groups *groups, struct uk_operation *operation)
{
  static const struct kind kind = {commit, commit_offsets, commit_continues};
  const struct uk_commit *call = (const struct uk_commit *)operation;
  struct uk_group_instance *instance = find_live(groups, call->group, call->instance, operation);
  if (instance != NULL)
    acknowledge_and_act(groups, instance, &call->acknowledgement, operation, &kind);
}

void uk_groups_commit(struct uk_groups *groups, struct uk_commit *operation, int64_t now)
{
  struct uk_slice group = operation->group, name = operation->instance;
  uk_group_enter(groups, now);
  commit(groups, &operation->operation);
  uk_group_resume(groups, group, name);
  uk_group_leave(groups);
}

static void close_instance(struct uk_groups *groups, struct uk_group_instance *instance,
                           struct uk_operation *operation)
{
  uk_group_refresh_topics(groups, instance);
  uk_group_instance_delete(groups, instance, operation);
}

static void deletion_continues(struct uk_groups *groups, const struct uk_group_commit *commit,
                               enum uk_error error, const char *message)
{
  const struct uk_delete_consumer *call = (const struct uk_delete_consumer *)commit->operation;
  if (!continues(groups, commit, error, message))
    return;
  close_instance(groups, commit->instance, commit->operation);
  uk_group_resume(groups, call->group, call->instance);
}

static void delete_consumer(struct uk_groups *groups, struct uk_operation *operation)
{
  static const struct kind kind = {delete_consumer, close_instance, deletion_continues};
  const struct uk_delete_consumer *call = (const struct uk_delete_consumer *)operation;
  struct uk_group_instance *instance = find_live(groups, call->group, call->instance, operation);
  if (instance != NULL)
    acknowledge_and_act(groups, instance, &call->acknowledgement, operation, &kind);
}

void uk_groups_delete_consumer(struct uk_groups *groups, struct uk_delete_consumer *operation,
                               int64_t now)
{
  struct uk_slice group = operation->group, name = operation->instance;
  uk_group_enter(groups, now);
  delete_consumer(groups, &operation->operation);
  uk_group_resume(groups, group, name);
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
                                 struct uk_slice name, uint64_t delivery,
                                 enum uk_response_outcome outcome, int64_t now)
{
  uk_group_enter(groups, now);
  struct uk_group_instance *instance = uk_group_instance_find(groups, group, name);
  if (instance != NULL && uk_deliveries_response_finished(&instance->deliveries, delivery, outcome))
    uk_group_resume(groups, group, name);
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
    if (owner == NULL || owner->activity != UK_GROUP_PARKED)
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
