#include "server/kafka_engine/group/kafka_request_queue.h"

#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_commits.h"
#include "server/kafka_engine/group/kafka_poll_diagnosis.h"
#include "server/kafka_engine/group/kafka_lease.h"
#include "server/kafka_engine/group/kafka_rebalance.h"

enum {
  BREAK = 1000, /* milliseconds without a request after which waiting begins anew */
  GRACE = 1000  /* milliseconds that records wait for the coordinator's word past their deadline */
};

/* Lists. */

void uk_kafka_requests_add(struct uk_kafka_requests *requests, struct uk_kafka_request *request)
{
  request->next = NULL;
  if (requests->last != NULL)
    requests->last->next = request;
  else
    requests->first = request;
  requests->last = request;
}

struct uk_kafka_request *uk_kafka_requests_take(struct uk_kafka_requests *requests)
{
  struct uk_kafka_request *request = requests->first;
  if (request != NULL)
    requests->first = request->next;
  if (requests->first == NULL)
    requests->last = NULL;
  return request;
}

void uk_kafka_requests_remove(struct uk_kafka_requests *requests, struct uk_kafka_request *request)
{
  struct uk_kafka_request *before = NULL, **link = &requests->first;
  while (*link != request) {
    before = *link;
    link = &before->next;
  }
  *link = request->next;
  if (requests->last == request)
    requests->last = before;
}

void uk_kafka_request_done(struct uk_kafka_request *request)
{
  struct uk_operation *operation = request->operation;
  free(request);
  operation->done(operation);
}

void uk_kafka_requests_done(struct uk_kafka_requests *requests)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(requests)) != NULL)
    uk_kafka_request_done(request);
}

void uk_kafka_request_fail(struct uk_kafka_request *request, enum uk_error error, const char *text)
{
  bool late = request->kind != UK_KAFKA_CONSUME &&
              (error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT);
  if (late)
    error = request->sent ? UK_E_GATEWAY_TIMEOUT : UK_E_UNAVAILABLE;
  uk_operation_fail(request->operation, error, "%s%s", text,
                    late && request->sent ? "; it " UK_MAY_BE_DONE : "");
  uk_kafka_request_done(request);
}

void uk_kafka_requests_fail(struct uk_kafka_requests *requests, enum uk_error error,
                            const char *text)
{
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(requests)) != NULL)
    uk_kafka_request_fail(request, error, text);
}

/* Subscribing. */

static bool same_topics(const struct uk_kafka_instance *instance, const struct uk_slice *topics,
                        size_t count)
{
  if (!instance->subscribed || instance->topic_count != count)
    return false;
  for (size_t i = 0; i < count; i++) {
    bool found = false;
    for (size_t j = 0; !found && j < instance->topic_count; j++)
      found = uk_slice_is(topics[i], instance->topics[j].text);
    if (!found)
      return false;
  }
  return true;
}

static bool keep_topics(struct uk_kafka_instance *instance, const struct uk_slice *given,
                        size_t count)
{
  struct uk_kafka_name *topics = calloc(count + 1, sizeof *topics);
  if (topics == NULL)
    return false;
  for (size_t i = 0; i < count; i++)
    topics[i] = uk_kafka_name(given[i]);
  pthread_mutex_lock(&instance->groups->mutex);
  free(instance->topics);
  instance->topics = topics;
  instance->topic_count = count;
  pthread_mutex_unlock(&instance->groups->mutex);
  return true;
}

/* Subscribes to what is kept. */
static rd_kafka_resp_err_t subscribe(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list =
    rd_kafka_topic_partition_list_new((int)instance->topic_count);
  for (size_t i = 0; i < instance->topic_count; i++)
    rd_kafka_topic_partition_list_add(list, instance->topics[i].text, RD_KAFKA_PARTITION_UA);
  rd_kafka_resp_err_t code = rd_kafka_subscribe(instance->handle, list);
  rd_kafka_topic_partition_list_destroy(list);
  instance->subscribed = code == RD_KAFKA_RESP_ERR_NO_ERROR;
  return code;
}

bool uk_kafka_instance_subscribe(struct uk_kafka_instance *instance, const struct uk_slice *topics,
                                 size_t count, rd_kafka_resp_err_t *code)
{
  *code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (same_topics(instance, topics, count))
    return true;
  if (!keep_topics(instance, topics, count))
    return false;
  *code = subscribe(instance);
  return instance->subscribed;
}

/* No code: memory is out. */
static void fail_request(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                         rd_kafka_resp_err_t code)
{
  request->operation->error = UK_E_NO_MEMORY;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
    uk_kafka_fail(request->operation, code, "subscribe");
  uk_kafka_requests_remove(&instance->consumes, request);
  uk_kafka_request_done(request);
}

static void subscribe_for(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  rd_kafka_resp_err_t code;
  if (!uk_kafka_instance_subscribe(instance, consume->topics, consume->topic_count, &code))
    fail_request(instance, request, code);
}

void uk_kafka_instance_subscribe_kept(struct uk_kafka_instance *instance)
{
  rd_kafka_resp_err_t code =
    instance->topic_count > 0 ? subscribe(instance) : RD_KAFKA_RESP_ERR_NO_ERROR;
  while (code != RD_KAFKA_RESP_ERR_NO_ERROR && instance->consumes.first != NULL)
    fail_request(instance, instance->consumes.first, code);
}

/* Taking. */

/* True: the last response counts as delivered only since this request. */
static bool acknowledge(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->consumes.first == NULL && now > instance->last_request + BREAK)
    instance->asked_since = now;
  instance->last_request = now;
  if (instance->acknowledged == instance->delivery)
    return false;
  instance->acknowledged = instance->delivery;
  for (size_t i = 0; i < instance->partition_count; i++)
    instance->partitions[i].delivered = instance->partitions[i].position;
  return true;
}

static void note_created(struct uk_kafka_instance *instance, const struct uk_kafka_request *request)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  for (size_t i = 0; i < UK_TOPICS_PER_CONSUME_MAX / 64; i++) {
    for (uint64_t bits = request->created[i]; bits != 0; bits &= bits - 1) {
      (void)uk_name_set_add(&instance->created,
                            consume->topics[i * 64 + (size_t)__builtin_ctzll(bits)]);
      instance->awaits_created = true;
    }
  }
}

static void take_consume(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  const struct uk_consume *consume = (const struct uk_consume *)request->operation;
  note_created(instance, request);
  uk_kafka_requests_add(&instance->consumes, request);
  if (instance->takeover || instance->leaves_until != 0)
    return;
  if (instance->handle != NULL)
    subscribe_for(instance, request);
  else if (!keep_topics(instance, consume->topics, consume->topic_count))
    fail_request(instance, request, RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void take_commit(struct uk_kafka_instance *instance, struct uk_kafka_request *request)
{
  uk_kafka_requests_add(&instance->commits, request);
  if (!instance->takeover && instance->joined && instance->leaves_until == 0)
    uk_kafka_instance_commit_next(instance);
}

static void take(struct uk_kafka_instance *instance, struct uk_kafka_request *request, int64_t now)
{
  bool leaves = instance->leaves_until != 0;
  request->came = now;
  request->settled = !leaves && now < instance->sure_until;
  if (!leaves) {
    bool acknowledged = acknowledge(instance, now);
    /* Auto-commit commits what a deletion acknowledged also when the deletion fails. */
    request->sent =
      acknowledged && request->kind == UK_KAFKA_DELETE && instance->settings.auto_commit;
    uk_kafka_instance_auto_commit(instance, now);
  }
  if (request->kind == UK_KAFKA_CONSUME)
    take_consume(instance, request);
  else if (request->kind == UK_KAFKA_COMMIT)
    take_commit(instance, request);
  else
    uk_kafka_requests_add(&instance->deletes, request);
}

/* What was delivered to nobody is read once more. */
static void take_back(struct uk_kafka_instance *instance)
{
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
  uk_kafka_event_free(&instance->held);
  for (size_t i = 0; i < instance->partition_count; i++) {
    struct uk_kafka_assigned_partition *partition = &instance->partitions[i];
    if (!partition->assigned || partition->position < 0)
      continue;
    partition->position = partition->delivered;
    partition->ended = false;
    rd_kafka_topic_partition_list_add(list, partition->topic.text, partition->number)->offset =
      partition->position;
  }
  instance->acknowledged = instance->delivery;
  if (list->cnt > 0) {
    rd_kafka_error_t *error = rd_kafka_seek_partitions(instance->handle, list, 0);
    if (error != NULL)
      rd_kafka_error_destroy(error);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

static struct uk_kafka_requests empty_inbox(struct uk_kafka_instance *instance,
                                            uint64_t *undelivered, uint64_t *sent)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_requests came = instance->inbox;
  *undelivered = instance->undelivered;
  *sent = instance->sent;
  instance->inbox = (struct uk_kafka_requests){NULL, NULL};
  instance->undelivered = instance->sent = 0;
  pthread_mutex_unlock(&instance->groups->mutex);
  return came;
}

void uk_kafka_instance_take_inbox(struct uk_kafka_instance *instance, int64_t now)
{
  uint64_t undelivered, sent;
  struct uk_kafka_requests came = empty_inbox(instance, &undelivered, &sent);
  struct uk_kafka_request *request;
  if (sent > instance->acknowledged && sent == instance->delivery)
    instance->metadata_due = instance->settings.auto_commit;
  if (undelivered > instance->acknowledged && instance->handle != NULL &&
      instance->leaves_until == 0)
    take_back(instance);
  while ((request = uk_kafka_requests_take(&came)) != NULL)
    take(instance, request, now);
}

/* Deadlines. */

static bool is_over(const struct uk_kafka_request *request, int64_t now)
{
  return request->operation->deadline <= now;
}

static void take_expired(struct uk_kafka_requests *from, struct uk_kafka_requests *expired,
                         bool all, int64_t now)
{
  struct uk_kafka_requests left = {NULL, NULL};
  struct uk_kafka_request *request;
  while ((request = uk_kafka_requests_take(from)) != NULL)
    uk_kafka_requests_add(all || is_over(request, now) ? expired : &left, request);
  *from = left;
}

static void expire_consumes(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_requests expired = {NULL, NULL};
  struct uk_kafka_request *request;
  bool awaited = uk_kafka_lease_is_awaited(instance, now);
  take_expired(&instance->consumes, &expired, instance->groups->draining,
               awaited ? now - GRACE : now);
  if (expired.first == NULL)
    return;
  instance->fresh = false;
  instance->last_request = now; /* waiting counts as asking */
  if (awaited && !instance->groups->draining)
    uk_kafka_requests_fail(&expired, UK_E_UNAVAILABLE,
                           "the group's coordinator did not answer in time");
  while ((request = uk_kafka_requests_take(&expired)) != NULL)
    uk_kafka_instance_end_empty(instance, request, now);
}

void uk_kafka_instance_expire(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_requests expired = {NULL, NULL};
  bool stopping = instance->stops_until != 0 && now >= instance->stops_until;
  expire_consumes(instance, now);
  take_expired(&instance->commits, &expired, stopping, now);
  if (instance->leaves_until == 0)
    take_expired(&instance->deletes, &expired, stopping, now);
  uk_kafka_requests_fail(&expired, UK_E_UNAVAILABLE,
                         "the group's coordinator did not answer in time");
  for (struct uk_kafka_request *request = instance->committing.first; request != NULL;
       request = request->next) {
    struct uk_operation *operation = request->operation;
    if (operation == NULL || !(stopping || is_over(request, now)))
      continue;
    request->operation = NULL;
    uk_operation_fail(operation, UK_E_GATEWAY_TIMEOUT,
                      "commit: the group's coordinator did not answer in time; it " UK_MAY_BE_DONE);
    operation->done(operation);
  }
}

static int64_t earlier(const struct uk_kafka_requests *requests, int64_t time)
{
  for (const struct uk_kafka_request *request = requests->first; request != NULL;
       request = request->next) {
    if (request->operation != NULL && request->operation->deadline < time)
      time = request->operation->deadline;
  }
  return time;
}

int64_t uk_kafka_instance_deadline(const struct uk_kafka_instance *instance, int64_t time)
{
  int64_t consumes = earlier(&instance->consumes, INT64_MAX - GRACE);
  consumes += uk_kafka_lease_is_awaited(instance, uk_clock_monotonic()) ? GRACE : 0;
  time = consumes < time ? consumes : time;
  time = earlier(&instance->commits, time);
  time = earlier(&instance->committing, time);
  return instance->leaves_until == 0 ? earlier(&instance->deletes, time) : time;
}

/* Passing on. */

static void pass_on(struct uk_kafka_instance *instance, struct uk_kafka_request *request,
                    int64_t now)
{
  bool stale = request->kind == UK_KAFKA_CONSUME && request->settled;
  if (!stale && !is_over(request, now) && !instance->groups->draining) {
    request->moved = true;
    uk_kafka_groups_post(request);
    return;
  }
  if (request->kind != UK_KAFKA_CONSUME)
    uk_kafka_request_fail(request, UK_E_UNAVAILABLE, "the instance moved to another server");
  else
    uk_kafka_request_done(request);
}

void uk_kafka_instance_pass_on(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_requests *const lists[] = {&instance->consumes, &instance->commits,
                                             &instance->deletes};
  uint64_t undelivered, sent;
  struct uk_kafka_requests came = empty_inbox(instance, &undelivered, &sent);
  struct uk_kafka_request *request;
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
    struct uk_kafka_requests list = *lists[i];
    *lists[i] = (struct uk_kafka_requests){NULL, NULL};
    while ((request = uk_kafka_requests_take(&list)) != NULL)
      pass_on(instance, request, now);
  }
  while ((request = uk_kafka_requests_take(&came)) != NULL)
    pass_on(instance, request, now);
}
