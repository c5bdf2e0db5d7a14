/* kafka_handover: how far the client of an instance is, for the server that takes the instance over.
 *
 * With auto-commit the next request of an instance says that its last delivery delivered, to whichever server it comes. So
 * that the other one knows what was delivered, it is noted in the metadata of the committed offsets once the response was
 * sent as a whole. That is a commit for each delivery: only an instance that was taken over itself makes it, and no longer
 * once UK_KAFKA_METADATA_COMMITS requests in a row came to the same server. */
#ifndef UK_KAFKA_HANDOVER_H
#define UK_KAFKA_HANDOVER_H

#include "server/kafka_engine/group/kafka_instance.h"

enum { UK_KAFKA_METADATA_COMMITS = 100 };

/* Notes it with the offset that is to be committed; without memory it does not. */
void uk_kafka_handover_write_metadata(rd_kafka_topic_partition_t *at, int64_t position);
/* What was noted with an offset that was committed; -1: nothing. */
int64_t uk_kafka_handover_read_metadata(const rd_kafka_topic_partition_t *at);

/* Reads what is noted of the partitions that the instance is given. False: it need not be known, or there is no memory. */
bool uk_kafka_handover_ask(struct uk_kafka_instance *instance,
                           const rd_kafka_topic_partition_list_t *list);
/* The partitions with what is noted of them, the caller's; NULL: not asked, or not known yet. */
rd_kafka_topic_partition_list_t *uk_kafka_handover_take(struct uk_kafka_instance *instance);
/* It need not be known any more. */
void uk_kafka_handover_drop(struct uk_kafka_instance *instance);

#endif
