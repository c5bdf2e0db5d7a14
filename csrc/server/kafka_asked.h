/* kafka_asked: topics that a producer of librdkafka was told to ask about.
 *
 * A producer asks about a topic that is new to it within a second, unless it is told to do so at once. */
#ifndef UK_KAFKA_ASKED_H
#define UK_KAFKA_ASKED_H

#include <pthread.h>

#include "server/kafka_rd.h"
#include "server/name_table.h"

struct uk_kafka_asked {
  pthread_mutex_t mutex;
  struct uk_name_table table;
};

void uk_kafka_asked_init(struct uk_kafka_asked *asked);

/* Tells the producer to ask about the topic, the first time that it is named. Does not wait for the answer. From any
 * thread. */
void uk_kafka_ask_about(struct uk_kafka_asked *asked, rd_kafka_t *producer, struct uk_slice topic);

/* For another producer. */
void uk_kafka_asked_clear(struct uk_kafka_asked *asked);
void uk_kafka_asked_free(struct uk_kafka_asked *asked);

#endif
