#include "server/kafka_engine/rd/kafka_record.h"

#include <stdlib.h>

static struct uk_slice bytes(const void *data, size_t length)
{
  return uk_slice_of(data != NULL ? data : "", data != NULL ? length : 0);
}

static bool make_room(struct uk_kafka_record *record, size_t count)
{
  if (count <= record->room)
    return true;
  struct uk_record_header *headers = realloc(record->headers, count * sizeof *headers);
  if (headers == NULL)
    return false;
  record->headers = headers;
  record->room = count;
  return true;
}

/* A header with a null value gets an empty one: the REST API has no null. */
static bool fill_headers(struct uk_kafka_record *record, const rd_kafka_message_t *message)
{
  rd_kafka_headers_t *headers;
  const char *name;
  const void *value;
  size_t length, count = 0;
  if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
    return true;
  if (!make_room(record, rd_kafka_header_cnt(headers)))
    return false;
  while (count < record->room && rd_kafka_header_get_all(headers, count, &name, &value, &length) ==
                                   RD_KAFKA_RESP_ERR_NO_ERROR)
    record->headers[count++] = (struct uk_record_header){uk_slice_text(name), bytes(value, length)};
  record->record.headers = record->headers;
  record->record.header_count = count;
  return true;
}

bool uk_kafka_record_fill(struct uk_kafka_record *record, const rd_kafka_message_t *message)
{
  rd_kafka_timestamp_type_t type;
  record->record = (struct uk_record){
    .topic = uk_slice_text(rd_kafka_topic_name(message->rkt)),
    .partition = message->partition,
    .offset = message->offset,
    .timestamp = rd_kafka_message_timestamp(message, &type),
    .has_key = message->key != NULL,
    .has_value = message->payload != NULL,
    .key = bytes(message->key, message->key_len),
    .value = bytes(message->payload, message->len),
  };
  return fill_headers(record, message);
}

void uk_kafka_record_free(struct uk_kafka_record *record)
{
  free(record->headers);
  *record = (struct uk_kafka_record){.headers = NULL};
}
