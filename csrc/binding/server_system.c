#include "binding/server_system.h"

#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "binding/server_handle.h"
#include "common/directory.h"
#include "common/secret_file.h"
#include "server/server.h"
#include "server/server_signals.h"

enum {
  RANDOM_BYTES_MAX = 256,
  SECRET_SIZE = 4096,
  KEPT_BLOCK = 4 << 20, /* bytes: larger ones go back to the system one by one */
  KEPT_BYTES = 8 << 20  /* of each of the allocator's arenas */
};

/* block_signals(): blocks the signals of server_signals in this thread and in the threads that it
 * starts. */
static int block_signals(lua_State *L)
{
  const int error = uk_server_signals_block();
  return error == 0 ? 0 : luaL_error(L, "cannot block signals: %s", strerror(error));
}

/* wait_for_signal([handle]) -> "SIGTERM" | "SIGINT". SIGHUP reloads the server of the handle.
 * Precondition: block_signals. */
static int wait_for_signal(lua_State *L)
{
  int number = 0;
  struct uk_server *server = lua_isnoneornil(L, 1) ? NULL : uk_lua_server_of(L, 1);
  const int error =
    uk_server_signals_wait(&number, server != NULL ? uk_server_hang_up : NULL, server);
  if (error != 0)
    return luaL_error(L, "cannot wait for signals: %s", strerror(error));
  lua_pushstring(L, number == SIGINT ? "SIGINT" : "SIGTERM");
  return 1;
}

/* force_exit(milliseconds): from now on a signal of wait_for_signal ends the process at once, with
 * status 1, and so does this time. Precondition: block_signals. */
static int force_exit(lua_State *L)
{
  int64_t milliseconds = 0;
  bool good = uk_lua_read_integer(L, 1, &milliseconds) == UK_INTEGER_OK && milliseconds >= 1 &&
              milliseconds <= INT32_MAX;
  luaL_argcheck(L, good, 1, "positive integer expected");
  if (uk_server_signals_force_exit((int32_t)milliseconds) != 0)
    return luaL_error(L, "cannot start a thread");
  return 0;
}

/* allow_files(count) -> the process's limit of open files. Raises it to `count` or to the hard
 * limit; never lowers it. */
static int allow_files(lua_State *L)
{
  struct rlimit limit;
  int64_t count = 0;
  bool good = uk_lua_read_integer(L, 1, &count) == UK_INTEGER_OK && count >= 1;
  luaL_argcheck(L, good, 1, "positive integer expected");
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return luaL_error(L, "cannot read the limit of open files: %s", strerror(errno));
  rlim_t wanted = (rlim_t)count < limit.rlim_max ? (rlim_t)count : limit.rlim_max;
  rlim_t before = limit.rlim_cur;
  limit.rlim_cur = wanted > before ? wanted : before;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
    limit.rlim_cur = before;
  lua_pushinteger(L, limit.rlim_cur < INT_MAX ? (lua_Integer)limit.rlim_cur : INT_MAX);
  return 1;
}

/* is_terminal(descriptor) -> boolean */
static int is_terminal(lua_State *L)
{
  int64_t number = 0;
  bool good =
    uk_lua_read_integer(L, 1, &number) == UK_INTEGER_OK && number >= 0 && number <= INT32_MAX;
  luaL_argcheck(L, good, 1, "descriptor expected");
  lua_pushboolean(L, isatty((int)number));
  return 1;
}

/* keep_memory(): lets the allocator keep what a request frees for the next one. glibc gives the end
 * of a heap back as soon as a large batch is answered: without this half of a produce's time goes
 * into page faults. For a process that does nothing else: it concerns all threads. */
static int keep_memory(lua_State *L)
{
  (void)L;
#ifdef M_TRIM_THRESHOLD
  mallopt(M_MMAP_THRESHOLD, KEPT_BLOCK);
  mallopt(M_TRIM_THRESHOLD, KEPT_BYTES);
#endif
  return 0;
}

/* Pushes nil and "path: reason"; returns 2. `error` is an errno. */
static int push_system_error(lua_State *L, const char *path, int error)
{
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(error));
  return 2;
}

static const char *check_path(lua_State *L, int argument)
{
  size_t length;
  const char *path = luaL_checklstring(L, argument, &length);
  luaL_argcheck(L, length > 0, argument, "path is empty");
  luaL_argcheck(L, strlen(path) == length, argument, "path contains a NUL");
  return path;
}

/* make_directory(path) -> true | nil, message. Creates parents too, with mode 0700. */
static int make_directory(lua_State *L)
{
  const char *path = check_path(L, 1);
  int error = uk_directory_make(path);
  if (error != 0)
    return push_system_error(L, path, error);
  lua_pushboolean(L, 1);
  return 1;
}

/* read_secret(path) -> string | nil | nil, message: the first line of a file that is its owner's
 * alone; nil without a message if there is no file. */
static int read_secret(lua_State *L)
{
  char secret[SECRET_SIZE], message[PATH_MAX + 128];
  const char *path = check_path(L, 1);
  enum uk_secret result = uk_secret_read(secret, sizeof secret, path, message, sizeof message);
  lua_pushnil(L);
  if (result == UK_SECRET_NONE)
    return 1;
  lua_pushstring(L, result == UK_SECRET_READ ? secret : message);
  return result == UK_SECRET_READ ? 1 : 2;
}

/* write_secret(path, text) -> true | nil, message. Creates a file that only its owner may read;
 * never changes an existing one. */
static int write_secret(lua_State *L)
{
  size_t length;
  const char *path = check_path(L, 1);
  const char *secret = luaL_checklstring(L, 2, &length);
  int error = uk_secret_write(path, secret, length);
  if (error != 0)
    return push_system_error(L, path, error);
  lua_pushboolean(L, 1);
  return 1;
}

/* random_bytes(count) -> string, from the system's generator. */
static int random_bytes(lua_State *L)
{
  char bytes[RANDOM_BYTES_MAX];
  int64_t count = 0;
  bool good =
    uk_lua_read_integer(L, 1, &count) == UK_INTEGER_OK && count >= 1 && count <= RANDOM_BYTES_MAX;
  luaL_argcheck(L, good, 1, "integer from 1 to 256 expected");
  ssize_t got;
  do {
    got = getrandom(bytes, (size_t)count, 0);
  } while (got < 0 && errno == EINTR);
  if (got != (ssize_t)count)
    return luaL_error(L, "cannot get random bytes: %s", strerror(errno));
  lua_pushlstring(L, bytes, (size_t)count);
  return 1;
}

const luaL_Reg uk_lua_server_system_functions[] = {{"block_signals", block_signals},
                                                   {"wait_for_signal", wait_for_signal},
                                                   {"force_exit", force_exit},
                                                   {"make_directory", make_directory},
                                                   {"read_secret", read_secret},
                                                   {"write_secret", write_secret},
                                                   {"random_bytes", random_bytes},
                                                   {"allow_files", allow_files},
                                                   {"keep_memory", keep_memory},
                                                   {"is_terminal", is_terminal},
                                                   {NULL, NULL}};
