/* for: retry.c, call.c, jitter.c. The transport, the clock and poll are this program's. */
#undef _FORTIFY_SOURCE /* its poll is inline */
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "client/call.h"
#include "client/jitter.h"
#include "client/retry.h"
#include "client/signals.h"

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

/* A clock that stands still, and what the system says meanwhile. */
static struct {
  bool stands;
  int64_t now; /* milliseconds */
  pid_t process;
  bool interrupted; /* a signal arrives in the middle of a wait */
} moment;

/* In front of that of libc. */
__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *now)
{
  if (!moment.stands)
    return (int)syscall(SYS_clock_gettime, clock, now);
  *now = (struct timespec){.tv_sec = moment.now / 1000, .tv_nsec = moment.now % 1000 * 1000000};
  return 0;
}

/* In front of that of libc. */
__attribute__((visibility("default"))) pid_t getpid(void)
{
  return moment.stands ? moment.process : (pid_t)syscall(SYS_getpid);
}

/* In front of that of libc: a wait moves the clock. */
__attribute__((visibility("default"))) int poll(struct pollfd *files, nfds_t count,
                                                int milliseconds)
{
  if (!moment.stands)
    return (int)syscall(SYS_poll, files, count, milliseconds);
  moment.now += milliseconds;
  if (moment.interrupted)
    raise(SIGTERM);
  return 0;
}

/* What builds with _FORTIFY_SOURCE call instead. */
int __poll_chk(struct pollfd *files, nfds_t count, int milliseconds, size_t size);
__attribute__((visibility("default"))) int __poll_chk(struct pollfd *files, nfds_t count,
                                                      int milliseconds, size_t size)
{
  CHECK(count * sizeof *files <= size);
  return poll(files, count, milliseconds);
}

/* Processes that ask at one moment, and one that asks at several. */
static void jitter_differs_between_processes_and_moments(void)
{
  uint32_t values[4];
  moment.stands = true;
  for (int i = 0; i < 4; i++) {
    moment.process = 100 + i % 2;
    moment.now = 1000 + i / 2;
    values[i] = uk_jitter();
  }
  moment.stands = false;
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < i; j++)
      CHECK(values[i] != values[j]);
}

/* Calls, over a transport that follows a script. */

enum { TIMEOUT = 5000, WAIT = 700, TAKES = 1000, STEPS = 4 };

struct step {
  enum uk_error error; /* UK_OK: there is an answer */
  int status;
  int64_t retry_after;
  const char *text; /* the body, or what the transport says of its error */
};

/* What the transport was asked. */
static struct {
  const struct step *script;
  int attempts;
  int64_t timeouts[STEPS], at[STEPS];
  bool resend;
  unsigned signals;
} asked;

void uk_transport_set_signals(struct uk_transport *transport, unsigned signals)
{
  (void)transport;
  asked.signals = signals;
}

const char *uk_transport_message(const struct uk_transport *transport)
{
  (void)transport;
  return asked.script[asked.attempts - 1].text;
}

enum uk_error uk_transport_perform(struct uk_transport *transport,
                                   const struct uk_client_request *request, int64_t timeout,
                                   bool resend, struct uk_response *response)
{
  const struct step *step = &asked.script[asked.attempts];
  (void)transport;
  CHECK_EQ_INT(request->wait, WAIT);
  asked.timeouts[asked.attempts] = timeout;
  asked.at[asked.attempts++] = moment.now;
  asked.resend = resend;
  moment.now += TAKES;
  uk_buffer_clear(response->body);
  if (step->error != UK_OK)
    return step->error;
  response->status = step->status;
  response->retry_after = step->retry_after;
  uk_buffer_append_text(response->body, step->text);
  return UK_OK;
}

static struct uk_buffer body;

/* Performs a call whose attempts take TAKES milliseconds each and end so. */
static bool perform(const struct step *script, enum uk_retry_class class, int64_t timeout,
                    const char *proxy, struct uk_client_failure *failure)
{
  const struct uk_client_request request = {.wait = WAIT};
  const struct uk_settings settings = {
    .options = {.timeout = timeout, .retries = 3, .retry_delay = 10, .retry_delay_max = 10},
    .proxy_name = proxy};
  memset(&asked, 0, sizeof asked);
  asked.script = script;
  memset(failure, 'x', sizeof *failure);
  uk_buffer_free(&body);
  uk_buffer_init(&body, 1000);
  moment.stands = true;
  moment.now = 777000;
  const unsigned signals = moment.interrupted ? 1u << UK_SIGNAL_TERM : 0;
  const bool good = uk_call_perform(NULL, &settings, &request, class, signals, &body, failure);
  moment.stands = false;
  CHECK_EQ_INT(asked.signals, signals);
  return good;
}

#define LATER(seconds, text)                                                                       \
  {                                                                                                \
    UK_OK, 503, seconds, text                                                                      \
  }
#define FINE                                                                                       \
  {                                                                                                \
    UK_OK, 200, -1, "[]"                                                                           \
  }
#define RESULTS "{\"error\":\"some\",\"results\":[]}"

static void attempts_share_the_time_of_the_call(void)
{
  static const struct step script[] = {LATER(1, ""), LATER(2, ""), FINE};
  struct uk_client_failure failure;
  CHECK(perform(script, UK_RETRY_SAFE, TIMEOUT, "", &failure));
  CHECK_EQ_INT(asked.attempts, 3);
  CHECK(asked.resend);
  CHECK_EQ_INT(asked.timeouts[0], TIMEOUT + WAIT);
  CHECK_EQ_INT(asked.timeouts[1], TIMEOUT + WAIT - 2000);
  CHECK_EQ_INT(asked.timeouts[2], TIMEOUT + WAIT - 5000);
  CHECK_EQ_INT(asked.at[1] - asked.at[0], 2000);
  CHECK_EQ_INT(asked.at[2] - asked.at[1], 3000);
  CHECK_EQ_SLICE(body, "[]");
  CHECK(perform(script, UK_RETRY_UNSENT, TIMEOUT, "", &failure));
  CHECK(!asked.resend);
}

/* There is a second attempt only if a millisecond is left for it. */
static void no_attempt_begins_when_the_time_is_up(void)
{
  static const struct step script[] = {LATER(1, ""), FINE};
  struct uk_client_failure failure;
  CHECK(!perform(script, UK_RETRY_SAFE, 2000 - WAIT, "", &failure));
  CHECK_EQ_INT(asked.attempts, 1);
  CHECK_EQ_INT(failure.error, UK_E_UNAVAILABLE);
  CHECK_EQ_INT(failure.status, 503);
  CHECK_EQ_INT(failure.retry_after, 1);
  CHECK(failure.message.data == NULL);
  CHECK(perform(script, UK_RETRY_SAFE, 2001 - WAIT, "", &failure));
  CHECK_EQ_INT(asked.timeouts[1], 1);
}

static void a_failure_is_that_of_the_last_attempt(void)
{
  static const struct step lost[] = {LATER(1, RESULTS),
                                     {UK_E_CONNECTION_LOST, 0, 0, "it broke"},
                                     LATER(0, RESULTS),
                                     {UK_E_CONNECTION_LOST, 0, 0, ""}};
  struct uk_client_failure failure;
  CHECK(!perform(lost, UK_RETRY_SAFE, 60000, "", &failure));
  CHECK_EQ_INT(asked.attempts, 4);
  CHECK_EQ_INT(failure.error, UK_E_CONNECTION_LOST);
  CHECK_EQ_INT(failure.status, 0);
  CHECK_EQ_INT(failure.retry_after, -1);
  CHECK(failure.message.data == NULL && !failure.has_results);
  static const struct step refused[] = {{UK_E_CONNECT_FAILED, 0, 0, "refused"},
                                        {UK_E_TLS_FAILED, 0, 0, "no certificate"}};
  CHECK(!perform(refused, UK_RETRY_SAFE, 60000, "", &failure));
  CHECK_EQ_INT(failure.error, UK_E_TLS_FAILED);
  CHECK_EQ_SLICE(failure.message, "no certificate");
}

/* A part of the messages is stored: only a server that honours keys may get them again. */
static void a_partly_stored_produce_is_repeated_if_that_is_safe(void)
{
  static const struct step script[] = {LATER(0, RESULTS), FINE};
  struct uk_client_failure failure;
  CHECK(!perform(script, UK_RETRY_UNSENT, TIMEOUT, "", &failure));
  CHECK_EQ_INT(asked.attempts, 1);
  CHECK(failure.has_results);
  CHECK_EQ_SLICE(failure.message, "some");
  CHECK(perform(script, UK_RETRY_SAFE, TIMEOUT, "", &failure));
}

static void a_signal_ends_a_call(void)
{
  static const struct step between[] = {LATER(1, RESULTS), FINE};
  static const struct step during[] = {{UK_E_CANCELLED, 0, 0, "a signal"}, FINE};
  struct uk_client_failure failure;
  REQUIRE(uk_signals_watch(1u << UK_SIGNAL_TERM));
  CHECK(!perform(during, UK_RETRY_SAFE, TIMEOUT, "", &failure));
  CHECK_EQ_INT(failure.error, UK_E_CANCELLED);
  CHECK_EQ_SLICE(failure.message, "a signal");
  CHECK_EQ_INT(asked.attempts, 1);
  moment.interrupted = true;
  CHECK(!perform(between, UK_RETRY_SAFE, TIMEOUT, "", &failure));
  moment.interrupted = false;
  CHECK_EQ_INT(asked.attempts, 1);
  CHECK_EQ_INT(failure.error, UK_E_CANCELLED);
  CHECK_EQ_INT(failure.status, 0);
  CHECK_EQ_INT(failure.retry_after, -1);
  CHECK(failure.message.data == NULL && !failure.has_results);
  uk_signals_unwatch(1u << UK_SIGNAL_TERM);
}

/* A server has a text of its own; what else answers may be the proxy. */
static void an_answer_without_a_text_names_the_proxy(void)
{
  static const struct {
    const char *body, *proxy, *message;
  } rows[] = {
    {"<html>", "http://p", "no such path, topic or consumer instance (through the proxy http://p)"},
    {"<html>", "", NULL},
    {"{\"error\":\"gone\"}", "http://p", "gone"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const struct step script[] = {{UK_OK, 404, -1, rows[i].body}};
    struct uk_client_failure failure;
    CHECK(!perform(script, UK_RETRY_SAFE, TIMEOUT, rows[i].proxy, &failure));
    if (rows[i].message != NULL)
      CHECK_EQ_SLICE(failure.message, rows[i].message);
    else
      CHECK(failure.message.data == NULL);
  }
  uk_buffer_free(&body);
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
  CHECK_RUN(jitter_differs_between_processes_and_moments);
  CHECK_RUN(attempts_share_the_time_of_the_call);
  CHECK_RUN(no_attempt_begins_when_the_time_is_up);
  CHECK_RUN(a_failure_is_that_of_the_last_attempt);
  CHECK_RUN(a_partly_stored_produce_is_repeated_if_that_is_safe);
  CHECK_RUN(a_signal_ends_a_call);
  CHECK_RUN(an_answer_without_a_text_names_the_proxy);
  return check_end();
}
