/* utf8: well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing past U+10FFFF). */
#ifndef UK_UTF8_H
#define UK_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character at the start, 1 to 4, or 0 when it is cut off or not well-formed. */
size_t uk_utf8_character(const char *data, size_t length);

/* How many bytes from the start are whole, well-formed characters: `length` when all are. */
size_t uk_utf8_valid_prefix(const char *data, size_t length);

/* The same of characters that are not ASCII: it stops at the first ASCII character too. */
size_t uk_utf8_multibyte_prefix(const char *data, size_t length);

static inline bool uk_utf8_valid(const char *data, size_t length)
{
  return uk_utf8_valid_prefix(data, length) == length;
}

/* Writes the character at `out` (room for 4) and returns its length. `code` is a scalar value. */
size_t uk_utf8_encode(char *out, uint32_t code);

#endif
