/* log_raw: reads and writes the rows of a closed log in rig_directory() without the log. Every
 * failure ends the test program. */
#ifndef LOG_RAW_H
#define LOG_RAW_H

#include "server/log_engine/log_store_private.h"

struct raw {
  MDB_env *env;
  MDB_txn *txn;
};

/* A write transaction, until `raw_end`. */
struct raw raw_begin(void);
struct raw raw_begin_in(const char *directory);
void raw_end(struct raw *raw);

MDB_dbi raw_table(const struct raw *raw, const char *name);
void raw_put(const struct raw *raw, const char *table, MDB_val key, MDB_val value);
/* False when there is no such row. */
bool raw_get(const struct raw *raw, const char *table, MDB_val key, MDB_val *value);
void raw_delete(const struct raw *raw, const char *table, MDB_val key);
size_t raw_count(const struct raw *raw, const char *table);

/* The key of a batch, or of a time without its flipped sign; valid until the next call. */
MDB_val raw_key(uint64_t topic_id, int32_t partition, int64_t last);
MDB_val raw_text(const char *text);
/* The key of a time of topic 1. */
MDB_val raw_time_key(int32_t partition, int64_t timestamp);

/* Each is a transaction of its own. `put_number` writes the sum, too. `row` reads a row of the log
 * in this directory, and returns its length: 0 when there is none. */
void raw_put_row(const char *table, MDB_val key, const void *data, size_t length);
void raw_put_number(const char *table, MDB_val key, uint64_t number);
void raw_delete_row(const char *table, MDB_val key);
size_t raw_row(const char *directory, const char *table, MDB_val key, uint8_t *bytes, size_t size);

/* Flips a bit of the row's value. */
void raw_flip(const char *table, MDB_val key, size_t byte);

/* Copies the file over the one with this name in rig_directory(). */
void raw_copy(const char *from, const char *name);
const char *raw_path(const char *name);
/* The file's contents, as a text; at most 4095 bytes. */
const char *raw_text_of(const char *name);

#endif
