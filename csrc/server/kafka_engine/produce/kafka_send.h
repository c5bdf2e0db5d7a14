/* kafka_send: records, handed to a producer of librdkafka. */
#ifndef UK_KAFKA_SEND_H
#define UK_KAFKA_SEND_H

#include "server/kafka_engine/rd/kafka_rd.h"

/* Stands for one record while librdkafka has it: its address is what the delivery report brings. */
struct uk_kafka_delivery_tag {
  void *owner;
};

/* librdkafka did not take the record, and no report will come. */
typedef void uk_kafka_refused(rd_kafka_t *handle, struct uk_kafka_delivery_tag *tag,
                              rd_kafka_resp_err_t code);

/* Hands over records of one topic, in their order; each has its tag. What a record points to stays where it is until its
 * report has come. One without a timestamp gets librdkafka's, which the report tells. */
void uk_kafka_send(rd_kafka_t *handle, rd_kafka_topic_t *topic, const struct uk_record *records,
                   struct uk_kafka_delivery_tag *tags, size_t count, uk_kafka_refused *refused);

#endif
