/* The rows of idempotency keys: damage, what a check tells, what a salvage keeps, older formats and
 * programs, restored copies. For: log_store_keys.c, log_store_meta.c, log_check_keys.c,
 * log_check_rows.c, log_salvage.c, log_keys.c, log_replay.c. */
#include "server/log_engine/log_answer.h"

#include <unistd.h>

#include "key_rig.h"
#include "log_check_rig.h"
#include "log_raw.h"

static char noticed[400];

static void notice(const char *line)
{
  snprintf(noticed, sizeof noticed, "%s", line);
}

static struct uk_log *open_noticing(void)
{
  struct uk_log_options options = keyed_options();
  options.notice = notice;
  noticed[0] = '\0';
  return rig_open(&options);
}

/* A closed log with the keys "a", "b" and "c", of the records 0, 1 and 2. */
static void write_log(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  is_new(log, "b", 1);
  is_new(log, "c", 2);
  uk_log_close(log);
}

static MDB_val row_of(const char *key)
{
  static char bytes[40];
  int length = snprintf(bytes, sizeof bytes, "\001u%s", key);
  return (MDB_val){(size_t)length, bytes};
}

static size_t rows_of(const char *table)
{
  struct raw raw = raw_begin();
  size_t count = raw_count(&raw, table);
  raw_end(&raw);
  return count;
}

/* The key of the row of `expiries` for this key. */
static MDB_val expiry_of(const char *key)
{
  static uint8_t time[8];
  uint8_t bytes[200];
  CHECK(raw_row(rig_directory(), "keys", row_of(key), bytes, sizeof bytes) > UK_LOG_ANSWER_HEADER);
  memcpy(time, bytes + 16, sizeof time);
  return (MDB_val){sizeof time, time};
}

static void the_first_key_says_what_the_log_needs(void)
{
  uint8_t bytes[8];
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "v", -1) == 0);
  uk_log_close(log);
  CHECK_EQ_INT(raw_row(rig_directory(), "meta", raw_text("needs keys"), bytes, sizeof bytes), 0);
  log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 1);
  uk_log_close(log);
  CHECK_EQ_INT(raw_row(rig_directory(), "meta", raw_text("needs keys"), bytes, sizeof bytes), 4);
  CHECK(memcmp(bytes, "\0\0\0\1", 4) == 0);
  rig_remove();
}

static void other_needs_are_refused(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_log *log;
  struct uk_log_options options = keyed_options();
  write_log();
  raw_put_row("meta", raw_text("needs keys"), "\0\0\0\2", 4);
  CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
  CHECK(strstr(message, " needs keys 2, which this version does not know") != NULL);
  CHECK_EQ_INT(checked_into(NULL), UK_E_UNAVAILABLE);
  CHECK(strstr(checked.message, " needs keys 2, which this version does not know") != NULL);
  raw_put_row("meta", raw_text("needs keys"), "\0\0\0\1", 4);
  raw_put_row("meta", raw_text("needs lists"), "\0\0\0\1", 4); /* behind the known one */
  CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
  CHECK(strstr(message, " needs lists 1, which this version does not know") != NULL);
  raw_delete_row("meta", raw_text("needs lists"));
  raw_put_row("meta", raw_text("needs keys"), "\0\0\1", 3);
  CHECK_EQ_INT(uk_log_open(&log, &options, message, sizeof message), UK_E_UNAVAILABLE);
  checked_tells("meta: the row \"needs keys\" is damaged\n");
  rig_remove();
}

/* Damage. */

static void a_damaged_answer_is_a_500_until_it_ends(void)
{
  struct keyed keyed;
  for (size_t byte = 0; byte < 36; byte += 7) {
    write_log();
    raw_flip("keys", row_of("b"), byte);
    struct uk_log *log = open_noticing();
    REQUIRE(log != NULL);
    CHECK_EQ_STR(noticed, "1 idempotency keys in data.mdb are damaged: whether their requests were "
                          "carried out is not known any more");
    for (int i = 0; i < 2; i++) {
      keyed_init(&keyed, "b", "t", 1);
      CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_INTERNAL);
      CHECK_EQ_STR(keyed.message, "what is stored of this idempotency key is damaged: whether the "
                                  "request was carried out is not known");
    }
    is_replay(log, "a", 0);
    is_replay(log, "c", 2);
    is_new(log, "d", 3);
    uk_log_close(log);
    struct uk_log_options options = keyed_options();
    options.key_limits = (struct uk_log_key_limits){1, 1 << 20, 1, 1 << 20};
    log = rig_open(&options); /* its turn to go comes as for any other */
    REQUIRE(log != NULL);
    is_replay(log, "d", 3);
    uk_log_close(log);
    CHECK_EQ_INT(rows_of("keys"), 1);
    CHECK_EQ_INT(rows_of("expiries"), 1);
    rig_remove();
  }
}

static void rows_that_are_too_short_are_damaged(void)
{
  static const size_t lengths[] = {0, 3, 4, 35};
  char bytes[40] = "";
  struct keyed keyed;
  for (size_t i = 0; i < 4; i++) {
    write_log();
    raw_put_row("keys", row_of("b"), bytes, lengths[i]);
    struct uk_log *log = open_noticing();
    REQUIRE(log != NULL);
    keyed_init(&keyed, "b", "t", 1);
    CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_INTERNAL);
    uk_log_close(log);
    checked_tells("keys: a row of user \"u\" is damaged: a repeat of that request is not "
                  "recognized\n");
    rig_remove();
  }
}

/* Rows of `expiries` that name nothing go when their turn comes; so does a key without one. */
static void damaged_expiries_do_no_harm(void)
{
  write_log();
  raw_flip("expiries", expiry_of("a"), 1);
  raw_put_row("expiries", (MDB_val){3, "\0\0\0"}, "", 0);
  raw_put_row("expiries", (MDB_val){9, "\0\0\0\0\0\0\0\0\1"}, "abcdefg", 7);
  raw_put_row("expiries", (MDB_val){8, "\xff\xff\xff\xff\xff\xff\xff\xff"}, "abcdefg", 7);
  checked_tells("expiries: a row is damaged: its key is kept too long\n"
                "expiries: a row is damaged: its key is kept too long\n"
                "expiries: a row is damaged: its key is kept too long\n"
                "expiries: a row is damaged: its key is kept too long\n"
                "expiries: 6 rows for 3 keys\n");
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_replay(log, "a", 0);
  is_replay(log, "c", 2);
  is_new(log, "d", 3);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 4);
  CHECK_EQ_INT(rows_of("expiries"), 4); /* of b, c and d, and the one that is not at its turn */
  rig_remove();
}

static void a_missing_need_is_damage(void)
{
  write_log();
  checked_tells("");
  raw_delete_row("meta", raw_text("needs keys"));
  checked_tells("keys: has rows, but the row \"needs keys\" is missing\n");
  raw_put_row("meta", raw_text("needs keys"), "\0\0\0\1", 4);
  raw_delete_row("expiries", expiry_of("b"));
  checked_tells("expiries: 2 rows for 3 keys\n");
  rig_remove();
}

/* An answer that is whole and makes no sense. */
static void an_answer_to_other_records_is_damage(void)
{
  struct keyed keyed;
  write_log();
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  keyed_init(&keyed, "b", "t", 2); /* the same fingerprint, as if by chance */
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_INTERNAL);
  is_replay(log, "b", 1);
  uk_log_close(log);
  rig_remove();
}

/* Salvage. */

static void a_salvaged_log_knows_its_keys(void)
{
  write_log();
  raw_flip("keys", row_of("b"), 3);
  raw_flip("expiries", expiry_of("a"), 1);
  checked_salvage();
  CHECK_EQ_INT(checked.result.damaged, 2);
  CHECK_EQ_INT(checked_folder(checked_target(), NULL), UK_OK);
  CHECK_EQ_STR(checked.told, "");
  struct uk_log_options options = keyed_options();
  options.directory = checked_target();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  is_replay(log, "a", 0);
  is_replay(log, "c", 2);
  is_new(log, "b", 3);
  uk_log_close(log);
  checked_remove_target();
  rig_remove();
}

/* Restored copies. */

/* A13: a copy knows the keys that it was made with, and no later ones. */
static void a13_a_restored_copy_has_its_own_keys(void)
{
  char copy[400];
  write_log();
  snprintf(copy, sizeof copy, "%s/copy", rig_directory());
  raw_copy(raw_path("data.mdb"), "copy");
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "d", 3);
  is_new(log, "e", 4);
  uk_log_close(log);
  raw_copy(copy, "data.mdb");
  unlink(raw_path("lock.mdb"));
  log = open_noticing();
  REQUIRE(log != NULL);
  is_replay(log, "c", 2);
  CHECK(strstr(noticed, "data.mdb is a restored copy: ") == noticed);
  is_new(log, "e", 3);
  is_new(log, "d", 4);
  is_replay(log, "e", 3);
  uk_log_close(log);
  rig_remove();
}

/* The answer names offsets that the partition does not have: it is of a future that is gone. */
static void an_answer_beyond_the_end_is_none(void)
{
  uint8_t bytes[200];
  struct uk_log *log;
  write_log();
  size_t length = raw_row(rig_directory(), "keys", row_of("c"), bytes, sizeof bytes);
  REQUIRE(length > 4 + UK_LOG_ANSWER_HEADER);
  CHECK_EQ_INT(bytes[length - 5], 2); /* the offset */
  for (uint8_t offset = 2; offset < 5; offset++) {
    MDB_val key = row_of("c");
    bytes[length - 5] = offset;
    uk_store_u32(bytes + length - 4, uk_log_row_sum(&key, bytes, length - 4));
    raw_put_row("keys", key, bytes, length);
    log = keyed_open();
    REQUIRE(log != NULL);
    if (offset == 2)
      is_replay(log, "c", 2);
    else
      is_new(log, "c", offset);
    uk_log_close(log);
    CHECK_EQ_INT(rows_of("keys"), 3);
    CHECK_EQ_INT(rows_of("expiries"), 3);
    length = raw_row(rig_directory(), "keys", row_of("c"), bytes, sizeof bytes);
  }
  rig_remove();
}

/* Where a partition ends is not known when its last batch is damaged: what was answered stays. */
static void an_answer_in_a_damaged_partition_stays(void)
{
  write_log();
  raw_flip("batches", raw_key(1, 0, 2), 20);
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_replay(log, "b", 1);
  is_replay(log, "c", 2);
  uk_log_close(log);
  raw_delete_row("batches", raw_key(1, 0, 2)); /* the end is believed to be 2 */
  raw_flip("batches", raw_key(1, 0, 1), 20);
  log = keyed_open();
  REQUIRE(log != NULL);
  is_replay(log, "c", 2);
  uk_log_close(log);
  rig_remove();
}

/* A log of format 1 becomes one of format 2 first. */
static void a_log_of_format_1_takes_keys(void)
{
  raw_copy("spec/fixtures/log-format-1/data.mdb", "data.mdb");
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  int64_t offset = rig_put(log, "keyed", 0, "v", -1);
  CHECK_EQ_INT(offset, 0);
  is_new(log, "a", keyed_put(log, "first", &(bool){false}) + 1);
  bool replayed;
  keyed_put(log, "a", &replayed);
  CHECK(replayed);
  uk_log_close(log);
  log = keyed_open();
  REQUIRE(log != NULL);
  keyed_put(log, "a", &replayed);
  CHECK(replayed);
  uk_log_close(log);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(the_first_key_says_what_the_log_needs);
  CHECK_RUN(other_needs_are_refused);
  CHECK_RUN(a_damaged_answer_is_a_500_until_it_ends);
  CHECK_RUN(rows_that_are_too_short_are_damaged);
  CHECK_RUN(damaged_expiries_do_no_harm);
  CHECK_RUN(a_missing_need_is_damage);
  CHECK_RUN(an_answer_to_other_records_is_damage);
  CHECK_RUN(a_salvaged_log_knows_its_keys);
  CHECK_RUN(a13_a_restored_copy_has_its_own_keys);
  CHECK_RUN(an_answer_beyond_the_end_is_none);
  CHECK_RUN(an_answer_in_a_damaged_partition_stays);
  CHECK_RUN(a_log_of_format_1_takes_keys);
  return check_end();
}
