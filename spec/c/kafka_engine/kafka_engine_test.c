/* for: kafka_engine.c
 *
 * How the engine is put together: what each part is given, what each method calls, and in which
 * order the parts close. The test fakes the parts, and logs each call. */
#include "server/kafka_engine/kafka_engine.h"

#include <stdlib.h>

#include "call_log.h"
#include "check.h"
#include "common/clock.h"
#include "counted_conf.h"
#include "fault.h"
#include "server/kafka_engine/cluster/kafka_admin.h"
#include "server/kafka_engine/cluster/kafka_committed.h"
#include "server/kafka_engine/cluster/kafka_record_reader.h"
#include "server/kafka_engine/fetch/kafka_fetch.h"
#include "server/kafka_engine/group/kafka_groups.h"
#include "server/kafka_engine/produce/kafka_keys.h"
#include "server/kafka_engine/produce/kafka_producer.h"

static struct {
  char log[800];
  const char *fails; /* the part that cannot be made */
  const char *text;  /* librdkafka's, when it refuses */
  struct uk_kafka_admin_parts admin;
  struct uk_kafka_producer_parts producer;
  struct uk_kafka_groups_parts groups;
  struct uk_kafka_fetch_parts fetch;
  struct uk_kafka_committed_parts committed;
  struct uk_kafka_keys_parts keys;
  bool down, has_answered, lacks_memory;
  struct uk_kafka_topic_query *query;
  int blockings; /* that were made, or should have been */
  int handles;   /* that are open */
  int events;    /* that the last configuration asks for */
} fake;

/* Each part is the address of its letter. */
static char control, settings_, executor_, reaper_, blocking_, group_blocking_, topics_, admin_,
  committed_, records_, fetches_, producer_, groups_, keys_;

#define AS(type, part) ((struct type *)(void *)&(part))

#define note(...) call_log_add(fake.log, sizeof fake.log, __VA_ARGS__)

#define CHECK_LOG(wanted)                                                                          \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

static bool is_made(const char *part)
{
  return fake.fails == NULL || strcmp(fake.fails, part) != 0;
}

/* Fakes: what librdkafka needs. */

enum uk_error uk_kafka_settings_new(struct uk_kafka_settings **settings,
                                    const struct uk_kafka_options *options, char *message,
                                    size_t size)
{
  CHECK_EQ_STR(options->brokers, "b");
  if (!is_made("settings")) {
    snprintf(message, size, "properties: bad");
    return UK_E_BAD_REQUEST;
  }
  *settings = AS(uk_kafka_settings, settings_);
  return UK_OK;
}

void uk_kafka_settings_free(struct uk_kafka_settings *settings)
{
  note("%s ", settings != NULL ? "settings" : "no-settings");
}

rd_kafka_conf_t *uk_kafka_conf(const struct uk_kafka_settings *settings, enum uk_kafka_role role)
{
  CHECK(settings == AS(uk_kafka_settings, settings_));
  if (!is_made(role == UK_KAFKA_CONTROL ? "control-conf" : "group-conf"))
    return NULL;
  CHECK(role == UK_KAFKA_CONTROL || role == UK_KAFKA_GROUP);
  fake.events = 0;
  return rd_kafka_conf_new();
}

void rd_kafka_conf_set_events(rd_kafka_conf_t *conf, int events)
{
  (void)conf;
  fake.events = events;
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
  static char consumer;
  if (!is_made(type == RD_KAFKA_PRODUCER ? "control" : "consumer")) {
    snprintf(text, size, "%s", fake.text);
    return NULL;
  }
  if (type == RD_KAFKA_PRODUCER)
    CHECK_EQ_INT(fake.events, RD_KAFKA_EVENT_ERROR);
  rd_kafka_conf_destroy(conf);
  fake.handles++;
  return (rd_kafka_t *)(type == RD_KAFKA_PRODUCER ? &control : &consumer);
}

rd_kafka_error_t *rd_kafka_sasl_background_callbacks_enable(rd_kafka_t *handle)
{
  CHECK(handle == (rd_kafka_t *)&control);
  note("sasl ");
  return NULL;
}

struct uk_kafka_executor *uk_kafka_executor_new(unsigned threads)
{
  CHECK_EQ_INT(threads, 4);
  return is_made("executor") ? AS(uk_kafka_executor, executor_) : NULL;
}

void uk_kafka_executor_free(struct uk_kafka_executor *executor)
{
  CHECK(executor == AS(uk_kafka_executor, executor_));
  note("executor ");
}

struct uk_kafka_reaper *uk_kafka_reaper_new(struct uk_kafka_executor *executor, int64_t timeout)
{
  CHECK(executor == AS(uk_kafka_executor, executor_));
  CHECK_EQ_INT(timeout, UK_KAFKA_REAP_TIMEOUT);
  return is_made("reaper") ? AS(uk_kafka_reaper, reaper_) : NULL;
}

void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument)
{
  CHECK(reaper == AS(uk_kafka_reaper, reaper_) && then == NULL && argument == NULL);
  note(handle == (rd_kafka_t *)&control ? "control " : "consumer ");
  fake.handles--;
}

void uk_kafka_reaper_free(struct uk_kafka_reaper *reaper)
{
  CHECK(reaper == AS(uk_kafka_reaper, reaper_));
  note("reaper ");
}

struct uk_kafka_blocking *uk_kafka_blocking_new(struct uk_kafka_executor *executor)
{
  CHECK(executor == AS(uk_kafka_executor, executor_));
  if (++fake.blockings == 2)
    return is_made("group-blocking") ? AS(uk_kafka_blocking, group_blocking_) : NULL;
  return is_made("blocking") ? AS(uk_kafka_blocking, blocking_) : NULL;
}

void uk_kafka_blocking_free(struct uk_kafka_blocking *blocking)
{
  note(blocking == AS(uk_kafka_blocking, blocking_) ? "blocking " : "group-blocking ");
}

/* Fakes: topics. */

struct uk_kafka_topics *uk_kafka_topics_new(rd_kafka_t *handle)
{
  CHECK(handle == (rd_kafka_t *)&control);
  return is_made("topics") ? AS(uk_kafka_topics, topics_) : NULL;
}

void uk_kafka_topics_stop(struct uk_kafka_topics *topics)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  note("stop ");
}

void uk_kafka_topics_free(struct uk_kafka_topics *topics)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  note("topics ");
}

void uk_kafka_topics_ask(struct uk_kafka_topics *topics, struct uk_kafka_topic_query *query)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  CHECK(query->topic.data == NULL && query->topic.length == 0);
  fake.query = query;
}

bool uk_kafka_topics_each(struct uk_kafka_topics *topics,
                          void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                          void *argument)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  if (fake.lacks_memory)
    return false;
  each(argument, uk_slice_text("a"), 1);
  each(argument, uk_slice_text("b"), 2);
  return true;
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice topic)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  note("topics-forget(%.*s) ", (int)topic.length, topic.data);
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  if (fake.down)
    snprintf(detail, size, "away");
  return fake.down ? UK_E_UNAVAILABLE : UK_OK;
}

bool uk_kafka_topics_has_answered(struct uk_kafka_topics *topics)
{
  CHECK(topics == AS(uk_kafka_topics, topics_));
  return fake.has_answered;
}

/* Fakes: operations. */

#define FAKE_PART(type, part, name)                                                                \
  struct type *type##_new(const struct type##_parts *parts)                                        \
  {                                                                                                \
    fake.part = *parts;                                                                            \
    return is_made(name) ? AS(type, part##_) : NULL;                                               \
  }                                                                                                \
  void type##_free(struct type *freed)                                                             \
  {                                                                                                \
    CHECK(freed == AS(type, part##_));                                                             \
    note(name " ");                                                                                \
  }

FAKE_PART(uk_kafka_admin, admin, "admin")
FAKE_PART(uk_kafka_committed, committed, "committed")
FAKE_PART(uk_kafka_groups, groups, "groups")
FAKE_PART(uk_kafka_keys, keys, "keys")

struct uk_kafka_record_reader *uk_kafka_record_reader_new(const struct uk_kafka_settings *settings,
                                                          struct uk_kafka_executor *executor,
                                                          struct uk_kafka_reaper *reaper)
{
  CHECK(settings == AS(uk_kafka_settings, settings_));
  CHECK(executor == AS(uk_kafka_executor, executor_));
  CHECK(reaper == AS(uk_kafka_reaper, reaper_));
  return is_made("records") ? AS(uk_kafka_record_reader, records_) : NULL;
}

void uk_kafka_record_reader_free(struct uk_kafka_record_reader *reader)
{
  CHECK(reader == AS(uk_kafka_record_reader, records_));
  note("records ");
}

struct uk_kafka_fetches *uk_kafka_fetches_new(const struct uk_kafka_fetch_parts *parts)
{
  fake.fetch = *parts;
  return is_made("fetches") ? AS(uk_kafka_fetches, fetches_) : NULL;
}

void uk_kafka_fetches_free(struct uk_kafka_fetches *fetches)
{
  CHECK(fetches == AS(uk_kafka_fetches, fetches_));
  note("fetches ");
}

struct uk_kafka_producer *uk_kafka_producer_new(const struct uk_kafka_producer_parts *parts,
                                                char *text, size_t size)
{
  fake.producer = *parts;
  if (is_made("producer"))
    return AS(uk_kafka_producer, producer_);
  snprintf(text, size, "no producer");
  return NULL;
}

void uk_kafka_producer_free(struct uk_kafka_producer *producer)
{
  CHECK(producer == AS(uk_kafka_producer, producer_));
  note("producer ");
}

/* Each method passes its operation on to a part. */
#define FAKE_METHOD(function, type, part, operation_type)                                          \
  void function(struct type *of, struct operation_type *operation)                                 \
  {                                                                                                \
    CHECK(of == AS(type, part##_));                                                                \
    note(#function "(%d) ", (int)operation->operation.deadline);                                   \
  }

FAKE_METHOD(uk_kafka_producer_produce, uk_kafka_producer, producer, uk_produce)
FAKE_METHOD(uk_kafka_keys_produce, uk_kafka_keys, keys, uk_produce)
FAKE_METHOD(uk_kafka_fetches_fetch, uk_kafka_fetches, fetches, uk_fetch)
FAKE_METHOD(uk_kafka_fetches_offsets, uk_kafka_fetches, fetches, uk_offsets)
FAKE_METHOD(uk_kafka_groups_consume, uk_kafka_groups, groups, uk_consume)
FAKE_METHOD(uk_kafka_fetches_expired, uk_kafka_fetches, fetches, uk_fetch)
FAKE_METHOD(uk_kafka_groups_consume_expired, uk_kafka_groups, groups, uk_consume)
FAKE_METHOD(uk_kafka_groups_commit, uk_kafka_groups, groups, uk_commit)
FAKE_METHOD(uk_kafka_groups_delete, uk_kafka_groups, groups, uk_delete_consumer)
FAKE_METHOD(uk_kafka_groups_list, uk_kafka_groups, groups, uk_consumers)
FAKE_METHOD(uk_kafka_committed_ask, uk_kafka_committed, committed, uk_committed)
FAKE_METHOD(uk_kafka_admin_create_topic, uk_kafka_admin, admin, uk_create_topic)
FAKE_METHOD(uk_kafka_admin_delete_topic, uk_kafka_admin, admin, uk_delete_topic)

void uk_kafka_keys_note(struct uk_kafka_keys *keys, char *text, size_t size)
{
  CHECK(keys == AS(uk_kafka_keys, keys_));
  snprintf(text, size, "keys' note");
}

void uk_kafka_admin_create_missing(void *admin, struct uk_kafka_check *check, struct uk_slice topic)
{
  (void)admin;
  (void)check;
  (void)topic;
}

void uk_kafka_fetches_forget(struct uk_kafka_fetches *fetches, struct uk_slice topic)
{
  CHECK(fetches == AS(uk_kafka_fetches, fetches_));
  note("fetches-forget(%.*s) ", (int)topic.length, topic.data);
}

void uk_kafka_fetches_drain(struct uk_kafka_fetches *fetches)
{
  CHECK(fetches == AS(uk_kafka_fetches, fetches_));
  note("drain-fetches ");
}

void uk_kafka_groups_drain(struct uk_kafka_groups *groups)
{
  CHECK(groups == AS(uk_kafka_groups, groups_));
  note("drain-groups ");
}

void uk_kafka_groups_response_finished(struct uk_kafka_groups *groups, struct uk_slice group,
                                       struct uk_slice instance, uint64_t delivery,
                                       enum uk_response_outcome outcome)
{
  CHECK(groups == AS(uk_kafka_groups, groups_));
  note("finished(%.*s %.*s %d %d) ", (int)group.length, group.data, (int)instance.length,
       instance.data, (int)delivery, (int)outcome);
}

/* Steps of a test. */

static const struct uk_kafka_options options = {.brokers = "b",
                                                .prefetch_bytes = 111,
                                                .prefetch_budget = 222,
                                                .partitions = 5,
                                                .auto_create_topics = true,
                                                .idempotency_window = 333};

static struct uk_engine *engine;
static char message[UK_MESSAGE_SIZE];

static enum uk_error open_with(const struct uk_kafka_options *given)
{
  message[0] = '\0';
  return uk_kafka_engine_open(&engine, given, message, sizeof message);
}

static void begin(const char *fails, const char *text)
{
  memset(&fake, 0, sizeof fake);
  fake.fails = fails;
  fake.text = text;
}

static void done(struct uk_operation *operation)
{
  note("done(%d %s) ", (int)operation->error, operation->message);
}

/* Cases. */

static void each_part_is_given_what_it_needs(void)
{
  begin(NULL, NULL);
  REQUIRE(open_with(&options) == UK_OK);
  CHECK_EQ_STR(engine->methods->name, "kafka");
  CHECK_LOG("sasl consumer "); /* a consumer is only tried */
  CHECK(fake.fetch.settings == AS(uk_kafka_settings, settings_));
  CHECK(fake.fetch.executor == AS(uk_kafka_executor, executor_));
  CHECK(fake.fetch.topics == AS(uk_kafka_topics, topics_));
  CHECK(fake.fetch.blocking == AS(uk_kafka_blocking, blocking_));
  CHECK(fake.fetch.reaper == AS(uk_kafka_reaper, reaper_));
  CHECK(fake.fetch.control == (rd_kafka_t *)&control);
  CHECK(fake.admin.control == (rd_kafka_t *)&control);
  CHECK(fake.admin.executor == AS(uk_kafka_executor, executor_));
  CHECK(fake.admin.topics == AS(uk_kafka_topics, topics_));
  CHECK_EQ_INT(fake.admin.partitions, 5);
  CHECK(fake.producer.settings == AS(uk_kafka_settings, settings_));
  CHECK(fake.producer.topics == AS(uk_kafka_topics, topics_));
  CHECK(fake.producer.reaper == AS(uk_kafka_reaper, reaper_));
  CHECK(fake.producer.create == uk_kafka_admin_create_missing);
  CHECK(fake.producer.create_context == &admin_);
  CHECK_EQ_INT(fake.producer.new_partitions, 5);
  CHECK(fake.groups.settings == AS(uk_kafka_settings, settings_));
  CHECK(fake.groups.control == (rd_kafka_t *)&control);
  CHECK(fake.groups.executor == AS(uk_kafka_executor, executor_));
  CHECK(fake.groups.topics == AS(uk_kafka_topics, topics_));
  CHECK(fake.groups.reaper == AS(uk_kafka_reaper, reaper_));
  CHECK_EQ_INT(fake.groups.prefetch_bytes, 111);
  CHECK_EQ_INT(fake.groups.prefetch_budget, 222);
  CHECK(fake.groups.blocking == AS(uk_kafka_blocking, group_blocking_));
  CHECK(fake.committed.settings == AS(uk_kafka_settings, settings_));
  CHECK(fake.committed.topics == AS(uk_kafka_topics, topics_));
  CHECK(fake.committed.reaper == AS(uk_kafka_reaper, reaper_));
  CHECK(fake.committed.blocking == AS(uk_kafka_blocking, blocking_));
  CHECK(fake.committed.group_blocking == AS(uk_kafka_blocking, group_blocking_));
  CHECK(fake.groups.committed == AS(uk_kafka_committed, committed_));
  CHECK(fake.groups.records == AS(uk_kafka_record_reader, records_));
  CHECK(fake.groups.create == uk_kafka_admin_create_missing);
  CHECK(fake.groups.create_context == &admin_);
  CHECK(fake.keys.settings == AS(uk_kafka_settings, settings_));
  CHECK(fake.keys.control == (rd_kafka_t *)&control);
  CHECK(fake.keys.executor == AS(uk_kafka_executor, executor_));
  CHECK(fake.keys.blocking == AS(uk_kafka_blocking, blocking_));
  CHECK(fake.keys.reaper == AS(uk_kafka_reaper, reaper_));
  CHECK(fake.keys.producer == AS(uk_kafka_producer, producer_));
  CHECK_EQ_INT(fake.keys.window, 333);
  CHECK(fake.keys.create);
  fake.admin.forget(fake.admin.context, uk_slice_text("t"));
  CHECK_LOG("topics-forget(t) fetches-forget(t) ");
  engine->methods->close(engine);
  /* What may use another part closes before it. */
  CHECK_LOG(
    "groups keys producer stop fetches admin records blocking group-blocking committed topics "
    "control reaper executor "
    "settings ");
  CHECK_EQ_INT(fake.handles, 0);
}

static void topics_are_created_only_where_that_is_meant(void)
{
  struct uk_kafka_options strict = options;
  begin(NULL, NULL);
  strict.auto_create_topics = false;
  REQUIRE(open_with(&strict) == UK_OK);
  CHECK(fake.producer.create == NULL && fake.groups.create == NULL);
  CHECK(!fake.keys.create);
  engine->methods->close(engine);
}

static void produce_with(const char *key)
{
  struct uk_produce operation = {.operation.deadline = 7, .key.key = uk_slice_text(key)};
  fake.log[0] = '\0';
  engine->methods->produce(engine, &operation);
}

static void keys_are_ignored_without_a_window(void)
{
  struct uk_kafka_options windowless = options;
  begin(NULL, NULL);
  windowless.idempotency_window = 0;
  REQUIRE(open_with(&windowless) == UK_OK);
  produce_with("k");
  CHECK_LOG("uk_kafka_producer_produce(7) ");
  char detail[UK_MESSAGE_SIZE] = "before";
  fake.has_answered = true;
  CHECK_EQ_INT(engine->methods->health(engine, detail, sizeof detail), UK_OK);
  CHECK_EQ_STR(detail, "");
  engine->methods->close(engine);
  CHECK_LOG("groups producer stop fetches admin records blocking group-blocking committed topics "
            "control reaper executor settings ");
}

#define METHOD(method, type, wanted)                                                               \
  do {                                                                                             \
    struct type operation = {.operation.deadline = 7};                                             \
    engine->methods->method(engine, &operation);                                                   \
    CHECK_LOG(wanted "(7) ");                                                                      \
  } while (0)

static void each_method_calls_its_part(void)
{
  begin(NULL, NULL);
  REQUIRE(open_with(&options) == UK_OK);
  fake.log[0] = '\0';
  METHOD(produce, uk_produce, "uk_kafka_producer_produce");
  produce_with("k");
  CHECK_LOG("uk_kafka_keys_produce(7) ");
  METHOD(fetch, uk_fetch, "uk_kafka_fetches_fetch");
  METHOD(consume, uk_consume, "uk_kafka_groups_consume");
  METHOD(commit, uk_commit, "uk_kafka_groups_commit");
  METHOD(committed, uk_committed, "uk_kafka_committed_ask");
  METHOD(delete_consumer, uk_delete_consumer, "uk_kafka_groups_delete");
  METHOD(consumers, uk_consumers, "uk_kafka_groups_list");
  METHOD(offsets, uk_offsets, "uk_kafka_fetches_offsets");
  METHOD(fetch_expired, uk_fetch, "uk_kafka_fetches_expired");
  METHOD(consume_expired, uk_consume, "uk_kafka_groups_consume_expired");
  METHOD(create_topic, uk_create_topic, "uk_kafka_admin_create_topic");
  METHOD(delete_topic, uk_delete_topic, "uk_kafka_admin_delete_topic");
  engine->methods->response_finished(engine, uk_slice_text("g"), uk_slice_text("i"), 9,
                                     UK_RESPONSE_WRITTEN);
  CHECK_LOG("finished(g i 9 1) ");
  engine->methods->response_finished(engine, uk_slice_text("g"), uk_slice_text("i"), 8,
                                     UK_RESPONSE_FAILED);
  CHECK_LOG("finished(g i 8 0) ");
  engine->methods->drain(engine);
  CHECK_LOG("drain-fetches drain-groups ");
  engine->methods->close(engine);
}

static void health_is_that_of_the_cluster(void)
{
  char detail[UK_MESSAGE_SIZE] = "";
  begin(NULL, NULL);
  REQUIRE(open_with(&options) == UK_OK);
  CHECK_EQ_INT(engine->methods->health(engine, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(detail, "the Kafka cluster has not answered yet");
  fake.has_answered = true;
  detail[0] = '\0';
  CHECK_EQ_INT(engine->methods->health(engine, detail, sizeof detail), UK_OK);
  CHECK_EQ_STR(detail, "keys' note");
  fake.down = true;
  CHECK_EQ_INT(engine->methods->health(engine, detail, sizeof detail), UK_E_UNAVAILABLE);
  CHECK_EQ_STR(detail, "away");
  engine->methods->close(engine);
}

/* The listing. */

static void list_topic(struct uk_operation *operation, struct uk_slice topic, int32_t partitions)
{
  (void)operation;
  note("%.*s=%d ", (int)topic.length, topic.data, (int)partitions);
}

static void list(rd_kafka_resp_err_t code)
{
  struct uk_topics operation = {.operation = {.done = done, .deadline = 77}, .topic = list_topic};
  fake.log[0] = '\0';
  engine->methods->topics(engine, &operation);
  REQUIRE(fake.query != NULL);
  CHECK_EQ_INT(fake.query->query.deadline, 77);
  fake.query->query.code = code;
  fake.query->query.then(&fake.query->query);
  fake.query = NULL;
}

static void topics_are_listed_as_the_cluster_has_them_now(void)
{
  char wanted[100];
  begin(NULL, NULL);
  REQUIRE(open_with(&options) == UK_OK);
  list(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_LOG("a=1 b=2 done(0 ) ");
  list(RD_KAFKA_RESP_ERR__TIMED_OUT);
  snprintf(wanted, sizeof wanted, "done(%d ) ", UK_E_GATEWAY_TIMEOUT);
  CHECK_LOG(wanted);
  fake.down = true;
  list(RD_KAFKA_RESP_ERR__TIMED_OUT);
  snprintf(wanted, sizeof wanted, "done(%d away) ", UK_E_UNAVAILABLE);
  CHECK_LOG(wanted);
  list(RD_KAFKA_RESP_ERR_NO_ERROR); /* it has answered all the same */
  CHECK_LOG("a=1 b=2 done(0 ) ");
  fake.down = false;
  fake.lacks_memory = true;
  list(RD_KAFKA_RESP_ERR_NO_ERROR);
  snprintf(wanted, sizeof wanted, "done(%d ) ", UK_E_NO_MEMORY);
  CHECK_LOG(wanted);
  struct uk_topics operation = {.operation = {.done = done}, .topic = list_topic};
  fault_at(1);
  engine->methods->topics(engine, &operation);
  fault_off();
  CHECK(fake.query == NULL);
  CHECK_LOG(wanted);
  engine->methods->close(engine);
}

/* Failures. */

/* What was made before is closed, in the same order. */
static void what_cannot_be_made_is_the_end(void)
{
  static const struct {
    const char *fails, *text;
    enum uk_error error;
    const char *message, *log;
  } rows[] = {
    {"settings", NULL, UK_E_BAD_REQUEST, "properties: bad", "no-settings "},
    {"executor", NULL, UK_E_NO_MEMORY, "", "settings "},
    {"reaper", NULL, UK_E_NO_MEMORY, "", "blocking group-blocking executor settings "},
    {"blocking", NULL, UK_E_NO_MEMORY, "", "group-blocking reaper executor settings "},
    {"group-blocking", NULL, UK_E_NO_MEMORY, "", "blocking reaper executor settings "},
    {"control-conf", NULL, UK_E_NO_MEMORY, "", "blocking group-blocking reaper executor settings "},
    {"control", "no", UK_E_BAD_REQUEST, "no", "blocking group-blocking reaper executor settings "},
    {"control", "ssl.key.location failed: error:0909006C:PEM lib", UK_E_BAD_REQUEST,
     "ssl.key.location failed: error:0909006C:PEM lib: no private key in PEM, or ssl.key.password "
     "is missing or wrong",
     "blocking group-blocking reaper executor settings "},
    {"control", "ssl.key.location failed: something else", UK_E_BAD_REQUEST,
     "ssl.key.location failed: something else",
     "blocking group-blocking reaper executor settings "},
    {"control", "ssl.ca.location failed: PEM lib", UK_E_BAD_REQUEST,
     "ssl.ca.location failed: PEM lib", "blocking group-blocking reaper executor settings "},
    {"group-conf", NULL, UK_E_NO_MEMORY, "",
     "sasl blocking group-blocking control reaper executor settings "},
    {"consumer", "strange", UK_E_BAD_REQUEST, "strange",
     "sasl blocking group-blocking control reaper executor settings "},
    {"topics", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer blocking group-blocking control reaper executor settings "},
    {"fetches", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer stop admin records blocking group-blocking committed topics control reaper "
     "executor "
     "settings "},
    {"admin", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer stop fetches records blocking group-blocking committed topics control reaper "
     "executor "
     "settings "},
    {"committed", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer stop fetches admin records blocking group-blocking topics control reaper "
     "executor settings "},
    {"records", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer stop fetches admin blocking group-blocking committed topics control reaper "
     "executor "
     "settings "},
    {"producer", NULL, UK_E_BAD_REQUEST, "no producer",
     "sasl consumer groups stop fetches admin records blocking group-blocking committed topics "
     "control reaper "
     "executor "
     "settings "},
    {"groups", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer producer stop fetches admin records blocking group-blocking committed topics "
     "control reaper "
     "executor "
     "settings "},
    {"keys", NULL, UK_E_NO_MEMORY, "",
     "sasl consumer groups producer stop fetches admin records blocking group-blocking committed "
     "topics control reaper executor settings "},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    begin(rows[i].fails, rows[i].text);
    engine = (struct uk_engine *)&fake;
    CHECK_EQ_INT(open_with(&options), rows[i].error);
    CHECK(engine == NULL);
    CHECK_EQ_STR(message, rows[i].message);
    CHECK_LOG(rows[i].log);
    CHECK_EQ_INT(fake.handles, 0);
  }
  begin(NULL, NULL);
  fault_at(1);
  CHECK_EQ_INT(open_with(&options), UK_E_NO_MEMORY);
  fault_off();
  CHECK(engine == NULL);
  CHECK_LOG("");
}

static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  current();
  CHECK_EQ_INT(counted_confs, 0);
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
  RUN(each_part_is_given_what_it_needs);
  RUN(topics_are_created_only_where_that_is_meant);
  RUN(keys_are_ignored_without_a_window);
  RUN(each_method_calls_its_part);
  RUN(health_is_that_of_the_cluster);
  RUN(topics_are_listed_as_the_cluster_has_them_now);
  RUN(what_cannot_be_made_is_the_end);
  return check_end();
}
