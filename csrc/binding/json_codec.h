/* json_codec: core.json(cjson): a pair of functions that turn message values into JSON and back, by
 * the conventions of the given lua-cjson. */
#ifndef UK_JSON_CODEC_H
#define UK_JSON_CODEC_H

#include "binding/compat.h"

/* json([cjson]) -> encode, decode
 *
 * encode(value) -> text; nil, reason, path
 * decode(text) -> value; nil, reason, code
 *
 * Reads sentinels and metatables from `cjson` once, and its settings at each use: those for sparse
 * arrays and, if it has them, for empty tables and metatables of arrays. */
int uk_lua_json_codec(lua_State *L);

#endif
