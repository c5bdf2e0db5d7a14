#include "server/kafka_engine/group/kafka_leave.h"

#include <stdio.h>

#include "server/kafka_engine/group/kafka_commits.h"

enum { LEAVE_TIMEOUT = 5000 }; /* milliseconds in which the group hears of it */

const char *uk_kafka_instance_member(const struct uk_kafka_instance *instance,
                                     char name[UK_KAFKA_MEMBER_SIZE])
{
  char *member = rd_kafka_memberid(instance->handle);
  snprintf(name, UK_KAFKA_MEMBER_SIZE, "%s", member != NULL ? member : "");
  if (member != NULL)
    rd_kafka_mem_free(instance->handle, member);
  return name;
}

void uk_kafka_instance_leave(struct uk_kafka_instance *instance, int64_t now)
{
  if (instance->leaves_until != 0)
    return;
  if (instance->settings.auto_commit)
    uk_kafka_instance_commit_delivered(instance);
  instance->leaves_until = now + LEAVE_TIMEOUT;
}

static bool is_member(const struct uk_kafka_instance *instance)
{
  char name[UK_KAFKA_MEMBER_SIZE];
  return uk_kafka_instance_member(instance, name)[0] != '\0';
}

/* A static member leaves only by unsubscribing, and by the name that it joined under, so a join under way comes first.
 * librdkafka forgets the name before the request is on its way, and a handle that is destroyed then takes the request
 * with it: the group would keep the member until its session is over. Only a close waits for the coordinator's
 * answer. */
bool uk_kafka_instance_has_left(struct uk_kafka_instance *instance)
{
  if (instance->leaving == UK_KAFKA_STAYS && instance->subscribed && !is_member(instance))
    return false;
  if (instance->leaving == UK_KAFKA_STAYS) {
    rd_kafka_unsubscribe(instance->handle);
    instance->leaving = UK_KAFKA_UNSUBSCRIBED;
  }
  if (instance->leaving == UK_KAFKA_UNSUBSCRIBED && !is_member(instance)) {
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(instance->handle, instance->records);
    instance->leaving = UK_KAFKA_CLOSES;
    if (error != NULL) { /* fenced: there is nothing left to leave */
      rd_kafka_error_destroy(error);
      return true;
    }
  }
  return instance->leaving == UK_KAFKA_CLOSES && rd_kafka_consumer_closed(instance->handle) != 0;
}
