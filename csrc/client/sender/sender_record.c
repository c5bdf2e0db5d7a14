#include "client/sender/sender_record.h"

/* Precedes each packed header. */
struct lengths {
  uint32_t key, value;
};

size_t uk_sender_record_size(const struct uk_message *message, size_t headers_length)
{
  const size_t parts[] = {message->topic.length, message->key.length, message->value.length,
                          headers_length};
  size_t size = sizeof(struct uk_sender_record);
  if (message->topic.length > UINT16_MAX)
    return 0;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    if (parts[i] > UK_RECORD_MAX - size)
      return 0;
    size += parts[i];
  }
  size = (size + UK_RECORD_ALIGNMENT - 1) / UK_RECORD_ALIGNMENT * UK_RECORD_ALIGNMENT;
  return size <= UK_RECORD_MAX ? size : 0;
}

static char *put(char *at, struct uk_slice bytes)
{
  if (bytes.length > 0)
    memcpy(at, bytes.data, bytes.length);
  return at + bytes.length;
}

void uk_sender_record_write(struct uk_sender_record *record, size_t size,
                            const struct uk_message *message, struct uk_slice headers)
{
  record->size = (uint32_t)size;
  record->flags = (uint16_t)((message->key.data != NULL ? UK_RECORD_KEYED : 0) |
                             (message->value.data != NULL ? UK_RECORD_VALUED : 0));
  record->timestamp = message->timestamp;
  record->key_length = (uint32_t)message->key.length;
  record->value_length = (uint32_t)message->value.length;
  record->headers_length = (uint32_t)headers.length;
  record->partition = (int32_t)message->partition;
  record->topic_length = (uint16_t)message->topic.length;
  char *at = put((char *)(record + 1), message->topic);
  at = put(at, message->key);
  at = put(at, message->value);
  put(at, headers);
}

static struct uk_slice take(const char **at, size_t length)
{
  struct uk_slice bytes = uk_slice_of(*at, length);
  *at += length;
  return bytes;
}

struct uk_slice uk_sender_record_read(const struct uk_sender_record *record,
                                      struct uk_message *message)
{
  const char *at = (const char *)(record + 1);
  *message = (struct uk_message){.partition = record->partition, .timestamp = record->timestamp};
  message->topic = take(&at, record->topic_length);
  if (record->flags & UK_RECORD_KEYED)
    message->key = take(&at, record->key_length);
  if (record->flags & UK_RECORD_VALUED)
    message->value = take(&at, record->value_length);
  return take(&at, record->headers_length);
}

void uk_sender_header_pack(struct uk_buffer *headers, struct uk_slice key, struct uk_slice value)
{
  const struct lengths lengths = {(uint32_t)key.length, (uint32_t)value.length};
  if (key.length > UK_RECORD_MAX || value.length > UK_RECORD_MAX) {
    headers->error = UK_E_TOO_LARGE;
    return;
  }
  uk_buffer_append(headers, &lengths, sizeof lengths);
  uk_buffer_append(headers, key.data, key.length);
  uk_buffer_append(headers, value.data, value.length);
}

bool uk_sender_header_next(struct uk_slice *headers, struct uk_slice *key, struct uk_slice *value)
{
  struct lengths lengths;
  if (headers->length < sizeof lengths)
    return false;
  memcpy(&lengths, headers->data, sizeof lengths);
  *key = uk_slice_of(headers->data + sizeof lengths, lengths.key);
  *value = uk_slice_of(key->data + lengths.key, lengths.value);
  headers->data = value->data + lengths.value;
  headers->length -= sizeof lengths + lengths.key + lengths.value;
  return true;
}
