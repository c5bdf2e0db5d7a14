/* The transaction that makes a log of format 1 one of format 2, or that begins a new life. It is
 * any transaction: what it needs is written first. */
#include <errno.h>

#include "common/clock.h"
#include "server/log_engine/log_store_private.h"

bool uk_log_store_is_unsettled(const struct uk_log_store *store)
{
  return store->meta.format != UK_LOG_FORMAT || store->new_life != NULL;
}

/* Rows that cannot be read stay: they are damaged in either format. */
static int upgrade_topic(struct uk_log_store *store, MDB_val *key, const MDB_val *value)
{
  uint8_t row[UK_LOG_TOPIC_ROW];
  if (value->mv_size != UK_LOG_TOPIC_ROW_1)
    return 0;
  memcpy(row, value->mv_data, UK_LOG_TOPIC_ROW_1);
  return uk_log_topic_row_put(store->txn, store->tables[UK_LOG_TOPICS], key, row, NULL);
}

/* Each step looks for the next name: a put moves the rows under a cursor. */
static int upgrade_topics(struct uk_log_store *store)
{
  char name[512] = "";            /* LMDB's keys have 511 bytes at most */
  MDB_val value, key = {1, name}; /* no name is that small */
  MDB_cursor *cursor;
  int rc = mdb_cursor_open(store->txn, store->tables[UK_LOG_TOPICS], &cursor);
  if (rc != 0)
    return rc;
  while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE)) == 0) {
    size_t length = key.mv_size;
    memcpy(name, key.mv_data, length);
    key = (MDB_val){length, name};
    if ((rc = upgrade_topic(store, &key, &value)) != 0)
      break;
    if (length >= sizeof name - 1)
      break;
    name[length] = '\0'; /* the next possible name */
    key = (MDB_val){length + 1, name};
  }
  mdb_cursor_close(cursor);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

static int upgrade(struct uk_log_store *store)
{
  int rc =
    uk_log_meta_open_tables(store->txn, store->tables, UK_LOG_TABLES_1, UK_LOG_TABLES, MDB_CREATE);
  store->next.format = UK_LOG_FORMAT;
  store->next.upgraded = uk_clock_epoch();
  store->next.life = 1;
  memcpy(store->next.id, store->identity.id, UK_LOG_ID_BYTES);
  return rc == 0 ? upgrade_topics(store) : rc;
}

static void begin_life(struct uk_log_store *store)
{
  const struct uk_log_identity *identity = &store->identity;
  struct uk_log_meta *next = &store->next;
  if (store->has_identity && identity->life > next->life)
    next->life = identity->life;
  next->life++;
  if (store->has_identity && identity->topics > next->next_topic)
    next->next_topic = identity->topics;
}

int uk_log_store_settle(struct uk_log_store *store)
{
  int rc = 0;
  if (!uk_log_store_is_unsettled(store))
    return 0;
  store->next = store->meta;
  if (store->meta.format != UK_LOG_FORMAT)
    rc = upgrade(store);
  if (store->new_life != NULL)
    begin_life(store);
  store->settles = rc == 0;
  return rc == 0 ? uk_log_meta_write(store->txn, store->tables, &store->next) : rc;
}

/* Views read `meta`. */
void uk_log_store_settled(struct uk_log_store *store)
{
  if (!store->settles)
    return;
  uk_log_gate_enter_alone(&store->gate);
  store->meta = store->next;
  uk_log_gate_leave(&store->gate);
  store->settles = false;
  store->new_life = NULL;
  uk_log_store_save_identity(store, store->meta.next_topic, true);
}
