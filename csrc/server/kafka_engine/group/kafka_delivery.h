/* kafka_delivery: passes an instance's records from librdkafka to the client. */
#ifndef UK_KAFKA_DELIVERY_H
#define UK_KAFKA_DELIVERY_H

#include "server/kafka_engine/group/kafka_group_private.h"
#include "server/kafka_engine/rd/kafka_event.h"
#include "server/kafka_engine/rd/kafka_record.h"

struct uk_kafka_delivery {
  struct uk_deliveries numbers;
  struct uk_kafka_event held; /* a record that did not fit into the last response */
  struct uk_kafka_record record;
  int64_t taken;       /* bytes, since librdkafka was woken to read ahead */
  int64_t taken_count; /* records, since then */
};

enum uk_kafka_delivered {
  UK_KAFKA_DELIVERED_NOTHING, /* also while a record waits until its position is verified */
  UK_KAFKA_DELIVERED_RECORDS, /* or the client was gone: the first consume is answered */
  UK_KAFKA_DELIVERED_TROUBLE  /* no record came; `event` is the failure */
};

/* Answers the first pending consume with the available records. The caller frees the event of
 * TROUBLE. Precondition: a consume is pending. */
enum uk_kafka_delivered uk_kafka_delivery_run(struct uk_kafka_group_member *member,
                                              struct uk_kafka_delivery *delivery,
                                              struct uk_kafka_event *event);

/* Records or other events wait. */
bool uk_kafka_delivery_has_events(const struct uk_kafka_group_member *member,
                                  const struct uk_kafka_delivery *delivery);

/* Drops the record that was held back: it is read again, or not needed any more. */
void uk_kafka_delivery_drop_held(struct uk_kafka_delivery *delivery);

/* The same if its partition has moved. */
void uk_kafka_delivery_drop_moved(const struct uk_kafka_group_member *member,
                                  struct uk_kafka_delivery *delivery);

void uk_kafka_delivery_free(struct uk_kafka_delivery *delivery);

#endif
