#include "server/kafka_admin.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/kafka_calls.h"

enum {
  PAUSE = 50
}; /* milliseconds before the cluster is asked again whether a topic is there, or gone */

/* A request under way: first to the cluster, then, for a topic, until all of the cluster shows it. */
struct call {
  struct uk_kafka_lookup lookup;
  struct uk_kafka_admin *admin;
  struct uk_operation *operation;
  int64_t deadline;
  void (*answered)(struct call *call, rd_kafka_event_t *event);
  void (*finish)(struct call *call);
  struct uk_kafka_check *check; /* where a topic is made for it */
  struct call *next;            /* among those that are asked about again */
  bool gone;                    /* waits for its end, not for its beginning */
  bool created;
  int32_t partitions; /* wanted, then found */
  struct uk_kafka_name topic;
};

struct uk_kafka_admin {
  struct uk_kafka_task task;
  struct uk_kafka_admin_parts parts;
  rd_kafka_queue_t *queue;
  pthread_mutex_t mutex;
  struct call *again;
  bool ending;
  pthread_cond_t ended;
};

static void looked(struct uk_kafka_lookup *lookup);

/* While the cluster is away there is nothing to wait for. */
static bool is_away(struct uk_kafka_admin *admin, struct uk_operation *operation)
{
  char detail[UK_MESSAGE_SIZE];
  if (uk_kafka_topics_health(admin->parts.topics, detail, sizeof detail) == UK_OK)
    return false;
  uk_operation_fail(operation, UK_E_UNAVAILABLE, "%s", detail);
  return true;
}

static struct call *new_call(struct uk_kafka_admin *admin, struct uk_operation *operation,
                             struct uk_slice topic)
{
  struct call *call = calloc(1, sizeof *call);
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

static void done(struct call *call)
{
  struct uk_operation *operation = call->operation;
  free(call);
  operation->done(operation);
}

static void fail(struct call *call, rd_kafka_resp_err_t code, const char *text)
{
  char place[UK_KAFKA_PLACE_SIZE];
  uk_operation_fail(call->operation, uk_kafka_error(code), "%s: %s",
                    uk_kafka_place(place, sizeof place, uk_slice_text(call->topic.text), -1),
                    text != NULL ? text : rd_kafka_err2str(code));
}

/* Whether the topic is there, or gone. */

static void ask_later(struct call *call)
{
  struct uk_kafka_admin *admin = call->admin;
  pthread_mutex_lock(&admin->mutex);
  call->next = admin->again;
  admin->again = call;
  pthread_mutex_unlock(&admin->mutex);
  uk_kafka_task_wake(&admin->task);
}

static void ask(struct call *call)
{
  call->lookup = (struct uk_kafka_lookup){.topic = uk_slice_text(call->topic.text),
                                          .deadline = call->deadline,
                                          .then = looked,
                                          .context = call};
  uk_kafka_topics_look(call->admin->parts.topics, &call->lookup);
}

static void looked(struct uk_kafka_lookup *lookup)
{
  struct call *call = lookup->context;
  bool settled = call->gone ? lookup->error == UK_E_NOT_FOUND : lookup->error == UK_OK;
  if (!settled && uk_clock_monotonic() + PAUSE < call->deadline) {
    ask_later(call);
    return;
  }
  if (!settled)
    fail(call, RD_KAFKA_RESP_ERR__TIMED_OUT,
         call->gone ? "the cluster did not show in time that it is gone"
                    : "the cluster did not show it in time");
  call->partitions = settled && !call->gone ? lookup->partitions : call->partitions;
  call->finish(call);
}

/* The task: answers, and what is asked again. */

static void take_answers(struct uk_kafka_admin *admin)
{
  rd_kafka_event_t *event;
  while ((event = rd_kafka_queue_poll(admin->queue, 0)) != NULL) {
    struct call *call = rd_kafka_event_opaque(event);
    if (call != NULL)
      call->answered(call, event);
    rd_kafka_event_destroy(event);
  }
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_admin *admin = (struct uk_kafka_admin *)task;
  take_answers(admin);
  pthread_mutex_lock(&admin->mutex);
  struct call *again = admin->again;
  bool ending = admin->ending;
  admin->again = NULL;
  pthread_mutex_unlock(&admin->mutex);
  (void)now;
  if (again != NULL) {
    const struct timespec pause = {0, PAUSE * 1000000};
    nanosleep(&pause, NULL);
  }
  while (again != NULL) {
    struct call *next = again->next;
    ask(again);
    again = next;
  }
  if (ending)
    uk_kafka_task_end(task);
}

static void ended(struct uk_kafka_task *task)
{
  struct uk_kafka_admin *admin = (struct uk_kafka_admin *)task;
  pthread_mutex_lock(&admin->mutex);
  admin->ending = false;
  pthread_cond_signal(&admin->ended);
  pthread_mutex_unlock(&admin->mutex);
}

static rd_kafka_AdminOptions_t *options_of(struct call *call, rd_kafka_admin_op_t kind)
{
  char text[64];
  int left = uk_kafka_time_left(call->deadline);
  rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(call->admin->parts.control, kind);
  rd_kafka_AdminOptions_set_request_timeout(options, left, text, sizeof text);
  rd_kafka_AdminOptions_set_operation_timeout(options, left, text, sizeof text);
  rd_kafka_AdminOptions_set_opaque(options, call);
  return options;
}

/* Creating. */

static rd_kafka_resp_err_t topic_code(rd_kafka_event_t *event, const char **text)
{
  size_t count = 0;
  const rd_kafka_topic_result_t **results = NULL;
  *text = rd_kafka_event_error_string(event);
  if (rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return rd_kafka_event_error(event);
  if (rd_kafka_event_CreateTopics_result(event) != NULL)
    results =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
  else
    results =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
  if (count != 1)
    return RD_KAFKA_RESP_ERR_UNKNOWN;
  *text = rd_kafka_topic_result_error_string(results[0]);
  return rd_kafka_topic_result_error(results[0]);
}

static void create_answered(struct call *call, rd_kafka_event_t *event)
{
  const char *text;
  rd_kafka_resp_err_t code = topic_code(event, &text);
  call->created = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (call->created || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
    call->admin->parts.forget(call->admin->parts.context, uk_slice_text(call->topic.text));
    ask(call);
    return;
  }
  fail(call, code, text);
  call->finish(call);
}

static void submit_create(struct call *call, const struct uk_create_topic *create)
{
  char text[UK_MESSAGE_SIZE], number[24];
  rd_kafka_NewTopic_t *topic =
    rd_kafka_NewTopic_new(call->topic.text, call->partitions, -1, text, sizeof text);
  if (topic == NULL) {
    fail(call, RD_KAFKA_RESP_ERR_INVALID_REQUEST, text);
    call->finish(call);
    return;
  }
  const struct {
    const char *name;
    bool given;
    int64_t value;
  } settings[] = {
    {"retention.ms", create != NULL && create->has_retention_ms,
     create != NULL ? create->retention_ms : 0},
    {"retention.bytes", create != NULL && create->has_retention_bytes,
     create != NULL ? create->retention_bytes : 0},
  };
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
    snprintf(number, sizeof number, "%" PRId64, settings[i].value);
    if (settings[i].given)
      rd_kafka_NewTopic_set_config(topic, settings[i].name, number);
  }
  rd_kafka_AdminOptions_t *options = options_of(call, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  call->answered = create_answered;
  rd_kafka_CreateTopics(call->admin->parts.control, &topic, 1, options, call->admin->queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy(topic);
}

static void create_finish(struct call *call)
{
  struct uk_create_topic *create = (struct uk_create_topic *)call->operation;
  if (create->operation.error == UK_OK && !call->created && create->partitions >= 0 &&
      create->partitions != call->partitions)
    uk_operation_fail(call->operation, UK_E_CONFLICT,
                      "topic \"%s\" exists already: partitions is %d, expected %d",
                      call->topic.text, (int)call->partitions, (int)create->partitions);
  create->partitions = call->partitions;
  create->created = call->created;
  done(call);
}

void uk_kafka_admin_create_topic(struct uk_kafka_admin *admin, struct uk_create_topic *create)
{
  struct call *call = new_call(admin, &create->operation, create->topic);
  if (call == NULL) {
    create->operation.done(&create->operation);
    return;
  }
  call->partitions = create->partitions >= 0 ? create->partitions : admin->parts.partitions;
  call->finish = create_finish;
  submit_create(call, create);
}

static void missing_finish(struct call *call)
{
  struct uk_kafka_check *check = call->check;
  free(call);
  uk_kafka_check_created(check);
}

void uk_kafka_admin_create_missing(void *context, struct uk_kafka_check *check,
                                   struct uk_slice topic)
{
  struct uk_kafka_admin *admin = context;
  struct call *call = new_call(admin, check->operation, topic);
  if (call == NULL) {
    uk_kafka_check_created(check);
    return;
  }
  call->partitions = admin->parts.partitions;
  call->check = check;
  call->finish = missing_finish;
  submit_create(call, NULL);
}

/* Deleting. */

static void delete_answered(struct call *call, rd_kafka_event_t *event)
{
  const char *text;
  rd_kafka_resp_err_t code = topic_code(event, &text);
  call->admin->parts.forget(call->admin->parts.context, uk_slice_text(call->topic.text));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ask(call);
    return;
  }
  if (uk_kafka_error(code) == UK_E_NOT_FOUND)
    text = "does not exist";
  fail(call, code, text);
  call->finish(call);
}

static void delete_finish(struct call *call)
{
  call->admin->parts.forget(call->admin->parts.context, uk_slice_text(call->topic.text));
  done(call);
}

void uk_kafka_admin_delete_topic(struct uk_kafka_admin *admin, struct uk_delete_topic *operation)
{
  struct call *call = new_call(admin, &operation->operation, operation->topic);
  if (call == NULL) {
    operation->operation.done(&operation->operation);
    return;
  }
  call->gone = true;
  call->finish = delete_finish;
  call->answered = delete_answered;
  rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(call->topic.text);
  rd_kafka_AdminOptions_t *options = options_of(call, RD_KAFKA_ADMIN_OP_DELETETOPICS);
  rd_kafka_DeleteTopics(admin->parts.control, &topic, 1, options, admin->queue);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_DeleteTopic_destroy(topic);
}

/* Life. */

struct uk_kafka_admin *uk_kafka_admin_new(const struct uk_kafka_admin_parts *parts)
{
  struct uk_kafka_admin *admin = calloc(1, sizeof *admin);
  if (admin == NULL)
    return NULL;
  admin->parts = *parts;
  pthread_mutex_init(&admin->mutex, NULL);
  pthread_cond_init(&admin->ended, NULL);
  admin->queue = rd_kafka_queue_new(parts->control);
  uk_kafka_task_init(&admin->task, parts->loop, run, ended);
  uk_kafka_queue_watch(admin->queue, &admin->task);
  return admin;
}

void uk_kafka_admin_free(struct uk_kafka_admin *admin)
{
  uk_kafka_queue_unwatch(admin->queue);
  pthread_mutex_lock(&admin->mutex);
  admin->ending = true;
  pthread_mutex_unlock(&admin->mutex);
  uk_kafka_task_wake(&admin->task);
  pthread_mutex_lock(&admin->mutex);
  while (admin->ending)
    pthread_cond_wait(&admin->ended, &admin->mutex);
  pthread_mutex_unlock(&admin->mutex);
  rd_kafka_queue_destroy(admin->queue);
  pthread_cond_destroy(&admin->ended);
  pthread_mutex_destroy(&admin->mutex);
  free(admin);
}
