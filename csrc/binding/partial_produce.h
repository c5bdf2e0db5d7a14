/* results: a produce that was carried out in part, as details.results. */
#ifndef UK_PARTIAL_PRODUCE_H
#define UK_PARTIAL_PRODUCE_H

#include "binding/compat.h"
#include "client/response.h"

/* Pushes nil, message and details, with `results`: for each message of the request the table of its metadata or
 * {error=, status=, code=, retriable=}. `retriable` of the whole is false: who makes the call again stores again what
 * is stored. Results that are not as the REST API says are a BAD_RESPONSE. `messages` as of uk_response_results.
 * Returns 3. */
int uk_lua_push_partial_produce(lua_State *L, const struct uk_client_failure *failure,
                                size_t messages);

#endif
