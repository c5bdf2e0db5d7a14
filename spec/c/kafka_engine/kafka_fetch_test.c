/* for: kafka_fetch*.c, kafka_consumer_pool*.c, kafka_session.c, kafka_end_watch*.c,
 * kafka_offsets.c, kafka_watermarks.c, kafka_event.c, kafka_handle.c
 *
 * Fetches from a mock cluster of librdkafka in this process. */
#include "server/kafka_engine/fetch/kafka_fetch.h"

#include <stdlib.h>

#include "check.h"
#include "fault.h"
#include "kafka_parts.h"
#include "server/kafka_engine/fetch/kafka_end_watch_private.h"
#include "server/kafka_engine/fetch/kafka_fetch_private.h"

enum { BROKERS = 2, RECORDS_MOST = 4000 };

static struct {
  rd_kafka_t *producer;
  struct uk_kafka_fetch_parts parts;
  struct uk_kafka_fetches *fetches;
} rig;

static bool rig_open(void)
{
  if (!kafka_parts_open(BROKERS))
    return false;
  rig.producer = kafka_parts_control();
  rig.parts =
    (struct uk_kafka_fetch_parts){kafka_parts.settings, kafka_parts.executor, kafka_parts.topics,
                                  kafka_parts.blocking, kafka_parts.reaper,   kafka_parts.control};
  rig.fetches = uk_kafka_fetches_new(&rig.parts);
  return rig.producer != NULL && rig.fetches != NULL;
}

static void rig_close(void)
{
  uk_kafka_fetches_drain(rig.fetches);
  uk_kafka_fetches_free(rig.fetches);
  rd_kafka_destroy(rig.producer);
  kafka_parts_close();
}

/* A topic with that many partitions and a new name. */
static const char *make_topic(int partitions)
{
  const char *name = kafka_parts_topic(partitions);
  /* Otherwise the producer learns about it with its first message, which takes a second. */
  rd_kafka_topic_t *topic = rd_kafka_topic_new(rig.producer, name, NULL);
  const rd_kafka_metadata_t *metadata = NULL;
  CHECK_EQ_INT(rd_kafka_metadata(rig.producer, 0, topic, &metadata, 5000), 0);
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(topic);
  return name;
}

static void produce(const char *topic, int32_t partition, int first, int count)
{
  char value[32];
  for (int i = first; i < first + count; i++) {
    snprintf(value, sizeof value, "%d", i);
    const rd_kafka_vu_t parts[] = {
      {RD_KAFKA_VTYPE_TOPIC, {.cstr = topic}},
      {RD_KAFKA_VTYPE_PARTITION, {.i32 = partition}},
      {RD_KAFKA_VTYPE_VALUE, {.mem = {value, strlen(value)}}},
      {RD_KAFKA_VTYPE_KEY, {.mem = {"key", 3}}},
      {RD_KAFKA_VTYPE_HEADER, {.header = {"h", "v", 1}}},
      {RD_KAFKA_VTYPE_MSGFLAGS, {.i = RD_KAFKA_MSG_F_COPY}},
    };
    rd_kafka_error_t *error = rd_kafka_produceva(rig.producer, parts, sizeof parts / sizeof *parts);
    CHECK_EQ_INT(rd_kafka_error_code(error), 0);
    rd_kafka_error_destroy(error);
  }
  CHECK_EQ_INT(rd_kafka_flush(rig.producer, 10000), 0);
}

/* A fetch. */

struct probe {
  struct kafka_probe wait; /* first: the operation's context is both */
  struct uk_fetch fetch;
  struct uk_topic_partition_offset at[4];
  struct {
    int32_t partition;
    int64_t offset;
  } got[RECORDS_MOST];
  size_t count, most;
  bool unwanted;
};

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct probe *probe = operation->context;
  char value[32];
  if (probe->count == probe->most)
    return false;
  snprintf(value, sizeof value, "%lld", (long long)record->offset);
  CHECK_EQ_SLICE(record->value, value);
  CHECK_EQ_SLICE(record->key, "key");
  CHECK(record->header_count == 1 && record->has_key && record->has_value);
  CHECK(record->timestamp > 0);
  probe->got[probe->count].partition = record->partition;
  probe->got[probe->count++].offset = record->offset;
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  return !((struct probe *)operation->context)->unwanted;
}

static void start(struct probe *probe, int64_t timeout)
{
  probe->count = 0;
  probe->most = probe->most == 0 ? RECORDS_MOST : probe->most;
  kafka_probe_begin(&probe->wait, &probe->fetch.operation, timeout);
  probe->fetch.positions = probe->at;
  probe->fetch.sink = (struct uk_sink){take, is_client_alive};
  uk_kafka_fetches_fetch(rig.fetches, &probe->fetch);
}

static void await(struct probe *probe)
{
  kafka_probe_await(&probe->wait);
}

static struct probe *probe_of(const char *topic, int32_t partition, int64_t offset)
{
  static struct probe probe;
  probe = (struct probe){.fetch.count = 1};
  probe.at[0] = (struct uk_topic_partition_offset){uk_slice_text(topic), partition, offset};
  return &probe;
}

static struct probe *fetch(const char *topic, int32_t partition, int64_t offset, int64_t timeout)
{
  struct probe *probe = probe_of(topic, partition, offset);
  start(probe, timeout);
  await(probe);
  return probe;
}

/* Fetches that wait at the end of a partition. */
static size_t waiting_at(const char *topic, int32_t partition)
{
  struct uk_kafka_end_watch *watch = rig.fetches->watch;
  pthread_mutex_lock(&watch->mutex);
  struct uk_kafka_watched_end *end =
    uk_kafka_end_watch_find(watch, uk_slice_text(topic), partition);
  size_t count = end != NULL ? end->joined : 0;
  pthread_mutex_unlock(&watch->mutex);
  return count;
}

static void check_offsets(const struct probe *probe, int64_t from, int64_t upto)
{
  CHECK_EQ_INT(probe->fetch.operation.error, UK_OK);
  CHECK_EQ_STR(probe->fetch.operation.message, "");
  CHECK_EQ_INT(probe->count, upto - from);
  for (size_t i = 0; i < probe->count; i++)
    CHECK_EQ_INT(probe->got[i].offset, from + (int64_t)i);
}

static void check_refused(const struct probe *probe, enum uk_error error, const char *part)
{
  CHECK_EQ_INT(probe->fetch.operation.error, error);
  CHECK(strstr(probe->fetch.operation.message, part) != NULL);
  CHECK_EQ_INT(probe->count, 0);
  if (strstr(probe->fetch.operation.message, part) == NULL)
    fprintf(stderr, "  \"%s\" is not in \"%s\"\n", part, probe->fetch.operation.message);
}

/* Available records. */

static void returns_available_records(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 300);
  struct probe *probe = fetch(topic, 0, 0, KAFKA_PATIENCE);
  check_offsets(probe, 0, 300);
  CHECK(probe->wait.took < KAFKA_PROMPT);
  check_offsets(fetch(topic, 0, 299, 10000), 299, 300);
  check_offsets(fetch(topic, 0, 10, 0), 10, 300);
}

/* On a slow machine the records of one partition may come before those of the others are here, and
 * are returned: the rest follows. */
static void answers_several_partitions_at_once(void)
{
  const char *topic = make_topic(3);
  int64_t next[3] = {0, 1, 2};
  for (int32_t i = 0; i < 3; i++)
    produce(topic, i, 0, 5);
  while (next[0] + next[1] + next[2] < 3 * 5) {
    struct probe *probe = probe_of(topic, 0, 0);
    for (int32_t i = 0; i < 3; i++)
      probe->at[i] = (struct uk_topic_partition_offset){uk_slice_text(topic), i, next[i]};
    probe->fetch.count = 3;
    start(probe, KAFKA_PATIENCE);
    await(probe);
    REQUIRE(probe->count > 0);
    for (size_t i = 0; i < probe->count; i++)
      CHECK_EQ_INT(probe->got[i].offset, next[probe->got[i].partition]++);
  }
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(next[i], 5);
}

/* On a slow machine another partition may be faster than the one whose turn it is, which then gets
 * another turn. */
static void gives_each_partition_its_turn(void)
{
  const char *topic = make_topic(3);
  bool seen[3] = {false};
  for (int32_t i = 0; i < 3; i++)
    produce(topic, i, 0, 5);
  for (int round = 0; round < 12 && !(seen[0] && seen[1] && seen[2]); round++) {
    struct probe *probe = probe_of(topic, 0, 0);
    for (int32_t i = 0; i < 3; i++)
      probe->at[i] = (struct uk_topic_partition_offset){uk_slice_text(topic), i, 0};
    probe->fetch.count = 3;
    probe->most = 2;
    start(probe, KAFKA_PATIENCE);
    await(probe);
    REQUIRE(probe->count == 2);
    seen[probe->got[0].partition] = true;
  }
  CHECK(seen[0] && seen[1] && seen[2]);
}

/* Reads from that offset to the end, at most this many records at a time. */
static void read_on(const char *topic, int64_t next, int64_t end, size_t most)
{
  while (next < end) {
    struct probe *probe = probe_of(topic, 0, next);
    probe->most = most;
    start(probe, KAFKA_PATIENCE);
    await(probe);
    check_offsets(probe, next, next + (int64_t)probe->count);
    REQUIRE(probe->count > 0);
    next += (int64_t)probe->count;
  }
  CHECK_EQ_INT(next, end);
}

static void continues_where_a_full_response_ended(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 3000);
  read_on(topic, 0, 3000, 70);
  read_on(topic, 1500, 3000, RECORDS_MOST);
}

/* At the end. */

static void waits_at_the_end(void)
{
  const char *topic = make_topic(1);
  for (int64_t round = 0; round < 2; round++) {
    struct probe *probe = fetch(topic, 0, 0, 300);
    check_offsets(probe, 0, 0);
    CHECK(probe->wait.took >= 300 && probe->wait.took < KAFKA_PROMPT);
  }
  CHECK(fetch(topic, 0, 0, 0)->wait.took < KAFKA_PROMPT);
}

static void is_woken_by_new_records(void)
{
  const char *topic = make_topic(2);
  struct probe *probe = probe_of(topic, 1, 0);
  start(probe, KAFKA_PATIENCE);
  CHECK_EVENTUALLY(waiting_at(topic, 1) == 1);
  produce(topic, 1, 0, 1);
  await(probe);
  check_offsets(probe, 0, 1);
  CHECK(probe->wait.took < KAFKA_PROMPT);
  CHECK_EQ_INT(waiting_at(topic, 1), 0);
  check_offsets(fetch(topic, 1, 0, 1000), 0, 1);
}

static void returns_nothing_older_past_the_end(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 2);
  struct probe *probe = probe_of(topic, 0, 4);
  start(probe, KAFKA_PATIENCE);
  CHECK_EVENTUALLY(waiting_at(topic, 0) == 1);
  produce(topic, 0, 2, 2);
  produce(topic, 0, 4, 1);
  await(probe);
  check_offsets(probe, 4, 5);
  check_offsets(fetch(topic, 0, INT64_MAX, 100), 0, 0);
  check_offsets(fetch(topic, 0, 1000, 100), 0, 0);
}

static void many_wait_for_the_same(void)
{
  enum { MANY = 500 };
  const char *topic = make_topic(1);
  struct probe *probes = calloc(MANY, sizeof *probes);
  REQUIRE(probes != NULL);
  for (int i = 0; i < MANY; i++) {
    probes[i].fetch.count = 1;
    probes[i].at[0] = (struct uk_topic_partition_offset){uk_slice_text(topic), 0, 0};
    start(&probes[i], KAFKA_PATIENCE);
  }
  CHECK_EVENTUALLY(waiting_at(topic, 0) == MANY);
  produce(topic, 0, 0, 1);
  for (int i = 0; i < MANY; i++) {
    await(&probes[i]);
    check_offsets(&probes[i], 0, 1);
  }
  free(probes);
}

/* Failures. */

static void names_the_range(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 7);
  check_refused(fetch(topic, 0, -1, 1000), UK_E_BAD_REQUEST, "is negative (range 0 to 7)");
  check_refused(fetch(topic, 0, INT64_MIN, 0), UK_E_BAD_REQUEST, "is negative (range 0 to 7)");
}

static void refuses_missing_partitions(void)
{
  const char *topic = make_topic(1);
  check_refused(fetch(topic, 1, 0, 1000), UK_E_BAD_REQUEST, "has no partition 1");
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, "nowhere",
                                RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  check_refused(fetch("nowhere", 0, 0, 1000), UK_E_NOT_FOUND, "topic \"nowhere\" does not exist");
}

static void gives_nothing_to_a_client_that_has_gone(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 1);
  struct probe *probe = probe_of(topic, 0, 0);
  probe->unwanted = true;
  start(probe, 1000);
  await(probe);
  check_refused(probe, UK_E_CANCELLED, "gone");
}

static void survives_a_leader_that_moves(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 5);
  rd_kafka_mock_push_request_errors(kafka_parts.cluster, 1 /* Fetch */, 2,
                                    RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                    RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  check_offsets(fetch(topic, 0, 0, 10000), 0, 5);
}

static void waiting_fetches_survive_it_too(void)
{
  const char *topic = make_topic(1);
  rd_kafka_mock_partition_set_leader(kafka_parts.cluster, topic, 0, 1);
  struct probe *probe = probe_of(topic, 0, 0);
  start(probe, KAFKA_PATIENCE);
  CHECK_EVENTUALLY(waiting_at(topic, 0) == 1);
  rd_kafka_mock_partition_set_leader(kafka_parts.cluster, topic, 0, 2);
  produce(topic, 0, 0, 1);
  await(probe);
  check_offsets(probe, 0, 1);
  CHECK(probe->wait.took < KAFKA_PROMPT);
}

static void says_that_it_is_forbidden(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 5);
  /* A reader from the previous test may take one of them. */
  rd_kafka_resp_err_t refused[8];
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    refused[i] = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  rd_kafka_mock_push_request_errors_array(kafka_parts.cluster, 1 /* Fetch */,
                                          sizeof refused / sizeof *refused, refused);
  check_refused(fetch(topic, 0, 0, 5000), UK_E_FORBIDDEN, topic);
  rd_kafka_mock_clear_request_errors(kafka_parts.cluster, 1);
}

static void a_silent_leader_is_not_an_empty_answer(void)
{
  const char *topic = make_topic(1);
  rd_kafka_mock_partition_set_leader(kafka_parts.cluster, topic, 0, 2);
  produce(topic, 0, 0, 5);
  check_offsets(fetch(topic, 0, 0, 1000), 0, 5);
  rd_kafka_mock_broker_set_down(kafka_parts.cluster, 2);
  struct probe *probe = fetch(topic, 0, 0, 1000);
  enum uk_error error = probe->fetch.operation.error;
  CHECK(error == UK_E_GATEWAY_TIMEOUT ||
        error == UK_E_UNAVAILABLE); /* if the connection was checked then */
  CHECK_EQ_INT(probe->count, 0);
  CHECK(probe->wait.took < KAFKA_PROMPT);
  rd_kafka_mock_broker_set_up(kafka_parts.cluster, 2);
  check_offsets(fetch(topic, 0, 0, 10000), 0, 5);
}

static void check_without_memory(const char *topic, int64_t offset, int64_t timeout, int64_t end)
{
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct probe *probe = fetch(topic, 0, offset, timeout);
    hit = fault_hit();
    fault_off();
    if (probe->fetch.operation.error == UK_OK)
      check_offsets(probe, offset, end);
    else
      CHECK_EQ_INT(probe->fetch.operation.error, UK_E_NO_MEMORY);
  }
}

static void ends_without_memory(void)
{
  const char *topic = make_topic(1);
  produce(topic, 0, 0, 3);
  check_without_memory(topic, 0, 5000, 3);
  check_without_memory(topic, 3, 20, 3);
  check_offsets(fetch(topic, 0, 0, 5000), 0, 3);
}

/* Offsets. */

static struct uk_offsets *offsets(const char *topic, int64_t timestamp,
                                  struct uk_topic_partition_offset *at, size_t count)
{
  static struct uk_offsets asked;
  struct kafka_probe probe;
  for (size_t i = 0; i < count; i++)
    at[i] = (struct uk_topic_partition_offset){uk_slice_text(topic), (int32_t)i, 99};
  asked = (struct uk_offsets){.timestamp = timestamp, .offsets = at, .count = count};
  kafka_probe_begin(&probe, &asked.operation, 5000);
  uk_kafka_fetches_offsets(rig.fetches, &asked);
  kafka_probe_await(&probe);
  return &asked;
}

static void knows_the_first_and_the_end(void)
{
  const char *topic = make_topic(3);
  struct uk_topic_partition_offset at[3];
  produce(topic, 1, 0, 4);
  CHECK_EQ_INT(offsets(topic, UK_TIMESTAMP_LATEST, at, 3)->operation.error, UK_OK);
  CHECK_EQ_INT(at[0].offset, 0);
  CHECK_EQ_INT(at[1].offset, 4);
  CHECK_EQ_INT(at[2].offset, 0);
  CHECK_EQ_INT(offsets(topic, UK_TIMESTAMP_EARLIEST, at, 3)->operation.error, UK_OK);
  CHECK_EQ_INT(at[1].offset, 0);
  /* This cluster answers for every time that no record is that late. */
  CHECK_EQ_INT(offsets(topic, INT64_MAX, at, 3)->operation.error, UK_OK);
  CHECK_EQ_INT(at[0].offset, 0);
  CHECK_EQ_INT(at[1].offset, 4);
}

/* The pool of consumers. */

static void do_nothing(struct uk_kafka_task *task, int64_t now)
{
  (void)task;
  (void)now;
}

static struct uk_kafka_session *acquire(struct uk_kafka_consumer_pool *pool,
                                        const struct uk_kafka_position *position,
                                        struct uk_kafka_task *task)
{
  char text[UK_MESSAGE_SIZE] = "";
  struct uk_kafka_pool_waiter waiter = {.task = task};
  struct uk_kafka_session *session = NULL;
  CHECK_EQ_INT(
    uk_kafka_consumer_pool_acquire(pool, position, 1, &waiter, &session, text, sizeof text),
    UK_KAFKA_ACQUIRED);
  return session;
}

static void give_back(struct uk_kafka_consumer_pool *pool, struct uk_kafka_session *session)
{
  CHECK(uk_kafka_session_stop(session, SIZE_MAX));
  uk_kafka_consumer_pool_release(pool, session);
}

/* Partition 0 is parked, while a session of the same consumer reads partition 1 and finds that the
 * consumer's knowledge is outdated. */
static void check_parked(struct uk_kafka_consumer_pool *pool, struct uk_kafka_task *task)
{
  const struct uk_slice topic = uk_slice_text(make_topic(2));
  struct uk_kafka_position positions[2];
  for (int32_t i = 0; i < 2; i++)
    positions[i] =
      (struct uk_kafka_position){.hash = uk_kafka_hash(topic, i), .topic = topic, .partition = i};
  struct uk_kafka_session *parked = acquire(pool, &positions[0], task);
  struct uk_kafka_session *other = acquire(pool, &positions[1], task);
  REQUIRE(parked != NULL && other != NULL && parked->handle == other->handle);
  CHECK(uk_kafka_session_start(parked, positions, 1));
  uk_kafka_consumer_pool_park(pool, parked);
  CHECK(acquire(pool, &positions[0], task) == parked);
  uk_kafka_consumer_pool_park(pool, parked);
  uk_kafka_consumer_pool_retire(pool, other);
  struct uk_kafka_session *next = acquire(pool, &positions[0], task);
  REQUIRE(next != NULL);
  CHECK(next != parked && next->handle != other->handle);
  give_back(pool, next);
  give_back(pool, other);
}

/* The executor has no threads, so the pool does not close the parked session first. */
static void no_parked_session_of_a_retired_consumer_is_used(void)
{
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  REQUIRE(executor != NULL);
  struct uk_kafka_consumer_pool *pool =
    uk_kafka_consumer_pool_new(kafka_parts.settings, executor, kafka_parts.reaper);
  REQUIRE(pool != NULL);
  struct uk_kafka_task task;
  uk_kafka_task_init(&task, executor, do_nothing, NULL);
  check_parked(pool, &task);
  uk_kafka_consumer_pool_free(pool);
  uk_kafka_task_join(&task);
  uk_kafka_executor_free(executor);
}

/* The last case: no fetch waits afterwards. */
static void a_drain_ends_all_fetches(void)
{
  const char *topic = make_topic(1);
  struct probe *probe = probe_of(topic, 0, 0);
  start(probe, KAFKA_PATIENCE);
  CHECK_EVENTUALLY(waiting_at(topic, 0) == 1);
  uk_kafka_fetches_drain(rig.fetches);
  await(probe);
  check_offsets(probe, 0, 0);
  CHECK(probe->wait.took < KAFKA_PROMPT);
  CHECK(fetch(topic, 0, 0, KAFKA_PATIENCE)->wait.took < KAFKA_PROMPT);
}

int main(void)
{
  if (!rig_open())
    return 1;
  CHECK_RUN(returns_available_records);
  CHECK_RUN(answers_several_partitions_at_once);
  CHECK_RUN(gives_each_partition_its_turn);
  CHECK_RUN(continues_where_a_full_response_ended);
  CHECK_RUN(waits_at_the_end);
  CHECK_RUN(is_woken_by_new_records);
  CHECK_RUN(returns_nothing_older_past_the_end);
  CHECK_RUN(many_wait_for_the_same);
  CHECK_RUN(names_the_range);
  CHECK_RUN(refuses_missing_partitions);
  CHECK_RUN(gives_nothing_to_a_client_that_has_gone);
  CHECK_RUN(survives_a_leader_that_moves);
  CHECK_RUN(waiting_fetches_survive_it_too);
  CHECK_RUN(says_that_it_is_forbidden);
  CHECK_RUN(a_silent_leader_is_not_an_empty_answer);
  CHECK_RUN(ends_without_memory);
  CHECK_RUN(knows_the_first_and_the_end);
  CHECK_RUN(no_parked_session_of_a_retired_consumer_is_used);
  CHECK_RUN(a_drain_ends_all_fetches);
  rig_close();
  return check_end();
}
