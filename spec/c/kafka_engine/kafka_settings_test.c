/* for: kafka_settings.c
 *
 * How connections to a cluster are configured. */
#undef _FORTIFY_SOURCE /* its explicit_bzero is inline */
#include "server/kafka_engine/rd/kafka_settings.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "counted_conf.h"
#include "fault.h"

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

/* How often, and how much of it, is cleared before it is freed. */
static struct {
  int count;
  size_t bytes;
} wiped;

void explicit_bzero(void *memory, size_t size)
{
  memset(memory, 0, size);
  wiped.count++;
  wiped.bytes += size;
}

/* What a build with _FORTIFY_SOURCE calls instead. */
void __explicit_bzero_chk(void *memory, size_t size, size_t room);
void __explicit_bzero_chk(void *memory, size_t size, size_t room)
{
  CHECK(size <= room);
  explicit_bzero(memory, size);
}

/* A file that is there and that no user of the test may read. */
static const char unreadable[] = "/unreadable/to/all";

int access(const char *path, int mode)
{
  int (*real)(const char *, int) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "access");
  if (strcmp(path, unreadable) != 0)
    return real(path, mode);
  errno = EACCES;
  return (mode & R_OK) != 0 ? -1 : 0;
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
  const int next = dup(file);
  close(next);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const size_t length = strlen(cases[i][0]);
    CHECK(ftruncate(file, 0) == 0);
    CHECK(pwrite(file, cases[i][0], length, 0) == (ssize_t)length);
    struct uk_kafka_settings *settings = make(1 << 20, &property, 1);
    REQUIRE(settings != NULL);
    CHECK_EQ_STR(uk_kafka_settings_value(settings, "sasl.password"), cases[i][1]);
    uk_kafka_settings_free(settings);
  }
  const int after = dup(file);
  CHECK_EQ_INT(after, next); /* no file is left open */
  close(after);
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

/* Every property that the server sets, for every kind of connection. */
static void each_connection_has_its_properties(void)
{
  enum { C = 1, P = 2, F = 4, G = 8, M = 16, ALL = 31, READERS = F | G | M };
  static const struct {
    int roles;
    const char *name, *value;
  } rows[] = {
    {ALL, "client.id", "upstash-kafka"},
    {ALL, "socket.nagle.disable", "true"},
    {ALL, "socket.keepalive.enable", "true"},
    {ALL & ~C, "log.connection.close", "false"},
    {C, "log.connection.close", "true"},
    {ALL, "api.version.request.timeout.ms", "1000"},
    {ALL, "socket.connection.setup.timeout.ms", "5000"},
    {ALL & ~C, "socket.timeout.ms", "10000"},
    {C, "socket.timeout.ms", "2000"},
    {ALL, "reconnect.backoff.ms", "50"},
    {ALL, "reconnect.backoff.max.ms", "1000"},
    {ALL & ~G, "retry.backoff.ms", "50"},
    {G, "retry.backoff.ms", "937"}, /* longer than a fetch may wait */
    {ALL, "topic.metadata.refresh.fast.interval.ms", "100"},
    {ALL, "topic.metadata.propagation.max.ms", "5000"},
    {ALL, "bootstrap.servers", "127.0.0.1:1"},
    {P, "enable.idempotence", "true"},
    {P, "linger.ms", "0"},
    {P, "max.in.flight.requests.per.connection", "2"},
    {P, "message.timeout.ms", "25000"},
    {P, "request.timeout.ms", "10000"},
    {P, "retries", "10"},
    {P, "acks", "-1"},
    {P, "delivery.report.only.error", "false"},
    {P, "queue.buffering.max.messages", "10000000"},
    {P, "queue.buffering.max.kbytes", "2147483647"},
    {P | C, "message.max.bytes", "1052672"}, /* 4096 more than the records may have */
    {READERS, "message.max.bytes", "1000"},
    {READERS, "fetch.error.backoff.ms", "50"},
    {READERS, "queued.min.messages", "1000000"},
    {READERS, "enable.partition.eof", "true"},
    {READERS, "allow.auto.create.topics", "false"},
    {READERS, "fetch.message.max.bytes", "524288"},
    {READERS, "fetch.max.bytes", "524288"},
    {READERS, "queued.max.messages.kbytes", "512"},
    {F, "auto.offset.reset", "error"},
    {F, "auto.commit.enable", "false"},
    {G | M, "enable.auto.commit", "false"},
    {G | M, "enable.auto.offset.store", "false"},
    {G | M, "partition.assignment.strategy", "range"},
    {G | M, "max.poll.interval.ms", "86400000"},
    {G, "topic.metadata.refresh.interval.ms", "5000"},
    {ALL & ~G, "topic.metadata.refresh.interval.ms", "300000"},
  };
  static const enum uk_kafka_role roles[] = {UK_KAFKA_CONTROL, UK_KAFKA_PRODUCER, UK_KAFKA_FETCH,
                                             UK_KAFKA_GROUP, UK_KAFKA_COMMITTED};
  struct uk_kafka_settings *settings = make(1 << 20, NULL, 0);
  REQUIRE(settings != NULL);
  for (int r = 0; r < 5; r++) {
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, roles[r]);
    REQUIRE(conf != NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      if ((rows[i].roles & 1 << r) != 0)
        check_value(conf, rows[i].name, rows[i].value);
    }
    rd_kafka_conf_destroy(conf);
  }
  uk_kafka_settings_free(settings);
}

static void the_user_overrides_a_default(void)
{
  static const struct uk_kafka_property properties[] = {{"client.id", "me", false},
                                                        {"socket.timeout.ms", "3000", false},
                                                        {"linger.ms", "7", false},
                                                        {"queued.min.messages", "5", false}};
  static const enum uk_kafka_role roles[] = {UK_KAFKA_CONTROL, UK_KAFKA_PRODUCER, UK_KAFKA_FETCH,
                                             UK_KAFKA_GROUP};
  struct uk_kafka_settings *settings = make(1 << 20, properties, 4);
  REQUIRE(settings != NULL);
  for (size_t i = 0; i < 4; i++) {
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, roles[i]);
    REQUIRE(conf != NULL);
    check_value(conf, "client.id", "me");
    check_value(conf, "socket.timeout.ms", "3000");
    check_value(conf, "linger.ms", "7");
    check_value(conf, "queued.min.messages", "5");
    rd_kafka_conf_destroy(conf);
  }
  uk_kafka_settings_free(settings);
}

/* What is read ahead is bounded by what librdkafka accepts. */
static void read_ahead_is_rounded_to_what_is_accepted(void)
{
  static const struct {
    int64_t given;
    const char *bytes, *kbytes;
  } rows[] = {
    {0, "1000", "1"},
    {1999, "1000", "1"},
    {2000, "1000", "1"},
    {2048, "1024", "1"},
    {2050, "1025", "2"},
    {2000000000, "1000000000", "976563"},
    {2000000002, "1000000000", "976563"},
    {INT64_C(1) << 40, "1000000000", "976563"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_kafka_settings *settings = make(rows[i].given, NULL, 0);
    REQUIRE(settings != NULL);
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_FETCH);
    REQUIRE(conf != NULL);
    check_value(conf, "fetch.max.bytes", rows[i].bytes);
    check_value(conf, "queued.max.messages.kbytes", rows[i].kbytes);
    rd_kafka_conf_destroy(conf);
    uk_kafka_settings_free(settings);
  }
}

/* See outlast_fetches. */
static void an_instance_waits_longer_than_a_fetch_before_it_asks_again(void)
{
  static const struct {
    const char *fetch_wait, *backoff, *wanted;
  } rows[] = {
    {"100", "50", "437"},       {"500", "936", "937"}, {"500", "938", "938"},
    {"500", "2000", "2000"},    {"0", "50", "312"},    {"239000", "50", "299062"},
    {"299999", "50", "300000"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct uk_kafka_property properties[] = {{"fetch.wait.max.ms", rows[i].fetch_wait, false},
                                                   {"retry.backoff.ms", rows[i].backoff, false}};
    struct uk_kafka_settings *settings = make(1 << 20, properties, 2);
    REQUIRE(settings != NULL);
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_GROUP);
    REQUIRE(conf != NULL);
    check_value(conf, "retry.backoff.ms", rows[i].wanted);
    rd_kafka_conf_destroy(conf);
    conf = uk_kafka_conf(settings, UK_KAFKA_COMMITTED);
    REQUIRE(conf != NULL);
    check_value(conf, "retry.backoff.ms", rows[i].backoff);
    rd_kafka_conf_destroy(conf);
    uk_kafka_settings_free(settings);
  }
}

/* Refusals. */

static void check_refused(const struct uk_kafka_property *properties, size_t count,
                          const char *wanted)
{
  const struct uk_kafka_options options = {.brokers = "127.0.0.1:1",
                                           .properties = properties,
                                           .property_count = count,
                                           .prefetch_bytes = 1 << 20,
                                           .max_message_bytes = 1 << 20};
  struct uk_kafka_settings *settings = NULL;
  char message[256] = "";
  long live = fault_live();
  int confs = atomic_load(&counted_confs);
  CHECK_EQ_INT(uk_kafka_settings_new(&settings, &options, message, sizeof message),
               UK_E_BAD_REQUEST);
  CHECK_EQ_STR(message, wanted);
  CHECK(settings == NULL);
  CHECK_EQ_INT(counted_confs, confs);
  CHECK_EQ_INT(fault_live(), live);
}

/* The name, and what to use in its place. No text shows a value, which may be a secret. */
static void a_refusal_names_the_property(void)
{
  static const struct {
    struct uk_kafka_property property;
    const char *message;
  } rows[] = {
    {{"group.id", "g", false}, "properties: group.id is set by the server"},
    {{"bootstrap.servers", "b", false},
     "properties: bootstrap.servers is set by the server; use brokers"},
    {{"metadata.broker.list", "b", false},
     "properties: metadata.broker.list is set by the server; use brokers"},
    {{"message.max.bytes", "1", false},
     "properties: message.max.bytes is set by the server; use max_message_bytes"},
    {{"queued.max.messages.kbytes", "1", false},
     "properties: queued.max.messages.kbytes is set by the server; use prefetch_bytes"},
    {{"session.timeout.ms", "1", false},
     "properties: session.timeout.ms is set by the server; use the header "
     "Kafka-Session-Timeout-Ms"},
    {{"enable.auto.commit", "true", false},
     "properties: enable.auto.commit is set by the server; use the header "
     "Kafka-Enable-Auto-Commit"},
    {{"auto.commit.enable", "true", false},
     "properties: auto.commit.enable is set by the server; use the header "
     "Kafka-Enable-Auto-Commit"},
    {{"auto.offset.reset", "error", false},
     "properties: auto.offset.reset is set by the server; use the header "
     "Kafka-Auto-Offset-Reset"},
    {{"allow.auto.create.topics", "true", false},
     "properties: allow.auto.create.topics is set by the server; use auto_create_topics"},
    {{"no.such.property", "secret", false},
     "properties: no.such.property: unknown property of librdkafka"},
    {{"security.protocol", "secret", false},
     "properties: security.protocol: librdkafka does not accept this value"},
    {{"socket.timeout.ms", "9", false},
     "properties: socket.timeout.ms: librdkafka does not accept this value"},
    {{"sasl.password", "/no/such/file", true},
     "properties: sasl.password: /no/such/file: No such file or directory"},
    {{"sasl.password", "/", true}, "properties: sasl.password: /: Is a directory"},
    {{"ssl.ca.location", "/no/such/file", false},
     "properties: ssl.ca.location: No such file or directory"},
    {{"ssl.ca.location", unreadable, false}, "properties: ssl.ca.location: Permission denied"},
    {{"ssl.key.location", "/no/such/file", false},
     "properties: ssl.key.location: No such file or directory"},
    {{"ssl.certificate.location", "/no/such/file", false},
     "properties: ssl.certificate.location: No such file or directory"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    check_refused(&rows[i].property, 1, rows[i].message);
  /* The first that is refused, wherever it is. */
  const struct uk_kafka_property several[] = {
    {"client.id", "me", false}, {"group.id", "g", false}, {"acks", "0", false}};
  check_refused(several, 3, "properties: group.id is set by the server");
}

/* Only the files of OpenSSL are looked for. */
static void other_properties_may_name_what_is_not_there(void)
{
  static const struct uk_kafka_property properties[] = {{"client.id", "/no/such/file", false},
                                                        {"ssl.ca.location", "/", false},
                                                        {"ssl.cipher.suites", "ALL", false},
                                                        {"ssl.key.password", "x", false}};
  struct uk_kafka_settings *settings = make(1 << 20, properties, 4);
  uk_kafka_settings_free(settings);
}

/* The server's own option may be what librdkafka does not accept. */
static void what_librdkafka_refuses_is_no_configuration(void)
{
  const struct uk_kafka_options options = {
    .brokers = "127.0.0.1:1", .prefetch_bytes = 1 << 20, .max_message_bytes = 2000000000};
  struct uk_kafka_settings *settings = NULL;
  char message[256] = "";
  int confs = atomic_load(&counted_confs);
  CHECK_EQ_INT(uk_kafka_settings_new(&settings, &options, message, sizeof message), UK_OK);
  CHECK(uk_kafka_conf(settings, UK_KAFKA_PRODUCER) == NULL);
  CHECK_EQ_INT(counted_confs, confs);
  uk_kafka_settings_free(settings);
}

static void at_most_256_properties_are_taken(void)
{
  static struct uk_kafka_property properties[257];
  for (size_t i = 0; i < 257; i++)
    properties[i] = (struct uk_kafka_property){"client.id", "me", false};
  struct uk_kafka_settings *settings = make(1 << 20, properties, 256);
  uk_kafka_settings_free(settings);
  check_refused(properties, 257, "properties: at most 256 expected, got 257");
}

static void a_file_holds_at_most_a_mebibyte(void)
{
  enum { MOST = 1 << 20 };
  static char bytes[MOST + 1];
  char path[] = "/tmp/kafka_settings_test.XXXXXX", message[128];
  const int file = mkstemp(path);
  REQUIRE(file >= 0);
  const struct uk_kafka_property property = {"sasl.password", path, true};
  memset(bytes, 'x', sizeof bytes);
  CHECK(pwrite(file, bytes, MOST, 0) == MOST);
  struct uk_kafka_settings *settings = make(1 << 20, &property, 1);
  REQUIRE(settings != NULL);
  CHECK_EQ_INT(strlen(uk_kafka_settings_value(settings, "sasl.password")), MOST);
  uk_kafka_settings_free(settings);
  CHECK(pwrite(file, bytes, MOST + 1, 0) == MOST + 1);
  snprintf(message, sizeof message, "properties: sasl.password: %s: larger than 1 MiB", path);
  check_refused(&property, 1, message);
  CHECK(ftruncate(file, 0) == 0 && pwrite(file, "a\0b", 3, 0) == 3);
  snprintf(message, sizeof message, "properties: sasl.password: %s: contains a NUL", path);
  check_refused(&property, 1, message);
  CHECK(ftruncate(file, 0) == 0);
  settings = make(1 << 20, &property, 1);
  REQUIRE(settings != NULL);
  CHECK_EQ_STR(uk_kafka_settings_value(settings, "sasl.password"), "");
  uk_kafka_settings_free(settings);
  close(file);
  unlink(path);
}

static void values_are_cleared_before_they_are_freed(void)
{
  static const struct uk_kafka_property properties[] = {{"sasl.password", "secret", false},
                                                        {"client.id", "me", false}};
  struct uk_kafka_settings *settings = make(1 << 20, properties, 2);
  memset(&wiped, 0, sizeof wiped);
  uk_kafka_settings_free(settings);
  CHECK_EQ_INT(wiped.count, 2);
  CHECK_EQ_INT(wiped.bytes, strlen("secret") + strlen("me"));
}

/* librdkafka writes to standard error only where the user asked for its log. */
static void the_log_is_dropped_unless_it_is_asked_for(void)
{
  static const struct {
    struct uk_kafka_property property;
    bool logs;
  } rows[] = {{{"client.id", "me", false}, false},
              {{"debug", "broker", false}, true},
              {{"log_level", "7", false}, true}};
  rd_kafka_conf_t *plain = rd_kafka_conf_new();
  char own[64] = "", found[64];
  size_t size = sizeof own;
  CHECK_EQ_INT(rd_kafka_conf_get(plain, "log_cb", own, &size), RD_KAFKA_CONF_OK);
  rd_kafka_conf_destroy(plain);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_kafka_settings *settings = make(1 << 20, &rows[i].property, 1);
    REQUIRE(settings != NULL);
    rd_kafka_conf_t *conf = uk_kafka_conf(settings, UK_KAFKA_CONTROL);
    REQUIRE(conf != NULL);
    size = sizeof found;
    CHECK_EQ_INT(rd_kafka_conf_get(conf, "log_cb", found, &size), RD_KAFKA_CONF_OK);
    CHECK_EQ_INT(strcmp(found, own) == 0, rows[i].logs);
    rd_kafka_conf_destroy(conf);
    uk_kafka_settings_free(settings);
  }
}

static void without_memory_there_are_no_settings(void)
{
  const struct uk_kafka_property properties[] = {{"client.id", "me", false},
                                                 {"sasl.username", "you", false}};
  const struct uk_kafka_options options = {.brokers = "127.0.0.1:1",
                                           .properties = properties,
                                           .property_count = 2,
                                           .prefetch_bytes = 1 << 20,
                                           .max_message_bytes = 1 << 20};
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    struct uk_kafka_settings *settings = NULL;
    char message[256] = "";
    fault_at(n);
    enum uk_error error = uk_kafka_settings_new(&settings, &options, message, sizeof message);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK_EQ_STR(message, "");
    CHECK((settings == NULL) == hit);
    uk_kafka_settings_free(settings);
  }
  CHECK_EQ_INT(fault_live(), live);
}

int main(void)
{
  CHECK_RUN(read_ahead_stays_within_its_bound);
  CHECK_RUN(librdkafka_accepts_the_smallest_and_the_largest_bound);
  CHECK_RUN(the_user_may_choose_the_size_of_an_answer);
  CHECK_RUN(the_last_value_of_a_property_counts);
  CHECK_RUN(a_value_from_a_file_lacks_its_last_newline);
  CHECK_RUN(f8_users_cannot_set_required_properties);
  CHECK_RUN(the_ca_location_may_be_probe);
  CHECK_RUN(instances_look_for_new_partitions_every_five_seconds);
  CHECK_RUN(each_connection_has_its_properties);
  CHECK_RUN(the_user_overrides_a_default);
  CHECK_RUN(read_ahead_is_rounded_to_what_is_accepted);
  CHECK_RUN(an_instance_waits_longer_than_a_fetch_before_it_asks_again);
  CHECK_RUN(a_refusal_names_the_property);
  CHECK_RUN(other_properties_may_name_what_is_not_there);
  CHECK_RUN(what_librdkafka_refuses_is_no_configuration);
  CHECK_RUN(at_most_256_properties_are_taken);
  CHECK_RUN(a_file_holds_at_most_a_mebibyte);
  CHECK_RUN(values_are_cleared_before_they_are_freed);
  CHECK_RUN(the_log_is_dropped_unless_it_is_asked_for);
  CHECK_RUN(without_memory_there_are_no_settings);
  return check_end();
}
