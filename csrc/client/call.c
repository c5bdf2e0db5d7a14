#include "client/call.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "client/jitter.h"
#include "common/clock.h"

struct uk_retry_policy uk_call_policy(const struct uk_settings *settings, enum uk_retry_class class)
{
  const struct uk_settings_options *options = &settings->options;
  return (struct uk_retry_policy){class, options->retries, options->retry_delay,
                                  options->retry_delay_max};
}

static bool attempt(struct uk_transport *transport, const struct uk_client_request *request,
                    int64_t timeout, bool resend, struct uk_buffer *body,
                    struct uk_client_failure *failure)
{
  struct uk_response response = {.body = body};
  enum uk_error error = uk_transport_perform(transport, request, timeout, resend, &response);
  if (error == UK_OK)
    return !uk_response_failed(failure, response.status, response.retry_after, body->data,
                               body->length);
  const char *text = uk_transport_message(transport);
  failure->error = error;
  failure->status = 0;
  failure->retry_after = -1;
  failure->message = uk_slice_of(NULL, 0);
  failure->has_results = false;
  if (text[0] != '\0') {
    snprintf(failure->text, sizeof failure->text, "%s", text);
    failure->message = uk_slice_text(failure->text);
  }
  return false;
}

static void sleep_for(int64_t milliseconds)
{
  struct timespec left = {(time_t)(milliseconds / 1000), (long)(milliseconds % 1000) * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR)
    continue;
}

bool uk_call_perform(struct uk_transport *transport, const struct uk_settings *settings,
                     const struct uk_client_request *request, enum uk_retry_class class,
                     struct uk_buffer *body, struct uk_client_failure *failure)
{
  const struct uk_retry_policy policy = uk_call_policy(settings, class);
  const int64_t budget = settings->options.timeout + request->wait;
  const int64_t deadline = uk_clock_monotonic() + budget;
  int64_t left = budget;
  for (int64_t attempts = 1;; attempts++) {
    if (attempt(transport, request, left, class == UK_RETRY_SAFE, body, failure))
      return true;
    if (failure->has_results)
      return false; /* a part is stored: a retry would store it twice */
    int64_t delay = uk_retry_delay(&policy, attempts, failure->error, failure->status,
                                   failure->retry_after, uk_jitter());
    left = deadline - uk_clock_monotonic() - delay;
    if (delay == UK_RETRY_STOP || left <= 0)
      return false;
    sleep_for(delay);
  }
}
