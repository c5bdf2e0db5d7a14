#include "client/http_date.h"

enum { SECONDS_OF_DAY = 86400, YEARS_AHEAD = 50 };

/* In the notation of strptime: %e is a day padded with a blank, %A a full name. The second is the
 * obsolete format of RFC 850, the third that of asctime. */
static const char *const formats[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                      "%a %b %e %H:%M:%S %Y"};

static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};
static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct date {
  int64_t year;
  int month, day, hour, minute, second; /* month from 0 */
  bool short_year;
};

static bool take_text(struct uk_slice *rest, const char *text, size_t length)
{
  if (rest->length < length || memcmp(rest->data, text, length) != 0)
    return false;
  *rest = uk_slice_of(rest->data + length, rest->length - length);
  return true;
}

/* Reads one of the names, of which the first `letters` count (0 = all). Returns its index or -1. */
static int take_name(struct uk_slice *rest, const char *const *names, int count, size_t letters)
{
  for (int i = 0; i < count; i++)
    if (take_text(rest, names[i], letters > 0 ? letters : strlen(names[i])))
      return i;
  return -1;
}

/* Reads exactly `digits` digits. Returns the number or -1. */
static int take_digits(struct uk_slice *rest, size_t digits)
{
  int number = 0;
  if (rest->length < digits)
    return -1;
  for (size_t i = 0; i < digits; i++) {
    if (rest->data[i] < '0' || rest->data[i] > '9')
      return -1;
    number = number * 10 + (rest->data[i] - '0');
  }
  *rest = uk_slice_of(rest->data + digits, rest->length - digits);
  return number;
}

static bool take_year(struct uk_slice *rest, struct date *date, size_t digits)
{
  date->year = take_digits(rest, digits);
  date->short_year = digits == 2;
  return date->year >= 0;
}

/* Reads one part of a date. */
static bool take_part(struct uk_slice *rest, char part, struct date *date)
{
  switch (part) {
  case 'a': return take_name(rest, days, 7, 3) >= 0;
  case 'A': return take_name(rest, days, 7, 0) >= 0;
  case 'b': return (date->month = take_name(rest, months, 12, 3)) >= 0;
  case 'e': return (date->day = take_digits(rest, take_text(rest, " ", 1) ? 1 : 2)) >= 1;
  case 'd': return (date->day = take_digits(rest, 2)) >= 1;
  case 'Y': return take_year(rest, date, 4);
  case 'y': return take_year(rest, date, 2);
  case 'H': return (date->hour = take_digits(rest, 2)) >= 0;
  case 'M': return (date->minute = take_digits(rest, 2)) >= 0;
  default: return (date->second = take_digits(rest, 2)) >= 0;
  }
}

static bool take_date(struct uk_slice rest, const char *format, struct date *date)
{
  for (; *format != '\0'; format++)
    if (*format == '%' ? !take_part(&rest, *++format, date) : !take_text(&rest, format, 1))
      return false;
  return rest.length == 0;
}

static bool is_leap(int64_t year)
{
  return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static bool is_real(const struct date *date)
{
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const int length = lengths[date->month] + (date->month == 1 && is_leap(date->year));
  return date->day <= length && date->hour <= 23 && date->minute <= 59 &&
         date->second <= 60; /* a leap second */
}

static int64_t days_before_year(int64_t year)
{
  year--;
  return year * 365 + year / 4 - year / 100 + year / 400;
}

static int64_t seconds_of(const struct date *date)
{
  static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  int64_t day = days_before_year(date->year) - days_before_year(1970) + before[date->month];
  day += date->day - 1 + (date->month > 1 && is_leap(date->year));
  return day * SECONDS_OF_DAY + date->hour * 3600 + date->minute * 60 + date->second;
}

/* The latest century that puts a year of two digits at most YEARS_AHEAD of now. */
static void complete_year(struct date *date, int64_t now)
{
  const int64_t year = 1970 + now / SECONDS_OF_DAY * 400 / 146097;
  date->year += (year + YEARS_AHEAD - date->year) / 100 * 100;
}

bool uk_http_date(struct uk_slice text, int64_t now, int64_t *seconds)
{
  for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
    struct date date = {.year = 0};
    if (!take_date(text, formats[i], &date))
      continue;
    if (date.short_year)
      complete_year(&date, now);
    if (date.year < 1 || !is_real(&date))
      return false;
    *seconds = seconds_of(&date);
    return true;
  }
  return false;
}
