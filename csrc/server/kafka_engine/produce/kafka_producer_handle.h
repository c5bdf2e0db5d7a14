/* kafka_producer_handle: one producer of librdkafka, through which records go to the cluster. Made anew when it has failed. */
#ifndef UK_KAFKA_PRODUCER_HANDLE_H
#define UK_KAFKA_PRODUCER_HANDLE_H

#include "server/engine/name_set.h"
#include "server/kafka_engine/cluster/kafka_topics.h"
#include "server/kafka_engine/produce/kafka_send.h"
#include "server/kafka_engine/rd/kafka_reaper.h"
#include "server/kafka_engine/rd/kafka_settings.h"

/* As rd_kafka_conf_set_dr_msg_cb's; the producer is the opaque. */
typedef void uk_kafka_reported(rd_kafka_t *handle, const rd_kafka_message_t *message,
                               void *producer);

struct uk_kafka_producer_handle {
  rd_kafka_t *handle;       /* NULL: none could be made, or none was needed yet */
  bool alone;               /* each record goes in a batch of its own */
  struct uk_name_set asked; /* topics that the handle was told to ask about */
  uk_kafka_reported *reported;
  uk_kafka_refused *refused;
};

void uk_kafka_producer_handle_init(struct uk_kafka_producer_handle *producer, bool alone,
                                   uk_kafka_reported *reported, uk_kafka_refused *refused);
/* With no record under way. */
void uk_kafka_producer_handle_free(struct uk_kafka_producer_handle *producer,
                                   struct uk_kafka_reaper *reaper);

/* Another handle. Returns the one that it had; the new one is NULL, with a text, when there is none to be had. */
rd_kafka_t *uk_kafka_producer_handle_renew(struct uk_kafka_producer_handle *producer,
                                           const struct uk_kafka_settings *settings, char *text,
                                           size_t size);

/* Brings reports for all that the handle still has; then it is ended. NULL: nothing. */
void uk_kafka_producer_handle_retire(rd_kafka_t *handle, struct uk_kafka_reaper *reaper);

/* Whether the handle brings no more answers: for good, or for as long as the cluster is away and records wait for it. */
bool uk_kafka_producer_handle_failed(const struct uk_kafka_producer_handle *producer,
                                     struct uk_kafka_topics *topics);

/* Has the handle ask about the topic at once, and does not wait for the answer. */
void uk_kafka_producer_handle_ask(rd_kafka_t *handle, struct uk_slice topic);

/* As uk_kafka_send. Without a handle, no record is taken. */
void uk_kafka_producer_handle_send(struct uk_kafka_producer_handle *producer,
                                   const struct uk_record *records,
                                   struct uk_kafka_delivery_tag *tags, size_t count);

#endif
