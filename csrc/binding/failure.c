#include "binding/failure.h"

#include <inttypes.h>
#include <stdio.h>

static bool has_position(const struct uk_lua_failure *failure)
{
  return failure->position != NULL && failure->position->known;
}

/* Sets an integer, or its digits where this Lua's numbers cannot hold it. */
static void set_integer(lua_State *L, const char *name, int64_t value)
{
  uk_lua_push_exact(L, value);
  lua_setfield(L, -2, name);
}

static void set_position(lua_State *L, const struct uk_response_position *position)
{
  lua_createtable(L, 0, 3);
  lua_pushstring(L, position->topic);
  lua_setfield(L, -2, "topic");
  set_integer(L, "partition", position->partition);
  set_integer(L, "offset", position->offset);
  lua_setfield(L, -2, "position");
}

void uk_lua_push_details(lua_State *L, const struct uk_lua_failure *failure, int message)
{
  lua_createtable(L, 0, 5);
  lua_pushvalue(L, message);
  lua_setfield(L, -2, "error");
  lua_pushstring(L, uk_error_word(failure->error));
  lua_setfield(L, -2, "code");
  lua_pushboolean(L, uk_error_retriable(failure->error));
  lua_setfield(L, -2, "retriable");
  if (failure->status != 0) {
    lua_pushinteger(L, failure->status);
    lua_setfield(L, -2, "status");
  }
  if (failure->retry_after >= 0 && uk_lua_push_integer(L, failure->retry_after))
    lua_setfield(L, -2, "retry_after");
  if (has_position(failure))
    set_position(L, failure->position);
  if (failure->again == NULL)
    return;
  lua_pushstring(L, failure->again);
  lua_setfield(L, -2, "again");
}

/* Appends " (at topic …, partition …, offset …)" to the string on top of the stack. */
static void name_position(lua_State *L, const struct uk_response_position *position)
{
  char text[UK_TOPIC_NAME_MAX + 80];
  snprintf(text, sizeof text, " (at topic \"%s\", partition %" PRId64 ", offset %" PRId64 ")",
           position->topic, position->partition, position->offset);
  lua_pushstring(L, text);
  lua_concat(L, 2);
}

int uk_lua_push_failure(lua_State *L, const struct uk_lua_failure *failure)
{
  luaL_checkstack(L, 6, NULL);
  lua_pushnil(L);
  if (failure->message.data != NULL)
    lua_pushlstring(L, failure->message.data, failure->message.length);
  else
    lua_pushstring(L, uk_error_text(failure->error));
  if (has_position(failure))
    name_position(L, failure->position);
  uk_lua_push_details(L, failure, lua_gettop(L));
  return 3;
}

int uk_lua_push_error(lua_State *L, enum uk_error error, const char *text)
{
  struct uk_lua_failure failure = {.error = error, .retry_after = -1};
  if (text != NULL)
    failure.message = uk_slice_text(text);
  return uk_lua_push_failure(L, &failure);
}

void uk_lua_push_error_list(lua_State *L)
{
  lua_createtable(L, UK_ERROR_COUNT - 1, 0);
  for (int error = UK_OK + 1; error < UK_ERROR_COUNT; error++) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, uk_error_word((enum uk_error)error));
    lua_setfield(L, -2, "code");
    if (uk_error_status((enum uk_error)error) != 0) {
      lua_pushinteger(L, uk_error_status((enum uk_error)error));
      lua_setfield(L, -2, "status");
    }
    lua_pushboolean(L, uk_error_retriable((enum uk_error)error));
    lua_setfield(L, -2, "retriable");
    lua_pushstring(L, uk_error_text((enum uk_error)error));
    lua_setfield(L, -2, "text");
    lua_rawseti(L, -2, error);
  }
}
