/* kafka_admin_private: a request of kafka_admin under way. The call says to librdkafka what it wants, with a queue whose
 * events find it again; where the cluster has then done its part, the call may still wait until all of the cluster shows
 * it. */
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
  struct uk_kafka_check *check;                     /* where a topic is made for it */
  struct uk_link link;                              /* among those that ask again */
  int64_t again;                                    /* when it does */
  bool gone;      /* waits for the topic's end, not for its beginning */
  bool created;   /* by this call */
  bool described; /* the two that follow are the topic's */
  int64_t retention_ms, retention_bytes;
  int32_t partitions; /* wanted, then found */
  struct uk_kafka_name topic;
};

struct uk_kafka_admin {
  struct uk_kafka_task task;
  struct uk_kafka_admin_parts parts;
  rd_kafka_queue_t *queue;
  pthread_mutex_t mutex; /* of the rest */
  struct uk_list again;  /* calls that ask again later */
};

/* NULL, with the outcome set: memory is out, or the cluster is away and there is nothing to wait for. */
struct uk_kafka_admin_call *uk_kafka_admin_call_new(struct uk_kafka_admin *admin,
                                                    struct uk_operation *operation,
                                                    struct uk_slice topic);

/* Sets the outcome: the error of the code, and a message that names the topic; `text` NULL: librdkafka's. */
void uk_kafka_admin_fail(struct uk_kafka_admin_call *call, rd_kafka_resp_err_t code,
                         const char *text);

/* For a request: its time, and the call for its event. To be destroyed. */
rd_kafka_AdminOptions_t *uk_kafka_admin_options(struct uk_kafka_admin_call *call,
                                                rd_kafka_admin_op_t kind);

/* Asks until the cluster shows that the topic is there, or gone; then, or when the time is over, calls `finish`. */
void uk_kafka_admin_await(struct uk_kafka_admin_call *call);

#endif
