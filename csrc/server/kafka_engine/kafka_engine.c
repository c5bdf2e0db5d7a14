#include "server/kafka_engine/kafka_engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/cluster/kafka_admin.h"
#include "server/kafka_engine/cluster/kafka_committed.h"
#include "server/kafka_engine/cluster/kafka_record_reader.h"
#include "server/kafka_engine/fetch/kafka_fetch.h"
#include "server/kafka_engine/group/kafka_groups.h"
#include "server/kafka_engine/produce/kafka_keys.h"
#include "server/kafka_engine/produce/kafka_producer.h"

enum { EXECUTOR_THREADS = 4 };

struct kafka_engine {
  struct uk_engine engine;
  struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;
  struct uk_kafka_executor *executor;
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_blocking *group_blocking; /* for instances: while a part of the cluster is away,
                                               they may occupy all its threads */
  rd_kafka_t *control;
  struct uk_kafka_topics *topics;
  struct uk_kafka_admin *admin;
  struct uk_kafka_committed *committed;
  struct uk_kafka_record_reader *records;
  struct uk_kafka_fetches *fetches;
  struct uk_kafka_producer *producer;
  struct uk_kafka_keys *keys; /* NULL: keys are ignored */
  struct uk_kafka_groups *groups;
};

static struct kafka_engine *of(struct uk_engine *engine)
{
  return (struct kafka_engine *)engine;
}

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  struct kafka_engine *kafka = of(engine);
  if (operation->key.key.length == 0 || kafka->keys == NULL)
    uk_kafka_producer_produce(kafka->producer, operation);
  else
    uk_kafka_keys_produce(kafka->keys, operation);
}

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  uk_kafka_fetches_fetch(of(engine)->fetches, operation);
}

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  uk_kafka_groups_consume(of(engine)->groups, operation);
}

static void commit(struct uk_engine *engine, struct uk_commit *operation)
{
  uk_kafka_groups_commit(of(engine)->groups, operation);
}

static void committed(struct uk_engine *engine, struct uk_committed *operation)
{
  uk_kafka_committed_ask(of(engine)->committed, operation);
}

static void delete_consumer(struct uk_engine *engine, struct uk_delete_consumer *operation)
{
  uk_kafka_groups_delete(of(engine)->groups, operation);
}

static void consumers(struct uk_engine *engine, struct uk_consumers *operation)
{
  uk_kafka_groups_list(of(engine)->groups, operation);
}

static void offsets(struct uk_engine *engine, struct uk_offsets *operation)
{
  uk_kafka_fetches_offsets(of(engine)->fetches, operation);
}

static void create_topic(struct uk_engine *engine, struct uk_create_topic *operation)
{
  uk_kafka_admin_create_topic(of(engine)->admin, operation);
}

static void delete_topic(struct uk_engine *engine, struct uk_delete_topic *operation)
{
  uk_kafka_admin_delete_topic(of(engine)->admin, operation);
}

/* Lists the topics that the cluster has now. */

struct listing {
  struct uk_kafka_topic_query query;
  struct uk_topics *operation;
  struct uk_kafka_topics *topics;
};

static void each_topic(void *argument, struct uk_slice topic, int32_t partitions)
{
  struct uk_topics *operation = argument;
  operation->topic(&operation->operation, topic, partitions);
}

static void listed(struct uk_kafka_query *query)
{
  struct listing *listing = (struct listing *)query;
  struct uk_topics *operation = listing->operation;
  char detail[UK_MESSAGE_SIZE] = "";
  operation->operation.error = uk_kafka_error(query->code);
  if (operation->operation.error == UK_OK &&
      !uk_kafka_topics_each(listing->topics, each_topic, operation))
    operation->operation.error = UK_E_NO_MEMORY;
  else if (query->code != RD_KAFKA_RESP_ERR_NO_ERROR &&
           uk_kafka_topics_health(listing->topics, detail, sizeof detail) != UK_OK)
    uk_operation_fail(&operation->operation, UK_E_UNAVAILABLE, "%s", detail);
  free(listing);
  operation->operation.done(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  struct listing *listing = calloc(1, sizeof *listing);
  if (listing == NULL) {
    operation->operation.error = UK_E_NO_MEMORY;
    operation->operation.done(&operation->operation);
    return;
  }
  listing->operation = operation;
  listing->topics = of(engine)->topics;
  listing->query.query.deadline = operation->operation.deadline;
  listing->query.query.then = listed;
  uk_kafka_topics_ask(listing->topics, &listing->query);
}

static void fetch_expired(struct uk_engine *engine, struct uk_fetch *operation)
{
  uk_kafka_fetches_expired(of(engine)->fetches, operation);
}

static void consume_expired(struct uk_engine *engine, struct uk_consume *operation)
{
  uk_kafka_groups_consume_expired(of(engine)->groups, operation);
}

static void response_finished(struct uk_engine *engine, struct uk_slice group,
                              struct uk_slice instance, uint64_t delivery,
                              enum uk_response_outcome outcome)
{
  uk_kafka_groups_response_finished(of(engine)->groups, group, instance, delivery, outcome);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  struct uk_kafka_topics *known = of(engine)->topics;
  enum uk_error error = uk_kafka_topics_health(known, detail, size);
  if (error == UK_OK && uk_kafka_topics_has_answered(known)) {
    detail[0] = '\0';
    if (of(engine)->keys != NULL)
      uk_kafka_keys_note(of(engine)->keys, detail, size);
  }
  if (error != UK_OK || uk_kafka_topics_has_answered(known))
    return error;
  snprintf(detail, size, "the Kafka cluster has not answered yet");
  return UK_E_UNAVAILABLE;
}

static void drain(struct uk_engine *engine)
{
  uk_kafka_fetches_drain(of(engine)->fetches);
  uk_kafka_groups_drain(of(engine)->groups);
}

/* Life. */

/* Closes the parts in the opposite order, also of an engine that was opened only in part. */

static void close_engine(struct uk_engine *engine)
{
  struct kafka_engine *closing = of(engine);
  if (closing->groups != NULL)
    uk_kafka_groups_free(closing->groups);
  if (closing->keys != NULL)
    uk_kafka_keys_free(closing->keys);
  if (closing->producer != NULL)
    uk_kafka_producer_free(closing->producer);
  if (closing->topics != NULL)
    uk_kafka_topics_stop(closing->topics);
  if (closing->fetches != NULL)
    uk_kafka_fetches_free(closing->fetches);
  if (closing->admin != NULL)
    uk_kafka_admin_free(closing->admin);
  if (closing->records != NULL)
    uk_kafka_record_reader_free(closing->records);
  if (closing->blocking != NULL)
    uk_kafka_blocking_free(closing->blocking);
  if (closing->group_blocking != NULL)
    uk_kafka_blocking_free(closing->group_blocking);
  if (closing->committed != NULL)
    uk_kafka_committed_free(closing->committed);
  if (closing->topics != NULL)
    uk_kafka_topics_free(closing->topics);
  if (closing->control != NULL)
    uk_kafka_reap(closing->reaper, closing->control, NULL, NULL);
  if (closing->reaper != NULL)
    uk_kafka_reaper_free(closing->reaper);
  if (closing->executor != NULL)
    uk_kafka_executor_free(closing->executor);
  uk_kafka_settings_free(closing->settings);
  free(closing);
}

static const struct uk_engine_methods methods = {
  .name = "kafka",
  .produce = produce,
  .fetch = fetch,
  .consume = consume,
  .commit = commit,
  .committed = committed,
  .delete_consumer = delete_consumer,
  .consumers = consumers,
  .offsets = offsets,
  .topics = topics,
  .create_topic = create_topic,
  .delete_topic = delete_topic,
  .response_finished = response_finished,
  .fetch_expired = fetch_expired,
  .consume_expired = consume_expired,
  .health = health,
  .drain = drain,
  .close = close_engine,
};

static void forget(void *context, struct uk_slice topic)
{
  struct kafka_engine *engine = context;
  uk_kafka_topics_forget(engine->topics, topic);
  uk_kafka_fetches_forget(engine->fetches, topic);
}

/* OpenSSL does not say that a key which it cannot read may need another password. */
static void add_key_hint(char *message, size_t size)
{
  static const char start[] = "ssl.key.location failed: ";
  size_t length = strlen(message);
  if (strncmp(message, start, sizeof start - 1) == 0 && strstr(message, "PEM lib") != NULL)
    snprintf(message + length, size - length,
             ": no private key in PEM, or ssl.key.password is missing or wrong");
}

static bool open_control(struct kafka_engine *engine, char *message, size_t size)
{
  rd_kafka_conf_t *conf = uk_kafka_conf(engine->settings, UK_KAFKA_CONTROL);
  if (conf == NULL)
    return false;
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
  engine->control = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, size);
  if (engine->control == NULL) {
    add_key_hint(message, size);
    rd_kafka_conf_destroy(conf);
    return false;
  }
  /* OAuth tokens arrive by these callbacks. */
  rd_kafka_error_destroy(rd_kafka_sasl_background_callbacks_enable(engine->control));
  return true;
}

/* Each instance gets a consumer of its own when its first request arrives. Making one now shows
 * what librdkafka refuses of the properties. */
static bool try_consumer(struct kafka_engine *engine, char *message, size_t size)
{
  rd_kafka_conf_t *conf = uk_kafka_conf(engine->settings, UK_KAFKA_GROUP);
  if (conf == NULL)
    return false;
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, message, size);
  if (handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return false;
  }
  uk_kafka_reap(engine->reaper, handle, NULL, NULL);
  return true;
}

/* The parts that operations use. */
static bool open_ground(struct kafka_engine *engine, char *message, size_t size)
{
  engine->executor = uk_kafka_executor_new(EXECUTOR_THREADS);
  if (engine->executor == NULL)
    return false;
  engine->reaper = uk_kafka_reaper_new(engine->executor, UK_KAFKA_REAP_TIMEOUT);
  engine->blocking = uk_kafka_blocking_new(engine->executor);
  engine->group_blocking = uk_kafka_blocking_new(engine->executor);
  if (engine->reaper == NULL || engine->blocking == NULL || engine->group_blocking == NULL ||
      !open_control(engine, message, size) || !try_consumer(engine, message, size))
    return false;
  engine->topics = uk_kafka_topics_new(engine->control);
  return engine->topics != NULL;
}

/* Operations of topics and their partitions. */
static bool open_topics(struct kafka_engine *engine, const struct uk_kafka_options *options)
{
  const struct uk_kafka_fetch_parts fetch_parts = {engine->settings, engine->executor,
                                                   engine->topics,   engine->blocking,
                                                   engine->reaper,   engine->control};
  const struct uk_kafka_admin_parts admin_parts = {
    engine->control, engine->executor, engine->topics, options->partitions, forget, engine};
  const struct uk_kafka_committed_parts committed_parts = {.settings = engine->settings,
                                                           .topics = engine->topics,
                                                           .blocking = engine->blocking,
                                                           .group_blocking = engine->group_blocking,
                                                           .reaper = engine->reaper};
  engine->fetches = uk_kafka_fetches_new(&fetch_parts);
  engine->admin = uk_kafka_admin_new(&admin_parts);
  engine->committed = uk_kafka_committed_new(&committed_parts);
  engine->records = uk_kafka_record_reader_new(engine->settings, engine->executor, engine->reaper);
  return engine->fetches != NULL && engine->admin != NULL && engine->committed != NULL &&
         engine->records != NULL;
}

/* Operations that may create topics. */
static bool open_producer_and_groups(struct kafka_engine *engine,
                                     const struct uk_kafka_options *options, char *message,
                                     size_t size)
{
  const struct uk_kafka_producer_parts producer_parts = {
    engine->settings, engine->topics,
    engine->reaper,   options->auto_create_topics ? uk_kafka_admin_create_missing : NULL,
    engine->admin,    options->partitions};
  const struct uk_kafka_groups_parts groups_parts = {
    .settings = engine->settings,
    .control = engine->control,
    .executor = engine->executor,
    .topics = engine->topics,
    .reaper = engine->reaper,
    .blocking = engine->group_blocking,
    .prefetch_bytes = options->prefetch_bytes,
    .prefetch_budget = options->prefetch_budget,
    .committed = engine->committed,
    .records = engine->records,
    .create = options->auto_create_topics ? uk_kafka_admin_create_missing : NULL,
    .create_context = engine->admin,
  };
  engine->producer = uk_kafka_producer_new(&producer_parts, message, size);
  engine->groups = uk_kafka_groups_new(&groups_parts);
  return engine->producer != NULL && engine->groups != NULL;
}

static bool open_keys(struct kafka_engine *engine, const struct uk_kafka_options *options)
{
  const struct uk_kafka_keys_parts parts = {.settings = engine->settings,
                                            .control = engine->control,
                                            .executor = engine->executor,
                                            .blocking = engine->blocking,
                                            .reaper = engine->reaper,
                                            .producer = engine->producer,
                                            .window = options->idempotency_window,
                                            .create = options->auto_create_topics};
  if (options->idempotency_window == 0)
    return true;
  engine->keys = uk_kafka_keys_new(&parts);
  return engine->keys != NULL;
}

static bool open_parts(struct kafka_engine *engine, const struct uk_kafka_options *options,
                       char *message, size_t size)
{
  return open_ground(engine, message, size) && open_topics(engine, options) &&
         open_producer_and_groups(engine, options, message, size) && open_keys(engine, options);
}

enum uk_error uk_kafka_engine_open(struct uk_engine **engine,
                                   const struct uk_kafka_options *options, char *message,
                                   size_t size)
{
  struct kafka_engine *made = calloc(1, sizeof *made);
  *engine = NULL;
  if (made == NULL)
    return UK_E_NO_MEMORY;
  made->engine.methods = &methods;
  enum uk_error error = uk_kafka_settings_new(&made->settings, options, message, size);
  if (error == UK_OK && open_parts(made, options, message, size)) {
    *engine = &made->engine;
    return UK_OK;
  }
  /* librdkafka may refuse a set of properties of which each is fine; the message is then its
   * own. */
  if (error == UK_OK)
    error = message[0] != '\0' ? UK_E_BAD_REQUEST : UK_E_NO_MEMORY;
  close_engine(&made->engine);
  return error;
}
