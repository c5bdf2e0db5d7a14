/* for: api_read.c, api_consume.c, api_fetch.c, api_commit.c, api_metadata.c, api_consumers.c,
 * api_topics.c, api_produce.c, api_webhook.c, api_health.c, api_root.c, consumer_settings.c,
 * message_json.c, dispatch.c
 *
 * What handlers request from the engine, and how they use its answers. */
#include "api_rig.h"
#include "check.h"
#include "common/clock.h"
#include "server/request/request.h"

static struct api_rig rig;
static struct api_answer answer;

/* What the engine was last asked, and how it answers. */
static int calls;
static int64_t deadline;
static enum uk_error outcome;
static const char *reason;
static bool breaks_reply; /* as if memory ran out */
static const char *late;  /* what it says before it ends, or NULL */
static struct uk_consumer_settings settings;
static uint64_t delivery;

static void end(struct uk_operation *operation)
{
  calls++;
  deadline = operation->deadline;
  if (late != NULL)
    operation->late(operation, late);
  operation->error = outcome;
  if (reason != NULL)
    uk_operation_fail(operation, outcome, "%s", reason);
  if (breaks_reply) {
    struct uk_request *request = operation->context;
    request->reply.error = UK_E_NO_MEMORY;
  }
  operation->done(operation);
}

#define PLAYED(name, type)                                                                         \
  static void name(struct uk_engine *engine, struct type *operation)                               \
  {                                                                                                \
    (void)engine;                                                                                  \
    end(&operation->operation);                                                                    \
  }
PLAYED(commit, uk_commit)
PLAYED(committed, uk_committed)
PLAYED(delete_consumer, uk_delete_consumer)
PLAYED(offsets, uk_offsets)
PLAYED(delete_topic, uk_delete_topic)

/* The outcome of each record, or NULL if all are stored. */
static const enum uk_error *ends;
static size_t reply_bytes; /* the maximum size of the reply; 0: unchanged */

static struct uk_record first_asked;

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  struct uk_request *request = operation->operation.context;
  (void)engine;
  operation->each = ends != NULL;
  first_asked = operation->records[0];
  for (size_t i = 0; i < operation->count; i++) {
    struct uk_record *record = &operation->records[i];
    *record = (struct uk_record){.topic = record->topic, .partition = (int32_t)i};
    record->offset = 100 + (int64_t)i;
    record->timestamp = 1000;
    record->error = ends != NULL ? ends[i] : UK_OK;
    record->reason = record->error != UK_OK ? "no" : NULL;
  }
  if (reply_bytes > 0) {
    uk_buffer_free(&request->reply);
    uk_buffer_init(&request->reply, reply_bytes);
  }
  end(&operation->operation);
}

static int64_t offset_asked;

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  offset_asked = operation->positions[0].offset;
  end(&operation->operation);
}

static struct uk_create_topic topic_asked;
static bool creates;

static void create_topic(struct uk_engine *engine, struct uk_create_topic *operation)
{
  (void)engine;
  topic_asked = *operation;
  operation->partitions = 7;
  operation->created = creates;
  end(&operation->operation);
}

static char topics_asked[200];

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  struct uk_request *request = operation->operation.context;
  void *more = uk_arena_allocate(&request->arena, 1, 64);
  (void)engine;
  topics_asked[0] = '\0';
  if (CHECK(more != NULL))
    memset(more, 0xff, 64); /* the names must be in memory of their own */
  for (size_t i = 0; i < operation->topic_count; i++) {
    size_t length = strlen(topics_asked);
    snprintf(topics_asked + length, sizeof topics_asked - length, "%.*s ",
             (int)operation->topics[i].length, operation->topics[i].data);
  }
  settings = operation->settings;
  operation->delivery = delivery;
  end(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  static const char *const names[] = {"__consumer_offsets", "__upstash_kafka_keys", "orders",
                                      "orders-eu", "secret"};
  (void)engine;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    operation->topic(&operation->operation, uk_slice_text(names[i]), (int32_t)i + 1);
  end(&operation->operation);
}

static void consumers(struct uk_engine *engine, struct uk_consumers *operation)
{
  static const struct {
    const char *group, *instance, *topic;
    int32_t partitions[3];
    size_t count;
  } rows[] = {
    {"a", "one", "orders", {0, 2, 7}, 3}, {"a", "one", "secret", {1}, 1},
    {"a", "one", "orders-eu", {5}, 1},    {"a", "two", "", {0}, 0},
    {"b", "two", "secret", {0}, 1},       {"b", "twofold", "orders", {3}, 1},
    {"bb", "twofold", "orders", {4}, 1},
  };
  (void)engine;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    operation->owned(&operation->operation, uk_slice_text(rows[i].group),
                     uk_slice_text(rows[i].instance), uk_slice_text(rows[i].topic),
                     rows[i].partitions, rows[i].count);
  end(&operation->operation);
}

static int reports; /* how often the engine learned the outcome of a delivery */
static bool told_whole;
static uint64_t told_delivery;

static void response_finished(struct uk_engine *engine, struct uk_slice group,
                              struct uk_slice instance, uint64_t number,
                              enum uk_response_outcome became)
{
  (void)engine;
  CHECK_EQ_SLICE(group, "g");
  CHECK_EQ_SLICE(instance, "i");
  told_delivery = number;
  told_whole = became == UK_RESPONSE_WRITTEN;
  reports++;
}

static enum uk_error health(struct uk_engine *engine, char *detail, size_t size)
{
  (void)engine;
  snprintf(detail, size, "%s", reason != NULL ? reason : "");
  return outcome;
}

static const struct uk_engine_methods methods = {
  .name = "played",
  .produce = produce,
  .fetch = fetch,
  .consume = consume,
  .commit = commit,
  .committed = committed,
  .delete_consumer = delete_consumer,
  .consumers = consumers,
  .offsets = offsets,
  .topics = topics,
  .create_topic = create_topic,
  .delete_topic = delete_topic,
  .response_finished = response_finished,
  .health = health,
};

static void begin(void)
{
  calls = 0;
  reports = 0;
  outcome = UK_OK;
  reason = NULL;
  breaks_reply = false;
  delivery = 0;
  ends = NULL;
  reply_bytes = 0;
  CHECK(api_rig_open(&rig, &methods));
}

#define POSITION "{\"topic\":\"t\",\"partition\":0}"
#define TRIPLE "{\"topic\":\"t\",\"partition\":0,\"offset\":0}"

/* Every request that reaches the engine, and how long it may wait, in milliseconds. */
struct row {
  enum uk_method method;
  const char *path, *body;
  int64_t timeout;
};

static const struct row changes[] = {
  {UK_POST, "/commit/g/i", TRIPLE, 10000},
  {UK_POST, "/delete-consumer/g/i", "", 10000},
  {UK_GET, "/produce/t/v", "", 30000},
  {UK_POST, "/produce", "{\"topic\":\"t\",\"value\":\"v\"}", 30000},
  {UK_POST, "/webhook?topic=t", "v", 30000},
  {UK_POST, "/topics/t", "", 10000},
  {UK_DELETE, "/topics/t", "", 10000},
};

static const struct row rows[] = {
  {UK_GET, "/consume/g/i/t", "", 1000},
  {UK_GET, "/consume/g/i/t?timeout=0", "", 0},
  {UK_POST, "/consume/g/i", "{\"topic\":\"t\"}", 1000},
  {UK_POST, "/consume/g/i?timeout=7000", "{\"topic\":\"t\"}", 7000},
  {UK_POST, "/consume/g/i?timeout=7000", "{\"topic\":\"t\",\"timeout\":600000}", 600000},
  {UK_POST, "/fetch", TRIPLE, 1000},
  {UK_POST, "/fetch?timeout=7000", TRIPLE, 7000},
  {UK_POST, "/fetch?timeout=7000", "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timeout\":0}",
   0},
  {UK_POST, "/commit/g/i", TRIPLE, 10000},
  {UK_POST, "/commit/g/i", "", 10000},
  {UK_POST, "/committed/g/i", POSITION, 10000},
  {UK_POST, "/committed/g/i?timeout=7000", POSITION, 7000},
  {UK_POST, "/delete-consumer/g/i", "", 10000},
  {UK_GET, "/consumers", "", 10000},
  {UK_GET, "/topics", "", 10000},
  {UK_POST, "/offsets/latest", POSITION, 10000},
  {UK_POST, "/offsets/5?timeout=7000", POSITION, 7000},
  {UK_POST, "/topics/t", "", 10000},
  {UK_DELETE, "/topics/t", "", 10000},
  {UK_POST, "/produce", "{\"topic\":\"t\",\"value\":\"v\"}", 30000},
  {UK_POST, "/produce/t", "{\"value\":\"v\"}", 30000},
  {UK_GET, "/produce/t/v", "", 30000},
  {UK_POST, "/webhook?topic=t", "v", 30000},
};
enum { ROWS = sizeof rows / sizeof *rows };

static void ask(const struct row *row)
{
  api_rig_ask(&rig, "full", row->method, row->path, row->body, &answer);
}

static void waits_as_long_as_the_contract_says(void)
{
  begin();
  for (size_t i = 0; i < ROWS; i++) {
    int64_t before = uk_clock_monotonic();
    ask(&rows[i]);
    int64_t after = uk_clock_monotonic();
    CHECK_EQ_INT(calls, (long long)i + 1);
    if (!CHECK(deadline >= before + rows[i].timeout && deadline <= after + rows[i].timeout))
      fprintf(stderr, "  %s: %lld ms\n", rows[i].path, (long long)(deadline - before));
  }
  api_rig_close(&rig);
}

/* The query parameters of each endpoint. Any other is refused by name. */
static void accepts_only_its_own_parameters(void)
{
  static const char *const all[] = {"timeout=1", "max_messages=1", "max_bytes=1", "key=1",
                                    "topic=1",   "user=1",         "pass=1",      "colour=1"};
  enum { TIMEOUT = 1, BATCH = 7, KEY = 8 };
  static const struct {
    enum uk_method method;
    const char *path, *body;
    unsigned takes; /* bits of `all` */
  } endpoints[] = {
    {UK_GET, "/consume/g/i/t", "", BATCH},
    {UK_POST, "/consume/g/i", "{\"topic\":\"t\"}", BATCH},
    {UK_POST, "/fetch", TRIPLE, BATCH},
    {UK_POST, "/commit/g/i", "", 0},
    {UK_POST, "/committed/g/i", POSITION, TIMEOUT},
    {UK_POST, "/offsets/latest", POSITION, TIMEOUT},
    {UK_POST, "/delete-consumer/g/i", "", 0},
    {UK_GET, "/consumers", "", 0},
    {UK_GET, "/topics", "", 0},
    {UK_POST, "/topics/t", "", 0},
    {UK_DELETE, "/topics/t", "", 0},
    {UK_POST, "/produce", "{\"topic\":\"t\",\"value\":\"v\"}", 0},
    {UK_POST, "/produce/t", "{\"value\":\"v\"}", 0},
    {UK_GET, "/produce/t/v", "", KEY},
    {UK_GET, "/health", "", 0},
    {UK_GET, "/", "", 0},
  };
  begin();
  for (size_t i = 0; i < sizeof endpoints / sizeof *endpoints; i++) {
    for (size_t j = 0; j < sizeof all / sizeof *all; j++) {
      char path[100], name[100];
      bool taken = (endpoints[i].takes >> j & 1) != 0;
      snprintf(path, sizeof path, "%s?%s", endpoints[i].path, all[j]);
      snprintf(name, sizeof name, "query: unknown parameter \\\"%.*s\\\"",
               (int)strcspn(all[j], "="), all[j]);
      api_rig_ask(&rig, "full", endpoints[i].method, path, endpoints[i].body, &answer);
      if (!CHECK(answer.status < 300 ? taken : !taken && strstr(answer.text, name) != NULL))
        fprintf(stderr, "  %s: %d %s\n", path, answer.status, answer.text);
    }
  }
  api_rig_close(&rig);
}

/* The error for a bad name says whether it is the group's or the instance's. */
static void names_the_wrong_name(void)
{
  char longest[257], path[600], expected[100];
  const char *const wrong[] = {longest, "%ff"};
  static const char *const endpoints[] = {"consume", "commit", "committed", "delete-consumer"};
  memset(longest, 'x', 256);
  longest[256] = '\0';
  begin();
  for (int i = 0; i < 4 * 2 * 2; i++) {
    bool of_group = i % 2 == 0;
    const char *name = wrong[i / 2 % 2];
    snprintf(path, sizeof path, "/%s/%s/%s", endpoints[i / 4], of_group ? name : "g",
             of_group ? "i" : name);
    api_rig_ask(&rig, "full", UK_POST, path, "", &answer);
    CHECK_EQ_INT(answer.status, 400);
    snprintf(expected, sizeof expected, "{\"error\":\"%s: 1 to 255 bytes of UTF-8 expected, got ",
             of_group ? "group" : "instance");
    if (!CHECK(strncmp(answer.text, expected, strlen(expected)) == 0))
      fprintf(stderr, "  %s\n", answer.text);
  }
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

/* The engine gets them whole. */
static void accepts_names_up_to_the_limit(void)
{
  char longest[256], path[600];
  static const char *const endpoints[] = {"consume", "commit", "committed", "delete-consumer"};
  static const char *const bodies[] = {"{\"topic\":\"t\"}", "", POSITION, ""};
  memset(longest, 'x', 255);
  longest[255] = '\0';
  begin();
  for (int i = 0; i < 4; i++) {
    snprintf(path, sizeof path, "/%s/%s/%s", endpoints[i], longest, longest);
    api_rig_ask(&rig, "full", UK_POST, path, bodies[i], &answer);
    CHECK_EQ_INT(answer.status, 200);
    CHECK_EQ_INT(calls, i + 1);
  }
  api_rig_close(&rig);
}

/* Every endpoint passes on the engine's error: its status and its text. */
static void answers_with_the_engines_error(void)
{
  static const struct {
    enum uk_error error;
    int status, retry_after;
    const char *text; /* the error's own */
  } errors[] = {
    {UK_E_BAD_REQUEST, 400, -1, "the request is malformed"},
    {UK_E_NOT_FOUND, 404, -1, "no such path, topic or consumer instance"},
    {UK_E_CONFLICT, 409, -1, NULL},
    {UK_E_TOO_MANY, 429, 1, NULL},
    {UK_E_INTERNAL, 500, -1, NULL},
    {UK_E_UNAVAILABLE, 503, 1, "the server cannot serve this now"},
    {UK_E_GATEWAY_TIMEOUT, 504, -1, NULL},
    {UK_E_CANCELLED, 503, 1, NULL},
  };
  begin();
  for (size_t i = 0; i < ROWS; i++) {
    for (size_t j = 0; j < sizeof errors / sizeof *errors; j++) {
      char expected[300];
      outcome = errors[j].error;
      reason = j % 2 == 0 ? "the \"reason\" of 100%s" : NULL;
      ask(&rows[i]);
      CHECK_EQ_INT(answer.status, errors[j].status);
      CHECK_EQ_INT(answer.retry_after, errors[j].retry_after);
      snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":%d}",
               reason != NULL ? "the \\\"reason\\\" of 100%s" : uk_error_text(outcome),
               errors[j].status);
      if (!CHECK_EQ_STR(answer.text, expected))
        fprintf(stderr, "  %s\n", rows[i].path);
      reason = NULL;
      ask(&rows[i]);
      if (errors[j].text != NULL)
        CHECK(strstr(answer.text, errors[j].text) != NULL);
    }
  }
  api_rig_close(&rig);
}

/* http must not deny what was carried out, or may have been. */
static void says_what_was_carried_out(void)
{
  static const struct {
    struct row row;
    bool changes;
  } cases[] = {
    {{UK_POST, "/produce", "{\"topic\":\"t\",\"value\":\"v\"}", 0}, true},
    {{UK_POST, "/produce/t", "{\"value\":\"v\"}", 0}, true},
    {{UK_GET, "/produce/t/v", "", 0}, true},
    {{UK_POST, "/webhook?topic=t", "v", 0}, true},
    {{UK_POST, "/commit/g/i", "", 0}, true},
    {{UK_POST, "/delete-consumer/g/i", "", 0}, true},
    {{UK_POST, "/topics/t", "", 0}, true},
    {{UK_DELETE, "/topics/t", "", 0}, true},
    {{UK_GET, "/consume/g/i/t", "", 0}, false},
    {{UK_POST, "/consume/g/i", "{\"topic\":\"t\"}", 0}, false},
    {{UK_POST, "/fetch", TRIPLE, 0}, false},
    {{UK_POST, "/committed/g/i", POSITION, 0}, false},
    {{UK_POST, "/offsets/latest", POSITION, 0}, false},
    {{UK_GET, "/topics", "", 0}, false},
    {{UK_GET, "/consumers", "", 0}, false},
  };
  static const enum uk_error outcomes[] = {UK_OK, UK_E_GATEWAY_TIMEOUT, UK_E_UNAVAILABLE,
                                           UK_E_NOT_FOUND, UK_E_NO_MEMORY};
  begin();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    for (size_t j = 0; j < sizeof outcomes / sizeof *outcomes; j++) {
      outcome = outcomes[j];
      ask(&cases[i].row);
      if (!CHECK_EQ_INT(answer.carried_out, cases[i].changes && j < 2))
        fprintf(stderr, "  %s\n", cases[i].row.path);
    }
  }
  api_rig_close(&rig);
}

/* A partly stored produce is answered with the outcome of each message. */
static void reports_the_outcome_of_each_message(void)
{
  static const enum uk_error three[] = {UK_OK, UK_E_TOO_LARGE, UK_E_GATEWAY_TIMEOUT};
  static const struct row row = {UK_POST, "/produce/t",
                                 "[{\"value\":\"a\"},{\"value\":\"b\"},{\"value\":\"c\"}]", 0};
  begin();
  ask(&row);
  CHECK_EQ_STR(answer.text, "[{\"topic\":\"t\",\"partition\":0,\"offset\":100,\"timestamp\":1000},"
                            "{\"topic\":\"t\",\"partition\":1,\"offset\":101,\"timestamp\":1000},"
                            "{\"topic\":\"t\",\"partition\":2,\"offset\":102,\"timestamp\":1000}]");
  ends = three;
  outcome = UK_E_TOO_LARGE;
  reason = "two failed";
  ask(&row);
  CHECK_EQ_INT(answer.status, 413);
  CHECK_EQ_STR(answer.text,
               "{\"error\":\"two failed\",\"status\":413,\"results\":["
               "{\"topic\":\"t\",\"partition\":0,\"offset\":100,\"timestamp\":1000},"
               "{\"error\":\"topic \\\"t\\\" partition 1: no\",\"status\":413},"
               "{\"error\":\"topic \\\"t\\\" partition 2: no; it may have been stored\","
               "\"status\":504}]}");
  outcome = UK_E_UNAVAILABLE; /* the results do not fit, but a message is stored */
  reply_bytes = 150;
  ask(&row);
  CHECK_EQ_INT(answer.status, 504);
  api_rig_close(&rig);
}

/* A record with an empty key goes to the partition of its hash; one without a key does not. */
static void an_empty_key_is_a_key(void)
{
  static const struct {
    struct row row;
    bool has_key;
  } cases[] = {
    {{UK_GET, "/produce/t/v", "", 0}, false},
    {{UK_GET, "/produce/t/v?key=", "", 0}, true},
    {{UK_POST, "/produce/t", "{\"value\":\"v\"}", 0}, false},
    {{UK_POST, "/produce/t", "{\"value\":\"v\",\"key\":null}", 0}, false},
    {{UK_POST, "/produce/t", "{\"value\":\"v\",\"key\":\"\"}", 0}, true},
    {{UK_POST, "/webhook?topic=t", "v", 0}, false},
  };
  begin();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ask(&cases[i].row);
    CHECK_EQ_INT(answer.status, 200);
    CHECK_EQ_INT(first_asked.has_key, cases[i].has_key);
    CHECK(first_asked.has_value);
    CHECK_EQ_INT(first_asked.key.length, 0);
    CHECK_EQ_INT(first_asked.partition, -1);
    CHECK_EQ_INT(first_asked.timestamp, -1);
  }
  api_rig_close(&rig);
}

/* Only the engine knows a partition's range, so it refuses the offsets outside it. */
static void accepts_any_offset(void)
{
  static const char *const offsets[] = {"-9223372036854775808", "-1", "0", "9223372036854775807"};
  begin();
  for (size_t i = 0; i < 2 * sizeof offsets / sizeof *offsets; i++) {
    char body[200], offset[32];
    snprintf(body, sizeof body,
             i % 2 == 0 ? "{\"topic\":\"t\",\"partition\":0,\"offset\":%s}"
                        : "{\"topicPartitionOffsets\":[{\"topic\":\"t\",\"partition\":0,"
                          "\"offset\":%s}]}",
             offsets[i / 2]);
    api_rig_ask(&rig, "full", UK_POST, "/fetch", body, &answer);
    CHECK_EQ_INT(answer.status, 200);
    snprintf(offset, sizeof offset, "%lld", (long long)offset_asked);
    CHECK_EQ_STR(offset, offsets[i / 2]);
  }
  api_rig_close(&rig);
}

static void creates_topics_as_requested(void)
{
  static const struct {
    const char *body;
    int64_t partitions, ms, bytes; /* retention; -2: not requested */
  } cases[] = {
    {"", -1, -2, -2},
    {"{\"partitions\":1}", 1, -2, -2},
    {"{\"partitions\":1000,\"topic\":\"t\"}", 1000, -2, -2},
    {"{\"retention_ms\":-1}", -1, -1, -2},
    {"{\"retention_bytes\":-1}", -1, -2, -1},
    {"{\"retention_ms\":0,\"retention_bytes\":9223372036854775807}", -1, 0, INT64_MAX},
    {"{\"retention_ms\":9223372036854775807,\"retention_bytes\":0}", -1, INT64_MAX, 0},
  };
  static const char *const wrong[][2] = {
    {"{\"partitions\":0}", "partitions: an integer of 1 to 1000"},
    {"{\"partitions\":1001}", "partitions: an integer of 1 to 1000"},
    {"{\"retention_ms\":-2}", "retention_ms: an integer of -1 to 9223372036854775807"},
    {"{\"retention_bytes\":-2}", "retention_bytes: an integer of -1 to 9223372036854775807"},
    {"{\"topic\":\"u\"}", "topic: \\\"u\\\" in the body differs from \\\"t\\\" in the path"},
  };
  begin();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    creates = i % 2 == 0;
    api_rig_ask(&rig, "full", UK_POST, "/topics/t", cases[i].body, &answer);
    CHECK_EQ_INT(answer.status, creates ? 201 : 200);
    CHECK_EQ_STR(answer.text, "{\"topic\":\"t\",\"partitions\":7}");
    CHECK_EQ_INT(topic_asked.partitions, cases[i].partitions);
    CHECK_EQ_INT(topic_asked.has_retention_ms ? topic_asked.retention_ms : -2, cases[i].ms);
    CHECK_EQ_INT(topic_asked.has_retention_bytes ? topic_asked.retention_bytes : -2,
                 cases[i].bytes);
  }
  calls = 0;
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    api_rig_ask(&rig, "full", UK_POST, "/topics/t", wrong[i][0], &answer);
    CHECK_EQ_INT(answer.status, 400);
    if (!CHECK(strstr(answer.text, wrong[i][1]) != NULL))
      fprintf(stderr, "  %s\n", answer.text);
  }
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

/* Each topic once, in order: path, topic, topics. */
static void consumes_each_topic_once(void)
{
  static const struct {
    const char *path, *body, *topics;
  } cases[] = {
    {"/consume/g/i/a", "", "a "},
    {"/consume/g/i", "{\"topic\":\"a\"}", "a "},
    {"/consume/g/i", "{\"topics\":[\"b\",\"a\",\"b\",\"a\"]}", "b a "},
    {"/consume/g/i", "{\"topics\":[\"a\",\"b\"],\"topic\":\"b\"}", "b a "},
    {"/consume/g/i", "{\"topic\":\"a\",\"topics\":\"c\"}", "a c "},
    {"/consume/g/i", "{\"topic\":\"a\",\"topics\":[\"b\",\"c\",\"d\",\"e\"]}", "a b c d e "},
  };
  begin();
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    api_rig_ask(&rig, "full", cases[i].body[0] == '\0' ? UK_GET : UK_POST, cases[i].path,
                cases[i].body, &answer);
    CHECK_EQ_INT(answer.status, 200);
    CHECK_EQ_STR(topics_asked, cases[i].topics);
  }
  api_rig_close(&rig);
}

/* Listings show only what the credentials' pattern matches. */
static void lists_permitted_topics(void)
{
  begin();
  CHECK_EQ_INT(access_rig_add(rig.server.access, "clerk", "p", UK_PERMIT_CONSUME, "orders*"),
               UK_OK);
  api_rig_ask(&rig, "full", UK_GET, "/topics", "", &answer);
  CHECK_EQ_STR(answer.text, "{\"orders\":3,\"orders-eu\":4,\"secret\":5}");
  api_rig_ask(&rig, "clerk", UK_GET, "/topics", "", &answer);
  CHECK_EQ_STR(answer.text, "{\"orders\":3,\"orders-eu\":4}");
  api_rig_ask(&rig, "full", UK_GET, "/consumers", "", &answer);
  CHECK_EQ_STR(
    answer.text,
    "[{\"name\":\"a\",\"instances\":[{\"name\":\"one\",\"topics\":["
    "{\"topic\":\"orders\",\"partitions\":[0,2,7]},{\"topic\":\"secret\",\"partitions\":[1]},"
    "{\"topic\":\"orders-eu\",\"partitions\":[5]}]},{\"name\":\"two\",\"topics\":[]}]},"
    "{\"name\":\"b\",\"instances\":[{\"name\":\"two\",\"topics\":["
    "{\"topic\":\"secret\",\"partitions\":[0]}]},{\"name\":\"twofold\",\"topics\":["
    "{\"topic\":\"orders\",\"partitions\":[3]}]}]},"
    "{\"name\":\"bb\",\"instances\":[{\"name\":\"twofold\",\"topics\":["
    "{\"topic\":\"orders\",\"partitions\":[4]}]}]}]");
  api_rig_ask(&rig, "clerk", UK_GET, "/consumers", "", &answer);
  CHECK_EQ_STR(answer.text, "[{\"name\":\"a\",\"instances\":[{\"name\":\"one\",\"topics\":["
                            "{\"topic\":\"orders\",\"partitions\":[0,2,7]},{\"topic\":\"orders-"
                            "eu\",\"partitions\":[5]}]}]},"
                            "{\"name\":\"b\",\"instances\":[{\"name\":\"twofold\",\"topics\":[{"
                            "\"topic\":\"orders\",\"partitions\":[3]}]}]},"
                            "{\"name\":\"bb\",\"instances\":[{\"name\":\"twofold\",\"topics\":["
                            "{\"topic\":\"orders\",\"partitions\":[4]}]}]}]");
  /* E9: no instance, and no group, that may be of other topics. */
  CHECK_EQ_INT(access_rig_add(rig.server.access, "guest", "p", UK_PERMIT_CONSUME, "orders-*"),
               UK_OK);
  api_rig_ask(&rig, "guest", UK_GET, "/consumers", "", &answer);
  CHECK_EQ_STR(answer.text, "[{\"name\":\"a\",\"instances\":[{\"name\":\"one\",\"topics\":["
                            "{\"topic\":\"orders-eu\",\"partitions\":[5]}]}]}]");
  api_rig_close(&rig);
}

/* A topic outside the pattern is a 403, wherever it is named, and no engine is asked. */
static void refuses_other_topics(void)
{
  static const struct row others[] = {
    {UK_GET, "/consume/g/i/secret", "", 0},
    {UK_POST, "/consume/g/i", "{\"topic\":\"secret\"}", 0},
    {UK_POST, "/consume/g/i", "{\"topics\":[\"orders\",\"secret\"]}", 0},
    {UK_POST, "/fetch", "{\"topic\":\"secret\",\"partition\":0,\"offset\":0}", 0},
    {UK_POST, "/fetch",
     "{\"topicPartitionOffsets\":[{\"topic\":\"secret\",\"partition\":0,\"offset\":0}]}", 0},
    {UK_POST, "/fetch",
     "{\"topicPartitionOffsets\":[{\"topic\":\"orders\",\"partition\":0,\"offset\":0},"
     "{\"topic\":\"secret\",\"partition\":0,\"offset\":0}]}",
     0},
    {UK_POST, "/commit/g/i", "{\"topic\":\"secret\",\"partition\":0,\"offset\":0}", 0},
    {UK_POST, "/offsets/latest",
     "[{\"topic\":\"orders\",\"partition\":0},{\"topic\":\"secret\",\"partition\":0}]", 0},
    {UK_POST, "/produce",
     "[{\"topic\":\"orders\",\"value\":\"v\"},{\"topic\":\"secret\",\"value\":\"v\"}]", 0},
    {UK_POST, "/committed/g/i", "{\"topic\":\"secret\",\"partition\":0}", 0},
    {UK_POST, "/offsets/latest", "{\"topic\":\"secret\",\"partition\":0}", 0},
    {UK_POST, "/topics/secret", "", 0},
    {UK_DELETE, "/topics/secret", "", 0},
    {UK_POST, "/produce", "{\"topic\":\"secret\",\"value\":\"v\"}", 0},
    {UK_POST, "/produce/secret", "{\"value\":\"v\"}", 0},
    {UK_POST, "/produce/secret", "[]", 0},
    {UK_GET, "/produce/secret/v", "", 0},
    {UK_POST, "/webhook?topic=secret", "v", 0},
  };
  begin();
  CHECK_EQ_INT(access_rig_add(rig.server.access, "clerk", "p", UK_PERMIT_FULL, "orders*"), UK_OK);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    api_rig_ask(&rig, "clerk", others[i].method, others[i].path, others[i].body, &answer);
    if (!CHECK_EQ_INT(answer.status, 403))
      fprintf(stderr, "  %s\n", others[i].path);
    CHECK(strstr(answer.text, "the credentials do not permit topic \\\"secret\\\"") != NULL);
  }
  CHECK_EQ_INT(calls, 0);
  /* Whether an internal topic exists is not theirs to know. */
  api_rig_ask(&rig, "clerk", UK_DELETE, "/topics/__consumer_offsets", "", &answer);
  CHECK_EQ_INT(answer.status, 403);
  api_rig_ask(&rig, "full", UK_DELETE, "/topics/__consumer_offsets", "", &answer);
  CHECK_EQ_INT(answer.status, 404);
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

static void health_comes_from_the_engine(void)
{
  begin();
  api_rig_ask(&rig, "full", UK_GET, "/health", "", &answer);
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_STR(answer.text, "{\"status\":\"ok\",\"engine\":\"played\"}");
  outcome = UK_E_UNAVAILABLE;
  api_rig_ask(&rig, "full", UK_GET, "/health", "", &answer);
  CHECK_EQ_INT(answer.status, 503);
  CHECK_EQ_INT(answer.retry_after, 1);
  CHECK_EQ_STR(
    answer.text,
    "{\"error\":\"the server cannot serve this now\",\"status\":503,\"engine\":\"played\"}");
  api_rig_ask(&rig, "nobody", UK_GET, "/", "", &answer);
  CHECK_EQ_INT(answer.status, 200);
  CHECK(strstr(answer.text, "{\"name\":\"upstash-kafka\",\"version\":\"") == answer.text);
  reason = "the disk is 100%s full";
  api_rig_ask(&rig, "full", UK_GET, "/health", "", &answer);
  CHECK_EQ_STR(answer.text,
               "{\"error\":\"the disk is 100%s full\",\"status\":503,\"engine\":\"played\"}");
  outcome = UK_OK;
  reason = "it is \"slow\"";
  api_rig_ask(&rig, "full", UK_GET, "/health", "", &answer);
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_STR(answer.text,
               "{\"status\":\"ok\",\"engine\":\"played\",\"note\":\"it is \\\"slow\\\"\"}");
  reason = NULL;
  api_rig_close(&rig);
}

static void consume_with(const char *header, const char *value)
{
  static const struct row row = {UK_GET, "/consume/g/i/t", "", 0};
  rig.header = header;
  rig.header_value = value;
  ask(&row);
  rig.header = NULL;
}

static void reads_the_settings_of_an_instance(void)
{
  begin();
  consume_with(NULL, NULL);
  CHECK_EQ_INT(settings.auto_commit, true);
  CHECK_EQ_INT(settings.auto_commit_interval, 5000);
  CHECK_EQ_INT(settings.offset_reset, UK_RESET_LATEST);
  CHECK_EQ_INT(settings.session_timeout, 120000);
  consume_with("kafka-enable-auto-commit", "FALSE");
  CHECK_EQ_INT(settings.auto_commit, false);
  consume_with("Kafka-Enable-Auto-Commit", "True");
  CHECK_EQ_INT(settings.auto_commit, true);
  consume_with("Kafka-Auto-Commit-Interval", "1");
  CHECK_EQ_INT(settings.auto_commit_interval, 1);
  consume_with("Kafka-Auto-Commit-Interval", "86400000");
  CHECK_EQ_INT(settings.auto_commit_interval, 86400000);
  CHECK_EQ_INT(settings.session_timeout, 120000);
  consume_with("Kafka-Session-Timeout-Ms", "1800000");
  CHECK_EQ_INT(settings.session_timeout, 1800000);
  CHECK_EQ_INT(settings.auto_commit_interval, 5000);
  consume_with("Kafka-Auto-Offset-Reset", "Earliest");
  CHECK_EQ_INT(settings.offset_reset, UK_RESET_EARLIEST);
  consume_with("Kafka-Auto-Offset-Reset", "none");
  CHECK_EQ_INT(settings.offset_reset, UK_RESET_NONE);
  api_rig_close(&rig);
}

/* A part of a word is not the word. */
static void takes_the_words_of_settings_whole(void)
{
  static const char *const wrong[][2] = {
    {"Kafka-Enable-Auto-Commit", "tru"},     {"Kafka-Enable-Auto-Commit", ""},
    {"Kafka-Enable-Auto-Commit", "falsely"}, {"Kafka-Auto-Offset-Reset", "early"},
    {"Kafka-Auto-Offset-Reset", "latests"},  {"Kafka-Auto-Offset-Reset", "no"},
  };
  begin();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    consume_with(wrong[i][0], wrong[i][1]);
    CHECK_EQ_INT(answer.status, 400);
  }
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

/* An error shows the first 64 bytes of a long value. */
static void shows_the_beginning_of_a_wrong_header(void)
{
  static const char *const headers[][2] = {
    {"Kafka-Enable-Auto-Commit", "true or false"},
    {"Kafka-Auto-Offset-Reset", "latest, earliest or none"},
    {"Kafka-Auto-Commit-Interval", "an integer of 0 to 86400000"},
    {"Kafka-Encoding", "base64"},
  };
  begin();
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    for (int length = 64; length <= 65; length++) {
      char value[66], wanted[256];
      memset(value, 'x', sizeof value);
      value[length] = '\0';
      snprintf(wanted, sizeof wanted,
               "{\"error\":\"%s: %s expected, got \\\"%.64s\\\"\",\"status\":400}", headers[i][0],
               headers[i][1], value);
      consume_with(headers[i][0], value);
      CHECK_EQ_INT(answer.status, 400);
      CHECK_EQ_STR(answer.text, wanted);
    }
  }
  CHECK_EQ_INT(calls, 0);
  api_rig_close(&rig);
}

/* The engine learns the outcome of a response with records once, and never of one without. */
static void reports_the_outcome_of_a_delivery(void)
{
  begin();
  consume_with(NULL, NULL);
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_INT(reports, 0);
  delivery = 7;
  consume_with(NULL, NULL);
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_INT(reports, 1);
  CHECK(told_whole && told_delivery == 7);
  delivery = 8;
  breaks_reply = true;
  consume_with(NULL, NULL);
  CHECK_EQ_INT(answer.status, 503);
  CHECK_EQ_INT(reports, 2);
  CHECK(!told_whole && told_delivery == 8);
  delivery = 9;
  breaks_reply = false;
  rig.is_cut_off = true;
  consume_with(NULL, NULL);
  CHECK_EQ_INT(reports, 3);
  CHECK(!told_whole && told_delivery == 9);
  api_rig_close(&rig);
}

/* A16: What the engine says first is the reply, whatever becomes of the operation. */
static void A16_a_late_operation_is_a_504(void)
{
  static const enum uk_error outcomes[] = {UK_OK, UK_E_NOT_FOUND, UK_E_UNAVAILABLE};
  REQUIRE(api_rig_open(&rig, &methods));
  late = "the disk sleeps; the request may have been carried out";
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    for (size_t j = 0; j < sizeof outcomes / sizeof *outcomes; j++) {
      outcome = outcomes[j];
      api_rig_ask(&rig, "full", changes[i].method, changes[i].path, changes[i].body, &answer);
      CHECK_EQ_INT(answer.status, 504);
      CHECK_EQ_STR(answer.text, "{\"error\":\"the disk sleeps; the request may have been carried "
                                "out\",\"status\":504}");
    }
    outcome = UK_OK;
    breaks_reply = true; /* it still does not say that nothing was done */
    api_rig_ask(&rig, "full", changes[i].method, changes[i].path, changes[i].body, &answer);
    CHECK_EQ_INT(answer.status, 504);
    breaks_reply = false;
  }
  late = NULL;
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(waits_as_long_as_the_contract_says);
  CHECK_RUN(accepts_only_its_own_parameters);
  CHECK_RUN(names_the_wrong_name);
  CHECK_RUN(accepts_names_up_to_the_limit);
  CHECK_RUN(answers_with_the_engines_error);
  CHECK_RUN(says_what_was_carried_out);
  CHECK_RUN(reports_the_outcome_of_each_message);
  CHECK_RUN(an_empty_key_is_a_key);
  CHECK_RUN(accepts_any_offset);
  CHECK_RUN(creates_topics_as_requested);
  CHECK_RUN(consumes_each_topic_once);
  CHECK_RUN(lists_permitted_topics);
  CHECK_RUN(refuses_other_topics);
  CHECK_RUN(health_comes_from_the_engine);
  CHECK_RUN(reads_the_settings_of_an_instance);
  CHECK_RUN(takes_the_words_of_settings_whole);
  CHECK_RUN(shows_the_beginning_of_a_wrong_header);
  CHECK_RUN(reports_the_outcome_of_a_delivery);
  CHECK_RUN(A16_a_late_operation_is_a_504);
  return check_end();
}
