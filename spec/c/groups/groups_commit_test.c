/* Groups: what is committed and when, and where an owner starts. For: group_commit.c,
 * group_position.c. */
#include "check.h"
#include "fake_clients.h"

static void latest_is_fixed_at_the_first_request(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 5);
  call_consume(&call, "g", "a", "t", 0);
  call.consume.settings.offset_reset = UK_RESET_LATEST;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "");
  fake_produce("t", 0, 2);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:5 t:0:6");
  stop_groups();
}

/* When the look-up of the committed offset has to wait, `latest` is still the end at the first
 * request: no record in between is lost. */
static void latest_is_fixed_when_the_look_up_waits(void)
{
  struct call commit, first, call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 5);
  consume(&first, "g", "a", "u", 0);
  fake_hold_commits(true);
  commit_one(&commit, "g", "a", "u", 0, 1);
  delete_consumer(&first, "g", "a");
  call_consume(&call, "g", "b", "t", fake_now + 1000);
  call.consume.settings.offset_reset = UK_RESET_LATEST;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "waits");
  produce("t", 0, 2);
  OUTCOME(&call, "waits");
  fake_finish(10, UK_OK, "");
  OUTCOME(&call, "t:0:5 t:0:6");
  fake_hold_commits(false);
  stop_groups();
}

/* Otherwise an instance that dies with its first batch in flight would lose it. */
static void latest_is_kept_when_nothing_was_delivered(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 5);
  call_consume(&call, "g", "a", "t", fake_now + 100);
  call.consume.settings.offset_reset = UK_RESET_LATEST;
  uk_groups_consume(groups, &call.consume, fake_now);
  produce("t", 0, 2);
  OUTCOME(&call, "t:0:5 t:0:6");
  pass_time(10000);
  CHECK_EQ_STR(owners(), "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 5);
  stop_groups();
}

static void reset_none_is_reported(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  call_consume(&call, "g", "a", "t", 0);
  call.consume.settings.offset_reset = UK_RESET_NONE;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "bad_request");
  MESSAGE(&call,
          "no committed offset for topic \"t\" partition 0, and the auto offset reset is none");
  CHECK_EQ_STR(owners(), ""); /* no instance was made */
  consume(&call, "g", "b", "t", 0);
  commit_one(&call, "g", "b", "t", 0, 0);
  delete_consumer(&call, "g", "b");
  fake_produce("t", 0, 1);
  call_consume(&call, "g", "a", "t", 0);
  call.consume.settings.offset_reset = UK_RESET_NONE;
  uk_groups_consume(groups, &call.consume, fake_now);
  OUTCOME(&call, "t:0:0");
  stop_groups();
}

static void starts_at_the_committed_offset(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 5);
  consume(&call, "g", "a", "t", 0);
  commit_one(&call, "g", "a", "t", 0, 3);
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  delete_consumer(&call, "g", "a");
  consume(&call, "g", "b", "t", 0);
  OUTCOME(&call, "t:0:3 t:0:4");
  stop_groups();
}

static void auto_commit_omits_records_in_flight(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&call, "g", "a", "t", 0);
  pass_time(6000);
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  fake_produce("t", 0, 2);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:3 t:0:4");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  consume(&call, "g", "a", "t", 0); /* 5 is delivered, but the interval has just begun */
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 5000);
  pass_time(5000);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 5);
  CHECK_EQ_INT(fake_commits(), 2);
  pass_time(4999); /* unchanged offsets are not committed */
  CHECK_EQ_INT(fake_commits(), 2);
  stop_groups();
}

static void one_auto_commit_at_a_time(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_hold_commits(true);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  pass_time(5000);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  CHECK_EQ_INT(fake_commits(), 1);
  pass_time(5000);
  consume(&call, "g", "a", "t", 0);
  CHECK_EQ_INT(fake_commits(), 1);
  CHECK_EQ_INT(fake_finish(1, UK_OK, NULL), 1);
  pass_time(0);
  CHECK_EQ_INT(fake_commits(), 2);
  CHECK_EQ_INT(fake_finish(1, UK_E_UNAVAILABLE, "the disk is full"), 1);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  pass_time(5000); /* a refused commit is tried again */
  CHECK_EQ_INT(fake_finish(9, UK_OK, NULL), 1);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 2);
  stop_groups();
}

static void delete_commits_and_waits_for_it(void)
{
  struct call call, next;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&call, "g", "a", "t", 0);
  fake_hold_commits(true);
  delete_consumer(&call, "g", "a");
  OUTCOME(&call, "waits");
  consume(&next, "g", "b", "t", 500); /* waits until its position is known */
  OUTCOME(&next, "waits");
  fake_finish(1, UK_OK, NULL);
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  OUTCOME(&next, "waits");
  produce("t", 0, 1);
  OUTCOME(&next, "t:0:3");
  delete_consumer(&call, "g", "a");
  OUTCOME(&call, "not_found");
  MESSAGE(&call, "group \"g\" has no consumer instance \"a\"");
  stop_groups();
}

/* The instance is closed already: the response must not deny that. */
static void delete_reports_a_failed_commit(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&call, "g", "a", "t", 0);
  fake_hold_commits(true);
  delete_consumer(&call, "g", "a");
  fake_finish(1, UK_E_UNAVAILABLE, "the disk is full");
  OUTCOME(&call, "gateway_timeout");
  MESSAGE(&call, "the consumer instance is closed, but its last commit failed: the disk "
                 "is full");
  stop_groups();
}

/* An error that no retry cures is told as it is. */
static void delete_passes_on_a_permanent_error(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&call, "g", "a", "t", 0);
  fake_hold_commits(true);
  delete_consumer(&call, "g", "a");
  fake_finish(1, UK_E_INTERNAL, "the log is damaged");
  OUTCOME(&call, "internal");
  MESSAGE(&call, "the log is damaged");
  stop_groups();
}

static void a_position_is_handed_over_before_its_commit_is_done(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 3);
  consume(&a, "g", "a", "t", 0);
  consume(&a, "g", "a", "t", 0);
  fake_hold_commits(true);
  consume(&b, "g", "b", "t", 0);
  OUTCOME(&b, "");
  CHECK_EQ_INT(fake_committed("g", "t", 1), -1);
  produce("t", 1, 1);
  consume(&b, "g", "b", "t", 0);
  OUTCOME(&b, "t:1:3");
  fake_finish(9, UK_OK, NULL);
  CHECK_EQ_INT(fake_committed("g", "t", 1), 3);
  stop_groups();
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
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 4);
  consume_manually(&a, "a", 0);
  commit_one(&b, "g", "a", "t", 1, 2);
  pass_time(9000);
  consume_manually(&a, "a", 0);
  consume_manually(&b, "b", 0);
  OUTCOME(&b, "t:1:2 t:1:3");
  CHECK_EQ_INT(fake_committed("g", "t", 1), 2);
  stop_groups();
}

static void the_next_owner_waits_for_a_commit_under_way(void)
{
  struct call a, b, call;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 4);
  consume_manually(&a, "a", 0);
  consume_manually(&b, "b", 0);
  fake_hold_commits(true);
  commit_one(&call, "g", "a", "t", 1, 3); /* releases the partition, too */
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  consume_manually(&b, "b", 500);
  OUTCOME(&b, "waits");
  OUTCOME(&call, "waits");
  fake_finish(1, UK_OK, NULL);
  OUTCOME(&call, "");
  OUTCOME(&b, "t:1:3");
  stop_groups();
}

static void an_explicit_commit_overrides(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&a, "g", "a", "t", 0);
  commit_one(&b, "g", "a", "t", 0, 1);
  pass_time(9000);
  consume(&a, "g", "a", "t", 0);
  OUTCOME(&a, ""); /* it does not move the position */
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  delete_consumer(&a, "g", "a");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  consume(&b, "g", "b", "t", 0);
  OUTCOME(&b, "t:0:1 t:0:2");
  stop_groups();
}

static void an_explicit_commit_may_name_several_partitions(void)
{
  const struct uk_topic_partition_offset offsets[] = {{uk_slice_text("t"), 0, 1},
                                                      {uk_slice_text("u"), 0, 2}};
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 3);
  fake_produce("u", 0, 3);
  consume(&call, "g", "a", "t u", 0);
  commit_these(&call, "g", "a", offsets, 2);
  OUTCOME(&call, "");
  CHECK_EQ_STR(fake_last_commit(), "t:0=1 u:0=2");
  delete_consumer(&call, "g", "a");
  CHECK_EQ_INT(fake_commits(), 1); /* what it had read counts for neither of them */
  consume(&call, "g", "b", "t u", 0);
  OUTCOME(&call, "u:0:2 t:0:1 t:0:2");
  stop_groups();
}

static struct call during_commit;

static void commit_two(void)
{
  commit_one(&during_commit, "g", "a", "t", 0, 2);
  OUTCOME(&during_commit, "waits");
}

/* A commit that comes while another one is handed to the log takes effect after it. */
static void commits_reach_the_log_in_order(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  consume(&call, "g", "a", "t", 0);
  fake_during_commit(commit_two);
  commit_one(&call, "g", "a", "t", 0, 1);
  OUTCOME(&call, "");
  OUTCOME(&during_commit, "");
  CHECK_EQ_INT(fake_commits(), 2);
  CHECK_EQ_INT(fake_committed("g", "t", 0), 2);
  commit_one(&call, "g", "a", "t", 0, 3); /* later ones are still handed over */
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 3);
  stop_groups();
}

static void a_commit_that_succeeds_has_no_message(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  consume(&call, "g", "a", "t", 0);
  fake_hold_commits(true);
  commit_one(&call, "g", "a", "t", 0, 0);
  CHECK_EQ_INT(fake_finish(1, UK_OK, "noise"), 1);
  OUTCOME(&call, "");
  MESSAGE(&call, "");
  stop_groups();
}

static void an_explicit_commit_overrides_a_handed_over_position(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 3);
  consume(&a, "g", "a", "t", 0);
  consume(&b, "g", "b", "t", 500);
  OUTCOME(&b, "waits");
  fake_hold_commits(true);
  commit_one(&a, "g", "a", "t", 1, 1); /* b gets the partition, and waits for it */
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  OUTCOME(&b, "waits");
  fake_finish(1, UK_OK, NULL);
  OUTCOME(&b, "t:1:1 t:1:2");
  stop_groups();
}

static void commit_without_offsets_covers_all_delivered_records(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 3);
  consume_manually(&call, "a", 0);
  commit_all(&call, "g", "a");
  OUTCOME(&call, "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  CHECK_EQ_INT(fake_committed("g", "t", 1), 3);
  commit_all(&call, "g", "nobody");
  OUTCOME(&call, "not_found");
  fake_hold_commits(true);
  commit_all(&call, "g", "a");
  fake_finish(1, UK_E_UNAVAILABLE, "the disk is full");
  OUTCOME(&call, "unavailable");
  MESSAGE(&call, "the disk is full");
  stop_groups();
}

static void commit_without_records_succeeds(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  consume(&call, "g", "a", "t", 0);
  fake_hold_commits(true);
  commit_all(&call, "g", "a");
  OUTCOME(&call, "");
  stop_groups();
}

/* The commit of the other topics is not refused. */
static void a_delete_right_after_that_of_a_topic(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 2);
  fake_produce("u", 0, 3);
  consume(&call, "g", "a", "t u", 0);
  fake_topic("t", 0);
  delete_consumer(&call, "g", "a");
  CHECK_EQ_INT(fake_committed("g", "t", 0), -1);
  CHECK_EQ_INT(fake_committed("g", "u", 0), 3);
  stop_groups();
}

static void a_position_removed_by_retention_is_reset(void)
{
  struct call call;
  static const struct {
    enum uk_offset_reset reset;
    const char *outcome;
  } cases[] = {{UK_RESET_EARLIEST, "t:0:3 t:0:4 t:0:5"},
               {UK_RESET_LATEST, ""},
               {UK_RESET_NONE, "bad_request"}};
  for (size_t i = 0; i < 3; i++) {
    start_groups();
    fake_topic("t", 1);
    consume(&call, "g", "z", "t", 0);
    commit_one(&call, "g", "z", "t", 0, 0);
    delete_consumer(&call, "g", "z");
    fake_produce("t", 0, 1);
    call_consume(&call, "g", "a", "t", 0);
    call.consume.settings.offset_reset = cases[i].reset;
    uk_groups_consume(groups, &call.consume, fake_now);
    OUTCOME(&call, "t:0:0");
    fake_produce("t", 0, 5);
    fake_retain("t", 0, 3);
    consume(&call, "g", "a", "t", 0);
    OUTCOME(&call, cases[i].outcome);
    if (cases[i].reset == UK_RESET_NONE)
      MESSAGE(&call, "the position 1 of topic \"t\" partition 0 is out of range 3 to 6, and the "
                     "auto offset reset is none");
    stop_groups();
  }
}

int main(void)
{
  CHECK_RUN(latest_is_fixed_at_the_first_request);
  CHECK_RUN(latest_is_fixed_when_the_look_up_waits);
  CHECK_RUN(latest_is_kept_when_nothing_was_delivered);
  CHECK_RUN(reset_none_is_reported);
  CHECK_RUN(starts_at_the_committed_offset);
  CHECK_RUN(auto_commit_omits_records_in_flight);
  CHECK_RUN(one_auto_commit_at_a_time);
  CHECK_RUN(delete_commits_and_waits_for_it);
  CHECK_RUN(delete_reports_a_failed_commit);
  CHECK_RUN(delete_passes_on_a_permanent_error);
  CHECK_RUN(a_position_is_handed_over_before_its_commit_is_done);
  CHECK_RUN(without_auto_commit_the_committed_offset_counts);
  CHECK_RUN(the_next_owner_waits_for_a_commit_under_way);
  CHECK_RUN(an_explicit_commit_overrides);
  CHECK_RUN(an_explicit_commit_may_name_several_partitions);
  CHECK_RUN(commits_reach_the_log_in_order);
  CHECK_RUN(a_commit_that_succeeds_has_no_message);
  CHECK_RUN(an_explicit_commit_overrides_a_handed_over_position);
  CHECK_RUN(commit_without_offsets_covers_all_delivered_records);
  CHECK_RUN(commit_without_records_succeeds);
  CHECK_RUN(a_delete_right_after_that_of_a_topic);
  CHECK_RUN(a_position_removed_by_retention_is_reset);
  return check_end();
}
