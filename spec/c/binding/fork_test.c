/* for: server_handle.c, producer.c
 *
 * After a fork the child has neither the threads of a server nor those of a producer: it forgets
 * both without waiting for them, and the parent's keep running. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "log_rig.h"

int luaopen_upstash_kafka_core(lua_State *L);
int luaopen_upstash_kafka_server(lua_State *L);

enum { CHILD_SECONDS = 600 }; /* after which a child that hangs is killed */

static const char start[] =
  "local data = ...\n"
  "handle = assert(server.start { listen = '127.0.0.1:0', data = data, map_bytes = 2 ^ 24,\n"
  "  username = 'u', password = 'p' })\n"
  "client = core.new { url = handle:url(), username = 'u', password = 'p' }\n"
  "producer = client:producer { topic = 't' }\n"
  "assert(producer:send(nil, 'before'))\n"
  "assert(producer:flush(60000))\n";

static const char in_child[] = "assert(producer:stats().sent == 0)\n"
                               "assert(producer:flush(60000) == true)\n"
                               "assert(producer:close() == true)\n"
                               "handle:stop()\n"
                               "assert(not pcall(handle.url, handle))\n";

static const char in_parent[] = "assert(producer:send(nil, 'after'))\n"
                                "assert(producer:flush(60000))\n"
                                "assert(producer:stats().delivered == 2)\n"
                                "assert(#assert(client:fetch('t', 0, 0)) == 2)\n"
                                "producer:close()\n"
                                "handle:stop()\n";

static bool run(lua_State *L, const char *program)
{
  if (luaL_loadstring(L, program) == 0) {
    lua_pushstring(L, rig_directory());
    if (lua_pcall(L, 1, 0, 0) == 0)
      return true;
  }
  fprintf(stderr, "%s\n", lua_tostring(L, -1));
  return false;
}

static void open_modules(lua_State *L)
{
  luaL_openlibs(L);
  luaopen_upstash_kafka_core(L);
  lua_setglobal(L, "core");
  luaopen_upstash_kafka_server(L);
  lua_setglobal(L, "server");
}

static void leaves_the_threads_to_the_parent(void)
{
  int status = -1;
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  open_modules(L);
  REQUIRE(run(L, start));
  const pid_t child = fork();
  if (child == 0) {
    alarm(CHILD_SECONDS);
    if (run(L, in_child))
      execl("/bin/true", "true", (char *)NULL); /* valgrind would count what it forgot as leaks */
    _exit(1);
  }
  REQUIRE(child > 0);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_EQ_INT(status, 0);
  CHECK(run(L, in_parent));
  lua_close(L);
  rig_remove();
}

int main(void)
{
  CHECK_RUN(leaves_the_threads_to_the_parent);
  return check_end();
}
