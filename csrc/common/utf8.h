/* utf8: well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing beyond U+10FFFF). */
#ifndef UK_UTF8_H
#define UK_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the first character, 1 to 4, or 0 when it is truncated or malformed. */
size_t uk_utf8_character(const char *data, size_t length);

/* The number of bytes at the start that are complete, well-formed characters. */
size_t uk_utf8_valid_prefix(const char *data, size_t length);

/* The same up to the first ASCII character. */
size_t uk_utf8_multibyte_prefix(const char *data, size_t length);

static inline bool uk_utf8_valid(const char *data, size_t length)
{
  return uk_utf8_valid_prefix(data, length) == length;
}

/* Replaces each byte of a control character (C0, DEL, C1), and each byte that is not well-formed
 * UTF-8, by '?'. */
void uk_utf8_replace_controls(char *data, size_t length);

/* Writes the character at `out`, which has room for 4 bytes, and returns its length. Precondition:
 * `code` is a Unicode scalar value. */
size_t uk_utf8_encode(char *out, uint32_t code);

#endif
