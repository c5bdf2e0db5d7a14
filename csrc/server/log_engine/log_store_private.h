/* log_store_private: shared by the files of log_store. The only door to <lmdb.h>. */
#ifndef UK_LOG_STORE_PRIVATE_H
#define UK_LOG_STORE_PRIVATE_H

#include <lmdb.h>
#include <pthread.h>

#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_gate.h"
#include "server/log_engine/log_store.h"

enum uk_log_table {
  UK_LOG_META,
  UK_LOG_TOPICS,
  UK_LOG_BATCHES,
  UK_LOG_TIMES,
  UK_LOG_COMMITTED,
  UK_LOG_TABLES
};

enum {
  UK_LOG_FORMAT = 1,
  UK_LOG_TOPIC_ROW = 36,
  UK_LOG_PREFIX = 12,             /* topic id and partition */
  UK_LOG_KEY = UK_LOG_PREFIX + 8, /* followed by an offset or a timestamp */
  UK_LOG_KEY_MAX = UK_LOG_PREFIX + UK_GROUP_NAME_MAX,
  UK_LOG_VIEWS_MAX = 510 /* concurrent readers; LMDB has a slot for each */
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

struct uk_log_store {
  char *directory;
  size_t map_bytes; /* a multiple of the page size */
  bool no_sync;
  int lock;    /* file descriptor of the locked file */
  int reserve; /* log_reserve.h */

  /* A view is inside from its begin to its end. Replacing the environment or its map needs the gate
   * alone. */
  struct uk_log_gate gate;
  MDB_env *env; /* NULL after a failed reopen */
  MDB_dbi tables[UK_LOG_TABLES];

  pthread_mutex_t pool_mutex;
  struct uk_log_view *pool; /* idle views; their transactions are reset */

  MDB_txn *txn; /* the write transaction */
  char failure[120];
};

enum uk_log_status uk_log_store_status(int rc);

/* The same, and records a failure. For the writer. */
enum uk_log_status uk_log_store_result(struct uk_log_store *store, int rc);

/* Sets the text that uk_log_store_failure returns. */
void uk_log_store_note_failure(struct uk_log_store *store, int rc);

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

static inline uint64_t uk_log_key_last(const MDB_val *key)
{
  return uk_load_u64((const uint8_t *)key->mv_data + UK_LOG_PREFIX);
}

#endif
