/* kafka_fetch: reads records from given offsets on, without a group, and answers for the offsets of
 * partitions.
 *
 * A fetch acquires a session, which reads its partitions through a shared consumer handle. If there
 * is nothing to read, the fetch gives the session back and waits without one: a single handle
 * watches the ends of all partitions with waiters. */
#ifndef UK_KAFKA_FETCH_H
#define UK_KAFKA_FETCH_H

#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/rd/kafka_blocking.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

struct uk_kafka_fetches;

struct uk_kafka_fetch_parts {
  const struct uk_kafka_settings *settings;
  struct uk_kafka_executor *executor;
  struct uk_kafka_topics *topics;
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_reaper *reaper;
  rd_kafka_t *control; /* for offsets */
};

struct uk_kafka_fetches *uk_kafka_fetches_new(const struct uk_kafka_fetch_parts *parts);
void uk_kafka_fetches_fetch(struct uk_kafka_fetches *fetches, struct uk_fetch *operation);
void uk_kafka_fetches_offsets(struct uk_kafka_fetches *fetches, struct uk_offsets *operation);
/* The topic is gone: what is in memory does not belong to a new one of the same name. */
void uk_kafka_fetches_forget(struct uk_kafka_fetches *fetches, struct uk_slice topic);
/* Ends all fetches that wait, and from now on none waits. */
/* See uk_engine_methods.fetch_expired. */
void uk_kafka_fetches_expired(struct uk_kafka_fetches *fetches, struct uk_fetch *operation);
void uk_kafka_fetches_drain(struct uk_kafka_fetches *fetches);
/* Precondition: no operation is pending, and the executor runs. The handles go to the reaper. */
void uk_kafka_fetches_free(struct uk_kafka_fetches *fetches);

#endif
