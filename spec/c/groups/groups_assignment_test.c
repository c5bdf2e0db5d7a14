/* Groups: which instance gets which partition, and when. For: group_assignment.c,
 * group_partition.c, group_topic.c, group_instance.c, group_consumers.c. */
#include "check.h"
#include "fake_clients.h"
#include "server/groups/group_partition.h"
#include "server/groups/group_state.h"

static void assigns_partitions_by_range(void)
{
  struct call a, b, c;
  start_groups();
  fake_topic("t", 5);
  fake_topic("u", 1);
  consume(&b, "g", "b", "t u", 0);
  CHECK_EQ_STR(owners(), "g/b t=0,1,2,3,4 u=0");
  consume(&a, "g", "a", "u t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0,1,2 u=0 g/b t=3,4");
  consume(&c, "g", "c", "t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0,1 u=0 g/b t=2,3 g/c t=4");
  delete_consumer(&a, "g", "a");
  OUTCOME(&a, "");
  CHECK_EQ_STR(owners(), "g/b t=0,1,2 u=0 g/c t=3,4");
  pass_time(5000);
  consume(&c, "g", "c", "t", 0);
  pass_time(5000); /* b expires */
  CHECK_EQ_STR(owners(), "g/c t=0,1,2,3,4");
  stop_groups();
}

static void partitions_in_flight_stay(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 2);
  consume(&a, "g", "a", "t", 0);
  OUTCOME(&a, "t:1:0 t:1:1");
  consume(&b, "g", "b", "t", 1000);
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  produce("t", 1, 1); /* for the next owner: a must release the partition */
  OUTCOME(&b, "waits");
  consume(&a, "g", "a", "t", 100); /* the records are delivered */
  OUTCOME(&a, "waits");
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  OUTCOME(&b, "t:1:2");
  pass_time(100);
  OUTCOME(&a, "");
  stop_groups();
}

/* It is released only after the read. */
static void a_leaving_partition_is_not_read(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  consume(&call, "g", "a", "t", 0);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "u", 0);
  OUTCOME(&call, "");
  CHECK_EQ_STR(owners(), "g/a u=0");
  stop_groups();
}

/* One call finds that an instance has expired, and releases the partitions that were to go to
 * it. */
static void the_target_is_gone(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 1);
  call_consume(&a, "g", "a", "t", 0);
  a.consume.settings.session_timeout = 100000;
  uk_groups_consume(groups, &a.consume, fake_now);
  OUTCOME(&a, "t:1:0");
  consume(&b, "g", "b", "t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  fake_now += 10000;
  consume(&a, "g", "a", "t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0,1");
  stop_groups();
}

/* The list shows what is so now, also when the same call finds that an instance has expired. */
static void the_list_shows_what_an_expiry_changed(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  consume(&a, "g", "a", "t", 0);
  consume(&b, "g", "b", "t", fake_now + 30000);
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  fake_now += 10000;
  CHECK_EQ_STR(owners(), "g/b t=0,1");
  stop_groups();
}

static void commit_and_expiry_release_partitions(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 2);
  consume(&a, "g", "a", "t", 0);
  consume(&b, "g", "b", "t", 0);
  OUTCOME(&b, "");
  commit_all(&a, "g", "a");
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  CHECK_EQ_INT(fake_committed("g", "t", 1), 2);
  fake_produce("t", 0, 1);
  consume(&a, "g", "a", "t", 0);
  OUTCOME(&a, "t:0:0");
  pass_time(9000);
  consume(&b, "g", "b", "t", 5000);
  pass_time(1000); /* a expires with t:0:0 in flight */
  OUTCOME(&b, "t:0:0");
  CHECK_EQ_STR(owners(), "g/b t=0,1");
  stop_groups();
}

static void instances_are_limited_to_partitions(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 2);
  fake_topic("u", 1);
  consume(&call, "g", "a", "t", 0);
  consume(&call, "g", "b", "t", 0);
  consume(&call, "g", "c", "t", 0);
  OUTCOME(&call, "too_many");
  MESSAGE(&call, "group \"g\" has 2 consumer instances already: the limit is 2, the partitions of "
                 "its topics");
  consume(&call, "g", "c", "u", 0);
  OUTCOME(&call, "");
  consume(&call, "g", "d", "t u", 0);
  OUTCOME(&call, "too_many");
  consume(&call, "h", "c", "t", 0);
  OUTCOME(&call, "");
  pass_time(10000);
  consume(&call, "g", "d", "t", 0);
  OUTCOME(&call, "");
  stop_groups();
}

/* Making so many instances takes too long: all but one are only counted. */
static void instances_are_limited_in_all_groups(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  groups->instance_count = UK_GROUP_INSTANCES_MAX - 1;
  consume(&call, "last", "a", "t", 0);
  OUTCOME(&call, "");
  consume(&call, "over", "a", "t", 0);
  OUTCOME(&call, "too_many");
  MESSAGE(&call, "no room for an instance of group \"over\": the limit is 100000 in all groups");
  delete_consumer(&call, "last", "a");
  consume(&call, "over", "a", "t", 0);
  OUTCOME(&call, "");
  groups->instance_count = 1;
  stop_groups();
}

static void a_subscription_changes_and_keeps_positions(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 2);
  fake_produce("u", 0, 1);
  consume(&call, "g", "a", "t", 0);
  consume(&call, "g", "a", "u t", 0);
  OUTCOME(&call, "u:0:0");
  CHECK_EQ_STR(owners(), "g/a t=0 u=0");
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:2");
  CHECK_EQ_STR(owners(), "g/a t=0");
  CHECK_EQ_INT(fake_committed("g", "u", 0), 1);
  consume(&call, "g", "a", "t nowhere", 0);
  OUTCOME(&call, "not_found");
  MESSAGE(&call, "topic \"nowhere\" does not exist");
  CHECK_EQ_STR(owners(), "g/a t=0");
  consume(&call, "g", "a", "u", 0);
  OUTCOME(&call, "");
  stop_groups();
}

/* The remaining topic was the first one of the longer list. */
static void fewer_topics_change_the_subscription(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  consume(&a, "g", "a", "t u", 0);
  CHECK_EQ_STR(owners(), "g/a t=0 u=0");
  fake_produce("u", 0, 1);
  consume(&a, "g", "a", "t", 0);
  OUTCOME(&a, "");
  CHECK_EQ_STR(owners(), "g/a t=0");
  consume(&b, "g", "b", "u", 0);
  OUTCOME(&b, "u:0:0");
  CHECK_EQ_STR(owners(), "g/a t=0 g/b u=0");
  stop_groups();
}

/* The numbers before the first partition and after the last one name none. */
static void partitions_are_found_by_their_number(void)
{
  struct call call;
  struct uk_slice t = uk_slice_text("t");
  start_groups();
  fake_topic("t", 2);
  fake_topic("u", 3);
  consume(&call, "g", "a", "u t", 0);
  struct uk_group *group = (struct uk_group *)uk_name_table_next(&groups->groups, NULL);
  struct uk_group_assignment *assignment = uk_group_assignment_find(groups, group, t);
  REQUIRE(assignment != NULL && uk_slice_is(assignment->topic->node.name, "t"));
  CHECK(uk_group_partition_find(groups, group, t, -1) == NULL);
  CHECK(uk_group_partition_find(groups, group, t, 0) == &assignment->partitions[0]);
  CHECK(uk_group_partition_find(groups, group, t, 1) == &assignment->partitions[1]);
  CHECK(uk_group_partition_find(groups, group, t, 2) == NULL);
  CHECK(uk_group_partition_find(groups, group, uk_slice_text("v"), 0) == NULL);
  CHECK_EQ_INT(uk_group_partition_number(&assignment->partitions[1]), 1);
  stop_groups();
}

static void an_unknown_topic_creates_no_instance(void)
{
  struct call call;
  start_groups();
  consume(&call, "g", "a", "t", 100);
  OUTCOME(&call, "not_found");
  CHECK_EQ_STR(owners(), "");
  stop_groups();
}

static void a_deleted_topic_is_not_found(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_topic("u", 1);
  fake_produce("t", 0, 2);
  consume(&call, "g", "a", "t u", 0);
  consume(&call, "g", "a", "t u", 500);
  change_topic("t", 0);
  OUTCOME(&call, "not_found");
  MESSAGE(&call, "topic \"t\" was deleted");
  consume(&call, "g", "a", "t u", 500);
  OUTCOME(&call, "not_found");
  CHECK_EQ_STR(owners(), "g/a u=0");
  change_topic("t", 1);
  CHECK_EQ_STR(owners(), "g/a t=0 u=0");
  fake_produce("t", 0, 1); /* a new topic: from its start */
  consume(&call, "g", "a", "t u", 0);
  OUTCOME(&call, "t:0:0");
  stop_groups();
}

/* groups is not notified: the request finds out. */
static void a_topic_replaced_without_notice_is_noticed(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 0, 2);
  consume(&call, "g", "a", "t", 0);
  fake_topic("t", 0);
  fake_topic("t", 3);
  fake_produce("t", 2, 1);
  fake_produce("t", 0, 1);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:2:0");
  stop_groups();
}

static void new_partitions_are_assigned(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 0, 1);
  consume(&a, "g", "a", "t", 0);
  consume(&b, "g", "b", "t", 500);
  fake_topic("t", 4);
  fake_produce("t", 3, 1);
  uk_groups_wake(groups, uk_slice_text("t"), -1, fake_now);
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b t=2,3");
  OUTCOME(&b, "t:3:0");
  consume(&a, "g", "a", "t", 0);
  OUTCOME(&a, "");
  stop_groups();
}

/* Calls that come while a thread reads for the instance. */

static struct call during_consume, during_commit;

static void remake_topic(void)
{
  commit_all(&during_commit, "g", "a");
  change_topic("t", 0);
  change_topic("t", 1);
}

/* Its partitions went to other instances, were never available, or went with their topic. */
static void f8_an_instance_without_partitions_expires(void)
{
  struct call a, b;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 1);
  consume(&a, "g", "a", "t", 0); /* t:1:0 is in flight, so b gets nothing */
  consume(&b, "g", "b", "t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  pass_time(9999);
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  pass_time(1);
  CHECK_EQ_STR(owners(), "");
  consume(&a, "g", "a", "t", 0);
  change_topic("t", 0);
  CHECK_EQ_STR(owners(), "g/a -");
  pass_time(9999);
  CHECK_EQ_STR(owners(), "g/a -");
  pass_time(1);
  CHECK_EQ_STR(owners(), "");
  fake_topic("v", 1);
  fake_topic("w", 1);
  consume(&a, "g", "a", "v w", 0);
  consume(&b, "g", "b", "w", 0);
  pass_time(6000);
  consume(&a, "g", "a", "v w", 0); /* stays alive, and keeps both */
  CHECK_EQ_STR(owners(), "g/a v=0 w=0 g/b -");
  pass_time(3999);
  CHECK_EQ_STR(owners(), "g/a v=0 w=0 g/b -");
  pass_time(1);
  CHECK_EQ_STR(owners(), "g/a v=0 w=0");
  consume(&b, "g", "c", "w", 0); /* there is room for another instance */
  OUTCOME(&b, "");
  stop_groups();
}

/* Partitions go to the members in the order of their names, in whatever order they came; the first
 * ones get one more. */
static void members_get_partitions_in_the_order_of_their_names(void)
{
  static const char *const orders[][3] = {{"a", "b", "c"}, {"c", "b", "a"}, {"b", "c", "a"}};
  for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
    struct call call;
    start_groups();
    fake_topic("t", 8);
    for (size_t m = 0; m < 3; m++)
      consume(&call, "g", orders[i][m], "t", 0);
    CHECK_EQ_STR(owners(), "g/a t=0,1,2 g/b t=3,4,5 g/c t=6,7");
    stop_groups();
  }
}

static void names_are_ordered_by_their_bytes(void)
{
  static const char *const orders[][4] = {{"aa", "a", "B", "\xc3\xa4"},
                                          {"\xc3\xa4", "a", "aa", "B"}};
  for (size_t i = 0; i < 2; i++) {
    struct call call;
    start_groups();
    fake_topic("t", 4);
    for (size_t m = 0; m < 4; m++)
      consume(&call, "g", orders[i][m], "t", 0);
    CHECK_EQ_STR(owners(), "g/B t=0 g/a t=1 g/aa t=2 g/\xc3\xa4 t=3");
    stop_groups();
  }
}

static void a_topic_replaced_during_a_read(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 1);
  fake_produce("t", 0, 3);
  fake_during_read(remake_topic);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1 t:0:2");
  OUTCOME(&during_commit, "");
  fake_produce("t", 0, 4);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:0:0 t:0:1 t:0:2 t:0:3");
  stop_groups();
}

static void join_during_read(void)
{
  consume(&during_consume, "g", "b", "t", 500);
}

static void a_partition_is_not_taken_during_a_read(void)
{
  struct call call;
  start_groups();
  fake_topic("t", 2);
  fake_produce("t", 1, 1);
  fake_during_read(join_during_read);
  consume(&call, "g", "a", "t", 0);
  OUTCOME(&call, "t:1:0");
  CHECK_EQ_STR(owners(), "g/a t=0,1 g/b -");
  consume(&call, "g", "a", "t", 0);
  CHECK_EQ_STR(owners(), "g/a t=0 g/b t=1");
  stop_groups();
}

int main(void)
{
  CHECK_RUN(assigns_partitions_by_range);
  CHECK_RUN(partitions_in_flight_stay);
  CHECK_RUN(a_leaving_partition_is_not_read);
  CHECK_RUN(the_target_is_gone);
  CHECK_RUN(the_list_shows_what_an_expiry_changed);
  CHECK_RUN(commit_and_expiry_release_partitions);
  CHECK_RUN(instances_are_limited_to_partitions);
  CHECK_RUN(instances_are_limited_in_all_groups);
  CHECK_RUN(a_subscription_changes_and_keeps_positions);
  CHECK_RUN(fewer_topics_change_the_subscription);
  CHECK_RUN(partitions_are_found_by_their_number);
  CHECK_RUN(an_unknown_topic_creates_no_instance);
  CHECK_RUN(a_deleted_topic_is_not_found);
  CHECK_RUN(a_topic_replaced_without_notice_is_noticed);
  CHECK_RUN(new_partitions_are_assigned);
  CHECK_RUN(f8_an_instance_without_partitions_expires);
  CHECK_RUN(members_get_partitions_in_the_order_of_their_names);
  CHECK_RUN(names_are_ordered_by_their_bytes);
  CHECK_RUN(a_topic_replaced_during_a_read);
  CHECK_RUN(a_partition_is_not_taken_during_a_read);
  return check_end();
}
