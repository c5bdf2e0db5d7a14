#include "server/kafka_engine/group/kafka_takeover.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_poll_diagnosis.h"
#include "server/kafka_engine/group/kafka_rebalance.h"
#include "server/kafka_engine/group/kafka_subscription.h"
#include "server/kafka_engine/rd/kafka_rd.h"

static const char NOT_TAKEN_OVER[] = "the instance could not be taken over";

/* Each step returns true when the state that it leads to has something to do at once. */

static bool go(struct uk_kafka_takeover *takeover, enum uk_kafka_takeover_state state)
{
  takeover->state = state;
  return true;
}

/* `lost`: a third server has taken the instance over since. */
static bool end(struct uk_kafka_takeover *takeover, bool lost, int64_t now)
{
  uk_kafka_group_member_end(&takeover->member, lost, now);
  takeover->state = UK_KAFKA_TAKEOVER_ENDED;
  return false;
}

/* Subscribing. */

static void keep_first(void *argument, struct uk_slice topic, int32_t partitions)
{
  struct uk_kafka_name *first = argument;
  if (first->text[0] == '\0' && partitions > 0)
    *first = uk_kafka_name(topic);
}

/* The instance holds nothing, or its group rebalances, perhaps until the instance itself joins
 * again. A member can join only with a topic that exists; to leave, any topic will do. */
static struct uk_kafka_name choose_topic(const struct uk_kafka_group_member *member)
{
  const struct uk_kafka_request *commit = uk_kafka_requests_first(&member->commits);
  struct uk_kafka_name topic = {.text = ""};
  if (commit != NULL)
    return uk_kafka_name(((const struct uk_commit *)commit->operation)->offsets[0].topic);
  (void)uk_kafka_topics_each(member->groups->parts.topics, keep_first, &topic);
  return topic;
}

/* With the topics that the instance holds: others would make the whole group rebalance. */
static bool subscribe(struct uk_kafka_group_member *member,
                      const rd_kafka_topic_partition_list_t *holds)
{
  struct uk_slice *topics = calloc((holds != NULL ? (size_t)holds->cnt : 0) + 1, sizeof *topics);
  struct uk_kafka_name chosen;
  size_t count = 0;
  rd_kafka_resp_err_t code;
  for (int i = 0; topics != NULL && holds != NULL && i < holds->cnt; i++) {
    struct uk_slice topic = uk_slice_text(holds->elems[i].topic);
    if (count == 0 || !uk_slice_equal(topics[count - 1], topic))
      topics[count++] = topic;
  }
  if (topics != NULL && count == 0) {
    chosen = choose_topic(member);
    topics[count++] = uk_slice_text(chosen.text);
  }
  bool done = topics != NULL && uk_kafka_subscription_change(member, topics, count, &code);
  free(topics);
  return done;
}

/* Requests. */

/* Only the server that has the instance knows what it consumed. */
static void refuse_empty_commits(struct uk_kafka_group_member *member)
{
  struct uk_list commits = {0};
  struct uk_kafka_request *request;
  uk_list_move(&commits, &member->commits);
  while ((request = uk_kafka_requests_take(&commits)) != NULL) {
    if (((const struct uk_commit *)request->operation)->count > 0)
      uk_kafka_requests_add(&member->commits, request);
    else
      uk_kafka_request_fail(request, UK_E_UNAVAILABLE,
                            "another server has the consumer instance, and knows what it consumed: "
                            "try again, or name the offsets");
  }
}

/* Where brokers cannot tell who has an instance, one that was here may be elsewhere. */
static void refuse_unknown(const struct uk_kafka_group_member *member, struct uk_list *requests,
                           bool can_tell)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(requests)) != NULL) {
    if (request->moved && !can_tell)
      uk_operation_fail(request->operation, UK_E_UNAVAILABLE,
                        "consumer instance \"%s\" of group \"%s\" moved to another server",
                        member->name.data, member->group.data);
    else
      uk_operation_fail(request->operation, UK_E_NOT_FOUND,
                        "group \"%s\" has no consumer instance \"%s\"", member->group.data,
                        member->name.data);
    uk_kafka_request_done(request);
  }
}

static void fail_all(struct uk_kafka_group_member *member, enum uk_error error, const char *text)
{
  uk_kafka_requests_fail(&member->commits, error, text);
  uk_kafka_requests_fail(&member->deletes, error, text);
}

static void take_inbox(struct uk_kafka_group_member *member)
{
  struct uk_list *const queues[] = {[UK_KAFKA_CONSUME] = &member->consumes,
                                    [UK_KAFKA_COMMIT] = &member->commits,
                                    [UK_KAFKA_DELETE] = &member->deletes};
  struct uk_list arrived = {0};
  struct uk_kafka_request *request;
  uk_kafka_group_member_take_inbox(member, &arrived);
  while ((request = uk_kafka_requests_take(&arrived)) != NULL) {
    request->confirmed = request->held = false;
    uk_kafka_requests_add(queues[request->kind], request);
  }
}

static bool is_idle(const struct uk_kafka_group_member *member)
{
  return uk_list_is_empty(&member->commits) && uk_list_is_empty(&member->committing.under_way) &&
         uk_list_is_empty(&member->deletes);
}

/* Steps. */

static bool open_member(struct uk_kafka_takeover *takeover,
                        const rd_kafka_topic_partition_list_t *holds, int64_t now)
{
  struct uk_kafka_group_member *member = &takeover->member;
  char text[UK_MESSAGE_SIZE];
  if (uk_kafka_group_member_open(member, text, sizeof text) && subscribe(member, holds))
    return go(takeover, UK_KAFKA_TAKEOVER_JOINING);
  uk_kafka_group_member_fail(member, UK_E_UNAVAILABLE, NOT_TAKEN_OVER);
  return end(takeover, false, now);
}

static bool use_owner(struct uk_kafka_takeover *takeover, enum uk_kafka_owner owner,
                      const struct uk_kafka_ownership *ownership, int64_t now)
{
  struct uk_kafka_group_member *member = &takeover->member;
  char text[UK_MESSAGE_SIZE];
  if (owner == UK_KAFKA_OWNER_NOBODY) {
    bool can_tell = ownership->code == RD_KAFKA_RESP_ERR_NO_ERROR;
    refuse_unknown(member, &member->commits, can_tell);
    refuse_unknown(member, &member->deletes, can_tell);
    return end(takeover, false, now);
  }
  if (owner == UK_KAFKA_OWNER_UNKNOWN) {
    snprintf(text, sizeof text, "group \"%s\": %s", member->group.data,
             rd_kafka_err2str(ownership->code));
    fail_all(member, uk_kafka_error(ownership->code), text);
    return end(takeover, false, now);
  }
  refuse_empty_commits(member);
  return is_idle(member) ? end(takeover, false, now) : open_member(takeover, ownership->holds, now);
}

static bool inquire(struct uk_kafka_takeover *takeover, int64_t now)
{
  struct uk_kafka_ownership ownership;
  enum uk_kafka_owner owner = uk_kafka_lease_owner(&takeover->member, now, &ownership);
  if (owner == UK_KAFKA_OWNER_AWAITED)
    return false;
  bool more = use_owner(takeover, owner, &ownership, now);
  if (ownership.holds != NULL)
    rd_kafka_topic_partition_list_destroy(ownership.holds);
  if (ownership.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(ownership.group_holds);
  return more;
}

/* The requests may expire before the group admits the member. */
static bool join(struct uk_kafka_takeover *takeover, int64_t now)
{
  refuse_empty_commits(&takeover->member);
  return is_idle(&takeover->member) ? end(takeover, true, now) : false;
}

static bool commit(struct uk_kafka_takeover *takeover, int64_t now)
{
  struct uk_kafka_group_member *member = &takeover->member;
  refuse_empty_commits(member);
  uk_kafka_commits_send_next(member);
  if (is_idle(member))
    return end(takeover, true, now);
  bool commits = !uk_list_is_empty(&member->commits) || !uk_kafka_commits_are_idle(member);
  if (commits || now < member->lease.quiet_until)
    return false;
  uk_kafka_group_member_leave(member, now);
  return go(takeover, UK_KAFKA_TAKEOVER_LEAVING);
}

static bool step(struct uk_kafka_takeover *takeover, int64_t now)
{
  switch (takeover->state) {
  case UK_KAFKA_TAKEOVER_INQUIRING: return inquire(takeover, now);
  case UK_KAFKA_TAKEOVER_JOINING: return join(takeover, now);
  case UK_KAFKA_TAKEOVER_COMMITTING: return commit(takeover, now);
  case UK_KAFKA_TAKEOVER_LEAVING:
    return uk_kafka_group_member_leave_on(&takeover->member, now) ? end(takeover, false, now)
                                                                  : false;
  case UK_KAFKA_TAKEOVER_ENDED: break;
  }
  return false;
}

/* Events. */

/* A topic is gone, but the instance may still exist: leave the group by way of another topic. */
static void leave_otherwise(struct uk_kafka_takeover *takeover)
{
  struct uk_kafka_group_member *member = &takeover->member;
  if (takeover->state != UK_KAFKA_TAKEOVER_JOINING)
    return;
  uk_kafka_subscription_forget_topics(member);
  if (!subscribe(member, NULL))
    uk_kafka_requests_fail(&member->deletes, UK_E_UNAVAILABLE, NOT_TAKEN_OVER);
}

static void take_error(struct uk_kafka_takeover *takeover, rd_kafka_event_t *event)
{
  struct uk_kafka_group_member *member = &takeover->member;
  enum uk_error error = uk_kafka_error(rd_kafka_event_error(event));
  const char *text = rd_kafka_event_error_string(event);
  if (uk_kafka_code_passes(rd_kafka_event_error(event)))
    return;
  uk_kafka_requests_fail(&member->commits, error, text);
  if (error == UK_E_NOT_FOUND)
    leave_otherwise(takeover);
  else
    uk_kafka_requests_fail(&member->deletes, error, text);
}

/* False: the group does not know the member any more. */
static bool take_rebalance(struct uk_kafka_takeover *takeover, rd_kafka_event_t *event)
{
  struct uk_kafka_group_member *member = &takeover->member;
  bool first = takeover->state == UK_KAFKA_TAKEOVER_JOINING;
  if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    if (uk_kafka_rebalance(member, event, NULL) == UK_KAFKA_REBALANCE_LOST)
      return false;
    uk_kafka_rebalance_give_up(member);
    return true;
  }
  uk_kafka_rebalance_refuse(member); /* it reads nothing, whatever it is given */
  uk_kafka_lease_joined(member, first);
  if (first)
    takeover->state = UK_KAFKA_TAKEOVER_COMMITTING;
  return true;
}

/* False: another server has the instance. */
static bool take_event(struct uk_kafka_takeover *takeover, rd_kafka_event_t *event)
{
  switch (rd_kafka_event_type(event)) {
  case RD_KAFKA_EVENT_REBALANCE: return take_rebalance(takeover, event);
  case RD_KAFKA_EVENT_OFFSET_COMMIT: return uk_kafka_commits_answered(&takeover->member, event);
  case RD_KAFKA_EVENT_ERROR:
    if (rd_kafka_event_error_is_fatal(event))
      return false;
    take_error(takeover, event);
    return true;
  default: return true;
  }
}

static bool take_events(struct uk_kafka_takeover *takeover)
{
  const struct uk_kafka_group_member *member = &takeover->member;
  char text[UK_MESSAGE_SIZE];
  bool good = true;
  rd_kafka_event_t *event;
  while (good && member->handle != NULL &&
         (event = rd_kafka_queue_poll(member->control, 0)) != NULL) {
    good = take_event(takeover, event);
    rd_kafka_event_destroy(event);
  }
  return good &&
         (member->handle == NULL ||
          rd_kafka_fatal_error(member->handle, text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* The task. */

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_takeover *takeover =
    (struct uk_kafka_takeover *)((char *)task - offsetof(struct uk_kafka_takeover, member.task));
  struct uk_kafka_group_member *member = &takeover->member;
  take_inbox(member);
  if (!take_events(takeover)) {
    (void)end(takeover, true, now);
    return;
  }
  if (takeover->state != UK_KAFKA_TAKEOVER_LEAVING) {
    uk_kafka_group_member_stop(member, now);
    if (uk_kafka_group_member_has_stopped(member, now)) {
      (void)end(takeover, false, now);
      return;
    }
  }
  while (step(takeover, now))
    continue;
  if (takeover->state >= UK_KAFKA_TAKEOVER_LEAVING)
    return;
  (void)uk_kafka_group_member_expire(member, UK_KAFKA_NO_GRACE, now);
  uk_kafka_poll_diagnosis_refresh(member, now);
  uk_kafka_task_at(task, uk_kafka_group_member_next_run(member, UK_KAFKA_NO_GRACE, now));
}

struct uk_kafka_group_member *uk_kafka_takeover_new(struct uk_kafka_groups *groups,
                                                    struct uk_slice group, struct uk_slice name,
                                                    void (*ended)(struct uk_kafka_task *task))
{
  static const struct uk_consumer_settings settings = {
    .auto_commit = false, .offset_reset = UK_RESET_LATEST, .session_timeout = UK_SESSION_TIMEOUT};
  struct uk_kafka_takeover *takeover = calloc(1, sizeof *takeover);
  if (takeover == NULL)
    return NULL;
  takeover->member.is_takeover = true;
  uk_kafka_group_member_init(&takeover->member, groups, group, name, &settings, run, ended);
  return &takeover->member;
}

void uk_kafka_takeover_free(struct uk_kafka_group_member *member)
{
  uk_kafka_group_member_free(member);
  free(member);
}
