/* fake_kafka_reader: librdkafka's reading of partitions without a group, faked: handles, queues,
 * what is read into which queue, and the events in it; the reaper; and the clock.
 *
 * A test plays the brokers: it puts records, ends and errors into the queue of the consumer that
 * reads the partition. Include it in one file of a program. */
#ifndef FAKE_KAFKA_READER_H
#define FAKE_KAFKA_READER_H

#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_reaper.h"

enum {
  READER_NOW = 1000000,
  READER_MOST = 1200, /* partitions that are read, and queues */
  READER_EVENTS = 6000,
  READER_HANDLES = 200
};

struct reader_handle {
  bool open;
  int wait; /* what its brokers may delay an empty answer */
};

struct reader_topic {
  struct reader_handle *handle;
  char name[32];
};

struct reader_event {
  bool used;
  struct reader_event *next;
  struct reader_topic topic;
  rd_kafka_message_t message;
  bool is_message, has_place;
  rd_kafka_event_type_t type; /* 0: that of a message or a code */
  rd_kafka_resp_err_t code;
  rd_kafka_topic_partition_t place;
};

struct reader_queue {
  bool used;
  struct reader_handle *handle;
  struct reader_event *first, **last;
  void (*wake)(rd_kafka_t *handle, void *opaque);
  void *opaque;
};

/* A partition that is read. */
struct reader_read {
  struct reader_queue *queue; /* NULL: the slot is free */
  struct reader_handle *handle;
  char topic[32];
  int32_t partition;
  int64_t offset;
};

static struct {
  struct uk_kafka_executor *executor; /* without threads */
  int64_t now;
  struct reader_handle handles[READER_HANDLES];
  /* No memory of the program is used: a test of failing allocations would fail here. */
  struct reader_queue queues[READER_MOST];
  struct reader_event events[READER_EVENTS];
  size_t opened, reaped;
  bool refuses_handles;
  void (*opening)(void); /* runs while a handle opens; once */
  const char *refuses;   /* a topic whose partitions cannot be read */
  struct reader_read reads[READER_MOST];
  size_t read_count, starts, stops;
  const void *settings; /* of nudges; NULL: the rig itself */
  int nudges;
  int live;        /* topics, queues, events and their places */
  size_t headers;  /* that each message has */
  size_t key_size; /* of each message, in bytes */
} reader;

int64_t uk_clock_monotonic(void)
{
  return reader.now;
}

int64_t uk_clock_epoch(void)
{
  return reader.now;
}

/* Handles. */

rd_kafka_t *uk_kafka_handle_new(const struct uk_kafka_settings *settings, int wait, char *text,
                                size_t size)
{
  CHECK(settings == (const struct uk_kafka_settings *)&reader);
  void (*opening)(void) = reader.opening;
  reader.opening = NULL;
  if (opening != NULL)
    opening();
  if (reader.refuses_handles || reader.opened == READER_HANDLES) {
    snprintf(text, size, "no handle");
    return NULL;
  }
  reader.handles[reader.opened] = (struct reader_handle){.open = true, .wait = wait};
  return (rd_kafka_t *)&reader.handles[reader.opened++];
}

void uk_kafka_nudge(rd_kafka_t *handle, const struct uk_kafka_settings *settings)
{
  CHECK(((struct reader_handle *)handle)->open);
  CHECK(settings == (reader.settings != NULL ? reader.settings : &reader));
  reader.nudges++;
}

const char *uk_kafka_member_id(rd_kafka_t *handle, char *id, size_t size)
{
  (void)handle;
  (void)size;
  return id;
}

void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument)
{
  struct reader_handle *ended = (struct reader_handle *)handle;
  CHECK(reaper == (struct uk_kafka_reaper *)&reader && then == NULL && argument == NULL);
  CHECK(ended->open);
  for (size_t i = 0; i < READER_MOST; i++)
    CHECK(reader.reads[i].queue == NULL || reader.reads[i].handle != ended);
  ended->open = false;
  reader.reaped++;
}

/* Topics and queues. */

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *handle, const char *name,
                                     rd_kafka_topic_conf_t *conf)
{
  struct reader_topic *topic = malloc(sizeof *topic);
  CHECK(conf == NULL && ((struct reader_handle *)handle)->open);
  if (topic == NULL)
    return NULL;
  topic->handle = (struct reader_handle *)handle;
  snprintf(topic->name, sizeof topic->name, "%s", name);
  reader.live++;
  return (rd_kafka_topic_t *)topic;
}

const char *rd_kafka_topic_name(const rd_kafka_topic_t *topic)
{
  return ((const struct reader_topic *)topic)->name;
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *topic)
{
  free(topic);
  reader.live--;
}

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *handle)
{
  struct reader_queue *queue = reader.queues;
  while (queue->used)
    queue++;
  *queue = (struct reader_queue){.used = true, .handle = (struct reader_handle *)handle};
  queue->last = &queue->first;
  reader.live++;
  return (rd_kafka_queue_t *)queue;
}

static void reader_free_event(struct reader_event *event)
{
  event->used = false;
  reader.live--;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *destroyed)
{
  struct reader_queue *queue = (struct reader_queue *)destroyed;
  CHECK(queue->wake == NULL);
  for (size_t i = 0; i < READER_MOST; i++)
    CHECK(reader.reads[i].queue != queue);
  while (queue->first != NULL) {
    struct reader_event *event = queue->first;
    queue->first = event->next;
    reader_free_event(event);
  }
  queue->used = false;
  reader.live--;
}

void rd_kafka_queue_cb_event_enable(rd_kafka_queue_t *queue,
                                    void (*wake)(rd_kafka_t *handle, void *opaque), void *opaque)
{
  ((struct reader_queue *)queue)->wake = wake;
  ((struct reader_queue *)queue)->opaque = opaque;
}

/* Reading. */

static struct reader_read *reader_find(const char *topic, int32_t partition,
                                       const struct reader_handle *handle)
{
  for (size_t i = 0; i < READER_MOST; i++) {
    struct reader_read *at = &reader.reads[i];
    if (at->queue != NULL && strcmp(at->topic, topic) == 0 && at->partition == partition &&
        (handle == NULL || at->handle == handle))
      return at;
  }
  return NULL;
}

rd_kafka_resp_err_t rd_kafka_last_error(void)
{
  return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

int rd_kafka_consume_start_queue(rd_kafka_topic_t *topic, int32_t partition, int64_t offset,
                                 rd_kafka_queue_t *queue)
{
  const struct reader_topic *read = (const struct reader_topic *)topic;
  struct reader_read *at = reader.reads;
  if (reader.refuses != NULL && strcmp(reader.refuses, read->name) == 0)
    return -1;
  /* A handle reads a partition once, from an offset that is one. */
  CHECK(reader_find(read->name, partition, read->handle) == NULL && offset >= 0);
  while (at->queue != NULL)
    at++;
  *at = (struct reader_read){.queue = (struct reader_queue *)queue,
                             .handle = read->handle,
                             .partition = partition,
                             .offset = offset};
  CHECK(at->queue->handle == at->handle);
  memcpy(at->topic, read->name, sizeof at->topic);
  reader.read_count++;
  reader.starts++;
  return 0;
}

int rd_kafka_consume_stop(rd_kafka_topic_t *topic, int32_t partition)
{
  const struct reader_topic *read = (const struct reader_topic *)topic;
  struct reader_read *at = reader_find(read->name, partition, read->handle);
  if (CHECK(at != NULL)) {
    *at = (struct reader_read){.queue = NULL};
    reader.read_count--;
    reader.stops++;
  }
  return 0;
}

/* Events. */

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *polled, int timeout)
{
  struct reader_queue *queue = (struct reader_queue *)polled;
  struct reader_event *event = queue->first;
  CHECK_EQ_INT(timeout, 0);
  CHECK(queue->used);
  if (event != NULL && (queue->first = event->next) == NULL)
    queue->last = &queue->first;
  return (rd_kafka_event_t *)event;
}

rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *event)
{
  const struct reader_event *of = (const struct reader_event *)event;
  if (of->type != 0)
    return of->type;
  return of->is_message ? RD_KAFKA_EVENT_FETCH : RD_KAFKA_EVENT_ERROR;
}

const rd_kafka_message_t *rd_kafka_event_message_next(rd_kafka_event_t *event)
{
  return &((struct reader_event *)event)->message;
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event)
{
  return ((struct reader_event *)event)->code;
}

rd_kafka_topic_partition_t *rd_kafka_event_topic_partition(rd_kafka_event_t *event)
{
  struct reader_event *of = (struct reader_event *)event;
  reader.live += of->has_place;
  return of->has_place ? &of->place : NULL;
}

void rd_kafka_topic_partition_destroy(rd_kafka_topic_partition_t *place)
{
  CHECK(place != NULL);
  reader.live--;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event)
{
  reader_free_event((struct reader_event *)event);
}

rd_kafka_resp_err_t rd_kafka_message_headers(const rd_kafka_message_t *message,
                                             rd_kafka_headers_t **headers)
{
  (void)message;
  *headers = (rd_kafka_headers_t *)&reader;
  return reader.headers > 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

size_t rd_kafka_header_cnt(const rd_kafka_headers_t *headers)
{
  (void)headers;
  return reader.headers;
}

rd_kafka_resp_err_t rd_kafka_header_get_all(const rd_kafka_headers_t *headers, size_t index,
                                            const char **name, const void **value, size_t *length)
{
  (void)headers;
  *name = "name";
  *value = "value";
  *length = 5;
  return index < reader.headers ? RD_KAFKA_RESP_ERR_NO_ERROR : RD_KAFKA_RESP_ERR__NOENT;
}

int64_t rd_kafka_message_timestamp(const rd_kafka_message_t *message,
                                   rd_kafka_timestamp_type_t *type)
{
  *type = RD_KAFKA_TIMESTAMP_CREATE_TIME;
  return 10 * message->offset;
}

/* What a test does. */

static void reader_add(struct reader_queue *queue, struct reader_event *event)
{
  *queue->last = event;
  queue->last = &event->next;
  reader.live++;
  if (queue->wake != NULL)
    queue->wake(NULL, queue->opaque);
}

static struct reader_event *reader_event_of(const char *topic, int32_t partition)
{
  struct reader_event *event = reader.events;
  while (event->used)
    event++;
  *event = (struct reader_event){.used = true, .has_place = true};
  snprintf(event->topic.name, sizeof event->topic.name, "%s", topic);
  event->place = (rd_kafka_topic_partition_t){.topic = event->topic.name, .partition = partition};
  return event;
}

/* A record of that many bytes arrives for the consumer of the partition. */
static inline void reader_record(const char *topic, int32_t partition, int64_t offset, size_t size)
{
  static char bytes[1 << 20];
  struct reader_read *at = reader_find(topic, partition, NULL);
  REQUIRE(at != NULL);
  struct reader_event *event = reader_event_of(topic, partition);
  event->is_message = true;
  event->message = (rd_kafka_message_t){.rkt = (rd_kafka_topic_t *)&event->topic,
                                        .partition = partition,
                                        .offset = offset,
                                        .payload = bytes,
                                        .len = size,
                                        .key = reader.key_size > 0 ? bytes : NULL,
                                        .key_len = reader.key_size};
  reader_add(at->queue, event);
}

/* The partition ends there (__PARTITION_EOF), or has an error. */
static inline void reader_code(const char *topic, int32_t partition, rd_kafka_resp_err_t code,
                               int64_t offset)
{
  struct reader_read *at = reader_find(topic, partition, NULL);
  REQUIRE(at != NULL);
  struct reader_event *event = reader_event_of(topic, partition);
  event->code = code;
  event->place.offset = offset;
  reader_add(at->queue, event);
}

static inline void reader_end(const char *topic, int32_t partition, int64_t offset)
{
  reader_code(topic, partition, RD_KAFKA_RESP_ERR__PARTITION_EOF, offset);
}

/* The offset from which the partition was read; -1: it is not read. */
static inline int64_t reader_offset(const char *topic, int32_t partition)
{
  const struct reader_read *at = reader_find(topic, partition, NULL);
  return at != NULL ? at->offset : -1;
}

static inline void reader_run(int64_t now)
{
  reader.now = now;
  uk_kafka_executor_run(reader.executor, now);
}

static inline bool reader_open(void)
{
  memset(&reader, 0, sizeof reader);
  reader.now = READER_NOW;
  reader.executor = uk_kafka_executor_new(0);
  return reader.executor != NULL;
}

/* Nothing is left open. */
static inline void reader_close(void)
{
  uk_kafka_executor_free(reader.executor);
  CHECK_EQ_INT(reader.read_count, 0);
  CHECK_EQ_INT(reader.live, 0);
  CHECK_EQ_INT(reader.reaped, reader.opened);
}

#endif
