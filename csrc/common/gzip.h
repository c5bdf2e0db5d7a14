/* gzip: whole bodies in and out of RFC 1952. */
#ifndef UK_GZIP_H
#define UK_GZIP_H

#include "common/buffer.h"

enum { UK_GZIP_LEAST = 1024 }; /* a smaller body is not worth it */

/* Appends `bytes` compressed. UK_OK, or NO_MEMORY or TOO_LARGE with the buffer as it was. */
enum uk_error uk_gzip(struct uk_buffer *buffer, struct uk_slice bytes);

/* Appends what `bytes` (one or more members) unpack to, never past the buffer's limit. UK_OK,
 * TOO_LARGE, NO_MEMORY, or BAD_REQUEST for bytes that are no gzip or are cut off. After a failure
 * the buffer may hold a part. */
enum uk_error uk_gunzip(struct uk_buffer *buffer, struct uk_slice bytes);

/* Whether an Accept-Encoding value admits gzip: `gzip` or `*`, not with q=0. */
bool uk_gzip_accepted(struct uk_slice accept_encoding);

#endif
