#include "log_rig.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static char directory[300];

const char *rig_directory(void)
{
  const char *base = getenv("TMPDIR");
  if (directory[0] == '\0') {
    snprintf(directory, sizeof directory, "%s/uk-log-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(directory) == NULL)
      abort();
  }
  return directory;
}

void rig_remove(void)
{
  char path[600];
  DIR *listing = opendir(rig_directory());
  for (struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
    snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
    if (entry->d_name[0] != '.')
      unlink(path);
  }
  if (listing != NULL)
    closedir(listing);
  rmdir(directory);
  directory[0] = '\0';
}

/* Holds the writer inside `changed`. */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t moved;
  bool hold, held;
  struct uk_record record;
  struct uk_produce produce;
  struct rig_call call;
} gate = {.mutex = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static void changed(void *context, struct uk_slice topic, int32_t partition)
{
  (void)context, (void)topic, (void)partition;
  pthread_mutex_lock(&gate.mutex);
  gate.held = gate.hold;
  pthread_cond_broadcast(&gate.moved);
  while (gate.hold)
    pthread_cond_wait(&gate.moved, &gate.mutex);
  pthread_mutex_unlock(&gate.mutex);
}

void rig_hold_writer(struct uk_log *log)
{
  gate.record = rig_record("hold", 0, "v");
  gate.produce = (struct uk_produce){.records = &gate.record, .count = 1};
  rig_call_init(&gate.call, &gate.produce.operation);
  pthread_mutex_lock(&gate.mutex);
  gate.hold = true;
  gate.held = false;
  uk_log_submit(log, UK_LOG_PRODUCE, &gate.produce.operation);
  while (!gate.held)
    pthread_cond_wait(&gate.moved, &gate.mutex);
  pthread_mutex_unlock(&gate.mutex);
}

void rig_release_writer(void)
{
  pthread_mutex_lock(&gate.mutex);
  gate.hold = false;
  pthread_cond_broadcast(&gate.moved);
  pthread_mutex_unlock(&gate.mutex);
  rig_call_wait(&gate.call, &gate.produce.operation);
}

struct uk_log_options rig_options(void)
{
  return (struct uk_log_options){.directory = rig_directory(),
                                 .map_bytes = RIG_MAP_BYTES,
                                 .partitions = 2,
                                 .auto_create = true,
                                 .changed = changed};
}

struct uk_log *rig_open(const struct uk_log_options *options)
{
  char message[UK_MESSAGE_SIZE] = "";
  struct uk_log *log;
  if (uk_log_open(&log, options, message, sizeof message) != UK_OK)
    fprintf(stderr, "rig_open: %s\n", message);
  return log;
}

static void ended(struct uk_operation *operation)
{
  struct rig_call *call = operation->context;
  pthread_mutex_lock(&call->mutex);
  call->done = true;
  pthread_cond_signal(&call->ended);
  pthread_mutex_unlock(&call->mutex);
}

void rig_call_init(struct rig_call *call, struct uk_operation *operation)
{
  pthread_mutex_init(&call->mutex, NULL);
  pthread_cond_init(&call->ended, NULL);
  call->done = false;
  operation->done = ended;
  operation->context = call;
}

void rig_call_wait(struct rig_call *call, struct uk_operation *operation)
{
  (void)operation;
  pthread_mutex_lock(&call->mutex);
  while (!call->done)
    pthread_cond_wait(&call->ended, &call->mutex);
  pthread_mutex_unlock(&call->mutex);
  pthread_cond_destroy(&call->ended);
  pthread_mutex_destroy(&call->mutex);
}

enum uk_error rig_submit(struct uk_log *log, enum uk_log_command_kind kind,
                         struct uk_operation *operation, char *message)
{
  struct rig_call call;
  rig_call_init(&call, operation);
  uk_log_submit(log, kind, operation);
  rig_call_wait(&call, operation);
  if (message != NULL)
    memcpy(message, operation->message, UK_MESSAGE_SIZE);
  return operation->error;
}

enum uk_error rig_produce(struct uk_log *log, struct uk_record *records, size_t count,
                          char *message)
{
  struct uk_produce produce = {.records = records, .count = count};
  return rig_submit(log, UK_LOG_PRODUCE, &produce.operation, message);
}

enum uk_error rig_commit(struct uk_log *log, const char *group, const char *topic,
                         int32_t partition, int64_t offset)
{
  struct uk_topic_partition_offset at = {uk_slice_text(topic), partition, offset};
  struct uk_log_commit commit = {.group = uk_slice_text(group), .offsets = &at, .count = 1};
  return rig_submit(log, UK_LOG_COMMIT, &commit.operation, NULL);
}

enum uk_error rig_create(struct uk_log *log, const char *topic, int32_t partitions,
                         int64_t retention_ms, int64_t retention_bytes)
{
  struct uk_create_topic create = {.topic = uk_slice_text(topic),
                                   .partitions = partitions,
                                   .has_retention_ms = true,
                                   .retention_ms = retention_ms,
                                   .has_retention_bytes = true,
                                   .retention_bytes = retention_bytes};
  return rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, NULL);
}

enum uk_error rig_delete(struct uk_log *log, const char *topic)
{
  struct uk_delete_topic delete = {.topic = uk_slice_text(topic)};
  return rig_submit(log, UK_LOG_DELETE_TOPIC, &delete.operation, NULL);
}

struct uk_record rig_record(const char *topic, int32_t partition, const char *value)
{
  return (struct uk_record){.topic = uk_slice_text(topic),
                            .partition = partition,
                            .timestamp = -1,
                            .has_value = true,
                            .value = uk_slice_text(value)};
}

int64_t rig_put(struct uk_log *log, const char *topic, int32_t partition, const char *value,
                int64_t timestamp)
{
  struct uk_record record = rig_record(topic, partition, value);
  record.timestamp = timestamp;
  return rig_produce(log, &record, 1, NULL) == UK_OK ? record.offset : -1;
}

bool rig_sink_record(struct uk_operation *operation, const struct uk_record *record)
{
  struct rig_read *read = (struct rig_read *)operation;
  if (read->limit > 0 && read->count == read->limit)
    return false;
  if (read->count == 0)
    read->first_offset = record->offset;
  else if (record->offset != read->last_offset + 1)
    read->dense = false;
  read->last_offset = record->offset;
  read->count++;
  size_t room = sizeof read->text - read->length - 1;
  if (record->value.length + 1 <= room) {
    if (record->value.length > 0)
      memcpy(read->text + read->length, record->value.data, record->value.length);
    read->length += record->value.length;
    read->text[read->length++] = '\n';
    read->text[read->length] = '\0';
  }
  return true;
}

enum uk_error rig_read(struct uk_log *log, struct rig_read *read, const char *topic,
                       int32_t partition, int64_t offset)
{
  static const struct uk_sink sink = {rig_sink_record, NULL};
  size_t limit = read->limit;
  *read = (struct rig_read){.limit = limit, .dense = true, .first_offset = -1, .last_offset = -1};
  return uk_log_read(log, uk_slice_text(topic), partition, offset, &read->operation, &sink,
                     &read->next, &read->full);
}

void rig_sleep(int milliseconds)
{
  struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000L};
  nanosleep(&time, NULL);
}
