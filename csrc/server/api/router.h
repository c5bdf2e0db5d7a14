/* router: from method and path to endpoint. Pure: no request, no handlers. */
#ifndef UK_ROUTER_H
#define UK_ROUTER_H

#include "common/error.h"
#include "common/protocol.h"
#include "server/request/request.h"

struct uk_route {
  enum uk_endpoint endpoint;
  struct uk_slice parameters[UK_PATH_PARAMETERS]; /* pointing into the path, percent-decoded */
  unsigned methods; /* after METHOD_NOT_ALLOWED: what the path takes, bits of uk_method */
};

/* Splits the path, then decodes each segment once, in place (an escaped '/' belongs to its
 * segment). Repeated slashes in front of the first segment and one at the end are passed over.
 * NOT_FOUND, METHOD_NOT_ALLOWED, or BAD_REQUEST for a malformed escape. */
enum uk_error uk_route_find(struct uk_route *route, enum uk_method method, char *path);

#endif
