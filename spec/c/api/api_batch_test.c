/* for: api_batch.c, api_consume.c, api_commit.c, api_read.c, api.c, request.c, json_request.c
 *
 * What the headers and the body say about batches, as the engine gets it, and what the reply says.
 */
#include "api_rig.h"
#include "check.h"
#include "fault.h"

#define ID64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct api_rig rig;
static struct api_answer answer;

/* What the engine was asked last, and what it answers. */
static struct {
  int calls;
  enum uk_acknowledgement_kind kind;
  char batch[UK_BATCH_ID_SIZE];
  bool commit, nothing, is_client_alive;
  size_t count;
  char commits[200];
} asked;
static struct {
  enum uk_error error;
  const char *batch, *late;
  size_t records, skipped, memory;
  bool redelivered;
  struct uk_slice value;
} plan;
static size_t taken;

static void note(struct uk_operation *operation, const struct uk_acknowledgement *acknowledgement)
{
  struct uk_request *request = operation->context;
  void *more = uk_arena_allocate(&request->arena, 1, 64);
  if (more != NULL)
    memset(more, 0xff, 64); /* an ID must be in memory of its own */
  asked.calls++;
  asked.kind = acknowledgement->kind;
  asked.commit = acknowledgement->commit;
  snprintf(asked.batch, sizeof asked.batch, "%.*s", (int)acknowledgement->batch.length,
           acknowledgement->batch.length > 0 ? acknowledgement->batch.data : "");
}

static void end(struct uk_operation *operation)
{
  if (plan.error != UK_OK)
    uk_operation_fail(operation, plan.error, "the engine's own text");
  operation->done(operation);
}

static void deliver(struct uk_consume *operation)
{
  const struct uk_record record = {
    .topic = {"t", 1}, .offset = 5, .timestamp = 9, .has_value = true, .value = plan.value};
  operation->redelivered = plan.redelivered;
  operation->delivery = plan.records > 0;
  snprintf(operation->batch, sizeof operation->batch, "%s", plan.batch != NULL ? plan.batch : "");
  if (plan.memory > 0)
    fault_from((long)plan.memory);
  while (taken < plan.records && operation->sink.record(&operation->operation, &record))
    taken++;
  fault_off();
}

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  note(&operation->operation, &operation->acknowledgement);
  asked.count = operation->commit_count;
  for (size_t i = 0; i < operation->commit_count && i < 3; i++) {
    const struct uk_topic_partition_offset *at = &operation->commits[i];
    const size_t length = strlen(asked.commits);
    snprintf(asked.commits + length, sizeof asked.commits - length, "%.*s/%d@%lld ",
             (int)at->topic.length, at->topic.data, (int)at->partition, (long long)at->offset);
  }
  for (size_t i = 0; i < operation->commit_count; i++) {
    CHECK(!operation->skipped[i]);
    operation->skipped[i] = i < plan.skipped;
  }
  if (plan.late != NULL) {
    const struct uk_request *request = operation->operation.context;
    operation->operation.late(&operation->operation, plan.late);
    CHECK(request->receipt->delivered == NULL); /* it would look at the engine's operation */
  }
  asked.is_client_alive = operation->sink.is_client_alive(&operation->operation);
  if (plan.error == UK_OK && asked.is_client_alive)
    deliver(operation);
  end(&operation->operation);
}

static void commit(struct uk_engine *engine, struct uk_commit *operation)
{
  (void)engine;
  note(&operation->operation, &operation->acknowledgement);
  asked.count = operation->count;
  asked.nothing = operation->nothing;
  end(&operation->operation);
}

static void delete_consumer(struct uk_engine *engine, struct uk_delete_consumer *operation)
{
  (void)engine;
  note(&operation->operation, &operation->acknowledgement);
  end(&operation->operation);
}

static int reports;
static bool reported_complete;

static void response_finished(struct uk_engine *engine, struct uk_slice group,
                              struct uk_slice instance, uint64_t delivery,
                              enum uk_response_outcome outcome)
{
  (void)engine;
  (void)group;
  (void)instance;
  (void)delivery;
  reports++;
  reported_complete = outcome == UK_RESPONSE_WRITTEN;
}

static const struct uk_engine_methods methods = {.name = "played",
                                                 .consume = consume,
                                                 .commit = commit,
                                                 .delete_consumer = delete_consumer,
                                                 .response_finished = response_finished};

static const struct {
  enum uk_method method;
  const char *path, *body;
} endpoints[] = {
  {UK_GET, "/consume/g/i/t", ""},
  {UK_POST, "/consume/g/i", "{\"topic\":\"t\"}"},
  {UK_POST, "/commit/g/i", ""},
  {UK_POST, "/commit/g/i", "[]"},
  {UK_POST, "/commit/g/i", "{\"topic\":\"t\",\"partition\":0,\"offset\":0}"},
  {UK_POST, "/delete-consumer/g/i", ""},
};
enum { ENDPOINTS = sizeof endpoints / sizeof *endpoints, EMPTY_ARRAY = 3 };

static void ask(enum uk_method method, const char *path, const char *body)
{
  memset(&asked, 0, sizeof asked);
  taken = 0;
  reports = 0;
  api_rig_ask(&rig, "full", method, path, body, &answer);
}

static void ask_with(size_t endpoint, const char *ack, const char *commits)
{
  struct api_header headers[2];
  rig.headers = headers;
  rig.header_count = 0;
  if (ack != NULL)
    headers[rig.header_count++] = (struct api_header){"Kafka-Ack", ack};
  if (commits != NULL)
    headers[rig.header_count++] = (struct api_header){"Kafka-Commit", commits};
  ask(endpoints[endpoint].method, endpoints[endpoint].path, endpoints[endpoint].body);
  rig.header_count = 0;
}

static void open_rig(void)
{
  memset(&plan, 0, sizeof plan);
  CHECK(api_rig_open(&rig, &methods));
}

static void passes_on_what_a_request_acknowledges(void)
{
  static const struct {
    const char *ack, *commit;
    enum uk_acknowledgement_kind kind;
    const char *batch;
    bool commits;
  } rows[] = {
    {NULL, NULL, UK_ACKNOWLEDGE_WRITTEN, "", false},
    {"none", NULL, UK_ACKNOWLEDGE_NONE, "", false},
    {"NoNe", NULL, UK_ACKNOWLEDGE_NONE, "", false},
    {"nones", NULL, UK_ACKNOWLEDGE_BATCH, "nones", false},
    {"!", NULL, UK_ACKNOWLEDGE_BATCH, "!", false},
    {ID64, NULL, UK_ACKNOWLEDGE_BATCH, ID64, false},
    {NULL, "a-1~", UK_ACKNOWLEDGE_BATCH, "a-1~", true},
    {"a-1", "a-1", UK_ACKNOWLEDGE_BATCH, "a-1", true},
  };
  open_rig();
  for (size_t i = 0; i < ENDPOINTS; i++) {
    for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
      ask_with(i, rows[j].ack, rows[j].commit);
      CHECK_EQ_INT(answer.status, 200);
      CHECK_EQ_INT(asked.calls, !(i == EMPTY_ARRAY && rows[j].kind == UK_ACKNOWLEDGE_WRITTEN));
      CHECK_EQ_INT(asked.kind, rows[j].kind);
      CHECK_EQ_STR(asked.batch, rows[j].batch);
      CHECK_EQ_INT(asked.commit, rows[j].commits);
      CHECK_EQ_INT(asked.nothing, asked.calls == 1 && i == EMPTY_ARRAY);
    }
  }
  api_rig_close(&rig);
}

static void refuses_wrong_ids(void)
{
#define VISIBLE ": 1 to 64 visible ASCII characters expected, got "
  static const struct {
    const char *ack, *commit, *text;
  } rows[] = {
    {"", NULL, "Kafka-Ack" VISIBLE "\\\"\\\""},
    {ID64 "x", NULL, "Kafka-Ack" VISIBLE "\\\"" ID64 "\\\""},
    {"a b", NULL, "Kafka-Ack" VISIBLE "\\\"a b\\\""},
    {"a\x7f", NULL, "Kafka-Ack" VISIBLE "\\\"a\x7f\\\""},
    {"\xc3\xa4", NULL, "Kafka-Ack" VISIBLE "\\\"\xc3\xa4\\\""},
    {NULL, "", "Kafka-Commit" VISIBLE "\\\"\\\""},
    {"a", "a\t", "Kafka-Commit" VISIBLE "\\\"a\\t\\\""},
    {NULL, "none", "Kafka-Commit: the ID of a batch expected, got \\\"none\\\""},
    {"none", "None", "Kafka-Commit: the ID of a batch expected, got \\\"None\\\""},
    {"a", "A", "Kafka-Commit: the same ID as in Kafka-Ack expected, got \\\"A\\\""},
    {"none", "a", "Kafka-Commit: the same ID as in Kafka-Ack expected, got \\\"a\\\""},
  };
  open_rig();
  for (size_t i = 0; i < ENDPOINTS; i++) {
    for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
      char expected[300];
      ask_with(i, rows[j].ack, rows[j].commit);
      snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":400}", rows[j].text);
      CHECK_EQ_STR(answer.text, expected);
      CHECK_EQ_INT(asked.calls, 0);
    }
  }
  api_rig_close(&rig);
}

static void a_conflict_names_the_header_and_the_way_out(void)
{
  char expected[300];
  open_rig();
  plan.error = UK_E_CONFLICT;
  for (size_t i = 0; i < ENDPOINTS; i++) {
    for (int j = 0; j < 2; j++) {
      ask_with(i, j == 0 ? "b-7" : NULL, j == 1 ? "b-7" : NULL);
      snprintf(expected, sizeof expected,
               "{\"error\":\"%s: \\\"b-7\\\" is neither the last batch of this consumer instance "
               "nor the last one acknowledged; \\\"Kafka-Ack: none\\\" delivers again what is "
               "outstanding\",\"status\":409}",
               j == 0 ? "Kafka-Ack" : "Kafka-Commit");
      CHECK_EQ_STR(answer.text, expected);
    }
    ask_with(i, "none", NULL);
    CHECK_EQ_STR(answer.text, "{\"error\":\"the engine's own text\",\"status\":409}");
  }
  plan.error = UK_E_UNAVAILABLE;
  ask_with(0, "b-7", NULL);
  CHECK_EQ_STR(answer.text, "{\"error\":\"the engine's own text\",\"status\":503}");
  api_rig_close(&rig);
}

static void a_reply_names_its_batch(void)
{
  open_rig();
  ask_with(0, NULL, NULL);
  CHECK_EQ_STR(answer.headers, "");
  plan.batch = ID64;
  plan.records = 1;
  ask_with(0, "none", NULL);
  CHECK_EQ_STR(answer.headers, "Kafka-Batch: " ID64 "\n");
  CHECK_EQ_INT(reports, 1);
  CHECK(reported_complete);
  api_rig_close(&rig);
}

/* The limits of the request are for new batches. */
static void takes_all_of_a_batch_that_comes_again(void)
{
  open_rig();
  plan.batch = "b-1";
  plan.value = uk_slice_of("0123456789", 10);
  plan.records = 5;
  ask(UK_GET, "/consume/g/i/t?max_messages=2", "");
  CHECK_EQ_INT(taken, 2);
  ask(UK_GET, "/consume/g/i/t?max_bytes=100", "");
  CHECK_EQ_INT(taken, 1);
  plan.redelivered = true;
  ask(UK_GET, "/consume/g/i/t?max_messages=2", "");
  CHECK_EQ_INT(taken, 5);
  ask(UK_GET, "/consume/g/i/t?max_bytes=1", "");
  CHECK_EQ_INT(taken, 5);
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_STR(answer.headers, "Kafka-Batch: b-1\n");
  api_rig_close(&rig);
}

/* A part of a batch would pass for the whole. */
static void a_batch_comes_again_whole_or_not_at_all(void)
{
  static char value[1000];
  memset(value, 'v', sizeof value);
  open_rig();
  plan.value = uk_slice_of(value, sizeof value);
  plan.batch = "b-1";
  plan.records = 100;
  plan.memory = 1; /* none after what the request itself has */
  plan.redelivered = true;
  ask(UK_POST, "/consume/g/i",
      "{\"topic\":\"t\",\"commit\":{\"topic\":\"t\",\"partition\":0,\"offset\":0}}");
  CHECK(taken > 0 && taken < 100); /* what was reserved for the reply */
  CHECK_EQ_INT(answer.status, 503);
  CHECK(strstr(answer.headers, "Kafka-Batch") == NULL);
  CHECK_EQ_INT(reports, 1);
  CHECK(!reported_complete);
  plan.redelivered = false; /* a new one ends where memory does */
  ask(UK_POST, "/consume/g/i",
      "{\"topic\":\"t\",\"commit\":{\"topic\":\"t\",\"partition\":0,\"offset\":0}}");
  CHECK(taken > 0 && taken < 100);
  CHECK_EQ_INT(answer.status, 200);
  CHECK(reported_complete);
  api_rig_close(&rig);
}

static void passes_on_the_commits_of_a_consume(void)
{
  static const struct {
    const char *commits;
    size_t count;
    const char *text;
  } rows[] = {
    {"[]", 0, ""},
    {"null", 0, ""},
    {"{\"topic\":\"t\",\"partition\":1,\"offset\":2}", 1, "t/1@2 "},
    {"[{\"topic\":\"t\",\"partition\":\"1\",\"offset\":2.0},]", 1, "t/1@2 "},
    {"[{\"topic\":\"u\",\"partition\":2147483647,\"offset\":9223372036854775806},"
     "{\"topic\":\"t\",\"partition\":0,\"offset\":0}]",
     2, "u/2147483647@9223372036854775806 t/0@0 "},
  };
  open_rig();
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
    char body[300];
    const bool in_path = i % 2 == 1;
    snprintf(body, sizeof body, "{%s\"commit\":%s}", in_path ? "" : "\"topic\":\"t\",",
             rows[i / 2].commits);
    ask(in_path ? UK_GET : UK_POST, in_path ? "/consume/g/i/t" : "/consume/g/i", body);
    CHECK_EQ_STR(answer.text, "[]");
    CHECK_EQ_INT(asked.count, rows[i / 2].count);
    CHECK_EQ_STR(asked.commits, rows[i / 2].text);
    CHECK_EQ_STR(answer.headers, "");
  }
  api_rig_close(&rig);
}

static void refuses_wrong_commits(void)
{
  static const struct {
    const char *commits;
    int status;
    const char *text;
  } rows[] = {
    {"5", 400, "commit: object or array of objects expected, got number"},
    {"{}", 400, "commit.topic: missing"},
    {"[{\"topic\":\"t\",\"partition\":0}]", 400, "commit[0].offset: missing"},
    {"[{\"topic\":\"t\",\"partition\":0,\"offset\":0},{\"topic\":\"t\",\"partition\":-1}]", 400,
     "commit[1].partition: an integer of 0 to 2147483647 expected, got -1"},
    {"{\"topic\":\"t\",\"partition\":0,\"ofset\":0}", 400,
     "commit: unknown field \\\"ofset\\\"; did you mean \\\"offset\\\"?"},
    {"[{\"topic\":\"t\",\"partition\":0,\"offset\":0},"
     "{\"topic\":\"t t\",\"partition\":0,\"offset\":0}]",
     400,
     "commit[1].topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"t t\\\""},
    {"{\"topic\":\"u\",\"partition\":0,\"offset\":0}", 403,
     "commit.topic: the credentials do not permit topic \\\"u\\\""},
    {"[{\"topic\":\"__consumer_offsets\",\"partition\":0,\"offset\":0}]", 404,
     "topic \\\"__consumer_offsets\\\" does not exist"},
  };
  open_rig();
  CHECK_EQ_INT(access_rig_add(rig.server.access, "t", "p", UK_PERMIT_CONSUME, "t*"), UK_OK);
  CHECK_EQ_INT(access_rig_add(rig.server.access, "_", "p", UK_PERMIT_CONSUME, "*"), UK_OK);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char body[300], expected[300];
    memset(&asked, 0, sizeof asked);
    snprintf(body, sizeof body, "{\"topic\":\"t\",\"commit\":%s}", rows[i].commits);
    snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":%d}", rows[i].text,
             rows[i].status);
    api_rig_ask(&rig, rows[i].status == 404 ? "_" : "t", UK_POST, "/consume/g/i", body, &answer);
    CHECK_EQ_STR(answer.text, expected);
    CHECK_EQ_INT(asked.calls, 0);
  }
  api_rig_close(&rig);
}

/* A body with so many commits of topics with names of this length. */
static char *many_commits(size_t count, int length)
{
  char *body = malloc(count * 320 + 100), *at = body;
  if (!CHECK(body != NULL))
    return NULL;
  at += sprintf(at, "{\"topic\":\"t\",\"commit\":[");
  for (size_t i = 0; i < count; i++)
    at += sprintf(at, "%s{\"topic\":\"%0*d\",\"partition\":%zu,\"offset\":1}", i > 0 ? "," : "",
                  length, 1, i);
  strcpy(at, "]}");
  return body;
}

static void names_the_commits_that_were_skipped(void)
{
  open_rig();
  char *body = many_commits(3, 1);
  REQUIRE(body != NULL);
  ask(UK_POST, "/consume/g/i", body);
  CHECK_EQ_STR(answer.headers, "");
  plan.skipped = 1;
  ask(UK_POST, "/consume/g/i", body);
  CHECK_EQ_STR(answer.headers, "Kafka-Commit-Skipped: 1-0\n");
  plan.skipped = 3;
  plan.batch = "b-1";
  plan.records = 1;
  ask(UK_POST, "/consume/g/i", body);
  CHECK_EQ_STR(answer.headers, "Kafka-Batch: b-1\nKafka-Commit-Skipped: 1-0, 1-1, 1-2\n");
  plan.error = UK_E_NOT_FOUND;
  ask(UK_POST, "/consume/g/i", body);
  CHECK_EQ_STR(answer.headers, "");
  free(body);
  api_rig_close(&rig);
}

static void names_the_longest_commit_in_full(void)
{
  char name[250], body[400], expected[400];
  memset(name, 'n', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  snprintf(body, sizeof body,
           "{\"topic\":\"t\",\"commit\":{\"topic\":\"%s\",\"partition\":2147483647,\"offset\":1}}",
           name);
  snprintf(expected, sizeof expected, "Kafka-Commit-Skipped: %s-2147483647\n", name);
  open_rig();
  plan.skipped = 1;
  ask(UK_POST, "/consume/g/i", body);
  CHECK_EQ_STR(answer.headers, expected);
  api_rig_close(&rig);
}

/* However many they are, the head of the reply stays within its limit. */
static void clips_the_names_of_skipped_commits(void)
{
  static const struct {
    size_t count;
    int length;  /* of a topic's name */
    size_t size; /* of the header's value */
    bool clipped;
  } rows[] = {
    {4, 246, 4 * 248 + 3 * 2, false}, /* 998 */
    {5, 196, 5 * 198 + 4 * 2, false}, /* 998 */
    {1, 249, 251, false},
    {4, 247, 3 * 249 + 2 * 2 + 5, true}, /* all four would be 1,002 */
    {1000, 249, 3 * 251 + 2 * 2 + 5, true},
    {10, 96, 10 * 98 + 9 * 2, false}, /* 998 */
    {6, 163, 1000, false},
    {200, 1, 995 + 5, true},
  };
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char *body = many_commits(rows[i].count, rows[i].length);
    REQUIRE(body != NULL);
    plan.skipped = rows[i].count;
    ask(UK_POST, "/consume/g/i", body);
    free(body);
    CHECK_EQ_INT(answer.status, 200);
    const size_t begin = strlen("Kafka-Commit-Skipped: "), length = strlen(answer.headers);
    CHECK(strncmp(answer.headers, "Kafka-Commit-Skipped: ", begin) == 0);
    CHECK(length <= begin + 1000 + strlen(", ...") + 1);
    if (i + 1 < sizeof rows / sizeof *rows)
      CHECK_EQ_INT(length - begin - 1, rows[i].size);
    CHECK_EQ_INT(strcmp(answer.headers + length - 6, ", ...\n") == 0, rows[i].clipped);
  }
  api_rig_close(&rig);
}

/* Once a consume has been answered, no record may get into its reply. */
static void a_late_consume_delivers_nothing(void)
{
  open_rig();
  plan.late = "the disk sleeps; the request may have been carried out";
  plan.records = 1;
  plan.batch = "b-1";
  ask(UK_POST, "/consume/g/i",
      "{\"topic\":\"t\",\"commit\":{\"topic\":\"t\",\"partition\":0,\"offset\":0}}");
  CHECK_EQ_INT(answer.status, 504);
  CHECK_EQ_STR(answer.text, "{\"error\":\"the disk sleeps; the request may have been carried out\","
                            "\"status\":504}");
  CHECK(!asked.is_client_alive);
  CHECK_EQ_INT(taken, 0);
  CHECK_EQ_INT(reports, 0);
  api_rig_close(&rig);
}

static void without_memory_a_request_is_a_503(void)
{
  static const struct api_header headers[] = {{"Kafka-Ack", "b-1"}, {"Kafka-Commit", "b-1"}};
  open_rig();
  plan.skipped = 1;
  rig.headers = headers;
  rig.header_count = 2;
  for (long n = 1, hit = 1; hit != 0; n++) {
    fault_at(n);
    ask(UK_POST, "/consume/g/i",
        "{\"topic\":\"t\",\"commit\":{\"topic\":\"t\",\"partition\":0,\"offset\":0}}");
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(answer.status, hit ? 503 : 200);
    CHECK_EQ_INT(asked.calls, answer.status == 200);
  }
  CHECK_EQ_STR(answer.headers, "Kafka-Commit-Skipped: t-0\n");
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(passes_on_what_a_request_acknowledges);
  CHECK_RUN(refuses_wrong_ids);
  CHECK_RUN(a_conflict_names_the_header_and_the_way_out);
  CHECK_RUN(a_reply_names_its_batch);
  CHECK_RUN(takes_all_of_a_batch_that_comes_again);
  CHECK_RUN(a_batch_comes_again_whole_or_not_at_all);
  CHECK_RUN(passes_on_the_commits_of_a_consume);
  CHECK_RUN(refuses_wrong_commits);
  CHECK_RUN(names_the_commits_that_were_skipped);
  CHECK_RUN(names_the_longest_commit_in_full);
  CHECK_RUN(clips_the_names_of_skipped_commits);
  CHECK_RUN(a_late_consume_delivers_nothing);
  CHECK_RUN(without_memory_a_request_is_a_503);
  return check_end();
}
