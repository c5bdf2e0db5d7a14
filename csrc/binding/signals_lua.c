#include "binding/signals_lua.h"

#include "binding/client.h"
#include "binding/failure.h"
#include "binding/options.h"
#include "client/signals.h"

#define SIGNALS_TYPE "upstash.kafka.signals"

enum { SLEEP_MAX = 86400000 };

/* The set of signals that a userdata watches; 0 once it is closed. */
static unsigned *to_set(lua_State *L)
{
  return luaL_checkudata(L, 1, SIGNALS_TYPE);
}

unsigned uk_lua_to_signals(lua_State *L, int argument)
{
  const unsigned *watched = luaL_checkudata(L, argument, SIGNALS_TYPE);
  return *watched;
}

static unsigned read_name(lua_State *L, struct uk_lua_blame *blame)
{
  const struct uk_lua_option row = {NULL, UK_OPTION_CHOICE, true, 0, 0, 0, uk_signal_names};
  int signal = 0;
  uk_lua_read_option(L, -1, &row, &signal, 0, blame);
  return 1u << signal;
}

static unsigned read_names(lua_State *L)
{
  struct uk_lua_blame blame = {.function = "watch_signals", .argument = 1};
  unsigned set = 0;
  if (lua_type(L, 1) != LUA_TTABLE)
    uk_lua_misuse_type(L, &blame, NULL, "table", 1);
  const size_t count = uk_lua_rawlen(L, 1);
  blame.list = "names";
  for (blame.index = 1; blame.index <= count; blame.index++) {
    lua_rawgeti(L, 1, (int)blame.index);
    set |= read_name(L, &blame);
    lua_pop(L, 1);
  }
  return set;
}

int uk_lua_watch_signals(lua_State *L)
{
  const unsigned set = read_names(L);
  unsigned *watched = lua_newuserdata(L, sizeof *watched);
  *watched = 0;
  luaL_getmetatable(L, SIGNALS_TYPE);
  lua_setmetatable(L, -2);
  if (!uk_signals_watch(set))
    return uk_lua_push_error(L, UK_E_TOO_MANY, "signals cannot be watched: no descriptors left");
  *watched = set;
  return 1;
}

/* watch:arrived() -> the name of a signal that has arrived, or nil */
static int arrived(lua_State *L)
{
  const unsigned set = uk_signals_arrived(*to_set(L));
  for (unsigned i = 0; i < UK_SIGNAL_COUNT; i++)
    if ((set & 1u << i) != 0) {
      lua_pushstring(L, uk_signal_names[i]);
      return 1;
    }
  lua_pushnil(L);
  return 1;
}

/* watch:sleep(milliseconds) -> whether no signal ended it */
static int sleep_for(lua_State *L)
{
  const unsigned set = *to_set(L);
  const lua_Number milliseconds = luaL_checknumber(L, 2);
  luaL_argcheck(L, milliseconds >= 0 && milliseconds <= SLEEP_MAX, 2,
                "0 to 86400000 milliseconds expected");
  lua_pushboolean(L, uk_signals_sleep(set, (int64_t)milliseconds));
  return 1;
}

/* watch:call(method, client, ...) -> what the method returns, or a failure with code cancelled as
 * soon as a signal arrives */
static int call(lua_State *L)
{
  const unsigned set = *to_set(L);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  struct uk_lua_client *client = uk_lua_to_client(L, 3);
  lua_pushvalue(L, 3);
  lua_replace(L, 1); /* stays on the stack */
  client->signals = set;
  const int status = lua_pcall(L, lua_gettop(L) - 2, LUA_MULTRET, 0);
  client->signals = 0;
  return status == 0 ? lua_gettop(L) - 1 : lua_error(L);
}

/* close and __gc. */
static int close_watch(lua_State *L)
{
  unsigned *watched = to_set(L);
  const unsigned set = *watched;
  *watched = 0;
  if (set != 0)
    uk_signals_unwatch(set);
  return 0;
}

void uk_lua_signals_register(lua_State *L)
{
  static const luaL_Reg methods[] = {{"arrived", arrived},
                                     {"sleep", sleep_for},
                                     {"call", call},
                                     {"close", close_watch},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", close_watch}, {NULL, NULL}};
  lua_newtable(L);
  uk_lua_setfuncs(L, methods);
  uk_lua_newtype(L, SIGNALS_TYPE, metamethods);
  lua_pop(L, 1);
}
