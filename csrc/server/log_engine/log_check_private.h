/* log_check_private: shared by the files of log_check. */
#ifndef UK_LOG_CHECK_PRIVATE_H
#define UK_LOG_CHECK_PRIVATE_H

#include "common/buffer.h"
#include "server/log_engine/log_check.h"
#include "server/log_engine/log_salvage.h"
#include "server/log_engine/log_store_private.h"

/* A partition that has batches. */
struct uk_check_partition {
  uint64_t topic_id;
  int32_t index;
  bool has_batch;     /* a whole one was found */
  bool uncertain;     /* batches behind `end` may be lost */
  int64_t first, end; /* of the whole batches */
  uint64_t position;  /* where the next batch begins */
  int64_t least_end;  /* no row gives reason to believe that it ended earlier */

  /* A damaged batch, until the next one shows where it ended. */
  bool waits;
  int64_t damaged_at;
  const char *what;

  /* The base offsets of the whole batches: varints of their distances. */
  struct uk_buffer bases;
  size_t read;  /* how much of `bases` the times have passed */
  int64_t base; /* the last one that was read; -1: none */
};

struct uk_check {
  const struct uk_log_check *options;
  struct uk_log_check_result *result;
  enum uk_error error; /* why it cannot go on */
  char *message;
  size_t message_size;

  bool has_identity;
  struct uk_log_identity identity;
  int stage; /* the table that is being visited: an index in the order of the visit */
  bool lost[UK_LOG_TABLES]; /* pages of the table are damaged */

  struct uk_log_meta meta;
  bool has_format, has_id, has_old_numbers;
  bool has_rows; /* of any table */

  struct uk_log_topic **topics; /* by ID, once they are all known */
  size_t topic_count, topic_capacity;
  uint64_t *purges; /* ascending */
  size_t purge_count, purge_capacity;
  struct uk_check_partition *partitions; /* by topic and index */
  size_t partition_count, partition_capacity;
  uint64_t orphans;        /* rows of topics that do not exist */
  uint64_t keys, expiries; /* rows, also damaged ones */
  struct uk_log_cursor cursor;

  struct uk_log_salvage *salvage; /* NULL: nothing is copied */
};

/* Reports. The text of a partition begins with its topic's name. */
__attribute__((format(printf, 3, 4))) void
uk_check_damaged(struct uk_check *check, enum uk_log_table table, const char *format, ...);
__attribute__((format(printf, 5, 6))) void uk_check_damaged_in(struct uk_check *check,
                                                               enum uk_log_table table,
                                                               uint64_t topic_id, int32_t partition,
                                                               const char *format, ...);
__attribute__((format(printf, 2, 3))) void uk_check_note(struct uk_check *check, const char *format,
                                                         ...);
/* Ends the check. */
__attribute__((format(printf, 3, 4))) void
uk_check_fail(struct uk_check *check, enum uk_error error, const char *format, ...);

/* Doubles an array that is full. False, and failed, when memory is out. */
bool uk_check_make_room(struct uk_check *check, void **array, size_t count, size_t *capacity,
                        size_t size);

/* What becomes of a row's topic. */
enum uk_check_owner {
  UK_CHECK_TOPIC,  /* it exists */
  UK_CHECK_LOST,   /* it may have existed: rows of topics are lost */
  UK_CHECK_DELETED /* it was deleted, or never existed */
};
enum uk_check_owner uk_check_owner(const struct uk_check *check, uint64_t topic_id,
                                   struct uk_log_topic **topic);

/* Makes a topic for the rows of one that is lost, with room for this partition. NULL, and failed,
 * when memory is out. */
struct uk_log_topic *uk_check_revive(struct uk_check *check, uint64_t topic_id, int32_t partition);

/* Rows of each table, and what is done after the last one. */
void uk_check_meta(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_meta_end(struct uk_check *check);
void uk_check_life(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_topic(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_topics_end(struct uk_check *check);
void uk_check_purge(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_batch(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_batches_end(struct uk_check *check);
void uk_check_time(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_times_end(struct uk_check *check);
void uk_check_committed(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_committed_end(struct uk_check *check);
void uk_check_key(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_expiry(struct uk_check *check, const MDB_val *key, const MDB_val *value);
void uk_check_expiries_end(struct uk_check *check);

/* NULL when it has no batches. */
struct uk_check_partition *uk_check_find_partition(const struct uk_check *check, uint64_t topic_id,
                                                   int32_t index);
/* The same, and makes it. NULL, and failed, when memory is out. */
struct uk_check_partition *uk_check_use_partition(struct uk_check *check, uint64_t topic_id,
                                                  int32_t index);

#endif
