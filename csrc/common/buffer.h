/* buffer: bytes that grow up to a limit.
 *
 * A failed append leaves the content unchanged and sets `error`. From then on every append fails
 * with the same error, so a writer can append freely and check once, at the end. */
#ifndef UK_BUFFER_H
#define UK_BUFFER_H

#include <stddef.h>

#include "common/budget.h"
#include "common/error.h"
#include "common/slice.h"

struct uk_buffer {
  char *data;                 /* NULL until the first append; owned by the buffer */
  size_t length;              /* bytes in use */
  size_t capacity;            /* bytes allocated: length <= capacity <= limit */
  size_t limit;               /* of the length */
  enum uk_error error;        /* UK_OK, UK_E_NO_MEMORY or UK_E_TOO_LARGE: the first failure */
  struct uk_account *account; /* pays for the capacity; NULL: nobody does */
};

/* Allocates nothing. */
void uk_buffer_init(struct uk_buffer *buffer, size_t limit);

/* Frees the bytes. The buffer is then as after uk_buffer_init with the same limit, and keeps
 * its account. */
void uk_buffer_free(struct uk_buffer *buffer);

/* Drops the content and the error; keeps the memory. */
void uk_buffer_clear(struct uk_buffer *buffer);

/* The slow path of uk_buffer_reserve. */
char *uk_buffer_grow(struct uk_buffer *buffer, size_t extra);

/* The appends are inline: a record takes a dozen of them, most with a constant length. */

/* Reserves room for `extra` bytes. Returns where to write them, or NULL with `error` set. The bytes
 * count only after uk_buffer_commit. */
static inline char *uk_buffer_reserve(struct uk_buffer *buffer, size_t extra)
{
  if (buffer->error == UK_OK && buffer->data != NULL && extra <= buffer->capacity - buffer->length)
    return buffer->data + buffer->length;
  return uk_buffer_grow(buffer, extra);
}

static inline void uk_buffer_commit(struct uk_buffer *buffer, size_t written)
{
  buffer->length += written;
}

static inline enum uk_error uk_buffer_append(struct uk_buffer *buffer, const void *data,
                                             size_t length)
{
  char *room = length > 0 ? uk_buffer_reserve(buffer, length) : NULL;
  if (room != NULL) {
    memcpy(room, data, length);
    buffer->length += length;
  }
  return buffer->error;
}

static inline enum uk_error uk_buffer_append_text(struct uk_buffer *buffer, const char *text)
{
  return uk_buffer_append(buffer, text, strlen(text));
}

static inline enum uk_error uk_buffer_append_byte(struct uk_buffer *buffer, char byte)
{
  return uk_buffer_append(buffer, &byte, 1);
}

/* Gives back the memory that the content does not need, if it is much: content that stays as it is
 * for long. */
void uk_buffer_trim(struct uk_buffer *buffer);

/* The content with a NUL after it, which does not count. NULL, with `error` set, without room. */
const char *uk_buffer_text(struct uk_buffer *buffer);

/* Passes the memory to the caller, who frees it with free(), and leaves the buffer empty. Its
 * account no longer pays for it. NULL when nothing was ever appended. */
char *uk_buffer_take(struct uk_buffer *buffer, size_t *length);

static inline struct uk_slice uk_buffer_slice(const struct uk_buffer *buffer)
{
  return uk_slice_of(buffer->data, buffer->length);
}

#endif
