/* for: api.c, api_commit.c, api_consume.c, api_fetch.c, api_metadata.c, api_produce.c, api_read.c,
 * api_webhook.c, api_consumers.c, api_topics.c, consumer_settings.c, message_json.c
 *
 * Every field that a request hands to the engine, and every field of the reply. The engine of this
 * test writes down what it is asked. */
#include <stdarg.h>
#include <stdlib.h>

#include "api_rig.h"
#include "check.h"
#include "fault.h"

static struct api_rig rig;
static struct api_answer answer;

/* What the engine was asked, as text; "" if nothing. */
static char asked[4096];

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
  va_list arguments;
  size_t length = strlen(asked);
  va_start(arguments, format);
  vsnprintf(asked + length, sizeof asked - length, format, arguments);
  va_end(arguments);
}

static void note_slice(const char *name, struct uk_slice slice)
{
  note(" %s=", name);
  for (size_t i = 0; i < slice.length; i++)
    note(slice.data[i] == '\0' ? "\\0" : "%c", slice.data[i]);
}

static void note_positions(const struct uk_topic_partition_offset *positions, size_t count)
{
  for (size_t i = 0; i < count; i++)
    note(" %.*s/%d@%lld", (int)positions[i].topic.length, positions[i].topic.data,
         (int)positions[i].partition, (long long)positions[i].offset);
}

static enum uk_error outcome;
static const char *reason; /* what it says of an error; NULL: nothing */

/* Memory ends with the operation: the reply must do with what was reserved. */
static bool starves;

static void end(struct uk_operation *operation)
{
  if (starves)
    fault_from(1);
  operation->error = outcome;
  if (reason != NULL)
    uk_operation_fail(operation, outcome, "%s", reason);
  operation->done(operation);
}

static void commit(struct uk_engine *engine, struct uk_commit *operation)
{
  (void)engine;
  note("commit");
  note_slice("group", operation->group);
  note_slice("instance", operation->instance);
  note_positions(operation->offsets, operation->count);
  end(&operation->operation);
}

static void committed(struct uk_engine *engine, struct uk_committed *operation)
{
  (void)engine;
  note("committed");
  note_slice("group", operation->group);
  note_positions(operation->offsets, operation->count);
  for (size_t i = 0; i < operation->count; i++)
    operation->offsets[i].offset = (int64_t)i - 1;
  end(&operation->operation);
}

static void offsets(struct uk_engine *engine, struct uk_offsets *operation)
{
  (void)engine;
  note("offsets %lld", (long long)operation->timestamp);
  note_positions(operation->offsets, operation->count);
  for (size_t i = 0; i < operation->count; i++)
    operation->offsets[i].offset = 10 + (int64_t)i;
  end(&operation->operation);
}

static void delete_consumer(struct uk_engine *engine, struct uk_delete_consumer *operation)
{
  (void)engine;
  note("delete_consumer");
  note_slice("group", operation->group);
  note_slice("instance", operation->instance);
  end(&operation->operation);
}

static void delete_topic(struct uk_engine *engine, struct uk_delete_topic *operation)
{
  (void)engine;
  note("delete_topic");
  note_slice("topic", operation->topic);
  end(&operation->operation);
}

static void note_record(const struct uk_record *record)
{
  note_slice("topic", record->topic);
  note(" %d %lld", (int)record->partition, (long long)record->timestamp);
  if (record->has_key)
    note_slice("key", record->key);
  if (record->has_value)
    note_slice("value", record->value);
  for (size_t i = 0; i < record->header_count; i++) {
    note_slice("header", record->headers[i].key);
    note_slice("", record->headers[i].value);
  }
}

static int longest_offset; /* 1: records get the last one that there is */

static void produce(struct uk_engine *engine, struct uk_produce *operation)
{
  (void)engine;
  note("produce");
  for (size_t i = 0; i < operation->count; i++) {
    note_record(&operation->records[i]);
    operation->records[i].offset = longest_offset > 0 ? INT64_MAX : 0;
  }
  end(&operation->operation);
}

/* The records that a read delivers, one after another, until the reply is full. */
static const struct uk_record *records;
static size_t record_count, taken;

static void deliver(struct uk_operation *operation, const struct uk_sink *sink)
{
  taken = 0;
  while (taken < record_count && sink->record(operation, &records[taken]))
    taken++;
  end(operation);
}

/* The client hangs up while its request waits. */
static bool hangs_up;

static void hang_up(struct uk_operation *operation)
{
  struct uk_request *request = operation->context;
  if (!hangs_up || !CHECK(request->client_gone != NULL))
    return;
  CHECK(!uk_operation_is_expired(operation));
  request->client_gone(request);
  CHECK(uk_operation_is_expired(operation));
}

static const struct uk_operation *expired;

static void consume_expired(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  note("consume is over:");
  expired = &operation->operation;
}

static void fetch_expired(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  note("fetch is over:");
  expired = &operation->operation;
}

static void fetch(struct uk_engine *engine, struct uk_fetch *operation)
{
  (void)engine;
  hang_up(&operation->operation);
  CHECK(!hangs_up || expired == &operation->operation);
  note("fetch%s", operation->sink.is_client_alive != NULL ? " checks the client" : "");
  note_positions(operation->positions, operation->count);
  deliver(&operation->operation, &operation->sink);
}

static void consume(struct uk_engine *engine, struct uk_consume *operation)
{
  (void)engine;
  hang_up(&operation->operation);
  CHECK(!hangs_up || expired == &operation->operation);
  note("consume");
  note_slice("group", operation->group);
  note_slice("instance", operation->instance);
  for (size_t i = 0; i < operation->topic_count; i++)
    note_slice("topic", operation->topics[i]);
  note(operation->create ? " creates" : "");
  note(operation->sink.is_client_alive(&operation->operation) ? " alive" : " gone");
  deliver(&operation->operation, &operation->sink);
}

/* Two groups whose names, and two instances whose names, differ only at their ends. */
static void consumers(struct uk_engine *engine, struct uk_consumers *operation)
{
  char names[2][UK_GROUP_NAME_MAX];
  (void)engine;
  memset(names, 'n', sizeof names);
  names[1][UK_GROUP_NAME_MAX - 1] = 'm';
  for (int i = 0; i < 4; i++)
    operation->owned(&operation->operation, uk_slice_of(names[i / 2], UK_GROUP_NAME_MAX),
                     uk_slice_of(names[i % 2], UK_GROUP_NAME_MAX), (struct uk_slice){0}, NULL, 0);
  end(&operation->operation);
}

static void topics(struct uk_engine *engine, struct uk_topics *operation)
{
  (void)engine;
  operation->topic(&operation->operation, uk_slice_text("t"), 1);
  end(&operation->operation);
}

static void create_topic(struct uk_engine *engine, struct uk_create_topic *operation)
{
  (void)engine;
  end(&operation->operation);
}

static const struct uk_engine_methods methods = {
  .name = "noting",
  .consumers = consumers,
  .topics = topics,
  .create_topic = create_topic,
  .commit = commit,
  .committed = committed,
  .offsets = offsets,
  .delete_consumer = delete_consumer,
  .delete_topic = delete_topic,
  .produce = produce,
  .fetch = fetch,
  .consume = consume,
  .fetch_expired = fetch_expired,
  .consume_expired = consume_expired,
};

static void open_rig(void)
{
  outcome = UK_OK;
  starves = hangs_up = false;
  record_count = 0;
  REQUIRE(api_rig_open(&rig, &methods));
}

static void ask(enum uk_method method, const char *path, const char *body)
{
  asked[0] = '\0';
  api_rig_ask(&rig, "full", method, path, body, &answer);
}

/* The cases. */

struct passed {
  enum uk_method method;
  const char *path, *body, *asked, *reply;
};

static void check_passed(const struct passed *rows, size_t count)
{
  open_rig();
  for (size_t i = 0; i < count; i++) {
    ask(rows[i].method, rows[i].path, rows[i].body);
    bool good = CHECK_EQ_INT(answer.status, 200) && CHECK_EQ_STR(asked, rows[i].asked) &&
                CHECK_EQ_STR(answer.text, rows[i].reply);
    if (!good)
      fprintf(stderr, "  %s %s\n  %s\n", rows[i].path, rows[i].body, answer.text);
  }
  api_rig_close(&rig);
}

#define SUCCESS "{\"result\":\"Success\",\"status\":200}"
#define TWO_TRIPLES                                                                                \
  "[{\"topic\":\"t\",\"partition\":2147483647,\"offset\":9223372036854775806},"                    \
  "{\"topic\":\"u\",\"partition\":0,\"offset\":0}]"
#define TWO_PARTITIONS                                                                             \
  "[{\"topic\":\"t\",\"partition\":2147483647},{\"topic\":\"u\",\"partition\":0}]"
#define TWO_OFFSETS(first, second)                                                                 \
  "[{\"topic\":\"t\",\"partition\":2147483647,\"offset\":" #first                                  \
  "},{\"topic\":\"u\",\"partition\":0,\"offset\":" #second "}]"

static void passes_on_every_field_of_a_group(void)
{
  static const struct passed rows[] = {
    {UK_POST, "/commit/g/i", TWO_TRIPLES,
     "commit group=g instance=i t/2147483647@9223372036854775806 u/0@0", SUCCESS},
    {UK_GET, "/commit/g/i", "", "commit group=g instance=i", SUCCESS},
    {UK_POST, "/commit/g/i", "[]", "", SUCCESS},
    {UK_POST, "/committed/g/i", TWO_PARTITIONS, "committed group=g t/2147483647@0 u/0@0",
     TWO_OFFSETS(-1, 0)},
    {UK_POST, "/committed/g/i", "[]", "", "[]"},
    {UK_DELETE, "/delete-consumer/g/i", "", "delete_consumer group=g instance=i", SUCCESS},
    {UK_GET, "/consume/g/i/t", "", "consume group=g instance=i topic=t creates alive", "[]"},
    {UK_POST, "/consume/g/i", "{\"topics\":[\"t\",\"u\"],\"topic\":\"v\"}",
     "consume group=g instance=i topic=v topic=t topic=u creates alive", "[]"},
  };
  check_passed(rows, sizeof rows / sizeof *rows);
}

/* Only who may produce to a topic makes one. */
static void a_consume_without_permission_to_produce_creates_no_topic(void)
{
  open_rig();
  asked[0] = '\0';
  api_rig_ask(&rig, "consume", UK_GET, "/consume/g/i/t", "", &answer);
  CHECK_EQ_STR(asked, "consume group=g instance=i topic=t alive");
  api_rig_close(&rig);
}

static void passes_on_every_field_of_a_look_up(void)
{
  static const struct passed rows[] = {
    {UK_POST, "/offsets/earliest", TWO_PARTITIONS, "offsets -2 t/2147483647@0 u/0@0",
     TWO_OFFSETS(10, 11)},
    {UK_POST, "/offsets/latest", TWO_PARTITIONS, "offsets -1 t/2147483647@0 u/0@0",
     TWO_OFFSETS(10, 11)},
    {UK_POST, "/offsets/0", TWO_PARTITIONS, "offsets 0 t/2147483647@0 u/0@0", TWO_OFFSETS(10, 11)},
    {UK_POST, "/offsets/9223372036854775807", TWO_PARTITIONS,
     "offsets 9223372036854775807 t/2147483647@0 u/0@0", TWO_OFFSETS(10, 11)},
    {UK_POST, "/offsets/12345678", TWO_PARTITIONS, "offsets 12345678 t/2147483647@0 u/0@0",
     TWO_OFFSETS(10, 11)},
    {UK_POST, "/offsets/123456", TWO_PARTITIONS, "offsets 123456 t/2147483647@0 u/0@0",
     TWO_OFFSETS(10, 11)},
    {UK_POST, "/offsets/latest", "[]", "", "[]"},
    {UK_POST, "/fetch",
     "{\"topic\":\"v\",\"partition\":7,\"offset\":5,\"topicPartitionOffsets\":" TWO_TRIPLES "}",
     "fetch v/7@5 t/2147483647@9223372036854775806 u/0@0", "[]"},
    {UK_POST, "/fetch",
     "{\"topic\":\"v\",\"partition\":7,\"offset\":5,\"topicPartitionOffsets\":"
     "[{\"topic\":\"u\",\"partition\":0,\"offset\":6}]}",
     "fetch v/7@5 u/0@6", "[]"},
    {UK_POST, "/fetch", "{\"topicPartitionOffsets\":" TWO_TRIPLES "}",
     "fetch t/2147483647@9223372036854775806 u/0@0", "[]"},
    {UK_POST, "/fetch", "{\"topic\":\"v\",\"partition\":2147483647,\"offset\":-1}",
     "fetch v/2147483647@-1", "[]"},
    {UK_DELETE, "/topics/t", "", "delete_topic topic=t", SUCCESS},
  };
  check_passed(rows, sizeof rows / sizeof *rows);
}

#define ONE "{\"topic\":\"t\",\"partition\":-1,\"offset\":0,\"timestamp\":-1}"
#define GIVEN                                                                                      \
  "{\"topic\":\"t\",\"partition\":2147483647,\"offset\":0,\"timestamp\":9007199254740992}"

static void passes_on_every_field_of_a_message(void)
{
  static const struct passed rows[] = {
    {UK_GET, "/produce/t/v", "", "produce topic=t -1 -1 value=v", ONE},
    {UK_GET, "/produce/t/v?key=k+k", "", "produce topic=t -1 -1 key=k k value=v", ONE},
    {UK_POST, "/produce",
     "{\"topic\":\"t\",\"partition\":2147483647,\"timestamp\":9007199254740992,\"key\":\"k\","
     "\"value\":\"v\",\"headers\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":null},"
     "{\"key\":\"a\",\"value\":\"3\"}]}",
     "produce topic=t 2147483647 9007199254740992 key=k value=v header=a =1 header=b = header=a =3",
     "[" GIVEN "]"},
    {UK_POST, "/produce/t",
     "[{\"value\":null,\"timestamp\":1},{\"value\":\"\",\"key\":\"\",\"partition\":0}]",
     "produce topic=t -1 1 topic=t 0 -1 key= value=",
     "[{\"topic\":\"t\",\"partition\":-1,\"offset\":0,\"timestamp\":1},"
     "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp\":-1}]"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"headers\":{}}", "produce topic=t -1 -1 value=v",
     "[" ONE "]"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"headers\":{\"a\":\"1\"},\"topic\":\"t\"}",
     "produce topic=t -1 -1 value=v header=a =1", "[" ONE "]"},
    {UK_POST, "/produce/t", "[]", "", "[]"},
    {UK_POST, "/produce", "[]", "", "[]"},
  };
  check_passed(rows, sizeof rows / sizeof *rows);
}

static void decodes_base64(void)
{
  static const struct passed rows[] = {
    {UK_GET, "/produce/t/dg==?key=Pj4+", "", "produce topic=t -1 -1 key=>>> value=v", ONE},
    {UK_GET, "/produce/t/dg==?key=Pj4%2B", "", "produce topic=t -1 -1 key=>>> value=v", ONE},
    {UK_POST, "/produce/t",
     "{\"key\":\"aw==\",\"value\":\"AHY=\",\"headers\":{\"a\":\"MQ==\",\"b\":\"\"}}",
     "produce topic=t -1 -1 key=k value=\\0v header=a =1 header=b =", "[" ONE "]"},
    {UK_POST, "/produce/t", "{\"key\":\"\",\"value\":null}",
     "produce topic=t -1 -1 key=", "[" ONE "]"},
  };
  static const char *const wrong[][3] = {
    {"/produce/t", "{\"value\":\"x\"}", "value: base64 expected"},
    {"/produce/t", "[{\"value\":\"\"},{\"value\":\"\",\"key\":\"!\"}]", "[1].key: base64 expected"},
    {"/produce/t", "{\"value\":42}", "value: a base64 string expected"},
    {"/produce/t", "{\"value\":1234}", "value: a base64 string expected"},
    {"/produce/t", "{\"value\":\"\",\"key\":true}", "key: a base64 string expected"},
    {"/produce/t", "{\"value\":\"\",\"headers\":{\"a\":\"!\"}}", "headers: base64 expected"},
    {"/produce/t/x", "", "message: base64 expected"},
    {"/produce/t/dg==?key=x", "", "key: base64 expected"},
  };
  open_rig();
  rig.header = "Kafka-Encoding";
  rig.header_value = "Base64";
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(rows[i].method, rows[i].path, rows[i].body);
    CHECK_EQ_STR(asked, rows[i].asked);
    CHECK_EQ_STR(answer.text, rows[i].reply);
  }
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    char expected[200];
    ask(wrong[i][1][0] == '\0' ? UK_GET : UK_POST, wrong[i][0], wrong[i][1]);
    snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":400}", wrong[i][2]);
    CHECK_EQ_STR(answer.text, expected);
    CHECK_EQ_STR(asked, "");
  }
  api_rig_close(&rig);
}

/* What is refused, in full. No engine is asked. */
static void says_what_is_wrong(void)
{
  static const struct {
    enum uk_method method;
    const char *path, *body, *error;
  } rows[] = {
    {UK_POST, "/commit/g/i", "{\"topic\":\"t\",\"partition\":2147483648,\"offset\":0}",
     "partition: an integer of 0 to 2147483647 expected, got 2147483648"},
    {UK_POST, "/commit/g/i", "{\"topic\":\"t\",\"partition\":-1,\"offset\":0}",
     "partition: an integer of 0 to 2147483647 expected, got -1"},
    {UK_POST, "/commit/g/i", "[{\"topic\":\"t\",\"partition\":0,\"offset\":-1}]",
     "[0].offset: an integer of 0 to 9223372036854775806 expected, got -1"},
    {UK_POST, "/commit/g/i", "{\"topic\":\"t\",\"partition\":0}", "offset: missing"},
    {UK_POST, "/commit/g/i", "{\"topic\":\"t\",\"partition\":null,\"offset\":0}",
     "partition: an integer of 0 to 2147483647 expected, got null"},
    {UK_POST, "/commit/g/i", "{\"topic\":\"t\",\"partition\":0,\"offset\":null}",
     "offset: an integer of 0 to 9223372036854775806 expected, got null"},
    {UK_POST, "/commit/g/i", "{\"topic\":null,\"partition\":0,\"offset\":0}",
     "topic: string expected, got null"},
    {UK_POST, "/produce", "{\"topic\":null,\"value\":\"v\"}", "topic: string expected, got null"},
    {UK_POST, "/committed/g/i", "",
     "body: {topic, partition} or an array of them expected, got nothing"},
    {UK_POST, "/offsets/latest", "",
     "body: {topic, partition} or an array of them expected, got nothing"},
    {UK_POST, "/offsets/latest", "{\"topic\":\"t\",\"partition\":0,\"offset\":0}",
     "body: unknown field \\\"offset\\\"; did you mean \\\"topic\\\"?"},
    {UK_POST, "/offsets/-1", "",
     "timestamp: earliest, latest or milliseconds since 1970 expected, got \\\"-1\\\""},
    {UK_POST, "/offsets/9223372036854775808", "",
     "timestamp: earliest, latest or milliseconds since 1970 expected, got "
     "\\\"9223372036854775808\\\""},
    {UK_POST, "/fetch", "{\"topic\":\"t\",\"partition\":2147483648,\"offset\":0}",
     "partition: an integer of 0 to 2147483647 expected, got 2147483648"},
    {UK_POST, "/fetch", "{\"topic\":\"a b\",\"partition\":0,\"offset\":0}",
     "topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_POST, "/fetch",
     "{\"topic\":\"a b\",\"partition\":0,\"offset\":0,\"topicPartitionOffsets\":" TWO_TRIPLES "}",
     "topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_POST, "/fetch",
     "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"topicPartitionOffsets\":"
     "[{\"topic\":\"a b\",\"partition\":0,\"offset\":0}]}",
     "topicPartitionOffsets[0].topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got "
     "\\\"a b\\\""},
    {UK_POST, "/fetch",
     "{\"topicPartitionOffsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":0},"
     "{\"topic\":\"a b\",\"partition\":0,\"offset\":0}]}",
     "topicPartitionOffsets[1].topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got "
     "\\\"a b\\\""},
    {UK_POST, "/fetch",
     "{\"topicPartitionOffsets\":[{\"topic\":\"t\",\"partition\":2147483648,\"offset\":0}]}",
     "topicPartitionOffsets[0].partition: an integer of 0 to 2147483647 expected, got "
     "2147483648"},
    {UK_POST, "/fetch", "{\"partition\":0,\"offset\":0}", "topic: missing"},
    {UK_POST, "/fetch", "{\"topic\":\"t\",\"offset\":0}", "partition: missing"},
    {UK_POST, "/fetch", "{\"topic\":\"t\",\"partition\":0}", "offset: missing"},
    {UK_POST, "/fetch", "",
     "topic, partition, offset or topicPartitionOffsets expected, got nothing"},
    {UK_GET, "/consume/g/i/t", "{\"topic\":\"u\"}",
     "topic: \\\"u\\\" in the body differs from \\\"t\\\" in the path"},
    {UK_GET, "/consume/g/i/t", "{\"topics\":[\"t\",\"u\"]}",
     "topics[1]: \\\"u\\\" in the body differs from \\\"t\\\" in the path"},
    {UK_POST, "/consume/g/i", "", "topic, topics: at least one topic expected"},
    {UK_POST, "/consume/g/i", "{\"topics\":[\"t\",\"a b\"]}",
     "topics[1]: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_POST, "/consume/g/i", "{\"topics\":\"a b\"}",
     "topics: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_POST, "/consume/g/i", "[]", "body: object expected, got an empty array"},
    {UK_POST, "/topics/a%20b", "",
     "topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_DELETE, "/topics/a%20b", "",
     "topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_POST, "/produce", "", "body: a message or an array of messages expected, got nothing"},
    {UK_POST, "/produce", "{\"value\":\"v\"}", "topic: missing"},
    {UK_POST, "/produce/t", "{\"key\":\"k\"}", "value: missing"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"timestamp\":0}",
     "timestamp: an integer of 1 to 9007199254740992 expected, got 0"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"timestamp\":9007199254740993}",
     "timestamp: an integer of 1 to 9007199254740992 expected, got 9007199254740993"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"partition\":2147483648}",
     "partition: an integer of 0 to 2147483647 expected, got 2147483648"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"headers\":[{\"value\":\"1\"}]}",
     "headers[0].key: missing"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"headers\":[{\"key\":\"a\"}]}",
     "headers[0].value: missing"},
    {UK_POST, "/produce/t", "[{\"value\":\"v\"},{\"value\":\"v\",\"topic\":\"u\"}]",
     "[1].topic: \\\"u\\\" in the body differs from \\\"t\\\" in the path"},
    {UK_POST, "/produce", "[{\"topic\":\"t\",\"value\":\"\"},{\"topic\":\"a b\",\"value\":\"\"}]",
     "[1].topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_POST, "/produce/t", "[{\"value\":\"v\"}] x",
     "malformed JSON at byte 16: something follows the value"},
    {UK_POST, "/produce/t", "{\"value\":\"\\ud800\"}",
     "malformed JSON at byte 10: half of a surrogate pair"},
    {UK_GET, "/produce/t/%ff", "", "message: UTF-8 expected"},
    {UK_GET, "/produce/t/v?key=%ff", "", "key: UTF-8 expected"},
    {UK_GET, "/produce/t/v?key=%f", "", "query: malformed percent escape in %f"},
    {UK_POST, "/webhook", "v", "topic: missing from the query"},
    {UK_POST, "/webhook?topic=%f", "v", "query: malformed percent escape in %f"},
    {UK_POST, "/webhook?topic=a%20b", "v",
     "topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected, got \\\"a b\\\""},
    {UK_GET, "/produce/t/%f", "", "path: malformed percent escape"},
  };
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char expected[400];
    ask(rows[i].method, rows[i].path, rows[i].body);
    snprintf(expected, sizeof expected, "{\"error\":\"%s\",\"status\":400}", rows[i].error);
    if (!CHECK_EQ_STR(answer.text, expected))
      fprintf(stderr, "  to %s\n", rows[i].path);
    CHECK_EQ_INT(answer.status, 400);
    CHECK_EQ_STR(asked, "");
  }
  api_rig_close(&rig);
}

/* Names in the path and in the body are shown up to the length of a topic name, and other values up
 * to 64 bytes. */
static void shows_long_names_in_part(void)
{
  char longer[301], body[400], expected[800], path[400];
  memset(longer, 'x', sizeof longer - 1);
  longer[sizeof longer - 1] = '\0';
  open_rig();
  snprintf(body, sizeof body, "{\"topic\":\"%s\"}", longer);
  ask(UK_POST, "/topics/t", body);
  snprintf(expected, sizeof expected,
           "{\"error\":\"topic: \\\"%.249s\\\" in the body differs from \\\"t\\\" in the "
           "path\",\"status\":400}",
           longer);
  CHECK_EQ_STR(answer.text, expected);
  snprintf(path, sizeof path, "/offsets/%.65s", longer);
  ask(UK_POST, path, "");
  snprintf(expected, sizeof expected,
           "{\"error\":\"timestamp: earliest, latest or milliseconds since 1970 expected, got "
           "\\\"%.64s\\\"\",\"status\":400}",
           longer);
  CHECK_EQ_STR(answer.text, expected);
  api_rig_close(&rig);
}

/* Which of several messages is not permitted is said by its place. */
static void names_the_place_of_a_foreign_topic(void)
{
  open_rig();
  CHECK_EQ_INT(access_rig_add(rig.server.access, "clerk", "p", UK_PERMIT_FULL, "own*"), UK_OK);
  api_rig_ask(&rig, "clerk", UK_POST, "/produce",
              "[{\"topic\":\"own\",\"value\":\"\"},{\"topic\":\"other\",\"value\":\"\"}]", &answer);
  CHECK_EQ_INT(answer.status, 403);
  CHECK_EQ_STR(answer.text, "{\"error\":\"[1].topic: the credentials do not permit topic "
                            "\\\"other\\\"\",\"status\":403}");
  api_rig_close(&rig);
}

/* Key, value, and the headers' keys and values count. */
static void limits_the_size_of_a_message(void)
{
  static const struct {
    enum uk_method method;
    const char *path, *body; /* of ten bytes; more with one for the x */
  } rows[] = {
    {UK_GET, "/produce/t/567890?key=1234x", ""},
    {UK_GET, "/produce/t/567890x?key=1234", ""},
    {UK_POST, "/produce/t", "{\"key\":\"12x\",\"value\":\"34\",\"headers\":{\"56\":\"7890\"}}"},
    {UK_POST, "/produce/t", "{\"key\":\"12\",\"value\":\"34x\",\"headers\":{\"56\":\"7890\"}}"},
    {UK_POST, "/produce/t", "{\"key\":\"12\",\"value\":\"34\",\"headers\":{\"56x\":\"7890\"}}"},
    {UK_POST, "/produce/t", "{\"key\":\"12\",\"value\":\"34\",\"headers\":{\"56\":\"7890x\"}}"},
    {UK_POST, "/webhook?topic=t", "1234567890x"},
  };
  open_rig();
  rig.server.max_message_bytes = 10;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char path[100], body[200];
    ask(rows[i].method, rows[i].path, rows[i].body);
    CHECK_EQ_STR(answer.text,
                 "{\"error\":\"a message of at most 10 bytes expected, got 11\",\"status\":413}");
    CHECK_EQ_STR(asked, "");
    const char *x = strchr(rows[i].path, 'x');
    snprintf(path, sizeof path, "%s", rows[i].path);
    if (x != NULL)
      memmove(path + (x - rows[i].path), x + 1, strlen(x));
    x = strchr(rows[i].body, 'x');
    snprintf(body, sizeof body, "%s", rows[i].body);
    if (x != NULL)
      memmove(body + (x - rows[i].body), x + 1, strlen(x));
    ask(rows[i].method, path, body);
    CHECK_EQ_INT(answer.status, 200);
  }
  for (int i = 0; i < 2; i++) {
    char body[200], expected[200];
    snprintf(body, sizeof body, "[%s{\"value\":\"1234567890x\"}]",
             i > 0 ? "{\"value\":\"\"}," : "");
    ask(UK_POST, "/produce/t", body);
    snprintf(expected, sizeof expected,
             "{\"error\":\"[%d]: a message of at most 10 bytes expected, got 11\",\"status\":413}",
             i);
    CHECK_EQ_STR(answer.text, expected);
  }
  api_rig_close(&rig);
}

/* A body of `count` times `item`, with commas, between the texts. */
static char *repeat(const char *before, const char *item, size_t count, const char *after)
{
  size_t length = strlen(item);
  char *text = malloc(strlen(before) + count * (length + 1) + strlen(after) + 1);
  char *at = text;
  if (text == NULL)
    abort();
  at += sprintf(at, "%s", before);
  for (size_t i = 0; i < count; i++)
    at += sprintf(at, i > 0 ? ",%s" : "%s", item);
  strcpy(at, after);
  return text;
}

/* Each list of a body, at its limit and one past it. */
static void limits_the_number_of_items(void)
{
  static const char triple[] = "{\"topic\":\"t\",\"partition\":0,\"offset\":0}";
  static const struct {
    const char *path, *before, *item, *after;
    size_t most;
    const char *place;
  } rows[] = {
    {"/commit/g/i", "[", triple, "]", 100000, "body"},
    {"/committed/g/i", "[", "{\"topic\":\"t\",\"partition\":0}", "]", 100000, "body"},
    {"/offsets/latest", "[", "{\"topic\":\"t\",\"partition\":0}", "]", 100000, "body"},
    {"/fetch", "{\"topicPartitionOffsets\":[", triple, "]}", 100000, "topicPartitionOffsets"},
    {"/consume/g/i", "{\"topics\":[", "\"t\"", "]}", 256, "topics"},
    {"/produce/t", "[", "{\"value\":\"\"}", "]", 100000, "body"},
    {"/produce/t", "{\"value\":\"\",\"headers\":[", "{\"key\":\"\",\"value\":\"\"}", "]}", 1000,
     "headers"},
  };
  open_rig();
  rig.reply_bytes = 16 << 20;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t more = 0; more <= 1; more++) {
      char expected[200];
      char *body = repeat(rows[i].before, rows[i].item, rows[i].most + more, rows[i].after);
      ask(UK_POST, rows[i].path, body);
      snprintf(expected, sizeof expected,
               "{\"error\":\"%s: at most %zu items expected\",\"status\":400}", rows[i].place,
               rows[i].most);
      if (!CHECK(more == 0 ? answer.status == 200 : strcmp(answer.text, expected) == 0))
        fprintf(stderr, "  %s: %.200s\n", rows[i].path, answer.text);
      free(body);
    }
  }
  api_rig_close(&rig);
}

/* What a consume and a fetch return. */

static const struct uk_record_header headers[] = {{{"a", 1}, {"1", 1}}, {{"b", 1}, {"\xff", 1}}};
static const struct uk_record three[] = {
  {.topic = {"t", 1},
   .partition = 1,
   .offset = 2,
   .timestamp = 3,
   .has_key = true,
   .has_value = true,
   .key = {"k", 1},
   .value = {"v", 1},
   .headers = headers,
   .header_count = 2},
  {.topic = {"t", 1}, .partition = 1, .offset = 4, .timestamp = 5, .key = {"stale", 5}},
  {.topic = {"u", 1}, .offset = 9, .timestamp = 9, .has_value = true},
};

#define FIRST                                                                                      \
  "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"timestamp\":3,\"key\":\"k\",\"value\":\"v\","   \
  "\"headers\":[{\"key\":\"a\",\"value\":\"1\"},{\"key\":\"b\",\"value\":\"\xef\xbf\xbd\"}]}"
#define FIRST_BASE64                                                                               \
  "{\"topic\":\"t\",\"partition\":1,\"offset\":2,\"timestamp\":3,\"key\":\"aw==\","                \
  "\"value\":\"dg==\",\"headers\":[{\"key\":\"a\",\"value\":\"MQ==\"},"                            \
  "{\"key\":\"b\",\"value\":\"/w==\"}]}"
#define SECOND                                                                                     \
  "{\"topic\":\"t\",\"partition\":1,\"offset\":4,\"timestamp\":5,\"key\":\"\",\"value\":null,"     \
  "\"headers\":[]}"
#define THIRD                                                                                      \
  "{\"topic\":\"u\",\"partition\":0,\"offset\":9,\"timestamp\":9,\"key\":\"\",\"value\":\"\","     \
  "\"headers\":[]}"
#define TOPIC "{\"topic\":\"t\",\"partition\":0,\"offset\":0"

static void open_with_records(void)
{
  open_rig();
  records = three;
  record_count = 3;
}

static void writes_every_field_of_a_message(void)
{
  open_with_records();
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_STR(answer.text, "[" FIRST "," SECOND "," THIRD "]");
  ask(UK_POST, "/fetch", TOPIC "}");
  CHECK_EQ_STR(answer.text, "[" FIRST "," SECOND "," THIRD "]");
  rig.header = "Kafka-Encoding";
  rig.header_value = "base64";
  ask(UK_POST, "/fetch", TOPIC "}");
  CHECK_EQ_STR(answer.text, "[" FIRST_BASE64 "," SECOND "," THIRD "]");
  api_rig_close(&rig);
}

/* The batch ends before the record that would exceed a limit. One record always fits. */
static void ends_a_batch_at_its_limits(void)
{
  enum { ONE_LENGTH = sizeof "[" FIRST "]" - 1, TWO_LENGTH = sizeof "[" FIRST "," SECOND "]" - 1 };
  static const struct {
    int64_t messages, bytes;
    size_t taken;
  } rows[] = {
    {1, 1000, 1},       {2, 1000, 2},           {3, 1000, 3},       {4, 1000, 3},       {9, 1, 1},
    {9, ONE_LENGTH, 1}, {9, TWO_LENGTH - 1, 1}, {9, TWO_LENGTH, 2}, {1, TWO_LENGTH, 1},
  };
  static const char *const batches[] = {"[]", "[" FIRST "]", "[" FIRST "," SECOND "]",
                                        "[" FIRST "," SECOND "," THIRD "]"};
  open_with_records();
  for (size_t i = 0; i < 3 * sizeof rows / sizeof *rows; i++) {
    char path[200], body[200];
    size_t row = i / 3;
    long long most = rows[row].messages, bytes = rows[row].bytes;
    snprintf(path, sizeof path, "/fetch?max_messages=%lld&max_bytes=%lld", most, bytes);
    snprintf(body, sizeof body, TOPIC ",\"max_messages\":%lld,\"max_bytes\":%lld}", most, bytes);
    if (i % 3 == 0)
      ask(UK_POST, path, TOPIC "}");
    else
      ask(UK_POST, i % 3 == 1 ? "/fetch" : "/fetch?max_messages=1&max_bytes=2", body);
    CHECK_EQ_INT(taken, rows[row].taken);
    CHECK_EQ_STR(answer.text, batches[rows[row].taken]);
  }
  api_rig_close(&rig);
}

/* What a batch holds unless the request says otherwise: 1000 messages, 4 MiB. */
static void a_batch_has_default_limits(void)
{
  enum { MANY = 1001, LARGE = 1 << 20 };
  static struct uk_record many[MANY];
  static char value[LARGE];
  for (int i = 0; i < MANY; i++)
    many[i] = three[2];
  open_rig();
  rig.reply_bytes = 16 << 20;
  records = many;
  record_count = MANY;
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_INT(taken, 1000);
  memset(value, 'x', sizeof value);
  for (int i = 0; i < 5; i++)
    many[i].value = uk_slice_of(value, sizeof value);
  ask(UK_POST, "/fetch", TOPIC "}");
  CHECK_EQ_INT(taken, 3);
  api_rig_close(&rig);
}

/* If memory runs out, the batch ends early; without its first record it is a failure. */
static void ends_a_batch_where_memory_ends(void)
{
  open_with_records();
  rig.reply_bytes = sizeof "[" FIRST "," SECOND;
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_INT(answer.status, 200);
  CHECK_EQ_STR(answer.text, "[" FIRST "," SECOND "]");
  CHECK_EQ_INT(taken, 2);
  rig.reply_bytes = sizeof "[" FIRST - 1;
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_INT(taken, 1);
  CHECK_EQ_INT(answer.status, 500); /* no room for the bracket */
  rig.reply_bytes = 100;
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_INT(taken, 0);
  CHECK_EQ_INT(answer.status, 500);
  api_rig_close(&rig);
}

/* Only a consume asks whether its client is still there. */
static void a_consume_learns_that_its_client_left(void)
{
  open_rig();
  rig.is_client_gone = true;
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_STR(asked, "consume group=g instance=i topic=t creates gone");
  ask(UK_POST, "/fetch", TOPIC "}");
  CHECK_EQ_STR(asked, "fetch t/0@0");
  api_rig_close(&rig);
}

/* C4: the engine learns that nobody waits any more, of the requests that may wait long. */
static void a_client_that_hangs_up_ends_its_wait(void)
{
  open_rig();
  hangs_up = true;
  ask(UK_GET, "/consume/g/i/t", "");
  CHECK_EQ_STR(asked, "consume is over:consume group=g instance=i topic=t creates alive");
  ask(UK_POST, "/consume/g/i", "{\"topic\":\"t\"}");
  CHECK_EQ_STR(asked, "consume is over:consume group=g instance=i topic=t creates alive");
  ask(UK_POST, "/fetch", TOPIC "}");
  CHECK_EQ_STR(asked, "fetch is over:fetch t/0@0");
  api_rig_close(&rig);
}

/* "A14": what was carried out is answered with the memory that was reserved before. */
static void replies_without_new_memory_to_what_was_changed(void)
{
  enum { MESSAGES = 40 };
  static const struct {
    enum uk_method method;
    const char *path, *body;
    int status;
  } rows[] = {
    {UK_POST, "/commit/g/i", "", 200}, {UK_DELETE, "/delete-consumer/g/i", "", 200},
    {UK_POST, "/topics/t", "", 200},   {UK_DELETE, "/topics/t", "", 200},
    {UK_GET, "/produce/t/v", "", 200}, {UK_POST, "/webhook?topic=t", "v", 200},
  };
  open_rig();
  starves = true;
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
    outcome = i % 2 == 0 ? UK_OK : UK_E_UNAVAILABLE;
    ask(rows[i / 2].method, rows[i / 2].path, rows[i / 2].body);
    fault_off();
    if (!CHECK_EQ_INT(answer.status, i % 2 == 0 ? rows[i / 2].status : 503))
      fprintf(stderr, "  %s: %s\n", rows[i / 2].path, answer.text);
  }
  char name[250], message_of_one[400];
  memset(name, 'n', 249);
  name[249] = '\0';
  snprintf(message_of_one, sizeof message_of_one,
           "{\"topic\":\"%s\",\"value\":\"\",\"partition\":2147483647,"
           "\"timestamp\":9007199254740992}",
           name);
  char *many = repeat("[", message_of_one, MESSAGES, "]");
  for (longest_offset = 0; longest_offset <= 1; longest_offset++) {
    outcome = UK_OK;
    ask(UK_POST, "/produce", many);
    fault_off();
    CHECK_EQ_INT(answer.status, 200);
  }
  longest_offset = 0;
  free(many);
  starves = false;
  api_rig_close(&rig);
}

/* Also the longest text, each byte of which takes six in JSON. */
static void replies_without_new_memory_to_what_failed(void)
{
  static char longest[UK_MESSAGE_SIZE], expected[8 * UK_MESSAGE_SIZE] = "{\"error\":\"";
  memset(longest, '\x01', sizeof longest - 1);
  for (size_t i = 0; i + 1 < sizeof longest; i++)
    strcat(expected, "\\u0001");
  strcat(expected, "\",\"status\":409}");
  open_rig();
  starves = true;
  reason = longest;
  outcome = UK_E_CONFLICT;
  ask(UK_POST, "/topics/t", "");
  fault_off();
  CHECK_EQ_INT(answer.status, 409);
  CHECK_EQ_STR(answer.text, expected);
  starves = false;
  reason = NULL;
  api_rig_close(&rig);
}

/* "A14": memory for the reply is there before something is changed, or nothing is. */
static void nothing_is_changed_without_memory_for_the_reply(void)
{
  static const struct {
    enum uk_method method;
    const char *path, *body;
    bool changes;
  } rows[] = {
    {UK_POST, "/commit/g/i", "", true},
    {UK_DELETE, "/delete-consumer/g/i", "", true},
    {UK_DELETE, "/topics/t", "", true},
    {UK_GET, "/produce/t/v", "", true},
    {UK_POST, "/produce/t", "{\"value\":\"v\"}", true},
    {UK_POST, "/produce", "{\"topic\":\"t\",\"value\":\"v\"}", true},
    {UK_POST, "/webhook?topic=t", "v", true},
    {UK_POST, "/offsets/latest", "{\"topic\":\"t\",\"partition\":0}", false},
    {UK_POST, "/committed/g/i", "{\"topic\":\"t\",\"partition\":0}", false},
  };
  static const enum uk_error outcomes[] = {UK_OK, UK_E_GATEWAY_TIMEOUT, UK_E_UNAVAILABLE};
  open_rig();
  rig.reply_bytes = 10;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int j = 0; j < 3; j++) {
      outcome = outcomes[j];
      ask(rows[i].method, rows[i].path, rows[i].body);
      CHECK_EQ_INT(answer.status, 500);
      if (!CHECK_EQ_INT(asked[0] == '\0', rows[i].changes))
        fprintf(stderr, "  %s %d\n", rows[i].path, j);
    }
  }
  api_rig_close(&rig);
}

static bool is_whole_or_refused(const struct api_answer *whole)
{
  bool refused = strcmp(answer.text, "{\"error\":\"out of memory\",\"status\":503}") == 0 ||
                 strstr(answer.text, "may have been carried out") != NULL;
  return refused || (strcmp(answer.text, whole->text) == 0 && answer.status == whole->status);
}

static void fail_each_allocation(enum uk_method method, const char *path, const char *body)
{
  struct api_answer whole;
  bool hit = true;
  ask(method, path, body);
  whole = answer;
  for (long n = 1; hit; n++) {
    fault_at(n);
    ask(method, path, body);
    hit = fault_hit();
    fault_off();
    if (!CHECK(is_whole_or_refused(&whole)))
      fprintf(stderr, "  %s, allocation %ld: %d %s\n", path, n, answer.status, answer.text);
  }
}

/* The same for lists so long that each needs memory of its own. */
static void without_memory_for_a_list_a_request_is_a_503(void)
{
  static struct api_header many[3000];
  open_rig();
  rig.reply_bytes = 16 << 20;
  char *triples = repeat("[", "{\"topic\":\"t\",\"partition\":0,\"offset\":0}", 3000, "]");
  char *partitions = repeat("[", "{\"topic\":\"t\",\"partition\":0}", 3000, "]");
  char *messages = repeat("[", "{\"value\":\"\"}", 3000, "]");
  char *topics_of_one = repeat("{\"topics\":[", "\"t\"", 256, "]}");
  char *set = repeat("{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"topicPartitionOffsets\":[",
                     "{\"topic\":\"t\",\"partition\":0,\"offset\":0}", 3000, "]}");
  fail_each_allocation(UK_POST, "/commit/g/i", triples);
  fail_each_allocation(UK_POST, "/committed/g/i", partitions);
  fail_each_allocation(UK_POST, "/offsets/latest", partitions);
  for (size_t count = 10; count <= 40; count++) { /* so that one count fills a block */
    char *headers_of_one =
      repeat("{\"value\":\"\",\"headers\":[", "{\"key\":\"\",\"value\":\"\"}", count, "]}");
    char *few_topics = repeat("{\"topics\":[", "\"t\"", count, "]}");
    fail_each_allocation(UK_POST, "/produce/t", headers_of_one);
    fail_each_allocation(UK_POST, "/consume/g/i", few_topics);
    free(headers_of_one);
    free(few_topics);
  }
  fail_each_allocation(UK_POST, "/produce/t", messages);
  fail_each_allocation(UK_POST, "/consume/g/i", topics_of_one);
  fail_each_allocation(UK_POST, "/fetch", set);
  for (size_t i = 0; i < sizeof many / sizeof *many; i++)
    many[i] = (struct api_header){"X", "y"};
  rig.headers = many;
  rig.header_count = sizeof many / sizeof *many;
  fail_each_allocation(UK_POST, "/webhook?topic=t", "v");
  free(triples);
  free(partitions);
  free(messages);
  free(topics_of_one);
  free(set);
  api_rig_close(&rig);
}

/* Whichever allocation fails, the answer is whole, or a 503 that says why. */
static void without_memory_every_request_is_a_503(void)
{
  static const struct {
    enum uk_method method;
    const char *path, *body;
  } rows[] = {
    {UK_POST, "/commit/g/i", TWO_TRIPLES},
    {UK_POST, "/committed/g/i", TWO_PARTITIONS},
    {UK_POST, "/offsets/latest", TWO_PARTITIONS},
    {UK_DELETE, "/delete-consumer/g/i", ""},
    {UK_GET, "/consumers", ""},
    {UK_GET, "/topics", ""},
    {UK_POST, "/topics/t", ""},
    {UK_DELETE, "/topics/t", ""},
    {UK_POST, "/fetch",
     "{\"topic\":\"v\",\"partition\":7,\"offset\":5,\"topicPartitionOffsets\":" TWO_TRIPLES "}"},
    {UK_POST, "/consume/g/i?timeout=5", "{\"topics\":[\"a\",\"b\",\"c\",\"d\",\"e\"]}"},
    {UK_POST, "/produce/t", "{\"value\":\"v\",\"headers\":[{\"key\":\"a\",\"value\":\"1\"}]}"},
    {UK_GET, "/produce/t/v?key=k", ""},
    {UK_POST, "/webhook?topic=t", "v"},
    {UK_OPTIONS, "/topics", ""},
    {UK_OTHER_METHOD, "/topics", ""},
  };
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    fail_each_allocation(rows[i].method, rows[i].path, rows[i].body);
  api_rig_close(&rig);
}

static void tells_long_names_apart(void)
{
  open_rig();
  rig.reply_bytes = 4000;
  ask(UK_GET, "/consumers", "");
  CHECK_EQ_INT(answer.status, 200);
  int names = 0;
  for (const char *at = answer.text; (at = strstr(at, "\"name\":\"n")) != NULL; at++)
    names++;
  CHECK_EQ_INT(names, 2 + 4);
  api_rig_close(&rig);
}

static void limits_the_settings_of_an_instance(void)
{
  static const struct {
    const char *name;
    long long least, most;
  } rows[] = {{"Kafka-Session-Timeout-Ms", 1000, 1800000},
              {"Kafka-Auto-Commit-Interval", 0, 86400000}};
  open_rig();
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const long long values[] = {rows[i].least - 1, rows[i].least, rows[i].most, rows[i].most + 1};
    for (int j = 0; j < 4; j++) {
      char value[32], expected[200];
      snprintf(value, sizeof value, "%lld", values[j]);
      rig.header = rows[i].name;
      rig.header_value = value;
      ask(UK_GET, "/consume/g/i/t", "");
      snprintf(expected, sizeof expected,
               "{\"error\":\"%s: an integer of %lld to %lld expected, got \\\"%lld\\\"\","
               "\"status\":400}",
               rows[i].name, rows[i].least, rows[i].most, values[j]);
      CHECK_EQ_STR(answer.text, j == 0 || j == 3 ? expected : "[]");
    }
  }
  api_rig_close(&rig);
}

/* Headers that HTTP defines, and those of the server, are not part of the message. */
static void a_webhook_stores_no_standard_header(void)
{
  /* Besides Authorization, which each request has. */
  static const char *const standard[] = {"Accept",
                                         "Accept-Language",
                                         "Access-Control-Request-Method",
                                         "Cache-Control",
                                         "Connection",
                                         "Content-Type",
                                         "Content-X",
                                         "Cookie",
                                         "Date",
                                         "DNT",
                                         "Early-Data",
                                         "Expect",
                                         "Forwarded",
                                         "From",
                                         "Host",
                                         "HTTP2-Settings",
                                         "Idempotency-Key",
                                         "If-None-Match",
                                         "Kafka-Encoding",
                                         "Kafka-X",
                                         "Keep-Alive",
                                         "Max-Forwards",
                                         "Origin",
                                         "Pragma",
                                         "Prefer",
                                         "Priority",
                                         "Proxy-Authorization",
                                         "Range",
                                         "Referer",
                                         "Sec-Fetch-Mode",
                                         "TE",
                                         "Trailer",
                                         "Transfer-Encoding",
                                         "Upgrade",
                                         "Upgrade-Insecure-Requests",
                                         "User-Agent",
                                         "Via",
                                         "Warning",
                                         "content-type",
                                         "IF-MATCH",
                                         "host"};
  static const char *const own[] = {"X-One",  "Acceptance", "Ranger", "Dates",   "Hosted", "T",
                                    "Secret", "Ifs",        "Kafka",  "Content", "Vi",     "If"};
  static const struct api_header several[] = {
    {"X-B", "2"}, {"Host", "x"}, {"x-a", "1"}, {"X-B", ""}};
  open_rig();
  for (size_t i = 0; i < sizeof standard / sizeof *standard; i++) {
    rig.header = standard[i];
    rig.header_value = "base64";
    ask(UK_POST, "/webhook?topic=t", "v");
    if (!CHECK_EQ_STR(asked, "produce topic=t -1 -1 value=v"))
      fprintf(stderr, "  %s\n", standard[i]);
  }
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    char expected[100];
    rig.header = own[i];
    ask(UK_POST, "/webhook?topic=t", "v");
    snprintf(expected, sizeof expected, "produce topic=t -1 -1 value=v header=%s =base64", own[i]);
    CHECK_EQ_STR(asked, expected);
  }
  rig.header = NULL;
  rig.headers = several;
  rig.header_count = 4;
  rig.body_length = 3;
  ask(UK_POST, "/webhook?topic=t", "a\0b");
  CHECK_EQ_STR(asked, "produce topic=t -1 -1 value=a\\0b header=X-B =2 header=x-a =1 header=X-B =");
  CHECK_EQ_STR(answer.text, ONE);
  api_rig_close(&rig);
}

int main(void)
{
  CHECK_RUN(passes_on_every_field_of_a_group);
  CHECK_RUN(a_consume_without_permission_to_produce_creates_no_topic);
  CHECK_RUN(passes_on_every_field_of_a_look_up);
  CHECK_RUN(passes_on_every_field_of_a_message);
  CHECK_RUN(decodes_base64);
  CHECK_RUN(says_what_is_wrong);
  CHECK_RUN(shows_long_names_in_part);
  CHECK_RUN(names_the_place_of_a_foreign_topic);
  CHECK_RUN(limits_the_size_of_a_message);
  CHECK_RUN(limits_the_number_of_items);
  CHECK_RUN(writes_every_field_of_a_message);
  CHECK_RUN(ends_a_batch_at_its_limits);
  CHECK_RUN(a_batch_has_default_limits);
  CHECK_RUN(ends_a_batch_where_memory_ends);
  CHECK_RUN(a_consume_learns_that_its_client_left);
  CHECK_RUN(a_client_that_hangs_up_ends_its_wait);
  CHECK_RUN(replies_without_new_memory_to_what_was_changed);
  CHECK_RUN(replies_without_new_memory_to_what_failed);
  CHECK_RUN(nothing_is_changed_without_memory_for_the_reply);
  CHECK_RUN(without_memory_every_request_is_a_503);
  CHECK_RUN(without_memory_for_a_list_a_request_is_a_503);
  CHECK_RUN(tells_long_names_apart);
  CHECK_RUN(limits_the_settings_of_an_instance);
  CHECK_RUN(a_webhook_stores_no_standard_header);
  return check_end();
}
