/* kafka_position_metadata: how far a client is, in the metadata of a committed offset.
 *
 * With auto-commit the next request of an instance confirms its last response, on whichever server
 * it arrives. That server knows what was delivered from the metadata that the server before it
 * committed. The marks show it whether the records before these offsets are still the same.
 *
 * The forms, as text:
 *
 *   1   upstash-kafka: delivered up to POSITION
 *   2   upstash-kafka 2: POSITION MARK MARK         before the position, before the offset
 *
 * A MARK is TIMESTAMP/CHECKSUM, the checksum in 16 hexadecimal digits, or "-" if it is not known.
 * Form 1 is written where no mark is known; the first servers know only that one. The rule for a
 * change: a new form gets a new number, so that a server that does not know it ignores it and
 * starts at the offset; a form that was written once keeps its meaning. */
#ifndef UK_KAFKA_POSITION_METADATA_H
#define UK_KAFKA_POSITION_METADATA_H

#include "server/engine/record_mark.h"
#include "server/kafka_engine/rd/kafka_rd.h"

struct uk_kafka_position_metadata {
  int64_t position;                /* at least the offset */
  struct uk_record_mark mark;      /* of the record before the position */
  struct uk_record_mark committed; /* of the record before the offset */
};

/* Adds the metadata to an offset before its commit, unless it says nothing; without memory it adds
 * nothing. */
void uk_kafka_position_metadata_write(rd_kafka_topic_partition_t *at,
                                      const struct uk_kafka_position_metadata *metadata);

/* The metadata of a committed offset. Without any, or with one that does not fit the offset, the
 * position is the offset, and no mark is known. Precondition: the offset is >= 0. */
struct uk_kafka_position_metadata
uk_kafka_position_metadata_read(const rd_kafka_topic_partition_t *at);

#endif
