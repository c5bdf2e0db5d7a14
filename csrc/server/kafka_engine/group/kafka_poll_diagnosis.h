/* kafka_poll_diagnosis: finds out why a consume got no records. An empty response must not hide a
 * failure. */
#ifndef UK_KAFKA_POLL_DIAGNOSIS_H
#define UK_KAFKA_POLL_DIAGNOSIS_H

#include "server/kafka_engine/group/kafka_group_private.h"

/* Ends a consume whose time is over: without records, or with the failure. */
void uk_kafka_poll_diagnosis_end(const struct uk_kafka_group_member *member,
                                 struct uk_kafka_request *request, int64_t now);

/* While consumes wait, asks about the topics again from time to time. */
void uk_kafka_poll_diagnosis_refresh(struct uk_kafka_group_member *member, int64_t now);

#endif
