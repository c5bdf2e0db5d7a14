/* for: http_date.c */
#include "check.h"
#include "client/http_date.h"
#include "guard.h"

enum { NONE = -7 };

static const int64_t y2026 = 1767225600; /* 2026-01-01 */

static int64_t date_of(const char *text, int64_t now)
{
  int64_t seconds = NONE;
  const bool read = uk_http_date(uk_slice_text(text), now, &seconds);
  return read ? seconds : seconds == NONE ? NONE : NONE - 1;
}

static void the_three_forms_are_read(void)
{
  CHECK_EQ_INT(date_of("Sun, 06 Nov 1994 08:49:37 GMT", y2026), 784111777);
  CHECK_EQ_INT(date_of("Sunday, 06-Nov-94 08:49:37 GMT", y2026), 784111777);
  CHECK_EQ_INT(date_of("Sun Nov  6 08:49:37 1994", y2026), 784111777);
  CHECK_EQ_INT(date_of("Wed Nov 16 08:49:37 1994", y2026), 784975777);
  CHECK_EQ_INT(date_of("Thu Jan  1 00:00:00 1970", y2026), 0);
  CHECK_EQ_INT(date_of("Thu Jan 01 00:00:00 1970", y2026), 0);
}

static void days_are_counted(void)
{
  CHECK_EQ_INT(date_of("Thu, 01 Jan 1970 00:00:00 GMT", 0), 0);
  CHECK_EQ_INT(date_of("Thu, 01 Jan 2026 00:00:00 GMT", 0), y2026);
  CHECK_EQ_INT(date_of("Tue, 29 Feb 2000 23:59:59 GMT", 0), 951868799);
  CHECK_EQ_INT(date_of("Wed, 01 Mar 2000 00:00:00 GMT", 0), 951868800);
  CHECK_EQ_INT(date_of("Mon, 01 Mar 2100 00:00:00 GMT", 0), 4107542400);
  CHECK_EQ_INT(date_of("Sat, 31 Dec 2016 23:59:60 GMT", 0), 1483228800);
  CHECK_EQ_INT(date_of("Mon, 01 Jan 0001 00:00:00 GMT", 0), INT64_C(-62135596800));
}

/* The first and the last day of each month of a leap year and a common year, and the day after
 * it. */
static void months_have_their_lengths(void)
{
  static const char *const names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int64_t day = 1704067200 / 86400; /* of 2024-01-01 */
  char text[40];
  for (int i = 0; i < 24; i++) {
    const int length = lengths[i % 12] + (i == 1); /* 2024 is a leap year */
    snprintf(text, sizeof text, "Mon, 01 %s %d 01:02:03 GMT", names[i % 12], 2024 + i / 12);
    CHECK_EQ_INT(date_of(text, y2026), day * 86400 + 3723);
    snprintf(text, sizeof text, "Mon, %d %s %d 23:59:59 GMT", length, names[i % 12], 2024 + i / 12);
    day += length;
    CHECK_EQ_INT(date_of(text, y2026), day * 86400 - 1);
    snprintf(text, sizeof text, "Mon, %d %s %d 00:00:00 GMT", length + 1, names[i % 12],
             2024 + i / 12);
    CHECK_EQ_INT(date_of(text, y2026), NONE);
  }
}

/* Each day of the week, by its short and its full name. */
static void days_have_their_names(void)
{
  static const char *const names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                      "Thursday", "Friday", "Saturday"};
  char text[40];
  for (int i = 0; i < 7; i++) {
    snprintf(text, sizeof text, "%.3s, 02 Jan 1970 00:00:00 GMT", names[i]);
    CHECK_EQ_INT(date_of(text, 0), 86400);
    snprintf(text, sizeof text, "%s, 02-Jan-70 00:00:00 GMT", names[i]);
    CHECK_EQ_INT(date_of(text, 0), 86400);
    snprintf(text, sizeof text, "%.3s Jan  2 00:00:00 1970", names[i]);
    CHECK_EQ_INT(date_of(text, 0), 86400);
  }
}

/* RFC 9110: a year that would be more than 50 years ahead is the last such year in the past. */
static void a_two_digit_year_is_near(void)
{
  CHECK_EQ_INT(date_of("Wednesday, 01-Jan-76 00:00:00 GMT", y2026), INT64_C(3345062400));
  CHECK_EQ_INT(date_of("Saturday, 01-Jan-77 00:00:00 GMT", y2026), 220924800);
  CHECK_EQ_INT(date_of("Thursday, 01-Jan-26 00:00:00 GMT", y2026), y2026);
  CHECK_EQ_INT(date_of("Saturday, 01-Jan-00 00:00:00 GMT", y2026), 946684800);
  /* In the last second of 2025. */
  CHECK_EQ_INT(date_of("Tuesday, 01-Jan-75 00:00:00 GMT", y2026 - 1), INT64_C(3313526400));
  CHECK_EQ_INT(date_of("Thursday, 01-Jan-76 00:00:00 GMT", y2026 - 1), 189302400);
}

static void anything_else_is_invalid(void)
{
  static const char *const texts[] = {
    "",
    "soon",
    "Sun, 06 Nov 1994 08:49:37",
    "Sun, 06 Nov 1994 08:49:37 GMT ",
    "Sun, 06 Nov 1994 08:49:37 UTC",
    "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 00 Nov 1994 08:49:37 GMT",
    "Sun, 31 Nov 1994 08:49:37 GMT",
    "Sun, 29 Feb 1900 08:49:37 GMT",
    "Sun, 06 Nov 1994 24:00:00 GMT",
    "Sun, 06 Nov 1994 08:60:37 GMT",
    "Sun, 06 Nov 1994 08:49:61 GMT",
    "Sun, 06 Nov 0000 08:49:37 GMT",
    "Xyz, 06 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov -994 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT",
    "Sun Nov 6 08:49:37 1994",
    "Sun Nov  0 08:49:37 1994",
  };
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    CHECK_EQ_INT(date_of(texts[i], y2026), NONE);
}

/* In each format: refuses every prefix, which ends at a guard page, and every text with another
 * byte in place of a digit. */
static void a_date_is_complete(void)
{
  static const char *const texts[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
                                      "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};
  char changed[40];
  int64_t seconds;
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
    for (size_t at = 0; at < strlen(texts[i]); at++) {
      char *prefix = guard_copy(texts[i], at);
      CHECK(!uk_http_date(uk_slice_of(prefix, at), y2026, &seconds));
      guard_free(prefix, at);
      snprintf(changed, sizeof changed, "%s", texts[i]);
      for (const char *other = "/:"; *other != '\0' && texts[i][at] >= '0' && texts[i][at] <= '9';
           other++) {
        changed[at] = *other;
        CHECK_EQ_INT(date_of(changed, y2026), NONE);
      }
    }
}

int main(void)
{
  CHECK_RUN(the_three_forms_are_read);
  CHECK_RUN(days_are_counted);
  CHECK_RUN(a_two_digit_year_is_near);
  CHECK_RUN(anything_else_is_invalid);
  CHECK_RUN(months_have_their_lengths);
  CHECK_RUN(days_have_their_names);
  CHECK_RUN(a_date_is_complete);
  return check_end();
}
