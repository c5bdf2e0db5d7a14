/* kafka_takeover: takes an instance over from another server, for a commit or a deletion alone.
 *
 *   from                     when                                              to
 *   INQUIRING                another server has the instance                   JOINING
 *   INQUIRING                no server has it, or the coordinator is silent    ENDED
 *   JOINING                  the group lets the member in                      COMMITTING
 *   COMMITTING               all commits are answered, and a deletion waits    LEAVING
 *   JOINING, COMMITTING      no request is left; a third server takes over     ENDED
 *   INQUIRING to COMMITTING  the server closes                                 ENDED
 *   LEAVING                  the group confirms that it has left, or is late   ENDED
 *
 * It joins the group under the instance's name, which fences the other server, and reads no
 * records. When it has nothing left to do it ends without leaving the group: the next request
 * decides which server has the instance. */
#ifndef UK_KAFKA_TAKEOVER_H
#define UK_KAFKA_TAKEOVER_H

#include "server/kafka_engine/group/kafka_group_private.h"

enum uk_kafka_takeover_state {
  UK_KAFKA_TAKEOVER_INQUIRING,  /* the coordinator is asked who has the instance */
  UK_KAFKA_TAKEOVER_JOINING,    /* the group admits the member */
  UK_KAFKA_TAKEOVER_COMMITTING, /* it is a member, and commits what requests ask for */
  UK_KAFKA_TAKEOVER_LEAVING,    /* for deletions, when all commits are answered */
  UK_KAFKA_TAKEOVER_ENDED
};

struct uk_kafka_takeover {
  struct uk_kafka_group_member member;
  enum uk_kafka_takeover_state state;
};

/* NULL: memory is out. `ended` as in uk_kafka_group_member_init. */
struct uk_kafka_group_member *uk_kafka_takeover_new(struct uk_kafka_groups *groups,
                                                    struct uk_slice group, struct uk_slice name,
                                                    void (*ended)(struct uk_kafka_task *task));
void uk_kafka_takeover_free(struct uk_kafka_group_member *member);

#endif
