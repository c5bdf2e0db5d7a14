/* kafka_send: hands records to a producer of librdkafka. */
#ifndef UK_KAFKA_SEND_H
#define UK_KAFKA_SEND_H

#include "server/kafka_engine/rd/kafka_rd.h"

/* Stands for one record while librdkafka has it: the delivery report brings its address back. */
struct uk_kafka_delivery_tag {
  void *owner;
};

/* Called when librdkafka does not take the record: no report will arrive. */
typedef void uk_kafka_refused(rd_kafka_t *handle, struct uk_kafka_delivery_tag *tag,
                              rd_kafka_resp_err_t code);

/* Hands over records of one topic in their order, each with its tag. What a record points to must
 * stay in place until its report has arrived. A record without a timestamp gets librdkafka's, which
 * the report contains. */
void uk_kafka_send(rd_kafka_t *handle, rd_kafka_topic_t *topic, const struct uk_record *records,
                   struct uk_kafka_delivery_tag *tags, size_t count, uk_kafka_refused *refused);

#endif
