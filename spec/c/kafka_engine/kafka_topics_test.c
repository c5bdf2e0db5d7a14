/* for: kafka_topics.c
 *
 * What a cluster reports of its topics; librdkafka plays the cluster inside this process. */
#include "server/kafka_engine/cluster/kafka_topics.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "kafka_parts.h"
#include "server/engine/name_table.h"

enum { BROKERS = 2, MANY_BROKERS = 30, PATIENCE = 20000 };

struct pending {
  struct uk_kafka_topic_query query;
  struct kafka_probe probe;
};

static void answered(struct uk_kafka_query *query)
{
  kafka_probe_done(&((struct pending *)query)->probe);
}

static void ask(struct pending *pending, const char *topic, int64_t timeout)
{
  *pending = (struct pending){
    .query = {.query = {.deadline = uk_clock_monotonic() + timeout, .then = answered},
              .topic = topic != NULL ? uk_slice_text(topic) : uk_slice_of(NULL, 0)},
    .probe = {.begun = uk_clock_monotonic()}};
  uk_kafka_topics_ask(kafka_parts.topics, &pending->query);
}

static enum uk_error look(const char *topic, int32_t *partitions)
{
  struct pending pending;
  ask(&pending, topic, PATIENCE);
  kafka_probe_await(&pending.probe);
  *partitions = pending.query.partitions;
  return uk_kafka_error(pending.query.query.code);
}

static int32_t known(const char *topic)
{
  return uk_kafka_topics_partitions(kafka_parts.topics, uk_slice_text(topic));
}

static bool await_heard(struct uk_kafka_topics *topics)
{
  int64_t end = uk_clock_monotonic() + PATIENCE;
  while (!uk_kafka_topics_has_answered(topics) && uk_clock_monotonic() < end)
    usleep(20000);
  return uk_kafka_topics_has_answered(topics);
}

/* The topic is created after the first query for all topics has ended. */
static void remembers_the_clusters_topics(void)
{
  REQUIRE(await_heard(kafka_parts.topics));
  const char *topic = kafka_parts_topic(3);
  int32_t partitions;
  CHECK_EQ_INT(known(topic), 0);
  CHECK_EQ_INT(look(topic, &partitions), UK_OK);
  CHECK_EQ_INT(partitions, 3);
  CHECK_EQ_INT(known(topic), 3);
  uk_kafka_topics_forget(kafka_parts.topics, uk_slice_text(topic));
  CHECK_EQ_INT(known(topic), 0);
}

static void reports_missing_topics(void)
{
  const char *nowhere = kafka_parts_nowhere(), *gone = kafka_parts_topic(1);
  int32_t partitions;
  CHECK_EQ_INT(look(nowhere, &partitions), UK_E_NOT_FOUND);
  CHECK_EQ_INT(look("__consumer_offsets", &partitions), UK_E_NOT_FOUND);
  CHECK_EQ_INT(known("__consumer_offsets"), 0);
  CHECK_EQ_INT(look(gone, &partitions), UK_OK);
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, gone, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  CHECK_EQ_INT(look(gone, &partitions), UK_E_NOT_FOUND);
  CHECK_EQ_INT(known(gone), 0);
}

/* A broker that refuses a topic names none of its partitions. The mock names all that there are,
 * and librdkafka 2.3 to 2.9 crash on that. */
static void reports_forbidden_topics(void)
{
  const char *topic = kafka_parts_topic(0);
  int32_t partitions;
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, topic,
                                RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  CHECK_EQ_INT(look(topic, &partitions), UK_E_FORBIDDEN);
}

static void a_moving_leader_does_not_end_a_topic(void)
{
  const char *topic = kafka_parts_topic(2);
  int32_t partitions;
  CHECK_EQ_INT(look(topic, &partitions), UK_OK);
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, topic, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE);
  CHECK(look(topic, &partitions) != UK_E_NOT_FOUND);
  CHECK_EQ_INT(known(topic), 2);
}

static void many_ask_at_once(void)
{
  enum { MANY = 500 };
  const char *topics[] = {kafka_parts_topic(1), kafka_parts_topic(2)};
  struct pending *all = calloc(MANY, sizeof *all);
  REQUIRE(all != NULL);
  for (int i = 0; i < MANY; i++)
    ask(&all[i], topics[i % 2], PATIENCE);
  for (int i = 0; i < MANY; i++) {
    kafka_probe_await(&all[i].probe);
    CHECK_EQ_INT(uk_kafka_error(all[i].query.query.code), UK_OK);
    CHECK_EQ_INT(all[i].query.partitions, 1 + i % 2);
  }
  free(all);
}

struct listing {
  size_t count;
  bool sorted;
  char last[UK_TOPIC_NAME_MAX + 1];
};

static void list(void *argument, struct uk_slice topic, int32_t partitions)
{
  struct listing *listing = argument;
  CHECK(partitions > 0);
  listing->sorted = listing->sorted && uk_name_order(uk_slice_text(listing->last), topic) < 0;
  snprintf(listing->last, sizeof listing->last, "%.*s", (int)topic.length, topic.data);
  listing->count++;
}

/* Memory holds exactly the topics of the cluster. */
static void lists_them_in_order(void)
{
  struct listing listing = {.sorted = true};
  int32_t partitions;
  const char *topic = kafka_parts_topic(1);
  CHECK_EQ_INT(look(NULL, &partitions), UK_OK);
  CHECK_EQ_INT(known(topic), 1);
  CHECK(uk_kafka_topics_each(kafka_parts.topics, list, &listing));
  CHECK(listing.count >= 3 && listing.sorted);
}

static void continues_without_memory(void)
{
  const char *topic = kafka_parts_topic(2);
  int32_t partitions;
  for (long n = 1, hit = 1; hit; n++) {
    uk_kafka_topics_forget(kafka_parts.topics, uk_slice_text(topic));
    fault_at(n);
    enum uk_error error = look(topic, &partitions);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, UK_OK);
    CHECK_EQ_INT(partitions, 2);
  }
  CHECK_EQ_INT(known(topic), 2);
  struct listing listing = {.sorted = true};
  fault_from(1);
  CHECK(!uk_kafka_topics_each(kafka_parts.topics, list, &listing));
  fault_off();
  CHECK_EQ_INT(listing.count, 0);
}

static void is_not_created_without_memory(void)
{
  rd_kafka_t *control = kafka_parts_control();
  REQUIRE(control != NULL);
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_kafka_topics *made = uk_kafka_topics_new(control);
    hit = fault_hit();
    fault_off();
    if (made != NULL)
      uk_kafka_topics_free(made);
  }
  rd_kafka_destroy(control);
}

static rd_kafka_t *control_of(const char *brokers)
{
  char text[UK_MESSAGE_SIZE];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text);
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
  rd_kafka_conf_set_log_cb(conf, NULL);
  return rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
}

static void await_despair(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  CHECK_EVENTUALLY(uk_kafka_topics_health(topics, detail, size) != UK_OK);
}

static void an_absent_cluster_does_not_answer(void)
{
  char detail[UK_MESSAGE_SIZE] = "";
  rd_kafka_t *control = control_of("127.0.0.1:1");
  struct uk_kafka_topics *topics = uk_kafka_topics_new(control);
  REQUIRE(topics != NULL);
  CHECK(!uk_kafka_topics_has_answered(topics));
  await_despair(topics, detail, sizeof detail);
  CHECK(strstr(detail, "the Kafka cluster does not answer: ") == detail);
  CHECK(!uk_kafka_topics_has_answered(topics));
  uk_kafka_topics_free(topics);
  rd_kafka_destroy(control);
}

/* Each lost broker causes an error, which must not delay the deciding query forever. */
static void many_lost_brokers_are_noticed_like_one(void)
{
  char detail[UK_MESSAGE_SIZE];
  rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(kafka_parts.player, MANY_BROKERS);
  REQUIRE(cluster != NULL);
  rd_kafka_t *control = control_of(rd_kafka_mock_cluster_bootstraps(cluster));
  struct uk_kafka_topics *topics = uk_kafka_topics_new(control);
  REQUIRE(topics != NULL);
  CHECK(await_heard(topics));
  for (int32_t i = 1; i <= MANY_BROKERS; i++)
    rd_kafka_mock_broker_set_down(cluster, i);
  await_despair(topics, detail, sizeof detail);
  uk_kafka_topics_free(topics);
  rd_kafka_destroy(control);
  rd_kafka_mock_cluster_destroy(cluster);
}

/* Brokers that accept requests, do not answer them, and later do. */
static void silence_does_not_count_as_absence_at_once(void)
{
  const char *topic = kafka_parts_topic(1);
  char detail[UK_MESSAGE_SIZE];
  struct pending pending;
  rd_kafka_mock_broker_set_rtt(kafka_parts.cluster, -1, 2300);
  ask(&pending, topic, PATIENCE);
  int64_t end = uk_clock_monotonic() + 2500; /* longer than one query */
  while (uk_clock_monotonic() < end) {
    enum uk_error health = uk_kafka_topics_health(kafka_parts.topics, detail, sizeof detail);
    CHECK(health == UK_OK || uk_clock_monotonic() >= end); /* it may have waited for a processor */
    usleep(50000);
  }
  rd_kafka_mock_broker_set_rtt(kafka_parts.cluster, -1, 0);
  kafka_probe_await(&pending.probe);
  int32_t partitions;
  end = uk_clock_monotonic() + PATIENCE;
  while (look(topic, &partitions) != UK_OK && uk_clock_monotonic() < end)
    usleep(50000);
  CHECK_EQ_INT(partitions, 1);
}

/* The last case: no query follows. */
static void a_stop_answers_waiting_queries(void)
{
  struct pending pending;
  uk_kafka_topics_stop(kafka_parts.topics);
  ask(&pending, kafka_parts_topic(1), PATIENCE);
  kafka_probe_await(&pending.probe);
  CHECK_EQ_INT(uk_kafka_error(pending.query.query.code), UK_E_UNAVAILABLE);
}

int main(void)
{
  if (!kafka_parts_open(BROKERS))
    return 1;
  CHECK_RUN(remembers_the_clusters_topics);
  CHECK_RUN(reports_missing_topics);
  CHECK_RUN(reports_forbidden_topics);
  CHECK_RUN(a_moving_leader_does_not_end_a_topic);
  CHECK_RUN(many_ask_at_once);
  CHECK_RUN(lists_them_in_order);
  CHECK_RUN(continues_without_memory);
  CHECK_RUN(is_not_created_without_memory);
  CHECK_RUN(an_absent_cluster_does_not_answer);
  CHECK_RUN(many_lost_brokers_are_noticed_like_one);
  CHECK_RUN(silence_does_not_count_as_absence_at_once);
  CHECK_RUN(a_stop_answers_waiting_queries);
  kafka_parts_close();
  return check_end();
}
