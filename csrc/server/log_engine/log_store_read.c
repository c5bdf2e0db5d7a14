#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/log_engine/log_store_private.h"

/* The pool of views. A new view takes an LMDB reader slot for good; a pooled one costs a few
 * loads. */

static void free_view(struct uk_log_view *view)
{
  for (int i = 0; i < UK_LOG_TABLES; i++) {
    if (view->cursors[i] != NULL)
      mdb_cursor_close(view->cursors[i]);
  }
  if (view->txn != NULL)
    mdb_txn_abort(view->txn);
  free(view);
}

void uk_log_store_drop_views(struct uk_log_store *store)
{
  while (store->pool != NULL) {
    struct uk_log_view *view = store->pool;
    store->pool = view->next;
    free_view(view);
  }
}

/* LMDB notices some damage itself. It is no safer to go on with the file then than after a fault:
 * the pages that it has not looked at yet are of the same file. When LMDB notices it while it opens
 * a cursor, the next call says only that the transaction is bad. */
enum uk_log_status uk_log_view_status(struct uk_log_view *view, int rc)
{
  struct uk_log_guard met = {.writes = false};
  if (rc != MDB_CORRUPTED && rc != MDB_PAGE_NOTFOUND && rc != MDB_BAD_TXN)
    return uk_log_store_status(rc);
  snprintf(met.text, sizeof met.text, "%s", mdb_strerror(rc == MDB_BAD_TXN ? MDB_CORRUPTED : rc));
  return uk_log_store_die(view->store, &met);
}

static struct uk_log_view *take_view(struct uk_log_store *store)
{
  pthread_mutex_lock(&store->pool_mutex);
  struct uk_log_view *view = store->pool;
  if (view != NULL)
    store->pool = view->next;
  pthread_mutex_unlock(&store->pool_mutex);
  return view;
}

static int start_view(struct uk_log_store *store, struct uk_log_view **view)
{
  *view = take_view(store);
  if (*view != NULL)
    return mdb_txn_renew((*view)->txn);
  *view = calloc(1, sizeof **view);
  if (*view == NULL)
    return ENOMEM;
  (*view)->store = store;
  return mdb_txn_begin(store->env, NULL, MDB_RDONLY, &(*view)->txn);
}

/* The view is lost after a fault: LMDB may have half begun it. */
static enum uk_log_status start_guarded(struct uk_log_store *store, struct uk_log_view **view)
{
  struct uk_log_guard guard = {.writes = false};
  if (store->env == NULL || atomic_load(&store->dying))
    return UK_LOG_FAILED;
  if (UK_LOG_GUARD(&guard)) {
    enum uk_log_status status = uk_log_store_status(start_view(store, view));
    uk_log_guard_leave(&guard);
    return status;
  }
  *view = NULL;
  return uk_log_store_die(store, &guard);
}

struct uk_log_view *uk_log_view_begin(struct uk_log_store *store, enum uk_log_status *status)
{
  struct uk_log_view *view = NULL;
  uk_log_gate_enter(&store->gate);
  *status = start_guarded(store, &view);
  if (*status == UK_LOG_OK)
    return view;
  if (view != NULL)
    free_view(view);
  uk_log_gate_leave(&store->gate);
  return NULL;
}

/* A dead store's views are kept as they are. */
static void reset(struct uk_log_view *view)
{
  struct uk_log_guard guard = {.writes = false};
  if (atomic_load(&view->store->dying))
    return;
  if (UK_LOG_GUARD(&guard)) {
    mdb_txn_reset(view->txn);
    uk_log_guard_leave(&guard);
  } else {
    uk_log_store_die(view->store, &guard);
  }
}

enum uk_log_status uk_log_view_run(struct uk_log_view *view,
                                   void (*step)(struct uk_log_view *view, void *argument),
                                   void *argument)
{
  struct uk_log_guard guard = {.writes = false};
  if (atomic_load(&view->store->dying))
    return UK_LOG_FAILED;
  if (UK_LOG_GUARD(&guard)) {
    step(view, argument);
    uk_log_guard_leave(&guard);
    return UK_LOG_OK;
  }
  return uk_log_store_die(view->store, &guard);
}

void uk_log_view_end(struct uk_log_view *view)
{
  struct uk_log_store *store = view->store;
  reset(view);
  memset(view->current, 0, sizeof view->current);
  pthread_mutex_lock(&store->pool_mutex);
  view->next = store->pool;
  store->pool = view;
  pthread_mutex_unlock(&store->pool_mutex);
  uk_log_gate_leave(&store->gate);
}

struct uk_log_cursor *uk_log_view_cursor(struct uk_log_view *view)
{
  return &view->cursor;
}

int uk_log_view_use_cursor(struct uk_log_view *view, enum uk_log_table table, MDB_cursor **cursor)
{
  int rc = 0;
  if (view->cursors[table] == NULL)
    rc = mdb_cursor_open(view->txn, view->store->tables[table], &view->cursors[table]);
  else if (!view->current[table])
    rc = mdb_cursor_renew(view->txn, view->cursors[table]);
  view->current[table] = rc == 0;
  *cursor = view->cursors[table];
  return rc;
}

/* Batches. */

static enum uk_log_status found_batch(struct uk_log_view *view, int rc, const MDB_val *key,
                                      const MDB_val *value, struct uk_log_found *found)
{
  if (rc != 0)
    return uk_log_view_status(view, rc);
  if (!uk_log_key_within(key, view->prefix))
    return UK_LOG_NOTHING;
  found->place = uk_log_key_place(key);
  found->batch = uk_slice_of(value->mv_data, value->mv_size);
  return UK_LOG_OK;
}

/* True when the batch under the cursor belongs to the partition and reaches beyond the offset, or
 * is damaged: then it may have reached beyond it, and the reader gets an error. */
static bool may_hold(const struct uk_log_view *view, const MDB_val *key, const MDB_val *value,
                     int64_t offset)
{
  struct uk_log_batch batch;
  const struct uk_slice bytes = uk_slice_of(value->mv_data, value->mv_size);
  if (!uk_log_key_within(key, view->prefix))
    return false;
  const struct uk_log_place place = uk_log_key_place(key);
  return !uk_log_batch_read(&batch, bytes) || offset - place.offset < (int64_t)batch.span ||
         !uk_log_batch_verify(&batch, &place, bytes);
}

/* True when LMDB has looked: it found an entry, or there is none. */
static bool answered(int rc)
{
  return rc == 0 || rc == MDB_NOTFOUND;
}

enum uk_log_status uk_log_view_find(struct uk_log_view *view, uint64_t topic_id, int32_t partition,
                                    int64_t offset, struct uk_log_found *found)
{
  uint8_t bytes[UK_LOG_KEY];
  MDB_cursor *cursor;
  MDB_val value, key = uk_log_key(bytes, topic_id, partition, (uint64_t)offset);
  memcpy(view->prefix, bytes, UK_LOG_PREFIX);
  int rc = uk_log_view_use_cursor(view, UK_LOG_BATCHES, &cursor);
  if (rc != 0)
    return uk_log_view_status(view, rc);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (rc == 0 && uk_log_key_within(&key, view->prefix) && (int64_t)uk_log_key_last(&key) == offset)
    return found_batch(view, 0, &key, &value, found);
  /* No batch begins at the offset: the one before may hold it. */
  if (answered(rc))
    rc = mdb_cursor_get(cursor, &key, &value, rc == 0 ? MDB_PREV : MDB_LAST);
  if (!answered(rc))
    return uk_log_view_status(view, rc);
  if (rc == 0 && may_hold(view, &key, &value, offset))
    return found_batch(view, 0, &key, &value, found);
  key = uk_log_key(bytes, topic_id, partition, (uint64_t)offset);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  return found_batch(view, rc, &key, &value, found);
}

enum uk_log_status uk_log_view_next(struct uk_log_view *view, struct uk_log_found *found)
{
  MDB_val key, value;
  int rc = mdb_cursor_get(view->cursors[UK_LOG_BATCHES], &key, &value, MDB_NEXT);
  return found_batch(view, rc, &key, &value, found);
}

/* Times. */

/* Scans the batches, for a timestamp that removed ones had reached. */
static enum uk_log_status scan_time(struct uk_log_view *view, int64_t timestamp,
                                    enum uk_log_status status, struct uk_log_found *found)
{
  struct uk_log_batch batch;
  while (status == UK_LOG_OK && uk_log_batch_read(&batch, found->batch) &&
         (batch.count == 0 || batch.max_timestamp < timestamp))
    status = uk_log_view_next(view, found);
  return status;
}

enum uk_log_status uk_log_view_find_time(struct uk_log_view *view, uint64_t topic_id,
                                         int32_t partition, int64_t timestamp,
                                         struct uk_log_found *found)
{
  uint8_t bytes[UK_LOG_KEY];
  MDB_cursor *cursor;
  MDB_val value, key = uk_log_key(bytes, topic_id, partition, uk_log_key_time(timestamp));
  memcpy(view->prefix, bytes, UK_LOG_PREFIX);
  int rc = uk_log_view_use_cursor(view, UK_LOG_TIMES, &cursor);
  if (rc == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (rc != 0)
    return uk_log_view_status(view, rc);
  if (!uk_log_key_within(&key, view->prefix))
    return UK_LOG_NOTHING;
  uint64_t base;
  enum uk_log_status status = UK_LOG_OK;
  if (uk_log_row_number(&view->store->meta, &key, &value, &base)) {
    status = uk_log_view_find(view, topic_id, partition, (int64_t)base, found);
    if (status != UK_LOG_OK || found->place.offset == (int64_t)base)
      return status;
  }
  status = uk_log_view_find(view, topic_id, partition, 0, found);
  return scan_time(view, timestamp, status, found);
}

enum uk_log_status uk_log_view_committed(struct uk_log_view *view, uint64_t topic_id,
                                         int32_t partition, struct uk_slice group, int64_t *offset)
{
  uint8_t bytes[UK_LOG_KEY_MAX];
  if (group.length > UK_GROUP_NAME_MAX)
    return UK_LOG_NOTHING;
  uk_log_key_prefix(bytes, topic_id, partition);
  memcpy(bytes + UK_LOG_PREFIX, group.data, group.length);
  MDB_val value, key = {UK_LOG_PREFIX + group.length, bytes};
  int rc = mdb_get(view->txn, view->store->tables[UK_LOG_COMMITTED], &key, &value);
  if (rc != 0)
    return uk_log_view_status(view, rc);
  uint64_t number;
  if (!uk_log_row_number(&view->store->meta, &key, &value, &number))
    return UK_LOG_DAMAGED;
  *offset = (int64_t)number;
  return UK_LOG_OK;
}

/* For open. */

/* Moves to the partition's last entry, which comes before the next partition's first. */
static int last_of_partition(MDB_cursor *cursor, const struct uk_log_partition *partition,
                             MDB_val *key, MDB_val *value)
{
  uint8_t bytes[UK_LOG_KEY], prefix[UK_LOG_PREFIX];
  uk_log_key_prefix(prefix, partition->topic->id, partition->index);
  *key = uk_log_key(bytes, partition->topic->id, partition->index + 1, 0);
  int rc = mdb_cursor_get(cursor, key, value, MDB_SET_RANGE);
  if (answered(rc))
    rc = mdb_cursor_get(cursor, key, value, rc == 0 ? MDB_PREV : MDB_LAST);
  return rc == 0 && !uk_log_key_within(key, prefix) ? MDB_NOTFOUND : rc;
}

/* The last entry must name the last batch or one before it. Otherwise the last batch is not the one
 * that was written last. */
static int load_times(struct uk_log_view *view, struct uk_log_partition *partition, int64_t last)
{
  MDB_cursor *cursor;
  MDB_val key, value;
  uint64_t base;
  int rc = uk_log_view_use_cursor(view, UK_LOG_TIMES, &cursor);
  if (rc == 0)
    rc = last_of_partition(cursor, partition, &key, &value);
  if (rc != 0)
    return rc == MDB_NOTFOUND ? 0 : rc;
  partition->latest = (int64_t)uk_log_key_time((int64_t)uk_log_key_last(&key));
  if (!uk_log_row_number(&view->store->meta, &key, &value, &base) || base > (uint64_t)last)
    partition->damaged = true;
  return 0;
}

/* A partition whose last batch is damaged ends in it as far as readers know: so they are told. */
static void load_end(struct uk_log_partition *partition, const struct uk_log_place *last,
                     struct uk_slice bytes)
{
  struct uk_log_batch batch;
  partition->damaged = !uk_log_batch_verify(&batch, last, bytes);
  partition->end = last->offset + (partition->damaged ? 1 : (int64_t)batch.span);
  if (!partition->damaged)
    partition->position = batch.position + (batch.span > 0 ? bytes.length : 0);
  partition->opened_end = partition->end;
}

static int load_partition(struct uk_log_view *view, struct uk_log_partition *partition)
{
  MDB_cursor *cursor;
  MDB_val key, value;
  struct uk_log_found first;
  int rc = uk_log_view_use_cursor(view, UK_LOG_BATCHES, &cursor);
  if (rc == 0)
    rc = last_of_partition(cursor, partition, &key, &value);
  if (rc != 0)
    return rc == MDB_NOTFOUND ? 0 : rc;
  const struct uk_log_place last = uk_log_key_place(&key);
  load_end(partition, &last, uk_slice_of(value.mv_data, value.mv_size));
  enum uk_log_status status =
    uk_log_view_find(view, partition->topic->id, partition->index, 0, &first);
  if (status != UK_LOG_OK)
    return status == UK_LOG_NO_MEMORY ? ENOMEM : MDB_CORRUPTED;
  partition->first = first.place.offset;
  return load_times(view, partition, last.offset);
}

bool uk_log_topic_row_is_whole(const struct uk_log_meta *meta, const MDB_val *key,
                               const MDB_val *value)
{
  bool old = value->mv_size == UK_LOG_TOPIC_ROW_1 && meta->format == 1;
  if (!old && !uk_log_row_is_whole(key, value, UK_LOG_TOPIC_ROW))
    return false;
  const uint8_t *row = value->mv_data;
  uint32_t partitions = uk_load_u32(row + 8);
  return partitions >= 1 && partitions <= UK_PARTITIONS_MAX;
}

void uk_log_topic_row_read(struct uk_log_topic *topic, const MDB_val *value)
{
  const uint8_t *row = value->mv_data;
  topic->id = uk_load_u64(row);
  topic->retention_ms = (int64_t)uk_load_u64(row + 12);
  topic->retention_bytes = (int64_t)uk_load_u64(row + 20);
  topic->created = (int64_t)uk_load_u64(row + 28);
  if (value->mv_size == UK_LOG_TOPIC_ROW)
    memcpy(topic->life, row + UK_LOG_TOPIC_ROW_1 + 4, UK_LOG_ID_BYTES);
}

/* A topic with a damaged row is known by its name alone; a name that no topic can have is none. */
static int load_topic(struct uk_log_view *view, struct uk_log_topics *topics, const MDB_val *key,
                      const MDB_val *value, uint64_t *next_id)
{
  const struct uk_slice name = uk_slice_of(key->mv_data, key->mv_size);
  bool whole = uk_log_topic_row_is_whole(&view->store->meta, key, value);
  if (!uk_topic_name_valid(name))
    return 0;
  struct uk_log_topic *topic =
    uk_log_topic_new(name, whole ? (int32_t)uk_load_u32((const uint8_t *)value->mv_data + 8) : 0);
  if (topic == NULL || !uk_log_topics_add(topics, topic)) {
    free(topic);
    return ENOMEM;
  }
  topic->visible = true;
  topic->damaged = !whole;
  if (!whole)
    return 0;
  uk_log_topic_row_read(topic, value);
  if (topic->id >= *next_id)
    *next_id = topic->id + 1;
  int rc = 0;
  for (int32_t i = 0; rc == 0 && i < topic->partition_count; i++)
    rc = load_partition(view, &topic->partitions[i]);
  return rc;
}

/* What the identity says counts once a copy was restored: its topics may have had those ids. */
static uint64_t least_next_id(const struct uk_log_store *store)
{
  uint64_t next = store->meta.next_topic;
  if (store->new_life != NULL && store->has_identity && store->identity.topics > next)
    next = store->identity.topics;
  return next;
}

enum uk_log_status uk_log_view_load(struct uk_log_view *view, struct uk_log_topics *topics,
                                    uint64_t *next_topic_id)
{
  MDB_cursor *cursor;
  MDB_val key, value;
  *next_topic_id = least_next_id(view->store);
  int rc = uk_log_view_use_cursor(view, UK_LOG_TOPICS, &cursor);
  if (rc == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  while (rc == 0) {
    if ((rc = load_topic(view, topics, &key, &value, next_topic_id)) == 0)
      rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  return uk_log_store_status(rc == MDB_NOTFOUND ? 0 : rc);
}

bool uk_log_view_names_purges(const struct uk_log_view *view)
{
  return view->store->meta.format == UK_LOG_FORMAT;
}

enum uk_log_status uk_log_view_next_purge(struct uk_log_view *view, uint64_t *id)
{
  uint8_t bytes[8];
  MDB_cursor *cursor;
  MDB_val value, key = {sizeof bytes, bytes};
  uk_store_u64(bytes, *id);
  int rc = uk_log_view_use_cursor(view, UK_LOG_PURGES, &cursor);
  if (rc == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  if (rc != 0)
    return uk_log_view_status(view, rc);
  if (key.mv_size != sizeof bytes)
    return UK_LOG_NOTHING;
  *id = uk_load_u64(key.mv_data);
  return UK_LOG_OK;
}

enum uk_log_status uk_log_view_next_id(struct uk_log_view *view, uint64_t *id)
{
  uint8_t bytes[8];
  uint64_t least = UINT64_MAX;
  uk_store_u64(bytes, *id);
  for (int table = UK_LOG_BATCHES; table <= UK_LOG_COMMITTED; table++) {
    MDB_cursor *cursor;
    MDB_val value, key = {sizeof bytes, bytes};
    int rc = uk_log_view_use_cursor(view, (enum uk_log_table)table, &cursor);
    if (rc == 0)
      rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    if (rc != 0 && rc != MDB_NOTFOUND)
      return uk_log_view_status(view, rc);
    if (rc == 0 && key.mv_size >= sizeof bytes && uk_load_u64(key.mv_data) < least)
      least = uk_load_u64(key.mv_data);
  }
  *id = least;
  return least == UINT64_MAX ? UK_LOG_NOTHING : UK_LOG_OK;
}
