/* log: the embedded log on disk: topics, record batches, committed offsets, in LMDB.
 *
 * Reads answer at once, from any thread. Writes are commands for the one writer thread, which
 * takes all that wait into one transaction, syncs, and calls each `done` after that. */
#ifndef UK_LOG_H
#define UK_LOG_H

#include "server/engine/engine.h"

struct uk_log;

struct uk_log_options {
  const char *directory; /* created (mode 0700) when missing */
  size_t map_bytes;      /* the most that the log may grow to */
  int32_t partitions;    /* of a topic created without a number */
  bool auto_create;      /* a produce creates its topic, and so does UK_LOG_CREATE_MISSING */
  bool no_sync; /* for tests and benchmarks of the rest: acknowledged is then not durable */
  /* May be NULL. Called by the writer thread after a commit, before the answers, once for each partition that has grown; with partition -1
   * for a topic that was created, changed or deleted. */
  void (*changed)(void *context, struct uk_slice topic, int32_t partition);
  void *context;
};

/* UK_OK and *log, or an error and a text in `message`. */
enum uk_error uk_log_open(struct uk_log **log, const struct uk_log_options *options, char *message,
                          size_t size);
/* Finishes what was submitted and ends the writer; what is submitted later fails with UNAVAILABLE. Reads go on. */
void uk_log_finish(struct uk_log *log);

/* Finishes, then frees. Nobody may be reading. NULL is nothing. */
void uk_log_close(struct uk_log *log);

/* What the writer does. The operation inside tells how it ended. Uses `next` and `engine_data`. */
enum uk_log_command_kind {
  UK_LOG_PRODUCE,        /* struct uk_produce */
  UK_LOG_COMMIT,         /* struct uk_log_commit */
  UK_LOG_CREATE_TOPIC,   /* struct uk_create_topic */
  UK_LOG_CREATE_MISSING, /* struct uk_log_create_missing */
  UK_LOG_DELETE_TOPIC    /* struct uk_delete_topic */
};

struct uk_log_commit {
  struct uk_operation operation;
  struct uk_slice group;
  const struct uk_topic_partition_offset *offsets;
  size_t count;
};

/* Creates those of the topics that do not exist, all or none. */
struct uk_log_create_missing {
  struct uk_operation operation;
  const struct uk_slice *topics;
  size_t count;
};

/* Whether topics may be created without being asked for (auto_create). */
bool uk_log_creates_topics(const struct uk_log *log);

void uk_log_submit(struct uk_log *log, enum uk_log_command_kind kind,
                   struct uk_operation *operation);

/* Reads. A topic or partition that is not there: 0, false or NOT_FOUND. */
int32_t uk_log_partitions(struct uk_log *log, struct uk_slice topic, uint64_t *topic_id);
void uk_log_each_topic(struct uk_log *log,
                       void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                       void *argument); /* sorted by name */
bool uk_log_bounds(struct uk_log *log, struct uk_slice topic, int32_t partition, int64_t *first,
                   int64_t *end);
/* Both in one look: the partitions of the topic, and the bounds if `partition` is one of them. */
int32_t uk_log_find_partition(struct uk_log *log, struct uk_slice topic, int32_t partition,
                              int64_t *first, int64_t *end);
enum uk_error uk_log_offset_for_time(struct uk_log *log, struct uk_slice topic, int32_t partition,
                                     int64_t timestamp, int64_t *offset);
enum uk_error uk_log_committed(struct uk_log *log, struct uk_slice group, struct uk_slice topic,
                               int32_t partition, int64_t *offset);
/* As uk_groups_log.read; `is_client_alive` of the sink is not asked. An `offset` below the first kept one starts at the first
 * kept one. The sink may not read from the log. An error (its text in the operation) comes only when no record was
 * handed on: a damaged batch ends a reading before it, and fails the next. */
enum uk_error uk_log_read(struct uk_log *log, struct uk_slice topic, int32_t partition,
                          int64_t offset, struct uk_operation *operation,
                          const struct uk_sink *sink, int64_t *next, bool *full);

enum uk_error uk_log_health(struct uk_log *log, char *detail, size_t size);

#endif
