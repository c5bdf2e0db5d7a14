#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "common/clock.h"
#include "server/log_engine/log_store_private.h"

const char *const uk_log_table_names[UK_LOG_TABLES] = {
  "meta", "topics", "batches", "times", "committed", "lives", "purges", "keys", "expiries"};
static const char NEEDS[] = "needs ";

bool uk_log_random_id(uint8_t *id)
{
  return getrandom(id, UK_LOG_ID_BYTES, 0) == UK_LOG_ID_BYTES;
}

int uk_log_meta_open_tables(MDB_txn *txn, MDB_dbi *tables, int from, int to, unsigned flags)
{
  int rc = 0;
  for (int i = from; rc == 0 && i < to; i++)
    rc = mdb_dbi_open(txn, uk_log_table_names[i], flags, &tables[i]);
  return rc == MDB_NOTFOUND ? UK_LOG_RC_DAMAGED : rc;
}

static MDB_val text_key(const char *text)
{
  return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

/* Sets `*found` to 0 where there is no row, and to UINT32_MAX where it is damaged. */
static int read_format(MDB_txn *txn, MDB_dbi meta, uint32_t *found)
{
  MDB_val key = text_key("format"), value;
  int rc = mdb_get(txn, meta, &key, &value);
  *found = 0;
  if (rc == 0)
    *found = value.mv_size == 4 ? uk_load_u32(value.mv_data) : UINT32_MAX;
  return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Leaves the number alone where there is no such row. */
static int read_number(MDB_txn *txn, MDB_dbi table, const struct uk_log_meta *meta,
                       const char *name, uint64_t *number)
{
  MDB_val key = text_key(name), value;
  int rc = mdb_get(txn, table, &key, &value);
  if (rc == 0 && !uk_log_row_number(meta, &key, &value, number))
    return UK_LOG_RC_DAMAGED;
  return rc == MDB_NOTFOUND ? 0 : rc;
}

static int read_id(MDB_txn *txn, MDB_dbi table, uint8_t *id)
{
  MDB_val key = text_key("log"), value;
  int rc = mdb_get(txn, table, &key, &value);
  if (rc == MDB_NOTFOUND || (rc == 0 && !uk_log_row_is_whole(&key, &value, UK_LOG_ID_BYTES + 4)))
    return UK_LOG_RC_DAMAGED;
  if (rc == 0)
    memcpy(id, value.mv_data, UK_LOG_ID_BYTES);
  return rc;
}

static int with_cursor(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value, MDB_cursor_op op)
{
  MDB_cursor *cursor;
  int rc = mdb_cursor_open(txn, table, &cursor);
  if (rc != 0)
    return rc;
  rc = mdb_cursor_get(cursor, key, value, op);
  mdb_cursor_close(cursor);
  return rc;
}

/* True for a row "needs NAME" of something that this program knows. */
static bool is_known(struct uk_slice name, const MDB_val *value, struct uk_log_meta *meta)
{
  bool known = uk_slice_is(name, "keys") && value->mv_size == 4 &&
               uk_load_u32(value->mv_data) == UK_LOG_KEYS_VERSION;
  meta->has_keys = meta->has_keys || known;
  return known;
}

/* Sets `unknown` to the first need that this program does not know. */
static int read_needs(MDB_txn *txn, MDB_dbi table, struct uk_log_meta *meta, char *unknown)
{
  MDB_val key = text_key(NEEDS), value;
  MDB_cursor *cursor;
  int rc = mdb_cursor_open(txn, table, &cursor);
  if (rc != 0)
    return rc;
  const size_t prefix = strlen(NEEDS);
  rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
  while (rc == 0 && key.mv_size >= prefix && memcmp(key.mv_data, NEEDS, prefix) == 0) {
    const struct uk_slice name =
      uk_slice_of((const char *)key.mv_data + prefix, key.mv_size - prefix);
    if (!is_known(name, &value, meta)) {
      snprintf(unknown, UK_LOG_NEEDS_MAX, "%.*s %u", (int)name.length, name.data,
               value.mv_size == 4 ? (unsigned)uk_load_u32(value.mv_data) : 0);
      break;
    }
    rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
  }
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

static int read_life(MDB_txn *txn, MDB_dbi table, uint32_t *life)
{
  MDB_val key, value;
  int rc = with_cursor(txn, table, &key, &value, MDB_LAST);
  if (rc == MDB_NOTFOUND ||
      (rc == 0 && (key.mv_size != 4 || !uk_log_row_is_whole(&key, &value, UK_LOG_LIFE_ROW))))
    return UK_LOG_RC_DAMAGED;
  if (rc == 0)
    *life = uk_load_u32(key.mv_data);
  return rc;
}

int uk_log_meta_read(MDB_txn *txn, MDB_dbi *tables, struct uk_log_meta *meta, char *unknown)
{
  MDB_dbi table = tables[UK_LOG_META];
  uint64_t upgraded = INT64_MAX;
  *meta = (struct uk_log_meta){.next_topic = 1, .upgraded = INT64_MAX};
  unknown[0] = '\0';
  int rc = read_format(txn, table, &meta->format);
  if (rc != 0 || meta->format < 1 || meta->format > UK_LOG_FORMAT)
    return rc;
  if ((rc = read_needs(txn, table, meta, unknown)) != 0 || unknown[0] != '\0')
    return rc;
  if (meta->format == UK_LOG_FORMAT)
    (void)((rc = read_id(txn, table, meta->id)) ||
           (rc = read_number(txn, table, meta, "upgraded", &upgraded)));
  meta->upgraded = (int64_t)upgraded;
  if (rc == 0)
    rc = read_number(txn, table, meta, "next_topic", &meta->next_topic);
  if (rc == 0)
    rc = uk_log_meta_open_tables(txn, tables, UK_LOG_META + 1,
                                 meta->format == 1 ? UK_LOG_TABLES_1 : UK_LOG_TABLES, 0);
  return rc == 0 && meta->format == UK_LOG_FORMAT
           ? read_life(txn, tables[UK_LOG_LIVES], &meta->life)
           : rc;
}

/* Writes a row of `length` bytes and its sum, for which `bytes` has room. */
static int put_row(MDB_txn *txn, MDB_dbi table, MDB_val key, uint8_t *bytes, size_t length)
{
  MDB_val value = {length + 4, bytes};
  uk_store_u32(bytes + length, uk_log_row_sum(&key, bytes, length));
  return mdb_put(txn, table, &key, &value, 0);
}

static int put_number(MDB_txn *txn, MDB_dbi table, const char *name, uint64_t number)
{
  uint8_t bytes[UK_LOG_NUMBER];
  uk_store_u64(bytes, number);
  return put_row(txn, table, text_key(name), bytes, 8);
}

static int put_format(MDB_txn *txn, MDB_dbi table, uint32_t format)
{
  uint8_t bytes[4];
  MDB_val key = text_key("format"), value = {sizeof bytes, bytes};
  uk_store_u32(bytes, format);
  return mdb_put(txn, table, &key, &value, 0);
}

static int put_id(MDB_txn *txn, MDB_dbi table, const uint8_t *id)
{
  uint8_t bytes[UK_LOG_ID_BYTES + 4];
  memcpy(bytes, id, UK_LOG_ID_BYTES);
  return put_row(txn, table, text_key("log"), bytes, UK_LOG_ID_BYTES);
}

static int put_life(MDB_txn *txn, MDB_dbi table, uint32_t life)
{
  uint8_t number[4], bytes[UK_LOG_LIFE_ROW];
  uk_store_u32(number, life);
  if (!uk_log_random_id(bytes))
    return EIO;
  uk_store_u64(bytes + UK_LOG_ID_BYTES, (uint64_t)uk_clock_epoch());
  return put_row(txn, table, (MDB_val){sizeof number, number}, bytes, UK_LOG_LIFE_ROW - 4);
}

int uk_log_meta_need_keys(MDB_txn *txn, MDB_dbi table)
{
  uint8_t bytes[4];
  MDB_val key = text_key("needs keys"), value = {sizeof bytes, bytes};
  uk_store_u32(bytes, UK_LOG_KEYS_VERSION);
  return mdb_put(txn, table, &key, &value, 0);
}

int uk_log_meta_write(MDB_txn *txn, const MDB_dbi *tables, const struct uk_log_meta *meta)
{
  MDB_dbi table = tables[UK_LOG_META];
  int rc;
  (void)((rc = put_format(txn, table, meta->format)) || (rc = put_id(txn, table, meta->id)) ||
         (rc = put_number(txn, table, "next_topic", meta->next_topic)) ||
         (rc = put_life(txn, tables[UK_LOG_LIVES], meta->life)));
  if (rc == 0 && meta->upgraded != INT64_MAX)
    rc = put_number(txn, table, "upgraded", (uint64_t)meta->upgraded);
  return rc;
}
