#include "binding/retry_lua.h"

#include "binding/calls.h"
#include "client/jitter.h"
#include "client/settings.h"

struct retry_options {
  const char *method;
  int64_t retries, delay, delay_max;
  bool idempotent;
};

static const struct uk_lua_option retry_rows[] = {
  {"method", UK_OPTION_TEXT, false, offsetof(struct retry_options, method), 0, 0, NULL},
  {"retries", UK_OPTION_INTEGER, false, offsetof(struct retry_options, retries), 0, UK_RETRIES_MAX,
   NULL},
  {"retry_delay", UK_OPTION_INTEGER, false, offsetof(struct retry_options, delay), 0,
   UK_MILLISECONDS_MAX, NULL},
  {"retry_delay_max", UK_OPTION_INTEGER, false, offsetof(struct retry_options, delay_max), 0,
   UK_MILLISECONDS_MAX, NULL},
  {"idempotent", UK_OPTION_BOOLEAN, false, offsetof(struct retry_options, idempotent), 0, 0, NULL},
  {.name = NULL}};

static int64_t read_attempt(lua_State *L)
{
  static const struct uk_lua_option row = {"attempt", UK_OPTION_INTEGER, true, 0,
                                           1,         INT32_MAX,         NULL};
  const struct uk_lua_blame blame = {.function = "retry_delay", .argument = 1};
  int64_t attempt = 1;
  uk_lua_read_option(L, 1, &row, &attempt, 0, &blame);
  return attempt;
}

/* Sets `*repeatable` if the method is a produce to a server that honours keys. */
static struct uk_retry_policy read_policy(lua_State *L, bool *repeatable)
{
  const struct uk_lua_blame blame = {.function = "retry_delay", .argument = 3};
  struct uk_settings_options defaults;
  uk_settings_options_default(&defaults);
  struct retry_options options = {NULL, defaults.retries, defaults.retry_delay,
                                  defaults.retry_delay_max, false};
  uk_lua_read_options(L, 3, true, retry_rows, &options, 0, &blame);
  struct uk_retry_policy policy = {UK_RETRY_SAFE, options.retries, options.delay,
                                   options.delay_max};
  if (options.method == NULL)
    return policy;
  const struct uk_lua_call_row *row = uk_lua_find_call(options.method);
  if (row == NULL)
    uk_lua_misuse(L, &blame, "method", "no such method: '%.64s'", options.method);
  *repeatable = row->keyed && options.idempotent;
  policy.class = *repeatable ? UK_RETRY_SAFE : row->retry;
  return policy;
}

/* Returns the error that details.code names, UK_OK if it names none. */
static enum uk_error read_code(lua_State *L)
{
  lua_pushliteral(L, "code");
  lua_rawget(L, 2);
  return lua_type(L, -1) == LUA_TSTRING ? uk_error_from_word(lua_tostring(L, -1)) : UK_OK;
}

/* Returns an integer field of the details, `otherwise` if it is absent. */
static int64_t read_detail(lua_State *L, const char *name, int64_t otherwise)
{
  int64_t value;
  lua_pushstring(L, name);
  lua_rawget(L, 2);
  return uk_lua_read_integer(L, -1, &value) == UK_INTEGER_OK ? value : otherwise;
}

/* Returns whether the details belong to a partly stored produce, which must not be retried as a
 * whole unless the server stores only the rest. */
static bool have_results(lua_State *L)
{
  lua_pushliteral(L, "results");
  lua_rawget(L, 2);
  bool some = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return some;
}

int uk_lua_retry_delay(lua_State *L)
{
  const struct uk_lua_blame blame = {.function = "retry_delay", .argument = 2};
  lua_settop(L, 3);
  int64_t attempt = read_attempt(L);
  if (lua_type(L, 2) != LUA_TTABLE)
    return uk_lua_misuse_type(L, &blame, "details", "table", 2);
  bool repeatable = false;
  const struct uk_retry_policy policy = read_policy(L, &repeatable);
  int64_t delay = uk_retry_delay(&policy, attempt, read_code(L), (int)read_detail(L, "status", 0),
                                 read_detail(L, "retry_after", -1), uk_jitter());
  if (delay == UK_RETRY_STOP || (have_results(L) && !repeatable))
    lua_pushnil(L);
  else
    uk_lua_push_integer(L, delay);
  return 1;
}
