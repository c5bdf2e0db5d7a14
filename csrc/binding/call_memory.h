/* call_memory: the memory of one call: its request and the bytes of its response.
 *
 * It is a userdata of its own, so that an error which jumps out of a call leaks nothing, and so
 * that a call made while another is under way in the same client (from an encode function, from
 * a finaliser) finds another one: taking removes it from the client's companion table, giving
 * puts it back. */
#ifndef UK_CALL_MEMORY_H
#define UK_CALL_MEMORY_H

#include "binding/compat.h"
#include "client/request.h"

struct uk_call_memory {
  struct uk_client_request request;
  struct uk_buffer response;
  struct uk_buffer url; /* of a request that is only prepared */
};

/* Places in the companion table of a client. */
enum { UK_COMPANION_MEMORY = 1, UK_COMPANION_ENCODE };

/* Once for each state. */
void uk_call_memory_register(lua_State *L);

/* Pushes a call memory and takes it out of the table at `companion`. */
struct uk_call_memory *uk_call_memory_take(lua_State *L, int companion, size_t response_limit);

/* Puts the one at `index` back, without what it should not keep. */
void uk_call_memory_give(lua_State *L, int companion, int index);

#endif
