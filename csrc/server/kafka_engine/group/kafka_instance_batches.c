#include "server/kafka_engine/group/kafka_instance_batches.h"

bool uk_kafka_instance_batches_accept(const struct uk_kafka_instance *instance,
                                      const struct uk_kafka_request *request)
{
  return uk_deliveries_accepts(&instance->delivery.numbers, instance->member.groups->nonce,
                               uk_kafka_request_acknowledgement(request));
}

enum uk_deliveries_decision
uk_kafka_instance_batches_decide(const struct uk_kafka_instance *instance,
                                 const struct uk_kafka_request *request)
{
  return uk_deliveries_decide(&instance->delivery.numbers, instance->member.groups->nonce,
                              uk_kafka_request_acknowledgement(request));
}

/* Auto-commit commits what a deletion acknowledges even if the deletion fails. */
static void acknowledge(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  uk_kafka_delivery_acknowledge(&instance->member, &instance->delivery);
  request->sent |= request->kind == UK_KAFKA_DELETE && instance->member.settings.auto_commit;
}

/* The batch is acknowledged when its commit is durable: if that failed, and it was acknowledged all
 * the same, the same request could never commit it. */
static void defer(const struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  request->batch = instance->delivery.numbers.batch;
  request->due = true;
}

void uk_kafka_instance_batches_settle(struct uk_kafka_instance *instance,
                                      struct uk_kafka_request *request)
{
  enum uk_deliveries_decision decision = uk_kafka_instance_batches_decide(instance, request);
  request->held = decision == UK_DELIVERIES_WAIT;
  if (decision != UK_DELIVERIES_ACKNOWLEDGE)
    return;
  if (uk_kafka_request_acknowledgement(request)->commit)
    defer(instance, request);
  else
    acknowledge(instance, request);
}

static void settle_held(struct uk_kafka_instance *instance, const struct uk_list *requests)
{
  for (struct uk_kafka_request *request = uk_kafka_requests_first(requests); request != NULL;
       request = uk_kafka_requests_next(requests, request)) {
    if (request->held)
      uk_kafka_instance_batches_settle(instance, request);
  }
}

void uk_kafka_instance_batches_settle_held(struct uk_kafka_instance *instance)
{
  settle_held(instance, &instance->member.consumes);
  settle_held(instance, &instance->member.commits);
  settle_held(instance, &instance->member.deletes);
}

/* A note for the next server says that a response arrived: only where the next request, whichever
 * server it reaches, says the same. */
void uk_kafka_instance_batches_take_response(struct uk_kafka_instance *instance)
{
  struct uk_kafka_group_member *member = &instance->member;
  pthread_mutex_lock(&member->groups->mutex);
  uint64_t finished = instance->finished;
  enum uk_response_outcome outcome = instance->outcome;
  bool migrates = instance->migrates;
  instance->finished = 0;
  pthread_mutex_unlock(&member->groups->mutex);
  if (finished == 0 ||
      !uk_deliveries_response_finished(&instance->delivery.numbers, finished, outcome))
    return;
  instance->metadata_due = outcome == UK_RESPONSE_WRITTEN && migrates &&
                           member->settings.auto_commit && instance->delivery.plain;
}

/* Waiting. */

static bool waits(const struct uk_kafka_instance *instance, const struct uk_list *requests)
{
  for (struct uk_kafka_request *request = uk_kafka_requests_first(requests); request != NULL;
       request = uk_kafka_requests_next(requests, request)) {
    if (uk_kafka_instance_batches_decide(instance, request) == UK_DELIVERIES_WAIT)
      return true;
  }
  return false;
}

bool uk_kafka_instance_batches_are_awaited(const struct uk_kafka_instance *instance)
{
  const struct uk_kafka_group_member *member = &instance->member;
  return waits(instance, &member->consumes) || waits(instance, &member->commits) ||
         waits(instance, &member->deletes);
}

struct uk_kafka_request *uk_kafka_instance_batches_next(const struct uk_kafka_instance *instance)
{
  const struct uk_list *consumes = &instance->member.consumes;
  struct uk_kafka_request *request = uk_kafka_requests_first(consumes);
  while (request != NULL &&
         uk_kafka_instance_batches_decide(instance, request) == UK_DELIVERIES_WAIT)
    request = uk_kafka_requests_next(consumes, request);
  return request;
}
