/* http_response: converts a reply for the HTTP library, or writes it to a socket. */
#ifndef UK_HTTP_RESPONSE_H
#define UK_HTTP_RESPONSE_H

#include <microhttpd.h>

#include "server/request/request.h"

/* Makes the library's response from the request's reply. `mode`: MHD_RESPMEM_PERSISTENT if the body
 * outlives the response, MHD_RESPMEM_MUST_COPY if not. NULL if out of memory. */
struct MHD_Response *uk_http_make_response(const struct uk_request *request,
                                           enum MHD_ResponseMemoryMode mode);

/* Writes the reply to the socket as a complete HTTP response with `Connection: close`. Writes only
 * what the socket accepts at once. Not for TLS. Allocates nothing. */
void uk_http_write_response(int socket, const struct uk_request *request);

#endif
