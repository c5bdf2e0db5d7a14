/* retry_lua: the retry policy, for loops and transports in Lua. */
#ifndef UK_RETRY_LUA_H
#define UK_RETRY_LUA_H

#include "binding/compat.h"

enum { UK_MILLISECONDS_MAX = 86400000, UK_RETRIES_MAX = 1000 }; /* limits of options */

/* core.retry_delay(attempt, details [, options]) -> milliseconds to wait before the next attempt,
 * jitter included, or nil if there must be none. `attempt` is the number of attempts so far,
 * `details` those of the failure. Options: retries, retry_delay and retry_delay_max as in core.new,
 * and method, a call's name: a call that may have been executed is then retried only if that is
 * safe. */
int uk_lua_retry_delay(lua_State *L);

#endif
