/* kafka_leave: how an instance leaves its group, so that others have its partitions at once. */
#ifndef UK_KAFKA_LEAVE_H
#define UK_KAFKA_LEAVE_H

#include "server/kafka_engine/group/kafka_instance.h"

/* Begins to. Requests wait until it has left, and then make a new instance. */
void uk_kafka_instance_leave(struct uk_kafka_instance *instance, int64_t now);
/* Goes on. True: the group said that it has left. */
bool uk_kafka_instance_has_left(struct uk_kafka_instance *instance);
/* The name that the group knows the member by, "" while it has none. Returns `name`. Not of one that leaves: librdkafka
 * may never answer. */
const char *uk_kafka_instance_member(const struct uk_kafka_instance *instance,
                                     char name[UK_KAFKA_MEMBER_SIZE]);

#endif
