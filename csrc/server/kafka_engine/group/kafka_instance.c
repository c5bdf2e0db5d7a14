#include "server/kafka_engine/group/kafka_instance.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_delivery.h"
#include "server/kafka_engine/group/kafka_poll_diagnosis.h"
#include "server/kafka_engine/group/kafka_handover.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_leave.h"
#include "server/kafka_engine/group/kafka_rebalance.h"
#include "server/kafka_engine/group/kafka_request_queue.h"

enum {
  SESSION_LEAST = 6000, /* milliseconds; a broker takes no shorter session by default */
  LEAVE_PAUSE = 10,     /* between two looks whether it has left */
  STOP_TIMEOUT = 2000,  /* in which a server that stops hears what became of its commits */
  LOOK_PAUSE = 1000     /* between two looks while somebody waits */
};

static const char NOT_TAKEN_OVER[] = "the instance could not be taken over";

/* Opening. */

static rd_kafka_conf_t *make_conf(const struct uk_kafka_instance *instance)
{
  static const char *const resets[] = {"latest", "earliest", "error"};
  char session[24], heartbeat[24];
  int32_t timeout = instance->settings.session_timeout;
  timeout = timeout < SESSION_LEAST ? SESSION_LEAST : timeout;
  snprintf(session, sizeof session, "%d", (int)timeout);
  snprintf(heartbeat, sizeof heartbeat, "%d", (int)(timeout / 3 < 3000 ? timeout / 3 : 3000));
  rd_kafka_conf_t *conf = uk_kafka_conf(instance->groups->parts.settings, UK_KAFKA_GROUP);
  if (conf == NULL)
    return NULL;
  if (uk_kafka_conf_set(conf, "group.id", instance->group.data) &&
      uk_kafka_conf_set(conf, "group.instance.id", instance->name.data) &&
      uk_kafka_conf_set(conf, "session.timeout.ms", session) &&
      uk_kafka_conf_set(conf, "heartbeat.interval.ms", heartbeat) &&
      uk_kafka_conf_set(conf, "auto.offset.reset", resets[instance->settings.offset_reset])) {
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                     RD_KAFKA_EVENT_ERROR);
    return conf;
  }
  rd_kafka_conf_destroy(conf);
  return NULL;
}

static bool open_handle(struct uk_kafka_instance *instance, char *text, size_t size)
{
  rd_kafka_conf_t *conf = make_conf(instance);
  snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
  if (conf == NULL)
    return false;
  instance->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, size);
  if (instance->handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return false;
  }
  rd_kafka_poll_set_consumer(instance->handle);
  instance->control = rd_kafka_queue_get_consumer(instance->handle);
  instance->records = rd_kafka_queue_new(instance->handle);
  uk_kafka_queue_watch(instance->control, &instance->task);
  uk_kafka_queue_watch(instance->records, &instance->task);
  return true;
}

/* Ending. */

void uk_kafka_instance_take_out(struct uk_kafka_instance *instance)
{
  struct uk_kafka_groups *groups = instance->groups;
  pthread_mutex_lock(&groups->mutex);
  if (!instance->gone)
    uk_name_table_remove(&groups->table, &instance->node);
  instance->gone = true;
  pthread_mutex_unlock(&groups->mutex);
}

/* Who still waits goes to a new instance. */
static void end(struct uk_kafka_instance *instance, int64_t now)
{
  uk_kafka_instance_take_out(instance);
  uk_kafka_instance_abandon_commits(instance);
  uk_kafka_instance_pass_on(instance, now);
  uk_kafka_lease_drop(instance);
  uk_kafka_handover_drop(instance);
  if (instance->control != NULL) {
    uk_kafka_queue_unwatch(instance->control);
    uk_kafka_queue_unwatch(instance->records);
  }
  instance->ended = true;
  uk_kafka_task_end(&instance->task);
}

static void end_with(struct uk_kafka_instance *instance, int64_t now, enum uk_error error,
                     const char *text)
{
  uk_kafka_instance_take_out(instance);
  uk_kafka_instance_take_inbox(instance, now);
  uk_kafka_requests_fail(&instance->consumes, error, text);
  uk_kafka_requests_fail(&instance->commits, error, text);
  uk_kafka_requests_fail(&instance->deletes, error, text);
  end(instance, now);
}

void uk_kafka_instance_free(struct uk_kafka_task *task)
{
  struct uk_kafka_instance *instance =
    (struct uk_kafka_instance *)((char *)task - offsetof(struct uk_kafka_instance, task));
  struct uk_kafka_groups *groups = instance->groups;
  uk_kafka_event_free(&instance->held);
  if (instance->records != NULL)
    rd_kafka_queue_destroy(instance->records);
  if (instance->control != NULL)
    rd_kafka_queue_destroy(instance->control);
  if (instance->handle != NULL)
    uk_kafka_reap(groups->parts.reaper, instance->handle, NULL, NULL);
  if (instance->group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(instance->group_holds);
  uk_kafka_record_free(&instance->record);
  uk_name_set_free(&instance->created);
  free(instance->partitions);
  free(instance->listed);
  free(instance->topics);
  free(instance);
  pthread_mutex_lock(&groups->mutex);
  groups->count--;
  pthread_cond_broadcast(&groups->empty);
  pthread_mutex_unlock(&groups->mutex);
}

/* Takeovers. */

static void keep_first(void *argument, struct uk_slice topic, int32_t partitions)
{
  struct uk_kafka_name *first = argument;
  if (first->text[0] == '\0' && partitions > 0)
    *first = uk_kafka_name(topic);
}

/* Where nothing is known of what the instance holds: it holds nothing, or its group is being shared out, which may last
 * until the instance itself is back. Nobody joins without a topic that exists; who only leaves may name any. */
static struct uk_kafka_name choose_topic(const struct uk_kafka_instance *instance)
{
  const struct uk_kafka_request *commit = instance->commits.first;
  struct uk_kafka_name topic = {.text = ""};
  if (commit != NULL)
    return uk_kafka_name(((const struct uk_commit *)commit->operation)->offsets[0].topic);
  (void)uk_kafka_topics_each(instance->groups->parts.topics, keep_first, &topic);
  return topic;
}

/* Joining with other topics would be a rebalance for all. */
static bool subscribe_takeover(struct uk_kafka_instance *instance,
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
    chosen = choose_topic(instance);
    topics[count++] = uk_slice_text(chosen.text);
  }
  bool done = topics != NULL && uk_kafka_instance_subscribe(instance, topics, count, &code);
  free(topics);
  return done;
}

/* What was consumed, only the server that has the instance knows. */
static void refuse_empty_commits(struct uk_kafka_instance *instance)
{
  struct uk_kafka_requests commits = instance->commits, empty = {NULL, NULL};
  struct uk_kafka_request *request;
  instance->commits = (struct uk_kafka_requests){NULL, NULL};
  while ((request = uk_kafka_requests_take(&commits)) != NULL)
    uk_kafka_requests_add(
      ((const struct uk_commit *)request->operation)->count == 0 ? &empty : &instance->commits,
      request);
  uk_kafka_requests_fail(
    &empty, UK_E_UNAVAILABLE,
    "another server has the consumer instance, and knows what it consumed: try "
    "again, or name the offsets");
}

/* True: it is done, or had nothing to do. */
static bool serve_takeover(struct uk_kafka_instance *instance, int64_t now)
{
  refuse_empty_commits(instance);
  if (instance->joined)
    uk_kafka_instance_commit_next(instance);
  if (instance->commits.first != NULL || instance->committing.first != NULL)
    return false;
  if (instance->deletes.first == NULL)
    return true;
  if (instance->joined && now >= instance->quiet_until)
    uk_kafka_instance_leave(instance, now);
  return false;
}

/* Beginning. */

/* Where brokers cannot tell who has an instance, one that was here may be elsewhere. */
static void refuse_unknown(const struct uk_kafka_instance *instance,
                           struct uk_kafka_requests *requests, bool told)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(requests)) != NULL) {
    if (request->moved && !told)
      uk_operation_fail(request->operation, UK_E_UNAVAILABLE,
                        "consumer instance \"%s\" of group \"%s\" moved to another server",
                        instance->name.data, instance->group.data);
    else
      uk_operation_fail(request->operation, UK_E_NOT_FOUND,
                        "group \"%s\" has no consumer instance \"%s\"", instance->group.data,
                        instance->name.data);
    uk_kafka_request_done(request);
  }
}

static void begin_takeover(struct uk_kafka_instance *instance, int64_t now,
                           enum uk_kafka_first first, const rd_kafka_topic_partition_list_t *holds,
                           rd_kafka_resp_err_t code)
{
  char text[UK_MESSAGE_SIZE];
  if (first == UK_KAFKA_FIRST_FREE) {
    bool told = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    refuse_unknown(instance, &instance->commits, told);
    refuse_unknown(instance, &instance->deletes, told);
    end(instance, now);
    return;
  }
  if (first == UK_KAFKA_FIRST_FAILED) {
    snprintf(text, sizeof text, "group \"%s\": %s", instance->group.data, rd_kafka_err2str(code));
    uk_kafka_requests_fail(&instance->commits, uk_kafka_error(code), text);
    uk_kafka_requests_fail(&instance->deletes, uk_kafka_error(code), text);
    end(instance, now);
    return;
  }
  refuse_empty_commits(instance);
  if (instance->commits.first == NULL && instance->deletes.first == NULL)
    end(instance, now);
  else if (!open_handle(instance, text, sizeof text) || !subscribe_takeover(instance, holds))
    end_with(instance, now, UK_E_UNAVAILABLE, NOT_TAKEN_OVER);
}

static void begin(struct uk_kafka_instance *instance, int64_t now)
{
  rd_kafka_topic_partition_list_t *holds;
  rd_kafka_resp_err_t code;
  char text[UK_MESSAGE_SIZE];
  enum uk_kafka_first first = uk_kafka_lease_first(instance, now, &holds, &code);
  if (first == UK_KAFKA_FIRST_WAITS)
    return;
  if (instance->takeover)
    begin_takeover(instance, now, first, holds, code);
  else if (!open_handle(instance, text, sizeof text))
    end_with(instance, now, UK_E_UNAVAILABLE, text);
  else
    uk_kafka_instance_subscribe_kept(instance);
  if (holds != NULL)
    rd_kafka_topic_partition_list_destroy(holds);
}

/* What the group says. */

/* That a topic is gone says nothing of the instance: it leaves by another topic. */
static void leave_otherwise(struct uk_kafka_instance *instance)
{
  if (instance->joined || instance->leaves_until != 0)
    return;
  for (size_t i = 0; i < instance->topic_count; i++)
    uk_kafka_topics_forget(instance->groups->parts.topics, uk_slice_text(instance->topics[i].text));
  if (!subscribe_takeover(instance, NULL))
    uk_kafka_requests_fail(&instance->deletes, UK_E_UNAVAILABLE, NOT_TAKEN_OVER);
}

static void take_takeover_error(struct uk_kafka_instance *instance, enum uk_error error,
                                const char *text)
{
  uk_kafka_requests_fail(&instance->commits, error, text);
  if (error == UK_E_NOT_FOUND)
    leave_otherwise(instance);
  else
    uk_kafka_requests_fail(&instance->deletes, error, text);
}

/* Its only topic is gone. librdkafka stops being a member then, and would not hear that the instance is taken over or
 * deleted elsewhere. */
static void leave_if_pointless(struct uk_kafka_instance *instance, rd_kafka_resp_err_t code)
{
  if (uk_kafka_error(code) == UK_E_NOT_FOUND && instance->topic_count == 1 &&
      !instance->awaits_created)
    uk_kafka_instance_leave(instance, uk_clock_monotonic());
}

static void take_error(struct uk_kafka_instance *instance, rd_kafka_event_t *event)
{
  rd_kafka_resp_err_t code = rd_kafka_event_error(event);
  const char *text = rd_kafka_event_error_string(event);
  if (rd_kafka_event_error_is_fatal(event)) {
    instance->lost = true;
  } else if (!instance->takeover) {
    uk_kafka_instance_trouble(instance, code, text, NULL);
    leave_if_pointless(instance, code);
  } else if (!uk_kafka_code_passes(code)) {
    take_takeover_error(instance, uk_kafka_error(code), text);
  }
}

/* False: another server has taken the instance over. */
static bool serve_control(struct uk_kafka_instance *instance)
{
  rd_kafka_event_t *event;
  char text[UK_MESSAGE_SIZE];
  while (!instance->lost && (event = rd_kafka_queue_poll(instance->control, 0)) != NULL) {
    rd_kafka_event_type_t type = rd_kafka_event_type(event);
    if (type == RD_KAFKA_EVENT_REBALANCE)
      uk_kafka_instance_rebalance(instance, event);
    else if (type == RD_KAFKA_EVENT_OFFSET_COMMIT)
      uk_kafka_instance_committed(instance, event);
    else if (type == RD_KAFKA_EVENT_ERROR)
      take_error(instance, event);
    rd_kafka_event_destroy(event);
  }
  return !instance->lost &&
         rd_kafka_fatal_error(instance->handle, text, sizeof text) == RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* Running. */

static void serve_deletes(struct uk_kafka_instance *instance, int64_t now)
{
  const struct uk_kafka_request *last = instance->deletes.last;
  if (last == NULL || !instance->joined || instance->sure_from < last->came ||
      now < instance->quiet_until || instance->commits.first != NULL)
    return;
  uk_kafka_requests_done(&instance->consumes);
  uk_kafka_instance_leave(instance, now);
}

static void serve_leaving(struct uk_kafka_instance *instance, int64_t now)
{
  for (struct uk_kafka_request *request = instance->deletes.first; request != NULL;
       request = request->next)
    request->sent = true;
  bool left = instance->committing.first == NULL && uk_kafka_instance_has_left(instance);
  if (!left && now < instance->leaves_until) {
    uk_kafka_instance_expire(instance, now);
    uk_kafka_task_at(&instance->task, now + LEAVE_PAUSE);
    return;
  }
  uk_kafka_instance_take_out(instance);
  if (left)
    uk_kafka_requests_done(&instance->deletes);
  else
    uk_kafka_requests_fail(&instance->deletes, UK_E_UNAVAILABLE,
                           "the group did not answer in time that the instance has left");
  end(instance, now);
}

/* A member that stays: another server, or this one when it is back, takes it over. True: it has ended. */
static bool serve_stopping(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->stops_until == 0)
    instance->stops_until = now + STOP_TIMEOUT;
  if (!instance->groups->closing)
    return false;
  if (!instance->said_last) {
    instance->said_last = true;
    instance->stops_until = now + STOP_TIMEOUT;
    if (instance->settings.auto_commit)
      uk_kafka_instance_commit_delivered(instance);
  }
  bool quiet = instance->auto_commits == 0 && instance->committing.first == NULL;
  if (!quiet && now < instance->stops_until)
    return false;
  end(instance, now);
  return true;
}

static int64_t next_time(const struct uk_kafka_instance *instance, int64_t now)
{
  int64_t time = instance->last_request + instance->settings.session_timeout;
  if (instance->consumes.first != NULL || instance->commits.first != NULL ||
      instance->deletes.first != NULL)
    time = now + LOOK_PAUSE;
  if (instance->quiet_until > now && instance->quiet_until < time)
    time = instance->quiet_until;
  if (instance->ask_at > now && instance->ask_at < time)
    time = instance->ask_at;
  if (instance->stops_until > now && instance->stops_until < time)
    time = instance->stops_until;
  int64_t commit = uk_kafka_instance_next_commit(instance);
  time = commit < time ? commit : time;
  return uk_kafka_instance_deadline(instance, time);
}

static void run_joined(struct uk_kafka_instance *instance, int64_t now)
{
  uk_kafka_lease_serve(instance, now);
  if (instance->lost)
    return;
  if (instance->joined)
    uk_kafka_instance_commit_next(instance);
  uk_kafka_instance_commit_metadata(instance);
  serve_deletes(instance, now);
  while (instance->leaves_until == 0 && instance->consumes.first != NULL &&
         uk_kafka_lease_holds(instance, now) && uk_kafka_instance_deliver(instance))
    continue;
}

static void run_staying(struct uk_kafka_instance *instance, int64_t now)
{
  if (!instance->takeover)
    run_joined(instance, now);
  else if (serve_takeover(instance, now))
    instance->lost = true; /* whose it is now, the next request decides */
  if (instance->leaves_until != 0)
    return;
  if (instance->lost)
    end(instance, now);
  else if (instance->consumes.first == NULL && instance->deletes.first == NULL &&
           !instance->takeover &&
           now >= instance->last_request + instance->settings.session_timeout)
    uk_kafka_instance_leave(instance, now);
}

static void run_open(struct uk_kafka_instance *instance, int64_t now)
{
  uk_kafka_instance_receive(instance);
  if (instance->leaves_until == 0)
    run_staying(instance, now);
  if (instance->leaves_until != 0)
    serve_leaving(instance, now);
}

void uk_kafka_instance_run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_instance *instance =
    (struct uk_kafka_instance *)((char *)task - offsetof(struct uk_kafka_instance, task));
  uk_kafka_instance_take_inbox(instance, now);
  if (instance->handle == NULL)
    begin(instance, now);
  if (instance->ended)
    return;
  if (instance->handle != NULL && !serve_control(instance)) {
    instance->lost = true;
    end(instance, now);
    return;
  }
  if ((instance->groups->draining || instance->groups->closing) && instance->leaves_until == 0 &&
      serve_stopping(instance, now))
    return;
  if (instance->handle != NULL)
    run_open(instance, now);
  if (instance->ended || instance->leaves_until != 0)
    return;
  uk_kafka_instance_expire(instance, now);
  uk_kafka_instance_refresh(instance, now);
  if (instance->handle != NULL)
    uk_kafka_instance_auto_commit(instance, now);
  uk_kafka_task_at(task, next_time(instance, now));
}
