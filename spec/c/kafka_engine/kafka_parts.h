/* kafka_parts: a mock Kafka cluster of librdkafka in this process, and what the parts of the engine
 * need. */
#ifndef KAFKA_PARTS_H
#define KAFKA_PARTS_H

#include "server/kafka_engine/rd/kafka_blocking.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"
#include "server/kafka_engine/cluster/kafka_topics.h"

#include <librdkafka/rdkafka_mock.h> /* after librdkafka's own header */

/* API keys, for rd_kafka_mock_push_request_errors. */
enum { KAFKA_PRODUCE = 0, KAFKA_METADATA = 3, KAFKA_OFFSET_COMMIT = 8 };

struct kafka_parts {
  rd_kafka_t *player, *control;
  rd_kafka_mock_cluster_t *cluster;
  struct uk_kafka_settings *settings;
  struct uk_kafka_reaper *reaper;
  struct uk_kafka_executor *executor;
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_topics *topics;
};

extern struct kafka_parts kafka_parts;

/* False: the rig could not be created, so no test can run. */
bool kafka_parts_open(int brokers);
/* Call it after closing everything that uses it. */
void kafka_parts_close(void);

/* A handle for the cluster, configured as kafka_topics requires; the caller destroys it. */
rd_kafka_t *kafka_parts_control(void);

/* A topic with a new name, which lives as long as the test. */
const char *kafka_parts_topic(int partitions);
/* A name without a topic. */
const char *kafka_parts_nowhere(void);

/* An operation to wait for. */
struct kafka_probe {
  int dones;
  int64_t begun, took; /* milliseconds */
};

/* For an operation that must end long before its deadline: the timeout, and a shorter time that no
 * slow machine needs. */
enum { KAFKA_PATIENCE = 120000, KAFKA_PROMPT = 60000 };

/* Ties the operation to the probe, with its deadline in `timeout` milliseconds. */
void kafka_probe_begin(struct kafka_probe *probe, struct uk_operation *operation, int64_t timeout);
/* Waits until `done` was called; checks that it was called only once. */
void kafka_probe_await(struct kafka_probe *probe);
/* For anything else that calls back. */
void kafka_probe_done(struct kafka_probe *probe);

#endif
