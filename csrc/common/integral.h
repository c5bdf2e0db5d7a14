/* integral: decimal numbers whose value is an integer, however it is written. */
#ifndef UK_INTEGRAL_H
#define UK_INTEGRAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

/* Parses the whole text as a number in the grammar of JSON, with leading zeros allowed: "42", "-7",
 * "1764000000000.0", "1e3", "1.5e1". The value is exact: no double is involved. False, with `value`
 * unchanged, when the text is not a number, or its value is not an integer or does not fit. */
bool uk_parse_integral(struct uk_slice text, int64_t *value);

#endif
