/* server_system: what a server process needs from the system and Lua does not offer. */
#ifndef UK_SERVER_SYSTEM_H
#define UK_SERVER_SYSTEM_H

#include "binding/compat.h"

/* block_signals, wait_for_signal, make_directory, read_secret, write_secret, random_bytes,
 * allow_files. */
extern const luaL_Reg uk_lua_server_system_functions[];

#endif
