/* log_stage: a transaction in memory: which commands are valid, and what they change. No I/O.
 *
 * Commands are staged one after another; an invalid one fails and leaves no trace. What the others
 * change is written to the store, and after the commit published to the table (or dropped). */
#ifndef UK_LOG_STAGE_H
#define UK_LOG_STAGE_H

#include "server/log_engine/log.h"
#include "server/log_engine/log_topics.h"

enum {
  /* Sticky partitioning: keyless records change partition after this many, and at each
   * transaction. */
  UK_LOG_STICKY_RECORDS = 16,
  UK_LOG_STAGE_KEEP = 1 << 16 /* records that the stage keeps memory for between transactions */
};

struct uk_log_stage {
  struct uk_log_topics *topics;
  int32_t default_partitions;
  bool auto_create;

  uint64_t next_topic_id;
  int64_t now; /* milliseconds since the epoch: for records without a timestamp */
  struct uk_log_staged *records;
  size_t count, capacity;
  struct uk_log_partition *touched; /* the partitions that get records */
  struct uk_log_topic *created;     /* newest first */
  struct uk_log_topic *deleted;     /* at most one, in a transaction of its own */
};

void uk_log_stage_init(struct uk_log_stage *stage, struct uk_log_topics *topics);
void uk_log_stage_free(struct uk_log_stage *stage);

/* Makes room for that many records. False when memory is out. */
bool uk_log_stage_begin(struct uk_log_stage *stage, size_t records);

/* Stages the command, or fails the operation. */
void uk_log_stage_command(struct uk_log_stage *stage, enum uk_log_command_kind kind,
                          struct uk_operation *operation);

/* Undoes everything that is staged. */
void uk_log_stage_drop(struct uk_log_stage *stage);

/* Publishes everything staged, and fills in the partitions, offsets and timestamps of the records.
 * The lists stay until `end`; a deleted topic is freed. */
void uk_log_stage_publish(struct uk_log_stage *stage);
void uk_log_stage_end(struct uk_log_stage *stage);

#endif
