/* json_codec: core.json(cjson): a pair of functions that turn values of messages into JSON and
 * back, by the conventions of the lua-cjson that they are given. */
#ifndef UK_JSON_CODEC_H
#define UK_JSON_CODEC_H

#include "binding/compat.h"

/* json([cjson]) -> encode, decode
 *
 * encode(value) -> text; nil, reason, path
 * decode(text) -> value; nil, reason, code
 *
 * Sentinels and metatables are read from `cjson` once, its settings at each use: for sparse arrays,
 * and where it has them for empty tables and for metatables of arrays. */
int uk_lua_json_codec(lua_State *L);

#endif
