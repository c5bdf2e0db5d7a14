/* kafka_handover: reads where an instance starts: what its group has committed, with the metadata
 * (kafka_position_metadata), which librdkafka itself does not read; and where the partitions start
 * in which it has committed nothing (kafka_starts).
 *
 * The metadata has the marks by which an offset can be verified, and for an instance that another
 * server had, how far its client is. The previous server committed this position after each
 * response that was written in full. To save commits, a server does so only for an instance that it
 * took over, and stops once UK_KAFKA_METADATA_COMMITS requests in a row have come to it. */
#ifndef UK_KAFKA_HANDOVER_H
#define UK_KAFKA_HANDOVER_H

#include "server/kafka_engine/group/kafka_group_private.h"

enum { UK_KAFKA_METADATA_COMMITS = 100 };

/* `handover` is where the member keeps the query. */

/* Asks for the committed offsets of the partitions. `starts` has those of them that start by the
 * reset policy if nothing is committed, as kafka_starts takes them; it is destroyed. NULL: none is
 * to be asked about. False: memory is out. */
bool uk_kafka_handover_ask(struct uk_kafka_group_member *member,
                           struct uk_kafka_late_answer **handover,
                           const rd_kafka_topic_partition_list_t *list,
                           rd_kafka_topic_partition_list_t *starts, int64_t now);

struct uk_kafka_handed_over {
  rd_kafka_resp_err_t code;
  /* The partitions with their committed offsets and metadata; all offsets are invalid if there is a
   * code. */
  rd_kafka_topic_partition_list_t *committed;
  rd_kafka_topic_partition_list_t *starts; /* of others, as kafka_starts leaves them; may be NULL */
};

/* The lists are the caller's to destroy. False: there is no answer yet. */
bool uk_kafka_handover_take(struct uk_kafka_late_answer **handover,
                            struct uk_kafka_handed_over *handed_over);

/* Stops waiting for the answer. */
void uk_kafka_handover_drop(struct uk_kafka_late_answer **handover);

#endif
