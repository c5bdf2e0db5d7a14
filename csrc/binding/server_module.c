/* server_module: the module upstash.kafka.server. */
#include "binding/server_check.h"
#include "binding/server_credentials.h"
#include "binding/server_handle.h"
#include "binding/server_system.h"
#include "common/version.h"
#include "server/server.h"

static const luaL_Reg functions[] = {
  {"start", uk_lua_server_start}, {"check", uk_lua_server_check}, {NULL, NULL}};

UK_EXPORT int luaopen_upstash_kafka_server(lua_State *L);

int luaopen_upstash_kafka_server(lua_State *L)
{
  lua_newtable(L);
  uk_lua_setfuncs(L, functions);
  uk_lua_setfuncs(L, uk_lua_server_system_functions);
  uk_lua_setfuncs(L, uk_lua_server_credentials_functions);
  uk_lua_server_register_handle(L);
  uk_lua_server_push_defaults(L);
  lua_setfield(L, -2, "defaults");
  lua_pushboolean(L, uk_server_refusals_are_json());
  lua_setfield(L, -2, "refusals_are_json");
  lua_pushboolean(L, uk_server_checks_heads());
  lua_setfield(L, -2, "checks_heads");
  lua_pushliteral(L, UK_VERSION);
  lua_setfield(L, -2, "_VERSION");
  return 1;
}
