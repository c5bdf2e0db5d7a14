#include "binding/input_lua.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "binding/signals_lua.h"
#include "client/signals.h"

enum { INPUT_BYTES = 64 << 10 };

static int push_failure(lua_State *L, int error)
{
  lua_pushnil(L);
  lua_pushfstring(L, "standard input: %s", strerror(error));
  return 2;
}

static int push_nothing_yet(lua_State *L)
{
  lua_pushliteral(L, "");
  return 1;
}

static bool is_passing(int error)
{
  return error == EINTR || error == EAGAIN || error == EWOULDBLOCK;
}

/* Waits for standard input or for a signal of the set. As poll: more than 0 if there is input. */
static int wait_for_input(unsigned set, int milliseconds)
{
  int descriptors[UK_SIGNAL_COUNT];
  struct pollfd polled[1 + UK_SIGNAL_COUNT] = {{.fd = STDIN_FILENO, .events = POLLIN}};
  const unsigned count = uk_signals_descriptors(set, descriptors);
  for (unsigned i = 0; i < count; i++)
    polled[1 + i] = (struct pollfd){.fd = descriptors[i], .events = POLLIN};
  const int ready = poll(polled, 1 + count, milliseconds);
  return uk_signals_arrived(set) != 0 ? 0 : ready;
}

static int read_input(lua_State *L)
{
  int64_t milliseconds = 0;
  bool good = uk_lua_read_integer(L, 1, &milliseconds) == UK_INTEGER_OK && milliseconds >= -1 &&
              milliseconds <= INT_MAX;
  luaL_argcheck(L, good, 1, "milliseconds expected, or -1");
  const unsigned set = lua_isnoneornil(L, 2) ? 0 : uk_lua_to_signals(L, 2);
  const int ready = wait_for_input(set, (int)milliseconds);
  if (ready == 0 || (ready < 0 && is_passing(errno)))
    return push_nothing_yet(L);
  if (ready < 0)
    return push_failure(L, errno);
  char *bytes = lua_newuserdata(L, INPUT_BYTES);
  ssize_t length = read(STDIN_FILENO, bytes, INPUT_BYTES);
  if (length < 0)
    return is_passing(errno) ? push_nothing_yet(L) : push_failure(L, errno);
  if (length == 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, bytes, (size_t)length);
  return 1;
}

const luaL_Reg uk_lua_input_functions[] = {{"read_input", read_input}, {NULL, NULL}};
