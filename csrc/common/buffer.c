#include "common/buffer.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void uk_buffer_init(struct uk_buffer *buffer, size_t limit)
{
  *buffer = (struct uk_buffer){.limit = limit};
}

void uk_buffer_free(struct uk_buffer *buffer)
{
  char *data = buffer->data;
  uk_buffer_init(buffer, buffer->limit);
  free(data);
}

void uk_buffer_clear(struct uk_buffer *buffer)
{
  buffer->length = 0;
  buffer->error = UK_OK;
}

/* Doubles, so that n appends copy each byte a constant number of times. `wanted` is within the limit. */
static size_t next_capacity(const struct uk_buffer *buffer, size_t wanted)
{
  size_t capacity = buffer->capacity > buffer->limit / 2 ? buffer->limit : buffer->capacity * 2;
  if (capacity < FIRST_CAPACITY)
    capacity = FIRST_CAPACITY;
  if (capacity > buffer->limit)
    capacity = buffer->limit;
  return capacity > wanted ? capacity : wanted;
}

static char *grow(struct uk_buffer *buffer, size_t extra)
{
  if (extra > buffer->limit - buffer->length) {
    buffer->error = UK_E_TOO_LARGE;
    return NULL;
  }
  size_t capacity = next_capacity(buffer, buffer->length + extra);
  char *data = realloc(buffer->data, capacity > 0 ? capacity : 1);
  if (data == NULL) {
    buffer->error = UK_E_NO_MEMORY;
    return NULL;
  }
  buffer->data = data;
  buffer->capacity = capacity;
  return data + buffer->length;
}

char *uk_buffer_reserve(struct uk_buffer *buffer, size_t extra)
{
  if (buffer->error != UK_OK)
    return NULL;
  if (buffer->data != NULL && extra <= buffer->capacity - buffer->length)
    return buffer->data + buffer->length;
  return grow(buffer, extra);
}

void uk_buffer_commit(struct uk_buffer *buffer, size_t written)
{
  buffer->length += written;
}

enum uk_error uk_buffer_append(struct uk_buffer *buffer, const void *data, size_t length)
{
  if (length == 0)
    return buffer->error;
  char *room = uk_buffer_reserve(buffer, length);
  if (room != NULL) {
    memcpy(room, data, length);
    buffer->length += length;
  }
  return buffer->error;
}

enum uk_error uk_buffer_append_text(struct uk_buffer *buffer, const char *text)
{
  return uk_buffer_append(buffer, text, strlen(text));
}

enum uk_error uk_buffer_append_byte(struct uk_buffer *buffer, char byte)
{
  return uk_buffer_append(buffer, &byte, 1);
}

const char *uk_buffer_text(struct uk_buffer *buffer)
{
  char *room = uk_buffer_reserve(buffer, 1);
  if (room == NULL)
    return NULL;
  *room = '\0';
  return buffer->data;
}

char *uk_buffer_take(struct uk_buffer *buffer, size_t *length)
{
  char *data = buffer->data;
  *length = buffer->length;
  uk_buffer_init(buffer, buffer->limit);
  return data;
}
