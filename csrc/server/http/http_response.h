/* http_response: the reply of a request, as the HTTP library takes it and as text on a socket. */
#ifndef UK_HTTP_RESPONSE_H
#define UK_HTTP_RESPONSE_H

#include <microhttpd.h>

#include "server/request/request.h"

/* The reply of the request as the library takes it; its body is given away. NULL without memory. */
struct MHD_Response *uk_http_make_response(struct uk_request *request);

/* Writes the reply of the request to the socket as a whole HTTP response that closes, as far as it
 * can be written at once. Not for TLS. */
void uk_http_last_words(int socket, const struct uk_request *request);

#endif
