/* for: kafka_position_metadata.c
 *
 * What a server stores for the next server that has an instance. */
#include "server/kafka_engine/group/kafka_position_metadata.h"

#include <stdlib.h>
#include <string.h>

#include "check.h"

static int64_t read_back(int64_t offset, const char *metadata)
{
  rd_kafka_topic_partition_t at = {.offset = offset};
  at.metadata = metadata != NULL ? (void *)(uintptr_t)metadata : NULL;
  at.metadata_size = metadata != NULL ? strlen(metadata) : 0;
  return uk_kafka_position_metadata_read(&at);
}

static void metadata_is_read_back(void)
{
  static const int64_t positions[] = {0, 1, 41, INT64_C(1) << 62, INT64_MAX - 1};
  for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, "t", 0);
    at->offset = positions[i] / 2;
    uk_kafka_position_metadata_write(at, positions[i]);
    CHECK_EQ_INT(uk_kafka_position_metadata_read(at), positions[i]);
    rd_kafka_topic_partition_list_destroy(list);
  }
}

/* Others may write metadata too. */
static void anything_else_is_ignored(void)
{
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 7"), 7);
  CHECK_EQ_INT(read_back(3, NULL), -1);
  CHECK_EQ_INT(read_back(3, ""), -1);
  CHECK_EQ_INT(read_back(3, "consumer-1 was here"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to "), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 2"), -1); /* before what is committed */
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to -7"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to +7"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to  7"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 7x"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 99999999999999999999"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 9223372036854775807"), -1);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 0000000000000000000000000007"), -1);
  CHECK_EQ_INT(read_back(-1001, "upstash-kafka: delivered up to 7"), -1); /* nothing is committed */
}

int main(void)
{
  CHECK_RUN(metadata_is_read_back);
  CHECK_RUN(anything_else_is_ignored);
  return check_end();
}
