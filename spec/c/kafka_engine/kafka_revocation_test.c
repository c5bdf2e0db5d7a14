/* for: kafka_instance_partitions.c
 *
 * A revocation waits for what the client has in hand. */
#include "fault.h"
#include "kafka_batch_requests.h"

static void committed(void)
{
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* `deliver`, with its response written, and then the partitions are revoked. */
static void revoke(struct request *first)
{
  deliver(first);
  sent(first, true);
  fake_revoked(false);
  FAKE_DID("");
}

/* How many partitions others see that the instance has. */
static size_t published(void)
{
  const struct uk_name_node *node = uk_name_table_next(&fake.groups->table, NULL);
  return node != NULL ? ((const struct uk_kafka_group_member *)node)->published.count : 0;
}

/* The acknowledgement. */

static void D1_partitions_stay_until_their_batch_is_acknowledged(void)
{
  static struct request first, next;
  revoke(&first);
  record(0, 5);
  CHECK_EQ_INT(published(), 2);
  consume(&next, id_of(&first));
  FAKE_DID("unassign");
  CHECK_EQ_INT(next.dones, 0); /* nothing new */
  CHECK_EQ_INT(published(), 0);
  fake_pass(2 * PATIENCE);
  CHECK(strstr(fake.log, "assign") == NULL);
  fake.log[0] = '\0';
  fake_assigned("me", "t/0");
  CHECK(strstr(fake.log, "assign(t/0@5)") != NULL);
}

static void a_plain_request_acknowledges_when_the_response_is_written(void)
{
  static struct request first, next;
  deliver(&first);
  fake_revoked(false);
  consume(&next, NULL);
  FAKE_DID("");
  sent(&first, true);
  FAKE_DID("unassign");
  CHECK_EQ_INT(next.dones, 0);
}

static void auto_commit_commits_what_is_acknowledged_first(void)
{
  static struct request first, next;
  auto_commit = true;
  revoke(&first);
  consume(&next, NULL);
  FAKE_DID("commit(t/0=5 t/1=8) unassign");
}

static void D1_the_commits_of_a_consume_are_made_first(void)
{
  static struct request first, next, other;
  revoke(&first);
  record(0, 5);
  also[0] = 5;
  also[1] = 8;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=5 t/1=8)");
  consume(&other, "none");
  fake_pass(LEASE);
  FAKE_DID(""); /* there is nothing to deliver that the lease would have to cover */
  fake_committed(RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS);
  FAKE_DID("");
  fake_pass(100);
  CHECK(strstr(fake.log, "commit(t/0=5 t/1=8)") != NULL);
  CHECK(strstr(fake.log, "unassign") == NULL);
  fake.log[0] = '\0';
  committed();
  CHECK(strstr(fake.log, "unassign") != NULL);
  CHECK_EQ_INT(next.dones + other.dones, 0);
}

static void the_commit_of_a_batch_is_made_first(void)
{
  static struct request first, next;
  revoke(&first);
  says_commit = true;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=5 t/1=8)");
  committed();
  FAKE_DID("unassign");
}

static void a_commit_of_everything_is_made_first(void)
{
  static struct request first, commits;
  revoke(&first);
  commit(&commits, NULL, -1);
  FAKE_DID("commit(t/0=5 t/1=8)");
  committed();
  check_ended(&commits, UK_OK, 0);
  FAKE_DID("unassign");
}

/* What the group has already is not sent, so that no answer comes. */
static void a_commit_of_nothing_new_is_not_waited_for(void)
{
  static struct request first, next;
  fake.asks_committed = true;
  consume(&first, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  fake_record(0, 3);
  fake_answer("me");
  check_ended(&first, UK_OK, 1);
  fake_revoked(false);
  fake.log[0] = '\0';
  also[0] = 3;
  consume(&next, id_of(&first));
  FAKE_DID("unassign");
}

static void a_commit_under_way_is_waited_for(void)
{
  static struct request first, next;
  deliver(&first);
  also[0] = 5;
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=5)");
  fake_revoked(false);
  FAKE_DID("");
  committed();
  FAKE_DID("unassign");
}

/* Whose t/2 is, is asked first. */
static void a_commit_that_is_not_sent_yet_is_waited_for(void)
{
  static struct request first, next;
  deliver(&first);
  also[2] = 5;
  consume(&next, id_of(&first));
  FAKE_DID("ask");
  fake_revoked(false);
  FAKE_DID("");
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "me", "t/0 t/1", "t/0 t/1");
  FAKE_DID("commit(t/2=5)"); /* the answer counts although a revocation came */
  committed();
  FAKE_DID("unassign");
}

static void a_batch_comes_again_while_a_revocation_waits(void)
{
  static struct request first, again, next;
  revoke(&first);
  consume(&again, "none");
  check_same(&again, &first);
  FAKE_DID("");
  consume(&next, id_of(&again));
  FAKE_DID("unassign");
}

/* The deadline. */

static void D1_a_client_that_is_late_is_not_waited_for(void)
{
  static struct request first, again;
  deliver(&first);
  fake_pass(LEASE); /* so that no heartbeat is due when the time is up */
  fake_revoked(false);
  fake_pass(PATIENCE - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unassign");
  CHECK_EQ_INT(published(), 0);
  fake_assigned("me", "t/1");
  consume(&again, "none");
  while (again.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&again, UK_OK, 1);
  CHECK_EQ_INT(again.got[0], 107); /* t/0 is another's */
}

static void a_commit_that_is_not_answered_is_not_waited_for(void)
{
  static struct request first, next;
  revoke(&first);
  also[0] = 5;
  consume(&next, id_of(&first));
  fake_pass(PATIENCE - 1);
  FAKE_DID("commit(t/0=5)");
  fake_pass(1);
  FAKE_DID("unassign");
}

/* What the group says of its partitions then is out of date. */
static void what_was_asked_before_is_asked_again(void)
{
  static struct request first, next;
  deliver(&first);
  also[2] = 5;
  consume(&next, id_of(&first));
  fake_revoked(false);
  fake_pass(PATIENCE - 1);
  FAKE_DID("ask");
  fake_pass(1);
  FAKE_DID("unassign ask");
}

static void a_second_revocation_does_not_wait_longer(void)
{
  static struct request first;
  revoke(&first);
  fake_pass(PATIENCE - 1);
  fake_revoked(false);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unassign");
  fake_pass(2 * PATIENCE);
  FAKE_DID("");
}

static void a_revocation_after_another_waits_as_long(void)
{
  static struct request first;
  revoke(&first);
  fake_pass(PATIENCE);
  fake_assigned("me", "t/0 t/1");
  fake.log[0] = '\0';
  fake_revoked(false);
  fake_pass(PATIENCE - 1);
  FAKE_DID("");
  fake_pass(1);
  FAKE_DID("unassign");
}

/* What the group gives then is taken. */
static void an_assignment_ends_the_wait(void)
{
  static struct request first;
  revoke(&first);
  fake_assigned("me", "t/0");
  FAKE_DID("assign(t/0@5)");
  fake_pass(2 * PATIENCE);
  FAKE_DID("");
}

/* Nothing to wait for. */

static void without_a_batch_nothing_waits(void)
{
  static struct request first, next;
  deliver(&first);
  consume(&next, id_of(&first));
  FAKE_DID("");
  fake_revoked(false);
  FAKE_DID("unassign");
}

/* The batch is outstanding, but another member has its partitions. */
static void a_batch_of_other_partitions_is_not_waited_for(void)
{
  static struct request first;
  revoke(&first);
  fake_pass(PATIENCE);
  fake_revoked(false); /* before it is given any */
  FAKE_DID("unassign unassign");
  fake_assigned("me", "t/2");
  fake_revoked(false);
  FAKE_DID("assign(t/2@?) unassign");
}

static void a_client_that_did_not_get_its_response_is_not_waited_for(void)
{
  static struct request first;
  deliver(&first);
  sent(&first, false);
  fake_revoked(false);
  FAKE_DID("unassign");
}

static void a_client_that_goes_is_not_waited_for(void)
{
  static struct request first;
  deliver(&first);
  fake_revoked(false);
  FAKE_DID("");
  sent(&first, false);
  FAKE_DID("unassign");
}

static void a_loss_does_not_wait(void)
{
  static struct request first;
  deliver(&first);
  fake_revoked(true);
  FAKE_DID("unassign");
}

static void a_loss_ends_the_wait(void)
{
  static struct request first;
  revoke(&first);
  fake_revoked(true);
  FAKE_DID("unassign");
  fake_pass(2 * PATIENCE);
  FAKE_DID("");
}

/* Deleted through another server: librdkafka says nothing of it while it waits for the answer. */
static void a_member_that_is_forgotten_meanwhile_is_lost(void)
{
  static struct request first;
  revoke(&first);
  fake.handle->member[0] = '\0';
  fake_pass(PATIENCE);
  FAKE_DID("reap");
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void one_that_is_fenced_answers_nothing(void)
{
  static struct request first;
  revoke(&first);
  fake_error(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, true);
  FAKE_DID("reap");
}

static void one_that_was_taken_over_answers_nothing(void)
{
  static struct request first, again;
  revoke(&first);
  fake.now += LEASE;
  consume(&again, "none");
  fake_answer("other");
  FAKE_DID("ask-again reap ask");
  CHECK_EQ_INT(again.dones, 0);
}

static void a_server_that_stops_does_not_wait(void)
{
  static struct request first, second;
  revoke(&first);
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  FAKE_DID("unassign");
  fake_close();
  REQUIRE(fake_open());
  deliver(&second);
  uk_kafka_groups_drain(fake.groups);
  fake_settle();
  fake_revoked(false);
  FAKE_DID("unassign");
}

static void one_that_is_deleted_does_not_wait(void)
{
  static struct request first, deletes;
  revoke(&first);
  fake_pass(1);
  delete (&deletes, "none");
  fake_answer("me");
  FAKE_DID("ask-again unassign unsubscribe");
}

int main(void)
{
  RUN(D1_partitions_stay_until_their_batch_is_acknowledged);
  RUN(a_plain_request_acknowledges_when_the_response_is_written);
  RUN(auto_commit_commits_what_is_acknowledged_first);
  RUN(D1_the_commits_of_a_consume_are_made_first);
  RUN(the_commit_of_a_batch_is_made_first);
  RUN(a_commit_of_everything_is_made_first);
  RUN(a_commit_of_nothing_new_is_not_waited_for);
  RUN(a_commit_under_way_is_waited_for);
  RUN(a_commit_that_is_not_sent_yet_is_waited_for);
  RUN(a_batch_comes_again_while_a_revocation_waits);
  RUN(D1_a_client_that_is_late_is_not_waited_for);
  RUN(a_commit_that_is_not_answered_is_not_waited_for);
  RUN(what_was_asked_before_is_asked_again);
  RUN(a_second_revocation_does_not_wait_longer);
  RUN(a_revocation_after_another_waits_as_long);
  RUN(an_assignment_ends_the_wait);
  RUN(without_a_batch_nothing_waits);
  RUN(a_batch_of_other_partitions_is_not_waited_for);
  RUN(a_client_that_did_not_get_its_response_is_not_waited_for);
  RUN(a_client_that_goes_is_not_waited_for);
  RUN(a_loss_does_not_wait);
  RUN(a_loss_ends_the_wait);
  RUN(a_member_that_is_forgotten_meanwhile_is_lost);
  RUN(one_that_is_fenced_answers_nothing);
  RUN(one_that_was_taken_over_answers_nothing);
  RUN(a_server_that_stops_does_not_wait);
  RUN(one_that_is_deleted_does_not_wait);
  return check_end();
}
