/* for: server_system.c
 *
 * A secret reaches the disk before it gets its name, and the name before the secret is used. */
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "binding/server_system.h"
#include "check.h"
#include "log_rig.h"

/* The calls in order, one letter each: w write, s sync of a file, d sync of a directory, l link,
 * u unlink. */
static char done[64];
static bool sync_fails;

static void note(char what)
{
  size_t length = strlen(done);
  if (length + 1 < sizeof done)
    done[length] = what;
}

#define IN_FRONT __attribute__((visibility("default")))

IN_FRONT int fsync(int fd)
{
  struct stat status;
  note(fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) ? 'd' : 's');
  errno = EIO;
  return sync_fails ? -1 : (int)syscall(SYS_fsync, fd);
}

IN_FRONT ssize_t write(int fd, const void *data, size_t length)
{
  if (fd > 2)
    note('w');
  return (ssize_t)syscall(SYS_write, fd, data, length);
}

IN_FRONT int link(const char *from, const char *to)
{
  note('l');
  return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

IN_FRONT int unlink(const char *path)
{
  note('u');
  return (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

static lua_CFunction function_of(const char *name)
{
  const luaL_Reg *each = uk_lua_server_system_functions;
  while (each->name != NULL && strcmp(each->name, name) != 0)
    each++;
  return each->func;
}

static bool write_secret(lua_State *L, const char *path)
{
  memset(done, 0, sizeof done);
  lua_settop(L, 0);
  lua_pushcfunction(L, function_of("write_secret"));
  lua_pushstring(L, path);
  lua_pushstring(L, "secret");
  lua_call(L, 2, 1);
  return lua_toboolean(L, 1) != 0;
}

static void is_on_the_disk_before_it_is_used(void)
{
  char path[400];
  struct stat status;
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  snprintf(path, sizeof path, "%s/secret", rig_directory());
  sync_fails = true;
  CHECK(!write_secret(L, path));
  CHECK(stat(path, &status) != 0); /* a file that may be incomplete has no name */
  CHECK_EQ_STR(done, "wsu");
  sync_fails = false;
  CHECK(write_secret(L, path));
  CHECK_EQ_STR(done, "wslud");
  CHECK(stat(path, &status) == 0 && (status.st_mode & 0777) == 0600);
  CHECK(!write_secret(L, path)); /* never changes an existing file */
  lua_close(L);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(is_on_the_disk_before_it_is_used);
  return check_end();
}
