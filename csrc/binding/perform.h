/* perform: the three ways to make a call of the table in calls.h: whole, or its two halves
 * apart, so that another transport can stand between them. */
#ifndef UK_PERFORM_H
#define UK_PERFORM_H

#include "binding/compat.h"

/* A client's method: upvalue 1 is the call's row, as light userdata. Blocks. */
int uk_lua_perform(lua_State *L);

/* client:prepare(method, ...): the request as a table; no I/O. */
int uk_lua_prepare(lua_State *L);

/* client:finish(request, status, headers, body): what the method returns for that answer; no
 * I/O. */
int uk_lua_finish(lua_State *L);

/* client:fail(request, code [, text [, body]]): what the method returns when the transfer failed so.
 * `body`: what arrived of an answer that is too large. */
int uk_lua_fail(lua_State *L);

#endif
