/* for: retry.c, call.c, jitter.c */
#include "check.h"
#include "client/call.h"
#include "client/jitter.h"
#include "client/retry.h"

static const struct uk_retry_policy safe = {UK_RETRY_SAFE, 3, 100, 1000};
static const struct uk_retry_policy unsent = {UK_RETRY_UNSENT, 3, 100, 1000};
static const struct uk_retry_policy never = {UK_RETRY_NEVER, 3, 100, 1000};

static int64_t delay_of(const struct uk_retry_policy *policy, int64_t attempt, enum uk_error error)
{
  return uk_retry_delay(policy, attempt, error, 0, -1, UINT32_MAX);
}

static void delays_double_up_to_the_longest(void)
{
  const struct uk_retry_policy policy = {UK_RETRY_SAFE, 100, 100, 1000};
  static const int64_t most[] = {100, 200, 400, 800, 1000, 1000};
  for (int64_t i = 0; i < 6; i++) {
    CHECK_EQ_INT(uk_retry_delay(&policy, i + 1, UK_E_TIMEOUT, 0, -1, 0), most[i] / 2);
    CHECK_EQ_INT(uk_retry_delay(&policy, i + 1, UK_E_TIMEOUT, 0, -1, UINT32_MAX), most[i] - 1);
  }
  CHECK_EQ_INT(delay_of(&policy, 100, UK_E_TIMEOUT), 999);
  const struct uk_retry_policy odd = {UK_RETRY_SAFE, 100, 3, 7}; /* 3, 6, 7 */
  CHECK_EQ_INT(delay_of(&odd, 1, UK_E_TIMEOUT), 2);
  CHECK_EQ_INT(delay_of(&odd, 2, UK_E_TIMEOUT), 5);
  CHECK_EQ_INT(delay_of(&odd, 3, UK_E_TIMEOUT), 6);
  const struct uk_retry_policy one = {UK_RETRY_SAFE, 100, 1, 1000}; /* 1, 2, 4 */
  CHECK_EQ_INT(delay_of(&one, 1, UK_E_TIMEOUT), 1);
  CHECK_EQ_INT(delay_of(&one, 2, UK_E_TIMEOUT), 1);
  CHECK_EQ_INT(delay_of(&one, 3, UK_E_TIMEOUT), 3);
}

static void extremes_do_not_overflow(void)
{
  const struct uk_retry_policy huge = {UK_RETRY_SAFE, INT64_MAX, 86400000, 86400000};
  const struct uk_retry_policy zero = {UK_RETRY_SAFE, INT64_MAX, 0, 86400000};
  const struct uk_retry_policy low = {UK_RETRY_SAFE, 5, 1000, 7};
  CHECK_EQ_INT(delay_of(&huge, INT64_MAX, UK_E_TIMEOUT), 86399999);
  CHECK_EQ_INT(delay_of(&zero, INT64_MAX, UK_E_TIMEOUT), 0);
  CHECK(delay_of(&low, 1, UK_E_TIMEOUT) <= 7);
  CHECK(delay_of(&low, 5, UK_E_TIMEOUT) <= 7);
}

static void attempts_are_counted(void)
{
  const struct uk_retry_policy none = {UK_RETRY_SAFE, 0, 100, 1000};
  CHECK(delay_of(&safe, 3, UK_E_TIMEOUT) >= 0);
  CHECK_EQ_INT(delay_of(&safe, 4, UK_E_TIMEOUT), UK_RETRY_STOP);
  CHECK_EQ_INT(delay_of(&none, 1, UK_E_TIMEOUT), UK_RETRY_STOP);
}

static bool sent_again(const struct uk_retry_policy *policy, enum uk_error error, int status)
{
  return uk_retry_delay(policy, 1, error, status, -1, 0) != UK_RETRY_STOP;
}

/* Every error for every class. */
static void classes_select_the_errors(void)
{
  for (int i = UK_OK; i < UK_ERROR_COUNT; i++) {
    enum uk_error error = (enum uk_error)i;
    bool apart = error == UK_E_CONNECT_FAILED || error == UK_E_RESOLVE_FAILED ||
                 error == UK_E_TOO_MANY || error == UK_E_UNAVAILABLE;
    CHECK_EQ_INT(sent_again(&safe, error, 0), uk_error_retriable(error));
    CHECK_EQ_INT(sent_again(&unsent, error, 0), apart);
    CHECK(!sent_again(&never, error, 0));
  }
}

static void a_gateway_may_have_passed_it_on(void)
{
  CHECK(sent_again(&safe, UK_E_UNAVAILABLE, 502));
  CHECK(!sent_again(&unsent, UK_E_UNAVAILABLE, 502));
  CHECK(sent_again(&unsent, UK_E_UNAVAILABLE, 503));
}

static void retry_after_is_honoured(void)
{
  CHECK_EQ_INT(uk_retry_delay(&unsent, 1, UK_E_TOO_MANY, 429, 5, 0), 5000);
  CHECK_EQ_INT(uk_retry_delay(&unsent, 1, UK_E_TOO_MANY, 429, 0, 0), 50);
  CHECK_EQ_INT(uk_retry_delay(&unsent, 1, UK_E_TOO_MANY, 429, 1, 0), 1000);
  CHECK_EQ_INT(uk_retry_delay(&unsent, 1, UK_E_TOO_MANY, 429, UK_RETRY_AFTER_MAX, 0), 60000);
  CHECK_EQ_INT(uk_retry_delay(&unsent, 1, UK_E_TOO_MANY, 429, UK_RETRY_AFTER_MAX + 1, 0),
               UK_RETRY_STOP);
  CHECK_EQ_INT(uk_retry_delay(&unsent, 1, UK_E_TOO_MANY, 429, INT64_MAX, 0), UK_RETRY_STOP);
}

/* A server has not executed what it refused or never received. Nothing else is certain. */
static void possible_execution_is_known(void)
{
  static const struct {
    enum uk_error error;
    int status;
    bool maybe;
  } rows[] = {
    {UK_E_CONNECT_FAILED, 0, false},   {UK_E_RESOLVE_FAILED, 0, false},
    {UK_E_TLS_FAILED, 0, false},       {UK_E_CONNECTION_LOST, 0, true},
    {UK_E_TIMEOUT, 0, true},           {UK_E_BAD_RESPONSE, 200, true},
    {UK_E_BAD_RESPONSE, 399, true},    {UK_E_BAD_REQUEST, 400, false},
    {UK_E_BAD_REQUEST, 499, false},    {UK_E_INTERNAL, 500, true},
    {UK_E_UNAVAILABLE, 502, true},     {UK_E_UNAVAILABLE, 503, false},
    {UK_E_GATEWAY_TIMEOUT, 504, true},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    if (!CHECK(uk_retry_maybe_executed(rows[i].error, rows[i].status) == rows[i].maybe))
      fprintf(stderr, "  %s with status %d\n", uk_error_word(rows[i].error), rows[i].status);
}

static void a_client_has_the_policy_of_its_settings(void)
{
  const struct uk_settings settings = {
    .options = {.timeout = 1, .retries = 2, .retry_delay = 3, .retry_delay_max = 4}};
  for (int class = UK_RETRY_NEVER; class <= UK_RETRY_SAFE; class ++) {
    const struct uk_retry_policy policy = uk_call_policy(&settings, (enum uk_retry_class) class);
    CHECK_EQ_INT(policy.class, class);
    CHECK_EQ_INT(policy.retries, 2);
    CHECK_EQ_INT(policy.delay, 3);
    CHECK_EQ_INT(policy.delay_max, 4);
  }
}

/* Values come from every quarter of the range. */
static void jitter_spreads(void)
{
  int quarters[4] = {0};
  for (int i = 0; i < 1000; i++)
    quarters[uk_jitter() >> 30]++;
  for (int i = 0; i < 4; i++)
    CHECK(quarters[i] > 0);
}

int main(void)
{
  CHECK_RUN(delays_double_up_to_the_longest);
  CHECK_RUN(extremes_do_not_overflow);
  CHECK_RUN(attempts_are_counted);
  CHECK_RUN(classes_select_the_errors);
  CHECK_RUN(a_gateway_may_have_passed_it_on);
  CHECK_RUN(retry_after_is_honoured);
  CHECK_RUN(possible_execution_is_known);
  CHECK_RUN(a_client_has_the_policy_of_its_settings);
  CHECK_RUN(jitter_spreads);
  return check_end();
}
