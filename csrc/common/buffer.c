#include "common/buffer.h"

#include <stdlib.h>

enum { FIRST_CAPACITY = 64, TRIM_LEAST = 64 << 10 };

void uk_buffer_init(struct uk_buffer *buffer, size_t limit)
{
  *buffer = (struct uk_buffer){.limit = limit};
}

void uk_buffer_free(struct uk_buffer *buffer)
{
  size_t length;
  free(uk_buffer_take(buffer, &length));
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

/* Pays for the capacity. Where the account is short, reduces it to what is wanted: more would only
 * spare later copies. */
static bool pay(const struct uk_buffer *buffer, size_t *capacity, size_t wanted)
{
  if (uk_account_take(buffer->account, *capacity - buffer->capacity))
    return true;
  *capacity = wanted;
  return uk_account_take(buffer->account, wanted - buffer->capacity);
}

/* Resizes the memory. NULL: there is none, and nothing has changed. */
static char *resize(const struct uk_buffer *buffer, size_t *capacity, size_t wanted)
{
  if (!pay(buffer, capacity, wanted))
    return NULL;
  char *data = realloc(buffer->data, *capacity > 0 ? *capacity : 1);
  if (data == NULL)
    uk_account_give(buffer->account, *capacity - buffer->capacity);
  return data;
}

char *uk_buffer_grow(struct uk_buffer *buffer, size_t extra)
{
  if (buffer->error != UK_OK)
    return NULL;
  if (extra > buffer->limit - buffer->length) {
    buffer->error = UK_E_TOO_LARGE;
    return NULL;
  }
  const size_t wanted = buffer->length + extra;
  size_t capacity = next_capacity(buffer, wanted);
  char *data = resize(buffer, &capacity, wanted);
  if (data == NULL) {
    buffer->error = UK_E_NO_MEMORY;
    return NULL;
  }
  buffer->data = data;
  buffer->capacity = capacity;
  return data + buffer->length;
}

void uk_buffer_trim(struct uk_buffer *buffer)
{
  const size_t least = buffer->length > 0 ? buffer->length : 1;
  const bool much = buffer->capacity >= least + TRIM_LEAST;
  char *data = much ? realloc(buffer->data, least) : NULL;
  if (data == NULL)
    return;
  uk_account_give(buffer->account, buffer->capacity - least);
  buffer->data = data;
  buffer->capacity = least;
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
  struct uk_account *account = buffer->account;
  *length = buffer->length;
  if (buffer->capacity > 0)
    uk_account_give(account, buffer->capacity);
  uk_buffer_init(buffer, buffer->limit);
  buffer->account = account;
  return data;
}
