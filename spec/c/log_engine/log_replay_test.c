/* Produces with an idempotency key, in one process: repeats, other requests, failures, expiry and
 * limits. For: log_replay.c, log_keys.c, log_transaction.c, log_writer.c, log_stage.c,
 * log_maintenance.c. */
#include "server/log_engine/log_private.h"

#include <stdatomic.h>

#include "common/clock.h"
#include "key_rig.h"
#include "log_raw.h"

enum { WINDOW = KEY_WINDOW, RECORDS_MAX = KEY_RECORDS_MAX };

/* The system's clocks, moved by these milliseconds. */
static _Atomic int64_t passed, jumped;

static int64_t read_clock(clockid_t clock)
{
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t uk_clock_monotonic(void)
{
  return read_clock(CLOCK_MONOTONIC) + atomic_load(&passed);
}

int64_t uk_clock_epoch(void)
{
  return read_clock(CLOCK_REALTIME) + atomic_load(&passed) + atomic_load(&jumped);
}

/* Time passes while the writer waits: a step that takes that long is a disk that hangs. */
static void pass(struct uk_log *log, int64_t milliseconds)
{
  bool waits = false;
  while (log != NULL && !waits) {
    pthread_mutex_lock(&log->mutex);
    waits = log->busy_since == 0 && uk_list_is_empty(&log->queue);
    if (waits)
      atomic_fetch_add(&passed, milliseconds);
    pthread_mutex_unlock(&log->mutex);
  }
  if (log == NULL)
    atomic_fetch_add(&passed, milliseconds);
}

static struct uk_log *open_again(struct uk_log *log)
{
  uk_log_close(log);
  return keyed_open();
}

static void close_log(struct uk_log *log)
{
  uk_log_close(log);
  rig_remove();
}

static int64_t end_of(struct uk_log *log, const char *topic, int32_t partition)
{
  int64_t first = -1, end = -1;
  uk_log_bounds(log, uk_slice_text(topic), partition, &first, &end);
  return end;
}

static void a_repeat_is_answered_and_not_appended(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  is_replay(log, "a", 0);
  is_new(log, "b", 1);
  is_replay(log, "a", 0);
  is_replay(log, "b", 1);
  for (int i = 0; i < 2; i++) {
    CHECK_EQ_INT(end_of(log, "t", 0), 2);
    log = open_again(log);
    REQUIRE(log != NULL);
    is_replay(log, "a", 0);
    is_replay(log, "b", 1);
  }
  close_log(log);
}

/* Topics, partitions, offsets and timestamps come again as they were. */
static void a_replay_has_the_results_of_each_record(void)
{
  enum { COUNT = 9 };
  static const struct {
    const char *topic;
    int32_t partition;
    int64_t timestamp;
  } asked[COUNT] = {{"t", 1, -1}, {"t", 1, 5},  {"u", 0, -1}, {"t", 0, -1}, {"t", 1, -1},
                    {"t", 1, 7},  {"u", 1, -1}, {"u", 0, 9},  {"t", -1, -1}};
  struct keyed first, again;
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && rig_put(log, "t", 1, "before", -1) == 0);
  keyed_init(&first, "a", "t", COUNT);
  for (int i = 0; i < COUNT; i++) {
    first.records[i] = rig_record(asked[i].topic, asked[i].partition, "v");
    first.records[i].timestamp = asked[i].timestamp;
  }
  again = first;
  again.produce.records = again.records;
  CHECK_EQ_INT(keyed_submit(log, &first), UK_OK);
  CHECK(!first.produce.replayed);
  log = open_again(log);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(rig_delete(log, "u"), UK_OK);
  CHECK_EQ_INT(keyed_submit(log, &again), UK_OK);
  CHECK(again.produce.replayed);
  for (int i = 0; i < COUNT; i++) {
    CHECK_EQ_INT(again.records[i].partition, first.records[i].partition);
    CHECK_EQ_INT(again.records[i].offset, first.records[i].offset);
    CHECK_EQ_INT(again.records[i].timestamp, first.records[i].timestamp);
  }
  CHECK_EQ_INT(again.records[1].offset, 2);
  CHECK_EQ_INT(again.records[4].offset, 3);
  CHECK_EQ_INT(end_of(log, "u", 0), -1); /* it is not created again */
  close_log(log);
}

static void another_request_with_the_key_is_refused(void)
{
  struct keyed keyed;
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  keyed_init(&keyed, "a", "t", 1);
  keyed.produce.key = key_of("u", "a", 2);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_UNPROCESSABLE);
  CHECK_EQ_STR(keyed.message, "the idempotency key belongs to another request");
  CHECK(!keyed.produce.replayed);
  is_replay(log, "a", 0);
  keyed_init(&keyed, "a", "t", 1); /* another user's key is another key */
  keyed.produce.key = key_of("someone", "a", 2);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_OK);
  CHECK_EQ_INT(keyed.records[0].offset, 1);
  keyed_init(&keyed, "a", "t", 1); /* also where both together are the same letters */
  keyed.produce.key = key_of("someon", "ea", 2);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_OK);
  CHECK_EQ_INT(keyed.records[0].offset, 2);
  close_log(log);
}

static void a_key_that_is_too_long_is_refused(void)
{
  char text[UK_IDEMPOTENCY_KEY_MAX + 2];
  struct keyed keyed;
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  memset(text, 'k', sizeof text);
  text[UK_IDEMPOTENCY_KEY_MAX] = '\0';
  is_new(log, text, 0);
  is_replay(log, text, 0);
  text[UK_IDEMPOTENCY_KEY_MAX] = 'k';
  text[UK_IDEMPOTENCY_KEY_MAX + 1] = '\0';
  keyed_init(&keyed, text, "t", 1);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_BAD_REQUEST);
  CHECK_EQ_STR(keyed.message, "the idempotency key is longer than 128 bytes");
  close_log(log);
}

static void a_failed_produce_leaves_its_key_free(void)
{
  struct keyed keyed;
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  keyed_init(&keyed, "a", "t", 1);
  keyed.records[0].partition = 7;
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_BAD_REQUEST);
  is_new(log, "a", 0);
  close_log(log);
}

/* One that failed between others does not take their answers. */
static void answers_belong_to_their_commands(void)
{
  enum { COUNT = 4, BAD = 1 };
  static const char *const keys[COUNT] = {"a", "b", "", "d"};
  struct keyed keyed[COUNT];
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL && rig_put(log, "t", 0, "before", -1) == 0);
  rig_hold_writer(log);
  for (int i = 0; i < COUNT; i++) {
    keyed_init(&keyed[i], keys[i], "t", i + 1);
    keyed[i].records[0].partition = i == BAD ? 7 : 0;
    rig_call_init(&keyed[i].call, &keyed[i].produce.operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &keyed[i].produce.operation);
  }
  rig_release_writer();
  for (int i = 0; i < COUNT; i++)
    rig_call_wait(&keyed[i].call, &keyed[i].produce.operation);
  CHECK_EQ_INT(keyed[0].records[0].offset, 1);
  CHECK_EQ_INT(keyed[2].records[0].offset, 2);
  CHECK_EQ_INT(keyed[3].records[3].offset, 8);
  is_replay(log, "a", 1);
  struct keyed again;
  keyed_init(&again, "d", "t", 4);
  CHECK_EQ_INT(keyed_submit(log, &again), UK_OK);
  CHECK(again.produce.replayed);
  CHECK_EQ_INT(again.records[0].offset, 5);
  CHECK_EQ_INT(again.records[3].offset, 8);
  close_log(log);
}

/* Two with the same key that arrive together: the second waits for the first, and so do those
 * behind it. */
static void a_repeat_beside_its_original_waits_for_it(void)
{
  enum { COUNT = 4 };
  static const char *const keys[COUNT] = {"a", "b", "a", "c"};
  struct keyed keyed[COUNT];
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  rig_hold_writer(log);
  for (int i = 0; i < COUNT; i++) {
    keyed_init(&keyed[i], keys[i], "t", 1);
    rig_call_init(&keyed[i].call, &keyed[i].produce.operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &keyed[i].produce.operation);
  }
  rig_release_writer();
  for (int i = 0; i < COUNT; i++) {
    rig_call_wait(&keyed[i].call, &keyed[i].produce.operation);
    CHECK_EQ_INT(keyed[i].produce.operation.error, UK_OK);
    CHECK_EQ_INT(keyed[i].produce.replayed, i == 2);
  }
  CHECK_EQ_INT(keyed[2].records[0].offset, 0);
  CHECK_EQ_INT(keyed[3].records[0].offset, 2);
  CHECK_EQ_INT(end_of(log, "t", 0), 3);
  close_log(log);
}

/* The topic of the answer is gone, or another one has its name. */
static void a_replay_outlives_its_topic(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  is_new(log, "b", 1);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  is_replay(log, "b", 1);
  CHECK_EQ_INT(end_of(log, "t", 0), -1);
  CHECK_EQ_INT(rig_create(log, "t", 1, -1, -1), UK_OK);
  is_replay(log, "b", 1);
  CHECK_EQ_INT(end_of(log, "t", 0), 0);
  close_log(log);
}

static void without_a_window_keys_mean_nothing(void)
{
  struct uk_log_options options = rig_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  is_new(log, "a", 1);
  uk_log_close(log);
  struct raw raw = raw_begin();
  CHECK_EQ_INT(raw_count(&raw, "keys"), 0);
  MDB_val value;
  CHECK(!raw_get(&raw, "meta", raw_text("needs keys"), &value));
  raw_end(&raw);
  rig_remove();
}

/* Expiry. */

static size_t rows_of(const char *table)
{
  struct raw raw = raw_begin();
  size_t count = raw_count(&raw, table);
  raw_end(&raw);
  return count;
}

static void keys_end_with_the_window(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  pass(log, WINDOW - 60000);
  is_new(log, "b", 1);
  is_replay(log, "a", 0);
  pass(log, 60000);
  is_replay(log, "b", 1);
  is_new(log, "a", 2);
  pass(log, WINDOW);
  is_new(log, "b", 3);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 1); /* the put has removed what had ended */
  CHECK_EQ_INT(rows_of("expiries"), 1);
  rig_remove();
}

/* What ended is removed when the log is opened, and once a second. */
static void maintenance_removes_what_has_ended(void)
{
  char key[8];
  struct uk_log_options options = keyed_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 2500; i++) { /* more than one step removes */
    snprintf(key, sizeof key, "k%d", i);
    is_new(log, key, i);
  }
  pass(log, 10);
  is_new(log, "last", 2500);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 2501);
  options.key_window = 5;
  log = rig_open(&options);
  REQUIRE(log != NULL);
  uk_log_close(log);
  CHECK(rows_of("keys") <= 1501);
  CHECK_EQ_INT(rows_of("keys"), rows_of("expiries"));
  rig_remove();
}

/* The clock of keys stands still without a server. */
static void the_time_without_a_server_ends_no_key(void)
{
  struct uk_log *log = keyed_open();
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  uk_log_close(log);
  pass(NULL, 10 * WINDOW);
  log = keyed_open();
  REQUIRE(log != NULL);
  is_replay(log, "a", 0);
  pass(log, WINDOW - 60000);
  is_replay(log, "a", 0);
  pass(log, 60000);
  is_new(log, "a", 1);
  close_log(log);
}

static void the_system_s_clock_ends_no_key_and_keeps_none(void)
{
  static const int64_t jumps[] = {INT64_C(31536000000), -INT64_C(31536000000)};
  for (int i = 0; i < 4; i++) { /* each jump with and without a restart */
    struct uk_log *log = keyed_open();
    REQUIRE(log != NULL);
    is_new(log, "a", 0);
    atomic_fetch_add(&jumped, jumps[i % 2]);
    if (i >= 2)
      log = open_again(log);
    REQUIRE(log != NULL);
    is_replay(log, "a", 0);
    is_new(log, "b", 1);
    pass(log, WINDOW - 60000);
    is_replay(log, "a", 0);
    pass(log, 60000);
    is_new(log, "a", 2);
    close_log(log);
    atomic_store(&jumped, 0);
  }
}

/* A shorter window of the next start counts for older keys, too. */
static void a_shorter_window_counts_at_once(void)
{
  struct uk_log_options options = keyed_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  pass(log, 60000);
  is_new(log, "b", 1);
  uk_log_close(log);
  options.key_window = 60000;
  log = rig_open(&options);
  REQUIRE(log != NULL);
  is_replay(log, "b", 1);
  is_new(log, "a", 2);
  close_log(log);
}

/* Limits. */

static void beyond_the_limit_the_oldest_go_first(void)
{
  char detail[200] = "", key[8];
  struct uk_log_options options = keyed_options();
  options.key_limits = (struct uk_log_key_limits){5, 1 << 20, 5, 1 << 20};
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 5; i++) {
    snprintf(key, sizeof key, "k%d", i);
    is_new(log, key, i);
  }
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_OK);
  CHECK_EQ_STR(detail, "");
  pass(log, 100000);
  is_replay(log, "k0", 0);
  is_new(log, "k5", 5);
  is_replay(log, "k1", 1);
  is_replay(log, "k5", 5);
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_OK);
  CHECK(strstr(detail, "repeated requests are recognized for 1") == detail); /* 100 s or more */
  CHECK(strstr(detail, " s, not for 600 s: there are more idempotency keys than fit") != NULL);
  pass(log, WINDOW);
  CHECK_EQ_INT(uk_log_health(log, detail, sizeof detail), UK_OK);
  CHECK_EQ_STR(detail, "");
  close_log(log);
}

static enum uk_error put_as(struct uk_log *log, const char *user, const char *key, bool *replayed)
{
  struct keyed keyed;
  keyed_init(&keyed, key, "t", 1);
  keyed.produce.key = key_of(user, key, 1);
  enum uk_error error = keyed_submit(log, &keyed);
  *replayed = keyed.produce.replayed;
  return error;
}

/* A user who is over takes no other's keys. */
static void a_user_has_a_limit_of_keys(void)
{
  bool replayed;
  char key[8];
  struct uk_log_options options = keyed_options();
  options.key_limits = (struct uk_log_key_limits){100, 1 << 20, 3, 1 << 20};
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  CHECK_EQ_INT(put_as(log, "other", "k0", &replayed), UK_OK);
  for (int i = 0; i < 6; i++) {
    snprintf(key, sizeof key, "k%d", i);
    CHECK_EQ_INT(put_as(log, "many", key, &replayed), UK_OK);
    CHECK(!replayed);
  }
  CHECK_EQ_INT(put_as(log, "other", "k0", &replayed), UK_OK);
  CHECK(replayed);
  CHECK_EQ_INT(put_as(log, "many", "k3", &replayed), UK_OK);
  CHECK(replayed);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 4);
  log = rig_open(&options); /* counts what is there */
  REQUIRE(log != NULL);
  CHECK_EQ_INT(put_as(log, "many", "k6", &replayed), UK_OK);
  CHECK_EQ_INT(put_as(log, "many", "k4", &replayed), UK_OK);
  CHECK(replayed);
  CHECK_EQ_INT(put_as(log, "many", "k3", &replayed), UK_OK);
  CHECK(!replayed);
  close_log(log);
}

/* An answer with many records counts with its bytes; the last one stays. */
static void bytes_are_limited(void)
{
  struct keyed keyed;
  struct uk_log_options options = keyed_options();
  options.key_limits = (struct uk_log_key_limits){100, 400, 100, 300};
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  is_new(log, "a", 0);
  is_new(log, "b", 1);
  is_replay(log, "a", 0);
  keyed_init(&keyed, "c", "t", RECORDS_MAX);
  for (int i = 0; i < RECORDS_MAX; i++)
    keyed.records[i].partition = i % 2;
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_OK);
  keyed_init(&keyed, "c", "t", RECORDS_MAX);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_OK);
  CHECK(keyed.produce.replayed);
  keyed_init(&keyed, "b", "t", 1);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_OK);
  CHECK(keyed.produce.replayed);
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 2);
  rig_remove();
}

/* Smaller limits of the next start count at once. */
static void smaller_limits_count_at_once(void)
{
  char key[8];
  struct uk_log_options options = keyed_options();
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  for (int i = 0; i < 20; i++) {
    snprintf(key, sizeof key, "k%d", i);
    is_new(log, key, i);
  }
  uk_log_close(log);
  options.key_limits = (struct uk_log_key_limits){100, 1 << 20, 4, 1 << 20};
  log = rig_open(&options);
  REQUIRE(log != NULL);
  rig_hold_writer(log); /* maintenance was before */
  rig_release_writer();
  uk_log_close(log);
  CHECK_EQ_INT(rows_of("keys"), 4);
  log = keyed_open();
  REQUIRE(log != NULL);
  is_replay(log, "k16", 16);
  is_new(log, "k15", 20);
  close_log(log);
}

/* A full log. */

static void a_full_log_keeps_no_key(void)
{
  static char big[200000];
  struct keyed keyed;
  struct uk_log_options options = keyed_options();
  options.map_bytes = UK_LOG_MAP_BYTES_MIN;
  options.no_sync = true;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  memset(big, 'x', sizeof big - 1);
  is_new(log, "first", 0);
  for (size_t length = sizeof big - 1; length > 1; length /= 8) {
    big[length] = '\0';
    while (rig_put(log, "t", 0, big, -1) >= 0)
      continue;
  }
  uk_log_close(log);
  log = rig_open(&options);
  REQUIRE(log != NULL);
  is_replay(log, "first", 0); /* needs a commit */
  keyed_init(&keyed, "a", "t", 1);
  keyed.records[0].value = uk_slice_text(big);
  CHECK_EQ_INT(keyed_submit(log, &keyed), UK_E_UNAVAILABLE);
  is_replay(log, "first", 0);
  CHECK_EQ_INT(rig_delete(log, "t"), UK_OK);
  enum uk_error error = UK_E_UNAVAILABLE;
  CHECK_EVENTUALLY((keyed_init(&keyed, "a", "t", 1), error = keyed_submit(log, &keyed)) == UK_OK);
  CHECK_EQ_INT(error, UK_OK);
  CHECK(!keyed.produce.replayed);
  close_log(log);
}

/* A replay beside a produce that does not fit: that one fails alone. */
static void a_replay_shares_no_failure(void)
{
  static char big[700000];
  struct keyed keyed[3];
  struct uk_log_options options = keyed_options();
  options.map_bytes = UK_LOG_MAP_BYTES_MIN;
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  memset(big, 'x', sizeof big - 1);
  is_new(log, "a", 0);
  rig_hold_writer(log);
  for (int i = 0; i < 3; i++) {
    keyed_init(&keyed[i], i == 0 ? "a" : i == 1 ? "big" : "c", "t", i == 1 ? 2 : 1);
    keyed[i].records[0].value = uk_slice_text(i == 1 ? big : "v");
    keyed[i].records[1].value = uk_slice_text(big);
    rig_call_init(&keyed[i].call, &keyed[i].produce.operation);
    uk_log_submit(log, UK_LOG_PRODUCE, &keyed[i].produce.operation);
  }
  rig_release_writer();
  for (int i = 0; i < 3; i++) {
    rig_call_wait(&keyed[i].call, &keyed[i].produce.operation);
    CHECK_EQ_INT(keyed[i].produce.operation.error, i == 1 ? UK_E_UNAVAILABLE : UK_OK);
    CHECK_EQ_INT(keyed[i].produce.replayed, i == 0);
  }
  CHECK_EQ_INT(keyed[0].records[0].offset, 0);
  CHECK_EQ_INT(keyed[2].records[0].offset, 1);
  is_replay(log, "c", 1);
  close_log(log);
}

int main(void)
{
  CHECK_RUN(a_repeat_is_answered_and_not_appended);
  CHECK_RUN(a_replay_has_the_results_of_each_record);
  CHECK_RUN(another_request_with_the_key_is_refused);
  CHECK_RUN(a_key_that_is_too_long_is_refused);
  CHECK_RUN(a_failed_produce_leaves_its_key_free);
  CHECK_RUN(answers_belong_to_their_commands);
  CHECK_RUN(a_repeat_beside_its_original_waits_for_it);
  CHECK_RUN(a_replay_outlives_its_topic);
  CHECK_RUN(without_a_window_keys_mean_nothing);
  CHECK_RUN(keys_end_with_the_window);
  CHECK_RUN(maintenance_removes_what_has_ended);
  CHECK_RUN(the_time_without_a_server_ends_no_key);
  CHECK_RUN(the_system_s_clock_ends_no_key_and_keeps_none);
  CHECK_RUN(a_shorter_window_counts_at_once);
  CHECK_RUN(beyond_the_limit_the_oldest_go_first);
  CHECK_RUN(a_user_has_a_limit_of_keys);
  CHECK_RUN(bytes_are_limited);
  CHECK_RUN(smaller_limits_count_at_once);
  CHECK_RUN(a_full_log_keeps_no_key);
  CHECK_RUN(a_replay_shares_no_failure);
  return check_end();
}
