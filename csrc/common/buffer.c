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

/* Doubles the capacity: a byte is copied few times. Precondition: `wanted` is within the limit. */
static size_t next_capacity(const struct uk_buffer *buffer, size_t wanted)
{
  size_t capacity = buffer->capacity > buffer->limit / 2 ? buffer->limit : buffer->capacity * 2;
  if (capacity < FIRST_CAPACITY)
    capacity = FIRST_CAPACITY;
  if (capacity > buffer->limit)
    capacity = buffer->limit;
  return capacity > wanted ? capacity : wanted;
}

char *uk_buffer_grow(struct uk_buffer *buffer, size_t extra)
{
  if (buffer->error != UK_OK)
    return NULL;
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
