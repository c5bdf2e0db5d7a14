/* log_salvage: writes a new log from what is whole of another one. Offsets stay; batches that are
 * lost leave a gap, which a batch without records covers. The new log is the old one in a new
 * life. */
#ifndef UK_LOG_SALVAGE_H
#define UK_LOG_SALVAGE_H

#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_identity.h"
#include "server/log_engine/log_topics.h"

struct uk_log_salvage;

/* What the new log keeps of the old one. */
struct uk_log_origin {
  bool has_id;
  uint8_t id[UK_LOG_ID_BYTES];
  uint32_t life;
  uint64_t next_topic; /* no topic's ID is given twice */
  int64_t upgraded;    /* when batches of version 1 had arrived at the latest */
  size_t bytes;        /* of the old file */
};

/* Whether a salvage could make the folder: nothing has its name. For a caller who works for long
 * before it opens the salvage. */
enum uk_error uk_log_salvage_check(const char *directory, char *message, size_t size);

/* Begins a log in the folder `directory`, which may not exist. It has another name until
 * uk_log_salvage_finish. */
enum uk_error uk_log_salvage_open(struct uk_log_salvage **salvage, const char *directory,
                                  const struct uk_log_origin *origin, char *message, size_t size);

/* Each fails once for all: `finish` tells. */

/* Copies a batch that was verified. A gap before it is covered. Batches of a partition come in
 * their order; `partition` begins zeroed, and holds what was copied so far. */
void uk_log_salvage_batch(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                          const struct uk_log_place *place, const struct uk_log_batch *batch,
                          struct uk_slice bytes);
/* Moves the end of the partition to `end`, if it is below. */
void uk_log_salvage_end(struct uk_log_salvage *salvage, struct uk_log_partition *partition,
                        int64_t end);
void uk_log_salvage_committed(struct uk_log_salvage *salvage,
                              const struct uk_log_partition *partition, struct uk_slice group,
                              int64_t offset);

/* Copies a row of `keys`, and writes the one of `expiries`. */
void uk_log_salvage_key(struct uk_log_salvage *salvage, struct uk_slice row,
                        struct uk_slice answer);

/* Writes the topic's row, after those of its partitions. */
void uk_log_salvage_topic(struct uk_log_salvage *salvage, struct uk_log_topic *topic);

/* With `keep`, completes the log and gives its folder its name. Otherwise, or when anything failed,
 * the folder is removed. Frees the salvage. */
enum uk_error uk_log_salvage_finish(struct uk_log_salvage *salvage, bool keep, char *message,
                                    size_t size);

#endif
