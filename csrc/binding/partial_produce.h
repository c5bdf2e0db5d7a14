/* partial_produce: turns the response to a partly stored produce into details.results. */
#ifndef UK_PARTIAL_PRODUCE_H
#define UK_PARTIAL_PRODUCE_H

#include "binding/compat.h"
#include "client/response.h"

/* Pushes nil, message and details; returns 3. `details.results` has for each message of the request
 * its metadata or {error=, status=, code=, retriable=}. `details.retriable` is false, because a
 * retry would store the stored messages again. Results that violate the REST API are a
 * BAD_RESPONSE. `messages` is that of uk_response_results. */
int uk_lua_push_partial_produce(lua_State *L, const struct uk_client_failure *failure,
                                size_t messages);

#endif
