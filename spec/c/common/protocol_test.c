#include "check.h"
#include "common/clock.h"
#include "common/protocol.h"
#include "common/version.h"
#include "guard.h"

static void endpoints_are_whole_and_unique(void)
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

static void endpoints_are_the_contract_s(void)
{
  const struct uk_endpoint_info *produce = &uk_endpoints[UK_ENDPOINT_PRODUCE];
  CHECK_EQ_STR(produce->name, "produce");
  CHECK_EQ_STR(produce->path, "/produce");
  CHECK_EQ_INT(produce->methods, UK_GET | UK_POST);
  CHECK_EQ_INT(produce->permission, UK_PERMIT_PRODUCE);
  CHECK_EQ_INT(uk_endpoints[UK_ENDPOINT_DELETE_TOPIC].methods, UK_DELETE);
  CHECK_EQ_INT(uk_endpoints[UK_ENDPOINT_CREATE_TOPIC].permission, UK_PERMIT_FULL);
  CHECK_EQ_STR(uk_endpoints[UK_ENDPOINT_COMMITTED].path, "/committed/{group}/{instance}");
  CHECK_EQ_INT(UK_PERMIT_PRODUCE | UK_PERMIT_CONSUME, UK_PERMIT_FULL);
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
    char name[2] = {'a', (char)byte};
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
    bool valid = letter || (byte >= '0' && byte <= '9') || strchr("._-", byte) != NULL;
    CHECK_EQ_INT(uk_topic_name_valid(uk_slice_of(name, 2)), valid && byte != 0);
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

static void what_is_no_integer_leaves_the_value_alone(void)
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

static void clocks_go_forward(void)
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

/* What docs/rest-api.md says, number by number. */
static void the_numbers_are_those_of_the_contract(void)
{
  static const struct {
    long long is, said;
  } rows[] = {
    {UK_CONSUME_TIMEOUT, 1000},      {UK_FETCH_TIMEOUT, 1000},
    {UK_OFFSETS_TIMEOUT, 10000},     {UK_TIMEOUT_MAX, 600000},
    {UK_AUTO_COMMIT_INTERVAL, 5000}, {UK_SESSION_TIMEOUT, 120000},
    {UK_SESSION_TIMEOUT_MIN, 1000},  {UK_SESSION_TIMEOUT_MAX, 1800000},
    {UK_TOPIC_NAME_MAX, 249},        {UK_GROUP_NAME_MAX, 255},
    {UK_BATCH_MESSAGES, 1000},       {UK_BATCH_MESSAGES_MAX, 100000},
    {UK_BATCH_BYTES, 4 * 1048576},   {UK_BATCH_BYTES_MAX, 64 * 1048576},
    {UK_MESSAGE_BYTES, 1048576},     {UK_HEADER_BYTES, 8192},
    {UK_BODY_BYTES, 16 * 1048576},   {UK_HEADERS_PER_MESSAGE_MAX, 1000},
    {UK_PARTITIONS_MAX, 1000},       {UK_TOPICS_PER_CONSUME_MAX, 256},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    CHECK_EQ_INT(rows[i].is, rows[i].said);
}

int main(void)
{
  CHECK_RUN(endpoints_are_whole_and_unique);
  CHECK_RUN(braces_of_a_path_are_whole_segments);
  CHECK_RUN(endpoints_are_the_contract_s);
  CHECK_RUN(topic_names);
  CHECK_RUN(every_byte_of_a_topic_name);
  CHECK_RUN(internal_topics);
  CHECK_RUN(topic_names_at_their_limit_and_one_past_it);
  CHECK_RUN(integers_are_parsed);
  CHECK_RUN(what_is_no_integer_leaves_the_value_alone);
  CHECK_RUN(clocks_go_forward);
  CHECK_RUN(the_version_has_three_numbers);
  CHECK_RUN(the_numbers_are_those_of_the_contract);
  return check_end();
}
