/* for: log_engine.c, log_fetch.c, log_topics.c */
#include "server/log_engine/log_engine.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "log_rig.h"

static struct uk_engine *engine;

static bool open_engine_with(bool auto_create)
{
  const struct uk_log_engine_options options = {.directory = rig_directory(),
                                                .map_bytes = RIG_MAP_BYTES,
                                                .partitions = 2,
                                                .auto_create = auto_create};
  char message[UK_MESSAGE_SIZE] = "";
  enum uk_error error = uk_log_engine_open(&engine, &options, message, sizeof message);
  CHECK_EQ_STR(message, "");
  return CHECK_EQ_INT(error, UK_OK);
}

static bool open_engine(void)
{
  return open_engine_with(true);
}

static void close_engine(void)
{
  engine->methods->drain(engine);
  engine->methods->close(engine);
  rig_remove();
}

/* One call at a time: `begin`, the method, `end`. */
static struct rig_call call;

static void produce(const char *topic, int32_t partition, const char *value)
{
  struct uk_record record = rig_record(topic, partition, value);
  struct uk_produce operation = {.records = &record, .count = 1};
  rig_call_init(&call, &operation.operation);
  engine->methods->produce(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  CHECK_EQ_INT(operation.operation.error, UK_OK);
}

static enum uk_error delete_topic(const char *topic)
{
  struct uk_delete_topic operation = {.topic = uk_slice_text(topic)};
  struct rig_call deleted;
  rig_call_init(&deleted, &operation.operation);
  engine->methods->delete_topic(engine, &operation);
  rig_call_wait(&deleted, &operation.operation);
  return operation.operation.error;
}

/* A fetch with its sink. */
struct fetch {
  struct uk_fetch operation;
  struct rig_call call;
  struct uk_topic_partition_offset at[3];
  size_t limit, count;
  bool unwanted, no_memory; /* no_memory: for any record */
  int asked;
  size_t length;
  char text[2000]; /* "topic/partition/offset " for each record */
};

static struct fetch *fetch_of(struct uk_operation *operation)
{
  return (struct fetch *)operation;
}

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct fetch *fetch = fetch_of(operation);
  if (fetch->no_memory || (fetch->limit > 0 && fetch->count == fetch->limit))
    return false;
  fetch->count++;
  if (fetch->length < sizeof fetch->text - 300)
    fetch->length += (size_t)snprintf(
      fetch->text + fetch->length, sizeof fetch->text - fetch->length, "%.*s/%d/%d ",
      (int)record->topic.length, record->topic.data, (int)record->partition, (int)record->offset);
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  fetch_of(operation)->asked++;
  return !fetch_of(operation)->unwanted;
}

static void fetch_begin(struct fetch *fetch, size_t count, int timeout)
{
  fetch->operation.positions = fetch->at;
  fetch->operation.count = count;
  fetch->operation.sink = (struct uk_sink){take, is_client_alive};
  fetch->operation.operation.deadline = uk_clock_monotonic() + timeout;
  rig_call_init(&fetch->call, &fetch->operation.operation);
  engine->methods->fetch(engine, &fetch->operation);
}

static enum uk_error fetch_end(struct fetch *fetch)
{
  rig_call_wait(&fetch->call, &fetch->operation.operation);
  return fetch->operation.operation.error;
}

static bool ended(struct fetch *fetch)
{
  pthread_mutex_lock(&fetch->call.mutex);
  bool done = fetch->call.done;
  pthread_mutex_unlock(&fetch->call.mutex);
  return done;
}

static struct uk_topic_partition_offset at(const char *topic, int32_t partition, int64_t offset)
{
  return (struct uk_topic_partition_offset){uk_slice_text(topic), partition, offset};
}

static void fetches_at_once(void)
{
  REQUIRE(open_engine());
  for (int i = 0; i < 3; i++)
    produce("t", 0, "v");
  struct fetch fetch = {.at = {at("t", 0, 1)}};
  fetch_begin(&fetch, 1, 60000);
  CHECK(ended(&fetch));
  CHECK_EQ_INT(fetch_end(&fetch), UK_OK);
  CHECK_EQ_STR(fetch.text, "t/0/1 t/0/2 ");
  CHECK_EQ_INT(fetch.asked, 1);
  close_engine();
}

static void fetch_errors(void)
{
  static const struct {
    const char *topic;
    int32_t partition;
    int64_t offset;
    enum uk_error error;
    const char *message;
  } cases[] = {
    {"none", 0, 0, UK_E_NOT_FOUND, "topic \"none\" does not exist"},
    {"t", 2, 0, UK_E_BAD_REQUEST, "topic \"t\" has no partition 2; it has 2"},
    {"t", -1, 0, UK_E_BAD_REQUEST, "topic \"t\" has no partition -1; it has 2"},
    {"t", 0, -5, UK_E_BAD_REQUEST,
     "offset -5 of topic \"t\" partition 0 is negative (range 0 to 1)"},
  };
  REQUIRE(open_engine());
  produce("t", 0, "v");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fetch fetch = {
      .at = {at("t", 0, 0), at(cases[i].topic, cases[i].partition, cases[i].offset)}};
    fetch_begin(&fetch, 2, 60000);
    CHECK_EQ_INT(fetch_end(&fetch), cases[i].error);
    CHECK_EQ_STR(fetch.operation.operation.message, cases[i].message);
    CHECK_EQ_INT(fetch.count, 0);
  }
  close_engine();
}

/* Changes the text in the file of the log, as a bad disk would do. */
static bool damage(const char *text)
{
  static char bytes[1 << 20];
  char path[400];
  snprintf(path, sizeof path, "%s/data.mdb", rig_directory());
  int file = open(path, O_RDWR);
  ssize_t length = file >= 0 ? pread(file, bytes, sizeof bytes, 0) : -1;
  char *at = length > 0 ? memmem(bytes, (size_t)length, text, strlen(text)) : NULL;
  bool done = at != NULL && pwrite(file, "lost", 4, at - bytes) == 4;
  if (file >= 0)
    close(file);
  return done;
}

/* An unreadable partition fails a fetch only when nothing was read before it. */
static void a_damaged_partition_keeps_earlier_records(void)
{
  static char value[3001];
  const struct uk_log_options options = rig_options();
  memset(value, 'v', sizeof value - 1);
  memcpy(value, "find me ", 8);
  struct uk_log *log = rig_open(&options);
  REQUIRE(log != NULL);
  CHECK(rig_put(log, "t", 0, "good", -1) == 0);
  CHECK(rig_put(log, "t", 1, value, -1) == 0);
  uk_log_close(log);
  REQUIRE(damage("find me "));
  REQUIRE(open_engine());
  struct fetch good_first = {.at = {at("t", 0, 0), at("t", 1, 0)}};
  fetch_begin(&good_first, 2, 0);
  CHECK_EQ_INT(fetch_end(&good_first), UK_OK);
  CHECK_EQ_STR(good_first.operation.operation.message, "");
  CHECK_EQ_STR(good_first.text, "t/0/0 ");
  struct fetch bad_first = {.at = {at("t", 1, 0), at("t", 0, 0)}};
  fetch_begin(&bad_first, 2, 0);
  CHECK_EQ_INT(fetch_end(&bad_first), UK_E_INTERNAL);
  CHECK_EQ_INT(bad_first.count, 0);
  close_engine();
}

static void a_removed_offset_names_the_range(void)
{
  static char value[2001];
  memset(value, 'v', sizeof value - 1);
  REQUIRE(open_engine());
  struct uk_create_topic create = {.topic = uk_slice_text("t"),
                                   .partitions = 1,
                                   .has_retention_bytes = true,
                                   .retention_bytes = 10000};
  rig_call_init(&call, &create.operation);
  engine->methods->create_topic(engine, &create);
  rig_call_wait(&call, &create.operation);
  CHECK(create.created);
  for (int i = 0; i < 10; i++)
    produce("t", 0, value);
  struct fetch fetch;
  for (int i = 0; i < CHECK_PATIENCE / 50; i++) {
    fetch = (struct fetch){.at = {at("t", 0, 3)}};
    fetch_begin(&fetch, 1, 0);
    if (fetch_end(&fetch) != UK_OK)
      break;
    rig_sleep(50);
  }
  CHECK_EQ_INT(fetch.operation.operation.error, UK_E_BAD_REQUEST);
  CHECK_EQ_STR(
    fetch.operation.operation.message,
    "offset 3 of topic \"t\" partition 0 is below the first kept offset (range 5 to 10)");
  close_engine();
}

static void waits_for_records(void)
{
  REQUIRE(open_engine());
  produce("t", 0, "v");
  struct fetch ahead = {.at = {at("t", 0, 2)}}, two = {.at = {at("t", 1, 0), at("t", 0, 1)}};
  fetch_begin(&ahead, 1, 60000);
  fetch_begin(&two, 2, 60000);
  rig_sleep(30);
  produce("t", 0, "v");
  CHECK_EQ_INT(fetch_end(&two), UK_OK);
  CHECK_EQ_STR(two.text, "t/0/1 ");
  CHECK_EQ_INT(two.asked, 1);
  CHECK_EQ_INT(ahead.count, 0);
  produce("t", 0, "v");
  CHECK_EQ_INT(fetch_end(&ahead), UK_OK);
  CHECK_EQ_STR(ahead.text, "t/0/2 ");
  close_engine();
}

static void times_out(void)
{
  REQUIRE(open_engine());
  produce("t", 0, "v");
  static const int timeouts[] = {300, 50, 0, 150, 100};
  struct fetch fetches[5];
  int64_t start = uk_clock_monotonic();
  for (int i = 0; i < 5; i++) {
    fetches[i] = (struct fetch){.at = {at("t", 0, 1)}};
    fetch_begin(&fetches[i], 1, timeouts[i]);
  }
  CHECK(ended(&fetches[2]));
  static const int order[] = {2, 1, 4, 3, 0};
  for (int i = 0; i < 5; i++) {
    CHECK_EQ_INT(fetch_end(&fetches[order[i]]), UK_OK);
    int64_t took = uk_clock_monotonic() - start;
    CHECK(took >= timeouts[order[i]] && took < CHECK_PATIENCE);
    CHECK_EQ_INT(fetches[order[i]].count, 0);
    CHECK_EQ_INT(fetches[order[i]].asked, 0);
  }
  close_engine();
}

static void a_client_that_left_takes_nothing(void)
{
  REQUIRE(open_engine());
  struct fetch fetch = {.at = {at("t", 0, 0)}, .unwanted = true};
  produce("t", 1, "v");
  fetch_begin(&fetch, 1, 60000);
  produce("t", 0, "v");
  CHECK_EQ_INT(fetch_end(&fetch), UK_E_CANCELLED);
  CHECK_EQ_INT(fetch.count, 0);
  CHECK_EQ_INT(fetch.asked, 1);
  close_engine();
}

static void deleting_ends_waiting(void)
{
  REQUIRE(open_engine());
  produce("t", 0, "v");
  produce("u", 0, "v");
  struct fetch both = {.at = {at("u", 1, 0), at("t", 1, 0)}}, other = {.at = {at("u", 1, 0)}};
  fetch_begin(&both, 2, 60000);
  fetch_begin(&other, 1, 60000);
  CHECK_EQ_INT(delete_topic("t"), UK_OK);
  CHECK_EQ_INT(fetch_end(&both), UK_E_NOT_FOUND);
  CHECK(!ended(&other));
  engine->methods->drain(engine);
  CHECK_EQ_INT(fetch_end(&other), UK_OK);
  close_engine();
}

static void nothing_waits_after_a_drain(void)
{
  REQUIRE(open_engine());
  produce("t", 0, "v");
  struct fetch fetch = {.at = {at("t", 0, 1)}}, later = fetch, there = {.at = {at("t", 0, 0)}};
  fetch_begin(&fetch, 1, 60000);
  CHECK(!ended(&fetch));
  engine->methods->drain(engine);
  CHECK_EQ_INT(fetch_end(&fetch), UK_OK);
  fetch_begin(&later, 1, 60000);
  CHECK(ended(&later));
  CHECK_EQ_INT(fetch_end(&later), UK_OK);
  fetch_begin(&there, 1, 60000);
  CHECK_EQ_INT(fetch_end(&there), UK_OK);
  CHECK_EQ_STR(there.text, "t/0/0 ");
  close_engine();
}

/* With large records, too: the record that uses up the quantum ends it. */
static void large_records_use_up_a_turn(void)
{
  static char half[128 << 10]; /* of the quantum */
  static struct uk_record records[6];
  REQUIRE(open_engine());
  for (int i = 0; i < 6; i++) {
    records[i] = rig_record("t", i == 5, "v");
    if (i < 5)
      records[i].value = uk_slice_of(half, sizeof half);
  }
  struct uk_produce operation = {.records = records, .count = 6};
  rig_call_init(&call, &operation.operation);
  engine->methods->produce(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  struct fetch both = {.at = {at("t", 0, 0), at("t", 1, 0)}};
  fetch_begin(&both, 2, 0);
  CHECK_EQ_INT(fetch_end(&both), UK_OK);
  CHECK_EQ_STR(both.text, "t/0/0 t/0/1 t/1/0 t/0/2 t/0/3 t/0/4 ");
  struct fetch alone = {.at = {at("t", 0, 0)}};
  fetch_begin(&alone, 1, 0);
  CHECK_EQ_INT(fetch_end(&alone), UK_OK);
  CHECK_EQ_INT(alone.count, 5);
  close_engine();
}

/* A busy partition does not keep the others out. */
static void positions_take_turns(void)
{
  static struct uk_record records[1000];
  REQUIRE(open_engine());
  for (int i = 0; i < 1000; i++)
    records[i] = rig_record("t", i % 2, "v");
  struct uk_produce operation = {.records = records, .count = 1000};
  rig_call_init(&call, &operation.operation);
  engine->methods->produce(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  struct fetch all = {.at = {at("t", 0, 0), at("t", 1, 0), at("t", 0, 490)}};
  fetch_begin(&all, 3, 0);
  CHECK_EQ_INT(fetch_end(&all), UK_OK);
  CHECK_EQ_INT(all.count, 1010);
  struct fetch some = {.at = {at("t", 0, 0), at("t", 1, 0)}, .limit = 101};
  fetch_begin(&some, 2, 0);
  CHECK_EQ_INT(fetch_end(&some), UK_OK);
  CHECK_EQ_INT(some.count, 101);
  CHECK(strncmp(some.text, "t/0/0 ", 6) == 0);
  CHECK(strstr(some.text, "t/0/99 t/1/0 ") != NULL);
  /* A fetch that was cut short begins at another position the next time. */
  struct fetch next = {.at = {at("t", 0, 0), at("t", 1, 0)}, .limit = 1};
  fetch_begin(&next, 2, 0);
  CHECK_EQ_INT(fetch_end(&next), UK_OK);
  CHECK_EQ_STR(next.text, "t/1/0 ");
  close_engine();
}

/* C4: a client that has gone waits no longer; the others do. */
static void a_fetch_whose_client_has_gone_ends(void)
{
  REQUIRE(open_engine());
  produce("t", 0, "v");
  struct fetch fetches[3];
  for (int i = 0; i < 3; i++) {
    fetches[i] = (struct fetch){.at = {at("t", 0, 1), at("t", 1, 0)}};
    fetch_begin(&fetches[i], 2, 60000 - 1000 * i);
  }
  uk_operation_expire(&fetches[1].operation.operation);
  engine->methods->fetch_expired(engine, &fetches[1].operation);
  CHECK_EQ_INT(fetch_end(&fetches[1]), UK_OK);
  CHECK_EQ_INT(fetches[1].count, 0);
  engine->methods->fetch_expired(engine, &fetches[1].operation); /* again: it waits no longer */
  CHECK(!ended(&fetches[0]) && !ended(&fetches[2]));
  produce("t", 0, "v");
  CHECK_EQ_INT(fetch_end(&fetches[0]), UK_OK);
  CHECK_EQ_INT(fetches[0].count, 1);
  CHECK_EQ_INT(fetch_end(&fetches[2]), UK_OK);
  struct fetch late = {.at = {at("t", 0, 2)}};
  uk_operation_expire(&late.operation.operation);
  fetch_begin(&late, 1, 60000);
  CHECK_EQ_INT(fetch_end(&late), UK_OK);
  CHECK_EQ_INT(late.count, 0);
  close_engine();
}

/* A14: the first record is not rejected for its size. */
static void a_fetch_without_memory_for_its_first_record_says_so(void)
{
  REQUIRE(open_engine());
  produce("t", 0, "v");
  produce("t", 1, "v");
  struct fetch one = {.at = {at("t", 0, 0)}, .no_memory = true};
  fetch_begin(&one, 1, 60000);
  CHECK_EQ_INT(fetch_end(&one), UK_E_NO_MEMORY);
  struct fetch two = {.at = {at("t", 1, 0), at("t", 0, 0)}, .no_memory = true};
  fetch_begin(&two, 2, 60000);
  CHECK_EQ_INT(fetch_end(&two), UK_E_NO_MEMORY);
  close_engine();
}

enum { CROWD = 10000 };

static void a_crowd_is_answered_at_once(void)
{
  struct fetch *crowd = calloc(CROWD, sizeof *crowd);
  REQUIRE(crowd != NULL && open_engine());
  produce("t", 1, "v");
  for (int i = 0; i < CROWD; i++) {
    crowd[i].at[0] = at("t", 0, 0);
    fetch_begin(&crowd[i], 1, 60000 + i % 100);
  }
  long long work = check_work();
  produce("t", 0, "v");
  for (int i = 0; i < CROWD; i++) {
    CHECK_EQ_INT(fetch_end(&crowd[i]), UK_OK);
    CHECK_EQ_INT(crowd[i].count, 1);
  }
  work = check_work() - work;
  if (!CHECK(work < 1000))
    fprintf(stderr, "  took %lld ms of work\n", work);
  free(crowd);
  close_engine();
}

/* Offsets and committed. */

static enum uk_error offset_at(int64_t timestamp, const char *topic, int32_t partition,
                               int64_t *offset)
{
  struct uk_topic_partition_offset asked = at(topic, partition, -7);
  struct uk_offsets operation = {.timestamp = timestamp, .offsets = &asked, .count = 1};
  rig_call_init(&call, &operation.operation);
  engine->methods->offsets(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  *offset = asked.offset;
  return operation.operation.error;
}

static void answers_offsets(void)
{
  int64_t offset;
  REQUIRE(open_engine());
  int64_t start = uk_clock_epoch();
  produce("t", 0, "v");
  produce("t", 0, "v");
  CHECK_EQ_INT(offset_at(UK_TIMESTAMP_EARLIEST, "t", 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, 0);
  CHECK_EQ_INT(offset_at(UK_TIMESTAMP_LATEST, "t", 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, 2);
  CHECK_EQ_INT(offset_at(start, "t", 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, 0);
  CHECK_EQ_INT(offset_at(start + 100000, "t", 0, &offset), UK_OK);
  CHECK_EQ_INT(offset, 2);
  CHECK_EQ_INT(offset_at(0, "t", 2, &offset), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(offset_at(UK_TIMESTAMP_LATEST, "none", 0, &offset), UK_E_NOT_FOUND);
  close_engine();
}

static int64_t committed(const char *group, const char *topic, int32_t partition,
                         enum uk_error want)
{
  struct uk_topic_partition_offset asked = at(topic, partition, -7);
  struct uk_committed operation = {.group = uk_slice_text(group), .offsets = &asked, .count = 1};
  rig_call_init(&call, &operation.operation);
  engine->methods->committed(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  CHECK_EQ_INT(operation.operation.error, want);
  return asked.offset;
}

/* Groups over the log. */

struct consume {
  struct uk_consume operation;
  struct rig_call call;
  size_t count;
};

static bool count_record(struct uk_operation *operation, const struct uk_record *record)
{
  (void)record;
  ((struct consume *)operation)->count++;
  return true;
}

static void consume_begin(struct consume *consume, const struct uk_slice *topic, int timeout)
{
  consume->operation.group = uk_slice_text("g");
  consume->operation.instance = uk_slice_text("i");
  consume->operation.topics = topic;
  consume->operation.topic_count = 1;
  consume->operation.settings = (struct uk_consumer_settings){
    .offset_reset = UK_RESET_EARLIEST, .auto_commit_interval = 5000, .session_timeout = 60000};
  consume->operation.sink = (struct uk_sink){count_record, NULL};
  consume->operation.operation.deadline = uk_clock_monotonic() + timeout;
  rig_call_init(&consume->call, &consume->operation.operation);
  engine->methods->consume(engine, &consume->operation);
}

static void consume_end(struct consume *consume)
{
  rig_call_wait(&consume->call, &consume->operation.operation);
  if (consume->operation.delivery > 0)
    engine->methods->response_finished(engine, consume->operation.group,
                                       consume->operation.instance, consume->operation.delivery,
                                       UK_RESPONSE_WRITTEN);
}

static enum uk_error commit(const struct uk_topic_partition_offset *offsets, size_t count)
{
  struct uk_commit operation = {.group = uk_slice_text("g"),
                                .instance = uk_slice_text("i"),
                                .offsets = offsets,
                                .count = count};
  rig_call_init(&call, &operation.operation);
  engine->methods->commit(engine, &operation);
  rig_call_wait(&call, &operation.operation);
  return operation.operation.error;
}

static void consumes_and_commits(void)
{
  struct uk_slice topic = uk_slice_text("t");
  struct uk_topic_partition_offset explicit_offset = at("t", 1, 10);
  REQUIRE(open_engine());
  for (int i = 0; i < 3; i++)
    produce("t", 0, "v");
  struct consume first = {.count = 0}, waiting = first, empty = first;
  consume_begin(&first, &topic, 5000);
  consume_end(&first);
  CHECK_EQ_INT(first.operation.operation.error, UK_OK);
  CHECK_EQ_INT(first.count, 3);
  CHECK_EQ_INT(commit(NULL, 0), UK_OK);
  CHECK_EQ_INT(committed("g", "t", 0, UK_OK), 3);
  CHECK_EQ_INT(committed("g", "t", 1, UK_OK), -1);
  CHECK_EQ_INT(commit(&explicit_offset, 1), UK_OK);
  CHECK_EQ_INT(committed("g", "t", 1, UK_OK), 10);
  committed("g", "t", 2, UK_E_BAD_REQUEST);
  committed("g", "none", 0, UK_E_NOT_FOUND);
  consume_begin(&waiting, &topic, 60000);
  rig_sleep(30);
  produce("t", 1, "v");
  consume_end(&waiting);
  CHECK_EQ_INT(waiting.count, 1);
  int64_t start = uk_clock_monotonic();
  consume_begin(&empty, &topic, 200);
  consume_end(&empty);
  CHECK(uk_clock_monotonic() - start >= 200);
  CHECK_EQ_INT(empty.operation.operation.error, UK_OK);
  CHECK_EQ_INT(empty.count, 0);
  close_engine();
}

/* Nothing is produced, and the deadline is far. */
static void a_waiting_consume_is_told_of_changed_topics(void)
{
  const struct uk_slice topics[] = {uk_slice_text("t"), uk_slice_text("u")};
  REQUIRE(open_engine());
  produce("u", 0, "v");
  produce("t", 0, "v");
  CHECK_EQ_INT(delete_topic("t"), UK_OK);
  produce("t", 0, "v");
  struct consume first = {.count = 0}, waiting = first;
  consume_begin(&first, topics, 5000);
  consume_end(&first);
  consume_begin(&waiting, topics, 60000);
  CHECK_EQ_INT(delete_topic("u"), UK_OK); /* another's */
  CHECK_EQ_INT(delete_topic("t"), UK_OK);
  rig_call_wait(&waiting.call, &waiting.operation.operation);
  CHECK_EQ_INT(waiting.operation.operation.error, UK_E_NOT_FOUND);
  CHECK_EQ_STR(waiting.operation.operation.message, "topic \"t\" was deleted");
  close_engine();
}

/* Nobody waits for records of a log that cannot be read. */
static void a_consume_of_a_shut_log_ends_at_once(void)
{
  const struct uk_slice topic = uk_slice_text("t");
  char home[400], away[410], detail[400], want[500];
  REQUIRE(open_engine());
  produce("t", 0, "v");
  snprintf(home, sizeof home, "%s", rig_directory());
  snprintf(away, sizeof away, "%s-away", home);
  struct consume first = {.count = 0}, late = first;
  consume_begin(&first, &topic, 5000);
  consume_end(&first);
  CHECK_EQ_INT(rename(home, away), 0);
  CHECK_EVENTUALLY(engine->methods->health(engine, detail, sizeof detail) == UK_E_UNAVAILABLE);
  consume_begin(&late, &topic, 60000);
  rig_call_wait(&late.call, &late.operation.operation);
  CHECK_EQ_INT(late.operation.operation.error, UK_E_UNAVAILABLE);
  snprintf(want, sizeof want, "the log failed: the data folder %s was renamed or deleted", home);
  CHECK_EQ_STR(late.operation.operation.message, want);
  CHECK_EQ_INT(rename(away, home), 0);
  CHECK_EVENTUALLY(engine->methods->health(engine, detail, sizeof detail) == UK_OK);
  close_engine();
}

/* A consume creates its topics if the server may (auto_create) and its credentials may (create). */
static void a_consume_creates_its_topic_if_both_may(void)
{
  static const struct {
    bool auto_create, create;
    const char *topic;
    enum uk_error error;
    const char *message;
  } cases[] = {{true, true, "made", UK_OK, ""},
               {true, true, "bad name", UK_E_BAD_REQUEST, "bad topic name"},
               {true, false, "none", UK_E_NOT_FOUND, "topic \"none\" does not exist"},
               {false, true, "none", UK_E_NOT_FOUND, "topic \"none\" does not exist"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct uk_slice topic = uk_slice_text(cases[i].topic);
    struct consume consume = {.count = 0};
    REQUIRE(open_engine_with(cases[i].auto_create));
    consume.operation.create = cases[i].create;
    consume_begin(&consume, &topic, 0);
    rig_call_wait(&consume.call, &consume.operation.operation);
    CHECK_EQ_INT(consume.operation.operation.error, cases[i].error);
    CHECK_EQ_STR(consume.operation.operation.message, cases[i].message);
    committed("g", cases[i].topic, 0, cases[i].error == UK_OK ? UK_OK : UK_E_NOT_FOUND);
    close_engine();
  }
}

/* A response that was written completely is not delivered again; another one is. The next request
 * waits until that is known. */
static void a_lost_response_is_delivered_again(void)
{
  struct uk_slice topic = uk_slice_text("t"), group = uk_slice_text("g"), name = uk_slice_text("i");
  static const struct {
    bool finished;
    size_t again;
  } cases[] = {{true, 0}, {false, 1}};
  for (size_t i = 0; i < 2; i++) {
    REQUIRE(open_engine());
    produce("t", 0, "v");
    struct consume first = {.count = 0}, second = first;
    consume_begin(&first, &topic, 5000);
    rig_call_wait(&first.call, &first.operation.operation);
    CHECK_EQ_INT(first.count, 1);
    consume_begin(&second, &topic, cases[i].again > 0 ? 60000 : 500);
    engine->methods->response_finished(engine, group, name, first.operation.delivery,
                                       cases[i].finished);
    rig_call_wait(&second.call, &second.operation.operation);
    CHECK_EQ_INT(second.count, cases[i].again);
    close_engine();
  }
}

static void reports_its_health(void)
{
  char detail[100] = "x";
  REQUIRE(open_engine());
  CHECK_EQ_STR(engine->methods->name, "log");
  CHECK_EQ_INT(engine->methods->health(engine, detail, sizeof detail), UK_OK);
  CHECK_EQ_STR(detail, "");
  close_engine();
}

/* Several threads fetch and produce, and no wake-up is lost. */

static void *follow(void *argument)
{
  int64_t *next = argument;
  while (*next < 300) {
    struct fetch fetch = {.at = {at("t", 0, *next)}};
    fetch_begin(&fetch, 1, 20000);
    if (!CHECK_EQ_INT(fetch_end(&fetch), UK_OK) || !CHECK(fetch.count > 0))
      break;
    *next += (int64_t)fetch.count;
  }
  return NULL;
}

static void no_wake_up_is_lost(void)
{
  pthread_t threads[4];
  int64_t next[4] = {0};
  REQUIRE(open_engine());
  produce("t", 0, "v");
  for (int i = 0; i < 4; i++)
    REQUIRE(pthread_create(&threads[i], NULL, follow, &next[i]) == 0);
  for (int i = 1; i < 300; i++)
    produce("t", 0, "v");
  for (int i = 0; i < 4; i++) {
    pthread_join(threads[i], NULL);
    CHECK_EQ_INT(next[i], 300);
  }
  close_engine();
}

/* Everything at once for a while, for the sanitizers: no operation stays pending. */

static atomic_bool busy;

static void *produce_on(void *argument)
{
  const char *topic = argument;
  for (unsigned i = 0; atomic_load(&busy); i++) {
    struct uk_record records[20];
    struct uk_produce operation = {.records = records, .count = 1 + i % 20};
    struct rig_call produced;
    for (size_t r = 0; r < operation.count; r++)
      records[r] = rig_record(topic, -1, "value");
    rig_call_init(&produced, &operation.operation);
    engine->methods->produce(engine, &operation);
    rig_call_wait(&produced, &operation.operation);
    CHECK_EQ_INT(operation.operation.error, UK_OK);
  }
  return NULL;
}

static void *delete_on(void *argument)
{
  while (atomic_load(&busy)) {
    enum uk_error error = delete_topic(argument);
    CHECK(error == UK_OK || error == UK_E_NOT_FOUND);
    rig_sleep(5);
  }
  return NULL;
}

static void *fetch_on(void *argument)
{
  int64_t next = 0;
  while (atomic_load(&busy)) {
    struct fetch fetch = {
      .at = {at("stays", 0, next), at(argument, 0, 1000000000), at("stays", 1, 0)}, .limit = 50};
    fetch_begin(&fetch, 3, 20);
    enum uk_error error = fetch_end(&fetch);
    CHECK(error == UK_OK || error == UK_E_NOT_FOUND);
    next += (int64_t)fetch.count / 2;
    struct fetch waits = {.at = {at("stays", 0, 1000000000), at(argument, 1, 1000000000)}};
    fetch_begin(&waits, 2, 3);
    error = fetch_end(&waits);
    CHECK(error == UK_OK || error == UK_E_NOT_FOUND);
  }
  return NULL;
}

static void *consume_on(void *argument)
{
  struct uk_slice topic = uk_slice_text(argument);
  while (atomic_load(&busy)) {
    struct consume consume = {.count = 0};
    struct uk_commit operation = {.group = uk_slice_text("g"), .instance = uk_slice_text("i")};
    struct rig_call committing;
    consume_begin(&consume, &topic, 10);
    consume_end(&consume);
    CHECK_EQ_INT(consume.operation.operation.error, UK_OK);
    rig_call_init(&committing, &operation.operation);
    engine->methods->commit(engine, &operation);
    rig_call_wait(&committing, &operation.operation);
    CHECK_EQ_INT(operation.operation.error, UK_OK);
  }
  return NULL;
}

static void everything_at_once(void)
{
  static char stays[] = "stays", goes[] = "goes";
  static const struct {
    void *(*run)(void *);
    char *topic;
  } workers[] = {{produce_on, stays}, {produce_on, goes}, {delete_on, goes},
                 {fetch_on, goes},    {fetch_on, goes},   {consume_on, stays}};
  enum { WORKERS = sizeof workers / sizeof workers[0] };
  pthread_t threads[WORKERS];
  REQUIRE(open_engine());
  produce("stays", 0, "first");
  atomic_store(&busy, true);
  for (int i = 0; i < WORKERS; i++)
    REQUIRE(pthread_create(&threads[i], NULL, workers[i].run, workers[i].topic) == 0);
  rig_sleep(1500);
  atomic_store(&busy, false);
  for (int i = 0; i < WORKERS; i++)
    pthread_join(threads[i], NULL);
  close_engine();
}

int main(void)
{
  CHECK_RUN(a_fetch_whose_client_has_gone_ends);
  CHECK_RUN(a_fetch_without_memory_for_its_first_record_says_so);
  CHECK_RUN(everything_at_once);
  CHECK_RUN(fetches_at_once);
  CHECK_RUN(fetch_errors);
  CHECK_RUN(a_damaged_partition_keeps_earlier_records);
  CHECK_RUN(a_removed_offset_names_the_range);
  CHECK_RUN(waits_for_records);
  CHECK_RUN(times_out);
  CHECK_RUN(a_client_that_left_takes_nothing);
  CHECK_RUN(deleting_ends_waiting);
  CHECK_RUN(nothing_waits_after_a_drain);
  CHECK_RUN(positions_take_turns);
  CHECK_RUN(large_records_use_up_a_turn);
  CHECK_RUN(a_crowd_is_answered_at_once);
  CHECK_RUN(answers_offsets);
  CHECK_RUN(consumes_and_commits);
  CHECK_RUN(a_waiting_consume_is_told_of_changed_topics);
  CHECK_RUN(a_consume_of_a_shut_log_ends_at_once);
  CHECK_RUN(a_consume_creates_its_topic_if_both_may);
  CHECK_RUN(a_lost_response_is_delivered_again);
  CHECK_RUN(reports_its_health);
  CHECK_RUN(no_wake_up_is_lost);
  return check_end();
}
