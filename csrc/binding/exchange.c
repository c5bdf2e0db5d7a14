#include "binding/exchange.h"

#include "client/settings.h"

#define EXCHANGE_TYPE "upstash.kafka.exchange"

enum { KEPT_BYTES = 4 << 20 }; /* of a body, from one call to the next */

static int collect(lua_State *L)
{
  struct uk_exchange *exchange = luaL_checkudata(L, 1, EXCHANGE_TYPE);
  uk_client_request_free(&exchange->request);
  uk_buffer_free(&exchange->response);
  uk_buffer_free(&exchange->url);
  return 0;
}

static const luaL_Reg metamethods[] = {{"__gc", collect}, {NULL, NULL}};

void uk_exchange_register(lua_State *L)
{
  lua_newtable(L);
  uk_lua_newtype(L, EXCHANGE_TYPE, metamethods);
  lua_pop(L, 1);
}

static struct uk_exchange *create(lua_State *L, size_t response_limit)
{
  struct uk_exchange *exchange = lua_newuserdata(L, sizeof *exchange);
  uk_client_request_init(&exchange->request);
  uk_buffer_init(&exchange->response, response_limit);
  uk_buffer_init(&exchange->url, UK_REQUEST_PATH_MAX + UK_SETTINGS_URL_MAX);
  luaL_getmetatable(L, EXCHANGE_TYPE);
  lua_setmetatable(L, -2);
  return exchange;
}

struct uk_exchange *uk_exchange_take(lua_State *L, int companion, size_t response_limit)
{
  lua_rawgeti(L, companion, UK_COMPANION_EXCHANGE);
  struct uk_exchange *exchange = lua_touserdata(L, -1);
  if (exchange == NULL) {
    lua_pop(L, 1);
    return create(L, response_limit);
  }
  lua_pushboolean(L, 0);
  lua_rawseti(L, companion, UK_COMPANION_EXCHANGE);
  return exchange;
}

void uk_exchange_give(lua_State *L, int companion, int index)
{
  struct uk_exchange *exchange = lua_touserdata(L, index);
  if (exchange->request.body.capacity > KEPT_BYTES)
    uk_buffer_free(&exchange->request.body);
  if (exchange->response.capacity > KEPT_BYTES)
    uk_buffer_free(&exchange->response);
  lua_pushvalue(L, index);
  lua_rawseti(L, companion, UK_COMPANION_EXCHANGE);
}
