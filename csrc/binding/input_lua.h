/* input_lua: standard input, read as it arrives. Lua's io.read waits until a line or a buffer is
 * complete, and loses the end of a terminal's input. */
#ifndef UK_INPUT_LUA_H
#define UK_INPUT_LUA_H

#include "binding/compat.h"

/* read_input(milliseconds [, watch]) -> string | nil | nil, message. Waits for standard input, at
 * most that long (-1: without a limit), and returns the bytes that are there; "" if none came or a
 * signal did, nil at the end, and nil with a message if reading fails. Once a signal of the watch
 * (core.watch_signals) has arrived, it reads nothing more and returns "". */
extern const luaL_Reg uk_lua_input_functions[];

#endif
