#include "binding/call_memory.h"

#include "client/settings.h"

#define MEMORY_TYPE "upstash.kafka.call_memory"

enum { KEPT_BYTES = 4 << 20 }; /* bytes of a body kept for the next call */

static int collect(lua_State *L)
{
  struct uk_lua_call_memory *memory = luaL_checkudata(L, 1, MEMORY_TYPE);
  uk_client_request_free(&memory->request);
  uk_buffer_free(&memory->response);
  uk_buffer_free(&memory->url);
  return 0;
}

static const luaL_Reg metamethods[] = {{"__gc", collect}, {NULL, NULL}};

void uk_lua_call_memory_register(lua_State *L)
{
  lua_newtable(L);
  uk_lua_newtype(L, MEMORY_TYPE, metamethods);
  lua_pop(L, 1);
}

static struct uk_lua_call_memory *create(lua_State *L, size_t response_limit)
{
  struct uk_lua_call_memory *memory = lua_newuserdata(L, sizeof *memory);
  uk_client_request_init(&memory->request);
  uk_buffer_init(&memory->response, response_limit);
  uk_buffer_init(&memory->url, UK_REQUEST_PATH_MAX + UK_SETTINGS_URL_MAX);
  luaL_getmetatable(L, MEMORY_TYPE);
  lua_setmetatable(L, -2);
  return memory;
}

struct uk_lua_call_memory *uk_lua_call_memory_take(lua_State *L, int companion,
                                                   size_t response_limit)
{
  lua_rawgeti(L, companion, UK_COMPANION_MEMORY);
  struct uk_lua_call_memory *memory = lua_touserdata(L, -1);
  if (memory == NULL) {
    lua_pop(L, 1);
    return create(L, response_limit);
  }
  lua_pushboolean(L, 0);
  lua_rawseti(L, companion, UK_COMPANION_MEMORY);
  return memory;
}

void uk_lua_call_memory_give(lua_State *L, int companion, int index)
{
  struct uk_lua_call_memory *memory = lua_touserdata(L, index);
  if (memory->request.body.capacity > KEPT_BYTES)
    uk_buffer_free(&memory->request.body);
  if (memory->response.capacity > KEPT_BYTES)
    uk_buffer_free(&memory->response);
  lua_pushvalue(L, index);
  lua_rawseti(L, companion, UK_COMPANION_MEMORY);
}
