#include "server/kafka_engine/group/kafka_instance_leave.h"

#include "server/kafka_engine/group/kafka_group_member.h"

bool uk_kafka_instance_leave(struct uk_kafka_instance *instance, int64_t now)
{
  uk_kafka_group_member_leave(&instance->member, now);
  instance->state = UK_KAFKA_LEAVING;
  return true;
}

static bool is_silent(const struct uk_kafka_group_member *member, int64_t now)
{
  return uk_list_is_empty(&member->consumes) && uk_list_is_empty(&member->deletes) &&
         uk_kafka_requests_last_consume(&member->commits) == NULL &&
         now >= member->last_request + member->settings.session_timeout;
}

bool uk_kafka_instance_leave_if_silent(struct uk_kafka_instance *instance, int64_t now)
{
  return is_silent(&instance->member, now) ? uk_kafka_instance_leave(instance, now) : false;
}
