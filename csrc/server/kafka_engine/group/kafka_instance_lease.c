#include "server/kafka_engine/group/kafka_instance_lease.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_instance_leave.h"

enum {
  ASK_TIMEOUT = 5000, /* milliseconds */
  ASK_AHEAD = 40      /* of the end, so that one who reads all the time does not wait for it */
};

/* A question under way. Whoever comes last, the answer or the end of the instance, frees it. */
struct uk_kafka_inquiry {
  struct uk_kafka_question question;
  struct uk_kafka_groups *groups;
  struct uk_kafka_instance *instance; /* NULL: it has ended */
  bool answered;
  int64_t asked_at;
  char member[UK_KAFKA_MEMBER_SIZE]; /* this server's when it asked */
  char names[];
};

static void free_inquiry(struct uk_kafka_inquiry *inquiry)
{
  if (inquiry->question.holds != NULL)
    rd_kafka_topic_partition_list_destroy(inquiry->question.holds);
  if (inquiry->question.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(inquiry->question.group_holds);
  free(inquiry);
}

static void answered(struct uk_kafka_question *question)
{
  struct uk_kafka_inquiry *inquiry = (struct uk_kafka_inquiry *)question;
  struct uk_kafka_groups *groups = inquiry->groups;
  pthread_mutex_lock(&groups->mutex);
  bool ended = inquiry->instance == NULL;
  inquiry->answered = true;
  if (!ended)
    uk_kafka_task_wake(&inquiry->instance->task);
  pthread_mutex_unlock(&groups->mutex);
  if (ended)
    free_inquiry(inquiry);
}

void uk_kafka_lease_ask(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->inquiry != NULL || now < instance->ask_at)
    return;
  struct uk_kafka_inquiry *inquiry =
    calloc(1, sizeof *inquiry + instance->group.length + instance->name.length + 2);
  instance->ask_at = now + UK_KAFKA_LEASE;
  if (inquiry == NULL)
    return;
  char *name = inquiry->names + instance->group.length + 1;
  memcpy(inquiry->names, instance->group.data, instance->group.length);
  memcpy(name, instance->name.data, instance->name.length);
  inquiry->question = (struct uk_kafka_question){.group = inquiry->names,
                                                 .instance = name,
                                                 .whole = instance->handle == NULL,
                                                 .deadline = now + ASK_TIMEOUT,
                                                 .then = answered};
  inquiry->groups = instance->groups;
  inquiry->instance = instance;
  inquiry->asked_at = now;
  if (instance->handle != NULL)
    uk_kafka_instance_member(instance, inquiry->member);
  instance->inquiry = inquiry;
  uk_kafka_members_ask(instance->groups->members, &inquiry->question);
}

static struct uk_kafka_inquiry *take_answer(struct uk_kafka_instance *instance)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_inquiry *inquiry = instance->inquiry;
  if (inquiry != NULL && !inquiry->answered)
    inquiry = NULL;
  if (inquiry != NULL)
    instance->inquiry = NULL;
  pthread_mutex_unlock(&instance->groups->mutex);
  return inquiry;
}

void uk_kafka_lease_drop(struct uk_kafka_instance *instance)
{
  pthread_mutex_lock(&instance->groups->mutex);
  struct uk_kafka_inquiry *inquiry = instance->inquiry;
  bool over = inquiry != NULL && inquiry->answered;
  if (inquiry != NULL)
    inquiry->instance = NULL;
  instance->inquiry = NULL;
  pthread_mutex_unlock(&instance->groups->mutex);
  if (over)
    free_inquiry(inquiry);
}

enum uk_kafka_first uk_kafka_lease_first(struct uk_kafka_instance *instance, int64_t now,
                                         rd_kafka_topic_partition_list_t **holds,
                                         rd_kafka_resp_err_t *code)
{
  struct uk_kafka_inquiry *inquiry = take_answer(instance);
  enum uk_kafka_first first = UK_KAFKA_FIRST_FREE;
  *holds = NULL;
  if (inquiry == NULL) {
    uk_kafka_lease_ask(instance, now);
    return UK_KAFKA_FIRST_WAITS;
  }
  *code = inquiry->question.code;
  if (inquiry->question.live) {
    *holds = inquiry->question.holds;
    inquiry->question.holds = NULL;
    instance->group_holds = inquiry->question.group_holds;
    inquiry->question.group_holds = NULL;
    first = UK_KAFKA_FIRST_HELD;
    pthread_mutex_lock(&instance->groups->mutex);
    instance->roams = true;
    pthread_mutex_unlock(&instance->groups->mutex);
  } else if (*code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
    instance->sure_from = instance->sure_until = INT64_MAX;
  } else if (*code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    first = UK_KAFKA_FIRST_FAILED;
  }
  /* Who does not know may have taken it over. */
  instance->taken_over = first == UK_KAFKA_FIRST_HELD || first == UK_KAFKA_FIRST_FAILED;
  free_inquiry(inquiry);
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
  if (!instance->joined || instance->errand || instance->leaves_until != 0)
    return false;
  if (instance->deletes.first != NULL)
    return instance->sure_from < instance->deletes.last->came;
  return instance->turns.first != NULL && now >= instance->sure_until - ASK_AHEAD &&
         (has_records(instance) || !instance->turns.last->settled);
}

static void settle(struct uk_kafka_instance *instance, int64_t asked_at)
{
  for (struct uk_kafka_turn *turn = instance->turns.first; turn != NULL; turn = turn->next)
    turn->settled = turn->settled || turn->came <= asked_at;
}

static void learn(struct uk_kafka_instance *instance, const struct uk_kafka_inquiry *inquiry)
{
  char member[UK_KAFKA_MEMBER_SIZE];
  const struct uk_kafka_question *said = &inquiry->question;
  if (said->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
    instance->sure_from = instance->sure_until = INT64_MAX;
  if (said->code != RD_KAFKA_RESP_ERR_NO_ERROR || inquiry->member[0] == '\0' ||
      instance->leaves_until != 0)
    return;
  instance->ask_at = 0;
  if (said->live && strcmp(said->member, inquiry->member) == 0) {
    instance->sure_from = inquiry->asked_at;
    instance->sure_until = inquiry->asked_at + UK_KAFKA_LEASE;
    settle(instance, inquiry->asked_at);
  } else if (strcmp(uk_kafka_instance_member(instance, member), inquiry->member) == 0) {
    instance->lost = true;
  } /* else: it has joined anew since */
}

void uk_kafka_lease_serve(struct uk_kafka_instance *instance, int64_t now)
{
  struct uk_kafka_inquiry *inquiry = take_answer(instance);
  if (inquiry != NULL) {
    learn(instance, inquiry);
    free_inquiry(inquiry);
  }
  if (!instance->lost && waits_for_answer(instance, now))
    uk_kafka_lease_ask(instance, now);
}

bool uk_kafka_lease_holds(const struct uk_kafka_instance *instance, int64_t now)
{
  return now >= instance->quiet_until && now < instance->sure_until;
}
