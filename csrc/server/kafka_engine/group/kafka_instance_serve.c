#include "server/kafka_engine/group/kafka_instance_serve.h"

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_instance_batches.h"
#include "server/kafka_engine/group/kafka_instance_forward.h"
#include "server/kafka_engine/group/kafka_instance_inbox.h"
#include "server/kafka_engine/group/kafka_instance_leave.h"
#include "server/kafka_engine/group/kafka_instance_trouble.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_redelivery.h"
#include "server/kafka_engine/group/kafka_subscription.h"
#include "server/kafka_engine/group/kafka_verification.h"
#include "server/kafka_engine/rd/kafka_event.h"

/* A consume can be answered: with the outstanding batch, or with records that wait. */
static bool may_deliver(const struct uk_kafka_instance *instance)
{
  const struct uk_kafka_request *request = uk_kafka_instance_batches_next(instance);
  return request != NULL &&
         (request->subscribes ||
          uk_kafka_instance_batches_decide(instance, request) == UK_DELIVERIES_REDELIVER ||
          (instance->give_up_by == 0 &&
           uk_kafka_delivery_has_events(&instance->member, &instance->delivery)));
}

static bool awaits_lease(const struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_lease *lease = &instance->member.lease;
  return instance->state == UK_KAFKA_SERVING && now >= lease->quiet_until && now >= lease->until &&
         may_deliver(instance);
}

static bool awaits_start(const struct uk_kafka_instance *instance)
{
  const struct uk_kafka_assigned_partitions *partitions = &instance->member.partitions;
  bool may_be_taken_over =
    instance->state == UK_KAFKA_INQUIRING || instance->member.lease.taken_over;
  if (!may_be_taken_over || instance->has_served || instance->state > UK_KAFKA_SERVING)
    return false;
  bool awaits = instance->state < UK_KAFKA_SERVING;
  for (size_t i = 0; i < partitions->count && !awaits; i++)
    awaits = partitions->all[i].assigned && !partitions->all[i].ended;
  return awaits;
}

enum uk_kafka_grace uk_kafka_instance_grace(const struct uk_kafka_instance *instance, int64_t now)
{
  enum uk_kafka_grace grace = awaits_lease(instance, now) ? UK_KAFKA_GRACE_FOR_LEASE
                              : awaits_start(instance)    ? UK_KAFKA_GRACE_FOR_START
                                                          : UK_KAFKA_NO_GRACE;
  bool in_contact =
    grace != UK_KAFKA_NO_GRACE &&
    uk_kafka_topics_contact(instance->member.groups->parts.topics, NULL, 0) == UK_OK;
  return in_contact ? grace : UK_KAFKA_NO_GRACE;
}

/* A deletion needs a confirmation that was asked for after the deletion arrived. A consume needs
 * one in all, and a fresh one whenever there are records to deliver. */
static bool needs_confirmation(const struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_group_member *member = &instance->member;
  const struct uk_kafka_request *deletion = uk_kafka_requests_last(&member->deletes);
  const struct uk_kafka_request *due = uk_kafka_requests_last_consume(&member->commits);
  const struct uk_kafka_request *consume =
    due != NULL ? due : uk_kafka_requests_last(&member->consumes);
  if (deletion != NULL)
    return member->lease.from < deletion->arrived_at;
  return consume != NULL && uk_kafka_lease_expires(&member->lease, now) &&
         (!consume->confirmed || may_deliver(instance));
}

static void commit_metadata(struct uk_kafka_instance *instance)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (!instance->metadata_due || !uk_kafka_commits_send_metadata(member))
    return;
  instance->metadata_due = false;
  if (++instance->metadata_commits < UK_KAFKA_METADATA_COMMITS)
    return;
  pthread_mutex_lock(&member->groups->mutex);
  instance->migrates = false;
  pthread_mutex_unlock(&member->groups->mutex);
}

/* Since the deletions arrived, the coordinator has confirmed that this server has the instance. */
static bool may_delete(const struct uk_kafka_group_member *member, int64_t now)
{
  const struct uk_kafka_request *last = uk_kafka_requests_last(&member->deletes);
  return last != NULL && !last->held && member->lease.from >= last->arrived_at &&
         now >= member->lease.quiet_until && uk_list_is_empty(&member->commits);
}

static void note_delivery(struct uk_kafka_instance *instance, uint64_t last)
{
  if (instance->delivery.numbers.last != last)
    instance->metadata_due = false; /* the new response is not written yet */
  instance->has_served = true;
  instance->member.last_request = instance->member.waiting_since = uk_clock_monotonic();
}

/* False: nothing is left to deliver. */
static bool deliver_new(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                        int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_event event;
  uint64_t last = instance->delivery.numbers.last;
  switch (uk_kafka_delivery_run(member, &instance->delivery, request, &event)) {
  case UK_KAFKA_DELIVERED_NOTHING: return false;
  case UK_KAFKA_DELIVERED_TROUBLE:
    uk_kafka_instance_trouble(instance, event.code, NULL, event.place, now);
    uk_kafka_event_free(&event);
    return true;
  case UK_KAFKA_DELIVERED_RECORDS: break;
  }
  note_delivery(instance, last);
  return true;
}

/* False: it has to wait. */
static bool deliver_again(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  uint64_t last = instance->delivery.numbers.last;
  switch (uk_kafka_redelivery_run(&instance->member, &instance->delivery, request)) {
  case UK_KAFKA_REDELIVERY_WAITS: return false;
  case UK_KAFKA_REDELIVERY_IS_OVER: return true;
  case UK_KAFKA_REDELIVERED: break;
  }
  note_delivery(instance, last);
  return true;
}

/* The batch that came before the topics of the consume is over. False: the consume was refused. */
static bool subscribe(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  rd_kafka_resp_err_t code;
  if (!request->subscribes)
    return true;
  request->subscribes = false;
  if (uk_kafka_subscription_change(&instance->member, consume->topics, consume->topic_count, &code))
    return true;
  uk_kafka_instance_inbox_refuse(request, code);
  return false;
}

static bool deliver_once(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                         int64_t now)
{
  uk_kafka_instance_batches_settle(instance, request);
  if (uk_kafka_instance_batches_decide(instance, request) == UK_DELIVERIES_REDELIVER)
    return deliver_again(instance, request);
  return !subscribe(instance, request) ||
         (instance->give_up_by == 0 && deliver_new(instance, request, now));
}

static void deliver(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_request *request;
  while (instance->state == UK_KAFKA_SERVING &&
         uk_kafka_lease_holds(&instance->member.lease, now) &&
         (request = uk_kafka_instance_batches_next(instance)) != NULL &&
         deliver_once(instance, request, now))
    continue;
}

/* Takes what was found out about the positions. */
static void use_verification(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_refused refused =
    uk_kafka_verification_take(member, &instance->verification, now);
  uk_kafka_delivery_drop_moved(member, &instance->delivery);
  if (refused.found)
    instance->refused = refused;
}

/* The instance still reads that topic, and is still at that position. */
static bool is_still_refused(const struct uk_kafka_group_member *member,
                             const struct uk_kafka_refused *refused)
{
  struct uk_slice topic = uk_slice_text(refused->topic.text);
  const struct uk_kafka_assigned_partition *partition =
    uk_kafka_assigned_partition_find(&member->partitions, refused->topic.text, refused->partition);
  return partition != NULL && partition->assigned &&
         partition->progress.position == refused->position &&
         uk_kafka_subscription_has(&member->subscription, topic);
}

/* Waits for a consume: an instance that left before it would start again at its committed offset,
 * and nobody would learn that its position is gone. */
static void tell_refused(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  const struct uk_kafka_refused refused = instance->refused;
  if (!refused.found || uk_list_is_empty(&member->consumes))
    return;
  instance->refused.found = false;
  if (!is_still_refused(member, &refused))
    return;
  struct uk_kafka_name topic = refused.topic;
  const rd_kafka_topic_partition_t place = {
    .topic = topic.text, .partition = refused.partition, .offset = refused.offset};
  uk_kafka_instance_trouble(instance, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, NULL, &place, now);
}

static bool lose(struct uk_kafka_instance *instance)
{
  instance->state = UK_KAFKA_LOST;
  return true;
}

bool uk_kafka_instance_serve(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (!uk_kafka_lease_renew(member))
    return lose(instance);
  use_verification(instance, now);
  tell_refused(instance, now);
  if (needs_confirmation(instance, now))
    uk_kafka_lease_ask(member, now);
  uk_kafka_instance_batches_settle_held(instance);
  uk_kafka_instance_forward_send(instance, now);
  commit_metadata(instance);
  if (may_delete(member, now)) {
    uk_kafka_requests_done(&member->consumes);
    return uk_kafka_instance_leave(instance, now);
  }
  deliver(instance, now);
  uk_kafka_assigned_partitions_end_run(&member->partitions);
  if (instance->state != UK_KAFKA_SERVING)
    return true;
  if (!instance->refused.found)
    uk_kafka_verification_ask(member, &instance->verification, now);
  return uk_kafka_instance_leave_if_silent(instance, now);
}
