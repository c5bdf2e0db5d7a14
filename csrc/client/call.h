/* call: a request made, with its retries, until it is answered, fails for good or runs out of
 * time. */
#ifndef UK_CALL_H
#define UK_CALL_H

#include "client/response.h"
#include "client/retry.h"
#include "client/transport.h"

/* Blocks for at most the settings' timeout plus the request's wait, sleeps included. True when
 * the answer is a 2xx: its body is in `body`. False with `failure` filled; what it points to is in
 * `body` or itself. A produce that was carried out in part (the failure has results) is not made
 * again. */
bool uk_call_perform(struct uk_transport *transport, const struct uk_settings *settings,
                     const struct uk_client_request *request, enum uk_retry_class class,
                     struct uk_buffer *body, struct uk_client_failure *failure);

/* The settings' policy for a class of calls. */
struct uk_retry_policy uk_call_policy(const struct uk_settings *settings,
                                      enum uk_retry_class class);

#endif
