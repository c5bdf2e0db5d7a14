/* kafka_producer_handle: one producer of librdkafka. It is replaced when it has failed. */
#ifndef UK_KAFKA_PRODUCER_HANDLE_H
#define UK_KAFKA_PRODUCER_HANDLE_H

#include "server/engine/name_set.h"
#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/produce/kafka_send.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

/* See rd_kafka_conf_set_dr_msg_cb; the opaque is the producer handle. */
typedef void uk_kafka_reported(rd_kafka_t *handle, const rd_kafka_message_t *message,
                               void *producer);

struct uk_kafka_producer_handle {
  rd_kafka_t *handle;       /* NULL: none could be opened, or none was needed yet */
  bool alone;               /* each record gets a batch of its own */
  struct uk_name_set asked; /* topics that the handle was made to ask about */
  uk_kafka_reported *reported;
  uk_kafka_refused *refused;
};

void uk_kafka_producer_handle_init(struct uk_kafka_producer_handle *producer, bool alone,
                                   uk_kafka_reported *reported, uk_kafka_refused *refused);
/* Precondition: no record is in flight. */
void uk_kafka_producer_handle_free(struct uk_kafka_producer_handle *producer,
                                   struct uk_kafka_reaper *reaper);

/* Opens another handle and returns the old one. The new one is NULL, with a text, on failure. */
rd_kafka_t *uk_kafka_producer_handle_renew(struct uk_kafka_producer_handle *producer,
                                           const struct uk_kafka_settings *settings, char *text,
                                           size_t size);

/* Waits for the reports of all records in the handle, then ends it. NULL: does nothing. */
void uk_kafka_producer_handle_retire(rd_kafka_t *handle, struct uk_kafka_reaper *reaper);

/* True if the handle delivers no more: for good, or because the cluster is away and records are
 * waiting for it. */
bool uk_kafka_producer_handle_failed(const struct uk_kafka_producer_handle *producer,
                                     struct uk_kafka_topics *topics);

/* Makes the handle ask about the topic now. Does not wait for the answer. */
void uk_kafka_producer_handle_ask(rd_kafka_t *handle, struct uk_slice topic);

/* See uk_kafka_send. Without a handle, every record is refused. */
void uk_kafka_producer_handle_send(struct uk_kafka_producer_handle *producer,
                                   const struct uk_record *records,
                                   struct uk_kafka_delivery_tag *tags, size_t count);

#endif
