/* kafka_rebalance: gives an instance the partitions that its group assigns, and takes them away. */
#ifndef UK_KAFKA_REBALANCE_H
#define UK_KAFKA_REBALANCE_H

#include "server/engine/name_set.h"
#include "server/kafka_engine/group/kafka_group_private.h"

enum uk_kafka_rebalance {
  UK_KAFKA_GIVEN,         /* partitions; the caller takes or refuses them */
  UK_KAFKA_DECLINED,      /* partitions that do not fit the subscription: they were refused */
  UK_KAFKA_REVOKED,       /* the caller gives them up */
  UK_KAFKA_REBALANCE_LOST /* the group does not know the member any more */
};

/* Returns what the event asks for. `group_holds`: the partitions that the whole group had before
 * this server took the instance over, NULL when not known. A member that leaves takes whatever it
 * is given. */
enum uk_kafka_rebalance uk_kafka_rebalance(struct uk_kafka_group_member *member,
                                           rd_kafka_event_t *event,
                                           const rd_kafka_topic_partition_list_t *group_holds);

/* True if it is known here where every partition starts. */
bool uk_kafka_rebalance_knows(const struct uk_kafka_group_member *member,
                              const rd_kafka_topic_partition_list_t *list);

/* Those of the partitions that start by the reset policy if nothing is committed for them, as
 * kafka_starts takes them, for the caller to destroy. NULL: there are none. `created` as below. */
rd_kafka_topic_partition_list_t *
uk_kafka_rebalance_starts(const struct uk_kafka_group_member *member,
                          const rd_kafka_topic_partition_list_t *list, struct uk_name_set *created);

struct uk_kafka_start {
  bool resumes;                /* another server had the instance: starts where its client is */
  struct uk_name_set *created; /* topics that its consumes created */
  rd_kafka_topic_partition_list_t *starts; /* of partitions without a committed offset; NULL: not
                                              known */
};

/* Takes the partitions, with what is committed for them (kafka_handover). A partition that comes
 * back resumes where it was: it was not lost, so no other member has read it since. In the topics
 * `created`, a partition without a committed offset starts at its first record even if the reset is
 * `latest`. False: memory is out, and nothing has changed. */
bool uk_kafka_rebalance_take(struct uk_kafka_group_member *member,
                             rd_kafka_topic_partition_list_t *list,
                             const struct uk_kafka_start *from);

/* Answers an assignment without taking a partition. */
void uk_kafka_rebalance_refuse(struct uk_kafka_group_member *member);

/* The group does not know the member any more, and the member does not leave. Once its revocation
 * is answered, librdkafka joins again, and an instance that was deleted would be back. */
bool uk_kafka_rebalance_is_forgotten(const struct uk_kafka_group_member *member);

/* Gives all partitions up. */
void uk_kafka_rebalance_give_up(struct uk_kafka_group_member *member);

#endif
