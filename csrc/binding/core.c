/* core: the module upstash.kafka.core. */
#include "binding/call_memory.h"
#include "binding/client.h"
#include "binding/clock_lua.h"
#include "binding/decode.h"
#include "binding/input_lua.h"
#include "binding/json_codec.h"
#include "binding/perform.h"
#include "binding/producer.h"
#include "binding/failure.h"
#include "binding/retry_lua.h"
#include "binding/signals_lua.h"
#include "common/protocol.h"
#include "common/version.h"

static const luaL_Reg functions[] = {{"new", uk_lua_client_new},
                                     {"json", uk_lua_json_codec},
                                     {"retry_delay", uk_lua_retry_delay},
                                     {"close_producers", uk_lua_close_producers},
                                     {"watch_signals", uk_lua_watch_signals},
                                     {NULL, NULL}};

static const luaL_Reg no_metamethods[] = {{NULL, NULL}};

static void push_methods(lua_State *L, unsigned methods)
{
  static const struct {
    unsigned method;
    const char *name;
  } names[] = {{UK_GET, "GET"}, {UK_POST, "POST"}, {UK_DELETE, "DELETE"}, {UK_HEAD, "HEAD"}};
  int count = 0;
  lua_newtable(L);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (methods & names[i].method) {
      lua_pushstring(L, names[i].name);
      lua_rawseti(L, -2, ++count);
    }
}

static void push_endpoints(lua_State *L)
{
  lua_createtable(L, UK_ENDPOINT_COUNT, 0);
  for (int i = 0; i < UK_ENDPOINT_COUNT; i++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, uk_endpoints[i].name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, uk_endpoints[i].path);
    lua_setfield(L, -2, "path");
    push_methods(L, uk_endpoints[i].methods);
    lua_setfield(L, -2, "methods");
    lua_rawseti(L, -2, i + 1);
  }
}

static void push_message_methods(lua_State *L)
{
  lua_newtable(L);
  lua_pushvalue(L, -1);
  uk_lua_newtype(L, UK_MESSAGE_TYPE, no_metamethods);
  lua_pop(L, 1);
}

UK_EXPORT int luaopen_upstash_kafka_core(lua_State *L);

int luaopen_upstash_kafka_core(lua_State *L)
{
  lua_newtable(L);
  uk_lua_setfuncs(L, functions);
  uk_lua_setfuncs(L, uk_lua_clock_functions);
  uk_lua_setfuncs(L, uk_lua_input_functions);
  uk_lua_call_memory_register(L);
  uk_lua_signals_register(L);
  uk_lua_client_register(L);
  uk_lua_add_calls(L);
  lua_pushcfunction(L, uk_lua_producer_new);
  lua_setfield(L, -2, "producer");
  lua_setfield(L, -2, "methods");
  uk_lua_producer_register(L);
  lua_setfield(L, -2, "producer_methods");
  push_message_methods(L);
  lua_setfield(L, -2, "message_methods");
  uk_lua_push_error_list(L);
  lua_setfield(L, -2, "errors");
  push_endpoints(L);
  lua_setfield(L, -2, "endpoints");
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, UK_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
