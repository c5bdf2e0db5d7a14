#include "server/kafka_engine/group/kafka_lease.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/clock.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum {
  ASK_TIMEOUT = 5000, /* milliseconds */
  ASK_AHEAD = 40      /* milliseconds before the confirmation expires */
};

/* A query under way, which may outlive the member. */
struct lease_query {
  struct uk_kafka_member_query membership;
  struct uk_kafka_late_answer late;
  int64_t asked_at;
  char member[UK_KAFKA_MEMBER_SIZE]; /* this server's when it asked */
  char names[2 * (UK_GROUP_NAME_MAX + 1)];
};

static struct lease_query *query_of(struct uk_kafka_late_answer *late)
{
  return (struct lease_query *)((char *)late - offsetof(struct lease_query, late));
}

static void free_query(struct uk_kafka_late_answer *late)
{
  struct lease_query *query = query_of(late);
  if (query->membership.holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->membership.holds);
  if (query->membership.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(query->membership.group_holds);
  free(query);
}

static void answered(struct uk_kafka_query *query)
{
  uk_kafka_late_answer_arrive(&((struct lease_query *)query)->late);
}

void uk_kafka_lease_ask(struct uk_kafka_group_member *member, int64_t now)
{
  struct uk_kafka_lease *lease = &member->lease;
  if (lease->query != NULL || now < lease->ask_at)
    return;
  struct lease_query *query = calloc(1, sizeof *query);
  lease->ask_at = now + UK_KAFKA_LEASE;
  if (query == NULL)
    return;
  memcpy(query->names, member->key, sizeof query->names);
  query->membership =
    (struct uk_kafka_member_query){.query = {.deadline = now + ASK_TIMEOUT, .then = answered},
                                   .group = query->names,
                                   .instance = query->names + member->group.length + 1,
                                   .whole = member->handle == NULL};
  query->asked_at = now;
  if (member->handle != NULL)
    uk_kafka_member_id(member->handle, query->member, sizeof query->member);
  uk_kafka_late_answer_init(&query->late, &member->task, free_query);
  lease->query = &query->late;
  uk_kafka_members_ask(member->groups->members, &query->membership);
}

void uk_kafka_lease_drop(struct uk_kafka_group_member *member)
{
  uk_kafka_late_answer_drop(&member->lease.query);
}

/* Before it joins. */

/* Where brokers cannot tell who has an instance, this server believes that it has it. */
static void believe(struct uk_kafka_lease *lease)
{
  lease->from = lease->until = INT64_MAX;
}

static enum uk_kafka_owner owner_in(const struct uk_kafka_member_query *answer)
{
  if (answer->live)
    return UK_KAFKA_OWNER_OTHER;
  return answer->query.code == RD_KAFKA_RESP_ERR_NO_ERROR ||
             answer->query.code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE
           ? UK_KAFKA_OWNER_NOBODY
           : UK_KAFKA_OWNER_UNKNOWN;
}

enum uk_kafka_owner uk_kafka_lease_owner(struct uk_kafka_group_member *member, int64_t now,
                                         struct uk_kafka_ownership *ownership)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(&member->lease.query);
  *ownership = (struct uk_kafka_ownership){.holds = NULL};
  if (late == NULL) {
    uk_kafka_lease_ask(member, now);
    return UK_KAFKA_OWNER_AWAITED;
  }
  struct lease_query *query = query_of(late);
  enum uk_kafka_owner owner = owner_in(&query->membership);
  ownership->code = query->membership.query.code;
  if (owner == UK_KAFKA_OWNER_OTHER) {
    ownership->holds = query->membership.holds;
    ownership->group_holds = query->membership.group_holds;
    query->membership.holds = query->membership.group_holds = NULL;
  } else if (ownership->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
    believe(&member->lease);
  }
  member->lease.taken_over = owner != UK_KAFKA_OWNER_NOBODY;
  uk_kafka_late_answer_release(late);
  return owner;
}

void uk_kafka_lease_joined(struct uk_kafka_group_member *member, bool first)
{
  int64_t now = uk_clock_monotonic(); /* not before the group admitted the member */
  if (first && member->lease.taken_over)
    member->lease.quiet_until = now + UK_KAFKA_LEASE;
  member->lease.ask_at = now;
}

/* Afterwards. */

static void confirm(struct uk_kafka_group_member *member, int64_t asked_at)
{
  member->lease.from = asked_at;
  member->lease.until = asked_at + UK_KAFKA_LEASE;
  for (struct uk_kafka_request *request = uk_kafka_requests_first(&member->consumes);
       request != NULL; request = uk_kafka_requests_next(&member->consumes, request))
    request->confirmed = request->confirmed || request->arrived_at <= asked_at;
}

/* False: another server has the instance. */
static bool learn(struct uk_kafka_group_member *member, const struct lease_query *query)
{
  const struct uk_kafka_member_query *answer = &query->membership;
  char id[UK_KAFKA_MEMBER_SIZE];
  if (answer->query.code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
    believe(&member->lease);
  if (answer->query.code != RD_KAFKA_RESP_ERR_NO_ERROR || query->member[0] == '\0')
    return true;
  member->lease.ask_at = 0;
  if (answer->live && strcmp(answer->member, query->member) == 0) {
    confirm(member, query->asked_at);
    return true;
  }
  /* After another join the answer is about an earlier member. */
  return strcmp(uk_kafka_member_id(member->handle, id, sizeof id), query->member) != 0;
}

bool uk_kafka_lease_renew(struct uk_kafka_group_member *member)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(&member->lease.query);
  if (late == NULL)
    return true;
  bool has_it = learn(member, query_of(late));
  uk_kafka_late_answer_release(late);
  return has_it;
}

bool uk_kafka_lease_holds(const struct uk_kafka_lease *lease, int64_t now)
{
  return now >= lease->quiet_until && now < lease->until;
}

bool uk_kafka_lease_expires(const struct uk_kafka_lease *lease, int64_t now)
{
  return now >= lease->until - ASK_AHEAD;
}
