#include "common/decimal.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DIGITS_ALWAYS = 17, /* so many name every double apart */
  POINT_MIN = -3,     /* 0.0001 is written plainly, 0.00001 as 1e-05 */
  FIVES_MAX = 27,     /* 5^27 fits 63 bits */
  TENS_EXACT_MAX = 22 /* 10^22 is the last power of ten that a double holds */
};

/* number = digits * 10^exponent */
struct decimal {
  uint64_t digits;
  int exponent;
};

/* number = mantissa * 2^exponent, the mantissa of 53 bits unless it is subnormal. */
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

/* These return the end of what they wrote. */

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
  int saved = errno;
  double number = strtod(text, NULL);
  errno = saved;
  return number;
}

static struct decimal without_zeros(struct decimal decimal)
{
  for (; decimal.digits % 10 == 0; decimal.digits /= 10)
    decimal.exponent++;
  return decimal;
}

/* The 17 digits that the library finds, rounded to 15 when these read back as well. What stands
 * between the digits depends on the locale, and is passed over. */
static struct decimal shorten_by_library(double number)
{
  char text[64];
  struct decimal whole = {0, 0};
  snprintf(text, sizeof text, "%.*e", DIGITS_ALWAYS - 1, number);
  const char *at = text;
  for (; *at != 'e'; at++)
    if (*at >= '0' && *at <= '9')
      whole.digits = whole.digits * 10 + (uint64_t)(*at - '0');
  whole.exponent = (int)strtol(at + 1, NULL, 10) - (DIGITS_ALWAYS - 1);
  const struct decimal fewer = {(whole.digits + 50) / 100, whole.exponent + 2};
  return without_zeros(read_by_library(fewer) == number ? fewer : whole);
}

#ifdef __SIZEOF_INT128__

__extension__ typedef unsigned __int128 wide;

/* A power and the three behind it. */
#define FOUR(power, base)                                                                          \
  (power), (power) * (base), (power) * ((base) * (base)), (power) * ((base) * (base) * (base))

static const uint64_t fives[FIVES_MAX + 1] = {FOUR(UINT64_C(1), 5),
                                              FOUR(UINT64_C(625), 5),
                                              FOUR(UINT64_C(390625), 5),
                                              FOUR(UINT64_C(244140625), 5),
                                              FOUR(UINT64_C(152587890625), 5),
                                              FOUR(UINT64_C(95367431640625), 5),
                                              FOUR(UINT64_C(59604644775390625), 5)};

static const uint64_t tens[] = {FOUR(UINT64_C(1), 10), FOUR(UINT64_C(10000), 10),
                                FOUR(UINT64_C(100000000), 10), FOUR(UINT64_C(1000000000000), 10),
                                FOUR(UINT64_C(10000000000000000), 10)};

/* quarters / 4 * 2^exponent * 10^scale, rounded down; `less`: to the next integer below where it is
 * one. */
static uint64_t scaled(uint64_t quarters, bool less, int exponent, int scale)
{
  const int by = exponent + scale - 2;
  wide product = (wide)quarters * fives[scale < 0 ? 0 : scale];
  product = (by > 0 ? product << by : product) - less;
  return (uint64_t)(scale < 0 ? product / fives[-scale] : product >> (by < 0 ? -by : 0));
}

/* How many digits at the end of `most` can become zeros without passing below `least`, both
 * included. */
static int spare_digits(uint64_t least, uint64_t most)
{
  int spare = 0;
  for (least--; most / 10 > least / 10; spare++) {
    most /= 10;
    least /= 10;
  }
  return spare;
}

/* Of all decimals that are read as the number the shortest, and of these the nearest. Scaled by
 * 10^scale the number has 17 or 18 digits before the point. False when that takes more than 128
 * bits: it is very large or very small. */
static bool shorten(double number, struct decimal *decimal)
{
  struct binary binary = split(number);
  const int exponent = binary.exponent;
  /* Less the logarithm of the number's leading bit, rounded down; 1233 / 4096 is that of 2. */
  int scale = DIGITS_ALWAYS - 1 - (((exponent + 52) * 1233) >> 12);
  if (scale < -FIVES_MAX || scale > FIVES_MAX)
    return false;
  /* In quarters of the mantissa's last bit: below a power of two the neighbour is half as far. */
  uint64_t middle = binary.mantissa * 4;
  unsigned below = binary.mantissa == UINT64_C(1) << 52 ? 1 : 2;
  bool even = binary.mantissa % 2 == 0; /* the middles are read as the even one */
  uint64_t least = scaled(middle - below, even, exponent, scale) + 1;
  uint64_t most = scaled(middle + 2, !even, exponent, scale);
  uint64_t twice = scaled(middle * 2, false, exponent, scale);
  int spare = spare_digits(least, most);
  uint64_t ten = tens[spare], digits = twice / (2 * ten);
  bool up = twice - digits * (2 * ten) >= ten;
  if (digits * ten < least || (up && (digits + 1) * ten <= most))
    digits++;
  *decimal = (struct decimal){digits, spare - scale};
  return true;
}

/* The double nearest to value * 2^exponent; `more`: the value is a little larger than it says. */
static double rounded(wide value, bool more, int exponent)
{
  uint64_t high = (uint64_t)(value >> 64), low = (uint64_t)value;
  int bits = high != 0 ? 128 - __builtin_clzll(high) : 64 - __builtin_clzll(low);
  int drop = bits - DBL_MANT_DIG;
  if (drop <= 0)
    return ldexp((double)low, exponent);
  uint64_t kept = (uint64_t)(value >> drop);
  wide rest = value - ((wide)kept << drop), half = (wide)1 << (drop - 1);
  if (rest > half || (rest == half && (more || (kept & 1) != 0)))
    kept++;
  return ldexp((double)kept, exponent + drop);
}

static bool value_by_width(uint64_t digits, int exponent, double *number)
{
  if (digits == 0 || exponent < -FIVES_MAX || exponent > FIVES_MAX)
    return false;
  if (exponent >= 0) {
    *number = rounded((wide)digits * fives[exponent], false, exponent);
    return true;
  }
  int by = 64 + __builtin_clzll(digits);
  wide numerator = (wide)digits << by;
  uint64_t divisor = fives[-exponent];
  wide quotient = numerator / divisor;
  *number = rounded(quotient, quotient * divisor != numerator, exponent - by);
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

/* Where both are doubles without loss, one operation rounds once. */
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
  if (exponent < -FIVES_MAX || exponent > FIVES_MAX)
    return false;
  return value_by_double(digits, (int)exponent, number) ||
         value_by_width(digits, (int)exponent, number);
}

/* ---- text ---- */

/* Puts a point behind the first `whole` of the digits up to `end`. */
static char *put_point(char *digits, char *end, int whole)
{
  memmove(digits + whole + 1, digits + whole, (size_t)(end - digits - whole));
  digits[whole] = '.';
  return end + 1;
}

/* `decimal` has no zeros at its end. */
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
