/* for: kafka_engine.c
 *
 * What each endpoint answers while a Kafka cluster is down, silent or has a partition without a
 * leader: an error soon after the caller's timeout, never a 200 for something that was not done;
 * and 200 again when the cluster is back, without a restart. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "kafka_endpoints.h"

enum {
  THREADS = 12,
  TIMEOUT = 1500,      /* the caller's, in milliseconds */
  OWN_TIMEOUT = 10000, /* the server's own, if the caller cannot set one */
  SLACK = 30000,       /* how late an answer may be on a loaded machine */
  NOTICE = 60000,      /* in which the server notices the outage */
  FOREVER = 600000
};

static void go_away(struct kafka_rig *rig, const struct kafka_place *place)
{
  (void)place;
  for (int32_t i = 1; i <= KAFKA_RIG_BROKERS; i++)
    rd_kafka_mock_broker_set_down(rig->cluster, i);
}

static void come_back(struct kafka_rig *rig, const struct kafka_place *place)
{
  (void)place;
  for (int32_t i = 1; i <= KAFKA_RIG_BROKERS; i++)
    rd_kafka_mock_broker_set_up(rig->cluster, i);
}

static void fall_silent(struct kafka_rig *rig, const struct kafka_place *place)
{
  (void)place;
  for (int32_t i = 1; i <= KAFKA_RIG_BROKERS; i++)
    rd_kafka_mock_broker_set_rtt(rig->cluster, i, FOREVER);
}

/* Pending requests get no answer: their connections end. */
static void speak_again(struct kafka_rig *rig, const struct kafka_place *place)
{
  for (int32_t i = 1; i <= KAFKA_RIG_BROKERS; i++)
    rd_kafka_mock_broker_set_rtt(rig->cluster, i, 0);
  go_away(rig, place);
  come_back(rig, place);
}

static void lose_leader(struct kafka_rig *rig, const struct kafka_place *place)
{
  rd_kafka_mock_partition_set_leader(rig->cluster, place->topic, 0, -1);
}

static void find_leader(struct kafka_rig *rig, const struct kafka_place *place)
{
  rd_kafka_mock_partition_set_leader(rig->cluster, place->topic, 0, 2);
}

struct outage {
  const char *name;
  void (*begin)(struct kafka_rig *rig, const struct kafka_place *place);
  void (*end)(struct kafka_rig *rig, const struct kafka_place *place);
};

static const struct outage away = {"away", go_away, come_back};
static const struct outage silent = {"silent", fall_silent, speak_again};
static const struct outage leaderless = {"leaderless", lose_leader, find_leader};

static const struct row {
  const struct outage *outage;
  const struct kafka_endpoint *endpoint;
  bool asks_nobody; /* the answer does not depend on the cluster */
} rows[] = {
  {&away, &kafka_produce, false},
  {&silent, &kafka_produce, false},
  {&leaderless, &kafka_produce, false},
  {&away, &kafka_batch, false},
  {&silent, &kafka_batch, false},
  {&leaderless, &kafka_batch, false},
  {&away, &kafka_webhook, false},
  {&silent, &kafka_webhook, false},
  {&leaderless, &kafka_webhook, false},
  {&away, &kafka_consume, false},
  {&silent, &kafka_consume, false},
  {&leaderless, &kafka_consume, false},
  {&away, &kafka_consume_on, false},
  {&silent, &kafka_consume_on, false},
  {&leaderless, &kafka_consume_on, false},
  {&away, &kafka_fetch, false},
  {&silent, &kafka_fetch, false},
  {&leaderless, &kafka_fetch, false},
  {&away, &kafka_wait, false},
  {&silent, &kafka_wait, false},
  {&leaderless, &kafka_wait, false},
  {&away, &kafka_offsets, false},
  {&silent, &kafka_offsets, false},
  {&leaderless, &kafka_offsets, false},
  {&away, &kafka_committed, false},
  {&silent, &kafka_committed, false},
  {&away, &kafka_commit, false},
  {&silent, &kafka_commit, false},
  {&away, &kafka_topics, false},
  {&silent, &kafka_topics, false},
  {&away, &kafka_health, false},
  {&silent, &kafka_health, false},
  {&leaderless, &kafka_topics, true},
  {&leaderless, &kafka_committed, true},
  {&leaderless, &kafka_commit, true},
  {&leaderless, &kafka_health, true},
  {&away, &kafka_consumers, true},
  {&silent, &kafka_consumers, true},
  {&away, &kafka_leave, false},
  {&silent, &kafka_leave, false},
};

enum { ROWS = sizeof rows / sizeof *rows };

static struct result {
  bool prepared, hidden; /* hidden: a 200 for something that cannot succeed */
  long long slowest;
  struct kafka_answer met, after;
} results[ROWS];

static atomic_size_t next_row;
static const char *only; /* a word in the name; NULL: all rows */

static const char *name_of(const struct row *row)
{
  static _Thread_local char text[200];
  snprintf(text, sizeof text, "%s: %s %s", row->outage->name, row->endpoint->path,
           row->endpoint == &kafka_wait ? "at the end" : "");
  return text;
}

static bool is_meant(const struct row *row)
{
  return only == NULL || strstr(name_of(row), only) != NULL;
}

/* Repeats the request until the server notices the outage. */
static void meet(struct kafka_rig *rig, const struct row *row, const struct kafka_place *place,
                 struct result *result)
{
  int64_t until = uk_clock_monotonic() + NOTICE;
  do {
    kafka_ask(rig, row->endpoint, place, &result->met);
    if (result->met.took > result->slowest)
      result->slowest = result->met.took;
    if (row->asks_nobody || result->met.status != 200)
      return;
    /* The server checks the cluster every two seconds. */
    if (kafka_is_good(row->endpoint, &result->met) && row->endpoint != &kafka_health)
      result->hidden = true;
    usleep(20000);
  } while (uk_clock_monotonic() < until);
}

/* What must work afterwards. This cluster keeps an instance that lost its connection as a second
 * member, and refuses its commits for a long time; reading shows that the instance works. */
static const struct kafka_endpoint *again_of(const struct row *row)
{
  return row->endpoint == &kafka_commit  ? &kafka_consume
         : row->endpoint == &kafka_leave ? &kafka_produce
                                         : row->endpoint;
}

static void run_row(struct kafka_rig *rig, size_t index)
{
  const struct row *row = &rows[index];
  struct result *result = &results[index];
  /* Requests that succeed despite the outage get enough time on a loaded machine. */
  struct kafka_place place = {.timeout = row->asks_nobody ? TIMEOUT + SLACK : TIMEOUT};
  struct kafka_answer answer;
  result->prepared =
    kafka_place_make(&place, rig, index) && kafka_settle(rig, &kafka_produce, &place, &answer) &&
    (!row->endpoint->of_member || kafka_settle(rig, &kafka_consume, &place, &answer));
  row->outage->begin(rig, &place);
  meet(rig, row, &place, result);
  row->outage->end(rig, &place);
  kafka_settle(rig, &kafka_produce, &place, &result->after);
  kafka_settle(rig, again_of(row), &place, &result->after);
}

static void *run_rows(void *argument)
{
  (void)argument;
  for (size_t i; (i = atomic_fetch_add(&next_row, 1)) < ROWS;) {
    struct kafka_rig rig;
    if (is_meant(&rows[i]) && kafka_rig_open(&rig)) {
      run_row(&rig, i);
      kafka_rig_close(&rig);
    }
  }
  return NULL;
}

static size_t judged;

static void row_holds(void)
{
  const struct row *row = &rows[judged];
  const struct result *result = &results[judged];
  int status = result->met.status;
  bool has_timeout =
    strstr(row->endpoint->path, "$M") != NULL || strstr(row->endpoint->body, "$M") != NULL;
  REQUIRE(result->prepared);
  if (!CHECK(row->asks_nobody ? status == 200 : status == 503 || status == 504))
    fprintf(stderr, "  %d %s\n", status, result->met.text);
  CHECK((result->met.retry_after > 0) == (status == 503));
  CHECK(!result->hidden);
  if (!CHECK(result->slowest < (has_timeout ? TIMEOUT : OWN_TIMEOUT) + SLACK))
    fprintf(stderr, "  after %lld ms: %s\n", result->slowest, result->met.text);
  if (!CHECK(kafka_is_good(again_of(row), &result->after)))
    fprintf(stderr, "  afterwards %d %s\n", result->after.status, result->after.text);
}

int main(int argc, char **argv)
{
  pthread_t threads[THREADS];
  only = argc > 1 ? argv[1] : NULL;
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, run_rows, NULL);
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  for (judged = 0; judged < ROWS; judged++) {
    if (!is_meant(&rows[judged]))
      continue;
    if (getenv("KAFKA_MATRIX_SHOW") != NULL)
      fprintf(stderr, "%6lld ms %d  %s\n       %s\n", results[judged].slowest,
              results[judged].met.status, name_of(&rows[judged]), results[judged].met.text);
    check_run(name_of(&rows[judged]), row_holds);
  }
  return check_end();
}
