/* Format 2: a folder of format 1 becomes one, gaps in offsets are read, and no damaged row or batch
 * is believed. For: log_store_meta.c, log_store_life.c, log_store_read.c, log_store_write.c,
 * log_batch.c, log_read.c. */
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "log_raw.h"
#include "log_rig.h"
#include "server/log_engine/log_private.h"

static const char FIXTURE[] = "spec/fixtures/log-format-1/data.mdb";
static struct rig_read got;

static struct uk_log *open_log(void)
{
  struct uk_log_options options = rig_options();
  options.map_bytes = 4 << 20;
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

static void check_refused(const char *text)
{
  struct uk_log_options options = rig_options();
  char message[UK_MESSAGE_SIZE] = "";
  struct uk_log *log;
  CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
  if (!CHECK(strstr(message, text) != NULL))
    fprintf(stderr, "  %s\n", message);
  uk_log_close(log);
}

static void check_read(struct uk_log *log, const char *topic, int32_t partition, int64_t offset,
                       const char *text)
{
  CHECK_EQ_INT(rig_read(log, &got, topic, partition, offset), UK_OK);
  CHECK_EQ_STR(got.text, text);
}

static void check_damage(struct uk_log *log, const char *topic, int32_t partition, int64_t offset,
                         const char *text)
{
  CHECK_EQ_INT(rig_read(log, &got, topic, partition, offset), UK_E_INTERNAL);
  CHECK_EQ_STR(got.operation.message, text);
}

static int64_t committed(struct uk_log *log, const char *group, const char *topic,
                         int32_t partition)
{
  int64_t offset = -2;
  CHECK_EQ_INT(
    uk_log_committed(log, uk_slice_text(group), uk_slice_text(topic), partition, &offset), UK_OK);
  return offset;
}

static int64_t time_offset(struct uk_log *log, const char *topic, int32_t partition,
                           int64_t timestamp)
{
  int64_t offset = -2;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text(topic), partition, timestamp, &offset),
               UK_OK);
  return offset;
}

static void check_bounds(struct uk_log *log, const char *topic, int32_t partition,
                         int64_t want_first, int64_t want_end)
{
  int64_t first = -1, end = -1;
  CHECK(uk_log_bounds(log, uk_slice_text(topic), partition, &first, &end));
  CHECK_EQ_INT(first, want_first);
  CHECK_EQ_INT(end, want_end);
}

/* Format 1. */

#define BATCH(n)                                                                                   \
  "batch " n " record 1\nbatch " n " record 2\nbatch " n " record 3\nbatch " n " record 4\n"

/* What spec/fixtures/make_log.lua wrote. */
static void check_fixture(struct uk_log *log)
{
  uint64_t id;
  check_bounds(log, "orders", 0, 0, 12);
  check_read(log, "orders", 0, 0, BATCH("1") BATCH("2") BATCH("3"));
  check_read(log, "orders", 0, 9, "batch 3 record 2\nbatch 3 record 3\nbatch 3 record 4\n");
  check_read(log, "orders", 1, 0, "\n");
  CHECK_EQ_INT(time_offset(log, "orders", 0, 1700000002001), 4);
  CHECK_EQ_INT(time_offset(log, "orders", 0, 1700000002003), 6);
  CHECK_EQ_INT(committed(log, "readers", "orders", 0), 7);
  check_bounds(log, "emptied", 0, 2, 2);
  check_bounds(log, "aged", 0, 1, 2);
  check_read(log, "aged", 0, 1, "future\n");
  check_bounds(log, "empty", 2, 0, 0);
  CHECK_EQ_INT(rig_create(log, "empty", 3, 86400000, 1 << 30), UK_OK);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("deleted"), &id), 0);
}

static uint32_t stored_format(void)
{
  struct raw raw = raw_begin();
  MDB_val value;
  bool found = raw_get(&raw, "meta", raw_text("format"), &value) && value.mv_size == 4;
  uint32_t format = found ? uk_load_u32(value.mv_data) : 0;
  raw_end(&raw);
  return format;
}

static void a_folder_of_format_1_becomes_format_2(void)
{
  raw_copy(FIXTURE, "data.mdb");
  CHECK_EQ_INT(stored_format(), 1);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  check_fixture(log);
  uk_log_close(log);
  CHECK_EQ_INT(stored_format(), 2);
  log = open_log();
  REQUIRE(log != NULL);
  check_fixture(log); /* the same rows in a log of format 2 */
  /* New batches follow old ones. */
  CHECK_EQ_INT(rig_put(log, "orders", 0, "new", 1700000009999), 12);
  CHECK_EQ_INT(rig_put(log, "emptied", 0, "new", 1), 2);
  CHECK_EQ_INT(rig_commit(log, "readers", "orders", 0, 12), UK_OK);
  for (int round = 0; round < 2; round++) {
    check_read(log, "orders", 0, 8, BATCH("3") "new\n");
    CHECK_EQ_INT(time_offset(log, "orders", 0, 1700000003005), 12);
    CHECK_EQ_INT(committed(log, "readers", "orders", 0), 12);
    log = again(log);
    REQUIRE(log != NULL);
  }
  close_log(log);
}

/* A full map is no reason to refuse a log of format 1: it is read, and becomes format 2 when there
 * is room. */
static void format_1_without_room(void)
{
  struct uk_log_options options = rig_options();
  raw_copy(FIXTURE, "data.mdb");
  options.map_bytes = UK_LOG_MAP_BYTES_MIN;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  static char large[300000];
  struct uk_record record = rig_record("orders", 1, "");
  record.value = uk_slice_of(large, sizeof large);
  int count = 0;
  while (rig_produce(log, &record, 1, NULL) == UK_OK)
    count++;
  CHECK(count > 0 && count < 4);
  check_read(log, "orders", 0, 0, BATCH("1") BATCH("2") BATCH("3"));
  CHECK_EQ_INT(committed(log, "readers", "orders", 0), 7);
  close_log(log);
}

/* Topics get the ID of their life, and keep it. */
static void topics_of_format_1_get_ids(void)
{
  static const uint8_t none[UK_LOG_ID_BYTES];
  uint8_t ids[2][UK_LOG_ID_BYTES];
  raw_copy(FIXTURE, "data.mdb");
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_commit(log, "g", "orders", 0, 1), UK_OK);
  for (int i = 0; i < 2; i++) {
    log = again(log);
    REQUIRE(log != NULL);
    memcpy(ids[i], uk_log_topics_find(&log->topics, uk_slice_text("orders"))->life, sizeof ids[i]);
  }
  CHECK(memcmp(ids[0], none, sizeof none) != 0);
  CHECK(memcmp(ids[0], ids[1], sizeof none) == 0);
  CHECK(memcmp(ids[0], uk_log_topics_find(&log->topics, uk_slice_text("aged"))->life,
               sizeof none) != 0);
  close_log(log);
}

/* In a log that was always of format 2, a row of format 1 is damage. */
static void rows_of_format_1_are_damage_elsewhere(void)
{
  int64_t offset;
  uint8_t key[UK_LOG_PREFIX + 1];
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
  uk_log_close(log);
  struct raw raw = raw_begin();
  uk_log_key_prefix(key, 1, 0);
  key[UK_LOG_PREFIX] = 'g';
  MDB_val value;
  CHECK(!raw_get(&raw, "meta", raw_text("upgraded"), &value));
  raw_put(&raw, "committed", (MDB_val){sizeof key, key}, (MDB_val){8, "\0\0\0\0\0\0\0\1"});
  raw_end(&raw);
  log = open_log();
  REQUIRE(log != NULL);
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset),
               UK_E_INTERNAL);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 1), UK_OK); /* writes it anew */
  CHECK_EQ_INT(committed(log, "g", "t", 0), 1);
  close_log(log);
}

/* What a log needs. */

static void what_is_needed_and_unknown_is_refused(void)
{
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
  uk_log_close(log);
  struct raw raw = raw_begin();
  raw_put(&raw, "meta", raw_text("needs compaction"), (MDB_val){4, "\0\0\0\3"});
  raw_end(&raw);
  check_refused(" needs compaction 3, which this version does not know");
  rig_remove();
}

static void tables_are_not_made_again(void)
{
  static const char *const tables[] = {"topics", "batches", "committed", "lives", "purges"};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
    struct uk_log *log = open_log();
    REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
    uk_log_close(log);
    struct raw raw = raw_begin();
    REQUIRE(mdb_drop(raw.txn, raw_table(&raw, tables[i]), 1) == 0);
    raw_end(&raw);
    check_refused(" is damaged: its meta table cannot be read");
    rig_remove();
  }
}

/* The rows of meta and of the life have sums. */
static void a15_damaged_meta_rows_are_refused(void)
{
  static const char *const rows[] = {"log", "next_topic"};
  for (size_t i = 0; i <= 2; i++) {
    struct uk_log *log = open_log();
    REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
    uk_log_close(log);
    if (i < 2)
      raw_flip("meta", raw_text(rows[i]), 3);
    else
      raw_flip("lives", (MDB_val){4, "\0\0\0\1"}, 3);
    check_refused(" is damaged: its meta table cannot be read");
    rig_remove();
  }
}

/* A whole row of a life under a key that is no number. */
static void a15_a_life_has_a_number(void)
{
  static uint8_t key[5] = {0, 0, 0, 2, 1}, row[UK_LOG_LIFE_ROW];
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  uk_log_close(log);
  MDB_val k = {sizeof key, key};
  uk_store_u32(row + sizeof row - 4, uk_log_row_sum(&k, row, sizeof row - 4));
  struct raw raw = raw_begin();
  raw_put(&raw, "lives", k, (MDB_val){sizeof row, row});
  raw_end(&raw);
  check_refused(" is damaged: its meta table cannot be read");
  rig_remove();
}

/* The next ID is above all that there are, even if nothing says so. */
static void a15_no_topic_id_is_given_twice(void)
{
  uint64_t id = 0;
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0 && rig_put(log, "u", 0, "v", -1) == 0);
  uk_log_close(log);
  struct raw raw = raw_begin();
  raw_delete(&raw, "meta", raw_text("next_topic"));
  raw_end(&raw);
  check_refused("it held topics, and data.mdb holds none");
  REQUIRE(unlink(raw_path("identity")) == 0);
  REQUIRE((log = open_log()) != NULL && rig_put(log, "new", 0, "v", -1) == 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("new"), &id), 2);
  CHECK_EQ_INT(id, 3);
  close_log(log);
}

/* Gaps. */

/* Puts a batch of a topic with the ID 1 whose records begin with these bytes. */
static void put_crafted(int64_t offset, uint32_t count, uint32_t span, uint64_t position,
                        const char *records, size_t length)
{
  static uint8_t batch[1000], key[20];
  const struct raw raw = raw_begin();
  memset(batch, 0, sizeof batch);
  batch[0] = 2;
  uk_store_u32(batch + 8, count);
  uk_store_u64(batch + 12, 1000);
  uk_store_u64(batch + 20, 1000);
  uk_store_u64(batch + 28, position);
  uk_store_u64(batch + 36, 1000);
  uk_store_u32(batch + 44, span);
  uk_store_u32(batch + 48, 1);
  memcpy(batch + UK_LOG_BATCH_HEADER, records, length);
  length += UK_LOG_BATCH_HEADER;
  uk_store_u64(key, 1);
  uk_store_u32(key + 8, 0);
  uk_store_u64(key + 12, (uint64_t)offset);
  uint32_t sum = uk_log_checksum(uk_log_checksum(0, key, sizeof key), batch, 4);
  uk_store_u32(batch + 4, uk_log_checksum(sum, batch + 8, length - 8));
  raw_put(&raw, "batches", (MDB_val){sizeof key, key}, (MDB_val){length, batch});
  struct raw ended = raw;
  raw_end(&ended);
}

/* Offsets 1, 5 and 6 of 1 to 9: a compacted batch. */
static const char GAPS[] = "\4\2\0\1a\5\12\0\3\1b\4\2\0\1c";

static void records_have_gaps(void)
{
  static const struct {
    int64_t from;
    const char *text;
    int64_t first, next;
  } cases[] = {
    {0, "zero\na\nb\nc\n", 0, 10},
    {1, "a\nb\nc\n", 1, 10},
    {2, "b\nc\n", 5, 10},
    {4, "b\nc\n", 5, 10},
    {5, "b\nc\n", 5, 10},
    {6, "c\n", 6, 10},
    {7, "", -1, 10},
    {9, "", -1, 10},
  };
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "zero", 1) == 0);
  uk_log_close(log);
  put_crafted(1, 3, 9, 0, GAPS, sizeof GAPS - 1);
  log = open_log();
  REQUIRE(log != NULL);
  check_bounds(log, "t", 0, 0, 10);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    check_read(log, "t", 0, cases[i].from, cases[i].text);
    CHECK_EQ_INT(got.first_offset, cases[i].first);
    CHECK_EQ_INT(got.next, cases[i].next);
  }
  got.limit = 1; /* a refused record is the next one */
  check_read(log, "t", 0, 2, "b\n");
  CHECK_EQ_INT(got.next, 6);
  got.limit = 0;
  CHECK_EQ_INT(rig_put(log, "t", 0, "ten", 1), 10);
  check_read(log, "t", 0, 6, "c\nten\n");
  close_log(log);
}

/* A batch from which compaction took everything, and gaps that do not fit. */
static void spans_and_gaps_at_their_limits(void)
{
  static const struct {
    uint32_t count, span;
    const char *records;
    size_t length;
    int64_t from;
    bool whole;
  } cases[] = {
    {0, 4, "", 0, 1, true},                        /* no record, four offsets */
    {1, 4, "\5\12\0\3\1b", 6, 1, true},            /* the last offset */
    {1, 4, "\5\12\0\4\1b", 6, 1, false},           /* one behind it */
    {1, 0, "\4\2\0\1a", 5, 1, false},              /* more records than offsets */
    {2, 2, "\4\2\0\1a\5\12\0\1\1b", 11, 2, false}, /* the second one is behind the last */
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_log *log = open_log();
    REQUIRE(log != NULL && rig_put(log, "t", 0, "v", 1) == 0);
    uk_log_close(log);
    put_crafted(1, cases[i].count, cases[i].span, 0, cases[i].records, cases[i].length);
    log = open_log();
    REQUIRE(log != NULL);
    if (!CHECK_EQ_INT(rig_read(log, &got, "t", 0, cases[i].from),
                      cases[i].whole ? UK_OK : UK_E_INTERNAL))
      fprintf(stderr, "  case %zu\n", i);
    if (cases[i].whole)
      CHECK_EQ_INT(rig_put(log, "t", 0, "v", 1), 1 + (int64_t)cases[i].span);
    close_log(log);
  }
}

/* Damage. */

static const char TEN[] = "0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n";

/* Ten records in five batches of two. */
static struct uk_log *ten_records(void)
{
  struct uk_log *log = open_log();
  if (!CHECK(log != NULL))
    return NULL;
  for (int i = 0; i < 5; i++) {
    char values[2][2] = {{(char)('0' + 2 * i), '\0'}, {(char)('1' + 2 * i), '\0'}};
    struct uk_record records[2] = {rig_record("t", 0, values[0]), rig_record("t", 0, values[1])};
    records[0].timestamp = records[1].timestamp = 100 + i;
    CHECK_EQ_INT(rig_produce(log, records, 2, NULL), UK_OK);
    CHECK_EQ_INT(records[0].offset, 2 * i);
  }
  check_read(log, "t", 0, 0, TEN);
  return log;
}

static const char LAST[] =
  "the last batch of topic \"t\" partition 0 is damaged: where the partition "
  "ends is not known, and nothing can be appended";

static void check_no_append(struct uk_log *log)
{
  struct uk_record record = rig_record("t", 0, "again");
  char message[UK_MESSAGE_SIZE];
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_INTERNAL);
  CHECK_EQ_STR(message, LAST);
  CHECK_EQ_INT(rig_put(log, "t", 1, "elsewhere", -1), 0);
  CHECK_EQ_INT(rig_put(log, "u", 0, "elsewhere", -1), 0);
}

/* Every byte of the last batch's header counts: its number of records too. */
static void a15_no_offset_is_given_twice(void)
{
  for (size_t byte = 0; byte < UK_LOG_BATCH_HEADER + 4; byte++) {
    uk_log_close(ten_records());
    raw_flip("batches", raw_key(1, 0, 8), byte);
    struct uk_log *log = open_log();
    REQUIRE(log != NULL);
    check_no_append(log);
    check_read(log, "t", 0, 0, "0\n1\n2\n3\n4\n5\n6\n7\n");
    check_damage(log, "t", 0, 8,
                 "the last batch of topic \"t\" partition 0 is damaged, from offset "
                 "8 on");
    close_log(log);
  }
}

/* A whole batch under another key: another partition's, another topic's, at another offset. */
static void a15_a_batch_under_a_wrong_key_is_damage(void)
{
  static const struct {
    uint64_t topic_id;
    int32_t partition;
    int64_t offset;
  } from[] = {{1, 1, 8}, {2, 0, 8}, {1, 0, 6}};
  for (size_t i = 0; i < sizeof from / sizeof *from; i++) {
    struct uk_log *log = ten_records();
    for (int j = 0; j < 9; j++) {
      REQUIRE(rig_put(log, "t", 1, "x", -1) == j);
      REQUIRE(rig_put(log, "u", 0, "y", -1) == j);
    }
    uk_log_close(log);
    static char bytes[1000];
    struct raw raw = raw_begin();
    MDB_val value;
    REQUIRE(raw_get(&raw, "batches", raw_key(from[i].topic_id, from[i].partition, from[i].offset),
                    &value));
    REQUIRE(value.mv_size <= sizeof bytes);
    memcpy(bytes, value.mv_data, value.mv_size);
    raw_put(&raw, "batches", raw_key(1, 0, 8), (MDB_val){value.mv_size, bytes});
    raw_end(&raw);
    REQUIRE((log = open_log()) != NULL);
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, 8), UK_E_INTERNAL);
    CHECK_EQ_INT(rig_put(log, "t", 0, "again", -1), -1);
    close_log(log);
  }
}

/* The last batch is gone, and the one before it is whole: the times remember it. */
static void a15_a_missing_last_batch_is_noticed(void)
{
  uk_log_close(ten_records());
  struct raw raw = raw_begin();
  raw_delete(&raw, "batches", raw_key(1, 0, 8));
  raw_end(&raw);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  check_no_append(log);
  close_log(log);
}

/* Were the end wrong all the same, nothing is written over a batch. */
static void a15_no_batch_is_written_over(void)
{
  struct uk_log *log = ten_records();
  struct uk_log_topic *topic = uk_log_topics_find(&log->topics, uk_slice_text("t"));
  struct uk_record record = rig_record("t", 0, "again");
  char message[UK_MESSAGE_SIZE];
  topic->partitions[0].end = 8;
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_INTERNAL);
  CHECK_EQ_STR(message, "the log is damaged: a batch lies where the next one belongs");
  CHECK_EQ_INT(uk_log_health(log, message, sizeof message), UK_OK);
  topic->partitions[0].end = 10;
  check_read(log, "t", 0, 0, TEN);
  CHECK_EQ_INT(rig_put(log, "t", 0, "on", -1), 10);
  close_log(log);
}

static void a17_reading_continues_behind_a_damaged_batch(void)
{
  static const char text[] = "the batch of offsets 4 to 5 of topic \"t\" partition 0 is damaged; "
                             "reading can continue at offset 6";
  for (size_t byte = 0; byte < UK_LOG_BATCH_HEADER + 4; byte++) {
    uk_log_close(ten_records());
    raw_flip("batches", raw_key(1, 0, 4), byte);
    struct uk_log *log = open_log();
    REQUIRE(log != NULL);
    check_read(log, "t", 0, 0, "0\n1\n2\n3\n");
    CHECK_EQ_INT(got.next, 4);
    check_damage(log, "t", 0, 4, text);
    check_damage(log, "t", 0, 5, text); /* whatever its header says of its span */
    check_read(log, "t", 0, 6, "6\n7\n8\n9\n");
    CHECK_EQ_INT(rig_put(log, "t", 0, "on", -1), 10);
    close_log(log);
  }
}

static void a17_missing_batches_are_told(void)
{
  uk_log_close(ten_records());
  struct raw raw = raw_begin();
  raw_delete(&raw, "batches", raw_key(1, 0, 4));
  raw_end(&raw);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  check_read(log, "t", 0, 0, "0\n1\n2\n3\n");
  check_damage(log, "t", 0, 4,
               "the log is damaged: offsets 4 to 5 of topic \"t\" partition 0 are missing; reading "
               "can continue at offset 6");
  check_damage(log, "t", 0, 5,
               "the log is damaged: offsets 5 to 5 of topic \"t\" partition 0 are missing; reading "
               "can continue at offset 6");
  check_read(log, "t", 0, 6, "6\n7\n8\n9\n");
  close_log(log);
}

static const char SETTINGS[] = "the settings of topic \"t\" are damaged: it can only be deleted";

/* Every byte of a topic's row counts, and so does its length. The other topics work. */
static void a17_a_damaged_topic_row_stops_its_topic_alone(void)
{
  char zeros[36] = {0}; /* as long as a row of format 1 */
  for (size_t byte = 0; byte <= UK_LOG_TOPIC_ROW; byte++) {
    struct uk_record record = rig_record("t", 0, "v");
    char message[UK_MESSAGE_SIZE];
    struct uk_log *log = ten_records();
    REQUIRE(rig_put(log, "u", 0, "v", -1) == 0);
    uk_log_close(log);
    if (byte < UK_LOG_TOPIC_ROW) {
      raw_flip("topics", raw_text("t"), byte);
    } else {
      struct raw raw = raw_begin();
      raw_put(&raw, "topics", raw_text("t"), (MDB_val){sizeof zeros, zeros});
      raw_end(&raw);
    }
    REQUIRE((log = open_log()) != NULL);
    CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_INTERNAL);
    CHECK_EQ_STR(message, SETTINGS);
    CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 1), UK_E_INTERNAL);
    CHECK_EQ_INT(rig_create(log, "t", 2, -1, -1), UK_E_INTERNAL);
    check_read(log, "u", 0, 0, "v\n");
    CHECK_EQ_INT(rig_put(log, "u", 0, "on", -1), 1);
    close_log(log);
  }
}

static void note_name(void *argument, struct uk_slice name, int32_t partitions)
{
  size_t *count = argument;
  CHECK(name.length == 1 && partitions > 0);
  ++*count;
}

/* A row under a name that no topic can have is none, however long the name is. */
static void a17_names_that_no_topic_has(void)
{
  static char name[500];
  static const size_t lengths[] = {250, 300, 500};
  size_t count = 0;
  uk_log_close(ten_records());
  struct raw raw = raw_begin();
  memset(name, 'n', sizeof name);
  for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++)
    raw_put(&raw, "topics", (MDB_val){lengths[i], name}, (MDB_val){3, "abc"});
  raw_put(&raw, "topics", raw_text("a b"), (MDB_val){3, "abc"});
  raw_end(&raw);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  uk_log_each_topic(log, note_name, &count);
  CHECK_EQ_INT(count, 1);
  check_read(log, "t", 0, 0, TEN);
  close_log(log);
}

static size_t count_rows(const char *table)
{
  struct raw raw = raw_begin();
  size_t count = raw_count(&raw, table);
  raw_end(&raw);
  return count;
}

/* The rows of a damaged topic are not taken for those of a deleted one, whether it is deleted or
 * not: `--salvage` may want them. */
static void a17_the_records_of_a_damaged_topic_stay(void)
{
  uk_log_close(ten_records());
  raw_flip("topics", raw_text("t"), 0);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL && rig_put(log, "u", 0, "v", -1) == 0);
  uk_log_close(log);
  CHECK_EQ_INT(count_rows("batches"), 6);
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  log = again(log);
  REQUIRE(log != NULL && rig_put(log, "t", 0, "anew", -1) == 0);
  uk_log_close(log);
  CHECK_EQ_INT(count_rows("batches"), 7);
  rig_remove();
}

/* The same in format 1, where an id that no topic has is that of a deleted one. */
static void a17_the_records_of_a_damaged_topic_of_format_1_stay(void)
{
  raw_copy(FIXTURE, "data.mdb");
  size_t before = count_rows("batches");
  struct raw raw = raw_begin();
  raw_put(&raw, "topics", raw_text("orders"), (MDB_val){3, "abc"});
  raw_end(&raw);
  struct uk_log *log = open_log();
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_put(log, "orders", 0, "v", -1), -1);
  uk_log_close(log);
  CHECK_EQ_INT(count_rows("batches"), before);
  CHECK_EQ_INT(stored_format(), 2);
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(rig_create(log, "orders", 2, -1, -1), UK_E_INTERNAL); /* still damaged */
  check_bounds(log, "aged", 0, 1, 2);
  close_log(log);
}

/* A damaged entry of `times` costs time only; a damaged committed offset is told. */
static void a17_damaged_rows_beside_the_batches(void)
{
  uint8_t key[UK_LOG_PREFIX + 1];
  int64_t offset;
  struct uk_log *log = ten_records();
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 4), UK_OK);
  uk_log_close(log);
  raw_flip("times", raw_key(1, 0, (int64_t)uk_log_key_time(101)), 7);
  uk_log_key_prefix(key, 1, 0);
  key[UK_LOG_PREFIX] = 'g';
  raw_flip("committed", (MDB_val){sizeof key, key}, 7);
  REQUIRE((log = open_log()) != NULL);
  CHECK_EQ_INT(time_offset(log, "t", 0, 101), 2);
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 0, &offset),
               UK_E_INTERNAL);
  close_log(log);
}

/* A purge that was interrupted goes on after the next open. */
static void a_deletion_is_finished_after_a_restart(void)
{
  uk_log_close(ten_records());
  struct raw raw = raw_begin();
  raw_delete(&raw, "topics", raw_text("t"));
  raw_put(&raw, "purges", (MDB_val){8, "\0\0\0\0\0\0\0\1"}, (MDB_val){0, ""});
  raw_end(&raw);
  uk_log_close(open_log());
  CHECK_EQ_INT(count_rows("batches"), 0);
  CHECK_EQ_INT(count_rows("times"), 0);
  CHECK_EQ_INT(count_rows("purges"), 0);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_folder_of_format_1_becomes_format_2);
  CHECK_RUN(format_1_without_room);
  CHECK_RUN(topics_of_format_1_get_ids);
  CHECK_RUN(rows_of_format_1_are_damage_elsewhere);
  CHECK_RUN(what_is_needed_and_unknown_is_refused);
  CHECK_RUN(tables_are_not_made_again);
  CHECK_RUN(a15_damaged_meta_rows_are_refused);
  CHECK_RUN(a15_a_life_has_a_number);
  CHECK_RUN(a15_no_topic_id_is_given_twice);
  CHECK_RUN(records_have_gaps);
  CHECK_RUN(spans_and_gaps_at_their_limits);
  CHECK_RUN(a15_no_offset_is_given_twice);
  CHECK_RUN(a15_a_batch_under_a_wrong_key_is_damage);
  CHECK_RUN(a15_a_missing_last_batch_is_noticed);
  CHECK_RUN(a15_no_batch_is_written_over);
  CHECK_RUN(a17_reading_continues_behind_a_damaged_batch);
  CHECK_RUN(a17_missing_batches_are_told);
  CHECK_RUN(a17_a_damaged_topic_row_stops_its_topic_alone);
  CHECK_RUN(a17_names_that_no_topic_has);
  CHECK_RUN(a17_the_records_of_a_damaged_topic_stay);
  CHECK_RUN(a17_the_records_of_a_damaged_topic_of_format_1_stay);
  CHECK_RUN(a17_damaged_rows_beside_the_batches);
  CHECK_RUN(a_deletion_is_finished_after_a_restart);
  return check_end();
}
