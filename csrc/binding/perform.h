/* perform: a client's methods for the calls in calls.h: one method for each call, and its two
 * halves for another transport to stand between. */
#ifndef UK_PERFORM_H
#define UK_PERFORM_H

#include "binding/compat.h"

/* Adds a method for each call, and prepare, finish and fail, to the table on top of the stack. */
void uk_lua_add_calls(lua_State *L);

#endif
