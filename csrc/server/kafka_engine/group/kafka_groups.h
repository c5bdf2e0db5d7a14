/* kafka_groups: the consumer instances of groups. Each has a consumer of librdkafka, which joins
 * its group with the instance's name as group.instance.id.
 *
 * An instance is a task. It owns the consumer and what is known of its partitions, and gets its
 * requests through an inbox. A request that waits holds no thread. */
#ifndef UK_KAFKA_GROUPS_H
#define UK_KAFKA_GROUPS_H

#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/cluster/kafka_committed.h"
#include "server/kafka_engine/cluster/kafka_record_reader.h"
#include "server/kafka_engine/rd/kafka_blocking.h"
#include "server/kafka_engine/rd/kafka_executor.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

struct uk_kafka_groups;

struct uk_kafka_groups_parts {
  const struct uk_kafka_settings *settings;
  rd_kafka_t *control;
  struct uk_kafka_executor *executor;
  struct uk_kafka_topics *topics;
  struct uk_kafka_reaper *reaper;
  struct uk_kafka_blocking *blocking;
  int64_t prefetch_bytes, prefetch_budget;
  struct uk_kafka_committed *committed;
  struct uk_kafka_record_reader *records;
  /* As in uk_kafka_check, for a consume that may create its topics; NULL: topics are not
   * created. */
  void (*create)(void *context, struct uk_kafka_check *check, struct uk_slice topic);
  void *create_context;
};

struct uk_kafka_groups *uk_kafka_groups_new(const struct uk_kafka_groups_parts *parts);
void uk_kafka_groups_consume(struct uk_kafka_groups *groups, struct uk_consume *operation);
void uk_kafka_groups_commit(struct uk_kafka_groups *groups, struct uk_commit *operation);
void uk_kafka_groups_delete(struct uk_kafka_groups *groups, struct uk_delete_consumer *operation);
void uk_kafka_groups_list(struct uk_kafka_groups *groups, struct uk_consumers *operation);
/* See uk_engine_methods.consume_expired. */
void uk_kafka_groups_consume_expired(struct uk_kafka_groups *groups, struct uk_consume *operation);
void uk_kafka_groups_response_finished(struct uk_kafka_groups *groups, struct uk_slice group,
                                       struct uk_slice instance, uint64_t delivery,
                                       enum uk_response_outcome outcome);
void uk_kafka_groups_drain(struct uk_kafka_groups *groups);
/* Precondition: no operation is pending. The instances stay members of their groups: another
 * server, or this one after its restart, takes them over. */
void uk_kafka_groups_free(struct uk_kafka_groups *groups);

#endif
