/* kafka_handle: consumer handles without a group, which read any partition from any offset. */
#ifndef UK_KAFKA_HANDLE_H
#define UK_KAFKA_HANDLE_H

#include "server/kafka_engine/rd/kafka_settings.h"

/* NULL, with a text, on failure. `wait`: how many milliseconds a broker without new records may
 * delay its answer. */
rd_kafka_t *uk_kafka_handle_new(const struct uk_kafka_settings *settings, int wait, char *text,
                                size_t size);

/* Makes librdkafka read ahead again. Its broker threads sleep for up to a second once enough has
 * been read ahead, and nothing tells them when records are taken. Setting credentials wakes them
 * all, and setting the same credentials changes nothing. (A request to each leader works too, but
 * costs the broker 50 us.) */
void uk_kafka_nudge(rd_kafka_t *handle, const struct uk_kafka_settings *settings);

/* Wakes the main thread of a group's consumer, without waiting for it: it then sends a heartbeat if
 * one is due, rather than within a second. (librdkafka answers a commit of nothing to nobody.) */
void uk_kafka_wake(rd_kafka_t *handle);

/* The member ID that the group gave the consumer, "" while it is not a member. Returns `id`. Do not
 * call it while the consumer leaves: librdkafka may never answer. */
const char *uk_kafka_member_id(rd_kafka_t *handle, char *id, size_t size);

#endif
