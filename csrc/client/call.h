/* call: performs a request, with retries, until it is answered, fails for good or runs out of
 * time. */
#ifndef UK_CALL_H
#define UK_CALL_H

#include "client/response.h"
#include "client/retry.h"
#include "client/transport.h"

/* Blocks for at most the settings' timeout plus the request's wait, including the delays between
 * attempts. Returns true for a 2xx, with its body in `body`. Otherwise fills `failure`, whose
 * slices point into `body` or into itself. A produce that was stored in part (the failure has
 * results) is retried only if it is UK_RETRY_SAFE: by its key, the server stores the rest. Gives up
 * with CANCELLED when a signal of the set `signals` has arrived; precondition: the set is watched,
 * 0 = none. */
bool uk_call_perform(struct uk_transport *transport, const struct uk_settings *settings,
                     const struct uk_client_request *request, enum uk_retry_class class,
                     unsigned signals, struct uk_buffer *body, struct uk_client_failure *failure);

/* Names the proxy in the failure of an answer that is not of our server: it has no text of its own.
 * Does nothing without a proxy. */
void uk_call_name_proxy(const struct uk_settings *settings, struct uk_client_failure *failure);

/* The retry policy of the settings for a class of calls. */
struct uk_retry_policy uk_call_policy(const struct uk_settings *settings,
                                      enum uk_retry_class class);

#endif
