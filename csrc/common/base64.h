/* base64: RFC 4648, standard alphabet, with padding; decoding refuses anything else. */
#ifndef UK_BASE64_H
#define UK_BASE64_H

#include <stdbool.h>
#include <stddef.h>

static inline size_t uk_base64_encoded_size(size_t length)
{
  return (length + 2) / 3 * 4;
}

/* Writes uk_base64_encoded_size(length) bytes at `out`, no NUL. */
void uk_base64_encode(char *out, const char *data, size_t length);

/* Decodes in place is allowed (out == data). False, with `out` undefined, when the text is not
 * canonical base64: a length that is no multiple of 4, another character, padding elsewhere,
 * or bits set behind the last byte. */
bool uk_base64_decode(char *out, size_t *out_length, const char *data, size_t length);

#endif
