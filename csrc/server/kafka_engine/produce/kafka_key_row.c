#include "server/kafka_engine/produce/kafka_key_row.h"

#include "server/engine/produce_answer.h"

enum { VERSION = 1, USER_MAX = UINT16_MAX };

static const size_t fingerprint_size = sizeof((struct uk_produce_key *)NULL)->fingerprint;

void uk_kafka_key_row_write(struct uk_buffer *key, struct uk_buffer *value,
                            const struct uk_produce *operation)
{
  const struct uk_produce_key *from = &operation->key;
  size_t length = from->user.length < USER_MAX ? from->user.length : USER_MAX;
  uk_buffer_append_byte(key, (char)(length >> 8));
  uk_buffer_append_byte(key, (char)(length & 0xff));
  uk_buffer_append(key, from->user.data, length);
  uk_buffer_append(key, from->key.data, from->key.length);
  uk_buffer_append_byte(value, VERSION);
  uk_buffer_append(value, from->fingerprint, fingerprint_size);
  size_t before = value->length;
  if (operation->operation.error == UK_OK || operation->each)
    uk_produce_answer_write(value, operation);
  if (value->length - before > UK_KAFKA_KEY_ANSWER_MAX)
    value->length = before;
}

bool uk_kafka_key_row_read(struct uk_slice key, struct uk_slice value, struct uk_produce_key *read,
                           struct uk_slice *answer)
{
  if (key.length < 2 || value.length < 1 + fingerprint_size || value.data[0] != VERSION)
    return false;
  const uint8_t *bytes = (const uint8_t *)key.data;
  size_t length = (size_t)bytes[0] << 8 | bytes[1];
  if (length + 2 >= key.length || key.length - 2 - length > UK_IDEMPOTENCY_KEY_MAX)
    return false;
  read->user = uk_slice_of(key.data + 2, length);
  read->key = uk_slice_of(key.data + 2 + length, key.length - 2 - length);
  memcpy(read->fingerprint, value.data + 1, fingerprint_size);
  *answer = uk_slice_of(value.data + 1 + fingerprint_size, value.length - 1 - fingerprint_size);
  return true;
}
