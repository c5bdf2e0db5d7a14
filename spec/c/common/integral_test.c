/* for: integral.c */
#include "common/integral.h"

#include <stdlib.h>

#include "check.h"
#include "guard.h"

/* Parses bytes that end at a guard page. */
static bool parse(const char *text, int64_t *value)
{
  size_t length = strlen(text);
  char *copy = guard_copy(text, length);
  bool good = uk_parse_integral(uk_slice_of(copy, length), value);
  guard_free(copy, length);
  return good;
}

static void integral_values_are_exact(void)
{
  static const struct {
    const char *text;
    int64_t value;
  } cases[] = {
    {"0", 0},
    {"-0", 0},
    {"0.000", 0},
    {"0e5", 0},
    {"0E-999999999999999999999999", 0},
    {"42", 42},
    {"-42", -42},
    {"007", 7},
    {"42.0", 42},
    {"1764000000000.0", 1764000000000},
    {"1e3", 1000},
    {"1E+3", 1000},
    {"12.50e1", 125},
    {"1200e-2", 12},
    {"0.00042e5", 42},
    {"0.1e1", 1},
    {"9007199254740993.0", 9007199254740993},
    {"9223372036854775807", INT64_MAX},
    {"9.223372036854775807e18", INT64_MAX},
    {"9223372036854775807000000000000000000000e-21", INT64_MAX},
    {"-9223372036854775808", INT64_MIN},
    {"-9223372036854775808.000", INT64_MIN},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    int64_t value = 5;
    if (CHECK(parse(cases[i].text, &value)))
      CHECK_EQ_INT(value, cases[i].value);
    else
      fprintf(stderr, "  %s\n", cases[i].text);
  }
}

static void everything_else_is_refused(void)
{
  static const char *const texts[] = {
    "",
    "-",
    "+1",
    " 1",
    "1 ",
    "1.",
    ".5",
    "1.5",
    "0.1",
    "1e",
    "1e+",
    "1e-",
    "1e+-1",
    "1e-1",
    "15e-2",
    "1.05e1",
    "--1",
    "1-",
    "0x10",
    "1_000",
    "1,000",
    "one",
    "NaN",
    "Infinity",
    "true",
    "1e5.0",
    "9223372036854775808",
    "9223372036854775807.5",
    "9223372036854775808.0",
    "-9223372036854775809",
    "18446744073709551616",
    "1e19",
    "1e999999999999999999999999999",
    "1e-999999999999999999999999999",
    "99999999999999999999999999999999999999",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    int64_t value = 5;
    if (!CHECK(!parse(texts[i], &value)))
      fprintf(stderr, "  %s\n", texts[i]);
    CHECK_EQ_INT(value, 5);
  }
  int64_t value = 5;
  CHECK(!uk_parse_integral(uk_slice_of("1\0", 2), &value));
  CHECK(!uk_parse_integral((struct uk_slice){0}, &value));
}

static uint64_t seed = 88172645463325252;

static uint64_t draw(void)
{
  seed ^= seed << 13;
  seed ^= seed >> 7;
  seed ^= seed << 17;
  return seed;
}

/* Moves the decimal point and adapts the exponent: the value stays. */
static void the_position_of_the_point_changes_nothing(void)
{
  for (int i = 0; i < 100000; i++) {
    char digits[24], text[64];
    int64_t value = 0, want = (int64_t)(draw() >> draw() % 63);
    want = want == INT64_MIN ? 0 : llabs(want);
    int length = snprintf(digits, sizeof digits, "%lld", (long long)want);
    int whole = 1 + (int)(draw() % (unsigned)length);
    int fraction = length - whole;
    snprintf(text, sizeof text, "-%.*s%s%se%d", whole, digits, fraction > 0 ? "." : "",
             digits + whole, fraction);
    if (!CHECK(parse(text, &value)) || !CHECK_EQ_INT(value, -want)) {
      fprintf(stderr, "  %s\n", text);
      return;
    }
  }
}

/* Terminates although the number has a billion digits. */
static void a_huge_exponent_costs_nothing(void)
{
  int64_t value = 5;
  for (int i = 0; i < 1000; i++) {
    CHECK(!parse("1e1000000000", &value));
    CHECK(parse("0e1000000000", &value));
    CHECK(!parse("1e-1000000000", &value));
  }
  CHECK_EQ_INT(value, 0);
}

int main(void)
{
  CHECK_RUN(integral_values_are_exact);
  CHECK_RUN(everything_else_is_refused);
  CHECK_RUN(the_position_of_the_point_changes_nothing);
  CHECK_RUN(a_huge_exponent_costs_nothing);
  return check_end();
}
