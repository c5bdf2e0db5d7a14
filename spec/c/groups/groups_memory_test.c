/* for: group*.c
 *
 * Groups without memory, and what an idle group leaves behind. */
#include "check.h"
#include "fake_clients.h"
#include "fault.h"

static long live_before;

static void start(void)
{
  live_before = fault_live();
  start_groups();
}

static void stop(void)
{
  stop_groups();
  CHECK_EQ_INT(fault_live(), live_before);
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
    snprintf(name, sizeof name, "g%d", i);
    consume(&call, name, "a", "t", 0);
    consume(&call, name, "b", "t", 0);
  }
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 10000);
  pass_time(10000);
  CHECK_EQ_STR(owners(), "");
  CHECK(fault_live() <= live + 2); /* the buckets of two tables */
  CHECK_EQ_INT(uk_groups_next_tick(groups), INT64_MAX);
  stop();
}

/* The n-th allocation fails, for every n. Each call ends once, with its result or with no_memory;
 * afterwards groups works as before, and no record is lost. */

static bool expected_end(const struct call *call)
{
  enum uk_error error = call->consume.operation.error;
  return call->ended == 1 && (error == UK_OK || error == UK_E_NO_MEMORY ||
                              error == UK_E_NOT_FOUND /* no instance was made */);
}

/* A consume that says what its client holds, and commits. */
static void consume_saying(struct call *call, const char *topics, const char *what, int64_t offset)
{
  call_consume(call, "g", "a", topics, fake_now);
  say(call, &call->consume.acknowledgement, what);
  if (offset >= 0)
    also_commit(call, "t", 0, offset);
  uk_groups_consume(groups, &call->consume, fake_now);
}

static void run_short_of_memory(void)
{
  static struct call calls[20];
  size_t n = 0;
  memset(calls, 0, sizeof calls);
  consume(&calls[n++], "g", "a", "t u", 0);
  consume(&calls[n++], "g", "b", "t", 100);
  consume(&calls[n++], "g", "b", "t", 100);
  fake_topic("t", 4);
  uk_groups_wake(groups, uk_slice_text("t"), -1, fake_now);
  produce("t", 3, 1);
  commit_all(&calls[n++], "g", "a");
  commit_one(&calls[n++], "g", "a", "u", 0, 0);
  consume(&calls[n++], "g", "a", "u", 0);
  owners();
  consume_saying(&calls[n++], "t u", "none", 1);
  consume_saying(&calls[n++], "t u", "none", -1);
  fake_ack = "none";
  commit_all(&calls[n++], "g", "a");
  fake_ack = "";
  pass_time(6000);
  consume(&calls[n++], "h", "a", "t u", 0);
  consume(&calls[n++], "g", "a", "t u", 0);
  consume(&calls[n++], "g", "b", "t u", 0);
  delete_consumer(&calls[n++], "g", "b");
  pass_time(20000);
  pass_time(20000);
  for (size_t i = 0; i < n; i++)
    CHECK(expected_end(&calls[i]));
}

static void survives_each_failing_allocation(void)
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
    CHECK_EQ_STR(owners(), "");
    fake_produce("t", 1, 1);
    consume(&call, "g", "a", "t u", 0);
    CHECK_EQ_INT(call.ended, 1);
    CHECK_EQ_INT(call.consume.operation.error, UK_OK);
    CHECK_EQ_STR(owners(), "g/a t=0,1,2,3 u=0");
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
    pass_time(20000);
    CHECK_EQ_STR(owners(), "");
    stop();
  }
  fault_from(1);
  struct uk_groups_log log = fake_log();
  CHECK(uk_groups_open(&log) == NULL);
  fault_off();
}

/* One call, and its n-th allocation fails: it either ends with no_memory and has changed nothing,
 * or it is carried out. */

static struct call tried;

static const char *try_commit_one(void)
{
  commit_one(&tried, "g", "a", "t", 0, 1);
  return outcome(&tried);
}

static const char *try_commit_all(void)
{
  commit_all(&tried, "g", "a");
  return outcome(&tried);
}

static const char *try_delete(void)
{
  delete_consumer(&tried, "g", "a");
  return outcome(&tried);
}

static const char *try_another_topic(void)
{
  consume(&tried, "g", "a", "t u", 0);
  return outcome(&tried);
}

static const char *try_another_group(void)
{
  consume(&tried, "h", "a", "u", 0);
  return outcome(&tried);
}

static const char *try_commits(void)
{
  consume_saying(&tried, "t", "", 1);
  return outcome(&tried);
}

static const char *try_batch_commit(void)
{
  consume_saying(&tried, "t", "+1", -1);
  return outcome(&tried);
}

static const char *try_redelivery(void)
{
  consume_saying(&tried, "t", "none", -1);
  return outcome(&tried);
}

static const char *try_commits_of_a_new_instance(void)
{
  call_consume(&tried, "h", "a", "u", fake_now);
  also_commit(&tried, "t", 0, 1);
  uk_groups_consume(groups, &tried.consume, fake_now);
  return outcome(&tried);
}

static const char *try_delete_by_id(void)
{
  fake_ack = "+1";
  delete_consumer(&tried, "g", "a");
  fake_ack = "";
  return outcome(&tried);
}

static const struct {
  const char *(*call)(void);
  const char *outcome, *owners;
  int64_t committed;
} tries[] = {{try_commit_one, "", "g/a t=0", 1},
             {try_commit_all, "", "g/a t=0", 2},
             {try_delete, "", "", 2},
             {try_commits, "", "g/a t=0", 1},
             {try_batch_commit, "", "g/a t=0", 2},
             {try_redelivery, "t:0:0 t:0:1", "g/a t=0", -1},
             {try_commits_of_a_new_instance, "u:0:0", "g/a t=0 h/a u=0", -1},
             {try_delete_by_id, "", "", 2},
             {try_another_topic, "u:0:0", "g/a t=0 u=0", -1},
             {try_another_group, "u:0:0", "g/a t=0 h/a u=0", -1},
             {owners, "g/a t=0", "g/a t=0", -1}};

static bool try_once(size_t i, long n)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 2);
  fake_produce("u", 0, 1);
  consume(&call, "g", "a", "t", 0);
  fault_at(n);
  const char *outcome = tries[i].call();
  bool hit = fault_hit();
  fault_off();
  bool refused = strcmp(outcome, "no_memory") == 0;
  CHECK(hit || !refused);
  if (!refused)
    CHECK_EQ_STR(outcome, tries[i].outcome);
  CHECK_EQ_INT(fake_committed("g", "t", 0), refused ? -1 : tries[i].committed);
  CHECK_EQ_STR(owners(), refused ? "g/a t=0" : tries[i].owners);
  stop();
  return hit;
}

static void a_call_without_memory_is_refused_or_carried_out(void)
{
  for (size_t i = 0; i < sizeof tries / sizeof *tries; i++) {
    long n = 1;
    while (try_once(i, n))
      n++;
    CHECK(n > 1);
  }
}

/* Its batch may be committed by then: a client that repeats it gets what a commit at once would
 * have done. */
static void a_commit_by_id_without_memory_can_be_repeated(void)
{
  bool hit = true;
  for (long n = 1; hit; n++) {
    struct call call, commit;
    start();
    fake_topic("t", 1);
    fake_produce("t", 0, 2);
    consume(&call, "g", "a", "t", 0);
    fake_ack = "+1";
    fault_at(n);
    commit_one(&commit, "g", "a", "t", 0, 1);
    hit = fault_hit();
    fault_off();
    OUTCOME(&commit, hit ? "no_memory" : "");
    if (hit)
      commit_one(&commit, "g", "a", "t", 0, 1);
    fake_ack = "";
    OUTCOME(&commit, "");
    CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
    consume(&call, "g", "a", "t", 0);
    OUTCOME(&call, "");
    stop();
  }
}

/* Without memory for its commit a request leaves the batch as it is. */
static void a_commit_without_memory_acknowledges_nothing(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 2);
  consume(&call, "g", "a", "t", 0);
  fault_at(2); /* after the request */
  consume_saying(&call, "t", "+1", -1);
  CHECK(fault_hit());
  fault_off();
  OUTCOME(&call, "no_memory");
  consume_saying(&call, "t", "none", -1);
  OUTCOME(&call, "t:0:0 t:0:1");
  stop();
}

/* The instance lives on, and its batch is acknowledged: what waited for that continues. */
static void a_deletion_without_memory_ends_the_wait_of_a_commit(void)
{
  static const char *const said[] = {"2", "+2"};
  for (int by_id = 0; by_id < 2; by_id++) {
    struct call first, second_, commit, deletion;
    start();
    fake_topic("t", 1);
    fake_topic("u", 1);
    fake_produce("t", 0, 1);
    consume(&first, "g", "a", "t u", 0);
    fake_produce("u", 0, 1);
    consume_unwritten(&second_, "g", "a", "t u", 0);
    OUTCOME(&second_, "u:0:0");
    fake_patience = 500;
    commit_all(&commit, "g", "a");
    OUTCOME(&commit, "waits");
    fake_hold_commits(by_id == 1);
    fake_ack = said[by_id];
    fault_at(by_id == 0 ? 1 : 2);
    delete_consumer(&deletion, "g", "a");
    CHECK_EQ_INT(fake_finish(1, UK_OK, NULL), by_id);
    CHECK(fault_hit());
    fault_off();
    fake_ack = "";
    OUTCOME(&deletion, "no_memory");
    fake_hold_commits(false);
    fake_finish(9, UK_OK, NULL);
    OUTCOME(&commit, "");
    CHECK_EQ_STR(owners(), "g/a t=0 u=0");
    stop();
  }
}

/* What may not wait for the last response, for lack of memory, is not made, and says why. */
static void a_commit_that_cannot_wait_is_refused(void)
{
  struct call first, commit;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 2);
  consume_unwritten(&first, "g", "a", "t", 0);
  fake_patience = 500;
  fault_at(1);
  commit_all(&commit, "g", "a");
  CHECK(fault_hit());
  fault_off();
  OUTCOME(&commit, "no_memory");
  CHECK_EQ_INT(fake_commits(), 0);
  CHECK_EQ_STR(owners(), "g/a t=0");
  stop();
}

/* There is no memory for the commit of an owner that releases a partition: the next owner commits
 * in its place, when its own interval is over. */
static void the_next_owner_commits_in_place_of_the_last(void)
{
  struct call a, b;
  start();
  fake_topic("t", 2);
  fake_produce("t", 1, 3);
  consume(&a, "g", "a", "t", 0);
  consume(&b, "g", "b", "t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 10000);
  fault_at(2);
  consume(&a, "g", "a", "t", 0);
  CHECK(fault_hit());
  fault_off();
  OUTCOME(&a, "");
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  CHECK_EQ_INT(fake_commits(), 0);
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 5000);
  pass_time(5000);
  CHECK_EQ_STR(fake_last_commit(), "t:1=3");
  stop();
}

/* The interval has been over for 2500 milliseconds: the next try is a second from now. */
static void an_auto_commit_without_memory_is_retried_a_second_later(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  consume(&call, "g", "a", "t", 0);
  fault_from(1);
  pass_time(7500);
  CHECK(fault_hit());
  fault_off();
  CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + 1000);
  pass_time(999);
  CHECK_EQ_INT(fake_commits(), 0);
  pass_time(1);
  CHECK_EQ_STR(fake_last_commit(), "t:0=1");
  stop();
}

/* Without memory for its last commit an instance whose session is over lives on. A second later it
 * tries again. */
static void a_session_ends_when_there_is_memory_for_its_commit(void)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  call_consume(&call, "g", "a", "t", fake_now);
  call.consume.settings.auto_commit_interval = 60000;
  uk_groups_consume(groups, &call.consume, fake_now);
  consume(&call, "g", "a", "t", 0);
  for (int i = 0; i < 3; i++) {
    CHECK_EQ_INT(uk_groups_next_tick(groups), fake_now + (i == 0 ? 10000 : 1000));
    fault_from(1);
    pass_time(i == 0 ? 10000 : 1000);
    CHECK(fault_hit());
    fault_off();
    CHECK_EQ_STR(owners(), "g/a t=0");
  }
  pass_time(1000);
  CHECK_EQ_STR(owners(), "");
  CHECK_EQ_INT(fake_committed("g", "t", 0), 1);
  stop();
}

/* The instance is new and serves its first request: it stays, although there is no memory for the
 * second one. */

static struct call second;

static void ask_without_memory(void)
{
  fault_at(1);
  consume(&second, "g", "a", "t", 500);
  CHECK(fault_hit());
  fault_off();
  OUTCOME(&second, "no_memory");
}

static void a_refused_second_request_leaves_the_first_one_alone(void)
{
  struct call first;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  fake_during_read(ask_without_memory);
  consume(&first, "g", "a", "t", 500);
  OUTCOME(&first, "t:0:0");
  CHECK_EQ_STR(owners(), "g/a t=0");
  stop();
}

/* Two deletions come while the instance reads, and the n-th allocation after them fails: the
 * instance is gone for both, or for neither. */

static struct call deletions[2];
static long fails_at;

static void delete_twice(void)
{
  delete_consumer(&deletions[0], "g", "a");
  delete_consumer(&deletions[1], "g", "a");
  OUTCOME(&deletions[1], "waits");
  fault_at(fails_at);
}

static bool delete_without_memory(long n, bool *refused)
{
  struct call call;
  start();
  fake_topic("t", 1);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0");
  fake_produce("t", 0, 1);
  fails_at = n;
  fake_during_read(delete_twice);
  consume(&call, "g", "a", "t", 500);
  bool hit = fault_hit();
  fault_off();
  *refused = strcmp(outcome(&deletions[0]), "no_memory") == 0;
  for (size_t i = 0; i < sizeof deletions / sizeof *deletions; i++)
    OUTCOME(&deletions[i], *refused ? "no_memory" : "");
  CHECK_EQ_STR(owners(), *refused ? "g/a t=0" : "");
  pass_time(10000); /* it lives on, and its session ends as any other's */
  CHECK_EQ_STR(owners(), "");
  stop();
  return hit;
}

static void deletions_that_end_together_end_alike(void)
{
  bool refused, any_refused = false;
  for (long n = 1; delete_without_memory(n, &refused); n++)
    any_refused = any_refused || refused;
  CHECK(any_refused && !refused);
}

int main(void)
{
  CHECK_RUN(a_refused_second_request_leaves_the_first_one_alone);
  CHECK_RUN(a_commit_by_id_without_memory_can_be_repeated);
  CHECK_RUN(a_commit_without_memory_acknowledges_nothing);
  CHECK_RUN(a_deletion_without_memory_ends_the_wait_of_a_commit);
  CHECK_RUN(a_commit_that_cannot_wait_is_refused);
  CHECK_RUN(the_next_owner_commits_in_place_of_the_last);
  CHECK_RUN(an_auto_commit_without_memory_is_retried_a_second_later);
  CHECK_RUN(a_session_ends_when_there_is_memory_for_its_commit);
  CHECK_RUN(an_idle_group_leaves_nothing);
  CHECK_RUN(survives_each_failing_allocation);
  CHECK_RUN(survives_no_memory_at_all);
  CHECK_RUN(a_call_without_memory_is_refused_or_carried_out);
  CHECK_RUN(deletions_that_end_together_end_alike);
  return check_end();
}
