/* The rows of `keys` and `expiries`. */
#include "server/log_engine/log_answer.h"
#include "server/log_engine/log_store_private.h"

enum { SUM = 4, EXPIRY = 8 };

/* Rows. */

size_t uk_log_key_row(uint8_t bytes[static UK_LOG_KEY_ROW_MAX], const struct uk_produce_key *key)
{
  if (key->user.length > UINT8_MAX || key->key.length > UK_IDEMPOTENCY_KEY_MAX)
    return 0;
  bytes[0] = (uint8_t)key->user.length;
  if (key->user.length > 0)
    memcpy(bytes + 1, key->user.data, key->user.length);
  memcpy(bytes + 1 + key->user.length, key->key.data, key->key.length);
  return 1 + key->user.length + key->key.length;
}

struct uk_slice uk_log_key_row_user(struct uk_slice row)
{
  size_t length = row.length > 0 ? (uint8_t)row.data[0] : 0;
  return length < row.length ? uk_slice_of(row.data + 1, length) : uk_slice_of("", 0);
}

static bool ends_with_sum(const MDB_val *key, const MDB_val *value, size_t least)
{
  return value->mv_size >= least + SUM && uk_log_row_is_whole(key, value, value->mv_size);
}

bool uk_log_key_row_read(const MDB_val *key, const MDB_val *value, struct uk_slice *answer)
{
  if (!ends_with_sum(key, value, UK_LOG_ANSWER_HEADER))
    return false;
  *answer = uk_slice_of(value->mv_data, value->mv_size - SUM);
  return true;
}

bool uk_log_expiry_row_read(const MDB_val *key, const MDB_val *value, struct uk_slice *row)
{
  if (key->mv_size != EXPIRY || !ends_with_sum(key, value, 1) ||
      value->mv_size - SUM > UK_LOG_KEY_ROW_MAX)
    return false;
  *row = uk_slice_of(value->mv_data, value->mv_size - SUM);
  return true;
}

/* The length of the answer in a row, which may be damaged. */
static size_t answer_length(const MDB_val *value)
{
  return value->mv_size > SUM ? value->mv_size - SUM : 0;
}

static MDB_val row_key(struct uk_slice row)
{
  return (MDB_val){row.length, (void *)(uintptr_t)row.data};
}

static MDB_val expiry_key(uint8_t *bytes, uint64_t end)
{
  uk_store_u64(bytes, end);
  return (MDB_val){EXPIRY, bytes};
}

/* One key. */

enum uk_log_status uk_log_store_find_key(struct uk_log_store *store, struct uk_slice row,
                                         struct uk_slice *answer)
{
  MDB_val key = row_key(row), value;
  int rc = mdb_get(store->txn, store->tables[UK_LOG_KEYS], &key, &value);
  if (rc != 0)
    return uk_log_store_result(store, rc);
  return uk_log_key_row_read(&key, &value, answer) ? UK_LOG_OK : UK_LOG_DAMAGED;
}

/* Times are given in their order, mostly. */
enum uk_log_status uk_log_store_put_expiry(struct uk_log_store *store, uint64_t end,
                                           struct uk_slice row)
{
  uint8_t time[EXPIRY], bytes[UK_LOG_KEY_ROW_MAX + SUM];
  MDB_val key = expiry_key(time, end), value = {row.length + SUM, bytes};
  memcpy(bytes, row.data, row.length);
  uk_store_u32(bytes + row.length, uk_log_row_sum(&key, bytes, row.length));
  int rc = mdb_put(store->txn, store->tables[UK_LOG_EXPIRIES], &key, &value, MDB_APPEND);
  if (rc == MDB_KEYEXIST)
    rc = mdb_put(store->txn, store->tables[UK_LOG_EXPIRIES], &key, &value, 0);
  return uk_log_store_result(store, rc);
}

static int remove_expiry(struct uk_log_store *store, uint64_t end)
{
  uint8_t time[EXPIRY];
  MDB_val key = expiry_key(time, end);
  int rc = mdb_del(store->txn, store->tables[UK_LOG_EXPIRIES], &key, NULL);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Puts the row. One that stands there has ended, or is about records that are gone. */
static int put_key(struct uk_log_store *store, MDB_val *key, MDB_val *value, size_t *replaced)
{
  struct uk_slice old;
  MDB_val found = *value;
  MDB_dbi table = store->tables[UK_LOG_KEYS];
  int rc = mdb_put(store->txn, table, key, &found, MDB_NOOVERWRITE);
  if (rc != MDB_KEYEXIST)
    return rc;
  *replaced = answer_length(&found);
  if (uk_log_key_row_read(key, &found, &old) &&
      (rc = remove_expiry(store, uk_log_answer_ends(old))) != 0)
    return rc;
  return mdb_put(store->txn, table, key, value, 0);
}

enum uk_log_status uk_log_store_put_key(struct uk_log_store *store, struct uk_slice row,
                                        struct uk_buffer *answer, size_t *replaced)
{
  uint8_t sum[SUM];
  MDB_val key = row_key(row);
  int rc = 0;
  *replaced = 0;
  uk_store_u32(sum, uk_log_row_sum(&key, answer->data, answer->length));
  if (uk_buffer_append(answer, sum, SUM) != UK_OK)
    return UK_LOG_NO_MEMORY;
  MDB_val value = {answer->length, answer->data};
  if (!store->next_has_keys)
    rc = uk_log_meta_need_keys(store->txn, store->tables[UK_LOG_META]);
  store->next_has_keys = true;
  if (rc == 0)
    rc = put_key(store, &key, &value, replaced);
  return uk_log_store_result(store, rc);
}

/* Expiry. Each step looks its row up again: a deletion may have moved the row under a cursor. */

enum uk_log_status uk_log_store_next_expiry(struct uk_log_store *store, uint64_t from,
                                            uint64_t *end, struct uk_slice *row)
{
  uint8_t time[EXPIRY];
  MDB_cursor *cursor;
  MDB_val key, value;
  int rc = mdb_cursor_open(store->txn, store->tables[UK_LOG_EXPIRIES], &cursor);
  if (rc != 0)
    return uk_log_store_result(store, rc);
  while (rc == 0) {
    key = expiry_key(time, from);
    rc = mdb_cursor_get(cursor, &key, &value, from == 0 ? MDB_FIRST : MDB_SET_RANGE);
    if (rc == 0 && uk_log_expiry_row_read(&key, &value, row)) {
      *end = uk_load_u64(key.mv_data);
      break;
    }
    if (rc == 0)
      rc = mdb_cursor_del(cursor, 0);
  }
  mdb_cursor_close(cursor);
  return uk_log_store_result(store, rc);
}

/* A row that ends at another time is named by another row. A damaged one may be this one. */
static bool ends_at(const MDB_val *key, const MDB_val *value, uint64_t end)
{
  struct uk_slice answer;
  return !uk_log_key_row_read(key, value, &answer) || uk_log_answer_ends(answer) == end;
}

enum uk_log_status uk_log_store_remove_key(struct uk_log_store *store, uint64_t end,
                                           struct uk_slice row, size_t *length)
{
  uint8_t bytes[UK_LOG_KEY_ROW_MAX];
  MDB_cursor *cursor;
  MDB_val value, key = {row.length, bytes};
  *length = 0;
  memcpy(bytes, row.data, row.length);
  int rc = mdb_cursor_open(store->txn, store->tables[UK_LOG_KEYS], &cursor);
  if (rc != 0)
    return uk_log_store_result(store, rc);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_SET);
  if (rc == 0 && ends_at(&key, &value, end)) {
    *length = answer_length(&value);
    rc = mdb_cursor_del(cursor, 0);
  }
  mdb_cursor_close(cursor);
  if (rc == 0 || rc == MDB_NOTFOUND)
    rc = remove_expiry(store, end);
  return uk_log_store_result(store, rc);
}

/* For open. */

enum uk_log_status uk_log_view_each_key(struct uk_log_view *view,
                                        bool (*each)(void *argument, struct uk_slice row,
                                                     size_t length, uint64_t end),
                                        void *argument)
{
  MDB_cursor *cursor;
  MDB_val key, value;
  struct uk_slice answer;
  if (view->store->meta.format != UK_LOG_FORMAT)
    return UK_LOG_OK;
  int rc = uk_log_view_use_cursor(view, UK_LOG_KEYS, &cursor);
  if (rc == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
  while (rc == 0) {
    uint64_t end = uk_log_key_row_read(&key, &value, &answer) ? uk_log_answer_ends(answer) : 0;
    if (!each(argument, uk_slice_of(key.mv_data, key.mv_size), answer_length(&value), end))
      return UK_LOG_NO_MEMORY;
    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  return rc == MDB_NOTFOUND ? UK_LOG_OK : uk_log_view_status(view, rc);
}

enum uk_log_status uk_log_view_last_expiry(struct uk_log_view *view, uint64_t *end)
{
  MDB_cursor *cursor;
  MDB_val key, value;
  struct uk_slice row;
  if (view->store->meta.format != UK_LOG_FORMAT)
    return UK_LOG_NOTHING;
  int rc = uk_log_view_use_cursor(view, UK_LOG_EXPIRIES, &cursor);
  if (rc == 0)
    rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
  while (rc == 0 && !uk_log_expiry_row_read(&key, &value, &row))
    rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
  if (rc != 0)
    return uk_log_view_status(view, rc);
  *end = uk_load_u64(key.mv_data);
  return UK_LOG_OK;
}
