/* decimal: doubles to decimal digits and back, correctly rounded, whatever the locale is. */
#ifndef UK_DECIMAL_H
#define UK_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the longest text, "-2.2250738585072014e-308", with its NUL. */
enum { UK_DECIMAL_SIZE = 32 };

/* The largest magnitude up to which a double names one integer only: 2^53. */
#define UK_EXACT_MAX INT64_C(9007199254740992)

/* Writes a finite number as JSON, ended by a NUL, and returns its length. The text reads back as
 * the same double. A whole number within UK_EXACT_MAX is an integer without fraction or exponent;
 * every other number has one or the other, and no more digits than it needs (17 at most). */
size_t uk_decimal_text(char text[UK_DECIMAL_SIZE], double number);

/* Sets `number` to the double nearest to digits * 10^exponent, a tie to the even one. False, with
 * nothing set, when that takes more than 128 bits to find out; then strtod must. */
bool uk_decimal_value(uint64_t digits, int64_t exponent, double *number);

#endif
