#include "server/kafka_engine/group/kafka_instance_inbox.h"

#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_instance_batches.h"
#include "server/kafka_engine/group/kafka_instance_forward.h"
#include "server/kafka_engine/group/kafka_subscription.h"

enum { BREAK = 1000 }; /* milliseconds without a request after which waiting begins again */

static bool is_leaving(const struct uk_kafka_instance *instance)
{
  return instance->state == UK_KAFKA_LEAVING;
}

static void note_request(struct uk_kafka_group_member *member, int64_t now)
{
  if (uk_list_is_empty(&member->consumes) && now > member->last_request + BREAK)
    member->waiting_since = now;
  member->last_request = now;
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
  instance->disclaims =
    instance->disclaims || consume->acknowledgement.kind != UK_ACKNOWLEDGE_WRITTEN;
  request->due = !is_leaving(instance) && (request->due || consume->commit_count > 0);
  uk_kafka_requests_add(request->due ? &member->commits : &member->consumes, request);
  request->subscribes =
    uk_kafka_instance_batches_decide(instance, request) == UK_DELIVERIES_REDELIVER;
  if (is_leaving(instance) || request->subscribes)
    return;
  bool good = member->handle != NULL
                ? uk_kafka_subscription_change(member, consume->topics, consume->topic_count, &code)
                : uk_kafka_subscription_keep(member, consume->topics, consume->topic_count);
  if (!good)
    uk_kafka_instance_inbox_refuse(request, code);
}

static void take_commit(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                        int64_t now)
{
  uk_kafka_requests_add(&instance->member.commits, request);
  if (instance->state == UK_KAFKA_SERVING)
    uk_kafka_instance_forward_send(instance, now);
}

static void take_request(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                         int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (!is_leaving(instance) && !uk_kafka_instance_batches_accept(instance, request)) {
    uk_kafka_request_conflict(request);
    return;
  }
  request->arrived_at = now;
  request->due = false; /* it may have been, in an instance before */
  request->confirmed = !is_leaving(instance) && now < member->lease.until;
  if (!is_leaving(instance)) {
    note_request(member, now);
    uk_kafka_instance_batches_settle(instance, request);
    uk_kafka_commits_auto(member, now);
  }
  if (request->kind == UK_KAFKA_CONSUME)
    take_consume(instance, request);
  else if (request->kind == UK_KAFKA_COMMIT || request->due)
    take_commit(instance, request, now);
  else
    uk_kafka_requests_add(&member->deletes, request);
}

void uk_kafka_instance_inbox_take(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_list arrived = {0};
  struct uk_kafka_request *request;
  /* First the requests: what was known before a request came is then known here, too. */
  uk_kafka_group_member_take_inbox(&instance->member, &arrived);
  if (!is_leaving(instance)) {
    uk_kafka_instance_batches_take_response(instance);
    uk_kafka_instance_batches_settle_held(instance);
    uk_kafka_commits_auto(&instance->member, now);
  }
  while ((request = uk_kafka_requests_take(&arrived)) != NULL)
    take_request(instance, request, now);
}
