/* by_hand: a minimal libcurl binding for Lua, as written in an afternoon, for the comparison with
 * "libcurl + lua-cjson".
 *
 *   by_hand.post(url, "username:password", {header line...}, body) -> body of the response */
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

struct body {
  char *data;
  size_t length, capacity;
};

static CURL *curl;
static struct body body;

static size_t take(char *data, size_t size, size_t count, void *argument)
{
  (void)argument;
  size_t bytes = size * count;
  if (body.length + bytes > body.capacity) {
    size_t capacity = 2 * (body.length + bytes);
    char *grown = realloc(body.data, capacity);
    if (!grown)
      return 0;
    body.data = grown;
    body.capacity = capacity;
  }
  memcpy(body.data + body.length, data, bytes);
  body.length += bytes;
  return bytes;
}

static struct curl_slist *headers_at(lua_State *L, int index)
{
  struct curl_slist *list = NULL;
  for (int i = 1;; i++) {
    lua_rawgeti(L, index, i);
    const char *line = lua_tostring(L, -1);
    if (!line)
      break;
    list = curl_slist_append(list, line);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return list;
}

static int post(lua_State *L)
{
  struct curl_slist *headers = headers_at(L, 3);
  long status = 0;
  body.length = 0;
  curl_easy_setopt(curl, CURLOPT_URL, luaL_checkstring(L, 1));
  curl_easy_setopt(curl, CURLOPT_USERPWD, luaL_checkstring(L, 2));
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, luaL_checkstring(L, 4));
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
  CURLcode rc = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  curl_slist_free_all(headers);
  if (rc != CURLE_OK || status != 200)
    return luaL_error(L, "by_hand: %s, status %d", curl_easy_strerror(rc), (int)status);
  lua_pushlstring(L, body.data, body.length);
  return 1;
}

int luaopen_by_hand(lua_State *L);
__attribute__((visibility("default"))) int luaopen_by_hand(lua_State *L)
{
  if (!curl)
    curl = curl_easy_init();
  if (!curl)
    return luaL_error(L, "by_hand: no libcurl");
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, post);
  lua_setfield(L, -2, "post");
  return 1;
}
