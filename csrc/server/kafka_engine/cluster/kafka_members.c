#include "server/kafka_engine/cluster/kafka_members.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/kafka_engine/rd/kafka_query.h"

enum { HINTS = 256, QUERY_TIMEOUT = 2000 }; /* milliseconds for one broker, which may be down */

/* The query to one broker: the opaque of librdkafka's request. */
struct broker_query {
  struct uk_kafka_member_query *query; /* NULL: another broker has answered */
  int32_t broker;
  struct uk_link link;
};

struct uk_kafka_members {
  struct uk_kafka_task task;
  rd_kafka_t *control;
  struct uk_kafka_topics *topics;
  rd_kafka_queue_t *queue;
  pthread_mutex_t mutex;  /* of all below */
  struct uk_list queries; /* that are not answered yet */
  int32_t hints[HINTS];   /* by the group's hash: the broker that coordinates it; -1: not known */
  bool ending;
};

static int32_t *hint_of(struct uk_kafka_members *members, const char *group)
{
  return &members->hints[uk_kafka_hash(uk_slice_text(group), 0) % HINTS];
}

/* Asking. */

static bool ask_broker(struct uk_kafka_members *members, struct uk_kafka_member_query *query,
                       int32_t broker)
{
  struct broker_query *sent = malloc(sizeof *sent);
  char text[64];
  if (sent == NULL)
    return false;
  *sent = (struct broker_query){.query = query, .broker = broker};
  uk_list_add(&members->queries, &sent->link);
  query->asked++;
  rd_kafka_AdminOptions_t *options =
    rd_kafka_AdminOptions_new(members->control, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
  int left = uk_kafka_time_left(query->query.deadline);
  rd_kafka_AdminOptions_set_request_timeout(options, left < QUERY_TIMEOUT ? left : QUERY_TIMEOUT,
                                            text, sizeof text);
  rd_kafka_AdminOptions_set_broker(options, broker, text, sizeof text);
  rd_kafka_AdminOptions_set_opaque(options, sent);
  rd_kafka_DescribeConsumerGroups(members->control, (const char **)&query->group, 1, options,
                                  members->queue);
  rd_kafka_AdminOptions_destroy(options);
  return true;
}

/* False if no broker could be asked. The mutex is held. */
static bool ask_all(struct uk_kafka_members *members, struct uk_kafka_member_query *query)
{
  int32_t brokers[UK_KAFKA_BROKERS_MAX];
  size_t count = uk_kafka_topics_brokers(members->topics, brokers);
  for (size_t i = 0; i < count; i++)
    (void)ask_broker(members, query, brokers[i]);
  return query->asked > 0;
}

void uk_kafka_members_ask(struct uk_kafka_members *members, struct uk_kafka_member_query *query)
{
  query->members = members;
  query->asked = 0;
  query->live = false;
  query->holds = query->group_holds = NULL;
  query->query.code = RD_KAFKA_RESP_ERR__WAIT_COORD;
  pthread_mutex_lock(&members->mutex);
  int32_t broker = *hint_of(members, query->group);
  bool asked = !members->ending &&
               ((broker >= 0 && ask_broker(members, query, broker)) || ask_all(members, query));
  pthread_mutex_unlock(&members->mutex);
  if (!asked)
    query->query.then(&query->query);
}

/* Answers. */

/* NULL when the answer does not say. */
static const rd_kafka_topic_partition_list_t *held_by(const rd_kafka_MemberDescription_t *member)
{
  const rd_kafka_MemberAssignment_t *assignment = rd_kafka_MemberDescription_assignment(member);
  return assignment != NULL ? rd_kafka_MemberAssignment_partitions(assignment) : NULL;
}

static void fill_whole(struct uk_kafka_member_query *query,
                       const rd_kafka_ConsumerGroupDescription_t *description)
{
  size_t count = rd_kafka_ConsumerGroupDescription_member_count(description);
  if (rd_kafka_ConsumerGroupDescription_state(description) != RD_KAFKA_CONSUMER_GROUP_STATE_STABLE)
    return;
  query->group_holds = rd_kafka_topic_partition_list_new(0);
  for (size_t i = 0; i < count; i++) {
    const rd_kafka_topic_partition_list_t *holds =
      held_by(rd_kafka_ConsumerGroupDescription_member(description, i));
    for (int j = 0; holds != NULL && j < holds->cnt; j++)
      rd_kafka_topic_partition_list_add(query->group_holds, holds->elems[j].topic,
                                        holds->elems[j].partition);
  }
}

static void fill(struct uk_kafka_member_query *query,
                 const rd_kafka_ConsumerGroupDescription_t *description)
{
  size_t count = rd_kafka_ConsumerGroupDescription_member_count(description);
  query->query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
  if (query->whole)
    fill_whole(query, description);
  for (size_t i = 0; i < count; i++) {
    const rd_kafka_MemberDescription_t *member =
      rd_kafka_ConsumerGroupDescription_member(description, i);
    const char *instance = rd_kafka_MemberDescription_group_instance_id(member);
    if (instance == NULL || strcmp(instance, query->instance) != 0)
      continue;
    const rd_kafka_topic_partition_list_t *holds = held_by(member);
    query->live = true;
    query->holds = holds != NULL ? rd_kafka_topic_partition_list_copy(holds) : NULL;
    snprintf(query->member, sizeof query->member, "%s",
             rd_kafka_MemberDescription_consumer_id(member));
  }
}

static const rd_kafka_ConsumerGroupDescription_t *description_in(rd_kafka_event_t *event,
                                                                 rd_kafka_resp_err_t *code)
{
  size_t count = 0;
  *code = rd_kafka_event_error(event);
  const rd_kafka_DescribeConsumerGroups_result_t *result =
    rd_kafka_event_DescribeConsumerGroups_result(event);
  if (*code != RD_KAFKA_RESP_ERR_NO_ERROR || result == NULL)
    return NULL;
  const rd_kafka_ConsumerGroupDescription_t **groups =
    rd_kafka_DescribeConsumerGroups_result_groups(result, &count);
  if (count != 1) {
    *code = RD_KAFKA_RESP_ERR__BAD_MSG;
    return NULL;
  }
  const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
  if (error != NULL)
    *code = rd_kafka_error_code(error);
  return error == NULL ? groups[0] : NULL;
}

/* A timeout outranks NOT_COORDINATOR. */
static void note_failure(struct uk_kafka_member_query *query, rd_kafka_resp_err_t code)
{
  if (query->query.code == RD_KAFKA_RESP_ERR__WAIT_COORD || code == RD_KAFKA_RESP_ERR__TIMED_OUT)
    query->query.code = code;
}

/* Drops the query from what other brokers were asked. The mutex is held. */
static void drop_others(struct uk_kafka_members *members, const struct uk_kafka_member_query *query)
{
  struct broker_query *sent = UK_LIST_FIRST(&members->queries, struct broker_query, link);
  for (; sent != NULL; sent = UK_LIST_NEXT(&members->queries, sent, struct broker_query, link)) {
    if (sent->query == query)
      sent->query = NULL;
  }
}

static bool is_of_coordinators(rd_kafka_resp_err_t code)
{
  return code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
         code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE;
}

/* Returns the query once it is answered. The mutex is held. */
static struct uk_kafka_member_query *take_answer(struct uk_kafka_members *members,
                                                 struct broker_query *sent, rd_kafka_event_t *event)
{
  struct uk_kafka_member_query *query = sent->query;
  rd_kafka_resp_err_t code;
  const rd_kafka_ConsumerGroupDescription_t *description = description_in(event, &code);
  uk_list_remove(&sent->link);
  if (query == NULL)
    return NULL;
  int32_t *hint = hint_of(members, query->group);
  query->asked--;
  if (description != NULL) {
    *hint = sent->broker;
    drop_others(members, query);
    fill(query, description);
    return query;
  }
  note_failure(query, code);
  bool was_hint = *hint == sent->broker;
  if (was_hint)
    *hint = -1;
  if (query->asked > 0 || (was_hint && ask_all(members, query)))
    return NULL;
  if (is_of_coordinators(query->query.code) && uk_kafka_topics_groupless(members->topics))
    query->query.code =
      RD_KAFKA_RESP_ERR_NO_ERROR; /* where no group exists, no instance is a member */
  return query;
}

static void run(struct uk_kafka_task *task, int64_t now)
{
  struct uk_kafka_members *members = (struct uk_kafka_members *)task;
  rd_kafka_event_t *event;
  (void)now;
  while ((event = rd_kafka_queue_poll(members->queue, 0)) != NULL) {
    struct broker_query *sent = rd_kafka_event_opaque(event);
    struct uk_kafka_member_query *answered = NULL;
    if (sent != NULL) {
      pthread_mutex_lock(&members->mutex);
      answered = take_answer(members, sent, event);
      pthread_mutex_unlock(&members->mutex);
      free(sent);
    }
    rd_kafka_event_destroy(event);
    if (answered != NULL)
      answered->query.then(&answered->query);
  }
}

/* Life. */

struct uk_kafka_members *uk_kafka_members_new(rd_kafka_t *control,
                                              struct uk_kafka_executor *executor,
                                              struct uk_kafka_topics *topics)
{
  struct uk_kafka_members *members = calloc(1, sizeof *members);
  if (members == NULL)
    return NULL;
  members->control = control;
  members->topics = topics;
  for (size_t i = 0; i < HINTS; i++)
    members->hints[i] = -1;
  pthread_mutex_init(&members->mutex, NULL);
  members->queue = rd_kafka_queue_new(control);
  uk_kafka_task_init(&members->task, executor, run, NULL);
  uk_kafka_queue_watch(members->queue, &members->task);
  return members;
}

static void give_up(struct uk_kafka_members *members)
{
  struct broker_query *sent;
  while ((sent = UK_LIST_TAKE(&members->queries, struct broker_query, link)) != NULL) {
    struct uk_kafka_member_query *query = sent->query;
    free(sent);
    if (query != NULL) {
      drop_others(members, query);
      query->query.code = RD_KAFKA_RESP_ERR__DESTROY;
      query->query.then(&query->query);
    }
  }
}

void uk_kafka_members_free(struct uk_kafka_members *members)
{
  uk_kafka_queue_unwatch(members->queue);
  pthread_mutex_lock(&members->mutex);
  members->ending = true;
  pthread_mutex_unlock(&members->mutex);
  uk_kafka_task_join(&members->task);
  give_up(members);
  rd_kafka_queue_destroy(members->queue);
  pthread_mutex_destroy(&members->mutex);
  free(members);
}
