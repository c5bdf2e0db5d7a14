#include "client/retry.h"

/* True when the request certainly was not executed. A 502 is UNAVAILABLE too, but comes from a
 * gateway that may have forwarded the request before it lost the answer. */
static bool is_unexecuted(enum uk_error error, int status)
{
  if (error == UK_E_UNAVAILABLE)
    return status != 502;
  return error == UK_E_CONNECT_FAILED || error == UK_E_RESOLVE_FAILED || error == UK_E_TOO_MANY;
}

bool uk_retry_maybe_executed(enum uk_error error, int status)
{
  if (error == UK_E_CONNECT_FAILED || error == UK_E_RESOLVE_FAILED || error == UK_E_TLS_FAILED)
    return false;
  return status != 503 && (status < 400 || status > 499);
}

static bool may_retry(enum uk_retry_class class, enum uk_error error, int status)
{
  switch (class) {
  case UK_RETRY_NEVER: return false;
  case UK_RETRY_UNSENT: return is_unexecuted(error, status);
  case UK_RETRY_SAFE: return uk_error_retriable(error);
  }
  return false;
}

/* delay * 2^(attempt - 1), at most delay_max. */
static int64_t backoff(const struct uk_retry_policy *policy, int64_t attempt)
{
  int64_t delay = policy->delay;
  for (int64_t i = 1; i < attempt && delay > 0 && delay < policy->delay_max; i++)
    delay = delay > policy->delay_max / 2 ? policy->delay_max : delay * 2;
  return delay < policy->delay_max ? delay : policy->delay_max;
}

int64_t uk_retry_delay(const struct uk_retry_policy *policy, int64_t attempt, enum uk_error error,
                       int status, int64_t retry_after, uint32_t random)
{
  if (attempt > policy->retries || !may_retry(policy->class, error, status))
    return UK_RETRY_STOP;
  if (retry_after > UK_RETRY_AFTER_MAX)
    return UK_RETRY_STOP;
  int64_t delay = backoff(policy, attempt);
  int64_t half = delay / 2; /* is jitter: clients that failed together come back one by one */
  delay = delay - half + (int64_t)((uint64_t)half * random >> 32);
  int64_t asked = retry_after > 0 ? retry_after * 1000 : 0;
  return delay > asked ? delay : asked;
}
