#include "server/api/message_json.h"

#include "common/json_writer.h"

/* Omits the closing brace. */
static void write_metadata(struct uk_buffer *buffer, const struct uk_record *record)
{
  uk_buffer_append_text(buffer, "{\"topic\":");
  uk_json_write_string(buffer, record->topic);
  uk_buffer_append_text(buffer, ",\"partition\":");
  uk_json_write_integer(buffer, record->partition);
  uk_buffer_append_text(buffer, ",\"offset\":");
  uk_json_write_integer(buffer, record->offset);
  uk_buffer_append_text(buffer, ",\"timestamp\":");
  uk_json_write_integer(buffer, record->timestamp);
}

void uk_json_write_metadata(struct uk_buffer *buffer, const struct uk_record *record)
{
  write_metadata(buffer, record);
  uk_buffer_append_byte(buffer, '}');
}

static void write_bytes(struct uk_buffer *buffer, struct uk_slice bytes, bool base64)
{
  if (base64)
    uk_json_write_base64(buffer, bytes);
  else
    uk_json_write_string(buffer, bytes);
}

void uk_json_write_message(struct uk_buffer *buffer, const struct uk_record *record, bool base64)
{
  write_metadata(buffer, record);
  uk_buffer_append_text(buffer, ",\"key\":");
  write_bytes(buffer, record->has_key ? record->key : (struct uk_slice){0}, base64);
  uk_buffer_append_text(buffer, ",\"value\":");
  if (record->has_value)
    write_bytes(buffer, record->value, base64);
  else
    uk_buffer_append_text(buffer, "null");
  uk_buffer_append_text(buffer, ",\"headers\":[");
  for (size_t i = 0; i < record->header_count; i++) {
    uk_buffer_append_text(buffer, i > 0 ? ",{\"key\":" : "{\"key\":");
    uk_json_write_string(buffer, record->headers[i].key);
    uk_buffer_append_text(buffer, ",\"value\":");
    write_bytes(buffer, record->headers[i].value, base64);
    uk_buffer_append_byte(buffer, '}');
  }
  uk_buffer_append_text(buffer, "]}");
}
