/* dispatch: from a request to its handler: route, credentials, query, handler. */
#ifndef UK_DISPATCH_H
#define UK_DISPATCH_H

#include "server/request/request.h"

/* A handler leaves the reply in the request and returns false, or hands an operation to the engine
 * and returns true; then uk_request_reply is called once, possibly before the handler returns. */
typedef bool uk_handler(struct uk_request *request);

/* After the headers, before the body: fills endpoint, parameters and credential. False: the reply
 * is an error already. */
bool uk_dispatch_accept(struct uk_request *request);

/* After the body. As a handler. */
bool uk_dispatch_run(struct uk_request *request);

#endif
