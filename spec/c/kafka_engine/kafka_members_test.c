/* for: kafka_members.c
 *
 * Which member has an instance: which brokers are asked, and what their answers mean. The test
 * fakes librdkafka's admin requests, which its mock cluster does not support, the executor and the
 * list of brokers. */
#include "server/kafka_engine/cluster/kafka_members.h"

#include <stdlib.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"

enum { QUERIES = 16, BROKER_TIMEOUT = 2000 };

struct member {
  const char *instance, *name;
  const char *holds; /* "t/0 t/1"; NULL: not reported */
  rd_kafka_topic_partition_list_t *list;
};

/* A broker's answer to a query. */
struct reply {
  struct reply *next;
  void *opaque;
  rd_kafka_resp_err_t code, group_code;
  rd_kafka_consumer_group_state_t state;
  size_t groups, count;
  struct member members[3];
};

struct sent {
  int32_t broker;
  int timeout;
  void *opaque;
};

static struct {
  struct uk_kafka_members *members;
  struct uk_kafka_task *task;
  bool watched, groupless;
  size_t broker_count;
  struct sent options, sent[QUERIES]; /* not answered yet */
  size_t sent_count;
  char log[200]; /* the brokers that were asked, in order */
  struct reply *replies;
  int live; /* options and events */
} fake;

struct query {
  struct uk_kafka_member_query query;
  int dones;
};

/* Fakes. */

void uk_kafka_task_init(struct uk_kafka_task *task, struct uk_kafka_executor *executor,
                        void (*run)(struct uk_kafka_task *task, int64_t now),
                        void (*free_)(struct uk_kafka_task *task))
{
  *task = (struct uk_kafka_task){.executor = executor, .run = run, .free = free_};
  fake.task = task;
}

void uk_kafka_task_wake(struct uk_kafka_task *task)
{
  task->run(task, 0);
}

void uk_kafka_task_join(struct uk_kafka_task *task)
{
  CHECK(task == fake.task && !fake.watched);
  fake.task = NULL;
  task->run(task, 0);
}

void uk_kafka_queue_watch(rd_kafka_queue_t *queue, struct uk_kafka_task *task)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake && task == fake.task);
  fake.watched = true;
}

void uk_kafka_queue_unwatch(rd_kafka_queue_t *queue)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  fake.watched = false;
}

size_t uk_kafka_topics_brokers(struct uk_kafka_topics *topics, int32_t *brokers)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  for (size_t i = 0; i < fake.broker_count; i++)
    brokers[i] = (int32_t)i + 1;
  return fake.broker_count;
}

bool uk_kafka_topics_groupless(struct uk_kafka_topics *topics)
{
  CHECK(topics == (struct uk_kafka_topics *)&fake);
  return fake.groupless;
}

rd_kafka_AdminOptions_t *rd_kafka_AdminOptions_new(rd_kafka_t *handle, rd_kafka_admin_op_t kind)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  CHECK_EQ_INT(kind, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS);
  fake.options = (struct sent){.broker = -1};
  fake.live++;
  return (rd_kafka_AdminOptions_t *)&fake.options;
}

rd_kafka_resp_err_t rd_kafka_AdminOptions_set_request_timeout(rd_kafka_AdminOptions_t *options,
                                                              int timeout, char *text, size_t size)
{
  (void)text;
  (void)size;
  ((struct sent *)options)->timeout = timeout;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

rd_kafka_resp_err_t rd_kafka_AdminOptions_set_broker(rd_kafka_AdminOptions_t *options,
                                                     int32_t broker, char *text, size_t size)
{
  (void)text;
  (void)size;
  ((struct sent *)options)->broker = broker;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

void rd_kafka_AdminOptions_set_opaque(rd_kafka_AdminOptions_t *options, void *opaque)
{
  ((struct sent *)options)->opaque = opaque;
}

void rd_kafka_AdminOptions_destroy(rd_kafka_AdminOptions_t *options)
{
  (void)options;
  fake.live--;
}

void rd_kafka_DescribeConsumerGroups(rd_kafka_t *handle, const char **groups, size_t count,
                                     const rd_kafka_AdminOptions_t *options,
                                     rd_kafka_queue_t *queue)
{
  CHECK(handle == (rd_kafka_t *)&fake);
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK(count == 1 && groups[0][0] == 'g');
  fake.sent[fake.sent_count++] = *(const struct sent *)options;
  snprintf(fake.log + strlen(fake.log), sizeof fake.log - strlen(fake.log), "%d ",
           (int)fake.options.broker);
}

rd_kafka_queue_t *rd_kafka_queue_new(rd_kafka_t *handle)
{
  fake.live++;
  return (rd_kafka_queue_t *)handle;
}

void rd_kafka_queue_destroy(rd_kafka_queue_t *queue)
{
  CHECK(queue == (rd_kafka_queue_t *)&fake && fake.task == NULL);
  fake.live--;
}

rd_kafka_event_t *rd_kafka_queue_poll(rd_kafka_queue_t *queue, int timeout)
{
  struct reply *reply = fake.replies;
  CHECK(queue == (rd_kafka_queue_t *)&fake);
  CHECK_EQ_INT(timeout, 0);
  if (reply != NULL) {
    fake.replies = reply->next;
    fake.live++;
  }
  return (rd_kafka_event_t *)reply;
}

void *rd_kafka_event_opaque(rd_kafka_event_t *event)
{
  return ((struct reply *)event)->opaque;
}

rd_kafka_resp_err_t rd_kafka_event_error(rd_kafka_event_t *event)
{
  return ((struct reply *)event)->code;
}

void rd_kafka_event_destroy(rd_kafka_event_t *event)
{
  struct reply *reply = (struct reply *)event;
  fake.live--;
  for (size_t i = 0; i < reply->count; i++) {
    if (reply->members[i].list != NULL)
      rd_kafka_topic_partition_list_destroy(reply->members[i].list);
  }
}

const rd_kafka_DescribeConsumerGroups_result_t *
rd_kafka_event_DescribeConsumerGroups_result(rd_kafka_event_t *event)
{
  return (const rd_kafka_DescribeConsumerGroups_result_t *)event;
}

const rd_kafka_ConsumerGroupDescription_t **rd_kafka_DescribeConsumerGroups_result_groups(
  const rd_kafka_DescribeConsumerGroups_result_t *result, size_t *count)
{
  static const rd_kafka_ConsumerGroupDescription_t *groups[1];
  groups[0] = (const rd_kafka_ConsumerGroupDescription_t *)result;
  *count = ((const struct reply *)result)->groups;
  return groups;
}

const rd_kafka_error_t *
rd_kafka_ConsumerGroupDescription_error(const rd_kafka_ConsumerGroupDescription_t *group)
{
  return ((const struct reply *)group)->group_code != RD_KAFKA_RESP_ERR_NO_ERROR
           ? (const rd_kafka_error_t *)group
           : NULL;
}

rd_kafka_resp_err_t rd_kafka_error_code(const rd_kafka_error_t *error)
{
  return ((const struct reply *)error)->group_code;
}

rd_kafka_consumer_group_state_t
rd_kafka_ConsumerGroupDescription_state(const rd_kafka_ConsumerGroupDescription_t *group)
{
  return ((const struct reply *)group)->state;
}

size_t
rd_kafka_ConsumerGroupDescription_member_count(const rd_kafka_ConsumerGroupDescription_t *group)
{
  return ((const struct reply *)group)->count;
}

const rd_kafka_MemberDescription_t *
rd_kafka_ConsumerGroupDescription_member(const rd_kafka_ConsumerGroupDescription_t *group,
                                         size_t index)
{
  return (const rd_kafka_MemberDescription_t *)&((const struct reply *)group)->members[index];
}

const char *rd_kafka_MemberDescription_group_instance_id(const rd_kafka_MemberDescription_t *member)
{
  return ((const struct member *)member)->instance;
}

const char *rd_kafka_MemberDescription_consumer_id(const rd_kafka_MemberDescription_t *member)
{
  return ((const struct member *)member)->name;
}

const rd_kafka_MemberAssignment_t *
rd_kafka_MemberDescription_assignment(const rd_kafka_MemberDescription_t *member)
{
  return ((const struct member *)member)->list != NULL ? (const rd_kafka_MemberAssignment_t *)member
                                                       : NULL;
}

const rd_kafka_topic_partition_list_t *
rd_kafka_MemberAssignment_partitions(const rd_kafka_MemberAssignment_t *assignment)
{
  return ((const struct member *)assignment)->list;
}

/* Steps of a test. */

static void done(struct uk_kafka_query *query)
{
  ((struct query *)query)->dones++;
}

static void ask_about(struct query *query, const char *group, bool whole)
{
  *query =
    (struct query){.query = {.query = {.deadline = uk_clock_monotonic() + 60000, .then = done},
                             .group = group,
                             .instance = "one",
                             .whole = whole,
                             /* left from an earlier question */
                             .live = true,
                             .asked = 3,
                             .holds = (rd_kafka_topic_partition_list_t *)&fake,
                             .group_holds = (rd_kafka_topic_partition_list_t *)&fake}};
  uk_kafka_members_ask(fake.members, &query->query);
}

static void ask(struct query *query, bool whole)
{
  ask_about(query, "g", whole);
}

static rd_kafka_topic_partition_list_t *list_of(const char *text)
{
  char name[16];
  int partition, length;
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);
  for (; sscanf(text, " %15[^/]/%d%n", name, &partition, &length) == 2; text += length)
    rd_kafka_topic_partition_list_add(list, name, partition);
  return list;
}

/* Makes it the broker's answer to the first query that it has not answered. */
static void address(int32_t broker, struct reply *reply)
{
  size_t i = 0;
  while (i < fake.sent_count && fake.sent[i].broker != broker)
    i++;
  REQUIRE(i < fake.sent_count);
  reply->opaque = fake.sent[i].opaque;
  fake.sent_count--;
  for (; i < fake.sent_count; i++)
    fake.sent[i] = fake.sent[i + 1];
  for (size_t j = 0; j < reply->count; j++) {
    if (reply->members[j].holds != NULL)
      reply->members[j].list = list_of(reply->members[j].holds);
  }
}

static void answer(int32_t broker, struct reply reply)
{
  address(broker, &reply);
  fake.replies = &reply;
  uk_kafka_task_wake(fake.task);
}

static void refuse(int32_t broker, rd_kafka_resp_err_t code)
{
  answer(broker, (struct reply){.groups = 1, .group_code = code});
}

/* The group has these members, including "one" if it is live. */
static struct reply group_with(const char *instance)
{
  return (struct reply){.groups = 1,
                        .state = RD_KAFKA_CONSUMER_GROUP_STATE_STABLE,
                        .count = 3,
                        .members = {{.name = "nobody", .holds = "t/0"},
                                    {.instance = instance, .name = "one-42", .holds = "t/1 u/2"},
                                    {.instance = "one-more", .name = "two-43"}}};
}

#define CHECK_ASKED(wanted)                                                                        \
  do {                                                                                             \
    CHECK_EQ_STR(fake.log, (wanted));                                                              \
    fake.log[0] = '\0';                                                                            \
  } while (0)

static void check_list(const rd_kafka_topic_partition_list_t *list, const char *wanted)
{
  char text[100] = "";
  for (int i = 0; list != NULL && i < list->cnt; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s/%d ", list->elems[i].topic,
             (int)list->elems[i].partition);
  CHECK_EQ_STR(list != NULL ? text : "none", wanted);
}

static void check_answered(const struct query *query, rd_kafka_resp_err_t code, bool live)
{
  CHECK_EQ_INT(query->dones, 1);
  CHECK_EQ_INT(query->query.query.code, code);
  CHECK_EQ_INT(query->query.live, live);
  CHECK_EQ_STR(live ? query->query.member : "", live ? "one-42" : "");
}

static void free_lists(struct query *query)
{
  if (query->query.holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->query.holds);
  if (query->query.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->query.group_holds);
  query->query.holds = query->query.group_holds = NULL;
}

/* Cases. */

static void all_are_asked_until_one_is_the_coordinator(void)
{
  static struct query query;
  ask(&query, false);
  CHECK_ASKED("1 2 3 ");
  refuse(2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  CHECK_EQ_INT(query.dones, 0);
  answer(3, group_with("one"));
  check_answered(&query, RD_KAFKA_RESP_ERR_NO_ERROR, true);
  check_list(query.query.holds, "t/1 u/2 ");
  check_list(query.query.group_holds, "none");
  free_lists(&query);
  refuse(1, RD_KAFKA_RESP_ERR_NOT_COORDINATOR); /* no query waits for it */
  CHECK_EQ_INT(query.dones, 1);
  ask(&query, false);
  CHECK_ASKED("3 ");
  answer(3, group_with("another"));
  check_answered(&query, RD_KAFKA_RESP_ERR_NO_ERROR, false);
  check_list(query.query.holds, "none");
}

/* What the others say later is about nothing: the asker has its query back. */
static void one_answer_is_enough(void)
{
  static struct query query;
  ask(&query, false);
  answer(3, group_with("one"));
  check_answered(&query, RD_KAFKA_RESP_ERR_NO_ERROR, true);
  free_lists(&query);
  query.query.asked = 2; /* whatever the asker keeps there now */
  refuse(1, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  refuse(2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  CHECK_EQ_INT(query.query.asked, 2);
  CHECK_EQ_INT(query.dones, 1);
}

static void answers_that_arrive_together_are_all_taken(void)
{
  static struct query first, next;
  struct reply replies[] = {group_with("one"), group_with("another")};
  ask(&first, false);
  ask(&next, false);
  for (int i = 0; i < 2; i++)
    address(3, &replies[i]);
  replies[0].next = &replies[1];
  fake.replies = &replies[0];
  uk_kafka_task_wake(fake.task);
  check_answered(&first, RD_KAFKA_RESP_ERR_NO_ERROR, true);
  check_answered(&next, RD_KAFKA_RESP_ERR_NO_ERROR, false);
  free_lists(&first);
}

/* The coordinator of one is not asked about another first. */
static void each_group_has_a_coordinator_of_its_own(void)
{
  static struct query query;
  ask(&query, false);
  for (int32_t broker = 1; broker <= 2; broker++)
    refuse(broker, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  answer(3, group_with("another"));
  fake.log[0] = '\0';
  ask_about(&query, "group", false);
  CHECK_ASKED("1 2 3 ");
  for (int32_t broker = 3; broker >= 2; broker--)
    refuse(broker, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  answer(1, group_with("another"));
  ask_about(&query, "group", false);
  ask(&query, false);
  CHECK_ASKED("1 3 ");
}

static void a_coordinator_that_moved_is_looked_for(void)
{
  static const rd_kafka_resp_err_t codes[] = {
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TRANSPORT};
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    static struct query query;
    ask(&query, false);
    fake.log[0] = '\0';
    for (int32_t broker = 1; broker <= 3 && fake.sent_count > 1; broker++) {
      if (broker != 2)
        refuse(broker, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    }
    answer(2, group_with("one"));
    free_lists(&query);
    ask(&query, false);
    CHECK_ASKED("2 ");
    answer(2, (struct reply){.code = codes[i]});
    CHECK_EQ_INT(query.dones, 0);
    CHECK_ASKED("1 2 3 ");
    refuse(1, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    refuse(2, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    answer(3, group_with("one"));
    check_answered(&query, RD_KAFKA_RESP_ERR_NO_ERROR, true);
    free_lists(&query);
    ask(&query, false);
    CHECK_ASKED("3 ");
    refuse(3, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    for (int32_t broker = 1; broker <= 3; broker++)
      refuse(broker, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    check_answered(&query, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, false);
    fake.log[0] = '\0';
  }
}

/* One that does not answer may be the coordinator. */
static void a_timeout_says_more_than_a_refusal(void)
{
  static const struct {
    rd_kafka_resp_err_t codes[3], wanted;
  } rows[] = {
    {{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR__TIMED_OUT,
      RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
     RD_KAFKA_RESP_ERR__TIMED_OUT},
    {{RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
      RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
     RD_KAFKA_RESP_ERR__TIMED_OUT},
    {{RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
      RD_KAFKA_RESP_ERR__TRANSPORT},
     RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct query query;
    ask(&query, false);
    for (int32_t broker = 1; broker <= 3; broker++)
      refuse(broker, rows[i].codes[broker - 1]);
    check_answered(&query, rows[i].wanted, false);
  }
}

/* A cluster that never had a group has no coordinator and no members. */
static void where_there_is_no_group_nobody_is_a_member(void)
{
  static const struct {
    bool groupless;
    rd_kafka_resp_err_t said, wanted;
  } rows[] = {
    {true, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NO_ERROR},
    {true, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NO_ERROR},
    {true, RD_KAFKA_RESP_ERR__TIMED_OUT, RD_KAFKA_RESP_ERR__TIMED_OUT},
    {true, RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED,
     RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED},
    {false, RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
    {false, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
     RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct query query;
    fake.groupless = rows[i].groupless;
    ask(&query, true);
    for (int32_t broker = 1; broker <= 3; broker++)
      refuse(broker, rows[i].said);
    check_answered(&query, rows[i].wanted, false);
  }
}

static void what_the_group_holds_is_known_when_it_is_stable(void)
{
  static const struct {
    bool whole;
    rd_kafka_consumer_group_state_t state;
    const char *holds;
  } rows[] = {
    {true, RD_KAFKA_CONSUMER_GROUP_STATE_STABLE, "t/0 t/1 u/2 "},
    {false, RD_KAFKA_CONSUMER_GROUP_STATE_STABLE, "none"},
    {true, RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE, "none"},
    {true, RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE, "none"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct query query;
    struct reply reply = group_with("one");
    ask(&query, rows[i].whole);
    for (int32_t broker = 1; i == 0 && broker <= 2; broker++)
      refuse(broker, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    reply.state = rows[i].state;
    answer(3, reply);
    check_answered(&query, RD_KAFKA_RESP_ERR_NO_ERROR, true);
    check_list(query.query.holds, "t/1 u/2 ");
    check_list(query.query.group_holds, rows[i].holds);
    free_lists(&query);
  }
}

static void a_broker_has_two_seconds_or_what_is_left(void)
{
  static struct query query;
  ask(&query, false);
  CHECK_EQ_INT(fake.sent[0].timeout, BROKER_TIMEOUT);
  query = (struct query){.query = {.query = {.deadline = uk_clock_monotonic() + 1000, .then = done},
                                   .group = "g",
                                   .instance = "one"}};
  static struct query next;
  next = query;
  uk_kafka_members_ask(fake.members, &next.query);
  CHECK(fake.sent[3].timeout > 0 && fake.sent[3].timeout <= 1000);
}

static void where_no_broker_is_known_nobody_can_tell(void)
{
  static struct query query;
  fake.broker_count = 0;
  ask(&query, false);
  check_answered(&query, RD_KAFKA_RESP_ERR__WAIT_COORD, false);
}

/* A missing answer is not a member: a failed request, or a result without a group. */
static void an_answer_without_the_group_is_a_failure(void)
{
  static struct query query;
  ask(&query, false);
  answer(1, (struct reply){.code = RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE});
  answer(2, (struct reply){.code = RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE});
  answer(3, (struct reply){.code = RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE});
  check_answered(&query, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, false);
  for (size_t groups = 0; groups <= 2; groups += 2) {
    ask(&query, false);
    for (int32_t broker = 1; broker <= 3; broker++)
      answer(broker, (struct reply){.groups = groups});
    check_answered(&query, RD_KAFKA_RESP_ERR__BAD_MSG, false);
  }
}

static void what_is_asked_is_answered_at_the_end(void)
{
  static struct query first, next;
  ask(&first, false);
  ask(&next, false);
  uk_kafka_members_free(fake.members);
  fake.members = NULL;
  check_answered(&first, RD_KAFKA_RESP_ERR__DESTROY, false);
  check_answered(&next, RD_KAFKA_RESP_ERR__DESTROY, false);
}

/* A caller may ask once more when it learns of the end. */
static struct query once_more;

static void ask_once_more(struct uk_kafka_query *query)
{
  done(query);
  if (once_more.dones == 0)
    ask(&once_more, false);
}

static void what_is_asked_after_the_end_is_not_sent(void)
{
  static struct query query;
  memset(&once_more, 0, sizeof once_more);
  ask(&query, false);
  query.query.query.then = ask_once_more;
  fake.log[0] = '\0';
  uk_kafka_members_free(fake.members);
  fake.members = NULL;
  check_answered(&query, RD_KAFKA_RESP_ERR__DESTROY, false);
  CHECK_ASKED("");
}

static void without_memory_fewer_are_asked_or_none(void)
{
  for (long n = 1; n <= 4; n++) {
    static struct query query;
    fault_at(n);
    ask(&query, false);
    fault_off();
    for (int32_t broker = 1; broker <= 3; broker++) {
      if (broker != n)
        refuse(broker, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
    }
    CHECK_EQ_INT(query.dones, 1);
    CHECK_EQ_INT(fake.sent_count, 0);
  }
  static struct query query;
  fault_from(1);
  ask(&query, false);
  fault_off();
  check_answered(&query, RD_KAFKA_RESP_ERR__WAIT_COORD, false);
  /* Where the one that is the coordinator cannot be asked, all are. */
  ask(&query, false);
  refuse(1, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  answer(2, group_with("one"));
  free_lists(&query);
  refuse(3, RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  fake.log[0] = '\0';
  fault_at(1);
  ask(&query, false);
  fault_off();
  CHECK_ASKED("1 2 3 ");
}

/* Each case has its own members, and leaves nothing allocated. */
static void (*current)(void);

static void run_current(void)
{
  long live = fault_live();
  memset(&fake, 0, sizeof fake);
  fake.broker_count = 3;
  fake.members = uk_kafka_members_new((rd_kafka_t *)&fake, NULL, (struct uk_kafka_topics *)&fake);
  REQUIRE(fake.members != NULL);
  CHECK(fake.watched);
  current();
  if (fake.members != NULL)
    uk_kafka_members_free(fake.members);
  CHECK_EQ_INT(fake.live, 0);
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
  RUN(all_are_asked_until_one_is_the_coordinator);
  RUN(one_answer_is_enough);
  RUN(answers_that_arrive_together_are_all_taken);
  RUN(each_group_has_a_coordinator_of_its_own);
  RUN(a_coordinator_that_moved_is_looked_for);
  RUN(a_timeout_says_more_than_a_refusal);
  RUN(where_there_is_no_group_nobody_is_a_member);
  RUN(what_the_group_holds_is_known_when_it_is_stable);
  RUN(a_broker_has_two_seconds_or_what_is_left);
  RUN(where_no_broker_is_known_nobody_can_tell);
  RUN(an_answer_without_the_group_is_a_failure);
  RUN(what_is_asked_is_answered_at_the_end);
  RUN(what_is_asked_after_the_end_is_not_sent);
  RUN(without_memory_fewer_are_asked_or_none);
  return check_end();
}
