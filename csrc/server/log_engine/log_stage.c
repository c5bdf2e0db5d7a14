#include "server/log_engine/log_stage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/engine/murmur2.h"
#include "server/log_engine/log_batch.h"

void uk_log_stage_init(struct uk_log_stage *stage, struct uk_log_topics *topics)
{
  *stage = (struct uk_log_stage){.topics = topics};
}

void uk_log_stage_free(struct uk_log_stage *stage)
{
  free(stage->records);
  stage->records = NULL;
  stage->capacity = 0;
}

bool uk_log_stage_begin(struct uk_log_stage *stage, size_t records)
{
  stage->now = uk_clock_epoch();
  if (records <= stage->capacity)
    return true;
  struct uk_log_staged *grown = realloc(stage->records, records * sizeof *grown);
  if (grown == NULL)
    return false;
  stage->records = grown;
  stage->capacity = records;
  return true;
}

static void remove_created(struct uk_log_stage *stage, struct uk_log_topic *until)
{
  while (stage->created != until) {
    struct uk_log_topic *topic = stage->created;
    stage->created = topic->next_created;
    uk_log_topics_remove(stage->topics, topic);
  }
}

/* Topics. */

static struct uk_log_topic *create(struct uk_log_stage *stage, struct uk_slice name,
                                   int32_t partitions, struct uk_operation *operation)
{
  if (!uk_topic_name_valid(name)) {
    uk_operation_fail(operation, UK_E_BAD_REQUEST, "bad topic name");
    return NULL;
  }
  if (stage->topics->count >= UK_LOG_TOPICS_MAX) {
    uk_operation_fail(operation, UK_E_TOO_MANY, "the log has %d topics, which is the limit",
                      (int)UK_LOG_TOPICS_MAX);
    return NULL;
  }
  struct uk_log_topic *topic = uk_log_topic_new(name, partitions);
  if (topic == NULL || !uk_log_topics_add(stage->topics, topic)) {
    free(topic);
    uk_operation_fail(operation, UK_E_NO_MEMORY, "%s", "");
    return NULL;
  }
  topic->id = stage->next_topic_id++;
  topic->created = stage->now;
  topic->next_created = stage->created;
  stage->created = topic;
  return topic;
}

/* False when the topic's row is damaged: the operation has failed. */
static bool is_whole(const struct uk_log_topic *topic, struct uk_operation *operation)
{
  if (topic->damaged)
    uk_operation_fail(operation, UK_E_INTERNAL, UK_LOG_DAMAGED_TOPIC, (int)topic->name_length,
                      topic->name);
  return !topic->damaged;
}

static void no_topic(struct uk_operation *operation, struct uk_slice name)
{
  uk_operation_fail(operation, UK_E_NOT_FOUND, UK_NO_TOPIC, (int)name.length, name.data);
}

static bool settings_valid(struct uk_create_topic *command)
{
  const char *wrong = NULL;
  if (command->partitions != -1 &&
      (command->partitions < 1 || command->partitions > UK_PARTITIONS_MAX))
    uk_operation_fail(&command->operation, UK_E_BAD_REQUEST, "partitions is %d; expected 1 to %d",
                      (int)command->partitions, (int)UK_PARTITIONS_MAX);
  else if (command->has_retention_ms && command->retention_ms < UK_LOG_KEEP_FOR_EVER)
    wrong = "retention_ms";
  else if (command->has_retention_bytes && command->retention_bytes < UK_LOG_KEEP_FOR_EVER)
    wrong = "retention_bytes";
  if (wrong != NULL)
    uk_operation_fail(&command->operation, UK_E_BAD_REQUEST, "%s is below -1 (keep forever)",
                      wrong);
  return command->operation.error == UK_OK;
}

static void stage_create(struct uk_log_stage *stage, struct uk_operation *operation)
{
  struct uk_create_topic *command = (struct uk_create_topic *)operation;
  if (!settings_valid(command))
    return;
  struct uk_log_topic *topic = uk_log_topics_find(stage->topics, command->topic);
  if (topic != NULL) {
    if (!is_whole(topic, operation) ||
        !uk_create_topic_fits(command, topic->partition_count, topic->retention_ms,
                              topic->retention_bytes))
      return;
    command->partitions = topic->partition_count;
    command->created = false;
    return;
  }
  int32_t partitions = command->partitions == -1 ? stage->default_partitions : command->partitions;
  if ((topic = create(stage, command->topic, partitions, operation)) == NULL)
    return;
  if (command->has_retention_ms)
    topic->retention_ms = command->retention_ms;
  if (command->has_retention_bytes)
    topic->retention_bytes = command->retention_bytes;
  command->partitions = partitions;
  command->created = true;
}

static void stage_create_missing(struct uk_log_stage *stage, struct uk_operation *operation)
{
  const struct uk_log_create_missing *command = (struct uk_log_create_missing *)operation;
  struct uk_log_topic *created = stage->created;
  for (size_t i = 0; operation->error == UK_OK && i < command->count; i++) {
    if (uk_log_topics_find(stage->topics, command->topics[i]) == NULL)
      create(stage, command->topics[i], stage->default_partitions, operation);
  }
  if (operation->error != UK_OK)
    remove_created(stage, created);
}

static void stage_delete(struct uk_log_stage *stage, struct uk_operation *operation)
{
  struct uk_delete_topic *command = (struct uk_delete_topic *)operation;
  stage->deleted = uk_log_topics_find(stage->topics, command->topic);
  if (stage->deleted == NULL)
    no_topic(operation, command->topic);
}

/* Produce. */

struct produce {
  struct uk_log_stage *stage;
  struct uk_produce *command;
  size_t index;
  struct uk_log_topic *topic; /* of the record before; mostly of this one, too */
  uint64_t first_new;         /* the id of the first topic that this command creates */
};

/* "[N]: " when there are several, else "". */
static const char *which(const struct produce *produce, char text[static 32])
{
  text[0] = '\0';
  if (produce->command->count > 1)
    snprintf(text, 32, "[%zu]: ", produce->index);
  return text;
}

static struct uk_log_topic *find_topic(struct produce *produce, struct uk_slice name)
{
  struct uk_log_stage *stage = produce->stage;
  struct uk_operation *operation = &produce->command->operation;
  if (produce->topic != NULL && uk_slice_equal(uk_log_topic_name(produce->topic), name))
    return produce->topic;
  struct uk_log_topic *topic = uk_log_topics_find(stage->topics, name);
  if (topic == NULL && stage->auto_create)
    return create(stage, name, stage->default_partitions, operation);
  if (topic == NULL)
    no_topic(operation, name);
  return topic != NULL && is_whole(topic, operation) ? topic : NULL;
}

static int32_t pick_sticky(struct uk_log_topic *topic)
{
  if (topic->sticky_left == 0) {
    topic->sticky = (topic->sticky + 1) % topic->partition_count;
    topic->sticky_left = UK_LOG_STICKY_RECORDS;
  }
  topic->sticky_left--;
  return topic->sticky;
}

static bool record_valid(struct produce *produce, const struct uk_record *record)
{
  struct uk_operation *operation = &produce->command->operation;
  char text[32];
  if (record->header_count > UK_HEADERS_PER_MESSAGE_MAX)
    uk_operation_fail(operation, UK_E_BAD_REQUEST, "%sthere are %zu headers; expected at most %d",
                      which(produce, text), record->header_count, (int)UK_HEADERS_PER_MESSAGE_MAX);
  else if (uk_log_record_bytes(record) > UK_LOG_RECORD_BYTES_MAX / 2)
    uk_operation_fail(operation, UK_E_TOO_LARGE, "%sthe message is larger than %d bytes",
                      which(produce, text), UK_LOG_RECORD_BYTES_MAX / 2);
  return operation->error == UK_OK;
}

static struct uk_log_partition *appendable(struct uk_operation *operation,
                                           struct uk_log_partition *partition)
{
  const struct uk_log_topic *topic = partition->topic;
  if (!partition->damaged)
    return partition;
  uk_operation_fail(operation, UK_E_INTERNAL, UK_LOG_DAMAGED_END, (int)topic->name_length,
                    topic->name, (int)partition->index);
  return NULL;
}

static struct uk_log_partition *find_partition(struct produce *produce,
                                               const struct uk_record *record)
{
  char text[32];
  struct uk_log_topic *topic = find_topic(produce, record->topic);
  if (topic == NULL || !record_valid(produce, record))
    return NULL;
  produce->topic = topic;
  int32_t partition = record->partition;
  if (partition == -1)
    partition = record->has_key ? uk_murmur2_partition(record->key, topic->partition_count)
                                : pick_sticky(topic);
  if (partition >= 0 && partition < topic->partition_count)
    return appendable(&produce->command->operation, &topic->partitions[partition]);
  /* A topic that this command would create is not there when the command has failed. */
  const char *new = topic->id >= produce->first_new ? "does not exist, and a new topic " : "";
  uk_operation_fail(&produce->command->operation, UK_E_BAD_REQUEST,
                    "%stopic \"%.*s\" %shas no partition %d; it has %d", which(produce, text),
                    (int)record->topic.length, record->topic.data, new, (int)partition,
                    (int)topic->partition_count);
  return NULL;
}

static void link_record(struct uk_log_stage *stage, struct uk_log_staged *staged)
{
  struct uk_log_partition *partition = staged->partition;
  if (uk_list_is_empty(&partition->staged)) {
    partition->next_touched = stage->touched;
    partition->next_end = partition->end;
    stage->touched = partition;
  }
  staged->offset = partition->next_end++;
  uk_list_add(&partition->staged, &staged->link);
}

static void stage_produce(struct uk_log_stage *stage, struct uk_operation *operation)
{
  struct produce produce = {stage, (struct uk_produce *)operation, 0, NULL, stage->next_topic_id};
  struct uk_log_topic *created = stage->created;
  struct uk_log_staged *staged = stage->records + stage->count;
  for (; produce.index < produce.command->count; produce.index++) {
    struct uk_record *record = &produce.command->records[produce.index];
    struct uk_log_partition *partition = find_partition(&produce, record);
    if (partition == NULL) {
      remove_created(stage, created);
      return;
    }
    staged[produce.index] = (struct uk_log_staged){.record = record, .partition = partition};
  }
  for (size_t i = 0; i < produce.command->count; i++)
    link_record(stage, &staged[i]);
  stage->count += produce.command->count;
}

/* Committed offsets. */

static void stage_commit(struct uk_log_stage *stage, struct uk_operation *operation)
{
  struct uk_log_commit *command = (struct uk_log_commit *)operation;
  if (command->group.length > UK_GROUP_NAME_MAX) {
    uk_operation_fail(operation, UK_E_BAD_REQUEST, "the group name is longer than %d bytes",
                      (int)UK_GROUP_NAME_MAX);
    return;
  }
  for (size_t i = 0; operation->error == UK_OK && i < command->count; i++) {
    const struct uk_topic_partition_offset *at = &command->offsets[i];
    const struct uk_log_topic *topic = uk_log_topics_find(stage->topics, at->topic);
    if (topic == NULL)
      no_topic(operation, at->topic);
    else if (!is_whole(topic, operation))
      return;
    else if (at->partition < 0 || at->partition >= topic->partition_count)
      uk_operation_fail(operation, UK_E_BAD_REQUEST,
                        "topic \"%.*s\" has no partition %d; it has %d", (int)at->topic.length,
                        at->topic.data, (int)at->partition, (int)topic->partition_count);
    else if (at->offset < 0)
      uk_operation_fail(operation, UK_E_BAD_REQUEST,
                        "offset %" PRId64 " of topic \"%.*s\" partition %d is negative", at->offset,
                        (int)at->topic.length, at->topic.data, (int)at->partition);
  }
}

void uk_log_stage_command(struct uk_log_stage *stage, enum uk_log_command_kind kind,
                          struct uk_operation *operation)
{
  static void (*const stagers[])(struct uk_log_stage *, struct uk_operation *) = {
    [UK_LOG_PRODUCE] = stage_produce,     [UK_LOG_COMMIT] = stage_commit,
    [UK_LOG_CREATE_TOPIC] = stage_create, [UK_LOG_CREATE_MISSING] = stage_create_missing,
    [UK_LOG_DELETE_TOPIC] = stage_delete,
  };
  operation->error = UK_OK;
  operation->message[0] = '\0';
  stagers[kind](stage, operation);
}

/* The end of a transaction. */

void uk_log_stage_end(struct uk_log_stage *stage)
{
  for (struct uk_log_partition *partition = stage->touched; partition != NULL;
       partition = partition->next_touched) {
    partition->staged = (struct uk_list){.head = {NULL, NULL}};
    partition->topic->sticky_left = 0;
  }
  stage->touched = NULL;
  stage->created = stage->deleted = NULL;
  stage->count = 0;
  if (stage->capacity > UK_LOG_STAGE_KEEP)
    uk_log_stage_free(stage);
}

void uk_log_stage_drop(struct uk_log_stage *stage)
{
  struct uk_log_topic *created = stage->created;
  uk_log_stage_end(stage);
  stage->created = created;
  remove_created(stage, NULL);
}

static void fill_in(const struct uk_log_stage *stage, const struct uk_log_partition *partition)
{
  const struct uk_log_staged *staged = NULL;
  while ((staged = uk_log_next_staged(partition, staged)) != NULL) {
    staged->record->partition = partition->index;
    staged->record->offset = staged->offset;
    if (staged->record->timestamp == -1)
      staged->record->timestamp = stage->now;
  }
}

void uk_log_stage_publish(struct uk_log_stage *stage)
{
  struct uk_log_topics *topics = stage->topics;
  for (struct uk_log_partition *partition = stage->touched; partition != NULL;
       partition = partition->next_touched) {
    fill_in(stage, partition);
    partition->latest = partition->next_latest;
    partition->position = partition->next_position;
    pthread_mutex_lock(&topics->mutex);
    partition->end = partition->next_end;
    pthread_mutex_unlock(&topics->mutex);
  }
  pthread_mutex_lock(&topics->mutex);
  for (struct uk_log_topic *topic = stage->created; topic != NULL; topic = topic->next_created)
    topic->visible = true;
  pthread_mutex_unlock(&topics->mutex);
  if (stage->deleted != NULL)
    uk_log_topics_remove(topics, stage->deleted);
}
