#include "server/log_engine/log_store_private.h"

enum uk_log_status uk_log_store_begin(struct uk_log_store *store)
{
  if (store->env == NULL)
    return UK_LOG_FAILED;
  return uk_log_store_result(store, mdb_txn_begin(store->env, NULL, 0, &store->txn));
}

/* LMDB writes the pages, syncs them, and writes the meta page last, which makes the commit count.
 * When that last write fails, it may be on the disk all the same, and LMDB begins no more
 * transactions. */
static bool is_uncertain(struct uk_log_store *store)
{
  MDB_txn *probe;
  int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &probe);
  if (rc == 0)
    mdb_txn_abort(probe);
  return rc != 0;
}

enum uk_log_status uk_log_store_commit(struct uk_log_store *store)
{
  MDB_txn *txn = store->txn;
  store->txn = NULL;
  int rc = mdb_txn_commit(txn);
  if (rc == 0 || !is_uncertain(store))
    return uk_log_store_result(store, rc);
  uk_log_store_note_failure(store, rc);
  return UK_LOG_UNCERTAIN;
}

void uk_log_store_abort(struct uk_log_store *store)
{
  MDB_txn *txn = store->txn;
  store->txn = NULL;
  mdb_txn_abort(txn);
}

static enum uk_log_status put(struct uk_log_store *store, enum uk_log_table table, MDB_val key,
                              const void *data, size_t length)
{
  MDB_val value = {length, (void *)(uintptr_t)data};
  return uk_log_store_result(store, mdb_put(store->txn, store->tables[table], &key, &value, 0));
}

static enum uk_log_status put_number(struct uk_log_store *store, enum uk_log_table table,
                                     MDB_val key, uint64_t number)
{
  uint8_t value[8];
  uk_store_u64(value, number);
  return put(store, table, key, value, sizeof value);
}

static MDB_val text_key(struct uk_slice text)
{
  return (MDB_val){text.length, (void *)(uintptr_t)text.data};
}

enum uk_log_status uk_log_store_put_topic(struct uk_log_store *store,
                                          const struct uk_log_topic *topic)
{
  uint8_t row[UK_LOG_TOPIC_ROW];
  uk_store_u64(row, topic->id);
  uk_store_u32(row + 8, (uint32_t)topic->partition_count);
  uk_store_u64(row + 12, (uint64_t)topic->retention_ms);
  uk_store_u64(row + 20, (uint64_t)topic->retention_bytes);
  uk_store_u64(row + 28, (uint64_t)topic->created);
  return put(store, UK_LOG_TOPICS, text_key(uk_log_topic_name(topic)), row, sizeof row);
}

enum uk_log_status uk_log_store_delete_topic(struct uk_log_store *store, struct uk_slice name)
{
  MDB_val key = text_key(name);
  return uk_log_store_result(store, mdb_del(store->txn, store->tables[UK_LOG_TOPICS], &key, NULL));
}

enum uk_log_status uk_log_store_put_next_topic(struct uk_log_store *store, uint64_t id)
{
  return put_number(store, UK_LOG_META, text_key(uk_slice_text("next_topic")), id);
}

enum uk_log_status uk_log_store_probe(struct uk_log_store *store)
{
  return put_number(store, UK_LOG_META, text_key(uk_slice_text("probe")), 0);
}

enum uk_log_status uk_log_store_put_batch(struct uk_log_store *store,
                                          const struct uk_log_partition *partition, int64_t offset,
                                          struct uk_slice batch)
{
  uint8_t key[UK_LOG_KEY];
  return put(store, UK_LOG_BATCHES,
             uk_log_key(key, partition->topic->id, partition->index, (uint64_t)offset), batch.data,
             batch.length);
}

enum uk_log_status uk_log_store_put_time(struct uk_log_store *store,
                                         const struct uk_log_partition *partition,
                                         int64_t timestamp, int64_t offset)
{
  uint8_t key[UK_LOG_KEY];
  return put_number(
    store, UK_LOG_TIMES,
    uk_log_key(key, partition->topic->id, partition->index, uk_log_key_time(timestamp)),
    (uint64_t)offset);
}

enum uk_log_status uk_log_store_put_committed(struct uk_log_store *store,
                                              const struct uk_log_partition *partition,
                                              struct uk_slice group, int64_t offset)
{
  uint8_t key[UK_LOG_KEY_MAX];
  uk_log_key_prefix(key, partition->topic->id, partition->index);
  memcpy(key + UK_LOG_PREFIX, group.data, group.length);
  return put_number(store, UK_LOG_COMMITTED, (MDB_val){UK_LOG_PREFIX + group.length, key},
                    (uint64_t)offset);
}

/* Removal. Each step looks its row up again: a deletion may have moved the row under a cursor. */

struct trim {
  const struct uk_log_partition *partition;
  int64_t before, keep_bytes;
  uint8_t prefix[UK_LOG_PREFIX];
  int64_t first; /* the first kept offset */
};

/* An impossible position is damage, and removes nothing. */
static bool expendable(const struct trim *trim, const struct uk_log_batch *batch, size_t size)
{
  uint64_t all = trim->partition->position;
  if (batch->max_timestamp < trim->before)
    return true;
  return trim->keep_bytes >= 0 && batch->position <= all && size <= all - batch->position &&
         all - batch->position - size >= (uint64_t)trim->keep_bytes;
}

/* Removes the partition's first batch if it has expired; `*more` says whether it had. */
static int trim_batch(struct trim *trim, MDB_cursor *cursor, bool *more)
{
  uint8_t bytes[UK_LOG_KEY];
  struct uk_log_batch batch;
  MDB_val value, key = uk_log_key(bytes, trim->partition->topic->id, trim->partition->index, 0);
  int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  *more = rc == 0 && uk_log_key_within(&key, trim->prefix) &&
          uk_log_batch_read(&batch, uk_slice_of(value.mv_data, value.mv_size)) && batch.count > 0 &&
          expendable(trim, &batch, value.mv_size);
  if (!*more)
    return rc == MDB_NOTFOUND ? 0 : rc;
  trim->first = (int64_t)uk_log_key_last(&key) + batch.count;
  return mdb_cursor_del(cursor, 0);
}

/* Removes the first entry when both its batch and that of the next entry are gone. */
static int trim_time(struct trim *trim, MDB_cursor *cursor, bool *more)
{
  uint8_t bytes[UK_LOG_KEY];
  MDB_val value, key = uk_log_key(bytes, trim->partition->topic->id, trim->partition->index, 0);
  int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (rc == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  *more = rc == 0 && uk_log_key_within(&key, trim->prefix) && value.mv_size == 8 &&
          (int64_t)uk_load_u64(value.mv_data) < trim->first;
  if (!*more)
    return rc == MDB_NOTFOUND ? 0 : rc;
  rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
  return rc == 0 ? mdb_cursor_del(cursor, 0) : rc;
}

typedef int trim_step(struct trim *trim, MDB_cursor *cursor, bool *more);

static enum uk_log_status trim_table(struct uk_log_store *store, enum uk_log_table table,
                                     struct trim *trim, trim_step *step, unsigned *budget)
{
  MDB_cursor *cursor;
  bool more = true;
  int rc = mdb_cursor_open(store->txn, store->tables[table], &cursor);
  if (rc != 0)
    return uk_log_store_result(store, rc);
  while (more && *budget > 0 && (rc = step(trim, cursor, &more)) == 0)
    *budget -= more;
  mdb_cursor_close(cursor);
  return uk_log_store_result(store, rc);
}

static enum uk_log_status put_marker(struct uk_log_store *store,
                                     const struct uk_log_partition *partition)
{
  struct uk_log_builder builder;
  uk_log_builder_init(&builder);
  struct uk_slice marker = uk_log_builder_seal(&builder, partition->position);
  enum uk_log_status status = UK_LOG_NO_MEMORY;
  if (marker.length > 0)
    status = uk_log_store_put_batch(store, partition, partition->end, marker);
  uk_log_builder_free(&builder);
  return status;
}

enum uk_log_status uk_log_store_trim(struct uk_log_store *store,
                                     const struct uk_log_partition *partition, int64_t before,
                                     int64_t keep_bytes, unsigned *budget, int64_t *first)
{
  struct trim trim = {partition, before, keep_bytes, {0}, partition->first};
  unsigned all = UINT32_MAX;
  uk_log_key_prefix(trim.prefix, partition->topic->id, partition->index);
  enum uk_log_status status = trim_table(store, UK_LOG_BATCHES, &trim, trim_batch, budget);
  *first = trim.first;
  if (status != UK_LOG_OK || trim.first == partition->first)
    return status;
  status = trim_table(store, UK_LOG_TIMES, &trim, trim_time, &all);
  if (status == UK_LOG_OK && trim.first == partition->end)
    status = put_marker(store, partition);
  return status;
}

static int purge_table(MDB_cursor *cursor, uint64_t topic_id, unsigned *budget)
{
  uint8_t prefix[8];
  uk_store_u64(prefix, topic_id);
  for (; *budget > 0; --*budget) {
    MDB_val value, key = {sizeof prefix, prefix};
    int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (rc != 0)
      return rc == MDB_NOTFOUND ? 0 : rc;
    if (key.mv_size < sizeof prefix || memcmp(key.mv_data, prefix, sizeof prefix) != 0)
      return 0;
    if ((rc = mdb_cursor_del(cursor, 0)) != 0)
      return rc;
  }
  return 0;
}

enum uk_log_status uk_log_store_purge(struct uk_log_store *store, uint64_t topic_id,
                                      unsigned *budget)
{
  int rc = 0;
  for (int table = UK_LOG_BATCHES; rc == 0 && table <= UK_LOG_COMMITTED; table++) {
    MDB_cursor *cursor;
    if ((rc = mdb_cursor_open(store->txn, store->tables[table], &cursor)) != 0)
      break;
    rc = purge_table(cursor, topic_id, budget);
    mdb_cursor_close(cursor);
  }
  return uk_log_store_result(store, rc);
}
