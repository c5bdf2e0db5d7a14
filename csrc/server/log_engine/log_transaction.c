#include "common/clock.h"
#include "server/log_engine/log_private.h"

/* Writes the batch in the builder, and empties the builder. */
static enum uk_log_status flush_batch(struct uk_log *log, struct uk_log_partition *partition,
                                      int64_t *offset)
{
  struct uk_log_builder *builder = &log->builder;
  const struct uk_log_seal seal = {
    .place = {partition->topic->id, partition->index, *offset},
    .position = partition->next_position,
    .arrival = log->arrival,
    .life = uk_log_store_life(log->store),
  };
  struct uk_slice batch = uk_log_builder_seal(builder, &seal);
  enum uk_log_status status = uk_log_store_put_batch(log->store, partition, *offset, batch);
  if (status == UK_LOG_OK && builder->max_timestamp > partition->next_latest) {
    partition->next_latest = builder->max_timestamp;
    status = uk_log_store_put_time(log->store, partition, builder->max_timestamp, *offset);
  }
  partition->next_position += batch.length;
  *offset += builder->count;
  uk_log_builder_clear(builder);
  return status;
}

static enum uk_log_status flush_partition(struct uk_log *log, struct uk_log_partition *partition)
{
  enum uk_log_status status = UK_LOG_OK;
  int64_t offset = partition->end;
  partition->next_latest = partition->latest;
  partition->next_position = partition->position;
  uk_log_builder_clear(&log->builder);
  const struct uk_log_staged *staged = NULL;
  while ((staged = uk_log_next_staged(partition, staged)) != NULL) {
    const struct uk_record *record = staged->record;
    int64_t timestamp = record->timestamp == -1 ? log->stage.now : record->timestamp;
    if (!uk_log_builder_fits(&log->builder, record, timestamp) &&
        (status = flush_batch(log, partition, &offset)) != UK_LOG_OK)
      return status;
    if (uk_log_builder_add(&log->builder, record, timestamp) != UK_OK)
      return UK_LOG_NO_MEMORY;
  }
  return flush_batch(log, partition, &offset);
}

/* The ID of a topic whose row is damaged is not known: its rows stay. */
static enum uk_log_status delete_topic(struct uk_log *log, const struct uk_log_topic *topic)
{
  enum uk_log_status status = uk_log_store_delete_topic(log->store, uk_log_topic_name(topic));
  if (status != UK_LOG_OK || topic->damaged)
    return status;
  return uk_log_store_put_purge(log->store, topic->id);
}

static enum uk_log_status flush_topics(struct uk_log *log)
{
  enum uk_log_status status = UK_LOG_OK;
  struct uk_log_topic *topic = log->stage.created;
  if (topic != NULL)
    status = uk_log_store_put_next_topic(log->store, log->stage.next_topic_id);
  for (; status == UK_LOG_OK && topic != NULL; topic = topic->next_created)
    status = uk_log_store_put_topic(log->store, topic);
  if (status == UK_LOG_OK && log->stage.deleted != NULL)
    status = delete_topic(log, log->stage.deleted);
  return status;
}

static enum uk_log_status flush_committed(struct uk_log *log, const struct uk_log_commit *commit)
{
  enum uk_log_status status = UK_LOG_OK;
  for (size_t i = 0; status == UK_LOG_OK && i < commit->count; i++) {
    const struct uk_topic_partition_offset *at = &commit->offsets[i];
    const struct uk_log_topic *topic = uk_log_topics_find(&log->topics, at->topic);
    const struct uk_log_partition *partition = &topic->partitions[at->partition];
    if (!commit->forward || !uk_log_store_has_committed(log->store, partition, commit->group,
                                                        at->offset, partition->end))
      status = uk_log_store_put_committed(log->store, partition, commit->group, at->offset);
  }
  return status;
}

static enum uk_log_status flush(struct uk_log *log, const struct uk_list *commands)
{
  enum uk_log_status status = flush_topics(log);
  for (struct uk_log_partition *partition = log->stage.touched;
       status == UK_LOG_OK && partition != NULL; partition = partition->next_touched)
    status = flush_partition(log, partition);
  struct uk_operation *command = NULL;
  while (status == UK_LOG_OK && (command = uk_log_next(commands, command)) != NULL) {
    if (uk_log_kind(command) == UK_LOG_COMMIT && command->error == UK_OK)
      status = flush_committed(log, (struct uk_log_commit *)command);
  }
  return status == UK_LOG_OK ? uk_log_keep_answers(log, commands) : status;
}

/* Makes the room that staging needs. */
static bool make_room(struct uk_log *log, const struct uk_list *commands)
{
  size_t records = 0;
  struct uk_operation *command = NULL;
  while ((command = uk_log_next(commands, command)) != NULL) {
    if (uk_log_kind(command) == UK_LOG_PRODUCE)
      records += ((struct uk_produce *)command)->count;
    else if (uk_log_kind(command) == UK_LOG_DELETE_TOPIC && !uk_log_make_purge_room(log))
      return false;
  }
  return uk_log_stage_begin(&log->stage, records);
}

/* Stages the commands, except those that are answered already. A replay says that its original is
 * stored: one of an earlier process may not be on the disk until a commit has passed. */
static enum uk_log_status stage_all(struct uk_log *log, const struct uk_list *commands)
{
  bool known, any_known = false;
  struct uk_operation *command = NULL;
  while ((command = uk_log_next(commands, command)) != NULL) {
    enum uk_log_status status = uk_log_look_up(log, command, &known);
    if (status != UK_LOG_OK)
      return status;
    any_known = any_known || known;
    if (!known)
      uk_log_stage_command(&log->stage, uk_log_kind(command), command);
  }
  return any_known && !uk_log_store_is_proven(log->store) ? uk_log_store_probe(log->store)
                                                          : UK_LOG_OK;
}

static void report_changes(struct uk_log *log, const struct uk_list *commands)
{
  struct uk_log_stage *stage = &log->stage;
  if (log->changed == NULL)
    return;
  for (struct uk_log_topic *topic = stage->created; topic != NULL; topic = topic->next_created)
    log->changed(log->context, uk_log_topic_name(topic), -1);
  for (struct uk_log_partition *partition = stage->touched; partition != NULL;
       partition = partition->next_touched)
    log->changed(log->context, uk_log_topic_name(partition->topic), partition->index);
  if (stage->deleted != NULL)
    log->changed(log->context, ((const struct uk_delete_topic *)uk_log_next(commands, NULL))->topic,
                 -1);
}

/* What a file without its name has taken is not acknowledged. The name may return, and the records
 * with it. */
static enum uk_log_status commit(struct uk_log *log)
{
  enum uk_log_status status = uk_log_store_commit(log->store);
  return status != UK_LOG_OK || uk_log_store_data_in_place(log->store) ? status : UK_LOG_UNCERTAIN;
}

struct transaction {
  struct uk_log *log;
  const struct uk_list *commands;
};

static enum uk_log_status write_all(void *argument)
{
  const struct transaction *transaction = argument;
  struct uk_log *log = transaction->log;
  enum uk_log_status status = uk_log_store_begin(log->store);
  if (status != UK_LOG_OK)
    return status;
  status = stage_all(log, transaction->commands);
  if (status == UK_LOG_OK)
    status = flush(log, transaction->commands);
  if (status == UK_LOG_OK)
    return commit(log);
  uk_log_store_abort(log->store);
  return status;
}

enum uk_log_status uk_log_transact(struct uk_log *log, const struct uk_list *commands)
{
  enum uk_log_status status = UK_LOG_NO_MEMORY;
  log->arrival = uk_log_clock_arrival(&log->clock, uk_clock_epoch(), uk_clock_monotonic());
  struct transaction transaction = {log, commands};
  if (make_room(log, commands))
    status = uk_log_resolve_full(log, uk_log_store_run(log->store, write_all, &transaction));
  if (uk_log_breaks(status))
    uk_log_set_broken(log);
  if (status == UK_LOG_UNCERTAIN)
    status = uk_log_resolve(log);
  if (status == UK_LOG_UNCERTAIN)
    uk_log_doubt_keys(log);
  if (status != UK_LOG_OK) {
    uk_log_keys_drop(&log->keys);
    uk_log_stage_drop(&log->stage);
    return status;
  }
  uk_log_keys_keep(&log->keys, uk_log_keys_time(&log->keys, uk_clock_monotonic()));
  if (log->stage.deleted != NULL && !log->stage.deleted->damaged)
    log->purges[log->purge_count++] = log->stage.deleted->id;
  if (log->stage.created != NULL)
    uk_log_store_save_identity(log->store, log->stage.next_topic_id, false);
  uk_log_stage_publish(&log->stage);
  report_changes(log, commands);
  uk_log_stage_end(&log->stage);
  return UK_LOG_OK;
}
