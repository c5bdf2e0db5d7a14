#include "binding/call_memory.h"
#include "binding/message.h"
#include "binding/producer_private.h"
#include "binding/failure.h"
#include "client/sender/sender_record.h"
#include "common/utf8.h"

enum { SELF = 1, TOPIC, VALUE, OPTIONS };

/* Returns the producer's sender; starts it if necessary. NULL with `error` set if it cannot
 * start. */
static struct uk_sender *take_sender(struct uk_lua_producer *producer, enum uk_error *error)
{
  struct uk_sender *sender = uk_lua_producer_sender(producer);
  if (sender != NULL)
    return sender;
  producer->generation = uk_registry_generation();
  producer->sender = uk_registry_acquire(&producer->settings, &producer->options, error);
  struct uk_sender_reason unused;
  if (producer->sender != NULL)
    producer->reported = uk_sender_discards(producer->sender, 0, &unused);
  return producer->sender;
}

#define NOT_TEXT " is not valid UTF-8"
#define UNLESS_BINARY " (binary = true sends any bytes)"

/* Returns what is wrong with the packed headers, NULL if nothing is. Their keys are always text. */
static const char *bad_header(struct uk_slice headers, bool binary)
{
  struct uk_slice key, value;
  while (uk_sender_header_next(&headers, &key, &value)) {
    if (!uk_utf8_valid(key.data, key.length))
      return "header key" NOT_TEXT;
    if (!binary && !uk_utf8_valid(value.data, value.length))
      return "header value" NOT_TEXT UNLESS_BINARY;
  }
  return NULL;
}

/* Queues the message, with packed `headers`. Pushes the results of `send` and returns their
 * number. */
static int enqueue(lua_State *L, struct uk_lua_producer *producer, const struct uk_message *message,
                   struct uk_slice headers)
{
  enum uk_error error;
  const bool binary = producer->settings.options.binary;
  if (!binary && !uk_utf8_valid(message->value.data, message->value.length))
    return uk_lua_push_error(L, UK_E_BAD_REQUEST, "value" NOT_TEXT UNLESS_BINARY);
  if (!binary && !uk_utf8_valid(message->key.data, message->key.length))
    return uk_lua_push_error(L, UK_E_BAD_REQUEST, "key" NOT_TEXT UNLESS_BINARY);
  const char *bad = bad_header(headers, binary);
  if (bad != NULL)
    return uk_lua_push_error(L, UK_E_BAD_REQUEST, bad);
  if (!uk_topic_name_valid(message->topic))
    return uk_lua_push_error(L, UK_E_BAD_REQUEST,
                             "topic: a topic name (1 to 249 of A-Z a-z 0-9 . _ -) expected");
  struct uk_sender *sender = take_sender(producer, &error);
  if (sender == NULL)
    return uk_lua_push_error(L, error, NULL);
  error = uk_sender_send(sender, message, headers);
  if (error != UK_OK)
    return uk_lua_push_error(L, error, NULL);
  lua_pushboolean(L, 1);
  return 1;
}

static void pack_header(struct uk_client_request *request, struct uk_slice key,
                        struct uk_slice value)
{
  uk_sender_header_pack(&request->body, key, value);
}

/* Packs the headers into memory that Lua owns, then queues the message. */
static int enqueue_with_headers(struct uk_lua_arguments *arguments,
                                struct uk_lua_producer *producer, int slots,
                                const struct uk_message *message)
{
  lua_State *L = arguments->L;
  struct uk_lua_call_memory *memory = uk_lua_call_memory_take(L, arguments->companion, 0);
  const int place = lua_gettop(L);
  arguments->request = &memory->request;
  uk_buffer_clear(&memory->request.body);
  uk_lua_read_headers(arguments, slots, pack_header);
  uk_lua_check_producer(L);
  const struct uk_buffer *headers = &memory->request.body;
  const int results = headers->error != UK_OK
                        ? uk_lua_push_error(L, headers->error, NULL)
                        : enqueue(L, producer, message, uk_buffer_slice(headers));
  uk_lua_call_memory_give(L, arguments->companion, place);
  return results;
}

/* Sends anything except a string without options. An encode function or a finaliser may run and
 * close the producer. */
static int send_any(lua_State *L, struct uk_lua_producer *producer, struct uk_slice topic)
{
  uk_lua_get_companion(L, SELF);
  struct uk_lua_arguments arguments = {.L = L,
                                       .function = "send",
                                       .first = TOPIC,
                                       .companion = lua_gettop(L),
                                       .binary = producer->settings.options.binary};
  struct uk_message message;
  const int slots = uk_lua_read_message(&arguments, &message);
  message.topic = topic;
  uk_lua_check_producer(L);
  if (!lua_isnil(L, slots + UK_SLOT_HEADERS))
    return enqueue_with_headers(&arguments, producer, slots, &message);
  return enqueue(L, producer, &message, uk_slice_of(NULL, 0));
}

static struct uk_slice read_topic(lua_State *L, const struct uk_lua_producer *producer)
{
  const struct uk_lua_blame blame = {.function = "send", .argument = 1};
  struct uk_slice topic;
  if (lua_type(L, TOPIC) == LUA_TSTRING) {
    topic.data = lua_tolstring(L, TOPIC, &topic.length);
    return topic;
  }
  if (!lua_isnil(L, TOPIC))
    uk_lua_misuse_type(L, &blame, "topic", "string", TOPIC);
  if (producer->topic[0] == '\0')
    uk_lua_misuse(L, &blame, "topic", "string expected: the producer has no default topic");
  return uk_slice_text(producer->topic);
}

/* send(value), for a producer with a topic: becomes send(nil, value). */
static void insert_topic(lua_State *L, const struct uk_lua_producer *producer)
{
  if (lua_gettop(L) != TOPIC || producer->topic[0] == '\0')
    return;
  lua_pushnil(L);
  lua_insert(L, TOPIC);
}

int uk_lua_producer_send(lua_State *L)
{
  struct uk_lua_producer *producer = uk_lua_check_producer(L);
  insert_topic(L, producer);
  lua_settop(L, OPTIONS);
  const struct uk_slice topic = read_topic(L, producer);
  if (lua_type(L, VALUE) != LUA_TSTRING || !lua_isnil(L, OPTIONS))
    return send_any(L, producer, topic);
  struct uk_message message = {.topic = topic, .partition = -1, .timestamp = -1};
  message.value.data = lua_tolstring(L, VALUE, &message.value.length);
  return enqueue(L, producer, &message, uk_slice_of(NULL, 0));
}
