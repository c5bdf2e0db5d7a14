/* integral: decimal numbers whose value is an integer, however they are written. */
#ifndef UK_INTEGRAL_H
#define UK_INTEGRAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* The whole text as a number in the grammar of JSON, where leading zeros are allowed too: "42",
 * "-7", "1764000000000.0", "1e3", "1.5e1". The value is exact: no double is involved. False, with
 * `value` as it was, when the text is no number, or its value is no integer or does not fit. */
bool uk_parse_integral(struct uk_slice text, int64_t *value);

#endif
