/* for: kafka_fetch.c, kafka_fetch_run.c, kafka_fetch_read.c, kafka_fetch_wait.c,
 * kafka_fetch_outcome.c
 *
 * The steps of a fetch and when it takes them: what it reads first, how long it waits, and how it
 * ends. librdkafka, the topics, the watermarks and the clock are the test's. */
#include "call_log.h"
#include "server/kafka_engine/fetch/kafka_fetch.h"

#include "fake_kafka_reader.h"
#include "fault.h"
#include "server/kafka_engine/cluster/kafka_offsets.h"
#include "server/kafka_engine/fetch/kafka_consumer_pool_private.h"
#include "server/kafka_engine/fetch/kafka_end_watch_private.h"
#include "server/kafka_engine/fetch/kafka_fetch_private.h"

enum {
  NOW = READER_NOW,
  TIMEOUT = 1000,
  GRACE = 500, /* milliseconds after the deadline */
  LIMIT = NOW + TIMEOUT + GRACE,
  FIRST_ALONE = 20,
  SETTLE = 50,
  AGAIN = 100, /* milliseconds until another start */
  MANY = 1100
};

static struct {
  char log[300]; /* what the topics were asked */
  enum uk_error check_error;
  bool holds_check, down, cut_off;
  struct uk_kafka_check *check; /* not answered yet */
  int32_t leaderless;
  struct uk_kafka_watermarks *watermarks; /* not answered yet */
  int64_t watermarks_deadline;
  int offsets;
} fake;

static struct uk_kafka_fetches *fetches;

#define note(...) call_log_add(fake.log, sizeof fake.log, __VA_ARGS__)

#define CHECK_LOG(wanted)                                                                          \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

/* Fakes. */

static void answer_check(struct uk_kafka_check *check)
{
  if (fake.check_error != UK_OK)
    uk_operation_fail(check->operation, fake.check_error, "checked");
  check->then(check);
}

void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake && !check->changes && check->create == NULL);
  note("check ");
  check->operation->error = UK_OK;
  check->operation->message[0] = '\0';
  if (fake.holds_check)
    fake.check = check;
  else
    answer_check(check);
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  (void)topics;
  if (fake.down)
    snprintf(detail, size, "the cluster is away");
  return fake.down ? UK_E_UNAVAILABLE : UK_OK;
}

enum uk_error uk_kafka_topics_contact(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  (void)topics;
  if (fake.down || fake.cut_off)
    snprintf(detail, size, "the cluster is cut off");
  return fake.down || fake.cut_off ? UK_E_UNAVAILABLE : UK_OK;
}

bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice topic,
                                int32_t partition)
{
  (void)topics;
  return uk_slice_is(topic, "t") && partition == fake.leaderless;
}

void uk_kafka_topics_refresh(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  (void)topics;
  note("refresh(%.*s) ", (int)topic.length, topic.data);
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  (void)topics;
  note("forget(%.*s) ", (int)topic.length, topic.data);
}

void uk_kafka_watermarks_ask(struct uk_kafka_watermarks *watermarks,
                             struct uk_kafka_blocking *blocking)
{
  CHECK(blocking == (struct uk_kafka_blocking *)&fake);
  CHECK(watermarks->control == (rd_kafka_t *)&fake);
  note("watermarks");
  for (size_t i = 0; i < watermarks->count; i++) {
    CHECK_EQ_INT(watermarks->first[i].partition, watermarks->end[i].partition);
    CHECK(uk_slice_equal(watermarks->first[i].topic, watermarks->end[i].topic));
    note(" %.*s/%d", (int)watermarks->end[i].topic.length, watermarks->end[i].topic.data,
         (int)watermarks->end[i].partition);
  }
  note(" ");
  watermarks->failed = 0;
  fake.watermarks = watermarks;
  fake.watermarks_deadline = watermarks->work.query.deadline;
}

void uk_kafka_offsets_run(struct uk_offsets *operation, rd_kafka_t *control,
                          struct uk_kafka_topics *topics, struct uk_kafka_blocking *blocking)
{
  (void)operation;
  CHECK(control == (rd_kafka_t *)&fake && topics == (struct uk_kafka_topics *)&fake &&
        blocking == (struct uk_kafka_blocking *)&fake);
  fake.offsets++;
}

/* A fetch. */

struct probe {
  struct uk_fetch fetch; /* first */
  struct uk_topic_partition_offset at[MANY];
  size_t count, most;
  char got[200]; /* partition:offset */
  bool gone;
  int dones;
};

static struct probe probes[12], *probe = &probes[0];

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct probe *taker = (struct probe *)operation;
  size_t length = strlen(taker->got);
  if (taker->count == taker->most)
    return false;
  taker->count++;
  snprintf(taker->got + length, sizeof taker->got - length, "%d:%lld ", (int)record->partition,
           (long long)record->offset);
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  return !((struct probe *)operation)->gone;
}

static void done(struct uk_operation *operation)
{
  ((struct probe *)operation)->dones++;
}

static void begin(struct probe *started, size_t count)
{
  started->fetch = (struct uk_fetch){.operation = {.done = done, .deadline = reader.now + TIMEOUT},
                                     .positions = started->at,
                                     .count = count,
                                     .sink = {take, is_client_alive}};
  started->count = 0;
  started->most = started->most == 0 ? 100 : started->most;
  started->dones = 0;
  started->got[0] = '\0';
  uk_kafka_fetches_fetch(fetches, &started->fetch);
  reader_run(reader.now);
}

/* Reads partitions 0 to `count` - 1 of "t" from that offset on. */
static void start_many(struct probe *started, size_t count, int64_t offset)
{
  for (size_t i = 0; i < count; i++)
    started->at[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), (int32_t)i, offset};
  begin(started, count);
}

static void start(size_t count, int64_t offset)
{
  start_many(probe, count, offset);
}

static void run_at(int64_t now)
{
  reader_run(now);
}

static void run_now(void)
{
  reader_run(reader.now);
}

static void check_ended(const struct probe *ended, enum uk_error error, const char *message)
{
  CHECK_EQ_INT(ended->dones, 1);
  CHECK_EQ_INT(ended->fetch.operation.error, error);
  CHECK_EQ_STR(ended->fetch.operation.message, message);
  CHECK(uk_list_is_empty(&fetches->running));
}

static void answer_watermarks(rd_kafka_resp_err_t code, int64_t first, int64_t end)
{
  struct uk_kafka_watermarks *asked = fake.watermarks;
  REQUIRE(asked != NULL);
  fake.watermarks = NULL;
  asked->work.query.code = code;
  for (size_t i = 0; i < asked->count; i++) {
    asked->first[i].offset = first;
    asked->end[i].offset = end + 10 * (int64_t)i;
  }
  asked->work.query.then(&asked->work.query);
  run_now();
}

static size_t waiting_at(int32_t partition)
{
  struct uk_kafka_watched_end *end =
    uk_kafka_end_watch_find(fetches->watch, uk_slice_text("t"), partition);
  return end != NULL ? end->joined : 0;
}

static size_t count_in(const char *text, const char *part)
{
  size_t count = 0;
  while ((text = strstr(text, part)) != NULL) {
    count++;
    text++;
  }
  return count;
}

/* The partition that is read, while one is read alone. */
static int32_t first_read(size_t count)
{
  for (int32_t i = 0; i < (int32_t)count; i++) {
    if (reader_offset("t", i) >= 0)
      return i;
  }
  return -1;
}

/* Records. */

static void records_that_are_there_are_returned(void)
{
  start(1, 5);
  CHECK_EQ_INT(reader_offset("t", 0), 5);
  reader_record("t", 0, 5, 1);
  reader_record("t", 0, 6, 1);
  run_now();
  CHECK_EQ_INT(probe->dones, 0); /* more may come */
  reader_end("t", 0, 7);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:5 0:6 ");
  CHECK_EQ_INT(reader.read_count, 0); /* nothing is left there */
  CHECK_LOG("check ");
}

/* From the first record on, not from the last. */
static void other_partitions_get_a_moment_after_the_first_record(void)
{
  start(2, 0);
  int32_t first = first_read(2);
  reader_record("t", first, 0, 1);
  run_now();
  run_at(NOW + 30);
  reader_record("t", first, 1, 1);
  run_now();
  run_at(NOW + SETTLE - 1);
  CHECK_EQ_INT(probe->dones, 0);
  run_at(NOW + SETTLE);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(probe->count, 2);
}

static void the_first_partition_is_read_alone_for_a_moment(void)
{
  start(3, 0);
  CHECK_EQ_INT(reader.starts, 1);
  run_at(NOW + FIRST_ALONE - 1);
  CHECK_EQ_INT(reader.starts, 1);
  run_at(NOW + FIRST_ALONE);
  CHECK_EQ_INT(reader.starts, 3);
  uk_kafka_fetches_drain(fetches);
  run_now();
  check_ended(probe, UK_OK, "");
}

static void the_others_start_once_the_first_has_answered(void)
{
  start(3, 0);
  reader_end("t", first_read(3), 0);
  run_now();
  CHECK_EQ_INT(reader.starts, 3);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void each_full_response_gives_another_partition_its_turn(void)
{
  bool seen[3] = {false};
  probe->most = 1;
  for (int round = 0; round < 3; round++) {
    start(3, 0);
    int32_t first = first_read(3);
    REQUIRE(first >= 0);
    seen[first] = true;
    reader_record("t", first, 0, 1);
    reader_record("t", first, 1, 1);
    run_now();
    check_ended(probe, UK_OK, "");
    uk_kafka_fetches_forget(fetches, uk_slice_text("t")); /* nothing stays parked */
    run_now();
  }
  CHECK(seen[0] && seen[1] && seen[2]);
}

/* What was read ahead is there for the fetch that continues. */
static void the_next_fetch_continues_where_a_full_response_ended(void)
{
  probe->most = 2;
  start(1, 5);
  for (int64_t offset = 5; offset < 9; offset++)
    reader_record("t", 0, offset, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:5 0:6 ");
  CHECK_EQ_INT(reader.read_count, 1);
  start(1, 7);
  run_at(NOW + SETTLE);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:7 0:8 ");
  CHECK_EQ_INT(reader.starts, 1);
}

/* A session is not kept without records, with an end, or with more than 64 partitions. */
static void a_session_with_many_partitions_is_not_kept(void)
{
  for (size_t count = 64; count <= 65; count++) {
    probe->most = 1;
    start(count, 0);
    int32_t first = first_read(count);
    reader_end("t", first, 0);
    run_now();
    reader_record("t", first, 0, 1);
    reader_record("t", first, 1, 1);
    run_now();
    check_ended(probe, UK_OK, "");
    CHECK_EQ_INT(reader.read_count, count == 64 ? 64 : 0);
    uk_kafka_fetches_forget(fetches, uk_slice_text("t"));
    run_now();
  }
}

static void a_session_that_has_not_started_all_is_not_kept(void)
{
  probe->most = 1;
  start(2, 0);
  int32_t first = first_read(2);
  reader_record("t", first, 0, 1);
  reader_record("t", first, 1, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(reader.read_count, 0);
}

/* A task that always has something to do, and notes how much a fetch does in between. */
static struct {
  struct uk_kafka_task task; /* first */
  size_t starts, stops, most_starts, most_stops;
  int runs;
} neighbour;

static void run_neighbour(struct uk_kafka_task *task, int64_t now)
{
  size_t starts = reader.starts - neighbour.starts, stops = reader.stops - neighbour.stops;
  (void)now;
  neighbour.most_starts = starts > neighbour.most_starts ? starts : neighbour.most_starts;
  neighbour.most_stops = stops > neighbour.most_stops ? stops : neighbour.most_stops;
  neighbour.starts = reader.starts;
  neighbour.stops = reader.stops;
  if (neighbour.runs-- > 0)
    uk_kafka_task_wake(task);
}

static void let_neighbour_run(void)
{
  neighbour.starts = reader.starts;
  neighbour.stops = reader.stops;
  neighbour.most_starts = neighbour.most_stops = 0;
  neighbour.runs = 100;
  uk_kafka_task_wake(&neighbour.task);
}

static void other_tasks_run_between_the_slices(void)
{
  uk_kafka_task_init(&neighbour.task, reader.executor, run_neighbour, NULL);
  start(MANY, 0);
  reader_record("t", first_read(MANY), 0, 1);
  let_neighbour_run();
  run_now();
  CHECK_EQ_INT(reader.starts, MANY);
  CHECK_EQ_INT(neighbour.most_starts, 500);
  let_neighbour_run();
  run_at(NOW + SETTLE);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(reader.stops, MANY);
  CHECK_EQ_INT(neighbour.most_stops, UK_KAFKA_STOP_SLICE);
}

static void many_partitions_start_and_stop_in_slices(void)
{
  start(MANY, 0);
  run_at(NOW + FIRST_ALONE);
  CHECK_EQ_INT(reader.starts, MANY);
  for (int32_t i = 0; i < MANY; i++)
    reader_end("t", i, 0);
  run_now();
  CHECK_EQ_INT(reader.stops, MANY);
  for (int32_t i = 0; i < MANY; i += 100)
    CHECK_EQ_INT(waiting_at(i), 1);
  CHECK_EQ_INT(reader.read_count, MANY); /* by the handle that watches the ends */
  uk_kafka_fetches_drain(fetches);
  run_now();
  check_ended(probe, UK_OK, "");
}

static void a_handle_that_falls_silent_is_nudged(void)
{
  start(1, 0);
  run_at(NOW + 15);
  CHECK_EQ_INT(reader.nudges, 0); /* nothing was taken */
  reader_record("t", 0, 0, 0);
  run_now();
  run_at(NOW + 24);
  CHECK_EQ_INT(reader.nudges, 0);
  run_at(NOW + 25);
  CHECK_EQ_INT(reader.nudges, 1);
  run_at(NOW + 45);
  CHECK_EQ_INT(reader.nudges, 1);
  reader_end("t", 0, 1);
  run_now();
  check_ended(probe, UK_OK, "");
}

/* Records that the fetch before it took count. */
static void a_kept_session_is_nudged_after_a_silence_too(void)
{
  start(1, 0);
  reader_record("t", 0, 0, 1);
  run_now();
  run_at(NOW + SETTLE - 5);
  int nudges = reader.nudges;
  reader_record("t", 0, 1, 1);
  run_now();
  run_at(NOW + SETTLE);
  check_ended(probe, UK_OK, "");
  start(1, 2);
  CHECK_EQ_INT(reader.starts, 1);
  run_at(NOW + SETTLE + 9);
  CHECK_EQ_INT(reader.nudges, nudges);
  run_at(NOW + SETTLE + 10);
  CHECK_EQ_INT(reader.nudges, nudges + 1);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void nothing_is_given_to_a_client_that_has_gone(void)
{
  probe->gone = true;
  start(1, 0);
  reader_record("t", 0, 0, 1);
  run_now();
  check_ended(probe, UK_E_CANCELLED, "the client has gone");
  CHECK_EQ_INT(probe->count, 0);
  probe->gone = false;
  start(1, 0);
  reader_record("t", 0, 0, 1);
  run_now();
  probe->gone = true; /* it was asked once */
  reader_record("t", 0, 1, 1);
  reader_end("t", 0, 2);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 0:1 ");
}

/* Silence. */

static void a_silent_partition_is_named_half_a_second_after_the_deadline(void)
{
  start(3, 0);
  run_at(NOW + FIRST_ALONE);
  /* In the order of the positions, the first that has not answered. */
  const struct uk_kafka_session *session =
    UK_LIST_FIRST(&fetches->running, struct uk_kafka_fetch, link)->session;
  char message[100];
  reader_end("t", session->parts[0].partition, 0);
  snprintf(message, sizeof message, "topic \"t\" partition %d did not answer in time",
           (int)session->parts[1].partition);
  run_at(LIMIT - 1);
  CHECK_EQ_INT(probe->dones, 0);
  run_at(LIMIT);
  check_ended(probe, UK_E_GATEWAY_TIMEOUT, message);
  CHECK_EQ_INT(reader.read_count, 0);
  start(2, 0);
  session = UK_LIST_FIRST(&fetches->running, struct uk_kafka_fetch, link)->session;
  snprintf(message, sizeof message, "topic \"t\" partition %d did not answer in time",
           (int)session->parts[0].partition);
  run_at(reader.now + TIMEOUT + GRACE);
  check_ended(probe, UK_E_GATEWAY_TIMEOUT, message);
  start(1, 0);
  fake.cut_off = true;
  run_at(reader.now + TIMEOUT + GRACE);
  check_ended(probe, UK_E_UNAVAILABLE, "the cluster is cut off");
}

/* At the end. */

static void start_at_end(void)
{
  start(1, 5);
  reader_end("t", 0, 5);
  run_now();
  CHECK_EQ_INT(waiting_at(0), 1);
  CHECK_EQ_INT(probe->dones, 0);
}

static void an_end_is_waited_at_until_the_deadline(void)
{
  start_at_end();
  CHECK_LOG("check refresh(t) ");
  CHECK_EQ_INT(reader.read_count, 1); /* only by the handle that watches */
  CHECK_EQ_INT(reader.opened, 2);
  run_at(NOW + TIMEOUT - 1);
  CHECK_EQ_INT(probe->dones, 0);
  run_at(NOW + TIMEOUT);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(probe->count, 0);
  CHECK_EQ_INT(waiting_at(0), 0);
  /* The next one waits there at once. */
  fake.log[0] = '\0';
  start(1, 5);
  CHECK_EQ_INT(waiting_at(0), 1);
  CHECK_EQ_INT(reader.starts, 2);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void records_that_arrive_are_returned(void)
{
  start_at_end();
  reader_record("t", 0, 5, 1);
  reader_record("t", 0, 6, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:5 0:6 ");
  CHECK_EQ_INT(waiting_at(0), 0);
}

static void records_of_all_partitions_are_returned(void)
{
  probe->most = 3;
  start(3, 5);
  run_at(NOW + FIRST_ALONE);
  for (int32_t i = 0; i < 3; i++)
    reader_end("t", i, 5);
  run_now();
  /* In one run: what a partition has woken does not end the fetch before the others are there. */
  for (int32_t i = 0; i < 3; i++)
    reader_record("t", i, 5, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(probe->count, 3);
  for (int32_t i = 0; i < 3; i++) {
    char part[16];
    snprintf(part, sizeof part, "%d:5 ", (int)i);
    CHECK_EQ_INT(count_in(probe->got, part), 1);
  }
}

/* Neither the first nor the last: the fetch does not go on waiting because the others have none. */
static void records_of_one_partition_are_returned(void)
{
  start(3, 5);
  run_at(NOW + FIRST_ALONE);
  for (int32_t i = 0; i < 3; i++)
    reader_end("t", i, 5);
  run_now();
  CHECK_EQ_INT(probe->dones, 0);
  reader_record("t", 1, 5, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "1:5 ");
}

/* Each fetch that found more than it may return lets the next begin with another partition. */
static void waiting_fetches_take_turns_too(void)
{
  char first[3];
  for (int i = 0; i < 3; i++) {
    probes[i].most = 1;
    start_many(&probes[i], 3, 5);
    if (i > 0)
      continue;
    run_at(NOW + FIRST_ALONE);
    for (int32_t j = 0; j < 3; j++)
      reader_end("t", j, 5);
    run_now();
  }
  for (int32_t j = 0; j < 3; j++)
    reader_record("t", j, 5, 1);
  run_now();
  for (int i = 0; i < 3; i++) {
    check_ended(&probes[i], UK_OK, "");
    CHECK_EQ_INT(probes[i].count, 1);
    first[i] = probes[i].got[0];
  }
  CHECK(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
}

/* Joining ends at the second partition, whose end others have passed: the first is left. */
static void no_end_is_joined_unless_all_are(void)
{
  struct uk_kafka_end_waiter waiter;
  struct uk_kafka_task nobody;
  uk_kafka_task_init(&nobody, reader.executor, NULL, NULL);
  start(2, 5);
  run_at(NOW + FIRST_ALONE);
  const struct uk_kafka_session *session =
    UK_LIST_FIRST(&fetches->running, struct uk_kafka_fetch, link)->session;
  const int32_t first = session->parts[0].partition, second = session->parts[1].partition;
  CHECK_EQ_INT(
    uk_kafka_end_watch_join(fetches->watch, &waiter, uk_slice_text("t"), second, 8, 8, &nobody),
    UK_KAFKA_AT_END);
  reader_end("t", first, 5);
  reader_end("t", second, 5);
  run_now();
  CHECK_EQ_INT(waiting_at(first), 0);
  CHECK_EQ_INT(waiting_at(second), 1); /* the other */
  uk_kafka_end_watch_leave(fetches->watch, &waiter);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void a_client_that_goes_while_it_waits_gets_nothing(void)
{
  start_at_end();
  probe->gone = true;
  reader_record("t", 0, 5, 1);
  run_now();
  check_ended(probe, UK_E_CANCELLED, "the client has gone");
}

static void a_topic_that_is_forgotten_is_checked_again(void)
{
  start_at_end();
  fake.log[0] = '\0';
  uk_kafka_fetches_forget(fetches, uk_slice_text("t"));
  run_now();
  CHECK_LOG("forget(t) check ");
  CHECK_EQ_INT(waiting_at(0), 0);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* Nothing says that there are no records. */
static void an_empty_answer_needs_the_cluster(void)
{
  start_at_end();
  fake.cut_off = true;
  run_at(NOW + TIMEOUT);
  check_ended(probe, UK_E_UNAVAILABLE, "the cluster is cut off");
  fake.cut_off = false;
  start(1, 5);
  fake.leaderless = 0;
  run_at(NOW + 2 * TIMEOUT);
  check_ended(probe, UK_E_UNAVAILABLE, "topic \"t\" partition 0: Broker: Leader not available");
}

static void a_lost_end_is_looked_for_again(void)
{
  start_at_end();
  fake.log[0] = '\0';
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  CHECK_EQ_INT(waiting_at(0), 0);
  run_at(NOW + AGAIN - 1);
  CHECK_EQ_INT(reader.read_count, 0);
  run_at(NOW + AGAIN);
  CHECK_EQ_INT(reader_offset("t", 0), 5); /* a session */
  CHECK_LOG("");
  reader_end("t", 0, 5);
  run_now();
  CHECK_EQ_INT(waiting_at(0), 1);
  fake.log[0] = '\0';
  reader_code("t", 0, RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, -1); /* the topic is not as it was known */
  run_now();
  CHECK_LOG("forget(t) check ");
  run_at(NOW + 2 * AGAIN);
  CHECK_EQ_INT(reader_offset("t", 0), 5);
  reader_end("t", 0, 5);
  run_now();
  reader_code("t", 0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
  run_now();
  check_ended(probe, UK_E_FORBIDDEN, "topic \"t\" partition 0: Broker: Topic authorization failed");
}

/* While this fetch read, another saw a later end, which is followed from there. */
static void an_end_that_moved_is_read_again(void)
{
  start(1, 5);
  struct uk_kafka_end_waiter waiter;
  struct uk_kafka_task nobody;
  uk_kafka_task_init(&nobody, reader.executor, NULL, NULL);
  CHECK_EQ_INT(
    uk_kafka_end_watch_join(fetches->watch, &waiter, uk_slice_text("t"), 0, 8, 8, &nobody),
    UK_KAFKA_AT_END);
  reader_end("t", 0, 5);
  run_now();
  CHECK_EQ_INT(waiting_at(0), 1); /* the other */
  size_t starts = reader.starts;
  run_at(NOW + 9);
  CHECK_EQ_INT(reader.starts, starts);
  run_at(NOW + 10);
  CHECK_EQ_INT(reader.starts, starts + 1);
  uk_kafka_end_watch_leave(fetches->watch, &waiter);
  uk_kafka_fetches_drain(fetches);
  run_now();
  check_ended(probe, UK_OK, "");
}

/* The positions of a topic need not be neighbours. */
static void each_topic_is_refreshed(void)
{
  static const char *const names[] = {"t", "u", "v"};
  for (size_t i = 0; i < 3; i++)
    probe->at[i] = (struct uk_topic_partition_offset){uk_slice_text(names[i]), 0, 5};
  begin(probe, 3);
  run_at(NOW + FIRST_ALONE);
  for (size_t i = 0; i < 3; i++)
    reader_end(names[i], 0, 5 + (int64_t)i);
  run_now();
  for (size_t i = 0; i < 3; i++)
    CHECK_EQ_INT(reader_offset(names[i], 0), 5 + (int64_t)i); /* each is followed from its end */
  CHECK_EQ_INT(count_in(fake.log, "refresh(t)"), 1);
  CHECK_EQ_INT(count_in(fake.log, "refresh(u)"), 1);
  CHECK_EQ_INT(count_in(fake.log, "refresh(v)"), 1);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void a_topic_is_refreshed_once(void)
{
  start(2, 5);
  run_at(NOW + FIRST_ALONE);
  reader_end("t", 0, 5);
  reader_end("t", 1, 5);
  run_now();
  CHECK_LOG("check refresh(t) ");
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* Offsets outside the partition. */

static void a_negative_offset_is_refused_with_the_range(void)
{
  start(1, -3);
  CHECK_LOG("check watermarks t/0 ");
  CHECK_EQ_INT(fake.watermarks_deadline, LIMIT);
  CHECK_EQ_INT(reader.opened, 0);
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 2, 7);
  check_ended(probe, UK_E_BAD_REQUEST,
              "offset -3 of topic \"t\" partition 0 is negative (range 2 to 7)");
}

static void an_offset_below_the_first_is_refused_with_the_range(void)
{
  start(1, 3);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  CHECK_LOG("check watermarks t/0 ");
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 4, 7);
  check_ended(probe, UK_E_BAD_REQUEST,
              "offset 3 of topic \"t\" partition 0 is below the first kept offset (range 4 to 7)");
}

static void offset_zero_is_not_negative(void)
{
  start(1, 0);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 4, 7);
  check_ended(probe, UK_E_BAD_REQUEST,
              "offset 0 of topic \"t\" partition 0 is below the first kept offset (range 4 to 7)");
}

/* The first kept offset can be read after all. */
static void an_offset_at_the_first_is_read(void)
{
  start(1, 4);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 4, 7);
  CHECK_EQ_INT(reader_offset("t", 0), 4);
  reader_record("t", 0, 4, 1);
  reader_end("t", 0, 7);
  run_now();
  check_ended(probe, UK_OK, "");
}

static void an_offset_past_the_end_waits_for_it(void)
{
  start(1, INT64_MAX);
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 7);
  CHECK_EQ_INT(reader.opened, 1); /* no session, only the handle that watches */
  CHECK_EQ_INT(reader_offset("t", 0), 7);
  reader_record("t", 0, 7, 1);
  run_now();
  CHECK_EQ_INT(probe->dones, 0); /* it is older */
  run_at(NOW + TIMEOUT);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(probe->count, 0);
  run_at(NOW + 100000); /* nobody follows the end any more */
  start(1, 9);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 8);
  reader_record("t", 0, 8, 1);
  run_now();
  CHECK_EQ_INT(probe->dones, 0);
  reader_record("t", 0, 9, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:9 ");
}

/* One position past its end, one that is read. */
static void start_past_and_read(void)
{
  probe->at[0] = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, INT64_MAX};
  probe->at[1] = (struct uk_topic_partition_offset){uk_slice_text("t"), 1, 5};
  begin(probe, 2);
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 7);
  run_at(reader.now + FIRST_ALONE);
  CHECK_EQ_INT(reader_offset("t", 1), 5);
}

static void a_position_past_the_end_waits_beside_others(void)
{
  start_past_and_read();
  CHECK_LOG("check watermarks t/0 ");
  reader_end("t", 1, 5);
  run_now();
  CHECK_EQ_INT(reader_offset("t", 0), 7); /* from its end, not from its offset */
  CHECK_EQ_INT(reader_offset("t", 1), 5);
  uk_kafka_fetches_drain(fetches);
  run_now();
  check_ended(probe, UK_OK, "");
}

static void a_session_without_all_partitions_is_not_kept(void)
{
  probe->most = 1;
  start_past_and_read();
  reader_record("t", 1, 5, 1);
  reader_record("t", 1, 6, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(reader.read_count, 0);
}

static void each_partition_has_its_own_watermarks(void)
{
  int32_t asked[2];
  start(2, INT64_MAX);
  REQUIRE(fake.watermarks != NULL && fake.watermarks->count == 2);
  for (size_t i = 0; i < 2; i++)
    asked[i] = fake.watermarks->end[i].partition;
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 7);
  CHECK_EQ_INT(reader_offset("t", asked[0]), 7);
  CHECK_EQ_INT(reader_offset("t", asked[1]), 17);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* Nothing is read where nothing can be. */
static void an_offset_at_the_end_waits_without_reading(void)
{
  start(1, 8);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  size_t starts = reader.starts;
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 8);
  CHECK_EQ_INT(waiting_at(0), 1);
  CHECK_EQ_INT(reader.starts, starts + 1); /* the watch */
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* A record that is too large for memory must be read by a session. */
static void a_large_record_is_read_where_it_is(void)
{
  enum { LARGE = 300 << 10 };
  start_at_end();
  reader_record("t", 0, 5, LARGE);
  run_now();
  CHECK_EQ_INT(waiting_at(0), 0);
  CHECK_EQ_INT(reader.read_count, 2); /* the watch, and a session */
  uk_kafka_fetches_drain(fetches);
  run_now();
  check_ended(probe, UK_OK, "");
}

static void past_the_end_too(void)
{
  enum { LARGE = 300 << 10 };
  start(1, 9);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 8);
  CHECK_EQ_INT(waiting_at(0), 1);
  reader_record("t", 0, 8, 1);
  reader_record("t", 0, 9, LARGE);
  run_now();
  CHECK_EQ_INT(waiting_at(0), 0);
  CHECK_EQ_INT(reader.read_count, 2);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void a_lost_end_puts_an_odd_offset_in_doubt_again(void)
{
  start(1, INT64_MAX);
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 7);
  fake.log[0] = '\0';
  reader_code("t", 0, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  run_now();
  run_at(NOW + AGAIN);
  CHECK_LOG("watermarks t/0 ");
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 3);
  CHECK_EQ_INT(reader_offset("t", 0), 3);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* The end that the watermarks name is older than the one that others follow. */
static void an_end_that_others_have_passed_is_read(void)
{
  struct uk_kafka_end_waiter waiter;
  struct uk_kafka_task nobody;
  uk_kafka_task_init(&nobody, reader.executor, NULL, NULL);
  CHECK_EQ_INT(
    uk_kafka_end_watch_join(fetches->watch, &waiter, uk_slice_text("t"), 0, 12, 12, &nobody),
    UK_KAFKA_AT_END);
  start(1, 9);
  CHECK_EQ_INT(reader.read_count, 2);
  struct reader_handle *handle = &reader.handles[1];
  REQUIRE(reader_find("t", 0, handle) != NULL || reader_find("t", 0, &reader.handles[0]) != NULL);
  /* The session's queue gets the error, not the watch's. */
  struct reader_read *at = reader_find("t", 0, handle);
  at = at != NULL && at->offset == 9 ? at : reader_find("t", 0, &reader.handles[0]);
  REQUIRE(at->offset == 9);
  struct reader_event *event = reader_event_of("t", 0);
  event->code = RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
  reader_add(at->queue, event);
  run_now();
  CHECK_EQ_INT(reader.read_count, 1);
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 8);
  CHECK_EQ_INT(reader.read_count, 2); /* it reads from 9 on */
  uk_kafka_end_watch_leave(fetches->watch, &waiter);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void watermarks_that_cannot_be_had_fail_the_fetch(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {RD_KAFKA_RESP_ERR__TIMED_OUT, UK_E_GATEWAY_TIMEOUT,
     "topic \"t\" partition 0 did not answer in time"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, UK_E_FORBIDDEN,
     "topic \"t\" partition 0: Broker: Topic authorization failed"},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, UK_E_UNAVAILABLE,
     "topic \"t\" partition 0: Broker: Leader not available"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    start(1, -1);
    answer_watermarks(rows[i].code, 0, 0);
    check_ended(probe, rows[i].error, rows[i].message);
  }
  fake.log[0] = '\0';
  start(1, -1);
  answer_watermarks(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0, 0);
  CHECK_LOG("check watermarks t/0 forget(t) check ");
  run_at(NOW + AGAIN);
  CHECK_LOG("watermarks t/0 ");
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 1);
  check_ended(probe, UK_E_BAD_REQUEST,
              "offset -1 of topic \"t\" partition 0 is negative (range 0 to 1)");
}

/* Only partition 1 is in doubt. */
static void only_positions_in_doubt_are_asked_for(void)
{
  start(3, 5);
  run_at(NOW + FIRST_ALONE);
  reader_code("t", 1, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  reader_end("t", 0, 5);
  reader_end("t", 2, 5);
  run_now();
  CHECK_LOG("check watermarks t/1 ");
  answer_watermarks(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0, 0);
  check_ended(probe, UK_E_FORBIDDEN, "topic \"t\" partition 1: Broker: Topic authorization failed");
}

/* Errors of a partition. */

static void an_error_that_passes_is_waited_out(void)
{
  start(1, 0);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, -1);
  run_now();
  CHECK_EQ_INT(probe->dones, 0);
  reader_record("t", 0, 0, 1);
  reader_end("t", 0, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 ");
}

static void another_error_ends_the_fetch(void)
{
  start(1, 0);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
  run_now();
  check_ended(probe, UK_E_FORBIDDEN, "topic \"t\" partition 0: Broker: Topic authorization failed");
  CHECK_EQ_INT(reader.read_count, 0);
}

/* Records that were taken are the answer, whatever happened to the rest. */
static void an_error_after_records_ends_its_partition_only(void)
{
  start(1, 0);
  reader_record("t", 0, 0, 1);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 ");
}

static void other_partitions_go_on_after_it(void)
{
  start(2, 0);
  run_at(NOW + FIRST_ALONE);
  reader_record("t", 0, 0, 1);
  reader_code("t", 0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
  run_now();
  CHECK_EQ_INT(probe->dones, 0);
  reader_record("t", 1, 0, 1);
  reader_end("t", 1, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 1:0 ");
}

static void records_are_the_answer_though_another_partition_cannot_start(void)
{
  start(2, 0);
  reader_record("t", first_read(2), 0, 1);
  reader.refuses = "t";
  run_now();
  reader.refuses = NULL;
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(probe->count, 1);
}

static void a_partition_that_is_gone_is_checked_again(void)
{
  start(1, 0);
  fake.log[0] = '\0';
  reader_code("t", 0, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, -1);
  run_now();
  CHECK_LOG("forget(t) check ");
  CHECK_EQ_INT(reader.reaped, 1); /* its handle has outdated knowledge */
  run_at(NOW + AGAIN - 1);
  CHECK_EQ_INT(reader.opened, 1);
  run_at(NOW + AGAIN);
  CHECK_EQ_INT(reader.opened, 2);
  fake.check_error = UK_E_NOT_FOUND;
  reader_code("t", 0, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, -1);
  run_now();
  check_ended(probe, UK_E_NOT_FOUND, "checked");
}

static void a_partition_that_cannot_start_is_named(void)
{
  reader.refuses = "t";
  start(1, 0);
  reader.refuses = NULL;
  CHECK_EQ_INT(probe->dones, 1);
  CHECK_EQ_INT(probe->fetch.operation.error, UK_E_INTERNAL);
  CHECK(strncmp(probe->fetch.operation.message, "topic \"t\" partition 0: ", 23) == 0);
}

/* Whichever is read first. */
static void each_partition_that_cannot_start_is_named(void)
{
  static const char *const names[] = {"t", "u"};
  for (size_t i = 0; i < 4; i++) {
    char message[40];
    for (size_t j = 0; j < 2; j++)
      probe->at[j] = (struct uk_topic_partition_offset){uk_slice_text(names[j]), 0, 5};
    fetches->rotation = i / 2;
    reader.refuses = names[i % 2];
    begin(probe, 2);
    run_at(reader.now + FIRST_ALONE);
    reader.refuses = NULL;
    snprintf(message, sizeof message, "topic \"%s\" partition 0: ", names[i % 2]);
    CHECK_EQ_INT(probe->dones, 1);
    CHECK(strncmp(probe->fetch.operation.message, message, strlen(message)) == 0);
  }
}

/* Starting. */

static void nothing_is_read_where_the_check_fails(void)
{
  fake.check_error = UK_E_NOT_FOUND;
  start(1, 0);
  check_ended(probe, UK_E_NOT_FOUND, "checked");
  CHECK_EQ_INT(reader.opened, 0);
}

static void an_absent_cluster_is_not_read(void)
{
  fake.down = true;
  start(1, 0);
  check_ended(probe, UK_E_UNAVAILABLE, "the cluster is away");
  CHECK_EQ_INT(reader.opened, 0);
}

static void without_a_handle_nothing_is_read(void)
{
  reader.refuses_handles = true;
  start(1, 0);
  check_ended(probe, UK_E_UNAVAILABLE, "no handle");
}

/* All handles read the partition for others. */
static void a_fetch_that_finds_no_handle_tries_again(void)
{
  for (size_t i = 1; i <= UK_KAFKA_POOL_SIZE; i++)
    start_many(&probes[i], 1, (int64_t)i);
  run_at(NOW + 1);
  start(1, 0);
  CHECK_EQ_INT(reader.starts, UK_KAFKA_POOL_SIZE);
  reader_end("t", 0, 50); /* of one of them: it makes room */
  run_now();
  CHECK_EQ_INT(reader_offset("t", 0) >= 0, true);
  CHECK_EQ_INT(reader.starts, UK_KAFKA_POOL_SIZE + 2); /* the watch, and the fetch */
  uk_kafka_fetches_drain(fetches);
  run_now();
  CHECK_EQ_INT(probe->dones, 1);
}

/* A session that is kept wakes nobody, but makes room. */
static void it_tries_again_every_tenth_of_a_second(void)
{
  for (size_t i = 1; i <= UK_KAFKA_POOL_SIZE; i++) {
    probes[i].most = 1;
    start_many(&probes[i], 1, (int64_t)i);
  }
  start(1, 0);
  reader_record("t", 0, 50, 1); /* of one of them */
  reader_record("t", 0, 51, 1);
  run_now();
  CHECK_EQ_INT(reader.starts, UK_KAFKA_POOL_SIZE);
  run_at(NOW + 99);
  CHECK_EQ_INT(reader.starts, UK_KAFKA_POOL_SIZE);
  run_at(NOW + 100);
  CHECK_EQ_INT(reader.starts, UK_KAFKA_POOL_SIZE + 1);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void it_gives_up_half_a_second_after_its_deadline(void)
{
  reader.now = NOW + TIMEOUT; /* the others have more time */
  for (size_t i = 1; i <= UK_KAFKA_POOL_SIZE; i++)
    start_many(&probes[i], 1, (int64_t)i);
  reader.now = NOW + 100;
  start(1, 0);
  run_at(NOW + 100 + TIMEOUT + GRACE - 1);
  CHECK_EQ_INT(probe->dones, 0);
  run_at(NOW + 100 + TIMEOUT + GRACE);
  CHECK_EQ_INT(probe->dones, 1);
  CHECK_EQ_INT(probe->fetch.operation.error, UK_E_GATEWAY_TIMEOUT);
  CHECK_EQ_STR(probe->fetch.operation.message, "topic \"t\" partition 0 could not be read in time");
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* The headers of the second record have no memory: the first one is the answer. */
static void a_record_without_memory_ends_the_fetch(void)
{
  start(1, 0);
  reader.headers = 1;
  reader_record("t", 0, 0, 1);
  fault_at(1);
  run_now();
  CHECK(fault_hit());
  fault_off();
  check_ended(probe, UK_E_NO_MEMORY, "");
  start(1, 0);
  reader_record("t", 0, 0, 1);
  run_now();
  CHECK_EQ_INT(probe->count, 1);
  reader.headers = 2;
  reader_record("t", 0, 1, 1);
  fault_at(1);
  run_now();
  CHECK(fault_hit());
  fault_off();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 ");
}

static void without_memory_nothing_is_left(void)
{
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    start(1, 5);
    if (probe->dones == 0) {
      if (reader_offset("t", 0) >= 0)
        reader_end("t", 0, 5);
      run_now();
    }
    hit = fault_hit();
    fault_off();
    if (probe->dones == 0) {
      run_at(reader.now + TIMEOUT);
      check_ended(probe, UK_OK, "");
    } else if (probe->fetch.operation.error != UK_E_INTERNAL) {
      check_ended(probe, UK_E_NO_MEMORY, "");
    }
    run_at(reader.now + 100000); /* handles and ends are given up */
  }
}

/* Draining. */

static void a_drain_ends_every_fetch(void)
{
  start_at_end();
  start_many(&probes[1], 1, 7);
  start_many(&probes[2], 1, 8);
  reader_record("t", 0, 5, 1); /* for the first reader that is found: which one does not matter */
  start_many(&probes[3], 1, -1);
  fake.holds_check = true;
  start_many(&probes[4], 1, 0);
  uk_kafka_fetches_drain(fetches);
  run_now();
  CHECK_EQ_INT(probe->dones, 1);
  CHECK_EQ_INT(probes[1].dones, 1);
  CHECK_EQ_INT(probes[2].dones, 1);
  CHECK_EQ_INT(probes[3].dones, 0); /* until its question is answered */
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 2, 7);
  CHECK_EQ_INT(probes[3].dones, 1);
  CHECK_EQ_INT(probes[3].fetch.operation.error, UK_OK);
  CHECK_EQ_INT(probes[4].dones, 0);
  answer_check(fake.check);
  run_now();
  check_ended(&probes[4], UK_OK, "");
  fake.holds_check = false;
  size_t starts = reader.starts;
  start(1, 0);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(reader.starts, starts);
}

static void a_drain_keeps_no_session(void)
{
  start(1, 0);
  reader_record("t", 0, 0, 1);
  run_now();
  uk_kafka_fetches_drain(fetches);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(probe->count, 1);
  CHECK_EQ_INT(reader.read_count, 0);
}

/* Clients that have gone. */

static void expire(struct probe *expired)
{
  uk_operation_expire(&expired->fetch.operation);
  uk_kafka_fetches_expired(fetches, &expired->fetch);
  run_now();
}

static void check_gone(const struct probe *gone)
{
  CHECK_EQ_INT(gone->dones, 1);
  CHECK_EQ_INT(gone->fetch.operation.error, UK_OK);
  CHECK_EQ_INT(gone->count, 0);
}

static void a_fetch_at_an_end_whose_client_has_gone_ends(void)
{
  start_at_end();
  for (int i = 1; i <= 2; i++)
    start_many(&probes[i], 1, 5);
  CHECK_EQ_INT(waiting_at(0), 3);
  expire(&probes[1]); /* neither the first nor the last */
  check_gone(&probes[1]);
  CHECK_EQ_INT(waiting_at(0), 2);
  expire(&probes[2]);
  check_gone(&probes[2]);
  CHECK_EQ_INT(probe->dones, 0);
  expire(&probes[2]); /* too late */
  CHECK_EQ_INT(probes[2].dones, 1);
  expire(probe);
  check_gone(probe);
  CHECK_EQ_INT(waiting_at(0), 0);
}

static void a_fetch_that_reads_whose_client_has_gone_ends(void)
{
  start(1, 5);
  start_many(&probes[1], 1, 6);
  expire(&probes[1]);
  check_gone(&probes[1]);
  CHECK_EQ_INT(reader.read_count, 1);
  expire(probe);
  check_gone(probe);
  CHECK_EQ_INT(reader.read_count, 0);
  start(1, 5); /* with records, which count */
  reader_record("t", 0, 5, 1);
  run_now();
  expire(probe);
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:5 ");
}

/* It waits for a handle, and is in nobody's list then. */
static void a_fetch_without_a_handle_whose_client_has_gone_ends(void)
{
  for (size_t i = 1; i <= UK_KAFKA_POOL_SIZE; i++)
    start_many(&probes[i], 1, (int64_t)i);
  start(1, 50);
  CHECK(!uk_list_is_empty(&fetches->pool->waiters));
  expire(probe);
  check_gone(probe);
  CHECK(uk_list_is_empty(&fetches->pool->waiters));
  uk_kafka_fetches_drain(fetches);
  run_now();
}

static void a_fetch_that_asks_whose_client_has_gone_ends(void)
{
  start(1, -1);
  expire(probe);
  CHECK_EQ_INT(probe->dones, 0); /* the answer has to arrive */
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 7);
  check_gone(probe);
  start(1, 0);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, -1);
  run_now(); /* it waits before it starts again */
  CHECK_EQ_INT(probe->dones, 0);
  expire(probe);
  check_gone(probe);
}

/* Several partitions. */

/* The positions of the fetch that runs, in its order. */
static const struct uk_kafka_position *places(void)
{
  return UK_LIST_FIRST(&fetches->running, struct uk_kafka_fetch, link)->positions;
}

/* All of them have ended at 5. */
static void start_at_ends(size_t count)
{
  start(count, 5);
  run_at(reader.now + FIRST_ALONE);
  for (size_t i = 0; i < count; i++)
    reader_end("t", (int32_t)i, 5);
  run_now();
  for (size_t i = 0; i < count; i++)
    CHECK_EQ_INT(waiting_at((int32_t)i), 1);
}

static void each_lost_end_is_named(void)
{
  for (int32_t i = 0; i < 3; i++) {
    char message[100];
    snprintf(message, sizeof message,
             "topic \"t\" partition %d: Broker: Topic authorization failed", (int)i);
    start_at_ends(3);
    reader_code("t", i, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, -1);
    run_now();
    check_ended(probe, UK_E_FORBIDDEN, message);
    for (int32_t j = 0; j < 3; j++)
      CHECK_EQ_INT(waiting_at(j), 0);
    run_at(reader.now + 100000);
  }
}

static void the_topic_of_the_lost_end_is_checked_again(void)
{
  static const char *const names[] = {"t", "u", "v"};
  for (size_t i = 0; i < 3; i++) {
    char does[32];
    snprintf(does, sizeof does, "forget(%s) check ", names[i]);
    for (size_t j = 0; j < 3; j++)
      probe->at[j] = (struct uk_topic_partition_offset){uk_slice_text(names[j]), 0, 5};
    begin(probe, 3);
    run_at(reader.now + FIRST_ALONE);
    for (size_t j = 0; j < 3; j++)
      reader_end(names[j], 0, 5);
    run_now();
    fake.log[0] = '\0';
    reader_code(names[i], 0, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, -1);
    run_now();
    CHECK_LOG(does);
    expire(probe);
    check_gone(probe);
    run_at(reader.now + 100000);
  }
}

/* The ends of all of them may have changed. */
static void a_lost_end_puts_all_odd_offsets_in_doubt_again(void)
{
  char asks[48];
  start(2, INT64_MAX);
  answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 7);
  snprintf(asks, sizeof asks, "watermarks t/%d t/%d ", (int)places()[0].partition,
           (int)places()[1].partition);
  for (int32_t i = 0; i < 2; i++) {
    fake.log[0] = '\0';
    reader_code("t", i, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
    run_now();
    run_at(reader.now + AGAIN);
    CHECK_LOG(asks);
    answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 3);
  }
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* The other ends are joined anew when all of them have been read again. */
static void all_ends_are_left_for_a_record_that_must_be_read(void)
{
  enum { LARGE = 300 << 10 };
  for (int32_t i = 0; i < 2; i++) {
    start_at_ends(2);
    reader_record("t", i, 5, LARGE);
    run_now();
    CHECK_EQ_INT(probe->dones, 0);
    for (int32_t j = 0; j < 2; j++)
      CHECK_EQ_INT(waiting_at(j), 0);
    expire(probe);
    check_gone(probe);
    run_at(reader.now + 100000);
  }
}

static void every_partition_needs_a_leader(void)
{
  for (int32_t i = 0; i < 3; i++) {
    char message[100];
    snprintf(message, sizeof message, "topic \"t\" partition %d: Broker: Leader not available",
             (int)i);
    fake.leaderless = -1;
    start_at_ends(3);
    fake.leaderless = i;
    run_at(reader.now + TIMEOUT);
    check_ended(probe, UK_E_UNAVAILABLE, message);
    run_at(reader.now + 100000);
  }
}

/* The positions in doubt are not all of them, nor the first ones. */
static void watermarks_belong_to_the_positions_in_doubt(void)
{
  for (size_t sure = 0; sure < 3; sure++) {
    int32_t asked[2];
    start(3, 20);
    int32_t known = places()[sure].partition;
    run_at(reader.now + FIRST_ALONE);
    for (int32_t i = 0; i < 3; i++) {
      if (i == known)
        reader_end("t", i, 20);
      else
        reader_code("t", i, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
    }
    run_now();
    REQUIRE(fake.watermarks != NULL && fake.watermarks->count == 2);
    for (size_t i = 0; i < 2; i++)
      asked[i] = fake.watermarks->first[i].partition;
    answer_watermarks(RD_KAFKA_RESP_ERR_NO_ERROR, 0, 3); /* 3, and 13 */
    run_at(reader.now + FIRST_ALONE);
    reader_end("t", known, 20);
    run_now();
    CHECK_EQ_INT(reader_offset("t", asked[0]), 3);
    CHECK_EQ_INT(reader_offset("t", asked[1]), 13);
    CHECK_EQ_INT(reader_offset("t", known), 20);
    expire(probe);
    check_gone(probe);
    run_at(reader.now + 100000);
  }
}

static void the_position_whose_watermarks_failed_is_named(void)
{
  for (size_t failed = 0; failed < 3; failed++) {
    char message[100];
    start(3, INT64_MAX);
    snprintf(message, sizeof message,
             "topic \"t\" partition %d: Broker: Topic authorization failed",
             (int)fake.watermarks->first[failed].partition);
    fake.watermarks->failed = failed;
    answer_watermarks(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 0, 0);
    check_ended(probe, UK_E_FORBIDDEN, message);
  }
}

/* Its end would be taken for one that was read. */
static void a_session_with_a_position_in_doubt_is_not_kept(void)
{
  probe->most = 1;
  start(2, 0);
  run_at(NOW + FIRST_ALONE);
  reader_record("t", 0, 0, 1);
  run_now();
  reader_code("t", 1, RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1);
  reader_record("t", 0, 1, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(reader.read_count, 0);
}

/* The pause before another start does not outlast the fetch. */
static void a_start_that_comes_too_late_is_not_waited_for(void)
{
  start(1, 0);
  run_at(LIMIT - 50);
  reader_code("t", 0, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, -1);
  run_now();
  run_at(LIMIT - 1);
  CHECK_EQ_INT(probe->dones, 0);
  run_at(LIMIT);
  check_ended(probe, UK_E_GATEWAY_TIMEOUT, "topic \"t\" partition 0 could not be read in time");
}

/* The connection may be checked at that moment. */
static void a_cluster_that_was_cut_off_is_read(void)
{
  fake.cut_off = true;
  start(1, 0);
  reader_record("t", 0, 0, 1);
  reader_end("t", 0, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 ");
}

/* Nothing can take turns. */
static void one_partition_takes_no_turns(void)
{
  probe->most = 1;
  start(1, 0);
  reader_record("t", 0, 0, 1);
  reader_record("t", 0, 1, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_INT(fetches->rotation, 0);
}

/* A fetch that found an end to wait at needs no handle any more. */
static void who_waits_at_an_end_waits_for_no_handle(void)
{
  struct uk_kafka_end_waiter waiter;
  struct uk_kafka_task nobody;
  uk_kafka_task_init(&nobody, reader.executor, NULL, NULL);
  for (size_t i = 1; i <= UK_KAFKA_POOL_SIZE; i++)
    start_many(&probes[i], 1, (int64_t)i);
  start(1, 50);
  CHECK_EQ_INT(
    uk_kafka_end_watch_join(fetches->watch, &waiter, uk_slice_text("t"), 0, 50, 50, &nobody),
    UK_KAFKA_AT_END);
  run_at(NOW + 100);
  CHECK_EQ_INT(waiting_at(0), 2);
  CHECK(uk_list_is_empty(&fetches->pool->waiters));
  uk_kafka_end_watch_leave(fetches->watch, &waiter);
  uk_kafka_fetches_drain(fetches);
  run_now();
}

/* A caller that cannot tell. */
static void a_client_that_cannot_be_asked_for_is_there(void)
{
  probe->at[0] = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, 0};
  probe->most = 100;
  probe->fetch = (struct uk_fetch){.operation = {.done = done, .deadline = reader.now + TIMEOUT},
                                   .positions = probe->at,
                                   .count = 1,
                                   .sink = {take, NULL}};
  uk_kafka_fetches_fetch(fetches, &probe->fetch);
  run_now();
  reader_record("t", 0, 0, 1);
  reader_end("t", 0, 1);
  run_now();
  check_ended(probe, UK_OK, "");
  CHECK_EQ_STR(probe->got, "0:0 ");
}

/* Of the fetch, and of its watermarks. */
static void a_fetch_has_memory_or_fails(void)
{
  for (long n = 1; n <= 2; n++) {
    fault_at(n);
    start(1, -1);
    CHECK(fault_hit());
    fault_off();
    check_ended(probe, UK_E_NO_MEMORY, "");
  }
}

static void offsets_are_asked_for_with_its_parts(void)
{
  struct uk_offsets operation = {.count = 0};
  uk_kafka_fetches_offsets(fetches, &operation);
  CHECK_EQ_INT(fake.offsets, 1);
}

/* Each case has its own fetches, and leaves nothing open. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  memset(probes, 0, sizeof probes);
  fake.leaderless = -1;
  REQUIRE(reader_open());
  const struct uk_kafka_fetch_parts parts = {
    (const struct uk_kafka_settings *)&reader, reader.executor,
    (struct uk_kafka_topics *)&fake,           (struct uk_kafka_blocking *)&fake,
    (struct uk_kafka_reaper *)&reader,         (rd_kafka_t *)&fake};
  fetches = uk_kafka_fetches_new(&parts);
  REQUIRE(fetches != NULL);
  reader_run(NOW);
  current();
  CHECK(uk_list_is_empty(&fetches->running));
  uk_kafka_fetches_free(fetches);
  reader_close();
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

/* The fetches, the pool with its table, the watch with its table. */
static void is_not_made_without_memory(void)
{
  long live = fault_live();
  REQUIRE(reader_open());
  const struct uk_kafka_fetch_parts parts = {.executor = reader.executor};
  for (long n = 1; n <= 5; n++) {
    fault_at(n);
    CHECK(uk_kafka_fetches_new(&parts) == NULL);
    CHECK(fault_hit());
    fault_off();
  }
  reader_close();
  CHECK_EQ_INT(fault_live(), live);
}

#define RUN(test) run(#test, test)

int main(void)
{
  RUN(records_that_are_there_are_returned);
  RUN(other_partitions_get_a_moment_after_the_first_record);
  RUN(the_first_partition_is_read_alone_for_a_moment);
  RUN(the_others_start_once_the_first_has_answered);
  RUN(each_full_response_gives_another_partition_its_turn);
  RUN(the_next_fetch_continues_where_a_full_response_ended);
  RUN(a_session_with_many_partitions_is_not_kept);
  RUN(a_session_that_has_not_started_all_is_not_kept);
  RUN(other_tasks_run_between_the_slices);
  RUN(many_partitions_start_and_stop_in_slices);
  RUN(a_handle_that_falls_silent_is_nudged);
  RUN(a_kept_session_is_nudged_after_a_silence_too);
  RUN(nothing_is_given_to_a_client_that_has_gone);
  RUN(a_silent_partition_is_named_half_a_second_after_the_deadline);
  RUN(an_end_is_waited_at_until_the_deadline);
  RUN(records_that_arrive_are_returned);
  RUN(records_of_all_partitions_are_returned);
  RUN(records_of_one_partition_are_returned);
  RUN(waiting_fetches_take_turns_too);
  RUN(no_end_is_joined_unless_all_are);
  RUN(a_client_that_goes_while_it_waits_gets_nothing);
  RUN(a_topic_that_is_forgotten_is_checked_again);
  RUN(an_empty_answer_needs_the_cluster);
  RUN(a_lost_end_is_looked_for_again);
  RUN(an_end_that_moved_is_read_again);
  RUN(each_topic_is_refreshed);
  RUN(a_topic_is_refreshed_once);
  RUN(a_negative_offset_is_refused_with_the_range);
  RUN(an_offset_below_the_first_is_refused_with_the_range);
  RUN(offset_zero_is_not_negative);
  RUN(an_offset_at_the_first_is_read);
  RUN(an_offset_past_the_end_waits_for_it);
  RUN(a_position_past_the_end_waits_beside_others);
  RUN(a_session_without_all_partitions_is_not_kept);
  RUN(each_partition_has_its_own_watermarks);
  RUN(an_offset_at_the_end_waits_without_reading);
  RUN(a_large_record_is_read_where_it_is);
  RUN(past_the_end_too);
  RUN(a_lost_end_puts_an_odd_offset_in_doubt_again);
  RUN(an_end_that_others_have_passed_is_read);
  RUN(watermarks_that_cannot_be_had_fail_the_fetch);
  RUN(only_positions_in_doubt_are_asked_for);
  RUN(an_error_that_passes_is_waited_out);
  RUN(another_error_ends_the_fetch);
  RUN(an_error_after_records_ends_its_partition_only);
  RUN(other_partitions_go_on_after_it);
  RUN(records_are_the_answer_though_another_partition_cannot_start);
  RUN(a_partition_that_is_gone_is_checked_again);
  RUN(a_partition_that_cannot_start_is_named);
  RUN(each_partition_that_cannot_start_is_named);
  RUN(nothing_is_read_where_the_check_fails);
  RUN(an_absent_cluster_is_not_read);
  RUN(without_a_handle_nothing_is_read);
  RUN(a_fetch_that_finds_no_handle_tries_again);
  RUN(it_tries_again_every_tenth_of_a_second);
  RUN(it_gives_up_half_a_second_after_its_deadline);
  RUN(a_record_without_memory_ends_the_fetch);
  RUN(without_memory_nothing_is_left);
  RUN(a_drain_ends_every_fetch);
  RUN(a_drain_keeps_no_session);
  run("C4: a fetch at an end whose client has gone ends",
      a_fetch_at_an_end_whose_client_has_gone_ends);
  run("C4: a fetch that reads whose client has gone ends",
      a_fetch_that_reads_whose_client_has_gone_ends);
  run("C4: a fetch without a handle whose client has gone ends",
      a_fetch_without_a_handle_whose_client_has_gone_ends);
  run("C4: a fetch that asks whose client has gone ends",
      a_fetch_that_asks_whose_client_has_gone_ends);
  RUN(each_lost_end_is_named);
  RUN(the_topic_of_the_lost_end_is_checked_again);
  RUN(a_lost_end_puts_all_odd_offsets_in_doubt_again);
  RUN(all_ends_are_left_for_a_record_that_must_be_read);
  RUN(every_partition_needs_a_leader);
  RUN(watermarks_belong_to_the_positions_in_doubt);
  RUN(the_position_whose_watermarks_failed_is_named);
  RUN(a_session_with_a_position_in_doubt_is_not_kept);
  RUN(a_start_that_comes_too_late_is_not_waited_for);
  RUN(a_cluster_that_was_cut_off_is_read);
  RUN(one_partition_takes_no_turns);
  RUN(who_waits_at_an_end_waits_for_no_handle);
  RUN(a_client_that_cannot_be_asked_for_is_there);
  RUN(a_fetch_has_memory_or_fails);
  RUN(offsets_are_asked_for_with_its_parts);
  CHECK_RUN(is_not_made_without_memory);
  return check_end();
}
