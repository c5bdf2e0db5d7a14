#include "server/kafka_engine/group/kafka_membership.h"

#include <stdlib.h>

#include "server/kafka_engine/rd/kafka_handle.h"

static struct uk_kafka_membership *membership_of(struct uk_kafka_late_answer *late)
{
  return (struct uk_kafka_membership *)((char *)late - offsetof(struct uk_kafka_membership, late));
}

static void free_membership(struct uk_kafka_late_answer *late)
{
  struct uk_kafka_membership *membership = membership_of(late);
  if (membership->query.holds != NULL)
    rd_kafka_topic_partition_list_destroy(membership->query.holds);
  if (membership->query.group_holds != NULL)
    rd_kafka_topic_partition_list_destroy(membership->query.group_holds);
  free(membership);
}

static void answered(struct uk_kafka_query *query)
{
  uk_kafka_late_answer_arrive(&((struct uk_kafka_membership *)query)->late);
}

bool uk_kafka_membership_ask(struct uk_kafka_group_member *member,
                             struct uk_kafka_late_answer **slot, bool whole, int64_t timeout,
                             int64_t now)
{
  struct uk_kafka_membership *membership = calloc(1, sizeof *membership);
  if (membership == NULL)
    return false;
  memcpy(membership->names, member->key, sizeof membership->names);
  membership->query =
    (struct uk_kafka_member_query){.query = {.deadline = now + timeout, .then = answered},
                                   .group = membership->names,
                                   .instance = membership->names + member->group.length + 1,
                                   .whole = whole};
  membership->asked_at = now;
  if (member->handle != NULL)
    uk_kafka_member_id(member->handle, membership->asker, sizeof membership->asker);
  uk_kafka_late_answer_init(&membership->late, &member->task, free_membership);
  *slot = &membership->late;
  uk_kafka_members_ask(member->groups->members, &membership->query);
  return true;
}

struct uk_kafka_membership *uk_kafka_membership_take(struct uk_kafka_late_answer **slot)
{
  struct uk_kafka_late_answer *late = uk_kafka_late_answer_take(slot);
  return late != NULL ? membership_of(late) : NULL;
}

void uk_kafka_membership_release(struct uk_kafka_membership *membership)
{
  uk_kafka_late_answer_release(&membership->late);
}
