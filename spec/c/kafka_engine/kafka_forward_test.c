/* for: kafka_instance_forward.c, kafka_holders.c, kafka_membership.c
 *
 * Commits that move none back: those that a consume carries, and those of a batch. */
#include "fault.h"
#include "kafka_batch_requests.h"

/* Joins with t/0 and t/1, of which the group has committed offsets 3 and 7 (negative: nothing), and
 * the coordinator confirms it. */
static void join(struct request *request, int64_t first, int64_t second)
{
  fake.asks_committed = true;
  consume(request, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  if (first >= 0)
    fake_committed_is(0, first, NULL);
  if (second >= 0)
    fake_committed_is(1, second, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_answer("me");
  CHECK_EQ_INT(request->dones, 0);
  fake.log[0] = '\0';
}

/* And has delivered records of both in one batch. */
static void serve(struct request *request)
{
  join(request, 3, 7);
  fake_record(0, 3);
  fake_record(1, 7);
  fake_record(0, 4);
  fake_settle();
  check_ended(request, UK_OK, 3);
  fake.log[0] = '\0';
}

static void committed(void)
{
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* Of a consume. */

static void commits_are_durable_before_anything_is_read(void)
{
  static struct request first, next;
  serve(&first);
  record(0, 5);
  also[0] = 4;
  also[1] = 8;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=4 t/1=8)");
  CHECK_EQ_INT(next.dones, 0);
  committed();
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 5); /* it reads on where it was */
  CHECK(!next.skipped[0] && !next.skipped[1]);
  FAKE_DID("");
}

static void commits_never_go_back(void)
{
  static struct request first, next, third;
  serve(&first);
  record(0, 5);
  also[0] = 3;
  also[1] = 8;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/1=8)");
  committed();
  check_ended(&next, UK_OK, 1);
  record(0, 6);
  also[0] = 2;
  also[1] = 8;
  consume(&third, id_of(&next));
  FAKE_DID(""); /* the group has both */
  check_ended(&third, UK_OK, 1);
}

/* A commit may come as the first request of an instance: its client has finished that elsewhere. */
static void an_instance_that_has_read_nothing_starts_at_a_commit(void)
{
  static struct request request;
  fake.asks_committed = true;
  also[0] = 6;
  also[1] = 2;
  consume(&request, "none");
  FAKE_DID("ask");
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_committed_is(0, 3, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR); /* nothing is committed for t/1 */
  fake.log[0] = '\0';
  CHECK(fake.committed_query != NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR); /* asked once more, whether that is so */
  FAKE_DID("commit(t/0=6 t/1=2)");
  committed();
  FAKE_DID("seek(t/0@6) seek(t/1@2)");
  fake_answer("me");
  record(0, 6);
  check_ended(&request, UK_OK, 1);
}

static void a_batch_is_delivered_again_without_what_a_commit_covers(void)
{
  static struct request first, again, all;
  serve(&first);
  also[0] = 4;
  consume(&again, "none");
  FAKE_DID("commit(t/0=4)");
  committed();
  check_ended(&again, UK_OK, 2);
  CHECK_EQ_INT(again.got[0], 107);
  CHECK_EQ_INT(again.got[1], 4);
  CHECK_EQ_STR(id_of(&again), id_of(&first));
  also[0] = 5;
  also[1] = 8;
  consume(&all, "none");
  committed();
  record(0, 5);
  check_ended(&all, UK_OK, 1); /* nothing was left of it */
  CHECK_EQ_INT(all.got[0], 5);
  CHECK(!all.as.consume.redelivered);
}

static void an_explicit_commit_covers_too(void)
{
  static struct request first, commits, again;
  serve(&first);
  commit(&commits, "none", 4);
  committed();
  check_ended(&commits, UK_OK, 0);
  consume(&again, "none");
  check_ended(&again, UK_OK, 2);
  CHECK_EQ_INT(again.got[0], 107);
}

/* Partitions of others. */

static void what_another_member_holds_is_skipped(void)
{
  static struct request first, next;
  serve(&first);
  record(0, 5);
  also[0] = 5;
  also[2] = 9; /* held by another */
  also[3] = 1; /* by nobody */
  consume(&next, id_of(&first));
  FAKE_DID("ask");
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1 t/2");
  FAKE_DID("read(t/0 t/3)");
  fake_committed_is(3, 0, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/0=5 t/3=1)");
  CHECK_EQ_INT(next.dones, 0);
  committed();
  check_ended(&next, UK_OK, 1);
  CHECK(!next.skipped[0] && next.skipped[1] && !next.skipped[2]);
}

/* Nor is it known by its number alone. */
static void a_partition_of_the_same_number_is_not_skipped(void)
{
  static struct request first, next;
  serve(&first);
  record(0, 5);
  also[2] = 9; /* held by another */
  also_of_u = 1;
  consume(&next, id_of(&first));
  FAKE_DID("ask");
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1 t/2");
  FAKE_DID("read(u/2)");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(u/2=1)");
  committed();
  check_ended(&next, UK_OK, 1);
  CHECK(next.skipped[0] && !next.skipped[1]);
}

static void where_brokers_cannot_tell_the_instances_here_are_looked_at(void)
{
  static struct request first, other, next;
  serve(&first);
  struct fake_handle *mine = fake.handle;
  begin(&other, &other.as.consume.acknowledgement);
  other.as.consume.instance = uk_slice_text("two");
  other.as.consume.topics = &other.topic;
  other.as.consume.topic_count = 1;
  other.as.consume.settings.session_timeout = SESSION;
  other.as.consume.sink.record = take;
  uk_kafka_groups_consume(fake.groups, &other.as.consume);
  fake_settle();
  fake_answer(NULL);
  fake_assigned("you", "t/2");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_answer("you");
  fake.log[0] = '\0';
  also[2] = 9;
  also[3] = 1;
  fake.handle = mine;
  consume(&next, id_of(&first));
  FAKE_DID("ask");
  fake_answer_with(RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, NULL, NULL, NULL);
  FAKE_DID("read(t/3)");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/3=1)");
  committed();
  CHECK(next.skipped[0] && !next.skipped[1]);
}

/* The group has given it to this instance already. */
static void a_partition_that_is_coming_is_not_skipped(void)
{
  static struct request first, next;
  serve(&first);
  also[2] = 9;
  consume(&next, id_of(&first));
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1 t/2", "t/0 t/1 t/2");
  fake_revoked(false);
  fake_assigned("me", "t/0 t/1 t/2");
  fake_committed_is(2, 1, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_pass(100);
  fake.log[0] = '\0';
  committed();
  CHECK(!next.skipped[0]);
}

/* Rebalances. */

static void a_commit_of_an_earlier_generation_is_made_again(void)
{
  static const rd_kafka_resp_err_t codes[] = {
    RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS,
    RD_KAFKA_RESP_ERR_NOT_COORDINATOR, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT};
  static struct request first, next;
  serve(&first);
  record(0, 5);
  also[0] = 5;
  consume(&next, id_of(&first));
  for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
    FAKE_DID("commit(t/0=5)");
    fake_committed(codes[i]);
    FAKE_DID("");
    fake_pass(100);
    CHECK(strstr(fake.log, "read(t/0)") != NULL);
    fake.log[0] = '\0';
    fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  FAKE_DID("commit(t/0=5)");
  committed();
  while (next.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&next, UK_OK, 1);
}

static void a_group_that_rebalances_is_asked_again(void)
{
  static struct request first, next;
  serve(&first);
  also[2] = 9;
  consume(&next, id_of(&first));
  FAKE_DID("ask");
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", NULL, NULL);
  fake.log[0] = '\0';
  fake_pass(100);
  CHECK(strstr(fake.log, "ask ") != NULL || strcmp(fake.log, "ask") == 0 ||
        strstr(fake.log, " ask") != NULL);
  CHECK_EQ_INT(next.dones, 0);
}

static void a_commit_that_cannot_be_made_in_time_is_unavailable(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 5;
  consume(&next, id_of(&first));
  next.as.operation.deadline = fake.now;
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  fake.asks_committed = false;
  fake_pass(TIMEOUT - 1);
  CHECK_EQ_INT(next.dones, 0); /* as long as a commit waits */
  while (fake.commit_count > 0)
    fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  fake_pass(1);
  check_ended(&next, UK_E_UNAVAILABLE, 0);
  CHECK(strstr(next.as.operation.message, UK_MAY_BE_DONE) == NULL);
}

static void a_commit_without_an_answer_may_be_made(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 5;
  consume(&next, id_of(&first));
  fake_pass(TIMEOUT);
  check_ended(&next, UK_E_GATEWAY_TIMEOUT, 0);
  CHECK(strstr(next.as.operation.message, UK_MAY_BE_DONE) != NULL);
  committed(); /* too late for it */
}

static void a_commit_that_is_refused_ends_the_consume(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 5;
  consume(&next, id_of(&first));
  fake_committed(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  check_ended(&next, UK_E_FORBIDDEN, 0);
}

static void a_commit_of_an_instance_that_is_lost_was_not_made(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 5;
  consume(&next, NULL);
  sent(&first, true);
  fake_error(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, true);
  CHECK_EQ_INT(next.dones, 1);
  CHECK_EQ_INT(next.as.operation.error, UK_E_GATEWAY_TIMEOUT); /* it was sent */
}

/* Kafka-Commit. */

static void a_batch_is_committed_before_it_is_acknowledged(void)
{
  static struct request first, next, again;
  serve(&first);
  record(0, 5);
  says_commit = true;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=5 t/1=8)");
  fake_committed(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
  check_ended(&next, UK_E_FORBIDDEN, 0);
  consume(&again, "none"); /* it is still outstanding */
  check_same(&again, &first);
  says_commit = true;
  consume(&next, id_of(&first));
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/0=5 t/1=8)");
  committed();
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 5);
}

static void a_batch_that_was_acknowledged_is_not_committed(void)
{
  static struct request first, second, next;
  serve(&first);
  record(0, 5);
  consume(&second, id_of(&first));
  says_commit = true;
  consume(&next, id_of(&first));
  FAKE_DID("");
  check_same(&next, &second);
}

static void a_commit_names_more_than_its_batch(void)
{
  static const struct {
    int64_t offset;
    const char *does;
  } rows[] = {{4, "commit(t/0=4 t/1=8)"}, {-1, "commit(t/0=5 t/1=8)"}};
  for (size_t i = 0; i < 2; i++) {
    static struct request first, commits;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    serve(&first);
    says_commit = true;
    commit(&commits, id_of(&first), rows[i].offset);
    FAKE_DID(rows[i].does);
    CHECK_EQ_INT(commits.dones, 0);
    committed();
    check_ended(&commits, UK_OK, 0);
  }
}

static void a_deletion_commits_its_batch_first(void)
{
  static struct request first, deletes;
  serve(&first);
  fake.now++;
  says_commit = true;
  delete (&deletes, id_of(&first));
  FAKE_DID("commit(t/0=5 t/1=8)");
  CHECK(strstr(fake.log, "unsubscribe") == NULL);
  committed();
  while (fake_member_query() != NULL)
    fake_answer("me");
  CHECK(strstr(fake.log, "unsubscribe") != NULL);
}

/* What was found out for one attempt is not used for another. */

static void each_attempt_finds_out_who_holds_what(void)
{
  static struct request first, next, third;
  serve(&first);
  also[2] = 9;
  consume(&next, id_of(&first));
  FAKE_DID("ask");
  CHECK_EQ_STR(fake.asked_group, "g");
  CHECK_EQ_STR(fake.asked_instance, "one");
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1 t/2");
  CHECK(next.skipped[0]);
  also[2] = 9;
  consume(&third, "none");
  FAKE_DID("ask");
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1");
  FAKE_DID("read(t/2)");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/2=9)");
  committed();
  CHECK(!third.skipped[0]);
}

/* The log has the word, with which the instance asks who holds what. */
static bool asks_who_holds(void)
{
  const char *at = strstr(fake.log, "ask");
  while (at != NULL && at[3] != ' ' && at[3] != '\0')
    at = strstr(at + 1, "ask");
  return at != NULL;
}

static void what_nobody_waits_for_is_asked_again(void)
{
  static struct request first, next, third;
  serve(&first);
  also[2] = 9;
  consume(&next, NULL); /* its commit does not wait for the response either */
  struct uk_kafka_member_query *query = fake_member_query();
  CHECK_EQ_INT(query->query.deadline, fake.now + 2000);
  fake_pass(TIMEOUT);
  check_ended(&next, UK_E_UNAVAILABLE, 0);
  CHECK_EQ_STR(next.as.operation.message, "the group's coordinator did not answer in time");
  fake.log[0] = '\0';
  also[2] = 9;
  consume(&third, id_of(&first));
  CHECK(asks_who_holds());
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0", "t/0"); /* too late, and freed */
  CHECK_EQ_INT(third.dones, 0);
}

static void a_partition_that_was_free_meanwhile_is_not_skipped(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 5;
  also[2] = 9;
  consume(&next, id_of(&first));
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1 t/2");
  fake.log[0] = '\0';
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  fake_pass(100);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1");
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/0=5 t/2=9)");
  committed();
  CHECK(!next.skipped[0] && !next.skipped[1]);
}

/* Whatever fails for a while is asked again. */
static void what_is_committed_is_read_or_the_request_fails(void)
{
  static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR__TRANSPORT,
                                              RD_KAFKA_RESP_ERR__TIMED_OUT};
  static struct request first, next;
  serve(&first);
  also[3] = 1;
  consume(&next, id_of(&first));
  for (size_t i = 0; i <= sizeof codes / sizeof *codes; i++) {
    fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1");
    REQUIRE(fake.committed_query != NULL && next.dones == 0);
    fake_read(i < 2 ? codes[i] : RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED);
    fake_pass(i < 2 ? 100 : 0);
  }
  check_ended(&next, UK_E_FORBIDDEN, 0);
  CHECK_EQ_STR(next.as.operation.message, "group \"g\": Broker: Group authorization failed");
}

static void what_is_given_up_is_not_this_instances(void)
{
  static struct request first, next, third;
  serve(&first);
  fake_revoked(false);
  fake_pass(PATIENCE);
  fake.log[0] = '\0';
  says_commit = true;
  consume(&next, id_of(&first));
  CHECK(strstr(fake.log, "commit") == NULL && !asks_who_holds());
  also[0] = 9;
  consume(&third, "none");
  CHECK(strstr(fake.log, "commit") == NULL && asks_who_holds());
}

static void the_highest_offset_is_committed(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 4;
  also[1] = 9;
  says_commit = true;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=5 t/1=9)");
  committed();
}

/* A commit of everything is one of what was acknowledged. */
static void a_commit_of_everything_brings_nothing_back(void)
{
  static struct request first, next, commits, again;
  auto_commit = true;
  serve(&first);
  record(0, 5);
  record(0, 6);
  consume(&next, id_of(&first));
  check_ended(&next, UK_OK, 2);
  commit(&commits, "none", 6);
  committed();
  check_ended(&commits, UK_OK, 0);
  commit(&commits, "none", -1);
  committed();
  check_ended(&commits, UK_OK, 0);
  while (fake.commit_count > 0)
    committed();
  consume(&again, "none");
  check_ended(&again, UK_OK, 1);
  CHECK_EQ_INT(again.got[0], 6);
}

static void a_commit_of_nothing_commits_its_batch_alone(void)
{
  static struct request first, next, commits;
  serve(&first);
  record(1, 8);
  consume(&next, id_of(&first));
  check_ended(&next, UK_OK, 1);
  fake.log[0] = '\0';
  says = id_of(&next);
  says_commit = true;
  begin(&commits, &commits.as.commit.acknowledgement);
  commits.as.commit.nothing = true;
  uk_kafka_groups_commit(fake.groups, &commits.as.commit);
  fake_settle();
  FAKE_DID("commit(t/1=9)"); /* not t/0, which was consumed too */
  committed();
  check_ended(&commits, UK_OK, 0);
}

/* The next server can verify the offset. */
static void a_commit_has_the_mark_of_the_record_before_it(void)
{
  static struct request first, next;
  serve(&first);
  says_commit = true;
  consume(&next, id_of(&first));
  REQUIRE(fake.commit_count == 1);
  const struct uk_kafka_position_metadata metadata =
    uk_kafka_position_metadata_read(&fake.commit_lists[0]->elems[0]);
  const struct uk_record_mark mark = fake_mark(fake.life);
  CHECK(uk_record_mark_equal(&metadata.committed, &mark));
  committed();
}

/* Its commit does not wait for the response before it; its records do. */
static void a_commit_does_not_wait_for_a_response(void)
{
  static struct request first, next;
  serve(&first);
  record(0, 5);
  also[0] = 4;
  consume(&next, NULL);
  FAKE_DID("commit(t/0=4)");
  committed();
  CHECK_EQ_INT(next.dones, 0);
  sent(&first, true);
  check_ended(&next, UK_OK, 1);
}

static void commits_are_made_again_in_their_order(void)
{
  static struct request first, next, third;
  serve(&first);
  also[0] = 4;
  consume(&next, id_of(&first));
  also[1] = 8;
  consume(&third, id_of(&first));
  FAKE_DID("commit(t/0=4)");
  fake_committed(RD_KAFKA_RESP_ERR_NOT_COORDINATOR);
  fake_pass(100);
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  FAKE_DID("commit(t/0=4)");
  committed();
  FAKE_DID("commit(t/1=8)");
  committed();
}

/* However it fails after that. */
static void a_commit_that_may_be_made_stays_so(void)
{
  static struct request first, next;
  serve(&first);
  also[0] = 5;
  consume(&next, id_of(&first));
  fake_committed(RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
  fake_pass(100);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  fake_pass(TIMEOUT);
  check_ended(&next, UK_E_GATEWAY_TIMEOUT, 0);
  CHECK(strstr(next.as.operation.message, UK_MAY_BE_DONE) != NULL);
}

/* librdkafka reads on from the commit. */
static void a_record_below_a_commit_is_dropped(void)
{
  static struct request first, next;
  join(&first, 3, 7);
  first.room = 1;
  fake_record(1, 7);
  fake_record(0, 3);
  fake_settle();
  check_ended(&first, UK_OK, 1);
  also[0] = 6;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=6)");
  committed();
  FAKE_DID("seek(t/0@6)");
  record(0, 6);
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 6);
  FAKE_DID("");
}

/* It was this server's while its commit was under way. */
static void a_consume_is_confirmed_while_it_commits(void)
{
  static struct request first, next;
  serve(&first);
  fake.now += LEASE;
  also[0] = 4;
  consume(&next, id_of(&first));
  FAKE_DID("ask-again commit(t/0=4)");
  fake_answer("me");
  committed();
  FAKE_DID("");
  fake_pass(2 * LEASE);
  FAKE_DID(""); /* there is nothing to deliver */
  CHECK_EQ_INT(next.dones, 0);
}

/* With auto-commit, what the deletion acknowledges is committed, whatever becomes of it. */
static void a_deletion_that_is_not_confirmed_was_not_made(void)
{
  for (int i = 0; i < 2; i++) {
    static struct request first, deletes;
    auto_commit = i == 1;
    serve(&first);
    fake.now++;
    says_commit = true;
    delete (&deletes, id_of(&first));
    committed();
    fake_pass(TIMEOUT);
    check_ended(&deletes, auto_commit ? UK_E_GATEWAY_TIMEOUT : UK_E_UNAVAILABLE, 0);
    CHECK_EQ_INT(strstr(deletes.as.operation.message, UK_MAY_BE_DONE) != NULL, auto_commit);
    fake_close();
    REQUIRE(fake_open());
  }
}

/* What is found out when the instance ends is freed. */
static void an_instance_may_end_while_it_finds_out(void)
{
  static struct request first, next;
  serve(&first);
  also[3] = 1;
  consume(&next, id_of(&first));
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1");
  CHECK(fake.committed_query != NULL);
  fake_error(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, true);
  CHECK(strstr(fake.log, "reap") != NULL);
}

static void a_consume_with_commits_is_refused_with_its_topics(void)
{
  static struct request request;
  fake.refuses_first = RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
  also[0] = 4;
  consume(&request, "none");
  fake_answer(NULL);
  check_ended(&request, UK_E_FORBIDDEN, 0);
}

/* A consume that creates t, and carries a commit of t/0. */
static void create_and_commit(struct request *request, int64_t offset)
{
  fake.missing = true;
  also[0] = offset;
  says = "none";
  begin(request, &request->as.consume.acknowledgement);
  request->as.consume.topics = &request->topic;
  request->as.consume.topic_count = 1;
  request->as.consume.create = true;
  request->as.consume.settings.session_timeout = SESSION;
  request->as.consume.sink.record = take;
  add_commits(request);
  uk_kafka_groups_consume(fake.groups, &request->as.consume);
  fake_settle();
  FAKE_DID("create(t) ask");
}

/* Of the topic before. */

enum { NEW = 2 }; /* the life of the topic that is created again */

/* While a consume waits, t/0 turns out to be another topic, with records from 0 on. */
static void renew(void)
{
  fake.asks_records = true;
  fake.life = NEW;
  fake_said(RD_KAFKA_RESP_ERR__PARTITION_EOF, 0, 2);
  fake_answer("me");
  fake_saw(0, NEW);
  fake_records_read();
  fake_range(0, 2, RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "seek(t/0@0)") != NULL);
  fake.asks_records = false;
  fake.log[0] = '\0';
}

static void wait_and_renew(const struct request *first, struct request *waits)
{
  fake_pass(LEASE);
  consume(waits, id_of(first));
  renew();
  fake_pass(TIMEOUT);
  CHECK_EQ_INT(waits->dones, 1);
  fake.log[0] = '\0';
}

/* Until its client has something of the new one. */
static void A1_a_late_commit_of_the_topic_before_is_skipped(void)
{
  static struct request first, waits, late, next;
  serve(&first);
  wait_and_renew(&first, &waits);
  also[0] = 5;
  also[1] = 9;
  consume(&late, "none");
  CHECK(strstr(fake.log, "commit(t/1=9)") != NULL);
  CHECK(late.skipped[0] && !late.skipped[1]);
  committed();
  fake_answer("me");
  record(0, 0);
  check_ended(&late, UK_OK, 1);
  also[0] = 5; /* the client does not say that the batch arrived */
  fake.log[0] = '\0';
  consume(&next, "none");
  CHECK(next.skipped[0]);
  check_ended(&next, UK_OK, 1);
  also[0] = 1;
  consume(&next, id_of(&late));
  FAKE_DID("commit(t/0=1)");
  CHECK(!next.skipped[0]);
  committed();
  record(0, 1);
  also[0] = 2;
  fake.log[0] = '\0';
  consume(&late, "none"); /* it has something of the new topic now */
  FAKE_DID("commit(t/0=2)");
  committed();
}

/* What the group says to it then bounds no commit of the new one. */
static void A1_a_commit_that_was_sent_before_the_topic_changed_counts_for_nothing(void)
{
  static struct request first, waits, commits, next;
  serve(&first);
  fake_pass(LEASE);
  consume(&waits, id_of(&first));
  commit(&commits, "none", 5);
  renew();
  committed();
  check_ended(&commits, UK_OK, 0);
  record(0, 0);
  check_ended(&waits, UK_OK, 1);
  fake.log[0] = '\0';
  also[0] = 1;
  consume(&next, id_of(&waits));
  FAKE_DID("commit(t/0=1)");
  committed();
}

/* The server knows that the topic is another one, and the group has committed nothing in it. */
static void A1_a_new_instance_takes_no_commit_of_the_topic_before(void)
{
  static struct request request;
  fake.asks_committed = fake.renewed = true;
  also[0] = 6;
  also[1] = 9;
  consume(&request, "none");
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_committed_is(1, 3, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(strstr(fake.log, "commit(t/1=9)") != NULL);
  CHECK(request.skipped[0] && !request.skipped[1]);
  committed();
  CHECK(strstr(fake.log, "seek(t/0") == NULL);
}

/* So a server can verify it later: the record before it is in the batch. */
static void A1_a_commit_within_the_batch_is_marked(void)
{
  static struct request first, commits;
  serve(&first);
  commit(&commits, "none", 4);
  const struct uk_kafka_position_metadata metadata =
    uk_kafka_position_metadata_read(&fake.commit_lists[0]->elems[0]);
  const struct uk_record_mark mark = fake_mark(0);
  CHECK(uk_record_mark_equal(&metadata.committed, &mark));
  committed();
  static const int64_t elsewhere[] = {3, 8}; /* before the batch; after a record of t/1 */
  for (size_t i = 0; i < 2; i++) {
    commit(&commits, "none", elsewhere[i]);
    CHECK(fake.commit_lists[0]->elems[0].metadata == NULL);
    committed();
  }
}

/* The same for one that a consume carries: it bounds no auto-commit either. */
static void A1_a_consumes_commit_that_was_sent_before_the_topic_changed_counts_for_nothing(void)
{
  static struct request first, waits, due;
  serve(&first);
  fake_pass(LEASE);
  consume(&waits, id_of(&first));
  also[0] = 6;
  consume(&due, "none");
  CHECK(strstr(fake.log, "commit(t/0=6)") != NULL);
  renew();
  committed();
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  const struct uk_kafka_group_member *member = (const struct uk_kafka_group_member *)node;
  CHECK_EQ_INT(member->partitions.all[0].progress.position, 0);
  CHECK_EQ_INT(member->partitions.all[0].progress.forwarded, UK_OFFSET_UNKNOWN);
}

/* A rebalance that brings the partition back does not make the commit newer. */
static void A1_a_late_commit_is_skipped_after_a_rebalance(void)
{
  static struct request first, waits, late;
  serve(&first);
  wait_and_renew(&first, &waits);
  fake_revoked(false);
  fake_assigned("me", "t/0 t/1");
  fake.log[0] = '\0';
  also[0] = 5;
  consume(&late, "none");
  CHECK(late.skipped[0]);
  CHECK(strstr(fake.log, "commit(t/0=5") == NULL);
}

/* Names. */

/* Only the topics that it reads. */
static void a_commit_of_a_consume_creates_no_topic(void)
{
  static struct request request;
  create_and_commit(&request, 1);
}

/* The commit is of the topic that was there before: what the consume creates has no record yet. */
static void A1_a_commit_does_not_count_for_a_topic_that_the_consume_creates(void)
{
  static struct request request;
  fake.asks_committed = true;
  create_and_commit(&request, 6);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  CHECK(request.skipped[0]);
  CHECK(strstr(fake.log, "commit") == NULL && strstr(fake.log, "seek") == NULL);
}

static void what_commits_name_is_checked(void)
{
  static struct request request;
  also[0] = 1;
  fake.check_error = UK_E_NOT_FOUND;
  consume(&request, "none");
  check_ended(&request, UK_E_NOT_FOUND, 0);
  CHECK(!fake.places.any_partition);
  fake.check_error = UK_OK;
  also[0] = 1;
  consume(&request, "none");
  CHECK(fake.places.any_partition); /* then the topics */
}

/* What is wrong with a topic ends a consume that commits first, too. */
static void a_consume_that_commits_first_is_told_what_is_wrong(void)
{
  static struct request first, next;
  serve(&first);
  also[2] = 9;
  consume(&next, id_of(&first));
  CHECK_EQ_INT(next.dones, 0);
  fake_error(RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, false);
  check_ended(&next, UK_E_FORBIDDEN, 0);
}

/* Marks. */

static void check_mark(uint64_t checksum)
{
  REQUIRE(fake.commit_count == 1);
  const struct uk_kafka_position_metadata metadata =
    uk_kafka_position_metadata_read(&fake.commit_lists[0]->elems[0]);
  CHECK(metadata.committed.known);
  CHECK_EQ_INT(metadata.committed.checksum, checksum);
  committed();
}

/* The mark of a committed offset stays with it, while records after it are in flight and when the
 * partition comes back. */
static void the_mark_of_what_is_committed_is_kept(void)
{
  static struct request first, commits, next;
  fake.asks_committed = true;
  consume(&first, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka 2: 3 - 5/00000000000000aa");
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_answer("me");
  record(0, 3);
  check_ended(&first, UK_OK, 1);
  commit(&commits, "none", -1);
  check_mark(0xaa);
  fake_revoked(false);
  fake_pass(PATIENCE);
  fake_assigned("me", "t/0");
  commit(&commits, "none", -1);
  check_mark(0xaa);
  fake_revoked(false);
  fake_pass(PATIENCE);
  fake_assigned("me", "t/0");
  fake.log[0] = '\0';
  also[0] = 3;
  consume(&next, "none"); /* the group has that, as this instance knows */
  CHECK(strstr(fake.log, "commit") == NULL && strstr(fake.log, "read") == NULL);
}

/* Deadlines. */

/* A commit ends at its own, a consume that commits first not before a commit would. */
static void each_request_has_its_time(void)
{
  static const struct {
    bool consumes;
    int64_t timeout, ends;
  } rows[] = {{false, 50, 50}, {true, 50, TIMEOUT}, {true, 2 * TIMEOUT, 2 * TIMEOUT}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    static struct request first, next;
    serve(&first);
    says_commit = true;
    if (rows[i].consumes)
      consume(&next, id_of(&first));
    else
      commit(&next, id_of(&first), -1);
    next.as.operation.deadline = fake.now + rows[i].timeout;
    fake_pass(rows[i].ends - 1);
    CHECK_EQ_INT(next.dones, 0);
    fake_pass(251); /* the next heartbeat at the latest */
    check_ended(&next, UK_E_GATEWAY_TIMEOUT, 0);
    committed();
    fake_close();
    REQUIRE(fake_open());
  }
}

static void an_instance_whose_consume_commits_first_is_not_silent(void)
{
  static struct request request;
  also[0] = 4;
  consume(&request, "none");
  request.as.operation.deadline = fake.now + 3 * SESSION;
  fake_answer(NULL);
  fake_pass(2 * SESSION);
  FAKE_DID("ask subscribe(t)");
  CHECK_EQ_INT(request.dones, 0);
}

/* A commit of everything is one of what was consumed when it arrived. */
static void a_commit_comes_before_the_request_behind_it(void)
{
  static struct request first, commits, next;
  serve(&first);
  says = "none";
  begin(&commits, &commits.as.commit.acknowledgement);
  uk_kafka_groups_commit(fake.groups, &commits.as.commit);
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=3 t/1=7)");
  committed();
  check_ended(&commits, UK_OK, 0);
}

int main(void)
{
  RUN(commits_are_durable_before_anything_is_read);
  RUN(commits_never_go_back);
  RUN(an_instance_that_has_read_nothing_starts_at_a_commit);
  RUN(a_batch_is_delivered_again_without_what_a_commit_covers);
  RUN(an_explicit_commit_covers_too);
  RUN(what_another_member_holds_is_skipped);
  RUN(a_partition_of_the_same_number_is_not_skipped);
  RUN(where_brokers_cannot_tell_the_instances_here_are_looked_at);
  RUN(a_partition_that_is_coming_is_not_skipped);
  RUN(a_commit_of_an_earlier_generation_is_made_again);
  RUN(a_group_that_rebalances_is_asked_again);
  RUN(a_commit_that_cannot_be_made_in_time_is_unavailable);
  RUN(a_commit_without_an_answer_may_be_made);
  RUN(a_commit_that_is_refused_ends_the_consume);
  RUN(a_commit_of_an_instance_that_is_lost_was_not_made);
  RUN(a_batch_is_committed_before_it_is_acknowledged);
  RUN(a_batch_that_was_acknowledged_is_not_committed);
  RUN(a_commit_names_more_than_its_batch);
  RUN(a_deletion_commits_its_batch_first);
  RUN(each_attempt_finds_out_who_holds_what);
  RUN(what_nobody_waits_for_is_asked_again);
  RUN(a_partition_that_was_free_meanwhile_is_not_skipped);
  RUN(what_is_committed_is_read_or_the_request_fails);
  RUN(what_is_given_up_is_not_this_instances);
  RUN(the_highest_offset_is_committed);
  RUN(a_commit_of_everything_brings_nothing_back);
  RUN(a_commit_of_nothing_commits_its_batch_alone);
  RUN(a_commit_has_the_mark_of_the_record_before_it);
  RUN(a_commit_does_not_wait_for_a_response);
  RUN(commits_are_made_again_in_their_order);
  RUN(a_commit_that_may_be_made_stays_so);
  RUN(a_record_below_a_commit_is_dropped);
  RUN(a_consume_is_confirmed_while_it_commits);
  RUN(a_deletion_that_is_not_confirmed_was_not_made);
  RUN(an_instance_may_end_while_it_finds_out);
  RUN(a_consume_with_commits_is_refused_with_its_topics);
  RUN(a_commit_of_a_consume_creates_no_topic);
  RUN(A1_a_late_commit_of_the_topic_before_is_skipped);
  RUN(A1_a_commit_that_was_sent_before_the_topic_changed_counts_for_nothing);
  RUN(A1_a_new_instance_takes_no_commit_of_the_topic_before);
  RUN(A1_a_commit_does_not_count_for_a_topic_that_the_consume_creates);
  RUN(A1_a_commit_within_the_batch_is_marked);
  RUN(A1_a_late_commit_is_skipped_after_a_rebalance);
  RUN(A1_a_consumes_commit_that_was_sent_before_the_topic_changed_counts_for_nothing);
  RUN(what_commits_name_is_checked);
  RUN(a_consume_that_commits_first_is_told_what_is_wrong);
  RUN(the_mark_of_what_is_committed_is_kept);
  RUN(each_request_has_its_time);
  RUN(an_instance_whose_consume_commits_first_is_not_silent);
  RUN(a_commit_comes_before_the_request_behind_it);
  return check_end();
}
