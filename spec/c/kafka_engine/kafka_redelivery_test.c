/* for: kafka_batch.c, kafka_redelivery.c
 *
 * What is kept of a batch, and what comes again of it. */
#include "fault.h"
#include "kafka_batch_requests.h"

/* What is left of a batch. */

static void partitions_that_are_gone_are_left_out(void)
{
  static struct request first, again;
  deliver(&first);
  fake_revoked(false);
  fake_pass(PATIENCE);
  consume(&again, "none");
  CHECK_EQ_INT(again.dones, 0); /* they may come back */
  fake_assigned("me", "t/1");
  while (again.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&again, UK_OK, 1);
  CHECK_EQ_INT(again.got[0], 107);
  CHECK_EQ_STR(id_of(&again), id_of(&first));
  CHECK(again.as.consume.redelivered);
}

/* Another member has read it since. */
static void a_partition_that_comes_back_from_another_is_left_out(void)
{
  static struct request first, again;
  deliver(&first);
  fake_revoked(false);
  fake_pass(PATIENCE);
  fake_assigned("me", "t/1");
  fake_revoked(false);
  fake.asks_committed = true;
  fake_assigned("me", "t/0 t/1");
  fake_committed_is(0, 5, NULL);
  fake_committed_is(1, 7, NULL);
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
  consume(&again, "none");
  while (again.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&again, UK_OK, 1);
  CHECK_EQ_INT(again.got[0], 107);
}

static void a_batch_of_which_nothing_is_left_ends(void)
{
  static struct request first, next, wrong;
  deliver(&first);
  fake_revoked(true);
  fake_assigned("me", "t/1");
  consume(&next, "none");
  record(1, 9);
  while (next.dones == 0 && fake_member_query() != NULL)
    fake_answer("me");
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 109);
  CHECK(!next.as.consume.redelivered);
  CHECK(strcmp(id_of(&next), id_of(&first)) != 0);
  consume(&wrong, id_of(&first)); /* it counts as acknowledged */
  check_same(&wrong, &next);
}

/* Its topics count from the next batch: the group does not rebalance for it. */
static void a_batch_comes_again_before_other_topics(void)
{
  static struct request first, again, over;
  deliver(&first);
  fake.now += LEASE;
  consume(&again, "none");
  fake_answer("me");
  check_same(&again, &first);
  fake.log[0] = '\0';
  begin(&over, &over.as.consume.acknowledgement);
  over.topic = uk_slice_text("u");
  over.as.consume.acknowledgement = (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_NONE};
  over.as.consume.topics = &over.topic;
  over.as.consume.topic_count = 1;
  over.as.consume.sink.record = take;
  uk_kafka_groups_consume(fake.groups, &over.as.consume);
  fake_settle();
  check_same(&over, &first);
  FAKE_DID("");
  fake_revoked(true);
  fake_assigned("me", "t/1");
  fake.log[0] = '\0';
  static struct request next;
  begin(&next, &next.as.consume.acknowledgement);
  next.topic = uk_slice_text("u");
  next.as.consume.acknowledgement = (struct uk_acknowledgement){.kind = UK_ACKNOWLEDGE_NONE};
  next.as.consume.topics = &next.topic;
  next.as.consume.topic_count = 1;
  next.as.consume.sink.record = take;
  uk_kafka_groups_consume(fake.groups, &next.as.consume);
  fake_settle();
  CHECK(strstr(fake.log, "subscribe(u)") != NULL); /* nothing was left of it */
}

/* Memory. */

/* FAKE_PREFETCH is 1600 bytes. */
static void a_batch_keeps_as_much_as_is_read_ahead(void)
{
  static struct request first, second, third;
  fake.size = 800;
  consume(&first, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  for (int i = 0; i < 3; i++)
    fake_record(0, i);
  fake.size = 1601;
  fake_record(0, 3); /* one always fits */
  fake_answer("me");
  check_ended(&first, UK_OK, 2);
  consume(&second, id_of(&first));
  check_ended(&second, UK_OK, 1);
  CHECK_EQ_INT(second.got[0], 2);
  consume(&third, id_of(&second));
  check_ended(&third, UK_OK, 1);
  CHECK_EQ_INT(third.sizes, 1601);
}

static void headers_count_too(void)
{
  static struct request request;
  fake.headers = 2;
  fake.size = 791; /* and 18 */
  consume(&request, NULL);
  fake_answer(NULL);
  fake_assigned("me", "t/0");
  fake_record(0, 0);
  fake_record(0, 1);
  fake_answer("me");
  check_ended(&request, UK_OK, 1);
}

/* A record that the sink refused is not of the batch. */
static void what_had_no_room_is_not_kept(void)
{
  static struct request first, again, next;
  consume(&first, NULL);
  first.room = 2;
  fake_answer(NULL);
  fake_assigned("me", "t/0 t/1");
  fake_record(0, 0);
  fake_record(0, 1);
  fake_record(1, 2);
  fake_answer("me");
  check_ended(&first, UK_OK, 2);
  consume(&again, "none");
  check_same(&again, &first);
  consume(&next, id_of(&first));
  check_ended(&next, UK_OK, 1);
  CHECK_EQ_INT(next.got[0], 102);
}

static void a_batch_is_kept_or_not_delivered(void)
{
  bool hit = true;
  for (long at = 1; hit; at++) {
    static struct request first, next;
    consume(&first, NULL);
    fake.headers = 1;
    fake_answer(NULL);
    fake_assigned("me", "t/0");
    fake_record(0, 0);
    fake_answer_with(RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, NULL, NULL);
    fake_pass(LEASE);
    struct uk_kafka_member_query *query = fake_member_query();
    REQUIRE(query != NULL);
    uk_list_remove(&query->query.link);
    query->query.code = RD_KAFKA_RESP_ERR_NO_ERROR;
    query->live = true;
    snprintf(query->member, sizeof query->member, "me");
    query->query.then(&query->query);
    fault_at(at);
    fake_settle();
    hit = fault_hit();
    fault_off();
    if (first.as.operation.error != UK_OK)
      check_ended(&first, UK_E_NO_MEMORY, 0);
    else
      check_ended(&first, UK_OK, 1);
    consume(&next, "none");
    check_ended(&next, UK_OK, 1);
    CHECK_EQ_INT(next.got[0], 0);
    CHECK_EQ_INT(next.again, first.as.operation.error == UK_OK);
    fake_close();
    REQUIRE(fake_open());
  }
}

static void a_client_without_room_for_the_batch_gets_it_later(void)
{
  static struct request first, again;
  deliver(&first);
  fake.now += LEASE;
  consume(&again, "none");
  again.room = 1;
  fake_answer("me");
  check_ended(&again, UK_E_NO_MEMORY, 1);
  CHECK_EQ_INT(again.as.consume.delivery, 0);
  consume(&again, "none");
  check_same(&again, &first);
}

/* Position metadata. */

static void take_over(struct request *request, const char *acknowledged)
{
  auto_commit = fake.asks_committed = true;
  consume(request, acknowledged);
  fake_answer_with(RD_KAFKA_RESP_ERR_NO_ERROR, "other", "t/0", "t/0");
  fake_assigned("me", "t/0");
  fake_committed_is(0, 3, "upstash-kafka: delivered up to 10");
  fake.log[0] = '\0';
  fake_read(RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* It may not have got what the server before believes that it got. */
static void a_client_that_holds_nothing_starts_at_the_commit(void)
{
  static struct request request;
  take_over(&request, "none");
  CHECK(strstr(fake.log, "assign(t/0@3)") != NULL);
  fake_close();
  REQUIRE(fake_open());
  take_over(&request, NULL);
  CHECK(strstr(fake.log, "assign(t/0@10)") != NULL);
}

static void what_a_client_has_to_acknowledge_is_not_noted(void)
{
  static const char *const acknowledgements[] = {"none", NULL};
  for (size_t i = 0; i < 2; i++) {
    static struct request request;
    if (i > 0) {
      fake_close();
      REQUIRE(fake_open());
    }
    take_over(&request, acknowledgements[i]);
    fake_pass(LEASE);
    fake_record(0, 10);
    while (fake_member_query() != NULL)
      fake_answer("me");
    check_ended(&request, UK_OK, 1);
    fake.log[0] = '\0';
    sent(&request, true);
    FAKE_DID(i == 0 ? "" : "commit(t/0=10+11)");
    if (i == 1)
      fake_committed(RD_KAFKA_RESP_ERR_NO_ERROR);
  }
}

int main(void)
{
  RUN(partitions_that_are_gone_are_left_out);
  RUN(a_partition_that_comes_back_from_another_is_left_out);
  RUN(a_batch_of_which_nothing_is_left_ends);
  RUN(a_batch_comes_again_before_other_topics);
  RUN(a_batch_keeps_as_much_as_is_read_ahead);
  RUN(headers_count_too);
  RUN(what_had_no_room_is_not_kept);
  RUN(a_batch_is_kept_or_not_delivered);
  RUN(a_client_without_room_for_the_batch_gets_it_later);
  RUN(a_client_that_holds_nothing_starts_at_the_commit);
  RUN(what_a_client_has_to_acknowledge_is_not_noted);
  return check_end();
}
