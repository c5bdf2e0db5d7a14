/* for: kafka_settings.c
 *
 * How connections to a cluster are configured. */
#include "server/kafka_engine/rd/kafka_settings.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"

static struct uk_kafka_settings *make(int64_t prefetch_bytes,
                                      const struct uk_kafka_property *properties, size_t count)
{
  const struct uk_kafka_options options = {.brokers = "127.0.0.1:1",
                                           .properties = properties,
                                           .property_count = count,
                                           .prefetch_bytes = prefetch_bytes,
                                           .max_message_bytes = 1 << 20};
  struct uk_kafka_settings *settings = NULL;
  char message[256] = "";
  CHECK_EQ_INT(uk_kafka_settings_new(&settings, &options, message, sizeof message), UK_OK);
  CHECK_EQ_STR(message, "");
  return settings;
}

static int64_t number_of(const rd_kafka_conf_t *conf, const char *name)
{
  char text[64] = "";
  size_t size = sizeof text;
  CHECK_EQ_INT(rd_kafka_conf_get(conf, name, text, &size), RD_KAFKA_CONF_OK);
  return strtoll(text, NULL, 10);
}

/* How much is queued when more is requested, and how much a broker may then send. */
static void read_ahead_stays_within_its_bound(void)
{
  static const int64_t bounds[] = {2048, 100000, 1 << 20, 64 << 20};
  static const enum uk_kafka_role roles[] = {UK_KAFKA_FETCH, UK_KAFKA_GROUP};
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds * 2; i++) {
    int64_t bound = bounds[i / 2];
    struct uk_kafka_settings *settings = make(bound, NULL, 0);
    REQUIRE(settings != NULL);
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, roles[i % 2]);
    REQUIRE(conf != NULL);
    int64_t waits = number_of(conf, "queued.max.messages.kbytes") * 1024;
    int64_t comes = number_of(conf, "fetch.max.bytes");
    CHECK(waits + comes <= bound + 1024);
    CHECK(waits + comes >= bound / 8 * 7);
    CHECK(number_of(conf, "fetch.message.max.bytes") <= comes);
    rd_kafka_conf_destroy(conf);
    uk_kafka_settings_free(settings);
  }
}

static void librdkafka_accepts_the_smallest_and_the_largest_bound(void)
{
  static const int64_t bounds[] = {1024, INT64_C(2147483648) - 1024};
  for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
    char text[256] = "";
    struct uk_kafka_settings *settings = make(bounds[i], NULL, 0);
    REQUIRE(settings != NULL);
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_FETCH);
    REQUIRE(conf != NULL);
    rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    CHECK_EQ_STR(text, "");
    if (CHECK(handle != NULL))
      rd_kafka_destroy(handle);
    else
      rd_kafka_conf_destroy(conf);
    uk_kafka_settings_free(settings);
  }
}

static void the_user_may_choose_the_size_of_an_answer(void)
{
  static const struct uk_kafka_property properties[] = {
    {"fetch.max.bytes", "3000000", false}, {"fetch.message.max.bytes", "70000", false}};
  struct uk_kafka_settings *settings = make(1 << 20, properties, 2);
  REQUIRE(settings != NULL);
  rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_GROUP);
  REQUIRE(conf != NULL);
  CHECK_EQ_INT(number_of(conf, "fetch.max.bytes"), 3000000);
  CHECK_EQ_INT(number_of(conf, "fetch.message.max.bytes"), 70000);
  rd_kafka_conf_destroy(conf);
  uk_kafka_settings_free(settings);
}

static void the_last_value_of_a_property_counts(void)
{
  static const struct uk_kafka_property properties[] = {{"sasl.username", "first", false},
                                                        {"client.id", "me", false},
                                                        {"sasl.username", "last", false}};
  struct uk_kafka_settings *settings = make(1 << 20, properties, 3);
  REQUIRE(settings != NULL);
  CHECK_EQ_STR(uk_kafka_settings_value(settings, "sasl.username"), "last");
  CHECK_EQ_STR(uk_kafka_settings_value(settings, "client.id"), "me");
  CHECK(uk_kafka_settings_value(settings, "sasl.password") == NULL);
  uk_kafka_settings_free(settings);
}

/* An editor ends a file with one newline; a second one belongs to the value. */
static void a_value_from_a_file_lacks_its_last_newline(void)
{
  static const char *const cases[][2] = {
    {"secret", "secret"}, {"secret\n", "secret"}, {"two\n\n", "two\n"}, {"\n", ""}};
  char path[] = "/tmp/kafka_settings_test.XXXXXX";
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  const struct uk_kafka_property property = {"sasl.password", path, true};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const size_t length = strlen(cases[i][0]);
    CHECK(ftruncate(file, 0) == 0);
    CHECK(pwrite(file, cases[i][0], length, 0) == (ssize_t)length);
    struct uk_kafka_settings *settings = make(1 << 20, &property, 1);
    REQUIRE(settings != NULL);
    CHECK_EQ_STR(uk_kafka_settings_value(settings, "sasl.password"), cases[i][1]);
    uk_kafka_settings_free(settings);
  }
  close(file);
  unlink(path);
}

/* The API's guarantees depend on these, so no user property changes them. */
static void f8_users_cannot_set_required_properties(void)
{
  static const char *const names[] = {"bootstrap.servers",
                                      "metadata.broker.list",
                                      "message.max.bytes",
                                      "queued.max.messages.kbytes",
                                      "group.id",
                                      "group.protocol",
                                      "group.instance.id",
                                      "session.timeout.ms",
                                      "heartbeat.interval.ms",
                                      "max.poll.interval.ms",
                                      "enable.auto.commit",
                                      "auto.commit.enable",
                                      "auto.offset.reset",
                                      "enable.auto.offset.store",
                                      "enable.partition.eof",
                                      "partition.assignment.strategy",
                                      "allow.auto.create.topics",
                                      "acks",
                                      "request.required.acks",
                                      "delivery.report.only.error",
                                      "transactional.id",
                                      "partitioner",
                                      "queue.buffering.max.messages",
                                      "queue.buffering.max.kbytes"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const struct uk_kafka_property property = {names[i], "1", false};
    const struct uk_kafka_options options = {.brokers = "127.0.0.1:1",
                                             .properties = &property,
                                             .property_count = 1,
                                             .prefetch_bytes = 1 << 20,
                                             .max_message_bytes = 1 << 20};
    struct uk_kafka_settings *settings = NULL;
    char message[256] = "", wanted[100];
    snprintf(wanted, sizeof wanted, "properties: %s is set by the server", names[i]);
    CHECK_EQ_INT(uk_kafka_settings_new(&settings, &options, message, sizeof message),
                 UK_E_BAD_REQUEST);
    message[strlen(wanted)] = '\0';
    CHECK_EQ_STR(message, wanted);
  }
}

static void check_value(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
  char text[64] = "";
  size_t size = sizeof text;
  CHECK_EQ_INT(rd_kafka_conf_get(conf, name, text, &size), RD_KAFKA_CONF_OK);
  if (!CHECK_EQ_STR(text, wanted))
    fprintf(stderr, "  of %s\n", name);
}

static void each_handle_has_the_required_properties(void)
{
  static const struct {
    enum uk_kafka_role role;
    const char *name, *value;
  } rows[] = {
    {UK_KAFKA_PRODUCER, "acks", "-1"},
    {UK_KAFKA_PRODUCER, "enable.idempotence", "true"},
    {UK_KAFKA_PRODUCER, "delivery.report.only.error", "false"},
    {UK_KAFKA_PRODUCER, "linger.ms", "0"},
    {UK_KAFKA_FETCH, "auto.commit.enable", "false"},
    {UK_KAFKA_FETCH, "enable.partition.eof", "true"},
    {UK_KAFKA_FETCH, "allow.auto.create.topics", "false"},
    {UK_KAFKA_GROUP, "enable.auto.commit", "false"},
    {UK_KAFKA_GROUP, "enable.auto.offset.store", "false"},
    {UK_KAFKA_GROUP, "enable.partition.eof", "true"},
    {UK_KAFKA_GROUP, "partition.assignment.strategy", "range"},
    {UK_KAFKA_GROUP, "allow.auto.create.topics", "false"},
    {UK_KAFKA_COMMITTED, "enable.auto.commit", "false"},
    {UK_KAFKA_COMMITTED, "allow.auto.create.topics", "false"},
  };
  struct uk_kafka_settings *settings = make(1 << 20, NULL, 0);
  REQUIRE(settings != NULL);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, rows[i].role);
    REQUIRE(conf != NULL);
    check_value(conf, rows[i].name, rows[i].value);
    rd_kafka_conf_destroy(conf);
  }
  uk_kafka_settings_free(settings);
}

/* The word makes librdkafka search the usual places for the CAs of the system. No file has that
 * name. */
static void the_ca_location_may_be_probe(void)
{
  static const struct uk_kafka_property property = {"ssl.ca.location", "probe", false};
  REQUIRE(access("probe", F_OK) != 0);
  struct uk_kafka_settings *settings = make(1 << 20, &property, 1);
  REQUIRE(settings != NULL);
  rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_CONTROL);
  REQUIRE(conf != NULL);
  check_value(conf, "ssl.ca.location", "probe");
  rd_kafka_conf_destroy(conf);
  uk_kafka_settings_free(settings);
}

static int64_t refresh_of(const struct uk_kafka_property *properties, size_t count,
                          enum uk_kafka_role role)
{
  struct uk_kafka_settings *settings = make(1 << 20, properties, count);
  rd_kafka_conf_t *conf = settings != NULL ? uk_kafka_conf(settings, role) : NULL;
  int64_t interval = conf != NULL ? number_of(conf, "topic.metadata.refresh.interval.ms") : 0;
  if (conf != NULL)
    rd_kafka_conf_destroy(conf);
  uk_kafka_settings_free(settings);
  return interval;
}

/* B13 */
static void instances_look_for_new_partitions_every_five_seconds(void)
{
  static const struct uk_kafka_property properties[] = {
    {"topic.metadata.refresh.interval.ms", "70000", false}};
  CHECK_EQ_INT(refresh_of(NULL, 0, UK_KAFKA_GROUP), 5000);
  CHECK_EQ_INT(refresh_of(properties, 1, UK_KAFKA_GROUP), 70000);
  CHECK_EQ_INT(refresh_of(NULL, 0, UK_KAFKA_FETCH), 300000); /* librdkafka's own */
}

int main(void)
{
  CHECK_RUN(read_ahead_stays_within_its_bound);
  CHECK_RUN(librdkafka_accepts_the_smallest_and_the_largest_bound);
  CHECK_RUN(the_user_may_choose_the_size_of_an_answer);
  CHECK_RUN(the_last_value_of_a_property_counts);
  CHECK_RUN(a_value_from_a_file_lacks_its_last_newline);
  CHECK_RUN(f8_users_cannot_set_required_properties);
  CHECK_RUN(each_handle_has_the_required_properties);
  CHECK_RUN(the_ca_location_may_be_probe);
  CHECK_RUN(instances_look_for_new_partitions_every_five_seconds);
  return check_end();
}
