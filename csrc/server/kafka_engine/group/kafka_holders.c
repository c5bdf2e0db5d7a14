#include "server/kafka_engine/group/kafka_holders.h"

#include <stdlib.h>

enum { ASK_TIMEOUT = 2000 }; /* milliseconds */

/* A query under way, which may outlive the member. */
struct holders_query {
  struct uk_kafka_member_query membership;
  struct uk_kafka_late_answer late;
  char names[2 * (UK_GROUP_NAME_MAX + 1)];
};

static struct holders_query *query_of(struct uk_kafka_late_answer *late)
{
  return (struct holders_query *)((char *)late - offsetof(struct holders_query, late));
}

static void free_query(struct uk_kafka_late_answer *late)
{
  struct holders_query *query = query_of(late);
  if (query->membership.holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->membership.holds);
  if (query->membership.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->membership.group_holds);
  free(query);
}

static void answered(struct uk_kafka_query *query)
{
  uk_kafka_late_answer_arrive(&((struct holders_query *)query)->late);
}

bool uk_kafka_holders_ask(struct uk_kafka_group_member *member,
                          struct uk_kafka_late_answer **holders, int64_t now)
{
  struct holders_query *query = calloc(1, sizeof *query);
  if (query == NULL)
    return false;
  memcpy(query->names, member->key, sizeof query->names);
  query->membership =
    (struct uk_kafka_member_query){.query = {.deadline = now + ASK_TIMEOUT, .then = answered},
                                   .group = query->names,
                                   .instance = query->names + member->group.length + 1,
                                   .whole = true};
  uk_kafka_late_answer_init(&query->late, &member->task, free_query);
  *holders = &query->late;
  uk_kafka_members_ask(member->groups->members, &query->membership);
  return true;
}

bool uk_kafka_holders_take(struct uk_kafka_late_answer **holders,
                           struct uk_kafka_holdings *holdings)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(holders);
  if (late == NULL)
    return false;
  struct uk_kafka_member_query *answer = &query_of(late)->membership;
  *holdings = (struct uk_kafka_holdings){
    .own = answer->holds, .all = answer->group_holds, .code = answer->query.code};
  answer->holds = answer->group_holds = NULL;
  uk_kafka_late_answer_release(late);
  return true;
}

void uk_kafka_holders_drop(struct uk_kafka_late_answer **holders)
{
  uk_kafka_late_answer_drop(holders);
}
