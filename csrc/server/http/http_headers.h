/* http_headers: reads request headers, without the white space around their values. */
#ifndef UK_HTTP_HEADERS_H
#define UK_HTTP_HEADERS_H

#include "common/slice.h"

struct MHD_Connection;

/* The first value of a request header; data NULL if absent. */
struct uk_slice uk_http_header(struct MHD_Connection *connection, const char *name);

#endif
