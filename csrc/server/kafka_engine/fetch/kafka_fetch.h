/* kafka_fetch: records from given offsets on, without a group, and the offsets of a partition.
 *
 * A fetch borrows a reader, a consumer handle that reads its partitions from its offsets on for as long as there is
 * something; one that finds nothing gives it back and waits without it: one handle watches the ends of all partitions
 * that somebody waits for. */
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
/* The topic is gone: what is in memory of it is not the records of another of its name. */
void uk_kafka_fetches_forget(struct uk_kafka_fetches *fetches, struct uk_slice topic);
/* Ends all that waits; nothing waits from now on. */
void uk_kafka_fetches_drain(struct uk_kafka_fetches *fetches);
/* With no operation in its hands, and with the executor still running. The handles go to the reaper. */
void uk_kafka_fetches_free(struct uk_kafka_fetches *fetches);

#endif
