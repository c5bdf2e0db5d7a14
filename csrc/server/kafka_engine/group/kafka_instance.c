#include "server/kafka_engine/group/kafka_instance.h"

#include <stdlib.h>

#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_instance_batches.h"
#include "server/kafka_engine/group/kafka_instance_forward.h"
#include "server/kafka_engine/group/kafka_instance_inbox.h"
#include "server/kafka_engine/group/kafka_instance_leave.h"
#include "server/kafka_engine/group/kafka_instance_partitions.h"
#include "server/kafka_engine/group/kafka_instance_serve.h"
#include "server/kafka_engine/group/kafka_instance_trouble.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_poll_diagnosis.h"
#include "server/kafka_engine/group/kafka_subscription.h"
#include "server/kafka_engine/group/kafka_verification.h"

static struct uk_kafka_instance *instance_of(struct uk_kafka_group_member *member)
{
  return (struct uk_kafka_instance *)member;
}

/* Each step returns true when the state that it leads to has something to do at once. */

static bool go(struct uk_kafka_instance *instance, enum uk_kafka_instance_state state)
{
  instance->state = state;
  return true;
}

static bool end(struct uk_kafka_instance *instance, int64_t now)
{
  bool lost = instance->state == UK_KAFKA_LOST;
  uk_kafka_group_member_end(&instance->member, lost, now);
  uk_kafka_handover_drop(&instance->handover);
  uk_kafka_verification_drop(&instance->verification);
  uk_kafka_instance_forward_forget(instance);
  instance->state = UK_KAFKA_ENDED;
  return false;
}

/* Inquiring. */

static bool open_member(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  char text[UK_MESSAGE_SIZE];
  if (!uk_kafka_group_member_open(member, text, sizeof text)) {
    uk_kafka_group_member_fail(member, UK_E_UNAVAILABLE, text);
    return end(instance, now);
  }
  if (member->subscription.count > 0)
    code = uk_kafka_subscription_start(member);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_requests_take_consumes(&member->commits, &member->consumes);
  while (code != RD_KAFKA_RESP_ERR_NO_ERROR && !uk_list_is_empty(&member->consumes))
    uk_kafka_instance_inbox_refuse(uk_kafka_requests_first(&member->consumes), code);
  return go(instance, UK_KAFKA_JOINING);
}

static bool inquire(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_ownership ownership;
  enum uk_kafka_owner owner = uk_kafka_lease_owner(member, now, &ownership);
  if (owner == UK_KAFKA_OWNER_AWAITED)
    return false;
  if (ownership.holds != NULL)
    rd_kafka_topic_partition_list_destroy(ownership.holds);
  instance->group_holds = ownership.group_holds;
  pthread_mutex_lock(&member->groups->mutex);
  instance->migrates = owner == UK_KAFKA_OWNER_OTHER;
  pthread_mutex_unlock(&member->groups->mutex);
  return open_member(instance, now);
}

/* Events. */

static void take_event(struct uk_kafka_instance *instance, rd_kafka_event_t *event, int64_t now)
{
  rd_kafka_event_type_t type = rd_kafka_event_type(event);
  if (type == RD_KAFKA_EVENT_REBALANCE)
    uk_kafka_instance_partitions_rebalance(instance, event, now);
  else if (type == RD_KAFKA_EVENT_OFFSET_COMMIT)
    instance->state =
      uk_kafka_instance_forward_answered(instance, event, now) ? instance->state : UK_KAFKA_LOST;
  else if (type == RD_KAFKA_EVENT_ERROR)
    uk_kafka_instance_trouble_error(instance, event, now);
}

static void take_events(struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_group_member *member = &instance->member;
  rd_kafka_event_t *event;
  char text[UK_MESSAGE_SIZE];
  if (member->handle == NULL)
    return;
  while (instance->state != UK_KAFKA_LOST &&
         (event = rd_kafka_queue_poll(member->control, 0)) != NULL) {
    take_event(instance, event, now);
    rd_kafka_event_destroy(event);
  }
  if (rd_kafka_fatal_error(member->handle, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR)
    instance->state = UK_KAFKA_LOST;
}

/* The task. */

static bool step(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  switch (instance->state) {
  case UK_KAFKA_INQUIRING: return inquire(instance, now);
  case UK_KAFKA_JOINING: return uk_kafka_instance_leave_if_silent(instance, now);
  case UK_KAFKA_HANDOVER:
    return uk_kafka_instance_partitions_handover(instance, now) ||
           uk_kafka_instance_leave_if_silent(instance, now);
  case UK_KAFKA_SERVING: return uk_kafka_instance_serve(instance, now);
  case UK_KAFKA_STOPPING:
    return uk_kafka_group_member_has_stopped(member, now) ? end(instance, now) : false;
  case UK_KAFKA_LOST: return end(instance, now);
  case UK_KAFKA_LEAVING:
    return uk_kafka_group_member_leave_on(member, now) ? end(instance, now) : false;
  case UK_KAFKA_ENDED: break;
  }
  return false;
}

static void stop(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->state >= UK_KAFKA_LOST)
    return;
  uk_kafka_group_member_stop(&instance->member, now);
  if (instance->member.stopping.closing)
    instance->state = UK_KAFKA_STOPPING;
}

/* Between two steps a revocation may have nothing to wait for any more. */
static bool step_on(struct uk_kafka_instance *instance, int64_t now)
{
  (void)uk_kafka_instance_partitions_yield(instance, now);
  return step(instance, now) || uk_kafka_instance_partitions_yield(instance, now);
}

/* If requests or a revocation wait for the last response, the task runs when it has finished. */
static void await_response(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  bool awaits = uk_kafka_instance_batches_are_awaited(instance);
  if (awaits)
    member->waiting_since = now; /* for records, only then */
  awaits = awaits || instance->give_up_by != 0;
  if (!awaits && !instance->awaits)
    return;
  pthread_mutex_lock(&member->groups->mutex);
  instance->awaits = awaits;
  if (awaits && instance->finished != 0)
    uk_kafka_task_wake(&member->task);
  pthread_mutex_unlock(&member->groups->mutex);
}

static int64_t next_run(const struct uk_kafka_instance *instance, int64_t now)
{
  enum uk_kafka_grace grace = uk_kafka_instance_grace(instance, now);
  int64_t time = uk_kafka_group_member_next_run(&instance->member, grace, now);
  return instance->give_up_by != 0 && instance->give_up_by < time ? instance->give_up_by : time;
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_instance *instance =
    (struct uk_kafka_instance *)((char *)task - offsetof(struct uk_kafka_instance, member.task));
  struct uk_kafka_group_member *member = &instance->member;
  uk_kafka_instance_inbox_take(instance, now);
  take_events(instance, now);
  stop(instance, now);
  while (step_on(instance, now))
    continue;
  if (instance->state >= UK_KAFKA_LOST)
    return;
  await_response(instance, now);
  if (uk_kafka_group_member_expire(member, uk_kafka_instance_grace(instance, now), now)) {
    instance->has_served = true;
    uk_kafka_delivery_rest(&instance->delivery);
  }
  uk_kafka_poll_diagnosis_refresh(member, now);
  if (member->handle != NULL)
    uk_kafka_commits_auto(member, now);
  uk_kafka_group_member_beat(member, now);
  uk_kafka_task_at(task, next_run(instance, now));
}

struct uk_kafka_group_member *uk_kafka_instance_new(struct uk_kafka_groups *groups,
                                                    struct uk_slice group, struct uk_slice name,
                                                    const struct uk_consumer_settings *settings,
                                                    void (*ended)(struct uk_kafka_task *task))
{
  struct uk_kafka_instance *instance = calloc(1, sizeof *instance);
  if (instance == NULL)
    return NULL;
  uk_kafka_group_member_init(&instance->member, groups, group, name, settings, run, ended);
  instance->member.batch = &instance->delivery.batch;
  uk_name_set_init(&instance->created);
  return &instance->member;
}

void uk_kafka_instance_free(struct uk_kafka_group_member *member)
{
  struct uk_kafka_instance *instance = instance_of(member);
  uk_kafka_delivery_free(&instance->delivery);
  uk_kafka_group_member_free(member);
  uk_kafka_instance_partitions_forget_group(instance);
  uk_name_set_free(&instance->created);
  free(instance);
}

void uk_kafka_instance_response_finished(struct uk_kafka_group_member *member, uint64_t delivery,
                                         enum uk_response_outcome outcome)
{
  struct uk_kafka_instance *instance = instance_of(member);
  if (delivery < instance->finished) /* of an instance that had this name before */
    return;
  instance->finished = delivery;
  instance->outcome = outcome;
  if (instance->awaits || instance->migrates)
    uk_kafka_task_wake(&member->task);
}
