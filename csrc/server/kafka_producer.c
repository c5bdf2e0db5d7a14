#include "server/kafka_producer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/murmur2.h"
#include "server/name_table.h"
#include "server/produce_outcome.h"

enum {
  POLL = 100, /* milliseconds in which the thread looks for more than answers */
  RETIRE_TIMEOUT =
    5000 /* milliseconds in which a producer that is given up answers for its records */
};
static const int64_t BYTES_MAX = INT64_C(256) << 20; /* under way, in all requests */

struct uk_kafka_producer {
  struct uk_kafka_producer_parts parts;
  pthread_rwlock_t lock; /* of the handle: shared by those who send, alone by who replaces it */
  rd_kafka_t *handle;    /* NULL: none could be made; tried again */
  pthread_t thread;
  bool running;
  atomic_bool stopping;
  _Atomic int64_t bytes;      /* of the records under way */
  atomic_uint spread;         /* where records without a key go next */
  pthread_mutex_t mutex;      /* of the table */
  struct uk_name_table asked; /* topics that the handle was told to ask about */
};

/* A topic that the handle knows. */
struct asked {
  struct uk_name_node node;
  char name[];
};

struct produce;

/* Stands for one record: its address is what librdkafka gives back. */
struct ticket {
  struct produce *produce;
};

struct produce {
  struct uk_kafka_check check;
  struct uk_kafka_producer *producer;
  struct uk_produce *operation;
  int64_t bytes;
  atomic_size_t left; /* records without an outcome, and one for the thread that sends */
  struct ticket tickets[];
};

/* The answer. */

static void finish(struct produce *produce)
{
  struct uk_produce *operation = produce->operation;
  for (size_t i = 0; i < operation->count; i++) {
    if (operation->records[i].error == UK_E_NOT_FOUND)
      uk_kafka_topics_forget(produce->producer->parts.topics, operation->records[i].topic);
  }
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

/* Whether a record that failed may be stored all the same decides between "try again" and "nobody knows". */
static void fail(struct uk_record *record, rd_kafka_resp_err_t code, bool maybe_stored)
{
  record->reason = rd_kafka_err2str(code);
  record->error = uk_kafka_error(code);
  if (record->error == UK_E_UNAVAILABLE && maybe_stored)
    record->error = UK_E_GATEWAY_TIMEOUT;
  if (record->error == UK_E_GATEWAY_TIMEOUT && !maybe_stored)
    record->error = UK_E_UNAVAILABLE;
}

static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  struct ticket *ticket = message->_private;
  struct produce *produce = ticket->produce;
  struct uk_record *record = &produce->operation->records[ticket - produce->tickets];
  rd_kafka_timestamp_type_t type;
  (void)handle;
  (void)opaque;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fail(record, message->err,
         rd_kafka_message_status(message) == RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED);
  } else {
    record->offset = message->offset;
    record->timestamp = rd_kafka_message_timestamp(message, &type);
  }
  release(produce);
}

/* Sending. */

static rd_kafka_headers_t *make_headers(const struct uk_record *record)
{
  rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
  for (size_t i = 0; i < record->header_count; i++) {
    const struct uk_record_header *header = &record->headers[i];
    rd_kafka_header_add(
      headers, header->key.length > 0 ? header->key.data : "", (ssize_t)header->key.length,
      header->value.length > 0 ? header->value.data : "", (ssize_t)header->value.length);
  }
  return headers;
}

/* librdkafka tells an empty value from none by the pointer. */
static void *bytes_of(struct uk_slice slice, bool there)
{
  return !there ? NULL : (void *)(uintptr_t)(slice.length > 0 ? slice.data : "");
}

static rd_kafka_resp_err_t send_one(rd_kafka_t *handle, const struct uk_record *record,
                                    struct ticket *ticket)
{
  struct uk_kafka_name name = uk_kafka_name(record->topic);
  rd_kafka_headers_t *headers = record->header_count > 0 ? make_headers(record) : NULL;
  const rd_kafka_vu_t fields[] = {
    {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = name.text},
    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
    {.vtype = RD_KAFKA_VTYPE_VALUE,
     .u.mem = {bytes_of(record->value, record->has_value), record->value.length}},
    {.vtype = RD_KAFKA_VTYPE_KEY,
     .u.mem = {bytes_of(record->key, record->has_key), record->key.length}},
    {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp},
    {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = ticket},
    {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
  };
  size_t count = sizeof fields / sizeof *fields - (headers == NULL);
  rd_kafka_error_t *error = rd_kafka_produceva(handle, fields, count);
  rd_kafka_resp_err_t code = rd_kafka_error_code(error); /* NULL is no error */
  if (error != NULL && headers != NULL)
    rd_kafka_headers_destroy(headers);
  if (error != NULL)
    rd_kafka_error_destroy(error);
  return code;
}

/* The records of one request without a key stay together, in order. */
static void choose_partition(struct produce *produce, struct uk_record *record, unsigned spread)
{
  int32_t partitions = uk_kafka_topics_partitions(produce->producer->parts.topics, record->topic);
  if (record->partition >= 0 || partitions <= 0)
    return;
  record->partition = record->has_key ? uk_murmur2_partition(record->key, partitions)
                                      : (int32_t)(spread % (unsigned)partitions);
}

/* A handle asks about a topic that is new to it within a second, unless it is told to do so at once. The answer is not
 * waited for: it only has to come. */
static void ask_about(struct uk_kafka_producer *producer, struct uk_slice topic)
{
  const rd_kafka_metadata_t *said = NULL;
  pthread_mutex_lock(&producer->mutex);
  bool known = uk_name_table_find(&producer->asked, topic) != NULL;
  struct asked *asked = known ? NULL : calloc(1, sizeof *asked + topic.length);
  if (asked != NULL) {
    memcpy(asked->name, topic.data, topic.length);
    asked->node.name = uk_slice_of(asked->name, topic.length);
    if (!uk_name_table_add(&producer->asked, &asked->node))
      free(asked);
  }
  pthread_mutex_unlock(&producer->mutex);
  if (known)
    return;
  struct uk_kafka_name name = uk_kafka_name(topic);
  rd_kafka_topic_t *handle = rd_kafka_topic_new(producer->handle, name.text, NULL);
  if (handle == NULL)
    return;
  if (rd_kafka_metadata(producer->handle, 0, handle, &said, 0) == RD_KAFKA_RESP_ERR_NO_ERROR)
    rd_kafka_metadata_destroy(said);
  rd_kafka_topic_destroy(handle);
}

static void forget_asked(struct uk_kafka_producer *producer)
{
  struct uk_name_node *node;
  pthread_mutex_lock(&producer->mutex);
  while ((node = uk_name_table_next(&producer->asked, NULL)) != NULL) {
    uk_name_table_remove(&producer->asked, node);
    free(node);
  }
  pthread_mutex_unlock(&producer->mutex);
}

static void send_all(struct produce *produce)
{
  struct uk_kafka_producer *producer = produce->producer;
  unsigned spread = atomic_fetch_add(&producer->spread, 1);
  int64_t now = uk_clock_epoch();
  pthread_rwlock_rdlock(&producer->lock);
  for (size_t i = 0; i < produce->operation->count; i++) {
    struct uk_record *record = &produce->operation->records[i];
    struct ticket *ticket = &produce->tickets[i];
    ticket->produce = produce;
    record->error = UK_OK;
    if (record->timestamp < 0)
      record->timestamp = now;
    choose_partition(produce, record, spread);
    if (producer->handle != NULL && (i == 0 || !uk_slice_equal(record->topic, record[-1].topic)))
      ask_about(producer, record->topic);
    rd_kafka_resp_err_t code = producer->handle == NULL
                                 ? RD_KAFKA_RESP_ERR__FATAL
                                 : send_one(producer->handle, record, ticket);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
      continue;
    fail(record, code, false);
    release(produce);
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
  char detail[UK_MESSAGE_SIZE];
  if (operation->error == UK_OK &&
      uk_kafka_topics_health(check->topics, detail, sizeof detail) != UK_OK)
    uk_operation_fail(operation, UK_E_UNAVAILABLE, "%s", detail);
  if (operation->error == UK_OK && atomic_load(&produce->producer->bytes) > BYTES_MAX)
    uk_operation_fail(operation, UK_E_UNAVAILABLE,
                      "%lld bytes of messages wait for the Kafka cluster, the most that may",
                      (long long)BYTES_MAX);
  if (operation->error == UK_OK)
    send_all(produce);
  else
    end(produce);
}

static void item(const struct uk_operation *operation, size_t index, struct uk_slice *topic,
                 int32_t *partition)
{
  const struct uk_record *record = &((const struct uk_produce *)operation)->records[index];
  *topic = record->topic;
  *partition = record->partition;
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

void uk_kafka_producer_produce(struct uk_kafka_producer *producer, struct uk_produce *operation)
{
  size_t count = operation->count;
  struct produce *produce = calloc(1, sizeof *produce + count * sizeof produce->tickets[0]);
  if (produce == NULL) {
    uk_operation_fail(&operation->operation, UK_E_NO_MEMORY, "%s", "");
    operation->operation.done(&operation->operation);
    return;
  }
  produce->producer = producer;
  produce->operation = operation;
  produce->bytes = size_of(operation);
  atomic_init(&produce->left, count + 1);
  atomic_fetch_add(&producer->bytes, produce->bytes);
  produce->check = (struct uk_kafka_check){.operation = &operation->operation,
                                           .count = count,
                                           .item = item,
                                           .then = checked,
                                           .index_shown = count > 1,
                                           .create = producer->parts.create,
                                           .create_context = producer->parts.create_context};
  uk_kafka_topics_check(producer->parts.topics, &produce->check);
}

/* The thread: brings the answers, and replaces a handle that will bring none. */

static rd_kafka_t *new_handle(const struct uk_kafka_producer *producer, char *text, size_t size)
{
  rd_kafka_conf_t *conf = uk_kafka_conf(producer->parts.settings, UK_KAFKA_PRODUCER);
  if (conf == NULL) {
    snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
    return NULL;
  }
  rd_kafka_conf_set_dr_msg_cb(conf, on_report);
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, size);
  if (handle == NULL)
    rd_kafka_conf_destroy(conf);
  return handle;
}

static void replace(struct uk_kafka_producer *producer)
{
  char text[UK_MESSAGE_SIZE];
  pthread_rwlock_wrlock(&producer->lock);
  rd_kafka_t *old = producer->handle;
  producer->handle = new_handle(producer, text, sizeof text);
  forget_asked(producer);
  pthread_rwlock_unlock(&producer->lock);
  if (old == NULL)
    return;
  rd_kafka_purge(old, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(old, RETIRE_TIMEOUT);
  uk_kafka_reap(producer->parts.reaper, old, NULL, NULL);
}

/* For good, or for as long as the cluster is away: then those who wait are told so, and later ones refused at once. */
static bool has_failed(const struct uk_kafka_producer *producer)
{
  char text[UK_MESSAGE_SIZE];
  if (producer->handle == NULL)
    return true;
  if (rd_kafka_fatal_error(producer->handle, text, sizeof text) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return true;
  return rd_kafka_outq_len(producer->handle) > 0 &&
         uk_kafka_topics_health(producer->parts.topics, text, sizeof text) != UK_OK;
}

static void *run(void *argument)
{
  struct uk_kafka_producer *producer = argument;
  while (!atomic_load(&producer->stopping)) {
    const struct timespec pause = {0, POLL * 1000000};
    if (producer->handle != NULL)
      rd_kafka_poll(producer->handle, POLL);
    else
      nanosleep(&pause, NULL);
    if (has_failed(producer))
      replace(producer);
  }
  return NULL;
}

struct uk_kafka_producer *uk_kafka_producer_new(const struct uk_kafka_producer_parts *parts,
                                                char *text, size_t size)
{
  struct uk_kafka_producer *producer = calloc(1, sizeof *producer);
  sigset_t all, old;
  snprintf(text, size, "%s", uk_error_text(UK_E_NO_MEMORY));
  if (producer == NULL)
    return NULL;
  producer->parts = *parts;
  pthread_rwlock_init(&producer->lock, NULL);
  pthread_mutex_init(&producer->mutex, NULL);
  producer->handle = new_handle(producer, text, size);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &old);
  producer->running =
    producer->handle != NULL && pthread_create(&producer->thread, NULL, run, producer) == 0;
  pthread_sigmask(SIG_SETMASK, &old, NULL);
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
  if (producer->handle != NULL)
    uk_kafka_reap(producer->parts.reaper, producer->handle, NULL, NULL);
  forget_asked(producer);
  uk_name_table_free(&producer->asked);
  pthread_mutex_destroy(&producer->mutex);
  pthread_rwlock_destroy(&producer->lock);
  free(producer);
}
