/* for: call_memory.c */
#include <lauxlib.h>
#include <lua.h>

#include "binding/call_memory.h"
#include "check.h"

enum { COMPANION = 1, KEPT = 4 << 20, LIMIT = 64 << 20 };

static lua_State *L;

static struct uk_lua_call_memory *take(size_t limit)
{
  return uk_lua_call_memory_take(L, COMPANION, limit);
}

static void give(void)
{
  uk_lua_call_memory_give(L, COMPANION, lua_gettop(L));
  lua_settop(L, COMPANION);
}

static void open_state(void)
{
  L = luaL_newstate();
  REQUIRE(L != NULL);
  uk_lua_call_memory_register(L);
  lua_newtable(L);
}

static void is_taken_by_one_call_at_a_time(void)
{
  open_state();
  struct uk_lua_call_memory *first = take(LIMIT), *nested = take(LIMIT);
  CHECK(first != nested);
  lua_pop(L, 1);
  give();
  CHECK(take(LIMIT) == first);
  CHECK(take(LIMIT) != first);
  lua_close(L);
}

static void has_the_limit_of_the_response(void)
{
  open_state();
  CHECK(take(7)->response.limit == 7);
  lua_close(L);
}

/* Grows the buffer to that capacity, gives it back, and returns what the next call gets of it. */
static size_t kept(struct uk_buffer *buffer, size_t capacity)
{
  buffer->limit = capacity; /* growth stops at the limit */
  CHECK(uk_buffer_reserve(buffer, capacity) != NULL);
  CHECK_EQ_INT(buffer->capacity, capacity);
  give();
  (void)take(LIMIT);
  return buffer->capacity;
}

static void keeps_buffers_up_to_four_mebibytes(void)
{
  open_state();
  struct uk_lua_call_memory *memory = take(LIMIT);
  CHECK_EQ_INT(kept(&memory->response, KEPT), KEPT);
  CHECK_EQ_INT(kept(&memory->response, KEPT + 1), 0);
  CHECK_EQ_INT(kept(&memory->request.body, KEPT), KEPT);
  CHECK_EQ_INT(kept(&memory->request.body, KEPT + 1), 0);
  lua_close(L);
}

int main(void)
{
  CHECK_RUN(is_taken_by_one_call_at_a_time);
  CHECK_RUN(has_the_limit_of_the_response);
  CHECK_RUN(keeps_buffers_up_to_four_mebibytes);
  return check_end();
}
