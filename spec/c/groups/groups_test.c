/* Groups: how requests are answered, over a log in memory and a clock that stands still. For:
 * groups.c, group_request.c, group_read.c, group_deferred.c, group_lists.c. */
#include "check.h"
#include "fake_clients.h"

static void delivers_available_records(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1 t:0:2");
  CHECK_EQ_INT(call.consume.delivery, 1);
  CHECK_EQ_INT(call.asked, 1);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "");
  CHECK_EQ_INT(call.consume.delivery, 0);
  CHECK_EQ_INT(call.asked, 0);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:3");
  CHECK_EQ_INT(call.consume.delivery, 2);
  stop_groups();
}

static void waits_for_records(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 2);
  consume(&call, "g", "a", "t", 500);
  OUTCOME(&call, "waits");
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 500);
  pass_time(499);
  OUTCOME(&call, "waits");
  produce("t", 1, 2);
  OUTCOME(&call, "t:1:0 t:1:1");
  stop_groups();
}

static void ends_at_its_deadline(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  consume(&call, "g", "a", "t", 500);
  pass_time(500);
  OUTCOME(&call, "");
  stop_groups();
}

static void waiting_is_a_sign_of_life(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  consume(&call, "g", "a", "t", 20000);
  pass_time(19999);
  OUTCOME(&call, "waits");
  pass_time(1);
  OUTCOME(&call, "");
  pass_time(9999);
  CHECK_EQ_STR(owners(), "g/a t=0");
  pass_time(1);
  CHECK_EQ_STR(owners(), "");
  stop_groups();
}

static void delete_ends_waiting_requests(void)
{
  struct call first, second, call;
  start_groups();
  fake_topic("t", 1);
  consume(&first, "g", "a", "t", 500);
  consume(&second, "g", "a", "t", 500);
  delete_consumer(&call, "g", "a");
  OUTCOME(&call, "");
  OUTCOME(&first, "");
  OUTCOME(&second, "");
  stop_groups();
}

static void names_are_bounded(void)
{
  char name[UK_GROUP_NAME_MAX + 2];
  struct call call;
  start_groups();
  fake_topic("t", 1);
  memset(name, 'x', sizeof name);
  name[UK_GROUP_NAME_MAX + 1] = '\0';
  consume(&call, name, "a", "t", 0);
  OUTCOME(&call, "bad_request");
  MESSAGE(&call, "group: 1 to 255 bytes expected, got 256");
  consume(&call, "g", name, "t", 0);
  MESSAGE(&call, "instance: 1 to 255 bytes expected, got 256");
  consume(&call, "g", "", "t", 0);
  MESSAGE(&call, "instance: 1 to 255 bytes expected, got 0");
  name[UK_GROUP_NAME_MAX] = '\0';
  consume(&call, name, name, "t", 0);
  OUTCOME(&call, "");
  stop_groups();
}

static void requests_are_served_in_order(void)
{
  struct call first, second, third;
  start_groups();
  fake_topic("t", 1);
  consume(&first, "g", "a", "t", 500);
  consume(&second, "g", "a", "t", 200);
  consume(&third, "g", "a", "t", 800);
  pass_time(200);
  OUTCOME(&first, "waits");
  OUTCOME(&second, "");
  produce("t", 0, 1);
  OUTCOME(&first, "t:0:0");
  OUTCOME(&third, "waits");
  produce("t", 0, 1);
  OUTCOME(&third, "t:0:1");
  CHECK_EQ_INT(third.consume.delivery, 2);
  stop_groups();
}

/* The second request came before the first response: it acknowledges nothing. */
static void a_queued_request_acknowledges_nothing_later(void)
{
  struct call first, second, call;
  start_groups();
  fake_topic("t", 1);
  consume_unwritten(&first, "g", "a", "t", 500);
  consume(&second, "g", "a", "t", 500);
  produce("t", 0, 1);
  OUTCOME(&first, "t:0:0");
  finished("g", "a", first.consume.delivery, false);
  OUTCOME(&second, "t:0:0");
  pass_time(10000);
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  consume(&call, "g", "b", "t", 0);
  OUTCOME(&call, "t:0:0");
  stop_groups();
}

static void a_client_that_hung_up_takes_nothing(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  call_consume(&call, "g", "a", "t", fake_now + 500);
  call.unwanted = true;
  uk_groups_consume(groups, &call.consume, fake_now);
  CHECK_EQ_INT(call.asked, 0);
  produce("t", 0, 2);
  OUTCOME(&call, "cancelled");
  CHECK_EQ_INT(call.asked, 1);
  CHECK_EQ_INT(call.count, 0);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1");
  CHECK_EQ_INT(call.consume.delivery, 1);
  stop_groups();
}

static void a_failed_response_is_delivered_again(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 0, 1);
  fake_produce("t", 1, 2);
  consume_unwritten(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:1:0 t:1:1");
  finished("g", "a", 7, false);
  finished("g", "b", 1, false);
  finished("g", "a", 1, true);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "");
  fake_produce("t", 0, 1);
  consume_unwritten(&call, "g", "a", "t", 0);
  finished("g", "a", 1, false); /* a newer request came */
  finished("g", "a", 2, false);
  consume_unwritten(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:1");
  CHECK_EQ_INT(call.consume.delivery, 3);
  finished("g", "a", 3, true);
  consume(&call, "g", "a", "t", 0);
  finished("g", "a", 3, false);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "");
  stop_groups();
}

/* The next owner of a partition gets it when the batch is acknowledged, or when its owner ends. */
static void a_failed_response_stays_with_its_owner(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 2);
  consume_unwritten(&a, "g", "a", "t", 0);
  consume(&b, "g", "b", "t", 15000);
  finished("g", "a", 1, false);
  OUTCOME(&b, "waits");
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  pass_time(10000);
  OUTCOME(&b, "t:1:0 t:1:1");
  stop_groups();
}

static void reads_partitions_round_robin(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 3);
  for (int32_t i = 0; i < 3; i++)
    fake_produce("t", i, 3);
  const char *expected[] = {"t:0:0 t:0:1", "t:1:0 t:1:1", "t:2:0 t:2:1",
                            "t:0:2 t:1:2", "t:2:2",       ""};
  for (size_t i = 0; i < 6; i++) {
    call_consume(&call, "g", "a", "t", 0);
    call.limit = 2;
    uk_groups_consume(groups, &call.consume, fake_now);
    OUTCOME(&call, expected[i]);
  }
  stop_groups();
}

static void failures_of_the_log_are_passed_on(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  fake_fail_read(UK_E_UNAVAILABLE, NULL);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "unavailable");
  MESSAGE(&call, "cannot read topic \"t\" partition 0: the server cannot serve this now");
  CHECK_EQ_STR(owners(), "");
  fake_fail_committed(UK_E_UNAVAILABLE,
                      1); /* fails when the partition is assigned, and then no more */
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0");
  stop_groups();
}

static void drain_ends_all_waiting(void)
{
  struct call first, second, call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  consume(&first, "g", "a", "t", 500);
  consume(&second, "g", "a", "t", 500);
  uk_groups_drain(groups, fake_now);
  OUTCOME(&first, "");
  OUTCOME(&second, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  consume(&call, "g", "a", "t", 500);
  OUTCOME(&call, "");
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 500);
  OUTCOME(&call, "t:0:1");
  stop_groups();
}

/* The first request ends when its commit is durable; what comes behind it does not wait. */
static void a_request_behind_another_does_not_outlast_a_drain(void)
{
  struct call call, first, second;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  fake_hold_commits(true);
  call_consume(&first, "g", "a", "t", fake_now + 9000);
  say(&first, &first.consume.acknowledgement, "+1");
  uk_groups_consume(groups, &first.consume, fake_now);
  uk_groups_drain(groups, fake_now);
  consume(&second, "g", "a", "t", 9000);
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now);
  pass_time(0);
  OUTCOME(&second, "");
  OUTCOME(&first, "waits");
  CHECK_EQ_INT(fake_finish(1, UK_OK, NULL), 1);
  OUTCOME(&first, "");
  fake_hold_commits(false);
  stop_groups();
}

/* Calls that come while a thread reads for the instance. */

static struct call during_delete, during_consume;

static void delete_and_join(void)
{
  consume(&during_consume, "g", "b", "t", 500);
  delete_consumer(&during_delete, "g", "a");
}

static void a_delete_waits_for_a_read(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t u", 0);
  fake_produce("t", 0, 2);
  fake_during_read(delete_and_join);
  consume(&call, "g", "a", "t u", 0);
  OUTCOME(&call, "t:0:1 t:0:2");
  OUTCOME(&during_delete, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1); /* the deletion came before the response */
  OUTCOME(&during_consume, "t:0:1 t:0:2");
  stop_groups();
}

int main(void)
{
  CHECK_RUN(delivers_available_records);
  CHECK_RUN(waits_for_records);
  CHECK_RUN(ends_at_its_deadline);
  CHECK_RUN(waiting_is_a_sign_of_life);
  CHECK_RUN(delete_ends_waiting_requests);
  CHECK_RUN(names_are_bounded);
  CHECK_RUN(requests_are_served_in_order);
  CHECK_RUN(a_queued_request_acknowledges_nothing_later);
  CHECK_RUN(a_client_that_hung_up_takes_nothing);
  CHECK_RUN(a_failed_response_is_delivered_again);
  CHECK_RUN(a_failed_response_stays_with_its_owner);
  CHECK_RUN(reads_partitions_round_robin);
  CHECK_RUN(failures_of_the_log_are_passed_on);
  CHECK_RUN(drain_ends_all_waiting);
  CHECK_RUN(a_request_behind_another_does_not_outlast_a_drain);
  CHECK_RUN(a_delete_waits_for_a_read);
  return check_end();
}
