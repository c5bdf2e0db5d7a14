/* The rules of groups one by one, on a log in memory and a clock that stands still. */
#include "check.h"
#include "fake_clients.h"
#include "fault.h"

#include <stdlib.h>

static struct uk_groups *groups;
static long live_before;

static void start(void)
{
  fake_log_reset();
  fake_now = 1000;
  live_before = fault_live();
  struct uk_groups_log log = fake_log();
  groups = uk_groups_open(&log);
}

static void stop(void)
{
  uk_groups_drain(groups, fake_now);
  fake_finish(1000, UK_OK, NULL);
  uk_groups_close(groups);
  CHECK_EQ_INT(fault_live(), live_before);
}

#define OUTCOME(call, text) CHECK_EQ_STR(outcome(call), text)
#define MESSAGE(call, text) CHECK_EQ_STR((call)->consume.operation.message, text)

static void delivers_what_is_there(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1 t:0:2");
  CHECK_EQ_INT(call.consume.delivery, 1);
  CHECK_EQ_INT(call.asked, 1);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "");
  CHECK_EQ_INT(call.consume.delivery, 0);
  CHECK_EQ_INT(call.asked, 0);
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:3");
  CHECK_EQ_INT(call.consume.delivery, 2);
  stop();
}

static void waits_for_records(void)
{
  struct call call;
  start();
  fake_topic("t", 2);
  consume(groups, &call, "g", "a", "t", 500);
  OUTCOME(&call, "waits");
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 500);
  pass_time(groups, 499);
  OUTCOME(&call, "waits");
  produce(groups, "t", 1, 2);
  OUTCOME(&call, "t:1:0 t:1:1");
  stop();
}

static void ends_at_its_deadline(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  consume(groups, &call, "g", "a", "t", 500);
  pass_time(groups, 500);
  OUTCOME(&call, "");
  stop();
}

static void latest_is_fixed_at_the_first_request(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 5);
  call_consume(&call, "g", "a", "t", 0);
  call.consume.settings.offset_reset = UK_RESET_LATEST;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "");
  fake_produce("t", 0, 2);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:5 t:0:6");
  stop();
}

/* Else an instance that dies with its first batch in hand would lose it. */
static void latest_is_kept_when_nothing_arrived(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 5);
  call_consume(&call, "g", "a", "t", fake_now + 100);
  call.consume.settings.offset_reset = UK_RESET_LATEST;
  uk_groups_consume(groups, &call.consume, fake_now);
  produce(groups, "t", 0, 2);
  OUTCOME(&call, "t:0:5 t:0:6");
  pass_time(groups, 10000);
  CHECK_EQ_STR(owners(groups), "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 5);
  stop();
}

static void reset_none_says_so(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  call_consume(&call, "g", "a", "t", 0);
  call.consume.settings.offset_reset = UK_RESET_NONE;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "bad_request");
  MESSAGE(&call, "group \"g\" has no committed offset for topic \"t\" partition 0 and auto offset "
                 "reset is none");
  CHECK_EQ_STR(owners(groups), ""); /* no instance was made */
  consume(groups, &call, "g", "b", "t", 0);
  commit_one(groups, &call, "g", "b", "t", 0, 0);
  delete_consumer(groups, &call, "g", "b");
  fake_produce("t", 0, 1);
  call_consume(&call, "g", "a", "t", 0);
  call.consume.settings.offset_reset = UK_RESET_NONE;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "t:0:0");
  stop();
}

static void starts_at_the_committed_offset(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 5);
  consume(groups, &call, "g", "a", "t", 0);
  commit_one(groups, &call, "g", "a", "t", 0, 3);
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  delete_consumer(groups, &call, "g", "a");
  consume(groups, &call, "g", "b", "t", 0);
  OUTCOME(&call, "t:0:3 t:0:4");
  stop();
}

static void shares_partitions_by_range(void)
{
  struct call a, b, c;
  start();
  fake_topic("t", 5);
  fake_topic("u", 1);
  consume(groups, &b, "g", "b", "t u", 0);
  CHECK_EQ_STR(owners(groups), "g/b t=0,1,2,3,4 u=0");
  consume(groups, &a, "g", "a", "u t", 0);
  CHECK_EQ_STR(owners(groups), "g/a t=0,1,2 u=0 g/b t=3,4");
  consume(groups, &c, "g", "c", "t", 0);
  CHECK_EQ_STR(owners(groups), "g/a t=0,1 u=0 g/b t=2,3 g/c t=4");
  delete_consumer(groups, &a, "g", "a");
  OUTCOME(&a, "");
  CHECK_EQ_STR(owners(groups), "g/b t=0,1,2 u=0 g/c t=3,4");
  pass_time(groups, 5000);
  consume(groups, &c, "g", "c", "t", 0);
  pass_time(groups, 5000); /* b expires */
  CHECK_EQ_STR(owners(groups), "g/c t=0,1,2,3,4");
  stop();
}

static void what_is_in_hand_stays(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 2);
  consume(groups, &a, "g", "a", "t", 0);
  OUTCOME(&a, "t:1:0 t:1:1");
  consume(groups, &b, "g", "b", "t", 1000);
  CHECK_EQ_STR(owners(groups), "g/a t=0,1 g/b -");
  produce(groups, "t", 1, 1); /* whoever gets it: not a, which is to let go */
  OUTCOME(&b, "waits");
  consume(groups, &a, "g", "a", "t", 100); /* the batch arrived */
  OUTCOME(&a, "waits");
  CHECK_EQ_STR(owners(groups), "g/a t=0 g/b t=1");
  OUTCOME(&b, "t:1:2");
  pass_time(groups, 100);
  OUTCOME(&a, "");
  stop();
}

static void commit_and_expiry_let_go_too(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 2);
  consume(groups, &a, "g", "a", "t", 0);
  consume(groups, &b, "g", "b", "t", 0);
  OUTCOME(&b, "");
  commit_all(groups, &a, "g", "a");
  CHECK_EQ_STR(owners(groups), "g/a t=0 g/b t=1");
  CHECK_EQ_INT(fake_committed("g", "t", 1), 2);
  fake_produce("t", 0, 1);
  consume(groups, &a, "g", "a", "t", 0);
  OUTCOME(&a, "t:0:0");
  pass_time(groups, 9000);
  consume(groups, &b, "g", "b", "t", 5000);
  pass_time(groups, 1000); /* a expires with t:0:0 in hand */
  OUTCOME(&b, "t:0:0");
  CHECK_EQ_STR(owners(groups), "g/b t=0,1");
  stop();
}

static void auto_commit_leaves_out_what_is_under_way(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(groups, &call, "g", "a", "t", 0);
  pass_time(groups, 6000);
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  fake_produce("t", 0, 2);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:3 t:0:4");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  consume(groups, &call, "g", "a", "t", 0); /* 5 arrived, but the interval has only begun */
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 5000);
  pass_time(groups, 5000);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 5);
  CHECK_EQ_INT(fake_commits(), 2);
  pass_time(groups, 4999); /* what has not changed is not committed */
  CHECK_EQ_INT(fake_commits(), 2);
  stop();
}

static void one_auto_commit_at_a_time(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_hold_commits(true);
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  pass_time(groups, 5000);
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  CHECK_EQ_INT(fake_commits(), 1);
  pass_time(groups, 5000);
  consume(groups, &call, "g", "a", "t", 0);
  CHECK_EQ_INT(fake_commits(), 1);
  CHECK_EQ_INT(fake_finish(1, UK_OK, NULL), 1);
  pass_time(groups, 0);
  CHECK_EQ_INT(fake_commits(), 2);
  CHECK_EQ_INT(fake_finish(1, UK_E_UNAVAILABLE, "the disk is full"), 1);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  pass_time(groups, 5000); /* refused is tried again */
  CHECK_EQ_INT(fake_finish(9, UK_OK, NULL), 1);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 2);
  stop();
}

static void delete_commits_and_waits_for_it(void)
{
  struct call call, next;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(groups, &call, "g", "a", "t", 0);
  fake_hold_commits(true);
  delete_consumer(groups, &call, "g", "a");
  OUTCOME(&call, "waits");
  consume(groups, &next, "g", "b", "t", 500); /* not before it is known where to start */
  OUTCOME(&next, "waits");
  fake_finish(1, UK_OK, NULL);
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  OUTCOME(&next, "waits");
  produce(groups, "t", 0, 1);
  OUTCOME(&next, "t:0:3");
  delete_consumer(groups, &call, "g", "a");
  OUTCOME(&call, "not_found");
  MESSAGE(&call, "group \"g\" has no consumer instance \"a\"");
  stop();
}

static void delete_passes_on_what_the_log_says(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(groups, &call, "g", "a", "t", 0);
  fake_hold_commits(true);
  delete_consumer(groups, &call, "g", "a");
  fake_finish(1, UK_E_UNAVAILABLE, "the disk is full");
  OUTCOME(&call, "unavailable");
  MESSAGE(&call, "the disk is full");
  stop();
}

static void delete_ends_those_who_wait(void)
{
  struct call first, second, call;
  start();
  fake_topic("t", 1);
  consume(groups, &first, "g", "a", "t", 500);
  consume(groups, &second, "g", "a", "t", 500);
  delete_consumer(groups, &call, "g", "a");
  OUTCOME(&call, "");
  OUTCOME(&first, "");
  OUTCOME(&second, "");
  stop();
}

static void a_position_is_handed_over_before_its_commit_is_done(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 3);
  consume(groups, &a, "g", "a", "t", 0);
  consume(groups, &a, "g", "a", "t", 0);
  fake_hold_commits(true);
  consume(groups, &b, "g", "b", "t", 0);
  OUTCOME(&b, "");
  CHECK_EQ_INT(fake_committed("g", "t", 1), -1);
  produce(groups, "t", 1, 1);
  consume(groups, &b, "g", "b", "t", 0);
  OUTCOME(&b, "t:1:3");
  fake_finish(9, UK_OK, NULL);
  CHECK_EQ_INT(fake_committed("g", "t", 1), 3);
  stop();
}

static void consume_manually(struct call *call, const char *instance, int64_t timeout)
{
  call_consume(call, "g", instance, "t", fake_now + timeout);
  call->consume.settings.auto_commit = false;
  uk_groups_consume(groups, &call->consume, fake_now);
}

static void without_auto_commit_the_committed_offset_counts(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 4);
  consume_manually(&a, "a", 0);
  commit_one(groups, &b, "g", "a", "t", 1, 2);
  pass_time(groups, 9000);
  consume_manually(&a, "a", 0);
  consume_manually(&b, "b", 0);
  OUTCOME(&b, "t:1:2 t:1:3");
  CHECK_EQ_INT(fake_committed("g", "t", 1), 2);
  stop();
}

static void a_commit_under_way_is_waited_for(void)
{
  struct call a, b, call;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 4);
  consume_manually(&a, "a", 0);
  consume_manually(&b, "b", 0);
  fake_hold_commits(true);
  commit_one(groups, &call, "g", "a", "t", 1, 3); /* lets go of it, too */
  CHECK_EQ_STR(owners(groups), "g/a t=0 g/b t=1");
  consume_manually(&b, "b", 500);
  OUTCOME(&b, "waits");
  OUTCOME(&call, "waits");
  fake_finish(1, UK_OK, NULL);
  OUTCOME(&call, "");
  OUTCOME(&b, "t:1:3");
  stop();
}

static void an_explicit_commit_overrides(void)
{
  struct call a, b;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(groups, &a, "g", "a", "t", 0);
  commit_one(groups, &b, "g", "a", "t", 0, 1);
  pass_time(groups, 9000);
  consume(groups, &a, "g", "a", "t", 0);
  OUTCOME(&a, ""); /* it does not move the position */
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  delete_consumer(groups, &a, "g", "a");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  consume(groups, &b, "g", "b", "t", 0);
  OUTCOME(&b, "t:0:1 t:0:2");
  stop();
}

static void commit_without_offsets_takes_all_that_was_read(void)
{
  struct call call;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 3);
  consume_manually(&call, "a", 0);
  commit_all(groups, &call, "g", "a");
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  CHECK_EQ_INT(fake_committed("g", "t", 1), 3);
  commit_all(groups, &call, "g", "nobody");
  OUTCOME(&call, "not_found");
  fake_hold_commits(true);
  commit_all(groups, &call, "g", "a");
  fake_finish(1, UK_E_UNAVAILABLE, "the disk is full");
  OUTCOME(&call, "unavailable");
  MESSAGE(&call, "the disk is full");
  stop();
}

static void commit_with_nothing_read_is_done(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  consume(groups, &call, "g", "a", "t", 0);
  fake_hold_commits(true);
  commit_all(groups, &call, "g", "a");
  OUTCOME(&call, "");
  stop();
}

static void instances_are_limited_to_partitions(void)
{
  struct call call;
  start();
  fake_topic("t", 2);
  fake_topic("u", 1);
  consume(groups, &call, "g", "a", "t", 0);
  consume(groups, &call, "g", "b", "t", 0);
  consume(groups, &call, "g", "c", "t", 0);
  OUTCOME(&call, "too_many");
  MESSAGE(&call, "group \"g\" has 2 consumer instances already: the limit is 2, the partitions of "
                 "its topics");
  consume(groups, &call, "g", "c", "u", 0);
  OUTCOME(&call, "");
  consume(groups, &call, "g", "d", "t u", 0);
  OUTCOME(&call, "too_many");
  consume(groups, &call, "h", "c", "t", 0);
  OUTCOME(&call, "");
  pass_time(groups, 10000);
  consume(groups, &call, "g", "d", "t", 0);
  OUTCOME(&call, "");
  stop();
}

static void names_are_bounded(void)
{
  char name[UK_GROUP_NAME_MAX + 2];
  struct call call;
  start();
  fake_topic("t", 1);
  memset(name, 'x', sizeof(name));
  name[UK_GROUP_NAME_MAX + 1] = '\0';
  consume(groups, &call, name, "a", "t", 0);
  OUTCOME(&call, "bad_request");
  MESSAGE(&call, "group: 1 to 255 bytes expected, got 256");
  consume(groups, &call, "g", name, "t", 0);
  MESSAGE(&call, "instance: 1 to 255 bytes expected, got 256");
  consume(groups, &call, "g", "", "t", 0);
  MESSAGE(&call, "instance: 1 to 255 bytes expected, got 0");
  name[UK_GROUP_NAME_MAX] = '\0';
  consume(groups, &call, name, name, "t", 0);
  OUTCOME(&call, "");
  stop();
}

static void requests_take_turns(void)
{
  struct call first, second, third;
  start();
  fake_topic("t", 1);
  consume(groups, &first, "g", "a", "t", 500);
  consume(groups, &second, "g", "a", "t", 200);
  consume(groups, &third, "g", "a", "t", 800);
  pass_time(groups, 200);
  OUTCOME(&first, "waits");
  OUTCOME(&second, "");
  produce(groups, "t", 0, 1);
  OUTCOME(&first, "t:0:0");
  OUTCOME(&third, "waits");
  produce(groups, "t", 0, 1);
  OUTCOME(&third, "t:0:1");
  CHECK_EQ_INT(third.consume.delivery, 2);
  stop();
}

/* The second request came before the first answer: it says nothing about that. */
static void a_queued_request_acknowledges_nothing_later(void)
{
  struct call first, second, call;
  start();
  fake_topic("t", 1);
  consume(groups, &first, "g", "a", "t", 500);
  consume(groups, &second, "g", "a", "t", 500);
  produce(groups, "t", 0, 1);
  OUTCOME(&first, "t:0:0");
  undelivered(groups, "g", "a", first.consume.delivery);
  OUTCOME(&second, "t:0:0");
  pass_time(groups, 10000);
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  consume(groups, &call, "g", "b", "t", 0);
  OUTCOME(&call, "t:0:0");
  stop();
}

static void a_client_that_went_takes_nothing(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  call_consume(&call, "g", "a", "t", fake_now + 500);
  call.unwanted = true;
  uk_groups_consume(groups, &call.consume, fake_now);
  CHECK_EQ_INT(call.asked, 0);
  produce(groups, "t", 0, 2);
  OUTCOME(&call, "cancelled");
  CHECK_EQ_INT(call.asked, 1);
  CHECK_EQ_INT(call.count, 0);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1");
  CHECK_EQ_INT(call.consume.delivery, 1);
  stop();
}

static void undelivered_is_delivered_again(void)
{
  struct call call;
  start();
  fake_topic("t", 2);
  fake_produce("t", 0, 1);
  fake_produce("t", 1, 2);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:1:0 t:1:1");
  undelivered(groups, "g", "a", 7);
  undelivered(groups, "g", "b", 1);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "");
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  undelivered(groups, "g", "a", 1); /* something newer was asked */
  undelivered(groups, "g", "a", 2);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:1");
  CHECK_EQ_INT(call.consume.delivery, 3);
  consume(groups, &call, "g", "a", "t", 0);
  undelivered(groups, "g", "a", 3);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "");
  stop();
}

static void undelivered_goes_to_whoever_has_the_partition(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 2);
  consume(groups, &a, "g", "a", "t", 0);
  consume(groups, &b, "g", "b", "t", 500);
  undelivered(groups, "g", "a", 1);
  OUTCOME(&b, "t:1:0 t:1:1");
  stop();
}

static void takes_partitions_in_turn(void)
{
  struct call call;
  start();
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
  stop();
}

static void a_subscription_changes_and_keeps_positions(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 2);
  fake_produce("u", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  consume(groups, &call, "g", "a", "u t", 0);
  OUTCOME(&call, "u:0:0");
  CHECK_EQ_STR(owners(groups), "g/a t=0 u=0");
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:2");
  CHECK_EQ_STR(owners(groups), "g/a t=0");
  CHECK_EQ_INT(fake_committed("g", "u", 0), 1);
  consume(groups, &call, "g", "a", "t nowhere", 0);
  OUTCOME(&call, "not_found");
  MESSAGE(&call, "there is no topic \"nowhere\"");
  CHECK_EQ_STR(owners(groups), "g/a t=0");
  consume(groups, &call, "g", "a", "u", 0);
  OUTCOME(&call, "");
  stop();
}

static void an_unknown_topic_makes_no_instance(void)
{
  struct call call;
  start();
  consume(groups, &call, "g", "a", "t", 100);
  OUTCOME(&call, "not_found");
  CHECK_EQ_STR(owners(groups), "");
  stop();
}

static void a_deleted_topic_is_not_found(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 2);
  consume(groups, &call, "g", "a", "t u", 0);
  consume(groups, &call, "g", "a", "t u", 500);
  change_topic(groups, "t", 0);
  OUTCOME(&call, "not_found");
  MESSAGE(&call, "topic \"t\" was deleted");
  consume(groups, &call, "g", "a", "t u", 500);
  OUTCOME(&call, "not_found");
  CHECK_EQ_STR(owners(groups), "g/a u=0");
  change_topic(groups, "t", 1);
  CHECK_EQ_STR(owners(groups), "g/a t=0 u=0");
  fake_produce("t", 0, 1); /* another topic: from its start */
  consume(groups, &call, "g", "a", "t u", 0);
  OUTCOME(&call, "t:0:0");
  stop();
}

/* Nobody said a word of it: the request finds out. */
static void a_topic_replaced_in_silence_is_noticed(void)
{
  struct call call;
  start();
  fake_topic("t", 2);
  fake_produce("t", 0, 2);
  consume(groups, &call, "g", "a", "t", 0);
  fake_topic("t", 0);
  fake_topic("t", 3);
  fake_produce("t", 2, 1);
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:2:0");
  stop();
}

static void new_partitions_are_assigned(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 0, 1);
  consume(groups, &a, "g", "a", "t", 0);
  consume(groups, &b, "g", "b", "t", 500);
  fake_topic("t", 4);
  fake_produce("t", 3, 1);
  uk_groups_wake(groups, uk_slice_text("t"), -1, fake_now);
  CHECK_EQ_STR(owners(groups), "g/a t=0,1 g/b t=2,3");
  OUTCOME(&b, "t:3:0");
  consume(groups, &a, "g", "a", "t", 0);
  OUTCOME(&a, "");
  stop();
}

static void what_retention_dropped_is_reset(void)
{
  struct call call;
  static const struct {
    enum uk_offset_reset reset;
    const char *outcome;
  } cases[] = {{UK_RESET_EARLIEST, "t:0:3 t:0:4 t:0:5"},
               {UK_RESET_LATEST, ""},
               {UK_RESET_NONE, "bad_request"}};
  for (size_t i = 0; i < 3; i++) {
    start();
    fake_topic("t", 1);
    consume(groups, &call, "g", "z", "t", 0);
    commit_one(groups, &call, "g", "z", "t", 0, 0);
    delete_consumer(groups, &call, "g", "z");
    fake_produce("t", 0, 1);
    call_consume(&call, "g", "a", "t", 0);
    call.consume.settings.offset_reset = cases[i].reset;
    uk_groups_consume(groups, &call.consume, fake_now);
    OUTCOME(&call, "t:0:0");
    fake_produce("t", 0, 5);
    fake_retain("t", 0, 3);
    consume(groups, &call, "g", "a", "t", 0);
    OUTCOME(&call, cases[i].outcome);
    if (cases[i].reset == UK_RESET_NONE)
      MESSAGE(&call, "group \"g\" is at offset 1 of topic \"t\" partition 0, which has offsets 3 to "
                     "6, and auto offset reset is none");
    stop();
  }
}

static void failures_of_the_log_are_passed_on(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  fake_fail_read(UK_E_UNAVAILABLE);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "unavailable");
  MESSAGE(&call, "cannot read topic \"t\" partition 0: the server cannot serve this now");
  CHECK_EQ_STR(owners(groups), "");
  fake_fail_committed(UK_E_UNAVAILABLE); /* hits when the partition is assigned, and heals */
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0");
  stop();
}

static void drain_ends_all_waiting(void)
{
  struct call first, second, call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  consume(groups, &first, "g", "a", "t", 500);
  consume(groups, &second, "g", "a", "t", 500);
  uk_groups_drain(groups, fake_now);
  OUTCOME(&first, "");
  OUTCOME(&second, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  consume(groups, &call, "g", "a", "t", 500);
  OUTCOME(&call, "");
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 500);
  OUTCOME(&call, "t:0:1");
  stop();
}

static void an_idle_group_leaves_nothing(void)
{
  struct call call;
  start();
  fake_topic("t", 4);
  long live = fault_live();
  CHECK_EQ_INT(uk_groups_next_tick(groups), INT64_MAX);
  for (int i = 0; i < 100; i++) {
    char name[16];
    snprintf(name, sizeof(name), "g%d", i);
    consume(groups, &call, name, "a", "t", 0);
    consume(groups, &call, name, "b", "t", 0);
  }
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 10000);
  pass_time(groups, 10000);
  CHECK_EQ_STR(owners(groups), "");
  CHECK(fault_live() <= live + 2); /* the buckets of two tables */
  CHECK_EQ_INT(uk_groups_next_tick(groups), INT64_MAX);
  stop();
}

/* What comes while a thread reads for the instance. */

static struct call during_delete, during_consume, during_commit;

static void delete_and_join(void)
{
  consume(groups, &during_consume, "g", "b", "t", 500);
  delete_consumer(groups, &during_delete, "g", "a");
}

static void a_delete_waits_for_a_read(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t u", 0);
  fake_produce("t", 0, 2);
  fake_during_read(delete_and_join);
  consume(groups, &call, "g", "a", "t u", 0);
  OUTCOME(&call, "t:0:1 t:0:2");
  OUTCOME(&during_delete, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1); /* the delete came before the answer */
  OUTCOME(&during_consume, "t:0:1 t:0:2");
  stop();
}

static void take_back(void)
{
  undelivered(groups, "g", "a", 1);
}

static void a_delivery_taken_back_during_a_read(void)
{
  struct call first, second, call;
  start();
  fake_topic("t", 1);
  consume(groups, &first, "g", "a", "t", 500);
  consume(groups, &second, "g", "a", "t", 500);
  produce(groups, "t", 0, 1);
  OUTCOME(&first, "t:0:0");
  fake_during_read(take_back);
  produce(groups, "t", 0, 1);
  OUTCOME(&second, "t:0:1");
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1");
  stop();
}

static void remake_topic(void)
{
  commit_all(groups, &during_commit, "g", "a");
  change_topic(groups, "t", 0);
  change_topic(groups, "t", 1);
}

static void a_topic_replaced_during_a_read(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  fake_during_read(remake_topic);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, ""); /* the new topic is empty */
  OUTCOME(&during_commit, "");
  fake_produce("t", 0, 1);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0");
  stop();
}

static void join_during_read(void)
{
  consume(groups, &during_consume, "g", "b", "t", 500);
}

static void a_partition_that_is_read_is_not_taken_away(void)
{
  struct call call;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 1);
  fake_during_read(join_during_read);
  consume(groups, &call, "g", "a", "t", 0);
  OUTCOME(&call, "t:1:0");
  CHECK_EQ_STR(owners(groups), "g/a t=0,1 g/b -");
  consume(groups, &call, "g", "a", "t", 0);
  CHECK_EQ_STR(owners(groups), "g/a t=0 g/b t=1");
  stop();
}

/* The n-th allocation fails, for every n: each call ends once, with its result or for want of memory; afterwards all
 * is as ever, and no record is lost. */

static bool expected_end(const struct call *call)
{
  enum uk_error error = call->consume.operation.error;
  return call->ended == 1 && (error == UK_OK || error == UK_E_NO_MEMORY ||
                              error == UK_E_NOT_FOUND /* no instance was made */);
}

static void run_short_of_memory(void)
{
  static struct call calls[16];
  size_t n = 0;
  memset(calls, 0, sizeof(calls));
  consume(groups, &calls[n++], "g", "a", "t u", 0);
  consume(groups, &calls[n++], "g", "b", "t", 100);
  consume(groups, &calls[n++], "g", "b", "t", 100);
  fake_topic("t", 4);
  uk_groups_wake(groups, uk_slice_text("t"), -1, fake_now);
  produce(groups, "t", 3, 1);
  commit_all(groups, &calls[n++], "g", "a");
  commit_one(groups, &calls[n++], "g", "a", "u", 0, 0);
  consume(groups, &calls[n++], "g", "a", "u", 0);
  owners(groups);
  pass_time(groups, 6000);
  consume(groups, &calls[n++], "h", "a", "t u", 0);
  consume(groups, &calls[n++], "g", "a", "t u", 0);
  consume(groups, &calls[n++], "g", "b", "t u", 0);
  delete_consumer(groups, &calls[n++], "g", "b");
  pass_time(groups, 20000);
  pass_time(groups, 20000);
  for (size_t i = 0; i < n; i++)
    CHECK(expected_end(&calls[i]));
}

static void survives_want_of_memory(void)
{
  long n = 1;
  for (bool hit = true; hit; n++) {
    struct call call;
    start();
    fake_topic("t", 2);
    fake_topic("u", 1);
    fake_produce("t", 0, 2);
    fake_produce("u", 0, 1);
    fault_at(n);
    run_short_of_memory();
    hit = fault_hit();
    fault_off();
    CHECK_EQ_STR(owners(groups), "");
    fake_produce("t", 1, 1);
    consume(groups, &call, "g", "a", "t u", 0);
    CHECK_EQ_INT(call.ended, 1);
    CHECK_EQ_INT(call.consume.operation.error, UK_OK);
    CHECK_EQ_STR(owners(groups), "g/a t=0,1,2,3 u=0");
    stop();
  }
  CHECK(n > 30);
}

static void survives_no_memory_at_all(void)
{
  long n = 1;
  for (bool hit = true; hit; n++) {
    start();
    fake_topic("t", 2);
    fake_topic("u", 1);
    fake_produce("t", 0, 2);
    fault_from(n);
    run_short_of_memory();
    hit = fault_hit();
    fault_off();
    pass_time(groups, 20000);
    CHECK_EQ_STR(owners(groups), "");
    stop();
  }
  fault_from(1);
  struct uk_groups_log log = fake_log();
  CHECK(uk_groups_open(&log) == NULL);
  fault_off();
}

int main(void)
{
  CHECK_RUN(delivers_what_is_there);
  CHECK_RUN(waits_for_records);
  CHECK_RUN(ends_at_its_deadline);
  CHECK_RUN(latest_is_fixed_at_the_first_request);
  CHECK_RUN(latest_is_kept_when_nothing_arrived);
  CHECK_RUN(reset_none_says_so);
  CHECK_RUN(starts_at_the_committed_offset);
  CHECK_RUN(shares_partitions_by_range);
  CHECK_RUN(what_is_in_hand_stays);
  CHECK_RUN(commit_and_expiry_let_go_too);
  CHECK_RUN(auto_commit_leaves_out_what_is_under_way);
  CHECK_RUN(one_auto_commit_at_a_time);
  CHECK_RUN(delete_commits_and_waits_for_it);
  CHECK_RUN(delete_passes_on_what_the_log_says);
  CHECK_RUN(delete_ends_those_who_wait);
  CHECK_RUN(a_position_is_handed_over_before_its_commit_is_done);
  CHECK_RUN(without_auto_commit_the_committed_offset_counts);
  CHECK_RUN(a_commit_under_way_is_waited_for);
  CHECK_RUN(an_explicit_commit_overrides);
  CHECK_RUN(commit_without_offsets_takes_all_that_was_read);
  CHECK_RUN(commit_with_nothing_read_is_done);
  CHECK_RUN(instances_are_limited_to_partitions);
  CHECK_RUN(names_are_bounded);
  CHECK_RUN(requests_take_turns);
  CHECK_RUN(a_queued_request_acknowledges_nothing_later);
  CHECK_RUN(a_client_that_went_takes_nothing);
  CHECK_RUN(undelivered_is_delivered_again);
  CHECK_RUN(undelivered_goes_to_whoever_has_the_partition);
  CHECK_RUN(takes_partitions_in_turn);
  CHECK_RUN(a_subscription_changes_and_keeps_positions);
  CHECK_RUN(an_unknown_topic_makes_no_instance);
  CHECK_RUN(a_deleted_topic_is_not_found);
  CHECK_RUN(a_topic_replaced_in_silence_is_noticed);
  CHECK_RUN(new_partitions_are_assigned);
  CHECK_RUN(what_retention_dropped_is_reset);
  CHECK_RUN(failures_of_the_log_are_passed_on);
  CHECK_RUN(drain_ends_all_waiting);
  CHECK_RUN(an_idle_group_leaves_nothing);
  CHECK_RUN(a_delete_waits_for_a_read);
  CHECK_RUN(a_delivery_taken_back_during_a_read);
  CHECK_RUN(a_topic_replaced_during_a_read);
  CHECK_RUN(a_partition_that_is_read_is_not_taken_away);
  CHECK_RUN(survives_want_of_memory);
  CHECK_RUN(survives_no_memory_at_all);
  return check_end();
}
