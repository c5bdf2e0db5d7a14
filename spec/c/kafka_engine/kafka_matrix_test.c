/* for: kafka_engine.c, kafka_committed.c
 *
 * What the server answers when a Kafka cluster fails: each error against each endpoint that can
 * meet it.
 *
 * The statuses are those that docs/kafka.md promises. Rows run side by side, each on a topic and a
 * group of its own, in a cluster that no other row uses at the time; all are judged at the end.
 *
 *   kafka_matrix_test [WORD]     only the rows whose name has the word; with KAFKA_MATRIX_SHOW=1
 *                                each answer is shown */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "kafka_endpoints.h"

/* Kafka's API keys. */
enum api {
  PRODUCE = 0,
  FETCH = 1,
  LIST_OFFSETS = 2,
  METADATA = 3, /* the error belongs to the topic, not the request */
  OFFSET_COMMIT = 8,
  OFFSET_FETCH = 9,
  FIND_COORDINATOR = 10,
  JOIN_GROUP = 11,
  HEARTBEAT = 12,
  LEAVE_GROUP = 13,
  SYNC_GROUP = 14,
  INIT_PRODUCER_ID = 22
};

enum {
  ALWAYS = 400, /* times: more than any retry loop makes */
  RIGS = 8,
  LONG = 90000,    /* the caller's timeout in ms, if the answer must come at once */
  SHORT = 1500,    /* if it can only come at the timeout */
  MEDIUM = 10000,  /* if a group settles within that time */
  AT_ONCE = 45000, /* on a loaded machine */
  JOINED = 60000,  /* the same for joining a group of this cluster, which takes 3 s, with retries */
  SLACK = 30000
};

/* When the answer arrives. */
enum speed {
  SOON,    /* long before the caller's timeout: Kafka reported the error */
  IN_TIME, /* at the caller's timeout: nothing reports the error */
  SETTLED  /* the same, after giving a group time to settle */
};

#define E(name) RD_KAFKA_RESP_ERR_##name

struct row {
  const struct kafka_endpoint *endpoint;
  enum api api;
  rd_kafka_resp_err_t error;
  int times;
  int status;
  enum speed speed;
};

static const struct row rows[] = {
  /* A produce waits out temporary errors. */
  {&kafka_produce, PRODUCE, E(NOT_LEADER_FOR_PARTITION), 3, 200, SOON},
  {&kafka_produce, PRODUCE, E(LEADER_NOT_AVAILABLE), 3, 200, SOON},
  {&kafka_produce, PRODUCE, E(NOT_ENOUGH_REPLICAS), 3, 200, SOON},
  {&kafka_produce, PRODUCE, E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), 3, 200, SOON},
  {&kafka_produce, PRODUCE, E(REQUEST_TIMED_OUT), 2, 200, SOON},
  {&kafka_produce, PRODUCE, E(KAFKA_STORAGE_ERROR), 2, 200, SOON},
  {&kafka_produce, PRODUCE, E(NETWORK_EXCEPTION), 1, 504, SOON},
  {&kafka_produce, PRODUCE, E(_TRANSPORT), 1, 200, SOON},
  {&kafka_produce, INIT_PRODUCER_ID, E(COORDINATOR_LOAD_IN_PROGRESS), 2, 200, SOON},
  {&kafka_batch, PRODUCE, E(NOT_LEADER_FOR_PARTITION), 2, 200, SOON},
  {&kafka_webhook, PRODUCE, E(NOT_LEADER_FOR_PARTITION), 2, 200, SOON},
  {&kafka_produce_one, PRODUCE, E(NOT_LEADER_FOR_PARTITION), 2, 200, SOON},
  /* Permanent errors. */
  {&kafka_produce, PRODUCE, E(NOT_ENOUGH_REPLICAS), ALWAYS, 503, SOON},
  {&kafka_batch, PRODUCE, E(NOT_ENOUGH_REPLICAS), ALWAYS, 503, SOON},
  {&kafka_webhook, PRODUCE, E(NOT_ENOUGH_REPLICAS), ALWAYS, 503, SOON},
  {&kafka_produce, PRODUCE, E(KAFKA_STORAGE_ERROR), ALWAYS, 503, SOON},
  {&kafka_produce, PRODUCE, E(NOT_LEADER_FOR_PARTITION), ALWAYS, 503, IN_TIME},
  {&kafka_produce, PRODUCE, E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), ALWAYS, 504, SOON},
  {&kafka_produce, PRODUCE, E(REQUEST_TIMED_OUT), ALWAYS, 504, SOON},
  {&kafka_produce, PRODUCE, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_batch, PRODUCE, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_webhook, PRODUCE, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_produce_one, PRODUCE, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_produce, PRODUCE, E(CLUSTER_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_produce, INIT_PRODUCER_ID, E(CLUSTER_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_produce, PRODUCE, E(MSG_SIZE_TOO_LARGE), ALWAYS, 413, SOON},
  {&kafka_batch, PRODUCE, E(MSG_SIZE_TOO_LARGE), ALWAYS, 413, SOON},
  {&kafka_webhook, PRODUCE, E(MSG_SIZE_TOO_LARGE), ALWAYS, 413, SOON},
  {&kafka_produce, PRODUCE, E(RECORD_LIST_TOO_LARGE), ALWAYS, 413, SOON},
  {&kafka_produce, PRODUCE, E(INVALID_TIMESTAMP), ALWAYS, 400, SOON},
  {&kafka_produce, PRODUCE, E(INVALID_RECORD), ALWAYS, 400, SOON},
  {&kafka_batch, PRODUCE, E(INVALID_RECORD), ALWAYS, 400, SOON},
  {&kafka_produce, PRODUCE, E(POLICY_VIOLATION), ALWAYS, 400, SOON},
  {&kafka_produce, PRODUCE, E(UNSUPPORTED_FOR_MESSAGE_FORMAT), ALWAYS, 400, SOON},
  {&kafka_produce, PRODUCE, E(TOPIC_EXCEPTION), ALWAYS, 400, SOON},
  {&kafka_produce, PRODUCE, E(INVALID_MSG), ALWAYS, 503, SOON},
  {&kafka_produce, PRODUCE, E(THROTTLING_QUOTA_EXCEEDED), ALWAYS, 429, SOON},
  {&kafka_produce, PRODUCE, E(UNKNOWN), ALWAYS, 500, SOON},
  /* Errors that make a producer unusable: another one is opened. */
  {&kafka_produce, PRODUCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), 1, 503, SOON},
  {&kafka_webhook, PRODUCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), 1, 503, SOON},
  {&kafka_produce, PRODUCE, E(INVALID_PRODUCER_EPOCH), 1, 503, SOON},
  {&kafka_produce, PRODUCE, E(UNKNOWN_PRODUCER_ID), 1, 200, SOON},
  {&kafka_produce, PRODUCE, E(UNKNOWN_PRODUCER_ID), ALWAYS, 503, IN_TIME},
  /* A fetch. */
  {&kafka_fetch, FETCH, E(NOT_LEADER_FOR_PARTITION), 3, 200, SOON},
  {&kafka_fetch, FETCH, E(LEADER_NOT_AVAILABLE), 3, 200, SOON},
  {&kafka_fetch, FETCH, E(UNKNOWN_LEADER_EPOCH), 2, 200, SOON},
  {&kafka_fetch, FETCH, E(FENCED_LEADER_EPOCH), 2, 200, SOON},
  {&kafka_fetch, FETCH, E(OFFSET_NOT_AVAILABLE), 2, 200, SOON},
  {&kafka_fetch, FETCH, E(OFFSET_OUT_OF_RANGE), 1, 200, SOON},
  {&kafka_fetch, FETCH, E(KAFKA_STORAGE_ERROR), 2, 200, SOON},
  {&kafka_fetch, FETCH, E(REQUEST_TIMED_OUT), 2, 200, SOON},
  {&kafka_fetch, FETCH, E(_TRANSPORT), 1, 200, SOON},
  {&kafka_fetch, FETCH, E(INVALID_MSG), 2, 200, SOON},
  {&kafka_fetch, FETCH, E(NOT_LEADER_FOR_PARTITION), ALWAYS, 504, IN_TIME},
  {&kafka_fetch, FETCH, E(KAFKA_STORAGE_ERROR), ALWAYS, 504, IN_TIME},
  {&kafka_fetch, FETCH, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_fetch, FETCH, E(UNKNOWN), ALWAYS, 500, SOON},
  /* Offsets. */
  {&kafka_offsets, LIST_OFFSETS, E(NOT_LEADER_FOR_PARTITION), 2, 200, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(LEADER_NOT_AVAILABLE), 2, 200, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(OFFSET_NOT_AVAILABLE), 2, 200, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(_TRANSPORT), 1, 200, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(REQUEST_TIMED_OUT), 2, 200, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(NOT_LEADER_FOR_PARTITION), ALWAYS, 503, IN_TIME},
  {&kafka_offsets, LIST_OFFSETS, E(LEADER_NOT_AVAILABLE), ALWAYS, 503, IN_TIME},
  {&kafka_offsets, LIST_OFFSETS, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(UNKNOWN_TOPIC_OR_PART), 2, 200, SOON}, /* it exists */
  {&kafka_offsets, LIST_OFFSETS, E(UNSUPPORTED_FOR_MESSAGE_FORMAT), ALWAYS, 400, SOON},
  {&kafka_offsets, LIST_OFFSETS, E(UNKNOWN), ALWAYS, 500, SOON},
  /* Committed offsets. */
  {&kafka_committed, FIND_COORDINATOR, E(COORDINATOR_NOT_AVAILABLE), 3, 200, SOON},
  {&kafka_committed, OFFSET_FETCH, E(NOT_COORDINATOR), 2, 200, SOON},
  {&kafka_committed, OFFSET_FETCH, E(COORDINATOR_LOAD_IN_PROGRESS), 2, 200, SOON},
  {&kafka_committed, OFFSET_FETCH, E(UNSTABLE_OFFSET_COMMIT), 2, 200, SOON},
  {&kafka_committed, OFFSET_FETCH, E(_TRANSPORT), 1, 200, SOON},
  {&kafka_committed, FIND_COORDINATOR, E(COORDINATOR_NOT_AVAILABLE), ALWAYS, 504, IN_TIME},
  {&kafka_committed, OFFSET_FETCH, E(COORDINATOR_LOAD_IN_PROGRESS), ALWAYS, 504, IN_TIME},
  {&kafka_committed, FIND_COORDINATOR, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_committed, OFFSET_FETCH, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_committed, OFFSET_FETCH, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_committed, OFFSET_FETCH, E(UNKNOWN), ALWAYS, 500, SOON},
  /* A consume that joins. */
  {&kafka_consume, FIND_COORDINATOR, E(COORDINATOR_NOT_AVAILABLE), 3, 200, SOON},
  {&kafka_consume, JOIN_GROUP, E(COORDINATOR_LOAD_IN_PROGRESS), 2, 200, SOON},
  {&kafka_consume, JOIN_GROUP, E(NOT_COORDINATOR), 2, 200, SOON},
  {&kafka_consume, JOIN_GROUP, E(REBALANCE_IN_PROGRESS), 2, 200, SOON},
  {&kafka_consume, JOIN_GROUP, E(UNKNOWN_MEMBER_ID), 1, 200, SOON},
  {&kafka_consume, SYNC_GROUP, E(REBALANCE_IN_PROGRESS), 1, 200, SOON},
  {&kafka_consume, OFFSET_FETCH, E(COORDINATOR_LOAD_IN_PROGRESS), 2, 200, SOON},
  {&kafka_consume, OFFSET_FETCH, E(UNSTABLE_OFFSET_COMMIT), 2, 200, SOON},
  {&kafka_consume, LIST_OFFSETS, E(NOT_LEADER_FOR_PARTITION), 2, 200, SOON},
  {&kafka_consume, FETCH, E(NOT_LEADER_FOR_PARTITION), 3, 200, SOON},
  {&kafka_consume, FIND_COORDINATOR, E(COORDINATOR_NOT_AVAILABLE), ALWAYS, 503, SETTLED},
  {&kafka_consume, OFFSET_FETCH, E(COORDINATOR_LOAD_IN_PROGRESS), ALWAYS, 504, SETTLED},
  {&kafka_consume, LIST_OFFSETS, E(NOT_LEADER_FOR_PARTITION), ALWAYS, 504, SETTLED},
  {&kafka_consume, FETCH, E(NOT_LEADER_FOR_PARTITION), ALWAYS, 504, SETTLED},
  {&kafka_consume, FETCH, E(KAFKA_STORAGE_ERROR), ALWAYS, 504, SETTLED},
  {&kafka_consume, FIND_COORDINATOR, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_consume, JOIN_GROUP, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_consume, JOIN_GROUP, E(INCONSISTENT_GROUP_PROTOCOL), ALWAYS, 409, SOON},
  {&kafka_consume, JOIN_GROUP, E(INVALID_SESSION_TIMEOUT), ALWAYS, 400, SOON},
  {&kafka_consume, JOIN_GROUP, E(GROUP_MAX_SIZE_REACHED), ALWAYS, 429, SOON},
  {&kafka_consume, OFFSET_FETCH, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_consume, LIST_OFFSETS, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_consume, FETCH, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  /* A consume that continues. */
  {&kafka_consume_on, FETCH, E(NOT_LEADER_FOR_PARTITION), 3, 200, SOON},
  {&kafka_consume_on, FETCH, E(LEADER_NOT_AVAILABLE), 3, 200, SOON},
  {&kafka_consume_on, FETCH, E(OFFSET_NOT_AVAILABLE), 2, 200, SOON},
  {&kafka_consume_on, FETCH, E(INVALID_MSG), 2, 200, SOON},
  {&kafka_consume_on, FETCH, E(_TRANSPORT), 1, 200, SOON},
  {&kafka_consume_on, FETCH, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_consume_on, FETCH, E(UNKNOWN), ALWAYS, 500, SOON},
  {&kafka_consume_on, HEARTBEAT, E(COORDINATOR_NOT_AVAILABLE), 2, 200, SOON},
  {&kafka_consume_on, HEARTBEAT, E(NOT_COORDINATOR), 1, 200, SOON},
  {&kafka_consume_on, HEARTBEAT, E(UNKNOWN_MEMBER_ID), 1, 200, SOON},
  {&kafka_consume_on, HEARTBEAT, E(ILLEGAL_GENERATION), 1, 200, SOON},
  {&kafka_consume_on, HEARTBEAT, E(REBALANCE_IN_PROGRESS), 1, 200, SOON},
  {&kafka_consume_on, HEARTBEAT, E(FENCED_INSTANCE_ID), 1, 200, SOON},
  /* A commit. */
  {&kafka_commit, OFFSET_COMMIT, E(COORDINATOR_LOAD_IN_PROGRESS), 2, 200, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(NOT_COORDINATOR), 1, 200, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(REQUEST_TIMED_OUT), 1, 200, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(_TRANSPORT), 1, 200, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(UNKNOWN_MEMBER_ID), 1, 503, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(ILLEGAL_GENERATION), 1, 503, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(REBALANCE_IN_PROGRESS), 1, 503, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(FENCED_INSTANCE_ID), 1, 503, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(TOPIC_AUTHORIZATION_FAILED), ALWAYS, 403, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(UNKNOWN_TOPIC_OR_PART), ALWAYS, 404, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(INVALID_COMMIT_OFFSET_SIZE), 1, 400, SOON},
  {&kafka_commit, OFFSET_COMMIT, E(UNKNOWN), ALWAYS, 500, SOON},
  /* Closing an instance succeeds, whatever its group answers. */
  {&kafka_leave, LEAVE_GROUP, E(COORDINATOR_NOT_AVAILABLE), ALWAYS, 200, SOON},
  {&kafka_leave, LEAVE_GROUP, E(UNKNOWN_MEMBER_ID), ALWAYS, 200, SOON},
  {&kafka_leave, LEAVE_GROUP, E(GROUP_AUTHORIZATION_FAILED), ALWAYS, 200, SOON},
  /* Metadata of a topic. */
  {&kafka_produce, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_batch, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_webhook, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_consume, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_fetch, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_offsets, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_committed, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 403, SOON},
  {&kafka_produce, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_batch, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_webhook, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_consume, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_fetch, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_offsets, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_committed, METADATA, E(UNKNOWN_TOPIC_OR_PART), 0, 404, SOON},
  {&kafka_topics, METADATA, E(TOPIC_AUTHORIZATION_FAILED), 0, 200, SOON},
  {&kafka_topics, METADATA, E(LEADER_NOT_AVAILABLE), 0, 200, SOON},
  /* Requests that do not ask the cluster. */
  {&kafka_consumers, PRODUCE, E(UNKNOWN), ALWAYS, 200, SOON},
  {&kafka_health, PRODUCE, E(UNKNOWN), ALWAYS, 200, SOON},
};

enum { ROWS = sizeof rows / sizeof *rows };

static struct result {
  bool prepared;
  struct kafka_answer met, after;
} results[ROWS];

static atomic_size_t next_row;
static const char *only; /* a word in the name; NULL: all rows */

/* One row. */

static void push(struct kafka_rig *rig, const struct row *row, const struct kafka_place *place)
{
  rd_kafka_resp_err_t errors[ALWAYS];
  if (row->api == METADATA) {
    rd_kafka_mock_topic_set_error(rig->cluster, place->topic, row->error);
    return;
  }
  for (int i = 0; i < row->times; i++)
    errors[i] = row->error;
  rd_kafka_mock_push_request_errors_array(rig->cluster, (int16_t)row->api, (size_t)row->times,
                                          errors);
}

static void pull(struct kafka_rig *rig, const struct row *row, const struct kafka_place *place)
{
  if (row->api == METADATA)
    rd_kafka_mock_topic_set_error(rig->cluster, place->topic, E(NO_ERROR));
  else
    rd_kafka_mock_clear_request_errors(rig->cluster, (int16_t)row->api);
}

static bool prepare(struct kafka_rig *rig, const struct row *row, const struct kafka_place *place)
{
  struct kafka_answer answer;
  struct kafka_place patient = *place;
  patient.timeout = LONG;
  if (row->api == METADATA || row->api == INIT_PRODUCER_ID)
    return true;
  return kafka_settle(rig, &kafka_produce, place, &answer) &&
         (!row->endpoint->of_member || kafka_settle(rig, &kafka_consume, &patient, &answer));
}

/* Makes sure that the request meets the error: gives a continuing consume something to read, waits
 * for a heartbeat, replaces an unusable producer by one that requests its producer id. */
static void provoke(struct kafka_rig *rig, const struct row *row, const struct kafka_place *place)
{
  struct kafka_answer answer;
  if (row->endpoint == &kafka_consume_on)
    kafka_settle(rig, &kafka_produce, place, &answer);
  if (row->api == HEARTBEAT)
    sleep(3);
  if (row->api == INIT_PRODUCER_ID) {
    rd_kafka_mock_push_request_errors(rig->cluster, PRODUCE, 1, E(OUT_OF_ORDER_SEQUENCE_NUMBER));
    do /* while the old one still answers */
      kafka_ask(rig, &kafka_produce, place, &answer);
    while (strstr(answer.text, "out of order") != NULL);
  }
}

/* A broker that refuses a topic names none of its partitions; the mock names them, and some
 * librdkafkas follow a null pointer when they have not known the topic before. */
static bool crashes_some_mocks(const struct row *row)
{
  return row->api == METADATA && row->endpoint != &kafka_topics &&
         row->error != E(UNKNOWN_TOPIC_OR_PART);
}

static const char *name_of(const struct row *row)
{
  static _Thread_local char text[200];
  snprintf(text, sizeof text, "%s%s, request %d, %s %s: %d", crashes_some_mocks(row) ? "F1: " : "",
           row->endpoint->path, (int)row->api, rd_kafka_err2name(row->error),
           row->times == ALWAYS ? "always" : "for a while", row->status);
  return text;
}

static bool is_meant(const struct row *row)
{
  return only == NULL || strstr(name_of(row), only) != NULL;
}

static const char *reason_to_skip(const struct row *row)
{
  const bool crashes = rd_kafka_version() >= 0x02030000 && rd_kafka_version() < 0x020a0000;
  return crashes && crashes_some_mocks(row)
           ? "the mock of librdkafka 2.3 to 2.9 crashes when it refuses a topic"
           : NULL;
}

static void run_row(struct kafka_rig *rig, size_t index)
{
  const struct row *row = &rows[index];
  struct result *result = &results[index];
  static const int timeouts[] = {[SOON] = LONG, [IN_TIME] = SHORT, [SETTLED] = MEDIUM};
  struct kafka_place place = {.timeout = timeouts[row->speed]};
  result->prepared = kafka_place_make(&place, rig, index) && prepare(rig, row, &place);
  if (!result->prepared)
    return;
  push(rig, row, &place);
  provoke(rig, row, &place);
  kafka_ask(rig, row->endpoint, &place, &result->met);
  pull(rig, row, &place);
  if (row->endpoint == &kafka_leave)
    return;
  place.timeout = LONG;
  kafka_settle(rig, &kafka_produce, &place, &result->after);
  if (row->endpoint == &kafka_commit)
    kafka_settle(rig, &kafka_consume, &place, &result->after);
  kafka_settle(rig, row->endpoint, &place, &result->after);
}

static void *run_rows(void *argument)
{
  struct kafka_rig rig;
  (void)argument;
  if (kafka_rig_open(&rig)) {
    for (size_t i; (i = atomic_fetch_add(&next_row, 1)) < ROWS;) {
      if (is_meant(&rows[i]) && reason_to_skip(&rows[i]) == NULL)
        run_row(&rig, i);
    }
  }
  kafka_rig_close(&rig);
  return NULL;
}

/* The verdict. */

/* The 504 of a request that changes something says that it may have been executed. */
static bool changes(const struct kafka_endpoint *endpoint)
{
  static const struct kafka_endpoint *const all[] = {
    &kafka_produce, &kafka_produce_one, &kafka_batch, &kafka_webhook, &kafka_commit, &kafka_leave};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (all[i] == endpoint)
      return true;
  }
  return false;
}

static void judge(const struct row *row, const struct result *result)
{
  const struct kafka_answer *met = &result->met;
  bool joins = row->endpoint == &kafka_consume || row->api == HEARTBEAT;
  long long limit = row->speed == IN_TIME   ? SHORT + KAFKA_RIG_SEND_TIMEOUT + SLACK
                    : row->speed == SETTLED ? MEDIUM + SLACK
                    : joins                 ? JOINED
                                            : AT_ONCE;
  REQUIRE(result->prepared);
  if (!CHECK_EQ_INT(met->status, row->status))
    fprintf(stderr, "  %s\n", met->text);
  CHECK((met->retry_after > 0) == (met->status == 503 || met->status == 429));
  if (!CHECK((met->status == 504 && changes(row->endpoint)) ==
             (strstr(met->text, "may have been") != NULL)))
    fprintf(stderr, "  %s\n", met->text);
  CHECK(met->status != 200 || row->status != 200 || kafka_is_good(row->endpoint, met));
  if (!CHECK(met->took < limit))
    fprintf(stderr, "  after %lld ms\n", met->took);
  if (row->endpoint == &kafka_leave)
    return;
  if (!CHECK(kafka_is_good(row->endpoint, &result->after)))
    fprintf(stderr, "  afterwards %d %s\n", result->after.status, result->after.text);
}

static size_t judged;

static void row_holds(void)
{
  judge(&rows[judged], &results[judged]);
}

/* The page. */

/* Kafka's names, if librdkafka has older ones. */
static const struct {
  const char *kafka, *here;
} renamed[] = {
  {"INVALID_TOPIC_EXCEPTION", "TOPIC_EXCEPTION"},
  {"UNKNOWN_TOPIC_OR_PARTITION", "UNKNOWN_TOPIC_OR_PART"},
  {"MESSAGE_TOO_LARGE", "MSG_SIZE_TOO_LARGE"},
  {"NOT_LEADER_OR_FOLLOWER", "NOT_LEADER_FOR_PARTITION"},
  {"CORRUPT_MESSAGE", "INVALID_MSG"},
};

static const char *name_in_kafka(const char *name)
{
  for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
    if (strcmp(name, renamed[i].here) == 0)
      return renamed[i].kafka;
  }
  return name;
}

/* The status in the row of docs/kafka.md with that name; 500 without such a row. */
static int status_on_page(const char *page, const char *name)
{
  char quoted[100];
  snprintf(quoted, sizeof quoted, "`%s`", name);
  const char *table = strstr(page, "| answer | when Kafka says |"), *row = table;
  const char *end = table != NULL ? strstr(table, "\n\n") : NULL;
  const char *found = table != NULL ? strstr(table, quoted) : NULL;
  if (found == NULL || found > end)
    return 500;
  for (const char *at = table; (at = strstr(at, "\n| ")) != NULL && at < found; at++)
    row = at;
  return atoi(row + 3);
}

static void the_page_matches_the_code(void)
{
  static char page[100000];
  const struct rd_kafka_err_desc *all;
  size_t count;
  FILE *file = fopen("docs/kafka.md", "r");
  REQUIRE(file != NULL);
  size_t length = fread(page, 1, sizeof page - 1, file);
  fclose(file);
  REQUIRE(length > 0 && strstr(page, "| answer | when Kafka says |") != NULL);
  rd_kafka_get_err_descs(&all, &count);
  for (size_t i = 0; i < count; i++) {
    if (all[i].code <= 0 || all[i].name == NULL)
      continue;
    if (!CHECK_EQ_INT(uk_error_status(uk_kafka_error(all[i].code)),
                      status_on_page(page, name_in_kafka(all[i].name))))
      fprintf(stderr, "  for %s\n", all[i].name);
  }
}

static void run_all(void *(*run)(void *))
{
  pthread_t threads[RIGS];
  for (int i = 0; i < RIGS; i++)
    pthread_create(&threads[i], NULL, run, NULL);
  for (int i = 0; i < RIGS; i++)
    pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
  only = argc > 1 ? argv[1] : NULL;
  run_all(run_rows);
  for (judged = 0; judged < ROWS; judged++) {
    if (!is_meant(&rows[judged]))
      continue;
    if (getenv("KAFKA_MATRIX_SHOW") != NULL)
      fprintf(stderr, "%6lld ms %d  %s\n       %s\n", results[judged].met.took,
              results[judged].met.status, name_of(&rows[judged]), results[judged].met.text);
    check_run_unless(reason_to_skip(&rows[judged]), name_of(&rows[judged]), row_holds);
  }
  CHECK_RUN(the_page_matches_the_code);
  return check_end();
}
