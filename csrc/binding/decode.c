#include "binding/decode.h"

#include "binding/json_lua.h"
#include "common/protocol.h"

/* A decoder pushes these keys once and copies them from their stack slots, so that Lua does not
 * intern a key for each field. They are in the order of the shapes' fields. */
static const char *const message_keys[] = {"topic", "partition", "offset", "timestamp",
                                           "key",   "value",     "headers"};
static const char *const header_keys[] = {"key", "value"};
static const char *const topic_keys[] = {"topic", "partitions"};

enum { STACK_ROOM = 24 };

/* The state of a decoder between elements. Stack indices are absolute. */
struct decoder {
  lua_State *L;
  struct uk_response_reader *reader;
  int keys;        /* stack index of the element's first key */
  int header_keys; /* stack index of a header's first key; 0 outside messages */
  int topic;       /* stack index of the last topic; the next is usually the same */
  int metatable;   /* stack index, 0 = elements have none */
  int headers;     /* number of the last message's headers; the next usually has as many */
  struct uk_slice topic_text; /* bytes of the string at `topic` */
};

static int push_keys(lua_State *L, const char *const *keys, int count)
{
  for (int i = 0; i < count; i++)
    lua_pushstring(L, keys[i]);
  return lua_gettop(L) - count + 1;
}

static struct decoder begin(lua_State *L, struct uk_response_reader *reader, int keys)
{
  luaL_checkstack(L, STACK_ROOM, NULL);
  struct decoder decoder = {.L = L, .reader = reader};
  decoder.keys = push_keys(L, message_keys, keys);
  lua_pushliteral(L, "");
  decoder.topic = lua_gettop(L);
  return decoder;
}

static void push_topic(struct decoder *decoder)
{
  lua_State *L = decoder->L;
  struct uk_slice topic = decoder->reader->value;
  if (!uk_slice_equal(topic, decoder->topic_text)) {
    lua_pushlstring(L, topic.data, topic.length);
    lua_replace(L, decoder->topic);
    decoder->topic_text.data = lua_tolstring(L, decoder->topic, &decoder->topic_text.length);
  }
  lua_pushvalue(L, decoder->topic);
}

static bool push_headers(struct decoder *decoder)
{
  lua_State *L = decoder->L;
  struct uk_response_reader *reader = decoder->reader;
  struct uk_response_object header;
  int count = 0;
  lua_createtable(L, decoder->headers, 0);
  while (uk_response_element(reader, &header, &uk_shape_header)) {
    lua_createtable(L, 0, 2);
    for (int field; (field = uk_response_field(reader, &header)) >= 0;) {
      lua_pushvalue(L, decoder->header_keys + field);
      lua_pushlstring(L, reader->value.data, reader->value.length);
      lua_rawset(L, -3);
    }
    lua_rawseti(L, -2, ++count);
  }
  decoder->headers = count;
  return reader->error == UK_OK;
}

static bool push_field(struct decoder *decoder, const struct uk_response_object *object, int field)
{
  lua_State *L = decoder->L;
  struct uk_response_reader *reader = decoder->reader;
  if (field == UK_FIELD_TOPIC) {
    push_topic(decoder);
    return true;
  }
  if (field == UK_FIELD_TIMESTAMP) {
    /* A cluster's timestamps may exceed 2^53, and nothing here computes with them. */
    uk_lua_push_exact(L, reader->integer);
    return true;
  }
  switch (object->shape->fields[field].type) {
  case UK_FIELD_INTEGER: return uk_lua_push_response_integer(L, reader, reader->integer);
  case UK_FIELD_HEADERS: return push_headers(decoder);
  case UK_FIELD_NULLABLE_BYTES:
    if (reader->value.data == NULL) {
      lua_pushnil(L);
      return true;
    }
    break;
  default: break;
  }
  lua_pushlstring(L, reader->value.data, reader->value.length);
  return true;
}

/* Pushes the open object. */
static bool push_object(struct decoder *decoder, struct uk_response_object *object)
{
  lua_State *L = decoder->L;
  lua_createtable(L, 0, (int)object->shape->count);
  for (int field; (field = uk_response_field(decoder->reader, object)) >= 0;) {
    lua_pushvalue(L, decoder->keys + field);
    if (!push_field(decoder, object, field))
      return false;
    lua_rawset(L, -3);
  }
  if (decoder->metatable != 0) {
    lua_pushvalue(L, decoder->metatable);
    lua_setmetatable(L, -2);
  }
  return decoder->reader->error == UK_OK;
}

/* Reads an integer field of an unfinished object. Returns false if it is not there yet. */
static bool read_place(struct decoder *decoder, int object, int field, int64_t *value)
{
  lua_State *L = decoder->L;
  lua_pushvalue(L, decoder->keys + field);
  lua_rawget(L, object);
  const bool read = uk_lua_read_integer(L, -1, value) == UK_INTEGER_OK;
  lua_pop(L, 1);
  return read;
}

/* Stores the position of the message whose table, at `object`, could not be finished. */
static void note_fault(struct decoder *decoder, int object)
{
  lua_State *L = decoder->L;
  struct uk_response_reader *reader = decoder->reader;
  struct uk_response_position *fault = &reader->fault;
  lua_settop(L, object);
  if (!read_place(decoder, object, UK_FIELD_PARTITION, &fault->partition))
    return;
  if (!read_place(decoder, object, UK_FIELD_OFFSET, &fault->offset)) {
    if (reader->error != UK_E_INTEGER_RANGE)
      return;
    fault->offset = reader->integer; /* the offset is the number that does not fit */
  }
  lua_pushvalue(L, decoder->keys + UK_FIELD_TOPIC);
  lua_rawget(L, object);
  struct uk_slice topic = {NULL, 0};
  if (lua_type(L, -1) == LUA_TSTRING)
    topic.data = lua_tolstring(L, -1, &topic.length);
  uk_response_set_topic(fault, topic);
  fault->known = topic.length > 0;
}

static bool push_element(struct decoder *decoder, struct uk_response_object *object)
{
  const int table = lua_gettop(decoder->L) + 1;
  if (push_object(decoder, object))
    return true;
  if (object->shape == &uk_shape_message)
    note_fault(decoder, table);
  return false;
}

/* Estimates the length of a list from the length of its first element, which has been read. */
static int estimate(const struct uk_response_reader *reader)
{
  size_t count = reader->length / (reader->json.position + 1) + 1;
  return count < UK_BATCH_MESSAGES_MAX ? (int)count : UK_BATCH_MESSAGES_MAX;
}

static bool push_list(struct decoder *decoder, const struct uk_shape *shape)
{
  lua_State *L = decoder->L;
  struct uk_response_reader *reader = decoder->reader;
  struct uk_response_object object;
  if (!uk_response_list(reader))
    return false;
  if (!uk_response_element(reader, &object, shape)) {
    lua_createtable(L, 0, 0);
    return reader->error == UK_OK;
  }
  if (!push_element(decoder, &object))
    return false;
  lua_createtable(L, estimate(reader), 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1);
  for (int i = 2; uk_response_element(reader, &object, shape); i++) {
    if (!push_element(decoder, &object))
      return false;
    lua_rawseti(L, -2, i);
  }
  return reader->error == UK_OK;
}

bool uk_lua_decode_metadata(lua_State *L, struct uk_response_reader *reader)
{
  struct decoder decoder = begin(L, reader, 4);
  struct uk_response_object object;
  return uk_response_object(reader, &object, &uk_shape_metadata) && push_object(&decoder, &object);
}

bool uk_lua_decode_metadata_one(lua_State *L, struct uk_response_reader *reader)
{
  struct decoder decoder = begin(L, reader, 4);
  struct uk_response_object object;
  reader->messages = 0; /* counted below */
  if (!uk_response_list(reader))
    return false;
  if (!uk_response_element(reader, &object, &uk_shape_metadata)) {
    uk_response_fail(reader, UK_E_BAD_RESPONSE,
                     "the response: one metadata expected, got an empty list");
    return false;
  }
  if (!push_object(&decoder, &object))
    return false;
  if (uk_response_element(reader, &object, &uk_shape_metadata))
    uk_response_fail(reader, UK_E_BAD_RESPONSE, "the response: one metadata expected, got more");
  return reader->error == UK_OK;
}

bool uk_lua_decode_metadata_list(lua_State *L, struct uk_response_reader *reader)
{
  struct decoder decoder = begin(L, reader, 4);
  if (!push_list(&decoder, &uk_shape_metadata))
    return false;
  return uk_response_counted(reader);
}

bool uk_lua_decode_offsets(lua_State *L, struct uk_response_reader *reader)
{
  struct decoder decoder = begin(L, reader, 3);
  return push_list(&decoder, &uk_shape_offset);
}

bool uk_lua_decode_messages(lua_State *L, struct uk_response_reader *reader)
{
  struct decoder decoder = begin(L, reader, 7);
  decoder.header_keys = push_keys(L, header_keys, 2);
  luaL_getmetatable(L, UK_MESSAGE_TYPE);
  decoder.metatable = lua_gettop(L);
  return push_list(&decoder, &uk_shape_message);
}

bool uk_lua_decode_topic(lua_State *L, struct uk_response_reader *reader)
{
  struct decoder decoder = begin(L, reader, 0);
  decoder.keys = push_keys(L, topic_keys, 2);
  struct uk_response_object object;
  return uk_response_object(reader, &object, &uk_shape_topic) && push_object(&decoder, &object);
}

static bool expect_event(struct uk_response_reader *reader, enum uk_json_event event,
                         enum uk_json_event wanted, const char *expected)
{
  if (event == wanted)
    return true;
  if (event == UK_JSON_ERROR)
    uk_response_fail_json(reader);
  else
    uk_response_fail(reader, UK_E_BAD_RESPONSE, "the response: %s expected, got something else",
                     expected);
  return false;
}

bool uk_lua_decode_topics(lua_State *L, struct uk_response_reader *reader)
{
  enum uk_json_event event = uk_json_next(&reader->json);
  if (!expect_event(reader, event, UK_JSON_OBJECT, "an object"))
    return false;
  luaL_checkstack(L, 4, NULL);
  lua_newtable(L);
  while ((event = uk_json_next(&reader->json)) == UK_JSON_KEY) {
    lua_pushlstring(L, reader->json.string.data, reader->json.string.length);
    event = uk_json_next(&reader->json);
    if (!expect_event(reader, event, UK_JSON_INTEGER, "a number of partitions for each topic") ||
        !uk_lua_push_response_integer(L, reader, reader->json.integer))
      return false;
    lua_rawset(L, -3);
  }
  return expect_event(reader, event, UK_JSON_OBJECT_END, "an object");
}

bool uk_lua_decode_success(lua_State *L, struct uk_response_reader *reader)
{
  struct uk_response_object object;
  if (!uk_response_object(reader, &object, &uk_shape_result))
    return false;
  while (uk_response_field(reader, &object) >= 0)
    continue;
  lua_pushboolean(L, 1);
  return reader->error == UK_OK;
}

static bool push_any(lua_State *L, struct uk_response_reader *reader, enum uk_json_event wanted,
                     const char *expected)
{
  enum uk_json_event event = uk_json_next(&reader->json);
  return expect_event(reader, event, wanted, expected) &&
         uk_lua_push_response_json(L, reader, event);
}

bool uk_lua_decode_list(lua_State *L, struct uk_response_reader *reader)
{
  return push_any(L, reader, UK_JSON_ARRAY, "a list");
}

bool uk_lua_decode_object(lua_State *L, struct uk_response_reader *reader)
{
  return push_any(L, reader, UK_JSON_OBJECT, "an object");
}
