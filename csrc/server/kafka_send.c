#include "server/kafka_send.h"

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

rd_kafka_resp_err_t uk_kafka_send(rd_kafka_t *handle, const struct uk_record *record, void *opaque)
{
  struct uk_kafka_name name = uk_kafka_name(record->topic);
  rd_kafka_headers_t *headers = record->header_count > 0 ? make_headers(record) : NULL;
  const rd_kafka_vu_t fields[] = {
    {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = name.text},
    {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = record->partition},
    {.vtype = RD_KAFKA_VTYPE_VALUE,
     .u.mem = {bytes_of(record->value, record->has_value), record->value.length}},
    {.vtype = RD_KAFKA_VTYPE_KEY,
     .u.mem = {bytes_of(record->key, record->has_key), record->key.length}},
    {.vtype = RD_KAFKA_VTYPE_TIMESTAMP, .u.i64 = record->timestamp},
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
