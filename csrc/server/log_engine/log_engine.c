#include "server/log_engine/log_engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/log_engine/log_create.h"
#include "server/log_engine/log_fetch.h"
#include "server/log_engine/log_notifier.h"
#include "server/watch/error_log.h"

struct log_engine {
  struct uk_engine engine;
  struct uk_log *log;
  struct uk_groups *groups;
  struct uk_log_notifier notifier;
};

static struct log_engine *of(struct uk_engine *engine)
{
  return (struct log_engine *)engine;
}

/* Served by the writer. */

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  uk_log_submit(of(engine)->log, UK_LOG_PRODUCE, &operation->operation);
}

static void create_topic(struct uk_engine *engine, struct uk_create_topic *operation)
{
  uk_log_submit(of(engine)->log, UK_LOG_CREATE_TOPIC, &operation->operation);
}

static void delete_topic(struct uk_engine *engine, struct uk_delete_topic *operation)
{
  uk_log_submit(of(engine)->log, UK_LOG_DELETE_TOPIC, &operation->operation);
}

/* Served at once. */

static enum uk_error find_offset(struct uk_log *log, struct uk_offsets *operation,
                                 struct uk_topic_partition_offset *at)
{
  int64_t first, end;
  if (!uk_log_fetch_bounds(log, &operation->operation, at->topic, at->partition, &first, &end))
    return operation->operation.error;
  if (operation->timestamp != UK_TIMESTAMP_EARLIEST &&
      uk_log_is_damaged(log, at->topic, at->partition, &operation->operation))
    return operation->operation.error;
  at->offset = operation->timestamp == UK_TIMESTAMP_EARLIEST ? first : end;
  if (operation->timestamp == UK_TIMESTAMP_EARLIEST || operation->timestamp == UK_TIMESTAMP_LATEST)
    return UK_OK;
  return uk_log_offset_for_time(log, at->topic, at->partition, operation->timestamp, &at->offset);
}

static void offsets(struct uk_engine *engine, struct uk_offsets *operation)
{
  enum uk_error error = UK_OK;
  for (size_t i = 0; error == UK_OK && i < operation->count; i++)
    error = find_offset(of(engine)->log, operation, &operation->offsets[i]);
  operation->operation.error = error;
  operation->operation.done(&operation->operation);
}

static void committed(struct uk_engine *engine, struct uk_committed *operation)
{
  struct uk_log *log = of(engine)->log;
  enum uk_error error = UK_OK;
  int64_t first, end;
  for (size_t i = 0; error == UK_OK && i < operation->count; i++) {
    struct uk_topic_partition_offset *at = &operation->offsets[i];
    error = uk_log_fetch_bounds(log, &operation->operation, at->topic, at->partition, &first, &end)
              ? uk_log_committed(log, operation->group, at->topic, at->partition, &at->offset)
              : operation->operation.error;
  }
  operation->operation.error = error;
  operation->operation.done(&operation->operation);
}

static void each_topic(void *argument, struct uk_slice name, int32_t partitions)
{
  struct uk_topics *operation = argument;
  operation->topic(&operation->operation, name, partitions);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  uk_log_each_topic(of(engine)->log, each_topic, operation);
  operation->operation.done(&operation->operation);
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  return uk_log_health(of(engine)->log, detail, size);
}

/* Operations that may wait. */

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  uk_log_notifier_fetch(&of(engine)->notifier, operation);
}

static void consume_existing(void *context, struct uk_consume *operation)
{
  struct log_engine *engine = context;
  for (size_t i = 0; operation->operation.error == UK_OK && i < operation->topic_count; i++)
    uk_log_is_damaged(engine->log, operation->topics[i], -1, &operation->operation);
  if (operation->operation.error != UK_OK || uk_log_is_shut(engine->log, &operation->operation)) {
    operation->operation.done(&operation->operation);
    return;
  }
  uk_groups_consume(engine->groups, operation, uk_clock_monotonic());
  uk_log_notifier_reschedule(&engine->notifier);
}

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  /* A conflict leaves everything as it is: it comes before topics are created. */
  if (!uk_groups_accepts(of(engine)->groups, operation)) {
    operation->operation.error = UK_E_CONFLICT;
    operation->operation.done(&operation->operation);
    return;
  }
  uk_log_create_missing(of(engine)->log, operation, consume_existing, engine);
}

static void commit(struct uk_engine *engine, struct uk_commit *operation)
{
  uk_groups_commit(of(engine)->groups, operation, uk_clock_monotonic());
  uk_log_notifier_reschedule(&of(engine)->notifier);
}

static void delete_consumer(struct uk_engine *engine, struct uk_delete_consumer *operation)
{
  uk_groups_delete_consumer(of(engine)->groups, operation, uk_clock_monotonic());
  uk_log_notifier_reschedule(&of(engine)->notifier);
}

static void consumers(struct uk_engine *engine, struct uk_consumers *operation)
{
  uk_groups_consumers(of(engine)->groups, operation, uk_clock_monotonic());
}

static void response_finished(struct uk_engine *engine, struct uk_slice group,
                              struct uk_slice instance, uint64_t delivery,
                              enum uk_response_outcome outcome)
{
  uk_groups_response_finished(of(engine)->groups, group, instance, delivery, outcome,
                              uk_clock_monotonic());
  uk_log_notifier_reschedule(&of(engine)->notifier);
}

static void fetch_expired(struct uk_engine *engine, struct uk_fetch *operation)
{
  uk_log_notifier_fetch_expired(&of(engine)->notifier, operation);
}

static void consume_expired(struct uk_engine *engine, struct uk_consume *operation)
{
  uk_groups_consume_expired(of(engine)->groups, operation, uk_clock_monotonic());
  uk_log_notifier_reschedule(&of(engine)->notifier);
}

static void drain(struct uk_engine *engine)
{
  uk_log_notifier_drain(&of(engine)->notifier);
}

/* The log that groups uses. */

static int32_t groups_partitions(void *context, struct uk_slice topic, uint64_t *topic_id)
{
  return uk_log_partitions(((struct log_engine *)context)->log, topic, topic_id);
}

static bool groups_bounds(void *context, struct uk_slice topic, int32_t partition, int64_t *first,
                          int64_t *end)
{
  return uk_log_bounds(((struct log_engine *)context)->log, topic, partition, first, end);
}

static enum uk_error groups_committed(void *context, struct uk_slice group, struct uk_slice topic,
                                      int32_t partition, int64_t *offset)
{
  return uk_log_committed(((struct log_engine *)context)->log, group, topic, partition, offset);
}

static enum uk_error groups_read(void *context, struct uk_slice topic, int32_t partition,
                                 int64_t offset, struct uk_operation *operation,
                                 const struct uk_sink *sink, int64_t *next, bool *full)
{
  return uk_log_read(((struct log_engine *)context)->log, topic, partition, offset, operation, sink,
                     next, full);
}

/* A commit by groups on its way through the writer; the names are copied after the offsets. */
struct groups_commit {
  struct uk_log_commit command;
  struct uk_log_notifier *notifier;
  void (*then)(void *argument, enum uk_error error, const char *message); /* NULL: was called */
  void *argument;
  struct uk_topic_partition_offset offsets[];
};

/* A commit that failed is tried again when its time comes, and a consume that has committed waits
 * for messages until its deadline: the notifier must learn the time. */
static void end_groups_commit(struct groups_commit *commit_, enum uk_error error,
                              const char *message)
{
  void (*then)(void *argument, enum uk_error error, const char *message) = commit_->then;
  commit_->then = NULL;
  if (then == NULL)
    return;
  then(commit_->argument, error, message);
  uk_log_notifier_reschedule(commit_->notifier);
}

static void groups_commit_late(struct uk_operation *operation, const char *message)
{
  end_groups_commit((struct groups_commit *)operation, UK_E_GATEWAY_TIMEOUT, message);
}

static void groups_commit_done(struct uk_operation *operation)
{
  end_groups_commit((struct groups_commit *)operation, operation->error, operation->message);
  free(operation);
}

static struct uk_slice copy(char **at, struct uk_slice name)
{
  struct uk_slice copied = uk_slice_of(*at, name.length);
  if (name.length > 0)
    memcpy(*at, name.data, name.length);
  *at += name.length;
  return copied;
}

static struct groups_commit *copy_commit(struct uk_slice group,
                                         const struct uk_topic_partition_offset *at, size_t count)
{
  size_t names = group.length;
  for (size_t i = 0; i < count; i++)
    names += at[i].topic.length;
  struct groups_commit *made = calloc(1, sizeof *made + count * sizeof made->offsets[0] + names);
  if (made == NULL)
    return NULL;
  char *bytes = (char *)(made->offsets + count);
  made->command.group = copy(&bytes, group);
  made->command.offsets = made->offsets;
  made->command.count = count;
  for (size_t i = 0; i < count; i++) {
    made->offsets[i] = at[i];
    made->offsets[i].topic = copy(&bytes, at[i].topic);
  }
  return made;
}

static void groups_commit(void *context, struct uk_slice group,
                          const struct uk_topic_partition_offset *at, size_t count, bool forward,
                          void (*then)(void *argument, enum uk_error error, const char *message),
                          void *argument)
{
  struct groups_commit *made = copy_commit(group, at, count);
  if (made == NULL) {
    then(argument, UK_E_NO_MEMORY, "");
    return;
  }
  made->command.forward = forward;
  made->notifier = &of(context)->notifier;
  made->then = then;
  made->argument = argument;
  made->command.operation.done = groups_commit_done;
  made->command.operation.late = groups_commit_late;
  uk_log_submit(of(context)->log, UK_LOG_COMMIT, &made->command.operation);
}

/* Opening and closing. The log calls the notifier, so the notifier is made first and freed last.
 * Groups must exist until the log has finished. */

static bool finish(struct uk_engine *engine)
{
  return uk_log_finish(of(engine)->log);
}

static void close_engine(struct uk_engine *engine)
{
  struct log_engine *closing = of(engine);
  uk_log_notifier_stop(&closing->notifier);
  if (!uk_log_finish(closing->log))
    return; /* contrary to the contract: everything stays */
  uk_groups_close(closing->groups);
  uk_log_close(closing->log);
  uk_log_notifier_free(&closing->notifier);
  free(closing);
}

static const struct uk_engine_methods methods = {
  .name = "log",
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
  .finish = finish,
  .close = close_engine,
};

static struct log_engine *new_engine(void)
{
  struct log_engine *made = calloc(1, sizeof *made);
  if (made == NULL)
    return NULL;
  made->engine.methods = &methods;
  const struct uk_groups_log below = {.context = made,
                                      .partitions = groups_partitions,
                                      .bounds = groups_bounds,
                                      .committed = groups_committed,
                                      .commit = groups_commit,
                                      .read = groups_read};
  made->groups = uk_groups_open(&below);
  if (made->groups != NULL && uk_log_notifier_init(&made->notifier))
    return made;
  if (made->groups != NULL)
    uk_groups_close(made->groups);
  free(made);
  return NULL;
}

static void notice(const char *line)
{
  uk_error_log("%s", line);
}

static enum uk_error no_memory(const struct uk_log_engine_options *options, char *message,
                               size_t size)
{
  snprintf(message, size, "out of memory while opening the log in %s", options->directory);
  return UK_E_NO_MEMORY;
}

enum uk_error uk_log_engine_open(struct uk_engine **engine,
                                 const struct uk_log_engine_options *options, char *message,
                                 size_t size)
{
  *engine = NULL;
  struct log_engine *made = new_engine();
  if (made == NULL)
    return no_memory(options, message, size);
  const struct uk_log_options log = {.directory = options->directory,
                                     .map_bytes = options->map_bytes,
                                     .partitions = options->partitions,
                                     .auto_create = options->auto_create,
                                     .no_sync = options->no_sync,
                                     .key_window = options->idempotency_window,
                                     .changed = uk_log_notifier_changed,
                                     .context = &made->notifier,
                                     .notice = notice};
  enum uk_error error = uk_log_open(&made->log, &log, message, size);
  if (error == UK_OK && !uk_log_notifier_start(&made->notifier, made->log, made->groups))
    error = no_memory(options, message, size);
  if (error == UK_OK) {
    *engine = &made->engine;
    return UK_OK;
  }
  uk_log_close(made->log);
  uk_groups_close(made->groups);
  uk_log_notifier_free(&made->notifier);
  free(made);
  return error;
}
