/* log_store: the log's tables on disk, in one LMDB environment: what they hold, under which keys.
 * No queues, threads or policies.
 *
 * Format 2. All integers are big-endian. "sum" is a u32: the CRC-32C of the row's key and of its
 * value up to the sum. A row whose sum is wrong is damage, and no more than that row is.
 *
 *   meta       "format" -> u32 2
 *              "log" -> 16 bytes: the log's ID, random, for ever; sum
 *              "next_topic" -> u64, the id of the next topic; sum
 *              "upgraded" -> i64, when a log of format 1 became one of format 2; sum. Only then
 *              may there be rows and batches of format 1
 *              "needs NAME" -> u32 version: see below
 *   lives      u32 number -> 16 random bytes, i64 since when; sum
 *   topics     name -> u64 id, u32 partitions, i64 retention_ms, i64 retention_bytes, i64 created,
 *              u32 cleanup (0: by retention; 1: reserved for compaction), 16 random bytes: the ID
 *              of the topic's life; sum
 *   batches    u64 topic id, u32 partition, u64 base offset -> a batch (log_batch.h)
 *   times      u64 topic id, u32 partition, u64 timestamp -> u64 base offset; sum
 *   committed  u64 topic id, u32 partition, group -> u64 offset; sum
 *   purges     u64 topic id -> empty: the topic was deleted, and rows under its id may be left
 *   keys       u8 length of the user, user, idempotency key -> an answer (log_answer.h); sum
 *   expiries   u64 time -> the key of the row of `keys` that ends then; sum. The last few rows may
 *              be missing: log_key_queue.h
 *
 * The last two are empty until "needs keys" stands in meta, with version 1. Their times are
 * microseconds of a clock that runs only while the server does (log_keys.h), each given once.
 *
 * `times` has an entry for each batch that raised the partition's greatest timestamp. The key holds
 * that timestamp with its sign bit flipped, so that keys sort. The first entry at or after T names
 * the first batch with a record at or after T. When retention removes batches, it keeps the last of
 * their entries: for a T up to that timestamp the entries prove nothing, and the kept batches are
 * scanned.
 *
 * A partition ends where its last batch ends, if that batch is whole; otherwise nothing can be
 * appended, because an offset might be given twice. When retention removes the last batch, a marker
 * (a batch without records) takes its place at the end offset, until a new batch replaces it.
 *
 * A log has one life, until a copy of it is restored: then offsets are given again that clients may
 * have seen with other records. Each batch names the life that wrote it, so that a position (a life
 * and an offset) is valid if the batch before it is of no later life. How a restored copy is
 * noticed: log_store_identity.c.
 *
 * Format 1 had 8-byte values without a sum in meta, `times` and `committed`, rows of 36 bytes in
 * `topics`, neither `lives` nor the tables after `committed`, and no ID; a topic was purged when
 * rows were found under an id that no topic had. The first transaction after the open of such a log
 * writes what format 2 has (log_store_life.c); rows and batches change as they are written.
 *
 * To change the format: a layout that an older program would misread takes the next format number,
 * and open refuses numbers that it does not know. What an older program may not ignore, but would
 * not misread, such as a new table, adds a row "needs NAME" with a version to meta instead; open
 * refuses names and versions that it does not know. What it may ignore needs neither. */
#ifndef UK_LOG_STORE_H
#define UK_LOG_STORE_H

#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_clock.h"
#include "server/log_engine/log_topics.h"

enum uk_log_status {
  UK_LOG_OK = 0,
  UK_LOG_NOTHING,   /* no such row */
  UK_LOG_FULL,      /* the map has no room, or the file may not grow */
  UK_LOG_DISK_FULL, /* the file system has none */
  UK_LOG_NO_MEMORY,
  UK_LOG_DAMAGED,  /* a row or batch is not what was written; the others are usable */
  UK_LOG_FAILED,   /* input/output error: after a commit the environment may not be used any more */
  UK_LOG_UNCERTAIN /* the same, of a commit that may have come through: only a reopen shows */
};

struct uk_log_store;

enum {
  UK_LOG_MAP_BYTES_MIN = 1 << 20,
  UK_LOG_RESERVE_BYTES = 4 << 20, /* beyond the map, and on the disk */
  UK_LOG_FAILURE_MAX = 300        /* room for the text of a failure */
};

/* Creates the directory and its parents (directory.h), and locks it: a second open, by this
 * process or another one, is refused. So is a folder whose file `identity` says that the log held
 * topics, while data.mdb holds none, and a data.mdb with damaged pages (log_structure.h). `message`
 * names the directory. */
enum uk_error uk_log_store_open(struct uk_log_store **store, const char *directory,
                                size_t map_bytes, bool no_sync, char *message, size_t size);
void uk_log_store_close(struct uk_log_store *store);

/* Closes the environment and opens it again, while no reader is inside. Until that succeeds,
 * everything fails. Opens only the file that it closed. */
enum uk_log_status uk_log_store_reopen(struct uk_log_store *store);

/* After an UNCERTAIN commit: true when a reopen shows what became of it. False when LMDB met damage
 * or the file had lost its name: then it stays unknown. */
bool uk_log_store_is_doubtful(const struct uk_log_store *store);
/* After the reopen: true when the transaction of that commit is in the log. The next transaction
 * builds on it then, and otherwise takes its place. Precondition: none was begun since. */
bool uk_log_store_came_through(const struct uk_log_store *store);

/* False when the folder no longer has the files that were opened: it was renamed, or it or they
 * were deleted or replaced. uk_log_store_failure then says so. The second one looks at data.mdb
 * alone, which costs one look-up of a name. */
bool uk_log_store_in_place(struct uk_log_store *store);
bool uk_log_store_data_in_place(struct uk_log_store *store);

/* Writes into the file `identity` how far the log has come, if that is more than the file says:
 * after a topic took the first id of a new block, and with `all` in any case. For the writer,
 * between transactions. */
enum { UK_LOG_TOPIC_BLOCK = 1000 };
void uk_log_store_save_identity(struct uk_log_store *store, uint64_t next_topic, bool all);

/* Why the log is dead: LMDB met damage, and is not called any more, not even by a close. NULL while
 * it lives. For any thread. */
const char *uk_log_store_fault(const struct uk_log_store *store);

/* Why the log begins a new life with its next transaction; NULL when it does not. */
const char *uk_log_store_new_life(const struct uk_log_store *store);
/* True when the next transaction begins a new life, or makes format 2 of a log of format 1. */
bool uk_log_store_is_unsettled(const struct uk_log_store *store);
/* The number of the log's life. */
uint32_t uk_log_store_life(const struct uk_log_store *store);
/* When the log became format 2, in milliseconds since the epoch; INT64_MAX if it always was. No
 * batch of version 1 arrived later. */
int64_t uk_log_store_upgraded(const struct uk_log_store *store);

/* Opens the reserve, for work that must succeed when there is no room. `status` says what is full:
 * UK_LOG_FULL lets the log grow past its maximum size, UK_LOG_DISK_FULL gives the reserved disk
 * space back (log_reserve.h). Between transactions only. */
enum uk_log_status uk_log_store_open_reserve(struct uk_log_store *store, enum uk_log_status status);
enum uk_log_status uk_log_store_close_reserve(struct uk_log_store *store);

/* The text of the last UK_LOG_FAILED or UK_LOG_UNCERTAIN, or of uk_log_store_in_place. For the
 * writer. */
const char *uk_log_store_failure(const struct uk_log_store *store);

/* FULL or DISK_FULL when the last failure was a write that stopped short for lack of that room, or
 * perhaps a sync; otherwise OK. */
enum uk_log_status uk_log_store_lack(const struct uk_log_store *store);

/* The maximum size of data.mdb: less than map_bytes where the process may not have such files
 * (RLIMIT_FSIZE), and then `is_limited`. For the writer. */
size_t uk_log_store_map_bytes(const struct uk_log_store *store);
bool uk_log_store_is_limited(const struct uk_log_store *store);
#define UK_LOG_AT_LIMIT "data.mdb has reached the limit on the size of files (ulimit -f)"

/* Whatever writes, from a begin to a commit or an abort, runs inside of this. FAILED when LMDB met
 * damage, which left `step` in the middle; UNCERTAIN when that was inside a commit. */
enum uk_log_status uk_log_store_run(struct uk_log_store *store,
                                    enum uk_log_status (*step)(void *argument), void *argument);

/* The one write transaction. After any status except UK_LOG_OK and UK_LOG_NOTHING it must be
 * aborted; a failed commit has already aborted it. */
enum uk_log_status uk_log_store_begin(struct uk_log_store *store);
enum uk_log_status uk_log_store_commit(struct uk_log_store *store);
void uk_log_store_abort(struct uk_log_store *store);

/* Within a transaction: true when a commit has succeeded since the environment was opened. What an
 * earlier process left may be in the system's memory alone, until then. */
bool uk_log_store_is_proven(const struct uk_log_store *store);

/* Gives the topic's life its ID. */
enum uk_log_status uk_log_store_put_topic(struct uk_log_store *store, struct uk_log_topic *topic);
/* The same for a topic whose life has one. */
enum uk_log_status uk_log_store_copy_topic(struct uk_log_store *store,
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
/* True when the group has committed this offset or a higher one, also earlier in the transaction. A
 * row that is damaged says nothing; neither does one beyond `end`, unless the offset is, too. */
bool uk_log_store_has_committed(struct uk_log_store *store,
                                const struct uk_log_partition *partition, struct uk_slice group,
                                int64_t offset, int64_t end);
enum uk_log_status uk_log_store_put_purge(struct uk_log_store *store, uint64_t topic_id);

/* Removes the partition's committed offsets beyond its end, and adds their number to `*count`. */
enum uk_log_status uk_log_store_drop_committed(struct uk_log_store *store,
                                               const struct uk_log_partition *partition,
                                               size_t *count);

/* Removes batches from the front: those that are older than the topic's retention_ms, and those
 * that have at least its retention_bytes behind them. Takes one from `*budget` for each, and ends
 * at 0. `*first` is then the first kept offset. */
enum uk_log_status uk_log_store_trim(struct uk_log_store *store,
                                     const struct uk_log_partition *partition,
                                     const struct uk_log_times *times, unsigned *budget,
                                     int64_t *first);

/* Removes rows under the id of a deleted topic, `*budget` at most, and lowers it. When some of the
 * budget remains, no row is left, and the purge is over. */
enum uk_log_status uk_log_store_purge(struct uk_log_store *store, uint64_t topic_id,
                                      unsigned *budget);

/* Idempotency keys. A row of `keys` is named by its key there. */
enum { UK_LOG_KEY_ROW_MAX = 1 + UINT8_MAX + UK_IDEMPOTENCY_KEY_MAX };
/* At most this many of the newest keys have no row in `expiries` yet (log_key_queue). */
enum { UK_LOG_KEYS_QUEUED = 64 };
/* The length of the row's key, written to `bytes`; 0 when the user or the key is too long. */
size_t uk_log_key_row(uint8_t bytes[static UK_LOG_KEY_ROW_MAX], const struct uk_produce_key *key);
/* The user of a row; empty when it can be none. */
struct uk_slice uk_log_key_row_user(struct uk_slice row);

/* Finds the answer, which lives until the next write. DAMAGED: the row is. */
enum uk_log_status uk_log_store_find_key(struct uk_log_store *store, struct uk_slice row,
                                         struct uk_slice *answer);
/* Writes an answer; appends the sum to `answer`. `*replaced` is the length of the answer that stood
 * there, or 0; when that ended is removed. */
enum uk_log_status uk_log_store_put_key(struct uk_log_store *store, struct uk_slice row,
                                        struct uk_buffer *answer, size_t *replaced);
/* Writes when the row's key ends. */
enum uk_log_status uk_log_store_put_expiry(struct uk_log_store *store, uint64_t end,
                                           struct uk_slice row);

/* Finds the first key that ends at or after `from`. The row lives until the next write. Removes
 * damaged rows on its way: they name none. */
enum uk_log_status uk_log_store_next_expiry(struct uk_log_store *store, uint64_t from,
                                            uint64_t *end, struct uk_slice *row);
/* Removes that key. `*length` is the length of its answer; 0 when there is none. */
enum uk_log_status uk_log_store_remove_key(struct uk_log_store *store, uint64_t end,
                                           struct uk_slice row, size_t *length);

/* Writes a row that means nothing: a commit after it shows whether the disk accepts writes. */
enum uk_log_status uk_log_store_probe(struct uk_log_store *store);

/* A snapshot of the last commit, for one thread. All slices live until its end. NULL when it fails;
 * `status` says why. */
struct uk_log_view;
struct uk_log_view *uk_log_view_begin(struct uk_log_store *store, enum uk_log_status *status);
void uk_log_view_end(struct uk_log_view *view);
/* Whatever reads with a view runs inside of this: FAILED when LMDB or the mapped memory met damage,
 * which left `step` in the middle. It may hold no lock. */
enum uk_log_status uk_log_view_run(struct uk_log_view *view,
                                   void (*step)(struct uk_log_view *view, void *argument),
                                   void *argument);
struct uk_log_cursor *
uk_log_view_cursor(struct uk_log_view *view); /* the view's own, free to use; not by find */

struct uk_log_found {
  struct uk_log_place place;
  struct uk_slice batch;
};

/* Finds the batch that holds `offset`, or a damaged one that may hold it, or else the first one
 * after it; `next` finds the following ones. */
enum uk_log_status uk_log_view_find(struct uk_log_view *view, uint64_t topic_id, int32_t partition,
                                    int64_t offset, struct uk_log_found *found);
enum uk_log_status uk_log_view_next(struct uk_log_view *view, struct uk_log_found *found);

/* Finds the first batch that holds a record at or after `timestamp`. */
enum uk_log_status uk_log_view_find_time(struct uk_log_view *view, uint64_t topic_id,
                                         int32_t partition, int64_t timestamp,
                                         struct uk_log_found *found);
enum uk_log_status uk_log_view_committed(struct uk_log_view *view, uint64_t topic_id,
                                         int32_t partition, struct uk_slice group, int64_t *offset);

/* For open: calls `each` for each row of `keys` until it returns false; `length` is the length of
 * its answer, and `end` when it ends: 0 when the row is damaged. */
enum uk_log_status uk_log_view_each_key(struct uk_log_view *view,
                                        bool (*each)(void *argument, struct uk_slice row,
                                                     size_t length, uint64_t end),
                                        void *argument);
/* When the last key ends. NOTHING when there is none. */
enum uk_log_status uk_log_view_last_expiry(struct uk_log_view *view, uint64_t *end);

/* For open: fills the table with all topics and the bounds of their partitions. Damaged topics and
 * partitions are marked, and keep no other from being loaded. */
enum uk_log_status uk_log_view_load(struct uk_log_view *view, struct uk_log_topics *topics,
                                    uint64_t *next_topic_id);
/* Finds the smallest topic id >= `*id` that has rows. */
enum uk_log_status uk_log_view_next_id(struct uk_log_view *view, uint64_t *id);
/* Finds the smallest id >= `*id` of a topic that waits for its purge. A log of format 1 names none:
 * there, every id with rows that no topic has is one. */
enum uk_log_status uk_log_view_next_purge(struct uk_log_view *view, uint64_t *id);
bool uk_log_view_names_purges(const struct uk_log_view *view);

#endif
