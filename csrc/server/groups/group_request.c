#include "server/groups/group_request.h"

#include <stdlib.h>

#include "server/groups/group_assignment.h"
#include "server/groups/group_commit.h"
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

static void due(void *owner, struct uk_timer *timer)
{
  struct uk_groups *groups = owner;
  struct uk_group_request *request =
    (struct uk_group_request *)((char *)timer - offsetof(struct uk_group_request, timer));
  if (request == uk_group_first_request(request->instance))
    uk_group_request_end(groups, request->instance, UK_OK);
  else
    end(groups, request, UK_OK);
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

void uk_group_requests_start(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_request *request;
  while (instance->activity == UK_GROUP_IDLE &&
         (request = uk_group_first_request(instance)) != NULL) {
    if (uk_deliveries_awaited(&instance->deliveries)) {
      await_response(groups, instance);
      continue;
    }
    enum uk_error error = uk_group_subscribe(groups, instance, request->operation);
    if (error == UK_OK) {
      uk_group_list_read(groups, instance);
      break;
    }
    end(groups, request, error);
    if (instance->fresh && uk_list_is_empty(&instance->requests)) {
      uk_group_instance_close(groups, instance);
      return;
    }
  }
  uk_group_instance_arm(groups, instance);
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
  if (closed)
    uk_group_instance_close(groups, instance);
  return closed;
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
  bool reading = instance->activity == UK_GROUP_READING;
  while (request != NULL && request->operation != operation)
    request = UK_LIST_NEXT(&instance->requests, request, struct uk_group_request, link);
  if (request != NULL && !(reading && request == uk_group_first_request(instance)))
    due(groups, &request->timer);
}

void uk_group_requests_end(struct uk_groups *groups, struct uk_group_instance *instance)
{
  struct uk_group_request *request = uk_group_first_request(instance);
  bool reading = instance->activity == UK_GROUP_READING;
  if (request == NULL)
    return;
  while (request != NULL) {
    struct uk_group_request *next =
      UK_LIST_NEXT(&instance->requests, request, struct uk_group_request, link);
    if (!reading || request != uk_group_first_request(instance))
      end(groups, request, UK_OK);
    request = next;
  }
  if (!reading) {
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
  bool reading = instance->activity == UK_GROUP_READING;
  uk_list_add(reading ? &instance->deletes : &deletes, &operation->link);
  if (!reading)
    close_for(groups, instance, &deletes);
}
