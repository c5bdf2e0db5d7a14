#include "binding/server_check.h"

#include "binding/failure.h"
#include "binding/options.h"
#include "server/log_engine/log_check.h"

/* Stack indices. The functions are there before the check begins: its callbacks may not raise. */
enum { ARGUMENT = 1, REPORT, DELIVER, FAILURE };

/* What a callback of the check passes to `report`. */
struct event {
  const char *kind, *line; /* a line, or NULL: progress */
  uint64_t pages, all;
};

static const struct uk_lua_option rows[] = {
  {"data", UK_OPTION_TEXT, true, offsetof(struct uk_log_check, directory), 0, 0, NULL},
  {"salvage", UK_OPTION_TEXT, false, offsetof(struct uk_log_check, salvage), 0, 0, NULL},
  {"report", UK_OPTION_FUNCTION, false, 0, 0, 0, NULL},
  {.name = NULL}};

/* Runs protected, with the report and the event. */
static int deliver(lua_State *L)
{
  const struct event *event = lua_touserdata(L, 2);
  lua_settop(L, 1);
  lua_pushstring(L, event->kind);
  if (event->line != NULL) {
    lua_pushstring(L, event->line);
    lua_call(L, 2, 0);
    return 0;
  }
  lua_pushnumber(L, (lua_Number)event->pages);
  lua_pushnumber(L, (lua_Number)event->all);
  lua_call(L, 3, 0);
  return 0;
}

/* After `report` has raised, it is not called again: the error is raised when the check is over. */
static void pass_on(lua_State *L, struct event event)
{
  if (lua_isnil(L, REPORT) || !lua_isnil(L, FAILURE))
    return;
  lua_pushvalue(L, DELIVER);
  lua_pushvalue(L, REPORT);
  lua_pushlightuserdata(L, &event);
  if (lua_pcall(L, 2, 0, 0) != 0)
    lua_replace(L, FAILURE);
}

static void on_damage(void *context, const char *line)
{
  pass_on(context, (struct event){.kind = "damaged", .line = line});
}

static void on_note(void *context, const char *line)
{
  pass_on(context, (struct event){.kind = "note", .line = line});
}

static void on_progress(void *context, uint64_t pages, uint64_t all)
{
  pass_on(context, (struct event){.kind = "progress", .pages = pages, .all = all});
}

static void push_counts(lua_State *L, const struct uk_log_check_result *result)
{
  const struct {
    const char *name;
    uint64_t count;
  } counts[] = {{"bytes", result->bytes},         {"topics", result->topics},
                {"batches", result->batches},     {"records", result->records},
                {"committed", result->committed}, {"damaged", result->damaged}};
  lua_createtable(L, 0, (int)(sizeof counts / sizeof *counts));
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    if (!uk_lua_push_integer(L, (int64_t)counts[i].count))
      lua_pushnumber(L, (lua_Number)counts[i].count);
    lua_setfield(L, -2, counts[i].name);
  }
}

int uk_lua_server_check(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "check", .argument = 1};
  struct uk_log_check check = {
    .context = L, .damaged = on_damage, .note = on_note, .progress = on_progress};
  struct uk_log_check_result result;
  char message[512] = "";
  lua_settop(L, ARGUMENT);
  lua_settop(L, REPORT);
  uk_lua_read_options(L, ARGUMENT, false, rows, &check, REPORT, &blame);
  lua_pushcfunction(L, deliver);
  lua_pushnil(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  enum uk_error error = uk_log_check(&check, &result, message, sizeof message);
  if (!lua_isnil(L, FAILURE)) {
    lua_settop(L, FAILURE);
    return lua_error(L);
  }
  if (error != UK_OK)
    return uk_lua_push_error(L, error, message[0] != '\0' ? message : NULL);
  push_counts(L, &result);
  return 1;
}
