/* kafka_members: whether an instance is a member of its group, as the group's coordinator says at that moment.
 *
 * Another server may have taken an instance over, and nothing tells the one that had it but the next heartbeat.
 *
 * The coordinator is asked by its number: librdkafka's own search for it ends the process (at least in 2.0.2) where there
 * is none yet. As long as nobody knows which broker it is, all are asked. */
#ifndef UK_KAFKA_MEMBERS_H
#define UK_KAFKA_MEMBERS_H

#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_query.h"

enum {
  UK_KAFKA_MEMBER_SIZE = UK_GROUP_NAME_MAX + 64
}; /* the coordinator adds an UUID to the instance's name */

struct uk_kafka_members;

struct uk_kafka_member_query {
  /* The caller sets its deadline and `then`. Code: UNSUPPORTED_FEATURE where brokers cannot tell. */
  struct uk_kafka_query query;
  const char *group, *instance;
  bool whole; /* what the whole group holds is asked as well */
  /* The answer. */
  bool live;
  char member[UK_KAFKA_MEMBER_SIZE]; /* its name in the group when it is live */
  /* Lists, the caller's to destroy. */
  rd_kafka_topic_partition_list_t *holds; /* what a live one holds; may be NULL */
  rd_kafka_topic_partition_list_t
    *group_holds; /* the same, of all members; NULL while the group rebalances */
  /* Its own. */
  size_t asked; /* brokers that have not answered yet */
  struct uk_kafka_members *members;
};

/* `control` and the topics must outlive it. NULL when memory is out. */
struct uk_kafka_members *uk_kafka_members_new(rd_kafka_t *control,
                                              struct uk_kafka_executor *executor,
                                              struct uk_kafka_topics *topics);
void uk_kafka_members_ask(struct uk_kafka_members *members, struct uk_kafka_member_query *query);
/* What is asked is answered with DESTROY. The executor's threads run. */
void uk_kafka_members_free(struct uk_kafka_members *members);

#endif
