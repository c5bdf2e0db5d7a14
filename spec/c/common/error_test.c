#include "check.h"
#include "common/error.h"

static void rows_say_what_the_list_says(void)
{
  CHECK_EQ_STR(uk_error_word(UK_E_TOO_MANY), "too_many");
  CHECK_EQ_INT(uk_error_status(UK_E_TOO_MANY), 429);
  CHECK(uk_error_retriable(UK_E_TOO_MANY));
  CHECK_EQ_STR(uk_error_text(UK_E_TOO_MANY), "over a limit on instances or requests");
  CHECK_EQ_STR(uk_error_word(UK_E_CANCELLED), "cancelled");
  CHECK_EQ_INT(uk_error_status(UK_E_CANCELLED), 0);
  CHECK(!uk_error_retriable(UK_E_UNAUTHORIZED));
}

static void ok_and_unknown_values_read_as_ok(void)
{
  const int values[] = {UK_OK, UK_ERROR_COUNT, UK_ERROR_COUNT + 1, 100000, -1};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    enum uk_error error = (enum uk_error)values[i];
    CHECK_EQ_STR(uk_error_word(error), "ok");
    CHECK_EQ_INT(uk_error_status(error), 200);
    CHECK(!uk_error_retriable(error));
    CHECK_EQ_STR(uk_error_text(error), "done");
  }
}

static void words_are_unique(void)
{
  for (int a = 0; a < UK_ERROR_COUNT; a++) {
    for (int b = 0; b < a; b++)
      CHECK(strcmp(uk_error_word((enum uk_error)a), uk_error_word((enum uk_error)b)) != 0);
  }
}

/* A status belongs to the first row that has it. */
static void a_status_finds_its_first_row(void)
{
  for (int i = UK_OK + 1; i < UK_ERROR_COUNT; i++) {
    int status = uk_error_status((enum uk_error)i);
    enum uk_error found = uk_error_from_status(status);
    if (status == 0) {
      CHECK_EQ_INT(found, UK_E_BAD_RESPONSE);
      continue;
    }
    CHECK_EQ_INT(uk_error_status(found), status);
    CHECK((int)found <= i);
  }
  CHECK_EQ_INT(uk_error_from_status(503), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(uk_error_from_status(414), UK_E_URI_TOO_LONG);
  CHECK_EQ_STR(uk_error_word(UK_E_URI_TOO_LONG), "uri_too_long");
  CHECK(!uk_error_retriable(UK_E_URI_TOO_LONG));
}

static void an_unlisted_status_finds_its_class(void)
{
  CHECK_EQ_INT(uk_error_from_status(418), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_error_from_status(499), UK_E_BAD_REQUEST);
  CHECK_EQ_INT(uk_error_from_status(502), UK_E_UNAVAILABLE);
  CHECK_EQ_INT(uk_error_from_status(505), UK_E_INTERNAL);
  CHECK_EQ_INT(uk_error_from_status(599), UK_E_INTERNAL);
}

static void what_is_no_error_status_is_a_bad_response(void)
{
  const int values[] = {-1, 0, 1, 100, 200, 301, 304, 399, 600, 1000};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    CHECK_EQ_INT(uk_error_from_status(values[i]), UK_E_BAD_RESPONSE);
}

int main(void)
{
  CHECK_RUN(rows_say_what_the_list_says);
  CHECK_RUN(ok_and_unknown_values_read_as_ok);
  CHECK_RUN(words_are_unique);
  CHECK_RUN(a_status_finds_its_first_row);
  CHECK_RUN(an_unlisted_status_finds_its_class);
  CHECK_RUN(what_is_no_error_status_is_a_bad_response);
  return check_end();
}
