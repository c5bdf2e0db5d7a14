/* dispatch: takes a request to its handler: route, credentials, query, handler. */
#ifndef UK_DISPATCH_H
#define UK_DISPATCH_H

#include "server/request/request.h"

/* A handler either leaves the reply in the request and returns false, or submits an operation to
 * the engine and returns true. In the second case uk_request_reply is called once, possibly before
 * the handler returns. */
typedef bool uk_handler(struct uk_request *request);

/* Call it after the headers and before the body. Sets endpoint, parameters and credential. False:
 * the reply is an error. */
bool uk_dispatch_accept(struct uk_request *request);

/* The user's name; empty without credentials. Valid until uk_dispatch_end. */
struct uk_slice uk_dispatch_user(const struct uk_request *request);

/* Call it after the body. Returns as a handler does. */
bool uk_dispatch_run(struct uk_request *request);

/* Call it last: releases the credential. */
void uk_dispatch_end(struct uk_request *request);

#endif
