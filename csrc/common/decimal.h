/* decimal: doubles to decimal digits and back, correctly rounded, independent of the locale. */
#ifndef UK_DECIMAL_H
#define UK_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the longest text, "-2.2250738585072014e-308", and its NUL. */
enum { UK_DECIMAL_SIZE = 32 };

/* The largest magnitude up to which a double names one integer only: 2^53. */
#define UK_EXACT_MAX INT64_C(9007199254740992)

/* Writes a finite number as NUL-terminated JSON and returns its length. The text reads back as the
 * same double. A whole number within UK_EXACT_MAX has neither fraction nor exponent; any other
 * number has one of them, and no more digits than needed (17 at most). */
size_t uk_decimal_text(char text[UK_DECIMAL_SIZE], double number);

/* Sets `number` to the double nearest to digits * 10^exponent; a tie goes to the even one. False,
 * with `number` unchanged, when 128 bits do not suffice; use strtod then. */
bool uk_decimal_value(uint64_t digits, int64_t exponent, double *number);

#endif
