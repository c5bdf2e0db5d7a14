/* log: the embedded log on disk: topics, record batches and committed offsets, in LMDB.
 *
 * Reads answer at once, on any thread. Writes are commands for the one writer thread: it takes all
 * pending ones into one transaction, syncs, and then calls each `done`. */
#ifndef UK_LOG_H
#define UK_LOG_H

#include "server/engine/engine.h"

struct uk_log;

/* Beyond these the oldest idempotency keys go first. Bytes are those of the rows and their
 * overhead. */
struct uk_log_key_limits {
  uint64_t keys, bytes;           /* in all */
  uint64_t user_keys, user_bytes; /* of one user */
};

struct uk_log_options {
  const char *directory; /* created with mode 0700 when missing */
  size_t map_bytes;      /* the size limit of the log */
  int32_t partitions;    /* of topics that are created without a number */
  bool auto_create;      /* a produce creates missing topics; UK_LOG_CREATE_MISSING is allowed */
  bool no_sync;          /* for tests and benchmarks: acknowledged records are not durable */
  int64_t key_window;    /* milliseconds for which an idempotency key is kept; 0: none is */
  struct uk_log_key_limits key_limits; /* zeroed: the default ones */
  /* May be NULL. The writer thread calls it after a commit and before the answers: once for each
   * partition that has grown, and with partition -1 for a topic that was created, changed or
   * deleted. */
  void (*changed)(void *context, struct uk_slice topic, int32_t partition);
  void *context;
  /* May be NULL. Gets a line, without its end, for the server's log. */
  void (*notice)(const char *line);
};

/* Returns UK_OK and sets *log, or returns an error and puts a text into `message`. */
enum uk_error uk_log_open(struct uk_log **log, const struct uk_log_options *options, char *message,
                          size_t size);
/* Carries out the submitted commands and ends the writer. Later commands fail with UNAVAILABLE;
 * reads still work. False when the disk hangs: the writer still waits for it, and this may be
 * called again. */
bool uk_log_finish(struct uk_log *log);

/* Finishes and frees the log. Precondition: no read is running. NULL is allowed. A log whose disk
 * hangs is left as it is, with its writer and its lock. */
void uk_log_close(struct uk_log *log);

/* The writer's commands. The operation inside has the outcome. Uses its `link` and
 * `engine_data`. */
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
  bool forward; /* leaves an offset as it is where the group has committed a higher one */
};

/* Creates the topics that do not exist, all or none. */
struct uk_log_create_missing {
  struct uk_operation operation;
  const struct uk_slice *topics;
  size_t count;
};

/* True when a produce or a consume may create its topics (auto_create). */
bool uk_log_creates_topics(const struct uk_log *log);

/* While the disk hangs, commands that the writer works on get a call of `late`; those that wait for
 * it, and new ones, fail with UNAVAILABLE. */
void uk_log_submit(struct uk_log *log, enum uk_log_command_kind kind,
                   struct uk_operation *operation);

/* Reads. For a missing topic or partition they return 0, false or NOT_FOUND. */
int32_t uk_log_partitions(struct uk_log *log, struct uk_slice topic, uint64_t *topic_id);
void uk_log_each_topic(struct uk_log *log,
                       void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                       void *argument); /* sorted by name */
bool uk_log_bounds(struct uk_log *log, struct uk_slice topic, int32_t partition, int64_t *first,
                   int64_t *end);
/* Returns the number of partitions of the topic, and the bounds when `partition` is one of them. */
int32_t uk_log_find_partition(struct uk_log *log, struct uk_slice topic, int32_t partition,
                              int64_t *first, int64_t *end);
/* True when the topic's row is damaged, or, with `partition` >= 0, where that partition ends. Then
 * the operation has failed (INTERNAL). */
bool uk_log_is_damaged(struct uk_log *log, struct uk_slice topic, int32_t partition,
                       struct uk_operation *operation);
enum uk_error uk_log_offset_for_time(struct uk_log *log, struct uk_slice topic, int32_t partition,
                                     int64_t timestamp, int64_t *offset);
enum uk_error uk_log_committed(struct uk_log *log, struct uk_slice group, struct uk_slice topic,
                               int32_t partition, int64_t *offset);
/* Like uk_groups_log.read, but never calls the sink's `is_client_alive`. An `offset` below the
 * first kept one starts there. The sink may not read from the log. Returns an error (its text is in
 * the operation) only when it passed on no record: a damaged batch ends the reading before it, and
 * fails the next one. Its text names the offset at which reading can continue. */
enum uk_error uk_log_read(struct uk_log *log, struct uk_slice topic, int32_t partition,
                          int64_t offset, struct uk_operation *operation,
                          const struct uk_sink *sink, int64_t *next, bool *full);

/* True when nothing can be read: the log failed and could not be opened again yet. Then the
 * operation has failed (UNAVAILABLE, with the cause). */
bool uk_log_is_shut(struct uk_log *log, struct uk_operation *operation);

enum uk_error uk_log_health(struct uk_log *log, char *detail, size_t size);

#endif
