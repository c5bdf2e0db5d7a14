#include "server/kafka_engine/group/kafka_group_member.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_leave.h"
#include "server/kafka_engine/group/kafka_poll_diagnosis.h"
#include "server/kafka_engine/group/kafka_subscription.h"
#include "server/kafka_engine/rd/kafka_handle.h"

enum {
  SESSION_LEAST = 6000, /* milliseconds; brokers take no shorter session by default */
  GRACE = 1000,         /* milliseconds past a deadline: see enum uk_kafka_grace */
  LEAVE_PAUSE = 10,     /* milliseconds between two checks whether the member has left */
  STOP_TIMEOUT = 2000,  /* milliseconds that a stopping server waits for commits */
  LOOK_PAUSE = 1000     /* milliseconds between two runs while requests wait */
};

/* A member learns from the answer to a heartbeat that its group shares out its partitions again,
 * and the group waits for each member: this decides how long partitions rest. */
enum { HEARTBEAT = 250 }; /* milliseconds */

static const char LATE[] = "the group's coordinator did not answer in time";

/* Life. */

void uk_kafka_group_member_init(struct uk_kafka_group_member *member,
                                struct uk_kafka_groups *groups, struct uk_slice group,
                                struct uk_slice name, const struct uk_consumer_settings *settings,
                                void (*run)(struct uk_kafka_task *task, int64_t now),
                                void (*ended)(struct uk_kafka_task *task))
{
  char *second = member->key + group.length + 1;
  memcpy(member->key, group.data, group.length);
  memcpy(second, name.data, name.length);
  member->node.name = uk_slice_of(member->key, group.length + 1 + name.length);
  member->group = uk_slice_of(member->key, group.length);
  member->name = uk_slice_of(second, name.length);
  member->groups = groups;
  member->settings = *settings;
  member->last_request = member->waiting_since = uk_clock_monotonic();
  member->committing.next = member->last_request + settings->auto_commit_interval;
  uk_kafka_task_init(&member->task, groups->parts.executor, run, ended);
}

void uk_kafka_group_member_free(struct uk_kafka_group_member *member)
{
  if (member->records != NULL)
    rd_kafka_queue_destroy(member->records);
  if (member->control != NULL)
    rd_kafka_queue_destroy(member->control);
  if (member->handle != NULL)
    uk_kafka_reap(member->groups->parts.reaper, member->handle, NULL, NULL);
  uk_kafka_subscription_free(&member->subscription);
  free(member->partitions.all);
  free(member->published.all);
}

/* Opening. */

static rd_kafka_conf_t *make_conf(const struct uk_kafka_group_member *member)
{
  static const char *const resets[] = {"latest", "earliest", "error"};
  char session[24], heartbeat[24];
  int32_t timeout = member->settings.session_timeout;
  timeout = timeout < SESSION_LEAST ? SESSION_LEAST : timeout;
  snprintf(session, sizeof session, "%d", (int)timeout);
  snprintf(heartbeat, sizeof heartbeat, "%d", HEARTBEAT);
  rd_kafka_conf_t *conf = uk_kafka_conf(member->groups->parts.settings, UK_KAFKA_GROUP);
  if (conf == NULL)
    return NULL;
  if (uk_kafka_conf_set(conf, "group.id", member->group.data) &&
      uk_kafka_conf_set(conf, "group.instance.id", member->name.data) &&
      uk_kafka_conf_set(conf, "session.timeout.ms", session) &&
      uk_kafka_conf_set(conf, "heartbeat.interval.ms", heartbeat) &&
      uk_kafka_conf_set(conf, "auto.offset.reset", resets[member->settings.offset_reset])) {
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                     RD_KAFKA_EVENT_ERROR);
    return conf;
  }
  rd_kafka_conf_destroy(conf);
  return NULL;
}

bool uk_kafka_group_member_open(struct uk_kafka_group_member *member, char *text, size_t size)
{
  rd_kafka_conf_t *conf = make_conf(member);
  snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
  if (conf == NULL)
    return false;
  member->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, size);
  if (member->handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return false;
  }
  rd_kafka_poll_set_consumer(member->handle);
  member->control = rd_kafka_queue_get_consumer(member->handle);
  member->records = rd_kafka_queue_new(member->handle);
  uk_kafka_queue_watch(member->control, &member->task);
  uk_kafka_queue_watch(member->records, &member->task);
  return true;
}

/* Requests. */

void uk_kafka_group_member_take_inbox(struct uk_kafka_group_member *member, struct uk_list *arrived)
{
  pthread_mutex_lock(&member->groups->mutex);
  uk_list_move(arrived, &member->inbox);
  pthread_mutex_unlock(&member->groups->mutex);
}

static bool is_draining(const struct uk_kafka_group_member *member)
{
  return atomic_load(&member->groups->draining);
}

/* The coordinator has not confirmed that the member is this server's. A client that hung up does
 * not wait for that, and gets nothing. */
static void end_unconfirmed(struct uk_list *consumes)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(consumes)) != NULL) {
    if (uk_operation_is_expired(request->operation))
      uk_kafka_request_done(request);
    else
      uk_kafka_request_fail(request, UK_E_UNAVAILABLE, LATE);
  }
}

static bool expire_consumes(struct uk_kafka_group_member *member, enum uk_kafka_grace grace,
                            int64_t now)
{
  struct uk_list due = {0};
  struct uk_kafka_request *request;
  bool draining = is_draining(member);
  uk_kafka_requests_take_due(&member->consumes, &due,
                             draining                     ? INT64_MAX
                             : grace != UK_KAFKA_NO_GRACE ? now - GRACE
                                                          : now);
  if (uk_list_is_empty(&due))
    return false;
  member->last_request = now; /* a consume that waits is a sign of life */
  if (grace == UK_KAFKA_GRACE_FOR_LEASE && !draining)
    end_unconfirmed(&due);
  while ((request = uk_kafka_requests_take(&due)) != NULL)
    uk_kafka_poll_diagnosis_end(member, request, now);
  return true;
}

bool uk_kafka_group_member_expire(struct uk_kafka_group_member *member, enum uk_kafka_grace grace,
                                  int64_t now)
{
  struct uk_list due = {0};
  struct uk_kafka_request *request;
  bool stopping = member->stopping.until != 0 && now >= member->stopping.until;
  bool any = expire_consumes(member, grace, now);
  uk_kafka_requests_take_due(&member->commits, &due, stopping ? INT64_MAX : now);
  if (member->leaving.until == 0) /* from then on the deletion's outcome decides */
    uk_kafka_requests_take_due(&member->deletes, &due, stopping ? INT64_MAX : now);
  while ((request = uk_kafka_requests_take(&due)) != NULL)
    uk_kafka_request_fail(request, UK_E_UNAVAILABLE,
                          request->held && !request->due ? UK_RESPONSE_UNKNOWN : LATE);
  uk_kafka_commits_expire(member, stopping, now);
  return any;
}

/* librdkafka sends a heartbeat when its main thread runs, and one without work sleeps up to a
 * second. */
void uk_kafka_group_member_beat(struct uk_kafka_group_member *member, int64_t now)
{
  if (member->handle == NULL || member->leaving.until != 0 || now < member->beat_at)
    return;
  member->beat_at = now + HEARTBEAT;
  uk_kafka_wake(member->handle);
}

/* The earlier of the two; `event` only if it lies ahead. */
static int64_t earlier(int64_t time, int64_t event, int64_t now)
{
  return event > now && event < time ? event : time;
}

int64_t uk_kafka_group_member_next_run(const struct uk_kafka_group_member *member,
                                       enum uk_kafka_grace grace, int64_t now)
{
  bool waits = !uk_list_is_empty(&member->consumes) || !uk_list_is_empty(&member->commits) ||
               !uk_list_is_empty(&member->deletes);
  int64_t time = waits ? now + LOOK_PAUSE : member->last_request + member->settings.session_timeout;
  time = earlier(time, member->lease.quiet_until, now);
  time = earlier(time, member->lease.ask_at, now);
  time = earlier(time, member->verify_at, now);
  time = earlier(time, member->beat_at, now);
  time = earlier(time, member->committing.again_at, now);
  time = earlier(time, member->stopping.until, now);
  int64_t commit = uk_kafka_commits_next(member);
  time = commit < time ? commit : time;
  int64_t consume = uk_kafka_requests_deadline(&member->consumes, INT64_MAX - GRACE);
  consume += grace != UK_KAFKA_NO_GRACE ? GRACE : 0;
  time = consume < time ? consume : time;
  time = uk_kafka_requests_deadline(&member->commits, time);
  time = uk_kafka_requests_deadline(&member->committing.under_way, time);
  return uk_kafka_requests_deadline(&member->deletes, time);
}

/* Leaving. */

void uk_kafka_group_member_leave(struct uk_kafka_group_member *member, int64_t now)
{
  if (member->leaving.until != 0)
    return;
  if (member->settings.auto_commit)
    uk_kafka_commits_send_delivered(member);
  uk_kafka_leave_begin(member, now);
}

static void take_out(struct uk_kafka_group_member *member)
{
  struct uk_kafka_groups *groups = member->groups;
  pthread_mutex_lock(&groups->mutex);
  if (!member->removed)
    uk_name_table_remove(&groups->table, &member->node);
  member->removed = true;
  pthread_mutex_unlock(&groups->mutex);
}

bool uk_kafka_group_member_leave_on(struct uk_kafka_group_member *member, int64_t now)
{
  for (struct uk_kafka_request *request = uk_kafka_requests_first(&member->deletes);
       request != NULL; request = uk_kafka_requests_next(&member->deletes, request))
    request->sent = true;
  bool left = uk_list_is_empty(&member->committing.under_way) && uk_kafka_leave_continue(member);
  if (!left && now < member->leaving.until) {
    (void)uk_kafka_group_member_expire(member, UK_KAFKA_NO_GRACE, now);
    uk_kafka_task_at(&member->task, now + LEAVE_PAUSE);
    return false;
  }
  take_out(member);
  if (left)
    uk_kafka_requests_done(&member->deletes);
  else
    uk_kafka_requests_fail(&member->deletes, UK_E_UNAVAILABLE,
                           "the group did not confirm in time that the instance has left");
  return true;
}

/* Stopping. */

void uk_kafka_group_member_stop(struct uk_kafka_group_member *member, int64_t now)
{
  struct uk_kafka_stopping *stopping = &member->stopping;
  bool closing = atomic_load(&member->groups->closing);
  if (!closing && !is_draining(member))
    return;
  if (stopping->until == 0)
    stopping->until = now + STOP_TIMEOUT;
  if (!closing || stopping->closing)
    return;
  stopping->closing = true;
  stopping->until = now + STOP_TIMEOUT;
  if (member->settings.auto_commit)
    uk_kafka_commits_send_delivered(member);
}

bool uk_kafka_group_member_has_stopped(const struct uk_kafka_group_member *member, int64_t now)
{
  return member->stopping.closing &&
         (uk_kafka_commits_are_idle(member) || now >= member->stopping.until);
}

/* Ending. */

void uk_kafka_group_member_fail(struct uk_kafka_group_member *member, enum uk_error error,
                                const char *text)
{
  struct uk_list arrived = {0};
  take_out(member);
  uk_kafka_group_member_take_inbox(member, &arrived);
  uk_kafka_requests_fail(&member->consumes, error, text);
  uk_kafka_requests_fail(&member->commits, error, text);
  uk_kafka_requests_fail(&member->deletes, error, text);
  uk_kafka_requests_fail(&arrived, error, text);
}

static void pass_on(struct uk_kafka_group_member *member, struct uk_kafka_request *request,
                    int64_t now)
{
  bool is_consume = request->kind == UK_KAFKA_CONSUME;
  bool is_over = request->operation->deadline <= now || is_draining(member);
  if (!is_over && !(is_consume && request->confirmed)) {
    request->moved = true;
    uk_kafka_requests_add(&member->left, request);
  } else if (is_consume && !request->due) {
    uk_kafka_request_done(request);
  } else {
    uk_kafka_request_fail(request, UK_E_UNAVAILABLE, "the instance moved to another server");
  }
}

void uk_kafka_group_member_end(struct uk_kafka_group_member *member, bool lost, int64_t now)
{
  struct uk_list waiting = {0};
  struct uk_kafka_request *request;
  take_out(member);
  uk_kafka_commits_abandon(member, lost);
  uk_list_move(&waiting, &member->consumes);
  uk_list_move(&waiting, &member->commits);
  uk_list_move(&waiting, &member->deletes);
  uk_kafka_group_member_take_inbox(member, &waiting);
  while ((request = uk_kafka_requests_take(&waiting)) != NULL)
    pass_on(member, request, now);
  uk_kafka_lease_drop(member);
  if (member->control != NULL) {
    uk_kafka_queue_unwatch(member->control);
    uk_kafka_queue_unwatch(member->records);
  }
  uk_kafka_task_end(&member->task);
}
