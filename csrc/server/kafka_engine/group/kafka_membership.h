/* kafka_membership: a member's question to its group's coordinator: who has the instance, and which
 * partitions do the members hold. The answer may come after the member has ended. */
#ifndef UK_KAFKA_MEMBERSHIP_H
#define UK_KAFKA_MEMBERSHIP_H

#include "server/kafka_engine/group/kafka_group_private.h"

struct uk_kafka_membership {
  struct uk_kafka_member_query query; /* the answer; a list that its reader keeps becomes NULL */
  struct uk_kafka_late_answer late;
  int64_t asked_at;
  char asker[UK_KAFKA_MEMBER_SIZE]; /* this server's member ID when it asked; "": it had none */
  char names[2 * (UK_GROUP_NAME_MAX + 1)];
};

/* `slot` is where the member keeps the question. `whole`: also asks what the whole group holds. The
 * coordinator has `timeout` milliseconds. False: memory is out. */
bool uk_kafka_membership_ask(struct uk_kafka_group_member *member,
                             struct uk_kafka_late_answer **slot, bool whole, int64_t timeout,
                             int64_t now);

/* The answer, for the caller to release. NULL: there is none yet. */
struct uk_kafka_membership *uk_kafka_membership_take(struct uk_kafka_late_answer **slot);
void uk_kafka_membership_release(struct uk_kafka_membership *membership);

#endif
