/* for: kafka_admin.c, kafka_admin_topics.c
 *
 * Creating and deleting topics in a cluster that carries the requests out. librdkafka's mock
 * cluster does not, so the test fakes librdkafka's admin requests, the list of topics and the
 * clock. */
#include "server/kafka_engine/cluster/kafka_admin_private.h"

#include <stdlib.h>

#include "call_log.h"
#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum {
  NOW = 1000000,
  TIMEOUT = 5000, /* of each operation, in milliseconds */
  PAUSE = 50,     /* until the cluster is asked again about a topic */
  PARTITIONS = 3  /* of a topic that is created without a number */
};

/* What the cluster answers to a request. */
struct reply {
  struct reply *next; /* in the queue */
  void *opaque;
  rd_kafka_resp_err_t code, topic_code;
  const char *text, *topic_text;
  size_t count; /* of results */
  const char *retention_ms, *retention_bytes;
};

static struct {
  struct uk_kafka_executor *executor; /* without threads */
  struct uk_kafka_admin *admin;
  int64_t now;
  bool down;
  char log[600]; /* the requests, in order */
  void *opaque;  /* of the request that is not answered yet */
  int request_timeout, operation_timeout;
  struct reply *reply; /* the first in the queue */
  int queues;          /* that are open */
  int live;            /* objects of librdkafka that were not destroyed */
  void (*wake)(rd_kafka_t *handle, void *opaque);
  void *waked;
  struct uk_kafka_topic_query *query; /* not answered yet */
  struct uk_kafka_topic_query *other; /* the same, of another call */
  int64_t query_deadline;
  char forgotten[100];
  int dones;
  struct uk_kafka_check *checked;
} fake;

#define note(...) call_log_add(fake.log, sizeof fake.log, __VA_ARGS__)

#define CHECK_ASKED(wanted)                                                                        \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

/* Fakes: the clock and the topics. */

int64_t uk_clock_monotonic(void)
{
  return fake.now;
}

int64_t uk_clock_epoch(void)
{
  return fake.now;
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  if (fake.down)
    snprintf(detail, size, "the cluster is away");
  return fake.down ? UK_E_UNAVAILABLE : UK_OK;
}

void uk_kafka_topics_ask(struct uk_kafka_topics *topics, struct uk_kafka_topic_query *query)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  CHECK(fake.other == NULL);
  fake.other = fake.query;
  note("look %.*s; ", (int)query->topic.length, query->topic.data);
  fake.query = query;
  fake.query_deadline = query->query.deadline;
}

void uk_kafka_check_created(struct uk_kafka_check *check)
{
  fake.checked = check;
}

/* Fakes: the queue. */

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *handle)
{
  fake.live++;
  fake.queues++;
  return (rd_kafka_queue_t *)handle;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  fake.live--;
  fake.queues--;
}

void rd_kafka_queue_cb_event_enable(rd_kafka_queue_t *queue,
                                    void (*wake)(rd_kafka_t *handle, void *opaque), void *opaque)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  fake.wake = wake;
  fake.waked = opaque;
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout)
{
  struct reply *reply = fake.reply;
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK_EQ_INT(timeout, 0);
  CHECK_EQ_INT(fake.queues, 1);
  fake.reply = reply != NULL ? reply->next : NULL;
  fake.live += reply != NULL;
  return (rd_kafka_event_t *)reply;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event)
{
  (void)event;
  fake.live--;
}

void *rd_kafka_event_opaque(rd_kafka_event_t *event)
{
  return ((struct reply *)event)->opaque;
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event)
{
  return ((struct reply *)event)->code;
}

const char *rd_kafka_event_error_string(rd_kafka_event_t *event)
{
  return ((struct reply *)event)->text;
}

/* Fakes: requests. */

static struct request {
  char text[300];
  int request_timeout, operation_timeout;
  void *opaque;
} request;

rd_kafka_AdminOptions_t *rd_kafka_AdminOptions_new(rd_kafka_t *handle, rd_kafka_admin_op_t kind)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  note("[%s] ", kind == RD_KAFKA_ADMIN_OP_CREATETOPICS      ? "create"
                : kind == RD_KAFKA_ADMIN_OP_DELETETOPICS    ? "delete"
                : kind == RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS ? "describe"
                                                            : "?");
  fake.live++;
  return (rd_kafka_AdminOptions_t *)&request;
}

rd_kafka_resp_err_t rd_kafka_AdminOptions_set_request_timeout(rd_kafka_AdminOptions_t *options,
                                                              int timeout, char *text, size_t size)
{
  (void)text;
  (void)size;
  ((struct request *)options)->request_timeout = timeout;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_AdminOptions_set_operation_timeout(rd_kafka_AdminOptions_t *options,
                                                                int timeout, char *text,
                                                                size_t size)
{
  (void)text;
  (void)size;
  ((struct request *)options)->operation_timeout = timeout;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_AdminOptions_set_opaque(rd_kafka_AdminOptions_t *options, void *opaque)
{
  ((struct request *)options)->opaque = opaque;
}

void rd_kafka_AdminOptions_destroy(rd_kafka_AdminOptions_t *options)
{
  (void)options;
  fake.live--;
}

static void submit(const char *kind, const rd_kafka_AdminOptions_t *options)
{
  const struct request *sent = (const struct request *)options;
  note("%s %s; ", kind, sent->text);
  fake.opaque = sent->opaque;
  fake.request_timeout = sent->request_timeout;
  fake.operation_timeout = sent->operation_timeout;
}

rd_kafka_NewTopic_t *rd_kafka_NewTopic_new(const char *topic, int partitions, int replicas,
                                           char *text, size_t size)
{
  CHECK_EQ_INT(replicas, -1);
  if (partitions == 0) {
    snprintf(text, size, "no partitions");
    return NULL;
  }
  snprintf(request.text, sizeof request.text, "%s:%d", topic, partitions);
  fake.live++;
  return (rd_kafka_NewTopic_t *)&request;
}

rd_kafka_resp_err_t rd_kafka_NewTopic_set_config(rd_kafka_NewTopic_t *topic, const char *name,
                                                 const char *value)
{
  struct request *sent = (struct request *)topic;
  size_t length = strlen(sent->text);
  snprintf(sent->text + length, sizeof sent->text - length, " %s=%s", name, value);
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_NewTopic_destroy(rd_kafka_NewTopic_t *topic)
{
  (void)topic;
  fake.live--;
}

void rd_kafka_CreateTopics(rd_kafka_t *handle, rd_kafka_NewTopic_t **topics, size_t count,
                           const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK(count == 1 && topics[0] == (rd_kafka_NewTopic_t *)&request);
  submit("create", options);
}

rd_kafka_DeleteTopic_t *rd_kafka_DeleteTopic_new(const char *topic)
{
  snprintf(request.text, sizeof request.text, "%s", topic);
  fake.live++;
  return (rd_kafka_DeleteTopic_t *)&request;
}

void rd_kafka_DeleteTopic_destroy(rd_kafka_DeleteTopic_t *topic)
{
  (void)topic;
  fake.live--;
}

void rd_kafka_DeleteTopics(rd_kafka_t *handle, rd_kafka_DeleteTopic_t **topics, size_t count,
                           const rd_kafka_AdminOptions_t *options, rd_kafka_queue_t *queue)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK(count == 1 && topics[0] == (rd_kafka_DeleteTopic_t *)&request);
  submit("delete", options);
}

rd_kafka_ConfigResource_t *rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t type,
                                                       const char *name)
{
  CHECK_EQ_INT(type, RD_KAFKA_RESOURCE_TOPIC);
  snprintf(request.text, sizeof request.text, "%s", name);
  fake.live++;
  return (rd_kafka_ConfigResource_t *)&request;
}

void rd_kafka_ConfigResource_destroy(rd_kafka_ConfigResource_t *resource)
{
  (void)resource;
  fake.live--;
}

void rd_kafka_DescribeConfigs(rd_kafka_t *handle, rd_kafka_ConfigResource_t **resources,
                              size_t count, const rd_kafka_AdminOptions_t *options,
                              rd_kafka_queue_t *queue)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK(count == 1 && resources[0] == (rd_kafka_ConfigResource_t *)&request);
  submit("describe", options);
}

/* Fakes: answers. An event is the result, its topic and its resource too. */

static bool is_creating; /* the event answers a creation, else a deletion */

const rd_kafka_CreateTopics_result_t *rd_kafka_event_CreateTopics_result(rd_kafka_event_t *event)
{
  return is_creating ? (const rd_kafka_CreateTopics_result_t *)event : NULL;
}

const rd_kafka_DeleteTopics_result_t *rd_kafka_event_DeleteTopics_result(rd_kafka_event_t *event)
{
  return is_creating ? NULL : (const rd_kafka_DeleteTopics_result_t *)event;
}

static const void *results[2];

static const void **results_of(const void *result, size_t *count)
{
  *count = ((const struct reply *)result)->count;
  results[0] = results[1] = result;
  return results;
}

const rd_kafka_topic_result_t **
rd_kafka_CreateTopics_result_topics(const rd_kafka_CreateTopics_result_t *result, size_t *count)
{
  return (const rd_kafka_topic_result_t **)results_of(result, count);
}

const rd_kafka_topic_result_t **
rd_kafka_DeleteTopics_result_topics(const rd_kafka_DeleteTopics_result_t *result, size_t *count)
{
  return (const rd_kafka_topic_result_t **)results_of(result, count);
}

rd_kafka_resp_err_t rd_kafka_topic_result_error(const rd_kafka_topic_result_t *result)
{
  return ((const struct reply *)result)->topic_code;
}

const char *rd_kafka_topic_result_error_string(const rd_kafka_topic_result_t *result)
{
  return ((const struct reply *)result)->topic_text;
}

const rd_kafka_DescribeConfigs_result_t *
rd_kafka_event_DescribeConfigs_result(rd_kafka_event_t *event)
{
  return (const rd_kafka_DescribeConfigs_result_t *)event;
}

const rd_kafka_ConfigResource_t **
rd_kafka_DescribeConfigs_result_resources(const rd_kafka_DescribeConfigs_result_t *result,
                                          size_t *count)
{
  return (const rd_kafka_ConfigResource_t **)results_of(result, count);
}

rd_kafka_resp_err_t rd_kafka_ConfigResource_error(const rd_kafka_ConfigResource_t *resource)
{
  return ((const struct reply *)resource)->topic_code;
}

const char *rd_kafka_ConfigResource_error_string(const rd_kafka_ConfigResource_t *resource)
{
  return ((const struct reply *)resource)->topic_text;
}

struct entry {
  const char *name, *value;
};
enum { ENTRIES = 5 };
static struct entry entries[ENTRIES];
static const rd_kafka_ConfigEntry_t *entry_list[ENTRIES];

const rd_kafka_ConfigEntry_t **
rd_kafka_ConfigResource_configs(const rd_kafka_ConfigResource_t *resource, size_t *count)
{
  const struct reply *reply = (const struct reply *)resource;
  entries[0] = (struct entry){"cleanup.policy", "delete"};
  entries[1] = (struct entry){"retention.bytes", reply->retention_bytes};
  entries[2] = (struct entry){"segment.ms", "77"};
  entries[3] = (struct entry){"retention.ms", reply->retention_ms};
  entries[4] = (struct entry){"max.message.bytes", "1048588"};
  for (size_t i = 0; i < ENTRIES; i++)
    entry_list[i] = (const rd_kafka_ConfigEntry_t *)&entries[i];
  *count = ENTRIES;
  return entry_list;
}

const char *rd_kafka_ConfigEntry_name(const rd_kafka_ConfigEntry_t *entry)
{
  return ((const struct entry *)entry)->name;
}

const char *rd_kafka_ConfigEntry_value(const rd_kafka_ConfigEntry_t *entry)
{
  return ((const struct entry *)entry)->value;
}

/* Steps of a test. */

static void forget(void *context, struct uk_slice topic)
{
  CHECK(context == &fake.down);
  size_t length = strlen(fake.forgotten);
  snprintf(fake.forgotten + length, sizeof fake.forgotten - length, "%.*s ", (int)topic.length,
           topic.data);
}

static void done(struct uk_operation *operation)
{
  (void)operation;
  fake.dones++;
}

static void run_at(int64_t now)
{
  fake.now = now;
  uk_kafka_executor_run(fake.executor, now);
}

/* The cluster answers the request. */
static void answer(struct reply reply)
{
  reply.opaque = fake.opaque;
  fake.opaque = NULL;
  fake.reply = &reply;
  fake.wake(NULL, fake.waked);
  run_at(fake.now);
  CHECK(fake.reply == NULL);
}

static void agree(void)
{
  answer((struct reply){.count = 1});
}

static void refuse(rd_kafka_resp_err_t code, const char *text)
{
  answer((struct reply){.count = 1, .topic_code = code, .topic_text = text});
}

/* The cluster says what it knows of the topic. */
static void show(rd_kafka_resp_err_t code, int32_t partitions)
{
  struct uk_kafka_topic_query *query = fake.query;
  REQUIRE(query != NULL);
  fake.query = NULL;
  query->query.code = code;
  query->partitions = partitions;
  query->query.then(&query->query);
}

static struct uk_create_topic create;
static struct uk_delete_topic deletion;

static void start_create(int32_t partitions)
{
  is_creating = true;
  create.topic = uk_slice_text("t");
  create.partitions = partitions;
  create.operation = (struct uk_operation){.done = done, .deadline = fake.now + TIMEOUT};
  uk_kafka_admin_create_topic(fake.admin, &create);
}

static void start_delete(void)
{
  is_creating = false;
  deletion = (struct uk_delete_topic){.operation = {.done = done, .deadline = fake.now + TIMEOUT},
                                      .topic = uk_slice_text("t")};
  uk_kafka_admin_delete_topic(fake.admin, &deletion);
}

static void check_done(const struct uk_operation *operation, enum uk_error error,
                       const char *message)
{
  CHECK_EQ_INT(fake.dones, 1);
  CHECK_EQ_INT(operation->error, error);
  CHECK_EQ_STR(operation->message, message);
  fake.dones = 0;
}

/* Creating. */

static void a_topic_is_created_and_waited_for(void)
{
  start_create(5);
  CHECK_ASKED("[create] create t:5; ");
  CHECK_EQ_INT(fake.request_timeout, TIMEOUT);
  CHECK_EQ_INT(fake.operation_timeout, TIMEOUT);
  CHECK_EQ_STR(fake.forgotten, "");
  agree();
  CHECK_ASKED("look t; ");
  CHECK_EQ_STR(fake.forgotten, "t ");
  CHECK_EQ_INT(fake.query_deadline, NOW + TIMEOUT);
  CHECK_EQ_INT(fake.dones, 0);
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 5);
  check_done(&create.operation, UK_OK, "");
  CHECK(create.created);
  CHECK_EQ_INT(create.partitions, 5);
  CHECK_ASKED("");
}

static void what_was_not_requested_is_the_default(void)
{
  start_create(-1);
  CHECK_ASKED("[create] create t:3; ");
  agree();
  show(RD_KAFKA_RESP_ERR_NO_ERROR, PARTITIONS);
  check_done(&create.operation, UK_OK, "");
  CHECK_EQ_INT(create.partitions, PARTITIONS);
  fake.log[0] = '\0';
  create.has_retention_ms = true;
  create.retention_ms = 60000;
  start_create(1);
  CHECK_ASKED("[create] create t:1 retention.ms=60000; ");
  agree();
  CHECK_ASKED("look t; ");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 1);
  CHECK_ASKED(""); /* a topic that was created just now is not compared */
  check_done(&create.operation, UK_OK, "");
  create.has_retention_bytes = true;
  create.retention_bytes = -1;
  fake.log[0] = '\0';
  start_create(1);
  CHECK_ASKED("[create] create t:1 retention.ms=60000 retention.bytes=-1; ");
  refuse(RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "no");
  create.has_retention_ms = false;
  create.retention_bytes = 1 << 20;
  fake.log[0] = '\0';
  start_create(1);
  CHECK_ASKED("[create] create t:1 retention.bytes=1048576; ");
  refuse(RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "no");
}

/* The cluster shows a new topic later than it accepts it. */
static void the_cluster_is_asked_again_until_it_shows_the_topic(void)
{
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
                                              RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE};
  start_create(2);
  agree();
  fake.log[0] = '\0';
  for (size_t i = 0; i < 2; i++) {
    show(codes[i], 0);
    run_at(fake.now);
    CHECK_ASKED("");
    run_at(fake.now + PAUSE - 1);
    CHECK_ASKED("");
    run_at(fake.now + 1);
    CHECK_ASKED("look t; ");
    CHECK_EQ_INT(fake.query_deadline, NOW + TIMEOUT);
  }
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 2);
  check_done(&create.operation, UK_OK, "");
  CHECK(create.created);
}

/* It was created, so another request might find it: the text says so. */
static void the_wait_ends_with_the_deadline(void)
{
  start_create(2);
  agree();
  fake.now = NOW + TIMEOUT - PAUSE - 1;
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  CHECK_EQ_INT(fake.dones, 0);
  fake.log[0] = '\0';
  run_at(NOW + TIMEOUT - 1);
  CHECK_ASKED("look t; ");
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  check_done(&create.operation, UK_E_GATEWAY_TIMEOUT,
             "topic \"t\": the cluster did not show the new topic in time; it " UK_MAY_BE_DONE);
  start_create(2);
  agree();
  fake.now = create.operation.deadline - PAUSE;
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  CHECK_EQ_INT(fake.dones, 1); /* no time is left for another look */
}

static void a_topic_that_exists_is_compared(void)
{
  create.has_retention_ms = create.has_retention_bytes = false;
  start_create(5);
  refuse(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "exists");
  CHECK_EQ_STR(fake.forgotten, "t ");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 5);
  check_done(&create.operation, UK_OK, "");
  CHECK(!create.created);
  CHECK_EQ_INT(create.partitions, 5);
  start_create(5);
  refuse(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "exists");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 4);
  check_done(&create.operation, UK_E_CONFLICT, "topic \"t\" exists with partitions 4, not 5");
  start_create(-1);
  refuse(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "exists");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 8);
  check_done(&create.operation, UK_OK, "");
  CHECK_EQ_INT(create.partitions, 8);
}

/* How long an existing topic keeps its records is asked for only when the request names it. */
static void how_long_it_keeps_records_is_compared(void)
{
  static const struct {
    bool has_ms, has_bytes;
    int64_t ms, bytes;
    const char *message;
  } rows[] = {
    {true, true, 1000, 2000, ""},
    {true, false, 1000, 9, ""},
    {false, true, 9, 2000, ""},
    {true, false, 1001, 2000, "topic \"t\" exists with retention_ms 1000, not 1001"},
    {false, true, 1000, 2001, "topic \"t\" exists with retention_bytes 2000, not 2001"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    create.has_retention_ms = rows[i].has_ms;
    create.has_retention_bytes = rows[i].has_bytes;
    create.retention_ms = rows[i].ms;
    create.retention_bytes = rows[i].bytes;
    start_create(-1);
    refuse(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "exists");
    fake.log[0] = '\0';
    show(RD_KAFKA_RESP_ERR_NO_ERROR, 2);
    CHECK_ASKED("[describe] describe t; ");
    CHECK_EQ_INT(fake.dones, 0);
    answer((struct reply){.count = 1, .retention_ms = "1000", .retention_bytes = "2000"});
    check_done(&create.operation, rows[i].message[0] == '\0' ? UK_OK : UK_E_CONFLICT,
               rows[i].message);
    CHECK(!create.created);
    CHECK_EQ_INT(create.partitions, 2);
  }
}

static void start_comparison(void)
{
  create.has_retention_ms = true;
  create.retention_ms = 5;
  start_create(-1);
  refuse(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "exists");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 2);
}

static void what_cannot_be_compared_is_a_failure(void)
{
  static const char silent[] = "topic \"t\": the cluster does not report how long it keeps records";
  static const struct {
    struct reply reply;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {{.code = RD_KAFKA_RESP_ERR__TIMED_OUT, .text = "late"},
     UK_E_GATEWAY_TIMEOUT,
     "topic \"t\": late"},
    {{.count = 1,
      .topic_code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
      .topic_text = "secret"},
     UK_E_FORBIDDEN,
     "topic \"t\": secret"},
    {{.count = 1, .topic_code = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED},
     UK_E_FORBIDDEN,
     "topic \"t\": Broker: Topic authorization failed"},
    {{.count = 0}, UK_E_INTERNAL, silent},
    {{.count = 1, .retention_ms = "1"}, UK_E_INTERNAL, silent},
    {{.count = 1, .retention_ms = "1", .retention_bytes = "many"}, UK_E_INTERNAL, silent},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    start_comparison();
    answer(rows[i].reply);
    check_done(&create.operation, rows[i].error, rows[i].message);
    CHECK(!create.created);
  }
}

static void each_refusal_of_a_creation_has_its_error(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, UK_E_BAD_REQUEST, "topic \"t\": why"},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, UK_E_FORBIDDEN, "topic \"t\": why"},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, UK_E_UNAVAILABLE, "topic \"t\": why"},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, UK_E_GATEWAY_TIMEOUT,
     "topic \"t\": why; it " UK_MAY_BE_DONE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    start_create(2);
    refuse(rows[i].code, "why");
    check_done(&create.operation, rows[i].error, rows[i].message);
    CHECK(!create.created);
    CHECK(fake.query == NULL);
    CHECK_EQ_STR(fake.forgotten, "");
  }
  start_create(2);
  answer((struct reply){.code = RD_KAFKA_RESP_ERR__TRANSPORT, .text = "cut", .count = 1});
  check_done(&create.operation, UK_E_GATEWAY_TIMEOUT, "topic \"t\": cut; it " UK_MAY_BE_DONE);
  start_create(2);
  answer((struct reply){.text = "none"}); /* an answer about no topic */
  check_done(&create.operation, UK_E_INTERNAL, "topic \"t\": none");
  start_create(0);
  check_done(&create.operation, UK_E_BAD_REQUEST, "topic \"t\": no partitions");
}

/* Creating for an operation that needs the topic. */

static struct uk_operation needing;
static struct uk_kafka_check check = {.operation = &needing};

static void start_missing(int64_t deadline)
{
  is_creating = true;
  needing = (struct uk_operation){.deadline = deadline};
  fake.checked = NULL;
  uk_kafka_admin_create_missing(fake.admin, &check, uk_slice_text("t"));
}

static void a_missing_topic_gets_the_default(void)
{
  start_missing(NOW);
  CHECK_ASKED("[create] create t:3; ");
  CHECK_EQ_INT(fake.request_timeout, 10000); /* the operation itself may have no time left */
  agree();
  CHECK_EQ_INT(fake.query_deadline, NOW + 10000);
  CHECK(fake.checked == NULL);
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK(fake.checked == &check);
  CHECK_EQ_INT(needing.error, UK_OK);
  start_missing(NOW + 60000);
  CHECK_EQ_INT(fake.request_timeout, 60000);
  refuse(RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, "exists"); /* somebody else was faster */
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 1);
  CHECK(fake.checked == &check);
  CHECK_EQ_INT(needing.error, UK_OK);
}

/* Whatever became of the topic, the operation that needs it was not carried out. */
static void a_missing_topic_that_is_not_created_in_time_is_unavailable(void)
{
  start_missing(NOW);
  refuse(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, "late");
  CHECK(fake.checked == &check);
  CHECK_EQ_INT(needing.error, UK_E_UNAVAILABLE);
  CHECK_EQ_STR(needing.message, "topic \"t\" could not be created in time");
  start_missing(NOW);
  refuse(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no");
  CHECK(fake.checked == &check);
  CHECK_EQ_INT(needing.error, UK_E_FORBIDDEN);
  CHECK_EQ_STR(needing.message, "topic \"t\": no");
}

/* Deleting. */

static void a_topic_is_deleted_and_waited_for(void)
{
  start_delete();
  CHECK_ASKED("[delete] delete t; ");
  CHECK_EQ_INT(fake.request_timeout, TIMEOUT);
  agree();
  CHECK_ASKED("look t; ");
  CHECK_EQ_STR(fake.forgotten, "t ");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 2); /* it is still there */
  CHECK_EQ_INT(fake.dones, 0);
  run_at(NOW + PAUSE);
  CHECK_ASKED("look t; ");
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  check_done(&deletion.operation, UK_OK, "");
  CHECK_EQ_STR(fake.forgotten, "t t "); /* again: a look may have remembered it */
}

/* A look that fails shows nothing: a deletion is reported only once the topic was seen to be
 * gone. */
static void a_failed_look_does_not_show_that_a_topic_is_gone(void)
{
  static const rd_kafka_resp_err_t codes[] = {
    RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR__TIMED_OUT,
    RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE};
  enum { CODES = sizeof codes / sizeof *codes };
  start_delete();
  agree();
  for (int i = 0; i < CODES; i++) {
    show(codes[i], 0);
    CHECK_EQ_INT(fake.dones, 0);
    run_at(fake.now + PAUSE);
  }
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  check_done(&deletion.operation, UK_OK, "");
  start_delete();
  agree();
  fake.now += TIMEOUT;
  show(RD_KAFKA_RESP_ERR__TRANSPORT, 0);
  check_done(
    &deletion.operation, UK_E_GATEWAY_TIMEOUT,
    "topic \"t\": the cluster did not show in time that the topic is gone; it " UK_MAY_BE_DONE);
}

static void a_deletion_that_does_not_show_may_be_done(void)
{
  start_delete();
  agree();
  fake.now = NOW + TIMEOUT;
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 2);
  check_done(
    &deletion.operation, UK_E_GATEWAY_TIMEOUT,
    "topic \"t\": the cluster did not show in time that the topic is gone; it " UK_MAY_BE_DONE);
}

static void each_refusal_of_a_deletion_has_its_error(void)
{
  start_delete();
  refuse(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, "unknown");
  check_done(&deletion.operation, UK_E_NOT_FOUND, "topic \"t\" does not exist");
  CHECK_EQ_STR(fake.forgotten, "t t "); /* whatever was remembered is wrong */
  start_delete();
  refuse(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "no");
  check_done(&deletion.operation, UK_E_FORBIDDEN, "topic \"t\": no");
  start_delete();
  answer((struct reply){.code = RD_KAFKA_RESP_ERR__TIMED_OUT, .text = "late"});
  check_done(&deletion.operation, UK_E_GATEWAY_TIMEOUT, "topic \"t\": late; it " UK_MAY_BE_DONE);
  CHECK(fake.query == NULL);
}

/* All. */

static void nothing_is_sent_while_the_cluster_is_away(void)
{
  fake.down = true;
  start_create(1);
  check_done(&create.operation, UK_E_UNAVAILABLE, "the cluster is away");
  start_delete();
  check_done(&deletion.operation, UK_E_UNAVAILABLE, "the cluster is away");
  start_missing(NOW);
  CHECK(fake.checked == &check);
  CHECK_EQ_INT(needing.error, UK_E_UNAVAILABLE);
  CHECK_ASKED("");
}

static void nothing_is_sent_without_memory(void)
{
  fault_at(1);
  start_create(1);
  fault_at(1);
  check_done(&create.operation, UK_E_NO_MEMORY, "");
  start_delete();
  check_done(&deletion.operation, UK_E_NO_MEMORY, "");
  fault_at(1);
  start_missing(NOW);
  fault_off();
  CHECK(fake.checked == &check);
  CHECK_EQ_INT(needing.error, UK_E_NO_MEMORY);
  CHECK_ASKED("");
}

/* Two calls wait, each for its own time. */
static void each_call_has_its_own_time(void)
{
  struct uk_kafka_topic_query *first;
  start_delete();
  agree();
  first = fake.query;
  fake.query = NULL;
  start_missing(NOW);
  agree();
  fake.log[0] = '\0';
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0); /* asks again at NOW + PAUSE */
  fake.now = NOW + 20;
  fake.query = first;
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 1); /* asks again 20 ms later */
  run_at(NOW + 20);
  CHECK_ASKED("");
  run_at(NOW + PAUSE);
  CHECK_ASKED("look t; ");
  show(RD_KAFKA_RESP_ERR_NO_ERROR, 1);
  CHECK(fake.checked == &check);
  run_at(NOW + PAUSE + 19);
  CHECK_ASKED("");
  run_at(NOW + PAUSE + 20);
  CHECK_ASKED("look t; ");
  show(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0);
  check_done(&deletion.operation, UK_OK, "");
}

/* The cluster says the same of both topics that are asked about. */
static void show_both(rd_kafka_resp_err_t code)
{
  struct uk_kafka_topic_query *other = fake.other;
  fake.other = NULL;
  show(code, 1);
  fake.query = other;
  show(code, 1);
}

/* The queue wakes the task once, and both looks are due at the same time. */
static void answers_that_arrive_together_are_all_taken(void)
{
  start_create(1);
  struct reply second = {.count = 1}, first = {.next = &second, .opaque = fake.opaque, .count = 1};
  start_missing(NOW + TIMEOUT);
  second.opaque = fake.opaque;
  fake.log[0] = '\0';
  fake.reply = &first;
  fake.wake(NULL, fake.waked);
  run_at(NOW);
  CHECK_ASKED("look t; look t; ");
  show_both(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  run_at(NOW + PAUSE);
  CHECK_ASKED("look t; look t; ");
  show_both(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_done(&create.operation, UK_OK, "");
  CHECK(fake.checked == &check);
}

/* The task runs once more before the queue is gone. */
static void an_event_that_arrives_at_the_end_is_taken(void)
{
  static struct reply late;
  late = (struct reply){.count = 1};
  fake.reply = &late;
  fake.wake(NULL, fake.waked);
}

static void an_event_of_no_call_is_dropped(void)
{
  fake.opaque = NULL;
  agree();
  CHECK_EQ_INT(fake.dones, 0);
}

/* Each case has its own admin, and leaves nothing behind. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  memset(&create, 0, sizeof create);
  fake.now = NOW;
  fake.executor = uk_kafka_executor_new(0);
  REQUIRE(fake.executor != NULL);
  const struct uk_kafka_admin_parts parts = {.control = (rd_kafka_t *)&fake,
                                             .executor = fake.executor,
                                             .topics = (struct uk_kafka_topics *)&fake,
                                             .partitions = PARTITIONS,
                                             .forget = forget,
                                             .context = &fake.down};
  fake.admin = uk_kafka_admin_new(&parts);
  REQUIRE(fake.admin != NULL);
  run_at(NOW);
  current();
  uk_kafka_admin_free(fake.admin);
  uk_kafka_executor_free(fake.executor);
  CHECK(fake.wake == NULL && fake.reply == NULL && fake.other == NULL);
  CHECK_EQ_INT(fake.live, 0);
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

#define RUN(test) run(#test, test)

int main(void)
{
  RUN(a_topic_is_created_and_waited_for);
  RUN(what_was_not_requested_is_the_default);
  RUN(the_cluster_is_asked_again_until_it_shows_the_topic);
  RUN(the_wait_ends_with_the_deadline);
  RUN(a_topic_that_exists_is_compared);
  RUN(how_long_it_keeps_records_is_compared);
  RUN(what_cannot_be_compared_is_a_failure);
  RUN(each_refusal_of_a_creation_has_its_error);
  RUN(a_missing_topic_gets_the_default);
  RUN(a_missing_topic_that_is_not_created_in_time_is_unavailable);
  RUN(a_topic_is_deleted_and_waited_for);
  RUN(a_failed_look_does_not_show_that_a_topic_is_gone);
  RUN(a_deletion_that_does_not_show_may_be_done);
  RUN(each_refusal_of_a_deletion_has_its_error);
  RUN(nothing_is_sent_while_the_cluster_is_away);
  RUN(nothing_is_sent_without_memory);
  RUN(each_call_has_its_own_time);
  RUN(answers_that_arrive_together_are_all_taken);
  RUN(an_event_that_arrives_at_the_end_is_taken);
  RUN(an_event_of_no_call_is_dropped);
  return check_end();
}
