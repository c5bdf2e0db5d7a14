/* http_date: HTTP dates, in the three formats of RFC 9110, 5.6.7. Pure, and independent of the
 * locale. */
#ifndef UK_HTTP_DATE_H
#define UK_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* Sets `seconds` since 1970 from a date such as "Sun, 06 Nov 1994 08:49:37 GMT". `now`, also in
 * seconds since 1970, resolves a year of two digits: it is at most 50 years ahead. False, with
 * `seconds` unchanged, for any other text. */
bool uk_http_date(struct uk_slice text, int64_t now, int64_t *seconds);

#endif
