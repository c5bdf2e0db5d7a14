#include "server/kafka_engine/produce/kafka_send.h"

enum { PLAIN_MAX = 64 }; /* the bits of a uint64_t */

struct target {
  rd_kafka_t *handle;
  rd_kafka_topic_t *topic;
  uk_kafka_refused *refused;
};

static rd_kafka_headers_t *make_headers(const struct uk_record *record)
{
  rd_kafka_headers_t *headers = rd_kafka_headers_new(record->header_count);
  for (size_t i = 0; i < record->header_count; i++) {
    const struct uk_record_header *header = &record->headers[i];
    rd_kafka_header_add(
      headers, header->key.length > 0 ? header->key.data : "", (ssize_t)header->key.length,
      header->value.length > 0 ? header->value.data : "", (ssize_t)header->value.length);
  }
  return headers;
}

/* librdkafka tells an empty value from a missing one by the pointer. */
static void *bytes_of(struct uk_slice slice, bool there)
{
  return !there ? NULL : (void *)(uintptr_t)(slice.length > 0 ? slice.data : "");
}

static void send_one(const struct target *target, const struct uk_record *record,
                     struct uk_kafka_delivery_tag *tag)
{
  rd_kafka_headers_t *headers = record->header_count > 0 ? make_headers(record) : NULL;
  const rd_kafka_vu_t fields[] = {
    {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = target->topic},
    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
    {.vtype = RD_KAFKA_VTYPE_VALUE,
     .u.mem = {bytes_of(record->value, record->has_value), record->value.length}},
    {.vtype = RD_KAFKA_VTYPE_KEY,
     .u.mem = {bytes_of(record->key, record->has_key), record->key.length}},
    {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp >= 0 ? record->timestamp : 0},
    {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = tag},
    {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
  };
  size_t count = sizeof fields / sizeof *fields - (headers == NULL);
  rd_kafka_error_t *error = rd_kafka_produceva(target->handle, fields, count);
  if (error == NULL)
    return;
  if (headers != NULL)
    rd_kafka_headers_destroy(headers);
  target->refused(target->handle, tag, rd_kafka_error_code(error));
  rd_kafka_error_destroy(error);
}

/* How many records at the beginning need no call of their own. A call for many takes neither
 * headers nor timestamps. */
static size_t plain_length(const struct uk_record *records, size_t count)
{
  size_t length = 0;
  while (length < count && length < PLAIN_MAX && records[length].header_count == 0 &&
         records[length].timestamp < 0 && records[length].partition >= 0)
    length++;
  return length;
}

static rd_kafka_message_t message_of(const struct uk_record *record,
                                     struct uk_kafka_delivery_tag *tag)
{
  return (rd_kafka_message_t){.payload = bytes_of(record->value, record->has_value),
                              .len = record->value.length,
                              .key = bytes_of(record->key, record->has_key),
                              .key_len = record->key.length,
                              ._private = tag};
}

/* Sends the remaining records of one partition, in their order: in 2.0.2, a call for several
 * partitions miscounts what it does not take. Returns what remains, a bit for each record. */
static uint64_t send_partition(const struct target *target, const struct uk_record *records,
                               struct uk_kafka_delivery_tag *tags, uint64_t left)
{
  rd_kafka_message_t messages[PLAIN_MAX];
  int32_t partition = records[__builtin_ctzll(left)].partition;
  int count = 0;
  for (uint64_t rest = left; rest != 0; rest &= rest - 1) {
    int i = __builtin_ctzll(rest);
    if (records[i].partition != partition)
      continue;
    messages[count++] = message_of(&records[i], &tags[i]);
    left &= ~(UINT64_C(1) << i);
  }
  int taken = rd_kafka_produce_batch(target->topic, partition, 0, messages, count);
  for (int i = 0; taken < count && i < count; i++) {
    if (messages[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
      target->refused(target->handle, messages[i]._private, messages[i].err);
  }
  return left;
}

static void send_plain(const struct target *target, const struct uk_record *records,
                       struct uk_kafka_delivery_tag *tags, size_t count)
{
  uint64_t left = ~UINT64_C(0) >> (PLAIN_MAX - count);
  while (left != 0)
    left = send_partition(target, records, tags, left);
}

void uk_kafka_send(rd_kafka_t *handle, rd_kafka_topic_t *topic, const struct uk_record *records,
                   struct uk_kafka_delivery_tag *tags, size_t count, uk_kafka_refused *refused)
{
  const struct target target = {handle, topic, refused};
  for (size_t i = 0, length; i<count; i += length> 1 ? length : 1) {
    length = plain_length(records + i, count - i);
    if (length > 1)
      send_plain(&target, records + i, tags + i, length);
    else
      send_one(&target, &records[i], &tags[i]);
  }
}
