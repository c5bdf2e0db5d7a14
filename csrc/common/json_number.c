/* json_number: reads integers exactly, and other numbers as the nearest double. */
#include <stdlib.h>

#include "common/decimal.h"
#include "common/json_parts.h"

static inline bool is_digit(char c)
{
  return c >= '0' && c <= '9';
}

static inline char *skip_digits(char *at, const char *end)
{
  while (at != end && is_digit(*at))
    at++;
  return at;
}

/* Skips one or more digits at `at`. NULL after uk_json_fail. */
static char *need_digits(struct uk_json_reader *reader, char *at)
{
  if (at == reader->end)
    return uk_json_fail(reader, at, UK_JSON_E_CUT_OFF);
  return is_digit(*at) ? skip_digits(at, reader->end)
                       : uk_json_fail(reader, at, UK_JSON_E_BAD_NUMBER);
}

/* Skips fraction and exponent, either of which may be missing. NULL after uk_json_fail. */
static char *read_rest(struct uk_json_reader *reader, char *at)
{
  if (at != reader->end && *at == '.')
    at = need_digits(reader, at + 1);
  if (at != NULL && at != reader->end && (*at == 'e' || *at == 'E')) {
    at++;
    if (at != reader->end && (*at == '+' || *at == '-'))
      at++;
    at = need_digits(reader, at);
  }
  return at;
}

static inline bool fits(uint64_t magnitude, size_t digits, bool negative)
{
  if (digits > 19) /* every number of 19 digits fits 64 bits unsigned */
    return false;
  return negative ? magnitude > 0 && magnitude <= (uint64_t)INT64_MAX + 1 : magnitude <= INT64_MAX;
}

/* The middle between two neighbouring doubles has fewer than 800 digits. So 800 digits, and whether
 * any digit after them is not zero, decide on which side of it a number lies. */
enum { DIGITS_MAX = 800, DIGITS_SHORT = 19 /* these fit 64 bits */ };

/* digits * 10^exponent, without leading zeros. */
struct decimal {
  char digits[DIGITS_MAX + sizeof "1e-99999"]; /* with room for the exponent */
  size_t count;
  bool dropped; /* digits after DIGITS_MAX were not zero */
  int64_t exponent;
};

static void add_digit(struct decimal *decimal, char digit)
{
  if (decimal->count == 0 && digit == '0')
    return;
  if (decimal->count < DIGITS_MAX) {
    decimal->digits[decimal->count++] = digit;
    return;
  }
  decimal->exponent++;
  decimal->dropped = decimal->dropped || digit != '0';
}

/* "e-12" as a number. An exponent beyond every double may be any such number. */
static int64_t exponent_of(const char *at, const char *end)
{
  int64_t exponent = 0;
  bool negative = *++at == '-';
  for (at += negative || *at == '+'; at != end; at++) {
    if (exponent < INT64_MAX / 100)
      exponent = exponent * 10 + (*at - '0');
  }
  return negative ? -exponent : exponent;
}

static void read_decimal(struct decimal *decimal, const char *at, const char *end)
{
  bool fraction = false;
  for (; at != end && (*at | 0x20) != 'e'; at++) {
    if (*at == '.') {
      fraction = true;
    } else {
      decimal->exponent -= fraction;
      add_digit(decimal, *at);
    }
  }
  if (at != end)
    decimal->exponent += exponent_of(at, end);
}

static bool short_number(const struct decimal *decimal, double *number)
{
  uint64_t digits = 0;
  if (decimal->count > DIGITS_SHORT)
    return false;
  for (size_t i = 0; i < decimal->count; i++)
    digits = digits * 10 + (uint64_t)(decimal->digits[i] - '0');
  return uk_decimal_value(digits, decimal->exponent, number);
}

/* Precondition: the exponent has at most four digits. NUL-terminated. */
static void put_exponent(char *out, int exponent)
{
  *out++ = 'e';
  *out++ = exponent < 0 ? '-' : '+';
  for (int unit = 1000, rest = abs(exponent); unit > 0; rest %= unit, unit /= 10)
    *out++ = (char)('0' + rest / unit);
  *out = '\0';
}

static double long_number(struct decimal *decimal)
{
  const int64_t most = 9999; /* with up to 801 digits this exceeds every double, either way */
  char *behind = decimal->digits + decimal->count;
  if (decimal->dropped) {
    *behind++ = '1';
    decimal->exponent--;
  }
  int64_t exponent = decimal->exponent > most    ? most
                     : decimal->exponent < -most ? -most
                                                 : decimal->exponent;
  put_exponent(behind, (int)exponent);
  return strtod(decimal->digits, NULL);
}

/* The double nearest to a well-formed number: an infinity or zero beyond their range. The text for
 * strtod has no decimal point, which would depend on the locale. */
static double to_double(struct uk_slice text)
{
  struct decimal decimal;
  bool negative = text.data[0] == '-';
  decimal.count = 0;
  decimal.dropped = false;
  decimal.exponent = 0;
  read_decimal(&decimal, text.data + negative, text.data + text.length);
  double number = 0;
  if (decimal.count > 0 && !short_number(&decimal, &number))
    number = long_number(&decimal);
  return negative ? -number : number;
}

char *uk_json_read_number(struct uk_json_reader *reader, char *start, enum uk_json_event *event)
{
  bool negative = *start == '-';
  char *first = start + negative, *at = first;
  uint64_t magnitude = 0;
  for (; at != reader->end && is_digit(*at); at++)
    magnitude = magnitude * 10 + (uint64_t)(*at - '0');
  if (at == first)
    return need_digits(reader, at);
  if (*first == '0' && at - first > 1)
    return uk_json_fail(reader, first + 1, UK_JSON_E_BAD_NUMBER);
  bool whole = at == reader->end || (*at != '.' && *at != 'e' && *at != 'E');
  if (whole && fits(magnitude, (size_t)(at - first), negative)) {
    reader->integer = (int64_t)(negative ? 0 - magnitude : magnitude);
    *event = UK_JSON_INTEGER;
    return at;
  }
  at = read_rest(reader, at);
  if (at == NULL)
    return NULL;
  reader->string = uk_slice_of(start, (size_t)(at - start));
  reader->number = to_double(reader->string);
  *event = UK_JSON_NUMBER;
  return at;
}
