/* kafka_key_topic: shares idempotency keys with the other servers on the cluster, through a topic.
 *
 * A server appends a row for each answer that it keeps, and follows the rows of the others. It
 * begins with the first produce that has a key: it creates the topic if need be, finds where the
 * window begins, and reads to the end. Until then produces with keys wait, but no longer than
 * UK_KAFKA_KEY_PATIENCE: without the topic a server still knows its own keys.
 *
 * A row is appended without waiting for it, as its produce is answered. So another server stores a
 * repeat again that reaches it before the row does. */
#ifndef UK_KAFKA_KEY_TOPIC_H
#define UK_KAFKA_KEY_TOPIC_H

#include "server/engine/produce_keys.h"
#include "server/kafka_engine/produce/kafka_producer.h"
#include "server/kafka_engine/rd/kafka_blocking.h"

#define UK_KAFKA_KEY_TOPIC UK_TOPIC_OWN_PREFIX "keys"

enum { UK_KAFKA_KEY_PATIENCE = 5000 }; /* milliseconds */

struct uk_kafka_key_topic;

struct uk_kafka_key_topic_parts {
  const struct uk_kafka_settings *settings;
  rd_kafka_t *control;
  struct uk_kafka_executor *executor;
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_reaper *reaper;
  struct uk_kafka_producer *producer;
  struct uk_produce_keys *keys;
  int64_t window; /* milliseconds */
  bool create;    /* the topic, if it does not exist */
  /* Called for each operation that had to wait. */
  void (*ready)(void *context, struct uk_produce *operation);
  void *context;
};

/* NULL when memory is out. */
struct uk_kafka_key_topic *uk_kafka_key_topic_new(const struct uk_kafka_key_topic_parts *parts);
/* Precondition: no operation is pending; the executor runs. Rows under way are no operations: call
 * it before the producer is freed. */
void uk_kafka_key_topic_free(struct uk_kafka_key_topic *topic);

/* True if the keys of other servers are known, or cannot be: the operation may begin. Otherwise it
 * waits, and `ready` is called later, possibly before this returns. */
bool uk_kafka_key_topic_await(struct uk_kafka_key_topic *topic, struct uk_produce *operation);

/* Shares the outcome of a produce that is kept. */
void uk_kafka_key_topic_share(struct uk_kafka_key_topic *topic, const struct uk_produce *operation);

/* False, with the reason in `text`, while keys are not shared. */
bool uk_kafka_key_topic_is_shared(struct uk_kafka_key_topic *topic, char *text, size_t size);

#endif
