#include "server/kafka_engine/cluster/kafka_topics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/kafka_engine/cluster/kafka_catalog.h"
#include "server/kafka_engine/rd/kafka_query.h"
#include "server/watch/error_log.h"

#define AWAY "the Kafka cluster does not answer: %s"

enum {
  QUERY_TIMEOUT = 2000,  /* milliseconds for one request; less if a deadline comes first */
  DOUBT_TIMEOUT = 300,   /* milliseconds for the first request after a connection was lost */
  FULL_INTERVAL = 30000, /* milliseconds between background requests for all topics */
  SILENCES = 3,          /* requests in a row without an answer until the cluster counts as away */
  REASON_SIZE = 360
};

struct uk_kafka_topics {
  rd_kafka_t *control;
  rd_kafka_queue_t *errors; /* of the handle */
  pthread_t thread;
  bool running; /* the thread runs */

  pthread_mutex_t mutex; /* of all below */
  pthread_cond_t work;
  struct uk_kafka_catalog catalog;
  struct uk_list queries;        /* pending, in the order in which they arrived */
  int64_t next_full, next_check; /* monotonic milliseconds */
  bool has_answered;             /* the cluster has answered before */
  bool has_errors;               /* librdkafka may have reported errors */
  bool connection_lost;          /* and nothing was asked since */
  bool cut_off;                  /* the last request reached no broker, maybe only for a moment */
  bool down;                     /* the cluster does not answer */
  unsigned silences;             /* requests in a row without an answer */
  bool stopping;
  struct uk_alarm alarm;    /* the cluster does not answer */
  char reason[REASON_SIZE]; /* why the cluster is down, or what went wrong since it last answered */
};

/* What an answer means. The mutex is held. */

static void learn_all(struct uk_kafka_topics *topics, const rd_kafka_metadata_t *metadata)
{
  uk_kafka_catalog_learn_all(&topics->catalog, metadata);
  topics->next_full = uk_clock_monotonic() + FULL_INTERVAL;
}

/* If no broker can be reached, the cluster is down at once. A broker that is reached but does not
 * answer may be the only one that is paused, so librdkafka is asked again and takes another one. */
static void record_outcome(struct uk_kafka_topics *topics, rd_kafka_resp_err_t code)
{
  topics->next_check = uk_clock_monotonic() + UK_KAFKA_CHECK_INTERVAL;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    topics->has_answered = true;
    topics->cut_off = topics->down = false;
    topics->silences = 0;
    topics->reason[0] = '\0';
    uk_alarm_clear(&topics->alarm, "the Kafka cluster answers again");
    return;
  }
  if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && ++topics->silences < SILENCES && !topics->down) {
    topics->next_check = uk_clock_monotonic();
    return;
  }
  topics->down = true;
  uk_alarm_raise(&topics->alarm, AWAY, topics->reason);
}

/* Asking. The mutex is released while librdkafka waits. */

/* Takes what librdkafka reports about its connections. "All brokers are down" says less than why
 * the last one is. */
static void take_errors(struct uk_kafka_topics *topics)
{
  rd_kafka_event_t *event;
  pthread_mutex_lock(&topics->mutex);
  topics->has_errors = false;
  pthread_mutex_unlock(&topics->mutex);
  while ((event = rd_kafka_queue_poll(topics->errors, 0)) != NULL) {
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
        rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      pthread_mutex_lock(&topics->mutex);
      snprintf(topics->reason, sizeof topics->reason, "%s", rd_kafka_event_error_string(event));
      topics->connection_lost = true;
      pthread_mutex_unlock(&topics->mutex);
    }
    rd_kafka_event_destroy(event);
  }
}

static rd_kafka_resp_err_t ask(struct uk_kafka_topics *topics, struct uk_slice name, bool all,
                               int timeout, const rd_kafka_metadata_t **metadata)
{
  struct uk_kafka_name text = uk_kafka_name(name);
  rd_kafka_topic_t *topic = NULL;
  if (name.length > 0 && (topic = rd_kafka_topic_new(topics->control, text.text, NULL)) == NULL)
    return rd_kafka_last_error();
  rd_kafka_resp_err_t code = rd_kafka_metadata(topics->control, all, topic, metadata, timeout);
  if (topic != NULL)
    rd_kafka_topic_destroy(topic);
  take_errors(topics);
  pthread_mutex_lock(&topics->mutex);
  if (code == RD_KAFKA_RESP_ERR__TRANSPORT)
    topics->cut_off = true;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR && topics->reason[0] == '\0')
    snprintf(topics->reason, sizeof topics->reason, "%s", rd_kafka_err2str(code));
  /* A request that was cut short and failed says little about the cluster: check the connection
   * next. */
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR || timeout == QUERY_TIMEOUT)
    record_outcome(topics, code);
  else
    topics->next_check = uk_clock_monotonic();
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_catalog_learn_brokers(&topics->catalog, *metadata);
  pthread_mutex_unlock(&topics->mutex);
  return code;
}

/* Asks again, within the deadline, when a broker did not answer. */
static rd_kafka_resp_err_t retry_until(struct uk_kafka_topics *topics, struct uk_slice name,
                                       int64_t deadline, const rd_kafka_metadata_t **metadata)
{
  rd_kafka_resp_err_t code;
  int left = uk_kafka_time_left(deadline);
  for (int attempts = 1;; attempts++) {
    code =
      ask(topics, name, name.length == 0, left < QUERY_TIMEOUT ? left : QUERY_TIMEOUT, metadata);
    left = uk_kafka_time_left(deadline);
    if (code != RD_KAFKA_RESP_ERR__TIMED_OUT || left <= 1 || attempts == SILENCES)
      return code;
  }
}

static struct uk_kafka_topic_query *query_of(struct uk_link *link)
{
  return (struct uk_kafka_topic_query *)UK_LIST_ENTRY(link, struct uk_kafka_query, link);
}

/* Moves the queries that ask for the same as the first to `alike`, in their order. Returns the
 * earliest of their deadlines. */
static int64_t take_alike(struct uk_kafka_topics *topics, struct uk_list *alike)
{
  struct uk_link *link = uk_list_first(&topics->queries), *next;
  struct uk_slice name = query_of(link)->topic;
  int64_t deadline = INT64_MAX;
  for (; link != NULL; link = next) {
    const struct uk_kafka_topic_query *query = query_of(link);
    next = uk_list_next(&topics->queries, link);
    if (!uk_slice_equal(query->topic, name))
      continue;
    deadline = query->query.deadline < deadline ? query->query.deadline : deadline;
    uk_list_remove(link);
    uk_list_add(alike, link);
  }
  return deadline;
}

static void answer(struct uk_kafka_topic_query *query, rd_kafka_resp_err_t code, int32_t partitions)
{
  query->query.code = code;
  query->partitions = partitions;
  query->query.then(&query->query);
}

static void answer_all(struct uk_list *queries, rd_kafka_resp_err_t code, int32_t partitions)
{
  struct uk_link *link;
  while ((link = uk_list_take(queries)) != NULL)
    answer(query_of(link), code, partitions);
}

/* The mutex is held before and after. */
static void ask_first(struct uk_kafka_topics *topics)
{
  struct uk_list alike = {0};
  int64_t deadline = take_alike(topics, &alike);
  struct uk_slice name = query_of(uk_list_first(&alike))->topic;
  const rd_kafka_metadata_t *metadata = NULL;
  int32_t partitions = 0;
  pthread_mutex_unlock(&topics->mutex);
  rd_kafka_resp_err_t code = retry_until(topics, name, deadline, &metadata);
  pthread_mutex_lock(&topics->mutex);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && name.length == 0)
    learn_all(topics, metadata);
  else if (code == RD_KAFKA_RESP_ERR_NO_ERROR && metadata->topic_cnt == 1)
    code = uk_kafka_catalog_learn(&topics->catalog, &metadata->topics[0], &partitions);
  else if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
  pthread_mutex_unlock(&topics->mutex);
  if (metadata != NULL)
    rd_kafka_metadata_destroy(metadata);
  answer_all(&alike, code, partitions);
  pthread_mutex_lock(&topics->mutex);
}

/* True when a connection was lost and the cluster still counts as well. Once it is cut off, the
 * errors of other brokers must not delay the request that decides. */
static bool must_check_now(const struct uk_kafka_topics *topics)
{
  return topics->connection_lost && !topics->cut_off && !topics->down;
}

/* Background queries: whether the cluster is up, and from time to time all its topics. */
static void check_connection(struct uk_kafka_topics *topics)
{
  bool hasty = must_check_now(topics);
  bool full = !topics->down && !hasty && uk_clock_monotonic() >= topics->next_full;
  const rd_kafka_metadata_t *metadata = NULL;
  topics->connection_lost = false;
  pthread_mutex_unlock(&topics->mutex);
  rd_kafka_resp_err_t code =
    ask(topics, (struct uk_slice){0}, full, hasty ? DOUBT_TIMEOUT : QUERY_TIMEOUT, &metadata);
  pthread_mutex_lock(&topics->mutex);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && full)
    learn_all(topics, metadata);
  if (metadata != NULL)
    rd_kafka_metadata_destroy(metadata);
}

static void drain_errors(struct uk_kafka_topics *topics)
{
  pthread_mutex_unlock(&topics->mutex);
  take_errors(topics);
  pthread_mutex_lock(&topics->mutex);
}

static void *run(void *argument)
{
  struct uk_kafka_topics *topics = argument;
  pthread_mutex_lock(&topics->mutex);
  while (!topics->stopping) {
    int64_t until = topics->next_check;
    if (!uk_list_is_empty(&topics->queries)) {
      ask_first(topics);
    } else if (topics->has_errors) {
      drain_errors(topics);
    } else if (must_check_now(topics) || uk_clock_monotonic() >= until) {
      check_connection(topics);
    } else {
      uk_condition_wait(&topics->work, &topics->mutex, until);
    }
  }
  pthread_mutex_unlock(&topics->mutex);
  return NULL;
}

static void on_error(rd_kafka_t *handle, void *opaque)
{
  struct uk_kafka_topics *topics = opaque;
  (void)handle;
  pthread_mutex_lock(&topics->mutex);
  topics->has_errors = true;
  pthread_cond_signal(&topics->work);
  pthread_mutex_unlock(&topics->mutex);
}

void uk_kafka_topics_ask(struct uk_kafka_topics *topics, struct uk_kafka_topic_query *query)
{
  pthread_mutex_lock(&topics->mutex);
  bool refused = topics->down || topics->stopping;
  if (!refused) {
    uk_list_add(&topics->queries, &query->query.link);
    pthread_cond_signal(&topics->work);
  }
  pthread_mutex_unlock(&topics->mutex);
  if (refused)
    answer(query, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
}

/* Memory. */

int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice name)
{
  pthread_mutex_lock(&topics->mutex);
  const struct uk_kafka_topic *topic = uk_kafka_catalog_find(&topics->catalog, name);
  int32_t partitions = topic != NULL ? topic->partitions : 0;
  pthread_mutex_unlock(&topics->mutex);
  return partitions;
}

bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice name,
                                int32_t partition)
{
  pthread_mutex_lock(&topics->mutex);
  const struct uk_kafka_topic *topic = uk_kafka_catalog_find(&topics->catalog, name);
  bool leaderless = topic != NULL && uk_kafka_topic_leaderless(topic, partition);
  pthread_mutex_unlock(&topics->mutex);
  return leaderless;
}

/* A query whose answer is for memory only. */
struct refresh {
  struct uk_kafka_topic_query query;
  struct uk_kafka_name name;
};

static void refreshed(struct uk_kafka_query *query)
{
  free(query);
}

void uk_kafka_topics_refresh(struct uk_kafka_topics *topics, struct uk_slice name)
{
  int64_t now = uk_clock_monotonic();
  pthread_mutex_lock(&topics->mutex);
  const struct uk_kafka_topic *topic = uk_kafka_catalog_find(&topics->catalog, name);
  bool fresh = topic == NULL || topic->reported_at + UK_KAFKA_REFRESH > now;
  pthread_mutex_unlock(&topics->mutex);
  struct refresh *refresh = fresh ? NULL : calloc(1, sizeof *refresh);
  if (refresh == NULL)
    return;
  refresh->name = uk_kafka_name(name);
  refresh->query =
    (struct uk_kafka_topic_query){.query = {.deadline = now + QUERY_TIMEOUT, .then = refreshed},
                                  .topic = uk_slice_text(refresh->name.text)};
  uk_kafka_topics_ask(topics, &refresh->query);
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice name)
{
  pthread_mutex_lock(&topics->mutex);
  uk_kafka_catalog_forget(&topics->catalog, name);
  pthread_mutex_unlock(&topics->mutex);
}

bool uk_kafka_topics_is_renewed(struct uk_kafka_topics *topics, struct uk_slice name)
{
  pthread_mutex_lock(&topics->mutex);
  bool renewed = uk_kafka_catalog_is_renewed(&topics->catalog, name);
  pthread_mutex_unlock(&topics->mutex);
  return renewed;
}

bool uk_kafka_topics_each(struct uk_kafka_topics *topics,
                          void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                          void *argument)
{
  pthread_mutex_lock(&topics->mutex);
  bool done = uk_kafka_catalog_each(&topics->catalog, each, argument);
  pthread_mutex_unlock(&topics->mutex);
  return done;
}

size_t uk_kafka_topics_brokers(struct uk_kafka_topics *topics, int32_t *brokers)
{
  pthread_mutex_lock(&topics->mutex);
  size_t count = topics->catalog.broker_count;
  memcpy(brokers, topics->catalog.brokers, count * sizeof *brokers);
  pthread_mutex_unlock(&topics->mutex);
  return count;
}

bool uk_kafka_topics_groupless(struct uk_kafka_topics *topics)
{
  pthread_mutex_lock(&topics->mutex);
  bool groupless = topics->catalog.groupless;
  pthread_mutex_unlock(&topics->mutex);
  return groupless;
}

static enum uk_error report(struct uk_kafka_topics *topics, bool or_cut_off, char *detail,
                            size_t size)
{
  pthread_mutex_lock(&topics->mutex);
  bool away = topics->down || (or_cut_off && topics->cut_off);
  if (away)
    snprintf(detail, size, AWAY, topics->reason);
  pthread_mutex_unlock(&topics->mutex);
  return away ? UK_E_UNAVAILABLE : UK_OK;
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  return report(topics, false, detail, size);
}

enum uk_error uk_kafka_topics_contact(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  return report(topics, true, detail, size);
}

bool uk_kafka_topics_has_answered(struct uk_kafka_topics *topics)
{
  pthread_mutex_lock(&topics->mutex);
  bool has_answered = topics->has_answered;
  pthread_mutex_unlock(&topics->mutex);
  return has_answered;
}

/* Life. */

struct uk_kafka_topics *uk_kafka_topics_new(rd_kafka_t *control)
{
  struct uk_kafka_topics *topics = calloc(1, sizeof *topics);
  if (topics == NULL)
    return NULL;
  topics->control = control;
  topics->errors = rd_kafka_queue_get_main(control);
  uk_kafka_catalog_init(&topics->catalog);
  uk_condition_init(&topics->work);
  pthread_mutex_init(&topics->mutex, NULL);
  rd_kafka_queue_cb_event_enable(topics->errors, on_error, topics);
  topics->running = uk_thread_start(&topics->thread, run, topics);
  if (topics->running)
    return topics;
  uk_kafka_topics_free(topics);
  return NULL;
}

void uk_kafka_topics_stop(struct uk_kafka_topics *topics)
{
  pthread_mutex_lock(&topics->mutex);
  topics->stopping = true;
  pthread_cond_signal(&topics->work);
  pthread_mutex_unlock(&topics->mutex);
  if (topics->running)
    pthread_join(topics->thread, NULL);
  topics->running = false;
  answer_all(&topics->queries, RD_KAFKA_RESP_ERR__TRANSPORT, 0);
}

void uk_kafka_topics_free(struct uk_kafka_topics *topics)
{
  uk_kafka_topics_stop(topics);
  uk_kafka_catalog_free(&topics->catalog);
  rd_kafka_queue_cb_event_enable(topics->errors, NULL, NULL);
  rd_kafka_queue_destroy(topics->errors);
  pthread_cond_destroy(&topics->work);
  pthread_mutex_destroy(&topics->mutex);
  free(topics);
}
