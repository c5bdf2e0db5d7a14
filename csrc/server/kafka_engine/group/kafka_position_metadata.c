#include "server/kafka_engine/group/kafka_position_metadata.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PREFIX[] = "upstash-kafka: delivered up to ";

void uk_kafka_position_metadata_write(rd_kafka_topic_partition_t *at, int64_t position)
{
  char *text = NULL; /* librdkafka frees it with its list */
  int length = asprintf(&text, "%s%" PRId64, PREFIX, position);
  if (length < 0)
    return;
  at->metadata = text;
  at->metadata_size = (size_t)length;
}

int64_t uk_kafka_position_metadata_read(const rd_kafka_topic_partition_t *at)
{
  char text[sizeof PREFIX + 20], *end;
  if (at->offset < 0 || at->metadata == NULL || at->metadata_size < sizeof PREFIX ||
      at->metadata_size >= sizeof text || memcmp(at->metadata, PREFIX, sizeof PREFIX - 1) != 0)
    return -1;
  memcpy(text, at->metadata, at->metadata_size);
  text[at->metadata_size] = '\0';
  const char *digits = text + sizeof PREFIX - 1;
  int64_t position = strtoll(digits, &end, 10);
  bool good = *digits >= '0' && *digits <= '9' && *end == '\0';
  return good && position >= at->offset && position < INT64_MAX ? position : -1;
}
