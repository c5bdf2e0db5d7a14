#include "server/kafka_engine/produce/kafka_producer.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/thread.h"
#include "server/engine/murmur2.h"
#include "server/engine/produce_outcome.h"
#include "server/kafka_engine/produce/kafka_producer_handle.h"

enum {
  POLL = 100,  /* milliseconds between two looks at the handles' health */
  POLL_TWO = 5 /* the same while two handles have records */
};
static const int64_t BYTES_MAX = INT64_C(256) << 20; /* in flight, over all requests */

struct uk_kafka_producer {
  struct uk_kafka_producer_parts parts;
  pthread_rwlock_t
    lock; /* of the handles: senders share it, the thread replaces a handle under it */
  struct uk_kafka_producer_handle shared;
  struct uk_kafka_producer_handle
    alone;                   /* for records of narrow topics; without a handle until there is one */
  struct uk_name_set narrow; /* topics for which a batch was too large */
  atomic_bool any_narrow;
  pthread_t thread;
  bool running;
  atomic_bool stopping;
  _Atomic int64_t bytes; /* of the records in flight */
  atomic_uint spread;    /* the partition of the next records without a key */
};

struct produce {
  struct uk_kafka_check check;
  struct uk_kafka_producer *producer;
  struct uk_produce *operation;
  int64_t bytes;
  atomic_size_t left; /* records without an outcome, plus one for the thread that sends */
  struct uk_kafka_delivery_tag tags[]; /* one for each record */
};

/* The outcome. */

static void finish(struct produce *produce)
{
  struct uk_produce *operation = produce->operation;
  uk_produce_conclude(operation);
  atomic_fetch_sub(&produce->producer->bytes, produce->bytes);
  free(produce);
  operation->operation.done(&operation->operation);
}

static void release(struct produce *produce)
{
  if (atomic_fetch_sub(&produce->left, 1) == 1)
    finish(produce);
}

/* True if the broker did not take this batch. librdkafka may fear otherwise for the batches before
 * it. */
static bool was_refused(rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER ||
         code == RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID ||
         code == RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
}

/* True if the broker itself does not know. */
static bool is_open(rd_kafka_resp_err_t code)
{
  return code > 0 && uk_kafka_error(code) == UK_E_GATEWAY_TIMEOUT;
}

/* Decides between "retry" and "unknown" by whether the failed record may have been
 * stored. */
static void fail(struct uk_record *record, rd_kafka_resp_err_t code, bool maybe_stored)
{
  maybe_stored = (maybe_stored || is_open(code)) && !was_refused(code);
  record->reason = rd_kafka_err2str(code);
  record->error = uk_kafka_error(code);
  if (record->error == UK_E_UNAVAILABLE && maybe_stored)
    record->error = UK_E_GATEWAY_TIMEOUT;
  if (record->error == UK_E_GATEWAY_TIMEOUT && !maybe_stored)
    record->error = UK_E_UNAVAILABLE;
}

/* True if the topic or its partition existed when the request was checked, but the handle does not
 * know it yet: it was just added, or the handle remembers, for minutes, that the topic was missing
 * before it was created again. If it is gone by now, the next request finds out. */
static bool is_new(rd_kafka_resp_err_t code)
{
  return uk_kafka_error(code) == UK_E_NOT_FOUND;
}

/* Once for all records of a request: the first one makes the topic unknown. */
static void refresh_topic(struct uk_kafka_producer *producer, rd_kafka_t *handle,
                          struct uk_record *record)
{
  record->error = UK_E_UNAVAILABLE;
  if (uk_kafka_topics_partitions(producer->parts.topics, record->topic) == 0)
    return;
  uk_kafka_topics_forget(producer->parts.topics, record->topic);
  uk_kafka_producer_handle_ask(handle, record->topic);
}

static void renew(struct uk_kafka_producer *producer, struct uk_kafka_producer_handle *renewed);

/* The batch that is too large holds other records too, maybe of other requests. Sent alone, the
 * record gets an answer of its own. From now on all records of the topic are sent alone, so they
 * keep their order. */
static void send_alone(struct uk_kafka_producer *producer, const struct uk_record *record,
                       struct uk_kafka_delivery_tag *tag)
{
  if (producer->alone.handle == NULL)
    renew(producer, &producer->alone);
  if (uk_name_set_add(&producer->narrow, record->topic))
    atomic_store(&producer->any_narrow, true);
  uk_kafka_producer_handle_send(&producer->alone, record, tag, 1);
}

/* Records left in a handle that has failed get the reason for which it failed. */
static rd_kafka_resp_err_t cause_of(rd_kafka_t *handle, rd_kafka_resp_err_t code)
{
  if (code != RD_KAFKA_RESP_ERR__PURGE_QUEUE && code != RD_KAFKA_RESP_ERR__FATAL)
    return code;
  rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(handle, NULL, 0);
  return fatal != RD_KAFKA_RESP_ERR_NO_ERROR ? fatal : code;
}

static struct uk_record *record_of(const struct uk_kafka_delivery_tag *tag)
{
  const struct produce *produce = tag->owner;
  return &produce->operation->records[tag - produce->tags];
}

static void on_refused(rd_kafka_t *handle, struct uk_kafka_delivery_tag *tag,
                       rd_kafka_resp_err_t code)
{
  struct produce *produce = tag->owner;
  fail(record_of(tag), handle != NULL ? cause_of(handle, code) : code, false);
  if (is_new(code))
    refresh_topic(produce->producer, handle, record_of(tag));
  release(produce);
}

static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  struct uk_kafka_delivery_tag *tag = message->_private;
  struct produce *produce = tag->owner;
  struct uk_record *record = record_of(tag);
  const struct uk_kafka_producer_handle *from = opaque;
  rd_kafka_timestamp_type_t type;
  if (uk_kafka_error(message->err) == UK_E_TOO_LARGE && !from->alone) {
    send_alone(produce->producer, record, tag);
    return;
  }
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fail(record, cause_of(handle, message->err),
         rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED);
    if (is_new(message->err))
      refresh_topic(produce->producer, handle, record);
  } else {
    record->offset = message->offset;
    record->timestamp = rd_kafka_message_timestamp(message, &type);
  }
  release(produce);
}

/* Sending. */

/* Keeps the records of one request without a key together, in their order. */
static void choose_partition(struct uk_record *record, int32_t partitions, unsigned spread)
{
  if (record->partition >= 0 || partitions <= 0)
    return;
  record->partition = record->has_key ? uk_murmur2_partition(record->key, partitions)
                                      : (int32_t)(spread % (unsigned)partitions);
}

static struct uk_kafka_producer_handle *handle_for(struct uk_kafka_producer *producer,
                                                   struct uk_slice topic)
{
  bool alone = atomic_load(&producer->any_narrow) && producer->alone.handle != NULL &&
               uk_name_set_has(&producer->narrow, topic);
  return alone ? &producer->alone : &producer->shared;
}

/* Sends `count` records of one topic. */
static void send_topic(struct produce *produce, size_t first, size_t count, unsigned spread)
{
  struct uk_record *records = &produce->operation->records[first];
  struct uk_kafka_delivery_tag *tags = &produce->tags[first];
  int32_t partitions =
    uk_kafka_topics_partitions(produce->producer->parts.topics, records[0].topic);
  for (size_t i = 0; i < count; i++) {
    tags[i].owner = produce;
    records[i].error = UK_OK;
    choose_partition(&records[i], partitions, spread);
  }
  uk_kafka_producer_handle_send(handle_for(produce->producer, records[0].topic), records, tags,
                                count);
}

/* How many records at the beginning have the same topic. */
static size_t count_alike(const struct uk_record *records, size_t count)
{
  size_t alike = 1;
  while (alike < count && uk_slice_equal(records[alike].topic, records[0].topic))
    alike++;
  return alike;
}

static void send_all(struct produce *produce)
{
  struct uk_kafka_producer *producer = produce->producer;
  const struct uk_produce *operation = produce->operation;
  unsigned spread = atomic_fetch_add(&producer->spread, 1);
  pthread_rwlock_rdlock(&producer->lock);
  for (size_t i = 0, alike; i < operation->count; i += alike) {
    alike = count_alike(&operation->records[i], operation->count - i);
    send_topic(produce, i, alike, spread);
  }
  pthread_rwlock_unlock(&producer->lock);
  release(produce);
}

static void end(struct produce *produce)
{
  struct uk_operation *operation = &produce->operation->operation;
  atomic_fetch_sub(&produce->producer->bytes, produce->bytes);
  free(produce);
  operation->done(operation);
}

static void checked(struct uk_kafka_check *check)
{
  struct produce *produce = (struct produce *)check;
  struct uk_operation *operation = check->operation;
  if (operation->error == UK_OK && atomic_load(&produce->producer->bytes) > BYTES_MAX)
    uk_operation_fail(
      operation, UK_E_UNAVAILABLE,
      "%lld bytes of messages are waiting for the Kafka cluster, which is the limit",
      (long long)BYTES_MAX);
  if (operation->error == UK_OK)
    send_all(produce);
  else
    end(produce);
}

static int64_t size_of(const struct uk_produce *operation)
{
  size_t size = 0;
  for (size_t i = 0; i < operation->count; i++) {
    const struct uk_record *record = &operation->records[i];
    size += sizeof *record + record->key.length + record->value.length;
    for (size_t j = 0; j < record->header_count; j++)
      size += record->headers[j].key.length + record->headers[j].value.length;
  }
  return (int64_t)size;
}

/* NULL, with the operation answered, when memory is out. */
static struct produce *new_produce(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  size_t count = operation->count;
  struct produce *produce = calloc(1, sizeof *produce + count * sizeof produce->tags[0]);
  if (produce == NULL) {
    uk_operation_fail(&operation->operation, UK_E_NO_MEMORY, "%s", "");
    operation->operation.done(&operation->operation);
    return NULL;
  }
  produce->producer = producer;
  produce->operation = operation;
  produce->check.operation = &operation->operation;
  produce->bytes = size_of(operation);
  atomic_init(&produce->left, count + 1);
  atomic_fetch_add(&producer->bytes, produce->bytes);
  return produce;
}

void uk_kafka_producer_produce(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  struct produce *produce = new_produce(producer, operation);
  if (produce == NULL)
    return;
  produce->check = (struct uk_kafka_check){
    .operation = &operation->operation,
    .places = uk_kafka_places_of_records(operation->records, operation->count),
    .then = checked,
    .index_shown = operation->count > 1,
    .changes = true,
    .create = producer->parts.create,
    .create_context = producer->parts.create_context,
    .new_partitions = producer->parts.new_partitions};
  uk_kafka_topics_check(producer->parts.topics, &produce->check);
}

void uk_kafka_producer_append(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  struct produce *produce = new_produce(producer, operation);
  if (produce != NULL)
    checked(&produce->check);
}

/* The thread: takes delivery reports, and replaces a handle that will deliver none. */

static void renew(struct uk_kafka_producer *producer, struct uk_kafka_producer_handle *renewed)
{
  char text[UK_MESSAGE_SIZE];
  pthread_rwlock_wrlock(&producer->lock);
  rd_kafka_t *old =
    uk_kafka_producer_handle_renew(renewed, producer->parts.settings, text, sizeof text);
  pthread_rwlock_unlock(&producer->lock);
  uk_kafka_producer_handle_retire(old, producer->parts.reaper);
}

/* How long the thread may poll the other handle in between. */
static int tend_alone(struct uk_kafka_producer *producer)
{
  struct uk_kafka_producer_handle *alone = &producer->alone;
  if (alone->handle == NULL)
    return POLL;
  rd_kafka_poll(alone->handle, 0);
  if (uk_kafka_producer_handle_failed(alone, producer->parts.topics))
    renew(producer, alone);
  return alone->handle != NULL && rd_kafka_outq_len(alone->handle) > 0 ? POLL_TWO : POLL;
}

static void *run(void *argument)
{
  struct uk_kafka_producer *producer = argument;
  while (!atomic_load(&producer->stopping)) {
    const struct timespec pause = {0, POLL * 1000000};
    int timeout = tend_alone(producer);
    if (producer->shared.handle != NULL)
      rd_kafka_poll(producer->shared.handle, timeout);
    else
      nanosleep(&pause, NULL);
    if (uk_kafka_producer_handle_failed(&producer->shared, producer->parts.topics))
      renew(producer, &producer->shared);
  }
  return NULL;
}

struct uk_kafka_producer *uk_kafka_producer_new(const struct uk_kafka_producer_parts *parts,
                                                char *text, size_t size)
{
  struct uk_kafka_producer *producer = calloc(1, sizeof *producer);
  snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
  if (producer == NULL)
    return NULL;
  producer->parts = *parts;
  pthread_rwlock_init(&producer->lock, NULL);
  uk_kafka_producer_handle_init(&producer->shared, false, on_report, on_refused);
  uk_kafka_producer_handle_init(&producer->alone, true, on_report, on_refused);
  uk_name_set_init(&producer->narrow);
  (void)uk_kafka_producer_handle_renew(&producer->shared, parts->settings, text,
                                       size); /* there was none */
  producer->running =
    producer->shared.handle != NULL && uk_thread_start(&producer->thread, run, producer);
  if (producer->running)
    return producer;
  uk_kafka_producer_free(producer);
  return NULL;
}

void uk_kafka_producer_free(struct uk_kafka_producer *producer)
{
  atomic_store(&producer->stopping, true);
  if (producer->running)
    pthread_join(producer->thread, NULL);
  uk_kafka_producer_handle_free(&producer->shared, producer->parts.reaper);
  uk_kafka_producer_handle_free(&producer->alone, producer->parts.reaper);
  uk_name_set_free(&producer->narrow);
  pthread_rwlock_destroy(&producer->lock);
  free(producer);
}
