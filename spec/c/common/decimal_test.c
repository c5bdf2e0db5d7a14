/* for: decimal.c, decimal_power.c. Generated numbers with a fixed seed; `decimal_test COUNT` tests
 * that many. */
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>

#include "check.h"
#include "common/decimal.h"

static long number_count = 100000;
static uint64_t seed = 88172645463325252;

static uint64_t random_bits(void)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed * UINT64_C(2685821657736338717);
}

static double of_bits(uint64_t bits)
{
  double number;
  memcpy(&number, &bits, sizeof number);
  return number;
}

/* True when the text has as few digits as the shortest "%.*e" that reads back as the number. */
static size_t digits_needed(double number)
{
  char text[64];
  int precision = 0;
  do
    snprintf(text, sizeof text, "%.*e", precision++, number);
  while (precision < 17 && strtod(text, NULL) != number);
  return (size_t)precision;
}

static size_t digits_in(const char *text)
{
  size_t count = 0, zeros = 0;
  for (; *text != '\0' && *text != 'e'; text++) {
    if (*text < '0' || *text > '9' || (count == 0 && *text == '0'))
      continue;
    count++;
    zeros = *text == '0' ? zeros + 1 : 0;
  }
  return count - zeros;
}

/* True when the text follows the grammar of RFC 8259. */
static bool is_json(const char *at)
{
  at += *at == '-';
  size_t whole = strspn(at, "0123456789");
  if (whole == 0 || (whole > 1 && *at == '0'))
    return false;
  at += whole;
  if (*at == '.') {
    size_t fraction = strspn(at + 1, "0123456789");
    if (fraction == 0)
      return false;
    at += 1 + fraction;
  }
  if (*at == 'e') {
    at += at[1] == '-' || at[1] == '+' ? 2 : 1;
    size_t exponent = strspn(at, "0123456789");
    if (exponent == 0)
      return false;
    at += exponent;
  }
  return *at == '\0';
}

static void check_number(double number)
{
  char text[UK_DECIMAL_SIZE];
  size_t length = uk_decimal_text(text, number);
  double back = strtod(text, NULL);
  bool whole = fabs(number) <= (double)UK_EXACT_MAX && floor(number) == number;
  bool fine = length == strlen(text) && is_json(text) && back == number &&
              signbit(back) == signbit(number) && (strpbrk(text, ".e") == NULL) == whole;
  if (!CHECK(fine))
    fprintf(stderr, "  %.17g as %s\n", number, text);
}

static void check_text(double number, const char *want)
{
  char text[UK_DECIMAL_SIZE];
  size_t length = uk_decimal_text(text, number);
  CHECK_EQ_MEM(text, length, want, strlen(want));
}

static void numbers_have_familiar_texts(void)
{
  check_text(0, "0");
  check_text(-0.0, "-0");
  check_text(5, "5");
  check_text(-17, "-17");
  check_text(123456789012345, "123456789012345");
  check_text(9007199254740991, "9007199254740991");
  check_text(9007199254740992, "9007199254740992");
  check_text(-9007199254740992, "-9007199254740992");
  check_text(9007199254740994, "9.007199254740994e+15");
  check_text(1e15, "1000000000000000");
  check_text(1e16, "1e+16");
  check_text(1e17, "1e+17");
  check_text(1e23, "1e+23");
  check_text(1e100, "1e+100");
  check_text(0.1, "0.1");
  check_text(-0.25, "-0.25");
  check_text(0.1 + 0.2, "0.30000000000000004");
  check_text(52.520006599999, "52.520006599999");
  check_text(123456789012345.5, "123456789012345.5");
  check_text(1.0 / 3, "0.3333333333333333");
  check_text(0.0001, "0.0001");
  check_text(0.00012345, "0.00012345");
  check_text(0.00001, "1e-05");
  check_text(1e-9, "1e-09");
  check_text(1.5e-10, "1.5e-10");
  check_text(1e99, "1e+99");
  check_text(1e100, "1e+100");
  check_text(1.5e-10, "1.5e-10");
  check_text(1e-300, "1e-300");
  check_text(DBL_MAX, "1.7976931348623157e+308");
  check_text(DBL_MIN, "2.2250738585072014e-308");
  check_text(DBL_TRUE_MIN, "5e-324");
}

static void generated_numbers_read_back_the_same(void)
{
  for (long i = 0; i < number_count; i++) {
    double number = of_bits(random_bits());
    if (isfinite(number))
      check_number(number);
    check_number((double)(int64_t)random_bits());
    check_number((double)(random_bits() >> 11) / 9007199254740992.0);
    check_number((double)(int64_t)(random_bits() % 2000000000000) / 1e6 - 1e6);
  }
}

static void numbers_around_powers_read_back_the_same(void)
{
  for (int i = -1074; i <= 1023; i++) {
    double power = ldexp(1, i);
    check_number(power);
    check_number(-power);
    check_number(nextafter(power, 0));
    check_number(nextafter(power, INFINITY));
    check_number(power + 1);
    check_number(power - 1);
  }
  for (int i = -323; i <= 308; i++) {
    char text[16];
    snprintf(text, sizeof text, "1e%d", i);
    double power = strtod(text, NULL);
    check_number(power);
    check_number(nextafter(power, 0));
    check_number(nextafter(power, INFINITY));
  }
  check_number(DBL_MAX);
  check_number(DBL_TRUE_MIN);
  check_number(nextafter(DBL_MIN, 0));
}

/* Every second number has few digits. */
static void no_unnecessary_digit_is_written(void)
{
  for (long i = 0; i < number_count / 10; i++) {
    char text[UK_DECIMAL_SIZE];
    double number = i % 4 < 2 ? of_bits(random_bits())
                              : ldexp((double)(random_bits() >> 11), -(int)(random_bits() % 80));
    if (i % 2 == 0) {
      snprintf(text, sizeof text, "%.*e", (int)(random_bits() % 16), number);
      number = strtod(text, NULL);
    }
    if (!isfinite(number))
      continue;
    uk_decimal_text(text, number);
    if (!CHECK(digits_in(text) <= digits_needed(number)))
      fprintf(stderr, "  %.17g as %s\n", number, text);
  }
}

static void check_value(uint64_t digits, int exponent)
{
  char text[64];
  double got, want;
  if (!uk_decimal_value(digits, exponent, &got))
    return;
  snprintf(text, sizeof text, "%llue%d", (unsigned long long)digits, exponent);
  want = strtod(text, NULL);
  if (!CHECK(got == want))
    fprintf(stderr, "  %s as %.17g\n", text, got);
}

static void digits_are_read_as_the_library_reads_them(void)
{
  for (long i = 0; i < number_count; i++) {
    uint64_t digits = random_bits() >> (random_bits() % 64);
    check_value(digits, (int)(random_bits() % 660) - 345);
    check_value(digits, (int)(random_bits() % 60) - 30);
  }
}

/* These digits * 10^exponent are the middle between two doubles: the even one is the nearest. */
static void ties_go_to_the_even_neighbour(void)
{
  double number;
  for (uint64_t odd = 1; odd < 200; odd++) {
    uint64_t middle = (UINT64_C(1) << 54) + 2 * odd; /* between multiples of 4 */
    check_value(middle - 1, 0);
    check_value(middle, 0);
    check_value(middle + 1, 0);
    check_value(middle * 5, -1); /* half of it, without a remainder */
    check_value(middle * 25, -2);
  }
#ifdef __SIZEOF_INT128__
  REQUIRE(uk_decimal_value(UINT64_C(9007199254740993), 0, &number));
  CHECK(number == 9007199254740992.0);
  REQUIRE(uk_decimal_value(UINT64_C(9007199254740995), 0, &number));
  CHECK(number == 9007199254740996.0);
  REQUIRE(uk_decimal_value(UINT64_C(90071992547409930), -1, &number));
  CHECK(number == 9007199254740992.0);
  REQUIRE(uk_decimal_value(UINT64_C(9007199254740993001), -3, &number));
  CHECK(number == 9007199254740994.0);
#else
  CHECK(!uk_decimal_value(UINT64_C(9007199254740993), 0, &number));
#endif
}

static void numbers_beyond_doubles_are_left_to_the_caller(void)
{
  double number = 7;
  CHECK(!uk_decimal_value(1, INT64_MAX, &number));
  CHECK(!uk_decimal_value(1, INT64_MIN, &number));
  CHECK(!uk_decimal_value(1, 309, &number));
  CHECK(!uk_decimal_value(1, -343, &number));
  CHECK(number == 7);
}

/* Between the largest subnormal and the smallest normal number. To the width of a normal one, the
 * first digits round to the middle between the two, although they are below it. */
static void the_edge_of_the_normal_numbers_is_rounded_once(void)
{
  static const uint64_t digits[] = {UINT64_C(2225073858507201136), UINT64_C(2225073858507201137),
                                    UINT64_C(2225073858507201383), UINT64_C(2225073858507201384)};
  for (size_t i = 0; i < sizeof digits / sizeof *digits; i++)
    check_value(digits[i], -326);
}

/* In a locale with a decimal comma. */
static void the_locale_changes_nothing(void)
{
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (setlocale(LC_NUMERIC, names[i]) == NULL)
      continue;
    check_text(1.5, "1.5");
    check_text(1.25e300, "1.25e+300");
    check_text(DBL_MIN, "2.2250738585072014e-308");
    setlocale(LC_NUMERIC, "C");
  }
}

int main(int argc, char **argv)
{
  if (argc > 1)
    number_count = atol(argv[1]);
  CHECK_RUN(numbers_have_familiar_texts);
  CHECK_RUN(generated_numbers_read_back_the_same);
  CHECK_RUN(numbers_around_powers_read_back_the_same);
  CHECK_RUN(no_unnecessary_digit_is_written);
  CHECK_RUN(digits_are_read_as_the_library_reads_them);
  CHECK_RUN(ties_go_to_the_even_neighbour);
  CHECK_RUN(numbers_beyond_doubles_are_left_to_the_caller);
  CHECK_RUN(the_edge_of_the_normal_numbers_is_rounded_once);
  CHECK_RUN(the_locale_changes_nothing);
  return check_end();
}
