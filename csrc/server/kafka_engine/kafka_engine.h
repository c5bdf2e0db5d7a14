/* kafka_engine: the engine whose records a Kafka cluster keeps. */
#ifndef UK_KAFKA_ENGINE_H
#define UK_KAFKA_ENGINE_H

#include "server/engine/engine.h"
#include "server/kafka_engine/rd/kafka_options.h"

/* UK_OK and *engine, even if the cluster does not answer yet; otherwise an error, with a text in
 * `message`. */
enum uk_error uk_kafka_engine_open(struct uk_engine **engine,
                                   const struct uk_kafka_options *options, char *message,
                                   size_t size);

#endif
