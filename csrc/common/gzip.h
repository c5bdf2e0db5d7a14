/* gzip: compresses and decompresses whole bodies (RFC 1952). */
#ifndef UK_GZIP_H
#define UK_GZIP_H

#include "common/buffer.h"

enum { UK_GZIP_LEAST = 1024 }; /* bytes of a body that is worth compressing */

/* Appends `bytes` compressed. Returns UK_OK, or NO_MEMORY or TOO_LARGE with the content
 * unchanged. */
enum uk_error uk_gzip(struct uk_buffer *buffer, struct uk_slice bytes);

/* Appends `bytes` (one or more members) decompressed, within the limit of the buffer. Returns
 * UK_OK, TOO_LARGE, NO_MEMORY, or BAD_REQUEST for bytes that are not gzip or are truncated. After a
 * failure the buffer may hold a part. */
enum uk_error uk_gunzip(struct uk_buffer *buffer, struct uk_slice bytes);

/* True when an Accept-Encoding value admits gzip: `gzip` or `*`, without q=0. */
bool uk_gzip_accepted(struct uk_slice accept_encoding);

#endif
