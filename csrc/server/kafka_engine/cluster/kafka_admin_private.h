/* kafka_admin_private: a request of kafka_admin. librdkafka answers it by an event on the admin's
 * queue, which leads back to the call. After the cluster has accepted the request, the call may
 * wait until the whole cluster shows the result. */
#ifndef UK_KAFKA_ADMIN_PRIVATE_H
#define UK_KAFKA_ADMIN_PRIVATE_H

#include <pthread.h>

#include "server/kafka_engine/cluster/kafka_admin.h"

struct uk_kafka_admin_call {
  struct uk_kafka_topic_query query;
  struct uk_kafka_admin *admin;
  struct uk_operation *operation;
  int64_t deadline;
  void (*answered)(struct uk_kafka_admin_call *call, rd_kafka_event_t *event);
  void (*finish)(struct uk_kafka_admin_call *call); /* frees the call */
  struct uk_kafka_check *check;                     /* that waits for the topic, or NULL */
  struct uk_link link;                              /* among the calls that ask again */
  int64_t again;                                    /* when it asks again */
  bool gone;      /* waits until the topic is gone, not until it is there */
  bool created;   /* by this call */
  bool described; /* `partitions` and the two retentions are the topic's */
  int64_t retention_ms, retention_bytes;
  int32_t partitions; /* requested, then found */
  struct uk_kafka_name topic;
};

struct uk_kafka_admin {
  struct uk_kafka_task task;
  struct uk_kafka_admin_parts parts;
  rd_kafka_queue_t *queue;
  pthread_mutex_t mutex; /* of what follows */
  struct uk_list again;  /* calls that ask again later */
};

/* NULL, with the outcome set, when memory runs out or the cluster is away. */
struct uk_kafka_admin_call *uk_kafka_admin_call_new(struct uk_kafka_admin *admin,
                                                    struct uk_operation *operation,
                                                    struct uk_slice topic);

/* Sets the outcome: the code's error, and a message that names the topic. `text` NULL: librdkafka's
 * text for the code. */
void uk_kafka_admin_fail(struct uk_kafka_admin_call *call, rd_kafka_resp_err_t code,
                         const char *text);

/* The options of a request: its timeout, and the call that its event leads back to. The caller
 * destroys them. */
rd_kafka_AdminOptions_t *uk_kafka_admin_options(struct uk_kafka_admin_call *call,
                                                rd_kafka_admin_op_t kind);

/* Asks until the cluster shows that the topic is there, or gone; then, or when the time is up,
 * calls `finish`. */
void uk_kafka_admin_await(struct uk_kafka_admin_call *call);

#endif
