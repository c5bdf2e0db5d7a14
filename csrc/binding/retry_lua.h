/* retry_lua: the retry policy for loops and transports in Lua. */
#ifndef UK_RETRY_LUA_H
#define UK_RETRY_LUA_H

#include "binding/compat.h"

enum { UK_MILLISECONDS_MAX = 86400000, UK_RETRIES_MAX = 1000 }; /* of options */

/* core.retry_delay(attempt, details [, options]): milliseconds to wait before the next attempt,
 * jitter included, or nil for none. `attempt` counts those made so far; `details` are those of
 * the failure. Options: retries, retry_delay and retry_delay_max as core.new takes them, and
 * method, a call's name: then what would be carried out twice is not retried. */
int uk_lua_retry_delay(lua_State *L);

#endif
