/* decimal_power: powers of ten in 128 bits, for compilers with integers of that width. */
#ifndef UK_DECIMAL_POWER_H
#define UK_DECIMAL_POWER_H

#include <stdint.h>

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 uk_wide;

/* The exact powers: 5^27 fits 63 bits. */
enum { UK_FIVES_MAX = 27 };
extern const uint64_t uk_fives[UK_FIVES_MAX + 1];

/* mantissa * 2^exponent <= 10^n < (mantissa + 3) * 2^exponent, and the top bit of the mantissa is
 * set. */
struct uk_power {
  uk_wide mantissa;
  int exponent;
};

enum { UK_POWER_MIN = -351, UK_POWER_MAX = 350 };

/* UK_POWER_MIN <= n <= UK_POWER_MAX */
struct uk_power uk_power_of_ten(int n);

/* value * mantissa / 2^64, or one less. */
static inline uk_wide uk_power_times(uint64_t value, uk_wide mantissa)
{
  return (uk_wide)value * (uint64_t)(mantissa >> 64) + ((uk_wide)value * (uint64_t)mantissa >> 64);
}

static inline int uk_wide_bits(uk_wide value)
{
  const uint64_t high = (uint64_t)(value >> 64), low = (uint64_t)value;
  return high != 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll(low);
}

#endif

#endif
