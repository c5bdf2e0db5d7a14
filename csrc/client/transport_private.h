/* transport_private: the two halves of a transfer, for callers that run the handle of curl. */
#ifndef UK_TRANSPORT_PRIVATE_H
#define UK_TRANSPORT_PRIVATE_H

#include <curl/curl.h>

#include "client/transport.h"

/* Prepares the handle for one transfer. The request and the buffer of the response must live until
 * the transfer has ended. */
enum uk_error uk_transport_begin(struct uk_transport *transport,
                                 const struct uk_client_request *request, int64_t timeout,
                                 bool resend, struct uk_response *response);

/* Fills the response and returns the error of a transfer that has run with that code. */
enum uk_error uk_transport_end(struct uk_transport *transport, CURLcode code,
                               struct uk_response *response);

/* The handle of the last transfer that was begun. */
CURL *uk_transport_curl(struct uk_transport *transport);

#endif
