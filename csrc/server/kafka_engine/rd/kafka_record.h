/* kafka_record: a message of librdkafka as a record of the engine. */
#ifndef UK_KAFKA_RECORD_H
#define UK_KAFKA_RECORD_H

#include "server/kafka_engine/rd/kafka_rd.h"

/* All zero is an empty one. Used for one message after another, so that its room for headers is made once. */
struct uk_kafka_record {
  struct uk_record record; /* its bytes are the message's */
  struct uk_record_header *headers;
  size_t room;
};

/* False when memory is out. The message must outlive the use of the record. */
bool uk_kafka_record_fill(struct uk_kafka_record *record, const rd_kafka_message_t *message);

void uk_kafka_record_free(struct uk_kafka_record *record);

#endif
