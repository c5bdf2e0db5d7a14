/* for: kafka_position_metadata.c
 *
 * What a server stores for the next server that has an instance. */
#include "server/kafka_engine/group/kafka_position_metadata.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "fault.h"

static const struct uk_record_mark none = {.known = false};
static const struct uk_record_mark one = {
  .known = true, .timestamp = 1764000000000, .checksum = UINT64_C(0x00000000000000ff)};
static const struct uk_record_mark two = {.known = true, .timestamp = -1, .checksum = UINT64_MAX};

static struct uk_kafka_position_metadata read_back(int64_t offset, const char *metadata)
{
  rd_kafka_topic_partition_t at = {.offset = offset};
  at.metadata = metadata != NULL ? (void *)(uintptr_t)metadata : NULL;
  at.metadata_size = metadata != NULL ? strlen(metadata) : 0;
  return uk_kafka_position_metadata_read(&at);
}

static void check_mark(const struct uk_record_mark *got, const struct uk_record_mark *want)
{
  CHECK_EQ_INT(got->known, want->known);
  if (want->known)
    CHECK(uk_record_mark_equal(got, want));
}

static void metadata_is_read_back(void)
{
  static const int64_t positions[] = {0, 1, 41, INT64_C(1) << 62, INT64_MAX - 1};
  static const struct uk_record_mark *const marks[][2] = {
    {&none, &none}, {&one, &two}, {&two, &one}, {&none, &one}, {&one, &none}};
  for (size_t i = 0; i < sizeof positions / sizeof *positions; i++) {
    for (size_t j = 0; j < sizeof marks / sizeof *marks; j++) {
      rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
      rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, "t", 0);
      at->offset = positions[i] / 2;
      const struct uk_kafka_position_metadata written = {positions[i], *marks[j][0], *marks[j][1]};
      uk_kafka_position_metadata_write(at, &written);
      const struct uk_kafka_position_metadata got = uk_kafka_position_metadata_read(at);
      CHECK_EQ_INT(got.position, positions[i]);
      check_mark(&got.mark, marks[j][0]);
      check_mark(&got.committed, marks[j][1]);
      rd_kafka_topic_partition_list_destroy(list);
    }
  }
}

/* What a commit carries; "" for nothing. */
static void check_text(int64_t offset, const struct uk_kafka_position_metadata *metadata,
                       const char *text)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, "t", 0);
  long live = fault_live();
  at->offset = offset;
  at->metadata = strdup("of another offset");
  at->metadata_size = 17;
  uk_kafka_position_metadata_write(at, metadata);
  CHECK_EQ_INT(fault_live(), live); /* the one before is free; asprintf does not count */
  CHECK_EQ_INT(at->metadata_size, strlen(text));
  if (text[0] == '\0')
    CHECK(at->metadata == NULL);
  else
    CHECK_EQ_STR((const char *)at->metadata, text);
  rd_kafka_topic_partition_list_destroy(list);
}

static void the_forms_are_as_documented(void)
{
  check_text(7, &(struct uk_kafka_position_metadata){7, none, none}, "");
  check_text(3, &(struct uk_kafka_position_metadata){7, none, none},
             "upstash-kafka: delivered up to 7");
  check_text(3, &(struct uk_kafka_position_metadata){7, one, two},
             "upstash-kafka 2: 7 1764000000000/00000000000000ff -1/ffffffffffffffff");
  check_text(7, &(struct uk_kafka_position_metadata){7, one, one},
             "upstash-kafka 2: 7 1764000000000/00000000000000ff 1764000000000/00000000000000ff");
  check_text(3, &(struct uk_kafka_position_metadata){7, none, two},
             "upstash-kafka 2: 7 - -1/ffffffffffffffff");
}

/* The reader of the first servers, of which some may still run beside this one: what it does not
 * understand, it ignores. */
static int64_t read_by_first_servers(const rd_kafka_topic_partition_t *at)
{
  static const char PREFIX[] = "upstash-kafka: delivered up to ";
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

static void servers_of_two_versions_understand_or_ignore_each_other(void)
{
  static const struct {
    struct uk_record_mark mark;
    int64_t position, first_servers_read;
  } rows[] = {
    {.position = 7, .first_servers_read = 7},
    {.mark = {.known = true, .timestamp = 1, .checksum = 2},
     .position = 7,
     .first_servers_read = -1},
    {.position = 3, .first_servers_read = -1},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, "t", 0);
    at->offset = 3;
    const struct uk_kafka_position_metadata written = {rows[i].position, rows[i].mark, none};
    uk_kafka_position_metadata_write(at, &written);
    CHECK_EQ_INT(read_by_first_servers(at), rows[i].first_servers_read);
    rd_kafka_topic_partition_list_destroy(list);
  }
  /* The other way round. */
  const struct uk_kafka_position_metadata old = read_back(3, "upstash-kafka: delivered up to 7");
  CHECK_EQ_INT(old.position, 7);
  CHECK(!old.mark.known && !old.committed.known);
}

static const char *const strange[] = {
  NULL,
  "",
  "consumer-1 was here",
  "upstash-kafka: delivered up to ",
  "upstash-kafka: delivered up to 2", /* before what is committed */
  "upstash-kafka: delivered up to -7",
  "upstash-kafka: delivered up to +7",
  "upstash-kafka: delivered up to  7",
  "upstash-kafka: delivered up to 7x",
  "upstash-kafka: delivered up to 99999999999999999999",
  "upstash-kafka: delivered up to 9223372036854775807",
  "upstash-kafka: delivered up to 0000000000000000000000000007",
  "upstash-kafka: delivered up to 00000000000000000007",
  "upstash-kafka 2: 2 1/00000000000000ff 1/00000000000000ff",
  "upstash-kafka 2: 7 1/00000000000000ff",
  "upstash-kafka 2: 7 1/00000000000000ff ",
  "upstash-kafka 2: 7 1/00000000000000ff 1/00000000000000f",
  "upstash-kafka 2: 7 1/00000000000000ff 1/00000000000000fff",
  "upstash-kafka 2: 7 1/00000000000000ff 1/00000000000000fF",
  "upstash-kafka 2: 7 1/00000000000000ff 1/00000000000000ff ",
  "upstash-kafka 2: 7 1/00000000000000ff -2/00000000000000ff",
  "upstash-kafka 2: 7 /00000000000000ff 1/00000000000000ff",
  "upstash-kafka 2: 7 1-00000000000000ff 1/00000000000000ff",
  "upstash-kafka 2: 7  1/00000000000000ff 1/00000000000000ff",
  "upstash-kafka 2: -7 1/00000000000000ff 1/00000000000000ff",
  "upstash-kafka 2: 7 9223372036854775807/00000000000000ff -",
  "upstash-kafka 3: 7 1/00000000000000ff 1/00000000000000ff",
};

/* Others may write metadata too. The position is then the offset. */
static void anything_else_is_ignored(void)
{
  for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
    const struct uk_kafka_position_metadata got = read_back(3, strange[i]);
    if (!CHECK_EQ_INT(got.position, 3) || !CHECK(!got.mark.known && !got.committed.known))
      fprintf(stderr, "  %s\n", strange[i] != NULL ? strange[i] : "NULL");
  }
  char large[20001];
  memset(large, '7', sizeof large - 1);
  large[sizeof large - 1] = '\0';
  memcpy(large, "upstash-kafka: delivered up to ", 31);
  CHECK_EQ_INT(read_back(3, large).position, 3);
  large[160] = '\0';
  CHECK_EQ_INT(read_back(3, large).position, 3);
  CHECK_EQ_INT(read_back(3, "upstash-kafka: delivered up to 7").position, 7);
}

int main(void)
{
  CHECK_RUN(metadata_is_read_back);
  CHECK_RUN(the_forms_are_as_documented);
  CHECK_RUN(servers_of_two_versions_understand_or_ignore_each_other);
  CHECK_RUN(anything_else_is_ignored);
  return check_end();
}
