/* transport_private: the two halves of a transfer, for those who run curl's handle themselves. */
#ifndef UK_TRANSPORT_PRIVATE_H
#define UK_TRANSPORT_PRIVATE_H

#include <curl/curl.h>

#include "client/transport.h"

/* Sets libcurl up, once in a process. False when it cannot be used. */
bool uk_transport_global(void);

/* Sets the handle up for one transfer, as uk_transport_perform would run it. The request and the
 * response's buffer live until the transfer has ended. */
enum uk_error uk_transport_begin(struct uk_transport *transport,
                                 const struct uk_client_request *request, int64_t timeout,
                                 bool resend, struct uk_response *response);

/* What a transfer that was begun and run came to; fills the response. */
enum uk_error uk_transport_end(struct uk_transport *transport, CURLcode code,
                               struct uk_response *response);

/* The handle of the transfer that was begun last. */
CURL *uk_transport_curl(struct uk_transport *transport);

#endif
