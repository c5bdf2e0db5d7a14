/* kafka_options: what the Kafka engine is told. */
#ifndef UK_KAFKA_OPTIONS_H
#define UK_KAFKA_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A property of librdkafka, for every connection to the cluster. */
struct uk_kafka_property {
  const char *name;
  const char *value; /* with from_file the file that holds it; one newline at its end is cut */
  bool from_file;    /* and then no message shows the value */
};

/* Strings are copied. */
struct uk_kafka_options {
  const char *brokers; /* "HOST:PORT,…" */
  const struct uk_kafka_property *properties;
  size_t property_count;
  int64_t prefetch_bytes;  /* of records read ahead, for each consumer instance */
  int64_t prefetch_budget; /* for all instances; one more than fit in is refused with 429 */
  int64_t max_message_bytes;
  int32_t partitions; /* of a topic created without a number */
  bool auto_create_topics;
};

#endif
