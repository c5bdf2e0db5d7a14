/* kafka_parts: a Kafka cluster that librdkafka plays inside of this process, and what the parts of
 * the engine stand on. */
#ifndef KAFKA_PARTS_H
#define KAFKA_PARTS_H

#include "server/kafka_engine/rd/kafka_blocking.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"
#include "server/kafka_engine/cluster/kafka_topics.h"

#include <librdkafka/rdkafka_mock.h> /* behind librdkafka's own header */

/* The numbers of requests, for rd_kafka_mock_push_request_errors. */
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

/* False: there is no rig to be had, and no test to be made. */
bool kafka_parts_open(int brokers);
/* After all that stands on it. */
void kafka_parts_close(void);

/* A handle that speaks to the cluster, as kafka_topics wants it; the caller's. */
rd_kafka_t *kafka_parts_control(void);

/* A topic of a name that was not there before, for the test's whole life. */
const char *kafka_parts_topic(int partitions);
/* A name that is no topic. */
const char *kafka_parts_nowhere(void);

/* An operation that is waited for. */
struct kafka_probe {
  int dones;
  int64_t begun, took; /* milliseconds */
};

/* For what is to end long before its time: the time, and less than that, which no slow machine
 * takes. */
enum { KAFKA_PATIENCE = 120000, KAFKA_PROMPT = 60000 };

/* Makes the operation one of the probe's, its deadline in `timeout` milliseconds. */
void kafka_probe_begin(struct kafka_probe *probe, struct uk_operation *operation, int64_t timeout);
/* Waits until `done` was called; checks that it was but once. */
void kafka_probe_await(struct kafka_probe *probe);
/* For something else that calls back. */
void kafka_probe_done(struct kafka_probe *probe);

#endif
