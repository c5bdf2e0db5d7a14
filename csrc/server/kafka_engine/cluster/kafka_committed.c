#include "server/kafka_engine/cluster/kafka_committed.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "common/clock.h"
#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum {
  IDLE_MOST = 8,     /* idle consumers, kept for the next query about their group */
  IDLE_TIME = 60000, /* milliseconds */
  SILENCE = 30000,   /* milliseconds after which a consumer that does not answer is replaced */
  PAUSE = 50,        /* milliseconds before a query is sent again */
  FIRST_SLICE = 250, /* milliseconds for the first attempt; each further one gets twice as long */
};

/* A consumer with the name of a group. */
struct group_handle {
  rd_kafka_t *handle;
  int64_t used_at;
  int64_t answered_at; /* the last time; before that, when it was opened */
  struct uk_link link; /* among those that are idle */
  char group[UK_GROUP_NAME_MAX + 1];
};

struct uk_kafka_committed {
  struct uk_kafka_committed_parts parts;
  pthread_mutex_t mutex;
  struct uk_list idle; /* the most recently used first */
};

struct query {
  struct uk_kafka_work work;
  struct uk_kafka_check check;
  struct uk_committed *operation;
  struct uk_kafka_committed *committed;
};

/* The consumers. */

static void end_handle(struct uk_kafka_committed *committed, struct group_handle *group_handle)
{
  uk_kafka_reap(committed->parts.reaper, group_handle->handle, NULL, NULL);
  free(group_handle);
}

static rd_kafka_t *open_handle(struct uk_kafka_committed *committed, const char *group)
{
  char text[UK_MESSAGE_SIZE];
  rd_kafka_conf_t *conf = uk_kafka_conf(committed->parts.settings, UK_KAFKA_COMMITTED);
  if (conf == NULL)
    return NULL;
  rd_kafka_t *handle = NULL;
  if (uk_kafka_conf_set(conf, "group.id", group))
    handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  if (handle == NULL) {
    rd_kafka_conf_destroy(conf);
    return NULL;
  }
  rd_kafka_poll_set_consumer(handle);
  return handle;
}

static struct group_handle *make_handle(struct uk_kafka_committed *committed, const char *group)
{
  struct group_handle *group_handle = calloc(1, sizeof *group_handle);
  if (group_handle == NULL)
    return NULL;
  memcpy(group_handle->group, group, strlen(group));
  group_handle->answered_at = uk_clock_monotonic();
  group_handle->handle = open_handle(committed, group);
  if (group_handle->handle != NULL)
    return group_handle;
  free(group_handle);
  return NULL;
}

/* A handle that nobody else uses, or NULL when memory runs out. */
static struct group_handle *acquire(struct uk_kafka_committed *committed, const char *group)
{
  pthread_mutex_lock(&committed->mutex);
  struct group_handle *handle = UK_LIST_FIRST(&committed->idle, struct group_handle, link);
  while (handle != NULL && strcmp(handle->group, group) != 0)
    handle = UK_LIST_NEXT(&committed->idle, handle, struct group_handle, link);
  if (handle != NULL)
    uk_list_remove(&handle->link);
  pthread_mutex_unlock(&committed->mutex);
  return handle != NULL ? handle : make_handle(committed, group);
}

/* True if the handle that has been idle for the longest is idle for too long, or is one too
 * many. */
static bool is_one_over(const struct uk_kafka_committed *committed, int64_t now)
{
  const struct group_handle *last = UK_LIST_LAST(&committed->idle, struct group_handle, link);
  return last->used_at + IDLE_TIME <= now || uk_list_count(&committed->idle) > IDLE_MOST;
}

static void end_all(struct uk_kafka_committed *committed, struct uk_list *handles)
{
  struct group_handle *handle;
  while ((handle = UK_LIST_TAKE(handles, struct group_handle, link)) != NULL)
    end_handle(committed, handle);
}

static void release(struct uk_kafka_committed *committed, struct group_handle *handle)
{
  struct uk_list over = {0};
  pthread_mutex_lock(&committed->mutex);
  handle->used_at = uk_clock_monotonic();
  uk_list_add_first(&committed->idle, &handle->link);
  while (is_one_over(committed, handle->used_at)) {
    struct uk_link *last = uk_list_last(&committed->idle);
    uk_list_remove(last);
    uk_list_add(&over, last);
  }
  pthread_mutex_unlock(&committed->mutex);
  end_all(committed, &over);
}

/* Asking. */

/* The code when memory runs out. */
static const rd_kafka_resp_err_t NO_MEMORY = RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE;

static rd_kafka_topic_partition_list_t *make_list(const struct uk_committed *operation)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)operation->count);
  for (size_t i = 0; i < operation->count; i++) {
    struct uk_kafka_name name = uk_kafka_name(operation->offsets[i].topic);
    int32_t partition = operation->offsets[i].partition;
    if (rd_kafka_topic_partition_list_find(list, name.text, partition) == NULL)
      rd_kafka_topic_partition_list_add(list, name.text, partition);
  }
  return list;
}

/* librdkafka reports what is wrong with the group itself, such as that access is forbidden, by
 * messages, not in the answer to a query. */
static rd_kafka_resp_err_t group_error(rd_kafka_t *handle)
{
  rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;
  rd_kafka_message_t *message;
  while ((message = rd_kafka_consumer_poll(handle, 0)) != NULL) {
    if (!uk_kafka_code_passes(message->err))
      code = message->err;
    rd_kafka_message_destroy(message);
  }
  return code;
}

static rd_kafka_resp_err_t ask_once(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *list,
                                    int timeout)
{
  rd_kafka_resp_err_t code = rd_kafka_committed(handle, list, timeout);
  for (int i = 0; code == RD_KAFKA_RESP_ERR_NO_ERROR && i < list->cnt; i++)
    code = list->elems[i].err;
  if (!uk_kafka_code_passes(code))
    return code;
  rd_kafka_resp_err_t reported = group_error(handle);
  return reported != RD_KAFKA_RESP_ERR_NO_ERROR ? reported : code;
}

/* Asks again while a coordinator moves. */
static rd_kafka_resp_err_t ask(rd_kafka_t *handle, rd_kafka_topic_partition_list_t *list,
                               int64_t deadline)
{
  rd_kafka_resp_err_t last = RD_KAFKA_RESP_ERR__TIMED_OUT;
  for (int slice = FIRST_SLICE;; slice *= 2) {
    int left = uk_kafka_time_left(deadline);
    rd_kafka_resp_err_t code = ask_once(handle, list, left < slice ? left : slice);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || !uk_kafka_code_passes(code))
      return code;
    if (code != RD_KAFKA_RESP_ERR__TIMED_OUT)
      last = code;
    if (deadline - uk_clock_monotonic() <= PAUSE)
      return last;
    const struct timespec pause = {0, PAUSE * 1000000};
    nanosleep(&pause, NULL);
  }
}

/* A consumer that was too slow keeps the connections that it has made: on a slow network or machine
 * another one would not get further either. librdkafka reports what is wrong with a group only
 * once, so after an error the next query gets another consumer. */
static bool may_be_asked_again(struct group_handle *handle, rd_kafka_resp_err_t code)
{
  int64_t now = uk_clock_monotonic();
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
    handle->answered_at = now;
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ||
         (uk_kafka_code_passes(code) && now - handle->answered_at < SILENCE);
}

static rd_kafka_resp_err_t read_list(struct uk_kafka_committed *committed, const char *group,
                                     rd_kafka_topic_partition_list_t *list, int64_t deadline)
{
  struct group_handle *group_handle = acquire(committed, group);
  if (group_handle == NULL)
    return NO_MEMORY;
  rd_kafka_resp_err_t code = ask(group_handle->handle, list, deadline);
  if (may_be_asked_again(group_handle, code))
    release(committed, group_handle);
  else
    end_handle(committed, group_handle);
  return code;
}

static void fill(struct uk_committed *operation, const rd_kafka_topic_partition_list_t *list)
{
  for (size_t i = 0; i < operation->count; i++) {
    struct uk_topic_partition_offset *at = &operation->offsets[i];
    struct uk_kafka_name name = uk_kafka_name(at->topic);
    const rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
      (rd_kafka_topic_partition_list_t *)(uintptr_t)list, name.text, at->partition);
    at->offset = found != NULL && found->offset >= 0 ? found->offset : -1;
  }
}

static void finish(struct query *query)
{
  struct uk_operation *operation = &query->operation->operation;
  free(query);
  operation->done(operation);
}

static void fail(struct query *query, rd_kafka_resp_err_t code)
{
  struct uk_committed *operation = query->operation;
  char detail[UK_MESSAGE_SIZE];
  if (uk_kafka_topics_health(query->committed->parts.topics, detail, sizeof detail) != UK_OK)
    uk_operation_fail(&operation->operation, UK_E_UNAVAILABLE, "%s", detail);
  else
    uk_operation_fail(&operation->operation, uk_kafka_error(code), "group \"%.*s\": %s",
                      (int)operation->group.length, operation->group.data,
                      code == RD_KAFKA_RESP_ERR__TIMED_OUT
                        ? "its coordinator did not answer in time"
                        : rd_kafka_err2str(code));
}

static void run(struct uk_kafka_work *work)
{
  struct query *query = (struct query *)work;
  struct uk_committed *operation = query->operation;
  char group[UK_GROUP_NAME_MAX + 1] = "";
  memcpy(group, operation->group.data, operation->group.length);
  rd_kafka_topic_partition_list_t *list = make_list(operation);
  work->query.code = read_list(query->committed, group, list, work->query.deadline);
  if (work->query.code == RD_KAFKA_RESP_ERR_NO_ERROR)
    fill(operation, list);
  rd_kafka_topic_partition_list_destroy(list);
}

static void answered(struct uk_kafka_query *base)
{
  struct query *query = (struct query *)base;
  if (base->code == NO_MEMORY)
    query->operation->operation.error = UK_E_NO_MEMORY;
  else if (base->code != RD_KAFKA_RESP_ERR_NO_ERROR)
    fail(query, base->code);
  finish(query);
}

static void checked(struct uk_kafka_check *check)
{
  struct query *query = (struct query *)((char *)check - offsetof(struct query, check));
  if (check->operation->error == UK_OK)
    uk_kafka_blocking_submit(query->committed->parts.blocking, &query->work);
  else
    finish(query);
}

void uk_kafka_committed_ask(struct uk_kafka_committed *committed, struct uk_committed *operation)
{
  struct query *query = calloc(1, sizeof *query);
  bool has_nul = memchr(operation->group.data, '\0', operation->group.length) != NULL;
  if (query == NULL || has_nul) {
    uk_operation_fail(&operation->operation, has_nul ? UK_E_BAD_REQUEST : UK_E_NO_MEMORY, "%s",
                      has_nul ? "group: a name without NUL expected" : "");
    free(query);
    operation->operation.done(&operation->operation);
    return;
  }
  *query = (struct query){
    .work = {.query = {.deadline = operation->operation.deadline, .then = answered}, .run = run},
    .check = {.operation = &operation->operation,
              .places = uk_kafka_places_of_offsets(operation->offsets, operation->count),
              .then = checked},
    .operation = operation,
    .committed = committed,
  };
  uk_kafka_topics_check(committed->parts.topics, &query->check);
}

/* For instances. */

static void read_for(struct uk_kafka_work *work)
{
  struct uk_kafka_committed_query *query = (struct uk_kafka_committed_query *)work;
  work->query.code = read_list(query->committed, query->group, query->list, work->query.deadline);
}

void uk_kafka_committed_read(struct uk_kafka_committed *committed,
                             struct uk_kafka_committed_query *query)
{
  query->committed = committed;
  query->work.run = read_for;
  uk_kafka_blocking_submit(committed->parts.group_blocking, &query->work);
}

/* Life. */

struct uk_kafka_committed *uk_kafka_committed_new(const struct uk_kafka_committed_parts *parts)
{
  struct uk_kafka_committed *committed = calloc(1, sizeof *committed);
  if (committed == NULL)
    return NULL;
  committed->parts = *parts;
  pthread_mutex_init(&committed->mutex, NULL);
  return committed;
}

void uk_kafka_committed_free(struct uk_kafka_committed *committed)
{
  end_all(committed, &committed->idle);
  pthread_mutex_destroy(&committed->mutex);
  free(committed);
}
