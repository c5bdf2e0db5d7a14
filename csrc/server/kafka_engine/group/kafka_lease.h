/* kafka_lease: whether this server has an instance, as the group's coordinator says.
 *
 * Any server may take an instance over at any time, and the next request may come back to this
 * server, whose positions are then out of date. So a server delivers records only within
 * UK_KAFKA_LEASE of a question that the coordinator answered with this server's member. A server
 * that takes an instance over waits as long before it delivers, or answers that the instance is
 * deleted. */
#ifndef UK_KAFKA_LEASE_H
#define UK_KAFKA_LEASE_H

#include "server/kafka_engine/group/kafka_group_private.h"

enum { UK_KAFKA_LEASE = 100 }; /* milliseconds */

/* Asks the coordinator, unless it has a question that it has not answered, or was asked less than a
 * lease ago. */
void uk_kafka_lease_ask(struct uk_kafka_group_member *member, int64_t now);

/* Who has the instance before this server joins. */
enum uk_kafka_owner {
  UK_KAFKA_OWNER_AWAITED, /* the coordinator is asked, and has not answered */
  UK_KAFKA_OWNER_NOBODY,
  UK_KAFKA_OWNER_OTHER,  /* another server */
  UK_KAFKA_OWNER_UNKNOWN /* the coordinator did not say, see `code` */
};
/* The lists are the caller's to destroy, and NULL when they are not known. NOBODY has the code
 * UNSUPPORTED_FEATURE where brokers cannot tell who has an instance. */
struct uk_kafka_ownership {
  rd_kafka_topic_partition_list_t *holds;       /* the partitions that the instance has there */
  rd_kafka_topic_partition_list_t *group_holds; /* those that its whole group has */
  rd_kafka_resp_err_t code;
};
/* Asks at first, then takes the answer. */
enum uk_kafka_owner uk_kafka_lease_owner(struct uk_kafka_group_member *member, int64_t now,
                                         struct uk_kafka_ownership *ownership);

/* The member has joined, for the `first` time or again: one that took the instance over is quiet
 * for a lease at first. */
void uk_kafka_lease_joined(struct uk_kafka_group_member *member, bool first);

/* Takes an answer, if one has come. False: another server has the instance. Precondition: the
 * member does not leave. */
bool uk_kafka_lease_renew(struct uk_kafka_group_member *member);

/* This server has the instance, and its client may be given records. */
bool uk_kafka_lease_holds(const struct uk_kafka_lease *lease, int64_t now);

/* The confirmation expires soon: a client that consumes all the time does not wait for the next
 * one. */
bool uk_kafka_lease_expires(const struct uk_kafka_lease *lease, int64_t now);

/* Waits for no answer any more. */
void uk_kafka_lease_drop(struct uk_kafka_group_member *member);

#endif
