/* for: input_lua.c
 *
 * poll and read are this program's: what standard input answers, call by call. input_spec.lua reads
 * from real ones. */
#undef _FORTIFY_SOURCE /* its poll and read are inline */
#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "binding/input_lua.h"
#include "binding/signals_lua.h"
#include "check.h"
#include "client/signals.h"

/* What the next poll and the next read return: a negative one sets errno. */
static int polled, poll_errno, wait_asked, reads, read_errno;
static nfds_t files_polled;
static struct pollfd second; /* file that was polled */
static short events;
static ssize_t available;
static size_t room;

__attribute__((noinline)) static int answer_poll(struct pollfd *files, nfds_t count,
                                                 int milliseconds)
{
  files_polled = count;
  if (count > 1)
    second = files[1];
  CHECK_EQ_INT(files[0].fd, STDIN_FILENO);
  events = files[0].events;
  files[0].revents = POLLIN;
  wait_asked = milliseconds;
  errno = poll_errno;
  return polled;
}

static ssize_t answer_read(int file, void *bytes, size_t size)
{
  if (file != STDIN_FILENO)
    return syscall(SYS_read, file, bytes, size);
  room = size;
  reads++;
  errno = read_errno;
  if (available > 0)
    memset(bytes, 'x', (size_t)available);
  return available;
}

__attribute__((visibility("default"))) int poll(struct pollfd *files, nfds_t count,
                                                int milliseconds)
{
  return answer_poll(files, count, milliseconds);
}

/* What builds with _FORTIFY_SOURCE call instead. */
int __poll_chk(struct pollfd *files, nfds_t count, int milliseconds, size_t size);
__attribute__((visibility("default"))) int __poll_chk(struct pollfd *files, nfds_t count,
                                                      int milliseconds, size_t size)
{
  CHECK(count * sizeof *files <= size);
  return answer_poll(files, count, milliseconds);
}

__attribute__((visibility("default"))) ssize_t read(int file, void *bytes, size_t size)
{
  return answer_read(file, bytes, size);
}

ssize_t __read_chk(int file, void *bytes, size_t size, size_t whole);
__attribute__((visibility("default"))) ssize_t __read_chk(int file, void *bytes, size_t size,
                                                          size_t whole)
{
  CHECK(size <= whole);
  return answer_read(file, bytes, size);
}

/* Calls read_input with these answers. Returns the number of results, which stay on the stack. */
static int call(lua_State *L, int milliseconds, int ready, ssize_t bytes, int error)
{
  polled = ready;
  available = bytes;
  poll_errno = read_errno = error;
  reads = 0;
  lua_settop(L, 0);
  lua_pushcfunction(L, uk_lua_input_functions[0].func);
  lua_pushinteger(L, milliseconds);
  CHECK_EQ_INT(lua_pcall(L, 1, LUA_MULTRET, 0), 0);
  return lua_gettop(L);
}

static bool returns_text(lua_State *L, size_t length)
{
  size_t got = 0;
  return lua_gettop(L) == 1 && lua_type(L, 1) == LUA_TSTRING && lua_tolstring(L, 1, &got) != NULL &&
         got == length;
}

static void waits_as_long_as_asked_and_reads_what_is_there(void)
{
  static const int waits[] = {-1, 0, 1, INT_MAX};
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  CHECK_EQ_STR(uk_lua_input_functions[0].name, "read_input");
  for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
    call(L, waits[i], 1, 3, 0);
    CHECK(returns_text(L, 3));
    CHECK_EQ_STR(lua_tostring(L, 1), "xxx");
    CHECK_EQ_INT(wait_asked, waits[i]);
    CHECK_EQ_INT(events, POLLIN);
    CHECK_EQ_INT(files_polled, 1);
    CHECK_EQ_INT(room, 65536);
  }
  call(L, 5, 0, 3, 0);
  CHECK(returns_text(L, 0));
  CHECK_EQ_INT(reads, 0); /* it would wait without a limit */
  CHECK_EQ_INT(call(L, 5, 1, 0, 0), 1);
  CHECK(lua_isnil(L, 1)); /* the end */
  lua_close(L);
}

/* A signal that the program handles, and a descriptor that another process made non-blocking. */
static void what_passes_is_no_failure(void)
{
  static const int passing[] = {EINTR, EAGAIN, EWOULDBLOCK};
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
    call(L, -1, -1, 3, passing[i]);
    CHECK(returns_text(L, 0));
    CHECK_EQ_INT(reads, 0);
    call(L, -1, 1, -1, passing[i]);
    CHECK(returns_text(L, 0));
    CHECK_EQ_INT(reads, 1);
  }
  lua_close(L);
}

static void a_failure_has_its_reason(void)
{
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  for (int ready = -1; ready <= 1; ready += 2) {
    CHECK_EQ_INT(call(L, -1, ready, -1, EIO), 2);
    CHECK(lua_isnil(L, 1));
    CHECK_EQ_STR(lua_tostring(L, 2), "standard input: Input/output error");
  }
  lua_close(L);
}

/* Calls read_input with the watch at stack slot 1, which stays there. */
static bool reads_text(lua_State *L, int ready, size_t length)
{
  size_t got = 9;
  polled = ready;
  available = 3;
  reads = 0;
  lua_settop(L, 1);
  lua_pushcfunction(L, uk_lua_input_functions[0].func);
  lua_pushinteger(L, 7);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 2, 1, 0) != 0 || lua_tolstring(L, 2, &got) == NULL)
    return false;
  return got == length && reads == (length > 0);
}

/* D1: a signal of the watch ends the wait, and what is there then is not read any more. */
static void a_signal_ends_the_input(void)
{
  enum { USR1 = 1u << UK_SIGNAL_USR1 };
  int descriptor = -1;
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  uk_lua_signals_register(L);
  lua_pushcfunction(L, uk_lua_watch_signals);
  lua_createtable(L, 1, 0);
  lua_pushliteral(L, "USR1");
  lua_rawseti(L, -2, 1);
  CHECK_EQ_INT(lua_pcall(L, 1, 1, 0), 0);
  CHECK_EQ_INT(uk_signals_descriptors(USR1, &descriptor), 1);
  CHECK(reads_text(L, 1, 3));
  CHECK_EQ_INT(files_polled, 2);
  CHECK_EQ_INT(second.fd, descriptor);
  CHECK_EQ_INT(second.events, POLLIN);
  CHECK_EQ_INT(wait_asked, 7);
  raise(SIGUSR1);
  CHECK(reads_text(L, 1, 0));
  CHECK(reads_text(L, 2, 0));
  CHECK(reads_text(L, -1, 0)); /* whatever poll has failed with */
  lua_close(L);
}

int main(void)
{
  CHECK_RUN(waits_as_long_as_asked_and_reads_what_is_there);
  CHECK_RUN(what_passes_is_no_failure);
  CHECK_RUN(a_failure_has_its_reason);
  CHECK_RUN(a_signal_ends_the_input);
  return check_end();
}
