/* decode: turns response bodies into Lua values, from the reader straight into tables of the right
 * size. */
#ifndef UK_DECODE_H
#define UK_DECODE_H

#include "binding/compat.h"
#include "client/response.h"

#define UK_MESSAGE_TYPE "upstash.kafka.message"

/* Pushes the value of the whole body. Returns false, with the reader's error set and values left on
 * the stack, if the body is not a response of the endpoint. Raises if Lua runs out of memory. */
typedef bool uk_lua_decoder(lua_State *L, struct uk_response_reader *reader);

uk_lua_decoder uk_lua_decode_metadata;      /* one object */
uk_lua_decoder uk_lua_decode_metadata_one;  /* a list of exactly one: pushes its element */
uk_lua_decoder uk_lua_decode_metadata_list; /* a list of as many as the reader's `messages` says */
uk_lua_decoder uk_lua_decode_messages;      /* each with the metatable UK_MESSAGE_TYPE */
uk_lua_decoder uk_lua_decode_offsets;
uk_lua_decoder uk_lua_decode_topic;
uk_lua_decoder uk_lua_decode_topics;
uk_lua_decoder uk_lua_decode_success; /* true */
uk_lua_decoder uk_lua_decode_list;    /* any JSON array */
uk_lua_decoder uk_lua_decode_object;  /* any JSON object */

#endif
