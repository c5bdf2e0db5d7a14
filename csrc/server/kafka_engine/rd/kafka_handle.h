/* kafka_handle: consumer handles without a group, which read any partition from any offset. */
#ifndef UK_KAFKA_HANDLE_H
#define UK_KAFKA_HANDLE_H

#include "server/kafka_engine/rd/kafka_settings.h"

/* NULL with a text when there is none to be had. `wait` is how many milliseconds a broker that has nothing new may
 * think about it; nothing is heard from it before. */
rd_kafka_t *uk_kafka_handle_new(const struct uk_kafka_settings *settings, int wait, char *text,
                                size_t size);

/* Sees to it that more is read ahead. librdkafka's threads for brokers sleep for up to a second when enough was read
 * ahead, and nothing tells them that it was taken since. To be given credentials wakes them all, and those that they have
 * already change nothing. (A request to each leader would do as well; it costs the broker 50 us.) */
void uk_kafka_nudge(rd_kafka_t *handle, const struct uk_kafka_settings *settings);

/* The name that its group gave the consumer, "" while it is no member. Returns `id`. Not while the consumer leaves:
 * librdkafka may never answer then. */
const char *uk_kafka_member_id(rd_kafka_t *handle, char *id, size_t size);

#endif
