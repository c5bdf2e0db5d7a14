#include "log_raw.h"

#include <stdio.h>
#include <stdlib.h>

#include "log_rig.h"

static void need(bool good, const char *what)
{
  if (good)
    return;
  fprintf(stderr, "log_raw: %s\n", what);
  exit(1);
}

struct raw raw_begin(void)
{
  return raw_begin_in(rig_directory());
}

struct raw raw_begin_in(const char *directory)
{
  struct raw raw;
  need(mdb_env_create(&raw.env) == 0 && mdb_env_set_maxdbs(raw.env, 32) == 0 &&
         mdb_env_set_mapsize(raw.env, RIG_MAP_BYTES) == 0,
       "create");
  need(mdb_env_open(raw.env, directory, MDB_NOSYNC, 0600) == 0, "open");
  need(mdb_txn_begin(raw.env, NULL, 0, &raw.txn) == 0, "begin");
  return raw;
}

void raw_end(struct raw *raw)
{
  need(mdb_txn_commit(raw->txn) == 0, "commit");
  mdb_env_close(raw->env);
}

MDB_dbi raw_table(const struct raw *raw, const char *name)
{
  MDB_dbi table;
  need(mdb_dbi_open(raw->txn, name, MDB_CREATE, &table) == 0, name);
  return table;
}

void raw_put(const struct raw *raw, const char *table, MDB_val key, MDB_val value)
{
  need(mdb_put(raw->txn, raw_table(raw, table), &key, &value, 0) == 0, "put");
}

bool raw_get(const struct raw *raw, const char *table, MDB_val key, MDB_val *value)
{
  int rc = mdb_get(raw->txn, raw_table(raw, table), &key, value);
  need(rc == 0 || rc == MDB_NOTFOUND, "get");
  return rc == 0;
}

void raw_delete(const struct raw *raw, const char *table, MDB_val key)
{
  need(mdb_del(raw->txn, raw_table(raw, table), &key, NULL) == 0, "delete");
}

size_t raw_count(const struct raw *raw, const char *table)
{
  MDB_stat stat;
  need(mdb_stat(raw->txn, raw_table(raw, table), &stat) == 0, "stat");
  return stat.ms_entries;
}

MDB_val raw_key(uint64_t topic_id, int32_t partition, int64_t last)
{
  static uint8_t bytes[UK_LOG_KEY];
  return uk_log_key(bytes, topic_id, partition, (uint64_t)last);
}

MDB_val raw_time_key(int32_t partition, int64_t timestamp)
{
  return raw_key(1, partition, (int64_t)uk_log_key_time(timestamp));
}

MDB_val raw_text(const char *text)
{
  return (MDB_val){strlen(text), (void *)(uintptr_t)text};
}

void raw_delete_row(const char *table, MDB_val key)
{
  struct raw raw = raw_begin();
  raw_delete(&raw, table, key);
  raw_end(&raw);
}

void raw_put_row(const char *table, MDB_val key, const void *data, size_t length)
{
  struct raw raw = raw_begin();
  raw_put(&raw, table, key, (MDB_val){length, (void *)(uintptr_t)data});
  raw_end(&raw);
}

void raw_put_number(const char *table, MDB_val key, uint64_t number)
{
  uint8_t bytes[UK_LOG_NUMBER];
  uk_store_u64(bytes, number);
  uk_store_u32(bytes + 8, uk_log_row_sum(&key, bytes, 8));
  raw_put_row(table, key, bytes, sizeof bytes);
}

size_t raw_row(const char *directory, const char *table, MDB_val key, uint8_t *bytes, size_t size)
{
  MDB_val value = {0, NULL};
  struct raw raw = raw_begin_in(directory);
  bool found = raw_get(&raw, table, key, &value);
  need(!found || value.mv_size <= size, "row");
  if (found)
    memcpy(bytes, value.mv_data, value.mv_size);
  raw_end(&raw);
  return found ? value.mv_size : 0;
}

void raw_flip(const char *table, MDB_val key, size_t byte)
{
  static char bytes[1 << 20];
  MDB_val value;
  struct raw raw = raw_begin();
  need(raw_get(&raw, table, key, &value) && byte < value.mv_size && value.mv_size <= sizeof bytes,
       "flip");
  memcpy(bytes, value.mv_data, value.mv_size);
  bytes[byte] = (char)(bytes[byte] ^ 1);
  raw_put(&raw, table, key, (MDB_val){value.mv_size, bytes});
  raw_end(&raw);
}

const char *raw_path(const char *name)
{
  static char paths[2][400];
  static int next;
  char *path = paths[next++ % 2];
  snprintf(path, sizeof paths[0], "%s/%s", rig_directory(), name);
  return path;
}

static size_t read_file(const char *path, char *bytes, size_t size)
{
  FILE *file = fopen(path, "rb");
  need(file != NULL, path);
  size_t length = fread(bytes, 1, size, file);
  fclose(file);
  return length;
}

void raw_copy(const char *from, const char *name)
{
  static char bytes[1 << 20];
  size_t length = read_file(from, bytes, sizeof bytes);
  FILE *file = fopen(raw_path(name), "wb");
  need(file != NULL && fwrite(bytes, 1, length, file) == length, name);
  fclose(file);
}

const char *raw_text_of(const char *name)
{
  static char text[4096];
  text[read_file(raw_path(name), text, sizeof text - 1)] = '\0';
  return text;
}
