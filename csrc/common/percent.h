/* percent: percent-encoding of path segments and query values (RFC 3986). */
#ifndef UK_PERCENT_H
#define UK_PERCENT_H

#include <stdbool.h>

#include "common/buffer.h"

/* Appends the bytes with everything but unreserved characters (A-Z a-z 0-9 - . _ ~) escaped.
 * A segment that is "." or ".." whole has its dots escaped, since HTTP software removes those. */
void uk_percent_encode(struct uk_buffer *buffer, struct uk_slice bytes);

/* Decodes in place, once; '+' is a plus. False when a '%' is not followed by two hexadecimal
 * digits. */
bool uk_percent_decode(char *data, size_t *length);

/* The same for a name or value of a query, as forms write them: '+' is a blank. */
bool uk_percent_decode_query(char *data, size_t *length);

#endif
