/* kafka_key_row: an idempotency key and the answer that is kept for it, as a record of the topic
 * through which servers share them.
 *
 *   key     u16 length of the user's name, the name, the idempotency key
 *   value   u8 version (1), 16 bytes of fingerprint, the answer (produce_answer.h), or nothing if
 *           the outcome is unknown
 *
 * Integers are big-endian. A server ignores rows of versions that it does not know. */
#ifndef UK_KAFKA_KEY_ROW_H
#define UK_KAFKA_KEY_ROW_H

#include "common/buffer.h"
#include "server/engine/engine.h"

/* A longer answer is not shared: another server then knows that the outcome is unknown to it. */
enum { UK_KAFKA_KEY_ANSWER_MAX = 512 << 10 };

/* Appends the record's key and value for an operation that has ended. */
void uk_kafka_key_row_write(struct uk_buffer *key, struct uk_buffer *value,
                            const struct uk_produce *operation);

/* What a record says; the slices point into it. False if it is not a row. */
bool uk_kafka_key_row_read(struct uk_slice key, struct uk_slice value, struct uk_produce_key *read,
                           struct uk_slice *answer);

#endif
