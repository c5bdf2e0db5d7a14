#include "server/kafka_engine/group/kafka_lease.h"

#include "common/clock.h"
#include "server/kafka_engine/group/kafka_membership.h"
#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum {
  ASK_TIMEOUT = 5000, /* milliseconds */
  ASK_AHEAD = 40      /* milliseconds before the confirmation expires */
};

void uk_kafka_lease_ask(struct uk_kafka_group_member *member, int64_t now)
{
  struct uk_kafka_lease *lease = &member->lease;
  if (lease->query != NULL || now < lease->ask_at)
    return;
  lease->ask_at = now + UK_KAFKA_LEASE;
  (void)uk_kafka_membership_ask(member, &lease->query, member->handle == NULL, ASK_TIMEOUT, now);
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
  struct uk_kafka_membership *membership = uk_kafka_membership_take(&member->lease.query);
  *ownership = (struct uk_kafka_ownership){.holds = NULL};
  if (membership == NULL) {
    uk_kafka_lease_ask(member, now);
    return UK_KAFKA_OWNER_AWAITED;
  }
  struct uk_kafka_member_query *answer = &membership->query;
  enum uk_kafka_owner owner = owner_in(answer);
  ownership->code = answer->query.code;
  if (owner == UK_KAFKA_OWNER_OTHER) {
    ownership->holds = answer->holds;
    ownership->group_holds = answer->group_holds;
    answer->holds = answer->group_holds = NULL;
  } else if (ownership->code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE) {
    believe(&member->lease);
  }
  member->lease.taken_over = owner != UK_KAFKA_OWNER_NOBODY;
  uk_kafka_membership_release(membership);
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
static bool learn(struct uk_kafka_group_member *member,
                  const struct uk_kafka_membership *membership)
{
  const struct uk_kafka_member_query *answer = &membership->query;
  char id[UK_KAFKA_MEMBER_SIZE];
  if (answer->query.code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE)
    believe(&member->lease);
  if (answer->query.code != RD_KAFKA_RESP_ERR_NO_ERROR || membership->asker[0] == '\0')
    return true;
  member->lease.ask_at = 0;
  if (answer->live && strcmp(answer->member, membership->asker) == 0) {
    confirm(member, membership->asked_at);
    return true;
  }
  /* After another join the answer is about an earlier member. */
  return strcmp(uk_kafka_member_id(member->handle, id, sizeof id), membership->asker) != 0;
}

bool uk_kafka_lease_renew(struct uk_kafka_group_member *member)
{
  struct uk_kafka_membership *membership = uk_kafka_membership_take(&member->lease.query);
  if (membership == NULL)
    return true;
  bool has_it = learn(member, membership);
  uk_kafka_membership_release(membership);
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
