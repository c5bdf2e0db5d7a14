/* bare_rdkafka: one message after another through librdkafka alone, acks=all, idempotent, without a
 * linger.
 *
 *   bare_rdkafka BROKERS TOPIC MESSAGES
 *
 * Prints the median and the 99th percentile in microseconds. */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static bool answered;

static void on_report(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque)
{
  (void)handle;
  (void)opaque;
  if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    fprintf(stderr, "bare_rdkafka: %s\n", rd_kafka_err2str(message->err));
    exit(1);
  }
  answered = true;
}

static rd_kafka_t *open_producer(const char *brokers)
{
  const char *const settings[][2] = {
    {"bootstrap.servers", brokers},   {"acks", "all"},
    {"enable.idempotence", "true"},   {"linger.ms", "0"},
    {"socket.nagle.disable", "true"}, {"client.id", "upstash-kafka-bench"},
  };
  char text[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
    rd_kafka_conf_set(conf, settings[i][0], settings[i][1], text, sizeof text);
  rd_kafka_conf_set_dr_msg_cb(conf, on_report);
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  if (handle != NULL)
    return handle;
  fprintf(stderr, "bare_rdkafka: %s\n", text);
  exit(1);
}

static void send_one(rd_kafka_t *handle, rd_kafka_topic_t *topic)
{
  char value[] = BENCH_VALUE;
  answered = false;
  if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, strlen(value),
                       NULL, 0, NULL) != 0) {
    fprintf(stderr, "bare_rdkafka: %s\n", rd_kafka_err2str(rd_kafka_last_error()));
    exit(1);
  }
  while (!answered)
    rd_kafka_poll(handle, 1000);
}

int main(int argc, char **argv)
{
  if (argc != 4) {
    fprintf(stderr, "usage: bare_rdkafka BROKERS TOPIC MESSAGES\n");
    return 2;
  }
  size_t count = (size_t)atol(argv[3]);
  rd_kafka_t *handle = open_producer(argv[1]);
  rd_kafka_topic_t *topic = rd_kafka_topic_new(handle, argv[2], NULL);
  int64_t *took = calloc(count, sizeof *took);
  if (topic == NULL || took == NULL)
    bench_die("memory");
  for (int i = 0; i < BENCH_WARM_UP; i++)
    send_one(handle, topic);
  for (size_t i = 0; i < count; i++) {
    int64_t start = bench_now_ns();
    send_one(handle, topic);
    took[i] = bench_now_ns() - start;
  }
  bench_print_percentiles(took, count);
  free(took);
  rd_kafka_topic_destroy(topic);
  rd_kafka_destroy(handle);
  return 0;
}
