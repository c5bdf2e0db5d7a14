/* for: api_consume.c, api_fetch.c, api_commit.c, api_metadata.c, api_topics.c, api_consumers.c,
 * api.c, request.c */
#include "api_rig.h"
#include "check.h"

static bool asked, may_create;

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  asked = true;
  may_create = operation->create;
  operation->operation.error = UK_OK;
  operation->operation.done(&operation->operation);
}

static const struct uk_engine_methods methods = {.name = "played", .consume = consume};

/* B7: credentials that may not produce to a topic do not create it. */
static void a_consume_creates_a_topic_if_a_produce_would(void)
{
  static const struct {
    const char *user;
    int status;
    bool creates;
  } rows[] = {{"full", 200, true}, {"consume", 200, false}, {"produce", 403, false}};
  struct api_rig rig;
  struct api_answer answer;
  REQUIRE(api_rig_open(&rig, &methods));
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    asked = may_create = false;
    api_rig_ask(&rig, rows[i].user, UK_GET, "/consume/g/i/t", "", &answer);
    CHECK_EQ_INT(answer.status, rows[i].status);
    CHECK(asked == (rows[i].status == 200));
    CHECK(may_create == rows[i].creates);
  }
  api_rig_close(&rig);
}

/* A4: no engine is asked about an internal topic. */
static void internal_topics_reach_no_engine(void)
{
  struct api_rig rig;
  struct api_answer answer;
  asked = false;
  REQUIRE(api_rig_open(&rig, &methods));
  api_rig_ask(&rig, "full", UK_GET, "/consume/g/i/__consumer_offsets", "", &answer);
  CHECK_EQ_INT(answer.status, 404);
  CHECK_EQ_STR(answer.text,
               "{\"error\":\"topic \\\"__consumer_offsets\\\" does not exist\",\"status\":404}");
  CHECK(!asked);
  api_rig_close(&rig);
}

/* An engine that looks at what it is asked when the body has gone. */

static int dropped, dropped_before;
static char seen[200];

static void see(struct uk_slice topic)
{
  snprintf(seen, sizeof seen, "%.*s", (int)topic.length, topic.data);
}

static void end(struct uk_operation *operation)
{
  const struct uk_request *request = operation->context;
  dropped_before = dropped;
  CHECK(dropped == 0 || (request->body == NULL && request->body_length == 0));
  CHECK_EQ_INT(request->scratch.used, 0);
  operation->done(operation);
}

#define SEE(name, type, what)                                                                      \
  static void see_##name(struct uk_engine *engine, struct type *operation)                         \
  {                                                                                                \
    (void)engine;                                                                                  \
    see(what);                                                                                     \
    end(&operation->operation);                                                                    \
  }

SEE(fetch, uk_fetch, operation->positions[operation->count - 1].topic)
SEE(consume, uk_consume,
    operation->commit_count > 0 ? operation->commits[0].topic : operation->topics[0])
SEE(commit, uk_commit, operation->count > 0 ? operation->offsets[0].topic : operation->group)
SEE(committed, uk_committed, operation->offsets[0].topic)
SEE(offsets, uk_offsets, operation->offsets[0].topic)
SEE(delete_consumer, uk_delete_consumer, operation->group)
SEE(consumers, uk_consumers, uk_slice_text("-"))
SEE(topics, uk_topics, uk_slice_text("-"))
SEE(create_topic, uk_create_topic, operation->topic)
SEE(delete_topic, uk_delete_topic, operation->topic)
SEE(produce, uk_produce, operation->records[0].value)

static const struct uk_engine_methods seeing = {
  .name = "played",
  .fetch = see_fetch,
  .consume = see_consume,
  .commit = see_commit,
  .committed = see_committed,
  .offsets = see_offsets,
  .delete_consumer = see_delete_consumer,
  .consumers = see_consumers,
  .topics = see_topics,
  .create_topic = see_create_topic,
  .delete_topic = see_delete_topic,
  .produce = see_produce,
};

#define POSITION "{\"topic\":\"some\",\"partition\":0,\"offset\":7}"

static const struct {
  enum uk_method method;
  const char *path, *body, *seen;
  bool keeps;
} endpoints[] = {
  {UK_POST, "/fetch", POSITION, "some", false},
  {UK_POST, "/fetch", "{\"topicPartitionOffsets\":[" POSITION "," POSITION "]}", "some", false},
  {UK_POST, "/consume/g/i", "{\"topic\":\"some\"}", "some", false},
  {UK_POST, "/consume/g/i", "{\"topics\":[\"some\",\"some\",\"b\"]}", "some", false},
  {UK_GET, "/consume/g/i/t", "{\"commit\":" POSITION "}", "some", false},
  {UK_POST, "/commit/g/i", POSITION, "some", false},
  {UK_POST, "/committed/g/i", "{\"topic\":\"some\",\"partition\":0}", "some", false},
  {UK_POST, "/offsets/latest", "{\"topic\":\"some\",\"partition\":0}", "some", false},
  {UK_POST, "/delete-consumer/g/i", "unread", "g", false},
  {UK_GET, "/consumers", "unread", "-", false},
  {UK_GET, "/topics", "unread", "-", false},
  {UK_POST, "/topics/some", "{\"topic\":\"some\"}", "some", false},
  {UK_DELETE, "/topics/some", "unread", "some", false},
  {UK_GET, "/produce/t/value", "unread", "value", false},
  {UK_POST, "/produce/t", "{\"value\":\"value\"}", "value", true},
  {UK_POST, "/produce", "{\"topic\":\"t\",\"value\":\"value\"}", "value", true},
  {UK_POST, "/webhook?topic=t", "value", "value", true},
};

/* With white space before it, the body is long enough for a scratch arena. */
static void E3_nothing_waits_with_a_body(void)
{
  static char body[2 * UK_SCRATCH_LEAST];
  struct api_rig rig;
  struct api_answer answer;
  REQUIRE(api_rig_open(&rig, &seeing));
  rig.dropped = &dropped;
  for (size_t i = 0; i < 2 * sizeof endpoints / sizeof *endpoints; i++) {
    const size_t row = i / 2;
    const bool is_json = endpoints[row].body[0] == '{';
    snprintf(body, sizeof body, "%*s%s", is_json && i % 2 == 1 ? UK_SCRATCH_LEAST : 0, "",
             endpoints[row].body);
    seen[0] = '\0';
    dropped = dropped_before = 0;
    api_rig_ask(&rig, "full", endpoints[row].method, endpoints[row].path, body, &answer);
    CHECK(answer.status == 200 || answer.status == 201);
    CHECK_EQ_INT(dropped_before, !endpoints[row].keeps);
    if (!CHECK_EQ_STR(seen, endpoints[row].seen))
      fprintf(stderr, "  %s: %s\n", endpoints[row].path, answer.text);
  }
  api_rig_close(&rig);
}

/* At the limit, and one more. */
static void E3_limits_the_headers_of_a_request(void)
{
  enum { MESSAGES = UK_HEADERS_PER_REQUEST_MAX / UK_HEADERS_PER_MESSAGE_MAX };
  static const char header[] = "\"\":\"\",";
  struct api_rig rig;
  struct api_answer answer;
  REQUIRE(api_rig_open(&rig, &seeing));
  for (int more = 0; more < 2; more++) {
    struct uk_buffer body;
    uk_buffer_init(&body, 4 << 20);
    uk_buffer_append_byte(&body, '[');
    for (int i = 0; i < MESSAGES + more; i++) {
      uk_buffer_append_text(&body, "{\"value\":\"\",\"headers\":{");
      for (int j = 0; j < (i < MESSAGES ? UK_HEADERS_PER_MESSAGE_MAX : 1); j++)
        uk_buffer_append_text(&body, header);
      uk_buffer_append_text(&body, "}},");
    }
    uk_buffer_append_byte(&body, ']');
    api_rig_ask(&rig, "full", UK_POST, "/produce/t", uk_buffer_text(&body), &answer);
    CHECK_EQ_INT(answer.status, more == 0 ? 200 : 400);
    if (more == 1)
      CHECK_EQ_STR(answer.text, "{\"error\":\"[100].headers: at most 100000 items expected in one "
                                "request\",\"status\":400}");
    uk_buffer_free(&body);
  }
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(E3_nothing_waits_with_a_body);
  CHECK_RUN(E3_limits_the_headers_of_a_request);
  CHECK_RUN(a_consume_creates_a_topic_if_a_produce_would);
  CHECK_RUN(internal_topics_reach_no_engine);
  return check_end();
}
