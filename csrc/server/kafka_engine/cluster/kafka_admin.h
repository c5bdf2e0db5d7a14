/* kafka_admin: creates and deletes topics. The cluster's answers are events that a task takes; no
 * thread waits for them. */
#ifndef UK_KAFKA_ADMIN_H
#define UK_KAFKA_ADMIN_H

#include "server/kafka_engine/cluster/kafka_check.h"
#include "server/kafka_engine/rd/kafka_executor.h"

struct uk_kafka_admin;

struct uk_kafka_admin_parts {
  rd_kafka_t *control;
  struct uk_kafka_executor *executor;
  struct uk_kafka_topics *topics;
  int32_t partitions; /* of a topic that is created without a number */
  /* Called when a topic was deleted or may be a new one of the same name: drop what you keep of
   * it. */
  void (*forget)(void *context, struct uk_slice topic);
  void *context;
};

struct uk_kafka_admin *uk_kafka_admin_new(const struct uk_kafka_admin_parts *parts);
void uk_kafka_admin_create_topic(struct uk_kafka_admin *admin, struct uk_create_topic *operation);
void uk_kafka_admin_delete_topic(struct uk_kafka_admin *admin, struct uk_delete_topic *operation);
/* For uk_kafka_check.create; the context is the admin. */
void uk_kafka_admin_create_missing(void *admin, struct uk_kafka_check *check,
                                   struct uk_slice topic);
/* Precondition: no operation is pending, and the executor's threads run. */
void uk_kafka_admin_free(struct uk_kafka_admin *admin);

#endif
