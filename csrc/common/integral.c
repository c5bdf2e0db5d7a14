#include "common/integral.h"

/* [-]whole[.fraction][e[+-]exponent], where each part consists of digits. */
struct parts {
  struct uk_slice whole, fraction, exponent;
  bool negative, exponent_negative;
};

struct cursor {
  const char *at, *end;
};

/* Skips one of the characters if it comes next. */
static bool take(struct cursor *cursor, const char *characters)
{
  bool found =
    cursor->at != cursor->end && *cursor->at != '\0' && strchr(characters, *cursor->at) != NULL;
  cursor->at += found;
  return found;
}

/* Reads one or more digits. */
static bool take_digits(struct cursor *cursor, struct uk_slice *digits)
{
  const char *start = cursor->at;
  while (take(cursor, "0123456789"))
    ;
  *digits = uk_slice_of(start, (size_t)(cursor->at - start));
  return digits->length > 0;
}

static bool take_exponent(struct cursor *cursor, struct parts *parts)
{
  parts->exponent_negative = take(cursor, "-");
  if (!parts->exponent_negative)
    take(cursor, "+");
  return take_digits(cursor, &parts->exponent);
}

static bool cut(struct parts *parts, struct uk_slice text)
{
  struct cursor cursor = {text.data, text.data + text.length};
  *parts = (struct parts){.negative = take(&cursor, "-")};
  return take_digits(&cursor, &parts->whole) &&
         (!take(&cursor, ".") || take_digits(&cursor, &parts->fraction)) &&
         (!take(&cursor, "eE") || take_exponent(&cursor, parts)) && cursor.at == cursor.end;
}

/* An exponent that exceeds the length of any text may be any such number. */
static int64_t exponent_of(const struct parts *parts)
{
  int64_t exponent = 0;
  for (size_t i = 0; i < parts->exponent.length && exponent < INT64_MAX / 100; i++)
    exponent = exponent * 10 + (parts->exponent.data[i] - '0');
  return parts->exponent_negative ? -exponent : exponent;
}

static unsigned digit_at(const struct parts *parts, size_t index)
{
  size_t whole = parts->whole.length;
  char digit = index < whole ? parts->whole.data[index] : parts->fraction.data[index - whole];
  return (unsigned)(digit - '0');
}

/* The number, if it is an integer of at most `most`. */
static bool magnitude_of(const struct parts *parts, uint64_t most, uint64_t *magnitude)
{
  size_t count = parts->whole.length + parts->fraction.length;
  int64_t point = (int64_t)parts->whole.length + exponent_of(parts);
  *magnitude = 0;
  while (count > 0 && digit_at(parts, count - 1) == 0)
    count--;
  if (count > 0 && point < (int64_t)count)
    return false;
  /* Terminates early for huge exponents: some digit before `count` is not zero. */
  for (int64_t i = 0; count > 0 && i < point; i++) {
    unsigned digit = i < (int64_t)count ? digit_at(parts, (size_t)i) : 0;
    if (*magnitude > (most - digit) / 10)
      return false;
    *magnitude = *magnitude * 10 + digit;
  }
  return true;
}

bool uk_parse_integral(struct uk_slice text, int64_t *value)
{
  struct parts parts;
  uint64_t magnitude;
  if (text.length == 0 || !cut(&parts, text) ||
      !magnitude_of(&parts, (uint64_t)INT64_MAX + parts.negative, &magnitude))
    return false;
  *value = parts.negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
  return true;
}
