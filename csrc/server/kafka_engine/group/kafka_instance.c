#include "server/kafka_engine/group/kafka_instance.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_instance_inbox.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_missing_topics.h"
#include "server/kafka_engine/group/kafka_poll_diagnosis.h"
#include "server/kafka_engine/group/kafka_rebalance.h"
#include "server/kafka_engine/group/kafka_reset.h"
#include "server/kafka_engine/group/kafka_subscription.h"
#include "server/kafka_engine/group/kafka_verification.h"
#include "server/kafka_engine/rd/kafka_event.h"

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
  instance->state = UK_KAFKA_ENDED;
  return false;
}

static bool leave(struct uk_kafka_instance *instance, int64_t now)
{
  uk_kafka_group_member_leave(&instance->member, now);
  return go(instance, UK_KAFKA_LEAVING);
}

static bool is_leaving(const struct uk_kafka_instance *instance)
{
  return instance->state == UK_KAFKA_LEAVING;
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

/* Partitions. */

static void publish(struct uk_kafka_instance *instance)
{
  struct uk_kafka_group_member *member = &instance->member;
  uk_kafka_assigned_partitions_publish(&member->partitions, &member->published,
                                       &member->groups->mutex);
}

static void forget_group_holds(struct uk_kafka_instance *instance)
{
  if (instance->group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(instance->group_holds);
  instance->group_holds = NULL;
}

/* It neither leaves nor stops. */
static bool is_active(const struct uk_kafka_instance *instance)
{
  return instance->state <= UK_KAFKA_SERVING;
}

static void take_partitions(struct uk_kafka_instance *instance,
                            rd_kafka_topic_partition_list_t *list, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  bool first = !instance->has_joined;
  const struct uk_kafka_start from = {.resumes =
                                        first && instance->migrates && member->settings.auto_commit,
                                      .created = &instance->created};
  uk_kafka_missing_topics_find(member, list, &instance->created);
  if (!uk_kafka_rebalance_take(member, list, &from)) {
    uk_kafka_rebalance_refuse(member);
    (void)leave(instance, now);
    return;
  }
  uk_kafka_missing_topics_forget(member, list);
  uk_name_set_clear(&instance->created);
  instance->awaits_created = false;
  member->waiting_since = now;
  forget_group_holds(instance);
  uk_kafka_lease_joined(member, first);
  member->awaits_offsets = false;
  instance->has_joined = true;
  if (is_active(instance))
    instance->state = UK_KAFKA_SERVING;
}

static void use_partitions(struct uk_kafka_instance *instance,
                           rd_kafka_topic_partition_list_t *list, int64_t now)
{
  uk_kafka_handover_drop(&instance->handover);
  if (is_active(instance) && !uk_kafka_rebalance_knows(&instance->member, list) &&
      uk_kafka_handover_ask(&instance->member, &instance->handover, list, now)) {
    instance->member.awaits_offsets = true;
    instance->state = UK_KAFKA_HANDOVER;
  } else {
    take_partitions(instance, list, now);
  }
}

static void give_up_partitions(struct uk_kafka_instance *instance)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (member->settings.auto_commit && !rd_kafka_assignment_lost(member->handle))
    uk_kafka_commits_send_delivered(member);
  uk_kafka_handover_drop(&instance->handover);
  uk_kafka_verification_drop(&instance->verification);
  member->awaits_offsets = false;
  if (instance->state == UK_KAFKA_HANDOVER)
    instance->state = instance->has_joined ? UK_KAFKA_SERVING : UK_KAFKA_JOINING;
  uk_kafka_delivery_drop_held(&instance->delivery);
  uk_kafka_rebalance_give_up(member);
}

static void take_rebalance(struct uk_kafka_instance *instance, rd_kafka_event_t *event, int64_t now)
{
  switch (uk_kafka_rebalance(&instance->member, event, instance->group_holds)) {
  case UK_KAFKA_GIVEN:
    use_partitions(instance, rd_kafka_event_topic_partition_list(event), now);
    break;
  case UK_KAFKA_DECLINED: (void)leave(instance, now); break;
  case UK_KAFKA_REVOKED: give_up_partitions(instance); break;
  case UK_KAFKA_REBALANCE_LOST: instance->state = UK_KAFKA_LOST; break;
  }
  publish(instance);
}

/* What is not known yet is asked for again: an offset without its metadata could not be verified.
 * Any other failure librdkafka meets too, and reports. */
static bool finish_handover(struct uk_kafka_instance *instance, int64_t now)
{
  rd_kafka_resp_err_t code;
  rd_kafka_topic_partition_list_t *list = uk_kafka_handover_take(&instance->handover, &code);
  if (list == NULL)
    return false;
  bool again = code != RD_KAFKA_RESP_ERR_NO_ERROR && uk_kafka_code_passes(code) &&
               uk_kafka_handover_ask(&instance->member, &instance->handover, list, now);
  if (!again) {
    take_partitions(instance, list, now);
    publish(instance);
  }
  rd_kafka_topic_partition_list_destroy(list);
  return !again;
}

/* Trouble. */

static void name_place(char *text, size_t size, const struct uk_kafka_group_member *member,
                       const rd_kafka_topic_partition_t *place)
{
  if (place != NULL)
    uk_kafka_place(text, size, uk_slice_text(place->topic), place->partition);
  else
    snprintf(text, size, "group \"%s\"", member->group.data);
}

/* A topic that was created for this instance is not known to every broker yet. */
static bool is_early(const struct uk_kafka_instance *instance, rd_kafka_resp_err_t code)
{
  return uk_kafka_error(code) == UK_E_NOT_FOUND && instance->awaits_created;
}

static bool is_reset(rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || code == RD_KAFKA_RESP_ERR__NO_OFFSET;
}

/* Fails the pending consumes. An instance that has not answered a consume yet leaves: a new one may
 * succeed. `place` is NULL for the whole group; `text` is NULL if the code has its own text. */
static void meet_trouble(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code,
                         const char *text, const rd_kafka_topic_partition_t *place, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  char words[UK_MESSAGE_SIZE], what[UK_KAFKA_PLACE_SIZE];
  if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF || uk_kafka_code_passes(code) ||
      is_early(instance, code))
    return;
  if (is_leaving(instance)) /* consumes wait for the next instance */
    return;
  if (is_reset(code)) {
    uk_kafka_reset_fail(member, place, now);
    (void)leave(instance, now);
    return;
  }
  name_place(what, sizeof what, member, place);
  snprintf(words, sizeof words, "%s: %s", what, uk_kafka_reason(code, text));
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    uk_kafka_subscription_forget_topics(member);
  uk_kafka_requests_fail(&member->consumes, uk_kafka_error(code), words);
  if (!instance->has_served)
    (void)leave(instance, now);
}

/* Without its only topic librdkafka stops being a member, and would not notice that another server
 * takes the instance over or deletes it. */
static bool is_pointless(const struct uk_kafka_instance *instance, rd_kafka_resp_err_t code)
{
  return uk_kafka_error(code) == UK_E_NOT_FOUND && instance->member.subscription.count == 1 &&
         !instance->awaits_created;
}

/* Events. */

static void take_error(struct uk_kafka_instance *instance, rd_kafka_event_t *event, int64_t now)
{
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  if (rd_kafka_event_error_is_fatal(event)) {
    instance->state = UK_KAFKA_LOST;
    return;
  }
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    uk_kafka_missing_topics_note(&instance->member, rd_kafka_event_error_string(event));
  meet_trouble(instance, code, rd_kafka_event_error_string(event), NULL, now);
  if (is_pointless(instance, code) && !is_leaving(instance))
    (void)leave(instance, now);
}

static void take_event(struct uk_kafka_instance *instance, rd_kafka_event_t *event, int64_t now)
{
  rd_kafka_event_type_t type = rd_kafka_event_type(event);
  if (type == RD_KAFKA_EVENT_REBALANCE)
    take_rebalance(instance, event, now);
  else if (type == RD_KAFKA_EVENT_OFFSET_COMMIT)
    instance->state =
      uk_kafka_commits_answered(&instance->member, event) ? instance->state : UK_KAFKA_LOST;
  else if (type == RD_KAFKA_EVENT_ERROR)
    take_error(instance, event, now);
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

/* Serving. */

/* True until it is known what became of the last response. */
static bool awaits_response(const struct uk_kafka_instance *instance)
{
  return uk_deliveries_awaited(&instance->delivery.numbers);
}

static bool may_deliver(const struct uk_kafka_instance *instance)
{
  return !awaits_response(instance) &&
         uk_kafka_delivery_has_events(&instance->member, &instance->delivery);
}

/* True while records wait only for the coordinator's confirmation. */
static bool awaits_lease(const struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_lease *lease = &instance->member.lease;
  return instance->state == UK_KAFKA_SERVING && now >= lease->quiet_until && now >= lease->until &&
         may_deliver(instance) &&
         uk_kafka_topics_contact(instance->member.groups->parts.topics, NULL, 0) == UK_OK;
}

/* A deletion needs a confirmation that was asked for after the deletion arrived. A consume needs
 * one in all, and a fresh one whenever there are records to deliver. */
static bool needs_confirmation(const struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_group_member *member = &instance->member;
  const struct uk_kafka_request *deletion = uk_kafka_requests_last(&member->deletes);
  const struct uk_kafka_request *consume = uk_kafka_requests_last(&member->consumes);
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

static bool is_silent(const struct uk_kafka_group_member *member, int64_t now)
{
  return uk_list_is_empty(&member->consumes) && uk_list_is_empty(&member->deletes) &&
         now >= member->last_request + member->settings.session_timeout;
}

static bool leave_if_silent(struct uk_kafka_instance *instance, int64_t now)
{
  return is_silent(&instance->member, now) ? leave(instance, now) : false;
}

/* False: nothing is left to deliver. */
static bool deliver_once(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_event event;
  uint64_t last = instance->delivery.numbers.last;
  switch (uk_kafka_delivery_run(member, &instance->delivery, &event)) {
  case UK_KAFKA_DELIVERED_NOTHING: return false;
  case UK_KAFKA_DELIVERED_TROUBLE:
    meet_trouble(instance, event.code, NULL, event.place, now);
    uk_kafka_event_free(&event);
    return true;
  case UK_KAFKA_DELIVERED_RECORDS: break;
  }
  if (instance->delivery.numbers.last != last)
    instance->metadata_due = false; /* the new response is not written yet */
  instance->has_served = true;
  member->last_request = member->waiting_since = uk_clock_monotonic();
  return true;
}

static void deliver(struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_group_member *member = &instance->member;
  while (instance->state == UK_KAFKA_SERVING && !uk_list_is_empty(&member->consumes) &&
         !awaits_response(instance) && uk_kafka_lease_holds(&member->lease, now) &&
         deliver_once(instance, now))
    continue;
}

/* Takes what was found out about the positions. */
static void use_verification(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  struct uk_kafka_refused refused =
    uk_kafka_verification_take(member, &instance->verification, now);
  uk_kafka_delivery_drop_moved(member, &instance->delivery);
  if (refused.partition == NULL)
    return;
  struct uk_kafka_name topic = refused.partition->topic;
  const rd_kafka_topic_partition_t place = {
    .topic = topic.text, .partition = refused.partition->number, .offset = refused.offset};
  meet_trouble(instance, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, NULL, &place, now);
}

static bool serve(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  if (!uk_kafka_lease_renew(member))
    return go(instance, UK_KAFKA_LOST);
  use_verification(instance, now);
  if (needs_confirmation(instance, now))
    uk_kafka_lease_ask(member, now);
  uk_kafka_commits_send_next(member);
  commit_metadata(instance);
  if (may_delete(member, now)) {
    uk_kafka_requests_done(&member->consumes);
    return leave(instance, now);
  }
  deliver(instance, now);
  uk_kafka_assigned_partitions_end_run(&member->partitions);
  if (instance->state != UK_KAFKA_SERVING)
    return true;
  uk_kafka_verification_ask(member, &instance->verification, now);
  return leave_if_silent(instance, now);
}

/* The task. */

static bool step(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  switch (instance->state) {
  case UK_KAFKA_INQUIRING: return inquire(instance, now);
  case UK_KAFKA_JOINING: return leave_if_silent(instance, now);
  case UK_KAFKA_HANDOVER: return finish_handover(instance, now) || leave_if_silent(instance, now);
  case UK_KAFKA_SERVING: return serve(instance, now);
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

/* If requests wait for the last response, the task runs when it has finished. */
static void await_response(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_group_member *member = &instance->member;
  bool waits = !uk_list_is_empty(&member->consumes) || !uk_list_is_empty(&member->commits) ||
               !uk_list_is_empty(&member->deletes);
  bool awaits = awaits_response(instance) && waits;
  if (awaits)
    member->waiting_since = now; /* for records, only then */
  if (!awaits && !instance->awaits)
    return;
  pthread_mutex_lock(&member->groups->mutex);
  instance->awaits = awaits;
  if (awaits && instance->finished != 0)
    uk_kafka_task_wake(&member->task);
  pthread_mutex_unlock(&member->groups->mutex);
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_instance *instance =
    (struct uk_kafka_instance *)((char *)task - offsetof(struct uk_kafka_instance, member.task));
  struct uk_kafka_group_member *member = &instance->member;
  uk_kafka_instance_inbox_take(instance, now);
  take_events(instance, now);
  stop(instance, now);
  while (step(instance, now))
    continue;
  if (instance->state >= UK_KAFKA_LOST)
    return;
  await_response(instance, now);
  if (uk_kafka_group_member_expire(member, awaits_lease(instance, now), now))
    instance->has_served = true;
  uk_kafka_poll_diagnosis_refresh(member, now);
  if (member->handle != NULL)
    uk_kafka_commits_auto(member, now);
  uk_kafka_task_at(task, uk_kafka_group_member_next_run(member, awaits_lease(instance, now), now));
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
  uk_name_set_init(&instance->created);
  return &instance->member;
}

void uk_kafka_instance_free(struct uk_kafka_group_member *member)
{
  struct uk_kafka_instance *instance = instance_of(member);
  uk_kafka_delivery_free(&instance->delivery);
  uk_kafka_group_member_free(member);
  forget_group_holds(instance);
  uk_name_set_free(&instance->created);
  free(instance);
}

void uk_kafka_instance_response_finished(struct uk_kafka_group_member *member, uint64_t delivery,
                                         bool complete)
{
  struct uk_kafka_instance *instance = instance_of(member);
  if (delivery < instance->finished) /* of an instance that had this name before */
    return;
  instance->finished = delivery;
  instance->complete = complete;
  if (!complete || instance->awaits || instance->migrates)
    uk_kafka_task_wake(&member->task);
}
