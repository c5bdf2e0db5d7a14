#include "server/kafka_engine/cluster/kafka_record_reader.h"

#include <pthread.h>
#include <stdlib.h>

#include "server/engine/name_set.h"
#include "server/kafka_engine/rd/kafka_event.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_record.h"

enum {
  READS_MOST = 64,    /* partitions at a time */
  KICK_WAIT = 1,      /* milliseconds that a kick may block */
  KICK_PAUSE = 100,   /* milliseconds between two kicks */
  SILENCE = 5,        /* milliseconds until the handle is nudged, in case its threads sleep */
  HANDLE_IDLE = 60000 /* milliseconds without a query after which the handle ends */
};

struct uk_kafka_record_reader {
  struct uk_kafka_task task;
  const struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;
  pthread_mutex_t mutex;
  struct uk_list arrived; /* queries; under the mutex */
  /* The task's. */
  struct uk_list queries; /* that are not answered yet */
  struct uk_list waiting; /* places that are not being read yet */
  struct uk_list reading; /* places */
  size_t reads;           /* of these */
  rd_kafka_t *handle;     /* NULL: not open */
  rd_kafka_queue_t *queue;
  int64_t kick_at; /* not before */
  int64_t used_at;
  struct uk_name_set known; /* topics that were read on the handle */
  struct uk_kafka_record record;
};

/* The handle. */

static void drop_handle(struct uk_kafka_record_reader *reader)
{
  if (reader->handle == NULL)
    return;
  uk_kafka_queue_unwatch(reader->queue);
  rd_kafka_queue_destroy(reader->queue);
  uk_kafka_reap(reader->reaper, reader->handle, NULL, NULL);
  uk_name_set_clear(&reader->known);
  reader->handle = NULL;
}

/* A broker sends a whole batch, whatever the limit, and answers at once: the next read must not
 * wait for the one before it. */
static bool set_small(rd_kafka_conf_t *conf)
{
  return uk_kafka_conf_set(conf, "fetch.wait.max.ms", "1") &&
         uk_kafka_conf_set(conf, "fetch.min.bytes", "1") &&
         uk_kafka_conf_set(conf, "fetch.message.max.bytes", "16384") &&
         uk_kafka_conf_set(conf, "queued.min.messages", "1") &&
         uk_kafka_conf_set(conf, "topic.metadata.propagation.max.ms", "1000");
}

static bool have_handle(struct uk_kafka_record_reader *reader)
{
  char text[UK_MESSAGE_SIZE];
  if (reader->handle != NULL)
    return true;
  rd_kafka_conf_t *conf = uk_kafka_conf(reader->settings, UK_KAFKA_FETCH);
  if (conf == NULL)
    return false;
  if (set_small(conf))
    reader->handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  if (reader->handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return false;
  }
  /* The handle itself is never polled; OAuth tokens arrive by these callbacks. */
  rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(reader->handle));
  reader->queue = rd_kafka_queue_new(reader->handle);
  uk_kafka_queue_watch(reader->queue, &reader->task);
  return true;
}

/* Places. */

static struct uk_kafka_record_place *place_of(struct uk_link *link)
{
  return UK_LIST_ENTRY(link, struct uk_kafka_record_place, link);
}

static struct uk_kafka_record_place *find(const struct uk_kafka_record_reader *reader,
                                          const char *topic, int32_t partition)
{
  struct uk_link *link = uk_list_first(&reader->reading);
  while (link != NULL &&
         (place_of(link)->partition != partition || strcmp(place_of(link)->topic.text, topic) != 0))
    link = uk_list_next(&reader->reading, link);
  return link != NULL ? place_of(link) : NULL;
}

/* The place has its answer. */
static void finish(struct uk_kafka_record_reader *reader, struct uk_kafka_record_place *place,
                   rd_kafka_resp_err_t code)
{
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    (void)uk_name_set_add(&reader->known, uk_slice_text(place->topic.text));
  if (place->reads != NULL) {
    rd_kafka_consume_stop(place->reads, place->partition);
    rd_kafka_topic_destroy(place->reads);
    place->reads = NULL;
    reader->reads--;
  }
  uk_list_remove(&place->link);
  place->code = code;
  place->query->left--;
}

/* librdkafka looks for the leaders of a topic that is new to a handle once a second only. A request
 * for metadata that gives up at once makes it look now: the answer is used when it arrives. */
static void kick(struct uk_kafka_record_reader *reader, rd_kafka_topic_t *topic)
{
  const struct rd_kafka_metadata *metadata;
  if (rd_kafka_metadata(reader->handle, 0, topic, &metadata, KICK_WAIT) ==
      RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(metadata);
}

static bool start(struct uk_kafka_record_reader *reader, struct uk_kafka_record_place *place)
{
  rd_kafka_topic_t *topic = rd_kafka_topic_new(reader->handle, place->topic.text, NULL);
  if (topic == NULL)
    return false;
  if (rd_kafka_consume_start_queue(topic, place->partition, place->offset, reader->queue) != 0) {
    rd_kafka_topic_destroy(topic);
    return false;
  }
  if (!uk_name_set_has(&reader->known, uk_slice_text(place->topic.text)))
    kick(reader, topic);
  place->reads = topic;
  reader->reads++;
  uk_list_remove(&place->link);
  uk_list_add(&reader->reading, &place->link);
  return true;
}

static void start_waiting(struct uk_kafka_record_reader *reader)
{
  struct uk_link *link = uk_list_first(&reader->waiting), *next;
  for (; link != NULL && reader->reads < READS_MOST; link = next) {
    struct uk_kafka_record_place *place = place_of(link);
    next = uk_list_next(&reader->waiting, link);
    if (find(reader, place->topic.text, place->partition) != NULL)
      continue;
    if (!have_handle(reader) || !start(reader, place))
      finish(reader, place, RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE);
  }
}

static void kick_late(struct uk_kafka_record_reader *reader, int64_t now)
{
  const struct uk_link *first = uk_list_first(&reader->reading);
  if (first == NULL || now < reader->kick_at)
    return;
  reader->kick_at = now + KICK_PAUSE;
  kick(reader, UK_LIST_ENTRY(first, struct uk_kafka_record_place, link)->reads);
}

/* A broker's thread that was busy with one place may then sleep, although it has others to read.
 * Returns when it has to be nudged again. */
static int64_t keep_awake(struct uk_kafka_record_reader *reader, int64_t now)
{
  if (reader->reads == 0)
    return UK_TIMER_NEVER;
  uk_kafka_nudge(reader->handle, reader->settings);
  return now + SILENCE;
}

/* What arrives. */

static void take_message(struct uk_kafka_record_reader *reader, const rd_kafka_message_t *message)
{
  struct uk_kafka_record_place *place =
    find(reader, rd_kafka_topic_name(message->rkt), message->partition);
  if (place == NULL || message->offset < place->offset)
    return;
  bool filled = uk_kafka_record_fill(&reader->record, message);
  if (filled) {
    place->seen.offset = message->offset;
    place->broker = rd_kafka_message_broker_id(message);
    place->seen.mark = uk_record_mark_of(&reader->record.record);
  }
  finish(reader, place, filled ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE);
}

static void take_code(struct uk_kafka_record_reader *reader, const struct uk_kafka_event *event)
{
  struct uk_kafka_record_place *place =
    event->place != NULL ? find(reader, event->place->topic, event->place->partition) : NULL;
  if (place == NULL)
    return;
  if (event->code == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    place->seen.ended_at = event->place->offset;
    finish(reader, place, RD_KAFKA_RESP_ERR_NO_ERROR);
  } else if (event->code == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET) {
    finish(reader, place, RD_KAFKA_RESP_ERR_NO_ERROR);
  } else if (!uk_kafka_code_passes(event->code)) {
    finish(reader, place, event->code);
  }
}

static void take_events(struct uk_kafka_record_reader *reader)
{
  struct uk_kafka_event event;
  while (reader->handle != NULL && uk_kafka_event_next(reader->queue, &event)) {
    if (event.message != NULL)
      take_message(reader, event.message);
    else
      take_code(reader, &event);
    uk_kafka_event_free(&event);
  }
}

/* Queries. */

static struct uk_kafka_record_query *query_of(struct uk_link *link)
{
  return (struct uk_kafka_record_query *)UK_LIST_ENTRY(link, struct uk_kafka_query, link);
}

static void take_arrived(struct uk_kafka_record_reader *reader, int64_t now)
{
  struct uk_list arrived = {0};
  struct uk_link *link;
  pthread_mutex_lock(&reader->mutex);
  uk_list_move(&arrived, &reader->arrived);
  pthread_mutex_unlock(&reader->mutex);
  if (!uk_list_is_empty(&arrived) && reader->reads == 0)
    reader->kick_at = now + KICK_PAUSE;
  while ((link = uk_list_take(&arrived)) != NULL) {
    struct uk_kafka_record_query *query = query_of(link);
    uk_list_add(&reader->queries, link);
    for (size_t i = 0; i < query->count; i++)
      uk_list_add(&reader->waiting, &query->places[i].link);
    reader->used_at = now;
  }
}

static void give_up(struct uk_kafka_record_reader *reader, struct uk_kafka_record_query *query,
                    rd_kafka_resp_err_t code)
{
  for (size_t i = 0; i < query->count; i++) {
    if (uk_link_is_linked(&query->places[i].link))
      finish(reader, &query->places[i], code);
  }
}

/* Answers what is read, or late. Returns the next deadline. */
static int64_t answer(struct uk_kafka_record_reader *reader, int64_t now)
{
  struct uk_link *link = uk_list_first(&reader->queries), *next;
  int64_t deadline = UK_TIMER_NEVER;
  bool last = uk_kafka_task_is_last(&reader->task);
  for (; link != NULL; link = next) {
    struct uk_kafka_record_query *query = query_of(link);
    next = uk_list_next(&reader->queries, link);
    if (last || query->query.deadline <= now)
      give_up(reader, query, last ? RD_KAFKA_RESP_ERR__DESTROY : RD_KAFKA_RESP_ERR__TIMED_OUT);
    if (query->left > 0) {
      deadline = query->query.deadline < deadline ? query->query.deadline : deadline;
      continue;
    }
    uk_list_remove(link);
    query->query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    query->query.then(&query->query);
  }
  return deadline;
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_record_reader *reader = (struct uk_kafka_record_reader *)task;
  take_arrived(reader, now);
  take_events(reader);
  if (!uk_kafka_task_is_last(task))
    start_waiting(reader);
  int64_t next = answer(reader, now);
  if (reader->reads == 0 && !uk_list_is_empty(&reader->waiting))
    uk_kafka_task_wake(task); /* what was late has made room */
  kick_late(reader, now);
  if (reader->reads > 0 && reader->kick_at < next)
    next = reader->kick_at;
  int64_t nudge_at = keep_awake(reader, now);
  if (nudge_at < next)
    next = nudge_at;
  if (!uk_list_is_empty(&reader->queries)) {
    reader->used_at = now;
    uk_kafka_task_at(task, next);
  } else if (uk_kafka_task_is_last(task) || now >= reader->used_at + HANDLE_IDLE) {
    drop_handle(reader);
  } else if (reader->handle != NULL) {
    uk_kafka_task_at(task, reader->used_at + HANDLE_IDLE);
  }
}

void uk_kafka_record_reader_ask(struct uk_kafka_record_reader *reader,
                                struct uk_kafka_record_query *query)
{
  query->left = query->count;
  for (size_t i = 0; i < query->count; i++) {
    struct uk_kafka_record_place *place = &query->places[i];
    place->query = query;
    place->reads = NULL;
    place->broker = -1;
    place->link = (struct uk_link){NULL, NULL};
    place->seen = (struct uk_record_sighting){.offset = UK_RECORD_UNSEEN,
                                              .ended_at = UK_RECORD_UNSEEN,
                                              .first = UK_RECORD_UNSEEN,
                                              .end = UK_RECORD_UNSEEN};
  }
  pthread_mutex_lock(&reader->mutex);
  uk_list_add(&reader->arrived, &query->query.link);
  pthread_mutex_unlock(&reader->mutex);
  uk_kafka_task_wake(&reader->task);
}

/* Life. */

struct uk_kafka_record_reader *uk_kafka_record_reader_new(const struct uk_kafka_settings *settings,
                                                          struct uk_kafka_executor *executor,
                                                          struct uk_kafka_reaper *reaper)
{
  struct uk_kafka_record_reader *reader = calloc(1, sizeof *reader);
  if (reader == NULL)
    return NULL;
  reader->settings = settings;
  reader->reaper = reaper;
  pthread_mutex_init(&reader->mutex, NULL);
  uk_name_set_init(&reader->known);
  uk_kafka_task_init(&reader->task, executor, run, NULL);
  return reader;
}

void uk_kafka_record_reader_free(struct uk_kafka_record_reader *reader)
{
  uk_kafka_task_join(&reader->task);
  uk_kafka_record_free(&reader->record);
  uk_name_set_free(&reader->known);
  pthread_mutex_destroy(&reader->mutex);
  free(reader);
}
