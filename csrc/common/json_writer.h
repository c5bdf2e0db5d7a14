/* json_writer: JSON text appended to a buffer. A call that fails leaves the content as it was and
 * the error in the buffer, where it stays. */
#ifndef UK_JSON_WRITER_H
#define UK_JSON_WRITER_H

#include <stdint.h>

#include "common/buffer.h"

/* A quoted string. Each byte that is not part of valid UTF-8 becomes U+FFFD; control characters,
 * '"' and '\' are escaped; everything else is copied. */
void uk_json_write_string(struct uk_buffer *buffer, struct uk_slice text);

/* A quoted string whose bytes stay as they are, also those that are no UTF-8: for text that is
 * checked as a whole later. */
void uk_json_write_bytes(struct uk_buffer *buffer, struct uk_slice bytes);

/* The name of a member in the same way, between the byte before it, '{' or ',', and a colon. */
void uk_json_write_name(struct uk_buffer *buffer, char before, struct uk_slice name);

/* A quoted string that holds the base64 of the bytes. */
void uk_json_write_base64(struct uk_buffer *buffer, struct uk_slice bytes);

void uk_json_write_integer(struct uk_buffer *buffer, int64_t value);

#endif
