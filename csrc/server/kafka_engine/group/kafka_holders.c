#include "server/kafka_engine/group/kafka_holders.h"

#include "server/kafka_engine/group/kafka_membership.h"

enum { ASK_TIMEOUT = 2000 }; /* milliseconds */

bool uk_kafka_holders_ask(struct uk_kafka_group_member *member,
                          struct uk_kafka_late_answer **holders, int64_t now)
{
  return uk_kafka_membership_ask(member, holders, true, ASK_TIMEOUT, now);
}

bool uk_kafka_holders_take(struct uk_kafka_late_answer **holders,
                           struct uk_kafka_holdings *holdings)
{
  struct uk_kafka_membership *membership = uk_kafka_membership_take(holders);
  if (membership == NULL)
    return false;
  struct uk_kafka_member_query *answer = &membership->query;
  *holdings = (struct uk_kafka_holdings){
    .own = answer->holds, .all = answer->group_holds, .code = answer->query.code};
  answer->holds = answer->group_holds = NULL;
  uk_kafka_membership_release(membership);
  return true;
}

void uk_kafka_holders_drop(struct uk_kafka_late_answer **holders)
{
  uk_kafka_late_answer_drop(holders);
}
