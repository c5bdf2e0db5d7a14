/* percent: percent-encoding of path segments and query values (RFC 3986). */
#ifndef UK_PERCENT_H
#define UK_PERCENT_H

#include <stdbool.h>

#include "common/buffer.h"

/* Appends the bytes, escaping everything except unreserved characters (A-Z a-z 0-9 - . _ ~). The
 * dots of the segments "." and ".." are escaped too: HTTP software removes such segments. */
void uk_percent_encode(struct uk_buffer *buffer, struct uk_slice bytes);

/* Decodes in place; '+' stays a plus. False when a '%' is not followed by two hexadecimal
 * digits. */
bool uk_percent_decode(char *data, size_t *length);

/* The same for a name or value of a query, as written by forms: '+' becomes a space. */
bool uk_percent_decode_query(char *data, size_t *length);

#endif
