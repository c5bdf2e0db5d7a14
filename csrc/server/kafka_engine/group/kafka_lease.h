/* kafka_lease: whether an instance is still this server's.
 *
 * Any server may take an instance over at any time, and the next request may come back to this one: it must not go on
 * from a position that is not the instance's any more. So records are delivered only by a server that was told less than
 * UK_KAFKA_LEASE ago that it has the instance. One that takes it over lets as much time pass before it delivers, or says
 * that the instance is deleted. */
#ifndef UK_KAFKA_LEASE_H
#define UK_KAFKA_LEASE_H

#include "server/kafka_engine/group/kafka_instance.h"

enum { UK_KAFKA_LEASE = 100 }; /* milliseconds */

/* Asks the coordinator who has the instance. Does nothing while an answer is outstanding. */
void uk_kafka_lease_ask(struct uk_kafka_instance *instance, int64_t now);

/* The first answer, before the instance joins. */
enum uk_kafka_first {
  UK_KAFKA_FIRST_WAITS,
  UK_KAFKA_FIRST_FREE,
  UK_KAFKA_FIRST_HELD,
  UK_KAFKA_FIRST_FAILED
};
/* HELD: by another server; `holds`, the caller's to destroy, is what it holds there (may be NULL). FAILED with a code. */
enum uk_kafka_first uk_kafka_lease_first(struct uk_kafka_instance *instance, int64_t now,
                                         rd_kafka_topic_partition_list_t **holds,
                                         rd_kafka_resp_err_t *code);

/* It has joined. */
void uk_kafka_lease_joined(struct uk_kafka_instance *instance);

/* Takes the answer that came, and asks where somebody waits for one. Sets `lost` where another server has the instance. */
void uk_kafka_lease_serve(struct uk_kafka_instance *instance, int64_t now);

/* Whether records may be delivered. */
bool uk_kafka_lease_holds(const struct uk_kafka_instance *instance, int64_t now);

/* Whether there are records that wait for nothing but the coordinator's word. */
bool uk_kafka_lease_is_awaited(const struct uk_kafka_instance *instance, int64_t now);

/* Nobody waits for an answer any more. */
void uk_kafka_lease_drop(struct uk_kafka_instance *instance);

#endif
