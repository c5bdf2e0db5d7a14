/* for: log.c, log_read.c */
#include "server/log_engine/log.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "log_rig.h"
#include "server/log_engine/log_batch.h"
#include "server/engine/murmur2.h"

static struct rig_read got;

static void check_bounds(struct uk_log *log, const char *topic, int32_t partition, int64_t first,
                         int64_t end)
{
  int64_t have_first = -1, have_end = -1;
  CHECK(uk_log_bounds(log, uk_slice_text(topic), partition, &have_first, &have_end));
  CHECK_EQ_INT(have_first, first);
  CHECK_EQ_INT(have_end, end);
}

static void check_committed(struct uk_log *log, const char *group, const char *topic,
                            int32_t partition, int64_t want)
{
  int64_t offset = -2;
  CHECK_EQ_INT(
    uk_log_committed(log, uk_slice_text(group), uk_slice_text(topic), partition, &offset), UK_OK);
  CHECK_EQ_INT(offset, want);
}

static void check_time(struct uk_log *log, const char *topic, int64_t timestamp, int64_t want)
{
  int64_t offset = -2;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text(topic), 0, timestamp, &offset), UK_OK);
  CHECK_EQ_INT(offset, want);
}

/* Runs `body` with a new log. */
static void with_log(void (*body)(struct uk_log *log))
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  if (CHECK(log != NULL))
    body(log);
  uk_log_close(log);
  rig_remove();
}

/* Closes the log and opens it again. */
static struct uk_log *again(struct uk_log *log)
{
  struct uk_log_options options = rig_options();
  uk_log_close(log);
  return rig_open(&options);
}

static void appends_and_reads(struct uk_log *log)
{
  struct uk_record records[3] = {rig_record("t", 0, "a"), rig_record("t", 1, "b"),
                                 rig_record("t", 0, "c")};
  int64_t before = uk_clock_epoch();
  records[2].timestamp = 77;
  REQUIRE(rig_produce(log, records, 3, NULL) == UK_OK);
  CHECK_EQ_INT(records[0].offset, 0);
  CHECK_EQ_INT(records[1].offset, 0);
  CHECK_EQ_INT(records[2].offset, 1);
  CHECK_EQ_INT(records[1].partition, 1);
  CHECK(records[0].timestamp >= before && records[0].timestamp <= uk_clock_epoch());
  CHECK_EQ_INT(records[2].timestamp, 77);
  got.limit = 0;
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_STR(got.text, "a\nc\n");
  CHECK_EQ_INT(got.next, 2);
  CHECK(!got.full && got.dense);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 1), UK_OK);
  CHECK_EQ_STR(got.text, "c\n");
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, -5), UK_OK);
  CHECK_EQ_STR(got.text, "a\nc\n");
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 2), UK_OK);
  CHECK_EQ_INT(got.count, 0);
  got.limit = 1;
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.next, 1);
  CHECK(got.full);
  got.limit = 0;
  check_bounds(log, "t", 0, 0, 2);
}

static void appending_and_reading(void)
{
  with_log(appends_and_reads);
}

/* Reads from every offset of several batches, some with records larger than a batch. */
static void reads_from_everywhere(struct uk_log *log)
{
  enum { COUNT = 300, LARGE = 100000 };
  static struct uk_record records[COUNT];
  char *large = calloc(1, LARGE);
  memset(large, 'x', LARGE);
  for (int i = 0; i < COUNT; i++) {
    records[i] = rig_record("t", 0, "");
    records[i].value = uk_slice_of(large, i % 50 == 7 ? LARGE : 1000);
  }
  REQUIRE(rig_produce(log, records, COUNT, NULL) == UK_OK);
  REQUIRE(rig_put(log, "other", 0, "before and behind", -1) == 0);
  for (int64_t offset = 0; offset < COUNT; offset++) {
    got.limit = 0;
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, offset), UK_OK);
    CHECK_EQ_INT(got.count, COUNT - offset);
    CHECK_EQ_INT(got.first_offset, offset);
    CHECK(got.dense);
    got.limit = 1;
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, offset), UK_OK);
    CHECK_EQ_INT(got.first_offset, offset);
  }
  got.limit = 0;
  free(large);
}

static void reading_from_everywhere(void)
{
  with_log(reads_from_everywhere);
}

static void survives_closing(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  uint64_t id = 0, id_again = 0;
  REQUIRE(log != NULL);
  for (int i = 0; i < 10; i++) {
    CHECK_EQ_INT(rig_put(log, "t", 1, "v", -1), i);
    if (i % 3 == 0)
      log = again(log);
    REQUIRE(log != NULL);
  }
  CHECK_EQ_INT(rig_commit(log, "g", "t", 1, 4), UK_OK);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id), 2);
  log = again(log);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id_again), 2);
  CHECK_EQ_INT(id, id_again);
  check_bounds(log, "t", 1, 0, 10);
  check_bounds(log, "t", 0, 0, 0);
  check_committed(log, "g", "t", 1, 4);
  check_committed(log, "g", "t", 0, -1);
  CHECK_EQ_INT(rig_read(log, &got, "t", 1, 0), UK_OK);
  CHECK_EQ_INT(got.count, 10);
  uk_log_close(log);
  rig_remove();
}

static enum uk_error commit_forward(struct uk_log *log, const char *group, int32_t partition,
                                    int64_t offset)
{
  struct uk_topic_partition_offset at[] = {{uk_slice_text("t"), 0, 1},
                                           {uk_slice_text("t"), partition, offset}};
  struct uk_log_commit commit = {
    .group = uk_slice_text(group), .offsets = at, .count = 2, .forward = true};
  return rig_submit(log, UK_LOG_COMMIT, &commit.operation, NULL);
}

/* Each group and partition for itself, with what the same command has written before. */
static void a_forward_commit_never_goes_back(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_put(log, "t", 0, "v", -1), 0);
  for (int k = 0; k < 4; k++)
    CHECK_EQ_INT(rig_put(log, "t", 1, "v", -1), k);
  CHECK_EQ_INT(commit_forward(log, "g", 1, 0), UK_OK);
  check_committed(log, "g", "t", 1, 0);
  CHECK_EQ_INT(commit_forward(log, "g", 1, 4), UK_OK);
  check_committed(log, "g", "t", 1, 4);
  CHECK_EQ_INT(commit_forward(log, "g", 1, 3), UK_OK);
  check_committed(log, "g", "t", 1, 4);
  check_committed(log, "g", "t", 0, 1);
  CHECK_EQ_INT(commit_forward(log, "h", 1, 3), UK_OK);
  check_committed(log, "h", "t", 1, 3);
  CHECK_EQ_INT(commit_forward(log, "i", 0, 0), UK_OK);
  check_committed(log, "i", "t", 0, 1);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 1, 2), UK_OK); /* an explicit one does */
  CHECK_EQ_INT(commit_forward(log, "g", 1, 3), UK_OK);
  check_committed(log, "g", "t", 1, 3);
  CHECK_EQ_INT(commit_forward(log, "g", 2, 3), UK_E_BAD_REQUEST);
  uk_log_close(log);
  rig_remove();
}

/* No instance starts there: an explicit commit made it, or the log lost its end. */
static void a_commit_beyond_the_end_is_replaced(void)
{
  static const struct {
    int64_t stored, given, kept;
  } rows[] = {{4, 2, 2}, {4, 3, 3}, {3, 2, 3}, {9, 4, 9}, {9, 10, 10}};
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(rig_put(log, "t", 1, "v", -1), i);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_EQ_INT(rig_commit(log, "g", "t", 1, rows[i].stored), UK_OK);
    CHECK_EQ_INT(commit_forward(log, "g", 1, rows[i].given), UK_OK);
    check_committed(log, "g", "t", 1, rows[i].kept);
  }
  uk_log_close(log);
  rig_remove();
}

static void refuses_what_is_wrong(struct uk_log *log)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_record records[2] = {rig_record("t", 0, "a"), rig_record("t", 2, "b")};
  CHECK_EQ_INT(rig_produce(log, records, 2, message), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message,
               "[1]: topic \"t\" does not exist, and a new topic has no partition 2; it has 2");
  uint64_t id;
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id), 0); /* nothing has changed */
  CHECK_EQ_INT(records[0].timestamp, -1);
  records[1].partition = -1;
  CHECK_EQ_INT(rig_produce(log, records, 1, message), UK_OK);
  records[0].partition = -7;
  CHECK_EQ_INT(rig_produce(log, records, 1, message), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, "topic \"t\" has no partition -7; it has 2");
  check_bounds(log, "t", 0, 0, 1);
  records[0] = rig_record("no topic", 0, "a");
  CHECK_EQ_INT(rig_produce(log, records, 1, message), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(rig_commit(log, "g", "none", 0, 1), UK_E_NOT_FOUND);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 2, 1), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, -1), UK_E_BAD_REQUEST);
  int64_t offset;
  CHECK(!uk_log_bounds(log, uk_slice_text("t"), 2, &offset, &offset));
  CHECK(!uk_log_bounds(log, uk_slice_text("t"), -1, &offset, &offset));
  CHECK_EQ_INT(rig_read(log, &got, "none", 0, 0), UK_E_NOT_FOUND);
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("none"), 0, 0, &offset), UK_E_NOT_FOUND);
  CHECK_EQ_INT(uk_log_committed(log, uk_slice_text("g"), uk_slice_text("t"), 5, &offset),
               UK_E_NOT_FOUND);
}

static void refusals(void)
{
  with_log(refuses_what_is_wrong);
}

static void creates_and_deletes(struct uk_log *log)
{
  uint64_t id, id_again;
  char message[UK_MESSAGE_SIZE];
  struct uk_create_topic create = {.topic = uk_slice_text("t"), .partitions = 3};
  CHECK_EQ_INT(rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, NULL), UK_OK);
  CHECK(create.created);
  create.partitions = -1;
  CHECK_EQ_INT(rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, NULL), UK_OK);
  CHECK(!create.created);
  CHECK_EQ_INT(create.partitions, 3);
  create.partitions = 5;
  CHECK_EQ_INT(rig_submit(log, UK_LOG_CREATE_TOPIC, &create.operation, message), UK_E_CONFLICT);
  CHECK_EQ_STR(message, "topic \"t\" exists with partitions 3, not 5");
  CHECK_EQ_INT(rig_create(log, "t", 3, 1000, -1), UK_E_CONFLICT);
  CHECK_EQ_INT(rig_create(log, "u", 0, -1, -1), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(rig_create(log, "u", UK_PARTITIONS_MAX + 1, -1, -1), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(rig_create(log, "u", 1, -2, -1), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(rig_create(log, "u", 1, -1, -2), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id), 3);
  for (int i = 0; i < 3; i++)
    rig_put(log, "t", 1, "old", -1);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 1, 2), UK_OK);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_E_NOT_FOUND);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id_again), 0);
  CHECK_EQ_INT(rig_put(log, "t", 1, "new", -1), 0);
  CHECK_EQ_INT(uk_log_partitions(log, uk_slice_text("t"), &id_again), 2);
  CHECK(id_again != id);
  check_committed(log, "g", "t", 1, -1);
  CHECK_EQ_INT(rig_read(log, &got, "t", 1, 0), UK_OK);
  CHECK_EQ_STR(got.text, "new\n");
}

static void creating_and_deleting(void)
{
  with_log(creates_and_deletes);
}

static void name_topics(void *argument, struct uk_slice topic, int32_t partitions)
{
  char *text = argument;
  snprintf(text + strlen(text), 100, "%.*s=%d ", (int)topic.length, topic.data, (int)partitions);
}

static void lists_topics(struct uk_log *log)
{
  char text[400] = "";
  rig_create(log, "b", 3, -1, -1);
  rig_create(log, "a", 1, -1, -1);
  rig_create(log, "b.c", 2, -1, -1);
  rig_create(log, "B", 4, -1, -1);
  uk_log_each_topic(log, name_topics, text);
  CHECK_EQ_STR(text, "B=4 a=1 b=3 b.c=2 ");
}

static void listing_topics(void)
{
  with_log(lists_topics);
}

static void no_auto_create(void)
{
  struct uk_log_options options = rig_options();
  char message[UK_MESSAGE_SIZE];
  options.auto_create = false;
  struct uk_log *log = rig_open(&options);
  struct uk_record record = rig_record("t", 0, "a");
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_produce(log, &record, 1, message), UK_E_NOT_FOUND);
  CHECK_EQ_STR(message, "topic \"t\" does not exist");
  uk_log_close(log);
  rig_remove();
}

static void finds_partitions(struct uk_log *log)
{
  int counts[4] = {0};
  REQUIRE(rig_create(log, "t", 4, -1, -1) == UK_OK);
  for (int i = 0; i < 50; i++) {
    char key[20];
    struct uk_record record = rig_record("t", -1, "v");
    snprintf(key, sizeof key, "key-%d", i);
    record.has_key = true;
    record.key = uk_slice_text(key);
    REQUIRE(rig_produce(log, &record, 1, NULL) == UK_OK);
    CHECK_EQ_INT(record.partition, uk_murmur2_partition(record.key, 4));
  }
  for (int i = 0; i < 40; i++) {
    struct uk_record record = rig_record("t", -1, "v");
    REQUIRE(rig_produce(log, &record, 1, NULL) == UK_OK);
    counts[record.partition]++;
  }
  for (int i = 0; i < 4; i++)
    CHECK_EQ_INT(counts[i], 10);
}

static void finding_partitions(void)
{
  with_log(finds_partitions);
}

/* Keyless messages of one produce go to the partitions in runs. */
static void spreads_in_runs(struct uk_log *log)
{
  static struct uk_record records[80];
  int changes = 0, counts[4] = {0};
  REQUIRE(rig_create(log, "t", 4, -1, -1) == UK_OK);
  for (int i = 0; i < 80; i++)
    records[i] = rig_record("t", -1, "v");
  REQUIRE(rig_produce(log, records, 80, NULL) == UK_OK);
  for (int i = 0; i < 80; i++) {
    counts[records[i].partition]++;
    changes += i > 0 && records[i].partition != records[i - 1].partition;
  }
  CHECK_EQ_INT(changes, 4);
  for (int i = 0; i < 4; i++)
    CHECK(counts[i] == 16 || counts[i] == 32);
}

static void spreading_in_runs(void)
{
  with_log(spreads_in_runs);
}

/* More than one transaction takes, in commands and in bytes. */
static void takes_what_comes_at_once(struct uk_log *log)
{
  enum { COUNT = 12000, LARGE = 500000 };
  struct uk_record *records = calloc(COUNT, sizeof *records);
  struct uk_produce *produces = calloc(COUNT, sizeof *produces);
  struct rig_call *calls = calloc(COUNT, sizeof *calls);
  char *large = calloc(1, LARGE);
  REQUIRE(records != NULL && produces != NULL && calls != NULL && large != NULL);
  for (int i = 0; i < COUNT; i++) {
    records[i] = rig_record("t", 0, "v");
    if (i % 400 == 0)
      records[i].value = uk_slice_of(large, LARGE);
    produces[i] = (struct uk_produce){.records = &records[i], .count = 1};
    rig_call_init(&calls[i], &produces[i].operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &produces[i].operation);
  }
  for (int i = 0; i < COUNT; i++) {
    rig_call_wait(&calls[i], &produces[i].operation);
    CHECK_EQ_INT(produces[i].operation.error, UK_OK);
    CHECK_EQ_INT(records[i].offset, i);
  }
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, COUNT);
  CHECK(got.dense);
  free(large);
  free(calls);
  free(produces);
  free(records);
}

static void concurrent_appends(void)
{
  with_log(takes_what_comes_at_once);
}

static void as_many_topics_as_may_be(struct uk_log *log)
{
  enum { MOST = 10000 };
  static struct uk_record records[MOST];
  static char names[MOST][12];
  char message[UK_MESSAGE_SIZE];
  for (int i = 0; i < MOST; i++) {
    snprintf(names[i], sizeof names[i], "t%d", i * 7919 % MOST);
    records[i] = rig_record(names[i], 0, "v");
  }
  REQUIRE(rig_produce(log, records, MOST, NULL) == UK_OK);
  records[0] = rig_record("one-more", 0, "v");
  CHECK_EQ_INT(rig_produce(log, records, 1, message), UK_E_TOO_MANY);
  CHECK_EQ_STR(message, "the log has 10000 topics, which is the limit");
  CHECK_EQ_INT(rig_delete(log, "t77"), UK_OK);
  CHECK_EQ_INT(rig_produce(log, records, 1, NULL), UK_OK);
  log = again(log);
  REQUIRE(log != NULL);
  check_bounds(log, "t9999", 0, 0, 1);
  check_bounds(log, "one-more", 0, 0, 1);
  uk_log_close(log);
}

static void topics_at_the_limit(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  as_many_topics_as_may_be(log);
  rig_remove();
}

/* Times. */

enum { TIMES = 400 };

/* Compared with a linear search, for every timestamp. */
static void check_times(struct uk_log *log, const int64_t *timestamps, int64_t first, int64_t end)
{
  for (int64_t timestamp = 0; timestamp <= 1010; timestamp += 7) {
    int64_t want = first;
    while (want < end && timestamps[want] < timestamp)
      want++;
    check_time(log, "t", timestamp, want);
  }
}

static void finds_times(struct uk_log *log)
{
  static int64_t timestamps[TIMES];
  unsigned seed = 3;
  for (int64_t i = 0; i < TIMES;) {
    struct uk_record records[16];
    size_t count = 1 + (size_t)rand_r(&seed) % 16;
    for (size_t r = 0; r < count; r++) {
      records[r] = rig_record("t", 0, "v");
      records[r].timestamp = rand_r(&seed) % (i < TIMES / 2 ? 500 : 1000);
    }
    count = count > (size_t)(TIMES - i) ? (size_t)(TIMES - i) : count;
    REQUIRE(rig_produce(log, records, count, NULL) == UK_OK);
    for (size_t r = 0; r < count; r++)
      timestamps[i++] = records[r].timestamp;
  }
  check_times(log, timestamps, 0, TIMES);
  check_time(log, "t", INT64_MIN, 0);
  check_time(log, "t", INT64_MAX, TIMES);
}

static void finding_times(void)
{
  with_log(finds_times);
}

/* Retention. */

static int64_t first_of(struct uk_log *log, const char *topic)
{
  int64_t first = -1, end;
  uk_log_bounds(log, uk_slice_text(topic), 0, &first, &end);
  return first;
}

static void wait_for_first(struct uk_log *log, const char *topic, int64_t want)
{
  CHECK_EVENTUALLY(first_of(log, topic) == want);
}

static void expires_by_age(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  int64_t now = uk_clock_epoch();
  REQUIRE(log != NULL);
  REQUIRE(rig_create(log, "t", 1, 100000, -1) == UK_OK);
  /* A first batch far ahead of the others would hide them from the table of times. */
  int64_t timestamps[] = {now - 200000,        now - 150000, now - 170000,
                          now - 99000 + 60000, now - 50000,  now};
  for (int i = 0; i < 6; i++)
    REQUIRE(rig_put(log, "t", 0, "v", timestamps[i]) == i);
  wait_for_first(log, "t", 3);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.first_offset, 3);
  CHECK_EQ_INT(got.count, 3);
  check_time(log, "t", 0, 3);
  check_time(log, "t", now - 160000, 3);
  check_time(log, "t", now - 45000, 3);
  check_time(log, "t", now - 1, 5);
  check_time(log, "t", now + 1, 6);
  log = again(log);
  REQUIRE(log != NULL);
  check_bounds(log, "t", 0, 3, 6);
  check_time(log, "t", now - 160000, 3);
  uk_log_close(log);
  rig_remove();
}

/* The end outlives the last record. */
static void an_emptied_partition_keeps_its_end(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  int64_t now = uk_clock_epoch();
  REQUIRE(log != NULL);
  REQUIRE(rig_create(log, "t", 1, 1000, -1) == UK_OK);
  for (int i = 0; i < 5; i++)
    REQUIRE(rig_put(log, "t", 0, "v", now - 5000) == i);
  wait_for_first(log, "t", 5);
  for (int round = 0; round < 2; round++) {
    check_bounds(log, "t", 0, 5, 5);
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
    CHECK_EQ_INT(got.count, 0);
    check_time(log, "t", 0, 5);
    check_time(log, "t", now, 5);
    log = again(log);
    REQUIRE(log != NULL);
  }
  CHECK_EQ_INT(rig_put(log, "t", 0, "next", now + 100000), 5);
  CHECK_EQ_INT(rig_put(log, "t", 0, "and", now - 100), 6);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_STR(got.text, "next\nand\n");
  check_time(log, "t", now - 6000, 5);
  log = again(log);
  REQUIRE(log != NULL);
  check_bounds(log, "t", 0, 5, 7);
  uk_log_close(log);
  rig_remove();
}

/* Counts the rows of a table of a closed log. */
static long rows(const char *table)
{
  MDB_env *env;
  MDB_txn *txn;
  MDB_dbi dbi;
  MDB_stat stat = {.ms_entries = 0};
  if (!CHECK(mdb_env_create(&env) == 0))
    return -1;
  if (CHECK(mdb_env_set_maxdbs(env, 5) == 0 &&
            mdb_env_open(env, rig_directory(), MDB_RDONLY, 0600) == 0 &&
            mdb_txn_begin(env, NULL, MDB_RDONLY, &txn) == 0)) {
    CHECK(mdb_dbi_open(txn, table, 0, &dbi) == 0 && mdb_stat(txn, dbi, &stat) == 0);
    mdb_txn_abort(txn);
  }
  mdb_env_close(env);
  return (long)stat.ms_entries;
}

/* The size of the partition is known after a reopen, too. */
static void expires_by_size(void)
{
  static char value[10001];
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  memset(value, 'v', sizeof value - 1);
  REQUIRE(log != NULL);
  REQUIRE(rig_create(log, "t", 1, -1, 100000) == UK_OK);
  for (int i = 0; i < 30; i++) {
    if (i % 7 == 5)
      log = again(log);
    REQUIRE(log != NULL && rig_put(log, "t", 0, value, i) == i);
  }
  wait_for_first(log, "t", 20);
  check_bounds(log, "t", 0, 20, 30);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 10);
  uk_log_close(log);
  CHECK_EQ_INT(rows("batches"), 10);
  CHECK_EQ_INT(rows("times"), 11); /* and the last entry of the removed ones */
  rig_remove();
}

static void a_deleted_topic_leaves_no_row(void)
{
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 1500; i++)
    REQUIRE(rig_put(log, "t", 0, "v", i) == i);
  REQUIRE(rig_put(log, "kept", 0, "v", 1) == 0);
  CHECK_EQ_INT(rig_commit(log, "g", "t", 0, 7), UK_OK);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  uk_log_close(log); /* perhaps before every row is gone: the rest goes after the next open */
  for (int round = 0; round < 100 && (round == 0 || rows("committed") > 0); round++) {
    log = rig_open(&options);
    REQUIRE(log != NULL);
    rig_sleep(100);
    uk_log_close(log);
  }
  CHECK_EQ_INT(rows("topics"), 1);
  CHECK_EQ_INT(rows("batches"), 1);
  CHECK_EQ_INT(rows("times"), 1);
  CHECK_EQ_INT(rows("committed"), 0);
  rig_remove();
}

/* Timestamps that removed batches had already passed. */
static void times_behind_a_removed_peak(void)
{
  static char value[10001];
  static int64_t timestamps[40];
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  unsigned seed = 5;
  memset(value, 'v', sizeof value - 1);
  REQUIRE(log != NULL);
  REQUIRE(rig_create(log, "t", 1, -1, 100000) == UK_OK);
  for (int i = 0; i < 40; i++) {
    timestamps[i] = i == 3 ? 900 : i == 38 ? 950 : rand_r(&seed) % 600;
    REQUIRE(rig_put(log, "t", 0, value, timestamps[i]) == i);
  }
  wait_for_first(log, "t", 30);
  check_times(log, timestamps, 30, 40);
  log = again(log);
  REQUIRE(log != NULL);
  check_times(log, timestamps, 30, 40);
  uk_log_close(log);
  rig_remove();
}

/* Group commit. */

enum { THREADS = 8, PER_THREAD = 200 };

struct producer {
  struct uk_log *log;
  int64_t offsets[PER_THREAD];
};

static void *produce_many(void *argument)
{
  struct producer *producer = argument;
  for (int i = 0; i < PER_THREAD; i++)
    producer->offsets[i] = rig_put(producer->log, "t", 0, "v", -1);
  return NULL;
}

static void many_threads(struct uk_log *log)
{
  static struct producer producers[THREADS];
  static bool seen[THREADS * PER_THREAD];
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    producers[i].log = log;
    REQUIRE(pthread_create(&threads[i], NULL, produce_many, &producers[i]) == 0);
  }
  for (int round = 0; round < 50; round++) {
    int64_t first, end;
    got.limit = 0;
    if (!uk_log_bounds(log, uk_slice_text("t"), 0, &first, &end))
      continue;
    CHECK_EQ_INT(rig_read(log, &got, "t", 0, end / 2), UK_OK);
    CHECK(got.dense && got.next >= end);
  }
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    for (int j = 0; j < PER_THREAD; j++) {
      int64_t offset = producers[i].offsets[j];
      REQUIRE(offset >= 0 && offset < THREADS * PER_THREAD && !seen[offset]);
      seen[offset] = true;
      CHECK(j == 0 || offset > producers[i].offsets[j - 1]);
    }
  }
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, THREADS * PER_THREAD);
}

static void group_commit(void)
{
  with_log(many_threads);
}

/* Closing carries out every submitted command. */
static void closing_finishes(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  static struct uk_record records[100];
  static struct uk_produce produces[100];
  static struct rig_call calls[100];
  REQUIRE(log != NULL);
  for (int i = 0; i < 100; i++) {
    records[i] = rig_record("t", 0, "v");
    produces[i] = (struct uk_produce){.records = &records[i], .count = 1};
    rig_call_init(&calls[i], &produces[i].operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &produces[i].operation);
  }
  uk_log_finish(log);
  for (int i = 0; i < 100; i++) {
    rig_call_wait(&calls[i], &produces[i].operation);
    CHECK_EQ_INT(produces[i].operation.error, UK_OK);
    CHECK_EQ_INT(records[i].offset, i);
  }
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_INT(got.count, 100);
  CHECK_EQ_INT(rig_produce(log, records, 1, NULL), UK_E_UNAVAILABLE);
  uk_log_close(log);
  rig_remove();
}

/* Open. */

static void check_open_fails(const struct uk_log_options *options, enum uk_error want,
                             const char *text)
{
  char message[UK_MESSAGE_SIZE] = "";
  struct uk_log *log;
  CHECK_EQ_INT(uk_log_open(&log, options, message, sizeof message), want);
  CHECK(log == NULL);
  CHECK_EQ_STR(message, text);
}

static void one_log_per_directory(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  char text[500];
  REQUIRE(log != NULL);
  snprintf(text, sizeof text, "the directory %s is in use by another server (process %ld)",
           rig_directory(), (long)getpid());
  check_open_fails(&options, UK_E_UNAVAILABLE, text);
  CHECK_EQ_INT(rig_put(log, "t", 0, "still", -1), 0);
  log = again(log);
  CHECK(log != NULL);
  uk_log_close(log);
  rig_remove();
}

static void open_names_the_directory(void)
{
  struct uk_log_options options = rig_options();
  char text[500], path[400];
  options.directory = "/proc/nowhere";
  check_open_fails(&options, UK_E_UNAVAILABLE,
                   "cannot create the directory /proc/nowhere: No such file or directory");
  options.directory = "/dev/null";
  check_open_fails(&options, UK_E_UNAVAILABLE,
                   "cannot create the directory /dev/null: Not a directory");
  options = rig_options();
  snprintf(path, sizeof path, "%s/data.mdb", rig_directory());
  FILE *file = fopen(path, "w");
  REQUIRE(file != NULL);
  for (int i = 0; i < 10000; i++)
    fputs("not a log ", file);
  fclose(file);
  snprintf(text, sizeof text,
           "the log in %s is damaged: page 0 is not a meta page; run upstash-kafka check %s",
           rig_directory(), rig_directory());
  check_open_fails(&options, UK_E_UNAVAILABLE, text);
  options.partitions = 0;
  check_open_fails(&options, UK_E_BAD_REQUEST, "partitions is 0; expected 1 to 1000");
  rig_remove();
}

static void creates_its_directory(void)
{
  struct uk_log_options options = rig_options();
  char path[400], rest[500];
  snprintf(path, sizeof path, "%s/new", rig_directory());
  options.directory = path;
  struct uk_log *log = rig_open(&options);
  CHECK(log != NULL);
  uk_log_close(log);
  static const char *const files[] = {"data.mdb", "lock.mdb", "server.lock", "identity", "reserve"};
  for (int i = 0; i < 5; i++) {
    snprintf(rest, sizeof rest, "%s/%s", path, files[i]);
    CHECK_EQ_INT(unlink(rest), 0);
  }
  CHECK_EQ_INT(rmdir(path), 0);
  rig_remove();
}

/* A damaged page gives a message, no crash, and the records before it. */
static void reports_damage(void)
{
  static char value[3001];
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  char path[400];
  memset(value, 'v', 3000);
  memcpy(value, "find me ", 8);
  REQUIRE(log != NULL);
  REQUIRE(rig_put(log, "t", 0, "first", 10) == 0);
  REQUIRE(rig_put(log, "t", 0, value, 20) == 1);
  uk_log_close(log);
  snprintf(path, sizeof path, "%s/data.mdb", rig_directory());
  int fd = open(path, O_RDWR);
  REQUIRE(fd >= 0);
  static char page[1 << 20];
  ssize_t length = pread(fd, page, sizeof page, 0);
  char *at = memmem(page, (size_t)length, "find me ", 8);
  REQUIRE(at != NULL);
  CHECK_EQ_INT(pwrite(fd, "lost", 4, at - page), 4);
  close(fd);
  log = rig_open(&options);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 0), UK_OK);
  CHECK_EQ_STR(got.text, "first\n");
  CHECK_EQ_STR(got.operation.message, "");
  check_time(log, "t", 10, 0);
  int64_t offset;
  CHECK_EQ_INT(uk_log_offset_for_time(log, uk_slice_text("t"), 0, 11, &offset), UK_E_INTERNAL);
  CHECK_EQ_INT(rig_read(log, &got, "t", 0, 1), UK_E_INTERNAL);
  CHECK_EQ_STR(got.operation.message,
               "the last batch of topic \"t\" partition 0 is damaged, from offset 1 on");
  CHECK_EQ_INT(rig_put(log, "t", 1, "elsewhere", -1), 0);
  uk_log_close(log);
  rig_remove();
}

static void a_format_of_the_future(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  char path[400], text[500];
  static char bytes[1 << 20];
  REQUIRE(log != NULL);
  uk_log_close(log);
  snprintf(path, sizeof path, "%s/data.mdb", rig_directory());
  int fd = open(path, O_RDWR);
  REQUIRE(fd >= 0);
  ssize_t length = pread(fd, bytes, sizeof bytes, 0);
  for (char *at = bytes;
       (at = memmem(at, (size_t)(bytes + length - at), "format\0\0\0\2", 10)) != NULL;)
    *(at += 9) = 7;
  CHECK_EQ_INT(pwrite(fd, bytes, (size_t)length, 0), length);
  close(fd);
  snprintf(text, sizeof text,
           "the log in %s has format 7, which this version does not know (expected 2)",
           rig_directory());
  check_open_fails(&options, UK_E_UNAVAILABLE, text);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(a_format_of_the_future);
  CHECK_RUN(spreading_in_runs);
  CHECK_RUN(concurrent_appends);
  CHECK_RUN(topics_at_the_limit);
  CHECK_RUN(appending_and_reading);
  CHECK_RUN(reading_from_everywhere);
  CHECK_RUN(survives_closing);
  CHECK_RUN(refusals);
  CHECK_RUN(creating_and_deleting);
  CHECK_RUN(listing_topics);
  CHECK_RUN(no_auto_create);
  CHECK_RUN(finding_partitions);
  CHECK_RUN(finding_times);
  CHECK_RUN(expires_by_age);
  CHECK_RUN(an_emptied_partition_keeps_its_end);
  CHECK_RUN(expires_by_size);
  CHECK_RUN(a_deleted_topic_leaves_no_row);
  CHECK_RUN(times_behind_a_removed_peak);
  CHECK_RUN(a_forward_commit_never_goes_back);
  CHECK_RUN(a_commit_beyond_the_end_is_replaced);
  CHECK_RUN(group_commit);
  CHECK_RUN(closing_finishes);
  CHECK_RUN(one_log_per_directory);
  CHECK_RUN(open_names_the_directory);
  CHECK_RUN(creates_its_directory);
  CHECK_RUN(reports_damage);
  return check_end();
}
