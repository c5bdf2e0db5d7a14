#include "server/kafka_engine/group/kafka_instance_inbox.h"

#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_subscription.h"

enum { BREAK = 1000 }; /* milliseconds without a request after which waiting begins again */

static bool is_leaving(const struct uk_kafka_instance *instance)
{
  return instance->state == UK_KAFKA_LEAVING;
}

/* True: the request confirms the last response. */
static bool acknowledge(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (uk_list_is_empty(&member->consumes) && now > member->last_request + BREAK)
    member->waiting_since = now;
  member->last_request = now;
  if (!uk_deliveries_follow(&instance->delivery.numbers))
    return false;
  uk_kafka_assigned_partitions_acknowledge(&member->partitions);
  return true;
}

static void note_created(struct uk_kafka_instance *instance, const struct uk_kafka_request *request)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  for (size_t i = 0; i < UK_TOPICS_PER_CONSUME_MAX / 64; i++) {
    for (uint64_t bits = request->created[i]; bits != 0; bits &= bits - 1) {
      (void)uk_name_set_add(&instance->created,
                            consume->topics[i * 64 + (size_t)__builtin_ctzll(bits)]);
      instance->awaits_created = true;
    }
  }
}

void uk_kafka_instance_inbox_refuse(struct uk_kafka_request *request, rd_kafka_resp_err_t code)
{
  request->operation->error = UK_E_NO_MEMORY;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_fail(request->operation, code, "subscribe");
  uk_kafka_requests_remove(request);
  uk_kafka_request_done(request);
}

static void take_consume(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  struct uk_kafka_group_member *member = &instance->member;
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  note_created(instance, request);
  uk_kafka_requests_add(&member->consumes, request);
  if (is_leaving(instance))
    return;
  bool good = member->handle != NULL
                ? uk_kafka_subscription_change(member, consume->topics, consume->topic_count, &code)
                : uk_kafka_subscription_keep(member, consume->topics, consume->topic_count);
  if (!good)
    uk_kafka_instance_inbox_refuse(request, code);
}

static void take_commit(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  uk_kafka_requests_add(&instance->member.commits, request);
  if (instance->state == UK_KAFKA_SERVING)
    uk_kafka_commits_send_next(&instance->member);
}

static void take_request(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                         int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  request->arrived_at = now;
  request->confirmed = !is_leaving(instance) && now < member->lease.until;
  if (!is_leaving(instance)) {
    bool acknowledged = acknowledge(instance, now);
    request->held = uk_deliveries_awaited(&instance->delivery.numbers);
    /* Auto-commit commits what a deletion confirms even if the deletion fails. */
    request->sent =
      acknowledged && request->kind == UK_KAFKA_DELETE && member->settings.auto_commit;
    uk_kafka_commits_auto(member, now);
  }
  if (request->kind == UK_KAFKA_CONSUME)
    take_consume(instance, request);
  else if (request->kind == UK_KAFKA_COMMIT)
    take_commit(instance, request);
  else
    uk_kafka_requests_add(&member->deletes, request);
}

static void take_back(struct uk_kafka_instance *instance)
{
  uk_kafka_delivery_drop_held(&instance->delivery);
  uk_kafka_assigned_partitions_take_back(&instance->member.partitions, instance->member.handle);
}

static void release(struct uk_list *requests, bool acknowledged)
{
  for (struct uk_kafka_request *request = uk_kafka_requests_first(requests); request != NULL;
       request = uk_kafka_requests_next(requests, request)) {
    request->sent |= request->held && acknowledged;
    request->held = false;
  }
}

/* The requests that waited for the last response may continue. */
static void release_held(struct uk_kafka_instance *instance, bool acknowledged, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (acknowledged)
    uk_kafka_assigned_partitions_acknowledge(&member->partitions);
  release(&member->commits, false);
  release(&member->deletes, acknowledged && member->settings.auto_commit);
  uk_kafka_commits_auto(member, now);
}

/* What became of the last response. */
static void take_response(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  pthread_mutex_lock(&member->groups->mutex);
  uint64_t finished = instance->finished;
  bool complete = instance->complete, migrates = instance->migrates;
  instance->finished = 0;
  pthread_mutex_unlock(&member->groups->mutex);
  if (finished == 0 || is_leaving(instance))
    return;
  switch (uk_deliveries_finish(&instance->delivery.numbers, finished, complete)) {
  case UK_DELIVERY_OLD: return;
  case UK_DELIVERY_WRITTEN:
    instance->metadata_due = migrates && member->settings.auto_commit;
    break;
  case UK_DELIVERY_ACKNOWLEDGED: release_held(instance, true, now); break;
  case UK_DELIVERY_TAKEN_BACK:
    take_back(instance);
    release_held(instance, false, now);
    break;
  }
}

void uk_kafka_instance_inbox_take(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_list arrived = {0};
  struct uk_kafka_request *request;
  take_response(instance, now);
  uk_kafka_group_member_take_inbox(&instance->member, &arrived);
  while ((request = uk_kafka_requests_take(&arrived)) != NULL)
    take_request(instance, request, now);
}
