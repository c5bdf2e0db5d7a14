/* perform: the methods of a client that make the calls of the table in calls.h: each call as one
 * method, and its two halves apart, so that another transport can stand between them. */
#ifndef UK_PERFORM_H
#define UK_PERFORM_H

#include "binding/compat.h"

/* Adds a method for each call, and prepare, finish and fail, to the table on top. */
void uk_lua_add_calls(lua_State *L);

#endif
