/* kafka_lease: asks the group's coordinator whether this server still has an instance.
 *
 * Any server may take an instance over at any time, and the next request may come back to this
 * server, whose positions are then out of date. So a server delivers records only within
 * UK_KAFKA_LEASE of a query that the coordinator answered with this server's member. A server that
 * takes an instance over waits for the same time before it delivers or confirms a deletion. */
#ifndef UK_KAFKA_LEASE_H
#define UK_KAFKA_LEASE_H

#include "server/kafka_engine/group/kafka_group_private.h"

enum { UK_KAFKA_LEASE = 100 }; /* milliseconds */

/* Asks the coordinator, unless a query is pending or the last one is less than a lease old. */
void uk_kafka_lease_ask(struct uk_kafka_group_member *member, int64_t now);

/* The owner of the instance before this server joins. */
enum uk_kafka_owner {
  UK_KAFKA_OWNER_AWAITED, /* the coordinator is asked, and has not answered */
  UK_KAFKA_OWNER_NOBODY,
  UK_KAFKA_OWNER_OTHER,  /* another server */
  UK_KAFKA_OWNER_UNKNOWN /* the coordinator did not answer, see `code` */
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

/* The member has joined, for the `first` time or again. If it took the instance over, it delivers
 * nothing for the time of a lease. */
void uk_kafka_lease_joined(struct uk_kafka_group_member *member, bool first);

/* Takes an answer, if one has come. False: another server has the instance. Precondition: the
 * member does not leave. */
bool uk_kafka_lease_renew(struct uk_kafka_group_member *member);

/* This server has the instance, and its client may be given records. */
bool uk_kafka_lease_holds(const struct uk_kafka_lease *lease, int64_t now);

/* The confirmation expires soon. Ask now, so that a client that consumes all the time need not wait
 * for the next one. */
bool uk_kafka_lease_expires(const struct uk_kafka_lease *lease, int64_t now);

/* Stops waiting for the answer. */
void uk_kafka_lease_drop(struct uk_kafka_group_member *member);

#endif
