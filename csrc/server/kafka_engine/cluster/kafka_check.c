#include "server/kafka_engine/cluster/kafka_check.h"

#include <stdio.h>

#include "common/clock.h"

enum { GRACE = 1000 }; /* milliseconds */

static void report_missing(struct uk_kafka_check *check, struct uk_slice topic, enum uk_error error)
{
  struct uk_operation *operation = check->operation;
  char text[UK_KAFKA_PLACE_SIZE], where[24] = "", detail[UK_MESSAGE_SIZE] = "";
  if (check->index_shown)
    snprintf(where, sizeof where, "[%zu]: ", check->index);
  uk_kafka_place(text, sizeof text, topic, -1);
  if (error == UK_E_NOT_FOUND)
    uk_operation_fail(operation, error, UK_NO_TOPIC, (int)topic.length, topic.data);
  else if (error == UK_E_FORBIDDEN)
    uk_operation_fail(operation, error, "%sthe Kafka cluster does not permit %s", where, text);
  else if (uk_kafka_topics_health(check->topics, detail, sizeof detail) != UK_OK)
    uk_operation_fail(operation, UK_E_UNAVAILABLE, "%s", detail);
  else
    uk_operation_fail(operation, error, "%s%s: the Kafka cluster did not answer in time", where,
                      text);
}

/* `new` is what the text says of a topic that does not exist, or "". */
static void report_no_partition(struct uk_kafka_check *check, struct uk_slice topic,
                                const char *new, int32_t partition, int32_t partitions)
{
  char where[24] = "";
  if (check->index_shown)
    snprintf(where, sizeof where, "[%zu]: ", check->index);
  uk_operation_fail(check->operation, UK_E_BAD_REQUEST,
                    "%stopic \"%.*s\" %shas no partition %d; it has %d", where, (int)topic.length,
                    topic.data, new, (int)partition, (int)partitions);
}

/* Checking. */

static struct uk_slice topic_of(const struct uk_kafka_check *check)
{
  return uk_kafka_places_topic(&check->places, check->index);
}

static int32_t partition_of(const struct uk_kafka_check *check)
{
  return uk_kafka_places_partition(&check->places, check->index);
}

struct topic {
  struct uk_slice name;
  int32_t partitions;
};

/* Most items name the topic of the item before. */
static bool is_known(struct uk_kafka_check *check, struct topic *topic)
{
  struct uk_slice name = topic_of(check);
  if (!uk_slice_equal(name, topic->name))
    *topic = (struct topic){name, uk_kafka_topics_partitions(check->topics, name)};
  return topic->partitions > 0 && partition_of(check) < topic->partitions;
}

static bool passes(struct uk_kafka_check *check, struct topic *topic)
{
  return (check->creates_nothing && partition_of(check) < check->new_partitions) ||
         is_known(check, topic);
}

static void go_on(struct uk_kafka_check *check);

/* The topic at `index` does not exist. */
static void create_topic(struct uk_kafka_check *check, struct uk_slice topic)
{
  if (!check->creates_nothing) {
    check->create(check->create_context, check, topic);
    return;
  }
  report_no_partition(check, topic, "does not exist, and a new topic ", partition_of(check),
                      check->new_partitions);
  go_on(check);
}

/* The cluster has answered for the item at `index`. */
static void answered(struct uk_kafka_query *query)
{
  struct uk_kafka_check *check =
    (struct uk_kafka_check *)((char *)query - offsetof(struct uk_kafka_check, query));
  enum uk_error error = uk_kafka_error(query->code);
  struct uk_slice topic = topic_of(check);
  int32_t partition = partition_of(check);
  if (error == UK_E_NOT_FOUND && check->create != NULL) {
    create_topic(check, topic);
    return;
  }
  if (error != UK_OK)
    report_missing(check, topic, error);
  else if (partition >= check->query.partitions)
    report_no_partition(check, topic, "", partition, check->query.partitions);
  else
    check->index++;
  go_on(check);
}

/* While the cluster is away, topics in memory do not help. */
static void finish(struct uk_kafka_check *check)
{
  char detail[UK_MESSAGE_SIZE];
  if (check->operation->error == UK_OK &&
      uk_kafka_topics_health(check->topics, detail, sizeof detail) != UK_OK)
    uk_operation_fail(check->operation, UK_E_UNAVAILABLE, "%s", detail);
  if (check->changes && check->operation->error == UK_E_GATEWAY_TIMEOUT)
    check->operation->error = UK_E_UNAVAILABLE;
  check->then(check);
}

/* Passes what needs no query. */
static void pass(struct uk_kafka_check *check, struct topic *topic)
{
  while (check->operation->error == UK_OK && check->index < check->places.count &&
         passes(check, topic))
    check->index++;
}

static void go_on(struct uk_kafka_check *check)
{
  struct topic topic = {0};
  pass(check, &topic);
  if (check->creates_nothing && check->index == check->places.count) {
    check->creates_nothing = false;
    check->index = 0;
    pass(check, &topic);
  }
  if (check->operation->error != UK_OK || check->index == check->places.count) {
    finish(check);
    return;
  }
  int64_t soonest = uk_clock_monotonic() + GRACE;
  int64_t deadline = check->operation->deadline;
  check->query = (struct uk_kafka_topic_query){
    .query = {.deadline = deadline > soonest ? deadline : soonest, .then = answered},
    .topic = topic.name};
  uk_kafka_topics_ask(check->topics, &check->query);
}

void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check)
{
  check->topics = topics;
  check->index = 0;
  check->creates_nothing = check->create != NULL && check->new_partitions > 0;
  check->operation->error = UK_OK;
  check->operation->message[0] = '\0';
  go_on(check);
}

void uk_kafka_check_created(struct uk_kafka_check *check)
{
  go_on(check);
}
