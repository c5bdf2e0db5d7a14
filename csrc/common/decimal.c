#include "common/decimal.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/decimal_power.h"

enum {
  DIGITS_ALWAYS = 17,  /* enough to distinguish all doubles */
  POINT_MIN = -3,      /* 0.0001 is written as it is, 0.00001 as 1e-05 */
  EXPONENT_MIN = -342, /* with 19 digits: 5e-324 */
  EXPONENT_MAX = 308,
  TENS_EXACT_MAX = 22 /* 10^22 is the largest exact power of ten in a double */
};

/* number = digits * 10^exponent */
struct decimal {
  uint64_t digits;
  int exponent;
};

/* Both return the end of the text that they wrote. */

static char *put_digits(char *out, uint64_t value)
{
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  memcpy(out, digits + at, sizeof digits - at);
  return out + (sizeof digits - at);
}

static char *put_exponent(char *out, int exponent)
{
  *out++ = 'e';
  *out++ = exponent < 0 ? '-' : '+';
  unsigned magnitude = (unsigned)abs(exponent);
  if (magnitude < 10)
    *out++ = '0';
  return put_digits(out, magnitude);
}

static double read_by_library(struct decimal decimal)
{
  char text[UK_DECIMAL_SIZE];
  *put_exponent(put_digits(text, decimal.digits), decimal.exponent) = '\0';
  return strtod(text, NULL);
}

/* The first `count` digits of the number, from the library. The decimal point depends on the
 * locale, and is skipped. */
static struct decimal digits_by_library(double number, int count)
{
  char text[64];
  struct decimal decimal = {0, 0};
  snprintf(text, sizeof text, "%.*e", count - 1, number);
  const char *at = text;
  for (; *at != 'e'; at++)
    if (*at >= '0' && *at <= '9')
      decimal.digits = decimal.digits * 10 + (uint64_t)(*at - '0');
  decimal.exponent = (int)strtol(at + 1, NULL, 10) - (count - 1);
  return decimal;
}

/* The fewest digits that read back as the number, found by trial. Every double keeps 15 digits,
 * except subnormal ones, which may keep none. */
static struct decimal shorten_by_library(double number)
{
  int count = number < DBL_MIN ? 1 : DBL_DIG;
  struct decimal decimal = digits_by_library(number, count);
  while (count < DIGITS_ALWAYS && read_by_library(decimal) != number)
    decimal = digits_by_library(number, ++count);
  for (; decimal.digits % 10 == 0; decimal.digits /= 10)
    decimal.exponent++;
  return decimal;
}

#ifdef __SIZEOF_INT128__

/* number = mantissa * 2^exponent; the mantissa has 53 bits unless the number is subnormal. */
struct binary {
  uint64_t mantissa;
  int exponent;
};

static struct binary split(double number)
{
  enum { MANTISSA_BITS = 52, BIAS = 1075 };
  uint64_t bits;
  memcpy(&bits, &number, sizeof bits);
  uint64_t fraction = bits & ((UINT64_C(1) << MANTISSA_BITS) - 1);
  int biased = (int)(bits >> MANTISSA_BITS & 0x7ff);
  if (biased == 0)
    return (struct binary){fraction, 1 - BIAS};
  return (struct binary){fraction | UINT64_C(1) << MANTISSA_BITS, biased - BIAS};
}

/* A power and the three after it. */
#define FOUR(power) (power), (power)*10, (power)*100, (power)*1000

static const uint64_t tens[] = {FOUR(UINT64_C(1)), FOUR(UINT64_C(10000)), FOUR(UINT64_C(100000000)),
                                FOUR(UINT64_C(1000000000000)), FOUR(UINT64_C(10000000000000000))};

/* The decimals that read back as a number, scaled so that they have 17 or 18 digits before the
 * point: the integers from `least` to `most`. `twice` is about two times the number itself. */
struct range {
  uint64_t least, most, twice;
};

/* quarters / 4 * 2^exponent * 10^scale, rounded down; with `less`, an integer is rounded down
 * too. */
static uint64_t scaled(uint64_t quarters, bool less, int exponent, int scale)
{
  const int by = exponent + scale - 2;
  uk_wide product = (uk_wide)quarters * uk_fives[scale < 0 ? 0 : scale];
  product = (by > 0 ? product << by : product) - less;
  return (uint64_t)(scale < 0 ? product / uk_fives[-scale] : product >> (by < 0 ? -by : 0));
}

/* Half of the distance to the neighbour below, in quarters of the mantissa's last bit: below a
 * power of two the neighbour is half as far. */
static unsigned below(struct binary binary)
{
  return binary.mantissa == UINT64_C(1) << 52 ? 1 : 2;
}

/* For exact powers of ten. The middle between two doubles reads back as the even one. */
static struct range exact_range(struct binary binary, int scale)
{
  const uint64_t middle = binary.mantissa * 4;
  const bool even = binary.mantissa % 2 == 0;
  return (struct range){scaled(middle - below(binary), even, binary.exponent, scale) + 1,
                        scaled(middle + 2, !even, binary.exponent, scale),
                        scaled(middle * 2, false, binary.exponent, scale)};
}

/* For powers rounded to 128 bits. The range may be slightly too narrow. */
static struct range rounded_range(struct binary binary, int scale)
{
  enum { SLACK = 4 }; /* a product is too small by at most this */
  const uint64_t middle = binary.mantissa * 4;
  const struct uk_power power = uk_power_of_ten(scale);
  const int by = -(power.exponent + 64 + binary.exponent - 2); /* about 60 */
  const uk_wide low = uk_power_times(middle - below(binary), power.mantissa) + SLACK;
  const uk_wide high = uk_power_times(middle + 2, power.mantissa) - 1;
  const uk_wide twice = uk_power_times(middle * 2, power.mantissa);
  return (struct range){(uint64_t)(low >> by) + 1, (uint64_t)(high >> by), (uint64_t)(twice >> by)};
}

/* How many digits at the end of `most` can be zeroed without going below `least`. */
static int spare_digits(uint64_t least, uint64_t most)
{
  int spare = 0;
  for (least--; most / 10 > least / 10; spare++) {
    most /= 10;
    least /= 10;
  }
  return spare;
}

/* The shortest decimal that reads back as the number, and the nearest of these. False when 128 bits
 * do not suffice. */
static bool shorten(double number, struct decimal *decimal)
{
  const struct binary binary = split(number);
  if (binary.mantissa >> 52 == 0)
    return false;
  /* Minus the logarithm of the leading bit, rounded down; 78913 / 2^18 is that of 2. */
  const int scale = DIGITS_ALWAYS - 1 - (((binary.exponent + 52) * 78913) >> 18);
  const bool exact = scale >= -UK_FIVES_MAX && scale <= UK_FIVES_MAX;
  const struct range range = exact ? exact_range(binary, scale) : rounded_range(binary, scale);
  const int spare = spare_digits(range.least, range.most);
  const uint64_t ten = tens[spare];
  uint64_t digits = range.twice / (2 * ten);
  const bool up = range.twice - digits * (2 * ten) >= ten;
  if (digits * ten < range.least || (up && (digits + 1) * ten <= range.most))
    digits++;
  *decimal = (struct decimal){digits, spare - scale};
  return digits * ten >= range.least && digits * ten <= range.most;
}

/* The double nearest to value * 2^exponent; with `more`, to a slightly larger value. */
static double rounded(uk_wide value, bool more, int exponent)
{
  const int drop = uk_wide_bits(value) - DBL_MANT_DIG;
  if (drop <= 0)
    return ldexp((double)(uint64_t)value, exponent);
  uint64_t kept = (uint64_t)(value >> drop);
  const uk_wide rest = value - ((uk_wide)kept << drop), half = (uk_wide)1 << (drop - 1);
  if (rest > half || (rest == half && (more || (kept & 1) != 0)))
    kept++;
  return ldexp((double)kept, exponent + drop);
}

static double exact_value(uint64_t digits, int exponent)
{
  if (exponent >= 0)
    return rounded((uk_wide)digits * uk_fives[exponent], false, exponent);
  const int by = 64 + __builtin_clzll(digits);
  const uk_wide numerator = (uk_wide)digits << by;
  const uint64_t divisor = uk_fives[-exponent];
  const uk_wide quotient = numerator / divisor;
  return rounded(quotient, quotient * divisor != numerator, exponent - by);
}

/* For powers rounded to 128 bits. The value exceeds the product by less than four, and is not a
 * tie, because 5^28 is a factor or a divisor of it. False when the difference matters, and when the
 * double is subnormal or infinite. */
static bool rounded_value(uint64_t digits, int exponent, double *number)
{
  const int zeros = __builtin_clzll(digits);
  const struct uk_power power = uk_power_of_ten(exponent);
  const uk_wide product = uk_power_times(digits << zeros, power.mantissa);
  const int by = power.exponent + 64 - zeros;
  const double value = rounded(product, true, by);
  if (value != rounded(product + 4, true, by) || value <= DBL_MIN || value > DBL_MAX)
    return false;
  *number = value;
  return true;
}

static bool value_by_width(uint64_t digits, int exponent, double *number)
{
  if (digits == 0)
    return false;
  if (exponent < -UK_FIVES_MAX || exponent > UK_FIVES_MAX)
    return rounded_value(digits, exponent, number);
  *number = exact_value(digits, exponent);
  return true;
}

#else

static bool shorten(double number, struct decimal *decimal)
{
  (void)number;
  (void)decimal;
  return false;
}

static bool value_by_width(uint64_t digits, int exponent, double *number)
{
  (void)digits;
  (void)exponent;
  (void)number;
  return false;
}

#endif

/* When both operands are exact doubles, the result is rounded once. */
static bool value_by_double(uint64_t digits, int exponent, double *number)
{
  static const double powers[TENS_EXACT_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
  if (FLT_EVAL_METHOD != 0 || digits > (uint64_t)UK_EXACT_MAX || exponent < -TENS_EXACT_MAX ||
      exponent > TENS_EXACT_MAX)
    return false;
  double whole = (double)digits;
  *number = exponent < 0 ? whole / powers[-exponent] : whole * powers[exponent];
  return true;
}

bool uk_decimal_value(uint64_t digits, int64_t exponent, double *number)
{
  if (exponent < EXPONENT_MIN || exponent > EXPONENT_MAX)
    return false;
  return value_by_double(digits, (int)exponent, number) ||
         value_by_width(digits, (int)exponent, number);
}

/* Text. */

/* Inserts a point after the first `whole` of the digits up to `end`. */
static char *put_point(char *digits, char *end, int whole)
{
  memmove(digits + whole + 1, digits + whole, (size_t)(end - digits - whole));
  digits[whole] = '.';
  return end + 1;
}

/* Precondition: `decimal` has no trailing zeros. */
static char *put_decimal(char *out, struct decimal decimal)
{
  char *end = put_digits(out, decimal.digits);
  const int count = (int)(end - out), point = count + decimal.exponent;
  if (point > 0 && point < count)
    return put_point(out, end, point);
  if (point <= 0 && point >= POINT_MIN) {
    const size_t zeros = (size_t)-point + 2; /* with "0." */
    memmove(out + zeros, out, (size_t)count);
    memset(out, '0', zeros);
    out[1] = '.';
    return end + zeros;
  }
  return put_exponent(count > 1 ? put_point(out, end, 1) : end, point - 1);
}

size_t uk_decimal_text(char text[UK_DECIMAL_SIZE], double number)
{
  struct decimal decimal;
  char *out = text;
  double magnitude = fabs(number);
  if (signbit(number))
    *out++ = '-';
  if (magnitude <= (double)UK_EXACT_MAX && (double)(uint64_t)magnitude == magnitude) {
    out = put_digits(out, (uint64_t)magnitude);
  } else {
    if (!shorten(magnitude, &decimal))
      decimal = shorten_by_library(magnitude);
    out = put_decimal(out, decimal);
  }
  *out = '\0';
  return (size_t)(out - text);
}
