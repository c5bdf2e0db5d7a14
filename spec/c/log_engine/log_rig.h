/* log_rig: shared by the tests of the log: a scratch directory, calls that wait, records that were
 * read. */
#ifndef LOG_RIG_H
#define LOG_RIG_H

#include <pthread.h>

#include "server/log_engine/log.h"

enum { RIG_MAP_BYTES = 64 << 20 };

/* An empty directory of this process, below TMPDIR. rig_remove removes it and its files. */
const char *rig_directory(void);
void rig_remove(void);

/* Options for that directory: RIG_MAP_BYTES, 2 partitions, auto_create. */
struct uk_log_options rig_options(void);

/* NULL when it fails, with a line on stderr. */
struct uk_log *rig_open(const struct uk_log_options *options);

/* Waits for `done`. */
struct rig_call {
  pthread_mutex_t mutex;
  pthread_cond_t ended;
  bool done;
};
void rig_call_init(struct rig_call *call, struct uk_operation *operation);
void rig_call_wait(struct rig_call *call, struct uk_operation *operation);

/* Commands that are submitted while the writer is held share a transaction. Creates the topic
 * "hold". */
void rig_hold_writer(struct uk_log *log);
void rig_release_writer(void);

/* Each one waits for the writer, and returns the operation's error; `message` (may be NULL) has
 * room for UK_MESSAGE_SIZE. */
enum uk_error rig_submit(struct uk_log *log, enum uk_log_command_kind kind,
                         struct uk_operation *operation, char *message);
enum uk_error rig_produce(struct uk_log *log, struct uk_record *records, size_t count,
                          char *message);
enum uk_error rig_commit(struct uk_log *log, const char *group, const char *topic,
                         int32_t partition, int64_t offset);
enum uk_error rig_create(struct uk_log *log, const char *topic, int32_t partitions,
                         int64_t retention_ms, int64_t retention_bytes);
enum uk_error rig_delete(struct uk_log *log, const char *topic);

/* A record with this value. */
struct uk_record rig_record(const char *topic, int32_t partition, const char *value);

/* Produces a record and returns its offset; -1 when it fails. */
int64_t rig_put(struct uk_log *log, const char *topic, int32_t partition, const char *value,
                int64_t timestamp);

/* The records of a read: their values, each followed by '\n'. */
struct rig_read {
  struct uk_operation operation;
  size_t limit; /* the most records that the sink takes; 0 = all */
  size_t count;
  int64_t first_offset, last_offset;
  bool dense; /* the offsets have no gaps */
  size_t length;
  char text[4000]; /* cut there; NUL-terminated */
  int64_t next;
  bool full;
};
enum uk_error rig_read(struct uk_log *log, struct rig_read *read, const char *topic,
                       int32_t partition, int64_t offset);
bool rig_sink_record(struct uk_operation *operation, const struct uk_record *record);

void rig_sleep(int milliseconds);

#endif
