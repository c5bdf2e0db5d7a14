/* for: kafka_groups.c
 *
 * Instances of groups, on a mock cluster of librdkafka in this process. Its brokers answer with a
 * configurable delay, and cannot list the members of a group. */
#include "server/kafka_engine/group/kafka_groups.h"

#include <stdlib.h>
#include <unistd.h>

#include "check.h"
#include "common/clock.h"
#include "fault.h"
#include "kafka_parts.h"

/* Milliseconds. REBALANCE: how long a mock group without members waits for some. RANGE_WAIT,
 * LEAVE_WAIT: how long the server waits for the range that an answer names, and for a group that a
 * member leaves. */
enum { REBALANCE = 3000, LATE = 700, VERY_LATE = 60000, FETCH_WAIT = 3000 };
enum { RANGE_WAIT = 2000, LEAVE_WAIT = 5000 };
enum { PATIENCE = KAFKA_PATIENCE, JOIN_PATIENCE = 20000, JOIN_ROUNDS = 10 };
enum { RECORDS = 3, INSTANCES = 16, ROUNDS = 5 /* a slow machine is fast sometimes */ };
enum { LARGE_RECORDS = 12, LARGE = 600000 /* bytes of one */ };

/* For LeakSanitizer, whose stacks end in librdkafka: the leaks in .ci/valgrind.supp. */
__attribute__((visibility("default"))) const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
  return "leak:librdkafka.so";
}

static struct {
  rd_kafka_t *producer;
  struct uk_kafka_committed *committed;
  struct uk_kafka_record_reader *records;
  struct uk_kafka_groups *groups;
} rig;

static struct uk_kafka_groups *make_groups_of(struct uk_kafka_settings *settings)
{
  const struct uk_kafka_groups_parts parts = {.settings = settings,
                                              .control = kafka_parts.control,
                                              .executor = kafka_parts.executor,
                                              .topics = kafka_parts.topics,
                                              .reaper = kafka_parts.reaper,
                                              .blocking = kafka_parts.blocking,
                                              .prefetch_bytes = 1 << 20,
                                              .prefetch_budget = 1 << 30,
                                              .committed = rig.committed,
                                              .records = rig.records};
  return uk_kafka_groups_new(&parts);
}

static struct uk_kafka_groups *make_groups(void)
{
  return make_groups_of(kafka_parts.settings);
}

static void free_groups(struct uk_kafka_groups *groups)
{
  uk_kafka_groups_drain(groups);
  uk_kafka_groups_free(groups);
}

static bool rig_open(void)
{
  if (!kafka_parts_open(1))
    return false;
  const struct uk_kafka_committed_parts parts = {.settings = kafka_parts.settings,
                                                 .topics = kafka_parts.topics,
                                                 .blocking = kafka_parts.blocking,
                                                 .group_blocking = kafka_parts.blocking,
                                                 .reaper = kafka_parts.reaper};
  rig.producer = kafka_parts_control();
  rig.committed = uk_kafka_committed_new(&parts);
  rig.records =
    uk_kafka_record_reader_new(kafka_parts.settings, kafka_parts.executor, kafka_parts.reaper);
  rig.groups = make_groups();
  return rig.producer != NULL && rig.committed != NULL && rig.records != NULL && rig.groups != NULL;
}

static void rig_close(void)
{
  free_groups(rig.groups);
  uk_kafka_record_reader_free(rig.records);
  uk_kafka_committed_free(rig.committed);
  rd_kafka_destroy(rig.producer);
  kafka_parts_close();
}

/* A topic of one partition that gets that many records. */
static const char *start_topic(int records)
{
  const char *topic = kafka_parts_topic(1);
  const rd_kafka_vu_t fields[] = {
    {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
    {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)"v", 1}},
  };
  for (int i = 0; i < records; i++)
    CHECK(rd_kafka_produceva(rig.producer, fields, sizeof fields / sizeof *fields) == NULL);
  return topic;
}

/* Until the topics have their records: a producer needs a second for new ones, however many. */
static void finish_topics(void)
{
  CHECK_EQ_INT(rd_kafka_flush(rig.producer, PATIENCE), 0);
}

static const char *make_topic(int records)
{
  const char *topic = start_topic(records);
  finish_topics();
  return topic;
}

/* Delays every answer of the cluster. */
static void answer_late(int milliseconds)
{
  CHECK_EQ_INT(rd_kafka_mock_broker_set_rtt(kafka_parts.cluster, -1, milliseconds), 0);
}

/* Requests. */

struct request {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer deletion;
    struct uk_consumers listing;
  } as;
  struct kafka_probe probe;
  struct uk_slice topic;
  struct uk_topic_partition_offset offset;
  size_t count;                   /* of records, or of rows */
  struct uk_kafka_groups *groups; /* of a consume */
};

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct request *request = (struct request *)operation;
  (void)record;
  request->count++;
  return true;
}

static enum uk_offset_reset reset = UK_RESET_EARLIEST; /* of the next instance */

static void start_consume(struct request *request, struct uk_kafka_groups *groups,
                          const char *group, const char *topic, bool auto_commit, int64_t timeout)
{
  *request = (struct request){.topic = uk_slice_text(topic), .groups = groups};
  kafka_probe_begin(&request->probe, &request->as.operation, timeout);
  request->as.consume.group = uk_slice_text(group);
  request->as.consume.instance = uk_slice_text("one");
  request->as.consume.topics = &request->topic;
  request->as.consume.topic_count = 1;
  request->as.consume.settings = (struct uk_consumer_settings){.auto_commit = auto_commit,
                                                               .auto_commit_interval = 600000,
                                                               .offset_reset = reset,
                                                               .session_timeout = 120000};
  request->as.consume.sink = (struct uk_sink){.record = take};
  uk_kafka_groups_consume(groups, &request->as.consume);
}

static void start_commit(struct request *request, struct uk_kafka_groups *groups, const char *group,
                         const char *topic, int64_t timeout)
{
  *request = (struct request){.offset = {.topic = uk_slice_text(topic), .offset = 1}};
  kafka_probe_begin(&request->probe, &request->as.operation, timeout);
  request->as.commit.group = uk_slice_text(group);
  request->as.commit.instance = uk_slice_text("one");
  request->as.commit.offsets = &request->offset;
  request->as.commit.count = 1;
  uk_kafka_groups_commit(groups, &request->as.commit);
}

static void start_delete(struct request *request, const char *group)
{
  *request = (struct request){.count = 0};
  kafka_probe_begin(&request->probe, &request->as.operation, PATIENCE);
  request->as.deletion.group = uk_slice_text(group);
  request->as.deletion.instance = uk_slice_text("one");
  uk_kafka_groups_delete(rig.groups, &request->as.deletion);
}

/* The response of a consume is written in full. */
static void await_response(struct request *request)
{
  const struct uk_consume *consume = &request->as.consume;
  kafka_probe_await(&request->probe);
  if (request->groups != NULL && consume->delivery > 0)
    uk_kafka_groups_response_finished(request->groups, consume->group, consume->instance,
                                      consume->delivery, UK_RESPONSE_WRITTEN);
}

static void await(struct request *request, enum uk_error error)
{
  await_response(request);
  if (!CHECK_EQ_INT(request->as.operation.error, error))
    fprintf(stderr, "  %s\n", request->as.operation.message);
}

/* An instance that has consumed its topic's records. */
struct member {
  const char *group, *topic;
  enum uk_offset_reset reset;
  bool auto_commit;
  struct uk_kafka_groups *groups; /* NULL: the rig's */
  struct request request;
};

static void start_join(struct member *member)
{
  reset = member->reset;
  start_consume(&member->request, member->groups != NULL ? member->groups : rig.groups,
                member->group, member->topic, member->auto_commit, JOIN_PATIENCE);
  reset = UK_RESET_EARLIEST;
}

static bool may_ask_again(const struct request *request)
{
  enum uk_error error = request->as.operation.error;
  return error == UK_E_UNAVAILABLE || error == UK_E_GATEWAY_TIMEOUT ||
         (error == UK_OK && request->count == 0);
}

/* On a busy machine the cluster may be too slow for the server. A mock group may also take the
 * length of a session to admit a member again. */
static void finish_join(struct member *member)
{
  await_response(&member->request);
  for (int round = 0; round < JOIN_ROUNDS && may_ask_again(&member->request); round++) {
    start_join(member);
    await_response(&member->request);
  }
  if (!CHECK(member->request.as.operation.error == UK_OK && member->request.count > 0))
    fprintf(stderr, "  %s\n", member->request.as.operation.message);
}

/* Groups take three seconds to admit their first member: these do it at the same time. */
static struct member left = {.group = "left", .reset = UK_RESET_EARLIEST};
static struct member slow = {.group = "slow", .reset = UK_RESET_EARLIEST};
static struct member ending = {.group = "ending", .reset = UK_RESET_EARLIEST};
static struct member narrow = {.group = "narrow", .reset = UK_RESET_EARLIEST};
static struct member outrun = {.group = "outrun", .reset = UK_RESET_NONE};

/* Leaving. */

/* A deletion waits for the group, but not forever. */
static void await_deletion(struct request *request)
{
  await_response(request);
  if (request->as.operation.error != UK_E_GATEWAY_TIMEOUT || request->probe.took < LEAVE_WAIT)
    CHECK_EQ_INT(request->as.operation.error, UK_OK);
}

/* An unanswered request may not have arrived: a member that stays keeps its partitions until its
 * session ends. */
static void a_deletion_waits_for_the_group(void)
{
  struct request request;
  finish_join(&left);
  answer_late(LATE);
  start_delete(&request, "left");
  await_deletion(&request);
  CHECK(request.probe.took >= LATE);
  answer_late(0);
}

/* A group names a member when it admits it: an instance that left before that would be a member
 * under an unknown name. */
static void an_instance_that_is_joining_leaves_when_it_has_joined(void)
{
  const char *topic = make_topic(0);
  struct request joining, request;
  start_consume(&joining, rig.groups, "joining", topic, false, PATIENCE);
  do {
    usleep(10000);
    start_delete(&request, "joining");
    await_response(&request);
  } while (request.as.operation.error == UK_E_NOT_FOUND); /* it does not exist yet */
  await_deletion(&request);
  await(&joining, UK_OK);
  CHECK(request.probe.begun + request.probe.took >= joining.probe.begun + REBALANCE - 100);
}

/* Commits that the group does not answer. */

static void a_commit_is_answered_by_its_deadline(void)
{
  struct request late, next;
  bool unanswered = false;
  finish_join(&slow);
  for (int round = 0; round < ROUNDS && !unanswered; round++) {
    answer_late(2 * LATE);
    start_commit(&late, rig.groups, "slow", slow.topic, LATE);
    await_response(&late);
    unanswered = late.as.operation.error == UK_E_GATEWAY_TIMEOUT;
    answer_late(0);
    start_commit(&next, rig.groups, "slow", slow.topic, PATIENCE); /* after the first's answer */
    await(&next, UK_OK);
    CHECK_EQ_INT(late.probe.dones, 1);
  }
  CHECK(unanswered);
  CHECK(late.probe.took >= LATE);
}

/* A query for the coordinator waits for the fetch that the same broker must answer first. Resending
 * the commit must not delay the connection to the coordinator that the answer names: otherwise
 * another query follows, and so on until the caller's deadline. */
static void a_commit_survives_a_waiting_fetch(void)
{
  const char *topic = make_topic(RECORDS);
  char message[UK_MESSAGE_SIZE], wait[24];
  snprintf(wait, sizeof wait, "%d", FETCH_WAIT);
  const struct uk_kafka_property properties[] = {{"fetch.wait.max.ms", wait, false},
                                                 {"retry.backoff.ms", "50", false}};
  const struct uk_kafka_options options = {.brokers =
                                             rd_kafka_mock_cluster_bootstraps(kafka_parts.cluster),
                                           .properties = properties,
                                           .property_count = 2,
                                           .prefetch_bytes = 1 << 20,
                                           .max_message_bytes = 1 << 20};
  struct uk_kafka_settings *settings = NULL;
  struct request request;
  struct member patient = {.group = "patient", .topic = topic, .reset = UK_RESET_EARLIEST};
  REQUIRE(uk_kafka_settings_new(&settings, &options, message, sizeof message) == UK_OK);
  struct uk_kafka_groups *groups = make_groups_of(settings);
  if (CHECK(groups != NULL)) {
    patient.groups = groups;
    start_join(&patient);
    finish_join(&patient);
    bool soon = false;
    for (int round = 0; round < ROUNDS && !soon; round++) {
      usleep(FETCH_WAIT / 10 * 1000); /* the fetch at the end is under way */
      rd_kafka_mock_push_request_errors(kafka_parts.cluster, KAFKA_OFFSET_COMMIT, 1,
                                        RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
      start_commit(&request, groups, "patient", topic, PATIENCE);
      await(&request, UK_OK);
      soon = request.probe.took < FETCH_WAIT / 10 * 17; /* it did not wait for two fetches */
    }
    CHECK(soon);
    free_groups(groups);
  }
  uk_kafka_settings_free(settings);
}

static void a_commit_is_answered_when_its_instance_ends(void)
{
  struct request commit, deletion;
  finish_join(&ending);
  answer_late(VERY_LATE);
  start_commit(&commit, rig.groups, "ending", ending.topic, PATIENCE);
  start_delete(&deletion, "ending");
  await(&deletion, UK_E_GATEWAY_TIMEOUT);
  await(&commit, UK_E_GATEWAY_TIMEOUT);
  CHECK(strstr(deletion.as.operation.message, UK_MAY_BE_DONE) != NULL);
  CHECK(strstr(commit.as.operation.message, UK_MAY_BE_DONE) != NULL);
  CHECK(commit.probe.took < VERY_LATE);
  answer_late(0);
}

/* It was not sent: a 504 would say that it may have been. */
static void a_commit_of_a_topic_still_unknown_at_the_deadline_is_unavailable(void)
{
  const char *topic = kafka_parts_topic(1);
  struct request request;
  answer_late(VERY_LATE);
  start_commit(&request, rig.groups, "unknown", topic, LATE);
  await(&request, UK_E_UNAVAILABLE);
  CHECK(strstr(request.as.operation.message, "may have been") == NULL);
  answer_late(0);
}

static void take_all(struct uk_kafka_groups *groups, char names[INSTANCES][16])
{
  static struct member members[INSTANCES];
  for (int i = 0; i < INSTANCES; i++) {
    snprintf(names[i], sizeof names[i], "stopping-%d", i);
    members[i] = (struct member){.group = names[i],
                                 .topic = start_topic(RECORDS),
                                 .reset = UK_RESET_EARLIEST,
                                 .auto_commit = true,
                                 .groups = groups};
  }
  finish_topics();
  for (int i = 0; i < INSTANCES; i++)
    start_join(&members[i]);
  for (int i = 0; i < INSTANCES; i++) {
    struct request next; /* the first response arrived */
    finish_join(&members[i]);
    start_consume(&next, groups, names[i], members[i].topic, true, 0);
    await_response(&next);
  }
}

/* Each of them gets two seconds, the same two for all. */
static void a_stopping_server_waits_for_all_commits_together(void)
{
  struct uk_kafka_groups *groups = make_groups();
  char names[INSTANCES][16];
  REQUIRE(groups != NULL);
  take_all(groups, names);
  answer_late(VERY_LATE);
  int64_t begun = uk_clock_monotonic();
  free_groups(groups);
  int64_t took = uk_clock_monotonic() - begun;
  CHECK(took >= 2000 && took < 2000 * (INSTANCES - 1));
  answer_late(0);
}

/* Reset none. */

/* Not by a member: a mock group keeps a member that left until its session ends. */
static void commit_from_outside(const char *group, const char *topic, int64_t offset)
{
  char text[512];
  rd_kafka_conf_t *conf = rd_kafka_conf_new();
  rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
  rd_kafka_topic_partition_list_add(list, topic, 0)->offset = offset;
  rd_kafka_conf_set(conf, "bootstrap.servers",
                    rd_kafka_mock_cluster_bootstraps(kafka_parts.cluster), text, sizeof text);
  rd_kafka_conf_set(conf, "group.id", group, text, sizeof text);
  rd_kafka_t *handle = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
  if (CHECK(handle != NULL)) {
    CHECK_EQ_INT(rd_kafka_commit(handle, list, 0), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_destroy(handle);
  }
  rd_kafka_topic_partition_list_destroy(list);
}

static void fill(const char *topic, int records)
{
  static char value[LARGE];
  const rd_kafka_vu_t fields[] = {
    {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = 0},
    {.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY},
    {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {value, sizeof value}},
  };
  for (int i = 0; i < records; i++)
    CHECK(rd_kafka_produceva(rig.producer, fields, sizeof fields / sizeof *fields) == NULL);
  CHECK_EQ_INT(rd_kafka_flush(rig.producer, PATIENCE), 0);
}

/* B12: a mock partition keeps five megabytes. The answer names no range if that takes too long. */
static void a_live_instance_names_the_range_when_out_of_it(void)
{
  struct request *request = &outrun.request;
  finish_join(&outrun);
  fill(outrun.topic, LARGE_RECORDS);
  for (int i = 0; i < LARGE_RECORDS && (request->count > 0 || may_ask_again(request)); i++) {
    start_join(&outrun);
    await_response(request);
  }
  CHECK_EQ_INT(request->as.operation.error, UK_E_BAD_REQUEST);
  const char *message = request->as.operation.message;
  if (!CHECK(strncmp(message, "the position ", 13) == 0) ||
      !CHECK(strstr(message, " is out of range") != NULL) ||
      !CHECK(strstr(message, " to 15, and the auto offset reset is none") != NULL ||
             request->probe.took >= RANGE_WAIT))
    fprintf(stderr, "  %s\n", message);
}

/* Memory. */

static void count_row(struct uk_operation *operation, struct uk_slice group,
                      struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                      size_t count)
{
  (void)group;
  (void)instance;
  (void)topic;
  (void)partitions;
  ((struct request *)operation)->count += count;
}

static void check_done_or_no_memory(struct request *request)
{
  kafka_probe_await(&request->probe);
  if (request->as.operation.error != UK_OK)
    CHECK_EQ_INT(request->as.operation.error, UK_E_NO_MEMORY);
}

/* In seconds a slow cluster has said nothing, or has not admitted the instance. */
static void check_consumed_or_no_memory(struct request *request)
{
  kafka_probe_await(&request->probe);
  enum uk_error error = request->as.operation.error;
  if (error != UK_E_UNAVAILABLE && error != UK_E_GATEWAY_TIMEOUT)
    check_done_or_no_memory(request);
}

static void an_instance_survives_without_memory(void)
{
  const char *topic = narrow.topic;
  struct request request;
  finish_join(&narrow);
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    start_consume(&request, rig.groups, "narrow", topic, false, 0);
    check_consumed_or_no_memory(&request);
    start_commit(&request, rig.groups, "narrow", topic, PATIENCE);
    check_done_or_no_memory(&request);
    request = (struct request){.as.listing.owned = count_row};
    kafka_probe_begin(&request.probe, &request.as.operation, PATIENCE);
    uk_kafka_groups_list(rig.groups, &request.as.listing);
    check_done_or_no_memory(&request);
    hit = fault_hit();
    fault_off();
  }
  start_commit(&request, rig.groups, "narrow", topic, PATIENCE);
  await(&request, UK_OK);
}

static void an_instance_is_created_or_not(void)
{
  const char *topic = make_topic(RECORDS);
  char name[32];
  struct request request;
  for (long n = 1, hit = 1; hit; n++) {
    snprintf(name, sizeof name, "made-%ld", n);
    fault_at(n);
    start_consume(&request, rig.groups, name, topic, false, 500);
    check_consumed_or_no_memory(&request);
    hit = fault_hit();
    fault_off();
  }
  struct member again = {.group = "made-1", .topic = topic, .reset = UK_RESET_EARLIEST};
  start_join(&again); /* an instance that failed can be created again */
  finish_join(&again);
}

static void groups_are_created_or_not(void)
{
  long live = fault_live();
  for (long n = 1, hit = 1; hit; n++) {
    fault_at(n);
    struct uk_kafka_groups *groups = make_groups();
    hit = fault_hit();
    fault_off();
    CHECK(hit == (groups == NULL));
    if (groups != NULL)
      free_groups(groups);
  }
  CHECK_EQ_INT(fault_live(), live);
}

/* Soon before they are needed: the server gives up an instance that is silent for a session. */
static void start_joins(struct member *const *members, size_t count)
{
  for (size_t i = 0; i < count; i++)
    members[i]->topic = start_topic(RECORDS);
  finish_topics();
  for (size_t i = 0; i < count; i++)
    start_join(members[i]);
}

static void start_join_at_one(struct member *member)
{
  member->topic = make_topic(RECORDS);
  commit_from_outside(member->group, member->topic, 1);
  start_join(member);
}

/* The tests with the latest answers come last: the next ones would wait for them. */
int main(void)
{
  struct member *const members[] = {&left, &slow, &narrow}, *const last = &ending;
  if (!rig_open()) {
    fputs("the rig could not be made\n", stderr);
    return 1;
  }
  CHECK_RUN(groups_are_created_or_not); /* first: no instance uses memory meanwhile */
  start_joins(members, sizeof members / sizeof *members);
  start_join_at_one(&outrun);
  CHECK_RUN(an_instance_that_is_joining_leaves_when_it_has_joined);
  CHECK_RUN(a_deletion_waits_for_the_group);
  CHECK_RUN(a_commit_is_answered_by_its_deadline);
  CHECK_RUN(a_live_instance_names_the_range_when_out_of_it);
  CHECK_RUN(an_instance_survives_without_memory);
  CHECK_RUN(a_commit_survives_a_waiting_fetch);
  CHECK_RUN(an_instance_is_created_or_not);
  start_joins(&last, 1);
  CHECK_RUN(a_stopping_server_waits_for_all_commits_together);
  CHECK_RUN(a_commit_is_answered_when_its_instance_ends);
  CHECK_RUN(a_commit_of_a_topic_still_unknown_at_the_deadline_is_unavailable);
  rig_close();
  return check_end();
}
