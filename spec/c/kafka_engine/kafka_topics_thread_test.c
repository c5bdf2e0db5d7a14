/* for: kafka_topics.c
 *
 * When the cluster is asked, for how long, and what its silence means. The test plays the cluster
 * and owns the clock: the thread of the topics sleeps until the test wakes it. */
#include "server/kafka_engine/cluster/kafka_topics.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "common/thread.h"
#include "counted_seeds.h"
#include "fault.h"
#include "server/watch/error_log.h"

enum { NOW = 1000000, CHECK_EVERY = 2000, FULL_EVERY = 30000, MOST = 16 };

struct error_event {
  rd_kafka_resp_err_t code;
  const char *text;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of what follows */

static struct {
  _Atomic int64_t now;
  /* The thread sleeps. */
  atomic_int sleeps;
  int64_t until;
  pthread_cond_t *work;
  pthread_mutex_t *work_mutex;
  char log[600];                   /* requests: topic, or "-", or "*" for all; timeout */
  rd_kafka_resp_err_t codes[MOST]; /* of the next requests; then NO_ERROR */
  size_t code_count, asked;
  int64_t costs; /* milliseconds for each request that fails */
  bool gate_closed;
  int passes;         /* requests that a closed gate lets pass */
  bool errors_follow; /* each request that fails loses a connection too */
  bool knows_nothing; /* an answer about one topic has none */
  bool has_groups;    /* all topics are that of the groups' offsets */
  int partitions;
  struct error_event errors[4];
  size_t error_count;
  void (*wake)(rd_kafka_t *handle, void *opaque);
  void *opaque;
  int live; /* topics, queues, events, metadata */
  bool has_no_threads;
  int joins, conditions;
  char alarms[300]; /* under the mutex */
} fake;

static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static struct uk_kafka_topics *topics;

/* Fakes: the clock and threads. */

int64_t uk_clock_monotonic(void)
{
  return atomic_load(&fake.now);
}

int64_t uk_clock_epoch(void)
{
  return atomic_load(&fake.now);
}

bool uk_thread_start(pthread_t *thread, void *(*run)(void *argument), void *argument)
{
  return !fake.has_no_threads && pthread_create(thread, NULL, run, argument) == 0;
}

bool uk_thread_start_alone(void *(*run)(void *argument), void *argument)
{
  (void)run;
  (void)argument;
  return false;
}

/* Nobody joins the thread twice. */
int pthread_join(pthread_t thread, void **result)
{
  int (*real)(pthread_t, void **) = NULL;
  *(void **)&real = dlsym(RTLD_NEXT, "pthread_join");
  fake.joins++;
  return real(thread, result);
}

void uk_condition_init(pthread_cond_t *condition)
{
  fake.conditions++;
  pthread_cond_init(condition, NULL);
}

void uk_condition_wait(pthread_cond_t *condition, pthread_mutex_t *of, int64_t until)
{
  pthread_mutex_lock(&mutex);
  fake.until = until;
  fake.work = condition;
  fake.work_mutex = of;
  atomic_fetch_add(&fake.sleeps, 1);
  pthread_mutex_unlock(&mutex);
  pthread_cond_wait(condition, of);
}

/* Fakes: the alarm. */

__attribute__((format(printf, 1, 0))) static void note_alarm(const char *format, va_list arguments)
{
  pthread_mutex_lock(&mutex);
  size_t length = strlen(fake.alarms);
  vsnprintf(fake.alarms + length, sizeof fake.alarms - length, format, arguments);
  length = strlen(fake.alarms);
  snprintf(fake.alarms + length, sizeof fake.alarms - length, "; ");
  pthread_mutex_unlock(&mutex);
}

bool uk_alarm_raise(struct uk_alarm *alarm, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  bool logs = !atomic_exchange(&alarm->raised, true);
  if (logs)
    note_alarm(format, arguments);
  va_end(arguments);
  return logs;
}

bool uk_alarm_clear(struct uk_alarm *alarm, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  bool logs = atomic_exchange(&alarm->raised, false);
  if (logs)
    note_alarm(format, arguments);
  va_end(arguments);
  return logs;
}

/* Fakes: librdkafka. */

rd_kafka_queue_t *rd_kafka_queue_get_main(rd_kafka_t *control)
{
  CHECK(control == (rd_kafka_t *)&fake);
  fake.live++;
  return (rd_kafka_queue_t *)&fake;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  fake.live--;
}

void rd_kafka_queue_cb_event_enable(rd_kafka_queue_t *queue,
                                    void (*wake)(rd_kafka_t *handle, void *opaque), void *opaque)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  fake.wake = wake;
  fake.opaque = opaque;
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK_EQ_INT(timeout, 0);
  pthread_mutex_lock(&mutex);
  struct error_event *error = fake.error_count > 0 ? &fake.errors[--fake.error_count] : NULL;
  fake.live += error != NULL;
  pthread_mutex_unlock(&mutex);
  return (rd_kafka_event_t *)error;
}

rd_kafka_event_type_t rd_kafka_event_type(const rd_kafka_event_t *event)
{
  return ((const struct error_event *)event)->text != NULL ? RD_KAFKA_EVENT_ERROR
                                                           : RD_KAFKA_EVENT_LOG;
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event)
{
  return ((struct error_event *)event)->code;
}

const char *rd_kafka_event_error_string(rd_kafka_event_t *event)
{
  return ((struct error_event *)event)->text;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event)
{
  (void)event;
  pthread_mutex_lock(&mutex);
  fake.live--;
  pthread_mutex_unlock(&mutex);
}

rd_kafka_topic_t *rd_kafka_topic_new(rd_kafka_t *handle, const char *name,
                                     rd_kafka_topic_conf_t *conf)
{
  static char names[MOST][32];
  static size_t next;
  CHECK(handle == (rd_kafka_t *)&fake && conf == NULL);
  if (strcmp(name, "refused") == 0)
    return NULL;
  char *made = names[next++ % MOST];
  snprintf(made, sizeof names[0], "%s", name);
  fake.live++;
  return (rd_kafka_topic_t *)made;
}

void rd_kafka_topic_destroy(rd_kafka_topic_t *topic)
{
  (void)topic;
  fake.live--;
}

rd_kafka_resp_err_t rd_kafka_last_error(void)
{
  return RD_KAFKA_RESP_ERR__INVALID_ARG;
}

static rd_kafka_resp_err_t next_code(void)
{
  return fake.asked < fake.code_count ? fake.codes[fake.asked++] : RD_KAFKA_RESP_ERR_NO_ERROR;
}

/* All topics are "all" with one partition; one topic has as many as the test says. */
static const rd_kafka_metadata_t *metadata_of(const char *name)
{
  static rd_kafka_metadata_partition_t partitions[4];
  static rd_kafka_metadata_broker_t brokers[2] = {{.id = 4}, {.id = 7}};
  static rd_kafka_metadata_topic_t topic;
  static rd_kafka_metadata_t metadata;
  partitions[1].leader = -1;
  for (int i = 0; i < 4; i++)
    partitions[i].id = i;
  const char *all = fake.has_groups ? "__consumer_offsets" : "all";
  topic = (rd_kafka_metadata_topic_t){.topic = (char *)(uintptr_t)(name != NULL ? name : all),
                                      .partition_cnt = name != NULL ? fake.partitions : 1,
                                      .partitions = partitions};
  metadata = (rd_kafka_metadata_t){.broker_cnt = 2,
                                   .brokers = brokers,
                                   .topic_cnt = name != NULL && fake.knows_nothing ? 0 : 1,
                                   .topics = &topic};
  return &metadata;
}

rd_kafka_resp_err_t rd_kafka_metadata(rd_kafka_t *handle, int all, rd_kafka_topic_t *topic,
                                      const struct rd_kafka_metadata **metadata, int timeout)
{
  CHECK(handle == (rd_kafka_t *)&fake && *metadata == NULL);
  pthread_mutex_lock(&mutex);
  size_t length = strlen(fake.log);
  snprintf(fake.log + length, sizeof fake.log - length, "%s %d; ",
           topic != NULL ? (const char *)topic
           : all         ? "*"
                         : "-",
           timeout);
  while (fake.gate_closed && fake.passes == 0)
    pthread_cond_wait(&opened, &mutex);
  fake.passes -= fake.gate_closed;
  rd_kafka_resp_err_t code = next_code();
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    atomic_fetch_add(&fake.now, fake.costs);
    if (fake.errors_follow)
      fake.errors[fake.error_count++] =
        (struct error_event){RD_KAFKA_RESP_ERR__TRANSPORT, "broker 3: hung up"};
  } else {
    *metadata = metadata_of((const char *)topic);
    fake.live++;
  }
  pthread_mutex_unlock(&mutex);
  return code;
}

void rd_kafka_metadata_destroy(const struct rd_kafka_metadata *metadata)
{
  CHECK(metadata != NULL);
  pthread_mutex_lock(&mutex);
  fake.live--;
  pthread_mutex_unlock(&mutex);
}

/* Steps of a test. */

static void script(const rd_kafka_resp_err_t *codes, size_t count)
{
  pthread_mutex_lock(&mutex);
  if (count > 0)
    memcpy(fake.codes, codes, count * sizeof codes[0]);
  fake.code_count = count;
  fake.asked = 0;
  pthread_mutex_unlock(&mutex);
}

/* The thread goes round once more, at that time, until it sleeps. */
static void run_at(int64_t now)
{
  int sleeps = atomic_load(&fake.sleeps);
  pthread_mutex_lock(fake.work_mutex);
  atomic_store(&fake.now, now);
  pthread_cond_signal(fake.work);
  pthread_mutex_unlock(fake.work_mutex);
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > sleeps);
}

static int64_t sleeps_until(void)
{
  pthread_mutex_lock(&mutex);
  int64_t until = fake.until;
  pthread_mutex_unlock(&mutex);
  return until;
}

#define CHECK_LOG(wanted)                                                                          \
  do {                                                                                             \
    pthread_mutex_lock(&mutex);                                                                    \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
    pthread_mutex_unlock(&mutex);                                                                  \
  } while (0)

static bool is_logged(const char *text)
{
  pthread_mutex_lock(&mutex);
  bool found = strstr(fake.log, text) != NULL;
  pthread_mutex_unlock(&mutex);
  return found;
}

struct pending {
  struct uk_kafka_topic_query query; /* first */
  atomic_int dones;
};

static void answered(struct uk_kafka_query *query)
{
  atomic_fetch_add(&((struct pending *)query)->dones, 1);
}

static void ask(struct pending *pending, const char *topic, int64_t timeout)
{
  *pending = (struct pending){
    .query = {.query = {.deadline = uk_clock_monotonic() + timeout, .then = answered},
              .topic = topic != NULL ? uk_slice_text(topic) : (struct uk_slice){0},
              .partitions = 99}};
  uk_kafka_topics_ask(topics, &pending->query);
}

static void await(struct pending *pending, rd_kafka_resp_err_t code, int32_t partitions)
{
  CHECK_EVENTUALLY(atomic_load(&pending->dones) > 0);
  CHECK_EQ_INT(pending->dones, 1);
  CHECK_EQ_INT(pending->query.query.code, code);
  CHECK_EQ_INT(pending->query.partitions, partitions);
}

/* Asks, and waits until the thread sleeps again. */
static void ask_alone(const char *topic, int64_t timeout, rd_kafka_resp_err_t code,
                      int32_t partitions)
{
  struct pending pending;
  int sleeps = atomic_load(&fake.sleeps);
  ask(&pending, topic, timeout);
  await(&pending, code, partitions);
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > sleeps);
}

static void check_health(enum uk_error health, enum uk_error contact, const char *reason)
{
  char detail[UK_MESSAGE_SIZE] = "";
  CHECK_EQ_INT(uk_kafka_topics_health(topics, detail, sizeof detail), health);
  if (health != UK_OK)
    CHECK_EQ_STR(detail, reason);
  detail[0] = '\0';
  CHECK_EQ_INT(uk_kafka_topics_contact(topics, detail, sizeof detail), contact);
  CHECK_EQ_STR(detail, contact != UK_OK ? reason : "");
}

static int32_t known(const char *topic)
{
  return uk_kafka_topics_partitions(topics, uk_slice_text(topic));
}

/* librdkafka reports an error of a connection. */
static void report(rd_kafka_resp_err_t code, const char *text)
{
  pthread_mutex_lock(&mutex);
  fake.errors[fake.error_count++] = (struct error_event){code, text};
  pthread_mutex_unlock(&mutex);
  int sleeps = atomic_load(&fake.sleeps);
  fake.wake(NULL, fake.opaque);
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > sleeps);
}

static void open_gate(void)
{
  pthread_mutex_lock(&mutex);
  fake.gate_closed = false;
  pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&mutex);
}

/* Times. */

static void the_cluster_is_asked_every_two_seconds(void)
{
  CHECK(uk_kafka_topics_has_answered(topics));
  CHECK_EQ_INT(sleeps_until(), NOW + CHECK_EVERY);
  CHECK_EQ_INT(known("all"), 1);
  run_at(NOW + CHECK_EVERY - 1);
  CHECK_LOG("");
  run_at(NOW + CHECK_EVERY);
  CHECK_LOG("- 2000; "); /* only whether it is there */
  CHECK_EQ_INT(sleeps_until(), NOW + 2 * CHECK_EVERY);
  run_at(NOW + FULL_EVERY - 1);
  CHECK_LOG("- 2000; ");
  run_at(NOW + FULL_EVERY + CHECK_EVERY);
  CHECK_LOG("* 2000; "); /* all its topics, every half a minute */
  run_at(NOW + FULL_EVERY + 2 * CHECK_EVERY);
  CHECK_LOG("- 2000; ");
}

static void the_brokers_and_groups_are_known(void)
{
  int32_t brokers[UK_KAFKA_BROKERS_MAX];
  CHECK_EQ_INT(uk_kafka_topics_brokers(topics, brokers), 2);
  CHECK_EQ_INT(brokers[0], 4);
  CHECK_EQ_INT(brokers[1], 7);
  CHECK(uk_kafka_topics_groupless(topics));
  fake.has_groups = true;
  ask_alone(NULL, 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 0);
  CHECK(!uk_kafka_topics_groupless(topics));
  CHECK_EQ_INT(known("__consumer_offsets"), 0);
}

static void a_topic_is_asked_about_alone(void)
{
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK_LOG("t 2000; ");
  CHECK_EQ_INT(known("t"), 3);
  CHECK(!uk_kafka_topics_leaderless(topics, uk_slice_text("t"), 0));
  CHECK(uk_kafka_topics_leaderless(topics, uk_slice_text("t"), 1));
  CHECK(!uk_kafka_topics_leaderless(topics, uk_slice_text("u"), 1));
  ask_alone("t", 700, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK_LOG("t 700; ");
  fake.knows_nothing = true;
  ask_alone("u", 60000, RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, 0);
  ask_alone("refused", 60000, RD_KAFKA_RESP_ERR__INVALID_ARG, 0);
  CHECK_EQ_INT(known("u"), 0);
  CHECK_EQ_INT(known("t"), 3);
}

/* All topics: what is not among them is gone. */
static void all_topics_may_be_asked_for(void)
{
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  run_at(NOW + 1000);
  CHECK_LOG("t 2000; ");
  ask_alone(NULL, 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 0);
  CHECK_LOG("* 2000; ");
  CHECK_EQ_INT(known("t"), 0);
  CHECK_EQ_INT(known("all"), 1);
  CHECK(uk_kafka_topics_is_renewed(topics, uk_slice_text("t")));
  CHECK(!uk_kafka_topics_is_renewed(topics, uk_slice_text("all")));
  CHECK(!uk_kafka_topics_is_renewed(topics, uk_slice_text("u")));
  run_at(NOW + FULL_EVERY + 999); /* the next time is half a minute after the last */
  CHECK_LOG("- 2000; ");
}

static void equal_queries_are_one_request(void)
{
  struct pending pending[5];
  static const char *const names[] = {"busy", "t", "u", "t", "t"};
  fake.gate_closed = true;
  ask(&pending[0], names[0], 60000);
  for (size_t i = 1; i < 5; i++)
    ask(&pending[i], names[i], i == 3 ? 500 : 1500);
  pthread_mutex_lock(&mutex);
  fake.gate_closed = false;
  pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&mutex);
  for (size_t i = 0; i < 5; i++)
    await(&pending[i], RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK_LOG("busy 2000; t 500; u 1500; "); /* the earliest deadline counts */
}

/* Silence. */

static void a_silent_broker_is_asked_three_times(void)
{
  static const rd_kafka_resp_err_t silence[] = {
    RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT,
    RD_KAFKA_RESP_ERR__TIMED_OUT};
  fake.costs = 2000;
  script(silence, 2);
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK_LOG("t 2000; t 2000; t 2000; ");
  check_health(UK_OK, UK_OK, "");
  CHECK_EQ_STR(fake.alarms, "");
  script(silence, 3);
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR__TIMED_OUT, 0);
  CHECK_LOG("t 2000; t 2000; t 2000; ");
  CHECK_EQ_STR(fake.alarms, "the Kafka cluster does not answer: Local: Timed out; ");
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE,
               "the Kafka cluster does not answer: Local: Timed out");
  CHECK_EQ_INT(known("t"), 3);
}

/* A request that was cut short says little: the connection is checked next. */
static void it_is_asked_within_the_deadline(void)
{
  static const rd_kafka_resp_err_t silence[] = {RD_KAFKA_RESP_ERR__TIMED_OUT,
                                                RD_KAFKA_RESP_ERR__TIMED_OUT};
  fake.costs = 2000;
  script(silence, 2);
  ask_alone("t", 3000, RD_KAFKA_RESP_ERR__TIMED_OUT, 0);
  CHECK_LOG("t 2000; t 1000; - 2000; ");
  check_health(UK_OK, UK_OK, "");
  fake.costs = 100;
  script(silence, 1);
  ask_alone("t", 100, RD_KAFKA_RESP_ERR__TIMED_OUT, 0);
  CHECK_LOG("t 100; - 2000; ");
  /* Three in a row, of which none answers; an answer in between starts the count again. */
  for (int round = 0; round < 3; round++) {
    script(silence, 2);
    run_at(sleeps_until());
    CHECK_LOG("- 2000; - 2000; - 2000; ");
    check_health(UK_OK, UK_OK, "");
  }
}

/* Where no broker can be reached, the cluster is away at once. */
static void a_cluster_that_cannot_be_reached_is_away(void)
{
  static const rd_kafka_resp_err_t lost[] = {RD_KAFKA_RESP_ERR__TRANSPORT,
                                             RD_KAFKA_RESP_ERR__TRANSPORT};
  static const char reason[] = "the Kafka cluster does not answer: Local: Broker transport failure";
  script(lost, 2);
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
  CHECK_LOG("t 2000; ");
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE, reason);
  CHECK(uk_kafka_topics_has_answered(topics)); /* it did once */
  struct pending pending;
  ask(&pending, "t", 60000); /* no request is made */
  await(&pending, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
  CHECK_LOG("");
  run_at(sleeps_until() - 1);
  CHECK_LOG("");
  run_at(NOW + FULL_EVERY + CHECK_EVERY);
  CHECK_LOG("- 2000; "); /* all topics are for later */
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE, reason);
  run_at(sleeps_until());
  CHECK_LOG("- 2000; "); /* it is back */
  check_health(UK_OK, UK_OK, "");
  run_at(sleeps_until());
  CHECK_LOG("* 2000; ");
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK_EQ_STR(fake.alarms, "the Kafka cluster does not answer: Local: Broker transport failure; "
                            "the Kafka cluster answers again; ");
}

/* Silence after that is absence at once. */
static void a_cluster_that_is_away_stays_so_while_it_is_silent(void)
{
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__TRANSPORT,
                                              RD_KAFKA_RESP_ERR__TIMED_OUT};
  script(codes, 2);
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
  fake.log[0] = '\0';
  int64_t now = sleeps_until();
  run_at(now);
  CHECK_LOG("- 2000; ");
  CHECK_EQ_INT(sleeps_until(), now + CHECK_EVERY);
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE,
               "the Kafka cluster does not answer: Local: Broker transport failure");
}

/* Errors of connections. */

static void a_lost_connection_is_checked_at_once_and_briefly(void)
{
  report(RD_KAFKA_RESP_ERR__TRANSPORT, "broker 1: hung up");
  CHECK_LOG("- 300; ");
  check_health(UK_OK, UK_OK, "");
  report(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "2/2 brokers are down"); /* says less */
  CHECK_LOG("");
  report(RD_KAFKA_RESP_ERR__TRANSPORT, NULL); /* not an error */
  CHECK_LOG("");
}

/* Also when librdkafka reports several errors at once, the one that says least first, and when it
 * is time to ask for all topics: the brief request is for none. */
static void each_error_of_a_connection_is_heard(void)
{
  atomic_store(&fake.now, NOW + FULL_EVERY);
  pthread_mutex_lock(&mutex);
  fake.errors[fake.error_count++] =
    (struct error_event){RD_KAFKA_RESP_ERR__TRANSPORT, "broker 1: hung up"};
  pthread_mutex_unlock(&mutex);
  report(RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, "2/2 brokers are down");
  CHECK_LOG("- 300; ");
}

/* A broker that is silent was reached. */
static void silence_is_not_being_cut_off(void)
{
  static const rd_kafka_resp_err_t once[] = {RD_KAFKA_RESP_ERR__TIMED_OUT};
  struct pending pending;
  script(once, 1);
  pthread_mutex_lock(&mutex);
  fake.gate_closed = true;
  fake.passes = 1;
  pthread_mutex_unlock(&mutex);
  ask(&pending, "t", 60000);
  CHECK_EVENTUALLY(is_logged("t 2000; t 2000; "));
  check_health(UK_OK, UK_OK, "");
  open_gate();
  await(&pending, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
}

/* Until that is decided, "no records" may be wrong. */
static void a_cluster_that_is_cut_off_is_not_away_yet(void)
{
  static const rd_kafka_resp_err_t lost[] = {RD_KAFKA_RESP_ERR__TRANSPORT,
                                             RD_KAFKA_RESP_ERR__TRANSPORT};
  static const char reason[] = "the Kafka cluster does not answer: broker 1: hung up";
  script(lost, 2);
  fake.gate_closed = true;
  pthread_mutex_lock(&mutex);
  fake.errors[fake.error_count++] =
    (struct error_event){RD_KAFKA_RESP_ERR__TRANSPORT, "broker 1: hung up"};
  pthread_mutex_unlock(&mutex);
  int sleeps = atomic_load(&fake.sleeps);
  fake.wake(NULL, fake.opaque);
  pthread_mutex_lock(&mutex);
  fake.gate_closed = false;
  pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&mutex);
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > sleeps);
  CHECK_LOG("- 300; - 2000; "); /* the brief request does not decide; the next one does */
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE, reason);
  /* Errors of other brokers do not hurry the request that decides. */
  report(RD_KAFKA_RESP_ERR__TRANSPORT, "broker 2: hung up");
  CHECK_LOG("");
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE,
               "the Kafka cluster does not answer: broker 2: hung up");
}

static void a_brief_loss_is_only_a_doubt(void)
{
  static const rd_kafka_resp_err_t once[] = {RD_KAFKA_RESP_ERR__TRANSPORT};
  script(once, 1);
  report(RD_KAFKA_RESP_ERR__TRANSPORT, "broker 1: hung up");
  CHECK_LOG("- 300; - 2000; ");
  check_health(UK_OK, UK_OK, "");
  script(once, 1); /* what went wrong before the last answer is no reason */
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
  check_health(UK_E_UNAVAILABLE, UK_E_UNAVAILABLE,
               "the Kafka cluster does not answer: Local: Broker transport failure");
}

/* While the request that decides is under way, errors of other brokers do not hurry it. */
static void until_that_is_decided_it_is_cut_off(void)
{
  static const rd_kafka_resp_err_t once[] = {RD_KAFKA_RESP_ERR__TRANSPORT};
  script(once, 1);
  pthread_mutex_lock(&mutex);
  fake.gate_closed = fake.errors_follow = true;
  fake.passes = 1;
  fake.errors[fake.error_count++] =
    (struct error_event){RD_KAFKA_RESP_ERR__TRANSPORT, "broker 1: hung up"};
  pthread_mutex_unlock(&mutex);
  int sleeps = atomic_load(&fake.sleeps);
  fake.wake(NULL, fake.opaque);
  CHECK_EVENTUALLY(is_logged("- 2000; "));
  check_health(UK_OK, UK_E_UNAVAILABLE, "the Kafka cluster does not answer: broker 3: hung up");
  pthread_mutex_lock(&mutex);
  fake.gate_closed = false;
  pthread_cond_broadcast(&opened);
  pthread_mutex_unlock(&mutex);
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > sleeps);
  pthread_mutex_lock(&mutex);
  CHECK(strncmp(fake.log, "- 300; - 2000; ", strlen("- 300; - 2000; ")) == 0);
  pthread_mutex_unlock(&mutex);
  check_health(UK_OK, UK_OK, "");
}

/* Refreshing. */

static void a_topic_is_refreshed_after_five_seconds(void)
{
  ask_alone("t", 60000, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  CHECK_LOG("t 2000; ");
  atomic_store(&fake.now, NOW + UK_KAFKA_REFRESH - 1);
  uk_kafka_topics_refresh(topics, uk_slice_text("t"));
  uk_kafka_topics_refresh(topics, uk_slice_text("u")); /* not known */
  CHECK_LOG("");
  fake.partitions = 4;
  atomic_store(&fake.now, NOW + UK_KAFKA_REFRESH);
  int sleeps = atomic_load(&fake.sleeps);
  uk_kafka_topics_refresh(topics, uk_slice_text("t"));
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > sleeps);
  pthread_mutex_lock(&mutex);
  CHECK(strncmp(fake.log, "t 2000; ", 8) == 0);
  fake.log[0] = '\0';
  pthread_mutex_unlock(&mutex);
  CHECK_EQ_INT(known("t"), 4);
  sleeps = atomic_load(&fake.sleeps);
  uk_kafka_topics_refresh(topics, uk_slice_text("t")); /* it was just reported */
  uk_kafka_topics_forget(topics, uk_slice_text("t"));
  CHECK_EQ_INT(known("t"), 0);
  CHECK_EQ_INT(atomic_load(&fake.sleeps), sleeps);
}

/* Ending. */

/* Opens the gate once the topics refuse queries, because they are stopping. */
static void *open_at_the_end(void *unused)
{
  static struct pending tries[5000];
  (void)unused;
  for (size_t i = 0; i < 5000; i++) {
    const struct timespec pause = {0, 1000000};
    ask(&tries[i], "v", 60000);
    if (atomic_load(&tries[i].dones) > 0)
      break;
    nanosleep(&pause, NULL);
  }
  open_gate();
  return NULL;
}

static void what_is_asked_at_the_end_is_answered(void)
{
  struct pending busy, waits;
  pthread_t opener;
  fake.gate_closed = true;
  ask(&busy, "t", 60000);
  CHECK_EVENTUALLY(is_logged("t 2000; "));
  ask(&waits, "u", 60000);
  REQUIRE(pthread_create(&opener, NULL, open_at_the_end, NULL) == 0);
  uk_kafka_topics_stop(topics);
  pthread_join(opener, NULL);
  fake.joins--;
  await(&busy, RD_KAFKA_RESP_ERR_NO_ERROR, 3);
  await(&waits, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
  CHECK_LOG("t 2000; ");
  ask(&waits, "u", 60000); /* nor does anybody wait after the end */
  await(&waits, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
}

/* Each case has its own topics, and leaves nothing behind. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  atomic_store(&fake.now, NOW);
  fake.partitions = 3;
  atomic_store(&counted_seeds, 0);
  topics = uk_kafka_topics_new((rd_kafka_t *)&fake);
  REQUIRE(topics != NULL);
  CHECK_EQ_INT(counted_seeds, 3); /* of the topics, and of two sets of their names */
  CHECK_EVENTUALLY(atomic_load(&fake.sleeps) > 0);
  CHECK_LOG("* 2000; "); /* the first request is for all topics */
  current();
  uk_kafka_topics_free(topics);
  CHECK(fake.wake == NULL);
  CHECK_EQ_INT(fake.live, 0);
  CHECK_EQ_INT(fake.joins, 1);
  CHECK_EQ_INT(fake.conditions, 1); /* with the clock of its times */
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

static void is_not_made_without_a_thread(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  fake.has_no_threads = true;
  CHECK(uk_kafka_topics_new((rd_kafka_t *)&fake) == NULL);
  CHECK_EQ_INT(fake.live, 0);
  fault_at(1);
  CHECK(uk_kafka_topics_new((rd_kafka_t *)&fake) == NULL);
  fault_off();
  CHECK_EQ_INT(fault_live(), live);
}

#define RUN(test) run(#test, test)

int main(void)
{
  RUN(the_cluster_is_asked_every_two_seconds);
  RUN(the_brokers_and_groups_are_known);
  RUN(a_topic_is_asked_about_alone);
  RUN(all_topics_may_be_asked_for);
  RUN(equal_queries_are_one_request);
  RUN(a_silent_broker_is_asked_three_times);
  RUN(it_is_asked_within_the_deadline);
  RUN(a_cluster_that_cannot_be_reached_is_away);
  RUN(a_cluster_that_is_away_stays_so_while_it_is_silent);
  RUN(a_lost_connection_is_checked_at_once_and_briefly);
  RUN(each_error_of_a_connection_is_heard);
  RUN(silence_is_not_being_cut_off);
  RUN(a_cluster_that_is_cut_off_is_not_away_yet);
  RUN(a_brief_loss_is_only_a_doubt);
  RUN(until_that_is_decided_it_is_cut_off);
  RUN(a_topic_is_refreshed_after_five_seconds);
  RUN(what_is_asked_at_the_end_is_answered);
  CHECK_RUN(is_not_made_without_a_thread);
  return check_end();
}
