#include "server/groups/group_request.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/groups/group_assignment.h"
#include "server/groups/group_batch.h"
#include "server/groups/group_commit.h"
#include "server/groups/group_held.h"
#include "server/groups/group_instance.h"
#include "server/groups/group_lists.h"

/* Ends the request with what its message says, and frees it. */
static void end(struct uk_groups *groups, struct uk_group_request *request, enum uk_error error)
{
  uk_group_finish(groups, &request->operation->operation, error);
  uk_list_remove(&request->link);
  uk_timer_set(&groups->timers, &request->timer, UK_TIMER_NEVER);
  free(request);
}

/* Ends a request that was not served. The client may not take what it would commit for done. */
static void end_unserved(struct uk_groups *groups, struct uk_group_request *request)
{
  const struct uk_consume *operation = request->operation;
  bool commits = operation->commit_count > 0 || operation->acknowledgement.commit;
  if (commits && !request->committed) {
    uk_operation_fail(&request->operation->operation, UK_E_UNAVAILABLE,
                      "an earlier request of this consumer instance is still being served, and "
                      "nothing was committed: try again");
    end(groups, request, UK_E_UNAVAILABLE);
  } else {
    end(groups, request, UK_OK);
  }
}

static void due(void *owner, struct uk_timer *timer)
{
  struct uk_groups *groups = owner;
  struct uk_group_request *request =
    (struct uk_group_request *)((char *)timer - offsetof(struct uk_group_request, timer));
  if (request == uk_group_first_request(request->instance))
    uk_group_request_end(groups, request->instance, UK_OK);
  else
    end_unserved(groups, request);
}

bool uk_group_request_add(struct uk_groups *groups, struct uk_group_instance *instance,
                          struct uk_consume *operation)
{
  struct uk_group_request *request = calloc(1, sizeof *request);
  if (request == NULL)
    return false;
  request->instance = instance;
  request->operation = operation;
  uk_timer_init(&request->timer, due);
  uk_list_add(&instance->requests, &request->link);
  if (uk_group_first_request(instance) != request)
    uk_timer_set(&groups->timers, &request->timer,
                 groups->draining ? groups->now : operation->operation.deadline);
  return true;
}

static bool is_over(const struct uk_groups *groups, const struct uk_group_request *request)
{
  return groups->draining || uk_operation_is_over(&request->operation->operation, groups->now);
}

/* The first request waits until it is known what became of the last response, or ends if its
 * deadline has come. */
static void await_response(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  if (is_over(groups, request)) {
    end(groups, request, UK_OK);
    return;
  }
  instance->activity = UK_GROUP_AWAITING;
  uk_timer_set(&groups->timers, &request->timer, request->operation->operation.deadline);
}

/* What the first request commits is durable, or was refused. */
static void committed(struct uk_groups *groups, const struct uk_group_commit *commit,
                      enum uk_error error, const char *message)
{
  struct uk_group_instance *instance = commit->instance;
  struct uk_group_request *request = uk_group_first_request(instance);
  instance->activity = UK_GROUP_IDLE;
  if (error == UK_OK) {
    request->committed = true;
    uk_group_resume(groups, instance->group->node.name, instance->node.name);
    return;
  }
  snprintf(request->operation->operation.message, UK_MESSAGE_SIZE, "%s", message);
  uk_group_request_end(groups, instance, error);
}

/* Commits what the first request says. If it has to wait for that, it is COMMITTING. */
static enum uk_error start_commit(struct uk_groups *groups, struct uk_group_instance *instance,
                                  bool acknowledges)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  struct uk_consume *operation = request->operation;
  struct uk_group_commit *listed = NULL;
  struct uk_group_forward forward = {.offsets = operation->commits,
                                     .count = operation->commit_count,
                                     .acknowledges = acknowledges,
                                     .skipped = operation->skipped,
                                     .operation = &operation->operation,
                                     .then = committed};
  if (acknowledges && operation->acknowledgement.commit)
    forward.batch = instance->deliveries.batch;
  if (forward.batch != 0 || forward.count > 0) {
    uk_group_refresh_topics(groups, instance);
    if (!uk_group_commit_forward(groups, instance, &forward, &listed))
      return UK_E_NO_MEMORY;
  }
  request->committed = listed == NULL;
  if (listed != NULL)
    instance->activity = UK_GROUP_COMMITTING;
  return UK_OK;
}

/* The outstanding batch is acknowledged or comes again: lists the instance for reading. */
static enum uk_error start_read(struct uk_groups *groups, struct uk_group_instance *instance,
                                bool acknowledges)
{
  enum uk_error error =
    uk_group_subscribe(groups, instance, uk_group_first_request(instance)->operation);
  if (error != UK_OK)
    return error;
  if (acknowledges)
    uk_group_batch_acknowledge(instance, instance->deliveries.batch);
  uk_group_instance_auto_commit(groups, instance);
  uk_group_list_read(groups, instance);
  return UK_OK;
}

/* UK_OK: it was started, or ended since it may not wait. */
static enum uk_error start_first(struct uk_groups *groups, struct uk_group_instance *instance)
{
  const struct uk_group_request *request = uk_group_first_request(instance);
  struct uk_consume *operation = request->operation;
  const struct uk_acknowledgement *said = &operation->acknowledgement;
  if (!uk_deliveries_accepts(&instance->deliveries, groups->nonce, said)) {
    uk_deliveries_refuse(said, &operation->operation);
    return UK_E_CONFLICT;
  }
  enum uk_deliveries_decision decision =
    uk_deliveries_decide(&instance->deliveries, groups->nonce, said);
  bool acknowledges = decision == UK_DELIVERIES_ACKNOWLEDGE;
  enum uk_error error = uk_group_check_topics(groups, operation);
  if (error == UK_OK && !request->committed)
    error = start_commit(groups, instance, acknowledges);
  if (error != UK_OK || instance->activity == UK_GROUP_COMMITTING)
    return error;
  if (decision != UK_DELIVERIES_WAIT)
    return start_read(groups, instance, acknowledges);
  await_response(groups, instance);
  return UK_OK;
}

void uk_group_requests_start(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_request *request;
  while (instance->activity == UK_GROUP_IDLE &&
         (request = uk_group_first_request(instance)) != NULL) {
    enum uk_error error = start_first(groups, instance);
    if (error == UK_OK)
      continue;
    end(groups, request, error);
    if (instance->fresh && uk_list_is_empty(&instance->requests)) {
      uk_group_instance_close(groups, instance);
      return;
    }
  }
  /* If any are held, the first request has just acknowledged what they wait for: the instance is
   * READING, and is not freed. */
  if (!uk_group_instance_awaits(instance))
    uk_group_held_run(groups, instance);
  uk_group_instance_arm(groups, instance);
}

void uk_group_resume(struct uk_groups *groups, struct uk_slice group, struct uk_slice name)
{
  struct uk_group_instance *instance = uk_group_instance_find(groups, group, name);
  if (instance == NULL)
    return;
  if (!uk_group_instance_awaits(instance)) {
    if (instance->activity == UK_GROUP_AWAITING)
      instance->activity = UK_GROUP_IDLE;
    uk_group_held_run(groups, instance);
    instance = uk_group_instance_find(groups, group, name); /* unless a deletion was held */
    if (instance == NULL)
      return;
  }
  uk_group_requests_start(groups, instance);
}

void uk_group_request_park(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  if (is_over(groups, request) || !uk_list_is_empty(&instance->deletes)) {
    uk_group_request_end(groups, instance, UK_OK);
    return;
  }
  instance->activity = UK_GROUP_PARKED;
  instance->fresh = false;
  uk_timer_set(&groups->timers, &request->timer, request->operation->operation.deadline);
  uk_group_release_leaving(groups, instance);
  uk_group_instance_arm(groups, instance);
}

/* Carries out the deletions. False when memory is out for the commit: the instance lives on. */
static bool close_for(struct uk_groups *groups, struct uk_group_instance *instance,
                      struct uk_list *deletes)
{
  struct uk_operation *operation = UK_LIST_TAKE(deletes, struct uk_operation, link);
  bool closed = uk_group_commit_delivered(groups, instance, operation);
  if (!closed)
    uk_group_finish(groups, operation, UK_E_NO_MEMORY);
  while ((operation = UK_LIST_TAKE(deletes, struct uk_operation, link)) != NULL)
    uk_group_finish(groups, operation, closed ? UK_OK : UK_E_NO_MEMORY);
  if (!closed)
    return false;
  /* What is held, because the deletion had not to wait for the last response, finds no instance. */
  struct uk_list held = {0};
  uk_group_held_take(instance, &held);
  uk_group_instance_close(groups, instance);
  uk_group_held_run_list(groups, &held);
  return true;
}

void uk_group_request_end(struct uk_groups *groups, struct uk_group_instance *instance,
                          enum uk_error error)
{
  struct uk_list deletes = {0};
  uk_list_move(&deletes, &instance->deletes);
  end(groups, uk_group_first_request(instance), error);
  instance->activity = UK_GROUP_IDLE;
  instance->last_request = groups->now; /* a client that waits is alive */
  if (!uk_list_is_empty(&deletes)) {
    uk_group_requests_end(groups, instance);
    if (close_for(groups, instance, &deletes))
      return;
  }
  if (instance->fresh && error != UK_OK && error != UK_E_CANCELLED &&
      uk_list_is_empty(&instance->requests)) {
    uk_group_instance_close(groups, instance);
    return;
  }
  instance->fresh = false;
  uk_group_release_leaving(groups, instance);
  uk_group_requests_start(groups, instance);
}

void uk_group_request_expire(struct uk_groups *groups, struct uk_group_instance *instance,
                             const struct uk_consume *operation)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  bool busy = uk_group_instance_is_busy(instance);
  while (request != NULL && request->operation != operation)
    request = UK_LIST_NEXT(&instance->requests, request, struct uk_group_request, link);
  if (request != NULL && !(busy && request == uk_group_first_request(instance)))
    due(groups, &request->timer);
}

void uk_group_requests_end(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  bool busy = uk_group_instance_is_busy(instance);
  if (request == NULL)
    return;
  while (request != NULL) {
    struct uk_group_request *next =
      UK_LIST_NEXT(&instance->requests, request, struct uk_group_request, link);
    if (!busy || request != uk_group_first_request(instance))
      end_unserved(groups, request);
    request = next;
  }
  if (!busy) {
    instance->activity = UK_GROUP_IDLE;
    instance->last_request = groups->now;
    uk_group_instance_arm(groups, instance);
  }
}

void uk_group_instance_delete(struct uk_groups *groups, struct uk_group_instance *instance,
                              struct uk_operation *operation)
{
  uk_group_requests_end(groups, instance);
  struct uk_list deletes = {0};
  bool busy = uk_group_instance_is_busy(instance);
  uk_list_add(busy ? &instance->deletes : &deletes, &operation->link);
  if (!busy)
    close_for(groups, instance, &deletes);
}
