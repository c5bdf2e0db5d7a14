/* The log at its limits and one past them, and its orders with ties. For: log_store_read.c,
 * log_store_write.c, log_transaction.c, log_stage.c, log_maintenance.c. */
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "log_rig.h"
#include "server/engine/murmur2.h"
#include "server/log_engine/log_batch.h"
#include "server/log_engine/log_private.h"

static struct rig_read got;

static struct uk_log *open_log(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  return rig_open(&options);
}

static struct uk_log *again(struct uk_log *log)
{
  uk_log_close(log);
  return open_log();
}

static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  rig_remove();
}

/* Appends one batch: a record for each timestamp. */
static bool put_times(struct uk_log *log, const int64_t *timestamps, size_t count)
{
  struct uk_record records[8];
  for (size_t i = 0; i < count; i++) {
    records[i] = rig_record("t", 0, "v");
    records[i].timestamp = timestamps[i];
  }
  return CHECK_EQ_INT(rig_produce(log, records, count, NULL), UK_OK);
}

#define PUT_TIMES(log, ...)                                                                        \
  put_times((log), (const int64_t[]){__VA_ARGS__},                                                 \
            sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

static void check_time(struct uk_log *log, int64_t timestamp, int64_t want)
{
  int64_t offset = -2;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, timestamp, &offset), UK_OK);
  CHECK_EQ_INT(offset, want);
}

/* The earliest offset is found, in one batch and in several, before and after a reopen. */
static void f8_equal_timestamps_give_the_first_offset(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  PUT_TIMES(log, 10);         /* 0 */
  PUT_TIMES(log, 20, 30, 30); /* 1 2 3 */
  PUT_TIMES(log, 30);         /* 4: does not raise the greatest timestamp */
  PUT_TIMES(log, 30, 30);     /* 5 6 */
  PUT_TIMES(log, 25, 30, 10); /* 7 8 9 */
  for (int round = 0; round < 2; round++) {
    check_time(log, 10, 0);
    check_time(log, 11, 1);
    check_time(log, 20, 1);
    check_time(log, 21, 2);
    check_time(log, 30, 2);
    check_time(log, 31, 10 + round);
    log = again(log);
    REQUIRE(log != NULL);
    if (round == 0)
      PUT_TIMES(log, 30); /* 10: equal to the greatest timestamp at open */
  }
  check_time(log, 30, 2);
  PUT_TIMES(log, 31); /* 11 */
  PUT_TIMES(log, 31); /* 12 */
  check_time(log, 31, 11);
  check_time(log, 32, 13);
  close_log(log);
}

static int64_t first_offset(struct uk_log *log)
{
  int64_t first = -1, end;
  uk_log_bounds(log, uk_slice_text("t"), 0, &first, &end);
  return first;
}

/* Timestamps at and before the epoch are timestamps like others. */
static void timestamps_around_zero_are_found(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  PUT_TIMES(log, -20); /* 0 */
  PUT_TIMES(log, 0);   /* 1 */
  PUT_TIMES(log, 1);   /* 2 */
  for (int round = 0; round < 2; round++) {
    check_time(log, INT64_MIN, 0);
    check_time(log, -20, 0);
    check_time(log, -19, 1);
    check_time(log, 0, 1);
    check_time(log, 1, 2);
    check_time(log, 2, 3);
    log = again(log);
    REQUIRE(log != NULL);
  }
  close_log(log);
}

/* A batch expires by its greatest timestamp, wherever that is in the batch. */
static void f8_a_batch_is_as_old_as_its_latest_record(void)
{
  enum { HOUR = 3600000 };
  struct uk_log *log = open_log();
  int64_t now = uk_clock_epoch(), old = now - 2 * HOUR;
  REQUIRE(log != NULL && rig_create(log, "t", 1, HOUR, -1) == UK_OK);
  PUT_TIMES(log, old, old + 1, old); /* 0 1 2 */
  PUT_TIMES(log, old, now, old);     /* 3 4 5: its first and its last record are old */
  PUT_TIMES(log, now, old, old);
  PUT_TIMES(log, old, old, now);
  CHECK_EVENTUALLY(first_offset(log) > 0);
  CHECK_EQ_INT(first_offset(log), 3);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 9);
  close_log(log);
}

/* Trims a partition whose two batches of equal size have the timestamps 100 and 200. Returns the
 * first kept offset. */
static int64_t trim_two(int64_t before, int64_t keep_bytes, size_t *size)
{
  char message[200];
  struct uk_log_store *store;
  struct uk_log_builder builder;
  struct uk_log_topic *topic = uk_log_topic_new(uk_slice_text("t"), 1);
  int64_t first = -1;
  unsigned budget = 100;
  const struct uk_log_times times = {.trusted = before, .steady = before};
  if (!CHECK(topic != NULL && uk_log_store_open(&store, rig_directory(), RIG_MAP_BYTES, true,
                                                message, sizeof message) == UK_OK))
    return -1;
  topic->id = 1;
  topic->retention_ms = before == INT64_MIN ? UK_LOG_KEEP_FOR_EVER : 0;
  topic->retention_bytes = keep_bytes;
  struct uk_log_partition *partition = &topic->partitions[0];
  struct uk_record record = rig_record("t", 0, "v");
  CHECK_EQ_INT(uk_log_store_begin(store), UK_LOG_OK);
  uk_log_builder_init(&builder);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(uk_log_builder_add(&builder, &record, 100 * (i + 1)), UK_OK);
    const struct uk_log_seal seal = {
      .place = {1, 0, i}, .position = partition->position, .arrival = 100 * (i + 1), .life = 1};
    struct uk_slice batch = uk_log_builder_seal(&builder, &seal);
    CHECK_EQ_INT(uk_log_store_put_batch(store, partition, i, batch), UK_LOG_OK);
    *size = batch.length;
    partition->position += batch.length;
    partition->end++;
    uk_log_builder_clear(&builder);
  }
  uk_log_builder_free(&builder);
  CHECK_EQ_INT(uk_log_store_trim(store, partition, &times, &budget, &first), UK_LOG_OK);
  uk_log_store_abort(store);
  uk_log_store_close(store);
  free(topic);
  rig_remove();
  return first;
}

static void retention_at_its_limits(void)
{
  size_t size = 0;
  CHECK_EQ_INT(trim_two(100, UK_LOG_KEEP_FOR_EVER, &size), 0);
  CHECK_EQ_INT(trim_two(101, UK_LOG_KEEP_FOR_EVER, &size), 1);
  CHECK_EQ_INT(trim_two(200, UK_LOG_KEEP_FOR_EVER, &size), 1);
  CHECK_EQ_INT(trim_two(201, UK_LOG_KEEP_FOR_EVER, &size), 2);
  CHECK_EQ_INT(trim_two(INT64_MIN, (int64_t)size + 1, &size), 0);
  CHECK_EQ_INT(trim_two(INT64_MIN, (int64_t)size, &size), 1);
  CHECK_EQ_INT(trim_two(INT64_MIN, 1, &size), 1);
  CHECK_EQ_INT(trim_two(INT64_MIN, 0, &size), 2);
}

/* A retention of 0 keeps nothing, by age or by size. */
static void a_retention_of_zero_empties(void)
{
  int64_t first = 0, end = 0;
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  REQUIRE(rig_create(log, "by-age", 2, 0, UK_LOG_KEEP_FOR_EVER) == UK_OK);
  struct uk_record records[] = {rig_record("by-age", 0, "v"), rig_record("by-age", 1, "v")};
  REQUIRE(rig_produce(log, records, 2, NULL) == UK_OK);
  CHECK_EVENTUALLY(uk_log_bounds(log, uk_slice_text("by-age"), 0, &first, &end) && first == 1);
  CHECK_EVENTUALLY(uk_log_bounds(log, uk_slice_text("by-age"), 1, &first, &end) && first == 1);
  REQUIRE(rig_delete(log, "by-age") == UK_OK); /* only one topic has a retention at a time */
  REQUIRE(rig_create(log, "by-size", 1, UK_LOG_KEEP_FOR_EVER, 0) == UK_OK);
  REQUIRE(rig_put(log, "by-size", 0, "v", -1) == 0);
  CHECK_EVENTUALLY(uk_log_bounds(log, uk_slice_text("by-size"), 0, &first, &end) && first == 1);
  CHECK_EQ_INT(end, 1);
  close_log(log);
}

static void default_partitions_at_the_limit(void)
{
  struct uk_log_options options = rig_options();
  char message[UK_MESSAGE_SIZE];
  uint64_t id;
  struct uk_log *log;
  options.no_sync = true;
  options.partitions = UK_PARTITIONS_MAX + 1;
  CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "partitions is 1001; expected 1 to 1000");
  options.partitions = UK_PARTITIONS_MAX;
  REQUIRE((log = rig_open(&options)) != NULL);
  REQUIRE(rig_put(log, "t", 999, "v", -1) == 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id), 1000);
  close_log(log);
}

/* The partition after the last one, and the one before the first. */
static void missing_partitions(void)
{
  static const int32_t partitions[] = {-1, 2};
  struct uk_slice topic = uk_slice_text("t");
  struct uk_log *log = open_log();
  int64_t offset = -2, first, end;
  REQUIRE(log != NULL && rig_put(log, "t", 1, "v", -1) == 0);
  CHECK(uk_log_bounds(log, topic, 1, &first, &end));
  for (size_t i = 0; i < 2; i++) {
    CHECK(!uk_log_bounds(log, topic, partitions[i], &first, &end));
    CHECK_EQ_INT(rig_read(log, &got, "t", partitions[i], 0), UK_E_NOT_FOUND);
    CHECK_EQ_INT(uk_log_offset_for_time(log, topic, partitions[i], 0, &offset), UK_E_NOT_FOUND);
    CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), topic, partitions[i], &offset),
                 UK_E_NOT_FOUND);
    CHECK_EQ_INT(offset, -2);
  }
  close_log(log);
}

/* An empty key is a key: its records stay together over transactions, which keyless ones do not. */
static void an_empty_key_is_hashed(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  for (int i = 0; i < 4; i++) {
    struct uk_record record = rig_record("t", -1, "v");
    record.has_key = true;
    REQUIRE(rig_produce(log, &record, 1, NULL) == UK_OK);
    CHECK_EQ_INT(record.partition, uk_murmur2_partition(record.key, 2));
  }
  close_log(log);
}

/* Keyless records begin with partition 0, and each transaction goes on with the next one. */
static void keyless_records_begin_with_the_first_partition(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_create(log, "t", 3, -1, -1) == UK_OK);
  for (int i = 0; i < 7; i++) {
    struct uk_record record = rig_record("t", -1, "v");
    REQUIRE(rig_produce(log, &record, 1, NULL) == UK_OK);
    CHECK_EQ_INT(record.partition, i % 3);
  }
  close_log(log);
}

/* Notifications: one for each topic that changed and each partition that grew, before the
 * answer. */

static char changes[200];

static void note_change(void *context, struct uk_slice topic, int32_t partition)
{
  size_t length = strlen(changes);
  CHECK(context == changes);
  snprintf(changes + length, sizeof changes - length, "%.*s/%d ", (int)topic.length, topic.data,
           (int)partition);
}

static void changes_are_notified(void)
{
  struct uk_log_options options = rig_options();
  struct uk_record records[] = {rig_record("t", 1, "v"), rig_record("t", 1, "v")};
  options.no_sync = true;
  options.changed = note_change;
  options.context = changes;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  REQUIRE(rig_create(log, "u", 1, -1, -1) == UK_OK);
  CHECK_EQ_STR(changes, "u/-1 ");
  CHECK_EQ_INT(rig_create(log, "u", 1, -1, -1), UK_OK); /* exists already */
  CHECK_EQ_INT(rig_produce(log, records, 2, NULL), UK_OK);
  CHECK_EQ_STR(changes, "u/-1 t/-1 t/1 ");
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 1), UK_OK);
  CHECK_EQ_INT(rig_delete(log, "u"), UK_OK);
  CHECK_EQ_STR(changes, "u/-1 t/-1 t/1 u/-1 ");
  close_log(log);
}

/* Commands and settings. */

static void headers_at_the_limit(void)
{
  static struct uk_record_header headers[UK_HEADERS_PER_MESSAGE_MAX + 1];
  struct uk_log *log = open_log();
  char message[UK_MESSAGE_SIZE];
  struct uk_record record = rig_record("t", 0, "v");
  REQUIRE(log != NULL);
  for (size_t i = 0; i <= UK_HEADERS_PER_MESSAGE_MAX; i++)
    headers[i] = (struct uk_record_header){uk_slice_text("k"), uk_slice_text("v")};
  record.headers = headers;
  record.header_count = UK_HEADERS_PER_MESSAGE_MAX;
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_OK);
  record.header_count++;
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "there are 1001 headers; expected at most 1000");
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 1);
  close_log(log);
}

static void a_group_name_at_the_limit(void)
{
  char name[UK_GROUP_NAME_MAX + 2] = "";
  struct uk_log *log = open_log();
  int64_t offset = -2;
  REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
  memset(name, 'g', UK_GROUP_NAME_MAX);
  CHECK_EQ_INT(rig_commit(log, name, "t", 0, 1), UK_OK);
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text(name), uk_slice_text("t"), 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, 1);
  name[UK_GROUP_NAME_MAX - 1] = '\0';
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text(name), uk_slice_text("t"), 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, -1); /* a name with this prefix is another one */
  memset(name, 'g', UK_GROUP_NAME_MAX + 1);
  CHECK_EQ_INT(rig_commit(log, name, "t", 0, 1), UK_E_BAD_REQUEST);
  close_log(log);
}

static void a_topic_at_the_limits(void)
{
  char name[UK_TOPIC_NAME_MAX + 2] = "";
  struct uk_log *log = open_log();
  uint64_t id;
  REQUIRE(log != NULL);
  memset(name, 'n', UK_TOPIC_NAME_MAX);
  CHECK_EQ_INT(rig_create(log, name, UK_PARTITIONS_MAX, -1, -1), UK_OK);
  CHECK_EQ_INT(rig_put(log, name, UK_PARTITIONS_MAX - 1, "v", -1), 0);
  CHECK_EQ_INT(rig_put(log, name, UK_PARTITIONS_MAX, "v", -1), -1);
  CHECK_EQ_INT(rig_create(log, "u", 1, 0, 0), UK_OK);
  log = again(log);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text(name), &id), UK_PARTITIONS_MAX);
  CHECK_EQ_INT(rig_read(log, &got, name, UK_PARTITIONS_MAX - 1, 0), UK_OK);
  CHECK_EQ_INT(got.count, 1);
  name[UK_TOPIC_NAME_MAX] = 'n';
  CHECK_EQ_INT(rig_create(log, name, 1, -1, -1), UK_E_BAD_REQUEST);
  close_log(log);
}

static void wrong_settings_are_named(void)
{
  static const struct {
    bool has_ms, has_bytes;
    int64_t ms, bytes;
    const char *message; /* NULL: the topic is created */
  } rows[] = {
    {true, true, -2, -1, "retention_ms is below -1 (keep forever)"},
    {true, true, -1, -2, "retention_bytes is below -1 (keep forever)"},
    {true, false, INT64_MIN, 0, "retention_ms is below -1 (keep forever)"},
    {false, true, 0, INT64_MIN, "retention_bytes is below -1 (keep forever)"},
    {false, false, -2, -2, NULL}, /* not given: without meaning */
    {true, true, -1, -1, NULL},
    {true, true, 0, 0, NULL},
  };
  struct uk_log *log = open_log();
  char message[UK_MESSAGE_SIZE], name[8];
  REQUIRE(log != NULL);
  for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
    snprintf(name, sizeof name, "t%d", i);
    struct uk_create_topic create = {.topic = uk_slice_text(name),
                                     .partitions = -1,
                                     .has_retention_ms = rows[i].has_ms,
                                     .has_retention_bytes = rows[i].has_bytes,
                                     .retention_ms = rows[i].ms,
                                     .retention_bytes = rows[i].bytes};
    CHECK_EQ_INT(rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, message),
                 rows[i].message == NULL ? UK_OK : UK_E_BAD_REQUEST);
    CHECK_EQ_STR(message, rows[i].message == NULL ? "" : rows[i].message);
    CHECK(create.created == (rows[i].message == NULL));
  }
  CHECK_EQ_INT(rig_create(log, "t4", 2, -1, -1), UK_OK); /* kept forever */
  close_log(log);
}

static void partitions_at_the_limits_are_named(void)
{
  static const struct {
    int32_t partitions, created; /* 0: refused */
    const char *message;
  } rows[] = {{-2, 0, "partitions is -2; expected 1 to 1000"},
              {0, 0, "partitions is 0; expected 1 to 1000"},
              {1, 1, ""},
              {-1, 2, ""},
              {1000, 1000, ""},
              {1001, 0, "partitions is 1001; expected 1 to 1000"}};
  struct uk_log *log = open_log();
  char message[UK_MESSAGE_SIZE], name[8];
  uint64_t id;
  REQUIRE(log != NULL);
  for (int i = 0; i < (int)(sizeof rows / sizeof *rows); i++) {
    snprintf(name, sizeof name, "t%d", i);
    struct uk_create_topic create = {.topic = uk_slice_text(name),
                                     .partitions = rows[i].partitions};
    CHECK_EQ_INT(rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, message),
                 rows[i].created > 0 ? UK_OK : UK_E_BAD_REQUEST);
    CHECK_EQ_STR(message, rows[i].message);
    CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text(name), &id), rows[i].created);
    if (rows[i].created > 0)
      CHECK_EQ_INT(create.partitions, rows[i].created);
  }
  close_log(log);
}

/* A topic keeps its settings over a reopen: a second creation compares them. */
static void settings_are_kept(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_create(log, "t", 3, 86400000, 1 << 30) == UK_OK);
  log = again(log);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_create(log, "t", 3, 86400000, 1 << 30), UK_OK);
  CHECK_EQ_INT(rig_create(log, "t", 2, 86400000, 1 << 30), UK_E_CONFLICT);
  CHECK_EQ_INT(rig_create(log, "t", 3, 86400001, 1 << 30), UK_E_CONFLICT);
  CHECK_EQ_INT(rig_create(log, "t", 3, 86400000, (1 << 30) - 1), UK_E_CONFLICT);
  close_log(log);
}

/* The id of a deleted topic is never used again, not even after a reopen. */
static void ids_are_not_reused(void)
{
  struct uk_log *log = open_log();
  uint64_t before = 0, after = 0;
  REQUIRE(log != NULL && rig_put(log, "t", 0, "old", -1) == 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &before), 2);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 1), UK_OK);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  log = again(log);
  REQUIRE(log != NULL && rig_put(log, "t", 0, "new", -1) == 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &after), 2);
  CHECK(after > before);
  int64_t offset = -2;
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, -1);
  close_log(log);
}

static bool has_rows(struct uk_log *log, uint64_t topic_id)
{
  enum uk_log_status status;
  uint64_t found = topic_id;
  struct uk_log_view *view = uk_log_view_begin(log->store, &status);
  if (!CHECK(view != NULL))
    return false;
  status = uk_log_view_next_id(view, &found);
  uk_log_view_end(view);
  return status != UK_LOG_NOTHING && found == topic_id;
}

/* One transaction cannot remove all rows. The open log removes the rest, too, without a reopen. */
static void a_deleted_topic_with_more_rows_than_a_transaction_removes(void)
{
  enum { BATCHES = UK_LOG_MAINTENANCE_ROWS + 1 };
  uint64_t id = 0, kept = 0;
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  for (int i = 0; i < BATCHES; i++)
    REQUIRE(rig_put(log, "t", 0, "v", 1) == i);
  REQUIRE(rig_put(log, "kept", 0, "v", 1) == 0);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 7), UK_OK);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id), 2);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("kept"), &kept), 2);
  CHECK(has_rows(log, id));
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  CHECK_EVENTUALLY(!has_rows(log, id));
  CHECK(has_rows(log, kept));
  close_log(log);
}

int main(void)
{
  CHECK_RUN(f8_equal_timestamps_give_the_first_offset);
  CHECK_RUN(timestamps_around_zero_are_found);
  CHECK_RUN(keyless_records_begin_with_the_first_partition);
  CHECK_RUN(f8_a_batch_is_as_old_as_its_latest_record);
  CHECK_RUN(retention_at_its_limits);
  CHECK_RUN(a_retention_of_zero_empties);
  CHECK_RUN(default_partitions_at_the_limit);
  CHECK_RUN(missing_partitions);
  CHECK_RUN(an_empty_key_is_hashed);
  CHECK_RUN(changes_are_notified);
  CHECK_RUN(headers_at_the_limit);
  CHECK_RUN(a_group_name_at_the_limit);
  CHECK_RUN(a_topic_at_the_limits);
  CHECK_RUN(wrong_settings_are_named);
  CHECK_RUN(partitions_at_the_limits_are_named);
  CHECK_RUN(settings_are_kept);
  CHECK_RUN(ids_are_not_reused);
  CHECK_RUN(a_deleted_topic_with_more_rows_than_a_transaction_removes);
  return check_end();
}
