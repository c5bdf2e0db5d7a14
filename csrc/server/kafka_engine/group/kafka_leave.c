#include "server/kafka_engine/group/kafka_leave.h"

#include "server/kafka_engine/rd/kafka_handle.h"
#include "server/kafka_engine/rd/kafka_rd.h"

enum { LEAVE_TIMEOUT = 5000 }; /* milliseconds */

void uk_kafka_leave_begin(struct uk_kafka_group_member *member, int64_t now)
{
  member->leaving.until = now + LEAVE_TIMEOUT;
}

static bool is_member(const struct uk_kafka_group_member *member)
{
  char id[UK_KAFKA_MEMBER_SIZE];
  return uk_kafka_member_id(member->handle, id, sizeof id)[0] != '\0';
}

/* True: the consumer cannot be closed, because it is fenced and has nothing left to leave. */
static bool close_consumer(struct uk_kafka_group_member *member)
{
  rd_kafka_error_t *error = rd_kafka_consumer_close_queue(member->handle, member->records);
  member->leaving.step = UK_KAFKA_LEAVE_CLOSING;
  if (error == NULL)
    return false;
  rd_kafka_error_destroy(error);
  return true;
}

/* A static member leaves only by unsubscribing, and by the name that it joined under: a join under
 * way comes first. librdkafka forgets the name before it sends the request, and a handle that is
 * destroyed then takes the request with it: the group would keep the member until its session
 * expires. Only a close waits for the coordinator's answer. */
bool uk_kafka_leave_continue(struct uk_kafka_group_member *member)
{
  struct uk_kafka_leaving *leaving = &member->leaving;
  if (leaving->step == UK_KAFKA_LEAVE_BEGUN && member->subscription.active && !is_member(member))
    return false;
  if (leaving->step == UK_KAFKA_LEAVE_BEGUN) {
    rd_kafka_unsubscribe(member->handle);
    leaving->step = UK_KAFKA_LEAVE_UNSUBSCRIBED;
  }
  if (leaving->step == UK_KAFKA_LEAVE_UNSUBSCRIBED && !is_member(member) && close_consumer(member))
    return true;
  return leaving->step == UK_KAFKA_LEAVE_CLOSING && rd_kafka_consumer_closed(member->handle) != 0;
}
