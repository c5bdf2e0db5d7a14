/* json_encode: Lua values as JSON, by the conventions of lua-cjson.
 *
 * A table whose keys are all integers from 1 on is an array, its holes null; any other is an object.
 * A light userdata NULL is null. Access is raw: no metamethod runs, and no Lua code does. */
#ifndef UK_JSON_ENCODE_H
#define UK_JSON_ENCODE_H

#include "binding/compat.h"
#include "common/buffer.h"
#include "common/json_reader.h"

/* What a program may choose. An array whose largest index is over `safe`, and over `ratio` times its
 * elements, is sparse: an object when `convert`, else refused. `ratio` 0: none is. The pointers are
 * those of Lua values which outlive the call, NULL where there are none. */
struct uk_lua_json_style {
  bool convert;
  int64_t ratio, safe;
  bool empty_is_array;        /* {} is [] */
  const void *empty_array;    /* a light userdata that is [] */
  const void *empty_array_mt; /* the metatable of tables that are [] when they are empty */
  const void *array_mt;       /* the metatable of tables that are arrays, whatever they hold */
};

enum { UK_JSON_PATH_SIZE = 256, UK_JSON_REASON_SIZE = 96 };

struct uk_lua_json_fault {
  char path[UK_JSON_PATH_SIZE]; /* as Lua writes it behind a name: ".position.lat", "[3]", "" */
  char reason[UK_JSON_REASON_SIZE];
};

/* Appends the value at `index`. False, with `fault` set and the stack as it was, when it holds what
 * is not JSON. The buffer's error is for the caller to look at. */
bool uk_lua_json_encode(lua_State *L, int index, const struct uk_lua_json_style *style,
                        struct uk_buffer *buffer, struct uk_lua_json_fault *fault);

#endif
