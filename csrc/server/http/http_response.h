/* http_response: converts a reply for the HTTP library, or writes it to a socket. */
#ifndef UK_HTTP_RESPONSE_H
#define UK_HTTP_RESPONSE_H

#include <microhttpd.h>

#include "server/request/request.h"

/* Makes the library's response from the request's reply, and takes the reply's body. NULL if out of
 * memory. */
struct MHD_Response *uk_http_make_response(struct uk_request *request);

/* Writes the reply to the socket as a complete HTTP response with `Connection: close`. Writes only
 * what the socket accepts at once. Not for TLS. False: out of memory; nothing was written. */
bool uk_http_write_response(int socket, const struct uk_request *request);

#endif
