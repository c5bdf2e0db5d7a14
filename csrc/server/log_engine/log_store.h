/* log_store: the log's tables on disk, in one LMDB environment: what they hold, under which keys.
 * No queues, threads or policies.
 *
 * Format 1. All integers are big-endian.
 *
 *   meta       "format" -> u32 1;  "next_topic" -> u64, the id of the next topic
 *   topics     name -> u64 id, u32 partitions, i64 retention_ms, i64 retention_bytes, i64 created
 *   batches    u64 topic id, u32 partition, u64 base offset -> a batch (log_batch.h)
 *   times      u64 topic id, u32 partition, u64 timestamp -> u64 base offset
 *   committed  u64 topic id, u32 partition, group -> u64 offset
 *
 * `times` has an entry for each batch that raised the partition's greatest timestamp. The key holds
 * that timestamp with its sign bit flipped, so that keys sort. The first entry at or after T names
 * the first batch with a record at or after T. When retention removes batches, it keeps the last of
 * their entries: for a T up to that timestamp the entries prove nothing, and the kept batches are
 * scanned.
 *
 * A partition ends where its last batch ends. When retention removes the last batch, a marker (a
 * batch without records) takes its place at the end offset, until a new batch replaces it.
 *
 * Rows under an id that no topic has belong to a deleted topic; maintenance removes them.
 *
 * To change the format: a layout that an older program would misread takes the next format number.
 * Open refuses numbers that it does not know; a program that knows an older one rewrites the tables
 * in one transaction at open. */
#ifndef UK_LOG_STORE_H
#define UK_LOG_STORE_H

#include "server/log_engine/log_topics.h"

enum uk_log_status {
  UK_LOG_OK = 0,
  UK_LOG_NOTHING,   /* no such row */
  UK_LOG_FULL,      /* the map has no room */
  UK_LOG_DISK_FULL, /* the file system has none */
  UK_LOG_NO_MEMORY,
  UK_LOG_FAILED,   /* input/output error: after a commit the environment may not be used any more */
  UK_LOG_UNCERTAIN /* the same, of a commit that may have come through: only a reopen shows */
};

struct uk_log_store;

enum {
  UK_LOG_MAP_BYTES_MIN = 1 << 20,
  UK_LOG_RESERVE_BYTES = 4 << 20 /* beyond the map, and on the disk */
};

/* Creates the directory and its parents (directory.h), and locks it: a second open, by this
 * process or another one, is refused. `message` names the directory. */
enum uk_error uk_log_store_open(struct uk_log_store **store, const char *directory,
                                size_t map_bytes, bool no_sync, char *message, size_t size);
void uk_log_store_close(struct uk_log_store *store);

/* Closes the environment and opens it again, while no reader is inside. Until that succeeds,
 * everything fails. */
enum uk_log_status uk_log_store_reopen(struct uk_log_store *store);

/* Opens the reserve, for work that must succeed when there is no room. `status` says what is full:
 * UK_LOG_FULL lets the log grow past map_bytes, UK_LOG_DISK_FULL gives the reserved disk space back
 * (log_reserve.h). Between transactions only. */
enum uk_log_status uk_log_store_open_reserve(struct uk_log_store *store, enum uk_log_status status);
enum uk_log_status uk_log_store_close_reserve(struct uk_log_store *store);

/* The text of the last UK_LOG_FAILED or UK_LOG_UNCERTAIN. For the writer. */
const char *uk_log_store_failure(const struct uk_log_store *store);

/* The one write transaction. After any status except UK_LOG_OK and UK_LOG_NOTHING it must be
 * aborted; a failed commit has already aborted it. */
enum uk_log_status uk_log_store_begin(struct uk_log_store *store);
enum uk_log_status uk_log_store_commit(struct uk_log_store *store);
void uk_log_store_abort(struct uk_log_store *store);

enum uk_log_status uk_log_store_put_topic(struct uk_log_store *store,
                                          const struct uk_log_topic *topic);
enum uk_log_status uk_log_store_delete_topic(struct uk_log_store *store, struct uk_slice name);
enum uk_log_status uk_log_store_put_next_topic(struct uk_log_store *store, uint64_t id);
enum uk_log_status uk_log_store_put_batch(struct uk_log_store *store,
                                          const struct uk_log_partition *partition, int64_t offset,
                                          struct uk_slice batch);
enum uk_log_status uk_log_store_put_time(struct uk_log_store *store,
                                         const struct uk_log_partition *partition,
                                         int64_t timestamp, int64_t offset);
enum uk_log_status uk_log_store_put_committed(struct uk_log_store *store,
                                              const struct uk_log_partition *partition,
                                              struct uk_slice group, int64_t offset);

/* Removes batches from the front: those whose timestamps are all below `before`, and those that
 * have at least `keep_bytes` behind them (UK_LOG_KEEP_FOR_EVER: no limit). Takes one from `*budget`
 * for each, and ends at 0. `*first` is then the first kept offset. */
enum uk_log_status uk_log_store_trim(struct uk_log_store *store,
                                     const struct uk_log_partition *partition, int64_t before,
                                     int64_t keep_bytes, unsigned *budget, int64_t *first);

/* Removes rows under a topic id, `*budget` at most, and lowers it. When some of the budget remains,
 * no row is left. */
enum uk_log_status uk_log_store_purge(struct uk_log_store *store, uint64_t topic_id,
                                      unsigned *budget);

/* Writes a row that means nothing: a commit after it shows whether the disk accepts writes. */
enum uk_log_status uk_log_store_probe(struct uk_log_store *store);

/* A snapshot of the last commit, for one thread. All slices live until its end. NULL when it fails;
 * `status` says why. */
struct uk_log_view;
struct uk_log_view *uk_log_view_begin(struct uk_log_store *store, enum uk_log_status *status);
void uk_log_view_end(struct uk_log_view *view);
struct uk_log_cursor *
uk_log_view_cursor(struct uk_log_view *view); /* the view's own, free to use */

struct uk_log_found {
  int64_t offset; /* base offset */
  struct uk_slice batch;
};

/* Finds the batch that holds `offset`, or else the first one after it; `next` finds the following
 * ones. */
enum uk_log_status uk_log_view_find(struct uk_log_view *view, uint64_t topic_id, int32_t partition,
                                    int64_t offset, struct uk_log_found *found);
enum uk_log_status uk_log_view_next(struct uk_log_view *view, struct uk_log_found *found);

/* Finds the first batch that holds a record at or after `timestamp`. */
enum uk_log_status uk_log_view_find_time(struct uk_log_view *view, uint64_t topic_id,
                                         int32_t partition, int64_t timestamp,
                                         struct uk_log_found *found);
enum uk_log_status uk_log_view_committed(struct uk_log_view *view, uint64_t topic_id,
                                         int32_t partition, struct uk_slice group, int64_t *offset);

/* For open: fills the table with all topics and the bounds of their partitions. */
enum uk_log_status uk_log_view_load(struct uk_log_view *view, struct uk_log_topics *topics,
                                    uint64_t *next_topic_id);
/* Finds the smallest topic id >= `*id` that has rows. */
enum uk_log_status uk_log_view_next_id(struct uk_log_view *view, uint64_t *id);

#endif
