#include <errno.h>

#include "server/log_engine/log_store_private.h"

enum uk_log_status uk_log_store_run(struct uk_log_store *store,
                                    enum uk_log_status (*step)(void *argument), void *argument)
{
  struct uk_log_guard guard = {.writes = true};
  if (atomic_load(&store->dying))
    return UK_LOG_FAILED;
  if (UK_LOG_GUARD(&guard)) {
    enum uk_log_status status = step(argument);
    uk_log_guard_leave(&guard);
    return status;
  }
  enum uk_log_status status = uk_log_store_die(store, &guard);
  store->txn = NULL;
  return status;
}

enum uk_log_status uk_log_store_begin(struct uk_log_store *store)
{
  if (store->env == NULL || atomic_load(&store->dying))
    return UK_LOG_FAILED;
  store->doubtful = 0;
  store->next_has_keys = store->has_keys;
  int rc = mdb_txn_begin(store->env, NULL, 0, &store->txn);
  if (rc == 0 && (rc = uk_log_store_settle(store)) != 0)
    uk_log_store_abort(store);
  return uk_log_store_result(store, rc);
}

/* LMDB writes the pages, syncs them, and writes the meta page last, which makes the commit count.
 * When that last write fails, LMDB writes the old page over it, which may fail too, and begins no
 * more transactions. */
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
  if (atomic_load(&store->dying))
    return UK_LOG_FAILED;
  store->commits = true;
  const uint64_t id = mdb_txn_id(txn);
  int rc = mdb_txn_commit(txn);
  store->commits = false;
  if (rc == 0) {
    store->has_keys = store->next_has_keys;
    uk_log_store_settled(store);
  }
  if (rc == 0 || !is_uncertain(store))
    return uk_log_store_result(store, rc);
  uk_log_store_note_failure(store, rc);
  store->doubtful = id;
  return UK_LOG_UNCERTAIN;
}

bool uk_log_store_is_proven(const struct uk_log_store *store)
{
  return mdb_txn_id(store->txn) > store->opened + 1;
}

void uk_log_store_abort(struct uk_log_store *store)
{
  MDB_txn *txn = store->txn;
  store->txn = NULL;
  store->settles = false;
  if (!atomic_load(&store->dying))
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
  uint8_t value[UK_LOG_NUMBER];
  uk_store_u64(value, number);
  uk_store_u32(value + 8, uk_log_row_sum(&key, value, 8));
  return put(store, table, key, value, sizeof value);
}

static MDB_val text_key(struct uk_slice text)
{
  return (MDB_val){text.length, (void *)(uintptr_t)text.data};
}

int uk_log_topic_row_put(MDB_txn *txn, MDB_dbi table, MDB_val *key, uint8_t *row,
                         const uint8_t *life)
{
  uint8_t *id = row + UK_LOG_TOPIC_ROW_1 + 4;
  MDB_val value = {UK_LOG_TOPIC_ROW, row};
  uk_store_u32(row + UK_LOG_TOPIC_ROW_1, 0);
  if (life != NULL)
    memcpy(id, life, UK_LOG_ID_BYTES);
  else if (!uk_log_random_id(id))
    return EIO;
  uk_store_u32(row + UK_LOG_TOPIC_ROW - 4, uk_log_row_sum(key, row, UK_LOG_TOPIC_ROW - 4));
  return mdb_put(txn, table, key, &value, 0);
}

enum uk_log_status uk_log_store_copy_topic(struct uk_log_store *store,
                                           const struct uk_log_topic *topic)
{
  uint8_t row[UK_LOG_TOPIC_ROW];
  MDB_val key = text_key(uk_log_topic_name(topic));
  uk_store_u64(row, topic->id);
  uk_store_u32(row + 8, (uint32_t)topic->partition_count);
  uk_store_u64(row + 12, (uint64_t)topic->retention_ms);
  uk_store_u64(row + 20, (uint64_t)topic->retention_bytes);
  uk_store_u64(row + 28, (uint64_t)topic->created);
  return uk_log_store_result(
    store, uk_log_topic_row_put(store->txn, store->tables[UK_LOG_TOPICS], &key, row, topic->life));
}

enum uk_log_status uk_log_store_put_topic(struct uk_log_store *store, struct uk_log_topic *topic)
{
  if (!uk_log_random_id(topic->life))
    return uk_log_store_result(store, EIO);
  return uk_log_store_copy_topic(store, topic);
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

/* True when the row is a marker, which a batch replaces. */
static bool is_marker(const MDB_val *value)
{
  struct uk_log_batch batch;
  return uk_log_batch_read(&batch, uk_slice_of(value->mv_data, value->mv_size)) && batch.span == 0;
}

/* Never writes over a batch: its offsets would be given twice. */
enum uk_log_status uk_log_store_put_batch(struct uk_log_store *store,
                                          const struct uk_log_partition *partition, int64_t offset,
                                          struct uk_slice batch)
{
  uint8_t bytes[UK_LOG_KEY];
  MDB_dbi table = store->tables[UK_LOG_BATCHES];
  MDB_val key = uk_log_key(bytes, partition->topic->id, partition->index, (uint64_t)offset);
  MDB_val value = {batch.length, (void *)(uintptr_t)batch.data};
  int rc = mdb_put(store->txn, table, &key, &value, MDB_NOOVERWRITE);
  if (rc != MDB_KEYEXIST)
    return uk_log_store_result(store, rc);
  if (!is_marker(&value))
    return UK_LOG_DAMAGED;
  value = (MDB_val){batch.length, (void *)(uintptr_t)batch.data};
  return uk_log_store_result(store, mdb_put(store->txn, table, &key, &value, 0));
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

static MDB_val committed_key(uint8_t bytes[static UK_LOG_KEY_MAX],
                             const struct uk_log_partition *partition, struct uk_slice group)
{
  uk_log_key_prefix(bytes, partition->topic->id, partition->index);
  memcpy(bytes + UK_LOG_PREFIX, group.data, group.length);
  return (MDB_val){UK_LOG_PREFIX + group.length, bytes};
}

enum uk_log_status uk_log_store_put_committed(struct uk_log_store *store,
                                              const struct uk_log_partition *partition,
                                              struct uk_slice group, int64_t offset)
{
  uint8_t bytes[UK_LOG_KEY_MAX];
  return put_number(store, UK_LOG_COMMITTED, committed_key(bytes, partition, group),
                    (uint64_t)offset);
}

bool uk_log_store_has_committed(struct uk_log_store *store,
                                const struct uk_log_partition *partition, struct uk_slice group,
                                int64_t offset, int64_t end)
{
  uint8_t bytes[UK_LOG_KEY_MAX];
  MDB_val key = committed_key(bytes, partition, group), value;
  uint64_t number;
  return mdb_get(store->txn, store->tables[UK_LOG_COMMITTED], &key, &value) == 0 &&
         uk_log_row_number(&store->meta, &key, &value, &number) && (int64_t)number >= offset &&
         ((int64_t)number <= end || offset > end);
}

enum uk_log_status uk_log_store_put_purge(struct uk_log_store *store, uint64_t topic_id)
{
  uint8_t key[8];
  uk_store_u64(key, topic_id);
  return put(store, UK_LOG_PURGES, (MDB_val){sizeof key, key}, "", 0);
}

/* Removal. Each step looks its row up again: a deletion may have moved the row under a cursor. */

struct trim {
  const struct uk_log_store *store;
  const struct uk_log_partition *partition;
  const struct uk_log_times *times;
  uint8_t prefix[UK_LOG_PREFIX];
  int64_t first; /* the first kept offset */
};

static bool is_expired(const struct trim *trim, const struct uk_log_batch *batch, int64_t offset)
{
  const struct uk_log_partition *partition = trim->partition;
  int64_t upgraded = uk_log_store_upgraded(trim->store);
  const struct uk_log_age age = {.latest = batch->max_timestamp,
                                 .arrival = batch->version == 1 ? upgraded : batch->arrival,
                                 .stamped = batch->stamped,
                                 .since_open = offset >= partition->opened_end};
  return uk_log_clock_is_expired(trim->times, &age, partition->topic->retention_ms);
}

/* An impossible position is damage, and removes nothing. */
static bool is_beyond_size(const struct trim *trim, const struct uk_log_batch *batch, size_t size)
{
  uint64_t all = trim->partition->position;
  int64_t keep = trim->partition->topic->retention_bytes;
  return keep >= 0 && batch->position <= all && size <= all - batch->position &&
         all - batch->position - size >= (uint64_t)keep;
}

/* Removes the partition's first batch if it may go; `*more` says whether it did. A damaged batch
 * stays: nothing that it says of its age can be believed. */
static int trim_batch(struct trim *trim, MDB_cursor *cursor, bool *more)
{
  uint8_t bytes[UK_LOG_KEY];
  struct uk_log_batch batch;
  MDB_val value, key = uk_log_key(bytes, trim->partition->topic->id, trim->partition->index, 0);
  int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  *more = false;
  if (rc != 0 || !uk_log_key_within(&key, trim->prefix))
    return rc == MDB_NOTFOUND ? 0 : rc;
  const struct uk_slice found = uk_slice_of(value.mv_data, value.mv_size);
  const struct uk_log_place place = uk_log_key_place(&key);
  *more = uk_log_batch_read(&batch, found) && batch.span > 0 &&
          (is_expired(trim, &batch, place.offset) || is_beyond_size(trim, &batch, found.length)) &&
          uk_log_batch_verify(&batch, &place, found);
  if (!*more)
    return 0;
  trim->first = place.offset + batch.span;
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
  uint64_t offset;
  *more = rc == 0 && uk_log_key_within(&key, trim->prefix) &&
          uk_log_row_number(&trim->store->meta, &key, &value, &offset) &&
          offset < (uint64_t)trim->first;
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
  const struct uk_log_seal seal = {
    .place = {partition->topic->id, partition->index, partition->end},
    .position = partition->position,
    .life = uk_log_store_life(store),
  };
  uk_log_builder_init(&builder);
  struct uk_slice marker = uk_log_builder_seal(&builder, &seal);
  enum uk_log_status status = UK_LOG_NO_MEMORY;
  if (marker.length > 0)
    status = uk_log_store_put_batch(store, partition, partition->end, marker);
  uk_log_builder_free(&builder);
  return status;
}

enum uk_log_status uk_log_store_trim(struct uk_log_store *store,
                                     const struct uk_log_partition *partition,
                                     const struct uk_log_times *times, unsigned *budget,
                                     int64_t *first)
{
  struct trim trim = {store, partition, times, {0}, partition->first};
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

/* Names the purge that goes on, or forgets the one that is over. */
static int note_purge(struct uk_log_store *store, uint64_t topic_id, bool over)
{
  uint8_t bytes[8];
  MDB_val key = {sizeof bytes, bytes}, value = {0, ""};
  uk_store_u64(bytes, topic_id);
  int rc = over ? mdb_del(store->txn, store->tables[UK_LOG_PURGES], &key, NULL)
                : mdb_put(store->txn, store->tables[UK_LOG_PURGES], &key, &value, 0);
  return rc == MDB_NOTFOUND ? 0 : rc;
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
  if (rc == 0)
    rc = note_purge(store, topic_id, *budget > 0);
  return uk_log_store_result(store, rc);
}

/* The row under the cursor goes if it names an offset beyond the end; then the next one is looked
 * up by its key. */
static int drop_beyond(struct uk_log_store *store, const struct uk_log_partition *partition,
                       MDB_cursor *cursor, MDB_val *key, MDB_val *value, size_t *count)
{
  char bytes[512]; /* LMDB's keys have 511 bytes at most */
  uint64_t offset;
  if (!uk_log_row_number(&store->meta, key, value, &offset) || offset <= (uint64_t)partition->end)
    return mdb_cursor_get(cursor, key, value, MDB_NEXT);
  memcpy(bytes, key->mv_data, key->mv_size);
  key->mv_data = bytes;
  ++*count;
  int rc = mdb_cursor_del(cursor, 0);
  return rc == 0 ? mdb_cursor_get(cursor, key, value, MDB_SET_RANGE) : rc;
}

enum uk_log_status uk_log_store_drop_committed(struct uk_log_store *store,
                                               const struct uk_log_partition *partition,
                                               size_t *count)
{
  uint8_t prefix[UK_LOG_PREFIX];
  MDB_cursor *cursor;
  MDB_val value, key = {sizeof prefix, prefix};
  uk_log_key_prefix(prefix, partition->topic->id, partition->index);
  int rc = mdb_cursor_open(store->txn, store->tables[UK_LOG_COMMITTED], &cursor);
  if (rc != 0)
    return uk_log_store_result(store, rc);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  while (rc == 0 && key.mv_size >= sizeof prefix && memcmp(key.mv_data, prefix, sizeof prefix) == 0)
    rc = drop_beyond(store, partition, cursor, &key, &value, count);
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? UK_LOG_OK : uk_log_store_result(store, rc);
}
