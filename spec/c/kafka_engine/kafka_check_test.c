/* for: kafka_check.c, kafka_places.c
 *
 * Whether the topics and partitions that an operation names exist. The test supplies the topics in
 * memory and the cluster's answers. */
#include "server/kafka_engine/cluster/kafka_check.h"

#include "check.h"
#include "common/clock.h"

/* The cluster has topics "a" to "d" with 1 to 4 partitions. */
static struct {
  const char *known;        /* the topics in memory */
  rd_kafka_resp_err_t code; /* the answer about any other */
  bool down;
  char asked[32], created[32]; /* names of topics */
  int64_t deadline;            /* of the last query */
} fake;

static int32_t partitions_of(struct uk_slice topic)
{
  return topic.data[0] - 'a' + 1;
}

int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  return strchr(fake.known, topic.data[0]) != NULL ? partitions_of(topic) : 0;
}

void uk_kafka_topics_ask(struct uk_kafka_topics *topics, struct uk_kafka_topic_query *query)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  fake.asked[strlen(fake.asked)] = query->topic.data[0];
  fake.deadline = query->query.deadline;
  query->query.code = fake.code;
  query->partitions = partitions_of(query->topic);
  query->query.then(&query->query);
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  if (fake.down)
    snprintf(detail, size, "the cluster is away");
  return fake.down ? UK_E_UNAVAILABLE : UK_OK;
}

/* The topic exists from then on. */
static void create(void *context, struct uk_kafka_check *check, struct uk_slice topic)
{
  CHECK(context == &fake);
  fake.created[strlen(fake.created)] = topic.data[0];
  fake.code = RD_KAFKA_RESP_ERR_NO_ERROR;
  uk_kafka_check_created(check);
}

static int thens;

static void then(struct uk_kafka_check *check)
{
  (void)check;
  thens++;
}

static void begin(const char *known, rd_kafka_resp_err_t code)
{
  memset(&fake, 0, sizeof fake);
  thens = 0;
  fake.known = known;
  fake.code = code;
}

static const struct uk_topic_partition_offset offsets[] = {
  {{"a", 1}, 0, 7}, {{"c", 1}, 2, 7}, {{"c", 1}, 1, 7}, {{"b", 1}, -1, 7}};

static void run(struct uk_kafka_check *check, struct uk_operation *operation)
{
  check->operation = operation;
  check->then = then;
  operation->error = UK_E_INTERNAL;
  strcpy(operation->message, "of an earlier request");
  uk_kafka_topics_check((struct uk_kafka_topics *)&fake, check);
  CHECK_EQ_INT(thens, 1);
}

static void known_topics_need_no_query(void)
{
  struct uk_operation operation = {0};
  struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(offsets, 4)};
  begin("abc", RD_KAFKA_RESP_ERR_UNKNOWN);
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_OK);
  CHECK_EQ_STR(operation.message, "");
  CHECK_EQ_STR(fake.asked, "");
  check.places = uk_kafka_places_of_offsets(offsets, 0);
  begin("", RD_KAFKA_RESP_ERR_UNKNOWN);
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_OK);
}

static void unknown_topics_are_queried_in_order(void)
{
  static const struct {
    const char *known, *asked;
  } rows[] = {{"", "accb"}, {"a", "ccb"}, {"c", "ab"}, {"ac", "b"}, {"b", "acc"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_operation operation = {0};
    struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(offsets, 4)};
    begin(rows[i].known, RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&check, &operation);
    CHECK_EQ_INT(operation.error, UK_OK);
    CHECK_EQ_STR(fake.asked, rows[i].asked);
  }
}

static void partitions_exist_up_to_the_last(void)
{
  for (int32_t partition = -1; partition <= 3; partition++) {
    for (int known = 0; known < 2; known++) {
      const struct uk_topic_partition_offset at[] = {{{"a", 1}, 0, 0}, {{"b", 1}, partition, 0}};
      for (int shown = 0; shown < 2; shown++) {
        struct uk_operation operation = {0};
        struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(at, 2),
                                       .index_shown = shown};
        char wanted[100];
        begin(known ? "ab" : "a", RD_KAFKA_RESP_ERR_NO_ERROR);
        run(&check, &operation);
        snprintf(wanted, sizeof wanted, "%stopic \"b\" has no partition %d; it has 2",
                 shown ? "[1]: " : "", (int)partition);
        CHECK_EQ_INT(operation.error, partition < 2 ? UK_OK : UK_E_BAD_REQUEST);
        CHECK_EQ_STR(operation.message, partition < 2 ? "" : wanted);
        /* The cluster may have added partitions. */
        CHECK_EQ_STR(fake.asked, known && partition < 2 ? "" : "b");
      }
    }
  }
}

static void each_failure_has_its_text(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    bool down, changes;
    enum uk_error error;
    const char *message, *shown;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false, false, UK_E_NOT_FOUND,
     "topic \"c\" does not exist", "topic \"c\" does not exist"},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, true, true, UK_E_NOT_FOUND,
     "topic \"c\" does not exist", "topic \"c\" does not exist"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false, false, UK_E_FORBIDDEN,
     "the Kafka cluster does not permit topic \"c\"",
     "[1]: the Kafka cluster does not permit topic \"c\""},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, false, false, UK_E_GATEWAY_TIMEOUT,
     "topic \"c\": the Kafka cluster did not answer in time",
     "[1]: topic \"c\": the Kafka cluster did not answer in time"},
    /* An operation that changes something was not executed. */
    {RD_KAFKA_RESP_ERR__TIMED_OUT, false, true, UK_E_UNAVAILABLE,
     "topic \"c\": the Kafka cluster did not answer in time",
     "[1]: topic \"c\": the Kafka cluster did not answer in time"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, true, false, UK_E_UNAVAILABLE, "the cluster is away",
     "the cluster is away"},
    {RD_KAFKA_RESP_ERR__TRANSPORT, true, true, UK_E_UNAVAILABLE, "the cluster is away",
     "the cluster is away"},
  };
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
    bool shown = i % 2 == 1;
    struct uk_operation operation = {0};
    struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(offsets, 4),
                                   .index_shown = shown,
                                   .changes = rows[i / 2].changes};
    begin("ab", rows[i / 2].code);
    fake.down = rows[i / 2].down;
    run(&check, &operation);
    CHECK_EQ_INT(operation.error, rows[i / 2].error);
    CHECK_EQ_STR(operation.message, shown ? rows[i / 2].shown : rows[i / 2].message);
    CHECK_EQ_STR(fake.asked, "c"); /* and nothing after it */
  }
}

/* The topics in memory do not help then. */
static void known_topics_are_refused_while_the_cluster_is_down(void)
{
  struct uk_operation operation = {0};
  struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(offsets, 4)};
  begin("abc", RD_KAFKA_RESP_ERR_UNKNOWN);
  fake.down = true;
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(operation.message, "the cluster is away");
}

static void a_query_has_at_least_a_second(void)
{
  static const struct {
    int64_t left, least, most;
  } rows[] = {{-5000, 1000, 61000}, {0, 1000, 61000}, {999, 1000, 61000}, {500000, 500000, 500000}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int64_t now = uk_clock_monotonic();
    struct uk_operation operation = {.deadline = now + rows[i].left};
    struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(offsets, 1)};
    begin("", RD_KAFKA_RESP_ERR_NO_ERROR);
    run(&check, &operation);
    CHECK(fake.deadline >= now + rows[i].least && fake.deadline <= now + rows[i].most);
  }
}

static void missing_topics_are_created_if_permitted(void)
{
  static const struct uk_slice topics[] = {{"b", 1}, {"d", 1}};
  struct uk_operation operation = {0};
  struct uk_kafka_check check = {
    .places = uk_kafka_places_of_topics(topics, 2), .create = create, .create_context = &fake};
  begin("b", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_OK);
  CHECK_EQ_STR(fake.created, "d");
  begin("b", RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_E_FORBIDDEN);
  CHECK_EQ_STR(fake.created, "");
}

/* New topics have two partitions. `create` gives "d" all its own. */
static void a_request_that_is_refused_creates_nothing(void)
{
  static const struct {
    struct uk_topic_partition_offset at[3];
    const char *known, *message, *created, *asked;
  } rows[] = {
    {{{{"d", 1}, 1, 0}, {{"d", 1}, -1, 0}, {{"d", 1}, 0, 0}}, "", "", "d", "dddd"},
    {{{{"d", 1}, 3, 0}, {{"d", 1}, -1, 0}, {{"d", 1}, 0, 0}},
     "",
     "[0]: topic \"d\" does not exist, and a new topic has no partition 3; it has 2",
     "",
     "d"},
    {{{{"c", 1}, 0, 0}, {{"d", 1}, -1, 0}, {{"d", 1}, 2, 0}},
     "c",
     "[2]: topic \"d\" does not exist, and a new topic has no partition 2; it has 2",
     "",
     "d"},
    /* A topic that exists may have more partitions, or too few. */
    {{{{"c", 1}, 2, 0}, {{"d", 1}, 1, 0}, {{"d", 1}, 0, 0}}, "c", "", "d", "ddd"},
    {{{{"d", 1}, 1, 0}, {{"d", 1}, 0, 0}, {{"b", 1}, 2, 0}},
     "bc",
     "[2]: topic \"b\" does not exist, and a new topic has no partition 2; it has 2",
     "",
     "b"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_operation operation = {0};
    struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(rows[i].at, 3),
                                   .index_shown = true,
                                   .create = create,
                                   .create_context = &fake,
                                   .new_partitions = 2};
    begin(rows[i].known, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    run(&check, &operation);
    CHECK_EQ_INT(operation.error, rows[i].message[0] == '\0' ? UK_OK : UK_E_BAD_REQUEST);
    CHECK_EQ_STR(operation.message, rows[i].message);
    CHECK_EQ_STR(fake.created, rows[i].created);
    CHECK_EQ_STR(fake.asked, rows[i].asked);
  }
}

/* Without permission to create, a topic that is missing is just that. */
static void a_partition_of_a_missing_topic_is_no_matter(void)
{
  static const struct uk_topic_partition_offset at[] = {{{"d", 1}, 0, 0}, {{"b", 1}, 9, 0}};
  struct uk_operation operation = {0};
  struct uk_kafka_check check = {.places = uk_kafka_places_of_offsets(at, 2), .new_partitions = 2};
  begin("", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_E_NOT_FOUND);
  CHECK_EQ_STR(operation.message, "topic \"d\" does not exist");
}

static void a_new_topic_may_have_any_number_of_partitions(void)
{
  static const struct uk_topic_partition_offset at[] = {{{"d", 1}, 3, 0}};
  struct uk_operation operation = {0};
  struct uk_kafka_check check = {
    .places = uk_kafka_places_of_offsets(at, 1), .create = create, .create_context = &fake};
  begin("", RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  run(&check, &operation);
  CHECK_EQ_INT(operation.error, UK_OK);
  CHECK_EQ_STR(fake.created, "d");
}

static void places_are_read_from_each_kind_of_array(void)
{
  static const struct uk_slice topics[] = {{"x", 1}, {"yy", 2}};
  static const struct uk_record records[] = {{.topic = {"r", 1}, .partition = 5, .offset = 9},
                                             {.topic = {"ss", 2}, .partition = -1}};
  const struct {
    struct uk_kafka_places places;
    const char *topics[2];
    int32_t partitions[2];
  } rows[] = {
    {uk_kafka_places_of_offsets(offsets, 2), {"a", "c"}, {0, 2}},
    {uk_kafka_places_of_records(records, 2), {"r", "ss"}, {5, -1}},
    {uk_kafka_places_of_topics(topics, 2), {"x", "yy"}, {-1, -1}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_EQ_INT(rows[i].places.count, 2);
    for (size_t j = 0; j < 2; j++) {
      CHECK_EQ_SLICE(uk_kafka_places_topic(&rows[i].places, j), rows[i].topics[j]);
      CHECK_EQ_INT(uk_kafka_places_partition(&rows[i].places, j), rows[i].partitions[j]);
    }
  }
}

int main(void)
{
  CHECK_RUN(known_topics_need_no_query);
  CHECK_RUN(unknown_topics_are_queried_in_order);
  CHECK_RUN(partitions_exist_up_to_the_last);
  CHECK_RUN(each_failure_has_its_text);
  CHECK_RUN(known_topics_are_refused_while_the_cluster_is_down);
  CHECK_RUN(a_query_has_at_least_a_second);
  CHECK_RUN(missing_topics_are_created_if_permitted);
  check_run("D7: a request that is refused creates nothing",
            a_request_that_is_refused_creates_nothing);
  CHECK_RUN(a_partition_of_a_missing_topic_is_no_matter);
  CHECK_RUN(a_new_topic_may_have_any_number_of_partitions);
  CHECK_RUN(places_are_read_from_each_kind_of_array);
  return check_end();
}
