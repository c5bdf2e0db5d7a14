/* for: kafka_key_topic.c
 *
 * Servers that share a topic of librdkafka's mock cluster, in one process. The mock cluster neither
 * creates topics by request nor finds offsets by time; spec/kafka/idempotency_spec.lua does. */
#include "server/kafka_engine/produce/kafka_key_topic.h"

#include <time.h>

#include "check.h"
#include "common/clock.h"
#include "kafka_parts.h"

enum { WINDOW = 600000, PATIENCE = 60000 /* milliseconds */ };

/* One server: its keys, and the topic as it sees it. */
struct server {
  struct uk_produce_keys *keys;
  struct uk_kafka_key_topic *topic;
  int ready;
  struct uk_produce *last;
};

static struct uk_kafka_producer *producer;

static void on_ready(void *context, struct uk_produce *operation)
{
  struct server *server = context;
  server->last = operation;
  __atomic_add_fetch(&server->ready, 1, __ATOMIC_RELEASE);
}

static void open_server(struct server *server, struct uk_kafka_executor *executor)
{
  static const struct uk_produce_keys_limits limits = {WINDOW, 1000, 1000000, 1000, 1000000};
  *server = (struct server){.keys = uk_produce_keys_new(&limits)};
  const struct uk_kafka_key_topic_parts parts = {.settings = kafka_parts.settings,
                                                 .control = kafka_parts.control,
                                                 .executor = executor,
                                                 .blocking = kafka_parts.blocking,
                                                 .reaper = kafka_parts.reaper,
                                                 .producer = producer,
                                                 .keys = server->keys,
                                                 .window = WINDOW,
                                                 .ready = on_ready,
                                                 .context = server};
  server->topic = uk_kafka_key_topic_new(&parts);
}

static void close_server(struct server *server)
{
  uk_kafka_key_topic_free(server->topic);
  uk_produce_keys_free(server->keys);
}

static void pause_briefly(void)
{
  const struct timespec pause = {0, 5000000};
  nanosleep(&pause, NULL);
}

static int ready_of(const struct server *server)
{
  return __atomic_load_n(&server->ready, __ATOMIC_ACQUIRE);
}

static bool await_ready(const struct server *server, int count)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  while (ready_of(server) < count && uk_clock_monotonic() < deadline)
    pause_briefly();
  return CHECK_EQ_INT(ready_of(server), count);
}

/* A server whose topic was read to its end. */
static void open_and_follow(struct server *server)
{
  static struct uk_produce first;
  open_server(server, kafka_parts.executor);
  CHECK(!uk_kafka_key_topic_await(server->topic, &first));
  await_ready(server, 1);
  CHECK(server->last == &first);
  char text[UK_MESSAGE_SIZE];
  CHECK_EVENTUALLY(uk_kafka_key_topic_is_shared(server->topic, text, sizeof text));
}

struct call {
  struct uk_produce produce;
  struct uk_record record;
};

static void make(struct call *call, const char *key)
{
  *call = (struct call){.produce = {.count = 1}};
  call->produce.records = &call->record;
  call->produce.key.user = uk_slice_text("u");
  call->produce.key.key = uk_slice_text(key);
}

/* The server answers a produce with this key, and shares it. */
static void share(struct server *server, const char *key, int64_t offset)
{
  struct uk_list waiting = {0};
  struct call call;
  make(&call, key);
  CHECK_EQ_INT(uk_produce_keys_begin(server->keys, &call.produce, uk_clock_monotonic()),
               UK_PRODUCE_KEY_NEW);
  call.record = (struct uk_record){.partition = 2, .offset = offset, .timestamp = 5};
  uk_produce_keys_end(server->keys, &call.produce, uk_clock_monotonic(), &waiting);
  uk_kafka_key_topic_share(server->topic, &call.produce);
}

/* Whether the server knows the key; -1 or the offset that it has of it. */
static int64_t offset_of(struct server *server, const char *key)
{
  struct uk_list waiting = {0};
  struct call call;
  make(&call, key);
  if (uk_produce_keys_begin(server->keys, &call.produce, uk_clock_monotonic()) ==
      UK_PRODUCE_KEY_ANSWERED)
    return call.record.offset;
  call.produce.operation.error = UK_E_UNAVAILABLE;
  uk_produce_keys_end(server->keys, &call.produce, uk_clock_monotonic(), &waiting);
  return -1;
}

static void check_learns(struct server *server, const char *key, int64_t offset)
{
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  while (offset_of(server, key) == -1 && uk_clock_monotonic() < deadline)
    pause_briefly();
  CHECK_EQ_INT(offset_of(server, key), offset);
}

static void servers_learn_from_each_other(void)
{
  struct server a, b;
  open_and_follow(&a);
  open_and_follow(&b);
  struct uk_produce later;
  CHECK(uk_kafka_key_topic_await(a.topic, &later)); /* only the first ones wait */
  share(&a, "from-a", 10);
  share(&a, "from-a-too", 11);
  share(&b, "from-b", 20);
  check_learns(&b, "from-a", 10);
  check_learns(&b, "from-a-too", 11);
  check_learns(&a, "from-b", 20);
  CHECK_EQ_INT(offset_of(&a, "from-nowhere"), -1);
  close_server(&a);
  close_server(&b);
}

/* With a clock of its own: the cluster has not answered yet when the patience ends. */
static void produces_do_not_wait_for_ever(void)
{
  struct uk_kafka_executor *executor = uk_kafka_executor_new(0);
  struct server server;
  struct uk_produce operations[3];
  char text[UK_MESSAGE_SIZE];
  int64_t now = uk_clock_monotonic();
  rd_kafka_mock_broker_set_down(kafka_parts.cluster, 1);
  open_server(&server, executor);
  for (int i = 0; i < 3; i++)
    CHECK(!uk_kafka_key_topic_await(server.topic, &operations[i]));
  uk_kafka_executor_run(executor, now);
  uk_kafka_executor_run(executor, now + UK_KAFKA_KEY_PATIENCE - 1);
  CHECK_EQ_INT(ready_of(&server), 0);
  CHECK(uk_kafka_key_topic_is_shared(server.topic, text, sizeof text)); /* not known yet */
  uk_kafka_executor_run(executor, now + UK_KAFKA_KEY_PATIENCE);
  CHECK_EQ_INT(ready_of(&server), 3);
  CHECK(server.last == &operations[2]);
  CHECK(uk_kafka_key_topic_await(server.topic, &operations[0]));
  CHECK(!uk_kafka_key_topic_is_shared(server.topic, text, sizeof text));
  CHECK_EQ_STR(text, "idempotency keys are not shared with other servers: topic "
                     "\"__upstash_kafka_keys\": the cluster has not answered yet");
  share(&server, "alone", 50); /* goes nowhere */
  rd_kafka_mock_broker_set_up(kafka_parts.cluster, 1);
  /* The cluster is back: it is followed again. The steps end on other threads. */
  int64_t deadline = uk_clock_monotonic() + PATIENCE;
  for (int64_t step = 0; !uk_kafka_key_topic_is_shared(server.topic, text, sizeof text) &&
                         uk_clock_monotonic() < deadline;
       step += 1000) {
    pause_briefly();
    uk_kafka_executor_run(executor, now + UK_KAFKA_KEY_PATIENCE + step);
  }
  CHECK(uk_kafka_key_topic_is_shared(server.topic, text, sizeof text));
  uk_kafka_executor_run(executor, INT64_MAX - 1);
  close_server(&server);
  uk_kafka_executor_free(executor);
}

static bool open_rig(void)
{
  char text[UK_MESSAGE_SIZE];
  const struct uk_kafka_producer_parts parts = {
    .settings = kafka_parts.settings, .topics = kafka_parts.topics, .reaper = kafka_parts.reaper};
  producer = uk_kafka_producer_new(&parts, text, sizeof text);
  return CHECK(producer != NULL) &&
         CHECK_EQ_INT(rd_kafka_mock_topic_create(kafka_parts.cluster, UK_KAFKA_KEY_TOPIC, 1, 1), 0);
}

int main(void)
{
  if (!kafka_parts_open(1) || !open_rig())
    return 1;
  CHECK_RUN(servers_learn_from_each_other);
  CHECK_RUN(produces_do_not_wait_for_ever);
  uk_kafka_producer_free(producer);
  kafka_parts_close();
  return check_end();
}
