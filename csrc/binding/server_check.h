/* server_check: the function that checks a data folder. */
#ifndef UK_SERVER_CHECK_H
#define UK_SERVER_CHECK_H

#include "binding/compat.h"

/* server.check { data =, salvage =, report = } -> counts | nil, message, details. */
int uk_lua_server_check(lua_State *L);

#endif
