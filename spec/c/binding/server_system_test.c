/* for: server_system.c, server_signals.c
 *
 * sigtimedwait is this program's, so that no test waits: how long force_exit is patient, for which
 * signals, and what it does after each outcome. server_spec.lua sends real signals. */
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "binding/server_system.h"
#include "check.h"

/* What sigtimedwait returns, call by call: a signal, or a negative errno. */
static const int *outcomes;

/* Says on standard error what it was asked. */
__attribute__((visibility("default"))) int sigtimedwait(const sigset_t *set, siginfo_t *info,
                                                        const struct timespec *timeout)
{
  (void)info;
  dprintf(STDERR_FILENO, "%ld s %ld ns:", (long)timeout->tv_sec, timeout->tv_nsec);
  for (int number = 1; number < 32; number++)
    if (sigismember(set, number) == 1)
      dprintf(STDERR_FILENO, " %s", number == SIGTERM ? "TERM" : number == SIGINT ? "INT" : "?");
  dprintf(STDERR_FILENO, "\n");
  const int outcome = *outcomes++;
  errno = outcome < 0 ? -outcome : 0;
  return outcome > 0 ? outcome : -1;
}

/* What mallopt was asked: the parameters' values, 0 for none. */
static int block_threshold, trim_threshold;

__attribute__((visibility("default"))) int mallopt(int parameter, int value)
{
  CHECK(parameter == M_MMAP_THRESHOLD || parameter == M_TRIM_THRESHOLD);
  *(parameter == M_MMAP_THRESHOLD ? &block_threshold : &trim_threshold) = value;
  return 1;
}

static const luaL_Reg *find(const char *name)
{
  const luaL_Reg *each = uk_lua_server_system_functions;
  while (each->name != NULL && strcmp(each->name, name) != 0)
    each++;
  return each;
}

/* Calls force_exit in a child with these outcomes, standard error being the pipe. */
static void run_child(int end, lua_Number milliseconds, const int *script)
{
  lua_State *L = luaL_newstate();
  outcomes = script;
  dup2(end, STDERR_FILENO);
  lua_pushcfunction(L, find("force_exit")->func);
  lua_pushnumber(L, milliseconds);
  alarm(600);
  if (lua_pcall(L, 1, 0, 0) != 0)
    _exit(9);
  for (;;)
    pause();
}

/* Writes what the process says when it ends to `said`. Returns its status. */
static int ends(lua_Number milliseconds, const int *script, char said[256])
{
  int ends_of_pipe[2], status = -1;
  size_t length = 0;
  if (pipe(ends_of_pipe) != 0)
    return -1;
  const pid_t child = fork();
  if (child == 0)
    run_child(ends_of_pipe[1], milliseconds, script);
  close(ends_of_pipe[1]);
  for (ssize_t got; (got = read(ends_of_pipe[0], said + length, 255 - length)) > 0;)
    length += (size_t)got;
  said[length] = '\0';
  close(ends_of_pipe[0]);
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define SECOND "upstash-kafka: stopped at once by a second signal\n"
#define LATE "upstash-kafka: stopped, because stopping took too long\n"

static void a_stop_is_forced(void)
{
  static const int second[] = {SIGTERM}, interrupted[] = {-EINTR, -EINTR, SIGINT},
                   late[] = {-EAGAIN};
  char said[256];
  CHECK_EQ_INT(ends(1, second, said), 1);
  CHECK_EQ_STR(said, "0 s 1000000 ns: INT TERM\n" SECOND);
  CHECK_EQ_INT(ends(45000, interrupted, said), 1);
  CHECK_EQ_STR(said, "45 s 0 ns: INT TERM\n45 s 0 ns: INT TERM\n45 s 0 ns: INT TERM\n" SECOND);
  CHECK_EQ_INT(ends(1999, late, said), 1);
  CHECK_EQ_STR(said, "1 s 999000000 ns: INT TERM\n" LATE);
  CHECK_EQ_INT(ends(INT32_MAX, late, said), 1);
  CHECK_EQ_STR(said, "2147483 s 647000000 ns: INT TERM\n" LATE);
}

/* Runs the function without arguments. */
static void call(lua_State *L, const char *name)
{
  lua_settop(L, 0);
  lua_pushcfunction(L, find(name)->func);
  CHECK_EQ_INT(lua_pcall(L, 0, 1, 0), 0);
}

static void exactly_these_signals_are_blocked(void)
{
  static const int blocked[] = {SIGTERM, SIGINT, SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ};
  sigset_t before, now;
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  sigemptyset(&before);
  sigemptyset(&now);
  pthread_sigmask(SIG_BLOCK, NULL, &before);
  call(L, "block_signals");
  pthread_sigmask(SIG_BLOCK, NULL, &now);
  for (int number = 1; number < 32; number++) {
    bool wanted = sigismember(&before, number) == 1;
    for (size_t i = 0; i < sizeof blocked / sizeof *blocked; i++)
      wanted = wanted || blocked[i] == number;
    if (!CHECK(sigismember(&now, number) == wanted))
      fprintf(stderr, "  signal %d: %d, before %d\n", number, sigismember(&now, number),
              sigismember(&before, number));
  }
  for (int i = 0; i < 2; i++) { /* the pending one is taken */
    raise(blocked[i]);
    call(L, "wait_for_signal");
    CHECK_EQ_STR(lua_tostring(L, 1), i == 0 ? "SIGTERM" : "SIGINT");
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  lua_close(L);
}

static void what_a_batch_frees_is_kept(void)
{
  lua_State *L = luaL_newstate();
  REQUIRE(L != NULL);
  call(L, "keep_memory");
  CHECK_EQ_INT(block_threshold, 4 << 20);
  CHECK_EQ_INT(trim_threshold, 8 << 20);
  lua_close(L);
}

int main(void)
{
  CHECK_RUN_UNLESS(check_unless_valgrind("a process that ends at once leaks"), a_stop_is_forced);
  CHECK_RUN(exactly_these_signals_are_blocked);
  CHECK_RUN_UNLESS(check_unless_valgrind("it has a mallopt of its own"),
                   what_a_batch_frees_is_kept);
  return check_end();
}
