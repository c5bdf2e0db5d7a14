/* for: kafka_instance*.c, kafka_takeover.c, kafka_group_*.c, kafka_lease.c,
 * kafka_handover.c, kafka_leave.c, kafka_delivery.c, kafka_commits.c, kafka_rebalance.c,
 * kafka_reset.c, kafka_poll_diagnosis.c, kafka_subscription.c, kafka_assigned_partition.c,
 * kafka_request_queue.c
 *
 * An instance of a group from its first request to its end, in every order of events, on a clock of
 * the test's own. */
#include "fake_kafka_group.h"
#include "fault.h"
#include "server/kafka_engine/group/kafka_group_member.h"
#include "server/kafka_engine/group/kafka_takeover.h"

enum {
  SESSION = 30000,
  INTERVAL = 5000,
  LEASE = 100,
  TIMEOUT = 10000,
  WANTED = 100,
  PATIENCE = 1000
};

/* Requests. */

struct request {
  union {
    struct uk_operation operation;
    struct uk_consume consume;
    struct uk_commit commit;
    struct uk_delete_consumer deletion;
    struct uk_consumers listing;
  } as;
  struct uk_slice topics[2];
  struct uk_topic_partition_offset offsets[3];
  int dones;
  size_t room;      /* for records */
  int64_t got[16];  /* their offsets */
  size_t count;     /* of them */
  bool unwanted;    /* the client has gone */
  int asked;        /* how often that was asked */
  char listed[256]; /* "g/one:t=0,1" */
};

static enum uk_offset_reset reset;
static bool auto_commit;
static int32_t session;
static bool finishes; /* each response is written in full at once; otherwise `sent` says so */
static void (*when_done)(struct request *request); /* the next one; NULL: nothing */
static size_t nudged_at; /* how many records a response had when librdkafka was first woken */

static void done(struct uk_operation *operation)
{
  const struct uk_consume *consume = &((struct request *)operation)->as.consume;
  ((struct request *)operation)->dones++;
  if (finishes && consume->delivery > 0)
    uk_kafka_groups_response_finished(fake.groups, consume->group, consume->instance,
                                      consume->delivery, UK_RESPONSE_WRITTEN);
  if (when_done != NULL)
    when_done((struct request *)operation);
}

static bool take(struct uk_operation *operation, const struct uk_record *record)
{
  struct request *request = (struct request *)operation;
  if (request->count == request->room)
    return false;
  if (nudged_at == 0 && strstr(fake.log, "nudge") != NULL)
    nudged_at = request->count;
  request->got[request->count++] = record->offset;
  return true;
}

static bool is_client_alive(struct uk_operation *operation)
{
  ((struct request *)operation)->asked++;
  return !((struct request *)operation)->unwanted;
}

static void begin(struct request *request, int64_t timeout)
{
  *request = (struct request){.room = 16};
  request->as.operation.done = done;
  request->as.operation.deadline = fake.now + timeout;
  request->as.consume.group = uk_slice_text("g");
  request->as.consume.instance = uk_slice_text("one");
}

/* Names "t", or "t" and "u". */
static void consume_topics(struct request *request, size_t topics, int64_t timeout)
{
  begin(request, timeout);
  request->topics[0] = uk_slice_text("t");
  request->topics[1] = uk_slice_text("u");
  request->as.consume.topics = request->topics;
  request->as.consume.topic_count = topics;
  request->as.consume.settings = (struct uk_consumer_settings){.auto_commit = auto_commit,
                                                               .auto_commit_interval = INTERVAL,
                                                               .offset_reset = reset,
                                                               .session_timeout = session};
  request->as.consume.sink = (struct uk_sink){take, is_client_alive};
  uk_kafka_groups_consume(fake.groups, &request->as.consume);
  fake_settle();
}

static void consume(struct request *request, int64_t timeout)
{
  consume_topics(request, 1, timeout);
}

/* Offset `offset` of t/0; negative: what was consumed. */
static void commit(struct request *request, int64_t offset, int64_t timeout)
{
  begin(request, timeout);
  request->offsets[0] = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, offset};
  request->as.commit.offsets = request->offsets;
  request->as.commit.count = offset >= 0;
  uk_kafka_groups_commit(fake.groups, &request->as.commit);
  fake_settle();
}

static void delete (struct request *request, int64_t timeout)
{
  begin(request, timeout);
  uk_kafka_groups_delete(fake.groups, &request->as.deletion);
  fake_settle();
}

/* As often as the coordinator is asked. */
static void confirm(void)
{
  while (!uk_list_is_empty(&fake.member_queries))
    fake_answer("me");
}

static void sent(uint64_t delivery, bool complete)
{
  uk_kafka_groups_response_finished(fake.groups, uk_slice_text("g"), uk_slice_text("one"), delivery,
                                    complete);
  fake_settle();
}

static void check_waits(const struct request *request)
{
  CHECK_EQ_INT(request->dones, 0);
}

/* The request ended with this error and so many records, and its message has that part. */
static void check_end_with(const struct request *request, enum uk_error error, size_t count,
                           const char *part)
{
  CHECK_EQ_INT(request->dones, 1);
  CHECK_EQ_INT(request->as.operation.error, error);
  CHECK_EQ_INT(request->count, count);
  if (!CHECK(strstr(request->as.operation.message, part) != NULL))
    fprintf(stderr, "  \"%s\" is not in \"%s\"\n", part, request->as.operation.message);
}

static void check_empty(const struct request *request)
{
  check_end_with(request, UK_OK, 0, "");
  CHECK_EQ_STR(request->as.operation.message, "");
}

static void check_may_be_done(const struct request *request, bool may)
{
  CHECK_EQ_INT(strstr(request->as.operation.message, UK_MAY_BE_DONE) != NULL, may);
}

/* Instances in a known state. */

/* A consume for an instance without an owner. It has joined, holds both partitions, and the
 * coordinator has confirmed it. */
static void serve(struct request *request)
{
  consume(request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_answer("me");
  FAKE_DID("ask subscribe(t) assign(t/0@? t/1@?) ask-again");
}

/* The same, and it has delivered the first `count` records of t/0. */
static void deliver(struct request *request, int64_t count)
{
  serve(request);
  for (int64_t i = 0; i < count; i++)
    fake_record(0, i);
  fake_settle();
  check_end_with(request, UK_OK, (size_t)count, "");
  FAKE_DID("");
}

/* An instance that another server has; what is committed is not known yet. */
static void take_over(struct request *request)
{
  consume(request, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0 t/1", "t/0 t/1");
  FAKE_DID("ask subscribe(t)");
  fake.asks_committed = auto_commit;
}

/* Leaving, from the moment that it may: with the last commit answered, if there is one. */
static void leave(const char *first)
{
  FAKE_DID(first);
  fake.handle->member[0] = '\0';
  fake_pass(10);
  FAKE_DID("close");
  fake.handle->closed = true;
  fake_pass(10);
  FAKE_DID("reap");
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void check_conf(const char *name, const char *wanted)
{
  char text[64] = "";
  size_t size = sizeof text;
  CHECK_EQ_INT(rd_kafka_conf_get(fake.handle->conf, name, text, &size), RD_KAFKA_CONF_OK);
  if (!CHECK_EQ_STR(text, wanted))
    fprintf(stderr, "  of %s\n", name);
}

/* Joining. */

static void an_instance_that_nobody_has_joins_and_delivers(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  FAKE_DID("ask");
  fake_answer(NULL);
  FAKE_DID("subscribe(t)");
  check_conf("group.id", "g");
  check_conf("group.instance.id", "one");
  fake_assigned("me", "t/0 t/1");
  FAKE_DID("assign(t/0@? t/1@?) ask-again");
  fake_record(0, 7);
  fake_record(0, 8);
  fake_record(2, 1); /* another partition */
  fake_settle();
  check_waits(&request); /* until the coordinator has said that the instance is this server's */
  fake_answer("me");
  check_end_with(&request, UK_OK, 2, "");
  CHECK_EQ_INT(request.got[0], 7);
  CHECK_EQ_INT(request.got[1], 8);
  CHECK(request.as.consume.delivery > 0);
}

static void a_session_is_as_long_as_brokers_take(void)
{
  static const struct {
    int32_t session;
    enum uk_offset_reset reset;
    const char *timeout, *heartbeat, *start;
  } rows[] = {{1000, UK_RESET_LATEST, "6000", "250", "largest"},
              {5999, UK_RESET_EARLIEST, "6000", "250", "smallest"},
              {6000, UK_RESET_NONE, "6000", "250", "error"},
              {8999, UK_RESET_LATEST, "8999", "250", "largest"},
              {9000, UK_RESET_LATEST, "9000", "250", "largest"},
              {30000, UK_RESET_LATEST, "30000", "250", "largest"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    session = rows[i].session;
    reset = rows[i].reset;
    consume(&request, TIMEOUT);
    fake_answer(NULL);
    check_conf("session.timeout.ms", rows[i].timeout);
    check_conf("heartbeat.interval.ms", rows[i].heartbeat);
    check_conf("auto.offset.reset", rows[i].start);
  }
}

/* Lease. */

static void what_the_coordinator_said_holds_for_the_time_of_a_lease(void)
{
  static struct request request;
  serve(&request);
  fake.now += LEASE - 1; /* since it was asked */
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  FAKE_DID("ask-again"); /* ahead of the end */
  fake.now += 1;
  consume(&request, TIMEOUT);
  fake_record(0, 1);
  fake_settle();
  check_waits(&request);
  fake_answer("me");
  check_end_with(&request, UK_OK, 1, "");
}

/* A client that consumes all the time does not wait for the coordinator. */
static void the_coordinator_is_asked_ahead_of_the_end_of_a_lease(void)
{
  static struct request request;
  auto_commit = false;
  for (int64_t at = LEASE - 41; at <= LEASE - 40; at++) {
    serve(&request);
    fake.now += at;
    fake_record(0, 0);
    fake_settle();
    FAKE_DID(at == LEASE - 40 ? "ask-again" : "");
    check_end_with(&request, UK_OK, 1, "");
    fake_close();
    REQUIRE(fake_open());
  }
}

/* The lease counts from the query. */
static void an_answer_that_comes_late_is_worth_less(void)
{
  static const struct {
    int64_t takes;
    bool delivers;
  } rows[] = {{LEASE - 1, true}, {LEASE, false}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, TIMEOUT);
    fake_answer(NULL);
    fake_assigned("me", "t/0");
    fake_record(0, 0);
    fake_settle();
    fake.now += rows[i].takes;
    fake_answer("me");
    CHECK_EQ_INT(request.dones, rows[i].delivers);
  }
}

static void records_wait_a_second_longer_for_the_coordinator(void)
{
  static struct request request;
  consume(&request, 500);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_pass(500 + 999);
  check_waits(&request);
  fake_pass(1);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
}

static void a_cluster_that_cannot_tell_is_not_asked_again(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  FAKE_DID("ask subscribe(t) assign(t/0@?)");
}

/* Without a consume the answer is not needed. */
static void nobody_asks_while_nobody_waits(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(SESSION - 1);
  FAKE_DID("");
}

/* Another server. */

static void an_instance_that_another_server_has_is_lost(void)
{
  static struct request request;
  deliver(&request, 3);
  fake_pass(2 * LEASE);
  consume(&request, TIMEOUT);
  FAKE_DID("ask-again");
  fake_answer("other"); /* a new instance gets the request, and asks first */
  check_waits(&request);
  FAKE_DID("reap ask");
  CHECK_EQ_INT(fake.groups->count, 1);
}

static void an_instance_that_its_group_does_not_know_is_lost(void)
{
  static struct request request;
  deliver(&request, 3);
  fake_pass(2 * LEASE);
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  FAKE_DID("ask-again reap ask");
}

/* Its client has consumed from another server since. */
static void a_consume_that_was_this_servers_ends_when_the_instance_is_lost(void)
{
  static struct request request;
  serve(&request);
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_empty(&request);
  FAKE_DID("reap");
  fake_close();
  REQUIRE(fake_open());
  auto_commit = false;
  deliver(&request, 1);
  consume(&request, TIMEOUT); /* within the lease */
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_empty(&request);
  FAKE_DID("reap");
}

/* The answer is about an earlier member. */
static void an_answer_about_an_earlier_member_says_nothing(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  snprintf(fake.handle->member, sizeof fake.handle->member, "me-again");
  fake_answer("me-again");
  check_waits(&request);
  FAKE_DID("ask subscribe(t) assign(t/0@?) ask-again ask-again");
}

static void one_that_takes_over_waits_for_the_time_of_a_lease(void)
{
  static struct request request;
  auto_commit = false;
  take_over(&request);
  fake_assigned("me", "t/0 t/1");
  fake_record(0, 5);
  fake_pass(LEASE - 1);
  fake_answer("me");
  check_waits(&request);
  FAKE_DID("assign(t/0@? t/1@?) ask-again ask-again");
  fake_pass(1);
  check_waits(&request);
  fake_answer("me");
  check_end_with(&request, UK_OK, 1, "");
}

/* Without an answer the instance may have been taken over. */
static void one_that_is_not_told_waits_as_well(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, NULL, NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 5);
  fake_pass(LEASE - 41);
  fake_answer("me");
  check_waits(&request);
}

/* Handover. */

static void one_that_is_taken_over_goes_on_where_its_client_is(void)
{
  static struct request request;
  take_over(&request);
  fake_assigned("me", "t/0 t/1");
  FAKE_DID("read(t/0 t/1)");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake_committed_is(1, 4, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("assign(t/0@10 t/1@4) ask-again");
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=10)"); /* the request confirms it */
}

/* Without the metadata the offset could not be verified. */
static void a_note_that_is_not_read_in_time_is_asked_for_again(void)
{
  static struct request request;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_read(RD_KAFKA_RESP_ERR__TIMED_OUT);
  FAKE_DID("read(t/0) read(t/0)");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("assign(t/0@10) ask-again");
}

/* librdkafka gets the same code, and reports it. */
static void a_note_that_cannot_be_read_is_none(void)
{
  static struct request request;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake_read(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  FAKE_DID("read(t/0) assign(t/0@?) ask-again");
}

/* The metadata covers a delivery until the client confirms it. */
static void a_delivery_of_one_that_was_taken_over_is_noted(void)
{
  static struct request request;
  finishes = false;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_pass(LEASE);
  fake_record(0, 10);
  fake_answer("me");
  fake.log[0] = '\0';
  fake_answer("me");
  check_end_with(&request, UK_OK, 1, "");
  FAKE_DID("");
  sent(request.as.consume.delivery, true);
  FAKE_DID("commit(t/0=10+11)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID(""); /* once */
}

static void a_delivery_of_one_that_stays_is_not_noted(void)
{
  static struct request request;
  finishes = false;
  deliver(&request, 3);
  sent(request.as.consume.delivery, true);
  FAKE_DID("");
}

/* Deliveries. */

static void the_next_request_says_that_the_last_answer_arrived(void)
{
  static struct request request;
  deliver(&request, 3);
  fake_pass(INTERVAL - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("commit(t/0=0)"); /* where it begins */
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  consume(&request, 0);
  fake_answer("me");
  FAKE_DID("ask-again"); /* confirmed, but the interval is not over */
  fake_pass(INTERVAL - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("commit(t/0=3)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_pass(2 * INTERVAL);
  FAKE_DID(""); /* once */
}

static void a_commit_that_fails_is_made_again(void)
{
  static struct request request;
  deliver(&request, 3);
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=0)");
  fake_pass(2 * INTERVAL);
  FAKE_DID(""); /* one at a time */
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  FAKE_DID("commit(t/0=0)");
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  fake_pass(INTERVAL - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("commit(t/0=0)");
}

static void without_auto_commit_nothing_is_committed(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  consume(&request, 0);
  fake_pass(3 * INTERVAL);
  FAKE_DID("");
  commit(&request, -1, TIMEOUT);
  FAKE_DID("commit(t/0=3)");
  check_waits(&request);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&request);
}

static void an_answer_that_was_not_sent_is_delivered_again(void)
{
  static struct request request, next;
  finishes = false;
  deliver(&request, 3);
  sent(request.as.consume.delivery, false);
  FAKE_DID("");
  consume(&next, TIMEOUT);
  check_end_with(&next, UK_OK, 3, "");
  CHECK(next.as.consume.redelivered);
  CHECK_EQ_STR(next.as.consume.batch, request.as.consume.batch);
  FAKE_DID(""); /* nothing is read again */
}

/* A newer request came in between. */
static void an_answer_that_arrived_is_not_delivered_again(void)
{
  static struct request first, next;
  deliver(&first, 3);
  consume(&next, 0);
  sent(first.as.consume.delivery, false);
  FAKE_DID("");
}

static void a_record_that_has_no_room_is_the_first_of_the_next_answer(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  request.room = 2;
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  for (int i = 0; i < 3; i++)
    fake_record(0, i);
  fake_answer("me");
  check_end_with(&request, UK_OK, 2, "");
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
  CHECK_EQ_INT(request.got[0], 2);
}

static void a_client_that_has_gone_takes_nothing(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  request.unwanted = true;
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_answer("me");
  check_end_with(&request, UK_E_CANCELLED, 0, "");
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
  CHECK_EQ_INT(request.got[0], 0);
}

/* The start is committed, so that another server starts there too. */
static void an_instance_at_the_end_commits_where_it_begins(void)
{
  static struct request request;
  serve(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 12);
  fake_settle();
  FAKE_DID("commit(t/0=12)");
  check_waits(&request);
}

/* Rebalances. */

static void a_partition_that_comes_back_goes_on(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  fake_revoked(false);
  fake_pass(PATIENCE);
  FAKE_DID("unassign");
  fake_assigned("me", "t/0");
  FAKE_DID("assign(t/0@3)");
}

static void what_arrived_is_committed_before_others_have_the_partition(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  fake_revoked(false);
  FAKE_DID("commit(t/0=3) unassign");
}

static void a_partition_that_was_lost_begins_where_it_was_committed(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  fake_revoked(true);
  FAKE_DID("unassign");
  fake.handle->assignment_lost = false;
  fake_assigned("me", "t/0");
  FAKE_DID("assign(t/0@?)");
}

static void a_partition_whose_offset_the_client_set_begins_there(void)
{
  static struct request request;
  deliver(&request, 3);
  commit(&request, 1, TIMEOUT);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_revoked(false);
  fake_assigned("me", "t/0");
  FAKE_DID("commit(t/0=1) unassign assign(t/0@?)");
}

/* If the revocation were answered, librdkafka would join again, and a deleted instance would be
 * back. */
static void a_member_that_its_group_forgot_is_lost(void)
{
  static struct request request;
  deliver(&request, 3);
  fake.handle->member[0] = '\0';
  fake_revoked(true);
  FAKE_DID("reap");
  CHECK_EQ_INT(fake.groups->count, 0);
}

/* A group gives an instance that is taken over what it had before, whatever it names now. */
static void an_assignment_of_other_topics_is_declined(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "u/0");
  FAKE_DID("ask subscribe(t) assign() unsubscribe");
  check_waits(&request);
}

static void an_assignment_without_a_topic_that_has_more_is_declined(void)
{
  static const struct {
    const char *held, *given, *does;
  } rows[] = {
    {"u/0 u/1 u/2 u/3", "u/0", "assign() unsubscribe"},
    {"t/0 t/1 t/2 u/0", "u/0", "assign() unsubscribe"}, /* nobody has one of four */
    {"t/0 t/1 t/2 t/3 u/0", "u/0", "assign(u/0@?) ask-again"},
    {"u/0", "t/0 u/0", "assign(t/0@? u/0@?) ask-again"},
    {NULL, "u/0", "assign(u/0@?) ask-again"}, /* the group rebalances */
  };
  auto_commit = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume_topics(&request, 2, TIMEOUT);
    fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "u/0", rows[i].held);
    FAKE_DID("ask subscribe(t,u)");
    fake_assigned("me", rows[i].given);
    FAKE_DID(rows[i].does);
  }
}

static void other_topics_are_subscribed_to_once(void)
{
  static struct request request;
  deliver(&request, 1);
  consume_topics(&request, 2, 0);
  FAKE_DID("subscribe(t,u)");
  consume_topics(&request, 2, 0);
  FAKE_DID("");
  consume(&request, 0);
  FAKE_DID("subscribe(t)");
}

/* Commits. */

static void commits_go_one_after_the_other(void)
{
  static struct request first, next;
  auto_commit = false;
  deliver(&first, 3);
  commit(&first, 1, TIMEOUT);
  commit(&next, 2, TIMEOUT);
  FAKE_DID("commit(t/0=1)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&first);
  check_waits(&next);
  FAKE_DID("commit(t/0=2)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&next);
}

static void a_commit_of_nothing_is_answered_at_once(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  static struct request empty;
  commit(&empty, -1, TIMEOUT);
  check_empty(&empty);
  FAKE_DID("");
}

static void a_commit_ends_as_the_group_says(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error;
    bool may_be_done;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, UK_E_FORBIDDEN, false},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, UK_E_UNAVAILABLE, false},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, UK_E_GATEWAY_TIMEOUT, true},
    {RD_KAFKA_RESP_ERR__TRANSPORT, UK_E_GATEWAY_TIMEOUT, true},
    {RD_KAFKA_RESP_ERR__DESTROY, UK_E_GATEWAY_TIMEOUT, true},
  };
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    commit(&request, 1, TIMEOUT);
    fake_committed(rows[i].code);
    check_end_with(&request, rows[i].error, 0, "group \"g\": ");
    check_may_be_done(&request, rows[i].may_be_done);
  }
}

static void a_commit_names_the_partition_that_failed(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  commit(&request, 1, TIMEOUT);
  fake.commit_lists[0]->elems[0].err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_end_with(&request, UK_E_NOT_FOUND, 0, "topic \"t\" partition 0: ");
}

static void a_commit_without_an_answer_ends_at_its_deadline(void)
{
  static struct request late, next;
  auto_commit = false;
  deliver(&late, 3);
  commit(&late, 1, 2000);
  commit(&next, 2, 2001);
  fake_pass(1999);
  check_waits(&late);
  fake_pass(1);
  check_end_with(&late, UK_E_GATEWAY_TIMEOUT, 0, "commit: the group's coordinator did not answer");
  check_may_be_done(&late, true);
  check_waits(&next);
  fake_pass(1);
  check_end_with(&next, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
  check_may_be_done(&next, false);
  FAKE_DID("commit(t/0=1)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_EQ_INT(late.dones, 1);
  commit(&next, 3, TIMEOUT);
  FAKE_DID("commit(t/0=3)");
}

/* A new instance, or a takeover, makes it. */
static void a_commit_that_is_fenced_is_made_by_a_new_instance(void)
{
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID,
                                              RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver(&request, 3);
    commit(&request, 1, TIMEOUT);
    fake_committed(codes[i]);
    check_waits(&request);
    FAKE_DID("commit(t/0=1) reap ask");
  }
}

/* librdkafka did not send it. */
static void a_commit_that_is_refused_ends_at_once(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  fake.handle->refuses = RD_KAFKA_RESP_ERR__STATE;
  commit(&request, 1, TIMEOUT);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "commit: ");
}

/* Takeovers for a commit or a deletion alone. */

static void an_unknown_instance_is_not_found(void)
{
  static struct request committed, deleted;
  commit(&committed, 1, TIMEOUT);
  delete (&deleted, TIMEOUT);
  FAKE_DID("ask");
  fake_answer(NULL);
  check_end_with(&committed, UK_E_NOT_FOUND, 0, "group \"g\" has no consumer instance \"one\"");
  check_end_with(&deleted, UK_E_NOT_FOUND, 0, "group \"g\" has no consumer instance \"one\"");
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_coordinator_that_says_nothing_makes_a_takeover_fail(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error;
  } rows[] = {{RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, UK_E_FORBIDDEN},
              {RD_KAFKA_RESP_ERR__TIMED_OUT, UK_E_UNAVAILABLE},
              {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, UK_E_UNAVAILABLE}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request committed, deleted;
    commit(&committed, 1, TIMEOUT);
    delete (&deleted, TIMEOUT);
    fake_answer_with(rows[i].code, NULL, NULL, NULL);
    check_end_with(&committed, rows[i].error, 0, "group \"g\": ");
    check_end_with(&deleted, rows[i].error, 0, "group \"g\": ");
    check_may_be_done(&committed, false);
    CHECK_EQ_INT(fake.groups->count, 0);
  }
}

static void a_commit_takes_over_what_another_server_has(void)
{
  static struct request request;
  commit(&request, 1, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0 t/1 u/0", "t/0 t/1 u/0");
  FAKE_DID("ask subscribe(t,u)");
  fake_assigned("me", "t/0 t/1 u/0");
  FAKE_DID("assign() commit(t/0=1)");
  check_waits(&request);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&request);
  FAKE_DID("reap"); /* it stays a member: whose it is, the next request decides */
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_takeover_that_knows_no_topic_names_its_own(void)
{
  static struct request request;
  commit(&request, 1, TIMEOUT);
  fake_answer("other");
  FAKE_DID("ask subscribe(t)");
  fake_close();
  REQUIRE(fake_open());
  delete (&request, TIMEOUT);
  fake_answer("other");
  FAKE_DID("ask subscribe(any)");
}

/* Only the other server knows what was consumed. */
static void a_takeover_does_not_commit_what_it_does_not_know(void)
{
  static struct request request;
  commit(&request, -1, TIMEOUT);
  fake_answer("other");
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "another server has the consumer instance");
  check_may_be_done(&request, false);
  FAKE_DID("ask");
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_deletion_takes_over_and_leaves(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", NULL);
  fake_assigned("me", "t/0");
  FAKE_DID("ask subscribe(t) assign()");
  fake_pass(LEASE - 1); /* the other server may still deliver */
  FAKE_DID("");
  fake_pass(1);
  check_waits(&request);
  leave("unsubscribe");
  check_empty(&request);
}

static void a_takeover_commits_before_it_leaves(void)
{
  static struct request committed, deleted;
  commit(&committed, 1, TIMEOUT);
  delete (&deleted, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "t/0");
  FAKE_DID("ask subscribe(t) assign() commit(t/0=1)");
  fake_pass(2 * LEASE);
  FAKE_DID("");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&committed);
  leave("unsubscribe");
  check_empty(&deleted);
}

/* The instance outlives its topic. */
static void a_deletion_leaves_by_another_topic(void)
{
  static struct request committed, deleted;
  commit(&committed, 1, TIMEOUT);
  delete (&deleted, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", NULL);
  FAKE_DID("ask subscribe(t)");
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  check_end_with(&committed, UK_E_NOT_FOUND, 0, "");
  check_waits(&deleted);
  FAKE_DID("forget(t) subscribe(any)");
  fake_error(RD_KAFKA_RESP_ERR__TRANSPORT, false); /* passes */
  check_waits(&deleted);
  fake_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false);
  check_end_with(&deleted, UK_E_FORBIDDEN, 0, "");
}

/* A consume creates an instance when the takeover is over. */
static void a_consume_waits_for_a_takeover(void)
{
  static struct request committed, consumed;
  commit(&committed, 1, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  consume_topics(&consumed, 2, TIMEOUT);
  FAKE_DID("");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_waits(&consumed);
  FAKE_DID("reap ask");
}

/* Deletions. */

static void a_deletion_waits_for_the_coordinators_word(void)
{
  static struct request consumed, deleted;
  deliver(&consumed, 3);
  consume(&consumed, TIMEOUT);
  fake_pass(1); /* earlier confirmations do not count */
  delete (&deleted, TIMEOUT);
  FAKE_DID("ask-again");
  check_waits(&consumed);
  fake_answer("me");
  check_empty(&consumed);
  check_waits(&deleted);
  leave("commit(t/0=3) unsubscribe");
  check_empty(&deleted);
}

static void a_deletion_of_what_another_server_has_is_its_to_take_over(void)
{
  static struct request consumed, deleted;
  deliver(&consumed, 3);
  fake_pass(1);
  delete (&deleted, TIMEOUT);
  fake_answer("other");
  check_waits(&deleted);
  FAKE_DID("ask-again reap ask");
}

static void a_group_that_does_not_say_that_it_has_left_may_have_let_it_go(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  fake_pass(1);
  delete (&request, 60000);
  fake_answer("me");
  FAKE_DID("ask-again unsubscribe");
  fake_pass(4999);
  check_waits(&request);
  fake_pass(10);
  check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0, "the group did not confirm in time");
  check_may_be_done(&request, true);
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_deletion_that_nobody_confirms_was_not_made(void)
{
  static const struct {
    bool commits;
    enum uk_error error;
  } rows[] = {{false, UK_E_UNAVAILABLE}, {true, UK_E_GATEWAY_TIMEOUT}};
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    auto_commit = rows[i].commits; /* the deletion confirms the last response */
    deliver(&request, 3);
    fake_pass(1);
    delete (&request, 700);
    fake_pass(699);
    check_waits(&request);
    fake_pass(1);
    check_end_with(&request, rows[i].error, 0, "the group's coordinator did not answer in time");
    check_may_be_done(&request, rows[i].commits);
  }
}

/* A static member leaves by the name that it joined under. */
static void one_that_joins_leaves_when_it_has_joined(void)
{
  static struct request consumed;
  consume(&consumed, TIMEOUT);
  fake_answer(NULL);
  FAKE_DID("ask subscribe(t)");
  fake_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false);
  check_end_with(&consumed, UK_E_FORBIDDEN, 0, "group \"g\": ");
  fake_pass(1000);
  FAKE_DID("");
  snprintf(fake.handle->member, sizeof fake.handle->member, "me");
  fake_pass(10);
  leave("unsubscribe");
}

static void what_comes_while_it_leaves_is_the_next_ones(void)
{
  static struct request request, next;
  auto_commit = false;
  deliver(&request, 3);
  fake_pass(1);
  delete (&request, TIMEOUT);
  fake_answer("me");
  consume_topics(&next, 2, TIMEOUT);
  FAKE_DID("ask-again unsubscribe");
  fake.handle->member[0] = '\0';
  fake_pass(10);
  fake.handle->closed = true;
  fake_pass(10);
  check_empty(&request);
  check_waits(&next);
  FAKE_DID("close reap ask");
}

/* Ends. */

static void an_instance_that_falls_silent_leaves(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  fake_pass(SESSION - 1);
  FAKE_DID("");
  fake_pass(1);
  leave("unsubscribe");
}

/* A consume that waits is a sign of life. */
static void an_instance_is_not_silent_while_somebody_waits(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  consume(&request, 2 * SESSION);
  while (fake.now < request.as.operation.deadline) {
    if (!uk_list_is_empty(&fake.member_queries))
      fake_answer("me");
    fake_pass(1000);
  }
  CHECK_EQ_INT(request.dones, 1);
  CHECK_EQ_INT(fake.groups->count, 1);
  fake.log[0] = '\0';
  fake_pass(SESSION - 1);
  CHECK(strstr(fake.log, "unsubscribe") == NULL);
  fake_pass(2);
  CHECK(strstr(fake.log, "unsubscribe") != NULL);
}

static void a_drain_ends_all_that_waits(void)
{
  static struct request consumed, deleted;
  deliver(&consumed, 3);
  consume(&consumed, TIMEOUT);
  fake_pass(1);
  delete (&deleted, TIMEOUT);
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  check_empty(&consumed);
  check_waits(&deleted); /* two seconds */
  fake_pass(1999);
  check_waits(&deleted);
  fake_pass(1);
  check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
}

/* It stays a member: another server, or this one when it is back, takes it over. */
static void a_server_that_stops_commits_what_arrived(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  FAKE_DID("commit(t/0=3)");
  fake_pass(1000);
  FAKE_DID("");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("reap");
}

static void a_server_that_stops_waits_two_seconds_for_its_commits(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_pass(1999);
  FAKE_DID("commit(t/0=3)");
  fake_pass(1);
  FAKE_DID("reap");
}

/* Nothing came. */

static void a_consume_without_records_ends_at_its_deadline(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  for (int i = 0; i < 2; i++)
    fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, i, 0);
  fake_pass(TIMEOUT - 1);
  check_waits(&request);
  CHECK_EQ_INT(fake.refreshes, TIMEOUT / 1000);
  fake_pass(1);
  check_empty(&request);
}

static void nothing_is_said_of_what_may_be_out_of_order(void)
{
  static const struct {
    bool cut_off;
    int32_t leaderless;
    int ended;       /* partitions that have said that they end */
    int64_t timeout; /* the fetch of librdkafka takes up to half a second */
    enum uk_error error;
    const char *part;
  } rows[] = {
    {true, -1, 2, 100, UK_E_UNAVAILABLE, "the Kafka cluster does not answer"},
    {false, 1, 2, 100, UK_E_UNAVAILABLE, "topic \"t\" partition 1 has no leader"},
    {false, -1, 2, TIMEOUT, UK_OK, ""},
    {false, -1, 1, 2999, UK_OK, ""},
    {false, -1, 1, 3000, UK_E_GATEWAY_TIMEOUT, "topic \"t\" partition 1 did not answer in time"},
    {false, -1, 0, 3000, UK_E_GATEWAY_TIMEOUT, "topic \"t\" partition 0 did not answer in time"},
  };
  auto_commit = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, rows[i].timeout);
    fake_answer(NULL);
    fake_assigned("me", "t/0 t/1");
    fake_answer("me");
    for (int j = 0; j < rows[i].ended; j++)
      fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, j, 0);
    fake_settle();
    fake.cut_off = rows[i].cut_off;
    fake.leaderless = rows[i].leaderless;
    fake_pass(rows[i].timeout);
    check_end_with(&request, rows[i].error, 0, rows[i].part);
  }
}

/* A group that does not let an instance in for five seconds may have no coordinator. */
static void a_group_that_lets_nobody_in_is_asked(void)
{
  static const struct {
    int64_t timeout;
    enum uk_error said, error;
  } rows[] = {{4999, UK_OK, UK_OK},
              {5000, UK_OK, UK_OK},
              {5000, UK_E_GATEWAY_TIMEOUT, UK_E_UNAVAILABLE},
              {5000, UK_E_FORBIDDEN, UK_E_FORBIDDEN}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, rows[i].timeout);
    fake_answer(NULL);
    fake_pass(rows[i].timeout);
    CHECK_EQ_INT(strstr(fake.log, "probe") != NULL, rows[i].timeout >= 5000);
    if (fake.probe != NULL) {
      check_waits(&request);
      CHECK_EQ_INT(fake.probe->operation.deadline, fake.now + 500);
      fake.probe->operation.error = rows[i].said;
      fake.probe->operation.done(&fake.probe->operation);
    }
    check_end_with(&request, rows[i].error, 0, "");
  }
}

/* Trouble. */

static void what_is_wrong_with_a_topic_ends_a_new_instance(void)
{
  static struct request request;
  serve(&request);
  fake_said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, -1);
  fake_settle();
  check_end_with(&request, UK_E_FORBIDDEN, 0, "topic \"t\" partition 1: ");
  FAKE_DID("unsubscribe");
}

/* One text for a topic that is missing, whether the server or a broker says so: that of the check,
 * which asks the cluster. */
static void d6_a_topic_that_is_gone_does_not_exist(void)
{
  static struct request request;
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION,
                                              RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART};
  deliver(&request, 1);
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    fake.check_error = UK_OK;
    consume(&request, TIMEOUT);
    fake.check_error = UK_E_NOT_FOUND;
    fake_said(codes[i], 0, -1);
    fake_settle();
    check_end_with(&request, UK_E_NOT_FOUND, 0, "");
    FAKE_DID("forget(t)"); /* otherwise its memory would answer the check */
  }
}

/* It was created again, or librdkafka asked a broker that does not know it yet. */
static void a_topic_that_exists_is_not_missing(void)
{
  static struct request request;
  deliver(&request, 1);
  consume(&request, TIMEOUT);
  fake_said(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, 0, -1);
  fake_settle();
  check_waits(&request);
  FAKE_DID("forget(t)");
  fake_record(0, 1);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
}

/* The instance is of no use any more; the next one serves its consume. */
static void a_consume_outlives_the_instance_whose_topic_was_missing(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  consume(&request, TIMEOUT);
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  check_waits(&request);
  FAKE_DID("forget(t) unsubscribe");
  fake.handle->member[0] = '\0';
  fake_pass(10);
  fake.handle->closed = true;
  fake_pass(10);
  FAKE_DID("close reap ask");
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  FAKE_DID("subscribe(t) assign(t/0@?) ask-again");
  fake_answer("me");
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
}

/* Its client deleted the topic, and does not want it back. */
static void a_consume_that_waits_creates_no_topic(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  begin(&request, TIMEOUT);
  request.topics[0] = uk_slice_text("t");
  request.as.consume.topics = request.topics;
  request.as.consume.topic_count = 1;
  request.as.consume.create = true;
  request.as.consume.settings.session_timeout = SESSION;
  request.as.consume.sink = (struct uk_sink){take, NULL};
  uk_kafka_groups_consume(fake.groups, &request.as.consume);
  fake_settle();
  fake.missing = true;
  fake.check_error = UK_E_NOT_FOUND;
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  check_end_with(&request, UK_E_NOT_FOUND, 0, "");
  CHECK(strstr(fake.log, "create") == NULL);
}

static void what_is_wrong_with_a_topic_leaves_one_that_has_served(void)
{
  static struct request request;
  deliver(&request, 1);
  consume(&request, TIMEOUT);
  fake_said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, -1);
  fake_settle();
  check_end_with(&request, UK_E_FORBIDDEN, 0, "topic \"t\" partition 1: ");
  FAKE_DID("");
  consume(&request, TIMEOUT);
  fake_said(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 1, -1); /* passes */
  fake_settle();
  check_waits(&request);
}

static void an_instance_whose_only_topic_is_gone_leaves(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  consume(&request, TIMEOUT);
  fake.check_error = UK_E_NOT_FOUND;
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  check_end_with(&request, UK_E_NOT_FOUND, 0, "");
  FAKE_DID("forget(t) unsubscribe");
}

static void an_instance_stays_for_its_other_topic(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  consume_topics(&request, 2, TIMEOUT);
  fake.check_error = UK_E_NOT_FOUND;
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  check_end_with(&request, UK_E_NOT_FOUND, 0, "");
  FAKE_DID("subscribe(t,u) forget(t) forget(u)");
}

static void reset_none_says_what_cannot_be_used(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    int64_t offset;
    const char *message;
  } rows[] = {
    {RD_KAFKA_RESP_ERR__NO_OFFSET, -1001, "no committed offset for topic \"t\" partition 1, and"},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, -1001,
     "no committed offset for topic \"t\" partition 1, and the auto offset reset is none"},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 40,
     "the committed offset 40 of topic \"t\" partition 1 is out of range 50 to 60, and the auto "
     "offset reset is none"},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 0,
     "the committed offset 0 of topic \"t\" partition 1 is out of range 50 to 60, and the auto "
     "offset reset is none"},
  };
  auto_commit = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    serve(&request);
    fake_said(rows[i].code, 1, rows[i].offset);
    fake_settle();
    if (rows[i].offset >= 0) {
      FAKE_DID("watermarks(t/1) unsubscribe");
      fake.watermarks->first->offset = 50;
      fake.watermarks->end->offset = 60;
      fake.watermarks->work.query.then(&fake.watermarks->work.query);
    } else {
      FAKE_DID("unsubscribe");
    }
    check_end_with(&request, UK_E_BAD_REQUEST, 0, rows[i].message);
  }
}

static void a_handle_that_cannot_be_made_ends_all_requests(void)
{
  static struct request consumed, committed, deleted;
  fake.refuses_handles = true;
  consume(&consumed, TIMEOUT);
  fake_answer(NULL);
  check_end_with(&consumed, UK_E_UNAVAILABLE, 0, "no handle");
  commit(&committed, 1, TIMEOUT);
  delete (&deleted, TIMEOUT);
  fake_answer("other");
  check_end_with(&committed, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
  check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
  CHECK_EQ_INT(fake.groups->count, 0);
}

/* The cluster may answer when no request waits for it any more. */
static void an_answer_may_come_after_the_end(void)
{
  static struct request request;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_waits(&request);
  FAKE_DID("read(t/0) reap ask");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* Where brokers cannot tell who has an instance, one that was here may be elsewhere. */
static void an_instance_that_moved_is_not_known_to_be_gone(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    enum uk_error error;
    const char *part;
  } rows[] = {{RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, UK_E_UNAVAILABLE,
               "consumer instance \"one\" of group \"g\" moved to another server"},
              {RD_KAFKA_RESP_ERR_NO_ERROR, UK_E_NOT_FOUND, "has no consumer instance"}};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request request, committed, deleted;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver(&request, 1);
    commit(&committed, 1, TIMEOUT);
    fake_pass(1);
    delete (&deleted, TIMEOUT);
    fake_committed(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
    fake_answer(NULL); /* to the instance that has ended */
    fake_answer_with(rows[i].code, NULL, NULL, NULL);
    check_end_with(&committed, rows[i].error, 0, rows[i].part);
    check_end_with(&deleted, rows[i].error, 0, rows[i].part);
  }
}

static void one_that_was_never_here_is_not_found_where_nobody_can_tell(void)
{
  static struct request request;
  commit(&request, 1, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  check_end_with(&request, UK_E_NOT_FOUND, 0, "has no consumer instance");
}

static void a_takeover_that_has_joined_needs_no_other_topic(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", NULL);
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  FAKE_DID("");
  check_waits(&request);
}

/* Everything in the topic is newer than the consume that created it. */
static void a_topic_that_was_created_is_read_from_its_first_offset(void)
{
  static const struct {
    enum uk_offset_reset reset;
    const char *assigned;
  } rows[] = {{UK_RESET_LATEST, "assign(t/0@first) ask-again"},
              {UK_RESET_EARLIEST, "assign(t/0@?) ask-again"}};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    fake.missing = true;
    reset = rows[i].reset;
    begin(&request, TIMEOUT);
    request.topics[0] = uk_slice_text("t");
    request.as.consume.topics = request.topics;
    request.as.consume.topic_count = 1;
    request.as.consume.create = true;
    request.as.consume.settings =
      (struct uk_consumer_settings){.offset_reset = reset, .session_timeout = SESSION};
    request.as.consume.sink = (struct uk_sink){take, NULL};
    uk_kafka_groups_consume(fake.groups, &request.as.consume);
    fake_settle();
    fake_answer(NULL);
    FAKE_DID("create(t) ask subscribe(t)");
    fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false); /* not every broker knows it yet */
    check_waits(&request);
    FAKE_DID("");
    fake_assigned("me", "t/0");
    FAKE_DID(rows[i].assigned);
    fake_answer("me");
    fake_revoked(false);
    fake_assigned("me", "t/0"); /* it read nothing, and others may have had the partition */
    FAKE_DID("unassign assign(t/0@?)");
    fake.missing = false;
    fake.check_error = UK_E_NOT_FOUND;
    fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
    check_end_with(&request, UK_E_NOT_FOUND, 0, "");
  }
}

static void one_that_takes_over_does_not_leave_before_the_other_knows(void)
{
  static struct request consumed, deleted;
  auto_commit = false;
  take_over(&consumed);
  fake_assigned("me", "t/0 t/1");
  fake_pass(1);
  delete (&deleted, TIMEOUT);
  fake_answer("me");
  fake_pass(1);
  fake_answer("me");
  FAKE_DID("assign(t/0@? t/1@?) ask-again ask-again");
  fake_pass(LEASE - 3);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unsubscribe");
}

static void commits_come_before_a_deletion(void)
{
  static struct request first, next, deleted;
  auto_commit = false;
  deliver(&first, 3);
  commit(&first, 1, TIMEOUT);
  commit(&next, 2, 2000);
  fake_pass(1);
  delete (&deleted, TIMEOUT);
  fake_answer("me");
  FAKE_DID("commit(t/0=1) ask-again");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&first);
  FAKE_DID("commit(t/0=2)");
  fake_pass(1000);
  FAKE_DID(""); /* until the group has answered */
  fake_pass(1000);
  check_end_with(&next, UK_E_GATEWAY_TIMEOUT, 0, "commit: the group's coordinator did not answer");
  check_waits(&deleted);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK_EQ_INT(next.dones, 1);
  fake_pass(10);
  leave("unsubscribe");
}

static void the_last_commits_have_their_time_from_the_close_on(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  uk_kafka_groups_drain(fake.groups);
  fake_pass(1500);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_pass(1999);
  FAKE_DID("commit(t/0=3)");
  fake_pass(1);
  FAKE_DID("reap");
}

static void a_server_that_stops_waits_for_the_commits_of_clients(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  commit(&request, 1, TIMEOUT);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_pass(1000);
  check_waits(&request);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&request);
  FAKE_DID("commit(t/0=1) reap");
}

static void a_coordinator_that_does_not_know_is_asked_again_after_a_lease(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_pass(10);
  fake_answer_with(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, NULL, NULL);
  FAKE_DID("ask subscribe(t) assign(t/0@?) ask-again");
  fake_pass(LEASE - 11);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("ask-again");
  check_waits(&request);
}

static void one_that_waits_for_its_deletion_is_not_silent(void)
{
  static struct request request;
  auto_commit = false;
  session = 1000;
  deliver(&request, 1);
  fake_pass(1);
  delete (&request, 5000);
  fake_pass(4999);
  check_waits(&request);
  FAKE_DID("ask-again");
}

static void a_handle_that_is_of_no_use_is_a_lost_instance(void)
{
  static struct request request;
  deliver(&request, 1);
  fake.handle->fatal = RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 1);
  fake_settle();
  FAKE_DID("reap");
}

static void topics_that_were_refused_are_subscribed_to_again(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake.handle->refuses = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  consume_topics(&request, 2, TIMEOUT);
  check_end_with(&request, UK_E_FORBIDDEN, 0, "subscribe: ");
  fake.handle->refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
  consume_topics(&request, 2, TIMEOUT);
  check_waits(&request);
  FAKE_DID("subscribe(t,u) subscribe(t,u)");
}

/* A broker has three seconds to report something, counted from when requests began to wait without
 * a break. */
static void a_break_of_more_than_a_second_is_one(void)
{
  static const struct {
    int64_t pause;
    enum uk_error error;
  } rows[] = {{1000, UK_E_GATEWAY_TIMEOUT}, {1001, UK_OK}};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request first, next;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&first, 1);
    fake_answer(NULL);
    fake_assigned("me", "t/0");
    fake_answer("me");
    fake_pass(1);
    check_empty(&first);
    fake_pass(rows[i].pause);
    consume(&next, 3000 - rows[i].pause);
    fake_pass(3000 - rows[i].pause);
    check_end_with(&next, rows[i].error, 0, "");
  }
}

static void another_request_is_no_break(void)
{
  static struct request first, next;
  auto_commit = false;
  serve(&first);
  fake_pass(2000);
  consume(&next, 1000);
  fake_pass(1000);
  check_end_with(&next, UK_E_GATEWAY_TIMEOUT, 0, "topic \"t\" partition 0 did not answer in time");
}

static void a_commit_is_a_sign_of_life(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(SESSION - 1);
  commit(&request, 1, TIMEOUT);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/0=1)");
  fake_pass(SESSION - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unsubscribe");
}

static void what_is_delivered_again_begins_with_the_first(void)
{
  static struct request request, again, next;
  finishes = false;
  auto_commit = false;
  consume(&request, TIMEOUT);
  request.room = 2;
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  for (int i = 0; i < 3; i++)
    fake_record(0, i);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 3);
  fake_answer("me");
  check_end_with(&request, UK_OK, 2, "");
  sent(request.as.consume.delivery, false);
  consume(&again, TIMEOUT);
  check_end_with(&again, UK_OK, 2, "");
  for (int i = 0; i < 2; i++)
    CHECK_EQ_INT(again.got[i], i);
  sent(again.as.consume.delivery, true);
  consume(&next, TIMEOUT);
  check_end_with(&next, UK_OK, 1, "");
  CHECK_EQ_INT(next.got[0], 2);
}

static void without_auto_commit_no_delivery_is_noted(void)
{
  static struct request request;
  finishes = false;
  auto_commit = false;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_pass(LEASE);
  fake_record(0, 10);
  fake_answer("me");
  fake_answer("me");
  check_end_with(&request, UK_OK, 1, "");
  fake.log[0] = '\0';
  sent(request.as.consume.delivery, true);
  FAKE_DID("");
}

static void one_that_has_answered_without_records_stays(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake_pass(TIMEOUT);
  CHECK_EQ_INT(request.dones, 1);
  consume(&request, TIMEOUT);
  fake_answer("me");
  fake.log[0] = '\0';
  fake_said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, -1);
  fake_settle();
  check_end_with(&request, UK_E_FORBIDDEN, 0, "");
  FAKE_DID("");
}

/* It ends as if its deadline had come, without the extra second for the coordinator. */
static void a_drain_does_not_wait_for_the_coordinator(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_pass(1);
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  check_empty(&request);
}

/* Once the member leaves, the outcome counts, not the deadline. */
static void a_deletion_under_way_outlives_its_deadline(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(1);
  delete (&request, 1000);
  fake_answer("me");
  fake_pass(4999);
  check_waits(&request);
  fake.handle->member[0] = '\0';
  fake.handle->closed = true;
  fake_pass(10);
  check_empty(&request);
}

static void a_commit_that_a_stop_does_not_wait_for_may_be_done(void)
{
  static struct request sent_one, waiting;
  auto_commit = false;
  deliver(&sent_one, 1);
  commit(&sent_one, 1, TIMEOUT);
  commit(&waiting, 2, TIMEOUT);
  uk_kafka_groups_drain(fake.groups);
  fake_pass(1999);
  check_waits(&sent_one);
  check_waits(&waiting);
  fake_pass(1);
  check_end_with(&sent_one, UK_E_GATEWAY_TIMEOUT, 0, "commit: ");
  check_may_be_done(&sent_one, true);
  check_end_with(&waiting, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
  check_may_be_done(&waiting, false);
}

static void a_commit_alone_ends_at_its_deadline(void)
{
  static const int64_t timeouts[] = {1, 37, 1234};
  auto_commit = false;
  for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver(&request, 1);
    commit(&request, 1, timeouts[i]);
    fake_pass(timeouts[i] - 1);
    check_waits(&request);
    fake_pass(1);
    check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0, "commit: ");
  }
}

/* Even when nothing else wakes the task. */
static void each_request_ends_at_its_deadline(void)
{
  static const int64_t timeouts[] = {1, 37, 1234};
  auto_commit = false;
  for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
    static struct request consumed, committed, deleted;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    commit(&committed, 1, timeouts[i]);
    fake_pass(timeouts[i] - 1);
    check_waits(&committed);
    fake_pass(1);
    check_end_with(&committed, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer");
    delete (&deleted, timeouts[i]);
    fake_pass(timeouts[i] - 1);
    check_waits(&deleted);
    fake_pass(1);
    check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer");
    fake_answer(NULL);
    consume(&consumed, timeouts[i]);
    fake_answer(NULL);
    fake_pass(timeouts[i] - 1);
    check_waits(&consumed);
    fake_pass(1);
    check_empty(&consumed);
  }
}

/* A new instance does not get it. */
static void what_is_over_when_the_instance_is_lost_ends(void)
{
  static struct request consumed, under_way, waiting;
  auto_commit = false;
  deliver(&consumed, 1);
  fake_pass(2 * LEASE);
  consume(&consumed, 500);
  commit(&under_way, 1, 500);
  commit(&waiting, 2, 500);
  fake.now += 500;
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_empty(&consumed);
  check_end_with(&under_way, UK_E_GATEWAY_TIMEOUT, 0, "the instance moved to another server");
  check_may_be_done(&under_way, true);
  check_end_with(&waiting, UK_E_UNAVAILABLE, 0, "the instance moved to another server");
  check_may_be_done(&waiting, false);
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_partition_has_three_seconds_from_each_assignment_on(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_pass(TIMEOUT - 2999);
  fake_assigned("me", "t/0");
  fake_answer("me");
  fake_pass(2999);
  check_empty(&request);
  consume(&request, 1000);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 0);
  fake_settle();
  fake_answer("me");
  fake_revoked(false);
  fake_assigned("me", "t/0");
  fake_pass(1000);
  CHECK_EQ_INT(request.dones, 1);
  consume(&request, 2000);
  fake_pass(2000);
  check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0, "topic \"t\" partition 0 did not answer");
}

static void what_is_known_late_of_a_partition_that_is_gone_is_not_used(void)
{
  static struct request request;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_revoked(false);
  FAKE_DID("read(t/0) unassign");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("");
  check_waits(&request);
}

static void nothing_is_delivered_of_a_partition_that_is_gone(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_revoked(false);
  consume(&request, 0);
  fake_record(0, 1);
  consume(&request, TIMEOUT);
  check_waits(&request);
  fake_assigned("me", "t/0");
  fake_record(0, 1);
  fake_record(0, 1); /* twice, as after a seek */
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
}

static void a_revocation_that_is_not_a_loss_ends_nothing(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake.handle->member[0] = '\0';
  fake_revoked(false);
  FAKE_DID("unassign");
  CHECK_EQ_INT(fake.groups->count, 1);
}

static void one_that_leaves_cannot_be_lost(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(1);
  commit(&request, 1, TIMEOUT);
  static struct request deleted;
  delete (&deleted, TIMEOUT);
  fake_answer("me");
  fake.handle->member[0] = '\0';
  fake_revoked(true);
  FAKE_DID("commit(t/0=1) ask-again unassign");
  fake_committed(RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "group \"g\": ");
  check_waits(&deleted);
}

static void the_coordinator_has_five_seconds(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  CHECK_EQ_INT(fake_member_query()->query.deadline, fake.now + 5000);
}

static void one_that_joins_again_does_not_wait_again(void)
{
  static struct request request;
  auto_commit = false;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_pass(LEASE);
  fake_answer("me");
  fake_revoked(false);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_settle();
  fake_answer("me");
  check_end_with(&request, UK_OK, 1, "");
}

/* The client need not wait past its deadline. */
static void records_that_may_not_be_delivered_yet_make_nobody_wait(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, LEASE / 2);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake.cut_off = true;
  fake_pass(LEASE / 2);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "the Kafka cluster does not answer");
  fake_pass(LEASE);
  consume(&request, 500);
  fake_pass(500);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "the Kafka cluster does not answer");
}

/* Where the next request may reach another server again. */

static void a_poll_that_is_shorter_than_a_takeover_gets_its_records(void)
{
  static const int64_t timeouts[] = {0, 1, LEASE + 20};
  auto_commit = false;
  for (size_t i = 0; i < sizeof timeouts / sizeof *timeouts; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, timeouts[i]);
    fake_pass(50);
    fake_answer("other");
    fake_pass(50);
    fake_assigned("me", "t/0 t/1");
    fake_pass(LEASE);
    fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 5);
    fake_settle();
    confirm();
    check_waits(&request); /* t/1 has not answered yet */
    fake_record(1, 0);
    fake_settle();
    confirm();
    check_end_with(&request, UK_OK, 1, "");
    consume(&request, timeouts[i]); /* another one at this server */
    fake_pass(timeouts[i]);
    check_empty(&request);
  }
}

static void it_ends_when_no_partition_has_records(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, 1);
  fake_answer("other");
  fake_assigned("me", "t/0 t/1");
  fake_pass(LEASE);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 1, 5);
  fake_settle();
  confirm();
  check_waits(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 5);
  fake_settle();
  confirm();
  check_empty(&request);
}

static void it_waits_no_longer_than_a_second(void)
{
  static struct request request;
  static const char *const owners[] = {"other", NULL};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, 500);
    fake_answer(owners[i]);
    fake_pass(500);
    CHECK_EQ_INT(request.dones, owners[i] == NULL); /* one that nobody had has no grace */
    fake_pass(PATIENCE - 1);
    CHECK_EQ_INT(request.dones, owners[i] == NULL);
    fake_pass(1);
    check_empty(&request);
    consume(&request, 500); /* the group takes its time */
    fake_pass(500);
    check_empty(&request);
  }
}

static void it_does_not_hold_up_a_server_that_stops(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, 1);
  fake_answer("other");
  fake_pass(100);
  check_waits(&request);
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  check_empty(&request);
}

/* It has no partition to read: it got none, lost what it had, or leaves because of what it got. */
static void an_instance_without_partitions_that_was_taken_over_has_no_grace(void)
{
  static const char *const given[] = {"", "t/0 t/1", "x/0"};
  auto_commit = false;
  for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, 500);
    fake_answer("other");
    fake_assigned("me", given[i]);
    if (i == 1)
      fake_revoked(false);
    fake_pass(500);
    check_empty(&request);
  }
}

static void each_deletion_waits_for_a_word_of_its_own(void)
{
  static struct request first, next;
  auto_commit = false;
  deliver(&first, 1);
  fake_pass(1);
  delete (&first, TIMEOUT);
  fake_pass(1);
  delete (&next, TIMEOUT);
  fake_answer("me");
  FAKE_DID("ask-again ask-again");
  fake_answer("me");
  leave("unsubscribe");
  check_empty(&first);
  check_empty(&next);
}

/* A confirmation does not cover requests that arrived after its query. */
static void a_word_is_for_the_requests_that_came_before_the_question(void)
{
  static struct request first, next;
  auto_commit = false;
  deliver(&first, 1);
  fake_pass(2 * LEASE);
  consume(&first, TIMEOUT); /* asks for this one */
  FAKE_DID("ask-again");
  fake_pass(1);
  consume(&next, TIMEOUT);
  fake_answer("me");
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_empty(&first);
  check_waits(&next); /* a new instance gets it */
  FAKE_DID("reap ask");
}

/* It is being let in: what is said of another one is no loss. */
static void one_that_has_no_name_yet_cannot_be_lost(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("", "t/0");
  fake_answer("other");
  check_waits(&request);
  CHECK_EQ_INT(fake.groups->count, 1);
  CHECK(fake.handle != NULL);
}

/* A second reason to leave does not extend the time. */
static void one_that_leaves_has_five_seconds_from_the_first_reason_on(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(1);
  delete (&request, 60000);
  fake_answer("me");
  fake_pass(3000);
  fake_assigned("me", "u/0"); /* not its topic */
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  fake_pass(2000);
  check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0, "the group did not confirm in time");
}

/* Trouble of an instance that leaves does not concern requests for the next one. */
static void what_is_wrong_with_one_that_leaves_is_not_said(void)
{
  static struct request request, next;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(1);
  delete (&request, TIMEOUT);
  fake_answer("me");
  consume(&next, TIMEOUT);
  fake_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false);
  check_waits(&next);
  check_waits(&request);
}

/* A fenced member has nothing left to leave. */
static void one_that_cannot_close_has_left(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(1);
  delete (&request, TIMEOUT);
  fake_answer("me");
  fake.handle->close_fails = true;
  fake.handle->member[0] = '\0';
  fake_pass(10);
  check_empty(&request);
  FAKE_DID("ask-again unsubscribe close reap");
}

static void an_instance_that_delivers_is_not_silent(void)
{
  static struct request request;
  auto_commit = false;
  session = 15000;
  consume(&request, 30000);
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  fake_assigned("me", "t/0");
  fake_pass(20000);
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  fake.log[0] = '\0';
  fake_pass(14999);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unsubscribe");
}

static void a_partition_with_a_record_has_not_ended(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  for (int i = 0; i < 2; i++)
    fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, i, 0);
  fake_settle();
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  consume(&request, 3000);
  fake_pass(3000);
  check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0, "topic \"t\" partition 0 did not answer");
}

static void silence_is_counted_from_the_last_delivery_on(void)
{
  static struct request request;
  auto_commit = false;
  consume(&request, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  fake_assigned("me", "t/0");
  fake_pass(2000);
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  consume(&request, 2999);
  fake_pass(2999);
  check_empty(&request);
}

static void a_client_is_asked_for_once(void)
{
  static struct request request;
  serve(&request);
  for (int i = 0; i < 5; i++)
    fake_record(0, i);
  fake_settle();
  check_end_with(&request, UK_OK, 5, "");
  CHECK_EQ_INT(request.asked, 1);
}

/* librdkafka's threads sleep when enough is read ahead; they are woken when little is left, and not
 * for each record. */
static void librdkafka_is_woken_when_little_is_left(void)
{
  static const struct {
    int records;
    size_t size, key_size;
    const char *does;
  } rows[] = {
    {5, 100, 0, ""},       {6, 100, 0, "nudge"},  {6, 50, 50, "nudge"},
    {12, 100, 0, "nudge"}, {16, 100, 0, "nudge"}, {6, 99, 0, ""},
  };
  auto_commit = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    serve(&request);
    fake.size = rows[i].size;
    fake.key_size = rows[i].key_size;
    for (int j = 0; j < rows[i].records; j++)
      fake_record(0, j);
    fake_settle();
    check_end_with(&request, UK_OK, (size_t)rows[i].records, "");
    FAKE_DID(rows[i].does);
  }
}

/* The end of a partition does not confirm a delivery. */
static void an_end_behind_records_commits_nothing(void)
{
  static struct request request;
  serve(&request);
  fake_record(0, 0);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 1);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=0)");
}

static void what_is_wrong_behind_records_leaves_them(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake_record(0, 0);
  fake_said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, -1);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  FAKE_DID("");
}

static void records_behind_what_is_wrong_are_the_next_answers(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  consume(&request, TIMEOUT);
  fake_said(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1, -1);
  fake_record(0, 1);
  fake_settle();
  check_end_with(&request, UK_E_FORBIDDEN, 0, "topic \"t\" partition 1: ");
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
}

/* A sink takes at least the first record. */
static void a_first_record_that_is_not_taken_is_out_of_memory(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  request.room = 0;
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_E_NO_MEMORY, 0, "");
  CHECK_EQ_INT(request.as.consume.delivery, 0);
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
}

/* It would cover a response that is not written yet. */
static void a_note_that_is_late_is_not_made(void)
{
  static struct request request;
  finishes = false;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_pass(INTERVAL); /* a commit is under way from here on */
  fake_record(0, 10);
  fake_settle();
  fake_answer("me");
  fake_answer("me");
  check_end_with(&request, UK_OK, 1, "");
  fake.log[0] = '\0';
  sent(request.as.consume.delivery, true); /* must wait for it */
  fake_record(0, 11);
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("");
}

static void what_fails_of_a_partition_that_is_gone_is_not_made_again(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  fake_revoked(false);
  FAKE_DID("commit(t/0=3) unassign");
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  fake_pass(2 * INTERVAL);
  FAKE_DID("");
}

static void a_commit_waits_for_the_servers_own(void)
{
  static struct request request;
  deliver(&request, 3);
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=0)");
  commit(&request, 2, TIMEOUT);
  FAKE_DID("");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/0=2)");
}

/* No commit waits for one without offsets. */
static void what_has_nothing_to_commit_keeps_nobody_waiting(void)
{
  static struct request request;
  serve(&request);
  fake_revoked(false);
  fake_assigned("me", "t/0");
  FAKE_DID("unassign assign(t/0@?)");
  static struct request committed;
  commit(&committed, 2, TIMEOUT);
  FAKE_DID("commit(t/0=2)");
}

/* The last offset counts. */
static void a_partition_that_is_committed_twice_is_committed_once(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  begin(&request, TIMEOUT);
  for (int i = 0; i < 3; i++)
    request.offsets[i] = (struct uk_topic_partition_offset){uk_slice_text("t"), i % 2, 10 + i};
  request.as.commit.offsets = request.offsets;
  request.as.commit.count = 3;
  uk_kafka_groups_commit(fake.groups, &request.as.commit);
  fake_settle();
  FAKE_DID("commit(t/0=12 t/1=11)");
}

/* An explicit commit of the delivered offset overrides nothing; a later delivery ends an
 * override. */
static void an_offset_that_the_client_set_counts_until_more_arrives(void)
{
  static struct request request;
  deliver(&request, 3);
  consume(&request, 0);
  commit(&request, 3, TIMEOUT);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_revoked(false);
  fake_assigned("me", "t/0");
  FAKE_DID("commit(t/0=3) unassign assign(t/0@3)");
  commit(&request, 1, TIMEOUT);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_record(0, 3);
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
  consume(&request, 0); /* confirms it */
  fake.log[0] = '\0';
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=4)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_revoked(false);
  fake_assigned("me", "t/0");
  FAKE_DID("unassign assign(t/0@4)");
}

static void what_arrived_of_a_partition_that_is_gone_is_not_committed(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  fake_revoked(false);
  fake_pass(PATIENCE);
  commit(&request, -1, TIMEOUT);
  check_empty(&request);
  FAKE_DID("unassign");
}

static void a_live_instance_is_out_of_range_at_its_position(void)
{
  static const struct {
    rd_kafka_resp_err_t code;
    const char *message;
  } rows[] = {
    {RD_KAFKA_RESP_ERR_NO_ERROR,
     "the position 3 of topic \"t\" partition 0 is out of range 50 to 60, and the auto offset "
     "reset is none"},
    {RD_KAFKA_RESP_ERR__TIMED_OUT,
     "the position 3 of topic \"t\" partition 0 is out of range, and the auto offset reset is "
     "none"},
  };
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver(&request, 3);
    consume(&request, TIMEOUT);
    fake_said(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 0, 3);
    fake_settle();
    check_waits(&request);
    FAKE_DID("watermarks(t/0) unsubscribe");
    CHECK_EQ_INT(fake.watermarks->work.query.deadline, fake.now + 2000);
    fake.watermarks->first->offset = 50;
    fake.watermarks->end->offset = 60;
    fake.watermarks->work.query.code = rows[i].code;
    fake.watermarks->work.query.then(&fake.watermarks->work.query);
    check_end_with(&request, UK_E_BAD_REQUEST, 0, "");
    CHECK_EQ_STR(request.as.operation.message, rows[i].message);
  }
}

static void a_partition_that_is_gone_needs_no_leader(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_revoked(false);
  fake.leaderless = 0;
  consume(&request, 4000);
  fake_pass(4000);
  check_empty(&request);
}

static void topics_are_looked_at_while_somebody_waits(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  int before = fake.refreshes;
  fake_pass(5000);
  CHECK_EQ_INT(fake.refreshes, before);
  fake.refreshed[0] = '\0';
  consume_topics(&request, 2, 2500);
  fake_pass(2500);
  CHECK_EQ_INT(fake.refreshes, before + 2 * 3); /* two topics at once, and each second */
  CHECK_EQ_STR(fake.refreshed, "tututu");
}

/* When all requests come to one server, no other needs the metadata. */
static void metadata_ends_with_an_instance_that_stays(void)
{
  static struct request request;
  finishes = false;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  fake_pass(LEASE);
  int commits = 0;
  for (int i = 0; i < 110; i++) {
    fake_record(0, i);
    if (i > 0)
      consume(&request, TIMEOUT);
    fake_settle();
    check_end_with(&request, UK_OK, 1, "");
    fake.log[0] = '\0';
    sent(request.as.consume.delivery, true);
    commits += strstr(fake.log, "+") != NULL;
    while (fake.commit_count > 0)
      fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  CHECK_EQ_INT(commits, 100);
}

/* A lease does not include its end. */
static void a_consume_at_the_end_of_a_lease_is_not_confirmed(void)
{
  static const int64_t ages[] = {LEASE - 1, LEASE};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver(&request, 1);
    fake.now += ages[i];
    consume(&request, TIMEOUT);
    fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
    CHECK_EQ_INT(request.dones, ages[i] < LEASE);
  }
}

/* It confirms the last response, as a deletion does, but none of it was carried out. */
static void a_commit_that_waits_in_vain_was_not_made(void)
{
  static struct request request;
  deliver(&request, 1);
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=0)");
  commit(&request, 1, 500);
  fake_pass(500);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
  check_may_be_done(&request, false);
}

/* Others may have joined since. */
static void what_the_group_had_before_it_joined_is_forgotten(void)
{
  static struct request request;
  auto_commit = false;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_revoked(false);
  fake.log[0] = '\0';
  fake_assigned("me", "");
  FAKE_DID("assign()");
}

static void what_is_gone_is_not_read_again(void)
{
  static struct request request;
  finishes = false;
  auto_commit = false;
  deliver(&request, 3);
  fake_revoked(false);
  sent(request.as.consume.delivery, false);
  FAKE_DID("unassign");
}

/* The response of an instance that ended may be finished when a takeover has its name. */
static void a_takeover_has_no_responses(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  sent(1, false);
  sent(1, true);
  FAKE_DID("ask");
  check_waits(&request);
}

/* A request in the middle of a response. */

/* Has delivered three records of t/0, the last two to be delivered later, in a response that is
 * still being written. The coordinator has confirmed the instance for all requests to come. */
static void deliver_slowly(struct request *request)
{
  finishes = false;
  deliver(request, 3);
  fake_record(0, 3);
  fake_settle();
}

static void a_consume_waits_for_the_last_response(void)
{
  static struct request request, next;
  deliver_slowly(&request);
  consume(&next, TIMEOUT);
  check_waits(&next);
  FAKE_DID(""); /* it does not ask for the lease either */
  sent(request.as.consume.delivery, true);
  check_end_with(&next, UK_OK, 1, "");
  CHECK_EQ_INT(next.got[0], 3);
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=3)");
}

static void a_consume_gets_a_response_again_that_failed_late(void)
{
  static struct request request, next, after;
  deliver_slowly(&request);
  consume(&next, TIMEOUT);
  sent(request.as.consume.delivery, false);
  FAKE_DID("");
  check_end_with(&next, UK_OK, 3, "");
  CHECK_EQ_INT(next.got[0], 0);
  sent(next.as.consume.delivery, true);
  consume(&after, TIMEOUT);
  check_end_with(&after, UK_OK, 1, "");
  CHECK_EQ_INT(after.got[0], 3);
}

/* Its broker is not said to be silent: the records were not asked for. */
static void a_consume_that_waits_in_vain_acknowledges_nothing(void)
{
  static struct request request, next, after;
  auto_commit = false;
  deliver_slowly(&request);
  consume(&next, TIMEOUT);
  fake_pass(TIMEOUT - 1);
  check_waits(&next);
  fake_pass(1);
  check_empty(&next);
  fake.log[0] = '\0';
  sent(request.as.consume.delivery, false);
  consume(&after, TIMEOUT);
  fake_answer("me");
  check_end_with(&after, UK_OK, 3, "");
}

static void consumes_wait_for_the_response_before_each(void)
{
  static struct request first, second, third;
  finishes = false;
  serve(&first);
  consume(&second, TIMEOUT);
  first.room = 1;
  fake_record(0, 0);
  fake_record(0, 1);
  fake_settle();
  check_end_with(&first, UK_OK, 1, "");
  check_waits(&second);
  sent(first.as.consume.delivery, true);
  check_end_with(&second, UK_OK, 1, "");
  CHECK_EQ_INT(second.got[0], 1);
  consume(&third, TIMEOUT);
  check_waits(&third);
  sent(second.as.consume.delivery, false);
  check_end_with(&third, UK_OK, 1, "");
  CHECK_EQ_INT(third.got[0], 1);
}

static void a_commit_waits_for_the_last_response(void)
{
  static const struct {
    int64_t offset;
    bool complete;
    const char *does;
  } rows[] = {{-1, true, "commit(t/0=3)"},
              {2, true, "commit(t/0=2)"},
              {-1, false, "commit(t/0=0)"},
              {2, false, "commit(t/0=2)"}};
  auto_commit = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request, commits;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver_slowly(&request);
    commit(&commits, rows[i].offset, TIMEOUT);
    FAKE_DID("");
    check_waits(&commits);
    sent(request.as.consume.delivery, rows[i].complete);
    FAKE_DID(rows[i].does);
    fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
    check_empty(&commits);
  }
}

static void what_waits_in_vain_for_the_last_response_was_not_made(void)
{
  static struct request request, commits, deletes;
  auto_commit = false;
  deliver_slowly(&request);
  commit(&commits, -1, 500);
  delete (&deletes, 500);
  fake_pass(500);
  check_end_with(&commits, UK_E_UNAVAILABLE, 0, UK_RESPONSE_UNKNOWN);
  check_end_with(&deletes, UK_E_UNAVAILABLE, 0, UK_RESPONSE_UNKNOWN);
  check_may_be_done(&commits, false);
  check_may_be_done(&deletes, false);
}

static void a_deletion_waits_for_the_last_response(void)
{
  static const struct {
    bool complete;
    const char *does;
  } rows[] = {{true, "commit(t/0=3) unsubscribe"}, {false, "unsubscribe"}};
  for (size_t i = 0; i < 2; i++) {
    static struct request request, deletes;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver_slowly(&request);
    fake_pass(INTERVAL);
    fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR); /* where it begins */
    fake.log[0] = '\0';
    delete (&deletes, TIMEOUT);
    fake_answer("me");
    FAKE_DID("ask-again");
    fake_pass(LEASE);
    FAKE_DID("");
    sent(request.as.consume.delivery, rows[i].complete);
    FAKE_DID(rows[i].does);
  }
}

/* Auto-commit commits what the deletion confirms, even if the deletion fails. */
static void a_deletion_that_confirmed_late_may_be_done(void)
{
  static const bool auto_commits[] = {true, false};
  for (size_t i = 0; i < 2; i++) {
    static struct request request, deletes;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    auto_commit = auto_commits[i];
    deliver_slowly(&request);
    fake.now++; /* so that the coordinator has to confirm the instance */
    delete (&deletes, 500);
    sent(request.as.consume.delivery, true);
    fake_pass(500);
    check_end_with(&deletes, auto_commits[i] ? UK_E_GATEWAY_TIMEOUT : UK_E_UNAVAILABLE, 0,
                   "the group's coordinator did not answer in time");
    check_may_be_done(&deletes, auto_commits[i]);
  }
}

static void expire(struct request *request)
{
  uk_operation_expire(&request->as.operation);
  uk_kafka_groups_consume_expired(fake.groups, &request->as.consume);
  fake_settle();
}

/* Nothing is lost: the records are left for the next consume. */
static void a_consume_whose_client_has_gone_ends(void)
{
  static struct request first, second, next;
  auto_commit = false;
  serve(&first);
  consume(&second, TIMEOUT);
  expire(&first);
  check_empty(&first);
  check_waits(&second);
  expire(&second);
  check_empty(&second);
  fake_record(0, 0);
  fake_settle();
  consume(&next, TIMEOUT);
  check_end_with(&next, UK_OK, 1, "");
  expire(&next); /* too late */
  CHECK_EQ_INT(next.dones, 1);
}

/* A client that only shut down its sending side still reads: it gets no error, and no record. */
static void a_client_that_has_gone_does_not_wait_for_the_coordinator(void)
{
  static struct request request, next;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_settle();
  check_waits(&request);
  expire(&request);
  check_empty(&request);
  consume(&next, TIMEOUT);
  fake_answer("me");
  check_end_with(&next, UK_OK, 1, "");
}

/* The numbers of deliveries rise over all instances. */
static void a_response_of_the_instance_before_counts_for_nothing(void)
{
  static struct request request, next;
  deliver_slowly(&request);
  uint64_t mine = request.as.consume.delivery;
  sent(mine - 1, false);
  FAKE_DID("");
  consume(&next, TIMEOUT);
  check_waits(&next);
  /* Both are reported before the task runs. */
  uk_kafka_groups_response_finished(fake.groups, uk_slice_text("g"), uk_slice_text("one"), mine,
                                    UK_RESPONSE_WRITTEN);
  sent(mine - 1, false);
  check_end_with(&next, UK_OK, 1, "");
}

/* A member that could not be created leaves nothing behind. */
static void members_are_made_or_not(void)
{
  long live = fault_live();
  for (int commits = 0; commits < 2; commits++) {
    for (long n = 1, hit = 1; hit; n++) {
      static struct request request;
      fault_at(n);
      if (commits)
        commit(&request, 1, TIMEOUT);
      else
        consume(&request, TIMEOUT);
      hit = fault_hit();
      fault_off();
      if (request.dones > 0) {
        CHECK_EQ_INT(request.as.operation.error, UK_E_NO_MEMORY);
        CHECK(fake.groups->count == 1 || fault_live() == live);
      }
      fake_close();
      CHECK(fault_live() <= live);
      REQUIRE(fake_open());
    }
  }
}

/* Another server has the instance that it was to delete. */
static void one_that_is_fenced_while_it_leaves_passes_its_deletion_on(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_pass(1);
  delete (&request, TIMEOUT);
  fake_answer("me");
  FAKE_DID("ask-again unsubscribe");
  fake_error(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, true);
  FAKE_DID("reap ask");
  check_waits(&request);
}

/* Limits. */

static void consume_as(struct request *request, const char *instance)
{
  begin(request, TIMEOUT);
  request->topics[0] = uk_slice_text("t");
  request->as.consume.instance = uk_slice_text(instance);
  request->as.consume.topics = request->topics;
  request->as.consume.topic_count = 1;
  request->as.consume.settings.session_timeout = SESSION;
  request->as.consume.sink = (struct uk_sink){take, NULL};
  uk_kafka_groups_consume(fake.groups, &request->as.consume);
}

static void a_group_has_as_many_instances_as_partitions(void)
{
  static const char *const names[] = {"a", "b", "c"};
  static struct request requests[3];
  fake.partitions = 2;
  for (int i = 0; i < 3; i++)
    consume_as(&requests[i], names[i]);
  check_waits(&requests[0]);
  check_waits(&requests[1]);
  check_end_with(&requests[2], UK_E_TOO_MANY, 0,
                 "group \"g\" has 2 consumer instances already: the limit is 2");
  fake.partitions = 0;
  consume_as(&requests[2], "c");
  check_end_with(&requests[2], UK_E_UNAVAILABLE, 0, "its topics are being looked up");
}

static void instances_have_room_to_read_ahead(void)
{
  static const char *const names[] = {"a", "b", "c", "d"};
  static struct request requests[4];
  for (int i = 0; i < 4; i++)
    consume_as(&requests[i], names[i]);
  check_waits(&requests[2]);
  check_end_with(&requests[3], UK_E_TOO_MANY, 0, "prefetch_budget is 4800");
}

static void names_are_plain(void)
{
  static char name[UK_GROUP_NAME_MAX + 2];
  const struct {
    size_t length;
    char last;
    bool good;
  } rows[] = {{0, 'x', false},
              {1, 'x', true},
              {1, '\0', false},
              {UK_GROUP_NAME_MAX, 'x', true},
              {UK_GROUP_NAME_MAX + 1, 'x', false}};
  for (int which = 0; which < 2; which++) {
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
      static struct request request;
      memset(name, 'x', sizeof name);
      if (rows[i].length > 0)
        name[rows[i].length - 1] = rows[i].last;
      begin(&request, TIMEOUT);
      *(which == 0 ? &request.as.commit.group : &request.as.commit.instance) =
        uk_slice_of(name, rows[i].length);
      uk_kafka_groups_commit(fake.groups, &request.as.commit);
      fake_settle();
      if (rows[i].good) {
        check_waits(&request);
        fake_answer(NULL);
      } else {
        check_end_with(&request, UK_E_BAD_REQUEST, 0, "group, instance: names of 1 to ");
      }
    }
  }
}

/* Listing. */

static void list_row(struct uk_operation *operation, struct uk_slice group,
                     struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                     size_t count)
{
  char *text = ((struct request *)operation)->listed;
  size_t size = sizeof((struct request *)operation)->listed, length = strlen(text);
  length +=
    (size_t)snprintf(text + length, size - length, "%.*s/%.*s:%.*s=", (int)group.length, group.data,
                     (int)instance.length, instance.data, (int)topic.length, topic.data);
  for (size_t i = 0; i < count; i++)
    length += (size_t)snprintf(text + length, size - length, "%d,", (int)partitions[i]);
  snprintf(text + length, size - length, ";");
}

static void check_list(const char *wanted)
{
  static struct request request;
  begin(&request, TIMEOUT);
  request.as.listing.owned = list_row;
  uk_kafka_groups_list(fake.groups, &request.as.listing);
  CHECK_EQ_INT(request.dones, 1);
  CHECK_EQ_STR(request.listed, wanted);
}

static void the_list_has_what_each_instance_holds(void)
{
  static struct request request, other, committed;
  check_list("");
  consume_topics(&request, 2, TIMEOUT);
  check_list("g/one:=;");
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1 u/3");
  check_list("g/one:t=0,1,;g/one:u=3,;");
  fake_answer("me");
  struct fake_handle *handle = fake.handle;
  consume_as(&other, "a");
  begin(&committed, TIMEOUT);
  committed.as.commit.instance = uk_slice_text("taken over");
  uk_kafka_groups_commit(fake.groups, &committed.as.commit);
  check_list("g/a:=;g/one:t=0,1,;g/one:u=3,;");
  fake.handle = handle;
  fake_revoked(false);
  check_list("g/a:=;g/one:=;");
  fake_close();
  REQUIRE(fake_open());
  take_over(&request);
  fake_assigned("me", "t/1");
  check_list("g/one:=;");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_list("g/one:t=1,;");
}

static void a_takeover_is_in_no_list(void)
{
  static struct request request;
  commit(&request, 1, TIMEOUT);
  static struct request other;
  fake.partitions = 1; /* the limit of instances */
  consume_as(&other, "a");
  check_waits(&other);
  check_list("g/a:=;");
}

static void what_is_wrong_with_a_created_topic_is_said(void)
{
  static struct request request;
  auto_commit = false;
  fake.missing = true;
  begin(&request, TIMEOUT);
  request.topics[0] = uk_slice_text("t");
  request.as.consume.topics = request.topics;
  request.as.consume.topic_count = 1;
  request.as.consume.create = true;
  request.as.consume.settings.session_timeout = SESSION;
  uk_kafka_groups_consume(fake.groups, &request.as.consume);
  fake_settle();
  fake_answer(NULL);
  fake_error(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false);
  check_end_with(&request, UK_E_FORBIDDEN, 0, "group \"g\": ");
}

/* Its positions are in memory, except that of a partition that is new to it. */
static void one_that_has_joined_reads_no_metadata(void)
{
  static struct request request;
  take_over(&request);
  fake_assigned("me", "t/0");
  CHECK_EQ_INT(fake.committed_query->work.query.deadline, fake.now + 2000);
  fake_committed_is(0, 3, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_revoked(false);
  fake.log[0] = '\0';
  fake_assigned("me", "t/0");
  FAKE_DID("assign(t/0@3)");
  fake_revoked(false);
  fake_assigned("me", "t/0 t/1");
  FAKE_DID("unassign read(t/0 t/1)");
  fake_committed_is(0, 2, NULL);
  fake_committed_is(1, 4, "upstash-kafka: delivered up to 10"); /* by another instance */
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("assign(t/0@3 t/1@4)");
}

static void one_that_is_given_nothing_reads_no_metadata(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "");
  FAKE_DID("ask subscribe(t) assign() ask-again");
}

/* A topic that two instances name counts once. */
static void the_limit_is_of_all_topics_of_the_group(void)
{
  static struct request one, requests[4];
  fake.partitions = 1;
  consume_topics(&one, 2, TIMEOUT);
  consume_as(&requests[0], "a");
  check_waits(&requests[0]);
  consume_as(&requests[1], "b");
  check_end_with(&requests[1], UK_E_TOO_MANY, 0, "the limit is 2");
}

static void instances_are_listed_by_group_and_name(void)
{
  static struct request requests[3];
  static const char *const names[][2] = {{"h", "a"}, {"g", "b"}, {"g", "a"}};
  for (int i = 0; i < 3; i++) {
    begin(&requests[i], TIMEOUT);
    requests[i].topics[0] = uk_slice_text("t");
    requests[i].as.consume.group = uk_slice_text(names[i][0]);
    requests[i].as.consume.instance = uk_slice_text(names[i][1]);
    requests[i].as.consume.topics = requests[i].topics;
    requests[i].as.consume.topic_count = 1;
    requests[i].as.consume.settings.session_timeout = SESSION;
    requests[i].as.consume.delivery = 99;
    uk_kafka_groups_consume(fake.groups, &requests[i].as.consume);
    CHECK_EQ_INT(requests[i].as.consume.delivery, 0);
  }
  check_list("g/a:=;g/b:=;h/a:=;");
}

/* What the parts are asked. */

static struct uk_kafka_instance *only_instance(void)
{
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  return (struct uk_kafka_instance *)(uintptr_t)node;
}

/* The group waits for each of its members, also for one whose client is busy or waits. */
static void heartbeats_keep_their_interval(void)
{
  static struct request request;
  serve(&request);
  for (int i = 0; i < 4; i++) {
    fake.wakes = 0;
    fake_pass(2500);
    CHECK_EQ_INT(fake.wakes, 10);
  }
  only_instance()->member.leaving.until = fake.now + 5000;
  fake.wakes = 0;
  uk_kafka_group_member_beat(&only_instance()->member, fake.now + 1000);
  CHECK_EQ_INT(fake.wakes, 0);
}

static void the_coordinator_is_asked_about_the_instance(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  CHECK_EQ_STR(fake.asked_group, "g");
  CHECK_EQ_STR(fake.asked_instance, "one");
  fake_answer(NULL);
  fake.asked_group[0] = fake.asked_instance[0] = '\0';
  fake_assigned("me", "t/0");
  CHECK_EQ_STR(fake.asked_group, "g");
  CHECK_EQ_STR(fake.asked_instance, "one");
}

static void what_a_request_names_is_checked(void)
{
  static struct request consumed, committed, deleted;
  consume_topics(&consumed, 2, TIMEOUT);
  CHECK(fake.places.first == consumed.topics && fake.places.any_partition && !fake.changes);
  CHECK_EQ_INT(fake.places.count, 2);
  commit(&committed, 1, TIMEOUT);
  CHECK(fake.places.first == committed.offsets && !fake.places.any_partition && fake.changes);
  CHECK_EQ_INT(fake.places.count, 1);
  delete (&deleted, TIMEOUT);
  CHECK_EQ_INT(fake.places.count, 0);
}

/* Its group reaches it through its consumer, and records through a queue of their own. */
static void an_instance_gets_the_events_of_its_group(void)
{
  static struct request request;
  char events[16];
  snprintf(events, sizeof events, "%d",
           RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT | RD_KAFKA_EVENT_ERROR);
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  check_conf("enabled_events", events);
  CHECK(fake.handle->is_consumer);
  CHECK_EQ_INT(fake.handle->watched, 2);
  fake_assigned("me", "t/0 t/1");
  CHECK_EQ_INT(fake.handle->forwards, 2);
}

static void create_topics(struct request *request, const struct uk_slice *topics, size_t count)
{
  begin(request, TIMEOUT);
  request->as.consume.topics = topics;
  request->as.consume.topic_count = count;
  request->as.consume.create = true;
  request->as.consume.settings.session_timeout = SESSION;
  uk_kafka_groups_consume(fake.groups, &request->as.consume);
  fake_settle();
}

static void each_topic_that_was_created_is_noted(void)
{
  enum { TOPICS = 130, FROM = 62, UPTO = 67 };
  static char texts[TOPICS][8];
  static struct uk_slice topics[TOPICS];
  static struct request request;
  for (int i = 0; i < TOPICS; i++) {
    snprintf(texts[i], sizeof texts[i], "c%d", i);
    topics[i] = uk_slice_text(texts[i]);
  }
  fake.missing = true;
  fake.missing_from = FROM;
  fake.missing_upto = UPTO;
  create_topics(&request, topics, TOPICS);
  FAKE_DID("create(c62) create(c63) create(c64) create(c65) create(c66) ask");
  CHECK(only_instance()->awaits_created);
  for (int i = 0; i < TOPICS; i++)
    CHECK_EQ_INT(uk_name_set_has(&only_instance()->created, topics[i]), i >= FROM && i < UPTO);
}

/* By a consume that may, on a server that does. */
static void topics_are_created_where_they_may_be(void)
{
  static struct request consumed, created;
  const struct uk_slice topic = uk_slice_text("t");
  fake.missing = true;
  consume(&consumed, TIMEOUT);
  FAKE_DID("ask");
  CHECK(!only_instance()->awaits_created);
  fake.groups->parts.create = NULL;
  create_topics(&created, &topic, 1);
  FAKE_DID("");
}

static void the_coordinators_own_words_are_passed_on(void)
{
  static struct request request;
  consume(&request, 5000);
  fake_answer(NULL);
  fake_pass(5000);
  REQUIRE(fake.probe != NULL);
  CHECK_EQ_SLICE(fake.probe->group, "g");
  CHECK_EQ_INT(fake.probe->count, 1);
  CHECK_EQ_SLICE(fake.probe->offsets[0].topic, "t");
  CHECK_EQ_INT(fake.probe->offsets[0].partition, 0);
  uk_operation_fail(&fake.probe->operation, UK_E_FORBIDDEN, "no entry");
  fake.probe->operation.done(&fake.probe->operation);
  check_end_with(&request, UK_E_FORBIDDEN, 0, "");
  CHECK_EQ_STR(request.as.operation.message, "no entry");
}

/* Nobody has said who has the instance. */
static void one_that_is_not_open_is_outside(void)
{
  static struct request request;
  consume(&request, 5000);
  fake_pass(5000 + PATIENCE);
  FAKE_DID("ask probe");
  fake.probe->operation.done(&fake.probe->operation);
  check_empty(&request);
}

static void the_coordinator_cannot_be_asked_without_memory(void)
{
  static struct request request;
  consume(&request, 5000);
  fake_answer(NULL);
  fake_pass(4999);
  fault_at(1);
  fake_pass(1);
  CHECK(fault_hit());
  fault_off();
  check_end_with(&request, UK_E_NO_MEMORY, 0, "");
}

static void a_drain_reaches_every_instance(void)
{
  static struct request requests[3];
  static const char *const names[] = {"a", "b", "c"};
  for (int i = 0; i < 3; i++)
    consume_as(&requests[i], names[i]);
  fake_settle();
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  for (int i = 0; i < 3; i++)
    check_empty(&requests[i]);
}

/* The instance is still in the run that delivered it. */
static void a_response_that_is_written_at_once_holds_nobody_up(void)
{
  static struct request first, second;
  auto_commit = false;
  serve(&first);
  consume(&second, TIMEOUT);
  first.room = 1;
  fake_record(0, 0);
  fake_record(0, 1);
  fake_settle();
  check_end_with(&first, UK_OK, 1, "");
  check_end_with(&second, UK_OK, 1, "");
  CHECK_EQ_INT(second.got[0], 1);
}

static void a_deletion_does_not_ask_who_cannot_tell(void)
{
  static struct request consumed, deleted;
  auto_commit = false;
  consume(&consumed, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  fake_assigned("me", "t/0");
  FAKE_DID("ask subscribe(t) assign(t/0@?)");
  fake_pass(1);
  delete (&deleted, TIMEOUT);
  check_empty(&consumed);
  FAKE_DID("unsubscribe");
}

/* By an answer to a question from before the request. */
static void a_word_that_was_given_is_not_taken_back(void)
{
  static struct request first, next;
  auto_commit = false;
  deliver(&first, 1);
  fake.now += LEASE - 40;
  fake_record(0, 1);
  consume(&first, TIMEOUT);
  check_end_with(&first, UK_OK, 1, "");
  FAKE_DID("ask-again");
  fake.now++;
  consume(&next, TIMEOUT);
  fake_answer("me");
  check_waits(&next);
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_empty(&next);
}

static void an_offset_that_is_set_before_anything_is_read_counts(void)
{
  static struct request request, committed;
  auto_commit = false;
  serve(&request);
  commit(&committed, 2, TIMEOUT);
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_record(0, 5);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  FAKE_DID("commit(t/0=2)");
  fake_revoked(false);
  fake_pass(PATIENCE);
  fake_assigned("me", "t/0");
  FAKE_DID("unassign assign(t/0@?)");
}

/* What it has confirmed is what it committed. */
static void without_auto_commit_a_client_continues_where_it_committed(void)
{
  static struct request request;
  auto_commit = false;
  take_over(&request);
  fake.asks_committed = true;
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("read(t/0) assign(t/0@3) ask-again");
}

/* librdkafka does not always say where. */
static void reset_none_says_that_nothing_is_committed(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake_error(RD_KAFKA_RESP_ERR__NO_OFFSET, false);
  check_end_with(&request, UK_E_BAD_REQUEST, 0, "");
  CHECK_EQ_STR(request.as.operation.message,
               "no committed offset, and the auto offset reset is none");
  FAKE_DID("unsubscribe");
}

static void without_memory_no_range_is_named(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake_said(RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, 1, 0);
  fault_at(1);
  fake_settle();
  CHECK(fault_hit());
  fault_off();
  check_end_with(&request, UK_E_BAD_REQUEST, 0, "");
  CHECK_EQ_STR(request.as.operation.message,
               "the committed offset 0 of topic \"t\" partition 1 is out of range, and the auto "
               "offset reset is none");
}

static void topics_are_kept_or_the_consume_is_refused(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fault_at(2); /* the request is the first */
  consume_topics(&request, 2, TIMEOUT);
  CHECK(fault_hit());
  fault_off();
  check_end_with(&request, UK_E_NO_MEMORY, 0, "");
  FAKE_DID("");
  consume_topics(&request, 2, TIMEOUT);
  FAKE_DID("subscribe(t,u)");
}

static void partitions_are_taken_or_refused(void)
{
  static const struct {
    long allocation;
    const char *does, *lists;
  } rows[] = {
    {2, "assign(t/0@?) ask-again", "g/one:t=0,;"}, /* the query for what is committed */
    {4, "assign() unsubscribe", "g/one:=;"},       /* the partitions */
    {5, "assign(t/0@?) ask-again", "g/one:=;"},    /* what others may list */
  };
  auto_commit = false;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, TIMEOUT);
    fake_answer(NULL);
    fake.log[0] = '\0';
    fault_at(rows[i].allocation);
    fake_assigned("me", "t/0");
    CHECK(fault_hit());
    fault_off();
    FAKE_DID(rows[i].does);
    check_list(rows[i].lists);
  }
}

static void the_coordinator_is_asked_when_there_is_memory_again(void)
{
  bool found = false;
  for (long n = 1; n < 20 && !found; n++) {
    static struct request request;
    if (n > 1) {
      fake_close();
      REQUIRE(fake_open());
    }
    fault_at(n);
    consume(&request, TIMEOUT);
    fault_off();
    found = request.dones == 0 && fake.log[0] == '\0';
  }
  CHECK(found);
  fake_pass(LEASE - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("ask");
}

static void topics_that_are_refused_at_first_are_subscribed_to_again(void)
{
  static struct request request;
  auto_commit = false;
  fake.refuses_first = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  check_end_with(&request, UK_E_FORBIDDEN, 0, "subscribe: ");
  FAKE_DID("ask subscribe(t)");
  fake.handle->refuses = RD_KAFKA_RESP_ERR_NO_ERROR;
  consume(&request, TIMEOUT);
  check_waits(&request);
  FAKE_DID("subscribe(t)");
}

static void a_takeover_that_cannot_subscribe_fails(void)
{
  static struct request committed, deleted;
  fake.refuses_first = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  commit(&committed, 1, TIMEOUT);
  delete (&deleted, TIMEOUT);
  fake_answer("other");
  check_end_with(&committed, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
  check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
  FAKE_DID("ask subscribe(t) reap");
  CHECK_EQ_INT(fake.groups->count, 0);
  fake.refuses_first = RD_KAFKA_RESP_ERR_NO_ERROR;
  delete (&deleted, TIMEOUT);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", NULL);
  fake.handle->refuses = RD_KAFKA_RESP_ERR__STATE;
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false); /* no other topic either */
  check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
}

static void a_takeover_has_memory_or_fails(void)
{
  for (long n = 1, hit = 1; hit; n++) {
    static struct request committed, deleted;
    if (n > 1) {
      fake_close();
      REQUIRE(fake_open());
    }
    commit(&committed, 1, TIMEOUT);
    delete (&deleted, TIMEOUT);
    fault_at(n);
    fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0 t/1 u/0", "t/0 t/1 u/0");
    hit = fault_hit();
    fault_off();
    if (hit) {
      check_end_with(&committed, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
      check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the instance could not be taken over");
      CHECK_EQ_INT(fake.groups->count, 0);
    }
  }
}

/* It may be told to wait for records by the operator. */
static void a_broker_has_twice_the_time_of_its_wait_besides(void)
{
  static const struct {
    int64_t timeout;
    enum uk_error error;
  } rows[] = {{2199, UK_OK}, {2200, UK_E_GATEWAY_TIMEOUT}};
  auto_commit = false;
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    consume(&request, rows[i].timeout);
    fake_answer(NULL);
    CHECK_EQ_INT(rd_kafka_conf_set(fake.handle->conf, "fetch.wait.max.ms", "100", NULL, 0),
                 RD_KAFKA_CONF_OK);
    fake_assigned("me", "t/0");
    fake_answer("me");
    fake_pass(rows[i].timeout);
    check_end_with(&request, rows[i].error, 0, "");
  }
}

static void limits_are_named(void)
{
  static const char *const names[] = {"a", "b", "c", "d"};
  static struct request requests[4];
  for (int i = 0; i < 4; i++)
    consume_as(&requests[i], names[i]);
  CHECK_EQ_STR(requests[3].as.operation.message,
               "no room for an instance of group \"g\": 3 read ahead for 1600 bytes each, and "
               "prefetch_budget is 4800");
  fake.partitions = 3;
  consume_as(&requests[3], names[3]);
  CHECK_EQ_STR(requests[3].as.operation.message,
               "group \"g\" has 3 consumer instances already: the limit is 3, the partitions of "
               "its topics");
  fake_close();
  REQUIRE(fake_open());
  fake.partitions = 1;
  consume_as(&requests[0], names[0]);
  consume_as(&requests[1], names[1]);
  CHECK_EQ_STR(requests[1].as.operation.message,
               "group \"g\" has 1 consumer instance already: the limit is 1, the partitions of its "
               "topics");
}

/* The instance that has the partition then reads it again. */
static void a_record_that_waits_goes_with_its_partition(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  request.room = 1;
  fake_record(0, 0);
  fake_record(0, 1);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  CHECK(only_instance()->delivery.held.event != NULL);
  fake_revoked(false);
  fake_pass(PATIENCE);
  CHECK(only_instance()->delivery.held.event == NULL);
}

/* Each topic, and for one instance only. */
static void a_topic_that_was_missing_is_one_instances(void)
{
  static struct request request, other;
  auto_commit = false;
  consume_topics(&request, 2, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_answer("me");
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  fake.error_text = "Subscribed topic not available: u: Broker: Unknown topic or partition";
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  fake_revoked(false);
  fake.log[0] = '\0';
  struct fake_handle *mine = fake.handle;
  begin(&other, TIMEOUT);
  other.topics[0] = uk_slice_text("u");
  other.as.consume.instance = uk_slice_text("onf"); /* almost the same */
  other.as.consume.topics = other.topics;
  other.as.consume.topic_count = 1;
  other.as.consume.settings.session_timeout = SESSION;
  uk_kafka_groups_consume(fake.groups, &other.as.consume);
  fake_settle();
  fake_answer(NULL);
  fake_assigned("other", "u/1");
  FAKE_DID("ask subscribe(u) assign(u/1@?) ask-again");
  fake.handle = mine;
  fake_assigned("me", "t/0 u/0");
  FAKE_DID("assign(t/0@1 u/0@first)");
}

/* Clients choose the names: they must not know in which order a table has them. */
static void tables_of_names_have_seeds(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  CHECK(fake.groups->table.seed != 0);
  CHECK(fake.groups->missing.table.seed != 0);
  CHECK(only_instance()->created.table.seed != 0);
}

static void list_when_done(struct request *request)
{
  when_done = NULL;
  (void)request;
  check_list("");
}

/* A client that has the answer does not find the instance any more. */
static void an_instance_is_out_of_the_list_before_its_deletion_is_answered(void)
{
  static struct request consumed, deleted;
  auto_commit = false;
  deliver(&consumed, 1);
  fake_pass(1);
  delete (&deleted, TIMEOUT);
  fake_answer("me");
  fake.log[0] = '\0';
  when_done = list_when_done;
  leave("");
  check_empty(&deleted);
  CHECK(when_done == NULL);
}

static void an_instance_is_out_of_the_list_before_its_requests_fail(void)
{
  static struct request request;
  fake.refuses_handles = true;
  consume(&request, TIMEOUT);
  when_done = list_when_done;
  fake_answer(NULL);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "no handle");
  CHECK(when_done == NULL);
}

static struct request asked_again;

static void consume_when_done(struct request *request)
{
  when_done = NULL;
  (void)request;
  begin(&asked_again, TIMEOUT);
  asked_again.topics[0] = uk_slice_text("t");
  asked_again.as.consume.topics = asked_again.topics;
  asked_again.as.consume.topic_count = 1;
  asked_again.as.consume.settings.session_timeout = SESSION;
  uk_kafka_groups_consume(fake.groups, &asked_again.as.consume);
}

/* In the run in which the instance is lost. */
static void a_request_that_arrives_at_the_end_is_passed_on(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  commit(&request, 1, TIMEOUT);
  when_done = consume_when_done;
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_NO_ERROR)
    ->opaque = fake.commits[0];
  rd_kafka_topic_partition_list_destroy(fake.commit_lists[0]);
  fake.commit_count = 0;
  fake.log[0] = '\0';
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  check_empty(&request);
  check_waits(&asked_again);
  FAKE_DID("reap ask");
  CHECK_EQ_INT(fake.groups->count, 1);
}

static void a_response_that_nobody_waits_for_wakes_nobody(void)
{
  static struct request request, next;
  auto_commit = false;
  deliver_slowly(&request);
  consume(&next, TIMEOUT);
  sent(request.as.consume.delivery, true);
  check_end_with(&next, UK_OK, 1, "");
  uk_kafka_groups_response_finished(fake.groups, uk_slice_text("g"), uk_slice_text("one"),
                                    next.as.consume.delivery, UK_RESPONSE_WRITTEN);
  CHECK_EQ_INT(only_instance()->member.task.state, UK_TASK_IDLE);
}

/* Its partitions are another member's soon. */
static void one_that_leaves_reads_nothing_again(void)
{
  static const bool complete[] = {false, true};
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    deliver_slowly(&request);
    fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
    FAKE_DID("forget(t) commit(t/0=0) unsubscribe");
    fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
    fake.log[0] = '\0';
    sent(request.as.consume.delivery, complete[i]);
    fake_pass(1000);
    FAKE_DID("");
  }
}

/* Where partitions start in which the group has committed nothing. */

static void start_at(enum uk_offset_reset from, const char *asked, int64_t start,
                     const char *assigned)
{
  static struct request request;
  reset = from;
  auto_commit = false;
  fake.asks_committed = fake.asks_starts = true;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_committed_is(0, 5, NULL);
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  if (asked != NULL) {
    FAKE_DID(asked);
    fake_started(start);
  }
  FAKE_DID(assigned);
}

/* Before librdkafka reads: a broker that waits for records of t/0 would not answer about t/1. */
static void partitions_without_a_commit_are_looked_up_first(void)
{
  static const struct {
    enum uk_offset_reset reset;
    const char *asked;
    int64_t start;
    const char *assigned;
  } rows[] = {
    {UK_RESET_EARLIEST, "starts(t/1=first)", 0, "assign(t/0@5 t/1@0) ask-again"},
    {UK_RESET_LATEST, "starts(t/1=-1)", 7, "assign(t/0@5 t/1@7) ask-again"},
    {UK_RESET_EARLIEST, "starts(t/1=first)", -1, "assign(t/0@5 t/1@?) ask-again"},
    {UK_RESET_NONE, NULL, 0, "assign(t/0@5 t/1@?) ask-again"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    start_at(rows[i].reset, rows[i].asked, rows[i].start, rows[i].assigned);
  }
}

/* As if librdkafka had looked it up itself. */
static void what_was_looked_up_is_committed_when_it_is_the_end(void)
{
  static struct request request;
  start_at(UK_RESET_LATEST, "starts(t/1=-1)", 7, "assign(t/0@5 t/1@7) ask-again");
  fake_answer("me");
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 1, 7);
  fake_settle();
  commit(&request, -1, TIMEOUT);
  FAKE_DID("commit(t/1=7)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_empty(&request);
}

static void nothing_is_looked_up_where_it_is_known(void)
{
  static struct request request;
  reset = UK_RESET_EARLIEST;
  auto_commit = false;
  deliver(&request, 1); /* of t/0 */
  consume(&request, TIMEOUT);
  fake_record(1, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  fake.asks_committed = fake.asks_starts = true;
  fake_revoked(false);
  fake.log[0] = '\0';
  fake_assigned("me", "t/0 t/1 t/2");
  fake_committed_is(2, 0, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("read(t/0 t/1 t/2) assign(t/0@1 t/1@1 t/2@0)");
  fake_revoked(false);
  fake_assigned("me", "t/0 t/3");
  fake_committed_is(0, 1, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("read(t/0 t/3) starts(t/3=first)");
  fake_started(2);
  FAKE_DID("assign(t/0@1 t/3@2)");
}

/* Where even the committed offsets could not be read, librdkafka tries. */
static void nothing_is_looked_up_after_a_failure(void)
{
  static struct request request;
  auto_commit = false;
  fake.asks_committed = fake.asks_starts = true;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  FAKE_DID("assign(t/0@?) ask-again");
}

/* The partitions would be nobody's otherwise. */
static void a_late_look_up_is_left_to_librdkafka(void)
{
  static struct request request;
  reset = UK_RESET_EARLIEST;
  auto_commit = false;
  fake.asks_starts = true;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_starts_late();
  FAKE_DID("assign(t/0@?) ask-again");
}

/* In a topic that the consume created, `latest` means the first record. */
static void a_topic_that_was_created_is_looked_up_from_its_first_record(void)
{
  static struct request request;
  fake.missing = fake.asks_starts = true;
  begin(&request, TIMEOUT);
  request.topics[0] = uk_slice_text("t");
  request.as.consume.topics = request.topics;
  request.as.consume.topic_count = 1;
  request.as.consume.create = true;
  request.as.consume.settings =
    (struct uk_consumer_settings){.offset_reset = UK_RESET_LATEST, .session_timeout = SESSION};
  request.as.consume.sink = (struct uk_sink){take, NULL};
  uk_kafka_groups_consume(fake.groups, &request.as.consume);
  fake_settle();
  fake_answer(NULL);
  fake.log[0] = '\0';
  fake_assigned("me", "t/0");
  FAKE_DID("starts(t/0=first)");
  fake_started(0);
  FAKE_DID("assign(t/0@0) ask-again");
}

/* An answer that comes after the revocation is nobody's. */
static void partitions_may_be_revoked_while_they_are_looked_up(void)
{
  static struct request request;
  reset = UK_RESET_EARLIEST;
  auto_commit = false;
  fake.asks_starts = true;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_revoked(false);
  fake.log[0] = '\0';
  fake_started(3);
  FAKE_DID("");
  fake_assigned("me", "t/0");
  FAKE_DID("starts(t/0=first)");
  fake_started(3);
  FAKE_DID("assign(t/0@3) ask-again");
}

/* With what it says of the partitions, which is nobody's then. */
static void the_coordinator_may_answer_after_the_end(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  CHECK_EQ_INT(fake.groups->count, 0);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", "t/0 t/1");
}

/* The first of two topics that were not there. */
static void only_topics_that_were_missing_are_read_from_their_first_offset(void)
{
  static struct request request;
  auto_commit = false;
  consume_topics(&request, 2, TIMEOUT);
  fake_answer(NULL);
  fake.error_text = "Subscribed topic not available: u: Broker: Unknown topic or partition";
  fake.check_error = UK_E_NOT_FOUND;
  fake_error(RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, false);
  fake.check_error = UK_OK;
  snprintf(fake.handle->member, sizeof fake.handle->member, "me");
  fake_pass(10);
  fake.handle->member[0] = '\0';
  fake_pass(10);
  fake.handle->closed = true;
  fake_pass(10);
  CHECK_EQ_INT(fake.groups->count, 0);
  consume_topics(&request, 2, TIMEOUT);
  fake_answer(NULL);
  fake.log[0] = '\0';
  fake_assigned("me", "t/0 u/0");
  FAKE_DID("assign(t/0@? u/0@first) ask-again");
}

/* However often librdkafka reports something. */
static void topics_are_not_looked_at_while_nobody_waits(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  int before = fake.refreshes;
  for (int i = 0; i < 3; i++) {
    fake_pass(2000);
    fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 1);
    fake_settle();
  }
  CHECK_EQ_INT(fake.refreshes, before);
}

static void a_takeover_looks_at_topics_while_somebody_waits(void)
{
  static struct request committed, consumed;
  commit(&committed, 1, TIMEOUT);
  fake_answer("other");
  int before = fake.refreshes;
  fake_pass(3000);
  CHECK_EQ_INT(fake.refreshes, before);
  consume(&consumed, TIMEOUT);
  CHECK_EQ_INT(fake.refreshes, before + 1);
  fake_pass(2000);
  CHECK_EQ_INT(fake.refreshes, before + 3);
}

/* Consumes that wait while it leaves are for the next instance, so the coordinator is not asked. */
static void one_that_leaves_after_a_long_wait_is_not_outside(void)
{
  static struct request request, next;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_pass(4500);
  fake_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false);
  check_end_with(&request, UK_E_FORBIDDEN, 0, "");
  consume(&next, 1000);
  fake_pass(1000);
  check_empty(&next);
  CHECK(strstr(fake.log, "probe") == NULL);
}

/* librdkafka waits for the answer. */
static void a_takeover_gives_up_what_is_revoked(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_revoked(false);
  FAKE_DID("unassign");
}

/* Not only when the response is complete. */
static void librdkafka_is_woken_within_a_response(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake.size = 100;
  nudged_at = 0;
  for (int i = 0; i < 16; i++)
    fake_record(0, i);
  fake_settle();
  check_end_with(&request, UK_OK, 16, "");
  CHECK_EQ_INT(nudged_at, 11); /* five are left, of which six would be enough */
  FAKE_DID("nudge");
}

/* What librdkafka says of partitions that the instance does not hold. */
static void an_end_of_a_partition_that_is_not_held_says_nothing(void)
{
  static struct request request;
  serve(&request);
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 3, 7);
  fake_settle();
  FAKE_DID("");
  check_waits(&request);
}

static void records_with_headers_have_memory_or_wait(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake.headers = 2;
  fake_record(0, 0);
  fault_at(1);
  fake_settle();
  CHECK(fault_hit());
  fault_off();
  check_end_with(&request, UK_E_NO_MEMORY, 0, "");
  consume(&request, TIMEOUT);
  check_end_with(&request, UK_OK, 1, "");
}

static void a_commit_fails_as_a_whole_or_for_a_partition(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  commit(&request, 1, TIMEOUT);
  fake.commit_lists[0]->elems[0].err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  fake_committed(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  check_end_with(&request, UK_E_FORBIDDEN, 0, "topic \"t\" partition 0: ");
}

static void a_commit_that_a_close_does_not_wait_for_may_be_done(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 3);
  commit(&request, 1, TIMEOUT);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_pass(2000);
  check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0,
                 "commit: the instance was closed before its group answered");
  check_may_be_done(&request, true);
}

static void other_groups_take_no_partition(void)
{
  static struct request one, other;
  fake.partitions = 1;
  consume_as(&one, "a");
  begin(&other, TIMEOUT);
  other.topics[0] = uk_slice_text("t");
  other.as.consume.group = uk_slice_text("h");
  other.as.consume.topics = other.topics;
  other.as.consume.topic_count = 1;
  other.as.consume.settings.session_timeout = SESSION;
  uk_kafka_groups_consume(fake.groups, &other.as.consume);
  check_waits(&one);
  check_waits(&other);
}

static void a_server_may_close_at_once(void)
{
  static struct request request;
  serve(&request);
  fake.groups->closing = true;
  uk_kafka_groups_consume_expired(fake.groups, &request.as.consume);
  fake_settle();
  check_empty(&request);
  FAKE_DID("reap");
}

static void consume_while_it_opens(void)
{
  consume_when_done(NULL);
}

static void what_arrives_while_no_handle_can_be_made_fails_too(void)
{
  static struct request request;
  consume(&request, TIMEOUT);
  fake.refuses_handles = true;
  fake.opening = consume_while_it_opens;
  fake_answer(NULL);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, "no handle");
  check_end_with(&asked_again, UK_E_UNAVAILABLE, 0, "no handle");
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_session_that_librdkafka_does_not_take_makes_no_handle(void)
{
  static struct request request;
  session = INT32_MAX;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  check_end_with(&request, UK_E_UNAVAILABLE, 0, uk_error_text(UK_E_NO_MEMORY));
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_request_that_names_what_does_not_exist_ends(void)
{
  static struct request consumed, committed;
  fake.check_error = UK_E_NOT_FOUND;
  consume(&consumed, TIMEOUT);
  check_end_with(&consumed, UK_E_NOT_FOUND, 0, "");
  commit(&committed, 1, TIMEOUT);
  check_end_with(&committed, UK_E_NOT_FOUND, 0, "");
  FAKE_DID("");
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_commit_creates_no_topic(void)
{
  static struct request request;
  fake.missing = true;
  begin(&request, TIMEOUT);
  request.as.consume.create = true; /* bytes that a commit does not have */
  request.offsets[0] = (struct uk_topic_partition_offset){uk_slice_text("t"), 0, 1};
  request.as.commit.offsets = request.offsets;
  request.as.commit.count = 1;
  uk_kafka_groups_commit(fake.groups, &request.as.commit);
  fake_settle();
  FAKE_DID("ask");
}

static void a_response_may_outlive_its_instance(void)
{
  static struct request request;
  finishes = false;
  deliver(&request, 1);
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  CHECK_EQ_INT(fake.groups->count, 0);
  sent(request.as.consume.delivery, true);
  uk_kafka_groups_consume_expired(fake.groups, &request.as.consume);
  FAKE_DID("reap");
}

/* It has nothing to wait for. */
static void one_that_could_not_subscribe_leaves_at_once(void)
{
  static struct request request;
  auto_commit = false;
  fake.refuses_first = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake.log[0] = '\0';
  fake_pass(SESSION - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unsubscribe close");
}

/* Only a position ahead of the offset is one that the client confirms. */
static void one_that_is_taken_over_where_it_committed_has_nothing_to_commit(void)
{
  static struct request request, committed;
  take_over(&request);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 4, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake.log[0] = '\0';
  commit(&committed, -1, TIMEOUT);
  check_empty(&committed);
  FAKE_DID("");
}

/* The response that it waited for was the lost instance's. */
static void a_commit_that_waited_for_a_response_is_passed_on(void)
{
  static struct request request, committed;
  auto_commit = false;
  deliver_slowly(&request);
  commit(&committed, 2, TIMEOUT);
  FAKE_DID("");
  fake_error(RD_KAFKA_RESP_ERR__FATAL, true);
  fake_answer("other");
  fake_assigned("me", "t/0");
  FAKE_DID("reap ask subscribe(t) assign() commit(t/0=2)");
}

static void a_takeover_commits_nothing_without_offsets_at_any_time(void)
{
  static struct request deleted, committed;
  delete (&deleted, TIMEOUT);
  fake_answer("other");
  for (int i = 0; i < 2; i++) {
    commit(&committed, -1, TIMEOUT);
    check_end_with(&committed, UK_E_UNAVAILABLE, 0, "another server has the consumer instance");
    check_may_be_done(&committed, false);
    fake_assigned("me", "t/0");
  }
  check_waits(&deleted);
}

/* Whatever is reported after that. */
static void a_takeover_that_is_fenced_is_lost(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  fake_answer("other");
  fake.log[0] = '\0';
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_ERROR, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID)
    ->fatal = true;
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_ERROR, RD_KAFKA_RESP_ERR__TRANSPORT);
  fake_settle();
  check_waits(&request);
  FAKE_DID("reap ask");
}

/* Even if nobody says what is committed. */
static void a_created_topic_is_read_from_its_first_offset_whatever_is_known(void)
{
  static struct request request;
  const struct uk_slice topic = uk_slice_text("t");
  fake.missing = fake.asks_committed = true;
  create_topics(&request, &topic, 1);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  FAKE_DID("assign(t/0@first) ask-again");
}

/* Whatever is reported after that. */
static void an_instance_that_is_fenced_takes_no_partitions(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  commit(&request, 1, TIMEOUT);
  struct fake_event *event = fake_put(&fake.handle->control, RD_KAFKA_EVENT_OFFSET_COMMIT,
                                      RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
  event->opaque = fake.commits[0];
  event->list = fake.commit_lists[0];
  fake.commit_count = 0;
  fake.log[0] = '\0';
  fake_assigned("me", "t/0");
  FAKE_DID("reap ask");
  check_waits(&request);
}

/* Its own offset was not sent. */
static void a_commit_that_waited_twice_was_not_made(void)
{
  static struct request request, committed;
  deliver_slowly(&request);
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=0)");
  commit(&committed, 2, 500);
  sent(request.as.consume.delivery, true);
  fake_pass(500);
  check_end_with(&committed, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
  check_may_be_done(&committed, false);
}

static void a_deletion_that_confirmed_nothing_was_not_made(void)
{
  static struct request request, deleted;
  deliver_slowly(&request);
  fake.now++;
  delete (&deleted, 500);
  sent(request.as.consume.delivery, false);
  fake_pass(500);
  check_end_with(&deleted, UK_E_UNAVAILABLE, 0, "the group's coordinator did not answer in time");
  check_may_be_done(&deleted, false);
}

/* Records from before the rebalance make nobody wait for the coordinator. */
static void a_consume_ends_in_time_while_the_start_is_not_known(void)
{
  static struct request request;
  auto_commit = false;
  deliver(&request, 1);
  fake_revoked(false);
  fake.asks_committed = true;
  fake_assigned("me", "t/0 t/1");
  fake_pass(2 * LEASE);
  fake_record(0, 1);
  consume(&request, 100);
  fake_pass(100);
  check_empty(&request);
}

static void a_takeover_that_is_lost_passes_its_commit_on(void)
{
  static struct request request;
  commit(&request, 1, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_error(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, true);
  check_waits(&request);
  FAKE_DID("reap ask");
}

static void a_takeover_that_closes_may_have_committed(void)
{
  static struct request request;
  commit(&request, 1, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_pass(2000);
  check_end_with(&request, UK_E_GATEWAY_TIMEOUT, 0,
                 "commit: the instance was closed before its group answered");
  check_may_be_done(&request, true);
}

static void a_consume_ends_in_time_during_a_takeover(void)
{
  static struct request committed, consumed;
  commit(&committed, 1, TIMEOUT);
  fake_answer("other");
  consume(&consumed, 300);
  fake_pass(299);
  check_waits(&consumed);
  fake_pass(1);
  check_empty(&consumed);
}

/* It passes, and nothing wakes the task for the record behind it. */
static void records_behind_what_passes_are_delivered_at_once(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  fake_said(RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 1, -1);
  fake_record(0, 0);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
}

/* As statistics, which a property asks for. */
static void other_events_say_nothing(void)
{
  static struct request consumed, deleted;
  auto_commit = false;
  serve(&consumed);
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_STATS, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
  fake_settle();
  check_waits(&consumed);
  FAKE_DID("");
  fake_close();
  REQUIRE(fake_open());
  delete (&deleted, TIMEOUT);
  fake_answer("other");
  fake.log[0] = '\0';
  fake_put(&fake.handle->control, RD_KAFKA_EVENT_STATS, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID);
  fake_settle();
  check_waits(&deleted);
  FAKE_DID("");
}

static void a_handle_that_is_of_no_use_is_a_lost_takeover(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  fake_answer("other");
  fake.log[0] = '\0';
  fake.handle->fatal = RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID;
  fake_error(RD_KAFKA_RESP_ERR__TRANSPORT, false);
  check_waits(&request);
  FAKE_DID("reap ask");
}

static void a_takeover_that_joins_again_does_not_wait_again(void)
{
  static struct request request;
  delete (&request, TIMEOUT);
  fake_answer("other");
  fake_assigned("me", "t/0");
  fake_pass(LEASE - 1);
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  fake_pass(1);
  FAKE_DID("unsubscribe");
}

/* A client that has gone keeps the record for the next one. */
static void a_client_that_has_gone_holds_nobody_up(void)
{
  static struct request first, second;
  auto_commit = false;
  serve(&first);
  consume(&second, TIMEOUT);
  first.unwanted = true;
  fake_record(0, 0);
  fake_settle();
  check_end_with(&first, UK_E_CANCELLED, 0, "");
  check_end_with(&second, UK_OK, 1, "");
}

static void the_first_offset_may_be_committed(void)
{
  static struct request request;
  fake.asks_committed = true;
  consume(&request, TIMEOUT);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 0, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("ask subscribe(t) read(t/0) assign(t/0@0) ask-again");
}

static void what_was_consumed_of_each_partition_is_committed(void)
{
  static struct request request, committed;
  auto_commit = false;
  serve(&request);
  fake_record(0, 4);
  fake_record(1, 6);
  fake_settle();
  check_end_with(&request, UK_OK, 2, "");
  commit(&committed, -1, TIMEOUT);
  FAKE_DID("commit(t/0=5 t/1=7)");
}

static void the_limit_is_of_all_topics_of_the_consume(void)
{
  static struct request one, both;
  fake.partitions = 1;
  consume_as(&one, "a");
  consume_topics(&both, 2, TIMEOUT);
  check_waits(&one);
  check_waits(&both);
}

/* Waits for what the tasks do, which are this thread's. */
int pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
  (void)condition;
  pthread_mutex_unlock(mutex);
  size_t count = fake.groups->count;
  fake_settle();
  if (!CHECK(fake.groups->count < count))
    fake_pass(60000);
  pthread_mutex_lock(mutex);
  return 0;
}

/* Each instance ends at once, if it has nothing to commit. */
static void a_close_reaches_every_instance(void)
{
  static struct request requests[3];
  static const char *const names[] = {"a", "b", "c"};
  auto_commit = false;
  for (int i = 0; i < 3; i++)
    consume_as(&requests[i], names[i]);
  fake_settle();
  for (int i = 0; i < 3; i++)
    fake_answer(NULL);
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  CHECK_EQ_INT(fake.groups->count, 3);
  uk_kafka_groups_free(fake.groups);
  uk_kafka_settings_free(fake.settings);
  REQUIRE(fake_open());
}

/* All topics are compared, in any order. */
static void another_second_topic_is_subscribed_to(void)
{
  static struct request request;
  static const char *const names[][2] = {{"t", "u"}, {"u", "t"}, {"t", "v"}};
  static const char *const does[] = {"subscribe(t,u)", "", "subscribe(t,v)"};
  auto_commit = false;
  deliver(&request, 1);
  for (int i = 0; i < 3; i++) {
    begin(&request, 0);
    for (int j = 0; j < 2; j++)
      request.topics[j] = uk_slice_text(names[i][j]);
    request.as.consume.topics = request.topics;
    request.as.consume.topic_count = 2;
    uk_kafka_groups_consume(fake.groups, &request.as.consume);
    fake_settle();
    FAKE_DID(does[i]);
  }
}

static void a_topic_counts_once_however_many_name_it(void)
{
  static struct request requests[3];
  static const char *const names[] = {"a", "b", "c"};
  fake.partitions = 1;
  for (int i = 0; i < 3; i++) {
    begin(&requests[i], TIMEOUT);
    requests[i].topics[0] = uk_slice_text("t");
    requests[i].topics[1] = uk_slice_text("u");
    requests[i].as.consume.instance = uk_slice_text(names[i]);
    requests[i].as.consume.topics = requests[i].topics;
    requests[i].as.consume.topic_count = 2;
    requests[i].as.consume.settings.session_timeout = SESSION;
    uk_kafka_groups_consume(fake.groups, &requests[i].as.consume);
    fake_settle();
  }
  check_waits(&requests[1]);
  check_end_with(&requests[2], UK_E_TOO_MANY, 0, "the limit is 2");
}

static void a_response_of_two_partitions_comes_again(void)
{
  static struct request request, again;
  finishes = false;
  auto_commit = false;
  serve(&request);
  fake_record(0, 4);
  fake_record(1, 6);
  fake_record(0, 5);
  fake_settle();
  check_end_with(&request, UK_OK, 3, "");
  sent(request.as.consume.delivery, false);
  consume(&again, TIMEOUT);
  check_end_with(&again, UK_OK, 3, "");
  for (int i = 0; i < 3; i++)
    CHECK_EQ_INT(again.got[i], request.got[i]);
}

static void a_second_partition_alone_is_committed(void)
{
  static struct request request;
  serve(&request);
  fake_record(1, 6);
  fake_settle();
  check_end_with(&request, UK_OK, 1, "");
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/1=6)");
}

/* States. Each row is a way from one to another; an instance that has ended is in the table no
 * more. */

static enum uk_kafka_instance_state state(void)
{
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  return node != NULL ? ((const struct uk_kafka_instance *)node)->state : UK_KAFKA_ENDED;
}

static enum uk_kafka_takeover_state takeover_state(void)
{
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  return node != NULL ? ((const struct uk_kafka_takeover *)node)->state : UK_KAFKA_TAKEOVER_ENDED;
}

static struct request pending, deletion;

static void to_inquiring(void)
{
  consume(&pending, 10 * SESSION);
}

static void to_joining(void)
{
  to_inquiring();
  fake.asks_committed = true;
  fake_answer("other");
}

static void to_handover(void)
{
  to_joining();
  fake_assigned("me", "t/0");
}

static void to_serving(void)
{
  to_handover();
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_pass(LEASE);
  fake_answer("me");
}

static void to_rejoining(void)
{
  to_serving();
  fake_revoked(false);
  fake_assigned("me", "t/0 t/1");
}

static void to_stopping(void)
{
  to_serving();
  fake_record(0, 0);
  fake_settle();
  fake_answer("me");
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
}

static void to_leaving(void)
{
  to_serving();
  fake_pass(1);
  delete (&deletion, TIMEOUT);
  fake_answer("me");
}

static void owner_is_nobody(void)
{
  fake_answer(NULL);
}

static void owner_is_another(void)
{
  fake_answer("other");
}

static void owner_is_unknown(void)
{
  fake_answer_with(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, NULL, NULL);
}

static void no_handle(void)
{
  fake.refuses_handles = true;
  fake_answer(NULL);
}

static void partitions(void)
{
  fake_assigned("me", "t/0");
}

static void no_partitions(void)
{
  fake_assigned("me", "");
}

static void partitions_of_other_topics(void)
{
  fake_assigned("me", "u/0");
}

static void metadata(void)
{
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void no_metadata(void)
{
  fake_read(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
}

static void no_metadata_yet(void)
{
  fake_read(RD_KAFKA_RESP_ERR__TIMED_OUT);
}

static void revocation(void)
{
  fake_revoked(false);
}

static void loss_of_partitions(void)
{
  fake_revoked(true);
}

static void loss_of_the_member(void)
{
  fake.handle->member[0] = '\0';
  fake_revoked(true);
}

static void forbidden(void)
{
  fake_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false);
}

static void trouble_that_passes(void)
{
  fake_error(RD_KAFKA_RESP_ERR__TRANSPORT, false);
}

static void fenced(void)
{
  fake_error(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, true);
}

static void another_has_it(void)
{
  fake_pass(LEASE);
  fake_record(0, 0);
  fake_settle();
  fake_answer("other");
}

static void a_fenced_commit(void)
{
  static struct request committed;
  commit(&committed, 1, 1);
  fake.now++; /* its time is over: it is not passed on */
  fake_committed(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
}

static void a_confirmed_deletion(void)
{
  fake_pass(1);
  delete (&deletion, TIMEOUT);
  fake_answer("me");
}

static void silence(void)
{
  pending.as.operation.deadline = fake.now;
  fake_pass(1000);
  while (!uk_list_is_empty(&fake.member_queries))
    fake_answer_with(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, NULL, NULL);
  fake_pass(SESSION);
}

static void no_offset(void)
{
  fake_said(RD_KAFKA_RESP_ERR__NO_OFFSET, 0, -1001);
  fake_settle();
  fake_answer("me");
}

static void a_close(void)
{
  pending.as.operation.deadline = fake.now;
  commit(&deletion, 1, TIMEOUT);
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
}

static void a_drain(void)
{
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
}

static void answered_commits(void)
{
  while (fake.commit_count > 0)
    fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void two_seconds(void)
{
  fake_pass(2000);
}

static void five_seconds(void)
{
  fake_pass(5000);
}

static void confirmation_of_the_group(void)
{
  fake.handle->member[0] = '\0';
  fake.handle->closed = true;
  fake_pass(10);
}

static const struct transition {
  void (*to)(void); /* the state that it begins in */
  enum uk_kafka_instance_state from;
  void (*event)(void);
  enum uk_kafka_instance_state then;
} transitions[] = {
  {to_inquiring, UK_KAFKA_INQUIRING, owner_is_nobody, UK_KAFKA_JOINING},
  {to_inquiring, UK_KAFKA_INQUIRING, owner_is_another, UK_KAFKA_JOINING},
  {to_inquiring, UK_KAFKA_INQUIRING, owner_is_unknown, UK_KAFKA_JOINING},
  {to_inquiring, UK_KAFKA_INQUIRING, no_handle, UK_KAFKA_ENDED},
  {to_inquiring, UK_KAFKA_INQUIRING, a_drain, UK_KAFKA_INQUIRING},
  {to_inquiring, UK_KAFKA_INQUIRING, a_close, UK_KAFKA_ENDED},
  {to_joining, UK_KAFKA_JOINING, partitions, UK_KAFKA_HANDOVER},
  {to_joining, UK_KAFKA_JOINING, no_partitions, UK_KAFKA_SERVING},
  {to_joining, UK_KAFKA_JOINING, partitions_of_other_topics, UK_KAFKA_LEAVING},
  {to_joining, UK_KAFKA_JOINING, forbidden, UK_KAFKA_LEAVING},
  {to_joining, UK_KAFKA_JOINING, trouble_that_passes, UK_KAFKA_JOINING},
  {to_joining, UK_KAFKA_JOINING, revocation, UK_KAFKA_JOINING},
  {to_joining, UK_KAFKA_JOINING, silence, UK_KAFKA_LEAVING},
  {to_joining, UK_KAFKA_JOINING, a_close, UK_KAFKA_ENDED},
  {to_handover, UK_KAFKA_HANDOVER, metadata, UK_KAFKA_SERVING},
  {to_handover, UK_KAFKA_HANDOVER, no_metadata, UK_KAFKA_SERVING},
  {to_handover, UK_KAFKA_HANDOVER, no_metadata_yet, UK_KAFKA_HANDOVER},
  {to_handover, UK_KAFKA_HANDOVER, revocation, UK_KAFKA_JOINING},
  {to_handover, UK_KAFKA_HANDOVER, forbidden, UK_KAFKA_LEAVING},
  {to_handover, UK_KAFKA_HANDOVER, silence, UK_KAFKA_LEAVING},
  {to_handover, UK_KAFKA_HANDOVER, partitions_of_other_topics, UK_KAFKA_LEAVING},
  {to_handover, UK_KAFKA_HANDOVER, a_close, UK_KAFKA_ENDED},
  {to_serving, UK_KAFKA_SERVING, revocation, UK_KAFKA_SERVING},
  {to_serving, UK_KAFKA_SERVING, loss_of_partitions, UK_KAFKA_SERVING},
  {to_serving, UK_KAFKA_SERVING, partitions, UK_KAFKA_HANDOVER},
  {to_rejoining, UK_KAFKA_HANDOVER, metadata, UK_KAFKA_SERVING},
  {to_rejoining, UK_KAFKA_HANDOVER, revocation, UK_KAFKA_SERVING},
  {to_serving, UK_KAFKA_SERVING, partitions_of_other_topics, UK_KAFKA_LEAVING},
  {to_serving, UK_KAFKA_SERVING, a_confirmed_deletion, UK_KAFKA_LEAVING},
  {to_serving, UK_KAFKA_SERVING, silence, UK_KAFKA_LEAVING},
  {to_serving, UK_KAFKA_SERVING, no_offset, UK_KAFKA_LEAVING},
  {to_serving, UK_KAFKA_SERVING, a_drain, UK_KAFKA_SERVING},
  {to_serving, UK_KAFKA_SERVING, a_close, UK_KAFKA_STOPPING},
  {to_stopping, UK_KAFKA_STOPPING, answered_commits, UK_KAFKA_ENDED},
  {to_stopping, UK_KAFKA_STOPPING, two_seconds, UK_KAFKA_ENDED},
  {to_stopping, UK_KAFKA_STOPPING, fenced, UK_KAFKA_ENDED},
  {to_leaving, UK_KAFKA_LEAVING, confirmation_of_the_group, UK_KAFKA_ENDED},
  {to_leaving, UK_KAFKA_LEAVING, five_seconds, UK_KAFKA_ENDED},
  {to_leaving, UK_KAFKA_LEAVING, forbidden, UK_KAFKA_LEAVING},
  {to_leaving, UK_KAFKA_LEAVING, loss_of_the_member, UK_KAFKA_LEAVING},
  {to_leaving, UK_KAFKA_LEAVING, a_drain, UK_KAFKA_LEAVING},
  {to_leaving, UK_KAFKA_LEAVING, fenced, UK_KAFKA_INQUIRING},
  {to_leaving, UK_KAFKA_LEAVING, partitions, UK_KAFKA_LEAVING},
  /* Lost: the instance ends, and what waits goes to a new one, which inquires. */
  {to_joining, UK_KAFKA_JOINING, fenced, UK_KAFKA_INQUIRING},
  {to_handover, UK_KAFKA_HANDOVER, fenced, UK_KAFKA_INQUIRING},
  {to_serving, UK_KAFKA_SERVING, another_has_it, UK_KAFKA_ENDED},
  {to_serving, UK_KAFKA_SERVING, fenced, UK_KAFKA_ENDED},
  {to_serving, UK_KAFKA_SERVING, a_fenced_commit, UK_KAFKA_ENDED},
  {to_serving, UK_KAFKA_SERVING, loss_of_the_member, UK_KAFKA_ENDED},
};

static void each_event_leads_from_a_state_to_the_next(void)
{
  for (size_t i = 0; i < sizeof transitions / sizeof *transitions; i++) {
    const struct transition *row = &transitions[i];
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    reset = row->event == no_offset ? UK_RESET_NONE : UK_RESET_LATEST;
    row->to();
    bool good = CHECK_EQ_INT(state(), row->from);
    row->event();
    if (!CHECK_EQ_INT(state(), row->then) || !good)
      fprintf(stderr, "  row %zu\n", i);
  }
}

static void takeover_commits(void)
{
  commit(&pending, 1, TIMEOUT);
}

static void takeover_deletes(void)
{
  delete (&pending, TIMEOUT);
}

static void takeover_joins(void)
{
  takeover_deletes();
  fake_answer("other");
}

static void takeover_joins_to_commit(void)
{
  takeover_commits();
  fake_answer("other");
}

static void takeover_commits_as_member(void)
{
  takeover_joins_to_commit();
  fake_assigned("me", "t/0");
}

static void takeover_is_member(void)
{
  takeover_joins();
  fake_assigned("me", "t/0");
}

static void takeover_leaves(void)
{
  takeover_is_member();
  fake_pass(LEASE);
}

static void a_lease(void)
{
  fake_pass(LEASE);
}

static void less_than_a_lease(void)
{
  fake_pass(LEASE - 1);
}

static void a_takeover_close(void)
{
  fake.groups->closing = true;
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  fake_pass(2000);
}

static void its_deadline(void)
{
  fake_pass(TIMEOUT + UK_SESSION_TIMEOUT);
}

static const struct {
  void (*to)(void);
  enum uk_kafka_takeover_state from;
  void (*event)(void);
  enum uk_kafka_takeover_state then;
} takeover_transitions[] = {
  {takeover_commits, UK_KAFKA_TAKEOVER_INQUIRING, owner_is_another, UK_KAFKA_TAKEOVER_JOINING},
  {takeover_commits, UK_KAFKA_TAKEOVER_INQUIRING, owner_is_nobody, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_commits, UK_KAFKA_TAKEOVER_INQUIRING, owner_is_unknown, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_commits, UK_KAFKA_TAKEOVER_INQUIRING, a_drain, UK_KAFKA_TAKEOVER_INQUIRING},
  {takeover_commits, UK_KAFKA_TAKEOVER_INQUIRING, a_takeover_close, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, partitions, UK_KAFKA_TAKEOVER_COMMITTING},
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, no_partitions, UK_KAFKA_TAKEOVER_COMMITTING},
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, forbidden, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, trouble_that_passes, UK_KAFKA_TAKEOVER_JOINING},
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, its_deadline, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, a_takeover_close, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_joins_to_commit, UK_KAFKA_TAKEOVER_JOINING, forbidden, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_commits_as_member, UK_KAFKA_TAKEOVER_COMMITTING, answered_commits,
   UK_KAFKA_TAKEOVER_ENDED},
  {takeover_commits_as_member, UK_KAFKA_TAKEOVER_COMMITTING, two_seconds,
   UK_KAFKA_TAKEOVER_COMMITTING},
  {takeover_is_member, UK_KAFKA_TAKEOVER_COMMITTING, less_than_a_lease,
   UK_KAFKA_TAKEOVER_COMMITTING},
  {takeover_is_member, UK_KAFKA_TAKEOVER_COMMITTING, a_lease, UK_KAFKA_TAKEOVER_LEAVING},
  {takeover_is_member, UK_KAFKA_TAKEOVER_COMMITTING, revocation, UK_KAFKA_TAKEOVER_COMMITTING},
  {takeover_is_member, UK_KAFKA_TAKEOVER_COMMITTING, a_takeover_close, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_leaves, UK_KAFKA_TAKEOVER_LEAVING, confirmation_of_the_group, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_leaves, UK_KAFKA_TAKEOVER_LEAVING, five_seconds, UK_KAFKA_TAKEOVER_ENDED},
  {takeover_leaves, UK_KAFKA_TAKEOVER_LEAVING, partitions, UK_KAFKA_TAKEOVER_LEAVING},
  {takeover_leaves, UK_KAFKA_TAKEOVER_LEAVING, a_takeover_close, UK_KAFKA_TAKEOVER_LEAVING},
  /* Lost to a third server: another takeover begins. */
  {takeover_joins, UK_KAFKA_TAKEOVER_JOINING, fenced, UK_KAFKA_TAKEOVER_INQUIRING},
  {takeover_is_member, UK_KAFKA_TAKEOVER_COMMITTING, loss_of_the_member,
   UK_KAFKA_TAKEOVER_INQUIRING},
};

static void each_event_leads_from_a_state_of_a_takeover_to_the_next(void)
{
  for (size_t i = 0; i < sizeof takeover_transitions / sizeof *takeover_transitions; i++) {
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    takeover_transitions[i].to();
    bool good = CHECK_EQ_INT(takeover_state(), takeover_transitions[i].from);
    takeover_transitions[i].event();
    if (!CHECK_EQ_INT(takeover_state(), takeover_transitions[i].then) || !good)
      fprintf(stderr, "  row %zu\n", i);
  }
}

static void (*current)(void);

/* All that was allocated is free when the last instance has ended. */
static void run_current(void)
{
  long live = fault_live();
  auto_commit = finishes = true;
  when_done = NULL;
  reset = UK_RESET_LATEST;
  session = SESSION;
  REQUIRE(fake_open());
  current();
  fake_close();
  CHECK_EQ_INT(fault_live(), live);
}

static void run(const char *name, void (*test)(void))
{
  current = test;
  check_run(name, run_current);
}

#define RUN(test) run(#test, test)

/* When an instance runs again: at the first of its times that lie ahead, or when a request is late.
 */

enum { SOON = 100 };

static int64_t runs_in(const struct uk_kafka_group_member *member, bool awaits_lease)
{
  return uk_kafka_group_member_next_run(member, awaits_lease, fake.now) - fake.now;
}

static void each_time_makes_an_instance_run(void)
{
  static struct request request;
  serve(&request);
  struct uk_kafka_group_member member = {
    .groups = fake.groups, .settings = {.session_timeout = SESSION}, .last_request = fake.now};
  int64_t *const times[] = {&member.lease.quiet_until, &member.lease.ask_at,
                            &member.verify_at,         &member.beat_at,
                            &member.stopping.until,    &member.committing.again_at};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
    *times[i] = fake.now + SOON;
    CHECK_EQ_INT(runs_in(&member, false), SOON);
    *times[i] = fake.now;
    CHECK_EQ_INT(runs_in(&member, false), SESSION);
  }
  struct uk_kafka_assigned_partition partition = {.assigned = true};
  uk_progress_pin(&partition.progress, 3);
  member.partitions = (struct uk_kafka_assigned_partitions){&partition, 1};
  member.committing.next = fake.now + SOON;
  CHECK_EQ_INT(runs_in(&member, false), SESSION);
  member.settings.auto_commit = true;
  CHECK_EQ_INT(runs_in(&member, false), SOON);
}

static void each_request_makes_an_instance_run(void)
{
  static struct request request;
  serve(&request);
  struct uk_kafka_group_member member = {
    .groups = fake.groups, .settings = {.session_timeout = SESSION}, .last_request = fake.now};
  struct uk_list *const queues[] = {&member.consumes, &member.commits, &member.deletes,
                                    &member.committing.under_way};
  for (size_t i = 0; i < sizeof queues / sizeof *queues; i++) {
    struct uk_operation operation = {.deadline = fake.now + SOON};
    struct uk_kafka_request waiting = {.operation = &operation, .kind = UK_KAFKA_DELETE};
    uk_kafka_requests_add(queues[i], &waiting);
    CHECK_EQ_INT(runs_in(&member, false), SOON);
    CHECK_EQ_INT(runs_in(&member, true), i == 0 ? 1000 : SOON);
    operation.deadline = fake.now + SESSION - 1;
    CHECK_EQ_INT(runs_in(&member, false), i < 3 ? 1000 : SESSION - 1);
    operation.deadline = fake.now - 1000 + SOON;
    CHECK_EQ_INT(runs_in(&member, true), i == 0 ? SOON : SOON - 1000);
    uk_kafka_requests_remove(&waiting);
  }
}

/* A commit that is resent after an outage must not meet a later one. */
static void auto_commit_waits_for_the_commit_before_it(void)
{
  static struct request first, next;
  finishes = true;
  deliver(&first, 1);
  fake_pass(INTERVAL);
  FAKE_DID("commit(t/0=0)");
  consume(&next, TIMEOUT);
  fake_record(0, 1);
  fake_settle();
  fake.log[0] = '\0';
  fake_pass(2 * INTERVAL);
  CHECK(strstr(fake.log, "commit") == NULL);
  fake.log[0] = '\0';
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "commit(t/0=1)") != NULL);
}

/* It counts anew what was taken since it woke librdkafka. */
static void librdkafka_is_woken_again_when_as_much_was_taken(void)
{
  static struct request first, next;
  auto_commit = false;
  finishes = true;
  serve(&first);
  fake.size = 100;
  for (int i = 0; i < 6; i++)
    fake_record(0, i);
  fake_settle();
  check_end_with(&first, UK_OK, 6, "");
  FAKE_DID("nudge");
  consume(&next, TIMEOUT);
  next.room = 6;
  for (int i = 6; i < 19; i++)
    fake_record(0, i);
  fake_settle();
  while (next.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_end_with(&next, UK_OK, 6, "");
  CHECK(strstr(fake.log, "nudge") == NULL); /* six of a hundred bytes are left */
}

/* At the end of a response too, where less is left than at the last look. */
static void librdkafka_is_woken_at_the_end_of_a_response(void)
{
  static struct request request;
  auto_commit = false;
  serve(&request);
  request.room = 11;
  fake.size = 60;
  for (int i = 0; i < 20; i++)
    fake_record(0, i);
  fake_settle();
  check_end_with(&request, UK_OK, 11, "");
  FAKE_DID("nudge");
}

static void count_row(struct uk_operation *operation, struct uk_slice group,
                      struct uk_slice instance, struct uk_slice topic, const int32_t *partitions,
                      size_t count)
{
  (void)group;
  (void)instance;
  (void)topic;
  for (size_t i = 0; i < count; i++)
    CHECK_EQ_INT(partitions[i], i);
  ((struct request *)operation)->count += count;
}

/* Whichever instance holds the most. */
static void an_instance_of_many_partitions_is_listed(void)
{
  enum { MANY = 2000 };
  static struct request requests[2];
  consume_as(&requests[0], "a");
  consume_as(&requests[1], "b");
  for (int most = 0; most < 2; most++) {
    struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
    for (int i = 0; node != NULL; i++, node = uk_name_table_next(&fake.groups->table, node)) {
      struct uk_kafka_assigned_partitions *published =
        &((struct uk_kafka_group_member *)node)->published;
      free(published->all);
      published->count = i == most ? MANY : 1;
      published->all = calloc(published->count, sizeof *published->all);
      for (size_t j = 0; j < published->count; j++)
        published->all[j].number = (int32_t)j;
    }
    static struct request request;
    begin(&request, TIMEOUT);
    request.as.listing.owned = count_row;
    uk_kafka_groups_list(fake.groups, &request.as.listing);
    check_end_with(&request, UK_OK, MANY + 1, "");
  }
}

static void the_list_needs_memory(void)
{
  static struct request waiting, request;
  consume(&waiting, TIMEOUT);
  for (long n = 1, hit = 1; hit; n++) {
    begin(&request, TIMEOUT);
    request.as.listing.owned = list_row;
    fault_at(n);
    uk_kafka_groups_list(fake.groups, &request.as.listing);
    hit = fault_hit();
    fault_off();
    CHECK_EQ_INT(request.as.operation.error, hit ? UK_E_NO_MEMORY : UK_OK);
    CHECK_EQ_STR(request.listed, hit ? "" : "g/one:=;");
  }
}

int main(void)
{
  RUN(an_instance_that_nobody_has_joins_and_delivers);
  run("A11: a consume waits for the last response", a_consume_waits_for_the_last_response);
  run("A11: a consume gets a response again that failed while it waited",
      a_consume_gets_a_response_again_that_failed_late);
  run("A11: a consume that waits in vain acknowledges nothing",
      a_consume_that_waits_in_vain_acknowledges_nothing);
  run("A11: consumes wait for the response before each",
      consumes_wait_for_the_response_before_each);
  run("A11: a commit waits for the last response", a_commit_waits_for_the_last_response);
  run("A11: what waits in vain for the last response was not made",
      what_waits_in_vain_for_the_last_response_was_not_made);
  run("A12: a deletion waits for the last response, and commits none that failed",
      a_deletion_waits_for_the_last_response);
  run("A12: a deletion that confirmed late may be done",
      a_deletion_that_confirmed_late_may_be_done);
  run("C4: a consume whose client has gone ends", a_consume_whose_client_has_gone_ends);
  run("C4: a client that has gone does not wait for the coordinator",
      a_client_that_has_gone_does_not_wait_for_the_coordinator);
  run("A11: a response of the instance before counts for nothing",
      a_response_of_the_instance_before_counts_for_nothing);
  RUN(a_session_is_as_long_as_brokers_take);
  run("D1: heartbeats keep their interval", heartbeats_keep_their_interval);
  RUN(what_the_coordinator_said_holds_for_the_time_of_a_lease);
  RUN(the_coordinator_is_asked_ahead_of_the_end_of_a_lease);
  RUN(an_answer_that_comes_late_is_worth_less);
  RUN(records_wait_a_second_longer_for_the_coordinator);
  RUN(a_cluster_that_cannot_tell_is_not_asked_again);
  RUN(nobody_asks_while_nobody_waits);
  RUN(an_instance_that_another_server_has_is_lost);
  RUN(an_instance_that_its_group_does_not_know_is_lost);
  RUN(a_consume_that_was_this_servers_ends_when_the_instance_is_lost);
  RUN(an_answer_about_an_earlier_member_says_nothing);
  RUN(one_that_takes_over_waits_for_the_time_of_a_lease);
  RUN(one_that_is_not_told_waits_as_well);
  RUN(one_that_is_taken_over_goes_on_where_its_client_is);
  RUN(a_note_that_is_not_read_in_time_is_asked_for_again);
  RUN(a_note_that_cannot_be_read_is_none);
  RUN(a_delivery_of_one_that_was_taken_over_is_noted);
  RUN(a_delivery_of_one_that_stays_is_not_noted);
  RUN(the_next_request_says_that_the_last_answer_arrived);
  RUN(a_commit_that_fails_is_made_again);
  RUN(without_auto_commit_nothing_is_committed);
  RUN(an_answer_that_was_not_sent_is_delivered_again);
  RUN(an_answer_that_arrived_is_not_delivered_again);
  RUN(a_record_that_has_no_room_is_the_first_of_the_next_answer);
  RUN(a_client_that_has_gone_takes_nothing);
  RUN(an_instance_at_the_end_commits_where_it_begins);
  RUN(a_partition_that_comes_back_goes_on);
  RUN(what_arrived_is_committed_before_others_have_the_partition);
  RUN(a_partition_that_was_lost_begins_where_it_was_committed);
  RUN(a_partition_whose_offset_the_client_set_begins_there);
  RUN(a_member_that_its_group_forgot_is_lost);
  RUN(an_assignment_of_other_topics_is_declined);
  RUN(an_assignment_without_a_topic_that_has_more_is_declined);
  RUN(other_topics_are_subscribed_to_once);
  RUN(commits_go_one_after_the_other);
  RUN(a_commit_of_nothing_is_answered_at_once);
  RUN(a_commit_ends_as_the_group_says);
  RUN(a_commit_names_the_partition_that_failed);
  RUN(a_commit_without_an_answer_ends_at_its_deadline);
  RUN(a_commit_that_is_fenced_is_made_by_a_new_instance);
  RUN(a_commit_that_is_refused_ends_at_once);
  RUN(an_unknown_instance_is_not_found);
  RUN(a_coordinator_that_says_nothing_makes_a_takeover_fail);
  RUN(a_commit_takes_over_what_another_server_has);
  RUN(a_takeover_that_knows_no_topic_names_its_own);
  RUN(a_takeover_does_not_commit_what_it_does_not_know);
  RUN(a_deletion_takes_over_and_leaves);
  RUN(a_takeover_commits_before_it_leaves);
  RUN(a_deletion_leaves_by_another_topic);
  RUN(a_consume_waits_for_a_takeover);
  RUN(a_takeover_is_in_no_list);
  RUN(a_deletion_waits_for_the_coordinators_word);
  RUN(a_deletion_of_what_another_server_has_is_its_to_take_over);
  RUN(a_group_that_does_not_say_that_it_has_left_may_have_let_it_go);
  RUN(a_deletion_that_nobody_confirms_was_not_made);
  RUN(one_that_joins_leaves_when_it_has_joined);
  RUN(what_comes_while_it_leaves_is_the_next_ones);
  RUN(an_instance_that_falls_silent_leaves);
  RUN(an_instance_is_not_silent_while_somebody_waits);
  RUN(a_drain_ends_all_that_waits);
  RUN(a_server_that_stops_commits_what_arrived);
  RUN(a_server_that_stops_waits_two_seconds_for_its_commits);
  RUN(a_consume_without_records_ends_at_its_deadline);
  RUN(nothing_is_said_of_what_may_be_out_of_order);
  RUN(a_group_that_lets_nobody_in_is_asked);
  RUN(what_is_wrong_with_a_topic_ends_a_new_instance);
  RUN(d6_a_topic_that_is_gone_does_not_exist);
  RUN(a_topic_that_exists_is_not_missing);
  RUN(a_consume_outlives_the_instance_whose_topic_was_missing);
  RUN(a_consume_that_waits_creates_no_topic);
  RUN(what_is_wrong_with_a_topic_leaves_one_that_has_served);
  RUN(an_instance_whose_only_topic_is_gone_leaves);
  RUN(an_instance_stays_for_its_other_topic);
  RUN(reset_none_says_what_cannot_be_used);
  RUN(a_group_has_as_many_instances_as_partitions);
  RUN(instances_have_room_to_read_ahead);
  RUN(names_are_plain);
  RUN(the_list_has_what_each_instance_holds);
  RUN(a_handle_that_cannot_be_made_ends_all_requests);
  RUN(an_answer_may_come_after_the_end);
  RUN(an_instance_that_moved_is_not_known_to_be_gone);
  RUN(one_that_was_never_here_is_not_found_where_nobody_can_tell);
  RUN(a_takeover_that_has_joined_needs_no_other_topic);
  RUN(a_topic_that_was_created_is_read_from_its_first_offset);
  RUN(one_that_takes_over_does_not_leave_before_the_other_knows);
  RUN(commits_come_before_a_deletion);
  RUN(the_last_commits_have_their_time_from_the_close_on);
  RUN(a_server_that_stops_waits_for_the_commits_of_clients);
  RUN(a_coordinator_that_does_not_know_is_asked_again_after_a_lease);
  RUN(one_that_waits_for_its_deletion_is_not_silent);
  RUN(a_handle_that_is_of_no_use_is_a_lost_instance);
  RUN(topics_that_were_refused_are_subscribed_to_again);
  RUN(a_break_of_more_than_a_second_is_one);
  RUN(another_request_is_no_break);
  RUN(a_commit_is_a_sign_of_life);
  RUN(what_is_delivered_again_begins_with_the_first);
  RUN(without_auto_commit_no_delivery_is_noted);
  RUN(one_that_has_answered_without_records_stays);
  RUN(a_drain_does_not_wait_for_the_coordinator);
  RUN(a_deletion_under_way_outlives_its_deadline);
  RUN(a_commit_that_a_stop_does_not_wait_for_may_be_done);
  RUN(a_commit_alone_ends_at_its_deadline);
  RUN(each_request_ends_at_its_deadline);
  RUN(what_is_over_when_the_instance_is_lost_ends);
  RUN(a_partition_has_three_seconds_from_each_assignment_on);
  RUN(what_is_known_late_of_a_partition_that_is_gone_is_not_used);
  RUN(nothing_is_delivered_of_a_partition_that_is_gone);
  RUN(a_revocation_that_is_not_a_loss_ends_nothing);
  RUN(one_that_leaves_cannot_be_lost);
  RUN(the_coordinator_has_five_seconds);
  RUN(one_that_joins_again_does_not_wait_again);
  RUN(records_that_may_not_be_delivered_yet_make_nobody_wait);
  RUN(a_poll_that_is_shorter_than_a_takeover_gets_its_records);
  RUN(it_ends_when_no_partition_has_records);
  RUN(it_waits_no_longer_than_a_second);
  RUN(it_does_not_hold_up_a_server_that_stops);
  RUN(an_instance_without_partitions_that_was_taken_over_has_no_grace);
  RUN(each_deletion_waits_for_a_word_of_its_own);
  RUN(a_word_is_for_the_requests_that_came_before_the_question);
  RUN(one_that_has_no_name_yet_cannot_be_lost);
  RUN(one_that_leaves_has_five_seconds_from_the_first_reason_on);
  RUN(what_is_wrong_with_one_that_leaves_is_not_said);
  RUN(one_that_cannot_close_has_left);
  RUN(an_instance_that_delivers_is_not_silent);
  RUN(a_partition_with_a_record_has_not_ended);
  RUN(silence_is_counted_from_the_last_delivery_on);
  RUN(a_client_is_asked_for_once);
  RUN(librdkafka_is_woken_when_little_is_left);
  RUN(an_end_behind_records_commits_nothing);
  RUN(what_is_wrong_behind_records_leaves_them);
  RUN(records_behind_what_is_wrong_are_the_next_answers);
  RUN(a_first_record_that_is_not_taken_is_out_of_memory);
  RUN(a_note_that_is_late_is_not_made);
  RUN(what_fails_of_a_partition_that_is_gone_is_not_made_again);
  RUN(a_commit_waits_for_the_servers_own);
  RUN(what_has_nothing_to_commit_keeps_nobody_waiting);
  RUN(a_partition_that_is_committed_twice_is_committed_once);
  RUN(an_offset_that_the_client_set_counts_until_more_arrives);
  RUN(what_arrived_of_a_partition_that_is_gone_is_not_committed);
  RUN(a_live_instance_is_out_of_range_at_its_position);
  RUN(a_partition_that_is_gone_needs_no_leader);
  RUN(topics_are_looked_at_while_somebody_waits);
  RUN(metadata_ends_with_an_instance_that_stays);
  RUN(what_is_wrong_with_a_created_topic_is_said);
  RUN(one_that_has_joined_reads_no_metadata);
  RUN(one_that_is_given_nothing_reads_no_metadata);
  RUN(the_limit_is_of_all_topics_of_the_group);
  RUN(instances_are_listed_by_group_and_name);
  RUN(each_event_leads_from_a_state_to_the_next);
  RUN(each_event_leads_from_a_state_of_a_takeover_to_the_next);
  RUN(a_consume_at_the_end_of_a_lease_is_not_confirmed);
  RUN(a_commit_that_waits_in_vain_was_not_made);
  RUN(what_the_group_had_before_it_joined_is_forgotten);
  RUN(what_is_gone_is_not_read_again);
  RUN(a_takeover_has_no_responses);
  RUN(members_are_made_or_not);
  RUN(one_that_is_fenced_while_it_leaves_passes_its_deletion_on);
  RUN(the_coordinator_is_asked_about_the_instance);
  RUN(what_a_request_names_is_checked);
  RUN(an_instance_gets_the_events_of_its_group);
  RUN(each_topic_that_was_created_is_noted);
  RUN(topics_are_created_where_they_may_be);
  RUN(the_coordinators_own_words_are_passed_on);
  RUN(one_that_is_not_open_is_outside);
  RUN(the_coordinator_cannot_be_asked_without_memory);
  RUN(a_drain_reaches_every_instance);
  RUN(a_response_that_is_written_at_once_holds_nobody_up);
  RUN(a_deletion_does_not_ask_who_cannot_tell);
  RUN(a_word_that_was_given_is_not_taken_back);
  RUN(an_offset_that_is_set_before_anything_is_read_counts);
  RUN(without_auto_commit_a_client_continues_where_it_committed);
  RUN(reset_none_says_that_nothing_is_committed);
  RUN(without_memory_no_range_is_named);
  RUN(topics_are_kept_or_the_consume_is_refused);
  RUN(partitions_are_taken_or_refused);
  RUN(the_coordinator_is_asked_when_there_is_memory_again);
  RUN(topics_that_are_refused_at_first_are_subscribed_to_again);
  RUN(a_takeover_that_cannot_subscribe_fails);
  RUN(a_takeover_has_memory_or_fails);
  RUN(a_broker_has_twice_the_time_of_its_wait_besides);
  RUN(limits_are_named);
  RUN(a_record_that_waits_goes_with_its_partition);
  RUN(a_topic_that_was_missing_is_one_instances);
  RUN(tables_of_names_have_seeds);
  RUN(an_instance_is_out_of_the_list_before_its_deletion_is_answered);
  RUN(an_instance_is_out_of_the_list_before_its_requests_fail);
  RUN(a_request_that_arrives_at_the_end_is_passed_on);
  RUN(a_response_that_nobody_waits_for_wakes_nobody);
  RUN(one_that_leaves_reads_nothing_again);
  RUN(the_coordinator_may_answer_after_the_end);
  RUN(partitions_without_a_commit_are_looked_up_first);
  RUN(what_was_looked_up_is_committed_when_it_is_the_end);
  RUN(nothing_is_looked_up_where_it_is_known);
  RUN(nothing_is_looked_up_after_a_failure);
  RUN(a_late_look_up_is_left_to_librdkafka);
  RUN(a_topic_that_was_created_is_looked_up_from_its_first_record);
  RUN(partitions_may_be_revoked_while_they_are_looked_up);
  RUN(only_topics_that_were_missing_are_read_from_their_first_offset);
  RUN(topics_are_not_looked_at_while_nobody_waits);
  RUN(a_takeover_looks_at_topics_while_somebody_waits);
  RUN(one_that_leaves_after_a_long_wait_is_not_outside);
  RUN(a_takeover_gives_up_what_is_revoked);
  RUN(librdkafka_is_woken_within_a_response);
  RUN(another_second_topic_is_subscribed_to);
  RUN(a_topic_counts_once_however_many_name_it);
  RUN(a_response_of_two_partitions_comes_again);
  RUN(a_second_partition_alone_is_committed);
  RUN(what_was_consumed_of_each_partition_is_committed);
  RUN(the_limit_is_of_all_topics_of_the_consume);
  RUN(a_close_reaches_every_instance);
  RUN(a_client_that_has_gone_holds_nobody_up);
  RUN(the_first_offset_may_be_committed);
  RUN(records_behind_what_passes_are_delivered_at_once);
  RUN(other_events_say_nothing);
  RUN(a_handle_that_is_of_no_use_is_a_lost_takeover);
  RUN(a_takeover_that_joins_again_does_not_wait_again);
  RUN(a_created_topic_is_read_from_its_first_offset_whatever_is_known);
  RUN(an_instance_that_is_fenced_takes_no_partitions);
  RUN(a_commit_that_waited_twice_was_not_made);
  RUN(a_deletion_that_confirmed_nothing_was_not_made);
  RUN(a_consume_ends_in_time_while_the_start_is_not_known);
  RUN(a_takeover_that_is_lost_passes_its_commit_on);
  RUN(a_takeover_that_closes_may_have_committed);
  RUN(a_consume_ends_in_time_during_a_takeover);
  RUN(an_end_of_a_partition_that_is_not_held_says_nothing);
  RUN(records_with_headers_have_memory_or_wait);
  RUN(a_commit_fails_as_a_whole_or_for_a_partition);
  RUN(a_commit_that_a_close_does_not_wait_for_may_be_done);
  RUN(other_groups_take_no_partition);
  RUN(a_server_may_close_at_once);
  RUN(what_arrives_while_no_handle_can_be_made_fails_too);
  RUN(a_session_that_librdkafka_does_not_take_makes_no_handle);
  RUN(a_request_that_names_what_does_not_exist_ends);
  RUN(a_commit_creates_no_topic);
  RUN(a_response_may_outlive_its_instance);
  RUN(one_that_could_not_subscribe_leaves_at_once);
  RUN(one_that_is_taken_over_where_it_committed_has_nothing_to_commit);
  RUN(a_commit_that_waited_for_a_response_is_passed_on);
  RUN(a_takeover_commits_nothing_without_offsets_at_any_time);
  RUN(a_takeover_that_is_fenced_is_lost);
  RUN(each_time_makes_an_instance_run);
  RUN(each_request_makes_an_instance_run);
  RUN(auto_commit_waits_for_the_commit_before_it);
  RUN(librdkafka_is_woken_again_when_as_much_was_taken);
  RUN(librdkafka_is_woken_at_the_end_of_a_response);
  RUN(an_instance_of_many_partitions_is_listed);
  RUN(the_list_needs_memory);
  return check_end();
}
