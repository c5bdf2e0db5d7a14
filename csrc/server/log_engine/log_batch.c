#include "server/log_engine/log_batch.h"

#include "server/log_engine/log_bytes.h"
#include "server/log_engine/log_checksum.h"

enum { HAS_KEY = 1, HAS_VALUE = 2, HAS_HEADERS = 4, HAS_GAP = 8 };
enum { STAMPED = 1 }; /* an attribute */
enum { HEADER_1 = 36, KEY_BYTES = 20 };

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
  return uk_varint_size(field.length) + field.length;
}

static uint8_t *put_field(uint8_t *out, struct uk_slice field)
{
  out = uk_put_varint(out, field.length);
  if (field.length > 0)
    memcpy(out, field.data, field.length);
  return out + field.length;
}

static bool get_field(const uint8_t **at, const uint8_t *end, struct uk_slice *field)
{
  uint64_t length;
  if (!uk_get_varint(at, end, &length) || length > (uint64_t)(end - *at))
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
  size_t size = 1 + uk_varint_size(delta);
  size += record->has_key ? field_size(record->key) : 0;
  size += record->has_value ? field_size(record->value) : 0;
  size += record->header_count > 0 ? uk_varint_size(record->header_count) : 0;
  for (size_t i = 0; i < record->header_count; i++)
    size += field_size(record->headers[i].key) + field_size(record->headers[i].value);
  return size;
}

static uint8_t *put_body(uint8_t *out, const struct uk_record *record, uint64_t delta)
{
  *out++ = (uint8_t)((record->has_key ? HAS_KEY : 0) | (record->has_value ? HAS_VALUE : 0) |
                     (record->header_count > 0 ? HAS_HEADERS : 0));
  out = uk_put_varint(out, delta);
  if (record->has_key)
    out = put_field(out, record->key);
  if (record->has_value)
    out = put_field(out, record->value);
  if (record->header_count > 0)
    out = uk_put_varint(out, record->header_count);
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
  builder->stamped = false;
}

bool uk_log_builder_fits(const struct uk_log_builder *builder, const struct uk_record *record,
                         int64_t timestamp)
{
  if (builder->count == 0)
    return true;
  size_t body = body_size(record, zigzag(timestamp, builder->base_timestamp));
  return body < UK_LOG_BATCH_BYTES &&
         builder->bytes.length + uk_varint_size(body) + body <= UK_LOG_BATCH_BYTES;
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
  char *out = uk_buffer_reserve(&builder->bytes, uk_varint_size(body) + body);
  if (out == NULL)
    return builder->bytes.error;
  put_body(uk_put_varint((uint8_t *)out, body), record, delta);
  uk_buffer_commit(&builder->bytes, uk_varint_size(body) + body);
  builder->count++;
  builder->base_timestamp = base;
  if (first || timestamp > builder->max_timestamp) {
    builder->max_timestamp = timestamp;
    builder->stamped = record->timestamp == -1;
  }
  return UK_OK;
}

static uint32_t checksum_1(const uint8_t *bytes, size_t length)
{
  return uk_log_checksum(uk_log_checksum(0, bytes, 4), bytes + 8, length - 8);
}

/* The key and the header's first bytes are put together: the checksum of a few bytes costs as much
 * as its call. */
static uint32_t checksum_2(const struct uk_log_place *place, const uint8_t *bytes, size_t length)
{
  uint8_t front[KEY_BYTES + 4];
  uk_store_u64(front, place->topic_id);
  uk_store_u32(front + 8, (uint32_t)place->partition);
  uk_store_u64(front + 12, (uint64_t)place->offset);
  memcpy(front + KEY_BYTES, bytes, 4);
  return uk_log_checksum(uk_log_checksum(0, front, sizeof front), bytes + 8, length - 8);
}

/* Writes the header in front of the records. */
static void put_header(uint8_t *header, size_t length, const struct uk_log_batch *batch,
                       const struct uk_log_seal *seal)
{
  memset(header, 0, UK_LOG_BATCH_HEADER);
  header[0] = UK_LOG_BATCH_VERSION;
  header[1] = batch->stamped ? STAMPED : 0;
  uk_store_u32(header + 8, batch->count);
  uk_store_u64(header + 12, (uint64_t)batch->base_timestamp);
  uk_store_u64(header + 20, (uint64_t)batch->max_timestamp);
  uk_store_u64(header + 28, seal->position);
  uk_store_u64(header + 36, (uint64_t)seal->arrival);
  uk_store_u32(header + 44, batch->span + seal->missing);
  uk_store_u32(header + 48, seal->life);
  uk_store_u32(header + 4, checksum_2(&seal->place, header, length));
}

struct uk_slice uk_log_builder_seal(struct uk_log_builder *builder, const struct uk_log_seal *seal)
{
  const struct uk_log_batch batch = {.stamped = builder->stamped,
                                     .count = builder->count,
                                     .span = builder->count,
                                     .base_timestamp = builder->base_timestamp,
                                     .max_timestamp = builder->max_timestamp};
  if (reserve_header(builder) != UK_OK)
    return uk_slice_of(NULL, 0);
  put_header((uint8_t *)builder->bytes.data, builder->bytes.length, &batch, seal);
  return uk_buffer_slice(&builder->bytes);
}

enum uk_error uk_log_batch_copy(struct uk_buffer *out, const struct uk_log_batch *batch,
                                struct uk_slice bytes, const struct uk_log_seal *seal)
{
  const size_t header = batch->version == 1 ? HEADER_1 : UK_LOG_BATCH_HEADER;
  const size_t length = UK_LOG_BATCH_HEADER + bytes.length - header;
  struct uk_log_seal own = *seal;
  char *copy = uk_buffer_reserve(out, length);
  if (copy == NULL)
    return out->error;
  if (batch->version != 1)
    own.arrival = batch->arrival;
  memcpy(copy + UK_LOG_BATCH_HEADER, bytes.data + header, bytes.length - header);
  put_header((uint8_t *)copy, length, batch, &own);
  uk_buffer_commit(out, length);
  return UK_OK;
}

/* Reading. */

static void read_common(struct uk_log_batch *batch, const uint8_t *header)
{
  *batch = (struct uk_log_batch){.version = header[0],
                                 .count = uk_load_u32(header + 8),
                                 .span = uk_load_u32(header + 8),
                                 .base_timestamp = (int64_t)uk_load_u64(header + 12),
                                 .max_timestamp = (int64_t)uk_load_u64(header + 20),
                                 .position = uk_load_u64(header + 28),
                                 .arrival = INT64_MAX};
}

bool uk_log_batch_read(struct uk_log_batch *batch, struct uk_slice bytes)
{
  const uint8_t *header = (const uint8_t *)bytes.data;
  if (bytes.length >= HEADER_1 && header[0] == 1) {
    read_common(batch, header);
    return true;
  }
  if (bytes.length < UK_LOG_BATCH_HEADER || header[0] != UK_LOG_BATCH_VERSION ||
      (header[1] & ~STAMPED) != 0 || header[2] != 0 || header[3] != 0)
    return false;
  read_common(batch, header);
  batch->stamped = (header[1] & STAMPED) != 0;
  batch->arrival = (int64_t)uk_load_u64(header + 36);
  batch->span = uk_load_u32(header + 44);
  batch->life = uk_load_u32(header + 48);
  return true;
}

bool uk_log_batch_verify(struct uk_log_batch *batch, const struct uk_log_place *place,
                         struct uk_slice bytes)
{
  const uint8_t *data = (const uint8_t *)bytes.data;
  if (!uk_log_batch_read(batch, bytes) || batch->count > batch->span ||
      (uint64_t)place->offset > (uint64_t)INT64_MAX - batch->span)
    return false;
  return uk_load_u32(data + 4) == (batch->version == 1 ? checksum_1(data, bytes.length)
                                                       : checksum_2(place, data, bytes.length));
}

bool uk_log_cursor_open(struct uk_log_cursor *cursor, const struct uk_log_place *place,
                        struct uk_slice bytes)
{
  const uint8_t *data = (const uint8_t *)bytes.data;
  if (!uk_log_batch_verify(&cursor->batch, place, bytes))
    return false;
  cursor->index = 0;
  cursor->first = cursor->offset = place->offset;
  cursor->limit = place->offset + cursor->batch.span;
  cursor->at = data + (cursor->batch.version == 1 ? HEADER_1 : UK_LOG_BATCH_HEADER);
  cursor->end = data + bytes.length;
  return true;
}

/* A record's first fields. */
struct front {
  unsigned flags;
  uint64_t delta;
  int64_t offset;
};

/* Reads the fields up to the gap. False when they are damaged, or the offset is beyond the
 * batch. */
static bool get_front(const struct uk_log_cursor *cursor, struct front *front, const uint8_t **at,
                      const uint8_t *end)
{
  unsigned known = HAS_KEY | HAS_VALUE | HAS_HEADERS | (cursor->batch.version == 1 ? 0 : HAS_GAP);
  uint64_t gap = 0;
  if (*at == end || (**at & ~known) != 0)
    return false;
  front->flags = *(*at)++;
  if (!uk_get_varint(at, end, &front->delta) ||
      ((front->flags & HAS_GAP) != 0 && !uk_get_varint(at, end, &gap)) ||
      gap >= (uint64_t)(cursor->limit - cursor->offset))
    return false;
  front->offset = cursor->offset + (int64_t)gap;
  return true;
}

/* Reads the next record's bytes and its first fields; `*at` is then behind these. */
static bool get_record(struct uk_log_cursor *cursor, struct uk_slice *body, struct front *front,
                       const uint8_t **at)
{
  if (!get_field(&cursor->at, cursor->end, body))
    return false;
  *at = (const uint8_t *)body->data;
  return get_front(cursor, front, at, *at + body->length);
}

bool uk_log_cursor_seek(struct uk_log_cursor *cursor, int64_t offset)
{
  while (cursor->index < cursor->batch.count && cursor->offset < offset) {
    const uint8_t *record = cursor->at, *at;
    struct uk_slice body;
    struct front front;
    if (!get_record(cursor, &body, &front, &at))
      return false;
    if (front.offset >= offset) {
      cursor->at = record;
      return true;
    }
    cursor->offset = front.offset + 1;
    cursor->index++;
  }
  return true;
}

static bool get_headers(struct uk_log_cursor *cursor, struct uk_record *record, const uint8_t **at,
                        const uint8_t *end)
{
  uint64_t count;
  if (!uk_get_varint(at, end, &count) || count == 0 || count > UK_HEADERS_PER_MESSAGE_MAX)
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

static bool get_body(struct uk_log_cursor *cursor, struct uk_record *record,
                     const struct front *front, const uint8_t *at, const uint8_t *end)
{
  record->offset = front->offset;
  record->timestamp = unzigzag(front->delta, cursor->batch.base_timestamp);
  record->has_key = (front->flags & HAS_KEY) != 0;
  record->has_value = (front->flags & HAS_VALUE) != 0;
  record->key = record->value = uk_slice_of(NULL, 0);
  record->headers = NULL;
  record->header_count = 0;
  return (!record->has_key || get_field(&at, end, &record->key)) &&
         (!record->has_value || get_field(&at, end, &record->value)) &&
         (!(front->flags & HAS_HEADERS) || get_headers(cursor, record, &at, end)) && at == end;
}

enum uk_log_cursor_result uk_log_cursor_next(struct uk_log_cursor *cursor, struct uk_record *record)
{
  struct uk_slice body;
  struct front front;
  const uint8_t *at;
  if (cursor->index == cursor->batch.count)
    return cursor->at == cursor->end ? UK_LOG_CURSOR_END : UK_LOG_CURSOR_DAMAGED;
  if (!get_record(cursor, &body, &front, &at) ||
      !get_body(cursor, record, &front, at, (const uint8_t *)body.data + body.length))
    return UK_LOG_CURSOR_DAMAGED;
  cursor->offset = front.offset + 1;
  cursor->index++;
  return UK_LOG_CURSOR_RECORD;
}
