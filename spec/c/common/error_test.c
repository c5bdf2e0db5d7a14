/* for: error.c */
#include "check.h"
#include "common/error.h"

/* Each row of docs/errors.md. */
static void rows_match_the_documentation(void)
{
  static const struct {
    enum uk_error error;
    const char *word;
    int status;
    bool retriable;
  } rows[] = {
    {UK_E_BAD_REQUEST, "bad_request", 400, false},
    {UK_E_UNAUTHORIZED, "unauthorized", 401, false},
    {UK_E_FORBIDDEN, "forbidden", 403, false},
    {UK_E_NOT_FOUND, "not_found", 404, false},
    {UK_E_METHOD_NOT_ALLOWED, "method_not_allowed", 405, false},
    {UK_E_REQUEST_TIMEOUT, "request_timeout", 408, true},
    {UK_E_CONFLICT, "conflict", 409, false},
    {UK_E_TOO_LARGE, "too_large", 413, false},
    {UK_E_URI_TOO_LONG, "uri_too_long", 414, false},
    {UK_E_UNPROCESSABLE, "unprocessable", 422, false},
    {UK_E_TOO_MANY, "too_many", 429, true},
    {UK_E_HEADERS_TOO_LARGE, "headers_too_large", 431, false},
    {UK_E_INTERNAL, "internal", 500, false},
    {UK_E_UNAVAILABLE, "unavailable", 503, true},
    {UK_E_GATEWAY_TIMEOUT, "gateway_timeout", 504, true},
    {UK_E_NO_MEMORY, "no_memory", 503, true},
    {UK_E_RESOLVE_FAILED, "resolve_failed", 0, true},
    {UK_E_CONNECT_FAILED, "connect_failed", 0, true},
    {UK_E_TLS_FAILED, "tls_failed", 0, false},
    {UK_E_TIMEOUT, "timeout", 0, true},
    {UK_E_CONNECTION_LOST, "connection_lost", 0, true},
    {UK_E_RESPONSE_TOO_LARGE, "response_too_large", 0, false},
    {UK_E_BAD_RESPONSE, "bad_response", 0, false},
    {UK_E_INTEGER_RANGE, "integer_range", 0, false},
    {UK_E_TRANSPORT_FAILED, "transport_failed", 0, false},
    {UK_E_CANCELLED, "cancelled", 0, true},
    {UK_E_QUEUE_FULL, "queue_full", 0, true},
  };
  CHECK_EQ_INT(sizeof rows / sizeof *rows, UK_ERROR_COUNT - 1);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    CHECK_EQ_INT(rows[i].error, i + 1);
    CHECK_EQ_STR(uk_error_word(rows[i].error), rows[i].word);
    CHECK_EQ_INT(uk_error_status(rows[i].error), rows[i].status);
    CHECK_EQ_INT(uk_error_retriable(rows[i].error), rows[i].retriable);
    CHECK(uk_error_text(rows[i].error)[0] != '\0');
  }
  CHECK_EQ_STR(uk_error_text(UK_E_TOO_MANY), "over a limit on instances or requests");
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

/* A status reads as the first row that has it. */
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

static void another_status_is_a_bad_response(void)
{
  const int values[] = {-1, 0, 1, 100, 200, 301, 304, 399, 600, 1000};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    CHECK_EQ_INT(uk_error_from_status(values[i]), UK_E_BAD_RESPONSE);
}

static void a_word_finds_its_error(void)
{
  for (size_t i = UK_OK; i < UK_ERROR_COUNT; i++)
    CHECK_EQ_INT(uk_error_from_word(uk_error_word((enum uk_error)i)), i);
  CHECK_EQ_INT(uk_error_from_word("no such word"), UK_OK);
  CHECK_EQ_INT(uk_error_from_word(""), UK_OK);
}

int main(void)
{
  CHECK_RUN(rows_match_the_documentation);
  CHECK_RUN(ok_and_unknown_values_read_as_ok);
  CHECK_RUN(words_are_unique);
  CHECK_RUN(a_status_finds_its_first_row);
  CHECK_RUN(an_unlisted_status_finds_its_class);
  CHECK_RUN(a_word_finds_its_error);
  CHECK_RUN(another_status_is_a_bad_response);
  return check_end();
}
