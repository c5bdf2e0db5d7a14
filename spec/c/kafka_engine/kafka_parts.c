#include "kafka_parts.h"

#include <pthread.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"

struct kafka_parts kafka_parts;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

rd_kafka_t *kafka_parts_control(void)
{
  char message[UK_MESSAGE_SIZE];
  rd_kafka_conf_t *conf = uk_kafka_conf(kafka_parts.settings, UK_KAFKA_CONTROL);
  if (conf == NULL)
    return NULL;
  rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_ERROR);
  return rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof message);
}

static bool has_cluster(void)
{
  return uk_kafka_topics_has_answered(kafka_parts.topics) &&
         uk_kafka_topics_health(kafka_parts.topics, NULL, 0) == UK_OK;
}

bool kafka_parts_open(int brokers)
{
  char message[UK_MESSAGE_SIZE];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_conf_set_log_cb(conf, NULL);
  kafka_parts.player = rd_kafka_new(RD_KAFKA_PRODUCER, conf, message, sizeof message);
  kafka_parts.cluster = rd_kafka_mock_cluster_new(kafka_parts.player, brokers);
  /* A mock cluster is as slow as the machine is. */
  static const struct uk_kafka_property patient = {"api.version.request.timeout.ms", "60000",
                                                   false};
  const struct uk_kafka_options options = {.brokers =
                                             rd_kafka_mock_cluster_bootstraps(kafka_parts.cluster),
                                           .properties = &patient,
                                           .property_count = 1,
                                           .prefetch_bytes = 1 << 20,
                                           .max_message_bytes = 1 << 20};
  if (uk_kafka_settings_new(&kafka_parts.settings, &options, message, sizeof message) != UK_OK)
    return false;
  kafka_parts.control = kafka_parts_control();
  kafka_parts.executor = uk_kafka_executor_new(4);
  if (kafka_parts.executor == NULL)
    return false;
  kafka_parts.reaper = uk_kafka_reaper_new(kafka_parts.executor, UK_KAFKA_REAP_TIMEOUT);
  kafka_parts.blocking = uk_kafka_blocking_new(kafka_parts.executor);
  kafka_parts.topics = uk_kafka_topics_new(kafka_parts.control);
  if (kafka_parts.reaper == NULL || kafka_parts.blocking == NULL || kafka_parts.topics == NULL)
    return false;
  CHECK_EVENTUALLY(has_cluster()); /* on a busy machine it counts as away at first */
  return true;
}

void kafka_parts_close(void)
{
  uk_kafka_topics_stop(kafka_parts.topics);
  uk_kafka_blocking_free(kafka_parts.blocking);
  uk_kafka_topics_free(kafka_parts.topics);
  uk_kafka_reaper_free(kafka_parts.reaper);
  uk_kafka_executor_free(kafka_parts.executor);
  rd_kafka_destroy(kafka_parts.control);
  uk_kafka_settings_free(kafka_parts.settings);
  rd_kafka_mock_cluster_destroy(kafka_parts.cluster);
  rd_kafka_destroy(kafka_parts.player);
}

/* Long, for librdkafka 2.3: see kafka_endpoints.c. */
static const char *new_name(void)
{
  static char names[100][24];
  static size_t count;
  char *name = names[count % 100];
  snprintf(name, sizeof names[0], "topic-of-test-%zu", count++);
  return name;
}

const char *kafka_parts_topic(int partitions)
{
  const char *name = new_name();
  CHECK_EQ_INT(rd_kafka_mock_topic_create(kafka_parts.cluster, name, partitions, 1), 0);
  return name;
}

/* A mock cluster creates every topic that it is asked about, except this one. */
const char *kafka_parts_nowhere(void)
{
  const char *name = new_name();
  rd_kafka_mock_topic_set_error(kafka_parts.cluster, name, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
  return name;
}

static void done(struct uk_operation *operation)
{
  kafka_probe_done(operation->context);
}

void kafka_probe_begin(struct kafka_probe *probe, struct uk_operation *operation, int64_t timeout)
{
  *probe = (struct kafka_probe){.begun = uk_clock_monotonic()};
  *operation =
    (struct uk_operation){.done = done, .context = probe, .deadline = probe->begun + timeout};
}

void kafka_probe_done(struct kafka_probe *probe)
{
  pthread_mutex_lock(&mutex);
  probe->took = uk_clock_monotonic() - probe->begun;
  probe->dones++;
  pthread_cond_broadcast(&ended);
  pthread_mutex_unlock(&mutex);
}

void kafka_probe_await(struct kafka_probe *probe)
{
  pthread_mutex_lock(&mutex);
  while (probe->dones == 0)
    pthread_cond_wait(&ended, &mutex);
  CHECK_EQ_INT(probe->dones, 1);
  pthread_mutex_unlock(&mutex);
}
