/* for: client.c, perform.c, build*.c, decode.c, message.c, producer*.c, json_codec.c
 *
 * The binding with an allocator that fails at every n: no call may leak, crash or leave a client
 * that does not work. Lua's own memory and the C heap are counted apart. */
#include <unistd.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdlib.h>

#include "check.h"
#include "client/sender/sender_registry.h"
#include "fault.h"

int luaopen_upstash_kafka_core(lua_State *L);

/* Lua's memory: the n-th growing allocation from now fails, 0 = none does. The next one fails too:
 * Lua collects its garbage and tries again before it raises. */
static long lua_fail_at, lua_count, lua_live;

static void *allocate(void *context, void *block, size_t old, size_t new)
{
  (void)context;
  if (new == 0) {
    lua_live -= block != NULL;
    free(block);
    return NULL;
  }
  bool grows = block == NULL || new > old;
  lua_count += grows;
  if (grows && lua_fail_at > 0 && (lua_count == lua_fail_at || lua_count == lua_fail_at + 1))
    return NULL;
  void *moved = realloc(block, new);
  lua_live += moved != NULL && block == NULL;
  return moved;
}

static const char client_program[] =
  "local core = core\n"
  "local client = core.new { url = 'http://h/p', username = 'u', password = 'p',\n"
  "  encode = function(value) return '<' .. #value .. '>' end }\n"
  "local headers = {}\n"
  "for i = 1, 20 do headers['h' .. i] = i end\n"
  "local request = client:prepare('produce_many', 't', { { value = { 1 }, key = 'k', headers = "
  "headers },\n"
  "  { value = core.null, headers = { { key = 'a', value = 'b' } } } })\n"
  "assert(request.body:find('<1>', 1, true))\n"
  "assert(client:prepare('consume', 'g', 'i', { 'a', 'b' }, { auto_commit = true }))\n"
  "assert(client:prepare('commit', 'g', 'i', { { topic = 't', partition = 1, offset = 2 } }))\n"
  "assert(client:prepare('webhook', 't', 'b', { headers = { X = 'y' } }))\n"
  "local message = '{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"timestamp\":2,\"key\":\"k\",' "
  "..\n"
  "  '\"value\":\"v\",\"headers\":[{\"key\":\"a\",\"value\":\"b\"}]}'\n"
  "local list = client:finish({ name = 'consume' }, 200, nil, '[' .. message .. ',' .. message .. "
  "']')\n"
  "assert(#list == 2 and list[2].headers[1].value == 'b')\n"
  "assert(client:finish({ name = 'topics' }, 200, nil, '{\"a\":1,\"b\":2}').b == 2)\n"
  "assert(client:finish({ name = 'consumers' }, 200, nil, '[{\"name\":\"g\",\"instances\":[]}]'))\n"
  "assert(client:finish({ name = 'topics' }, 503, { ['retry-after'] = '1' }, '{\"error\":\"x\"}') "
  "== nil)\n"
  "assert(client:finish({ name = 'consume' }, 200, nil, '[{}]') == nil)\n"
  "client:close()\n";

/* Nothing listens at that address, so every message fails. */
static const char producer_program[] =
  "local client = core.new { url = 'http://127.0.0.1:1', encode = function() return '{}' end }\n"
  "local options = { topic = 't', linger = 60000, message_timeout = 1, log = false }\n"
  "local producer = client:producer(options)\n"
  "local headers = {}\n"
  "for i = 1, 20 do headers['h' .. i] = i end\n"
  "assert(producer:send(nil, 'text'))\n"
  "assert(producer:send('u', { 1 }, { key = 'k', headers = headers, partition = 0 }))\n"
  "assert(producer:send(nil, core.null, { headers = { { key = 'a', value = 'b' } } }))\n"
  "assert(not producer:send(nil, '\\255'))\n"
  "assert(producer:stats().sent == 3)\n"
  "local flushed, _, details = producer:flush(60000)\n"
  "assert(not flushed and details.given_up == 3 and details.first.error)\n"
  "assert(producer:close(60000))\n"
  "local failures = producer:failures()\n"
  "assert(#failures == 3 and #failures[2].message.headers == 20)\n"
  "options.message_timeout = nil\n"
  "producer = client:producer(options)\n"
  "assert(producer:send(nil, 'late'))\n"
  "assert(not producer:settled(producer:hurry()))\n"
  "assert(not producer:flush(0))\n"
  "assert(not producer:close(0))\n";

/* Encodes and decodes, and fails in both. */
static const char json_program[] =
  "local calls = 0\n"
  "local like = { array_mt = {}, decode_array_with_array_mt = function() return true end,\n"
  "  encode_sparse_array = function() calls = calls + 1 return true, 2, 3 end }\n"
  "local encode, decode = core.json(like)\n"
  "local deep = {}\n"
  "for i = 1, 12 do deep = { deep, a = { i / 7, [2.5] = ('x\\n'):rep(40 * i) } } end\n"
  "local text = assert(encode(deep))\n"
  "assert(encode(decode(text)) and calls == 2)\n"
  "assert(encode { [1] = 1, [100] = core.null } :find '\"100\":null')\n"
  "local none, reason, path = encode { list = { 1, { f = print } } }\n"
  "assert(none == nil and reason == 'a function is not JSON' and path == '.list[2].f')\n"
  "assert(getmetatable(decode '[1e999') == nil and getmetatable(decode '[]') == like.array_mt)\n"
  "assert(select(3, decode '[1e999]') == 'integer_range')\n"
  "assert(select(3, decode '[1,') == 'bad_response')\n"
  "local client = core.new { url = 'http://h', encode = encode }\n"
  "assert(client:prepare('produce_many', 't', { { value = { 0.1 }, key = 2 ^ 60 } }))\n"
  "assert(not pcall(client.prepare, client, 'produce', 't', { 0 / 0 }))\n"
  "client:close()\n";

static const char *program;

static int run_program(lua_State *L)
{
  lua_pushcfunction(L, luaopen_upstash_kafka_core);
  lua_call(L, 0, 1);
  lua_setglobal(L, "core");
  if (luaL_loadbuffer(L, program, strlen(program), "=program") != 0)
    return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

/* Creates a state with the libraries. Its memory does not fail yet. */
static lua_State *open_state(void)
{
  lua_fail_at = 0;
  lua_State *L = lua_newstate(allocate, NULL);
  if (L == NULL)
    return NULL;
  luaL_openlibs(L);
  lua_pushcfunction(L, run_program);
  return L;
}

/* Closes the state, then the senders, which outlive it. */
static void close_state(lua_State *L)
{
  lua_close(L);
  uk_registry_close_all(0);
}

/* Waits until no more than that is allocated: the thread of a sender may still be ending. */
static bool back_at(long live)
{
  for (int i = 0; i < 2000 && fault_live() != live; i++)
    usleep(10000);
  return CHECK_EQ_INT(fault_live(), live);
}

static void lua_memory_may_run_out(const char *text)
{
  program = text;
  long live = fault_live();
  bool fine = false;
  for (long n = 1; !fine && n < 100000; n++) {
    lua_State *L = open_state();
    REQUIRE(L != NULL);
    lua_count = 0;
    lua_fail_at = n;
    fine = lua_pcall(L, 0, 0, 0) == 0 && lua_count < n;
    lua_fail_at = 0;
    close_state(L);
    CHECK_EQ_INT(lua_live, 0);
    if (!back_at(live))
      return;
  }
  CHECK(fine);
}

/* malloc fails in the C rooms: a call returns nil, "out of memory" or raises, and nothing is
 * lost. Lua's own memory comes from the same malloc here, so it fails too. */
static void the_heap_may_run_out(const char *text)
{
  program = text;
  long live = fault_live();
  bool hit = true;
  for (long n = 1; hit && n < 100000; n++) {
    lua_State *L = open_state();
    REQUIRE(L != NULL);
    fault_at(n);
    int status = lua_pcall(L, 0, 0, 0);
    hit = fault_hit();
    fault_off();
    CHECK(hit || status == 0);
    const char *raised = status != 0 ? lua_tostring(L, -1) : NULL;
    CHECK(raised == NULL || strstr(raised, "256 MiB") == NULL); /* it is not too large */
    close_state(L);
    if (!back_at(live))
      return;
  }
  CHECK(!hit);
}

static void clients_survive_without_lua_memory(void)
{
  lua_memory_may_run_out(client_program);
}

static void clients_survive_without_heap(void)
{
  the_heap_may_run_out(client_program);
}

static void json_survives_without_lua_memory(void)
{
  lua_memory_may_run_out(json_program);
}

static void json_survives_without_heap(void)
{
  the_heap_may_run_out(json_program);
}

static void producers_survive_without_lua_memory(void)
{
  lua_memory_may_run_out(producer_program);
}

static void producers_survive_without_heap(void)
{
  the_heap_may_run_out(producer_program);
}

int main(void)
{
  CHECK_RUN(clients_survive_without_lua_memory);
  CHECK_RUN(clients_survive_without_heap);
  CHECK_RUN(json_survives_without_lua_memory);
  CHECK_RUN(json_survives_without_heap);
  CHECK_RUN(producers_survive_without_lua_memory);
  CHECK_RUN(producers_survive_without_heap);
  return check_end();
}
