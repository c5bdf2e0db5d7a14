/* kafka_options: the options of the Kafka engine. */
#ifndef UK_KAFKA_OPTIONS_H
#define UK_KAFKA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A property of librdkafka, for every connection to the cluster. */
struct uk_kafka_property {
  const char *name;
  const char *value; /* or, with from_file, the file that holds it; one final newline is dropped */
  bool from_file;    /* no message shows the value */
};

/* Strings are copied. */
struct uk_kafka_options {
  const char *brokers; /* "HOST:PORT,…" */
  const struct uk_kafka_property *properties;
  size_t property_count;
  int64_t prefetch_bytes;  /* to read ahead for each consumer instance */
  int64_t prefetch_budget; /* for all instances; one that does not fit is refused with 429 */
  int64_t max_message_bytes;
  int32_t partitions; /* of a topic that is created without a number */
  bool auto_create_topics;
  int64_t idempotency_window; /* milliseconds for which the key of a produce is kept; 0: not */
};

#endif
