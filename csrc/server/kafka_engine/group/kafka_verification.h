/* kafka_verification: finds out whether the positions of an instance still belong to their topics.
 *
 * A topic may be deleted and created again, a log may lose its end, records may be removed, and
 * librdkafka reads on at the same offsets, or at others by the reset policy, and says nothing. So
 * the record before a position is read again:
 *
 *   when the instance gets a partition       before anything is delivered from it
 *   when librdkafka reads below the position
 *   when records wait                        unless that was done just now: uk_record_trust
 *   when records were delivered              if the next ones would soon have to wait
 *   while a consume waits                    every few seconds
 *
 * If it is another record, or the partition ends before it, the position belongs to another life of
 * the topic, and the instance starts at the first offset. */
#ifndef UK_KAFKA_VERIFICATION_H
#define UK_KAFKA_VERIFICATION_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* A position that is not valid any more, while the reset is `none`. */
struct uk_kafka_refused {
  bool found; /* false: there is none */
  struct uk_kafka_name topic;
  int32_t partition;
  int64_t position;
  int64_t offset; /* the one that is out of range; -1: another record is at the position */
};

/* `verification` is where the member keeps the query. */

/* Asks, if a position has to be verified and no query is under way. */
void uk_kafka_verification_ask(struct uk_kafka_group_member *member,
                               struct uk_kafka_late_answer **verification, int64_t now);

/* Takes an answer, if one has come: partitions are cleared, or moved to where their position is
 * from now on. Returns the partition whose position is not valid any more and whose reset is
 * `none`, if there is one. */
struct uk_kafka_refused uk_kafka_verification_take(struct uk_kafka_group_member *member,
                                                   struct uk_kafka_late_answer **verification,
                                                   int64_t now);

/* Stops waiting for the answer. */
void uk_kafka_verification_drop(struct uk_kafka_late_answer **verification);

#endif
