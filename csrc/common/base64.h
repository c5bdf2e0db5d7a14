/* base64: RFC 4648 with the standard alphabet and padding. Decoding accepts nothing else. */
#ifndef UK_BASE64_H
#define UK_BASE64_H

#include <stdbool.h>
#include <stddef.h>

static inline size_t uk_base64_encoded_size(size_t length)
{
  return (length + 2) / 3 * 4;
}

/* Writes uk_base64_encoded_size(length) bytes at `out`, without a NUL. */
void uk_base64_encode(char *out, const char *data, size_t length);

/* Decodes, optionally in place (out == data). False, with `out` undefined, when the text is not
 * canonical base64: its length is not a multiple of 4, it has another character or padding
 * elsewhere, or bits are set after the last byte. */
bool uk_base64_decode(char *out, size_t *out_length, const char *data, size_t length);

#endif
