#include "server/kafka_engine/cluster/kafka_admin.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/cluster/kafka_admin_private.h"
#include "server/kafka_engine/rd/kafka_query.h"

enum {
  PAUSE = 50
}; /* milliseconds until the cluster is asked again whether a topic is there, or gone */

/* While the cluster is away, requests fail at once. */
static bool is_away(struct uk_kafka_admin *admin, struct uk_operation *operation)
{
  char detail[UK_MESSAGE_SIZE];
  if (uk_kafka_topics_health(admin->parts.topics, detail, sizeof detail) == UK_OK)
    return false;
  uk_operation_fail(operation, UK_E_UNAVAILABLE, "%s", detail);
  return true;
}

struct uk_kafka_admin_call *uk_kafka_admin_call_new(struct uk_kafka_admin *admin,
                                                    struct uk_operation *operation,
                                                    struct uk_slice topic)
{
  struct uk_kafka_admin_call *call = calloc(1, sizeof *call);
  if (call == NULL) {
    uk_operation_fail(operation, UK_E_NO_MEMORY, "%s", "");
    return NULL;
  }
  if (is_away(admin, operation)) {
    free(call);
    return NULL;
  }
  call->admin = admin;
  call->operation = operation;
  call->deadline = operation->deadline;
  call->topic = uk_kafka_name(topic);
  return call;
}

void uk_kafka_admin_fail(struct uk_kafka_admin_call *call, rd_kafka_resp_err_t code,
                         const char *text)
{
  char place[UK_KAFKA_PLACE_SIZE];
  uk_kafka_fail_change(call->operation, code, text,
                       uk_kafka_place(place, sizeof place, uk_slice_text(call->topic.text), -1));
}

/* Waiting until the topic is there, or gone. */

static void answered(struct uk_kafka_query *query);

void uk_kafka_admin_await(struct uk_kafka_admin_call *call)
{
  call->query =
    (struct uk_kafka_topic_query){.query = {.deadline = call->deadline, .then = answered},
                                  .topic = uk_slice_text(call->topic.text)};
  uk_kafka_topics_ask(call->admin->parts.topics, &call->query);
}

/* Only the task may set its timer. */
static void ask_later(struct uk_kafka_admin_call *call)
{
  struct uk_kafka_admin *admin = call->admin;
  call->again = uk_clock_monotonic() + PAUSE;
  pthread_mutex_lock(&admin->mutex);
  uk_list_add(&admin->again, &call->link);
  pthread_mutex_unlock(&admin->mutex);
  uk_kafka_task_wake(&admin->task);
}

static void answered(struct uk_kafka_query *query)
{
  struct uk_kafka_admin_call *call = (struct uk_kafka_admin_call *)query;
  enum uk_error error = uk_kafka_error(query->code);
  bool settled = call->gone ? error == UK_E_NOT_FOUND : error == UK_OK;
  if (!settled && uk_clock_monotonic() + PAUSE < call->deadline) {
    ask_later(call);
    return;
  }
  if (!settled)
    uk_kafka_admin_fail(call, RD_KAFKA_RESP_ERR__TIMED_OUT,
                        call->gone ? "the cluster did not show in time that the topic is gone"
                                   : "the cluster did not show the new topic in time");
  call->partitions = settled && !call->gone ? call->query.partitions : call->partitions;
  call->finish(call);
}

/* The task: takes answers, and asks again. */

static void take_answers(struct uk_kafka_admin *admin)
{
  rd_kafka_event_t *event;
  while ((event = rd_kafka_queue_poll(admin->queue, 0)) != NULL) {
    struct uk_kafka_admin_call *call = rd_kafka_event_opaque(event);
    if (call != NULL)
      call->answered(call, event);
    rd_kafka_event_destroy(event);
  }
}

/* Moves the calls whose time has come to `due`. Returns when the time of the next one comes. */
static int64_t take_due(struct uk_kafka_admin *admin, int64_t now, struct uk_list *due)
{
  int64_t next_time = UK_TIMER_NEVER;
  struct uk_link *link = uk_list_first(&admin->again), *next;
  for (; link != NULL; link = next) {
    const struct uk_kafka_admin_call *call = UK_LIST_ENTRY(link, struct uk_kafka_admin_call, link);
    next = uk_list_next(&admin->again, link);
    if (call->again <= now) {
      uk_list_remove(link);
      uk_list_add(due, link);
    } else if (call->again < next_time) {
      next_time = call->again;
    }
  }
  return next_time;
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_admin *admin = (struct uk_kafka_admin *)task;
  struct uk_list due = {0};
  struct uk_kafka_admin_call *call;
  take_answers(admin);
  pthread_mutex_lock(&admin->mutex);
  int64_t next = take_due(admin, now, &due);
  pthread_mutex_unlock(&admin->mutex);
  uk_kafka_task_at(task, next);
  while ((call = UK_LIST_TAKE(&due, struct uk_kafka_admin_call, link)) != NULL)
    uk_kafka_admin_await(call);
}

rd_kafka_AdminOptions_t *uk_kafka_admin_options(struct uk_kafka_admin_call *call,
                                                rd_kafka_admin_op_t kind)
{
  char text[64];
  int left = uk_kafka_time_left(call->deadline);
  rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(call->admin->parts.control, kind);
  rd_kafka_AdminOptions_set_request_timeout(options, left, text, sizeof text);
  rd_kafka_AdminOptions_set_operation_timeout(options, left, text, sizeof text);
  rd_kafka_AdminOptions_set_opaque(options, call);
  return options;
}

/* Life. */

struct uk_kafka_admin *uk_kafka_admin_new(const struct uk_kafka_admin_parts *parts)
{
  struct uk_kafka_admin *admin = calloc(1, sizeof *admin);
  if (admin == NULL)
    return NULL;
  admin->parts = *parts;
  pthread_mutex_init(&admin->mutex, NULL);
  admin->queue = rd_kafka_queue_new(parts->control);
  uk_kafka_task_init(&admin->task, parts->executor, run, NULL);
  uk_kafka_queue_watch(admin->queue, &admin->task);
  return admin;
}

void uk_kafka_admin_free(struct uk_kafka_admin *admin)
{
  uk_kafka_queue_unwatch(admin->queue);
  uk_kafka_task_join(&admin->task);
  rd_kafka_queue_destroy(admin->queue);
  pthread_mutex_destroy(&admin->mutex);
  free(admin);
}
