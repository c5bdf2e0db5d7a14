#include "server/kafka_engine/group/kafka_lease.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_leave.h"

enum {
  ASK_TIMEOUT = 5000, /* milliseconds */
  ASK_AHEAD = 40      /* of the end, so that one who reads all the time does not wait for it */
};

/* A query under way, which may outlive the instance. */
struct lease_query {
  struct uk_kafka_member_query membership;
  struct uk_kafka_late_answer late;
  int64_t asked_at;
  char member[UK_KAFKA_MEMBER_SIZE]; /* this server's when it asked */
  char names[];
};

static struct lease_query *query_of(struct uk_kafka_late_answer *late)
{
  return (struct lease_query *)((char *)late - offsetof(struct lease_query, late));
}

static void free_query(struct uk_kafka_late_answer *late)
{
  struct lease_query *query = query_of(late);
  if (query->membership.holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->membership.holds);
  if (query->membership.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->membership.group_holds);
  free(query);
}

static void answered(struct uk_kafka_query *query)
{
  uk_kafka_late_answer_arrive(&((struct lease_query *)query)->late);
}

void uk_kafka_lease_ask(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->lease_answer != NULL || now < instance->ask_at)
    return;
  struct lease_query *query =
    calloc(1, sizeof *query + instance->group.length + instance->name.length + 2);
  instance->ask_at = now + UK_KAFKA_LEASE;
  if (query == NULL)
    return;
  char *name = query->names + instance->group.length + 1;
  memcpy(query->names, instance->group.data, instance->group.length);
  memcpy(name, instance->name.data, instance->name.length);
  query->membership =
    (struct uk_kafka_member_query){.query = {.deadline = now + ASK_TIMEOUT, .then = answered},
                                   .group = query->names,
                                   .instance = name,
                                   .whole = instance->handle == NULL};
  query->asked_at = now;
  if (instance->handle != NULL)
    uk_kafka_instance_member(instance, query->member);
  uk_kafka_late_answer_init(&query->late, &instance->task, free_query);
  instance->lease_answer = &query->late;
  uk_kafka_members_ask(instance->groups->members, &query->membership);
}

static struct lease_query *take_answer(struct uk_kafka_instance *instance)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(&instance->lease_answer);
  return late != NULL ? query_of(late) : NULL;
}

void uk_kafka_lease_drop(struct uk_kafka_instance *instance)
{
  uk_kafka_late_answer_drop(&instance->lease_answer);
}

enum uk_kafka_first uk_kafka_lease_first(struct uk_kafka_instance *instance, int64_t now,
                                         rd_kafka_topic_partition_list_t **holds,
                                         rd_kafka_resp_err_t *code)
{
  struct lease_query *query = take_answer(instance);
  enum uk_kafka_first first = UK_KAFKA_FIRST_FREE;
  *holds = NULL;
  if (query == NULL) {
    uk_kafka_lease_ask(instance, now);
    return UK_KAFKA_FIRST_WAITS;
  }
  *code = query->membership.query.code;
  if (query->membership.live) {
    *holds = query->membership.holds;
    query->membership.holds = NULL;
    instance->group_holds = query->membership.group_holds;
    query->membership.group_holds = NULL;
    first = UK_KAFKA_FIRST_HELD;
    pthread_mutex_lock(&instance->groups->mutex);
    instance->migrates = true;
    pthread_mutex_unlock(&instance->groups->mutex);
  } else if (*code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
    instance->sure_from = instance->sure_until = INT64_MAX;
  } else if (*code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    first = UK_KAFKA_FIRST_FAILED;
  }
  /* Who does not know may have taken it over. */
  instance->taken_over = first == UK_KAFKA_FIRST_HELD || first == UK_KAFKA_FIRST_FAILED;
  uk_kafka_late_answer_release(&query->late);
  return first;
}

void uk_kafka_lease_joined(struct uk_kafka_instance *instance)
{
  int64_t now = uk_clock_monotonic();
  if (!instance->joined && instance->taken_over)
    instance->quiet_until = now + UK_KAFKA_LEASE;
  if (instance->group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(instance->group_holds);
  instance->group_holds = NULL;
  instance->joined = true;
  instance->ask_at = now;
}

/* Asking. */

static bool has_records(const struct uk_kafka_instance *instance)
{
  return instance->held.event != NULL ||
         (instance->records != NULL && rd_kafka_queue_length(instance->records) > 0);
}

bool uk_kafka_lease_is_awaited(const struct uk_kafka_instance *instance, int64_t now)
{
  return instance->joined && now >= instance->quiet_until && now >= instance->sure_until &&
         has_records(instance) &&
         uk_kafka_topics_contact(instance->groups->parts.topics, NULL, 0) == UK_OK;
}

static bool waits_for_answer(const struct uk_kafka_instance *instance, int64_t now)
{
  if (!instance->joined || instance->takeover || instance->leaves_until != 0)
    return false;
  if (instance->deletes.first != NULL)
    return instance->sure_from < instance->deletes.last->came;
  return instance->consumes.first != NULL && now >= instance->sure_until - ASK_AHEAD &&
         (has_records(instance) || !instance->consumes.last->settled);
}

static void settle(struct uk_kafka_instance *instance, int64_t asked_at)
{
  for (struct uk_kafka_request *request = instance->consumes.first; request != NULL;
       request = request->next)
    request->settled = request->settled || request->came <= asked_at;
}

static void learn(struct uk_kafka_instance *instance, const struct lease_query *query)
{
  char member[UK_KAFKA_MEMBER_SIZE];
  const struct uk_kafka_member_query *said = &query->membership;
  if (said->query.code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
    instance->sure_from = instance->sure_until = INT64_MAX;
  if (said->query.code != RD_KAFKA_RESP_ERR_NO_ERROR || query->member[0] == '\0' ||
      instance->leaves_until != 0)
    return;
  instance->ask_at = 0;
  if (said->live && strcmp(said->member, query->member) == 0) {
    instance->sure_from = query->asked_at;
    instance->sure_until = query->asked_at + UK_KAFKA_LEASE;
    settle(instance, query->asked_at);
  } else if (strcmp(uk_kafka_instance_member(instance, member), query->member) == 0) {
    instance->lost = true;
  } /* else: it has joined anew since */
}

void uk_kafka_lease_serve(struct uk_kafka_instance *instance, int64_t now)
{
  struct lease_query *query = take_answer(instance);
  if (query != NULL) {
    learn(instance, query);
    uk_kafka_late_answer_release(&query->late);
  }
  if (!instance->lost && waits_for_answer(instance, now))
    uk_kafka_lease_ask(instance, now);
}

bool uk_kafka_lease_holds(const struct uk_kafka_instance *instance, int64_t now)
{
  return now >= instance->quiet_until && now < instance->sure_until;
}
