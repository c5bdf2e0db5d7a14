/* json_writer: appends JSON to a buffer. A call that fails leaves the content unchanged, and sets
 * the error of the buffer. */
#ifndef UK_JSON_WRITER_H
#define UK_JSON_WRITER_H

#include <stdint.h>

#include "common/buffer.h"

/* A quoted string. Replaces each byte that is not part of valid UTF-8 by U+FFFD, escapes control
 * characters, '"' and '\', and copies everything else. */
void uk_json_write_string(struct uk_buffer *buffer, struct uk_slice text);

/* The same without replacing invalid UTF-8: for text that is checked as a whole later. */
void uk_json_write_bytes(struct uk_buffer *buffer, struct uk_slice bytes);

/* The name of a member, written like uk_json_write_bytes, between the byte `before`, '{' or ',',
 * and a colon. */
void uk_json_write_name(struct uk_buffer *buffer, char before, struct uk_slice name);

/* A quoted string with the bytes as base64. */
void uk_json_write_base64(struct uk_buffer *buffer, struct uk_slice bytes);

void uk_json_write_integer(struct uk_buffer *buffer, int64_t value);

#endif
