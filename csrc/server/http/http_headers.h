/* http_headers: reads request headers, without the white space around their values. */
#ifndef UK_HTTP_HEADERS_H
#define UK_HTTP_HEADERS_H

#include "common/slice.h"
#include "server/request/client_address.h"

struct MHD_Connection;

/* The first value of a request header; data NULL if absent. */
struct uk_slice uk_http_header(struct MHD_Connection *connection, const char *name);

/* The address of the connection's other end, which may be a proxy's. For that of the client see
 * `client` of struct uk_request. */
struct uk_client_address uk_http_peer(struct MHD_Connection *connection);

#endif
