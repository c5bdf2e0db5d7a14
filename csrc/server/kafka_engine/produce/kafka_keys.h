/* kafka_keys: produces with idempotency keys. Puts together the table of the keys that this server
 * knows, the topic that shares them with other servers, and the producer. */
#ifndef UK_KAFKA_KEYS_H
#define UK_KAFKA_KEYS_H

#include "server/kafka_engine/produce/kafka_producer.h"
#include "server/kafka_engine/rd/kafka_blocking.h"

/* Of all users, and of one. */
enum {
  UK_KAFKA_KEYS_MAX = 500000,
  UK_KAFKA_KEYS_BYTES_MAX = 256 << 20,
  UK_KAFKA_USER_KEYS_MAX = UK_KAFKA_KEYS_MAX / 2,
  UK_KAFKA_USER_KEYS_BYTES_MAX = UK_KAFKA_KEYS_BYTES_MAX / 2
};

struct uk_kafka_keys;

struct uk_kafka_keys_parts {
  const struct uk_kafka_settings *settings;
  rd_kafka_t *control;
  struct uk_kafka_executor *executor;
  struct uk_kafka_blocking *blocking;
  struct uk_kafka_reaper *reaper;
  struct uk_kafka_producer *producer;
  int64_t window; /* milliseconds */
  bool create;    /* the topic, if it does not exist */
};

/* NULL when memory is out. */
struct uk_kafka_keys *uk_kafka_keys_new(const struct uk_kafka_keys_parts *parts);
/* Precondition: no operation is pending. Call it before the producer is freed. */
void uk_kafka_keys_free(struct uk_kafka_keys *keys);

/* Precondition: the operation has a key. */
void uk_kafka_keys_produce(struct uk_kafka_keys *keys, struct uk_produce *operation);

/* What an operator should know: keys that go before their time, or are not shared; or "". */
void uk_kafka_keys_note(struct uk_kafka_keys *keys, char *text, size_t size);

#endif
