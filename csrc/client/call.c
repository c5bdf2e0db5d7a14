#include "client/call.h"

#include <stdio.h>

#include "client/jitter.h"
#include "client/proxy.h"
#include "client/signals.h"
#include "common/clock.h"

struct uk_retry_policy uk_call_policy(const struct uk_settings *settings, enum uk_retry_class class)
{
  const struct uk_settings_options *options = &settings->options;
  return (struct uk_retry_policy){class, options->retries, options->retry_delay,
                                  options->retry_delay_max};
}

void uk_call_name_proxy(const struct uk_settings *settings, struct uk_client_failure *failure)
{
  char text[UK_FAILURE_TEXT_SIZE];
  if (failure->message.data != NULL || settings->proxy_name[0] == '\0')
    return;
  snprintf(text, sizeof text, "%s", uk_error_text(failure->error));
  uk_proxy_append(failure->text, sizeof failure->text, text, settings->proxy_name);
  failure->message = uk_slice_text(failure->text);
}

static bool attempt(struct uk_transport *transport, const struct uk_settings *settings,
                    const struct uk_client_request *request, int64_t timeout, bool resend,
                    struct uk_buffer *body, struct uk_client_failure *failure)
{
  struct uk_response response = {.body = body};
  enum uk_error error = uk_transport_perform(transport, request, timeout, resend, &response);
  if (error == UK_OK) {
    const bool failed =
      uk_response_failed(failure, response.status, response.retry_after, body->data, body->length);
    if (failed)
      uk_call_name_proxy(settings, failure);
    return !failed;
  }
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

/* Replaces the failure of the last attempt: a signal ended the wait for the next one. */
static bool give_up(struct uk_client_failure *failure)
{
  *failure = (struct uk_client_failure){.error = UK_E_CANCELLED, .retry_after = -1};
  return false;
}

bool uk_call_perform(struct uk_transport *transport, const struct uk_settings *settings,
                     const struct uk_client_request *request, enum uk_retry_class class,
                     unsigned signals, struct uk_buffer *body, struct uk_client_failure *failure)
{
  const struct uk_retry_policy policy = uk_call_policy(settings, class);
  const int64_t budget = settings->options.timeout + request->wait;
  const int64_t deadline = uk_clock_monotonic() + budget;
  int64_t left = budget;
  uk_transport_set_signals(transport, signals);
  for (int64_t attempts = 1;; attempts++) {
    if (attempt(transport, settings, request, left, class == UK_RETRY_SAFE, body, failure))
      return true;
    if (failure->has_results && class != UK_RETRY_SAFE)
      return false; /* a part is stored: a retry would store it twice */
    int64_t delay = uk_retry_delay(&policy, attempts, failure->error, failure->status,
                                   failure->retry_after, uk_jitter());
    left = deadline - uk_clock_monotonic() - delay;
    if (failure->error == UK_E_CANCELLED || delay == UK_RETRY_STOP || left <= 0)
      return false;
    if (!uk_signals_sleep(signals, delay))
      return give_up(failure);
  }
}
