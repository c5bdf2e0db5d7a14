/* for: protocol.c, version.h */
#include "check.h"
#include "common/clock.h"
#include "common/protocol.h"
#include "common/version.h"
#include "guard.h"

static void endpoints_are_complete_and_unique(void)
{
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    const struct uk_endpoint_info *row = &uk_endpoints[i];
    REQUIRE(row->name != NULL && row->path != NULL);
    bool ends_in_slash = row->path[strlen(row->path) - 1] == '/';
    CHECK(row->path[0] == '/' && ends_in_slash == (i == UK_ENDPOINT_ROOT));
    CHECK(row->methods != 0);
    for (int k = 0; k < i; k++) {
      CHECK(strcmp(row->name, uk_endpoints[k].name) != 0);
      bool same_path = strcmp(row->path, uk_endpoints[k].path) == 0;
      CHECK(!same_path || (row->methods & uk_endpoints[k].methods) == 0);
    }
  }
}

static void braces_of_a_path_are_whole_segments(void)
{
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    for (const char *at = strchr(uk_endpoints[i].path, '{'); at != NULL; at = strchr(at, '{')) {
      const char *end = strchr(at, '}');
      CHECK(at[-1] == '/' && end != NULL && end > at + 1 && (end[1] == '/' || end[1] == '\0'));
      at++;
    }
  }
}

/* Each row of docs/rest-api.md. */
static void endpoints_match_the_contract(void)
{
  enum { GET_POST = UK_GET | UK_POST, GET_HEAD = UK_GET | UK_HEAD };
  static const struct uk_endpoint_info rows[UK_ENDPOINT_COUNT] = {
    {"produce_one", UK_GET, "/produce/{topic}/{message}", UK_PERMIT_PRODUCE},
    {"produce_topic", GET_POST, "/produce/{topic}", UK_PERMIT_PRODUCE},
    {"produce", GET_POST, "/produce", UK_PERMIT_PRODUCE},
    {"webhook", GET_POST, "/webhook", UK_PERMIT_PRODUCE},
    {"consume_topic", UK_GET, "/consume/{group}/{instance}/{topic}", UK_PERMIT_CONSUME},
    {"consume", GET_POST, "/consume/{group}/{instance}", UK_PERMIT_CONSUME},
    {"commit", GET_POST, "/commit/{group}/{instance}", UK_PERMIT_CONSUME},
    {"delete_consumer", UK_POST | UK_DELETE, "/delete-consumer/{group}/{instance}",
     UK_PERMIT_CONSUME},
    {"committed", GET_POST, "/committed/{group}/{instance}", UK_PERMIT_CONSUME},
    {"consumers", GET_HEAD, "/consumers", UK_PERMIT_CONSUME | UK_PERMIT_MONITOR},
    {"fetch", GET_POST, "/fetch", UK_PERMIT_CONSUME},
    {"topics", GET_HEAD, "/topics", UK_PERMIT_ANY},
    {"offsets", GET_POST, "/offsets/{timestamp}", UK_PERMIT_CONSUME},
    {"create_topic", UK_POST, "/topics/{topic}", UK_PERMIT_TOPICS},
    {"delete_topic", UK_DELETE, "/topics/{topic}", UK_PERMIT_TOPICS},
    {"health", GET_HEAD, "/health", UK_PERMIT_ANY},
    {"root", GET_HEAD, "/", UK_PERMIT_ANY},
  };
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    REQUIRE(rows[i].name != NULL);
    CHECK_EQ_STR(uk_endpoints[i].name, rows[i].name);
    CHECK_EQ_INT(uk_endpoints[i].methods, rows[i].methods);
    CHECK_EQ_STR(uk_endpoints[i].path, rows[i].path);
    CHECK_EQ_INT(uk_endpoints[i].permissions, rows[i].permissions);
  }
  CHECK_EQ_INT(UK_PERMIT_PRODUCE | UK_PERMIT_CONSUME | UK_PERMIT_MONITOR | UK_PERMIT_TOPICS,
               UK_PERMIT_FULL);
  CHECK_EQ_INT(UK_PERMIT_ANY, UK_PERMIT_FULL);
}

/* Each default and limit of docs/rest-api.md and docs/server.md. */
static void limits_match_the_contract(void)
{
  static const struct {
    long long limit, contract;
  } rows[] = {
    {UK_CONSUME_TIMEOUT, 1000},
    {UK_FETCH_TIMEOUT, 1000},
    {UK_OFFSETS_TIMEOUT, 10000},
    {UK_TIMEOUT_MAX, 600000},
    {UK_AUTO_COMMIT_INTERVAL, 5000},
    {UK_SESSION_TIMEOUT, 120000},
    {UK_SESSION_TIMEOUT_MIN, 1000},
    {UK_SESSION_TIMEOUT_MAX, 1800000},
    {UK_TOPIC_NAME_MAX, 249},
    {UK_GROUP_NAME_MAX, 255},
    {UK_BATCH_MESSAGES, 1000},
    {UK_BATCH_MESSAGES_MAX, 100000},
    {UK_BATCH_BYTES, 4194304},
    {UK_BATCH_BYTES_MAX, 67108864},
    {UK_MESSAGE_BYTES, 1048576},
    {UK_HEADER_BYTES, 8192},
    {UK_BODY_BYTES, 16777216},
    {UK_HEADERS_PER_MESSAGE_MAX, 1000},
    {UK_PARTITIONS_MAX, 1000},
    {UK_TOPICS_PER_CONSUME_MAX, 256},
    {UK_PRODUCED_TIMESTAMP_MAX, 9007199254740992},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    CHECK_EQ_INT(rows[i].limit, rows[i].contract);
  CHECK_EQ_STR(UK_HEADER_AUTO_COMMIT, "Kafka-Enable-Auto-Commit");
  CHECK_EQ_STR(UK_HEADER_AUTO_COMMIT_INTERVAL, "Kafka-Auto-Commit-Interval");
  CHECK_EQ_STR(UK_HEADER_OFFSET_RESET, "Kafka-Auto-Offset-Reset");
  CHECK_EQ_STR(UK_HEADER_SESSION_TIMEOUT, "Kafka-Session-Timeout-Ms");
  CHECK_EQ_STR(UK_HEADER_ENCODING, "Kafka-Encoding");
  CHECK_EQ_STR(UK_HEADER_IDEMPOTENCY_KEY, "Idempotency-Key");
}

static void topic_names(void)
{
  static const struct {
    const char *name;
    bool valid;
  } rows[] = {{"a", true},      {"greetings", true},  {"A.b_c-9", true}, {"...", true},
              {"-", true},      {"_", true},          {"0", true},       {"..a", true},
              {"", false},      {".", false},         {"..", false},     {"a b", false},
              {"a/b", false},   {"a\xc3\xa9", false}, {"a\n", false},    {"a:b", false},
              {"a%20b", false}, {"a@b", false},       {"a[", false},     {"a`", false},
              {"a{", false}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    if (!CHECK(uk_topic_name_valid(uk_slice_text(rows[i].name)) == rows[i].valid))
      fprintf(stderr, "  %s\n", rows[i].name);
  }
  CHECK(!uk_topic_name_valid(uk_slice_of("a\0", 2)));
  CHECK(!uk_topic_name_valid(uk_slice_of(NULL, 0)));
}

static void every_byte_of_a_topic_name(void)
{
  for (int byte = 0; byte < 256; byte++) {
    char name[2] = {'a', (char)byte}, swapped[2] = {(char)byte, 'a'};
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    bool valid = letter || (byte >= '0' && byte <= '9') || strchr("._-", byte) != NULL;
    CHECK_EQ_INT(uk_topic_name_valid(uk_slice_of(name, 2)), valid && byte != 0);
    CHECK_EQ_INT(uk_topic_name_valid(uk_slice_of(swapped, 2)), valid && byte != 0);
  }
}

static void internal_topics(void)
{
  static const struct {
    const char *name;
    bool internal;
  } rows[] = {
    {"__consumer_offsets", true},
    {"__transaction_state", true},
    {"__share_group_state", true},
    {"__remote_log_metadata", true},
    {"__cluster_metadata", true},
    {"__upstash_kafka_", true},
    {"__upstash_kafka_x", true},
    {"__upstash_kafka", false},
    {"__consumer_offset", false},
    {"__consumer_offsets2", false},
    {"__Consumer_Offsets", false},
    {"consumer_offsets", false},
    {"_", false},
    {"__", false},
    {"", false},
    {"t", false},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (!CHECK(uk_topic_name_internal(uk_slice_text(rows[i].name)) == rows[i].internal))
      fprintf(stderr, "  \"%s\"\n", rows[i].name);
  }
  CHECK(!uk_topic_name_internal(uk_slice_of(NULL, 0)));
}

static void topic_names_at_their_limit_and_one_past_it(void)
{
  char name[UK_TOPIC_NAME_MAX + 1];
  memset(name, 'a', sizeof name);
  CHECK_EQ_INT(UK_TOPIC_NAME_MAX, 249);
  CHECK(uk_topic_name_valid(uk_slice_of(name, UK_TOPIC_NAME_MAX)));
  CHECK(!uk_topic_name_valid(uk_slice_of(name, UK_TOPIC_NAME_MAX + 1)));
}

static void integers_are_parsed(void)
{
  static const struct {
    const char *text;
    int64_t value;
  } rows[] = {{"0", 0},
              {"-0", 0},
              {"1", 1},
              {"-1", -1},
              {"007", 7},
              {"1700000000000", 1700000000000},
              {"9007199254740993", 9007199254740993},
              {"9223372036854775807", INT64_MAX},
              {"-9223372036854775807", -INT64_MAX},
              {"-9223372036854775808", INT64_MIN},
              {"000000000000000000000000012", 12}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    int64_t value = 77;
    size_t length = strlen(rows[i].text);
    char *copy = guard_copy(rows[i].text, length);
    CHECK(uk_parse_int64(uk_slice_of(copy, length), &value));
    CHECK_EQ_INT(value, rows[i].value);
    guard_free(copy, length);
  }
}

static void invalid_text_leaves_the_value_alone(void)
{
  static const char *const texts[] = {"",
                                      "-",
                                      "--1",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x10",
                                      "a",
                                      "1a",
                                      "1-",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "9223372036854775810",
                                      "18446744073709551616",
                                      "18446744073709551617",
                                      "99999999999999999999",
                                      "\xd9\xa1"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    int64_t value = 77;
    if (!CHECK(!uk_parse_int64(uk_slice_text(texts[i]), &value)))
      fprintf(stderr, "  %s\n", texts[i]);
    CHECK_EQ_INT(value, 77);
  }
  int64_t value = 77;
  CHECK(!uk_parse_int64(uk_slice_of(NULL, 0), &value));
  CHECK(!uk_parse_int64(uk_slice_of("1\0", 2), &value));
}

static void clocks_advance(void)
{
  int64_t before = uk_clock_monotonic();
  CHECK(before > 0);
  CHECK(uk_clock_monotonic() >= before);
  CHECK(uk_clock_epoch() > 1700000000000);
  CHECK(uk_clock_epoch() < 10000000000000);
}

static void the_version_has_three_numbers(void)
{
  int numbers[3], end = 0;
  CHECK_EQ_INT(sscanf(UK_VERSION, "%d.%d.%d%n", &numbers[0], &numbers[1], &numbers[2], &end), 3);
  CHECK_EQ_INT(end, strlen(UK_VERSION));
}

int main(void)
{
  CHECK_RUN(endpoints_are_complete_and_unique);
  CHECK_RUN(braces_of_a_path_are_whole_segments);
  CHECK_RUN(endpoints_match_the_contract);
  CHECK_RUN(limits_match_the_contract);
  CHECK_RUN(topic_names);
  CHECK_RUN(every_byte_of_a_topic_name);
  CHECK_RUN(internal_topics);
  CHECK_RUN(topic_names_at_their_limit_and_one_past_it);
  CHECK_RUN(integers_are_parsed);
  CHECK_RUN(invalid_text_leaves_the_value_alone);
  CHECK_RUN(clocks_advance);
  CHECK_RUN(the_version_has_three_numbers);
  return check_end();
}
