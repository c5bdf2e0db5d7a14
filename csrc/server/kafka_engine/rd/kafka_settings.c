#include "server/kafka_engine/rd/kafka_settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/version.h"

enum {
  PROPERTIES_MAX = 256,
  VALUE_BYTES_MAX = 1 << 20,
  NUMBER_SIZE = 24,
  FETCH_SLACK = 250, /* milliseconds from the end of a fetch to a connection to the coordinator */
  RETRY_BACKOFF_MAX = 300000 /* milliseconds; librdkafka's limit */
};

struct property {
  char *name, *value;
};

struct uk_kafka_settings {
  struct property *properties;
  size_t count;
  char *brokers;
  char max_message_bytes[NUMBER_SIZE];
  /* librdkafka asks a broker for more while it holds less than half of this, and accepts an answer
   * of up to the other half. */
  char half_kbytes[NUMBER_SIZE], half_bytes[NUMBER_SIZE];
  bool logs; /* the user asked for librdkafka's log */
};

struct pair {
  const char *name, *value;
};

/* Defaults that suit this server better than librdkafka's. The user's properties override them. */
static const struct pair defaults[] = {
  {"client.id", "upstash-kafka"},
  {"socket.nagle.disable", "true"},
  {"socket.keepalive.enable", "true"},
  {"log.connection.close", "false"},
  /* How long to try a broker that accepts connections but does not answer, in milliseconds, before
   * trying another one. */
  {"api.version.request.timeout.ms", "1000"},
  {"socket.connection.setup.timeout.ms", "5000"},
  {"socket.timeout.ms", "10000"},
  {"reconnect.backoff.ms", "50"},
  {"reconnect.backoff.max.ms", "1000"},
  {"retry.backoff.ms", "50"},
  {"topic.metadata.refresh.fast.interval.ms", "100"},
  {"topic.metadata.propagation.max.ms", "5000"},
};
static const struct pair control_defaults[] = {
  {"socket.timeout.ms", "2000"}, /* of one request; callers have deadlines of their own */
  /* A broker that hangs up is the only sign of a wrong security.protocol, and /health reports
   * it. */
  {"log.connection.close", "true"},
};
static const struct pair producer_defaults[] = {
  {"enable.idempotence", "true"},
  {"linger.ms", "0"},
  /* No linger: what is produced while two requests are in flight becomes the next batch, and a
   * broker handles requests of one connection one by one anyway. */
  {"max.in.flight.requests.per.connection", "2"},
  {"message.timeout.ms", "25000"}, /* less than a produce request waits */
  {"request.timeout.ms", "10000"},
  {"retries", "10"}, /* half a second of refusals; a leader that moves is waited for */
};
static const struct pair reader_defaults[] = {
  {"fetch.error.backoff.ms", "50"}, {"queued.min.messages", "1000000"}, /* the limit is in bytes */
};
static const struct pair group_defaults[] = {
  {"fetch.error.backoff.ms", "50"},
  {"queued.min.messages", "1000000"},
  /* How soon an instance sees that its topics have more partitions. Each instance asks about its
   * own topics only (topic.metadata.refresh.sparse), a small request. */
  {"topic.metadata.refresh.interval.ms", "5000"},
};

/* Properties that the contract depends on, and bounds. They override the user's. */
static const struct pair producer_forced[] = {
  {"acks", "all"},
  {"delivery.report.only.error", "false"},
  /* The server counts what is in flight itself, and refuses more before librdkafka would. */
  {"queue.buffering.max.messages", "10000000"},
  {"queue.buffering.max.kbytes", "2147483647"},
};
/* The least message.max.bytes, because fetch.max.bytes must not be less. A consumer does not need
 * it otherwise: a broker sends a batch that exceeds fetch.max.bytes on its own. */
static const struct pair fetch_forced[] = {
  {"message.max.bytes", "1000"},         {"auto.offset.reset", "error"},
  {"enable.partition.eof", "true"},      {"auto.commit.enable", "false"},
  {"allow.auto.create.topics", "false"},
};
static const struct pair group_forced[] = {
  {"message.max.bytes", "1000"},
  {"enable.auto.commit", "false"},
  {"enable.auto.offset.store", "false"},
  {"enable.partition.eof", "true"},
  {"partition.assignment.strategy", "range"},
  {"allow.auto.create.topics", "false"},
  {"max.poll.interval.ms", "86400000"}, /* the server itself ends instances that fall silent */
};

#define COUNT(pairs) (sizeof(pairs) / sizeof *(pairs))

static const struct {
  const struct pair *defaults, *forced;
  size_t default_count, forced_count;
} roles[] = {
  [UK_KAFKA_CONTROL] = {control_defaults, NULL, COUNT(control_defaults), 0},
  [UK_KAFKA_PRODUCER] = {producer_defaults, producer_forced, COUNT(producer_defaults),
                         COUNT(producer_forced)},
  [UK_KAFKA_FETCH] = {reader_defaults, fetch_forced, COUNT(reader_defaults), COUNT(fetch_forced)},
  [UK_KAFKA_GROUP] = {group_defaults, group_forced, COUNT(group_defaults), COUNT(group_forced)},
  [UK_KAFKA_COMMITTED] = {reader_defaults, group_forced, COUNT(reader_defaults),
                          COUNT(group_forced)},
};

/* Properties that the server sets, with the option or header that stands for each, or NULL. */
static const struct {
  const char *name, *instead;
} reserved[] = {
  {"bootstrap.servers", "brokers"},
  {"metadata.broker.list", "brokers"},
  {"message.max.bytes", "max_message_bytes"},
  {"queued.max.messages.kbytes", "prefetch_bytes"},
  {"group.id", NULL},
  {"group.protocol", NULL},
  {"group.instance.id", NULL},
  {"session.timeout.ms", "the header " UK_HEADER_SESSION_TIMEOUT},
  {"heartbeat.interval.ms", NULL},
  {"max.poll.interval.ms", NULL},
  {"enable.auto.commit", "the header " UK_HEADER_AUTO_COMMIT},
  {"auto.commit.enable", "the header " UK_HEADER_AUTO_COMMIT},
  {"auto.offset.reset", "the header " UK_HEADER_OFFSET_RESET},
  {"enable.auto.offset.store", NULL},
  {"enable.partition.eof", NULL},
  {"partition.assignment.strategy", NULL},
  {"allow.auto.create.topics", "auto_create_topics"},
  {"acks", NULL},
  {"request.required.acks", NULL},
  {"delivery.report.only.error", NULL},
  {"queue.buffering.max.messages", NULL},
  {"queue.buffering.max.kbytes", NULL},
  {"transactional.id", NULL},
  {"partitioner", NULL},
};

const char *uk_kafka_settings_value(const struct uk_kafka_settings *settings, const char *name)
{
  const char *value = NULL;
  for (size_t i = 0; i < settings->count; i++) {
    if (strcmp(settings->properties[i].name, name) == 0)
      value = settings->properties[i].value;
  }
  return value;
}

bool uk_kafka_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
  char text[256];
  return rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK;
}

/* A server inside another program does not write to standard error unless it is asked to. */
static void drop_log(const rd_kafka_t *handle, int level, const char *facility, const char *text)
{
  (void)handle;
  (void)level;
  (void)facility;
  (void)text;
}

static bool set_all(rd_kafka_conf_t *conf, const struct pair *pairs, size_t count)
{
  bool good = true;
  for (size_t i = 0; good && i < count; i++)
    good = uk_kafka_conf_set(conf, pairs[i].name, pairs[i].value);
  return good;
}

static long number_of(const rd_kafka_conf_t *conf, const char *name)
{
  char text[NUMBER_SIZE] = "";
  size_t size = sizeof text;
  (void)rd_kafka_conf_get(conf, name, text, &size);
  return strtol(text, NULL, 10);
}

/* Skips a property that this librdkafka does not have. */
static bool raise_to(rd_kafka_conf_t *conf, const char *name, long least)
{
  char text[NUMBER_SIZE];
  size_t size = sizeof text;
  if (rd_kafka_conf_get(conf, name, text, &size) != RD_KAFKA_CONF_OK ||
      number_of(conf, name) >= least)
    return true;
  snprintf(text, sizeof text, "%ld", least);
  return uk_kafka_conf_set(conf, name, text);
}

/* librdkafka sends a commit again, after retry.backoff.ms, when the coordinator refuses it.
 * Meanwhile it asks who the coordinator is now; the broker that it asks may first have to answer a
 * fetch, which takes up to fetch.wait.max.ms. A commit that is sent before that answer fails when
 * the answer comes, because the coordinator then gets a new connection: librdkafka asks again, and
 * so on until the session is over. From 2.3 on, librdkafka varies retry.backoff.ms by a fifth, and
 * bounds it by retry.backoff.max.ms. */
static bool outlast_fetches(rd_kafka_conf_t *conf)
{
  long least = (number_of(conf, "fetch.wait.max.ms") + FETCH_SLACK) * 5 / 4;
  least = least < RETRY_BACKOFF_MAX ? least : RETRY_BACKOFF_MAX;
  return raise_to(conf, "retry.backoff.ms", least) && raise_to(conf, "retry.backoff.max.ms", least);
}

rd_kafka_conf_t *uk_kafka_conf(const struct uk_kafka_settings *settings, enum uk_kafka_role role)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  bool reads = role == UK_KAFKA_FETCH || role == UK_KAFKA_GROUP || role == UK_KAFKA_COMMITTED;
  bool good =
    set_all(conf, defaults, COUNT(defaults)) &&
    set_all(conf, roles[role].defaults, roles[role].default_count) &&
    (!reads || (uk_kafka_conf_set(conf, "fetch.message.max.bytes", settings->half_bytes) &&
                uk_kafka_conf_set(conf, "fetch.max.bytes", settings->half_bytes)));
  for (size_t i = 0; good && i < settings->count; i++)
    good = uk_kafka_conf_set(conf, settings->properties[i].name, settings->properties[i].value);
  good = good && uk_kafka_conf_set(conf, "bootstrap.servers", settings->brokers) &&
         uk_kafka_conf_set(conf, "message.max.bytes", settings->max_message_bytes) &&
         set_all(conf, roles[role].forced, roles[role].forced_count) &&
         (!reads || uk_kafka_conf_set(conf, "queued.max.messages.kbytes", settings->half_kbytes)) &&
         (role != UK_KAFKA_GROUP || outlast_fetches(conf));
  if (!good) {
    rd_kafka_conf_destroy(conf);
    return NULL;
  }
  if (!settings->logs)
    rd_kafka_conf_set_log_cb(conf, drop_log);
  return conf;
}

/* Reading the user's properties. */

static bool check_name(const char *name, char *message, size_t size)
{
  for (size_t i = 0; i < COUNT(reserved); i++) {
    if (strcmp(reserved[i].name, name) != 0)
      continue;
    snprintf(message, size, "properties: %s is set by the server%s%s", name,
             reserved[i].instead != NULL ? "; use " : "",
             reserved[i].instead != NULL ? reserved[i].instead : "");
    return false;
  }
  return true;
}

/* The text of a file without its final newline, for the caller to free; NULL, with a message, on
 * failure. */
static char *read_value(const char *name, const char *path, char *message, size_t size)
{
  FILE *file = fopen(path, "re");
  char *value = file != NULL ? malloc(VALUE_BYTES_MAX + 1) : NULL;
  size_t length = value != NULL ? fread(value, 1, VALUE_BYTES_MAX + 1, file) : 0;
  bool good = value != NULL && !ferror(file) && length <= VALUE_BYTES_MAX;
  if (!good)
    snprintf(message, size, "properties: %s: %s: %s", name, path,
             length > VALUE_BYTES_MAX ? "larger than 1 MiB" : strerror(errno));
  if (file != NULL)
    fclose(file);
  if (!good) {
    free(value);
    return NULL;
  }
  if (length > 0 && value[length - 1] == '\n')
    length--;
  value[length] = '\0';
  if (strlen(value) == length)
    return value;
  snprintf(message, size, "properties: %s: %s: contains a NUL", name, path);
  free(value);
  return NULL;
}

/* librdkafka's own message may show the value, so it is left out. */
static bool check_value(const struct property *property, char *message, size_t size)
{
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  char text[512] = "";
  rd_kafka_conf_res_t result =
    rd_kafka_conf_set(conf, property->name, property->value, text, sizeof text);
  rd_kafka_conf_destroy(conf);
  if (result == RD_KAFKA_CONF_OK)
    return true;
  snprintf(message, size, "properties: %s: %s", property->name,
           result == RD_KAFKA_CONF_UNKNOWN ? "unknown property of librdkafka"
                                           : "librdkafka does not accept this value");
  return false;
}

/* For ssl.ca.location and the like, OpenSSL reports neither a missing file nor one that may not be
 * read. */
static bool check_file(const struct property *property, char *message, size_t size)
{
  static const char prefix[] = "ssl.", suffix[] = ".location";
  size_t length = strlen(property->name);
  if (length < sizeof suffix - 1 || strncmp(property->name, prefix, sizeof prefix - 1) != 0 ||
      strcmp(property->name + length - (sizeof suffix - 1), suffix) != 0 ||
      strcmp(property->value, "probe") == 0 || access(property->value, R_OK) == 0)
    return true;
  snprintf(message, size, "properties: %s: %s", property->name, strerror(errno));
  return false;
}

static enum uk_error add(struct uk_kafka_settings *settings, const struct uk_kafka_property *given,
                         char *message, size_t size)
{
  struct property *property = &settings->properties[settings->count];
  if (!check_name(given->name, message, size))
    return UK_E_BAD_REQUEST;
  if (given->from_file &&
      (property->value = read_value(given->name, given->value, message, size)) == NULL)
    return UK_E_BAD_REQUEST;
  if (!given->from_file && (property->value = strdup(given->value)) == NULL)
    return UK_E_NO_MEMORY;
  property->name = strdup(given->name);
  settings->count++;
  if (property->name == NULL)
    return UK_E_NO_MEMORY;
  if (strcmp(given->name, "debug") == 0 || strcmp(given->name, "log_level") == 0)
    settings->logs = true;
  return check_value(property, message, size) && check_file(property, message, size)
           ? UK_OK
           : UK_E_BAD_REQUEST;
}

static enum uk_error fill(struct uk_kafka_settings *settings,
                          const struct uk_kafka_options *options, char *message, size_t size)
{
  enum uk_error error = UK_OK;
  if (options->property_count > PROPERTIES_MAX) {
    snprintf(message, size, "properties: at most %d expected, got %zu", PROPERTIES_MAX,
             options->property_count);
    return UK_E_BAD_REQUEST;
  }
  settings->brokers = strdup(options->brokers);
  settings->properties = calloc(options->property_count + 1, sizeof *settings->properties);
  if (settings->brokers == NULL || settings->properties == NULL)
    return UK_E_NO_MEMORY;
  enum { OVERHEAD = 4096 }; /* of a record: librdkafka counts more than key, value and headers */
  snprintf(settings->max_message_bytes, NUMBER_SIZE, "%lld",
           (long long)options->max_message_bytes + OVERHEAD);
  enum { FETCH_LEAST = 1000, FETCH_MOST = 1000000000 }; /* the bounds of librdkafka */
  int64_t half = options->prefetch_bytes / 2;
  half = half < FETCH_LEAST ? FETCH_LEAST : half > FETCH_MOST ? FETCH_MOST : half;
  snprintf(settings->half_kbytes, NUMBER_SIZE, "%lld", (long long)(half + 1023) / 1024);
  snprintf(settings->half_bytes, NUMBER_SIZE, "%lld", (long long)half);
  for (size_t i = 0; error == UK_OK && i < options->property_count; i++)
    error = add(settings, &options->properties[i], message, size);
  return error;
}

enum uk_error uk_kafka_settings_new(struct uk_kafka_settings **settings,
                                    const struct uk_kafka_options *options, char *message,
                                    size_t size)
{
  struct uk_kafka_settings *made = calloc(1, sizeof *made);
  enum uk_error error = made != NULL ? fill(made, options, message, size) : UK_E_NO_MEMORY;
  if (error == UK_OK) {
    *settings = made;
    return UK_OK;
  }
  uk_kafka_settings_free(made);
  return error;
}

/* Clears what may be a secret before its memory is freed. */
static void wipe(char *text)
{
  if (text != NULL)
    explicit_bzero(text, strlen(text));
  free(text);
}

void uk_kafka_settings_free(struct uk_kafka_settings *settings)
{
  if (settings == NULL)
    return;
  for (size_t i = 0; i < settings->count; i++) {
    free(settings->properties[i].name);
    wipe(settings->properties[i].value);
  }
  free(settings->properties);
  free(settings->brokers);
  free(settings);
}
