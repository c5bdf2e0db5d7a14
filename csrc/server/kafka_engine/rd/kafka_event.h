/* kafka_event: what the queue of a consumer handle delivers: a record, or a code for a
 * partition. */
#ifndef UK_KAFKA_EVENT_H
#define UK_KAFKA_EVENT_H

#include "server/kafka_engine/rd/kafka_rd.h"

/* An event from the queue of a consumer. `message` NULL: the event is `code`, about `place`. */
struct uk_kafka_event {
  rd_kafka_event_t *event;           /* NULL: no event */
  const rd_kafka_message_t *message; /* NULL: see `code` */
  rd_kafka_resp_err_t code;
  rd_kafka_topic_partition_t *place; /* NULL: about no partition; the offset is the end's */
};

/* False when the queue is empty. */
bool uk_kafka_event_next(rd_kafka_queue_t *queue, struct uk_kafka_event *event);
void uk_kafka_event_free(struct uk_kafka_event *event);

#endif
