#include "server/kafka_send.h"

enum { RUN_MAX = 64 };

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

/* librdkafka tells an empty value from none by the pointer. */
static void *bytes_of(struct uk_slice slice, bool there)
{
  return !there ? NULL : (void *)(uintptr_t)(slice.length > 0 ? slice.data : "");
}

static rd_kafka_resp_err_t send_one(rd_kafka_t *handle, rd_kafka_topic_t *topic,
                                    const struct uk_record *record, void *opaque)
{
  rd_kafka_headers_t *headers = record->header_count > 0 ? make_headers(record) : NULL;
  const rd_kafka_vu_t fields[] = {
    {.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = topic},
    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
    {.vtype = RD_KAFKA_VTYPE_VALUE,
     .u.mem = {bytes_of(record->value, record->has_value), record->value.length}},
    {.vtype = RD_KAFKA_VTYPE_KEY,
     .u.mem = {bytes_of(record->key, record->has_key), record->key.length}},
    {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp >= 0 ? record->timestamp : 0},
    {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = opaque},
    {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = headers},
  };
  size_t count = sizeof fields / sizeof *fields - (headers == NULL);
  rd_kafka_error_t *error = rd_kafka_produceva(handle, fields, count);
  rd_kafka_resp_err_t code = rd_kafka_error_code(error); /* NULL is no error */
  if (error != NULL && headers != NULL)
    rd_kafka_headers_destroy(headers);
  if (error != NULL)
    rd_kafka_error_destroy(error);
  return code;
}

/* How many of the records, from the first on, can go in one call, which takes neither headers nor a timestamp. With
 * several partitions in it, 2.0.2 loses count of what it does not take. 0: the first cannot. */
static size_t run_length(const struct uk_record *records, size_t count)
{
  size_t length = 0;
  while (length < count && length < RUN_MAX && records[length].header_count == 0 &&
         records[length].timestamp < 0 && records[length].partition >= 0 &&
         records[length].partition == records[0].partition)
    length++;
  return length;
}

static void send_run(rd_kafka_t *handle, rd_kafka_topic_t *topic, const struct uk_record *records,
                     struct uk_kafka_ticket *tickets, size_t count, uk_kafka_refused *refused)
{
  rd_kafka_message_t messages[RUN_MAX];
  for (size_t i = 0; i < count; i++) {
    const struct uk_record *record = &records[i];
    messages[i] = (rd_kafka_message_t){.payload = bytes_of(record->value, record->has_value),
                                       .len = record->value.length,
                                       .key = bytes_of(record->key, record->has_key),
                                       .key_len = record->key.length,
                                       ._private = &tickets[i]};
  }
  size_t taken =
    (size_t)rd_kafka_produce_batch(topic, records[0].partition, 0, messages, (int)count);
  for (size_t i = 0; taken < count && i < count; i++) {
    if (messages[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
      refused(handle, &tickets[i], messages[i].err);
  }
}

void uk_kafka_send(rd_kafka_t *handle, rd_kafka_topic_t *topic, const struct uk_record *records,
                   struct uk_kafka_ticket *tickets, size_t count, uk_kafka_refused *refused)
{
  for (size_t i = 0, length; i < count; i += length) {
    length = run_length(records + i, count - i);
    if (length > 1) {
      send_run(handle, topic, records + i, tickets + i, length, refused);
      continue;
    }
    length = 1;
    rd_kafka_resp_err_t code = send_one(handle, topic, &records[i], &tickets[i]);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
      refused(handle, &tickets[i], code);
  }
}
