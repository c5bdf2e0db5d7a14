/* server_system: the few things that a process which serves needs of the system and that Lua has not. */
#ifndef UK_SERVER_SYSTEM_H
#define UK_SERVER_SYSTEM_H

#include "binding/compat.h"

/* block_signals, wait_for_signal, make_directory, write_secret, random_bytes, allow_files. */
extern const luaL_Reg uk_lua_server_system_functions[];

#endif
