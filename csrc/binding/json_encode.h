/* json_encode: writes Lua values as JSON, by the conventions of lua-cjson.
 *
 * A table whose keys are all integers from 1 is an array, with null in its holes; any other is an
 * object. A light userdata NULL is null. Access is raw: no Lua code runs. */
#ifndef UK_JSON_ENCODE_H
#define UK_JSON_ENCODE_H

#include "binding/compat.h"
#include "common/buffer.h"
#include "common/json_reader.h"

/* A program's choices. An array is sparse if its largest index exceeds both `safe` and `ratio`
 * times its number of elements; it is then an object if `convert` is set, else refused. With
 * `ratio` 0 no array is sparse. The pointers identify Lua values that outlive the call; NULL =
 * none. */
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
  char path[UK_JSON_PATH_SIZE]; /* as Lua code after a name: ".position.lat", "[3]", "" */
  char reason[UK_JSON_REASON_SIZE];
};

/* Appends the value at `index`. Returns false and sets `fault` if JSON cannot hold the value; the
 * stack is unchanged. The caller checks the buffer's error. */
bool uk_lua_json_encode(lua_State *L, int index, const struct uk_lua_json_style *style,
                        struct uk_buffer *buffer, struct uk_lua_json_fault *fault);

#endif
