/* for: kafka_committed.c
 *
 * What a group has committed. The test plays the cluster, fakes the consumers that ask it, and owns
 * the clock. */
#include "server/kafka_engine/cluster/kafka_committed.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "common/clock.h"
#include "counted_conf.h"
#include "fault.h"
#include "server/kafka_engine/cluster/kafka_check.h"

enum {
  NOW = 1000000,
  TIMEOUT = 5000,
  IDLE_MOST = 8,     /* idle consumers */
  IDLE_TIME = 60000, /* milliseconds that one is kept */
  SILENCE = 30000,   /* milliseconds after which one is replaced */
  HANDLES = 40
};

struct handle {
  bool open;
  bool reports; /* its polls return what librdkafka reports, too */
  char group[32];
};

static char of_instances; /* stands for those threads */

static struct {
  int64_t now;
  struct handle handles[HANDLES];
  size_t opened;
  char log[600]; /* opened, asked and ended consumers */
  bool refuses_handles;
  rd_kafka_resp_err_t codes[10]; /* of the next queries; then NO_ERROR */
  size_t code_count, asked;
  rd_kafka_resp_err_t partition_code; /* of the last partition */
  int64_t costs;                      /* milliseconds for each query */
  rd_kafka_message_t messages[3];     /* what the consumer reports */
  size_t message_count;
  int messages_destroyed;
  bool for_instance; /* the last work was given to the threads of instances */
  bool down;
  enum uk_error check_error;
  int dones;
} fake;

/* The strange ones have a limit on messages that librdkafka does not accept. */
static struct uk_kafka_settings *settings, *strange_settings;
static struct uk_kafka_committed_parts parts;
static struct uk_kafka_committed *committed;

static void note(const char *what, const char *group)
{
  size_t length = strlen(fake.log);
  snprintf(fake.log + length, sizeof fake.log - length, "%s %s; ", what, group);
}

#define CHECK_LOG(wanted)                                                                          \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

/* Fakes. */

int64_t uk_clock_monotonic(void)
{
  return fake.now;
}

int64_t uk_clock_epoch(void)
{
  return fake.now;
}

int nanosleep(const struct timespec *pause, struct timespec *rest)
{
  (void)rest;
  fake.now += pause->tv_sec * 1000 + pause->tv_nsec / 1000000;
  return 0;
}

/* Lists of partitions that were not destroyed; librdkafka keeps them. */
static int lists;

rd_kafka_topic_partition_list_t *rd_kafka_topic_partition_list_new(int size)
{
  rd_kafka_topic_partition_list_t *(*real)(int) = NULL;
  lists++;
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_new");
  return real(size);
}

void rd_kafka_topic_partition_list_destroy(rd_kafka_topic_partition_list_t *list)
{
  void (*real)(rd_kafka_topic_partition_list_t *) = NULL;
  lists--;
  *(void **)&real = dlsym(RTLD_NEXT, "rd_kafka_topic_partition_list_destroy");
  real(list);
}

static void check_property(const rd_kafka_conf_t *conf, const char *name, const char *wanted)
{
  char value[32] = "";
  size_t size = sizeof value;
  CHECK_EQ_INT(rd_kafka_conf_get(conf, name, value, &size), RD_KAFKA_CONF_OK);
  CHECK_EQ_STR(value, wanted);
}

rd_kafka_t *rd_kafka_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *text, size_t size)
{
  struct handle *handle = &fake.handles[fake.opened];
  size_t length = sizeof handle->group;
  CHECK_EQ_INT(type, RD_KAFKA_CONSUMER);
  if (fake.refuses_handles) {
    snprintf(text, size, "no");
    return NULL;
  }
  CHECK_EQ_INT(rd_kafka_conf_get(conf, "group.id", handle->group, &length), RD_KAFKA_CONF_OK);
  /* It asks again soon, unlike an instance, and has the strategy of one, unlike a fetch. */
  check_property(conf, "retry.backoff.ms", "50");
  check_property(conf, "partition.assignment.strategy", "range");
  rd_kafka_conf_destroy(conf);
  handle->open = true;
  fake.opened++;
  note("open", handle->group);
  return (rd_kafka_t *)handle;
}

rd_kafka_resp_err_t rd_kafka_poll_set_consumer(rd_kafka_t *handle)
{
  CHECK(((struct handle *)handle)->open);
  ((struct handle *)handle)->reports = true;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void uk_kafka_reap(struct uk_kafka_reaper *reaper, rd_kafka_t *handle, void (*then)(void *argument),
                   void *argument)
{
  CHECK(reaper == (struct uk_kafka_reaper *)&fake && then == NULL && argument == NULL);
  CHECK(((struct handle *)handle)->open);
  ((struct handle *)handle)->open = false;
  note("end", ((struct handle *)handle)->group);
}

rd_kafka_resp_err_t rd_kafka_committed(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *list,
                                       int timeout)
{
  char text[40];
  CHECK(((struct handle *)handle)->open);
  snprintf(text, sizeof text, "%s x%d %d", ((struct handle *)handle)->group, list->cnt, timeout);
  note("ask", text);
  fake.now += fake.costs;
  if (fake.asked < fake.code_count && fake.codes[fake.asked++] != RD_KAFKA_RESP_ERR_NO_ERROR)
    return fake.codes[fake.asked - 1];
  for (int i = 0; i < list->cnt; i++) {
    list->elems[i].offset =
      list->elems[i].partition == 2 ? RD_KAFKA_OFFSET_INVALID : 10 * list->elems[i].partition;
    list->elems[i].err = i == list->cnt - 1 ? fake.partition_code : RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_message_t *rd_kafka_consumer_poll(rd_kafka_t *handle, int timeout)
{
  CHECK(((struct handle *)handle)->reports);
  CHECK_EQ_INT(timeout, 0);
  return fake.message_count > 0 ? &fake.messages[--fake.message_count] : NULL;
}

void rd_kafka_message_destroy(rd_kafka_message_t *message)
{
  (void)message;
  fake.messages_destroyed++;
}

void uk_kafka_blocking_submit(struct uk_kafka_blocking *blocking, struct uk_kafka_work *work)
{
  fake.for_instance = blocking == (struct uk_kafka_blocking *)&of_instances;
  CHECK(fake.for_instance || blocking == (struct uk_kafka_blocking *)&fake);
  work->run(work);
  work->query.then(&work->query);
}

void uk_kafka_topics_check(struct uk_kafka_topics *topics, struct uk_kafka_check *check)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  if (fake.check_error != UK_OK)
    uk_operation_fail(check->operation, fake.check_error, "checked");
  check->then(check);
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  if (fake.down)
    snprintf(detail, size, "the cluster is away");
  return fake.down ? UK_E_UNAVAILABLE : UK_OK;
}

/* Steps of a test. */

static void done(struct uk_operation *operation)
{
  (void)operation;
  fake.dones++;
}

static struct uk_topic_partition_offset at[4];
static struct uk_committed operation;

static void ask(const char *group, size_t count)
{
  long live = fault_live();
  static const int32_t partitions[] = {0, 2, 0, 1};
  for (size_t i = 0; i < 4; i++)
    at[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), partitions[i], 77};
  operation = (struct uk_committed){.operation = {.done = done, .deadline = fake.now + TIMEOUT},
                                    .group = uk_slice_text(group),
                                    .offsets = at,
                                    .count = count};
  fake.dones = 0;
  uk_kafka_committed_ask(committed, &operation);
  CHECK_EQ_INT(fake.dones, 1);
  CHECK(fault_live() <= live + 1); /* the consumer that is kept */
}

static void check_ended(enum uk_error error, const char *message)
{
  CHECK_EQ_INT(operation.operation.error, error);
  CHECK_EQ_STR(operation.operation.message, message);
}

/* Answers. */

static void each_partition_has_its_offset(void)
{
  ask("g", 4);
  check_ended(UK_OK, "");
  CHECK_LOG("open g; ask g x3 250; "); /* each partition once */
  CHECK_EQ_INT(at[0].offset, 0);
  CHECK_EQ_INT(at[1].offset, -1); /* nothing is committed */
  CHECK_EQ_INT(at[2].offset, 0);
  CHECK_EQ_INT(at[3].offset, 10);
  CHECK(!fake.for_instance);
}

/* Each attempt gets twice the time of the one before, within what is left. */
static void a_coordinator_that_moves_is_waited_for(void)
{
  static const rd_kafka_resp_err_t codes[] = {
    RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR__WAIT_COORD,
    RD_KAFKA_RESP_ERR__TIMED_OUT};
  memcpy(fake.codes, codes, sizeof codes);
  fake.code_count = 4;
  fake.costs = 100;
  ask("g", 1);
  check_ended(UK_OK, "");
  CHECK_LOG("open g; ask g x1 250; ask g x1 500; ask g x1 1000; ask g x1 2000; ask g x1 4000; ");
  CHECK_EQ_INT(fake.now, NOW + 5 * 100 + 4 * 50);
  CHECK_EQ_INT(at[0].offset, 0);
}

static void the_wait_ends_with_the_deadline(void)
{
  for (size_t i = 0; i < 10; i++)
    fake.codes[i] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.code_count = 10;
  fake.costs = 1600;
  ask("g", 1);
  check_ended(UK_E_GATEWAY_TIMEOUT, "group \"g\": its coordinator did not answer in time");
  CHECK_LOG("open g; ask g x1 250; ask g x1 500; ask g x1 1000; ask g x1 50; ");
  /* What was wrong before says more than the last timeout. */
  fake.codes[0] = RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
  fake.asked = 0;
  ask("g", 1);
  check_ended(UK_E_UNAVAILABLE, "group \"g\": Broker: Coordinator not available");
  /* No time for a pause and another attempt is left. */
  fake.log[0] = '\0';
  fake.asked = 0;
  fake.costs = TIMEOUT - 50;
  ask("g", 1);
  CHECK_LOG("ask g x1 250; ");
  fake.asked = 0;
  fake.costs = TIMEOUT - 51;
  ask("g", 1);
  CHECK_LOG("ask g x1 250; ask g x1 1; ");
}

/* Two seconds may not be enough to reach a distant coordinator: a consumer that begins anew for
 * each question would never get there. */
static void a_slow_consumer_goes_on_with_the_next_question(void)
{
  for (size_t i = 0; i < 10; i++)
    fake.codes[i] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.code_count = 3;
  fake.costs = TIMEOUT;
  for (int i = 0; i < 4; i++)
    ask("g", 1);
  check_ended(UK_OK, "");
  CHECK_LOG("open g; ask g x1 250; ask g x1 250; ask g x1 250; ask g x1 250; ");
}

/* From its last answer on, or from the beginning. */
static void a_consumer_that_is_silent_for_half_a_minute_is_replaced(void)
{
  for (size_t i = 0; i < 10; i++)
    fake.codes[i] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.costs = SILENCE / 2;
  ask("g", 1); /* answers */
  for (int i = 0; i < 2; i++) {
    fake.code_count = 10;
    fake.asked = 0;
    fake.log[0] = '\0';
    fake.costs = SILENCE / 2 - 1;
    ask("g", 1);
    ask("g", 1);
    fake.costs = 2;
    fake.code_count = 3;
    ask("g", 1);
    CHECK_EQ_INT(operation.operation.error, UK_OK);
    CHECK(strstr(fake.log, "end g; ") == NULL);
  }
  fake.asked = 0;
  fake.log[0] = '\0';
  fake.costs = SILENCE / 2;
  fake.code_count = 10;
  ask("g", 1);
  ask("g", 1);
  CHECK_LOG("ask g x1 250; ask g x1 250; end g; ");
  ask("g", 1);
  ask("g", 1);
  CHECK_LOG("open g; ask g x1 250; ask g x1 250; end g; ");
}

static void each_error_ends_the_question(void)
{
  static const struct {
    rd_kafka_resp_err_t code, partition_code;
    enum uk_error error;
    const char *message;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, 0, UK_E_FORBIDDEN,
     "group \"g\": Broker: Group authorization failed"},
    {0, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, UK_E_FORBIDDEN,
     "group \"g\": Broker: Topic authorization failed"},
    {RD_KAFKA_RESP_ERR_UNKNOWN, 0, UK_E_INTERNAL, "group \"g\": Unknown broker error"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    fake.codes[0] = rows[i].code;
    fake.code_count = 1;
    fake.asked = 0;
    fake.partition_code = rows[i].partition_code;
    ask("g", 4);
    check_ended(rows[i].error, rows[i].message);
    CHECK_LOG("open g; ask g x3 250; end g; "); /* the next question gets another consumer */
    CHECK_EQ_INT(at[0].offset, 77);
  }
}

/* librdkafka reports some errors of a group by messages only, while the query itself times out. */
static void an_error_that_the_consumer_reports_ends_the_question(void)
{
  fake.messages[0].err = RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN;
  fake.messages[1].err = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
  fake.messages[2].err = RD_KAFKA_RESP_ERR__TRANSPORT;
  fake.message_count = 3;
  fake.codes[0] = RD_KAFKA_RESP_ERR__TIMED_OUT;
  fake.code_count = 1;
  ask("g", 1);
  check_ended(UK_E_FORBIDDEN, "group \"g\": Broker: Group authorization failed");
  CHECK_EQ_INT(fake.messages_destroyed, 3);
  CHECK_LOG("open g; ask g x1 250; end g; ");
  /* Reports that pass do not. */
  fake.message_count = 1;
  fake.asked = 0;
  ask("g", 1);
  check_ended(UK_OK, "");
}

static void an_absent_cluster_is_the_reason(void)
{
  fake.codes[0] = RD_KAFKA_RESP_ERR_UNKNOWN;
  fake.code_count = 1;
  fake.down = true;
  ask("g", 1);
  check_ended(UK_E_UNAVAILABLE, "the cluster is away");
}

static void a_group_that_cannot_be_asked_about(void)
{
  fake.check_error = UK_E_NOT_FOUND;
  ask("g", 1);
  check_ended(UK_E_NOT_FOUND, "checked");
  fake.check_error = UK_OK;
  operation.group = uk_slice_of("a\0b", 3);
  operation.operation = (struct uk_operation){.done = done};
  uk_kafka_committed_ask(committed, &operation);
  check_ended(UK_E_BAD_REQUEST, "group: a name without NUL expected");
  CHECK_EQ_INT(fake.dones, 2);
  CHECK_LOG("");
}

/* The query, the consumer; a consumer that librdkafka cannot open. */
static void without_memory_nothing_is_asked(void)
{
  struct uk_kafka_committed_parts strange = parts;
  fault_at(1);
  ask("g", 1);
  check_ended(UK_E_NO_MEMORY, "");
  fault_at(2);
  ask("g", 1);
  CHECK(fault_hit());
  fault_off();
  check_ended(UK_E_NO_MEMORY, "");
  fake.refuses_handles = true;
  ask("g", 1);
  CHECK_EQ_INT(operation.operation.error, UK_E_NO_MEMORY);
  fake.refuses_handles = false;
  uk_kafka_committed_free(committed);
  strange.settings = strange_settings;
  committed = uk_kafka_committed_new(&strange);
  REQUIRE(committed != NULL);
  ask("g", 1);
  CHECK_EQ_INT(operation.operation.error, UK_E_NO_MEMORY);
  CHECK_LOG("");
}

/* Consumers. */

static void a_group_keeps_its_consumer(void)
{
  ask("g", 1);
  ask("h", 1);
  ask("gg", 1);
  fake.log[0] = '\0';
  ask("h", 1);
  ask("g", 1);
  ask("gg", 1);
  CHECK_LOG("ask h x1 250; ask g x1 250; ask gg x1 250; ");
}

static void the_least_used_consumer_ends_beyond_the_most(void)
{
  char group[2] = "a";
  for (int i = 0; i < IDLE_MOST; i++, group[0]++)
    ask(group, 1);
  ask("a", 1); /* `b` is now the least recently used */
  fake.log[0] = '\0';
  ask("z", 1);
  CHECK_LOG("open z; ask z x1 250; end b; ");
  ask("a", 1);
  CHECK_LOG("ask a x1 250; ");
}

static void an_idle_consumer_ends_after_a_minute(void)
{
  ask("g", 1);
  ask("h", 1);
  fake.log[0] = '\0';
  fake.now = NOW + IDLE_TIME - 1;
  ask("h", 1);
  CHECK_LOG("ask h x1 250; ");
  fake.now = NOW + IDLE_TIME;
  ask("h", 1);
  CHECK_LOG("ask h x1 250; end g; ");
  fake.now += IDLE_TIME - 1;
  ask("i", 1);
  CHECK_LOG("open i; ask i x1 250; ");
  fake.now += 1;
  ask("i", 1);
  CHECK_LOG("ask i x1 250; end h; ");
}

/* For instances. */

static void then(struct uk_kafka_query *query)
{
  (void)query;
  fake.dones++;
}

static void a_list_is_read_for_an_instance(void)
{
  struct uk_kafka_committed_query query = {
    .work.query = {.deadline = fake.now + TIMEOUT, .then = then}, .group = "g"};
  query.list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(query.list, "t", 1);
  uk_kafka_committed_read(committed, &query);
  CHECK(fake.for_instance);
  CHECK_EQ_INT(fake.dones, 1);
  CHECK_EQ_INT(query.work.query.code, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_EQ_INT(query.list->elems[0].offset, 10);
  fake.codes[0] = RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
  fake.code_count = 1;
  uk_kafka_committed_read(committed, &query);
  CHECK_EQ_INT(query.work.query.code, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  rd_kafka_topic_partition_list_destroy(query.list);
}

/* Each case has its own consumers, and leaves none open. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  fake.now = NOW;
  parts =
    (struct uk_kafka_committed_parts){.settings = settings,
                                      .topics = (struct uk_kafka_topics *)&fake,
                                      .blocking = (struct uk_kafka_blocking *)&fake,
                                      .group_blocking = (struct uk_kafka_blocking *)&of_instances,
                                      .reaper = (struct uk_kafka_reaper *)&fake};
  committed = uk_kafka_committed_new(&parts);
  REQUIRE(committed != NULL);
  current();
  uk_kafka_committed_free(committed);
  for (size_t i = 0; i < fake.opened; i++)
    CHECK(!fake.handles[i].open);
  CHECK_EQ_INT(lists, 0);
  CHECK_EQ_INT(counted_confs, 0);
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

#define RUN(test) run(#test, test)

int main(void)
{
  char message[UK_MESSAGE_SIZE];
  struct uk_kafka_options options = {
    .brokers = "127.0.0.1:1", .prefetch_bytes = 1 << 20, .max_message_bytes = 1 << 20};
  if (uk_kafka_settings_new(&settings, &options, message, sizeof message) != UK_OK)
    return 1;
  options.max_message_bytes = 2000000000;
  if (uk_kafka_settings_new(&strange_settings, &options, message, sizeof message) != UK_OK)
    return 1;
  RUN(each_partition_has_its_offset);
  RUN(a_coordinator_that_moves_is_waited_for);
  RUN(the_wait_ends_with_the_deadline);
  RUN(a_slow_consumer_goes_on_with_the_next_question);
  RUN(a_consumer_that_is_silent_for_half_a_minute_is_replaced);
  RUN(each_error_ends_the_question);
  RUN(an_error_that_the_consumer_reports_ends_the_question);
  RUN(an_absent_cluster_is_the_reason);
  RUN(a_group_that_cannot_be_asked_about);
  RUN(without_memory_nothing_is_asked);
  RUN(a_group_keeps_its_consumer);
  RUN(the_least_used_consumer_ends_beyond_the_most);
  RUN(an_idle_consumer_ends_after_a_minute);
  RUN(a_list_is_read_for_an_instance);
  uk_kafka_settings_free(settings);
  uk_kafka_settings_free(strange_settings);
  return check_end();
}
