/* transport_request: tells the handle of curl what a transfer sends. What is as in the transfer
 * before is not set again. */
#ifndef UK_TRANSPORT_REQUEST_H
#define UK_TRANSPORT_REQUEST_H

#include "client/transport_handle.h"

/* Sets the URL, headers, method, body and the timeout in milliseconds; `resend` as in
 * uk_transport_perform. The request must live until the transfer has ended. Returns NO_MEMORY, or
 * TRANSPORT_FAILED with a message for a URL that curl refuses. Precondition: the handle is
 * prepared. */
enum uk_error uk_transport_request_set(struct uk_transport *transport,
                                       const struct uk_client_request *request, int64_t timeout,
                                       bool resend);

#endif
