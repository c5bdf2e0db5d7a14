#include "server/kafka_topics.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "common/thread.h"
#include "server/kafka_calls.h"
#include "server/name_table.h"

enum {
  QUERY_TIMEOUT = 2000,  /* milliseconds of one question; less where a deadline comes first */
  FULL_INTERVAL = 30000, /* between two looks at all topics that nobody asked for */
  SILENCES =
    3, /* questions in a row that a broker leaves open until the cluster is taken for away */
  REASON_SIZE = 360
};

static const char OFFSETS_TOPIC[] = "__consumer_offsets";

/* A topic in memory. */
struct topic {
  struct uk_name_node node;
  int32_t partitions;
  uint64_t seen; /* the look at all topics that it was last part of */
  int64_t said_at;
  int32_t *leaderless; /* partitions; NULL = none */
  int leaderless_count;
  char name[];
};

struct uk_kafka_topics {
  rd_kafka_t *control;
  rd_kafka_queue_t *errors; /* of the handle */
  pthread_t thread;
  bool running; /* the thread is there */

  pthread_mutex_t mutex; /* of all below */
  pthread_cond_t work;
  struct uk_name_table table;
  struct uk_kafka_lookup *first, *last; /* to be asked, in the order in which they came */
  uint64_t looks;                       /* at all topics */
  int64_t next_full, next_pulse;
  bool groupless;    /* there was no topic for the offsets of groups */
  bool heard;        /* the cluster has answered before */
  bool down;         /* the cluster does not answer */
  unsigned silences; /* questions in a row that a broker left open */
  bool stopping;
  int32_t brokers[UK_KAFKA_BROKERS_MAX];
  size_t broker_count;
  char reason[REASON_SIZE]; /* why it is down, or what went wrong since it last answered */
};

/* Memory. The mutex is held. */

static bool is_internal(struct uk_slice name)
{
  static const char *const internal[] = {OFFSETS_TOPIC, "__transaction_state",
                                         "__share_group_state", "__cluster_metadata"};
  for (size_t i = 0; i < sizeof internal / sizeof *internal; i++) {
    if (uk_slice_is(name, internal[i]))
      return true;
  }
  return false;
}

static void forget(struct uk_kafka_topics *topics, struct topic *topic)
{
  uk_name_table_remove(&topics->table, &topic->node);
  free(topic->leaderless);
  free(topic);
}

/* Without memory the topic is not remembered, and asked for again. */
static struct topic *keep(struct uk_kafka_topics *topics, struct uk_slice name, int32_t partitions)
{
  struct topic *topic = (struct topic *)uk_name_table_find(&topics->table, name);
  if (topic == NULL) {
    topic = calloc(1, sizeof *topic + name.length);
    if (topic == NULL)
      return NULL;
    memcpy(topic->name, name.data, name.length);
    topic->node.name = uk_slice_of(topic->name, name.length);
    if (!uk_name_table_add(&topics->table, &topic->node)) {
      free(topic);
      return NULL;
    }
  }
  topic->partitions = partitions;
  topic->seen = topics->looks;
  return topic;
}

static void keep_leaderless(struct topic *topic, const rd_kafka_metadata_topic_t *said)
{
  topic->said_at = uk_clock_monotonic();
  topic->leaderless_count = 0;
  free(topic->leaderless);
  topic->leaderless = NULL;
  for (int i = 0; i < said->partition_cnt; i++) {
    if (said->partitions[i].leader >= 0)
      continue;
    if (topic->leaderless == NULL)
      topic->leaderless = calloc((size_t)said->partition_cnt, sizeof *topic->leaderless);
    if (topic->leaderless != NULL)
      topic->leaderless[topic->leaderless_count++] = said->partitions[i].id;
  }
}

static void forget_unseen(struct uk_kafka_topics *topics)
{
  struct uk_name_node *node = uk_name_table_next(&topics->table, NULL);
  while (node != NULL) {
    struct topic *topic = (struct topic *)node;
    node = uk_name_table_next(&topics->table, node);
    if (topic->seen != topics->looks)
      forget(topics, topic);
  }
}

/* What the cluster said of one topic, into memory. */
static enum uk_error learn(struct uk_kafka_topics *topics, const rd_kafka_metadata_topic_t *said,
                           int32_t *partitions)
{
  struct uk_slice name = uk_slice_text(said->topic);
  enum uk_error error = uk_kafka_error(said->err);
  *partitions = said->partition_cnt;
  if (is_internal(name) || error == UK_E_BAD_REQUEST)
    error = UK_E_NOT_FOUND;
  if (said->partition_cnt > 0 && (error == UK_OK || error == UK_E_UNAVAILABLE)) {
    struct topic *kept = keep(topics, name, said->partition_cnt);
    if (kept != NULL)
      keep_leaderless(kept, said);
    return UK_OK; /* a leader that moves is not the topic's end */
  }
  struct topic *topic = (struct topic *)uk_name_table_find(&topics->table, name);
  if (topic != NULL && error == UK_E_NOT_FOUND)
    forget(topics, topic);
  return error == UK_OK ? UK_E_UNAVAILABLE : error;
}

static void learn_brokers(struct uk_kafka_topics *topics, const rd_kafka_metadata_t *said)
{
  int count = said->broker_cnt < UK_KAFKA_BROKERS_MAX ? said->broker_cnt : UK_KAFKA_BROKERS_MAX;
  for (int i = 0; i < count; i++)
    topics->brokers[i] = said->brokers[i].id;
  topics->broker_count = (size_t)count;
}

static void learn_all(struct uk_kafka_topics *topics, const rd_kafka_metadata_t *said)
{
  int32_t partitions;
  topics->looks++;
  topics->groupless = true;
  for (int i = 0; i < said->topic_cnt; i++) {
    learn(topics, &said->topics[i], &partitions);
    if (strcmp(said->topics[i].topic, OFFSETS_TOPIC) == 0)
      topics->groupless = false;
  }
  forget_unseen(topics);
  topics->next_full = uk_clock_monotonic() + FULL_INTERVAL;
}

/* That no broker can be reached is said at once. One that is reached and does not answer may be the only one that is
 * paused: it is left, and another one asked. */
static void note(struct uk_kafka_topics *topics, rd_kafka_resp_err_t code)
{
  topics->next_pulse = uk_clock_monotonic() + UK_KAFKA_PULSE;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    topics->heard = true;
    topics->down = false;
    topics->silences = 0;
    topics->reason[0] = '\0';
    return;
  }
  if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && ++topics->silences < SILENCES && !topics->down) {
    topics->next_pulse = uk_clock_monotonic();
    return;
  }
  topics->down = true;
  if (topics->reason[0] == '\0')
    snprintf(topics->reason, sizeof topics->reason, "%s", rd_kafka_err2str(code));
}

/* Asking. Without the mutex while librdkafka waits. */

/* What librdkafka says is wrong with its connections. How many brokers are down says less than why the last one is. */
static void listen_to_errors(struct uk_kafka_topics *topics)
{
  rd_kafka_event_t *event;
  while ((event = rd_kafka_queue_poll(topics->errors, 0)) != NULL) {
    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR &&
        rd_kafka_event_error(event) != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
      pthread_mutex_lock(&topics->mutex);
      snprintf(topics->reason, sizeof topics->reason, "%s", rd_kafka_event_error_string(event));
      pthread_mutex_unlock(&topics->mutex);
    }
    rd_kafka_event_destroy(event);
  }
}

static rd_kafka_resp_err_t ask(struct uk_kafka_topics *topics, struct uk_slice name, bool all,
                               int timeout, const rd_kafka_metadata_t **said)
{
  struct uk_kafka_name text = uk_kafka_name(name);
  rd_kafka_topic_t *topic = NULL;
  if (name.length > 0 && (topic = rd_kafka_topic_new(topics->control, text.text, NULL)) == NULL)
    return rd_kafka_last_error();
  rd_kafka_resp_err_t code = rd_kafka_metadata(topics->control, all, topic, said, timeout);
  if (topic != NULL)
    rd_kafka_topic_destroy(topic);
  listen_to_errors(topics);
  pthread_mutex_lock(&topics->mutex);
  if (code != RD_KAFKA_RESP_ERR__TIMED_OUT || timeout == QUERY_TIMEOUT)
    note(topics, code); /* a question that was cut short says nothing of the cluster */
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    learn_brokers(topics, *said);
  pthread_mutex_unlock(&topics->mutex);
  return code;
}

/* Asks again what a broker left open, while there is time. */
static rd_kafka_resp_err_t insist(struct uk_kafka_topics *topics, struct uk_slice name,
                                  int64_t deadline, const rd_kafka_metadata_t **said)
{
  rd_kafka_resp_err_t code;
  int left = uk_kafka_time_left(deadline);
  for (int attempts = 1;; attempts++) {
    code = ask(topics, name, name.length == 0, left < QUERY_TIMEOUT ? left : QUERY_TIMEOUT, said);
    left = uk_kafka_time_left(deadline);
    if (code != RD_KAFKA_RESP_ERR__TIMED_OUT || left <= 1 || attempts == SILENCES)
      return code;
  }
}

/* Takes out what asks for the same as the first, in their order, and finds the earliest of their deadlines. */
static struct uk_kafka_lookup *take_alike(struct uk_kafka_topics *topics, int64_t *deadline)
{
  struct uk_kafka_lookup *taken = NULL, **end = &taken, **link = &topics->first;
  struct uk_slice name = topics->first->topic;
  topics->last = NULL;
  *deadline = INT64_MAX;
  while (*link != NULL) {
    struct uk_kafka_lookup *lookup = *link;
    if (uk_slice_equal(lookup->topic, name)) {
      *deadline = lookup->deadline < *deadline ? lookup->deadline : *deadline;
      *link = lookup->next;
      lookup->next = NULL;
      *end = lookup;
      end = &lookup->next;
    } else {
      topics->last = lookup;
      link = &lookup->next;
    }
  }
  return taken;
}

static void answer(struct uk_kafka_lookup *lookup, enum uk_error error, int32_t partitions)
{
  while (lookup != NULL) {
    struct uk_kafka_lookup *next = lookup->next;
    lookup->error = error;
    lookup->partitions = partitions;
    lookup->then(lookup);
    lookup = next;
  }
}

/* The mutex is held before and after. */
static void look(struct uk_kafka_topics *topics)
{
  int64_t deadline;
  struct uk_kafka_lookup *alike = take_alike(topics, &deadline);
  struct uk_slice name = alike->topic;
  const rd_kafka_metadata_t *said = NULL;
  enum uk_error error = UK_E_UNAVAILABLE;
  int32_t partitions = 0;
  pthread_mutex_unlock(&topics->mutex);
  rd_kafka_resp_err_t code = insist(topics, name, deadline, &said);
  pthread_mutex_lock(&topics->mutex);
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    error = uk_kafka_error(code);
  } else if (name.length == 0) {
    learn_all(topics, said);
    error = UK_OK;
  } else if (said->topic_cnt == 1) {
    error = learn(topics, &said->topics[0], &partitions);
  }
  pthread_mutex_unlock(&topics->mutex);
  if (said != NULL)
    rd_kafka_metadata_destroy(said);
  answer(alike, error, partitions);
  pthread_mutex_lock(&topics->mutex);
}

/* What nobody asked for: whether the cluster is there, and at times what topics it has. */
static void feel_pulse(struct uk_kafka_topics *topics)
{
  bool full = !topics->down && uk_clock_monotonic() >= topics->next_full;
  const rd_kafka_metadata_t *said = NULL;
  pthread_mutex_unlock(&topics->mutex);
  rd_kafka_resp_err_t code = ask(topics, (struct uk_slice){0}, full, QUERY_TIMEOUT, &said);
  pthread_mutex_lock(&topics->mutex);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR && full)
    learn_all(topics, said);
  if (said != NULL)
    rd_kafka_metadata_destroy(said);
}

static void *run(void *argument)
{
  struct uk_kafka_topics *topics = argument;
  pthread_mutex_lock(&topics->mutex);
  while (!topics->stopping) {
    int64_t until = topics->next_pulse;
    if (topics->first != NULL) {
      look(topics);
    } else if (uk_clock_monotonic() >= until) {
      feel_pulse(topics);
    } else {
      uk_condition_wait(&topics->work, &topics->mutex, until);
    }
  }
  pthread_mutex_unlock(&topics->mutex);
  return NULL;
}

void uk_kafka_topics_look(struct uk_kafka_topics *topics, struct uk_kafka_lookup *lookup)
{
  lookup->next = NULL;
  pthread_mutex_lock(&topics->mutex);
  bool refused = topics->down || topics->stopping;
  if (!refused) {
    if (topics->last != NULL)
      topics->last->next = lookup;
    else
      topics->first = lookup;
    topics->last = lookup;
    pthread_cond_signal(&topics->work);
  }
  pthread_mutex_unlock(&topics->mutex);
  if (refused)
    answer(lookup, UK_E_UNAVAILABLE, 0);
}

/* What is in memory. */

void uk_kafka_topics_remember(struct uk_kafka_topics *topics, struct uk_slice name,
                              int32_t partitions)
{
  pthread_mutex_lock(&topics->mutex);
  keep(topics, name, partitions);
  pthread_mutex_unlock(&topics->mutex);
}

int32_t uk_kafka_topics_partitions(struct uk_kafka_topics *topics, struct uk_slice name)
{
  pthread_mutex_lock(&topics->mutex);
  const struct topic *topic = (struct topic *)uk_name_table_find(&topics->table, name);
  int32_t partitions = topic != NULL ? topic->partitions : 0;
  pthread_mutex_unlock(&topics->mutex);
  return partitions;
}

bool uk_kafka_topics_leaderless(struct uk_kafka_topics *topics, struct uk_slice name,
                                int32_t partition)
{
  bool found = false;
  pthread_mutex_lock(&topics->mutex);
  const struct topic *topic = (struct topic *)uk_name_table_find(&topics->table, name);
  for (int i = 0; topic != NULL && !found && i < topic->leaderless_count; i++)
    found = topic->leaderless[i] == partition;
  pthread_mutex_unlock(&topics->mutex);
  return found;
}

/* A question whose answer is only for memory. */
struct refresh {
  struct uk_kafka_lookup lookup;
  struct uk_kafka_name name;
};

static void refreshed(struct uk_kafka_lookup *lookup)
{
  free(lookup);
}

void uk_kafka_topics_refresh(struct uk_kafka_topics *topics, struct uk_slice name)
{
  int64_t now = uk_clock_monotonic();
  pthread_mutex_lock(&topics->mutex);
  const struct topic *topic = (struct topic *)uk_name_table_find(&topics->table, name);
  bool fresh = topic == NULL || topic->said_at + UK_KAFKA_REFRESH > now;
  pthread_mutex_unlock(&topics->mutex);
  struct refresh *refresh = fresh ? NULL : calloc(1, sizeof *refresh);
  if (refresh == NULL)
    return;
  refresh->name = uk_kafka_name(name);
  refresh->lookup = (struct uk_kafka_lookup){
    .topic = uk_slice_text(refresh->name.text), .deadline = now + QUERY_TIMEOUT, .then = refreshed};
  uk_kafka_topics_look(topics, &refresh->lookup);
}

void uk_kafka_topics_forget(struct uk_kafka_topics *topics, struct uk_slice name)
{
  pthread_mutex_lock(&topics->mutex);
  struct topic *topic = (struct topic *)uk_name_table_find(&topics->table, name);
  if (topic != NULL)
    forget(topics, topic);
  pthread_mutex_unlock(&topics->mutex);
}

static int by_name(const void *a, const void *b)
{
  return uk_name_order((*(struct topic *const *)a)->node.name,
                       (*(struct topic *const *)b)->node.name);
}

bool uk_kafka_topics_each(struct uk_kafka_topics *topics,
                          void (*each)(void *argument, struct uk_slice topic, int32_t partitions),
                          void *argument)
{
  size_t count = 0;
  pthread_mutex_lock(&topics->mutex);
  struct topic **sorted = calloc(topics->table.count + 1, sizeof *sorted);
  struct uk_name_node *node = uk_name_table_next(&topics->table, NULL);
  for (; sorted != NULL && node != NULL; node = uk_name_table_next(&topics->table, node))
    sorted[count++] = (struct topic *)node;
  if (count > 0)
    qsort(sorted, count, sizeof *sorted, by_name);
  for (size_t i = 0; i < count; i++)
    each(argument, sorted[i]->node.name, sorted[i]->partitions);
  pthread_mutex_unlock(&topics->mutex);
  free(sorted);
  return sorted != NULL;
}

size_t uk_kafka_topics_brokers(struct uk_kafka_topics *topics, int32_t *brokers)
{
  pthread_mutex_lock(&topics->mutex);
  size_t count = topics->broker_count;
  memcpy(brokers, topics->brokers, count * sizeof *brokers);
  pthread_mutex_unlock(&topics->mutex);
  return count;
}

bool uk_kafka_topics_groupless(struct uk_kafka_topics *topics)
{
  pthread_mutex_lock(&topics->mutex);
  bool groupless = topics->groupless;
  pthread_mutex_unlock(&topics->mutex);
  return groupless;
}

enum uk_error uk_kafka_topics_health(struct uk_kafka_topics *topics, char *detail, size_t size)
{
  pthread_mutex_lock(&topics->mutex);
  bool down = topics->down;
  if (down)
    snprintf(detail, size, "the Kafka cluster does not answer: %s", topics->reason);
  pthread_mutex_unlock(&topics->mutex);
  return down ? UK_E_UNAVAILABLE : UK_OK;
}

bool uk_kafka_topics_heard(struct uk_kafka_topics *topics)
{
  pthread_mutex_lock(&topics->mutex);
  bool heard = topics->heard;
  pthread_mutex_unlock(&topics->mutex);
  return heard;
}

/* Life. */

struct uk_kafka_topics *uk_kafka_topics_new(rd_kafka_t *control)
{
  struct uk_kafka_topics *topics = calloc(1, sizeof *topics);
  if (topics == NULL)
    return NULL;
  topics->control = control;
  topics->errors = rd_kafka_queue_get_main(control);
  uk_name_table_init(&topics->table, uk_name_table_seed());
  uk_condition_init(&topics->work);
  pthread_mutex_init(&topics->mutex, NULL);
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
  answer(topics->first, UK_E_UNAVAILABLE, 0);
  topics->first = topics->last = NULL;
}

void uk_kafka_topics_free(struct uk_kafka_topics *topics)
{
  struct uk_name_node *node;
  uk_kafka_topics_stop(topics);
  while ((node = uk_name_table_next(&topics->table, NULL)) != NULL)
    forget(topics, (struct topic *)node);
  uk_name_table_free(&topics->table);
  rd_kafka_queue_destroy(topics->errors);
  pthread_cond_destroy(&topics->work);
  pthread_mutex_destroy(&topics->mutex);
  free(topics);
}
