/* for: log_check_rows.c, log_check_batches.c
 *
 * Rows that are whole, and wrong all the same: each is told, with its place. */
#include "server/log_engine/log_check.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "log_check_rig.h"
#include "log_raw.h"
#include "log_rig.h"

#define WRONG_SUM "the checksum or the header of the batch is wrong\n"
#define NAMES_NONE "a row names a batch that is missing or damaged\n"

/* Meta and identity. */

static void rows_of_meta_are_told(void)
{
  checked_write_log();
  raw_put_row("meta", raw_text("format"), "\0\0\2", 3);
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  CHECK(strstr(checked.told, "meta: the row \"format\" is damaged\n") == checked.told);
  raw_put_row("meta", raw_text("format"), "\0\0\0\0", 4);
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, "has format 0, which") != NULL);
  raw_put_row("meta", raw_text("format"), "\0\0\0\2", 4);
  checked_tells("");
  raw_put_row("meta", raw_text("upgraded"), "123", 3);
  checked_tells("meta: the row \"upgraded\" is damaged\n");
  raw_delete_row("meta", raw_text("upgraded"));
  raw_put_row("meta", raw_text("next_topic"), "\0\0\0\0\0\0\0\3", 8);
  checked_tells("meta: has a row of format 1\n");
  raw_put_number("meta", raw_text("upgraded"), 1764000000000);
  checked_tells("");
  raw_delete_row("meta", raw_text("log"));
  checked_tells("meta: the row \"log\" is missing or damaged\n");
  CHECK_EQ_STR(checked.notes, ""); /* it may be the log that the identity names */
  raw_put_row("meta", raw_text("needs b"), "\0\0\0\1", 4);
  raw_put_row("meta", raw_text("needs a"), "bcde", 4);
  raw_put_row("meta", raw_text("needs"), "", 0); /* no name */
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, "needs a, which this version does not know") != NULL);
  rig_remove();
}

static void the_identity_is_compared(void)
{
  struct uk_log_identity identity;
  checked_write_log();
  int folder = open(rig_directory(), O_RDONLY | O_DIRECTORY);
  CHECK_EQ_INT(uk_log_identity_read(folder, &identity), UK_LOG_IDENTITY_OK);
  identity.id[15] ^= 1;
  CHECK_EQ_INT(uk_log_identity_write(folder, &identity, false), 0);
  close(folder);
  checked_tells("");
  CHECK_EQ_STR(checked.notes,
               "data.mdb is of another log than the file identity: a restored copy\n");
  CHECK_EQ_INT(truncate(raw_path("identity"), 40), 0);
  checked_tells("identity: cannot be read\n");
  CHECK_EQ_INT(checked.result.damaged, 1);
  unlink(raw_path("identity"));
  checked_tells("");
  CHECK_EQ_STR(checked.notes, "");
  rig_remove();
}

/* Topics. */

static void put_topic(const char *name, uint64_t id)
{
  uint8_t row[UK_LOG_TOPIC_ROW] = {0};
  MDB_val key = raw_text(name);
  uk_store_u64(row, id);
  uk_store_u32(row + 8, 1);
  struct raw raw = raw_begin();
  CHECK_EQ_INT(uk_log_topic_row_put(raw.txn, raw_table(&raw, "topics"), &key, row, NULL), 0);
  raw_end(&raw);
}

static void topics_have_ids_of_their_own(void)
{
  checked_write_log();
  put_topic("c", 1);
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  CHECK(strcmp(checked.told, "topics: topics \"a\" and \"c\" have the same ID\n") == 0 ||
        strcmp(checked.told, "topics: topics \"c\" and \"a\" have the same ID\n") == 0);
  put_topic("c", 2);
  CHECK_EQ_INT(checked_into(NULL), UK_OK);
  CHECK(strcmp(checked.told, "topics: topics \"b\" and \"c\" have the same ID\n") == 0 ||
        strcmp(checked.told, "topics: topics \"c\" and \"b\" have the same ID\n") == 0);
  raw_put_number("meta", raw_text("next_topic"), 4);
  put_topic("c", 3);
  checked_tells("");
  CHECK_EQ_INT(checked.result.topics, 3);
  raw_put_number("meta", raw_text("next_topic"), 3);
  checked_tells("topics: topic \"c\" has an ID that was not given yet\n");
  raw_delete_row("topics", raw_text("c"));
  put_topic("no name", 1);
  checked_tells("topics: the row of topic \"no name\" is damaged\n");
  rig_remove();
}

/* Without the topic's row its name is not known. */
static void a_topic_without_its_row_is_named_by_its_id(void)
{
  checked_write_log();
  raw_flip("topics", raw_text("a"), 11);
  raw_flip("batches", raw_key(1, 0, 0), 10);
  checked_tells("topics: the row of topic \"a\" is damaged\n"
                "batches: topic with the ID 1 partition 0 offsets 0 to 1: " WRONG_SUM);
  rig_remove();
}

/* Batches. */

struct batch {
  int64_t offset;
  uint64_t position;
  uint32_t life;
  bool is_broken; /* its last record is, under a right checksum */
};

/* Puts a batch of three records into partition 0. */
static void put_batch(struct batch what)
{
  struct uk_record record = rig_record("a", 0, "value");
  const struct uk_log_seal seal = {
    .place = {1, 0, what.offset}, .position = what.position, .arrival = 5, .life = what.life};
  struct uk_log_builder builder;
  struct uk_log_batch batch;
  struct uk_buffer copy;
  char bytes[300];
  uk_log_builder_init(&builder);
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(uk_log_builder_add(&builder, &record, 3000), UK_OK);
  struct uk_slice sealed = uk_log_builder_seal(&builder, &seal);
  CHECK(sealed.length <= sizeof bytes && uk_log_batch_read(&batch, sealed));
  memcpy(bytes, sealed.data, sealed.length);
  if (what.is_broken)
    bytes[sealed.length - 1 - 5 - 2] = 0x40; /* its flags */
  uk_buffer_init(&copy, 1000);
  CHECK_EQ_INT(uk_log_batch_copy(&copy, &batch, uk_slice_of(bytes, sealed.length), &seal), UK_OK);
  raw_put_row("batches", raw_key(1, 0, what.offset), copy.data, copy.length);
  uk_buffer_free(&copy);
  uk_log_builder_free(&builder);
}

static uint64_t batch_bytes(int64_t offset)
{
  static uint8_t bytes[300];
  return raw_row(rig_directory(), "batches", raw_key(1, 0, offset), bytes, sizeof bytes);
}

static void a_record_that_cannot_be_read_is_told(void)
{
  checked_write_log();
  put_batch((struct batch){.offset = 3, .position = batch_bytes(0) + batch_bytes(2), .life = 1});
  checked_tells("");
  put_batch((struct batch){
    .offset = 3, .position = batch_bytes(0) + batch_bytes(2), .life = 1, .is_broken = true});
  checked_tells(
    "batches: topic \"a\" partition 0 from offset 3 on: a record of the batch cannot be read\n");
  CHECK_EQ_INT(checked.result.records, 5);
  rig_remove();
}

static void the_position_of_a_batch_follows_the_one_before(void)
{
  char text[300];
  checked_write_log();
  const uint64_t first = batch_bytes(0), position = first + batch_bytes(2);
  for (int more = -1; more <= 1; more += 2) {
    const uint64_t wrong = position + (uint64_t)(int64_t)more;
    put_batch((struct batch){.offset = 3, .position = wrong, .life = 1});
    snprintf(text, sizeof text,
             "batches: topic \"a\" partition 0 offset 3: the batch's position is %" PRIu64
             ", not %" PRIu64 "\n",
             wrong, position);
    checked_tells(text);
  }
  /* Behind a gap it may be any later one. */
  raw_delete_row("batches", raw_key(1, 0, 2));
  put_batch((struct batch){.offset = 3, .position = first, .life = 1});
  checked_tells("batches: topic \"a\" partition 0 offsets 2 to 2: missing\n"
                "times: topic \"a\" partition 0 offset 2: " NAMES_NONE);
  put_batch((struct batch){.offset = 3, .position = first - 1, .life = 1});
  snprintf(text, sizeof text,
           "batches: topic \"a\" partition 0 offsets 2 to 2: missing\n"
           "batches: topic \"a\" partition 0 offset 3: the batch's position is %" PRIu64
           ", not %" PRIu64 "\ntimes: topic \"a\" partition 0 offset 2: " NAMES_NONE,
           first - 1, first);
  checked_tells(text);
  rig_remove();
}

static void a_batch_is_of_a_life_that_was(void)
{
  checked_write_log();
  put_batch((struct batch){.offset = 3, .position = batch_bytes(0) + batch_bytes(2), .life = 2});
  checked_tells(
    "batches: topic \"a\" partition 0 offset 3: is of life 2, which the log did not have\n");
  rig_remove();
}

static void offsets_are_given_once(void)
{
  checked_write_log();
  put_batch((struct batch){.offset = 1, .position = batch_bytes(0), .life = 1});
  checked_tells("batches: topic \"a\" partition 0 offsets 1 to 1: the batch has offsets of the one "
                "before it\n");
  raw_delete_row("batches", raw_key(1, 0, 1));
  put_batch((struct batch){.offset = -5, .life = 1});
  checked_tells("batches: topic \"a\" partition 0 " WRONG_SUM);
  rig_remove();
}

/* Retention removes from the front: that is no damage. */
static void the_first_batches_may_be_gone(void)
{
  checked_write_log();
  raw_delete_row("batches", raw_key(1, 0, 0));
  checked_tells("");
  CHECK_EQ_INT(checked.result.records, 6);
  rig_remove();
}

/* Times. */

static void a_time_names_a_batch(void)
{
  checked_write_log();
  raw_put_number("times", raw_time_key(0, 2000), 1);
  checked_tells("times: topic \"a\" partition 0 offset 1: " NAMES_NONE);
  raw_put_number("times", raw_time_key(0, 2000), 2);
  raw_put_number("times", raw_time_key(0, 4000), 6);
  checked_tells("times: topic \"a\" partition 0 offset 6: " NAMES_NONE);
  raw_put_number("times", raw_time_key(0, 4000), INT64_MAX);
  checked_tells("times: topic \"a\" partition 0 a row is damaged\n");
  raw_delete_row("times", raw_time_key(0, 4000));
  raw_put_number("times", raw_time_key(2, 1000), 0);
  checked_tells("times: topic \"a\" partition 2 a row: there is no such partition\n");
  rig_remove();
}

/* The distances of base offsets take one byte to three. */
static void batches_of_many_records_are_found_by_their_times(void)
{
  enum { MOST = 20000 };
  static struct uk_record records[MOST];
  static const size_t counts[] = {1, 127, 128, 300, MOST, 1, 1};
  struct uk_log_options options = rig_options();
  int64_t offset = 0, large = 0;
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    for (size_t j = 0; j < counts[i]; j++) {
      records[j] = rig_record("a", 0, "");
      records[j].timestamp = (int64_t)i * 1000;
    }
    CHECK_EQ_INT(rig_produce(log, records, counts[i], NULL), UK_OK);
    large = counts[i] == MOST ? offset : large;
    offset += (int64_t)counts[i];
  }
  uk_log_close(log);
  checked_tells("");
  CHECK_EQ_INT(checked.result.records, offset);
  /* Without all batches of the many but the last one, the distance takes three bytes. */
  struct raw raw = raw_begin();
  for (int64_t at = large; at < large + MOST; at++) {
    MDB_val value;
    if (raw_get(&raw, "batches", raw_key(1, 0, at), &value))
      raw_delete(&raw, "batches", raw_key(1, 0, at));
  }
  raw_end(&raw);
  char text[300];
  snprintf(text, sizeof text,
           "batches: topic \"a\" partition 0 offsets %" PRId64 " to %" PRId64 ": missing\n"
           "times: topic \"a\" partition 0 offset %" PRId64 ": " NAMES_NONE,
           large, large + MOST - 1, large);
  checked_tells(text);
  rig_remove();
}

/* Committed offsets. */

static MDB_val committed_key(int32_t partition, size_t group)
{
  static uint8_t bytes[511];
  memset(bytes, 'g', sizeof bytes);
  uk_log_key_prefix(bytes, 1, partition);
  return (MDB_val){UK_LOG_PREFIX + group, bytes};
}

static void a_committed_offset_has_a_group_and_a_partition(void)
{
  checked_write_log();
  raw_put_number("committed", committed_key(0, 255), 1);
  checked_tells("");
  CHECK_EQ_INT(checked.result.committed, 3);
  raw_put_number("committed", committed_key(0, 256), 1);
  checked_tells("committed: a row has an impossible key\n");
  raw_delete_row("committed", committed_key(0, 256));
  raw_put_number("committed", committed_key(0, 0), 1);
  checked_tells("committed: a row has an impossible key\n");
  raw_delete_row("committed", committed_key(0, 0));
  raw_put_number("committed", committed_key(0, 1), (uint64_t)INT64_MAX + 1);
  checked_tells("committed: topic \"a\" partition 0 group \"g\": the row is damaged\n");
  raw_delete_row("committed", committed_key(0, 1));
  raw_put_number("committed", committed_key(2, 1), 0);
  checked_tells("committed: topic \"a\" partition 2 group \"g\": there is no such partition\n");
  raw_delete_row("committed", committed_key(2, 1));
  raw_delete_row("topics", raw_text("a"));
  checked_tells(""); /* of a topic that was deleted */
  CHECK_EQ_STR(checked.notes, "11 rows are left of topics that do not exist (any more)\n");
  CHECK_EQ_INT(checked.result.committed, 0);
  rig_remove();
}

/* More of everything than the first allocation has room for. */
static void there_may_be_many(void)
{
  enum { MANY = 50 };
  struct uk_log_options options = rig_options();
  options.no_sync = true;
  options.partitions = 1;
  struct uk_log *log = rig_open(&options);
  for (int i = 0; i < MANY; i++) {
    char name[20];
    snprintf(name, sizeof name, "topic-%d", i);
    CHECK_EQ_INT(rig_put(log, name, 0, name, 1000), 0);
    CHECK_EQ_INT(rig_commit(log, "readers", name, 0, 1), UK_OK);
  }
  uk_log_close(log);
  for (uint64_t id = 1000; id < 1000 + MANY; id++) {
    uint8_t key[8];
    uk_store_u64(key, id);
    raw_put_row("purges", (MDB_val){sizeof key, key}, "", 0);
  }
  checked_salvage();
  CHECK_EQ_STR(checked.told, "");
  CHECK_EQ_INT(checked.result.topics, MANY);
  CHECK_EQ_INT(checked.result.records, MANY);
  CHECK_EQ_INT(checked.result.committed, MANY);
  log = checked_open_target();
  checked_log(log, "topic-0", 0, 0, 1, "topic-0\n");
  checked_log(log, "topic-49", 0, 0, 1, "topic-49\n");
  CHECK_EQ_INT(checked_committed(log, "topic-33", 0), 1);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

int main(void)
{
  CHECK_RUN(rows_of_meta_are_told);
  CHECK_RUN(the_identity_is_compared);
  CHECK_RUN(topics_have_ids_of_their_own);
  CHECK_RUN(a_topic_without_its_row_is_named_by_its_id);
  CHECK_RUN(a_record_that_cannot_be_read_is_told);
  CHECK_RUN(the_position_of_a_batch_follows_the_one_before);
  CHECK_RUN(a_batch_is_of_a_life_that_was);
  CHECK_RUN(offsets_are_given_once);
  CHECK_RUN(the_first_batches_may_be_gone);
  CHECK_RUN(a_time_names_a_batch);
  CHECK_RUN(batches_of_many_records_are_found_by_their_times);
  CHECK_RUN(a_committed_offset_has_a_group_and_a_partition);
  CHECK_RUN(there_may_be_many);
  return check_end();
}
