/* kafka_position_metadata: how far a client is, in the metadata of a committed offset.
 *
 * With auto-commit the next request of an instance confirms its last response, on whichever server
 * it arrives. That server knows what was delivered from the metadata that the server before it
 * committed. */
#ifndef UK_KAFKA_POSITION_METADATA_H
#define UK_KAFKA_POSITION_METADATA_H

#include "server/kafka_engine/rd/kafka_rd.h"

/* Adds the position to an offset before its commit; without memory it adds nothing. */
void uk_kafka_position_metadata_write(rd_kafka_topic_partition_t *at, int64_t position);

/* The position in the metadata of a committed offset; -1: none, or one below the offset. */
int64_t uk_kafka_position_metadata_read(const rd_kafka_topic_partition_t *at);

#endif
