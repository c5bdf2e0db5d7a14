/* kafka_missing_topics: remembers which topics were missing while an instance subscribed to them.
 *
 * When a topic is deleted, the cluster forgets what groups have committed in it, and its instances
 * may end. If it is created again, everything in it is newer than what the instance had: even with
 * the reset `latest` it must not start at the end. */
#ifndef UK_KAFKA_MISSING_TOPICS_H
#define UK_KAFKA_MISSING_TOPICS_H

#include "server/engine/name_set.h"
#include "server/kafka_engine/group/kafka_group_private.h"

/* Remembers the topics of the subscription that librdkafka's text says are missing. */
void uk_kafka_missing_topics_note(const struct uk_kafka_group_member *member, const char *text);

/* Adds those topics of the list that were missing for this instance to `found`. */
void uk_kafka_missing_topics_find(const struct uk_kafka_group_member *member,
                                  const rd_kafka_topic_partition_list_t *list,
                                  struct uk_name_set *found);

/* The instance has a position in these topics now. */
void uk_kafka_missing_topics_forget(const struct uk_kafka_group_member *member,
                                    const rd_kafka_topic_partition_list_t *list);

#endif
