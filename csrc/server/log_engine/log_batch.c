#include "server/log_engine/log_batch.h"

#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_checksum.h"

enum { HAS_KEY = 1, HAS_VALUE = 2, HAS_HEADERS = 4, KNOWN_FLAGS = 7 };

/* Varints. */

static size_t varint_size(uint64_t value)
{
  return value == 0 ? 1 : (size_t)(70 - __builtin_clzll(value)) / 7;
}

static uint8_t *put_varint(uint8_t *out, uint64_t value)
{
  for (; value >= 0x80; value >>= 7)
    *out++ = (uint8_t)(value | 0x80);
  *out++ = (uint8_t)value;
  return out;
}

static bool get_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
  *value = 0;
  for (unsigned shift = 0; shift < 64 && *at < end; shift += 7) {
    uint8_t byte = *(*at)++;
    if (shift == 63 && byte > 1)
      return false;
    *value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80)
      return true;
  }
  return false;
}

/* The difference modulo 2^64; small distances in either direction become small numbers. */
static uint64_t zigzag(int64_t timestamp, int64_t base)
{
  uint64_t delta = (uint64_t)timestamp - (uint64_t)base;
  return delta << 1 ^ (0 - (delta >> 63));
}

static int64_t unzigzag(uint64_t coded, int64_t base)
{
  return (int64_t)((uint64_t)base + (coded >> 1 ^ (0 - (coded & 1))));
}

static size_t field_size(struct uk_slice field)
{
  return varint_size(field.length) + field.length;
}

static uint8_t *put_field(uint8_t *out, struct uk_slice field)
{
  out = put_varint(out, field.length);
  if (field.length > 0)
    memcpy(out, field.data, field.length);
  return out + field.length;
}

static bool get_field(const uint8_t **at, const uint8_t *end, struct uk_slice *field)
{
  uint64_t length;
  if (!get_varint(at, end, &length) || length > (uint64_t)(end - *at))
    return false;
  *field = uk_slice_of((const char *)*at, (size_t)length);
  *at += length;
  return true;
}

/* Writing. */

size_t uk_log_record_bytes(const struct uk_record *record)
{
  size_t bytes = record->has_key ? record->key.length : 0;
  bytes += record->has_value ? record->value.length : 0;
  for (size_t i = 0; i < record->header_count; i++)
    bytes += record->headers[i].key.length + record->headers[i].value.length;
  return bytes;
}

/* The size of a record without the varint that holds its length. */
static size_t body_size(const struct uk_record *record, uint64_t delta)
{
  size_t size = 1 + varint_size(delta);
  size += record->has_key ? field_size(record->key) : 0;
  size += record->has_value ? field_size(record->value) : 0;
  size += record->header_count > 0 ? varint_size(record->header_count) : 0;
  for (size_t i = 0; i < record->header_count; i++)
    size += field_size(record->headers[i].key) + field_size(record->headers[i].value);
  return size;
}

static uint8_t *put_body(uint8_t *out, const struct uk_record *record, uint64_t delta)
{
  *out++ = (uint8_t)((record->has_key ? HAS_KEY : 0) | (record->has_value ? HAS_VALUE : 0) |
                     (record->header_count > 0 ? HAS_HEADERS : 0));
  out = put_varint(out, delta);
  if (record->has_key)
    out = put_field(out, record->key);
  if (record->has_value)
    out = put_field(out, record->value);
  if (record->header_count > 0)
    out = put_varint(out, record->header_count);
  for (size_t i = 0; i < record->header_count; i++) {
    out = put_field(out, record->headers[i].key);
    out = put_field(out, record->headers[i].value);
  }
  return out;
}

void uk_log_builder_init(struct uk_log_builder *builder)
{
  *builder = (struct uk_log_builder){.count = 0};
  uk_buffer_init(&builder->bytes, UK_LOG_BATCH_HEADER + 64 + (size_t)UK_LOG_RECORD_BYTES_MAX);
}

void uk_log_builder_free(struct uk_log_builder *builder)
{
  uk_buffer_free(&builder->bytes);
}

void uk_log_builder_clear(struct uk_log_builder *builder)
{
  if (builder->bytes.capacity > 4 * (size_t)UK_LOG_BATCH_BYTES)
    uk_buffer_free(&builder->bytes);
  uk_buffer_clear(&builder->bytes);
  builder->count = 0;
  builder->base_timestamp = builder->max_timestamp = 0;
}

bool uk_log_builder_fits(const struct uk_log_builder *builder, const struct uk_record *record,
                         int64_t timestamp)
{
  if (builder->count == 0)
    return true;
  size_t body = body_size(record, zigzag(timestamp, builder->base_timestamp));
  return body < UK_LOG_BATCH_BYTES &&
         builder->bytes.length + varint_size(body) + body <= UK_LOG_BATCH_BYTES;
}

static enum uk_error reserve_header(struct uk_log_builder *builder)
{
  if (builder->bytes.length > 0)
    return UK_OK;
  char *header = uk_buffer_reserve(&builder->bytes, UK_LOG_BATCH_BYTES);
  if (header == NULL)
    return builder->bytes.error;
  memset(header, 0, UK_LOG_BATCH_HEADER);
  uk_buffer_commit(&builder->bytes, UK_LOG_BATCH_HEADER);
  return UK_OK;
}

enum uk_error uk_log_builder_add(struct uk_log_builder *builder, const struct uk_record *record,
                                 int64_t timestamp)
{
  bool first = builder->count == 0;
  int64_t base = first ? timestamp : builder->base_timestamp;
  uint64_t delta = zigzag(timestamp, base);
  size_t body = body_size(record, delta);
  if (body > UK_LOG_RECORD_BYTES_MAX)
    return UK_E_TOO_LARGE;
  if (reserve_header(builder) != UK_OK)
    return builder->bytes.error;
  char *out = uk_buffer_reserve(&builder->bytes, varint_size(body) + body);
  if (out == NULL)
    return builder->bytes.error;
  put_body(put_varint((uint8_t *)out, body), record, delta);
  uk_buffer_commit(&builder->bytes, varint_size(body) + body);
  builder->count++;
  builder->base_timestamp = base;
  if (first || timestamp > builder->max_timestamp)
    builder->max_timestamp = timestamp;
  return UK_OK;
}

static uint32_t checksum(const uint8_t *bytes, size_t length)
{
  return uk_log_checksum(uk_log_checksum(0, bytes, 4), bytes + 8, length - 8);
}

struct uk_slice uk_log_builder_seal(struct uk_log_builder *builder, uint64_t position)
{
  if (reserve_header(builder) != UK_OK)
    return uk_slice_of(NULL, 0);
  uint8_t *header = (uint8_t *)builder->bytes.data;
  header[0] = UK_LOG_BATCH_VERSION;
  uk_store_u32(header + 8, builder->count);
  uk_store_u64(header + 12, (uint64_t)builder->base_timestamp);
  uk_store_u64(header + 20, (uint64_t)builder->max_timestamp);
  uk_store_u64(header + 28, position);
  uk_store_u32(header + 4, checksum(header, builder->bytes.length));
  return uk_buffer_slice(&builder->bytes);
}

/* Reading. */

bool uk_log_batch_read(struct uk_log_batch *batch, struct uk_slice bytes)
{
  const uint8_t *header = (const uint8_t *)bytes.data;
  if (bytes.length < UK_LOG_BATCH_HEADER || header[0] != UK_LOG_BATCH_VERSION)
    return false;
  batch->count = uk_load_u32(header + 8);
  batch->base_timestamp = (int64_t)uk_load_u64(header + 12);
  batch->max_timestamp = (int64_t)uk_load_u64(header + 20);
  batch->position = uk_load_u64(header + 28);
  return true;
}

bool uk_log_cursor_open(struct uk_log_cursor *cursor, struct uk_slice bytes)
{
  const uint8_t *data = (const uint8_t *)bytes.data;
  if (!uk_log_batch_read(&cursor->batch, bytes) ||
      uk_load_u32(data + 4) != checksum(data, bytes.length))
    return false;
  cursor->index = 0;
  cursor->at = data + UK_LOG_BATCH_HEADER;
  cursor->end = data + bytes.length;
  return true;
}

bool uk_log_cursor_skip(struct uk_log_cursor *cursor, uint64_t count)
{
  struct uk_slice body;
  for (; count > 0 && cursor->index < cursor->batch.count; count--, cursor->index++) {
    if (!get_field(&cursor->at, cursor->end, &body))
      return false;
  }
  return true;
}

static bool get_headers(struct uk_log_cursor *cursor, struct uk_record *record, const uint8_t **at,
                        const uint8_t *end)
{
  uint64_t count;
  if (!get_varint(at, end, &count) || count == 0 || count > UK_HEADERS_PER_MESSAGE_MAX)
    return false;
  for (size_t i = 0; i < count; i++) {
    if (!get_field(at, end, &cursor->headers[i].key) ||
        !get_field(at, end, &cursor->headers[i].value))
      return false;
  }
  record->headers = cursor->headers;
  record->header_count = (size_t)count;
  return true;
}

static bool get_body(struct uk_log_cursor *cursor, struct uk_record *record, struct uk_slice body)
{
  const uint8_t *at = (const uint8_t *)body.data, *end = at + body.length;
  uint64_t delta;
  if (at == end || *at > KNOWN_FLAGS)
    return false;
  unsigned flags = *at++;
  if (!get_varint(&at, end, &delta))
    return false;
  record->timestamp = unzigzag(delta, cursor->batch.base_timestamp);
  record->has_key = (flags & HAS_KEY) != 0;
  record->has_value = (flags & HAS_VALUE) != 0;
  record->key = record->value = uk_slice_of(NULL, 0);
  record->headers = NULL;
  record->header_count = 0;
  return (!record->has_key || get_field(&at, end, &record->key)) &&
         (!record->has_value || get_field(&at, end, &record->value)) &&
         (!(flags & HAS_HEADERS) || get_headers(cursor, record, &at, end)) && at == end;
}

enum uk_log_cursor_result uk_log_cursor_next(struct uk_log_cursor *cursor, struct uk_record *record)
{
  struct uk_slice body;
  if (cursor->index == cursor->batch.count)
    return cursor->at == cursor->end ? UK_LOG_CURSOR_END : UK_LOG_CURSOR_DAMAGED;
  if (!get_field(&cursor->at, cursor->end, &body) || !get_body(cursor, record, body))
    return UK_LOG_CURSOR_DAMAGED;
  cursor->index++;
  return UK_LOG_CURSOR_RECORD;
}
