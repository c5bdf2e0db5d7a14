/* router: finds the endpoint for a method and path. Pure: knows no request and no handlers. */
#ifndef UK_ROUTER_H
#define UK_ROUTER_H

#include "common/error.h"
#include "common/protocol.h"
#include "server/request/request.h"

struct uk_route {
  enum uk_endpoint endpoint;
  struct uk_slice parameters[UK_PATH_PARAMETERS]; /* pointing into the path, percent-decoded */
  unsigned methods; /* after METHOD_NOT_ALLOWED: the path's methods, bits of uk_method */
};

/* Splits the path, then decodes each segment once, in place; an escaped '/' is part of its segment.
 * Ignores repeated slashes before the first segment and one at the end. NOT_FOUND,
 * METHOD_NOT_ALLOWED, or BAD_REQUEST for a malformed escape. */
enum uk_error uk_route_find(struct uk_route *route, enum uk_method method, char *path);

#endif
