#include "server/kafka_engine/rd/kafka_event.h"

bool uk_kafka_event_next(rd_kafka_queue_t *queue, struct uk_kafka_event *event)
{
  *event = (struct uk_kafka_event){.event = rd_kafka_queue_poll(queue, 0)};
  if (event->event == NULL)
    return false;
  if (rd_kafka_event_type(event->event) == RD_KAFKA_EVENT_FETCH)
    event->message = rd_kafka_event_message_next(event->event);
  if (event->message == NULL) {
    event->code = rd_kafka_event_error(event->event);
    event->place = rd_kafka_event_topic_partition(event->event);
  }
  return true;
}

void uk_kafka_event_free(struct uk_kafka_event *event)
{
  if (event->place != NULL)
    rd_kafka_topic_partition_destroy(event->place);
  rd_kafka_event_destroy(event->event);
  *event = (struct uk_kafka_event){.event = NULL};
}
