/* kafka_members: asks a group's coordinator whether an instance is a member of the group now.
 *
 * Another server may have taken the instance over, and the one that had it learns of that only by
 * its next heartbeat.
 *
 * The coordinator is asked by its broker number: librdkafka's own search for a coordinator ends the
 * process (at least in 2.0.2) when there is none yet. While the coordinator is not known, all
 * brokers are asked. */
#ifndef UK_KAFKA_MEMBERS_H
#define UK_KAFKA_MEMBERS_H

#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_query.h"

enum {
  UK_KAFKA_MEMBER_SIZE = UK_GROUP_NAME_MAX + 64
}; /* the coordinator appends a UUID to the instance's name */

struct uk_kafka_members;

struct uk_kafka_member_query {
  /* The caller sets its deadline and `then`. The code is UNSUPPORTED_FEATURE if brokers cannot
   * tell. */
  struct uk_kafka_query query;
  const char *group, *instance;
  bool whole; /* ask for what the whole group holds too */
  /* The answer. */
  bool live;
  char member[UK_KAFKA_MEMBER_SIZE]; /* the member ID of a live instance */
  /* Lists, for the caller to destroy. */
  rd_kafka_topic_partition_list_t *holds; /* what a live instance holds; may be NULL */
  rd_kafka_topic_partition_list_t
    *group_holds; /* what all members hold; NULL while the group rebalances */
  /* Its own. */
  size_t asked; /* brokers that have not answered yet */
  struct uk_kafka_members *members;
};

/* `control` and the topics must outlive it. NULL when memory runs out. */
struct uk_kafka_members *uk_kafka_members_new(rd_kafka_t *control,
                                              struct uk_kafka_executor *executor,
                                              struct uk_kafka_topics *topics);
void uk_kafka_members_ask(struct uk_kafka_members *members, struct uk_kafka_member_query *query);
/* Pending queries are answered with DESTROY. Precondition: the executor's threads run. */
void uk_kafka_members_free(struct uk_kafka_members *members);

#endif
