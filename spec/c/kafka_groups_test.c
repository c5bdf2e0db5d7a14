/* Instances of groups, on a cluster that librdkafka plays inside of this process. Its brokers answer as late as told. */
#include "server/kafka_groups.h"

#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"

enum { BROKERS = 1, PATIENCE = 20000 };
enum {
  LATE = 700,
  REBALANCE = 3000
}; /* milliseconds; the latter is what a played group waits for members */

static struct {
  rd_kafka_t *player, *control, *producer;
  rd_kafka_mock_cluster_t *cluster;
  struct uk_kafka_settings *settings;
  struct uk_kafka_groups_parts parts;
  struct uk_kafka_groups *groups;
} rig;

static bool rig_open(void)
{
  char message[UK_MESSAGE_SIZE];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, NULL);
  rig.player = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof message);
  rig.cluster = rd_kafka_mock_cluster_new(rig.player, BROKERS);
  const struct uk_server_options options = {.brokers =
                                              rd_kafka_mock_cluster_bootstraps(rig.cluster),
                                            .prefetch_bytes = 1 << 20,
                                            .max_message_bytes = 1 << 20};
  if (uk_kafka_settings_new(&rig.settings, &options, message, sizeof message) != UK_OK)
    return false;
  rig.control = rd_kafka_new(RD_KAFKA_PRODUCER, uk_kafka_conf(rig.settings, UK_KAFKA_CONTROL),
                             message, sizeof message);
  rig.producer = rd_kafka_new(RD_KAFKA_PRODUCER, uk_kafka_conf(rig.settings, UK_KAFKA_CONTROL),
                              message, sizeof message);
  rig.parts = (struct uk_kafka_groups_parts){.settings = rig.settings,
                                             .control = rig.control,
                                             .loop = uk_kafka_loop_new(4),
                                             .topics = uk_kafka_topics_new(rig.control),
                                             .reaper = uk_kafka_reaper_new(),
                                             .prefetch_bytes = 1 << 20,
                                             .prefetch_budget = 1 << 30};
  rig.groups = uk_kafka_groups_new(&rig.parts);
  return rig.groups != NULL;
}

static void rig_close(void)
{
  uk_kafka_groups_drain(rig.groups);
  uk_kafka_groups_free(rig.groups);
  uk_kafka_topics_stop(rig.parts.topics);
  uk_kafka_loop_free(rig.parts.loop);
  uk_kafka_topics_free(rig.parts.topics);
  uk_kafka_reaper_free(rig.parts.reaper);
  rd_kafka_destroy(rig.producer);
  rd_kafka_destroy(rig.control);
  uk_kafka_settings_free(rig.settings);
  rd_kafka_mock_cluster_destroy(rig.cluster);
  rd_kafka_destroy(rig.player);
}

/* A topic of one partition, of a name that was not there before. */
static const char *make_topic(void)
{
  static char name[32];
  static int number;
  snprintf(name, sizeof name, "topic-%d", number++);
  CHECK_EQ_INT(rd_kafka_mock_topic_create(rig.cluster, name, 1, 1), 0);
  return name;
}

static void produce(const char *topic, int count)
{
  for (int i = 0; i < count; i++)
    CHECK_EQ_INT(rd_kafka_producev(rig.producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(0),
                                   RD_KAFKA_V_VALUE("v", 1),
                                   RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END),
                 0);
  CHECK_EQ_INT(rd_kafka_flush(rig.producer, PATIENCE), 0);
}

/* Every answer of the cluster comes so late. */
static void answer_late(int milliseconds)
{
  CHECK_EQ_INT(rd_kafka_mock_broker_set_rtt(rig.cluster, -1, milliseconds), 0);
}

/* Requests. */

struct request {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer delete;
  } as;
  struct uk_slice topic;
  struct uk_topic_partition_offset offset;
  int64_t first; /* offset of the first record, -1 = none */
  size_t count, most;
  int64_t begun, took;
  int dones;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

static void done(struct uk_operation *operation)
{
  struct request *request = operation->context;
  pthread_mutex_lock(&mutex);
  request->took = uk_clock_monotonic() - request->begun;
  request->dones++;
  pthread_cond_broadcast(&ended);
  pthread_mutex_unlock(&mutex);
}

static void await(struct request *request)
{
  pthread_mutex_lock(&mutex);
  while (request->dones == 0)
    pthread_cond_wait(&ended, &mutex);
  CHECK_EQ_INT(request->dones, 1);
  pthread_mutex_unlock(&mutex);
}

static void begin(struct request *request, int64_t timeout)
{
  request->begun = uk_clock_monotonic();
  request->dones = 0;
  request->as.operation =
    (struct uk_operation){.done = done, .context = request, .deadline = request->begun + timeout};
}

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct request *request = operation->context;
  if (request->most > 0 && request->count == request->most)
    return false;
  if (request->count++ == 0)
    request->first = record->offset;
  return true;
}

static void start_consume(struct request *request, const char *group, const char *instance,
                          const char *topic, int64_t timeout)
{
  begin(request, timeout);
  request->topic = uk_slice_text(topic);
  request->first = -1;
  request->count = 0;
  request->as.consume.group = uk_slice_text(group);
  request->as.consume.instance = uk_slice_text(instance);
  request->as.consume.topics = &request->topic;
  request->as.consume.topic_count = 1;
  request->as.consume.settings = (struct uk_consumer_settings){.auto_commit = false,
                                                               .auto_commit_interval = 5000,
                                                               .offset_reset = UK_RESET_EARLIEST,
                                                               .session_timeout = 120000};
  request->as.consume.sink = (struct uk_sink){.record = take};
  uk_kafka_groups_consume(rig.groups, &request->as.consume);
}

static struct request *consume(const char *group, const char *instance, const char *topic,
                               int64_t timeout)
{
  static struct request request;
  request = (struct request){.most = 0};
  start_consume(&request, group, instance, topic, timeout);
  await(&request);
  CHECK_EQ_INT(request.as.operation.error, UK_OK);
  return &request;
}

static void start_delete(struct request *request, const char *group, const char *instance)
{
  begin(request, PATIENCE);
  request->as.delete.group = uk_slice_text(group);
  request->as.delete.instance = uk_slice_text(instance);
  uk_kafka_groups_delete(rig.groups, &request->as.delete);
}

/* Cases. */

/* What nobody answered may not have arrived: a member that stays keeps its partitions until its session is over. */
static void a_deletion_waits_for_the_group(void)
{
  const char *topic = make_topic();
  produce(topic, 1);
  CHECK(consume("left", "one", topic, PATIENCE)->count > 0);
  struct request request = {.dones = 0};
  answer_late(LATE);
  start_delete(&request, "left", "one");
  await(&request);
  CHECK_EQ_INT(request.as.operation.error, UK_OK);
  CHECK(request.took >= LATE);
  answer_late(0);
}

/* A group that has no members waits for more of them, and gives the first one its name after that: an instance that went
 * before would be a member under a name that nobody knows. */
static void an_instance_that_is_joining_leaves_when_it_has_joined(void)
{
  const char *topic = make_topic();
  struct request joining = {.most = 0}, request = {.dones = 0};
  start_consume(&joining, "joining", "one", topic, PATIENCE);
  usleep(500000);
  start_delete(&request, "joining", "one");
  await(&request);
  await(&joining);
  CHECK_EQ_INT(request.as.operation.error, UK_OK);
  CHECK_EQ_INT(joining.as.operation.error, UK_OK);
  CHECK(request.took >= REBALANCE - 1000);
}

int main(void)
{
  if (!rig_open()) {
    fputs("the rig could not be made\n", stderr);
    return 1;
  }
  CHECK_RUN(a_deletion_waits_for_the_group);
  CHECK_RUN(an_instance_that_is_joining_leaves_when_it_has_joined);
  rig_close();
  return check_end();
}
