/* The rows of idempotency keys: damage, what a check tells, what a salvage keeps, older formats and
 * programs, restored copies. For: log_key_queue.c, log_store_keys.c, log_store_meta.c,
 * log_check_keys.c, log_check_rows.c, log_salvage.c, log_keys.c, log_replay.c. */
#include "server/log_engine/log_answer.h"

#include <stdlib.h>
#include <unistd.h>

#include "key_rig.h"
#include "log_check_rig.h"
#include "log_raw.h"
#include "server/log_engine/log_keys.h"

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

/* Puts a row of `expiries` with the right sum. */
static void put_expiry(const char *time, size_t length, MDB_val row)
{
  uint8_t bytes[100];
  MDB_val key = {length, (void *)(uintptr_t)time};
  memcpy(bytes, row.mv_data, row.mv_size);
  uk_store_u32(bytes + row.mv_size, uk_log_row_sum(&key, bytes, row.mv_size));
  raw_put_row("expiries", key, bytes, row.mv_size + 4);
}

/* A whole row names its key, and takes it along when that ends then. */
static void whole_expiries_that_are_wrong_do_no_harm(void)
{
  write_log();
  put_expiry("\0\0\0\0\0\0\0\1", 8, row_of("a"));   /* it ends later */
  put_expiry("\0\0\0\0\0\0\0\2\1", 9, row_of("c")); /* no time */
  put_expiry("\0\0\2", 3, row_of("c"));
  raw_delete_row("keys", row_of("b")); /* its row of `expiries` stays */
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "d", 3);
  is_replay(log, "a", 0);
  is_replay(log, "c", 2);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 3);
  CHECK_EQ_INT(rows_of("expiries"), 4);
  struct uk_log_options options = keyed_options();
  options.key_limits = (struct uk_log_key_limits){1, 1 << 20, 1, 1 << 20};
  log = rig_open(&options);
  REQUIRE(log != NULL);
  is_replay(log, "d", 3);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 1);
  CHECK_EQ_INT(rows_of("expiries"), 1);
  rig_remove();
}

static void names_of_rows_have_limits(void)
{
  static const struct {
    size_t user, key, length;
  } cases[] = {{255, 128, 384}, {256, 128, 0}, {255, 129, 0}, {0, 1, 2}};
  static char text[300];
  uint8_t bytes[UK_LOG_KEY_ROW_MAX];
  memset(text, 'x', sizeof text);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const struct uk_produce_key key = {.user = uk_slice_of(text, cases[i].user),
                                       .key = uk_slice_of(text, cases[i].key)};
    CHECK_EQ_INT(uk_log_key_row(bytes, &key), cases[i].length);
    const struct uk_slice row = uk_slice_of((const char *)bytes, cases[i].length);
    CHECK_EQ_INT(uk_log_key_row_user(row).length, cases[i].length > 0 ? cases[i].user : 0);
  }
  CHECK_EQ_INT(uk_log_key_row_user(uk_slice_of("\2a", 2)).length, 0); /* the user is cut off */
  CHECK_EQ_SLICE(uk_log_key_row_user(uk_slice_of("\2ab", 3)), "ab");
}

/* The longest row that a key has, and one more byte. */
static void an_expiry_names_a_row_of_a_key(void)
{
  uint8_t bytes[UK_LOG_KEY_ROW_MAX + 5] = {0};
  struct uk_slice row;
  const MDB_val key = {8, (void *)(uintptr_t) "\0\0\0\0\0\0\0\1"};
  for (size_t length = 0; length <= UK_LOG_KEY_ROW_MAX + 1; length++) {
    const MDB_val value = {length + 4, bytes};
    memset(bytes, 0, sizeof bytes);
    uk_store_u32(bytes + length, uk_log_row_sum(&key, bytes, length));
    const bool possible = length >= 1 && length <= UK_LOG_KEY_ROW_MAX;
    CHECK_EQ_INT(uk_log_expiry_row_read(&key, &value, &row), possible);
    CHECK(!possible || row.length == length);
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
  rig_remove();
}

/* After a crash. */
static void the_newest_keys_may_lack_their_expiries(void)
{
  char key[20];
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  for (int i = 0; i <= UK_LOG_KEYS_QUEUED; i++) {
    snprintf(key, sizeof key, "%d", i);
    is_new(log, key, i);
  }
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("expiries"), UK_LOG_KEYS_QUEUED + 1);
  for (int i = UK_LOG_KEYS_QUEUED; i >= 0; i--) {
    checked_tells("");
    snprintf(key, sizeof key, "%d", i);
    raw_delete_row("expiries", expiry_of(key));
  }
  checked_tells("expiries: 0 rows for 65 keys\n");
  rig_remove();
}

static void keys_that_lack_their_expiries_end_all_the_same(void)
{
  write_log();
  const uint64_t last = uk_load_u64(expiry_of("c").mv_data);
  raw_delete_row("expiries", expiry_of("b"));
  raw_delete_row("expiries", expiry_of("c"));
  struct uk_log_options options = keyed_options();
  options.key_limits = (struct uk_log_key_limits){2, 1 << 20, 2, 1 << 20};
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  is_replay(log, "c", 2);
  is_new(log, "d", 3);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 2); /* of c and d */
  CHECK_EQ_INT(rows_of("expiries"), 2);
  CHECK(uk_load_u64(expiry_of("d").mv_data) > last);
  CHECK_EQ_INT(uk_load_u64(expiry_of("c").mv_data), last);
  rig_remove();
}

static void all_keys_may_lack_their_expiries(void)
{
  write_log();
  const uint64_t last = uk_load_u64(expiry_of("c").mv_data);
  raw_delete_row("expiries", expiry_of("a"));
  raw_delete_row("expiries", expiry_of("b"));
  raw_delete_row("expiries", expiry_of("c"));
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_replay(log, "a", 0);
  is_new(log, "d", 3);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("expiries"), 4);
  CHECK(uk_load_u64(expiry_of("d").mv_data) > last); /* the clock goes on from there */
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
    if (offset == 4)
      raw_delete_row("expiries", expiry_of("c")); /* one that is missing need not be removed */
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

/* Sums and limits, against a model: an array of keys, searched from one end to the other. */

enum { USERS = 3, PER_USER = 6, MODEL_KEYS = USERS * PER_USER, KEY_OVERHEAD = 48 };
enum { WINDOW = 100 }; /* milliseconds */

struct model_key {
  bool there;
  uint64_t end;
  size_t length; /* of its answer */
};

struct model {
  struct model_key keys[MODEL_KEYS]; /* those of a user follow each other */
  uint64_t short_until;
};

static struct model committed, current;
static bool touched[USERS]; /* in the current transaction */
static bool is_exact;       /* no user has lost a key since the first end was learnt */
static struct uk_log_keys keys;
static struct uk_log_store *key_store;
static uint64_t key_time, last_given;

static const struct uk_log_key_limits narrow = {9, 1400, 2, 500}, wide = {14, 2000, 6, 1000};

static const char *const users[USERS] = {"", "bb", "another user"};

static struct uk_slice row_at(size_t index)
{
  static uint8_t rows[2][UK_LOG_KEY_ROW_MAX];
  static int next;
  char text[20];
  uint8_t *bytes = rows[next++ % 2];
  snprintf(text, sizeof text, "%0*d", 1 + (int)index, (int)index);
  const struct uk_produce_key key = key_of(users[index / PER_USER], text, 0);
  return uk_slice_of((const char *)bytes, uk_log_key_row(bytes, &key));
}

/* Of the user, or of all for USERS. */
static struct uk_log_key_sum sum_of(const struct model *model, size_t user)
{
  struct uk_log_key_sum sum = {0, 0};
  for (size_t i = 0; i < MODEL_KEYS; i++) {
    if (!model->keys[i].there || (user < USERS && i / PER_USER != user))
      continue;
    sum.count++;
    sum.bytes += 2 * row_at(i).length + model->keys[i].length + KEY_OVERHEAD;
  }
  return sum;
}

static bool is_beyond(const struct model *model, size_t user)
{
  const struct uk_log_key_limits *limits = &keys.limits;
  const struct uk_log_key_sum sum = sum_of(model, user);
  const bool all = user == USERS;
  return sum.count > (all ? limits->keys : limits->user_keys) ||
         (sum.count > 1 && sum.bytes > (all ? limits->bytes : limits->user_bytes));
}

/* The key that ends first; MODEL_KEYS when there is none. */
static size_t first_of(const struct model *model, size_t user)
{
  size_t first = MODEL_KEYS;
  for (size_t i = 0; i < MODEL_KEYS; i++) {
    if (model->keys[i].there && (user == USERS || i / PER_USER == user) &&
        (first == MODEL_KEYS || model->keys[i].end < model->keys[first].end))
      first = i;
  }
  return first;
}

static void lose(size_t index)
{
  struct model_key *key = &current.keys[index];
  if (key->end > key_time && key->end > current.short_until)
    current.short_until = key->end;
  key->there = false;
  touched[index / PER_USER] = true;
}

static void trim_model(bool all)
{
  size_t first;
  for (size_t user = 0; all && user < USERS; user++)
    touched[user] = touched[user] || is_beyond(&committed, user);
  while ((first = first_of(&current, USERS)) < MODEL_KEYS &&
         (current.keys[first].end <= key_time || is_beyond(&current, USERS)))
    lose(first);
  is_exact = true;
  for (size_t user = 0; user < USERS; user++) {
    while (touched[user] && is_beyond(&current, user)) {
      lose(first_of(&current, user));
      is_exact = false;
    }
  }
}

static void put_one(size_t index, size_t length)
{
  char bytes[1700] = "";
  struct uk_buffer answer;
  uint64_t end = uk_log_keys_give_end(&keys, key_time);
  CHECK(end >= key_time + keys.window && end > last_given); /* each is given once */
  last_given = end;
  uk_store_u64((uint8_t *)bytes + 16, end);
  uk_buffer_init(&answer, sizeof bytes + 10);
  CHECK_EQ_INT(uk_buffer_append(&answer, bytes, length), UK_OK);
  CHECK_EQ_INT(uk_log_keys_put(&keys, key_store, row_at(index), &answer), UK_LOG_OK);
  uk_buffer_free(&answer);
  current.keys[index] = (struct model_key){true, end, length};
  touched[index / PER_USER] = true;
}

static bool same_sum(struct uk_log_key_sum sum, struct uk_log_key_sum want)
{
  return CHECK_EQ_INT(sum.count, want.count) && CHECK_EQ_INT(sum.bytes, want.bytes);
}

static bool is_due(void)
{
  const size_t first = first_of(&committed, USERS);
  bool beyond = is_beyond(&committed, USERS);
  for (size_t user = 0; user < USERS; user++)
    beyond = beyond || is_beyond(&committed, user);
  return first < MODEL_KEYS && (beyond || committed.keys[first].end <= key_time);
}

static void check_sums(void)
{
  same_sum(keys.now, sum_of(&committed, USERS));
  for (size_t user = 0; user < USERS; user++) {
    const struct uk_log_key_user *found =
      (struct uk_log_key_user *)uk_name_table_find(&keys.users, uk_slice_text(users[user]));
    const struct uk_log_key_sum none = {0, 0};
    same_sum(found != NULL ? found->now : none, sum_of(&committed, user));
  }
  CHECK_EQ_INT(atomic_load(&keys.short_until), committed.short_until);
  CHECK(uk_log_keys_are_due(&keys, key_time) == is_due() || (!is_exact && !is_due()));
  CHECK(uk_log_keys_will_be_due(&keys) || first_of(&committed, USERS) == MODEL_KEYS);
}

static void check_rows(void)
{
  struct uk_slice answer;
  REQUIRE(uk_log_store_begin(key_store) == UK_LOG_OK);
  for (size_t i = 0; i < MODEL_KEYS; i++) {
    const struct model_key *key = &committed.keys[i];
    enum uk_log_status status = uk_log_store_find_key(key_store, row_at(i), &answer);
    if (CHECK_EQ_INT(status, key->there ? UK_LOG_OK : UK_LOG_NOTHING) && key->there)
      CHECK(uk_log_answer_ends(answer) == key->end && answer.length == key->length);
  }
  uk_log_store_abort(key_store);
}

/* A transaction of some puts, or of maintenance, or of other commands. */
static void transact(unsigned *seed)
{
  unsigned budget = 1000;
  const int puts = rand_r(seed) % 4;
  const bool others = puts == 0 && rand_r(seed) % 3 == 0;
  current = committed;
  memset(touched, 0, sizeof touched);
  REQUIRE(uk_log_store_begin(key_store) == UK_LOG_OK);
  for (int i = 0; i < puts; i++) { /* one of eight is beyond a limit by itself */
    const size_t more = rand_r(seed) % 8 == 0 ? 1600 : (size_t)rand_r(seed) % 100;
    put_one((size_t)rand_r(seed) % MODEL_KEYS, UK_LOG_ANSWER_HEADER + more);
  }
  const bool was_exact = is_exact, stays = rand_r(seed) % 4 > 0;
  if (!others) {
    CHECK_EQ_INT(uk_log_keys_trim(&keys, key_store, key_time, puts == 0, &budget), UK_LOG_OK);
    trim_model(puts == 0);
  }
  if (stays) {
    CHECK_EQ_INT(uk_log_store_commit(key_store), UK_LOG_OK);
    uk_log_keys_keep(&keys, key_time);
    committed = current;
  } else {
    uk_log_store_abort(key_store);
    uk_log_keys_drop(&keys);
    is_exact = was_exact;
  }
}

static void load_step(struct uk_log_view *view, void *argument)
{
  *(enum uk_log_status *)argument = uk_log_keys_load(&keys, view, 77, 5);
}

/* As after a failed commit; with a window, as at the next start. */
static void load_keys(int64_t window, const struct uk_log_key_limits *limits)
{
  enum uk_log_status status = UK_LOG_OK;
  uint64_t last = 0;
  const uint64_t before = uk_log_keys_time(&keys, 5);
  for (size_t i = 0; i < MODEL_KEYS; i++)
    last = committed.keys[i].there && committed.keys[i].end > last ? committed.keys[i].end : last;
  if (window > 0) {
    uk_log_keys_free(&keys);
    uk_log_keys_init(&keys, window, limits);
    last_given = last;
    committed.short_until = 0;
  }
  atomic_store(&keys.is_short.next, INT64_MAX); /* no lines */
  struct uk_log_view *view = uk_log_view_begin(key_store, &status);
  REQUIRE(view != NULL);
  CHECK_EQ_INT(uk_log_view_run(view, load_step, &status), UK_LOG_OK);
  CHECK_EQ_INT(status, UK_LOG_OK);
  uk_log_view_end(view);
  if (window > 0) {
    key_time = uk_log_keys_time(&keys, 5);
    CHECK_EQ_INT(key_time, last > keys.window ? last - keys.window : 77000);
  } else {
    CHECK_EQ_INT(uk_log_keys_time(&keys, 5), before);
  }
  CHECK_EQ_INT(keys.damaged, 0);
  is_exact = false;
}

static void keys_are_counted_and_limited_as_in_a_simple_model(void)
{
  char message[UK_MESSAGE_SIZE];
  unsigned seed = 3;
  REQUIRE(uk_log_store_open(&key_store, rig_directory(), RIG_MAP_BYTES, true, message,
                            sizeof message) == UK_OK);
  uk_log_keys_init(&keys, WINDOW, &narrow);
  committed = (struct model){.short_until = 0};
  load_keys(WINDOW, &narrow);
  for (int round = 0; round < 1500; round++) {
    key_time += rand_r(&seed) % 3 == 0 ? 0 : (uint64_t)rand_r(&seed) % 20000;
    const size_t first = first_of(&committed, USERS);
    if (round % 10 == 3 && first < MODEL_KEYS && committed.keys[first].end > key_time)
      key_time = committed.keys[first].end; /* it ends now */
    transact(&seed);
    check_sums();
    if (round == 34) /* the clock may be younger than the window */
      load_keys(INT64_C(1) << 40, &wide);
    else if (round % 17 == 0)
      load_keys(round % 34 == 0 ? WINDOW : 0, round % 68 == 0 ? &narrow : &wide);
    if (round % 7 == 0)
      check_rows();
    check_sums();
  }
  const size_t queued = keys.queue.now;
  uk_log_keys_free(&keys);
  uk_log_store_close(key_store);
  CHECK_EQ_INT(rows_of("keys"), sum_of(&committed, USERS).count);
  CHECK_EQ_INT(rows_of("expiries") + queued, sum_of(&committed, USERS).count);
  rig_remove();
}

/* The queue of keys. */

static struct uk_log_key_queue queue;

static struct uk_slice queued_row(int number)
{
  static uint8_t bytes[UK_LOG_KEY_ROW_MAX];
  char text[20];
  snprintf(text, sizeof text, "%d", number);
  const struct uk_produce_key key = key_of("u", text, 0);
  return uk_slice_of((const char *)bytes, uk_log_key_row(bytes, &key));
}

static void queue_keys(int first, int count)
{
  for (int i = first; i < first + count; i++)
    CHECK_EQ_INT(uk_log_key_queue_add(&queue, key_store, 1 + (uint64_t)i, queued_row(i)),
                 UK_LOG_OK);
}

/* The table's rows, in the transaction: they are of the first keys, in their order. */
static int written_keys(void)
{
  struct uk_slice row;
  uint64_t end;
  int count = 0;
  while (uk_log_store_next_expiry(key_store, 1 + (uint64_t)count, &end, &row) == UK_LOG_OK) {
    CHECK_EQ_INT(end, 1 + count);
    CHECK(uk_slice_equal(row, queued_row(count)));
    count++;
  }
  return count;
}

static bool open_queue(void)
{
  char message[UK_MESSAGE_SIZE];
  queue = (struct uk_log_key_queue){.now = 0};
  return uk_log_store_open(&key_store, rig_directory(), RIG_MAP_BYTES, true, message,
                           sizeof message) == UK_OK &&
         uk_log_store_begin(key_store) == UK_LOG_OK;
}

static void close_queue(void)
{
  uk_log_store_abort(key_store);
  uk_log_store_close(key_store);
  rig_remove();
}

static void commit_queue(void)
{
  CHECK_EQ_INT(uk_log_store_commit(key_store), UK_LOG_OK);
  uk_log_key_queue_keep(&queue);
  REQUIRE(uk_log_store_begin(key_store) == UK_LOG_OK);
}

static void drop_queue(void)
{
  uk_log_store_abort(key_store);
  uk_log_key_queue_drop(&queue);
  REQUIRE(uk_log_store_begin(key_store) == UK_LOG_OK);
}

static void a_full_queue_is_written(void)
{
  REQUIRE(open_queue());
  CHECK(uk_log_key_queue_is_empty(&queue));
  queue_keys(0, UK_LOG_KEYS_QUEUED);
  CHECK(!uk_log_key_queue_is_empty(&queue));
  CHECK_EQ_INT(written_keys(), 0);
  commit_queue();
  CHECK_EQ_INT(written_keys(), 0);
  queue_keys(UK_LOG_KEYS_QUEUED, 1);
  CHECK_EQ_INT(written_keys(), UK_LOG_KEYS_QUEUED + 1);
  CHECK(uk_log_key_queue_is_empty(&queue));
  CHECK(!uk_log_key_queue_has(&queue, queued_row(0)));
  queue_keys(UK_LOG_KEYS_QUEUED + 1, 1); /* as long as the transaction lasts */
  CHECK_EQ_INT(written_keys(), UK_LOG_KEYS_QUEUED + 2);
  commit_queue();
  queue_keys(UK_LOG_KEYS_QUEUED + 2, 1);
  CHECK_EQ_INT(written_keys(), UK_LOG_KEYS_QUEUED + 2);
  CHECK_EQ_INT(uk_log_key_queue_write(&queue, key_store), UK_LOG_OK);
  CHECK_EQ_INT(written_keys(), UK_LOG_KEYS_QUEUED + 3);
  close_queue();
}

static void a_transaction_that_fails_leaves_the_queue_as_it_was(void)
{
  REQUIRE(open_queue());
  queue_keys(0, 3);
  commit_queue();
  queue_keys(3, 2);
  CHECK(uk_log_key_queue_has(&queue, queued_row(4)));
  drop_queue();
  CHECK(!uk_log_key_queue_has(&queue, queued_row(3)));
  for (int i = 0; i < 3; i++)
    CHECK(uk_log_key_queue_has(&queue, queued_row(i)));
  queue_keys(3, UK_LOG_KEYS_QUEUED);
  CHECK_EQ_INT(written_keys(), UK_LOG_KEYS_QUEUED + 3);
  drop_queue();
  CHECK_EQ_INT(written_keys(), 0);
  CHECK_EQ_INT(uk_log_key_queue_write(&queue, key_store), UK_LOG_OK);
  CHECK_EQ_INT(written_keys(), 3);
  drop_queue();
  CHECK(!uk_log_key_queue_is_empty(&queue));
  CHECK_EQ_INT(uk_log_key_queue_write(&queue, key_store), UK_LOG_OK);
  commit_queue();
  CHECK(uk_log_key_queue_is_empty(&queue));
  close_queue();
}

/* What an open finds beyond the places is damage. */
static void an_open_queues_what_it_finds(void)
{
  REQUIRE(open_queue());
  queue_keys(0, 1);
  uk_log_key_queue_clear(&queue);
  CHECK(uk_log_key_queue_is_empty(&queue));
  for (int i = 0; i <= UK_LOG_KEYS_QUEUED; i++)
    uk_log_key_queue_find(&queue, 1 + (uint64_t)i, queued_row(i));
  CHECK(uk_log_key_queue_has(&queue, queued_row(UK_LOG_KEYS_QUEUED - 1)));
  CHECK(!uk_log_key_queue_has(&queue, queued_row(UK_LOG_KEYS_QUEUED)));
  uk_log_key_queue_drop(&queue);
  CHECK_EQ_INT(uk_log_key_queue_write(&queue, key_store), UK_LOG_OK);
  CHECK_EQ_INT(written_keys(), UK_LOG_KEYS_QUEUED);
  close_queue();
}

static void the_limits_of_keys(void)
{
  uk_log_keys_init(&keys, 600000, &(struct uk_log_key_limits){0});
  CHECK_EQ_INT(keys.limits.keys, 1000000);
  CHECK_EQ_INT(keys.limits.bytes, 256 << 20);
  CHECK_EQ_INT(keys.limits.user_keys, 500000);
  CHECK_EQ_INT(keys.limits.user_bytes, 128 << 20);
  uk_log_keys_free(&keys);
}

int main(void)
{
  CHECK_RUN(the_first_key_says_what_the_log_needs);
  CHECK_RUN(other_needs_are_refused);
  CHECK_RUN(a_damaged_answer_is_a_500_until_it_ends);
  CHECK_RUN(rows_that_are_too_short_are_damaged);
  CHECK_RUN(damaged_expiries_do_no_harm);
  CHECK_RUN(whole_expiries_that_are_wrong_do_no_harm);
  CHECK_RUN(names_of_rows_have_limits);
  CHECK_RUN(an_expiry_names_a_row_of_a_key);
  CHECK_RUN(a_missing_need_is_damage);
  CHECK_RUN(the_newest_keys_may_lack_their_expiries);
  CHECK_RUN(keys_that_lack_their_expiries_end_all_the_same);
  CHECK_RUN(all_keys_may_lack_their_expiries);
  CHECK_RUN(a_full_queue_is_written);
  CHECK_RUN(a_transaction_that_fails_leaves_the_queue_as_it_was);
  CHECK_RUN(an_open_queues_what_it_finds);
  CHECK_RUN(an_answer_to_other_records_is_damage);
  CHECK_RUN(a_salvaged_log_knows_its_keys);
  CHECK_RUN(a13_a_restored_copy_has_its_own_keys);
  CHECK_RUN(an_answer_beyond_the_end_is_none);
  CHECK_RUN(an_answer_in_a_damaged_partition_stays);
  CHECK_RUN(a_log_of_format_1_takes_keys);
  CHECK_RUN(the_limits_of_keys);
  CHECK_RUN(keys_are_counted_and_limited_as_in_a_simple_model);
  return check_end();
}
