/* http_date: the dates of HTTP, in the three forms of RFC 9110, 5.6.7. Pure; knows no locale. */
#ifndef UK_HTTP_DATE_H
#define UK_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* Seconds since 1970 of a date such as "Sun, 06 Nov 1994 08:49:37 GMT". `now`, also in seconds since
 * 1970, places a year of two digits: at most 50 years ahead. False, with `seconds` as it was, for
 * any other text. */
bool uk_http_date(struct uk_slice text, int64_t now, int64_t *seconds);

#endif
