/* server_credentials: what the command `credentials` needs: passwords, their hashes, and whether a
 * file can be used. */
#ifndef UK_SERVER_CREDENTIALS_H
#define UK_SERVER_CREDENTIALS_H

#include "binding/compat.h"

/* make_password, hash_password, check_credentials. */
extern const luaL_Reg uk_lua_server_credentials_functions[];

#endif
