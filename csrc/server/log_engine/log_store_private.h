/* log_store_private: shared by the files of log_store. The only door to <lmdb.h>. */
#ifndef UK_LOG_STORE_PRIVATE_H
#define UK_LOG_STORE_PRIVATE_H

#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_checksum.h"
#include "server/log_engine/log_gate.h"
#include "server/log_engine/log_guard.h"
#include "server/log_engine/log_identity.h"
#include "server/log_engine/log_store.h"

enum uk_log_table {
  UK_LOG_META,
  UK_LOG_TOPICS,
  UK_LOG_BATCHES,
  UK_LOG_TIMES,
  UK_LOG_COMMITTED,
  UK_LOG_LIVES,
  UK_LOG_PURGES,
  UK_LOG_KEYS,
  UK_LOG_EXPIRIES,
  UK_LOG_TABLES,
  UK_LOG_TABLES_1 = UK_LOG_LIVES /* format 1 had the ones before */
};

extern const char *const uk_log_table_names[UK_LOG_TABLES];

enum {
  UK_LOG_FORMAT = 2,
  UK_LOG_TOPIC_ROW_1 = 36,
  UK_LOG_TOPIC_ROW = 60,
  UK_LOG_LIFE_ROW = UK_LOG_ID_BYTES + 12,
  UK_LOG_NUMBER = 12,             /* a u64 and its sum; in format 1 a u64 */
  UK_LOG_PREFIX = 12,             /* topic id and partition */
  UK_LOG_KEY = UK_LOG_PREFIX + 8, /* followed by an offset or a timestamp */
  UK_LOG_KEY_MAX = UK_LOG_PREFIX + UK_GROUP_NAME_MAX,
  UK_LOG_NEEDS_MAX = 64,
  UK_LOG_KEYS_VERSION = 1, /* of the tables `keys` and `expiries` */
  UK_LOG_VIEWS_MAX = 510   /* concurrent readers; LMDB has a slot for each */
};

struct uk_log_view {
  struct uk_log_store *store;
  MDB_txn *txn;
  MDB_cursor *cursors[UK_LOG_TABLES]; /* opened on first use */
  bool current[UK_LOG_TABLES];        /* the cursor is bound to this transaction */
  uint8_t prefix[UK_LOG_PREFIX];      /* the partition that find looked at */
  struct uk_log_cursor cursor;
  struct uk_log_view *next; /* in the pool */
};

/* Which file a name led to. */
struct uk_log_file {
  dev_t device;
  ino_t inode; /* 0: none */
};

/* What meta and `lives` say. */
struct uk_log_meta {
  uint32_t format; /* 0: there is no log */
  uint8_t id[UK_LOG_ID_BYTES];
  uint32_t life;
  uint64_t next_topic;
  int64_t upgraded; /* INT64_MAX: never */
  bool has_keys;    /* it may have idempotency keys, and says so */
};

struct uk_log_store {
  char *directory;    /* as given */
  char *path;         /* absolute */
  size_t given_bytes; /* map_bytes as given, made a multiple of the page size */
  /* What the limit on the size of files leaves of it, and for the reserve behind it. */
  size_t map_bytes, reserve_bytes;
  bool is_limited; /* that is less than what was given */
  bool no_sync;
  int folder;                      /* file descriptor of the directory */
  int lock;                        /* of the locked file */
  int reserve;                     /* log_reserve.h */
  struct uk_log_file locked, data; /* server.lock and data.mdb */

  struct uk_log_meta meta;
  char unknown[UK_LOG_NEEDS_MAX];  /* what the log needs and this program does not know */
  struct uk_log_identity identity; /* what the file says */
  bool has_identity;
  const char *new_life;    /* why the next transaction begins one, or NULL */
  struct uk_log_meta next; /* what `meta` is after the current transaction, if it settles */
  bool settles;

  /* A view is inside from its begin to its end. Replacing the environment or its map needs the gate
   * alone. */
  struct uk_log_gate gate;
  MDB_env *env; /* NULL after a failed reopen */
  MDB_dbi tables[UK_LOG_TABLES];

  pthread_mutex_t pool_mutex;
  struct uk_log_view *pool; /* idle views; their transactions are reset */

  bool has_keys, next_has_keys; /* meta says that there are; after the current transaction */

  MDB_txn *txn;      /* the write transaction */
  bool commits;      /* its commit is under way */
  uint64_t opened;   /* the last transaction that the environment had when it was opened */
  uint64_t doubtful; /* the transaction whose commit may have come through; 0: none */

  /* Once LMDB met damage, it is not called any more: its state is lost. */
  atomic_bool dying, dead;        /* `fault` is being written; has been */
  char fault[UK_LOG_FAILURE_MAX]; /* what it met */
  struct uk_log_store *next_dead;
  char failure[UK_LOG_FAILURE_MAX];
  enum uk_log_status lack; /* see uk_log_store_lack */
};

enum uk_log_status uk_log_store_status(int rc);

/* The same, and records a failure. For the writer. */
enum uk_log_status uk_log_store_result(struct uk_log_store *store, int rc);

/* After a fault: nothing calls LMDB for this store any more. UNCERTAIN if a commit was under way,
 * else FAILED. */
enum uk_log_status uk_log_store_die(struct uk_log_store *store, const struct uk_log_guard *guard);

/* log_store_room: sets the text that uk_log_store_failure returns, and what uk_log_store_lack does.
 */
void uk_log_store_note_failure(struct uk_log_store *store, int rc);

/* Codes of ours among those of LMDB, which are below -30000, and errno's, which are positive. */
enum {
  UK_LOG_RC_DAMAGED = -1, /* meta or `lives` is damaged, or a table is missing */
  UK_LOG_RC_EMPTIED = -2, /* the log held topics, and holds none */
  UK_LOG_RC_OTHER = -3,   /* the environment holds something other than a log */
  UK_LOG_RC_FORMAT = -4,  /* the format number is unknown */
  UK_LOG_RC_NEEDS = -5,   /* the log needs something unknown */
  UK_LOG_RC_MOVED = -6    /* the environment's file is another one now */
};

/* log_store_meta: reads meta and `lives`, and opens the other tables. `tables[UK_LOG_META]` is
 * open. `meta->format` is 0 when there is no log, and UINT32_MAX when its number is damaged.
 * `unknown` (of NEEDS_MAX bytes) is what the log needs and this program does not know, or "".
 * Returns an LMDB code. */
int uk_log_meta_read(MDB_txn *txn, MDB_dbi *tables, struct uk_log_meta *meta, char *unknown);
/* Opens the tables `from` to `to` - 1, with the flags of mdb_dbi_open. */
int uk_log_meta_open_tables(MDB_txn *txn, MDB_dbi *tables, int from, int to, unsigned flags);
/* Writes meta and the row of its life. */
int uk_log_meta_write(MDB_txn *txn, const MDB_dbi *tables, const struct uk_log_meta *meta);

/* Writes that the log needs a program that knows its idempotency keys. */
int uk_log_meta_need_keys(MDB_txn *txn, MDB_dbi table);

/* log_store_keys: a row of `keys` that was verified, without its sum. False when it is damaged. */
bool uk_log_key_row_read(const MDB_val *key, const MDB_val *value, struct uk_slice *answer);
/* The row of `keys` that a whole row of `expiries` names. False when it is damaged. */
bool uk_log_expiry_row_read(const MDB_val *key, const MDB_val *value, struct uk_slice *row);

/* log_store_read: the table's cursor, and the status of a code, in a view. */
int uk_log_view_use_cursor(struct uk_log_view *view, enum uk_log_table table, MDB_cursor **cursor);
enum uk_log_status uk_log_view_status(struct uk_log_view *view, int rc);

/* log_store_read: whether a topic's row can be believed; in format 1 its numbers are all there is
 * to look at. */
bool uk_log_topic_row_is_whole(const struct uk_log_meta *meta, const MDB_val *key,
                               const MDB_val *value);
/* Sets what a whole row says, except the number of partitions. */
void uk_log_topic_row_read(struct uk_log_topic *topic, const MDB_val *value);

/* log_store_write: completes the topic's row and writes it. Its first bytes are set as in format 1;
 * `life` NULL: a new random one. */
int uk_log_topic_row_put(MDB_txn *txn, MDB_dbi table, MDB_val *key, uint8_t *row,
                         const uint8_t *life);

/* log_store_life: writes what makes the log one of format 2, or begins its new life. */
int uk_log_store_settle(struct uk_log_store *store);
/* After the commit of such a transaction. */
void uk_log_store_settled(struct uk_log_store *store);

/* log_store_room: sets map_bytes and reserve_bytes. Beyond the limit on the size of files a write
 * fails: so the map with its reserve ends there, and is full before. */
void uk_log_store_set_room(struct uk_log_store *store);

/* log_store_prepare: before the open of data.mdb: asks for its address space, makes the directory,
 * and locks it. */
enum uk_error uk_log_store_prepare(struct uk_log_store *store, char *message, size_t size);

/* log_store_identity: the folder's files. Reads the file `identity`, or makes it for a folder
 * without data.mdb. Refuses a folder whose data.mdb is missing or empty although it held topics. */
enum uk_error uk_log_store_open_folder(struct uk_log_store *store, char *message, size_t size);
/* After the open of data.mdb: remembers the file, compares it with the identity, and decides
 * whether the log begins a new life. */
int uk_log_store_identify(struct uk_log_store *store);
/* Whether the environment's file is the one that was opened first. */
bool uk_log_store_is_own(const struct uk_log_store *store, MDB_env *env);

/* 16 random bytes. False when the system has none to give. */
bool uk_log_random_id(uint8_t *id);

/* Formats the text of a failed open, and returns the error. */
__attribute__((format(printf, 4, 5))) enum uk_error
uk_log_open_failed(char *message, size_t size, enum uk_error error, const char *format, ...);

/* The sum of a row. */
static inline uint32_t uk_log_row_sum(const MDB_val *key, const void *value, size_t length)
{
  return uk_log_checksum(uk_log_checksum(0, key->mv_data, key->mv_size), value, length);
}

static inline bool uk_log_row_is_whole(const MDB_val *key, const MDB_val *value, size_t size)
{
  const uint8_t *bytes = value->mv_data;
  return value->mv_size == size &&
         uk_load_u32(bytes + size - 4) == uk_log_row_sum(key, bytes, size - 4);
}

/* Reads a number with its sum, or one of format 1 where there may be such. False when it is
 * damaged. */
static inline bool uk_log_row_number(const struct uk_log_meta *meta, const MDB_val *key,
                                     const MDB_val *value, uint64_t *number)
{
  bool old =
    value->mv_size == UK_LOG_NUMBER - 4 && (meta->format == 1 || meta->upgraded != INT64_MAX);
  if (!old && !uk_log_row_is_whole(key, value, UK_LOG_NUMBER))
    return false;
  *number = uk_load_u64(value->mv_data);
  return true;
}

/* Frees the idle views. Precondition: no view is in use. */
void uk_log_store_drop_views(struct uk_log_store *store);

static inline void uk_log_key_prefix(uint8_t *key, uint64_t topic_id, int32_t partition)
{
  uk_store_u64(key, topic_id);
  uk_store_u32(key + 8, (uint32_t)partition);
}

static inline MDB_val uk_log_key(uint8_t *key, uint64_t topic_id, int32_t partition, uint64_t last)
{
  uk_log_key_prefix(key, topic_id, partition);
  uk_store_u64(key + UK_LOG_PREFIX, last);
  return (MDB_val){UK_LOG_KEY, key};
}

/* Maps signed to unsigned, and keeps the order. */
static inline uint64_t uk_log_key_time(int64_t timestamp)
{
  return (uint64_t)timestamp ^ UINT64_C(1) << 63;
}

static inline bool uk_log_key_within(const MDB_val *key, const uint8_t *prefix)
{
  return key->mv_size == UK_LOG_KEY && memcmp(key->mv_data, prefix, UK_LOG_PREFIX) == 0;
}

static inline struct uk_log_place uk_log_key_place(const MDB_val *key)
{
  const uint8_t *bytes = key->mv_data;
  return (struct uk_log_place){.topic_id = uk_load_u64(bytes),
                               .partition = (int32_t)uk_load_u32(bytes + 8),
                               .offset = (int64_t)uk_load_u64(bytes + UK_LOG_PREFIX)};
}

static inline uint64_t uk_log_key_last(const MDB_val *key)
{
  return uk_load_u64((const uint8_t *)key->mv_data + UK_LOG_PREFIX);
}

#endif
