#include "binding/server_credentials.h"

#include <string.h>

#include "server/access/credential_file.h"

enum { REASON_SIZE = 512 };

/* make_password() -> string of 32 characters, from random bytes. */
static int make_password(lua_State *L)
{
  char password[UK_MADE_PASSWORD_SIZE];
  if (!uk_password_make(password))
    return luaL_error(L, "cannot get random bytes");
  lua_pushstring(L, password);
  return 1;
}

/* hash_password(password [, made]) -> string | nil, message. With `made`, the password is one of
 * make_password, and the hash a fast one. */
static int hash_password(lua_State *L)
{
  char hash[UK_PASSWORD_HASH_SIZE];
  size_t length;
  const char *password = luaL_checklstring(L, 1, &length);
  if (uk_password_hash_make(hash, uk_slice_of(password, length), lua_toboolean(L, 2) != 0)) {
    lua_pushstring(L, hash);
    return 1;
  }
  lua_pushnil(L);
  lua_pushfstring(L, "a password has 1 to %d bytes without NUL", UK_PASSWORD_SIZE - 1);
  return 2;
}

/* check_credentials(text) -> the number of credentials | nil, message. The text is a copy, because
 * reading it changes it; Lua frees it whatever happens. */
static int check_credentials(lua_State *L)
{
  char message[REASON_SIZE] = "";
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  char *copy = lua_newuserdata(L, length + 1);
  memcpy(copy, text, length + 1);
  struct uk_credentials *credentials = uk_credentials_new();
  if (credentials == NULL)
    return luaL_error(L, "out of memory");
  const enum uk_error error =
    uk_credential_file_parse(credentials, copy, length, message, sizeof message);
  const size_t count = uk_credentials_count(credentials);
  uk_credentials_release(credentials);
  if (error == UK_OK) {
    lua_pushinteger(L, (lua_Integer)count);
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, message);
  return 2;
}

const luaL_Reg uk_lua_server_credentials_functions[] = {{"make_password", make_password},
                                                        {"hash_password", hash_password},
                                                        {"check_credentials", check_credentials},
                                                        {NULL, NULL}};
