#include "server/kafka_engine/produce/kafka_key_topic.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/cluster/kafka_offsets.h"
#include "server/kafka_engine/produce/kafka_key_row.h"
#include "server/kafka_engine/rd/kafka_event.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/watch/error_log.h"

enum {
  EVENTS_PER_RUN = 2000,
  BROKER_WAIT = 500,   /* milliseconds that a broker without new rows may delay its answer */
  STEP_TIMEOUT = 5000, /* milliseconds to create the topic, and to find an offset */
  RETRY_SOON = 200,    /* milliseconds, while produces wait */
  RETRY = 5000,
  KICK_WAIT = 1, /* milliseconds */
  ROW_TIMEOUT = 30000,
  ALARM_PATIENCE = 30000, /* milliseconds from the start, as long as nothing has failed */
  TROUBLE_SIZE = 256
};

/* Why the topic is not followed, or how far that is. */
enum state {
  ASLEEP,   /* no produce has had a key */
  CREATING, /* the cluster is asked to create the topic */
  SEEKING,  /* and for the offset at which the window begins */
  FOLLOWING,
  PAUSED /* after a failure; begins again at `retry_at` */
};

struct uk_kafka_key_topic {
  struct uk_kafka_task task;
  struct uk_kafka_key_topic_parts parts;
  struct uk_alarm alarm;
  struct uk_repeated row_failed;

  /* The task's. */
  enum state state;
  int64_t begun_at, retry_at;
  rd_kafka_queue_t *admin; /* the answer to the creation */
  rd_kafka_t *handle;      /* while it follows */
  rd_kafka_queue_t *queue;
  rd_kafka_topic_t *followed;
  struct uk_kafka_work seek;
  int64_t from; /* set by the work: the offset at which the window begins */

  pthread_mutex_t mutex; /* of what follows */
  pthread_cond_t idle;
  bool started, closing;
  bool open;              /* produces need not wait */
  bool shared;            /* the topic is followed, and was followed up to its end */
  bool sought;            /* `seek` has its answer */
  size_t pending;         /* rows under way, and the work */
  struct uk_list waiting; /* operations */
  char trouble[TROUBLE_SIZE];
};

static struct uk_kafka_key_topic *topic_of(struct uk_kafka_task *task)
{
  return (struct uk_kafka_key_topic *)task;
}

static void release_pending(struct uk_kafka_key_topic *topic)
{
  pthread_mutex_lock(&topic->mutex);
  if (--topic->pending == 0)
    pthread_cond_broadcast(&topic->idle);
  pthread_mutex_unlock(&topic->mutex);
}

/* False when the topic is closing: nothing more may begin. */
static bool add_pending(struct uk_kafka_key_topic *topic)
{
  pthread_mutex_lock(&topic->mutex);
  bool added = !topic->closing;
  topic->pending += added;
  pthread_mutex_unlock(&topic->mutex);
  return added;
}

/* Lets the produces begin that wait, and all later ones. */
static void open_for_all(struct uk_kafka_key_topic *topic)
{
  struct uk_list waiting = {0};
  struct uk_produce *operation;
  pthread_mutex_lock(&topic->mutex);
  topic->open = true;
  uk_list_move(&waiting, &topic->waiting);
  pthread_mutex_unlock(&topic->mutex);
  while ((operation = UK_LIST_TAKE(&waiting, struct uk_produce, operation.link)) != NULL)
    topic->parts.ready(topic->parts.context, operation);
}

static bool is_open(struct uk_kafka_key_topic *topic)
{
  pthread_mutex_lock(&topic->mutex);
  bool open = topic->open;
  pthread_mutex_unlock(&topic->mutex);
  return open;
}

/* Following. */

static void stop_following(struct uk_kafka_key_topic *topic)
{
  if (topic->followed != NULL) {
    rd_kafka_consume_stop(topic->followed, 0);
    rd_kafka_topic_destroy(topic->followed);
    topic->followed = NULL;
  }
  if (topic->handle == NULL)
    return;
  uk_kafka_queue_unwatch(topic->queue);
  rd_kafka_queue_destroy(topic->queue);
  uk_kafka_reap(topic->parts.reaper, topic->handle, NULL, NULL);
  topic->handle = NULL;
}

static void pause_for(struct uk_kafka_key_topic *topic, int64_t now, const char *trouble)
{
  stop_following(topic);
  topic->state = PAUSED;
  topic->retry_at = now + (is_open(topic) ? RETRY : RETRY_SOON);
  pthread_mutex_lock(&topic->mutex);
  topic->shared = false;
  snprintf(topic->trouble, sizeof topic->trouble, "%s", trouble);
  pthread_mutex_unlock(&topic->mutex);
}

/* See kafka_record_reader.c: a new handle looks for leaders once a second, unless it is asked. */
static void kick(const struct uk_kafka_key_topic *topic)
{
  const struct rd_kafka_metadata *metadata;
  if (rd_kafka_metadata(topic->handle, 0, topic->followed, &metadata, KICK_WAIT) ==
      RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(metadata);
}

static bool start(struct uk_kafka_key_topic *topic)
{
  topic->followed = rd_kafka_topic_new(topic->handle, UK_KAFKA_KEY_TOPIC, NULL);
  if (topic->followed == NULL)
    return false;
  if (rd_kafka_consume_start_queue(topic->followed, 0, topic->from, topic->queue) == 0)
    return true;
  rd_kafka_topic_destroy(topic->followed);
  topic->followed = NULL;
  return false;
}

static void follow(struct uk_kafka_key_topic *topic, int64_t now)
{
  char text[UK_MESSAGE_SIZE] = "";
  topic->handle = uk_kafka_handle_new(topic->parts.settings, BROKER_WAIT, text, sizeof text);
  if (topic->handle == NULL) {
    pause_for(topic, now, text);
    return;
  }
  topic->queue = rd_kafka_queue_new(topic->handle);
  uk_kafka_queue_watch(topic->queue, &topic->task);
  if (!start(topic)) {
    pause_for(topic, now, rd_kafka_err2str(rd_kafka_last_error()));
    return;
  }
  kick(topic);
  topic->state = FOLLOWING;
}

static void take_row(struct uk_kafka_key_topic *topic, const rd_kafka_message_t *message,
                     int64_t now)
{
  struct uk_produce_key key;
  struct uk_slice answer;
  rd_kafka_timestamp_type_t type;
  int64_t age = uk_clock_epoch() - rd_kafka_message_timestamp(message, &type);
  if (age >= topic->parts.window ||
      !uk_kafka_key_row_read(uk_slice_of(message->key, message->key_len),
                             uk_slice_of(message->payload, message->len), &key, &answer))
    return;
  if (!uk_produce_keys_learn(topic->parts.keys, &key, answer, now - (age > 0 ? age : 0), now))
    uk_repeated_log(&topic->row_failed, now, "no memory for the idempotency key of another server");
}

static void reach_end(struct uk_kafka_key_topic *topic)
{
  pthread_mutex_lock(&topic->mutex);
  topic->shared = true;
  pthread_mutex_unlock(&topic->mutex);
  uk_alarm_clear(&topic->alarm, "idempotency keys are shared with other servers again");
  open_for_all(topic);
}

static void take_code(struct uk_kafka_key_topic *topic, rd_kafka_resp_err_t code, int64_t now)
{
  if (code == RD_KAFKA_RESP_ERR__PARTITION_EOF)
    reach_end(topic);
  else if (!uk_kafka_code_passes(code))
    pause_for(topic, now, rd_kafka_err2str(code));
}

static void take_rows(struct uk_kafka_key_topic *topic, int64_t now)
{
  struct uk_kafka_event event;
  int count = 0;
  while (topic->state == FOLLOWING && count < EVENTS_PER_RUN &&
         uk_kafka_event_next(topic->queue, &event)) {
    bool placed = event.place != NULL;
    rd_kafka_resp_err_t code = event.code;
    if (event.message != NULL)
      take_row(topic, event.message, now);
    bool is_row = event.message != NULL;
    uk_kafka_event_free(&event); /* before the queue may go */
    if (!is_row && placed)
      take_code(topic, code, now);
    count++;
  }
  if (count == EVENTS_PER_RUN)
    uk_kafka_task_wake(&topic->task);
}

/* Seeking. */

/* First the end: what is appended in between is read then, at least. */
static void run_seek(struct uk_kafka_work *work)
{
  struct uk_kafka_key_topic *topic =
    (struct uk_kafka_key_topic *)((char *)work - offsetof(struct uk_kafka_key_topic, seek));
  struct uk_topic_partition_offset at = {.topic = uk_slice_text(UK_KAFKA_KEY_TOPIC)};
  struct uk_topic_partition_offset end = at;
  size_t failed;
  int64_t deadline = work->query.deadline;
  work->query.code =
    uk_kafka_offsets_ask(topic->parts.control, UK_TIMESTAMP_LATEST, &end, 1, deadline, &failed);
  if (work->query.code == RD_KAFKA_RESP_ERR_NO_ERROR)
    work->query.code = uk_kafka_offsets_ask(
      topic->parts.control, uk_clock_epoch() - topic->parts.window, &at, 1, deadline, &failed);
  topic->from = at.offset >= 0 ? at.offset : end.offset;
}

static void on_sought(struct uk_kafka_query *query)
{
  struct uk_kafka_key_topic *topic =
    (struct uk_kafka_key_topic *)((char *)query - offsetof(struct uk_kafka_key_topic, seek));
  pthread_mutex_lock(&topic->mutex);
  topic->sought = true;
  pthread_mutex_unlock(&topic->mutex);
  uk_kafka_task_wake(&topic->task);
  release_pending(topic);
}

static void seek(struct uk_kafka_key_topic *topic, int64_t now)
{
  if (!add_pending(topic))
    return;
  topic->state = SEEKING;
  topic->seek = (struct uk_kafka_work){.query = {.deadline = now + STEP_TIMEOUT, .then = on_sought},
                                       .run = run_seek};
  uk_kafka_blocking_submit(topic->parts.blocking, &topic->seek);
}

static void take_sought(struct uk_kafka_key_topic *topic, int64_t now)
{
  pthread_mutex_lock(&topic->mutex);
  bool sought = topic->sought;
  topic->sought = false;
  pthread_mutex_unlock(&topic->mutex);
  if (!sought)
    return;
  if (topic->seek.query.code == RD_KAFKA_RESP_ERR_NO_ERROR)
    follow(topic, now);
  else
    pause_for(topic, now, rd_kafka_err2str(topic->seek.query.code));
}

/* Creating. */

/* Rows end by time, as keys do; compaction keeps one of each until then. */
static void configure(const struct uk_kafka_key_topic *topic, rd_kafka_NewTopic_t *created)
{
  char window[24];
  snprintf(window, sizeof window, "%" PRId64, topic->parts.window);
  rd_kafka_NewTopic_set_config(created, "cleanup.policy", "compact,delete");
  rd_kafka_NewTopic_set_config(created, "retention.ms", window);
  rd_kafka_NewTopic_set_config(created, "segment.ms", window);
}

static void create(struct uk_kafka_key_topic *topic, int64_t now)
{
  char text[UK_MESSAGE_SIZE];
  rd_kafka_NewTopic_t *created =
    topic->parts.create ? rd_kafka_NewTopic_new(UK_KAFKA_KEY_TOPIC, 1, -1, text, sizeof text)
                        : NULL;
  if (created == NULL) {
    seek(topic, now);
    return;
  }
  configure(topic, created);
  rd_kafka_AdminOptions_t *options =
    rd_kafka_AdminOptions_new(topic->parts.control, RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_AdminOptions_set_request_timeout(options, STEP_TIMEOUT, text, sizeof text);
  topic->state = CREATING;
  rd_kafka_CreateTopics(topic->parts.control, &created, 1, options, topic->admin);
  rd_kafka_AdminOptions_destroy(options);
  rd_kafka_NewTopic_destroy(created);
}

/* Whatever the answer is, the topic may be there: looking for its offsets shows it. */
static void take_created(struct uk_kafka_key_topic *topic, int64_t now)
{
  rd_kafka_event_t *event;
  while ((event = rd_kafka_queue_poll(topic->admin, 0)) != NULL) {
    bool answered = rd_kafka_event_type(event) == RD_KAFKA_EVENT_CREATETOPICS_RESULT;
    rd_kafka_event_destroy(event);
    if (answered && topic->state == CREATING)
      seek(topic, now);
  }
}

/* The task. */

static void begin(struct uk_kafka_key_topic *topic, int64_t now)
{
  pthread_mutex_lock(&topic->mutex);
  bool started = topic->started;
  pthread_mutex_unlock(&topic->mutex);
  if (topic->state == ASLEEP && started) {
    topic->begun_at = now;
    create(topic, now);
  } else if (topic->state == PAUSED && now >= topic->retry_at) {
    create(topic, now);
  }
}

/* Does without the topic if that takes too long. Returns when it will be so. */
static int64_t give_up_late(struct uk_kafka_key_topic *topic, int64_t now)
{
  if (topic->state == ASLEEP || is_open(topic))
    return UK_TIMER_NEVER;
  if (now < topic->begun_at + UK_KAFKA_KEY_PATIENCE)
    return topic->begun_at + UK_KAFKA_KEY_PATIENCE;
  open_for_all(topic);
  return UK_TIMER_NEVER;
}

static bool has_failed(struct uk_kafka_key_topic *topic)
{
  pthread_mutex_lock(&topic->mutex);
  bool failed = topic->trouble[0] != '\0';
  pthread_mutex_unlock(&topic->mutex);
  return failed;
}

/* A cluster that is only slow to answer at the start is no reason for a line. Returns when it is
 * one. */
static int64_t raise_alarm(struct uk_kafka_key_topic *topic, int64_t now)
{
  char text[UK_MESSAGE_SIZE];
  if (uk_kafka_key_topic_is_shared(topic, text, sizeof text))
    return UK_TIMER_NEVER;
  if (!has_failed(topic) && now < topic->begun_at + ALARM_PATIENCE)
    return topic->begun_at + ALARM_PATIENCE;
  uk_alarm_raise(&topic->alarm, "%s", text);
  return UK_TIMER_NEVER;
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_key_topic *topic = topic_of(task);
  if (uk_kafka_task_is_last(task)) {
    stop_following(topic);
    return;
  }
  begin(topic, now);
  take_created(topic, now);
  take_sought(topic, now);
  take_rows(topic, now);
  int64_t next = give_up_late(topic, now), alarm_at = raise_alarm(topic, now);
  if (alarm_at < next)
    next = alarm_at;
  if (topic->state == PAUSED && topic->retry_at < next)
    next = topic->retry_at;
  uk_kafka_task_at(task, next);
}

bool uk_kafka_key_topic_await(struct uk_kafka_key_topic *topic, struct uk_produce *operation)
{
  pthread_mutex_lock(&topic->mutex);
  bool open = topic->open;
  if (!open)
    uk_list_add(&topic->waiting, &operation->operation.link);
  bool first = !topic->started;
  topic->started = true;
  pthread_mutex_unlock(&topic->mutex);
  if (first)
    uk_kafka_task_wake(&topic->task);
  return open;
}

bool uk_kafka_key_topic_is_shared(struct uk_kafka_key_topic *topic, char *text, size_t size)
{
  pthread_mutex_lock(&topic->mutex);
  bool shared = topic->shared || !topic->open;
  snprintf(text, size, "idempotency keys are not shared with other servers: topic \"%s\": %s",
           UK_KAFKA_KEY_TOPIC,
           topic->trouble[0] != '\0' ? topic->trouble : "the cluster has not answered yet");
  pthread_mutex_unlock(&topic->mutex);
  return shared;
}

/* Sharing. */

struct row {
  struct uk_produce produce;
  struct uk_record record;
  struct uk_kafka_key_topic *topic;
  struct uk_buffer key, value;
};

static void free_row(struct row *row)
{
  uk_buffer_free(&row->key);
  uk_buffer_free(&row->value);
  free(row);
}

static void on_row(struct uk_operation *operation)
{
  struct row *row = (struct row *)operation;
  struct uk_kafka_key_topic *topic = row->topic;
  if (operation->error != UK_OK)
    uk_repeated_log(&topic->row_failed, uk_clock_monotonic(),
                    "an idempotency key could not be shared with other servers");
  free_row(row);
  release_pending(topic);
}

static struct row *make_row(struct uk_kafka_key_topic *topic, const struct uk_produce *operation)
{
  struct row *row = calloc(1, sizeof *row);
  if (row == NULL)
    return NULL;
  uk_buffer_init(&row->key, SIZE_MAX);
  uk_buffer_init(&row->value, SIZE_MAX);
  uk_kafka_key_row_write(&row->key, &row->value, operation);
  if (row->key.error != UK_OK || row->value.error != UK_OK) {
    free_row(row);
    return NULL;
  }
  row->topic = topic;
  row->record = (struct uk_record){.topic = uk_slice_text(UK_KAFKA_KEY_TOPIC),
                                   .timestamp = -1,
                                   .has_key = true,
                                   .has_value = true,
                                   .key = uk_slice_of(row->key.data, row->key.length),
                                   .value = uk_slice_of(row->value.data, row->value.length)};
  row->produce = (struct uk_produce){.operation = {.done = on_row}, .count = 1};
  row->produce.operation.deadline = uk_clock_monotonic() + ROW_TIMEOUT;
  row->produce.records = &row->record;
  return row;
}

void uk_kafka_key_topic_share(struct uk_kafka_key_topic *topic, const struct uk_produce *operation)
{
  pthread_mutex_lock(&topic->mutex);
  bool shared = topic->shared;
  topic->pending += shared; /* not after `closing` */
  pthread_mutex_unlock(&topic->mutex);
  if (!shared)
    return;
  struct row *row = make_row(topic, operation);
  if (row != NULL) {
    uk_kafka_producer_append(topic->parts.producer, &row->produce);
    return;
  }
  uk_repeated_log(&topic->row_failed, uk_clock_monotonic(),
                  "no memory to share an idempotency key with other servers");
  release_pending(topic);
}

/* Life. */

struct uk_kafka_key_topic *uk_kafka_key_topic_new(const struct uk_kafka_key_topic_parts *parts)
{
  struct uk_kafka_key_topic *topic = calloc(1, sizeof *topic);
  if (topic == NULL)
    return NULL;
  topic->parts = *parts;
  pthread_mutex_init(&topic->mutex, NULL);
  pthread_cond_init(&topic->idle, NULL);
  topic->admin = rd_kafka_queue_new(parts->control);
  uk_kafka_task_init(&topic->task, parts->executor, run, NULL);
  uk_kafka_queue_watch(topic->admin, &topic->task);
  return topic;
}

void uk_kafka_key_topic_free(struct uk_kafka_key_topic *topic)
{
  pthread_mutex_lock(&topic->mutex);
  topic->closing = true;
  topic->shared = false;
  while (topic->pending > 0)
    pthread_cond_wait(&topic->idle, &topic->mutex);
  pthread_mutex_unlock(&topic->mutex);
  uk_kafka_queue_unwatch(topic->admin);
  uk_kafka_task_join(&topic->task);
  rd_kafka_queue_destroy(topic->admin);
  pthread_cond_destroy(&topic->idle);
  pthread_mutex_destroy(&topic->mutex);
  free(topic);
}
