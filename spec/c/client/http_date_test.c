/* for: http_date.c */
#include "check.h"
#include "client/http_date.h"

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
}

static void days_are_counted(void)
{
  CHECK_EQ_INT(date_of("Thu, 01 Jan 1970 00:00:00 GMT", 0), 0);
  CHECK_EQ_INT(date_of("Thu, 01 Jan 2026 00:00:00 GMT", 0), y2026);
  CHECK_EQ_INT(date_of("Tue, 29 Feb 2000 23:59:59 GMT", 0), 951868799);
  CHECK_EQ_INT(date_of("Wed, 01 Mar 2000 00:00:00 GMT", 0), 951868800);
  CHECK_EQ_INT(date_of("Mon, 01 Mar 2100 00:00:00 GMT", 0), 4107542400);
  CHECK_EQ_INT(date_of("Sat, 31 Dec 2016 23:59:60 GMT", 0), 1483228800);
}

/* RFC 9110: more than 50 years ahead is the last such year in the past. */
static void a_short_year_is_near(void)
{
  CHECK_EQ_INT(date_of("Wednesday, 01-Jan-76 00:00:00 GMT", y2026), INT64_C(3345062400));
  CHECK_EQ_INT(date_of("Saturday, 01-Jan-77 00:00:00 GMT", y2026), 220924800);
  CHECK_EQ_INT(date_of("Thursday, 01-Jan-26 00:00:00 GMT", y2026), y2026);
}

static void all_else_is_none(void)
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

static void no_prefix_is_a_date(void)
{
  const struct uk_slice text = uk_slice_text("Sunday, 06-Nov-94 08:49:37 GMT");
  int64_t seconds;
  for (size_t length = 0; length < text.length; length++)
    CHECK(!uk_http_date(uk_slice_of(text.data, length), y2026, &seconds));
}

int main(void)
{
  CHECK_RUN(the_three_forms_are_read);
  CHECK_RUN(days_are_counted);
  CHECK_RUN(a_short_year_is_near);
  CHECK_RUN(all_else_is_none);
  CHECK_RUN(no_prefix_is_a_date);
  return check_end();
}
