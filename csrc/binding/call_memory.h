/* call_memory: the memory of one call: its request and the bytes of its response.
 *
 * It is a userdata, so that a Lua error which leaves a call leaks nothing. Taking it removes it
 * from the client's companion table, giving puts it back: a nested call of the same client, made by
 * an encode function or a finaliser, does not find it and gets another one. */
#ifndef UK_CALL_MEMORY_H
#define UK_CALL_MEMORY_H

#include "binding/compat.h"
#include "client/request.h"

struct uk_lua_call_memory {
  struct uk_client_request request;
  struct uk_buffer response;
  struct uk_buffer url; /* for a request that is only prepared */
};

/* Indices in a client's companion table. */
enum { UK_COMPANION_MEMORY = 1, UK_COMPANION_ENCODE };

/* Call it once for each Lua state. */
void uk_lua_call_memory_register(lua_State *L);

/* Pushes a call memory, which it removes from the table at `companion` or creates. */
struct uk_lua_call_memory *uk_lua_call_memory_take(lua_State *L, int companion,
                                                   size_t response_limit);

/* Puts the call memory at `index` back and frees buffers that are too large to keep. */
void uk_lua_call_memory_give(lua_State *L, int companion, int index);

#endif
