/* for: kafka_handle.c
 *
 * Handles that read without a group: how they are configured, how they are nudged, and what their
 * group calls them. The test fakes what librdkafka does with a handle. */
#include "server/kafka_engine/rd/kafka_handle.h"

#include "check.h"
#include "counted_conf.h"

static struct {
  bool refuses;
  char wait[24], least[24], reset[24];
  int background; /* calls */
  char username[32], password[32];
  const char *member; /* the handle's */
  int freed;
  int committed; /* partitions of the last commit */
  int destroyed; /* lists */
} fake;

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
  size_t length = sizeof fake.wait;
  CHECK_EQ_INT(type, RD_KAFKA_CONSUMER);
  if (fake.refuses) {
    snprintf(text, size, "refused");
    return NULL;
  }
  CHECK_EQ_INT(rd_kafka_conf_get(conf, "fetch.wait.max.ms", fake.wait, &length), 0);
  length = sizeof fake.least;
  CHECK_EQ_INT(rd_kafka_conf_get(conf, "fetch.min.bytes", fake.least, &length), 0);
  length = sizeof fake.reset;
  CHECK_EQ_INT(rd_kafka_conf_get(conf, "auto.offset.reset", fake.reset, &length), 0);
  rd_kafka_conf_destroy(conf);
  return (rd_kafka_t *)&fake;
}

rd_kafka_error_t *rd_kafka_sasl_background_callbacks_enable(rd_kafka_t *handle)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  fake.background++;
  return NULL;
}

rd_kafka_error_t *rd_kafka_sasl_set_credentials(rd_kafka_t *handle, const char *username,
                                                const char *password)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  snprintf(fake.username, sizeof fake.username, "%s", username);
  snprintf(fake.password, sizeof fake.password, "%s", password);
  return NULL;
}

char *rd_kafka_memberid(const rd_kafka_t *handle)
{
  CHECK(handle == (const rd_kafka_t *)&fake);
  return (char *)(uintptr_t)fake.member;
}

void rd_kafka_mem_free(rd_kafka_t *handle, void *memory)
{
  CHECK(handle == (rd_kafka_t *)&fake && memory == fake.member);
  fake.freed++;
}

rd_kafka_resp_err_t rd_kafka_commit(rd_kafka_t *handle, const rd_kafka_topic_partition_list_t *list,
                                    int asynchronous)
{
  CHECK(handle == (rd_kafka_t *)&fake && asynchronous == 1);
  fake.committed = list->cnt;
  return RD_KAFKA_RESP_ERR__NO_OFFSET;
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *list)
{
  union {
    void *symbol;
    void (*call)(rd_kafka_topic_partition_list_t *list);
  } own = {.symbol = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_destroy")};
  own.call(list);
  fake.destroyed++;
}

static struct uk_kafka_settings *make_with(const struct uk_kafka_property *properties, size_t count,
                                           int64_t max_message_bytes)
{
  const struct uk_kafka_options options = {.brokers = "127.0.0.1:1",
                                           .properties = properties,
                                           .property_count = count,
                                           .prefetch_bytes = 1 << 20,
                                           .max_message_bytes = max_message_bytes};
  struct uk_kafka_settings *settings = NULL;
  char message[UK_MESSAGE_SIZE] = "";
  CHECK_EQ_INT(uk_kafka_settings_new(&settings, &options, message, sizeof message), UK_OK);
  return settings;
}

static struct uk_kafka_settings *make(const struct uk_kafka_property *properties, size_t count)
{
  return make_with(properties, count, 1 << 20);
}

/* The user's waits do not count: a fetch has its own. */
static void a_handle_waits_as_long_as_it_is_told(void)
{
  static const struct uk_kafka_property properties[] = {{"fetch.wait.max.ms", "700", false},
                                                        {"fetch.min.bytes", "999", false}};
  struct uk_kafka_settings *settings = make(properties, 2);
  int confs = atomic_load(&counted_confs);
  char text[UK_MESSAGE_SIZE] = "";
  memset(&fake, 0, sizeof fake);
  CHECK(uk_kafka_handle_new(settings, 5, text, sizeof text) == (rd_kafka_t *)&fake);
  CHECK_EQ_STR(fake.wait, "5");
  CHECK_EQ_STR(fake.least, "1");
  CHECK_EQ_STR(fake.reset, "error");
  CHECK_EQ_INT(fake.background, 1);
  CHECK(uk_kafka_handle_new(settings, 100, text, sizeof text) != NULL);
  CHECK_EQ_STR(fake.wait, "100");
  fake.refuses = true;
  CHECK(uk_kafka_handle_new(settings, 5, text, sizeof text) == NULL);
  CHECK_EQ_STR(text, "refused");
  CHECK_EQ_INT(fake.background, 2);
  /* A wait that librdkafka does not accept. */
  CHECK(uk_kafka_handle_new(settings, -1, text, sizeof text) == NULL);
  CHECK_EQ_STR(text, "out of memory while connecting to the Kafka cluster");
  uk_kafka_settings_free(settings);
  settings = make_with(NULL, 0, 2000000000); /* nor does it accept this limit */
  text[0] = '\0';
  fake.refuses = false;
  CHECK(uk_kafka_handle_new(settings, 5, text, sizeof text) == NULL);
  CHECK_EQ_STR(text, "out of memory while connecting to the Kafka cluster");
  CHECK_EQ_INT(counted_confs, confs);
  uk_kafka_settings_free(settings);
}

static void a_nudge_sets_the_credentials_that_are_set(void)
{
  static const struct {
    struct uk_kafka_property properties[2];
    size_t count;
    const char *username, *password;
  } rows[] = {
    {{{"sasl.username", "u", false}, {"sasl.password", "p", false}}, 2, "u", "p"},
    {{{"sasl.username", "u", false}}, 1, "u", ""},
    {{{"sasl.password", "p", false}}, 1, "", "p"},
    {{{NULL, NULL, false}}, 0, "", ""},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct uk_kafka_settings *settings = make(rows[i].properties, rows[i].count);
    memset(&fake, 'x', sizeof fake);
    uk_kafka_nudge((rd_kafka_t *)&fake, settings);
    CHECK_EQ_STR(fake.username, rows[i].username);
    CHECK_EQ_STR(fake.password, rows[i].password);
    uk_kafka_settings_free(settings);
  }
}

/* A list; NULL would commit what librdkafka stored. */
static void a_commit_of_nothing_wakes_a_consumer(void)
{
  memset(&fake, 0, sizeof fake);
  fake.committed = -1;
  uk_kafka_wake((rd_kafka_t *)&fake);
  CHECK_EQ_INT(fake.committed, 0);
  CHECK_EQ_INT(fake.destroyed, 1);
}

static void a_member_has_its_name(void)
{
  char id[8] = "old";
  memset(&fake, 0, sizeof fake);
  CHECK_EQ_STR(uk_kafka_member_id((rd_kafka_t *)&fake, id, sizeof id), "");
  CHECK_EQ_INT(fake.freed, 0);
  fake.member = "i-42";
  CHECK(uk_kafka_member_id((rd_kafka_t *)&fake, id, sizeof id) == id);
  CHECK_EQ_STR(id, "i-42");
  CHECK_EQ_INT(fake.freed, 1);
  fake.member = "longer-than-that";
  CHECK_EQ_STR(uk_kafka_member_id((rd_kafka_t *)&fake, id, sizeof id), "longer-");
}

int main(void)
{
  CHECK_RUN(a_handle_waits_as_long_as_it_is_told);
  CHECK_RUN(a_nudge_sets_the_credentials_that_are_set);
  CHECK_RUN(a_commit_of_nothing_wakes_a_consumer);
  CHECK_RUN(a_member_has_its_name);
  return check_end();
}
