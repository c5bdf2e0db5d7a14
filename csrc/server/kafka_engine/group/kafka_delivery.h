/* kafka_delivery: passes an instance's records from librdkafka to the client. */
#ifndef UK_KAFKA_DELIVERY_H
#define UK_KAFKA_DELIVERY_H

#include "server/engine/deliveries.h"
#include "server/kafka_engine/group/kafka_batch.h"
#include "server/kafka_engine/group/kafka_group_private.h"
#include "server/kafka_engine/rd/kafka_event.h"
#include "server/kafka_engine/rd/kafka_record.h"

struct uk_kafka_delivery {
  struct uk_deliveries numbers;
  struct uk_kafka_batch batch; /* the outstanding one; empty if there is none */
  bool plain; /* the last response went to a client that says nothing about its batches */
  struct uk_kafka_event held; /* a record that did not fit into the last response */
  struct uk_kafka_record record;
  int64_t taken;       /* bytes, since librdkafka was woken to read ahead */
  int64_t taken_count; /* records, since then */
};

enum uk_kafka_delivered {
  UK_KAFKA_DELIVERED_NOTHING, /* also while a record waits until its position is verified */
  UK_KAFKA_DELIVERED_RECORDS, /* or the client was gone: the consume is answered */
  UK_KAFKA_DELIVERED_TROUBLE  /* no record came; `event` is the failure */
};

/* Answers the consume with the available records. The caller frees the event of TROUBLE.
 * Precondition: no batch is outstanding. */
enum uk_kafka_delivered uk_kafka_delivery_run(struct uk_kafka_group_member *member,
                                              struct uk_kafka_delivery *delivery,
                                              struct uk_kafka_request *request,
                                              struct uk_kafka_event *event);

/* The consume is about to be answered with a new batch, or with the outstanding one again: numbers
 * the delivery, and writes the ID of the batch. */
void uk_kafka_delivery_number(struct uk_kafka_group_member *member,
                              struct uk_kafka_delivery *delivery, struct uk_consume *consume);

/* The outstanding batch has arrived, or nothing is left of it: everything in flight is
 * delivered. */
void uk_kafka_delivery_acknowledge(struct uk_kafka_group_member *member,
                                   struct uk_kafka_delivery *delivery);

/* A consume ended without records: frees the memory that was kept for the next batch. */
void uk_kafka_delivery_rest(struct uk_kafka_delivery *delivery);

/* Records or other events wait. Precondition: the handle is open. */
bool uk_kafka_delivery_has_events(const struct uk_kafka_group_member *member,
                                  const struct uk_kafka_delivery *delivery);

/* Drops the record that was held back: it is read again, or not needed any more. */
void uk_kafka_delivery_drop_held(struct uk_kafka_delivery *delivery);

/* The same if its partition has moved. */
void uk_kafka_delivery_drop_moved(const struct uk_kafka_group_member *member,
                                  struct uk_kafka_delivery *delivery);

void uk_kafka_delivery_free(struct uk_kafka_delivery *delivery);

#endif
