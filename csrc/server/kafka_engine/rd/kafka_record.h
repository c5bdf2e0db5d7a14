/* kafka_record: a message of librdkafka as a record of the engine. */
#ifndef UK_KAFKA_RECORD_H
#define UK_KAFKA_RECORD_H

#include "server/kafka_engine/rd/kafka_rd.h"

/* Zeroed, it is empty. Reuse one for many messages: its space for headers is then allocated
 * once. */
struct uk_kafka_record {
  struct uk_record record; /* points into the message */
  struct uk_record_header *headers;
  size_t room;
};

/* False when memory runs out. The message must outlive the use of the record. */
bool uk_kafka_record_fill(struct uk_kafka_record *record, const rd_kafka_message_t *message);

void uk_kafka_record_free(struct uk_kafka_record *record);

#endif
