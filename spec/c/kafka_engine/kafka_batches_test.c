/* for: kafka_instance_batches.c
 *
 * What a request may say about the batches of its instance, and what comes of it. */
#include "fault.h"
#include "kafka_batch_requests.h"

/* IDs. */

static void a_batch_has_an_id_that_comes_once(void)
{
  static struct request first, second, third;
  char id[UK_BATCH_ID_SIZE];
  deliver(&first);
  snprintf(id, sizeof id, "%s", id_of(&first));
  CHECK_EQ_INT(strspn(id, "0123456789abcdef"), UK_BATCH_NONCE_SIZE - 1);
  CHECK(strchr(id, '-') == id + UK_BATCH_NONCE_SIZE - 1);
  consume(&second, id);
  record(0, 5);
  check_ended(&second, UK_OK, 1);
  CHECK(strcmp(id, id_of(&second)) != 0);
  fake_close();
  REQUIRE(fake_open());
  deliver(&third); /* with the same numbers */
  CHECK(strcmp(id, id_of(&third)) != 0);
}

static void a_response_without_records_has_no_id(void)
{
  static struct request request;
  begin(&request, &request.as.consume.acknowledgement);
  snprintf(request.as.consume.batch, sizeof request.as.consume.batch, "left from before");
  request.as.consume.redelivered = true;
  fake.check_error = UK_E_NOT_FOUND;
  uk_kafka_groups_consume(fake.groups, &request.as.consume);
  CHECK_EQ_STR(request.as.consume.batch, "");
  CHECK(!request.as.consume.redelivered);
  fake.check_error = UK_OK;
}

/* Redelivery. */

static void a_batch_whose_write_failed_comes_again_as_it_was(void)
{
  static struct request first, again, third, next;
  fake.headers = 2;
  deliver(&first);
  sent(&first, false);
  record(0, 5); /* comes after it */
  consume(&again, NULL);
  check_same(&again, &first);
  CHECK_EQ_INT(again.labels, 6);
  sent(&again, false);
  consume(&third, NULL);
  check_same(&third, &again);
  sent(&third, true);
  consume(&next, NULL);
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 5);
  CHECK(strstr(fake.log, "seek") == NULL);
}

/* Nothing waits for the response, and its outcome counts no more. */
static void none_gets_the_batch_at_once(void)
{
  static struct request first, again, waits;
  deliver(&first);
  consume(&again, "none");
  check_same(&again, &first);
  sent(&first, true);
  consume(&waits, NULL);
  record(0, 5);
  CHECK_EQ_INT(waits.dones, 0);
  sent(&again, true);
  check_ended(&waits, UK_OK, 1);
  CHECK_EQ_INT(waits.got[0], 5);
}

static void none_with_nothing_outstanding_is_an_ordinary_consume(void)
{
  static struct request first, next;
  deliver(&first);
  consume(&next, id_of(&first));
  uk_operation_expire(&next.as.operation);
  uk_kafka_groups_consume_expired(fake.groups, &next.as.consume);
  fake_settle();
  check_ended(&next, UK_OK, 0);
  consume(&next, "none");
  record(0, 5);
  check_ended(&next, UK_OK, 1);
  CHECK(!next.as.consume.redelivered);
}

static void the_last_batch_is_acknowledged_at_once(void)
{
  static struct request first, next, commits;
  deliver(&first);
  record(0, 5);
  consume(&next, id_of(&first)); /* its response is still being written */
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 5);
  commit(&commits, "none", -1);
  FAKE_DID("commit(t/0=5 t/1=8)"); /* without the second batch */
}

static void a_batch_that_arrived_although_its_write_failed_is_acknowledged(void)
{
  static struct request first, next;
  deliver(&first);
  sent(&first, false);
  record(0, 5);
  consume(&next, id_of(&first));
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 5);
}

/* The client repeats its request, because the answer was lost. */
static void the_last_one_acknowledged_gets_what_came_after_it(void)
{
  static struct request first, second, again, third;
  deliver(&first);
  record(0, 5);
  consume(&second, id_of(&first));
  check_ended(&second, UK_OK, 1);
  consume(&again, id_of(&first));
  check_same(&again, &second);
  consume(&third, id_of(&second));
  record(0, 6);
  check_ended(&third, UK_OK, 1);
  CHECK_EQ_INT(third.got[0], 6);
}

/* A plain request that waits is passed by one that does not. */
static void a_request_that_names_nothing_holds_up_none(void)
{
  static struct request first, plain, none;
  deliver(&first);
  consume(&plain, NULL);
  CHECK_EQ_INT(plain.dones, 0);
  consume(&none, "none");
  check_same(&none, &first);
  CHECK_EQ_INT(plain.dones, 0);
  record(0, 5);
  sent(&none, true);
  check_ended(&plain, UK_OK, 1);
}

/* The lease. */

static void a_batch_comes_again_only_within_the_lease(void)
{
  static struct request first, again;
  deliver(&first);
  fake.now += LEASE;
  consume(&again, "none");
  CHECK_EQ_INT(again.dones, 0);
  FAKE_DID("ask-again");
  fake_answer("me");
  check_same(&again, &first);
}

static void a_batch_does_not_come_again_from_a_server_that_lost_the_instance(void)
{
  static struct request first, again;
  deliver(&first);
  fake.now += LEASE;
  consume(&again, "none");
  fake_answer("other");
  CHECK_EQ_INT(again.dones, 0); /* it takes the instance back, and has no batch then */
  FAKE_DID("ask-again reap ask");
  fake_answer("other");
  fake_assigned("me", "t/0 t/1");
  fake_pass(LEASE);
  while (fake_member_query() != NULL)
    fake_answer("me");
  CHECK_EQ_INT(again.dones, 0);
}

/* Conflicts. */

static void a_batch_that_cannot_match_is_a_conflict(void)
{
  static struct request first, second, wrong, again;
  deliver(&first);
  record(0, 5);
  consume(&second, id_of(&first));
  record(0, 6);
  consume(&again, id_of(&second));
  check_ended(&again, UK_OK, 1);
  fake.log[0] = '\0';
  consume(&wrong, id_of(&first));
  check_ended(&wrong, UK_E_CONFLICT, 0);
  commit(&wrong, id_of(&first), 9);
  check_ended(&wrong, UK_E_CONFLICT, 0);
  delete (&wrong, "0123456789abcdef01234567-1");
  check_ended(&wrong, UK_E_CONFLICT, 0);
  fake_pass(LEASE);
  FAKE_DID("");
  consume(&second, "none");
  fake_answer("me");
  check_same(&second, &again); /* nothing was acknowledged */
}

static void an_instance_that_is_not_alive_here_has_no_batch(void)
{
  static struct request wrong;
  consume(&wrong, "0123456789abcdef01234567-1");
  check_ended(&wrong, UK_E_CONFLICT, 0);
  commit(&wrong, "0123456789abcdef01234567-1", 3);
  check_ended(&wrong, UK_E_CONFLICT, 0);
  delete (&wrong, "0123456789abcdef01234567-1");
  check_ended(&wrong, UK_E_CONFLICT, 0);
  FAKE_DID(""); /* nobody is asked, nothing is taken over */
  CHECK_EQ_INT(fake.groups->count, 0);
}

static void a_takeover_has_no_batch_either(void)
{
  static struct request commits, wrong;
  commit(&commits, "none", 3);
  FAKE_DID("ask");
  consume(&wrong, "0123456789abcdef01234567-1");
  check_ended(&wrong, UK_E_CONFLICT, 0);
  CHECK_EQ_INT(commits.dones, 0);
  fake_answer(NULL);
  check_ended(&commits, UK_E_NOT_FOUND, 0);
}

/* It was acknowledged here, but the commit that came with it was not made. */
static void a_request_whose_instance_was_lost_is_a_conflict(void)
{
  static struct request first, commits;
  deliver(&first);
  commit(&commits, id_of(&first), 4);
  FAKE_DID("commit(t/0=4)");
  fake_committed(RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID);
  CHECK_EQ_INT(commits.dones, 1);
  CHECK_EQ_INT(commits.as.operation.error, UK_E_GATEWAY_TIMEOUT);
  static struct request second, waits;
  deliver(&second);
  consume(&waits, id_of(&second));
  waits.as.operation.deadline += 10 * TIMEOUT;
  fake_error(RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, false);
  check_ended(&waits, UK_E_FORBIDDEN, 0);
}

/* Deletions and commits. */

static void a_deletion_with_none_commits_no_outstanding_batch(void)
{
  static struct request first, second, deletes;
  auto_commit = true;
  deliver(&first);
  record(0, 5);
  consume(&second, id_of(&first));
  fake.log[0] = '\0';
  fake.now++;
  delete (&deletes, "none");
  fake_answer("me");
  FAKE_DID("ask-again commit(t/0=5 t/1=8) unsubscribe");
}

static void a_deletion_with_its_id_commits_the_batch(void)
{
  static struct request first, deletes;
  auto_commit = true;
  deliver(&first);
  fake.now++;
  delete (&deletes, id_of(&first));
  fake_answer("me");
  FAKE_DID("ask-again commit(t/0=5 t/1=8) unsubscribe");
}

static void a_commit_that_waits_goes_on_when_another_request_acknowledges(void)
{
  static struct request first, commits, next;
  deliver(&first);
  commit(&commits, NULL, -1);
  FAKE_DID("");
  consume(&next, id_of(&first));
  FAKE_DID("commit(t/0=5 t/1=8)");
  fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  check_ended(&commits, UK_OK, 0);
}

int main(void)
{
  RUN(a_batch_has_an_id_that_comes_once);
  RUN(a_response_without_records_has_no_id);
  RUN(a_batch_whose_write_failed_comes_again_as_it_was);
  RUN(none_gets_the_batch_at_once);
  RUN(none_with_nothing_outstanding_is_an_ordinary_consume);
  RUN(the_last_batch_is_acknowledged_at_once);
  RUN(a_batch_that_arrived_although_its_write_failed_is_acknowledged);
  RUN(the_last_one_acknowledged_gets_what_came_after_it);
  RUN(a_request_that_names_nothing_holds_up_none);
  RUN(a_batch_comes_again_only_within_the_lease);
  RUN(a_batch_does_not_come_again_from_a_server_that_lost_the_instance);
  RUN(a_batch_that_cannot_match_is_a_conflict);
  RUN(an_instance_that_is_not_alive_here_has_no_batch);
  RUN(a_takeover_has_no_batch_either);
  RUN(a_request_whose_instance_was_lost_is_a_conflict);
  RUN(a_deletion_with_none_commits_no_outstanding_batch);
  RUN(a_deletion_with_its_id_commits_the_batch);
  RUN(a_commit_that_waits_goes_on_when_another_request_acknowledges);
  return check_end();
}
