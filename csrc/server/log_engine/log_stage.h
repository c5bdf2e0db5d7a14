/* log_stage: a transaction in memory: which commands pass, and what they will have changed. No I/O.
 *
 * Commands are staged one after another; each that does not pass fails and leaves no trace. What the others want is
 * then written to the store, and after the commit published to the table (or dropped). */
#ifndef UK_LOG_STAGE_H
#define UK_LOG_STAGE_H

#include "server/log_engine/log.h"
#include "server/log_engine/log_topics.h"

enum {
  /* So many records without a key stay together before the next partition takes its turn, which it also takes
   * with each transaction. */
  UK_LOG_STICKY_RECORDS = 16,
  UK_LOG_STAGE_KEEP = 1 << 16 /* records, for which the memory is kept between transactions */
};

struct uk_log_stage {
  struct uk_log_topics *topics;
  int32_t default_partitions;
  bool auto_create;

  uint64_t next_topic_id;
  int64_t now; /* milliseconds since the epoch: the timestamp of records without one */
  struct uk_log_staged *records;
  size_t count, capacity;
  struct uk_log_partition *touched; /* the partitions that get records */
  struct uk_log_topic *created;     /* newest first */
  struct uk_log_topic *deleted;     /* at most one, and then nothing else */
};

void uk_log_stage_init(struct uk_log_stage *stage, struct uk_log_topics *topics);
void uk_log_stage_free(struct uk_log_stage *stage);

/* Makes room for so many records. False when memory is out. */
bool uk_log_stage_begin(struct uk_log_stage *stage, size_t records);

/* Stages the command, or fails the operation. */
void uk_log_stage_command(struct uk_log_stage *stage, enum uk_log_command_kind kind,
                          struct uk_operation *operation);

/* Takes everything back. */
void uk_log_stage_drop(struct uk_log_stage *stage);

/* Lets everybody see it, and fills in the records' partitions, offsets and timestamps. The lists stay until `end`; a deleted
 * topic is freed. */
void uk_log_stage_publish(struct uk_log_stage *stage);
void uk_log_stage_end(struct uk_log_stage *stage);

#endif
